//! Backups: everything that the store holds, as one file, taken beside the running writer.
//!
//! ```text
//! file    one zstd frame with a checksum of its own, over:
//!         magic [16], items
//! item    kind u8, length u32 (LE), that many bytes
//! head    what made it, and when                                                        comes first
//! file    a small file of the data folder, by name
//! piece   key [12], the piece as it is encoded
//! state   the entry that the pieces stand for, and what the engine adds to its manifest
//! record  length of the prefix u16 (LE), prefix, the whole parcel
//! entry   the whole parcel of a journal entry, its number being the label's mark
//! end     xxh3 (128 bits, LE) of all bytes before this item                             comes last
//! ```
//!
//! **One moment, though writers go on.** Pieces come from an immutable snapshot, of entry N. Records are read while others
//! are being written, so each is as it was at N or as some later entry made it. The journal from N to M follows, where M is
//! the last entry after the last record was read. Opening what was restored replays the records' changes of these
//! entries, and entry M carries the records' digest: so a backup is everything up to M, and proves it.
//!
//! No checkpoint is written meanwhile, as it would drop journal entries that are still to be read.

use std::io::{self, Write};

use parking_lot::MutexGuard;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::checkpoint::Shelf;
use super::parcel::{self, Found, Parcels};
use super::{PieceKey, Store, StoreError, codec};

/// What every backup begins with.
pub(super) const MAGIC: &[u8; 16] = b"ROLLCALL BACKUP\n";
/// The format that is written; all up to it are read.
pub(super) const FORMAT: u32 = 1;
/// zstd's level: its own default, which the disk is slower than.
const LEVEL: i32 = 3;

/// The kinds of items.
pub(super) mod kind {
    pub(in super::super) const HEAD: u8 = b'h';
    pub(in super::super) const FILE: u8 = b'f';
    pub(in super::super) const PIECE: u8 = b'p';
    pub(in super::super) const STATE: u8 = b's';
    pub(in super::super) const RECORD: u8 = b'r';
    pub(in super::super) const ENTRY: u8 = b'j';
    pub(in super::super) const END: u8 = b'e';
}

/// What stands at a backup's beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHead {
    /// The format of all that follows.
    pub format: u32,
    /// When it was made, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The version of the program that made it.
    pub program: String,
}

/// A small file beside the store.
#[derive(Serialize, Deserialize)]
pub(super) struct FileItem {
    pub(super) name: String,
    #[serde(with = "serde_bytes")]
    pub(super) bytes: Vec<u8>,
}

/// What the pieces stand for.
#[derive(Serialize, Deserialize)]
pub(super) struct StateItem {
    pub(super) stands_for: u64,
    #[serde(with = "serde_bytes")]
    pub(super) engine: Vec<u8>,
}

/// A backup being written. Dropped without [`Backup::finish`], it is none: it lacks its end.
pub struct Backup<'a, W: Write> {
    store: &'a Store,
    _shelf: MutexGuard<'a, Shelf>,
    out: Items<W>,
}

impl Store {
    /// Begins a backup, at this time. While it is written no checkpoint is; so take what it is to hold (the snapshot)
    /// only now.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::DiskFull`] when it can't be written, [`StoreError::Failed`] on a store that has failed.
    pub fn backup<W: Write>(&self, out: W, at: i64) -> Result<Backup<'_, W>, StoreError> {
        self.usable()?;
        let shelf = self.shelf.lock();
        let mut out = Items::new(out)?;
        let head = BackupHead { format: FORMAT, at, program: env!("CARGO_PKG_VERSION").to_owned() };
        out.put(kind::HEAD, &[&codec::encode(&head)?])?;
        Ok(Backup { store: self, _shelf: shelf, out })
    }
}

