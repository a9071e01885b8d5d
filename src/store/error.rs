//! What can go wrong in the store, in words for the person who has to mend it.

use std::io;
use std::path::{Path, PathBuf};

/// What is missing, where that can't be told.
pub(super) const UNKNOWN: &str = "what stood there can't be told";

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error(
        "{} is in use by another process{}: stop that one first, or give this one another `storage.path`",
        .folder.display(),
        .holder.map(|pid| format!(" ({pid})")).unwrap_or_default()
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process that holds it, as far as it told.
        holder: Option<u32>,
    },
    /// What is on disk is not all that was acknowledged; nothing of it is served.
    #[error("the store in {} is damaged: {what}. Missing: {missing}. {}", .folder.display(), Self::MEND)]
    Damaged {
        /// The data folder.
        folder: PathBuf,
        /// What was found.
        what: String,
        /// What can't be had any more.
        missing: String,
    },
    /// Written by a newer version of the program.
    #[error(
        "the store has format {found} and this version reads up to {known}: use the version that wrote it, or a newer one"
    )]
    TooNew {
        /// The format found.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// There is no room on the disk.
    #[error("the disk is full while {what}: make room")]
    DiskFull {
        /// What was being done.
        what: String,
    },
    /// The file system answered with an error.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// The file system's answer.
        cause: io::Error,
    },
    /// Another writer wrote the next entry first.
    #[error("journal entry {} was written by another: the last one is {last}", .after + 1)]
    Superseded {
        /// The entry that the caller took for the last.
        after: u64,
        /// The last one.
        last: u64,
    },
    /// Entries were asked for that a checkpoint has replaced, or that were never written.
    #[error("the journal holds the entries {first} to {last}; the one after {after} is not among them")]
    NotHeld {
        /// The entry after which to begin.
        after: u64,
        /// The first that is held.
        first: u64,
        /// The last that is held.
        last: u64,
    },
    /// An earlier write or sync failed, so nothing more is acknowledged on this handle.
    #[error("the store takes no more writes since an earlier one failed ({0}): mend the disk, then restart the server")]
    Failed(String),
    /// One value is larger than the store can hold.
    #[error("a value of {bytes} bytes is larger than the store holds ({most})")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The most that is held, in bytes.
        most: usize,
    },
    /// A file is no whole backup.
    #[error("this backup can't be restored: {0}. Nothing was changed; take another backup")]
    BadBackup(String),
    /// A value can't be written as MessagePack, or is not what the caller takes it for.
    #[error("a stored value does not have the expected form: {0}")]
    Form(String),
}

impl StoreError {
    /// How a damaged store is mended.
    pub const MEND: &'static str = "Nothing of it is served. Restore the last backup with `rollcall restore --replace FILE`, which keeps what is there aside; \
         without a backup, move the folder aside and start with an empty one";

    /// Damage in a folder that [`StoreError::in_folder`] names later.
    pub(crate) fn damaged(what: impl Into<String>, missing: impl Into<String>) -> Self {
        Self::Damaged { folder: PathBuf::new(), what: what.into(), missing: missing.into() }
    }
    /// Journal entries that are missing.
    pub(super) fn entries_missing(what: impl Into<String>, first: u64, last: u64) -> Self {
        let missing = if first == last {
            format!("journal entry {last}")
        } else {
            format!("the journal entries {first} to {last}")
        };
        Self::damaged(what, missing)
    }
    /// An answer of the file system; a full disk is told apart.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { what },
            _ => Self::Io { what, cause: source },
        }
    }
    /// Names the data folder in a message about damage.
    pub(super) fn in_folder(self, folder: &Path) -> Self {
        match self {
            Self::Damaged { what, missing, .. } => Self::Damaged { folder: folder.to_owned(), what, missing },
            other => other,
        }
    }
}
