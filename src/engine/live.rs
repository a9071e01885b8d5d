//! The rules that are live in a system, bound to its columns, and who is in which of their segments.
//!
//! A [`Live`] belongs to one snapshot: its bits are right for that snapshot's values, its rules and its day. After a
//! write only the segments are judged again of which a test on a changed attribute answers otherwise, for that row alone
//! ([`Live::judge_row`]). New rules or a new day make a new `Live` beside the old one ([`Live::renewed`]), which takes
//! over what can't have changed.
//!
//! Invariant: a bit says what judging its segment's rule for that row would say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bound::Around;
use super::catalogue::SharedCatalogue;
use super::judge::{Before, Judge, Way};
use super::mask::Mask;
use super::members::{Members, Shift};
use super::parallel::Progress;
use super::row::Row;
use super::snapshot::{EndUser, SystemData, locate};
use crate::model::{AttributeId, Date, Timestamp, Value};
use crate::ruleset::RuleSet;
use crate::segments::Facts;
use crate::store::{ColumnNo, RowNo};

/// A system's rules and who is in which segment by them.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) today: Date,
    /// From when to when it is that day.
    pub(super) day: (Timestamp, Timestamp),
    pub(super) judge: Arc<Judge>,
    pub(crate) members: Members,
    /// The segments of somebody of whom nothing is known, by place.
    pub(super) nobody: Arc<[bool]>,
    pub(crate) failures: Arc<Failures>,
}

/// Rules that failed while judging, by place: how often, and the last message.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<(AtomicU64, parking_lot::Mutex<Option<String>>)>);

impl Failures {
    pub(super) fn of(segments: usize) -> Self {
        Self((0..segments).map(|_| Default::default()).collect())
    }

    fn note(&self, place: usize, message: String) {
        if let Some((count, last)) = self.0.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
            *last.lock() = Some(message);
        }
    }

    /// How often the rule at a place has failed since it went live, and how it did last.
    pub(crate) fn of_place(&self, place: usize) -> (u64, Option<String>) {
        self.0.get(place).map_or((0, None), |(count, last)| (count.load(Ordering::Relaxed), last.lock().clone()))
    }
}

/// The values that rules may see of an end user.
pub(super) struct Visible<'a> {
    pub(super) end_user: Option<EndUser<'a>>,
    pub(super) rules: &'a RuleSet,
}

impl Facts for Visible<'_> {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.end_user?.value(attribute, self.rules.attribute_type(attribute)?)
    }
}

impl Live {
    /// The rules bound to a catalogue, which grows with each attribute's first value.
    pub(super) fn judge_for(&self, catalogue: &SharedCatalogue) -> Arc<Judge> {
        if Arc::ptr_eq(&self.judge.catalogue, catalogue) {
            Arc::clone(&self.judge)
        } else {
            Arc::new(Judge::new(&self.rules, catalogue))
        }
    }

    /// Whether it is still the day that the bits are for.
    pub(crate) fn is_for(&self, now: Timestamp) -> bool {
        self.day.0 <= now && now < self.day.1
    }

    /// Who nothing is known of, by place.
    pub(crate) fn nobody(&self) -> &[bool] {
        &self.nobody
    }

    /// What [`Live::judge_row`] wants to know of a row whose columns are about to be written.
    pub(crate) fn before(&mut self, data: &SystemData, row: RowNo, columns: &[ColumnNo]) -> Option<Before> {
        self.judge = self.judge_for(&data.catalogue);
        let (chunk, at) = locate(row);
        Some(self.judge.before(&mut Row::remembering(data.chunks.get(chunk)?, at, 0), columns, self.today))
    }

    /// Judges a row whose values have changed: by the segments for which one of their tests answers otherwise than
    /// `before` (`None`: by all), and by those that ask about one whose answer changed. Gives the places whose answer
    /// changed, and what it is now.
    pub(crate) fn judge_row(&mut self, data: &SystemData, row: RowNo, before: Option<&Before>) -> Vec<(usize, bool)> {
        self.judge = self.judge_for(&data.catalogue);
        let judge = Arc::clone(&self.judge);
        let mut moves = Vec::new();
        let (chunk, at) = locate(row);
        let Some(chunk) = data.chunks.get(chunk) else { return moves };
        let mut known = Row::remembering(chunk, at, judge.tests.len());
        let mut due = judge.due(&mut known, before, self.today);
        let mut from = 0;
        while let Some(place) = due.next(from) {
            from = place + 1;
            let member = self.is_member(&judge, (data, row), place, &mut known);
            if self.members.set(row, place, member) {
                moves.push((place, member));
                judge.askers(place).iter().for_each(|asker| due.add(*asker));
            }
        }
        moves
    }

