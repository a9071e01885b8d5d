//! What has to be done by the clock: a new day's memberships, the hourly counts, and a look whether bits and scripts
//! still agree.
//!
//! One thread, which holds the engine weakly and ends with it. Invariant: a disagreement is counted in
//! `rollcall_disagreements_total` and logged with the segment, never with the end user.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::adopt::data_of;
use super::catalogue::IDS;
use super::column::ROWS;
use super::snapshot::Snapshot;
use super::{Engine, Inner, RecordWrite};
use crate::model::{SegmentId, SystemId, Timestamp};
use crate::store::{RowNo, StoreError, Table};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);
/// Looks at the clock between two samples.
const SAMPLE_EVERY: u32 = 5;
/// End users of a sample, of each system.
const SAMPLE: u64 = 8;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Hours for which counts are kept.
const HOURS_KEPT: i64 = 90 * 24;

/// The counts of a system's segments in the hours of one day, as kept under system and day.
#[derive(Debug, Default, Serialize, Deserialize)]
struct DayRecord {
    /// By segment: the count at the beginning of each hour, hours since 1970 first.
    counts: BTreeMap<SegmentId, Vec<(i64, u64)>>,
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Keeper {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn stop(self) {
        drop(self.end);
        let _ = self.thread.join();
    }
}

/// Starts the thread.
pub(super) fn start(engine: &Engine) -> Result<Keeper, StoreError> {
    let (end, ended) = channel::<()>();
    let weak = Arc::downgrade(&engine.0);
    let thread = super::spawn("keeper", move || {
        let mut rounds = Rounds { engine: weak, hour: None, ticks: 0, seed: 0x9E37_79B9_7F4A_7C15 };
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            rounds.tick();
        }
    })?;
    Ok(Keeper { end, thread })
}

struct Rounds {
    engine: Weak<Inner>,
    hour: Option<i64>,
    ticks: u32,
    seed: u64,
}

impl Rounds {
    fn tick(&mut self) {
        let Some(engine) = self.engine.upgrade().map(Engine) else { return };
        if let Err(error) = engine.roll_over() {
            tracing::warn!(%error, "a new day's memberships could not be made live; they are computed at each question");
        }
        let hour = engine.0.clock.now().as_millis().div_euclid(HOUR);
        if self.hour != Some(hour) && !engine.snapshot().live.is_empty() {
            self.hour = Some(hour);
            keep_counts(&engine, hour);
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(SAMPLE_EVERY) {
            self.sample(&engine.snapshot(), engine.0.clock.now());
        }
    }

    /// Compares bits and scripts for a few end users of each system.
    fn sample(&mut self, snapshot: &Snapshot, now: Timestamp) {
        for (id, live) in snapshot.live.iter().filter(|(_, live)| live.is_for(now)) {
            let data = data_of(snapshot, id);
            let rows = (data.chunks.len() * ROWS) as u64;
            let picks: Vec<RowNo> =
                (0..SAMPLE).filter_map(|_| RowNo::try_from(self.random().checked_rem(rows)?).ok()).collect();
            for row in picks.into_iter().filter(|row| data.cell(*row, IDS).is_some()) {
                let scripts = live.judge_by_script(data, row);
                for (place, segment) in live.rules.segments.order().iter().enumerate() {
                    if scripts.get(place) != Some(&live.members.row(row).contains(place)) {
                        metrics::counter!("rollcall_disagreements_total", "system" => id.to_string()).increment(1);
                        tracing::error!(system = %id, segment = %segment.id, "index and script disagree: please report this rule");
                    }
                }
            }
        }
    }

    /// xorshift: which end users are looked at need not be unpredictable.
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }
}

fn day_key(system: &SystemId, day: i64) -> Vec<u8> {
    format!("{system}/{day:08}").into_bytes()
}

/// Keeps every segment's count of this hour, and drops what is too old.
fn keep_counts(engine: &Engine, hour: i64) {
    let day = hour.div_euclid(24);
    let snapshot = engine.snapshot();
    let mut writes: Vec<RecordWrite> = Vec::new();
    for (id, live) in &snapshot.live {
        let key = day_key(id, day);
        let kept = engine.store().record(Table::History, &key).ok().flatten();
        let mut record: DayRecord = kept.and_then(|value| crate::store::decode(&value).ok()).unwrap_or_default();
        for (place, segment) in live.rules.segments.order().iter().enumerate() {
            let counts = record.counts.entry(segment.id.clone()).or_default();
            if counts.last().is_none_or(|(last, _)| *last < hour) {
                counts.push((hour, live.members.count(place)));
            }
        }
        writes.extend(crate::store::encode(&record).ok().map(|value| (Table::History, key, Some(value))));
        writes.push((Table::History, day_key(id, (hour - HOURS_KEPT).div_euclid(24) - 1), None));
    }
    if let Err(error) = engine.write_records_blocking(writes) {
        tracing::warn!(%error, "the hourly counts could not be kept");
    }
}

impl Engine {
    /// The counts of all of a system's segments at the beginning of each hour of the last days, as far as a server ran.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn histories(
        &self,
        system: &SystemId,
        days: i64,
    ) -> Result<BTreeMap<SegmentId, Vec<(Timestamp, u64)>>, StoreError> {
        let now = self.0.clock.now().as_millis().div_euclid(HOUR);
        let mut histories: BTreeMap<SegmentId, Vec<(Timestamp, u64)>> = BTreeMap::new();
        for day in now.div_euclid(24) - days..=now.div_euclid(24) {
            let Some(value) = self.store().record(Table::History, &day_key(system, day))? else { continue };
            let record: DayRecord = crate::store::decode(&value)?;
            for (segment, counts) in record.counts {
                let counts = counts.into_iter().map(|(hour, count)| (Timestamp::from_millis(hour * HOUR), count));
                histories.entry(segment).or_default().extend(counts);
            }
        }
        Ok(histories)
    }

    /// A segment's count at the beginning of each hour of the last 90 days, as far as a server ran.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn history(&self, system: &SystemId, segment: &SegmentId) -> Result<Vec<(Timestamp, u64)>, StoreError> {
        let now = self.0.clock.now().as_millis().div_euclid(HOUR);
        let mut counts = Vec::new();
        for day in (now - HOURS_KEPT).div_euclid(24)..=now.div_euclid(24) {
            let Some(value) = self.store().record(Table::History, &day_key(system, day))? else { continue };
            let mut record: DayRecord = crate::store::decode(&value)?;
            counts.extend(record.counts.remove(segment).unwrap_or_default());
        }
        counts.retain(|(hour, _)| (now - HOURS_KEPT..=now).contains(hour));
        Ok(counts.into_iter().map(|(hour, count)| (Timestamp::from_millis(hour * HOUR), count)).collect())
    }
}
