//! The folder of uploaded files: how one comes to be there whole or not at all, and how it goes.
//!
//! ```text
//! data/imports/ID.part      a file on its way in
//! data/imports/ID.csv       an uploaded file, until its import ends
//! data/imports/ID.errors    the bad places of an import, as long as the import is kept
//! ```
//!
//! Files are the owner's alone (0600). Invariant: `ID.csv` is whole and durable as soon as it has that name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Read and write for the owner, nothing for anybody else.
const OWNER_ONLY: u32 = 0o600;
/// The folder's mode.
const FOLDER_MODE: u32 = 0o700;

/// The endings, by what the files are.
const PART: &str = "part";
const CSV: &str = "csv";
const ERRORS: &str = "errors";

/// The folder.
#[derive(Debug)]
pub(super) struct Spool(PathBuf);

/// Makes a file that the owner alone may read, in place of one that may be there.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ONLY).open(path)
}

/// Removes a file that may be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Spool {
    /// Makes the folder if it is not there.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, id: &str, ending: &str) -> PathBuf {
        self.0.join(format!("{id}.{ending}"))
    }

    /// Where an import's bad places are listed.
    pub(super) fn errors(&self, id: &str) -> PathBuf {
        self.path(id, ERRORS)
    }

    /// An uploaded file.
    pub(super) fn file(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id, CSV))
    }

    /// Whether an uploaded file is there.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.path(id, CSV).exists()
    }

    /// Removes an uploaded file.
    pub(super) fn remove_file(&self, id: &str) -> io::Result<()> {
        remove(&self.path(id, CSV))
    }

    /// Removes the list of bad places.
    pub(super) fn remove_errors(&self, id: &str) -> io::Result<()> {
        remove(&self.errors(id))
    }

    /// Begins to take a file.
    pub(super) fn begin(&self, id: &str) -> io::Result<Draft> {
        let part = self.path(id, PART);
        let file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&part)?;
        Ok(Draft { file, part, whole: self.path(id, CSV), folder: self.0.clone(), bytes: 0, kept: false })
    }

    /// Removes what a crash left behind: broken uploads, files of imports that `reads` does not know as unfinished, lists
    /// of imports that `lists` does not know.
    pub(super) fn sweep(&self, reads: impl Fn(&str) -> bool, lists: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let (Some(id), Some(ending)) = (path.file_stem(), path.extension()) else { continue };
            let id = id.to_string_lossy();
            let stays = match ending.to_str() {
                Some(PART) => false,
                Some(CSV) => reads(&id),
                Some(ERRORS) => lists(&id),
                // Not ours.
                _ => true,
            };
            if !stays {
                tracing::info!(file = %path.display(), "removing a file that no import needs");
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// A file on its way in. Dropped before [`Draft::keep`], it leaves nothing.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    part: PathBuf,
    whole: PathBuf,
    folder: PathBuf,
    bytes: u64,
    kept: bool,
}

impl Draft {
    /// Takes more of it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it durable and gives it its name.
    pub(super) fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.whole)?;
        self.kept = true;
        File::open(&self.folder)?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = remove(&self.part)
        {
            tracing::warn!(%error, file = %self.part.display(), "a broken upload could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().join("imports")).unwrap();
        let folder = folder.path().join("imports");
        let mut draft = spool.begin("a").unwrap();
        draft.write(b"x,y\n").unwrap();
        assert_eq!(names(&folder), ["a.part"]);
        drop(draft);
        assert_eq!(names(&folder), [] as [&str; 0]);

        let mut draft = spool.begin("a").unwrap();
        draft.write(b"x,").unwrap();
        draft.write(b"y\n").unwrap();
        assert_eq!(draft.bytes(), 4);
        draft.keep().unwrap();
        assert_eq!(names(&folder), ["a.csv"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("a.csv"))), (0o700, 0o600));
        assert!(spool.holds("a") && !spool.holds("b"));
        spool.remove_file("a").unwrap();
        spool.remove_file("a").unwrap();
        assert!(!spool.holds("a"));
    }

    #[test]
    fn what_a_crash_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_owned()).unwrap();
        for name in ["a.csv", "a.errors", "b.csv", "b.errors", "c.part", "c.errors", "notes.txt"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        spool.sweep(|id| id == "a", |id| id != "c").unwrap();
        assert_eq!(names(folder.path()), ["a.csv", "a.errors", "b.errors", "notes.txt"]);
    }
}
