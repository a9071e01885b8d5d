//! Opening: the one place that decides whether what is on disk is all that was acknowledged.
//!
//! In order: the lock, the seal, sled's left-overs, sled itself, the manifest against the seal, the journal's chain
//! against manifest and seal, the records against the journal, the pieces against the manifest. Nothing is written
//! that could make a damaged store look whole: the seal moves only after everything was proven, so a store that is
//! refused once stays refused. (sled itself cuts its file where it can't read on; that is why a backup is the remedy.)

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checkpoint::{Manifest, Shelf, Staged};
use super::error::UNKNOWN;
use super::fence::{self, fenced};
use super::journal::{self, End};
use super::seal::{FORMAT, Seal, Sealed, sync_folder};
use super::{Options, StoreError, Tables, records, swap};

/// Where the format stands in sled, beside the seal's.
const FORMAT_KEY: &str = "format";

/// How long to wait for a lock.
const PATIENCE: Duration = Duration::from_millis(500);

/// What opening leaves.
pub(super) struct Opened {
    pub(super) tables: Tables,
    pub(super) data: File,
    pub(super) lock: File,
    pub(super) seal: Seal,
    pub(super) end: End,
    pub(super) shelf: Shelf,
    pub(super) staged: Staged,
}

/// Opens or creates the store in a folder.
pub(super) fn open(folder: &Path, options: &Options) -> Result<Opened, StoreError> {
    fence::raise();
    make_folder(folder)?;
    let lock = lock(folder)?;
    swap::drop_left_over(folder);
    let place = folder.join("store");
    let filled = fs::metadata(place.join("db")).is_ok_and(|data| data.len() > 0);
    let seal = match Seal::open(folder)? {
        Some(seal) if !filled && seal.now() != Sealed::default() => return Err(gone(seal.now())),
        Some(seal) => seal,
        None if filled => {
            return Err(StoreError::damaged(
                "the file `seal`, which says up to where the store was acknowledged, is not there",
                "the proof that the store is complete",
            ));
        }
        None => Seal::create(folder)?,
    };
    let tables = open_sled(folder, &place, options).map_err(|error| match error {
        StoreError::Damaged { what, .. } => StoreError::damaged(what, acknowledged(seal.now())),
        other => other,
    })?;
    let data = OpenOptions::new().read(true).write(true).open(place.join("db"));
    let data = data.map_err(|error| StoreError::io("opening `store/db`", error))?;
    check_format(&tables, seal.now())?;
    if !filled {
        make_durable(folder, &place, &tables, &data).map_err(|error| StoreError::io("making the store", error))?;
    }
    let mut shelf = Shelf::of(load_manifest(&tables, seal.now())?)?;
    let end = prove_journal(&tables, &shelf, seal.now())?;
    let staged = Staged::read(&mut shelf, &tables.pieces)?;
    let mut seal = seal;
    let now = Sealed { entry: end.number, sum: end.sum, checkpoint: shelf.checkpoint };
    if now != seal.now() {
        seal.write(now, true).map_err(|error| StoreError::io("writing the seal", error))?;
    }
    let tables = if staged.is_empty() { tables } else { reopen(tables, folder, &place, options)? };
    Ok(Opened { tables, data, lock, seal, end, shelf, staged })
}

/// Closes sled and opens it once more: it keeps every page that it has read, whatever its cache may hold, and reading
/// all pieces has made it keep a copy of them all. The folder stays locked meanwhile.
fn reopen(tables: Tables, folder: &Path, place: &Path, options: &Options) -> Result<Tables, StoreError> {
    fenced("closing the store", || tables.db.flush())?;
    drop(tables);
    patiently(|| self::tables(folder, place, options))
}

/// Makes the data folder, if it is not there. Nobody else on the machine may read what is kept of end users.
pub(super) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| StoreError::io(format!("making the data folder {} (`storage.path`)", folder.display()), error))
}

/// Takes the folder for this process, and says so in `lock`. An exchange of the store that a crash broke off is finished.
pub(super) fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("lock");
    let io = |error| StoreError::io(format!("locking {}", path.display()), error);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    patiently(|| match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            Err(StoreError::Locked { folder: folder.to_owned(), holder })
        }
        Err(TryLockError::Error(error)) => Err(io(error)),
    })?;
    // Only a courtesy to whoever finds it locked: a disk that is full is no reason to fail here.
    if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
        tracing::warn!(%error, "could not write the process id into {}", path.display());
    }
    swap::go_on(folder)?;
    Ok(file)
}

/// Tries again for a while what is locked: a process that is just ending, or a thread of sled's that is just letting go
/// of its file, holds the lock a little longer than the store.
fn patiently<T>(attempt: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(StoreError::Locked { .. }) if begun.elapsed() < PATIENCE => std::thread::sleep(PATIENCE / 100),
            other => return other,
        }
    }
}

/// Opens sled's folder. What sled keeps beside its file can be had again: without a snapshot it reads the whole file, and
/// `conf` always says the same. So if sled can't open, it is tried once more without them.
fn open_sled(folder: &Path, place: &Path, options: &Options) -> Result<Tables, StoreError> {
    set_aside(place, |name| name.starts_with("snap.") && name.ends_with(".generating"))?;
    match patiently(|| tables(folder, place, options)) {
        Err(StoreError::Damaged { what, .. }) => {
            if set_aside(place, |name| name.starts_with("snap.") || name == "conf")? == 0 {
                return Err(StoreError::damaged(what, UNKNOWN));
            }
            patiently(|| tables(folder, place, options))
        }
        other => other,
    }
}

