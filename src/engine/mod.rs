//! The attribute engine: sole owner of what is in memory.
//!
//! ```text
//! callers ──► queue ──► writer ──► store (journal, durable) ──► snapshot ──► answers
//!                                            │                     │
//!                              checkpoint ◄──┴── changed columns ◄─┘
//! ```
//!
//! - `snapshot` is what everyone sees: typed columns in chunks, copied on write, behind one `ArcSwap`; with them, of each
//!   system, the `live` rules and who is in which segment by them (`members`: one bit for each row and segment).
//! - `reader` is the one way to ask: in it are `bound` conditions, asked of a chunk by `scan` and `mask` or of one row.
//! - `writer` is the one thread that changes anything; `plan` decides what, `state` does it and has the row judged.
//! - `adopt` makes new rules and new days live; `keeper` looks at the clock; `events` tells who entered and left.
//! - `checkpoint` writes changed columns and loads them; `backup` writes all of them.
//!
//! Refuses to know of HTTP, of files of rules beyond their types, and of how the store keeps what it is given.

mod adopt;
mod backup;
mod bound;
mod buckets;
mod catalogue;
mod checkpoint;
mod column;
mod distribution;
mod events;
mod found;
mod index;
mod ints;
mod judge;
mod keeper;
mod live;
mod mask;
mod members;
mod midnight;
mod packed;
mod parallel;
mod plan;
mod plan_sheet;
mod reader;
mod renewal;
mod row;
mod scan;
mod script_time;
mod sheet;
mod snapshot;
mod state;
mod tell;
mod texts;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

pub use backup::{Contents, inspect};
pub use distribution::{Buckets, TopTexts};
pub use events::{Event, Following};
pub use found::{Found, OutOfTime, ScriptFailures};
pub use reader::{Members, Page, Question, Reader, SegmentChange, Sight};
pub use sheet::Sheet;
pub use snapshot::{EndUser, Snapshot, SystemData};
pub use write::{Idempotency, Keep, Mode, Outcome, Record, RecordWrite, Records, Update, WriteError};

use crate::clock::Clock;
use crate::model::{AttributeId, EndUserId, SystemId};
use crate::ruleset::RuleSet;
pub use crate::store::Cause;
use crate::store::{Store, StoreError, Table};
use events::EventLog;
use writer::{Answer, AnswerRecord, Command, IDEMPOTENCY_MILLIS, QUEUE, Shared, Task, Writer, submit};

/// Cells written after which a checkpoint is due, so that a start after a crash replays no more than that.
const CHECKPOINT_CELLS: u64 = 1_000_000;
/// Time after which a checkpoint is due if anything was written.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// How often the checkpointer looks whether something is due.
const TICK: Duration = Duration::from_millis(500);

/// How the engine behaves.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Free disk below which writes are refused, in MiB.
    pub min_free_mib: u64,
}

/// How the writer is.
#[derive(Debug, Clone)]
pub struct Status {
    /// Number of the last commit that is readable.
    pub last_commit: u64,
    /// Number of the commit up to which the last checkpoint stands.
    pub last_checkpoint: u64,
    /// Commands that wait for the writer.
    pub queued: usize,
    /// Why the store takes no more writes, once it has failed.
    pub failed: Option<String>,
    /// Whether writes are refused for want of disk.
    pub disk_full: bool,
}

/// Threads to be ended once.
#[derive(Debug)]
struct Threads {
    writer: JoinHandle<()>,
    keeper: keeper::Keeper,
    checkpointer: JoinHandle<()>,
}

/// The rules of every system.
pub type SystemRules = std::collections::BTreeMap<SystemId, Arc<RuleSet>>;

type CheckpointDone = tokio::sync::oneshot::Sender<Result<(), WriteError>>;

struct Inner {
    shared: Arc<Shared>,
    store: Arc<Store>,
    queue: SyncSender<Command>,
    /// Asks the checkpointer for a checkpoint now; dropping it ends the checkpointer.
    wake: Mutex<Option<Sender<CheckpointDone>>>,
    checkpointed: Arc<AtomicU64>,
    /// Held while new rules or a new day are made live.
    adopting: Mutex<()>,
    midnight: Arc<midnight::Midnight>,
    clock: Clock,
    threads: Mutex<Option<Threads>>,
}

/// The live engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Engine").field(&self.status()).finish()
    }
}

