//! What stands under the rules folder, as text.
//!
//! Owns reading: which names are ignored (those that begin with a dot, and `*.md`), which files are misplaced, how
//! large one may be, and that a checkout in the middle is not taken for a version. Symbolic links are followed
//! everywhere, so that Kubernetes' `..data` (itself ignored) works. Judges no file's content.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{FileError, Files, RulePath, path};
use crate::model::SystemId;

/// Largest rule file. A system has at most 100 attributes; a hundred of them with long descriptions take 50 KiB.
pub(super) const MAX_FILE: usize = 256 * 1024;
/// How often the tree is read until two readings agree.
const READINGS: usize = 20;
/// What is waited between two readings that disagree.
const BETWEEN_READINGS: Duration = Duration::from_millis(10);

/// One entry of the rules folder as read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Folder {
    /// The system, when the name is an id (be it the name of a folder, of a link to nothing, or of a file).
    pub(super) id: Option<SystemId>,
    /// Its files.
    pub(super) files: Files,
    /// What is misplaced, misnamed or unreadable.
    pub(super) errors: Vec<FileError>,
}

/// Everything under the rules folder, by name.
pub(super) type Tree = BTreeMap<String, Folder>;

/// Reads until two readings in a row agree, so that a set of files that is just being replaced is not taken half. What
/// changes without end is taken as it is: the change after it is told by the watcher again.
pub(super) fn settled<T: PartialEq>(mut read: impl FnMut() -> T) -> T {
    let mut last = read();
    for _ in 1..READINGS {
        let next = read();
        if next == last {
            return next;
        }
        last = next;
        std::thread::sleep(BETWEEN_READINGS);
    }
    last
}

/// Reads the whole rules folder.
///
/// # Errors
/// When the folder itself can't be read.
pub(super) fn read_tree(root: &Path) -> Result<Tree, FileError> {
    let entries = entries(root).map_err(|error| {
        let hint = "set `rules.path` to the folder that holds one folder for each system".to_owned();
        FileError::whole(".", format!("the rules folder `{}` can't be read: {error}", root.display()), Some(hint))
    })?;
    Ok(entries.into_iter().map(|entry| (entry.name.clone(), read_folder(&entry))).collect())
}

/// Reads one system's folder; `None` when there is none of that name.
pub(super) fn read_system(root: &Path, system: &SystemId) -> Option<Folder> {
    let path = root.join(system.as_str());
    path.is_dir().then(|| read_folder(&Entry { name: system.to_string(), path, utf8: true }))
}

/// Whether a name is one that rules pay no attention to.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".md")
}

struct Entry {
    name: String,
    path: std::path::PathBuf,
    utf8: bool,
}

impl From<DirEntry> for Entry {
    fn from(entry: DirEntry) -> Self {
        let name = entry.file_name();
        Self { name: name.to_string_lossy().into_owned(), path: entry.path(), utf8: name.to_str().is_some() }
    }
}

/// What a folder holds, without what is ignored.
fn entries(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let all: Vec<Entry> = fs::read_dir(folder)?.map(|entry| entry.map(Entry::from)).collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|entry| !is_ignored(&entry.name)).collect())
}

fn read_folder(entry: &Entry) -> Folder {
    let name = &entry.name;
    let mut folder = Folder { id: SystemId::new(name).ok(), ..Folder::default() };
    match (fs::metadata(&entry.path), SystemId::new(name)) {
        (Err(error), _) => folder.errors.push(FileError::whole(name, unreadable(&error), None)),
        (Ok(metadata), _) if !metadata.is_dir() => {
            let message = "only folders, one for each system, may stand in the rules folder";
            let hint = "move it into a system's folder; notes can be kept as `*.md`".to_owned();
            folder.errors.push(FileError::whole(name, message, Some(hint)));
        }
        (Ok(_), Err(error)) => folder.errors.push(FileError::whole(name, error.to_string(), suggested_id(name))),
        (Ok(_), Ok(_)) => {
            read_level(&mut folder, &entry.path, name, "");
            folder.errors.sort();
        }
    }
    folder
}

