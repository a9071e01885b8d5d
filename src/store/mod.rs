//! What is durable: a journal of entries, checkpoints of the live state, small records, and the seal over them.
//!
//! Sole user of sled and rmp-serde. It knows bytes, numbers and checksums, and nothing of what end users, columns or
//! accounts are: the engine gives it entries and pieces and gets the same back.
//!
//! ```text
//! DATA/lock                held while a process has the store open; its process id
//! DATA/seal                what was acknowledged last (see `seal`)
//! DATA/swapping            while a restored store takes the place of the one that was there (see `swap`)
//! DATA/store/              sled's folder, with four trees:
//!     journal              entries, numbered and chained (see `journal`)
//!     pieces               the live state in chunks of columns (see `checkpoint`)
//!     records              small records by table and key (see `records`)
//!     meta                 the format, and the manifest of the last checkpoint
//! ```
//!
//! Every value in a tree is cut into small parts and carries a checksum (see `parcel`).
//!
//! Invariants:
//! - When [`Store::append`] answers `Ok`, the entry survives a killed process and a power cut: sled's `flush` writes, and
//!   an `fdatasync` on a handle of our own makes durable, because on Linux sled's flush is none.
//! - A store opens with everything that was acknowledged, or not at all. What proves it: the seal gives the last entry
//!   and checkpoint; entries are chained; the manifest lists every piece's checksum; entries carry the records' digest.
//! - After a failed write or sync nothing is acknowledged on that handle any more. What was written may or may not be on
//!   disk; opening the store anew finds out. Reading goes on.
//! - sled's `blobs/` folder stays empty, because sled never syncs it.

mod backup;
mod checkpoint;
mod codec;
mod entry;
mod error;
mod fence;
mod journal;
mod open;
mod parcel;
mod records;
mod restore;
mod seal;
mod swap;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::de::DeserializeOwned;

pub use backup::{Backup, BackupHead};
pub use checkpoint::{Checkpoint, PieceKey};
pub use codec::{decode, encode};
pub use entry::{Cause, Cell, ColumnNo, Entry, Op, RowNo, SystemNo, Table};
pub use error::StoreError;
pub use records::KeyValue;
pub use restore::{BackupSummary, Restored, SmallFile, read_backup, restore};
pub use swap::{Aside, FolderLock, RESTORING, has_store, lock_folder, swap};

use checkpoint::{Manifest, Shelf, Staged};
use fence::fenced;
use journal::End;
use seal::{Seal, Sealed};

/// Free disk below which nothing is begun: sled writes segments of 512 KiB, and some at once.
const RESERVE: u64 = 2 << 20;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The size of sled's page cache, in MiB.
    pub cache_mib: u64,
}

/// The open store.
pub struct Store {
    folder: PathBuf,
    tables: Arc<Tables>,
    /// Our own handle of sled's data file, to sync it.
    data: File,
    tail: Mutex<Tail>,
    /// The last entry's buffer.
    spare: Mutex<Vec<u8>>,
    /// The last entry's number, for whoever must not wait for a commit.
    last: AtomicU64,
    shelf: Mutex<Shelf>,
    /// The pieces that opening read, until they are asked for.
    staged: Mutex<Option<Staged>>,
    failure: OnceLock<String>,
    _lock: File,
}

/// sled and its trees.
struct Tables {
    db: sled::Db,
    journal: sled::Tree,
    records: sled::Tree,
    pieces: sled::Tree,
    meta: sled::Tree,
}

/// The journal's end and the seal on it.
struct Tail {
    end: End,
    seal: Seal,
}

impl Store {
    /// Opens the store in a folder, or makes one there. It never panics, and never opens a store that lacks anything
    /// that was acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Damaged`], [`StoreError::TooNew`], or what the file system answered.
    pub fn open(folder: &Path, options: &Options) -> Result<Self, StoreError> {
        let opened = open::open(folder, options).map_err(|error| error.in_folder(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            tables: Arc::new(opened.tables),
            data: opened.data,
            last: AtomicU64::new(opened.end.number),
            tail: Mutex::new(Tail { end: opened.end, seal: opened.seal }),
            spare: Mutex::default(),
            shelf: Mutex::new(opened.shelf),
            staged: Mutex::new(Some(opened.staged).filter(|staged| !staged.is_empty())),
            failure: OnceLock::new(),
            _lock: opened.lock,
        })
    }

