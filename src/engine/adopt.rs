//! Making new rules live, and a new day: computed beside what is live, then exchanged in one commit.
//!
//! ```text
//! watch written rows ─► compute over a snapshot ─► judge again what was written meanwhile ─► exchange
//! ```
//! The computing runs on the asking thread and its helpers; the writer only judges the last few rows and exchanges. So
//! readers see the old rules with their memberships, then the new ones with theirs, and nothing in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::IDS;
use super::column::ROWS;
use super::live::Live;
use super::mask::Mask;
use super::parallel::Progress;
use super::plan::Plan;
use super::snapshot::{Snapshot, SystemData};
use super::state::Moved;
use super::tell::MAX_TOLD;
use super::write::WriteError;
use super::writer::{Answer, Task};
use super::{Engine, SystemRules};
use crate::model::{Date, SystemId};
use crate::store::{Cause, RowNo, Table};

/// Rows written meanwhile below which the writer judges them itself.
const FEW: usize = 2_000;
/// How often the rows written meanwhile are judged beside the writer, at most: they may come faster than they are judged.
const ROUNDS: usize = 6;

/// What is to become live.
#[derive(Debug)]
pub(crate) struct Adoption {
    pub(crate) lives: Vec<NewLive>,
    pub(crate) gone: Vec<SystemId>,
    /// Written after the lives were computed.
    pub(crate) written: Vec<(SystemId, RowNo)>,
}

/// A system's new memberships.
#[derive(Debug)]
pub(crate) struct NewLive {
    id: SystemId,
    live: Live,
    /// What the memberships that were live last were for, as it was kept.
    last: Option<Vec<u8>>,
}

/// What memberships are for; kept, so that a start can tell whether moves were missed.
#[derive(Debug, Serialize, Deserialize)]
struct LastLive<'a> {
    revision: &'a str,
    today: Date,
}

impl NewLive {
    fn key(id: &SystemId) -> Vec<u8> {
        format!("live/{id}").into_bytes()
    }
}

impl Engine {
    /// Makes these rules live, and no others: every system's memberships are right by them when this returns. What is
    /// the same for the same day is kept. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]; the rules before stay live then.
    pub fn adopt(&self, wanted: &SystemRules) -> Result<(), WriteError> {
        let _one_at_a_time = self.0.adopting.lock();
        self.renew(wanted)
    }

    /// Where a new day has begun in a system, makes its memberships right by it. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]; the memberships stay as they are then, and readers compute today's meanwhile.
    pub(super) fn roll_over(&self) -> Result<(), WriteError> {
        let now = self.0.clock.now();
        if self.snapshot().live.values().all(|live| live.is_for(now)) {
            self.0.midnight.is_over();
            return Ok(());
        }
        let _one_at_a_time = self.0.adopting.lock();
        let live = &self.snapshot().live;
        self.renew(&live.iter().map(|(id, live)| (id.clone(), Arc::clone(&live.rules))).collect())
    }

    fn renew(&self, wanted: &SystemRules) -> Result<(), WriteError> {
        let now = self.0.clock.now();
        let snapshot = self.snapshot();
        let is_live = |live: &Live, rules: &Arc<_>| Arc::ptr_eq(&live.rules, rules) && live.is_for(now);
        let stale: BTreeSet<&SystemId> = wanted
            .iter()
            .filter(|(id, rules)| !snapshot.live.get(*id).is_some_and(|live| is_live(live, rules)))
            .map(|(id, _)| id)
            .collect();
        let gone: Vec<SystemId> = snapshot.live.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
        if stale.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.ask_blocking(Task::Watch)?;
        let snapshot = self.snapshot();
        let mut lives = Vec::new();
        for (id, rules) in wanted.iter().filter(|(id, _)| stale.contains(id)) {
            let progress = Arc::new(Progress::default());
            self.0.shared.computing.lock().insert(id.clone(), Arc::clone(&progress));
            let old = snapshot.live.get(id).map(Arc::as_ref);
            let live = Live::renewed(old, data_of(&snapshot, id), rules, now, &progress);
            let last = self.0.store.record(Table::Server, &NewLive::key(id)).unwrap_or_default();
            lives.push(NewLive { id: id.clone(), live, last });
        }
        let written = self.catch_up(&mut lives);
        let adopted = written.and_then(|written| self.ask_blocking(Task::Adopt(Adoption { lives, gone, written })));
        self.0.shared.computing.lock().clear();
        adopted.map(|_| ())
    }

