//! Who entered and left segments lately, for those who follow: the last [`KEPT`] moves of each system, numbered.
//!
//! Durable with the commit that caused them: the journal has them ([`Op::Moves`]), and before each checkpoint those that
//! the journal is about to drop are written as records, in blocks. Both are read at the start; a move that is there
//! twice counts once, by its number. Numbers rise and never repeat; where some are missing, those moves can't be told,
//! and a follower who was there is told so. Knows nothing of rules or values.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Engine;
use crate::model::{SystemId, Timestamp};
use crate::store::{Cause, Op, Store, StoreError, SystemNo, Table, decode, encode};

/// Moves kept of a system.
const KEPT: usize = 65_536;
/// Moves in one record.
const BLOCK: u64 = 2_048;
/// Records of a system: enough for those kept and the one that is being filled.
const BLOCKS: u64 = KEPT as u64 / BLOCK + 2;

/// One end user entered or left one segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in its system.
    #[serde(rename = "n")]
    pub number: u64,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The end user.
    #[serde(rename = "i")]
    pub id: Arc<str>,
    /// The segment.
    #[serde(rename = "s")]
    pub segment: Arc<str>,
    /// Entered, or left.
    #[serde(rename = "e")]
    pub entered: bool,
    /// Why.
    #[serde(rename = "c")]
    pub cause: Arc<Cause>,
}

/// What follows on a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// Some in between can't be told any more.
    pub gap: bool,
    /// Those that can, in order.
    pub events: Vec<Event>,
    /// The number to go on from.
    pub next: u64,
}

/// The moves of every system.
#[derive(Debug, Default)]
pub(crate) struct EventLog(RwLock<BTreeMap<SystemNo, Arc<SystemEvents>>>);

/// The moves of one system.
#[derive(Debug)]
pub(crate) struct SystemEvents {
    ring: Mutex<Ring>,
    /// The number of the next move; changes wake who follows.
    next: watch::Sender<u64>,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Event>,
    next: u64,
    /// Moves up to here are gone: who asks for them is told of a gap.
    gone: u64,
    /// End users who are gone, and the number up to which their moves are told no more.
    forgotten: HashMap<Arc<str>, u64>,
    /// The lowest number whose block has not been written since it changed.
    unwritten: u64,
    /// Something was taken out, so that every record has to be written anew.
    rewrite: bool,
}

impl Default for SystemEvents {
    fn default() -> Self {
        let (events, forgotten) = (VecDeque::new(), HashMap::new());
        let ring = Ring { events, next: 1, gone: 0, forgotten, unwritten: 1, rewrite: false };
        Self { ring: Mutex::new(ring), next: watch::Sender::new(1) }
    }
}

impl EventLog {
    /// The moves of a system.
    pub(crate) fn of(&self, system: SystemNo) -> Arc<SystemEvents> {
        if let Some(events) = self.0.read().get(&system) {
            return Arc::clone(events);
        }
        Arc::clone(self.0.write().entry(system).or_default())
    }

    /// Takes what a durable commit says of moves; what is known already changes nothing.
    pub(crate) fn take(&self, ops: &[Op], at: Timestamp) {
        for op in ops {
            match op {
                Op::Moves { system, first, segments, moved, cause } => {
                    let moves = moved.iter().flat_map(|(id, entered, left)| {
                        let entered = entered.iter().map(move |to| (id, to, true));
                        entered.chain(left.iter().map(move |from| (id, from, false)))
                    });
                    let events = moves.zip(*first..).filter_map(|((id, segment, entered), number)| {
                        let (id, segment) = (Arc::clone(id), Arc::clone(segments.get(usize::from(*segment))?));
                        Some(Event { number, at, id, segment, entered, cause: Arc::clone(cause) })
                    });
                    self.of(*system).ring.lock().push(events);
                }
                Op::Forget { system, id, before } => self.of(*system).ring.lock().forget(id.clone(), *before),
                _ => {}
            }
        }
    }

    /// Wakes those who follow.
    pub(crate) fn announce(&self) {
        for events in self.0.read().values() {
            let next = events.ring.lock().next;
            events.next.send_if_modified(|known| std::mem::replace(known, next) != next);
        }
    }

    /// The records that hold what has changed since they were last asked for.
    pub(crate) fn records(&self) -> Vec<super::RecordWrite> {
        let systems: Vec<(SystemNo, Arc<SystemEvents>)> =
            self.0.read().iter().map(|(no, events)| (*no, Arc::clone(events))).collect();
        systems.into_iter().flat_map(|(no, events)| events.ring.lock().records(no)).collect()
    }

