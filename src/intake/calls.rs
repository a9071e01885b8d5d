//! The call log: each integration's last update calls, refused ones with their errors, so that a person sees why a
//! webhook failed.
//!
//! Lives in memory; [`CallLog::snapshot_records`] and [`CallLog::restore`] carry it over a restart, and nothing on the
//! way of a call writes to disk. Invariants: at most [`KEPT`] calls an integration, at most [`MAX_ERRORS`] errors a call;
//! never a value that was sent, so errors are kept as place and code, and what they mean is looked up from the code.
//!
//! **Stored form.** An integration's log is a run of pages of at most some `PAGE_BYTES` (the store likes small
//! values), under the keys `<system>/<integration>/<page>`, the page number in four digits, oldest calls first. A page
//! is a version byte (1) and a JSON array of calls.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::model::{IntegrationId, SystemId, Timestamp};

/// Calls kept of each integration.
pub const KEPT: usize = 1000;
/// Errors kept of each call; `errors_total` tells how many there were.
pub const MAX_ERRORS: usize = 20;
/// Longest pointer kept, in characters: it is made of field names, which the caller chooses.
const MAX_POINTER: usize = 200;
/// Size that a page is filled up to, in bytes.
const PAGE_BYTES: usize = 3500;
/// The version of the stored form.
const VERSION: u8 = 1;

/// One update call that reached an integration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// When it was answered.
    pub at: Timestamp,
    /// The OAuth client that made it.
    pub client: String,
    /// The status that it was answered with.
    pub status: u16,
    /// Records in it, as far as it was read.
    pub records: Option<u64>,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// The request's id, as in the answer's `X-Request-Id`.
    pub request_id: String,
    /// Its first bad places.
    pub errors: Vec<CallError>,
    /// How many bad places it had.
    pub errors_total: u64,
}

/// One bad place of a refused call, without the value that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// A JSON pointer into the body; empty: the whole call.
    pub pointer: String,
    /// The error's stable code.
    pub code: String,
}

impl CallError {
    /// Notes a bad place.
    #[must_use]
    pub fn new(pointer: &str, code: &str) -> Self {
        let pointer = match pointer.char_indices().nth(MAX_POINTER) {
            Some((end, _)) => format!("{}…", pointer.get(..end).unwrap_or_default()),
            None => pointer.to_owned(),
        };
        Self { pointer, code: code.to_owned() }
    }

    /// What the code means and how to mend it; empty for a code that says all itself.
    #[must_use]
    pub fn detail(&self) -> &'static str {
        match self.code.as_str() {
            "shape" => "the call is not of the form {\"token\": \"…\", \"data\": [{…}, …]}, or has a key twice",
            "too_many_records" => "`data` has more records than one call may have",
            "null" => "null is not a value: leave the field out instead",
            "no_other_field" => "a record needs the user identifier and at least one other field",
            "identifier_missing" => "the user identifier is missing",
            "identifier_type" => "the user identifier must be a string or a number",
            "identifier" => "the user identifier must have 1 to 256 bytes and no control characters",
            "string_too_long" => "the text is longer than `limits.string_bytes` allows",
            "not_a_number" => "the text is no number: write a decimal such as -4.5 or 1e3",
            "number_not_finite" => "the number is not finite",
            "integer_too_large" => {
                "the integer is beyond ±2^53 and would be rounded; declare the attribute as a string"
            }
            "not_a_date" => "the text is no date: write it as YYYY-MM-DD, or as an RFC 3339 timestamp",
            "no_such_day" => "there is no such day in the calendar (years 0001 to 9999)",
            "wrong_type" => "a JSON value of this kind does not fit the attribute's type",
            "forbidden" => "the access token's client lacks the permission `end_users:write` in this system",
            "idempotency-key-reused" => "the Idempotency-Key came with another call before",
            "unavailable" => "the server was too busy, stopping, or its store had failed: send the call again",
            "disk-full" => "the server has too little disk left",
            _ => "",
        }
    }
}

