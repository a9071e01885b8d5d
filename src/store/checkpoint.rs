//! Checkpoints: the live state in pieces, and the manifest that says which pieces stand for it.
//!
//! ```text
//! pieces    system u32, chunk u32, column u32 (BE)    a parcel each, marked with the checkpoint that wrote it
//! manifest  one parcel: checkpoint, the entry that it stands for, every piece's label, the engine's own part
//! ```
//!
//! A checkpoint rewrites pieces in place while the manifest before it still holds. That is right because entries are
//! physical and idempotent, and a replay begins at the entry that the valid manifest stands for: a piece may be newer
//! than its manifest, never older. So pieces that a manifest lists must be there exactly as listed, or rewritten by
//! the checkpoint after it; pieces that it does not list are left-overs of an unfinished checkpoint or of an unfinished
//! removal, and are neither read nor kept. Nothing is removed before the new manifest is durable.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::MutexGuard;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sled::{Batch, Tree};

use super::journal::{self, WINDOW};
use super::parcel::{self, Found, HEADER, Label, Parcels, take};
use super::{ColumnNo, Store, StoreError, SystemNo, codec};

/// Bytes of pieces between two syncs. sled writes a freed segment (512 KiB) again once what replaced it was written,
/// synced or not; syncing more often than it fills a segment keeps a power cut from taking both.
const SYNC_EVERY: usize = 256 * 1024;
/// Bytes of pieces that are written together, about: each batch costs sled two writes and a round of waking its threads,
/// whatever is in it, but appends wait while it is applied. In tests a few pieces fill it.
const BATCH_BYTES: usize = if cfg!(test) { 500 } else { 32 * 1024 };
const MANIFEST: &[u8] = b"manifest";

/// One column of one chunk of one system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct PieceKey {
    /// The system.
    pub system: SystemNo,
    /// The chunk of rows.
    pub chunk: u32,
    /// The column.
    pub column: ColumnNo,
}

impl PieceKey {
    pub(super) fn prefix(self) -> [u8; 12] {
        let mut prefix = [0; 12];
        let numbers = [self.system, self.chunk, self.column];
        for (to, from) in prefix.iter_mut().zip(numbers.into_iter().flat_map(u32::to_be_bytes)) {
            *to = from;
        }
        prefix
    }
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut number = || Some(u32::from_be_bytes(take(bytes)?));
        Some(Self { system: number()?, chunk: number()?, column: number()? })
    }
}

/// The manifest as it is stored.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Manifest {
    /// How many checkpoints there were with this one.
    pub(super) checkpoint: u64,
    /// The last journal entry that it stands for.
    pub(super) stands_for: u64,
    /// The last journal entry that was dropped.
    pub(super) dropped: u64,
    /// The labels of all pieces: 12 bytes of key, sum u64, mark u64, parts u16 (LE) each.
    #[serde(with = "serde_bytes")]
    pieces: Vec<u8>,
    /// What the engine adds.
    #[serde(with = "serde_bytes")]
    engine: Vec<u8>,
}

impl Manifest {
    /// The stored manifest, if there is one.
    pub(super) fn load(meta: &Tree) -> Result<Option<(Self, Label)>, StoreError> {
        let Some((label, bytes)) = parcel::get(meta, MANIFEST)? else { return Ok(None) };
        Ok(Some((codec::decode(&bytes)?, label)))
    }
    /// The manifest of pieces that come from a backup; the journal begins with the entry that they stand for.
    pub(super) fn restored(
        checkpoint: u64,
        stands_for: u64,
        pieces: &BTreeMap<PieceKey, Label>,
        engine: Vec<u8>,
    ) -> Self {
        let pieces = list(pieces.iter().map(|(key, label)| (*key, *label)));
        Self { checkpoint, stands_for, dropped: stands_for.saturating_sub(1), pieces, engine }
    }
    /// What writes it where there is none.
    pub(super) fn pack_new(&self) -> Result<Batch, StoreError> {
        self.pack(0).map(|(batch, _)| batch)
    }
    /// What the engine put into it.
    pub(super) fn engine<M: DeserializeOwned>(&self) -> Result<M, StoreError> {
        codec::decode(&self.engine)
    }
    fn pack(&self, old: u16) -> Result<(Batch, u16), StoreError> {
        let mut bytes = parcel::buffer();
        codec::encode_into(&mut bytes, self)?;
        let packed = parcel::pack(MANIFEST, self.checkpoint, bytes)?;
        let mut batch = Batch::default();
        packed.put(&mut batch, MANIFEST, old);
        Ok((batch, packed.label.parts))
    }
}

