//! Imports as a service: uploads are taken, queued, worked off one at a time on a thread, and kept for a while.
//!
//! Owns what is known of every import, in memory and in the store. Refuses to know of HTTP. Invariants: an import that
//! was answered for survives a crash; one that has ended has no file any more; at most [`KEPT`] that have ended are kept.

use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::errors::{self, ErrorsCsv};
use super::import::{self, Import, ImportId, gone_hash, number_in};
use super::job::Job;
use super::spool::Spool;
use super::upload::UploadError;
use crate::clock::Clock;
use crate::engine::{Engine, WriteError};
use crate::model::{self, EndUserId, IntegrationId, SystemId};
use crate::ruleset::RulesService;
use crate::store::{StoreError, Table};

/// Imports that are kept after their end.
const KEPT: usize = 100;
/// Days after which they go in any case.
const KEPT_DAYS: i64 = 30;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3600 * 1000;
/// How often imports are looked at that may have become too old to keep.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct ImportsOptions {
    /// The folder of uploaded files.
    pub folder: PathBuf,
    /// Longest String value, in bytes.
    pub string_bytes: usize,
    /// Free disk below which uploads are refused, in MiB.
    pub min_free_mib: u64,
}

/// A stretch of an integration's imports, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportPage {
    /// The imports.
    pub imports: Vec<Import>,
    /// Where to go on; `None` at the end.
    pub next_cursor: Option<u64>,
}

/// Takes, works off and keeps imports.
pub struct Imports {
    pub(super) inner: Arc<Inner>,
    /// `None` once it is stopped.
    queue: Mutex<Option<Sender<ImportId>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and everyone else share.
pub(super) struct Inner {
    pub(super) spool: Spool,
    pub(super) engine: Engine,
    pub(super) rules: Arc<RulesService>,
    pub(super) clock: Clock,
    pub(super) limits: model::Limits,
    pub(super) min_free_mib: u64,
    book: Mutex<Book>,
    /// Held while a batch is being stored, and while someone is noted as deleted: see [`Imports::forget`].
    pub(super) storing: Mutex<()>,
    stopping: AtomicBool,
    /// How many files are on their way in.
    pub(super) uploads: AtomicUsize,
}

/// Every import, by number.
#[derive(Default)]
struct Book {
    imports: BTreeMap<u64, Import>,
    /// The last number that was given.
    last: u64,
}

impl Imports {
    /// Takes up what an earlier run left, and starts the thread. Blocks.
    ///
    /// # Errors
    /// [`StoreError`] when the imports can't be read, or the folder can't be used.
    pub fn open(
        options: ImportsOptions,
        engine: Engine,
        rules: Arc<RulesService>,
        clock: Clock,
    ) -> Result<Arc<Self>, StoreError> {
        let in_folder =
            |cause| StoreError::Io { what: format!("using the folder {}", options.folder.display()), cause };
        let spool = Spool::open(options.folder.clone()).map_err(in_folder)?;
        let mut book = Book::default();
        for import in import::read(engine.store().records(Table::Imports)?) {
            let errors = errors::first(&spool.errors(import.id.as_str())).map_err(in_folder)?;
            book.last = book.last.max(import.id.number());
            book.imports.insert(import.id.number(), Import { errors, ..import });
        }
        let unfinished: Vec<ImportId> =
            book.imports.values().filter(|import| !import.state.is_final()).map(|import| import.id.clone()).collect();
        let knows = |id: &str| number_in(id).and_then(|number| book.imports.get(&number));
        let sweeping = spool.sweep(|id| knows(id).is_some_and(|i| !i.state.is_final()), |id| knows(id).is_some());
        sweeping.map_err(in_folder)?;
        let inner = Arc::new(Inner {
            spool,
            engine,
            rules,
            clock,
            limits: model::Limits { string_bytes: options.string_bytes },
            min_free_mib: options.min_free_mib,
            book: Mutex::new(book),
            storing: Mutex::new(()),
            stopping: AtomicBool::new(false),
            uploads: AtomicUsize::new(0),
        });
        let (queue, waiting) = channel();
        for id in unfinished {
            tracing::info!(import = %id, "an import goes on after the restart");
            // The receiver is held below.
            let _ = queue.send(id);
        }
        let working = Arc::clone(&inner);
        let thread = std::thread::Builder::new().name("imports".to_owned()).spawn(move || working.run(&waiting));
        let thread =
            thread.map_err(|cause| StoreError::Io { what: "starting the imports thread".to_owned(), cause })?;
        Ok(Arc::new(Self { inner, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) }))
    }

