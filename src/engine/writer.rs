//! The one thread that writes: it takes everything that waits, plans one commit, makes it durable, publishes the
//! new snapshot, and only then answers every caller. One sync serves all who wait for it.
//!
//! Invariant: nothing is acknowledged, and nothing is readable, before it is durable. After a failed commit the
//! state goes back to the published snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use super::adopt::Adoption;
use super::events::EventLog;
use super::parallel::Progress;
use super::plan::Plan;
use super::snapshot::Snapshot;
use super::state::{Stamp, State};
use super::write::{Idempotency, Keep, Outcome, RecordWrite, Update, WriteError};
use crate::clock::Clock;
use crate::model::{AttributeId, EndUserId, SystemId, Timestamp};
use crate::store::{Entry, Op, RowNo, Store, StoreError, Table};

/// Commands that may wait before callers are told to come back.
pub(super) const QUEUE: usize = 16_384;
/// Cells that may wait, over all commands: bounds memory when calls are large.
const QUEUED_CELLS: usize = 4_000_000;
/// Cells after which a commit takes no more commands: bounds how long the first caller waits.
const COMMIT_CELLS: usize = 100_000;
/// Commands in a commit from which on the next one gives callers a moment to join.
const CROWD: usize = 8;
/// How often it does, at most.
const YIELDS: usize = 4;
/// How long an answer is kept for its `Idempotency-Key`: 24 hours.
pub(super) const IDEMPOTENCY_MILLIS: i64 = 24 * 3600 * 1000;

/// What the answer to an `Idempotency-Key` is kept as.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct AnswerRecord {
    pub(super) call_hash: u64,
    pub(super) at: i64,
    outcome: Outcome,
}

pub(super) enum Task {
    Update(Update),
    Delete(SystemId, EndUserId, Vec<RecordWrite>),
    Unset(SystemId, EndUserId, AttributeId, Vec<RecordWrite>),
    Records(Vec<RecordWrite>),
    Purge(Keep),
    /// From now on note which rows are written.
    Watch,
    /// Which rows were written since the watch began, or since this was asked last.
    Watched,
    /// Make new rules, or a new day's memberships, live.
    Adopt(Adoption),
    /// Answered when everything before it is done; then the writer ends.
    Stop,
}

/// What a task came to.
#[derive(Debug)]
pub(super) enum Answer {
    Outcome(Outcome),
    Flag(bool),
    Count(u64),
    Rows(Vec<(SystemId, RowNo)>),
    Done,
}

type Reply = oneshot::Sender<Result<Answer, WriteError>>;

pub(super) struct Command {
    task: Task,
    cells: usize,
    reply: Reply,
}

/// What the writer and everyone else share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) published: ArcSwap<Snapshot>,
    pub(super) events: EventLog,
    pub(super) disk_full: AtomicBool,
    /// The server is stopping: whatever takes long gives up.
    pub(super) stopping: AtomicBool,
    /// Systems whose memberships are being computed.
    pub(super) computing: Mutex<BTreeMap<SystemId, Arc<Progress>>>,
    /// Cells written since the last checkpoint began.
    pub(super) cells_since_checkpoint: AtomicU64,
    /// The runtime that callers wait in, once there was one.
    pub(super) callers: OnceLock<Handle>,
    queued_commands: AtomicUsize,
    queued_cells: AtomicUsize,
}

impl Shared {
    pub(super) fn new(snapshot: Snapshot, events: EventLog) -> Self {
        Self {
            published: ArcSwap::from_pointee(snapshot),
            events,
            disk_full: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            computing: Mutex::default(),
            cells_since_checkpoint: AtomicU64::new(0),
            callers: OnceLock::new(),
            queued_commands: AtomicUsize::new(0),
            queued_cells: AtomicUsize::new(0),
        }
    }
    pub(super) fn queued(&self) -> usize {
        self.queued_commands.load(Ordering::Relaxed)
    }
}

impl Task {
    /// How much work it is, in cells.
    fn cells(&self) -> usize {
        match self {
            Self::Update(update) => update.records.cells(),
            Self::Records(records) => records.len(),
            _ => 1,
        }
    }
}

