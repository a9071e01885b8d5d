//! Restoring: a backup made into a store again, in a folder of its own.
//!
//! Owns the reading of what `backup` writes. Invariant: what is restored is the whole backup, item by item in its order,
//! every checksum right; anything else is refused, and says what. Whether it makes a sound store is then for opening to
//! prove, as of any other.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::backup::{BackupHead, FORMAT, FileItem, MAGIC, StateItem, kind};
use super::checkpoint::Manifest;
use super::journal::End;
use super::parcel::{self, Label, take};
use super::seal::Sealed;
use super::{Options, PieceKey, Store, StoreError, codec};

/// Largest item that is believed: as large as a parcel may be, and some more.
const MOST: u32 = 512 << 20;
/// The checkpoint that the pieces are put down as.
const CHECKPOINT: u64 = 1;

/// A small file of the data folder: its name and its content.
pub type SmallFile = (String, Vec<u8>);

/// What was in a backup beside the store.
#[derive(Debug)]
pub struct Restored {
    /// When and by what it was made.
    pub head: BackupHead,
    /// Small files of the data folder.
    pub files: Vec<SmallFile>,
    /// The last entry.
    pub last: u64,
}

/// What a backup says of itself.
#[derive(Debug)]
pub struct BackupSummary {
    /// When and by what it was made.
    pub head: BackupHead,
    /// The names of the small files in it.
    pub files: Vec<String>,
    /// The last entry.
    pub last: u64,
}

/// Reads a backup to its end, which proves that it is whole.
///
/// # Errors
/// [`StoreError::BadBackup`] and [`StoreError::TooNew`] as of [`restore`], and what the file system answered.
pub fn read_backup(from: impl Read) -> Result<BackupSummary, StoreError> {
    let mut items = Items::new(from)?;
    let (head, mut files, mut last) = (items.head()?, Vec::new(), 0);
    while let Some((kind, bytes)) = items.next()? {
        match kind {
            kind::FILE => files.push(codec::decode::<FileItem>(&bytes)?.name),
            kind::ENTRY => last = Label::read(&bytes).map_or(last, |(label, _)| label.mark),
            _ => {}
        }
    }
    Ok(BackupSummary { head, files, last })
}

/// Makes a store of a backup, in an empty folder. Open it to have it proven.
///
/// # Errors
/// [`StoreError::BadBackup`] for what is no whole backup, [`StoreError::TooNew`] for one of a newer format, and what the
/// file system answered.
pub fn restore(folder: &Path, from: impl Read) -> Result<Restored, StoreError> {
    let mut items = Items::new(from)?;
    let head = items.head()?;
    let store = Store::open(folder, &Options { cache_mib: 64 })?;
    if !store.is_new() {
        return Err(StoreError::Form(format!("{} has a store already", folder.display())));
    }
    let mut making = Making { store: &store, pieces: BTreeMap::new(), state: None, end: None, files: Vec::new() };
    while let Some((kind, bytes)) = items.next()? {
        making.take(kind, &bytes)?;
    }
    let (files, last) = making.finish()?;
    Ok(Restored { head, files, last })
}

/// The store that is being made.
struct Making<'a> {
    store: &'a Store,
    pieces: BTreeMap<PieceKey, Label>,
    state: Option<StateItem>,
    end: Option<End>,
    files: Vec<SmallFile>,
}

