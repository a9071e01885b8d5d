//! The rules that are live in a system, bound to its columns, and who is in which of their segments.
//!
//! A [`Live`] belongs to one snapshot: its bits are right for that snapshot's values, its rules and its day. After a
//! write only the segments that read a changed attribute are judged again, for that row alone ([`Live::judge_row`]). New
//! rules or a new day make a new `Live` beside the old one ([`Live::renewed`]), which takes over what can't have changed.
//!
//! Invariant: a bit says what judging its segment's rule for that row would say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::bound::{Around, Bound};
use super::catalogue::{IDS, SharedCatalogue};
use super::column::ROWS;
use super::mask::Mask;
use super::members::{ChunkMembers, Members};
use super::snapshot::{Chunk, EndUser, SystemData, locate};
use crate::model::{AttributeId, Date, SegmentId, Timestamp, Value};
use crate::ruleset::RuleSet;
use crate::segments::{Facts, Segment};
use crate::store::{ColumnNo, RowNo};

/// A system's rules and who is in which segment by them.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) today: Date,
    /// From when to when it is that day.
    day: (Timestamp, Timestamp),
    judge: Arc<Judge>,
    pub(crate) members: Members,
    /// The segments of somebody of whom nothing is known, by place.
    nobody: Arc<[bool]>,
    pub(crate) failures: Arc<Failures>,
}

/// The rules bound to a catalogue.
struct Judge {
    catalogue: SharedCatalogue,
    ways: Vec<Way>,
    /// For each segment, those that ask about it.
    askers: Vec<Vec<usize>>,
    /// The segments that read a column.
    readers: HashMap<ColumnNo, Vec<usize>>,
}

/// How a segment is judged.
enum Way {
    Index(Bound),
    /// By its script, for rows for which the guard holds.
    Script(Bound),
}

/// Rules that failed while judging, by place: how often, and the last message.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<(AtomicU64, parking_lot::Mutex<Option<String>>)>);

impl Failures {
    fn of(segments: usize) -> Self {
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

/// How far computing has come, and how long it may go on. Once its time is over, what it computed is of no use.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) done: AtomicUsize,
    pub(crate) total: AtomicUsize,
    until: Option<Instant>,
    over: AtomicBool,
}

impl Progress {
    /// Computing that may take no longer.
    pub(crate) fn within(time: Duration) -> Self {
        Self { until: Some(Instant::now() + time), ..Self::default() }
    }

    /// Whether to go on: asked wherever much may be left to do.
    pub(crate) fn goes_on(&self) -> bool {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            self.over.store(true, Ordering::Relaxed);
        }
        !self.ran_out()
    }

    /// Whether something was left undone.
    pub(crate) fn ran_out(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// What has to be judged again of a segment in a new [`Live`].
enum Stale {
    /// Nobody but who is in or out of a segment that it asks about anew.
    Nothing,
    /// Those for whom this holds, too.
    Due(Bound),
    Everybody,
}

/// How a segment's bits come into a new [`Live`].
struct Renewal {
    /// Its place in the old one, if what is there is to be kept.
    old: Option<usize>,
    stale: Stale,
}

/// The values that rules may see of an end user.
struct Visible<'a> {
    end_user: Option<EndUser<'a>>,
    rules: &'a RuleSet,
}

impl Facts for Visible<'_> {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.end_user?.value(attribute, self.rules.attribute_type(attribute)?)
    }
}

impl Judge {
    fn new(rules: &RuleSet, catalogue: &SharedCatalogue) -> Self {
        let segments = rules.segments.order();
        let ways = segments.iter().map(|segment| match segment.condition() {
            Ok(condition) => Way::Index(bind(condition, rules, catalogue)),
            Err(_) => Way::Script(segment.guard().map_or(Bound::Constant(true), |guard| bind(guard, rules, catalogue))),
        });
        let mut askers = vec![Vec::new(); segments.len()];
        let mut readers: HashMap<ColumnNo, Vec<usize>> = HashMap::new();
        for (place, segment) in segments.iter().enumerate() {
            for asked in segment.depends_on().iter().filter_map(|id| rules.segments.place(id)) {
                askers.get_mut(asked).into_iter().for_each(|askers| askers.push(place));
            }
            for column in segment.reads().iter().flat_map(|id| catalogue.typed(id).all().collect::<Vec<_>>()) {
                readers.entry(column).or_default().push(place);
            }
        }
        Self { catalogue: Arc::clone(catalogue), ways: ways.collect(), askers, readers }
    }