/// A stretch of an integration's calls, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct CallPage {
    /// The calls.
    pub calls: Vec<CallRecord>,
    /// Where to go on; `None` at the end.
    pub next_cursor: Option<u64>,
}

type Key = (SystemId, IntegrationId);

/// The last calls of every integration.
#[derive(Default)]
pub struct CallLog {
    rings: RwLock<HashMap<Key, Arc<Mutex<Ring>>>>,
    /// What was stored of late, by system.
    hours: Mutex<HashMap<SystemId, Hour>>,
}

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// Records that were stored, by the minute, for an hour.
#[derive(Default)]
struct Hour(VecDeque<(i64, u64)>);

impl Hour {
    fn add(&mut self, at: Timestamp, records: u64) {
        let minute = at.as_millis().div_euclid(MINUTE_MS);
        match self.0.back_mut() {
            Some((last, count)) if *last >= minute => *count += records,
            _ => self.0.push_back((minute, records)),
        }
        self.0.retain(|(then, _)| minute - then < 60);
    }

    fn count(&self, now: Timestamp) -> u64 {
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        self.0.iter().filter(|(then, _)| minute - then < 60).map(|(_, count)| count).sum()
    }
}

/// One integration's calls, oldest first. A call's number is its cursor, so pages stay right while calls come and go.
#[derive(Default)]
struct Ring {
    calls: VecDeque<CallRecord>,
    /// The number of the next call.
    next: u64,
    /// Whether there is something that the last snapshot lacks.
    changed: bool,
    /// How many pages the store holds.
    stored_pages: usize,
}

impl Ring {
    fn push(&mut self, call: CallRecord) {
        if self.calls.len() == KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
        self.next += 1;
    }
}

impl CallLog {
    /// Notes a call; the oldest one makes room.
    pub fn record(&self, system: &SystemId, integration: &IntegrationId, mut call: CallRecord) {
        call.errors.truncate(MAX_ERRORS);
        if call.status == 200 {
            self.hours.lock().entry(system.clone()).or_default().add(call.at, call.records.unwrap_or(0));
        }
        let ring = self.ring((system.clone(), integration.clone()));
        let mut ring = ring.lock();
        ring.push(call);
        ring.changed = true;
    }

    /// Records that update calls have stored in a system in the last hour, as far as this server ran.
    #[must_use]
    pub fn last_hour(&self, system: &SystemId, now: Timestamp) -> u64 {
        self.hours.lock().get(system).map_or(0, |hour| hour.count(now))
    }

    /// The integration's calls before `cursor` (or the newest), newest first, at most `limit`.
    #[must_use]
    pub fn list(&self, system: &SystemId, integration: &IntegrationId, limit: usize, cursor: Option<u64>) -> CallPage {
        let rings = self.rings.read();
        let Some(ring) = rings.get(&(system.clone(), integration.clone())) else {
            return CallPage { calls: Vec::new(), next_cursor: None };
        };
        let ring = ring.lock();
        let first = ring.next - ring.calls.len() as u64;
        let end = cursor.unwrap_or(ring.next).clamp(first, ring.next);
        let older = usize::try_from(end - first).unwrap_or(usize::MAX);
        let taken = older.min(limit);
        let calls = ring.calls.iter().take(older).rev().take(taken).cloned().collect();
        let next_cursor = (taken < older).then(|| end - taken as u64);
        CallPage { calls, next_cursor }
    }

