//! Judging what a commit has written, and noting what followers are told of it.
//!
//! The half of a [`Plan`] that knows of segments. Invariant: moves are numbered without a gap, or a gap is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalogue::Spec;
use super::column::ROWS;
use super::judge::Before;
use super::mask::Mask;
use super::members::Shift;
use super::plan::{Plan, Target};
use super::snapshot::locate;
use super::state::Moved;
use crate::model::SystemId;
use crate::store::{Cause, ColumnNo, Op, RowNo, SystemNo};

/// Most moves that one commit tells of. A larger change leaves a gap, which followers are told of: they read anew who
/// is in a segment.
pub(super) const MAX_TOLD: u64 = 32_768;
/// Rows of a chunk from which judging them together is cheaper than one by one.
const DENSE: u64 = if cfg!(test) { 2 } else { 32 };

impl Plan<'_> {
    /// Notes what followers are told: that somebody entered and left segments.
    pub(super) fn tell(&mut self, system: SystemNo, id: &str, moved: Moved, cause: &Arc<Cause>) {
        let (next, told) = self.number(system);
        let first = *next;
        let count = moved.len() as u64;
        (*next, *told) = (first + count, *told + count);
        if count == 0 || *told > MAX_TOLD {
            return;
        }
        let goes_on = matches!(self.ops.last(), Some(Op::Moves { system: no, cause: last, .. })
            if *no == system && Arc::ptr_eq(last, cause));
        if !goes_on {
            let cause = Arc::clone(cause);
            self.ops.push(Op::Moves { system, first, segments: Vec::new(), moved: Vec::new(), cause });
        }
        if let Some(Op::Moves { segments, moved: all, .. }) = self.ops.last_mut() {
            let mut places = |ids: Vec<Arc<str>>| ids.into_iter().filter_map(|id| place_of(segments, id)).collect();
            all.push((Arc::from(id), places(moved.entered), places(moved.left)));
        }
    }

    /// Notes that followers can't be told what came before now.
    pub(super) fn leave_gap(&mut self, system: SystemNo, moves: u64) {
        let (next, told) = self.number(system);
        (*next, *told) = (*next + moves, MAX_TOLD + 1);
    }

    pub(super) fn number(&mut self, system: SystemNo) -> &mut (u64, u64) {
        let events = self.events;
        self.numbers.entry(system).or_insert_with(|| (events.of(system).next(), 0))
    }

    /// Judges a row that was just written, and notes what that changed.
    pub(super) fn judge(&mut self, target: &Target, row: RowNo, columns: &[ColumnNo], before: Option<&Before>) {
        let moved = self.state.judge(&target.system, row, before);
        if moved.len() > 0 {
            let cause = self.cause(target, columns);
            self.tell_of_row(&target.system, row, moved, &cause);
        }
    }

    /// Judges rows that were written together, chunk by chunk, and notes what that changed. The cause of all is the columns
    /// that were changed in any.
    pub(super) fn judge_written(&mut self, no: SystemNo, target: &Target, rows: &[RowNo], columns: &[ColumnNo]) {
        let system = &target.system;
        let cause = self.cause(target, columns);
        let mut written: BTreeMap<usize, Mask> = BTreeMap::new();
        for (chunk, at) in rows.iter().map(|row| locate(*row)) {
            written.entry(chunk).or_insert(Mask::NONE).set(at);
        }
        let mut changes = Vec::new();
        for (chunk, rows) in written {
            if rows.count() >= DENSE {
                changes.push((chunk, self.state.judge_chunk(system, chunk, &rows)));
                continue;
            }
            for row in rows.rows().map(|at| (chunk * ROWS + at) as RowNo) {
                let moved = self.state.judge(system, row, None);
                self.tell_of_row(system, row, moved, &cause);
            }
        }
        self.tell_of_chunks(no, system, changes, cause);
    }

    /// Notes what judging whole chunks has changed.
    fn tell_of_chunks(
        &mut self,
        no: SystemNo,
        system: &SystemId,
        changes: Vec<(usize, Vec<Shift>)>,
        cause: Arc<Cause>,
    ) {
        let moves = changes.iter().flat_map(|(_, changes)| changes).map(|shift| shift.changed.count()).sum();
        let (next, told) = self.number(no);
        let first = *next;
        if *told + moves > MAX_TOLD {
            return self.leave_gap(no, moves);
        }
        (*next, *told) = (first + moves, *told + moves);
        let (Some(data), Some(live)) = (self.state.system(system), self.state.snapshot.live.get(system)) else {
            return;
        };
        let segments = live.rules.segments.order().iter().map(|segment| segment.id.shared()).collect();
        let mut moved = Vec::new();
        for (chunk, changes) in changes {
            let mut rows: BTreeMap<usize, (Vec<u16>, Vec<u16>)> = BTreeMap::new();
            for Shift { place, changed, now } in &changes {
                let Ok(place) = u16::try_from(*place) else { continue };
                for at in changed.rows() {
                    let (entered, left) = rows.entry(at).or_default();
                    if now.get(at) { entered.push(place) } else { left.push(place) }
                }
            }
            let told = rows
                .into_iter()
                .map(|(at, (entered, left))| (Arc::from(data.id((chunk * ROWS + at) as RowNo)), entered, left));
            moved.extend(told);
        }
        if !moved.is_empty() {
            self.ops.push(Op::Moves { system: no, first, segments, moved, cause });
        }
    }

    fn tell_of_row(&mut self, system: &SystemId, row: RowNo, moved: Moved, cause: &Arc<Cause>) {
        if moved.len() > 0
            && let Some((no, id)) = self.state.system(system).map(|data| (data.no, data.id(row).to_owned()))
        {
            self.tell(no, &id, moved, cause);
        }
    }

    /// That an integration changed these columns.
    fn cause(&self, target: &Target, columns: &[ColumnNo]) -> Arc<Cause> {
        let catalogue = self.state.system(&target.system).map(|data| &data.catalogue);
        let mut attributes: Vec<Arc<str>> = columns
            .iter()
            .filter_map(|column| match catalogue?.spec(*column)? {
                Spec::Attribute(id, _) if id.integration == target.integration => Some(id.name.shared()),
                _ => None,
            })
            .collect();
        attributes.dedup();
        Arc::new(Cause::Update { integration: target.integration.shared(), attributes })
    }
}

/// The place of a segment in a list that grows with it.
fn place_of(segments: &mut Vec<Arc<str>>, id: Arc<str>) -> Option<u16> {
    let place = segments.iter().position(|known| *known == id).unwrap_or_else(|| {
        segments.push(id);
        segments.len() - 1
    });
    u16::try_from(place).ok()
}
