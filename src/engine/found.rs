//! The end users that a question finds, once and for all: counted, taken page by page, counted by value, without asking
//! again.
//!
//! One bit a row: an answer over a million end users is 125 KiB. Refuses to know how a question is asked. Invariant: a
//! [`Found`] is whole, or it is not there: a script that does not come to its end in time gives none.

use std::time::Duration;

use parking_lot::Mutex;

use super::column::ROWS;
use super::mask::Mask;
use super::parallel::Progress;
use super::reader::{Page, Question, Reader};
use crate::store::RowNo;

/// The end users that a question finds.
#[derive(Debug, Clone)]
pub struct Found {
    chunks: Vec<Mask>,
    failures: ScriptFailures,
}

/// How often a question's script failed (whoever it failed for is not found), and what it said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptFailures {
    /// For how many end users.
    pub count: u64,
    /// Why, for one of them.
    pub last: Option<String>,
}

/// A script did not come to its end in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rule runs as a script, and judging {end_users} end users by it takes more than {} seconds: write it as one boolean expression over attributes, or put what can be written so in front with `&&`",
    time.as_secs()
)]
pub struct OutOfTime {
    /// How much time there was.
    pub time: Duration,
    /// How many end users there are to judge.
    pub end_users: u64,
}

/// What a script may take over many end users, and how it failed so far.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) progress: Progress,
    failures: Mutex<ScriptFailures>,
}

impl Run {
    /// Notes that the script failed for an end user.
    pub(super) fn note(&self, message: String) {
        let mut failures = self.failures.lock();
        failures.count += 1;
        failures.last = Some(message);
    }
}

impl Found {
    /// How many they are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.chunks.iter().map(Mask::count).sum()
    }

    /// The first of them, of rows after one.
    #[must_use]
    pub fn page(&self, after: Option<RowNo>, limit: usize) -> Page {
        let first = after.map_or(0, |row| row as usize + 1);
        let chunks = self.chunks.iter().enumerate().skip(first / ROWS);
        let rows = chunks.flat_map(|(no, chunk)| chunk.rows().map(move |at| (no * ROWS + at) as RowNo));
        let mut rows = rows.skip_while(|row| (*row as usize) < first);
        let page: Vec<RowNo> = rows.by_ref().take(limit).collect();
        let next = page.last().copied().filter(|_| rows.next().is_some());
        Page { rows: page, next }
    }

    /// How the question's script failed.
    #[must_use]
    pub fn failures(&self) -> &ScriptFailures {
        &self.failures
    }

    /// Those of them in a chunk.
    pub(super) fn in_chunk(&self, no: usize) -> Mask {
        self.chunks.get(no).copied().unwrap_or(Mask::NONE)
    }
}

impl Reader {
    /// The end users that a question finds; `time` is what its script may take for all of them together.
    ///
    /// # Errors
    /// [`OutOfTime`]: it takes longer.
    pub fn find(&self, question: &Question, time: Duration) -> Result<Found, OutOfTime> {
        let run = Run { progress: Progress::within(time), ..Run::default() };
        let chunks = self.each_chunk(question.helpers(), |no, chunk| self.ask(question, no, chunk, &run));
        if run.progress.ran_out() {
            return Err(OutOfTime { time, end_users: self.len() });
        }
        Ok(Found { chunks, failures: run.failures.into_inner() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::{Engine, EngineOptions, Mode, Record, Sight, Update};
    use super::*;
    use crate::clock::Clock;
    use crate::model::{AttributeName, EndUserId, SystemId, Timestamp, Value};
    use crate::ruleset::{Files, RuleSet, compile};
    use crate::segments::Segment;
    use crate::store::{Options, Store};

    const CRM: &str = "user_identifier = \"id\"\n[[properties]]\nfield = \"seats\"\ntype = \"number\"\n";
    /// However fast it runs, it takes more than nothing.
    const SLOW: &str = "let n = 0; while n < 9 { n += 1; } crm.seats > 1";

    fn rules(segments: &[(&str, &str)]) -> Arc<RuleSet> {
        let mut files = Files::from([("integrations/crm.toml".to_owned(), CRM.into())]);
        files.extend(segments.iter().map(|(id, rule)| (format!("segments/{id}.rhai"), (*rule).into())));
        Arc::new(compile(&system(), &files, None, Timestamp::default()).unwrap())
    }

    fn system() -> SystemId {
        SystemId::new("s").unwrap()
    }

    #[test]
    fn a_script_that_takes_too_long_gives_no_answer_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options { cache_mib: 8 }).unwrap();
        let engine = Engine::start(store, Clock::system(), &EngineOptions { min_free_mib: 0 }).unwrap();
        let live = rules(&[]);
        engine.adopt(&[(system(), Arc::clone(&live))].into()).unwrap();
        let name = AttributeName::new("seats").unwrap();
        let record = |n: u32| Record {
            id: EndUserId::new(&format!("u{n}")).unwrap(),
            sets: vec![(0, Value::Number(f64::from(n)))],
        };
        let update = Update {
            system: system(),
            integration: "crm".parse().unwrap(),
            mode: Mode::Replace,
            declared: Arc::from([name.clone()]),
            records: (0..500).map(record).collect(),
            idempotency: None,
            beside: Vec::new(),
        };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(engine.update(update)).unwrap();

        let reader = engine.reader(&system(), &Sight::All).unwrap();
        let draft =
            |rule: &str| reader.draft(&Segment::compile("draft".parse().unwrap(), rule, &live.schema()).unwrap());
        let none = Duration::ZERO;
        let late = reader.find(&draft(SLOW), none).unwrap_err();
        assert_eq!(late, OutOfTime { time: none, end_users: 500 });
        assert_eq!(reader.preview(&rules(&[("slow", SLOW)]), none), Err(late), "neither does a preview");
        assert_eq!(reader.find(&draft("crm.seats > 1"), none).unwrap().total(), 498, "a condition has all the time");
        let enough = Duration::from_secs(600);
        assert_eq!(reader.find(&draft(SLOW), enough).unwrap().total(), 498);
        assert_eq!(reader.preview(&rules(&[("slow", SLOW)]), enough).unwrap()[0].enters, 498);
        engine.stop();
    }

    proptest! {
        #[test]
        fn pages_put_together_are_all_of_it(rows in prop::collection::btree_set(0_usize..3 * ROWS, 0..300), limit in 1_usize..40) {
            let mut chunks = vec![Mask::NONE; 3];
            rows.iter().for_each(|row| chunks[row / ROWS].set(row % ROWS));
            let found = Found { chunks, failures: ScriptFailures::default() };
            prop_assert_eq!(found.total(), rows.len() as u64);
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = found.page(after, limit);
                prop_assert!(page.rows.len() == limit || page.next.is_none());
                seen.extend(page.rows.iter().map(|row| *row as usize));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            prop_assert_eq!(seen, rows.into_iter().collect::<Vec<_>>());
        }
    }
}
