//! One import, from its file to its end: validated whole, then applied batch by batch.
//!
//! Applying reads the next block while the engine stores the one before. Nothing is kept from the first pass but counts and bad places: the second reads the file again, so
//! that memory does not grow with it.
//!
//! What holds a job up: a full write queue and a full disk are waited for; a store that has failed, until the restart;
//! a change of what rows mean ends it, as no answer could be right for both halves of the file.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::faults::RowError;
use super::import::{Import, ImportId, ImportState, Progress, gone_hash};
use super::judge::Judge;
use super::layout::{Layout, fingerprint};
use super::rows::{Block, Position, ReadError, Rows};
use super::service::Inner;
use super::upload::target;
use super::validate::unreadable;
use crate::engine::{Mode, RecordWrite, Records, Sheet, Update, WriteError};
use crate::model::AttributeName;
use crate::ruleset::{Integration, RuleSet};
use crate::store::StoreError;

/// How long a full write queue is given before it is tried again.
const BUSY: Duration = Duration::from_millis(20);
/// How long a full disk is.
const DISK_FULL: Duration = Duration::from_millis(500);

/// Why a job does not go on.
pub(super) enum Halt {
    /// The server stops; it goes on after the restart.
    Stopping,
    /// The store takes nothing; it goes on after the restart.
    StoreFailed(String),
    /// It is over.
    Failed(String),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::StoreFailed(error.to_string())
    }
}

/// An import at work.
pub(super) struct Job<'a> {
    pub(super) inner: &'a Inner,
    /// As it was when the job began.
    pub(super) import: Import,
    /// For waiting for the engine.
    runtime: Runtime,
    started: Instant,
}

/// What rows mean at the moment.
pub(super) struct Meaning {
    rules: Arc<RuleSet>,
    integration: Integration,
    fingerprint: u64,
}

/// A block on its way to the engine.
struct Batch {
    block: Block,
    sheet: Sheet,
    /// The row behind it.
    next: Position,
}

impl<'a> Job<'a> {
    pub(super) fn new(inner: &'a Inner, id: &ImportId) -> Result<Self, String> {
        let import = inner.known(id).ok_or("it is not known")?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        Ok(Self { inner, import, runtime, started: Instant::now() })
    }

    /// Works until the import has ended, or must wait for a restart.
    pub(super) fn run(self) {
        let ended = match self.work() {
            Ok(()) => self.finish(ImportState::Done, None),
            Err(Halt::Failed(reason)) => self.finish(ImportState::Failed, Some(reason)),
            Err(halt) => Err(halt),
        };
        match ended {
            Ok(()) => {}
            Err(Halt::Stopping) => tracing::info!(import = %self.import.id, "an import waits for the restart"),
            Err(Halt::StoreFailed(reason) | Halt::Failed(reason)) => {
                tracing::error!(import = %self.import.id, reason, "an import waits for a restart");
                let detail = "the store has failed: the import goes on when the server is started again";
                self.inner.note(&self.import.id, |import| import.detail = Some(detail.to_owned()));
            }
        }
    }

    fn work(&self) -> Result<(), Halt> {
        if !self.inner.spool.holds(self.import.id.as_str()) {
            return Err(Halt::Failed(format!("the uploaded file is gone: import it again{}", self.so_far())));
        }
        if self.import.state == ImportState::Applying {
            let meaning = self.meaning()?;
            return self.apply(&meaning, self.import.fingerprint);
        }
        let meaning = loop {
            let meaning = self.meaning()?;
            self.validate(&meaning)?;
            // Nothing is stored yet, so a change meanwhile costs nothing but another look.
            if self.meaning()?.fingerprint == meaning.fingerprint {
                break meaning;
            }
        };
        self.decide()?;
        if self.import.dry_run {
            return Ok(());
        }
        self.apply(&meaning, meaning.fingerprint)
    }

    /// What rows mean now.
    fn meaning(&self) -> Result<Meaning, Halt> {
        let live = self.inner.rules.live();
        let (rules, integration) = target(&live, &self.import.system, &self.import.integration)
            .map_err(|error| Halt::Failed(format!("{error}{}", self.so_far())))?;
        let fingerprint = fingerprint(integration, rules.settings.identifier_case, self.inner.limits);
        Ok(Meaning { rules: Arc::clone(rules), integration: integration.clone(), fingerprint })
    }

