//! The evaluation that the current thread is in: what day it is, which segments are already judged, and how much
//! the script has used of its time, operations and stack.
//!
//! The engine is shared by all threads and its functions see no caller, so what they need of one stands here, per
//! thread. Knows nothing of rules or of Rhai. Invariant: once a limit is hit, every later operation of that
//! evaluation fails too, so that no `catch` and no native function that drops errors can go on behind it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::{OPERATIONS, STACK_BYTES};
use crate::model::{Date, SegmentId};

/// How often the clock is read: every that many operations.
const CLOCK_EVERY: u64 = 8;
/// After how many times its budget an evaluation ends although it used no processor: Rhai sleeps when a variable is
/// locked, and a script can make it so again and again.
const PATIENCE: u32 = 5;

/// A limit that an evaluation hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Operations,
    Time,
    /// Time went by in which the script got no processor: it, or the whole machine, was waiting.
    Waiting,
    Stack,
}

/// What `in_segment` answers.
#[derive(Clone)]
pub(super) enum Membership {
    /// The same for every segment: when a rule is tried alone.
    All(bool),
    /// The segments of a set by place, and which of them the end user is in so far.
    Known(Arc<BTreeMap<SegmentId, usize>>, Vec<bool>),
}

thread_local! {
    static OPERATIONS_DONE: Cell<u64> = const { Cell::new(0) };
    static STACK_BASE: Cell<usize> = const { Cell::new(0) };
    static HIT: Cell<Option<Limit>> = const { Cell::new(None) };
    static TIME: Cell<Option<Time>> = const { Cell::new(None) };
    static TODAY: Cell<Option<Date>> = const { Cell::new(None) };
    static MEMBERSHIP: RefCell<Membership> = const { RefCell::new(Membership::All(false)) };
}

/// The time that an evaluation has. A thread that waits for a processor uses none: when the clock on the wall says
/// that time is up, the same time again must pass on the thread's own clock, which is dearer to read.
#[derive(Clone, Copy)]
struct Time {
    budget: Duration,
    until: Instant,
    processor_until: Option<Duration>,
}

impl Time {
    /// The limit that is hit, if one is.
    fn up(mut self) -> Option<Limit> {
        if Instant::now() < self.until {
            return None;
        }
        let used = processor_time();
        if let Some(until) = self.processor_until {
            let waited = Instant::now() > self.until + self.budget * (PATIENCE - 1);
            return if used >= until { Some(Limit::Time) } else { waited.then_some(Limit::Waiting) };
        }
        self.processor_until = Some(used + self.budget);
        TIME.set(Some(self));
        None
    }
}

/// Processor time that the current thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sets the day and the membership for the evaluations that follow on this thread; ended when dropped.
pub(super) struct Session(());

impl Session {
    /// Begins the evaluations of one end user.
    pub(super) fn begin(today: Date, membership: Membership) -> Self {
        TODAY.set(Some(today));
        MEMBERSHIP.set(membership);
        Self(())
    }

    /// Begins one evaluation with its own limits.
    pub(super) fn start(&self, budget: Duration) {
        OPERATIONS_DONE.set(0);
        STACK_BASE.set(stack_position());
        HIT.set(None);
        TIME.set(Some(Time { budget, until: Instant::now() + budget, processor_until: None }));
    }

    /// The limit that the evaluation hit, also when the script went on to give a value.
    pub(super) fn hit(&self) -> Option<Limit> {
        if HIT.get().is_none() {
            HIT.set(TIME.get().filter(|time| time.processor_until.is_some()).and_then(Time::up));
        }
        HIT.get()
    }

    /// Notes whether the end user is in the segment at that place of the set.
    pub(super) fn set_member(&self, place: usize, member: bool) {
        MEMBERSHIP.with_borrow_mut(|membership| {
            if let Membership::Known(_, members) = membership
                && let Some(slot) = members.get_mut(place)
            {
                *slot = member;
            }
        });
    }

    /// Ends the session and gives what is known of the membership.
    pub(super) fn end(self) -> Vec<bool> {
        match MEMBERSHIP.replace(Membership::All(false)) {
            Membership::All(_) => Vec::new(),
            Membership::Known(_, members) => members,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        TODAY.set(None);
        MEMBERSHIP.set(Membership::All(false));
    }
}

/// The day that it is in the system's time zone; `None` outside of a session.
pub(super) fn today() -> Option<Date> {
    TODAY.get()
}

/// Whether the end user is in that segment, as far as the segments are judged.
pub(super) fn in_segment(id: &str) -> bool {
    MEMBERSHIP.with_borrow(|membership| match membership {
        Membership::All(member) => *member,
        Membership::Known(places, members) => {
            places.get(id).and_then(|place| members.get(*place)).copied().unwrap_or(false)
        }
    })
}

/// Counts one operation; the limit that is hit, if one is.
pub(super) fn tick() -> Option<Limit> {
    let hit = HIT.get();
    if hit.is_some() {
        return hit;
    }
    let done = OPERATIONS_DONE.get() + 1;
    OPERATIONS_DONE.set(done);
    let limit = if done > OPERATIONS {
        Some(Limit::Operations)
    } else if STACK_BASE.get().abs_diff(stack_position()) > STACK_BYTES {
        Some(Limit::Stack)
    } else if done.is_multiple_of(CLOCK_EVERY) {
        TIME.get().and_then(Time::up)
    } else {
        None
    };
    HIT.set(limit);
    limit
}

/// About where the top of the thread's stack is.
#[inline(never)]
fn stack_position() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}