    /// Judges rows of one chunk whose values have changed, by every segment: what [`Live::judge_row`] does, at once for
    /// all. Gives, for each place where that changed anything, for whom it did, and for whom of them it holds now.
    pub(crate) fn judge_chunk(&mut self, data: &SystemData, no: usize, rows: &Mask) -> Vec<Shift> {
        self.judge = self.judge_for(&data.catalogue);
        let progress = Progress::default();
        let mut masks: Vec<Mask> = Vec::with_capacity(self.judge.ways.len());
        let mut changes = Vec::new();
        for place in 0..self.judge.ways.len() {
            let before = self.members.mask(no, place);
            let mask_of = |place: usize| masks.get(place).copied().unwrap_or(Mask::NONE);
            let around = Around { today: self.today, members: &mask_of };
            let now = self.ask(data, no, place, rows, &around, &progress);
            let mask = before.without(rows).or(&now);
            let changed = mask.xor(&before);
            if !changed.is_empty() {
                changes.push(Shift { place, changed, now: now.and(&changed) });
            }
            masks.push(mask);
        }
        if !changes.is_empty() {
            self.members.set_chunk(no, &masks, &changes);
        }
        changes
    }

    /// Takes a row out of every segment, as its end user is gone.
    pub(crate) fn forget_row(&mut self, row: RowNo) {
        for place in 0..self.judge.ways.len() {
            self.members.set(row, place, false);
        }
    }

    /// Judges one segment for one row by what is known of the others.
    fn is_member(&self, judge: &Judge, (data, row): (&SystemData, RowNo), place: usize, known: &mut Row<'_>) -> bool {
        let Some(way) = judge.ways.get(place) else { return false };
        let around = Around { today: self.today, members: &|place| self.members.row(row).contains(place) };
        match way {
            Way::Index(condition) => condition.holds(known, &around),
            Way::Script(guard) => {
                guard.holds(known, &around) && self.run_script(data, row, place, &self.members.row(row).flags())
            }
        }
    }

    /// Runs a segment's script for a row; one that fails leaves the end user out.
    fn run_script(&self, data: &SystemData, row: RowNo, place: usize, members: &[bool]) -> bool {
        let facts = Visible { end_user: Some(EndUser::at(data, row)), rules: &self.rules };
        self.rules.segments.run_script(place, &facts, members, self.today).unwrap_or_else(|message| {
            self.note_failure(place, message);
            false
        })
    }

    /// Notes that a rule failed for somebody, who is not in the segment then.
    pub(super) fn note_failure(&self, place: usize, message: String) {
        metrics::counter!("rollcall_rule_failures_total", "system" => self.rules.system.to_string()).increment(1);
        self.failures.note(place, message);
    }

    pub(super) fn judge_nobody(&self) -> Arc<[bool]> {
        let facts = Visible { end_user: None, rules: &self.rules };
        let members = self.rules.segments.judge(&facts, self.today).members;
        self.rules.segments.order().iter().map(|segment| members.binary_search(&segment.id).is_ok()).collect()
    }

    /// Judges a row by every rule's script: what the bits must say.
    pub(crate) fn judge_by_script(&self, data: &SystemData, row: RowNo) -> Vec<bool> {
        let facts = Visible { end_user: Some(EndUser::at(data, row)), rules: &self.rules };
        let mut members = Vec::new();
        for place in 0..self.judge.ways.len() {
            let member = self.rules.segments.run_script(place, &facts, &members, self.today).unwrap_or(false);
            members.push(member);
        }
        members
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("revision", &self.rules.revision)
            .field("today", &self.today)
            .finish_non_exhaustive()
    }
}