    /// How much is stored, for the end of a sentence.
    fn so_far(&self) -> String {
        let import = self.inner.known(&self.import.id).unwrap_or_else(|| self.import.clone());
        match (import.state, import.rows_total) {
            (ImportState::Applying, Some(total)) => {
                let good = total.saturating_sub(import.rejected);
                format!("; {} of {good} rows were stored before that, and stay", import.stored)
            }
            _ => "; nothing was stored".to_owned(),
        }
    }

    /// Opens the file and reads its header; the rows come next.
    pub(super) fn open(&self, meaning: &Meaning) -> Result<(Rows<File>, Judge), RowError> {
        let broken = |error: ReadError| unreadable(Position::START.row, &error);
        let file = self.inner.spool.file(self.import.id.as_str()).map_err(|error| broken(error.into()))?;
        let mut rows = Rows::from_start(file).map_err(broken)?;
        let mut block = Block::default();
        rows.only_next(&mut block).map_err(broken)?;
        let header = block.rows().next().map_or(Some(&b""[..]), |row| row.bytes);
        let layout = Layout::read(header, &meaning.integration).map_err(|fault| fault.at_header())?;
        let case = meaning.rules.settings.identifier_case;
        Ok((rows, Judge { layout, case, limits: self.inner.limits }))
    }

    /// The second pass: stores the good rows that are not stored yet.
    fn apply(&self, meaning: &Meaning, validated: u64) -> Result<(), Halt> {
        self.inner.note(&self.import.id, |import| {
            import.state = ImportState::Applying;
            import.fingerprint = validated;
        });
        if meaning.fingerprint != validated {
            return Err(self.changed());
        }
        let import = self.inner.known(&self.import.id).unwrap_or_else(|| self.import.clone());
        self.persist(|| import.records())?;
        let broken = |error: ReadError| Halt::Failed(format!("{error}{}", self.so_far()));
        let opened = self.open(meaning);
        let (_, judge) = opened.map_err(|error| Halt::Failed(format!("{}{}", error.detail, self.so_far())))?;
        let file = self.inner.spool.file(self.import.id.as_str()).and_then(|mut file| {
            file.seek(SeekFrom::Start(import.next.offset))?;
            Ok(file)
        });
        let rows = Rows::from_position(file.map_err(|error| broken(error.into()))?, import.next);
        let declared = &meaning.integration.names;
        std::thread::scope(|scope| {
            // One batch waits while one is read and one is stored.
            let (sender, batches) = sync_channel(1);
            let judge = &judge;
            scope.spawn(move || read_batches(rows, judge, &sender));
            let mut rules = Arc::clone(&meaning.rules);
            for batch in batches {
                self.demand_same(meaning, &mut rules)?;
                self.store(batch.map_err(broken)?, judge, declared)?;
            }
            Ok(())
        })
    }

    /// Ends the job when rows would mean something else by now.
    fn demand_same(&self, meaning: &Meaning, seen: &mut Arc<RuleSet>) -> Result<(), Halt> {
        let live = self.inner.rules.live();
        if live.systems.get(&self.import.system).is_some_and(|rules| Arc::ptr_eq(rules, seen)) {
            return Ok(());
        }
        let now = self.meaning()?;
        if now.fingerprint != meaning.fingerprint {
            return Err(self.changed());
        }
        *seen = now.rules;
        Ok(())
    }

    fn changed(&self) -> Halt {
        Halt::Failed(format!(
            "the integration `{}` was changed while the file was imported: import it again{}",
            self.import.integration,
            self.so_far()
        ))
    }

