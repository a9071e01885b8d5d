//! The seal: what was acknowledged last, kept outside sled, so that a store that came back shorter is known.
//!
//! ```text
//! file   slot 0, slot 1       4 KiB each, written in turns, so that a torn write spoils the older one only
//! slot   sum u64, magic [8], format u32, generation u64, entry u64, entry's sum u64, checkpoint u64    (LE)
//! ```
//!
//! A slot begins so in every format, so that a newer one is known as such.
//!
//! Written after every commit without a sync, which a killed process survives, and synced at most every 100 ms: a power
//! cut may leave an older seal, and a store that is longer than its seal is good. Invariant: what the seal names was
//! durable in the store before it was written. It knows nothing of sled.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::StoreError;
use super::parcel::{put_at, take};

/// The format of the whole data folder; it stands in the seal, which is read before anything else.
pub(super) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"ROLLSEAL";
const SLOT: usize = 4096;
const BODY: usize = 8 + 8 + 4 + 4 * 8;
/// The longest that a seal stays without a sync, while there are commits.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// What was acknowledged last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sealed {
    /// The last acknowledged journal entry; 0: none.
    pub(super) entry: u64,
    /// That entry's checksum.
    pub(super) sum: u64,
    /// How many checkpoints were completed.
    pub(super) checkpoint: u64,
}

/// The open seal.
#[derive(Debug)]
pub(super) struct Seal {
    file: File,
    now: Sealed,
    generation: u64,
    synced: Instant,
}

fn path(folder: &Path) -> PathBuf {
    folder.join("seal")
}

impl Seal {
    /// Makes the seal of an empty store. It is whole from the moment on that it is there.
    pub(super) fn create(folder: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::io("making the seal", error);
        let new = folder.join("seal.new");
        let mut bytes = vec![0; 2 * SLOT];
        // Generation 1 stands where generation 2 will not be written.
        put_at(&mut bytes, SLOT, &slot(1, Sealed::default()));
        fs::write(&new, &bytes).map_err(io)?;
        File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&new, path(folder)).map_err(io)?;
        sync_folder(folder).map_err(io)?;
        Self::open(folder)?.ok_or_else(|| StoreError::damaged("the seal is gone", "`seal`"))
    }

    /// Opens the seal, if there is one.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, StoreError> {
        let io = |error| StoreError::io("reading the seal", error);
        let file = match OpenOptions::new().read(true).write(true).open(path(folder)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut newest: Option<(u64, Sealed)> = None;
        for place in [0, 1] {
            let mut bytes = [0; BODY];
            match file.read_exact_at(&mut bytes, place * SLOT as u64) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(io(error)),
            }
            newest = newest.into_iter().chain(read_slot(&bytes)?).max_by_key(|(generation, _)| *generation);
        }
        let Some((generation, now)) = newest else {
            return Err(StoreError::damaged(
                "the file `seal`, which says up to where the store was acknowledged, can't be read",
                "the proof that the store is complete",
            ));
        };
        Ok(Some(Self { file, now, generation, synced: Instant::now() }))
    }

    /// What it says.
    pub(super) fn now(&self) -> Sealed {
        self.now
    }

    /// Says what is acknowledged from now on. It survives a killed process at once, and a power cut with `sync`, or
    /// within 100 ms while there are commits.
    pub(super) fn write(&mut self, now: Sealed, sync: bool) -> io::Result<()> {
        let generation = self.generation + 1;
        self.file.write_all_at(&slot(generation, now), (generation % 2) * SLOT as u64)?;
        (self.generation, self.now) = (generation, now);
        if sync || self.synced.elapsed() >= SYNC_EVERY {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }
}

/// Makes names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn slot(generation: u64, sealed: Sealed) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    for number in [generation, sealed.entry, sealed.sum, sealed.checkpoint] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let sum = xxh3_64(bytes.get(8..).unwrap_or_default());
    put_at(&mut bytes, 0, &sum.to_le_bytes());
    bytes
}

/// The generation and the content of a slot; `None` when it was never written, or not to its end.
fn read_slot(bytes: &[u8]) -> Result<Option<(u64, Sealed)>, StoreError> {
    let mut rest = bytes;
    let parse = |rest: &mut &[u8]| {
        let whole = u64::from_le_bytes(take(rest)?) == xxh3_64(rest) && take(rest)? == MAGIC;
        let format = u32::from_le_bytes(take(rest)?);
        let mut number = || Some(u64::from_le_bytes(take(rest)?));
        let slot = (number()?, Sealed { entry: number()?, sum: number()?, checkpoint: number()? });
        whole.then_some((format, slot))
    };
    match parse(&mut rest) {
        None => Ok(None),
        Some((FORMAT, slot)) => Ok(Some(slot)),
        Some((found, _)) => Err(StoreError::TooNew { found, known: FORMAT }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(entry: u64) -> Sealed {
        Sealed { entry, sum: entry * 7, checkpoint: 1 }
    }

    #[test]
    fn the_last_seal_written_is_the_one_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Seal::open(folder.path()).unwrap().is_none());
        let mut seal = Seal::create(folder.path()).unwrap();
        assert_eq!(seal.now(), Sealed::default());
        for entry in 1..6 {
            seal.write(at(entry), entry == 3).unwrap();
            assert_eq!(Seal::open(folder.path()).unwrap().unwrap().now(), at(entry));
        }
    }

    #[test]
    fn a_torn_seal_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut seal = Seal::create(folder.path()).unwrap();
        for entry in 1..4 {
            seal.write(at(entry), false).unwrap();
        }
        let mut bytes = fs::read(path(folder.path())).unwrap();
        let place = if bytes[20] > bytes[SLOT + 20] { 0 } else { SLOT };
        bytes[place + 30] ^= 4;
        fs::write(path(folder.path()), &bytes).unwrap();
        assert_eq!(Seal::open(folder.path()).unwrap().unwrap().now(), at(2));
        fs::write(path(folder.path()), [0; 2 * SLOT]).unwrap();
        assert!(matches!(Seal::open(folder.path()), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn a_newer_format_is_refused_as_such() {
        let folder = tempfile::tempdir().unwrap();
        drop(Seal::create(folder.path()).unwrap());
        let mut bytes = fs::read(path(folder.path())).unwrap();
        bytes[SLOT + 16] = 9;
        let sum = xxh3_64(&bytes[SLOT + 8..SLOT + BODY]).to_le_bytes();
        bytes[SLOT..SLOT + 8].copy_from_slice(&sum);
        fs::write(path(folder.path()), &bytes).unwrap();
        assert!(matches!(Seal::open(folder.path()), Err(StoreError::TooNew { found: 9, known: 1 })));
    }
}