    fn askers(&self, place: usize) -> &[usize] {
        self.askers.get(place).map_or(&[], Vec::as_slice)
    }
}

/// Binds a condition to a system's columns, as its rules show them.
pub(crate) fn bind(condition: &crate::predicate::Condition, rules: &RuleSet, catalogue: &SharedCatalogue) -> Bound {
    let place_of = |id: &SegmentId| rules.segments.place(id);
    let shown = |id: &AttributeId| rules.attribute_type(id).is_some();
    Bound::new(condition, catalogue, &place_of, &shown)
}

impl Live {
    /// The rules over a system's end users, everything judged that an old `Live` over the same data does not know.
    pub(crate) fn renewed(
        old: Option<&Self>,
        data: &SystemData,
        rules: &Arc<RuleSet>,
        now: Timestamp,
        progress: &Progress,
    ) -> Self {
        let today = rules.today(now);
        let judge = match old {
            Some(old) if Arc::ptr_eq(&old.rules, rules) => old.judge_for(&data.catalogue),
            _ => Arc::new(Judge::new(rules, &data.catalogue)),
        };
        let segments = rules.segments.order().len();
        let mut live = Self {
            rules: Arc::clone(rules),
            today,
            day: today.span(&rules.settings.timezone),
            judge,
            members: Members::default(),
            nobody: Arc::from([]),
            failures: Arc::new(Failures::of(segments)),
        };
        live.nobody = live.judge_nobody();
        let renewals = live.renewals(old, data);
        let chunks = in_parallel(data.chunks.len(), progress, |no| {
            let chunk = data.chunks.get(no)?;
            Some(Arc::new(live.renew_chunk(old, &renewals, data, no, chunk, progress)))
        });
        live.members = Members::new(segments, chunks);
        live
    }

