//! How long rules that run as scripts take, over a sample of the end users that are there.

use std::time::Duration;

use super::Engine;
use super::bound::{Around, Bound};
use super::column::ROWS;
use super::judge::bind;
use super::live::Visible;
use super::row::Row;
use super::snapshot::{EndUser, locate};
use crate::ruleset::RuleSet;
use crate::segments::Segment;

/// End users over whom a script is timed.
const TIMED_ROWS: usize = 200;
/// For how long it is timed at most.
const TIMED_LONGEST: Duration = Duration::from_millis(100);

impl Engine {
    /// How much processor time a segment that runs as a script takes for an end user on average, by a sample of those
    /// who are there; `None` when nobody is.
    #[must_use]
    pub fn script_time(&self, rules: &RuleSet, segment: &Segment) -> Option<Duration> {
        let snapshot = self.snapshot();
        let data = snapshot.systems.get(&rules.system)?;
        let place = rules.segments.place(&segment.id)?;
        let guard = segment.guard().map_or(Bound::Constant(true), |guard| bind(guard, rules, &data.catalogue));
        let stride = (data.chunks.len() * ROWS / TIMED_ROWS).max(1);
        let rows = super::state::used_rows(data).step_by(stride).take(TIMED_ROWS);
        let today = rules.today(self.0.clock.now());
        let (from, mut timed) = (processor_time(), 0);
        for row in rows {
            let (chunk, at) = locate(row);
            let around = Around { today, members: &|_| false };
            if data.chunks.get(chunk).is_some_and(|chunk| guard.holds(&mut Row::new(chunk, at), &around)) {
                let facts = Visible { end_user: Some(EndUser::at(data, row)), rules };
                let _ = rules.segments.run_script(place, &facts, &[], today);
            }
            timed += 1;
            if processor_time() - from > TIMED_LONGEST {
                break;
            }
        }
        (processor_time() - from).checked_div(timed)
    }
}

/// Processor time that the current thread has used: a machine that is busy otherwise makes no rule slow.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