/// A piece on disk.
struct Held {
    label: Label,
    /// Whether the next manifest lists it.
    listed: bool,
}

/// Bytes of a block of staged pieces, about: large enough to be given back whole.
const BLOCK: usize = 4 << 20;

/// The pieces as they were read, in blocks that are freed one by one as they are used.
#[derive(Default)]
pub(super) struct Staged(VecDeque<Block>);

#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// Each piece's key, and where it ends in the bytes.
    ends: Vec<(PieceKey, usize)>,
}

impl Staged {
    /// Reads every piece that stands for the state, and proves them all.
    pub(super) fn read(shelf: &mut Shelf, tree: &Tree) -> Result<Self, StoreError> {
        let mut staged = Self::default();
        shelf.read(tree, |key, bytes| {
            staged.add(key, bytes);
            Ok(())
        })?;
        Ok(staged)
    }
    fn add(&mut self, key: PieceKey, bytes: &[u8]) {
        if self.0.back().is_none_or(|block| block.bytes.len() + bytes.len() > BLOCK) {
            self.0.push_back(Block { bytes: Vec::with_capacity(BLOCK), ends: Vec::new() });
        }
        if let Some(block) = self.0.back_mut() {
            block.bytes.extend_from_slice(bytes);
            block.ends.push((key, block.bytes.len()));
        }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(super) fn each(
        self,
        mut each: impl FnMut(PieceKey, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.0.into_iter().try_for_each(|block| {
            let mut start = 0;
            block.ends.iter().try_for_each(|(key, end)| {
                let bytes = block.bytes.get(start..*end).unwrap_or_default();
                start = *end;
                each(*key, bytes)
            })
        })
    }
}

/// What is known of the pieces on disk.
#[derive(Default)]
pub(super) struct Shelf {
    pieces: BTreeMap<PieceKey, Held>,
    /// Whether the pieces on disk were read, so that `pieces` also has those that no manifest lists.
    surveyed: bool,
    pub(super) checkpoint: u64,
    pub(super) stands_for: u64,
    pub(super) dropped: u64,
    manifest_parts: u16,
}

impl Shelf {
    /// From the manifest, as far as there is one.
    pub(super) fn of(manifest: Option<(Manifest, Label)>) -> Result<Self, StoreError> {
        let Some((manifest, label)) = manifest else { return Ok(Self::default()) };
        let mut pieces = BTreeMap::new();
        let mut rest = manifest.pieces.as_slice();
        while !rest.is_empty() {
            let mut item = || {
                let key = PieceKey::read(&mut rest)?;
                let mut number = || Some(u64::from_le_bytes(take(&mut rest)?));
                let (sum, mark) = (number()?, number()?);
                Some((key, Label { sum, mark, parts: u16::from_le_bytes(take(&mut rest)?) }))
            };
            let (key, label) = item().ok_or_else(|| StoreError::Form("the manifest's list of pieces".to_owned()))?;
            pieces.insert(key, Held { label, listed: true });
        }
        let Manifest { checkpoint, stands_for, dropped, .. } = manifest;
        Ok(Self { pieces, surveyed: false, checkpoint, stands_for, dropped, manifest_parts: label.parts })
    }

    /// Reads every piece that stands for the state, in key order, and proves that none is missing or older than listed.
    pub(super) fn read(
        &mut self,
        tree: &Tree,
        mut each: impl FnMut(PieceKey, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut met = 0;
        for found in Parcels::new(tree.iter()) {
            let (prefix, whole) = match found? {
                Found::Whole { prefix, label, bytes } => (prefix, Ok((label, bytes))),
                Found::Broken { prefix, why } => (prefix, Err(why)),
            };
            let key = PieceKey::read(&mut &*prefix).filter(|key| key.prefix() == *prefix);
            let key = key.ok_or_else(|| StoreError::damaged("a piece of a checkpoint has no key", "that piece"))?;
            let (label, bytes) = whole.map_err(|why| damaged_piece(key, why))?;
            match self.pieces.get_mut(&key) {
                Some(held) if held.listed => {
                    if held.label != label && label.mark <= self.checkpoint {
                        return Err(damaged_piece(key, "not the version that the checkpoint wrote"));
                    }
                    held.label = label;
                    met += 1;
                    each(key, bytes.get(HEADER..).unwrap_or_default())?;
                }
                _ => {
                    self.pieces.insert(key, Held { label, listed: false });
                }
            }
        }
        let listed = self.pieces.values().filter(|held| held.listed).count();
        if met < listed {
            return Err(StoreError::damaged(
                "the last checkpoint is not complete",
                format!("{} of its {listed} pieces", listed - met),
            ));
        }
        self.surveyed = true;
        Ok(())
    }

    fn list(&self) -> Vec<u8> {
        list(self.pieces.iter().filter(|(_, held)| held.listed).map(|(key, held)| (*key, held.label)))
    }
}

/// The labels of pieces, as a manifest has them.
fn list(pieces: impl Iterator<Item = (PieceKey, Label)>) -> Vec<u8> {
    let mut list = Vec::new();
    for (key, label) in pieces {
        list.extend_from_slice(&key.prefix());
        list.extend_from_slice(&label.sum.to_le_bytes());
        list.extend_from_slice(&label.mark.to_le_bytes());
        list.extend_from_slice(&label.parts.to_le_bytes());
    }
    list
}

fn damaged_piece(key: PieceKey, why: &str) -> StoreError {
    let PieceKey { system, chunk, column } = key;
    StoreError::damaged(
        format!("a piece of the last checkpoint is {why}"),
        format!("column {column} of chunk {chunk} of system {system}"),
    )
}

/// A checkpoint being written, beside appends from another thread. Dropped without [`Checkpoint::finish`], it leaves the
/// one before it valid.
pub struct Checkpoint<'a> {
    store: &'a Store,
    shelf: MutexGuard<'a, Shelf>,
    waiting: Waiting,
    unsynced: usize,
}

/// Pieces that are not written yet, so that the shelf does not have them.
#[derive(Default)]
struct Waiting {
    batch: Batch,
    pieces: Vec<(PieceKey, Label)>,
    bytes: usize,
}

impl Waiting {
    fn holds(&self, key: PieceKey) -> bool {
        self.pieces.iter().any(|(waiting, _)| *waiting == key)
    }
}

impl<'a> Checkpoint<'a> {
    pub(super) fn new(store: &'a Store, shelf: MutexGuard<'a, Shelf>) -> Self {
        Self { store, shelf, waiting: Waiting::default(), unsynced: 0 }
    }

    /// Puts a piece in place of the one under that key, now or together with the next ones. What it holds must have been
    /// appended before.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn put<T: Serialize>(&mut self, key: PieceKey, piece: &T) -> Result<(), StoreError> {
        self.survey()?;
        let mut bytes = parcel::buffer();
        codec::encode_into(&mut bytes, piece)?;
        let packed = parcel::pack(&key.prefix(), self.shelf.checkpoint + 1, bytes)?;
        if self.waiting.holds(key) {
            self.write_waiting()?;
        }
        self.store.room_for(packed.size(), "writing a checkpoint")?;
        let old = self.shelf.pieces.get(&key).map_or(0, |held| held.label.parts);
        packed.put(&mut self.waiting.batch, &key.prefix(), old);
        self.waiting.pieces.push((key, packed.label));
        self.waiting.bytes += packed.size();
        if self.waiting.bytes >= BATCH_BYTES { self.write_waiting() } else { Ok(()) }
    }

    /// Takes a piece out of the state. It leaves the disk when the checkpoint is finished.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn remove(&mut self, key: PieceKey) -> Result<(), StoreError> {
        self.survey()?;
        if self.waiting.holds(key) {
            self.write_waiting()?;
        }
        if let Some(held) = self.shelf.pieces.get_mut(&key) {
            held.listed = false;
        }
        Ok(())
    }