impl Engine {
    /// Loads everything from the store and starts the writer and the checkpointer.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read whole; nothing is served then.
    pub fn start(store: Store, clock: Clock, options: &EngineOptions) -> Result<Self, StoreError> {
        let started = Instant::now();
        let store = Arc::new(store);
        let events = EventLog::default();
        let (state, stands_for) = checkpoint::load(&store, &events)?;
        let shared = Arc::new(Shared::new(state.snapshot.clone(), events));
        tracing::info!(
            end_users = state.snapshot.end_users(),
            commit = state.snapshot.commit,
            replayed = state.snapshot.commit - stands_for,
            milliseconds = started.elapsed().as_millis() as u64,
            "store loaded"
        );
        let (queue, commands) = sync_channel(QUEUE);
        let writer = Writer { shared: Arc::clone(&shared), store: Arc::clone(&store), clock: clock.clone(), state };
        let writer = spawn("writer", move || writer.run(&commands))?;
        let checkpointed = Arc::new(AtomicU64::new(stands_for));
        let (wake, requests) = channel();
        let checkpointer = Checkpointer {
            shared: Arc::clone(&shared),
            store: Arc::clone(&store),
            queue: queue.clone(),
            clock: clock.clone(),
            min_free_mib: options.min_free_mib,
            checkpointed: Arc::clone(&checkpointed),
            last: Instant::now(),
        };
        checkpointer.watch_disk();
        let checkpointer = spawn("checkpointer", move || checkpointer.run(&requests))?;
        let (wake, adopting, threads) = (Mutex::new(Some(wake)), Mutex::new(()), Mutex::new(None));
        let midnight = Arc::default();
        let inner = Inner { shared, store, queue, wake, checkpointed, adopting, midnight, clock, threads };
        let engine = Self(Arc::new(inner));
        let keeper = keeper::start(&engine)?;
        *engine.0.threads.lock() = Some(Threads { writer, keeper, checkpointer });
        Ok(engine)
    }

    /// What is readable now: one immutable view of every system.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.shared.published.load_full()
    }

    /// Applies an update: durable and visible when this returns.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the update was stored then.
    pub async fn update(&self, update: Update) -> Result<Outcome, WriteError> {
        match self.ask(Task::Update(update)).await? {
            Answer::Outcome(outcome) => Ok(outcome),
            _ => Err(WriteError::Stopping),
        }
    }

    /// Deletes an end user, and writes the records `beside` in the same commit; false when unknown: nothing is written then.
    ///
    /// # Errors
    /// [`WriteError`]; the end user is still there then.
    pub async fn delete(&self, system: SystemId, id: EndUserId, beside: Vec<RecordWrite>) -> Result<bool, WriteError> {
        self.ask(Task::Delete(system, id, beside)).await.map(|answer| matches!(answer, Answer::Flag(true)))
    }

    /// Unsets one attribute of an end user, and writes the records `beside` in the same commit; false when there was nothing
    /// to unset: nothing is written then.
    ///
    /// # Errors
    /// [`WriteError`]; the attribute is still there then.
    pub async fn unset(
        &self,
        system: SystemId,
        id: EndUserId,
        attribute: AttributeId,
        beside: Vec<RecordWrite>,
    ) -> Result<bool, WriteError> {
        self.ask(Task::Unset(system, id, attribute, beside)).await.map(|answer| matches!(answer, Answer::Flag(true)))
    }

    /// Writes small records in one commit (`None` removes); durable when this returns.
    ///
    /// # Errors
    /// [`WriteError`]; none of them was written then.
    pub async fn write_records(&self, records: Vec<RecordWrite>) -> Result<(), WriteError> {
        self.ask(Task::Records(records)).await.map(|_| ())
    }

    /// [`Engine::write_records`] from a thread that may block.
    ///
    /// # Errors
    /// [`WriteError`]; none of them was written then.
    pub fn write_records_blocking(&self, records: Vec<RecordWrite>) -> Result<(), WriteError> {
        self.ask_blocking(Task::Records(records)).map(|_| ())
    }

    /// Deletes the values of every attribute that `keep` does not keep; how many went.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was deleted then.
    pub async fn purge(&self, keep: Keep) -> Result<u64, WriteError> {
        self.ask(Task::Purge(keep)).await.map(|answer| if let Answer::Count(values) = answer { values } else { 0 })
    }

    /// Writes a checkpoint now; done when this returns.
    ///
    /// # Errors
    /// [`WriteError`] when the store failed, or the server is stopping.
    pub async fn checkpoint(&self) -> Result<(), WriteError> {
        let (done, answer) = tokio::sync::oneshot::channel();
        self.0.wake.lock().as_ref().and_then(|wake| wake.send(done).ok()).ok_or(WriteError::Stopping)?;
        answer.await.unwrap_or(Err(WriteError::Stopping))
    }

    /// How the writer is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            last_commit: self.0.shared.published.load().commit,
            last_checkpoint: self.0.checkpointed.load(Ordering::Relaxed),
            queued: self.0.shared.queued(),
            failed: self.0.store.failed(),
            disk_full: self.0.shared.disk_full.load(Ordering::Relaxed),
        }
    }

    /// The store, for reading small records.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    /// Finishes what was taken, writes a last checkpoint, and ends the threads. Blocks; later writes are refused.
    pub fn stop(&self) {
        let Some(threads) = self.0.threads.lock().take() else { return };
        self.0.shared.stopping.store(true, Ordering::Relaxed);
        threads.keeper.stop();
        if let Ok(answer) = submit(&self.0.shared, &self.0.queue, Task::Stop) {
            let _ = answer.blocking_recv();
        }
        let _ = threads.writer.join();
        drop(self.0.wake.lock().take());
        let _ = threads.checkpointer.join();
    }

    /// Ends the threads without a last checkpoint, as a crash would.
    #[cfg(test)]
    fn abandon(&self) {
        let Some(threads) = self.0.threads.lock().take() else { return };
        threads.keeper.stop();
        if let Ok(answer) = submit(&self.0.shared, &self.0.queue, Task::Stop) {
            let _ = answer.blocking_recv();
        }
        let _ = threads.writer.join();
        self.0.checkpointed.store(self.0.shared.published.load().commit, Ordering::Relaxed);
        drop(self.0.wake.lock().take());
        let _ = threads.checkpointer.join();
    }

    fn ask_blocking(&self, task: Task) -> Result<Answer, WriteError> {
        submit(&self.0.shared, &self.0.queue, task)?.blocking_recv().unwrap_or(Err(WriteError::Stopping))
    }

    async fn ask(&self, task: Task) -> Result<Answer, WriteError> {
        self.0.shared.callers.get_or_init(Handle::current);
        let answer = submit(&self.0.shared, &self.0.queue, task)?;
        answer.await.unwrap_or(Err(WriteError::Stopping))
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|cause| StoreError::Io { what: format!("starting the {name} thread"), cause })
}