    /// What the store lacks of the log: records to put, and (`None`) to remove, for the table of calls. What is
    /// handed out counts as stored.
    #[must_use]
    pub fn snapshot_records(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let rings: Vec<_> = self.rings.read().iter().map(|(key, ring)| (key.clone(), Arc::clone(ring))).collect();
        let mut records = Vec::new();
        for ((system, integration), ring) in rings {
            let mut ring = ring.lock();
            if !ring.changed {
                continue;
            }
            let key = |page: usize| format!("{system}/{integration}/{page:04}").into_bytes();
            let pages = pages(&ring.calls);
            let count = pages.len();
            records.extend(pages.into_iter().enumerate().map(|(page, bytes)| (key(page), Some(bytes))));
            records.extend((count..ring.stored_pages).map(|page| (key(page), None)));
            ring.stored_pages = count;
            ring.changed = false;
        }
        records
    }

    /// Takes up what the store holds of the log, in any order. A record that can't be read is left out and told of: a
    /// log is not worth refusing to start for.
    pub fn restore(&self, records: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let sorted: BTreeMap<_, _> = records.into_iter().collect();
        for (key, bytes) in sorted {
            let Some((key, calls)) = read_key(&key).zip(read_page(&bytes)) else {
                tracing::warn!(key = %String::from_utf8_lossy(&key), "a page of the call log can't be read; left out");
                continue;
            };
            let ring = self.ring(key);
            let mut ring = ring.lock();
            ring.stored_pages += 1;
            calls.into_iter().for_each(|call| ring.push(call));
        }
    }

    fn ring(&self, key: Key) -> Arc<Mutex<Ring>> {
        if let Some(ring) = self.rings.read().get(&key) {
            return Arc::clone(ring);
        }
        Arc::clone(self.rings.write().entry(key).or_default())
    }
}

/// The calls in their stored form.
fn pages(calls: &VecDeque<CallRecord>) -> Vec<Vec<u8>> {
    let mut pages: Vec<Vec<u8>> = Vec::new();
    for call in calls {
        // Strings and numbers always serialize.
        let Ok(json) = serde_json::to_vec(call) else { continue };
        match pages.last_mut() {
            Some(page) if page.len() + json.len() < PAGE_BYTES => page.push(b','),
            _ => pages.push(vec![VERSION, b'[']),
        }
        if let Some(page) = pages.last_mut() {
            page.extend_from_slice(&json);
        }
    }
    pages.iter_mut().for_each(|page| page.push(b']'));
    pages
}

fn read_page(bytes: &[u8]) -> Option<Vec<CallRecord>> {
    let (version, json) = bytes.split_first()?;
    (*version == VERSION).then(|| serde_json::from_slice(json).ok()).flatten()
}