impl Making<'_> {
    fn take(&mut self, kind: u8, bytes: &[u8]) -> Result<(), StoreError> {
        match kind {
            kind::FILE => {
                let FileItem { name, bytes } = codec::decode(bytes)?;
                if name.is_empty() || name.starts_with('.') || name.contains('/') {
                    return Err(bad(format!("it names a file `{name}`")));
                }
                self.files.push((name, bytes));
                Ok(())
            }
            kind::PIECE => self.piece(bytes),
            kind::STATE => {
                self.state = Some(codec::decode(bytes)?);
                Ok(())
            }
            kind::RECORD => self.record(bytes),
            kind::ENTRY => self.entry(bytes),
            other => Err(bad(format!("it has an item of the unknown kind {other}"))),
        }
    }

    fn piece(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        let key = PieceKey::read(&mut bytes).ok_or_else(|| bad("a piece of it has no key"))?;
        let mut parcel = parcel::buffer();
        parcel.extend_from_slice(bytes);
        let packed = parcel::pack(&key.prefix(), CHECKPOINT, parcel)?;
        self.pieces.insert(key, packed.label);
        let mut batch = sled::Batch::default();
        packed.put(&mut batch, &key.prefix(), 0);
        self.store.write("writing pieces", |tables| tables.pieces.apply_batch(batch))
    }

    fn record(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        let length = take(&mut bytes).map(u16::from_le_bytes);
        let split = length.and_then(|length| bytes.split_at_checked(length.into()));
        let (prefix, parcel) = split.ok_or_else(|| bad("a record of it has no key"))?;
        let packed = parcel::repack(prefix, parcel).ok_or_else(|| bad("a record of it is spoilt"))?;
        let mut batch = sled::Batch::default();
        packed.put(&mut batch, prefix, 0);
        self.store.write("writing records", |tables| tables.records.apply_batch(batch))
    }

    fn entry(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let number = Label::read(bytes).map_or(0, |(label, _)| label.mark);
        let prefix = number.to_be_bytes();
        let packed = parcel::repack(&prefix, bytes).ok_or_else(|| bad("a journal entry of it is spoilt"))?;
        self.end = Some(End { number, sum: packed.label.sum, digest: 0 });
        self.store.write("writing the journal", |tables| {
            packed.parts(&prefix).try_for_each(|(key, part)| tables.journal.insert(key, part).map(drop))
        })
    }

    /// Writes the manifest and the seal. That comes last, so that what was not finished is an empty store at most.
    fn finish(self) -> Result<(Vec<SmallFile>, u64), StoreError> {
        let state = self.state.ok_or_else(|| bad("it does not say what its pieces stand for"))?;
        let Some(end) = self.end else {
            // A backup of a store in which nothing was ever stored.
            return if self.pieces.is_empty() { Ok((self.files, 0)) } else { Err(bad("it has no journal")) };
        };
        let manifest = Manifest::restored(CHECKPOINT, state.stands_for, &self.pieces, state.engine);
        let batch = manifest.pack_new()?;
        self.store.sync()?;
        self.store.write("writing the manifest", |tables| tables.meta.apply_batch(batch))?;
        self.store.sync()?;
        let mut tail = self.store.tail.lock();
        let sealed = Sealed { entry: end.number, sum: end.sum, checkpoint: CHECKPOINT };
        tail.seal.write(sealed, true).map_err(|error| StoreError::io("writing the seal", error))?;
        Ok((self.files, end.number))
    }
}

/// The items of a backup as they are read.
struct Items<R: Read> {
    from: zstd::Decoder<'static, BufReader<R>>,
    sum: Xxh3,
    ended: bool,
}

fn bad(what: impl Into<String>) -> StoreError {
    StoreError::BadBackup(what.into())
}

/// zstd says of spoilt bytes what the file system never does.
fn unreadable(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => bad("it ends too early: it was not written to its end, or was cut short"),
        io::ErrorKind::Other | io::ErrorKind::InvalidData => bad(format!("it can't be unpacked ({error})")),
        _ => StoreError::io("reading the backup", error),
    }
}

impl<R: Read> Items<R> {
    fn new(from: R) -> Result<Self, StoreError> {
        let from = zstd::Decoder::new(from).map_err(unreadable)?.single_frame();
        let mut items = Self { from, sum: Xxh3::new(), ended: false };
        let mut magic = [0; MAGIC.len()];
        match items.read(&mut magic) {
            Ok(()) if &magic == MAGIC => Ok(items),
            Err(StoreError::Io { what, cause }) => Err(StoreError::Io { what, cause }),
            _ => Err(bad("it is no backup of Rollcall, or its beginning is spoilt")),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.from.read_exact(bytes).map_err(unreadable)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn item(&mut self) -> Result<(u8, Vec<u8>), StoreError> {
        let mut head = [0; 5];
        self.read(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_le_bytes(length);
        if length > MOST {
            return Err(bad("an item of it has an impossible length"));
        }
        let mut bytes = vec![0; length as usize];
        self.read(&mut bytes)?;
        Ok((kind, bytes))
    }

    fn head(&mut self) -> Result<BackupHead, StoreError> {
        let (kind::HEAD, bytes) = self.item()? else { return Err(bad("it does not say what made it")) };
        let head: BackupHead = codec::decode(&bytes)?;
        if head.format > FORMAT {
            return Err(StoreError::TooNew { found: head.format, known: FORMAT });
        }
        Ok(head)
    }

    /// The next item; `None` at the end, which must be the right one.
    fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let so_far = self.sum.digest128().to_le_bytes();
        let (kind, bytes) = self.item()?;
        if kind != kind::END {
            return Ok(Some((kind, bytes)));
        }
        self.ended = true;
        if bytes != so_far {
            return Err(bad("its content does not match its checksum"));
        }
        // Reading on has zstd check its own checksum.
        if self.from.read(&mut [0]).map_err(unreadable)? > 0 {
            return Err(bad("something follows on its end"));
        }
        let rest = self.from.get_mut().fill_buf().map_err(unreadable)?;
        if rest.is_empty() { Ok(None) } else { Err(bad("something follows on its end")) }
    }
}