    /// Judges what was written meanwhile, until little is left for the writer; that is given.
    fn catch_up(&self, lives: &mut [NewLive]) -> Result<Vec<(SystemId, RowNo)>, WriteError> {
        for round in 1.. {
            let Answer::Rows(written) = self.ask_blocking(Task::Watched)? else { break };
            if written.len() <= FEW || round == ROUNDS {
                return Ok(written);
            }
            let snapshot = self.snapshot();
            for NewLive { id, live, .. } in lives.iter_mut() {
                let written = written.iter().filter(|(system, _)| system == id).map(|(_, row)| *row);
                judge_rows(live, data_of(&snapshot, id), written);
            }
        }
        Ok(Vec::new())
    }

    /// How far computing new memberships has come, by system: chunks done, of how many.
    #[must_use]
    pub fn computing(&self) -> BTreeMap<SystemId, (usize, usize)> {
        use std::sync::atomic::Ordering::Relaxed;
        let computing = self.0.shared.computing.lock();
        let far = |progress: &Progress| (progress.done.load(Relaxed), progress.total.load(Relaxed));
        computing.iter().map(|(id, progress)| (id.clone(), far(progress))).collect()
    }
}

/// A system's end users; none where nothing was ever stored.
pub(crate) fn data_of<'a>(snapshot: &'a Snapshot, id: &SystemId) -> &'a SystemData {
    static NONE: std::sync::LazyLock<SystemData> = std::sync::LazyLock::new(SystemData::default);
    snapshot.systems.get(id).map_or(&NONE, Arc::as_ref)
}

/// Judges rows by every segment, each once.
fn judge_rows(live: &mut Live, data: &SystemData, rows: impl Iterator<Item = RowNo>) {
    for row in rows.collect::<BTreeSet<_>>() {
        if data.cell(row, IDS).is_some() {
            live.judge_row(data, row, None);
        } else {
            live.forget_row(row);
        }
    }
}

impl Plan<'_> {
    /// Exchanges what is live, and notes who entered and left segments by it.
    pub(super) fn adopt(&mut self, adoption: Adoption) {
        let mut written = adoption.written;
        written.extend(self.state.watched.take().unwrap_or_default());
        for NewLive { id, mut live, last } in adoption.lives {
            let snapshot = &mut self.state.snapshot;
            let rows = written.iter().filter(|(system, _)| *system == id).map(|(_, row)| *row);
            judge_rows(&mut live, data_of(snapshot, &id), rows);
            let live = Arc::new(live);
            let old = snapshot.live.insert(id.clone(), Arc::clone(&live));
            let now = crate::store::encode(&LastLive { revision: &live.rules.revision, today: live.today }).ok();
            match old {
                Some(old) => self.tell_difference(&id, &old, &live),
                None if last.is_some() && last != now => self.tell_what_was_missed(&id),
                None => {}
            }
            if last != now {
                self.record((Table::Server, NewLive::key(&id), now));
            }
        }
        for id in adoption.gone {
            self.state.snapshot.live.remove(&id);
        }
    }

    fn tell_difference(&mut self, id: &SystemId, old_live: &Live, new: &Live) {
        let cause = Arc::new(if Arc::ptr_eq(&old_live.rules, &new.rules) {
            Cause::Day(Arc::from(new.today.to_string()))
        } else {
            Cause::Rules(Arc::from(new.rules.revision.as_str()))
        });
        let Some(data) = self.state.snapshot.systems.get(id).cloned() else { return };
        let places: Vec<_> = new
            .rules
            .segments
            .order()
            .iter()
            .enumerate()
            .map(|(place, segment)| (place, old_live.rules.segments.place(&segment.id), segment.id.shared()))
            .collect();
        let differs = |no, place, old: Option<usize>| {
            let before = old.map_or(Mask::NONE, |place| old_live.members.mask(no, place));
            new.members.mask(no, place).xor(&before).count()
        };
        let chunks = 0..data.chunks.len();
        let moves =
            chunks.clone().map(|no| places.iter().map(|(place, old, _)| differs(no, *place, *old)).sum::<u64>());
        let moves = moves.sum();
        if moves > MAX_TOLD {
            return self.leave_gap(data.no, moves);
        }
        for no in chunks {
            let mut moved: BTreeMap<usize, Moved> = BTreeMap::new();
            for (place, old_place, segment) in &places {
                let after = new.members.mask(no, *place);
                let before = old_place.map_or(Mask::NONE, |place| old_live.members.mask(no, place));
                for at in after.without(&before).rows() {
                    moved.entry(at).or_default().entered.push(Arc::clone(segment));
                }
                for at in before.without(&after).rows() {
                    moved.entry(at).or_default().left.push(Arc::clone(segment));
                }
            }
            for (at, moved) in moved {
                self.tell(data.no, data.id((no * ROWS + at) as RowNo), moved, &cause);
            }
        }
    }

    /// After a start: what the time without a server moved is not known, so followers must read anew.
    fn tell_what_was_missed(&mut self, id: &SystemId) {
        if let Some(no) = self.state.system(id).map(|data| data.no) {
            self.leave_gap(no, 1);
        }
    }
}