    /// The rules bound to a catalogue, which grows with each attribute's first value.
    fn judge_for(&self, catalogue: &SharedCatalogue) -> Arc<Judge> {
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

    /// Judges a row whose values have changed: by the segments that read one of the columns (`None`: by all), and by
    /// those that ask about one whose answer changed. Gives the places whose answer changed, and what it is now.
    pub(crate) fn judge_row(
        &mut self,
        data: &SystemData,
        row: RowNo,
        columns: Option<&[ColumnNo]>,
    ) -> Vec<(usize, bool)> {
        self.judge = self.judge_for(&data.catalogue);
        let judge = Arc::clone(&self.judge);
        let mut due = Places::new(judge.ways.len(), columns.is_none());
        for column in columns.unwrap_or_default() {
            judge.readers.get(column).into_iter().flatten().for_each(|place| due.add(*place));
        }
        let mut moves = Vec::new();
        let mut from = 0;
        while let Some(place) = due.next(from) {
            from = place + 1;
            let member = self.is_member(&judge, data, row, place);
            if self.members.set(row, place, member) {
                moves.push((place, member));
                judge.askers(place).iter().for_each(|asker| due.add(*asker));
            }
        }
        moves
    }

    /// Takes a row out of every segment, as its end user is gone.
    pub(crate) fn forget_row(&mut self, row: RowNo) {
        for place in 0..self.judge.ways.len() {
            self.members.set(row, place, false);
        }
    }

    /// Judges one segment for one row by what is known of the others.
    fn is_member(&self, judge: &Judge, data: &SystemData, row: RowNo, place: usize) -> bool {
        let (chunk, at) = locate(row);
        let (Some(way), Some(chunk)) = (judge.ways.get(place), data.chunks.get(chunk)) else { return false };
        let members = self.members.row(row);
        let around = Around { today: self.today, members: &|place| members.contains(place) };
        match way {
            Way::Index(condition) => condition.holds(chunk, at, &around),
            Way::Script(guard) => {
                guard.holds(chunk, at, &around) && self.run_script(data, row, place, &members.flags())
            }
        }
    }

    /// Runs a segment's script for a row; one that fails leaves the end user out.
    fn run_script(&self, data: &SystemData, row: RowNo, place: usize, members: &[bool]) -> bool {
        let facts = Visible { end_user: Some(EndUser::at(data, row)), rules: &self.rules };
        self.rules.segments.run_script(place, &facts, members, self.today).unwrap_or_else(|message| {
            metrics::counter!("rollcall_rule_failures_total", "system" => self.rules.system.to_string()).increment(1);
            self.failures.note(place, message);
            false
        })
    }

    fn judge_nobody(&self) -> Arc<[bool]> {
        let facts = Visible { end_user: None, rules: &self.rules };
        let members = self.rules.segments.judge(&facts, self.today).members;
        self.rules.segments.order().iter().map(|segment| members.binary_search(&segment.id).is_ok()).collect()
    }

    /// What has to be judged again, segment by segment.
    fn renewals(&self, old: Option<&Self>, data: &SystemData) -> Vec<Renewal> {
        let fingerprints = fingerprints(&self.rules);
        let old_fingerprints = old.map(|old| fingerprints_by_id(&old.rules)).unwrap_or_default();
        let segments = self.rules.segments.order().iter().zip(fingerprints);
        segments
            .map(|(segment, fingerprint)| {
                let known = old.filter(|_| old_fingerprints.get(&segment.id) == Some(&fingerprint));
                let Some(old) = known else {
                    return Renewal { old: self.old_place(old, segment), stale: Stale::Everybody };
                };
                Renewal { old: old.rules.segments.place(&segment.id), stale: self.stale_by_day(old, segment, data) }
            })
            .collect()
    }

    fn old_place(&self, old: Option<&Self>, segment: &Segment) -> Option<usize> {
        old?.rules.segments.place(&segment.id)
    }

    /// What a new day makes due of a segment whose rule is the same.
    fn stale_by_day(&self, old: &Self, segment: &Segment, data: &SystemData) -> Stale {
        if old.today == self.today || !segment.uses_today() {
            return Stale::Nothing;
        }
        match segment.condition() {
            Ok(condition) => condition
                .due(old.today, self.today)
                .map_or(Stale::Nothing, |due| Stale::Due(bind(&due, &self.rules, &data.catalogue))),
            Err(_) => Stale::Everybody,
        }
    }

    /// The bits of one chunk.
    fn renew_chunk(
        &self,
        old: Option<&Self>,
        renewals: &[Renewal],
        data: &SystemData,
        no: usize,
        chunk: &Chunk,
        progress: &Progress,
    ) -> ChunkMembers {
        let present = chunk.column(IDS).map_or(Mask::NONE, |ids| Mask::of(ids.present()));
        let mut masks: Vec<Mask> = Vec::with_capacity(renewals.len());
        let mut changed: Vec<Mask> = Vec::with_capacity(renewals.len());
        for (place, (renewal, segment)) in renewals.iter().zip(self.rules.segments.order()).enumerate() {
            let before = old.zip(renewal.old).map_or(Mask::NONE, |(old, place)| old.members.mask(no, place));
            let mask_of = |place: usize| masks.get(place).copied().unwrap_or(Mask::NONE);
            let around = Around { today: self.today, members: &mask_of };
            let mut stale = match &renewal.stale {
                Stale::Nothing => Mask::NONE,
                Stale::Due(due) => due.ask(chunk, &present, &around),
                Stale::Everybody => present,
            };
            for asked in segment.depends_on().iter().filter_map(|id| self.rules.segments.place(id)) {
                stale = stale.or(&changed.get(asked).copied().unwrap_or(Mask::NONE));
            }
            let mask = if stale.is_empty() {
                before
            } else {
                before.without(&stale).or(&self.ask(data, no, place, &stale, &around, progress))
            };
            changed.push(mask.xor(&before));
            masks.push(mask);
        }
        ChunkMembers::of(&masks)
    }

    /// The rows of a chunk, out of some, that are in a segment.
    fn ask(
        &self,
        data: &SystemData,
        no: usize,
        place: usize,
        within: &Mask,
        around: &Around<'_, Mask>,
        progress: &Progress,
    ) -> Mask {
        let Some(chunk) = data.chunks.get(no) else { return Mask::NONE };
        match self.judge.ways.get(place) {
            Some(Way::Index(condition)) => condition.ask(chunk, within, around),
            Some(Way::Script(guard)) => {
                let mut found = Mask::NONE;
                for at in guard.ask(chunk, within, around).rows().take_while(|_| progress.goes_on()) {
                    let members: Vec<bool> = (0..place).map(|place| (around.members)(place).get(at)).collect();
                    if self.run_script(data, (no * ROWS + at) as RowNo, place, &members) {
                        found.set(at);
                    }
                }
                found
            }
            None => Mask::NONE,
        }
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

/// A set of places, taken out in rising order while others are added further up.
struct Places(Vec<u64>);

impl Places {
    fn new(places: usize, full: bool) -> Self {
        let mut words = vec![if full { u64::MAX } else { 0 }; places.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| full && places % 64 != 0) {
            *last = (1 << (places % 64)) - 1;
        }
        Self(words)
    }

    fn add(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    /// The lowest place at or above one.
    fn next(&self, from: usize) -> Option<usize> {
        let first = self.0.get(from / 64)? & (u64::MAX << (from % 64));
        let rest = self.0.iter().copied().enumerate().skip(from / 64 + 1);
        let mut words = std::iter::once((from / 64, first)).chain(rest);
        words.find(|(_, word)| *word != 0).map(|(at, word)| at * 64 + word.trailing_zeros() as usize)
    }
}

/// For each segment in order: a hash of all that its answer follows from but for values and the day. Those of the
/// segments that it asks about are in it.
fn fingerprints(rules: &RuleSet) -> Vec<u64> {
    let mut known: Vec<u64> = Vec::new();
    for segment in rules.segments.order() {
        let mut text = segment.text.as_bytes().to_vec();
        for attribute in segment.reads() {
            let kind = rules.attribute_type(attribute).map_or("none", |kind| kind.as_str());
            text.extend_from_slice(format!("\0{attribute}:{kind}").as_bytes());
        }
        for asked in segment.depends_on() {
            let asked = rules.segments.place(asked).and_then(|place| known.get(place)).copied();
            text.extend_from_slice(&asked.unwrap_or_default().to_le_bytes());
        }
        known.push(xxhash_rust::xxh3::xxh3_64(&text));
    }
    known
}

fn fingerprints_by_id(rules: &RuleSet) -> BTreeMap<SegmentId, u64> {
    rules.segments.order().iter().map(|segment| segment.id.clone()).zip(fingerprints(rules)).collect()
}

/// Does each of `count` pieces of work, on as many threads as there are processors; the results in order.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    progress: &Progress,
    work: impl Fn(usize) -> Option<T> + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    progress.total.store(count, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let run = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return mine;
                }
                mine.extend(work(at).map(|result| (at, result)));
                progress.done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_out_in_rising_order() {
        let mut places = Places::new(130, false);
        [129, 3, 64, 63].into_iter().for_each(|place| places.add(place));
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(place) = places.next(from) {
            found.push(place);
            if place == 63 {
                places.add(100);
            }
            from = place + 1;
        }
        assert_eq!(found, [3, 63, 64, 100, 129]);
        assert_eq!(Places::new(65, true).next(64), Some(64));
        assert_eq!(Places::new(65, true).next(65), None);
        assert_eq!(Places::new(0, true).next(0), None);
    }
}