/// A folder's name made an id, where that is only a matter of case and dashes.
fn suggested_id(name: &str) -> Option<String> {
    let changed = name.to_lowercase().replace(['-', ' ', '.'], "_");
    SystemId::new(&changed).ok().map(|id| format!("rename the folder, for example to `{id}`"))
}

/// Reads a system's folder (`within` empty), or one of the folders in it (`within` such as `segments/`).
fn read_level(folder: &mut Folder, at: &Path, system: &str, within: &str) {
    let entries = match entries(at) {
        Ok(entries) => entries,
        Err(error) => {
            let file = format!("{system}/{within}");
            folder.errors.push(FileError::whole(file.trim_end_matches('/'), unreadable(&error), None));
            return;
        }
    };
    for entry in entries {
        let path = format!("{within}{}", entry.name);
        if let Err((message, hint)) = read_entry(folder, &entry, system, &path) {
            folder.errors.push(FileError::whole(format!("{system}/{path}"), message, hint));
        }
    }
}

fn read_entry(folder: &mut Folder, entry: &Entry, system: &str, path: &str) -> Result<(), (String, Option<String>)> {
    if !entry.utf8 {
        return Err(("the name is not UTF-8".to_owned(), None));
    }
    let metadata = fs::metadata(&entry.path).map_err(|error| (unreadable(&error), None))?;
    let is_subfolder = path::FOLDERS.contains(&path);
    if metadata.is_dir() {
        if is_subfolder {
            read_level(folder, &entry.path, system, &format!("{path}/"));
            return Ok(());
        }
        let hint = "a system's folder holds only the folders `integrations` and `segments`".to_owned();
        return Err(("this folder is not read".to_owned(), Some(hint)));
    }
    if is_subfolder {
        return Err(("this must be a folder".to_owned(), None));
    }
    path.parse::<RulePath>().map_err(|error| (error.to_string(), error.hint()))?;
    if !metadata.is_file() {
        return Err(("this is no regular file".to_owned(), None));
    }
    let text = read_text(&entry.path).map_err(|message| (message, None))?;
    folder.files.insert(path.to_owned(), text);
    Ok(())
}

fn read_text(path: &Path) -> Result<Arc<str>, String> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if bytes.len() > MAX_FILE {
        return Err(too_large());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::from(text)),
        Err(error) => Err(format!("the file is not UTF-8 (at byte {})", error.utf8_error().valid_up_to())),
    }
}