/// The thread that writes checkpoints and watches the disk.
struct Checkpointer {
    shared: Arc<Shared>,
    store: Arc<Store>,
    queue: SyncSender<Command>,
    clock: Clock,
    min_free_mib: u64,
    checkpointed: Arc<AtomicU64>,
    last: Instant,
}

impl Checkpointer {
    fn run(mut self, requests: &std::sync::mpsc::Receiver<CheckpointDone>) {
        loop {
            match requests.recv_timeout(TICK) {
                Ok(done) => {
                    let _ = done.send(self.write());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.watch_disk();
                    let cells = self.shared.cells_since_checkpoint.load(Ordering::Relaxed);
                    if cells >= CHECKPOINT_CELLS || (cells > 0 && self.last.elapsed() >= CHECKPOINT_EVERY) {
                        self.forget_old_answers();
                        let _ = self.write();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.write();
                    return;
                }
            }
        }
    }

    fn watch_disk(&self) {
        let full = self.store.free_mib().is_some_and(|free| free < self.min_free_mib);
        if full != self.shared.disk_full.swap(full, Ordering::Relaxed) {
            if full {
                tracing::error!(min_free_mib = self.min_free_mib, "too little free disk: updates are refused");
            } else {
                tracing::info!("there is room on the disk again: updates are taken");
            }
        }
        metrics::gauge!("rollcall_disk_full").set(f64::from(u8::from(full)));
        metrics::gauge!("rollcall_store_failed").set(f64::from(u8::from(self.store.failed().is_some())));
    }

    /// Removes answers whose 24 hours are over.
    fn forget_old_answers(&self) {
        let now = self.clock.now().as_millis();
        let Ok(answers) = self.store.records(Table::Idempotency) else { return };
        let is_old = |value: &[u8]| {
            crate::store::decode::<AnswerRecord>(value).map_or(true, |answer| now - answer.at >= IDEMPOTENCY_MILLIS)
        };
        let old: Vec<RecordWrite> = answers
            .into_iter()
            .filter(|(_, value)| is_old(value))
            .map(|(key, _)| (Table::Idempotency, key, None))
            .collect();
        if !old.is_empty() {
            let _ = submit(&self.shared, &self.queue, Task::Records(old));
        }
    }

    /// Writes the moves that the checkpoint's journal will not hold any more.
    fn keep_events(&self) {
        let records = self.shared.events.records();
        if !records.is_empty()
            && let Ok(answer) = submit(&self.shared, &self.queue, Task::Records(records))
        {
            let _ = answer.blocking_recv();
        }
    }

    fn write(&mut self) -> Result<(), WriteError> {
        self.last = Instant::now();
        let cells = self.shared.cells_since_checkpoint.swap(0, Ordering::Relaxed);
        self.keep_events();
        let snapshot = self.shared.published.load_full();
        let since = self.checkpointed.load(Ordering::Relaxed);
        if snapshot.commit == since {
            return Ok(());
        }
        match checkpoint::write(&self.store, &snapshot, since) {
            Ok(number) => {
                self.checkpointed.store(number, Ordering::Relaxed);
                metrics::histogram!("rollcall_checkpoint_seconds").record(self.last.elapsed().as_secs_f64());
                tracing::debug!(commit = number, milliseconds = self.last.elapsed().as_millis() as u64, "checkpoint");
                Ok(())
            }
            Err(error) => {
                self.shared.cells_since_checkpoint.fetch_add(cells, Ordering::Relaxed);
                tracing::error!(%error, "a checkpoint failed; the journal keeps everything");
                Err(WriteError::Failed(error.to_string()))
            }
        }
    }
}