/// Hands a task to the writer; the receiver gets its answer.
pub(super) fn submit(
    shared: &Shared,
    queue: &SyncSender<Command>,
    task: Task,
) -> Result<oneshot::Receiver<Result<Answer, WriteError>>, WriteError> {
    let cells = task.cells();
    let grows = matches!(task, Task::Update(_) | Task::Unset(..) | Task::Records(_));
    if grows && shared.disk_full.load(Ordering::Relaxed) {
        return Err(WriteError::DiskFull);
    }
    if shared.queued_cells.load(Ordering::Relaxed) > QUEUED_CELLS {
        return Err(WriteError::Busy);
    }
    let (reply, answer) = oneshot::channel();
    shared.queued_commands.fetch_add(1, Ordering::Relaxed);
    shared.queued_cells.fetch_add(cells, Ordering::Relaxed);
    queue.try_send(Command { task, cells, reply }).map_err(|refused| {
        shared.queued_commands.fetch_sub(1, Ordering::Relaxed);
        shared.queued_cells.fetch_sub(cells, Ordering::Relaxed);
        match refused {
            TrySendError::Full(_) => WriteError::Busy,
            TrySendError::Disconnected(_) => WriteError::Stopping,
        }
    })?;
    Ok(answer)
}

/// The answers of a commit: given when they are dropped, wherever that is. A runtime that has ended drops what it is
/// given.
struct Answers(Vec<(Reply, Result<Answer, WriteError>)>);

impl Drop for Answers {
    fn drop(&mut self) {
        for (reply, answer) in self.0.drain(..) {
            // The caller may have gone; what it asked for is done all the same.
            let _ = reply.send(answer);
        }
    }
}

/// The writer's thread.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    pub(super) state: State,
}

impl Writer {
    /// Runs until a [`Task::Stop`] or until every sender is gone.
    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        let mut group = 0;
        while let Ok(first) = queue.recv() {
            let mut cells = first.cells;
            let mut commands = vec![first];
            take_waiting(queue, &mut commands, &mut cells);
            if group >= CROWD {
                // The callers of the last commit are just sending their next calls: let them, and take those, too.
                // A commit costs the same however many share it. A caller alone never waits here.
                for _ in 0..YIELDS {
                    std::thread::yield_now();
                    take_waiting(queue, &mut commands, &mut cells);
                    if commands.len() >= group {
                        break;
                    }
                }
            }
            group = commands.len();
            self.shared.queued_commands.fetch_sub(commands.len(), Ordering::Relaxed);
            self.shared.queued_cells.fetch_sub(cells, Ordering::Relaxed);
            let stop = commands.iter().any(|command| matches!(command.task, Task::Stop));
            self.commit(commands, cells);
            if stop {
                self.keep_events();
                return;
            }
        }
    }

    /// Writes the moves that the last checkpoint's journal will not hold any more.
    fn keep_events(&mut self) {
        let stamp = Stamp { at: self.clock.now().as_millis(), commit: self.state.snapshot.commit + 1 };
        let records = self.shared.events.records().into_iter();
        let ops = records.map(|(table, key, value)| Op::Record { table, key, value }).collect();
        // A failure is logged; followers will be told of a gap.
        let _ = self.publish(ops, stamp, 0);
    }

    /// Plans, makes durable, publishes, answers.
    fn commit(&mut self, commands: Vec<Command>, cells: usize) {
        let stamp = Stamp { at: self.clock.now().as_millis(), commit: self.state.snapshot.commit + 1 };
        let mut answers = Vec::with_capacity(commands.len());
        let mut kept = HashMap::new();
        let adopts = commands.iter().any(|command| matches!(command.task, Task::Adopt(_)));
        let mut plan = Plan::new(&mut self.state, stamp, &self.shared.events);
        for command in commands {
            answers.push((command.reply, carry_out(&mut plan, command.task, &self.store, &mut kept, stamp.at)));
        }
        let ops = plan.into_ops();
        if ops.is_empty() && adopts {
            self.shared.published.store(Arc::new(self.state.snapshot.clone()));
        }
        if let Err(failure) = self.publish(ops, stamp, cells) {
            answers
                .iter_mut()
                .filter(|(_, answer)| answer.is_ok())
                .for_each(|(_, answer)| *answer = Err(failure.clone()));
        }
        self.answer(Answers(answers));
    }

    /// Answers the callers of a commit. A crowd is answered from within its runtime: waking callers one by one from here
    /// would wake a thread for each, which takes this one's processor, finds one answer and sleeps again.
    fn answer(&self, answers: Answers) {
        let has_threads = |runtime: &&Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        match self.shared.callers.get().filter(has_threads) {
            Some(runtime) if answers.0.len() >= CROWD => drop(runtime.spawn(async move { drop(answers) })),
            _ => drop(answers),
        }
    }

    fn publish(&mut self, ops: Vec<Op>, stamp: Stamp, cells: usize) -> Result<(), WriteError> {
        if ops.is_empty() {
            return Ok(());
        }
        let entry = Entry { at: stamp.at, ops };
        match self.store.append(stamp.commit - 1, &entry) {
            Ok(_) => {
                self.state.snapshot.commit = stamp.commit;
                self.shared.published.store(Arc::new(self.state.snapshot.clone()));
                self.shared.events.take(&entry.ops, Timestamp::from_millis(stamp.at));
                self.shared.events.announce();
                self.shared.cells_since_checkpoint.fetch_add(cells as u64, Ordering::Relaxed);
                metrics::counter!("rollcall_commits_total").increment(1);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, commit = stamp.commit, "a commit failed; nothing of it is readable or acknowledged");
                let watched = self.state.watched.take();
                self.state = State::from_snapshot(self.shared.published.load().as_ref().clone());
                self.state.watched = watched;
                Err(match error {
                    StoreError::DiskFull { .. } => WriteError::DiskFull,
                    other => WriteError::Failed(other.to_string()),
                })
            }
        }
    }
}