    /// Reads the records that were kept.
    pub(crate) fn load(&self, store: &Store) -> Result<(), StoreError> {
        let mut found: BTreeMap<SystemNo, Vec<Event>> = BTreeMap::new();
        for (key, value) in store.records(Table::Events)? {
            let system = key.first_chunk::<4>().map(|bytes| SystemNo::from_be_bytes(*bytes));
            found.entry(system.unwrap_or_default()).or_default().extend(decode::<Vec<Event>>(&value)?);
        }
        for (system, mut events) in found {
            events.sort_by_key(|event| event.number);
            let events_of = self.of(system);
            let mut ring = events_of.ring.lock();
            ring.gone = events.first().map_or(0, |first| first.number - 1);
            ring.next = ring.gone + 1;
            ring.push(events.into_iter());
            ring.unwritten = ring.next;
        }
        Ok(())
    }
}

impl Engine {
    /// The moves of a system that follow on a number (0: from the first that is kept), at most `limit`; none while
    /// nothing was ever stored in it.
    #[must_use]
    pub fn events_after(&self, system: &SystemId, number: u64, limit: usize) -> Following {
        let none = Following { gap: false, events: Vec::new(), next: number };
        self.events_of(system).map_or(none, |events| events.ring.lock().after(number, limit))
    }

    /// The number of the last move of a system, which changes with each; `None` while nothing was ever stored in it.
    #[must_use]
    pub fn follow_events(&self, system: &SystemId) -> Option<watch::Receiver<u64>> {
        self.events_of(system).map(|events| events.next.subscribe())
    }

    fn events_of(&self, system: &SystemId) -> Option<Arc<SystemEvents>> {
        let no = self.snapshot().systems.get(system)?.no;
        Some(self.0.shared.events.of(no))
    }
}

impl SystemEvents {
    /// The number that the next move gets.
    pub(crate) fn next(&self) -> u64 {
        self.ring.lock().next
    }
}

impl Ring {
    fn push(&mut self, events: impl Iterator<Item = Event>) {
        for event in events {
            if event.number < self.next {
                continue;
            }
            if event.number > self.next {
                // Some between were never told; all before are of no use to who follows.
                self.drop_before(event.number);
            }
            self.next = event.number + 1;
            self.events.push_back(event);
            if self.events.len() > KEPT {
                self.gone = self.events.pop_front().map_or(self.gone, |event| event.number);
            }
        }
    }

    fn forget(&mut self, id: Option<Arc<str>>, before: u64) {
        match id {
            Some(id) => {
                self.forgotten.insert(id, before);
            }
            None => self.drop_before(before),
        }
    }

    /// Tells nothing of what came before a number.
    fn drop_before(&mut self, number: u64) {
        self.events.retain(|event| event.number >= number);
        self.gone = self.gone.max(number - 1);
        self.next = self.next.max(number);
        self.rewrite = true;
    }

    fn is_told(&self, event: &Event) -> bool {
        self.forgotten.get(&event.id).is_none_or(|before| event.number >= *before)
    }

    fn after(&self, number: u64, limit: usize) -> Following {
        let gap = number < self.gone && number != 0 || number >= self.next;
        let from = if number >= self.next { self.next - 1 } else { number.max(self.gone) };
        let start = self.events.partition_point(|event| event.number <= from);
        let mut next = from.max(self.next - 1);
        let mut events = Vec::new();
        for event in self.events.iter().skip(start) {
            if events.len() == limit {
                next = events.last().map_or(next, |last: &Event| last.number);
                break;
            }
            if self.is_told(event) {
                events.push(event.clone());
            }
        }
        Following { gap, events, next }
    }

    fn records(&mut self, system: SystemNo) -> Vec<super::RecordWrite> {
        if !self.forgotten.is_empty() {
            let told = |event: &Event| self.is_told(event);
            self.events = self.events.iter().filter(|event| told(event)).cloned().collect();
            self.forgotten.clear();
            self.rewrite = true;
        }
        if self.unwritten == self.next && !self.rewrite {
            return Vec::new();
        }
        let last = self.next / BLOCK;
        let first = if self.rewrite { last.saturating_sub(BLOCKS - 1) } else { self.unwritten / BLOCK };
        (self.unwritten, self.rewrite) = (self.next, false);
        (first..=last)
            .filter_map(|block| {
                let from = self.events.partition_point(|event| event.number < block * BLOCK);
                let to = self.events.partition_point(|event| event.number < (block + 1) * BLOCK);
                let events: Vec<&Event> = self.events.range(from..to).collect();
                let key = [&system.to_be_bytes()[..], &(block % BLOCKS).to_be_bytes()[..]].concat();
                let value = if events.is_empty() { None } else { Some(encode(&events).ok()?) };
                Some((Table::Events, key, value))
            })
            .collect()
    }
}