/// What is said of a file over [`MAX_FILE`].
pub(super) fn too_large() -> String {
    format!("the file is larger than {} KiB", MAX_FILE / 1024)
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "this is a symbolic link to nothing".to_owned(),
        _ => format!("this can't be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::fixtures::{CRM, Rules};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn errors(rules: &Rules, system: &str) -> Vec<String> {
        let tree = read_tree(&rules.root()).unwrap();
        tree[system].errors.iter().map(ToString::to_string).collect()
    }
    #[track_caller]
    fn only(rules: &Rules, system: &str, expected: &str) {
        let told = errors(rules, system);
        assert!(told.len() == 1 && told[0].contains(expected), "expected `{expected}`, told: {told:#?}");
    }

    #[test]
    fn dot_names_and_notes_are_ignored_at_every_level() {
        let rules = Rules::new(&[
            ("default/integrations/crm.toml", CRM),
            ("default/integrations/.crm.toml.swp", "x"),
            ("default/integrations/NOTES.md", "x"),
            ("default/README.md", "x"),
            ("default/.git/config", "x"),
            ("README.md", "x"),
            (".git/HEAD", "x"),
        ]);
        let tree = read_tree(&rules.root()).unwrap();
        assert_eq!(tree.keys().collect::<Vec<_>>(), ["default"]);
        assert_eq!(tree["default"].files.keys().collect::<Vec<_>>(), ["integrations/crm.toml"]);
        assert_eq!(tree["default"].errors, []);
    }

    #[test]
    fn misplaced_and_misnamed_files_are_told_by_path() {
        let told = |path: &str, expected: &str| {
            let rules = Rules::new(&[(path, "x")]);
            only(&rules, path.split('/').next().unwrap(), expected);
        };
        told("notes.txt", "notes.txt:0:0: only folders, one for each system");
        told("My-System/system.toml", "My-System:0:0: `My-System` is no valid system id");
        told("My-System/system.toml", "to `my_system`");
        told("default/crm.toml", "default/crm.toml:0:0: `crm.toml` has no place in a system");
        told("default/segments/vip.txt", "default/segments/vip.txt:0:0: `vip.txt` does not end in `.rhai`");
        told(
            "default/integrations/crm.toml~",
            "default/integrations/crm.toml~:0:0: `crm.toml~` does not end in `.toml`",
        );
        told("default/integrations/import.toml", "default/integrations/import.toml:0:0: `import` can't be");
        told("default/integrations/old/crm.toml", "default/integrations/old:0:0: this folder is not read");
        told("default/archive/crm.toml", "default/archive:0:0: this folder is not read");
        told("default/segments", "default/segments:0:0: this must be a folder");
    }

    #[test]
    fn what_is_no_readable_text_is_told_by_path() {
        let rules = Rules::new(&[("default/system.toml", "")]);
        let folder = rules.root().join("default/segments");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("latin.rhai"), b"\"\xe9\"").unwrap();
        fs::write(folder.join("large.rhai"), vec![b' '; MAX_FILE + 1]).unwrap();
        fs::write(folder.join("full.rhai"), vec![b' '; MAX_FILE]).unwrap();
        symlink("nowhere", folder.join("gone.rhai")).unwrap();
        fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff.rhai")), "").unwrap();
        fs::create_dir(folder.join("folder.rhai")).unwrap();
        let told = errors(&rules, "default");
        for expected in [
            "segments/folder.rhai:0:0: this folder is not read",
            "segments/gone.rhai:0:0: this is a symbolic link to nothing",
            "segments/large.rhai:0:0: the file is larger than 256 KiB",
            "segments/latin.rhai:0:0: the file is not UTF-8 (at byte 1)",
            "segments/\u{fffd}.rhai:0:0: the name is not UTF-8",
        ] {
            assert!(told.iter().any(|told| told.contains(expected)), "expected `{expected}`, told: {told:#?}");
        }
        assert_eq!(told.len(), 5);
    }

    #[test]
    fn links_to_folders_and_files_are_followed() {
        let rules = Rules::new(&[(".store/one/integrations/crm.toml", CRM), (".store/vip.rhai", "true")]);
        symlink(".store/one", rules.root().join("default")).unwrap();
        fs::create_dir(rules.root().join(".store/one/segments")).unwrap();
        symlink("../../vip.rhai", rules.root().join("default/segments/vip.rhai")).unwrap();
        let tree = read_tree(&rules.root()).unwrap();
        assert_eq!(tree["default"].files.keys().collect::<Vec<_>>(), ["integrations/crm.toml", "segments/vip.rhai"]);
    }

    #[test]
    fn a_missing_rules_folder_is_told_with_the_setting_that_names_it() {
        let rules = Rules::new(&[]);
        let error = read_tree(&rules.root().join("nope")).unwrap_err();
        assert!(error.message.contains("nope` can't be read") && error.hint.unwrap().contains("rules.path"));
    }

    #[test]
    fn a_reading_that_changes_is_read_until_two_agree() {
        let mut readings = [1, 2, 3, 3, 4].into_iter();
        assert_eq!(settled(|| readings.next().unwrap()), 3);
        let mut count = 0;
        settled(|| {
            count += 1;
            count
        });
        assert_eq!(count, READINGS, "what never settles is taken in the end");
    }
}