    /// An import, as it is now.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Import> {
        let book = self.inner.book.lock();
        book.imports.get(&number_in(id)?).filter(|import| import.id.as_str() == id).cloned()
    }

    /// The integration's imports before `cursor` (or the newest), newest first, at most `limit`.
    #[must_use]
    pub fn list(
        &self,
        system: &SystemId,
        integration: &IntegrationId,
        limit: usize,
        cursor: Option<u64>,
    ) -> ImportPage {
        let book = self.inner.book.lock();
        let older = book.imports.range(..cursor.unwrap_or(u64::MAX)).rev().map(|(_, import)| import);
        let mut own = older.filter(|import| import.system == *system && import.integration == *integration);
        let imports: Vec<Import> = own.by_ref().take(limit).cloned().collect();
        let last = imports.last().map(|import| import.id.number());
        ImportPage { imports, next_cursor: last.filter(|_| own.next().is_some()) }
    }

    /// All bad places of an import as CSV, as far as they are known. Reading it blocks.
    ///
    /// # Errors
    /// What the file system answered.
    pub fn errors_csv(&self, id: &ImportId) -> io::Result<ErrorsCsv> {
        ErrorsCsv::open(&self.inner.spool.errors(id.as_str()))
    }

    /// Sees to it that an end user who is about to be deleted does not come back by a file that was uploaded before.
    /// When this returns, no batch with them is on its way to the engine, and no later one will have them.
    pub async fn forget(&self, system: &SystemId, id: &EndUserId) {
        let (inner, system, hash) = (Arc::clone(&self.inner), system.clone(), gone_hash(id.as_str()));
        if !inner.has_unfinished(&system) {
            return;
        }
        if let Err(error) = tokio::task::spawn_blocking(move || inner.forget(&system, hash)).await {
            tracing::error!(%error, "a deleted end user could not be taken out of the imports");
        }
    }

    /// Ends the thread behind the batch that it is at; what is unfinished goes on after a restart. Blocks.
    pub fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Relaxed);
        drop(self.queue.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    /// Notes an import whose file is there, and has it worked off.
    pub(super) fn take(&self, import: Import) -> Result<Import, UploadError> {
        let written = import.records().map_err(|error| WriteError::Failed(error.to_string()));
        written.and_then(|records| self.inner.engine.write_records_blocking(records)).inspect_err(|_| {
            self.inner.remove_file(&import.id);
        })?;
        self.inner.book.lock().imports.insert(import.id.number(), import.clone());
        tracing::info!(
            import = %import.id, system = %import.system, integration = %import.integration, client = import.client,
            bytes = import.bytes, "a file for import was uploaded"
        );
        // When the server is stopping it is taken up after the restart.
        if let Some(queue) = &*self.queue.lock() {
            let _ = queue.send(import.id.clone());
        }
        Ok(import)
    }
}

impl Inner {
    /// Works imports off until the service is stopped.
    fn run(&self, waiting: &Receiver<ImportId>) {
        loop {
            self.prune();
            match waiting.recv_timeout(PRUNE_EVERY) {
                Ok(id) if !self.is_stopping() => self.work_off(&id),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn work_off(&self, id: &ImportId) {
        // A mistake in here must not end the thread, or every later import would wait for ever.
        let work = AssertUnwindSafe(|| Job::new(self, id).map(|job| job.run()));
        match std::panic::catch_unwind(work) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(import = %id, %error, "an import could not be begun"),
            Err(_panic) => {
                tracing::error!(import = %id, "an import panicked; it is tried again after a restart");
                self.note(id, |import| import.detail = Some("the server failed; its log says why".to_owned()));
            }
        }
        // What parsing took is not needed again soon.
        crate::memory::give_back();
    }

    /// Whether the service is asked to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Changes what is known of an import.
    pub(super) fn note(&self, id: &ImportId, change: impl FnOnce(&mut Import)) {
        if let Some(import) = self.book.lock().imports.get_mut(&id.number()) {
            change(import);
        }
    }

    /// What is known of an import.
    pub(super) fn known(&self, id: &ImportId) -> Option<Import> {
        self.book.lock().imports.get(&id.number()).cloned()
    }

    fn has_unfinished(&self, system: &SystemId) -> bool {
        self.book.lock().imports.values().any(|import| import.system == *system && !import.state.is_final())
    }

    /// Notes someone as deleted in every import of that system that is not at its end.
    fn forget(&self, system: &SystemId, hash: u64) {
        let _no_batch = self.storing.lock();
        let mut records = Vec::new();
        let mut book = self.book.lock();
        for import in book.imports.values_mut().filter(|import| import.system == *system && !import.state.is_final()) {
            import.gone.insert(hash);
            records.push(import.gone_record(hash));
        }
        drop(book);
        // A disk that is full must not keep anyone from being deleted.
        if let Err(error) = self.engine.write_records_blocking(records) {
            tracing::warn!(%error, "whom imports are to pass over could not be written down; a restart would forget it");
        }
    }

    /// Removes an uploaded file; if that fails, the next start does it.
    pub(super) fn remove_file(&self, id: &ImportId) {
        if let Err(error) = self.spool.remove_file(id.as_str()) {
            tracing::warn!(import = %id, %error, "an uploaded file could not be removed");
        }
    }

    /// The time in milliseconds, or one more than the last number, whatever the clock does.
    pub(super) fn next_number(&self) -> u64 {
        let mut book = self.book.lock();
        book.last = u64::try_from(self.clock.now().as_millis()).unwrap_or(0).max(book.last + 1);
        book.last
    }

    /// Forgets imports that have ended, beyond the number and the age that are kept.
    fn prune(&self) {
        let oldest = self.clock.now().as_millis() - KEPT_DAYS * DAY;
        let doomed: Vec<Import> = {
            let book = self.book.lock();
            let ended = book.imports.values().rev().filter(|import| import.state.is_final());
            let is_old = |import: &Import| import.finished_at.is_some_and(|at| at.as_millis() < oldest);
            ended.enumerate().filter(|(at, import)| *at >= KEPT || is_old(import)).map(|(_, i)| i.clone()).collect()
        };
        for import in doomed {
            if let Err(error) = self.engine.write_records_blocking(import.removal()) {
                tracing::warn!(%error, import = %import.id, "an old import could not be removed; it is tried again");
                return;
            }
            self.book.lock().imports.remove(&import.id.number());
            if let Err(error) = self.spool.remove_errors(import.id.as_str()) {
                tracing::warn!(%error, import = %import.id, "the errors of an old import could not be removed");
            }
        }
    }
}