fn tables(folder: &Path, place: &Path, options: &Options) -> Result<Tables, StoreError> {
    let opened = fenced("opening the store", || {
        let db = sled::Config::new()
            .path(place)
            .cache_capacity(options.cache_mib.max(1) << 20)
            .flush_every_ms(None)
            .open()?;
        Ok(Tables {
            journal: db.open_tree("journal")?,
            records: db.open_tree("records")?,
            pieces: db.open_tree("pieces")?,
            meta: db.open_tree("meta")?,
            db,
        })
    });
    opened.map_err(|error| match error {
        StoreError::Damaged { what, .. } if what.contains("could not acquire lock") => {
            StoreError::Locked { folder: folder.to_owned(), holder: None }
        }
        other => other,
    })
}

/// Renames sled's files of that kind, so that it does not read them; how many there were.
fn set_aside(place: &Path, which: impl Fn(&str) -> bool) -> Result<usize, StoreError> {
    let io = |error| StoreError::io(format!("looking through {}", place.display()), error);
    let listing = match fs::read_dir(place) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io(error)),
    };
    let mut count = 0;
    for item in listing {
        let path: PathBuf = item.map_err(io)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| which(name)) else { continue };
        let aside = place.join(format!("aside-{name}"));
        fs::rename(&path, &aside).map_err(io)?;
        tracing::warn!(file = %path.display(), moved_to = %aside.display(), "moved a left-over of sled's aside");
        count += 1;
    }
    Ok(count)
}

/// Compares the format in sled with this version's, and writes it where it is not yet.
fn check_format(tables: &Tables, sealed: Sealed) -> Result<(), StoreError> {
    let found = fenced("reading the store's format", || tables.meta.get(FORMAT_KEY))?;
    match found.as_deref().map(<[u8; 4]>::try_from) {
        None if sealed == Sealed::default() => {
            fenced("writing the store's format", || tables.meta.insert(FORMAT_KEY, &FORMAT.to_be_bytes()))?;
            Ok(())
        }
        None => Err(gone(sealed)),
        Some(Ok(bytes)) if bytes == FORMAT.to_be_bytes() => Ok(()),
        Some(Ok(bytes)) => Err(StoreError::TooNew { found: u32::from_be_bytes(bytes), known: FORMAT }),
        Some(Err(_)) => Err(StoreError::damaged("the store's format can't be read", "the store's format")),
    }
}

/// The error for a store that came back empty.
fn gone(sealed: Sealed) -> StoreError {
    StoreError::damaged("it is empty", acknowledged(sealed))
}

fn acknowledged(sealed: Sealed) -> String {
    match sealed {
        Sealed { checkpoint: 0, entry, .. } => format!("all journal entries, 1 to {entry}"),
        Sealed { checkpoint, entry, .. } => format!("checkpoint {checkpoint} and the journal up to entry {entry}"),
    }
}

/// Makes a new store's files and their names durable.
fn make_durable(folder: &Path, place: &Path, tables: &Tables, data: &File) -> io::Result<()> {
    tables.db.flush().map_err(io::Error::other)?;
    data.sync_all()?;
    File::open(place.join("conf"))?.sync_all()?;
    sync_folder(place)?;
    sync_folder(folder)?;
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

fn load_manifest(tables: &Tables, sealed: Sealed) -> Result<Option<(Manifest, super::parcel::Label)>, StoreError> {
    let manifest = Manifest::load(&tables.meta)?;
    let found = manifest.as_ref().map_or(0, |(manifest, _)| manifest.checkpoint);
    if found < sealed.checkpoint {
        return Err(StoreError::damaged(
            format!("its last checkpoint is {found} and {} was acknowledged", sealed.checkpoint),
            format!("checkpoint {}", sealed.checkpoint),
        ));
    }
    Ok(manifest)
}

/// Walks the journal, writes the records that a crash left out, and drops a tail that was never acknowledged.
fn prove_journal(tables: &Tables, shelf: &Shelf, sealed: Sealed) -> Result<End, StoreError> {
    let mut changes = records::Changes::new();
    let mut at_seal = None;
    let chain = journal::walk(&tables.journal, shelf.dropped + 1..=u64::MAX, |written| {
        if written.end.number == sealed.entry {
            at_seal = Some(written.end.sum);
        }
        if written.changes_records && written.end.number > shelf.stands_for {
            records::collect(&mut changes, written.end.number, &written.entry()?)?;
        }
        Ok(())
    })?;
    let (end, needed) = (chain.end, sealed.entry.max(shelf.stands_for));
    if end.number < needed {
        let what = match chain.behind {
            Some(why) => format!("behind journal entry {} there is {why}", end.number),
            None => format!("the journal ends with entry {} and {needed} was acknowledged", end.number),
        };
        return Err(StoreError::entries_missing(what, end.number + 1, needed));
    }
    if sealed.entry > shelf.dropped && at_seal != Some(sealed.sum) {
        let what = format!("journal entry {} is not the one that was acknowledged", sealed.entry);
        return Err(StoreError::entries_missing(what, sealed.entry, sealed.entry));
    }
    if let Some(why) = chain.behind {
        tracing::warn!(last = end.number, why, "dropping the journal's tail, which was never acknowledged");
        journal::cut(&tables.journal, end.number)?;
    }
    prove_records(tables, &changes, end)?;
    Ok(end)
}

fn prove_records(tables: &Tables, changes: &records::Changes, end: End) -> Result<(), StoreError> {
    let (writes, _) = records::plan(&tables.records, changes, 0)?;
    fenced("writing records again", || writes.apply(&tables.records))?;
    if records::digest(&tables.records)? == end.digest {
        return Ok(());
    }
    Err(StoreError::damaged(
        "the records (users, clients, tokens) are not the ones that were acknowledged",
        "some records, or changes of them",
    ))
}