    /// Stores a batch together with the progress that it is.
    fn store(&self, batch: Batch, judge: &Judge, declared: &Arc<[AttributeName]>) -> Result<(), Halt> {
        let Batch { block, mut sheet, next } = batch;
        let before = self.inner.known(&self.import.id).map_or(0, |import| import.stored);
        loop {
            if self.inner.is_stopping() {
                return Err(Halt::Stopping);
            }
            // Whoever is being deleted is noted before this batch or deleted after it.
            let storing = self.inner.storing.lock();
            self.leave_out_gone(&mut sheet);
            let count = sheet.len() as u64;
            let progress = Progress { stored: before + count, next };
            let update = Update {
                system: self.import.system.clone(),
                integration: self.import.integration.clone(),
                mode: Mode::Replace,
                declared: Arc::clone(declared),
                records: Records::Sheet(sheet),
                idempotency: None,
                beside: vec![progress.record(&self.import.id)?],
            };
            let stored = self.runtime.block_on(self.inner.engine.update(update));
            drop(storing);
            match stored {
                Ok(_) => {
                    metrics::counter!("rollcall_import_rows_total").increment(count);
                    self.inner.note(&self.import.id, |import| {
                        (import.stored, import.next, import.detail) = (progress.stored, next, None);
                    });
                    return Ok(());
                }
                Err(error) => self.wait_out(error)?,
            }
            // The engine keeps what it refuses; that is rare, so the rows are read once more instead of copied each time.
            sheet = judge.sheet(&block);
        }
    }

    /// Leaves out those who were deleted since the upload.
    fn leave_out_gone(&self, sheet: &mut Sheet) {
        let gone = self.inner.known(&self.import.id).map(|import| import.gone).unwrap_or_default();
        if !gone.is_empty() {
            sheet.retain(|id| !gone.contains(&gone_hash(id)));
        }
    }

    /// Waits, if what keeps the engine from writing may pass.
    fn wait_out(&self, error: WriteError) -> Result<(), Halt> {
        match error {
            WriteError::Busy => std::thread::sleep(BUSY),
            WriteError::DiskFull => {
                let detail = format!("waiting: {error}");
                self.inner.note(&self.import.id, |import| import.detail = Some(detail));
                std::thread::sleep(DISK_FULL);
            }
            WriteError::Stopping => return Err(Halt::Stopping),
            WriteError::Failed(reason) => return Err(Halt::StoreFailed(reason)),
            WriteError::KeyReused => return Err(Halt::StoreFailed(error.to_string())),
        }
        if self.inner.is_stopping() { Err(Halt::Stopping) } else { Ok(()) }
    }

    /// Writes records, as soon as the engine takes them.
    fn persist(&self, records: impl Fn() -> Result<Vec<RecordWrite>, StoreError>) -> Result<(), Halt> {
        loop {
            match self.inner.engine.write_records_blocking(records()?) {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_out(error)?,
            }
        }
    }

    /// Writes down how it ended, and removes the file.
    fn finish(&self, state: ImportState, detail: Option<String>) -> Result<(), Halt> {
        let mut import = self.inner.known(&self.import.id).unwrap_or_else(|| self.import.clone());
        (import.state, import.detail, import.finished_at) = (state, detail, Some(self.inner.clock.now()));
        self.persist(|| import.final_records())?;
        self.inner.remove_file(&import.id);
        metrics::counter!("rollcall_imports_total", "outcome" => state.as_str()).increment(1);
        tracing::info!(
            import = %import.id, system = %import.system, integration = %import.integration, outcome = state.as_str(),
            rows_read = import.rows_read, stored = import.stored, rejected = import.rejected, dry_run = import.dry_run,
            detail = import.detail, milliseconds = self.started.elapsed().as_millis() as u64, "an import has ended"
        );
        self.inner.note(&import.id, |known| *known = import.clone());
        Ok(())
    }
}

/// Reads batches until the file ends or nobody wants them any more.
fn read_batches(mut rows: Rows<File>, judge: &Judge, batches: &SyncSender<Result<Batch, ReadError>>) {
    loop {
        let mut block = Block::default();
        let batch = match rows.fill(&mut block) {
            Ok(true) => Ok(Batch { sheet: judge.sheet(&block), block, next: rows.position() }),
            Ok(false) => return,
            Err(error) => Err(error),
        };
        let last = batch.is_err();
        if batches.send(batch).is_err() || last {
            return;
        }
    }
}
