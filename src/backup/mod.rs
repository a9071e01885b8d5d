//! Backups: made while the server runs, kept for a while, and made into a store again.
//!
//! Owns where they go, what they are called, how many are kept and when the next one is due; `store` owns what is in them.
//! Invariants: under a backup's name there is a whole backup or nothing; what is no backup of ours is never removed; one is
//! made at a time.
//!
//! **The secret key.** Without it a store is of no use, so a backup that stays with the server has it, as long as it is a
//! file of the data folder. Who asks for one over the network gets it only if everything is allowed to them anyway: with
//! the key, anybody could make tokens for everything.

mod kept;
mod restore;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

pub use crate::store::{BackupSummary, read_backup};
pub use restore::{RestoreError, Restored, compact, restore};

use crate::accounts::{KEY_FILE, KEY_VARIABLE};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::engine::{Contents, Engine};
use crate::model::Timestamp;
use crate::store::StoreError;

/// How often it is looked whether a backup is due.
const TICK: Duration = Duration::from_secs(30);
/// After how long one that failed is tried again.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// When the last backup in a folder was made.
#[must_use]
pub fn last_in(folder: &Path) -> Option<Timestamp> {
    kept::last(folder)
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is not said where backups go.
    #[error(
        "no folder is set for backups: add [backup] to the configuration, or have it sent (`rollcall backup FILE`)"
    )]
    NoFolder,
    /// Another one is being made.
    #[error("another backup is just being made: try again when it is done")]
    Running,
    /// The disk would fall below its floor.
    #[error("free disk is below `storage.min_free_mib`: make room first")]
    DiskFull,
    /// The store takes part in nothing any more.
    #[error("the store has failed: restart the server first")]
    StoreFailed,
    /// The store can't be read, or the file can't be written.
    #[error(transparent)]
    Store(StoreError),
    /// The file system answered with an error.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// The file system's answer.
        cause: io::Error,
    },
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull { .. } => Self::DiskFull,
            StoreError::Failed(_) => Self::StoreFailed,
            other => Self::Store(other),
        }
    }
}

/// A backup that was made.
#[derive(Debug)]
pub struct Made<T> {
    /// Where it is.
    pub place: T,
    /// Its size.
    pub bytes: u64,
    /// What is in it.
    pub contents: Contents,
    /// Whether the secret key is in it.
    pub has_key: bool,
}

/// Makes backups and keeps them.
pub struct Backups {
    engine: Engine,
    clock: Clock,
    data: PathBuf,
    settings: Option<config::Backup>,
    /// Whether the secret key is a file of the data folder, and not set from outside.
    key_is_file: bool,
    making: Mutex<()>,
}

impl Backups {
    /// The backups of a server.
    #[must_use]
    pub fn new(engine: Engine, config: &Config, clock: Clock, env: &dyn Fn(&str) -> Option<String>) -> Arc<Self> {
        Arc::new(Self {
            engine,
            clock,
            data: config.storage.path.clone(),
            settings: config.backup.clone(),
            key_is_file: env(KEY_VARIABLE).is_none(),
            making: Mutex::new(()),
        })
    }

    /// Makes a backup in the folder for backups, and drops those that are too many. Blocks.
    ///
    /// # Errors
    /// [`BackupError`]; then there is no file.
    pub fn make(&self) -> Result<Made<PathBuf>, BackupError> {
        let settings = self.settings.as_ref().ok_or(BackupError::NoFolder)?;
        let _making = self.begin()?;
        let begun = Instant::now();
        let made = self.write(&settings.folder).inspect_err(|error| {
            metrics::counter!("rollcall_backup_failures_total").increment(1);
            tracing::error!(%error, folder = %settings.folder.display(), "a backup failed");
        })?;
        metrics::gauge!("rollcall_backup_last_success_seconds").set(self.clock.now().as_millis() as f64 / 1000.0);
        tracing::info!(
            file = %made.place.display(), bytes = made.bytes, commit = made.contents.commit,
            end_users = made.contents.total(), milliseconds = begun.elapsed().as_millis() as u64, "backup made"
        );
        kept::drop_surplus(&settings.folder, settings.keep);
        Ok(made)
    }

    /// Makes a backup that is sent to somebody: a file without a name, at its beginning. Blocks.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn spool(&self, with_key: bool) -> Result<Made<File>, BackupError> {
        let _making = self.begin()?;
        let path = self.data.join("backup.spool");
        let io = |cause| BackupError::Io { what: format!("writing {}", path.display()), cause };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(io)?;
        // Without a name, nothing of it stays behind, however this ends.
        fs::remove_file(&path).map_err(io)?;
        let (mut file, contents, has_key) = self.write_to(file, with_key)?;
        let bytes = file.stream_position().map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        Ok(Made { place: file, bytes, contents, has_key })
    }

    /// Makes backups when they are due, until the server ends. Blocks a thread of its own.
    pub fn keep_up(self: &Arc<Self>, mut pause: impl FnMut(Duration) -> bool) {
        let Some(settings) = self.settings.clone() else { return };
        let mut failed: Option<Instant> = None;
        loop {
            let waits = failed.is_some_and(|at| at.elapsed() < AGAIN);
            if !waits && kept::is_due(&settings.folder, settings.every_hours, self.clock.now()) {
                failed = self.make().is_err().then(Instant::now);
            }
            if !pause(TICK) {
                return;
            }
        }
    }

    fn begin(&self) -> Result<parking_lot::MutexGuard<'_, ()>, BackupError> {
        let making = self.making.try_lock().ok_or(BackupError::Running)?;
        if self.engine.status().disk_full { Err(BackupError::DiskFull) } else { Ok(making) }
    }

    /// Writes one under a name of its own: beside its place, synced, then renamed.
    fn write(&self, folder: &Path) -> Result<Made<PathBuf>, BackupError> {
        let io = |what: &Path| {
            let what = format!("writing {}", what.display());
            move |cause| BackupError::Io { what, cause }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
        kept::drop_drafts(folder);
        let path = folder.join(kept::name_at(self.clock.now()));
        let draft = kept::draft_of(&path);
        let made = (|| {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(io(&draft))?;
            let (mut file, contents, has_key) = self.write_to(file, true)?;
            let bytes = file.stream_position().map_err(io(&draft))?;
            file.sync_all().map_err(io(&draft))?;
            fs::rename(&draft, &path).map_err(io(&path))?;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))?;
            Ok(Made { place: path.clone(), bytes, contents, has_key })
        })();
        if made.is_err() {
            // Half a backup is of no use to anybody.
            let _ = fs::remove_file(&draft);
        }
        made
    }

    fn write_to(&self, file: File, with_key: bool) -> Result<(File, Contents, bool), BackupError> {
        let io = |what: &str| {
            let what = what.to_owned();
            move |cause| BackupError::Io { what, cause }
        };
        let mut files = Vec::new();
        if with_key && self.key_is_file {
            let path = self.data.join(KEY_FILE);
            match fs::read(&path) {
                Ok(key) => files.push((KEY_FILE.to_owned(), key)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io("reading the secret key")(error)),
            }
        }
        let (mut out, contents) = self.engine.backup(BufWriter::new(file), &files)?;
        out.flush().map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::DiskFull,
            _ => io("writing the backup")(error),
        })?;
        let file = out.into_inner().map_err(|error| io("writing the backup")(error.into_error()))?;
        Ok((file, contents, !files.is_empty()))
    }
}