    /// Makes all of it durable, then the manifest, then drops what nobody needs any more: journal entries up to
    /// `stands_for`, but for a window of them, and pieces removed. Every piece must hold what the entries up to
    /// `stands_for` did to it, and may hold what later ones did.
    ///
    /// # Errors
    /// As [`Store::append`]; [`StoreError::NotHeld`] when `stands_for` was not written, or lies before the checkpoint
    /// that stands.
    pub fn finish<M: Serialize>(mut self, stands_for: u64, manifest: &M) -> Result<(), StoreError> {
        self.survey()?;
        let (first, last) = (self.shelf.stands_for, self.store.last());
        if !(first..=last).contains(&stands_for) {
            return Err(StoreError::NotHeld { after: stands_for, first, last });
        }
        self.write_waiting()?;
        self.store.sync()?;
        let manifest = Manifest {
            checkpoint: self.shelf.checkpoint + 1,
            stands_for,
            dropped: self.shelf.dropped.max(stands_for.saturating_sub(WINDOW)),
            pieces: self.shelf.list(),
            engine: codec::encode(manifest)?,
        };
        let (batch, parts) = manifest.pack(self.shelf.manifest_parts)?;
        self.store.room_for(manifest.pieces.len(), "writing a checkpoint")?;
        self.store.write("writing a checkpoint", |tables| tables.meta.apply_batch(batch))?;
        self.store.sync()?;
        let Manifest { checkpoint, stands_for, dropped, .. } = manifest;
        let shelf = &mut *self.shelf;
        (shelf.checkpoint, shelf.stands_for, shelf.dropped, shelf.manifest_parts) =
            (checkpoint, stands_for, dropped, parts);
        self.store.seal_checkpoint(checkpoint)?;
        self.sweep()
    }