    /// Whether nothing was ever committed.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.last() == 0
    }

    /// The number of the last durable journal entry; 0: none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The last completed checkpoint: the entry that it stands for, and what the engine put into its manifest.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or [`StoreError::Form`] when the manifest holds something else than `M`.
    pub fn manifest<M: DeserializeOwned>(&self) -> Result<Option<(u64, M)>, StoreError> {
        let _shelf = self.shelf.lock();
        let manifest = Manifest::load(&self.tables.meta).map_err(|error| error.in_folder(&self.folder))?;
        manifest.map(|(manifest, _)| Ok((manifest.stands_for, manifest.engine()?))).transpose()
    }

    /// Reads every piece of the last checkpoint, in key order, and proves that all are there. A piece may already hold
    /// what entries after the checkpoint did to it. `each` must not begin a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Form`] when a piece holds something else than `T`, and what `each` answers.
    pub fn pieces<T: DeserializeOwned>(
        &self,
        mut each: impl FnMut(PieceKey, T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut decoded = |key, bytes: &[u8]| each(key, decode(bytes)?);
        let staged = self.staged.lock().take();
        let read = match staged {
            Some(staged) => staged.each(&mut decoded),
            None => self.shelf.lock().read(&self.tables.pieces, decoded),
        };
        read.map_err(|error| error.in_folder(&self.folder))
    }

    /// Reads every entry after the one numbered `after`, in order. `each` must not begin a checkpoint.
    ///
    /// # Errors
    /// [`StoreError::NotHeld`] when the journal does not go back so far, [`StoreError::Damaged`], and what `each` answers.
    pub fn replay(
        &self,
        after: u64,
        mut each: impl FnMut(u64, Entry) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Held to the end, so that no checkpoint drops what is being read.
        let shelf = self.shelf.lock();
        let (dropped, last) = (shelf.dropped, self.last());
        if !(dropped..=last).contains(&after) {
            return Err(StoreError::NotHeld { after, first: dropped + 1, last });
        }
        if after == last {
            return Ok(());
        }
        let chain =
            journal::walk(&self.tables.journal, after + 1..=last, |written| each(written.end.number, written.entry()?));
        let end = chain.map_err(|error| error.in_folder(&self.folder))?.end.number;
        if end == last {
            return Ok(());
        }
        Err(StoreError::entries_missing("the journal can't be read to its end", end + 1, last).in_folder(&self.folder))
    }

    /// Writes an entry behind the one numbered `after`; its number. It is durable when this returns `Ok`, and the
    /// records that it changes are changed.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] when `after` is not the last entry, [`StoreError::TooLarge`], [`StoreError::Form`], and
    /// [`StoreError::DiskFull`] while [`Store::failed`] is none: then nothing was written. Any other error means that the entry may or may not be on disk, and that this handle
    /// has failed:
    /// [`StoreError::DiskFull`], [`StoreError::Io`], [`StoreError::Damaged`], and [`StoreError::Failed`] from then on.
    pub fn append(&self, after: u64, entry: &Entry) -> Result<u64, StoreError> {
        self.usable()?;
        let draft = journal::draft(entry, std::mem::take(&mut *self.spare.lock()))?;
        let mut tail = self.tail.lock();
        if tail.end.number != after {
            return Err(StoreError::Superseded { after, last: tail.end.number });
        }
        let (records, digest) = match draft.changes_records {
            true => {
                self.plan_records(after + 1, entry, tail.end.digest).map(|(writes, digest)| (Some(writes), digest))?
            }
            false => (None, tail.end.digest),
        };
        let linked = draft.link(tail.end, digest)?;
        self.room_for(linked.size(), "writing to the journal")?;
        let end = linked.end;
        self.write("writing to the journal", |tables| {
            linked.write(&tables.journal)?;
            records.map_or(Ok(()), |writes| writes.apply(&tables.records))
        })?;
        *self.spare.lock() = linked.into_buffer();
        self.sync()?;
        tail.end = end;
        let sealed = Sealed { entry: end.number, sum: end.sum, ..tail.seal.now() };
        tail.seal.write(sealed, false).map_err(|error| self.fail(StoreError::io("writing the seal", error)))?;
        self.last.store(end.number, Ordering::Release);
        Ok(end.number)
    }

    /// Begins a checkpoint, which is written chunk by chunk beside appends from another thread. A second one waits for
    /// the first to be dropped.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint<'_> {
        let shelf = self.shelf.lock();
        // What opening read is about to be replaced.
        drop(self.staged.lock().take());
        Checkpoint::new(self, shelf)
    }

    /// A record's value.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], and what the file system answered.
    pub fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_records(|tree| records::get(tree, table, key))
    }

    /// All records of a table with their keys, by key.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub fn records(&self, table: Table) -> Result<Vec<KeyValue>, StoreError> {
        self.read_records(|tree| records::list(tree, table))
    }

    /// The first `most` records of a table from a key on, that one included: by the key's length, then by its bytes.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub fn records_from(&self, table: Table, from: &[u8], most: usize) -> Result<Vec<KeyValue>, StoreError> {
        self.read_records(|tree| records::list_from(tree, table, from, most))
    }

    /// Refuses what the disk may not have room for, before anything of it is written: a write that fails in the middle
    /// would end this handle, and what is refused here may simply be tried again.
    fn room_for(&self, bytes: usize, what: &str) -> Result<(), StoreError> {
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < RESERVE + 3 * bytes as u64 {
            return Err(StoreError::DiskFull { what: what.to_owned() });
        }
        Ok(())
    }

    /// Why nothing is acknowledged on this handle any more, once a write or a sync has failed.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        let died = || fence::broken().then(|| "one of sled's threads has died, see the log".to_owned());
        self.failure.get().cloned().or_else(died)
    }

    /// Bytes of the store on disk.
    #[must_use]
    pub fn size_on_disk(&self) -> u64 {
        self.data.metadata().map_or(0, |data| data.len())
    }

    /// Room left on the store's disk, in MiB, as far as the system tells.
    #[must_use]
    pub fn free_mib(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
    }

    /// What an entry makes of the records, and their digest after it.
    fn plan_records(&self, number: u64, entry: &Entry, digest: u64) -> Result<(records::Writes, u64), StoreError> {
        let mut changes = records::Changes::new();
        records::collect(&mut changes, number, entry)?;
        records::plan(&self.tables.records, &changes, digest).map_err(|error| match error {
            StoreError::TooLarge { .. } => error,
            other => self.fail(other),
        })
    }

    /// Reads records. A record whose parts an append was just replacing looks damaged, so what looks so is read once
    /// more while no append is under way.
    fn read_records<T>(&self, read: impl Fn(&sled::Tree) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let found = match read(&self.tables.records) {
            Err(StoreError::Damaged { .. }) => {
                let _still = self.tail.lock();
                read(&self.tables.records)
            }
            other => other,
        };
        found.map_err(|error| error.in_folder(&self.folder))
    }

    /// Refuses on a handle that has failed.
    fn usable(&self) -> Result<(), StoreError> {
        self.failed().map_or(Ok(()), |why| Err(StoreError::Failed(why)))
    }

    /// Notes that a write failed: nothing is acknowledged from now on.
    fn fail(&self, error: StoreError) -> StoreError {
        let error = error.in_folder(&self.folder);
        tracing::error!(%error, "the store takes no more writes");
        // Only the first failure is told.
        let _ = self.failure.set(error.to_string());
        error
    }

    /// Does something to the tables; if it fails, the handle has failed.
    fn guarded(&self, work: impl FnOnce(&Tables) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.usable()?;
        work(&self.tables).map_err(|error| self.fail(error))
    }

    /// Writes to sled; if that fails, the handle has failed.
    fn write(&self, what: &str, work: impl FnOnce(&Tables) -> sled::Result<()>) -> Result<(), StoreError> {
        self.guarded(|tables| fenced(what, || work(tables)))
    }

    /// Makes durable what was written before.
    fn sync(&self) -> Result<(), StoreError> {
        self.write("writing to the store", |tables| tables.db.flush().map(drop))?;
        self.data.sync_data().map_err(|error| self.fail(StoreError::io("syncing the store", error)))
    }

    /// Seals a checkpoint.
    fn seal_checkpoint(&self, checkpoint: u64) -> Result<(), StoreError> {
        let mut tail = self.tail.lock();
        let sealed = Sealed { entry: tail.end.number, sum: tail.end.sum, checkpoint };
        tail.seal.write(sealed, true).map_err(|error| self.fail(StoreError::io("writing the seal", error)))
    }
}

impl Drop for Store {
    /// Syncs a last time. sled does so too when it is dropped, and panics if it can't; so after a failure that sled does
    /// not know of (then it would write nothing more) it is left open until the process ends.
    fn drop(&mut self) {
        let synced = self.failed().is_none() && self.sync().is_ok();
        if !synced && self.tables.db.context.global_error().is_ok() {
            std::mem::forget(Arc::clone(&self.tables));
        }
    }
}