fn read_key(key: &[u8]) -> Option<Key> {
    let mut parts = std::str::from_utf8(key).ok()?.split('/');
    let key = (SystemId::new(parts.next()?).ok()?, IntegrationId::new(parts.next()?).ok()?);
    parts.next().and_then(|page| page.parse::<usize>().ok()).map(|_| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (SystemId, IntegrationId) {
        (SystemId::new("default").unwrap(), IntegrationId::new("crm").unwrap())
    }

    fn call(number: u64) -> CallRecord {
        CallRecord {
            at: Timestamp::from_millis(1_700_000_000_000),
            client: "hook".to_owned(),
            status: 422,
            records: Some(number),
            duration_us: 300,
            request_id: format!("r{number}"),
            errors: vec![CallError::new("/data/0/Seats", "not_a_number")],
            errors_total: 1,
        }
    }

    #[test]
    fn the_last_hour_counts_what_was_stored_and_forgets_it() {
        let (system, integration) = ids();
        let log = CallLog::default();
        let at = |minute: i64| Timestamp::from_millis(1_700_000_000_000 + minute * MINUTE_MS);
        for (minute, status) in [(0, 200), (0, 200), (30, 200), (31, 422)] {
            log.record(&system, &integration, CallRecord { at: at(minute), status, ..call(5) });
        }
        assert_eq!([0, 59, 60, 89, 90].map(|minute| log.last_hour(&system, at(minute))), [15, 15, 5, 5, 0]);
        assert_eq!(log.last_hour(&SystemId::new("other").unwrap(), at(0)), 0);
    }

    fn filled(count: u64) -> CallLog {
        let (system, integration) = ids();
        let log = CallLog::default();
        (0..count).for_each(|number| log.record(&system, &integration, call(number)));
        log
    }

    fn numbers(log: &CallLog, limit: usize, cursor: Option<u64>) -> (Vec<u64>, Option<u64>) {
        let (system, integration) = ids();
        let page = log.list(&system, &integration, limit, cursor);
        (page.calls.iter().filter_map(|call| call.records).collect(), page.next_cursor)
    }

    #[test]
    fn the_last_thousand_calls_are_kept() {
        let log = filled(1003);
        let (all, end) = numbers(&log, 5000, None);
        assert_eq!((all.len(), all[0], all[999], end), (1000, 1002, 3, None));
    }

    #[test]
    fn pages_stay_right_while_calls_come() {
        let (system, integration) = ids();
        let log = filled(5);
        let (first, cursor) = numbers(&log, 2, None);
        assert_eq!(first, [4, 3]);
        log.record(&system, &integration, call(5));
        let (second, cursor) = numbers(&log, 2, cursor);
        assert_eq!(second, [2, 1]);
        assert_eq!(numbers(&log, 2, cursor), (vec![0], None));
        assert_eq!(numbers(&log, 2, Some(0)), (vec![], None));
        assert_eq!(numbers(&CallLog::default(), 2, None), (vec![], None));
    }

    #[test]
    fn a_restart_keeps_the_log() {
        let (system, integration) = ids();
        let log = filled(400);
        let records = log.snapshot_records();
        assert!(records.len() > 1);
        let stored = records.into_iter().map(|(key, value)| (key, value.unwrap()));
        assert!(stored.clone().all(|(_, value)| value.len() < 4096), "the store likes small values");
        let after = CallLog::default();
        after.restore(stored.rev());
        assert_eq!(
            after.list(&system, &integration, 1000, None).calls,
            log.list(&system, &integration, 1000, None).calls
        );
        assert!(after.snapshot_records().is_empty(), "nothing is new");
        after.record(&system, &integration, call(7));
        assert_eq!(numbers(&after, 2, None).0, [7, 399]);
    }

    #[test]
    fn pages_that_are_no_longer_needed_are_removed() {
        let (system, integration) = ids();
        let log = CallLog::default();
        let long = CallRecord { client: "x".repeat(3400), ..call(0) };
        (0..KEPT).for_each(|_| log.record(&system, &integration, long.clone()));
        assert_eq!(log.snapshot_records().len(), KEPT);
        (0..KEPT).for_each(|_| log.record(&system, &integration, call(0)));
        let records = log.snapshot_records();
        assert_eq!(records.len(), KEPT);
        let kept = records.iter().filter(|(_, value)| value.is_some()).count();
        assert!(kept < 100, "{kept}");
    }

    #[test]
    fn a_damaged_page_is_left_out() {
        let log = CallLog::default();
        let good = filled(1).snapshot_records().pop().unwrap();
        log.restore([
            (b"default/crm/0001".to_vec(), b"\x01[{".to_vec()),
            (b"default/crm/0002".to_vec(), b"\x02[]".to_vec()),
            (b"nonsense".to_vec(), b"\x01[]".to_vec()),
            (good.0, good.1.unwrap()),
        ]);
        assert_eq!(numbers(&log, 10, None).0, [0]);
    }

    #[test]
    fn errors_and_pointers_are_bounded() {
        let (system, integration) = ids();
        let log = CallLog::default();
        let error = CallError::new(&"é".repeat(1000), "null");
        assert_eq!(error.pointer.chars().count(), MAX_POINTER + 1);
        log.record(&system, &integration, CallRecord { errors: vec![error; 50], errors_total: 50, ..call(0) });
        let page = log.list(&system, &integration, 1, None);
        assert_eq!((page.calls[0].errors.len(), page.calls[0].errors_total), (MAX_ERRORS, 50));
    }
}