impl<W: Write> Backup<'_, W> {
    /// Adds a small file of the data folder.
    ///
    /// # Errors
    /// As [`Store::backup`].
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let item = FileItem { name: name.to_owned(), bytes: bytes.to_owned() };
        self.out.put(kind::FILE, &[&codec::encode(&item)?])
    }

    /// Adds a piece of the live state.
    ///
    /// # Errors
    /// As [`Store::backup`].
    pub fn piece<T: Serialize>(&mut self, key: PieceKey, piece: &T) -> Result<(), StoreError> {
        self.out.put(kind::PIECE, &[&key.prefix(), &codec::encode(piece)?])
    }

    /// Adds records and journal, and ends it; gives back what it was written to, and the entry up to which it goes. The
    /// pieces must hold exactly what the entries up to `stands_for` did.
    ///
    /// # Errors
    /// As [`Store::backup`]; [`StoreError::Damaged`] when records or journal can't be read.
    pub fn finish<M: Serialize>(mut self, stands_for: u64, manifest: &M) -> Result<(W, u64), StoreError> {
        let state = StateItem { stands_for, engine: codec::encode(manifest)? };
        self.out.put(kind::STATE, &[&codec::encode(&state)?])?;
        self.records()?;
        // An entry that is just being written may have changed records already: wait for its end.
        let last = self.store.tail.lock().end.number;
        self.store.usable()?;
        self.entries(stands_for.max(1), last)?;
        Ok((self.out.end()?, last))
    }

    fn records(&mut self) -> Result<(), StoreError> {
        let tree = &self.store.tables.records;
        for found in Parcels::new(tree.iter()) {
            match found? {
                Found::Whole { prefix, bytes, .. } => self.record(&prefix, &bytes)?,
                // Most likely an entry was just replacing its parts: look again while none is being written.
                Found::Broken { prefix, .. } => {
                    let again = {
                        let _still = self.store.tail.lock();
                        parcel::whole(tree, &prefix).map_err(|error| error.in_folder(&self.store.folder))?
                    };
                    if let Some(bytes) = again {
                        self.record(&prefix, &bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, prefix: &[u8], parcel: &[u8]) -> Result<(), StoreError> {
        let length = u16::try_from(prefix.len()).unwrap_or(u16::MAX).to_le_bytes();
        self.out.put(kind::RECORD, &[&length, prefix, parcel])
    }

    fn entries(&mut self, first: u64, last: u64) -> Result<(), StoreError> {
        let mut next = first;
        if first <= last {
            let journal = &self.store.tables.journal;
            for found in Parcels::new(journal.range(parcel::key(&first.to_be_bytes(), 0)..)) {
                match found? {
                    Found::Whole { label, bytes, .. } if label.mark == next => self.out.put(kind::ENTRY, &[&bytes])?,
                    _ => break,
                }
                next += 1;
                if next > last {
                    break;
                }
            }
        }
        if next <= last {
            let what = "a part of the journal can't be read for the backup";
            return Err(StoreError::entries_missing(what, next, last).in_folder(&self.store.folder));
        }
        Ok(())
    }
}

/// Items on their way into the file.
struct Items<W: Write> {
    out: zstd::Encoder<'static, W>,
    sum: Xxh3,
}

fn failed(error: io::Error) -> StoreError {
    StoreError::io("writing the backup", error)
}

impl<W: Write> Items<W> {
    fn new(out: W) -> Result<Self, StoreError> {
        let mut out = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
        out.include_checksum(true).map_err(failed)?;
        let mut items = Self { out, sum: Xxh3::new() };
        items.write(MAGIC)?;
        Ok(items)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.sum.update(bytes);
        self.out.write_all(bytes).map_err(failed)
    }

    fn put(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), StoreError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(bytes).map_err(|_| StoreError::TooLarge { bytes, most: u32::MAX as usize })?;
        self.write(&[kind])?;
        self.write(&length.to_le_bytes())?;
        parts.iter().try_for_each(|part| self.write(part))
    }

    fn end(mut self) -> Result<W, StoreError> {
        let sum = self.sum.digest128().to_le_bytes();
        self.put(kind::END, &[&sum])?;
        self.out.finish().map_err(failed)
    }
}