/// Takes all commands that wait, up to the bound.
fn take_waiting(queue: &Receiver<Command>, commands: &mut Vec<Command>, cells: &mut usize) {
    while *cells < COMMIT_CELLS
        && let Ok(next) = queue.try_recv()
    {
        *cells += next.cells;
        commands.push(next);
    }
}

/// Plans one task. `kept` holds the answers of this commit by idempotency key.
fn carry_out(
    plan: &mut Plan<'_>,
    task: Task,
    store: &Store,
    kept: &mut HashMap<Vec<u8>, AnswerRecord>,
    at: i64,
) -> Result<Answer, WriteError> {
    match task {
        Task::Update(update) => carry_out_update(plan, update, store, kept, at).map(Answer::Outcome),
        Task::Delete(system, id, beside) => {
            let done = plan.delete(&system, &id);
            Ok(Answer::Flag(plan.beside(done, beside)))
        }
        Task::Unset(system, id, attribute, beside) => {
            let done = plan.unset(&system, &id, &attribute);
            Ok(Answer::Flag(plan.beside(done, beside)))
        }
        Task::Records(records) => {
            records.into_iter().for_each(|record| plan.record(record));
            Ok(Answer::Done)
        }
        Task::Purge(keep) => Ok(Answer::Count(plan.purge(keep.as_ref()))),
        Task::Watch => {
            plan.state.watched = Some(Vec::new());
            Ok(Answer::Done)
        }
        Task::Watched => Ok(Answer::Rows(plan.state.watched.replace(Vec::new()).unwrap_or_default())),
        Task::Adopt(adoption) => {
            plan.adopt(adoption);
            Ok(Answer::Done)
        }
        Task::Stop => Ok(Answer::Done),
    }
}

/// Plans an update, once however often it comes under one idempotency key.
fn carry_out_update(
    plan: &mut Plan<'_>,
    mut update: Update,
    store: &Store,
    kept: &mut HashMap<Vec<u8>, AnswerRecord>,
    at: i64,
) -> Result<Outcome, WriteError> {
    let (idempotency, beside) = (update.idempotency.take(), std::mem::take(&mut update.beside));
    if let Some(Idempotency { key, call_hash }) = &idempotency
        && let Some(earlier) = earlier_answer(store, kept, key, at)?
    {
        return if earlier.call_hash == *call_hash { Ok(earlier.outcome) } else { Err(WriteError::KeyReused) };
    }
    let outcome = plan.update(update)?;
    if let Some(Idempotency { key, call_hash }) = idempotency {
        let answer = AnswerRecord { call_hash, at, outcome };
        let value = crate::store::encode(&answer).map_err(|error| WriteError::Failed(error.to_string()))?;
        kept.insert(key.clone(), answer);
        plan.record((Table::Idempotency, key, Some(value)));
    }
    beside.into_iter().for_each(|record| plan.record(record));
    Ok(outcome)
}

fn earlier_answer(
    store: &Store,
    kept: &HashMap<Vec<u8>, AnswerRecord>,
    key: &[u8],
    at: i64,
) -> Result<Option<AnswerRecord>, WriteError> {
    if let Some(answer) = kept.get(key) {
        return Ok(Some(*answer));
    }
    let failed = |error: StoreError| WriteError::Failed(error.to_string());
    let Some(bytes) = store.record(Table::Idempotency, key).map_err(failed)? else { return Ok(None) };
    let answer: AnswerRecord = crate::store::decode(&bytes).map_err(failed)?;
    Ok((at - answer.at < IDEMPOTENCY_MILLIS).then_some(answer))
}