    /// Removes what the manifest does not need.
    fn sweep(&mut self) -> Result<(), StoreError> {
        let dropped = self.shelf.dropped;
        self.store.guarded(|tables| journal::drop_up_to(&tables.journal, dropped))?;
        let gone: Vec<(PieceKey, u16)> = self
            .shelf
            .pieces
            .iter()
            .filter(|(_, held)| !held.listed)
            .map(|(key, held)| (*key, held.label.parts))
            .collect();
        for (key, parts) in gone {
            let mut batch = Batch::default();
            parcel::remove(&mut batch, &key.prefix(), parts);
            self.store.write("removing old pieces", |tables| tables.pieces.apply_batch(batch))?;
            self.shelf.pieces.remove(&key);
        }
        self.store.sync()
    }

    /// Learns what is on disk, if nobody has read the pieces yet.
    fn survey(&mut self) -> Result<(), StoreError> {
        if self.shelf.surveyed { Ok(()) } else { self.shelf.read(&self.store.tables.pieces, |_, _| Ok(())) }
    }

    /// Writes the pieces that wait, and syncs now and then.
    fn write_waiting(&mut self) -> Result<(), StoreError> {
        let Waiting { batch, pieces, bytes } = std::mem::take(&mut self.waiting);
        if pieces.is_empty() {
            return Ok(());
        }
        self.store.write("writing a checkpoint", |tables| tables.pieces.apply_batch(batch))?;
        self.shelf.pieces.extend(pieces.into_iter().map(|(key, label)| (key, Held { label, listed: true })));
        self.unsynced += bytes;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.store.sync()?;
        }
        Ok(())
    }
}
