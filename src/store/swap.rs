//! The exchange of a store for another that was made beside it: all of it, also across a crash.
//!
//! ```text
//! DATA/restoring/          the new store, made and proven there, and other small files that come with it
//! DATA/swapping            from the moment on that the exchange has begun: where what it replaces goes
//! DATA/replaced/           that, where nobody keeps it: gone before the exchange is done
//! ```
//!
//! Invariant: whoever locks a data folder finds the old store or the new one, never none and never a mix: an exchange that
//! a crash broke off is gone on with before anything else.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::open;
use super::seal::sync_folder;

/// The folder, in the data folder, in which a new store is made.
pub const RESTORING: &str = "restoring";
/// Says that an exchange has begun.
const SWAPPING: &str = "swapping";
/// Where what is replaced goes, if nobody keeps it.
const REPLACED: &str = "replaced";
/// What is no part of what is exchanged.
const LOCK: &str = "lock";

/// What becomes of what is replaced.
#[derive(Debug, Clone, Copy)]
pub enum Aside<'a> {
    /// It is kept in the folder of this name, in the data folder.
    Kept(&'a str),
    /// It is removed.
    Removed,
}

/// The data folder held for this process, until dropped.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "held for its drop")] File);

/// Whether there is a store in a data folder, sound or not.
#[must_use]
pub fn has_store(folder: &Path) -> bool {
    ["store", "seal", SWAPPING].iter().any(|name| folder.join(name).exists())
}

/// Takes a data folder for this process, making it if need be.
///
/// # Errors
/// [`StoreError::Locked`] while a server runs on it, and what the file system answered.
pub fn lock_folder(folder: &Path) -> Result<FolderLock, StoreError> {
    open::make_folder(folder)?;
    open::lock(folder).map(FolderLock)
}

/// Puts what stands in [`RESTORING`] into its place, and what it replaces aside. Give the lock to show that nobody else uses
/// the folder.
///
/// # Errors
/// What the file system answered. Then locking the folder once more goes on with it.
pub fn swap(folder: &Path, _held: &FolderLock, aside: Aside<'_>) -> Result<(), StoreError> {
    let aside = match aside {
        Aside::Kept(name) => name,
        Aside::Removed => REPLACED,
    };
    let begin = || -> io::Result<()> {
        let draft = folder.join(format!("{SWAPPING}.new"));
        fs::write(&draft, aside)?;
        File::open(&draft)?.sync_all()?;
        sync_folder(&folder.join(RESTORING))?;
        fs::rename(&draft, folder.join(SWAPPING))?;
        sync_folder(folder)
    };
    begin().map_err(|error| StoreError::io("putting the new store into its place", error))?;
    go_on(folder)
}

/// Goes on with an exchange that has begun, if one has.
pub(super) fn go_on(folder: &Path) -> Result<(), StoreError> {
    let marker = folder.join(SWAPPING);
    match fs::read_to_string(&marker) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("reading how far the exchange of the store went", error)),
        Ok(aside) => exchange(folder, &folder.join(aside.trim()), &marker).map_err(|error| {
            StoreError::io("putting the new store into its place (half done: the next start goes on with it)", error)
        }),
    }
}

/// Removes what a restore or a compaction that never came to the exchange has left: it is of no use, and holds what may
/// have to be forgotten. Only for who holds the lock.
pub(super) fn drop_left_over(folder: &Path) {
    let (made, draft) = (folder.join(RESTORING), folder.join(format!("{SWAPPING}.new")));
    for result in [fs::remove_dir_all(&made), fs::remove_file(draft)] {
        if let Err(error) =
            result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        {
            // No reason not to serve.
            tracing::warn!(%error, folder = %made.display(), "could not remove what a broken-off restore left");
        }
    }
}

fn exchange(folder: &Path, aside: &Path, marker: &Path) -> io::Result<()> {
    let new = folder.join(RESTORING);
    fs::create_dir_all(aside)?;
    for from in entries(&new)? {
        let Some(name) = from.file_name().filter(|name| *name != LOCK) else { continue };
        let place = folder.join(name);
        if place.exists() && !aside.join(name).exists() {
            fs::rename(&place, aside.join(name))?;
        }
        fs::rename(&from, &place)?;
    }
    sync_folder(aside)?;
    sync_folder(folder)?;
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    if aside.ends_with(REPLACED) {
        fs::remove_dir_all(aside)?;
    } else {
        // An empty one says nothing.
        let _ = fs::remove_dir(aside);
    }
    fs::remove_file(marker)?;
    sync_folder(folder)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(listing) => listing.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
