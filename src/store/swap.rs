//! The exchange of a store for another that was made beside it: all of it, also across a crash.
//!
//! ```text
//! DATA/restoring/          the new store, made and proven there, and other small files that come with it
//! DATA/swapping            from the moment on that the exchange has begun: where what it replaces is kept
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
/// What is no part of what is exchanged.
const LOCK: &str = "lock";

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

/// Puts what stands in [`RESTORING`] into its place, and what it replaces into the folder `aside` of the data folder. Give
/// the lock to show that nobody else uses the folder.
///
/// # Errors
/// What the file system answered. Then locking the folder once more goes on with it.
pub fn swap(folder: &Path, _held: &FolderLock, aside: &str) -> Result<(), StoreError> {
    let begin = || -> io::Result<()> {
        let draft = folder.join(format!("{SWAPPING}.new"));
        fs::write(&draft, aside)?;
        File::open(&draft)?.sync_all()?;
        sync_folder(&folder.join(RESTORING))?;
        fs::rename(&draft, folder.join(SWAPPING))?;
        sync_folder(folder)
    };
    begin().map_err(|error| StoreError::io("putting the restored store into its place", error))?;
    go_on(folder)
}

/// Goes on with an exchange that has begun, if one has.
pub(super) fn go_on(folder: &Path) -> Result<(), StoreError> {
    let marker = folder.join(SWAPPING);
    match fs::read_to_string(&marker) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("reading how far the exchange of the store went", error)),
        Ok(aside) => exchange(folder, &folder.join(aside.trim()), &marker)
            .map_err(|error| StoreError::io("putting the restored store into its place", error)),
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
    // An empty one says nothing.
    let _ = fs::remove_dir(aside);
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
