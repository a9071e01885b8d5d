//! The time between midnight and the moment when the new day's memberships are live: who asks meanwhile is answered by
//! memberships that are computed for the question.
//!
//! What it takes is what a new day takes anyway (`renewal`): only those are judged for whom a date has come within, or
//! gone out of, reach. It is kept for whoever asks at the same commit, and forgotten when the day is live. Invariant: an
//! answer given after midnight is never yesterday's.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::adopt::data_of;
use super::live::Live;
use super::parallel::Progress;
use super::snapshot::Snapshot;
use crate::model::{SystemId, Timestamp};

/// Memberships of days that are not live yet, each with the commit that they are right for.
#[derive(Debug, Default)]
pub(super) struct Midnight(Mutex<BTreeMap<SystemId, (u64, Arc<Live>)>>);

impl Midnight {
    /// Who is in which segment of a system at a moment beyond the day for which that is live. Who asks while another
    /// computes the same waits for it.
    pub(super) fn pass(&self, live: &Live, snapshot: &Snapshot, system: &SystemId, now: Timestamp) -> Arc<Live> {
        let mut passed = self.0.lock();
        let is_right = |commit: u64, known: &Live| {
            commit == snapshot.commit && Arc::ptr_eq(&known.rules, &live.rules) && known.is_for(now)
        };
        match passed.get(system) {
            Some((commit, known)) if is_right(*commit, known) => Arc::clone(known),
            _ => {
                let data = data_of(snapshot, system);
                let fresh = Arc::new(Live::renewed(Some(live), data, &live.rules, now, &Progress::default()));
                passed.insert(system.clone(), (snapshot.commit, Arc::clone(&fresh)));
                fresh
            }
        }
    }

    /// Forgets what was computed: every system's day is live.
    pub(super) fn is_over(&self) {
        self.0.lock().clear();
    }
}
