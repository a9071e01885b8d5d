//! From a backup to a store in its place, and from a store to a compact one.
//!
//! The new store is made beside the one that is there, opened and loaded whole, and only then put into its place. What it
//! replaces is kept in a folder of its own. The data folder is locked throughout, so no server runs on it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use crate::clock::Clock;
use crate::engine::{Contents, Engine, EngineOptions, inspect};
use crate::model::Timestamp;
use crate::store::{self, Aside, BackupHead, FolderLock, Options, RESTORING, Store, StoreError};

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is a store already.
    #[error(
        "there is a store in {} already: `--replace` puts the backup in its place and keeps it in a folder beside", .0.display()
    )]
    Exists(PathBuf),
    /// There is nothing to compact.
    #[error("there is no store in {} (`storage.path`)", .0.display())]
    NoStore(PathBuf),
    /// The backup can't be used, or the store can't be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system answered with an error.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// The file system's answer.
        cause: io::Error,
    },
}

/// A backup that has become the store.
#[derive(Debug)]
pub struct Restored {
    /// When and by what it was made.
    pub head: BackupHead,
    /// What is in it.
    pub contents: Contents,
    /// Whether the secret key was in it.
    pub has_key: bool,
    /// Where that is kept which was there before.
    pub aside: Option<PathBuf>,
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> RestoreError {
    let what = what.into();
    move |cause| RestoreError::Io { what, cause }
}

/// Puts a backup in the place of the store in a data folder.
///
/// # Errors
/// [`RestoreError`]; then what was there is there still.
pub fn restore(backup: &Path, data: &Path, replace: bool, now: Timestamp) -> Result<Restored, RestoreError> {
    let file = File::open(backup).map_err(io_error(format!("opening {}", backup.display())))?;
    let held = store::lock_folder(data)?;
    let had_one = store::has_store(data);
    if had_one && !replace {
        return Err(RestoreError::Exists(data.to_owned()));
    }
    let new = fresh(data)?;
    let made = make(&new, BufReader::new(file)).inspect_err(|_| discard(&new))?;
    for (name, content) in &made.files {
        write_private(&new.join(name), content).map_err(io_error(format!("writing {name}")))?;
    }
    let aside = aside_name(now);
    store::swap(data, &held, Aside::Kept(&aside))?;
    let aside = Some(data.join(aside)).filter(|aside| aside.exists());
    Ok(Restored { head: made.head, contents: made.contents, has_key: !made.files.is_empty(), aside })
}

/// Writes the store anew, without what was deleted and what sled keeps of old versions; gives what is in it, and the
/// bytes on disk before and after.
///
/// # Errors
/// [`RestoreError`]; then what was there is there still.
pub fn compact(data: &Path, cache_mib: u64, clock: &Clock) -> Result<(Contents, u64, u64), RestoreError> {
    if !store::has_store(data) {
        return Err(RestoreError::NoStore(data.to_owned()));
    }
    let opened = Store::open(data, &Options { cache_mib })?;
    let before = opened.size_on_disk();
    let engine = Engine::start(opened, clock.clone(), &EngineOptions { min_free_mib: 0 })?;
    // Its last checkpoint also drops what is told of those who were deleted.
    engine.stop();
    let new = fresh(data)?;
    let made = copy(&engine, &new).inspect_err(|_| discard(&new))?;
    let held = exchange_locks(engine, data)?;
    // What was deleted is gone from the disk when it ends, also when somebody else has to end it after a crash.
    store::swap(data, &held, Aside::Removed)?;
    let after = fs::metadata(data.join("store/db")).map_or(0, |file| file.len());
    Ok((made.contents, before, after))
}

/// Sends a backup of the engine straight into a new store.
fn copy(engine: &Engine, new: &Path) -> Result<Remade, RestoreError> {
    let (from, to) = io::pipe().map_err(io_error("making a pipe"))?;
    thread::scope(|scope| {
        let writer = scope.spawn(move || -> Result<(), RestoreError> {
            let (mut out, _) = engine.backup_without_past(BufWriter::new(to))?;
            out.flush().map_err(io_error("copying the store"))
        });
        let made = make(new, BufReader::new(from));
        match writer.join() {
            // What went wrong at its source says more than what was missed for it.
            Ok(Err(error)) if !matches!(made, Err(RestoreError::Store(StoreError::DiskFull { .. }))) => Err(error),
            _ => made,
        }
    })
}

/// Lets the engine's store go and locks its folder again at once.
fn exchange_locks(engine: Engine, data: &Path) -> Result<FolderLock, RestoreError> {
    drop(engine);
    Ok(store::lock_folder(data)?)
}

/// A store made of a backup, and proven.
struct Remade {
    head: BackupHead,
    files: Vec<(String, Vec<u8>)>,
    contents: Contents,
}

fn make(new: &Path, from: impl io::Read) -> Result<Remade, RestoreError> {
    let store::Restored { head, files, .. } = store::restore(new, from)?;
    let opened = Store::open(new, &Options { cache_mib: 64 })?;
    let contents = inspect(&opened)?;
    Ok(Remade { head, files, contents })
}

/// The empty folder in which the new store is made.
fn fresh(data: &Path) -> Result<PathBuf, RestoreError> {
    let new = data.join(RESTORING);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(format!("removing what an earlier try left in {}", new.display()))(error))
        }
        _ => Ok(new),
    }
}

fn discard(new: &Path) {
    // The next try removes it first.
    let _ = fs::remove_dir_all(new);
}

fn aside_name(now: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    format!("before-restore-{}", moment.strftime("%Y%m%dT%H%M%S%3fZ"))
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
