//! Drafts of a system's files, and replacing many of them as one.
//!
//! Owns that several files change together or not at all, whatever happens in between:
//!
//! ```text
//! drafts beside the files ─► a note of what is to be done ─► drafts take their files' places ─► the note goes
//! ```
//! From the note on the change is done, if need be by whoever reads the files next ([`RulesService::refresh`]). Whoever
//! reads them waits for the lock that is held here, so half a change is never loaded. Knows nothing of what the files say.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{MAX_FILE, read_system, settled, too_large};
use super::write::{Draft, delete, make_folder, replace, sync_folder, write_whole};
use super::{FileError, Files, RulePath, RuleSet, RuleWriteError, RulesService};
use crate::model::SystemId;

/// The note of a change under way, in the system's folder; ignored by its dot.
const NOTE: &str = ".rollcall-change";

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileChange {
    /// It was not there.
    Added,
    /// It has another text.
    Changed,
    /// It goes.
    Removed,
}

/// What replacing a system's rules did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The files, by path within the system.
    pub files: BTreeMap<String, FileChange>,
    /// The system's revision with the change.
    pub revision: String,
}

/// What is to be done, by path within the system.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// Files whose draft takes their place.
    put: Vec<String>,
    /// Files that go.
    delete: Vec<String>,
}

impl FileChange {
    /// What differs between two versions of a system's files.
    #[must_use]
    pub fn between(old: &Files, new: &Files) -> BTreeMap<String, Self> {
        let gone = old.keys().filter(|path| !new.contains_key(*path)).map(|path| (path.clone(), Self::Removed));
        let there = new.iter().filter_map(|(path, text)| match old.get(path) {
            None => Some((path.clone(), Self::Added)),
            Some(known) if known != text => Some((path.clone(), Self::Changed)),
            Some(_) => None,
        });
        gone.chain(there).collect()
    }
}

impl RulesService {
    /// Checks and compiles a system's files as if they were on disk, and makes nothing live. What compiled before is taken
    /// from the live version. Takes as long as loading them. How long scripts take is a mistake only where they are `timed`:
    /// over whichever end users there are, so it is not for who may see only some of them.
    ///
    /// # Errors
    /// Every mistake, as it would be told of files on disk.
    pub fn draft(&self, system: &SystemId, files: &Files, timed: bool) -> Result<RuleSet, Vec<FileError>> {
        let large = files.iter().filter(|(_, text)| text.len() > MAX_FILE);
        let errors: Vec<FileError> =
            large.map(|(path, _)| FileError::whole(format!("{system}/{path}"), too_large(), None)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let live = self.live();
        let live = live.systems.get(system).map(AsRef::as_ref);
        if timed { self.load(system, files, live).result } else { self.load_untimed(system, files, live).result }
    }

    /// Replaces all integrations and segments of a system by these (a `system.toml` among them is left out: the system
    /// keeps its own): checked first, all together, live when this returns. Blocks.
    ///
    /// # Errors
    /// [`RuleWriteError`]; then nothing has changed.
    pub fn replace_rules(&self, system: &SystemId, rules: &Files) -> Result<Changed, RuleWriteError> {
        if self.options.read_only {
            return Err(RuleWriteError::ReadOnly);
        }
        let mut tried = self.lock();
        let mut folder = settled(|| read_system(&self.root, system)).ok_or(RuleWriteError::NotFound)?;
        let old = folder.files.clone();
        let own = RulePath::System.to_string();
        folder.files.retain(|path, _| *path == own);
        folder.files.extend(
            rules.iter().filter(|(path, _)| **path != own).map(|(path, text)| (path.clone(), Arc::clone(text))),
        );
        let revision = self.check_change(system, &folder)?;
        let files = FileChange::between(&old, &folder.files);
        begin(&self.root.join(system.as_str()), &files, &folder.files)
            .map_err(|error| RuleWriteError::Io(error.to_string()))?;
        // This finishes it.
        self.refresh(&mut tried);
        Ok(Changed { files, revision })
    }

    /// Finishes changes that were begun.
    pub(super) fn finish_changes(&self) {
        if self.options.read_only {
            return;
        }
        let Ok(systems) = fs::read_dir(&self.root) else { return };
        for folder in systems.flatten().map(|entry| entry.path()).filter(|folder| folder.join(NOTE).is_file()) {
            if let Err(error) = finish(&folder) {
                tracing::error!(folder = %folder.display(), %error, "a change of several rule files could not be finished");
            }
        }
    }
}

/// Writes the drafts and the note. Before the note nothing has happened.
fn begin(folder: &Path, changes: &BTreeMap<String, FileChange>, files: &Files) -> io::Result<()> {
    let mut note = Note::default();
    for (path, change) in changes {
        let list = if *change == FileChange::Removed { &mut note.delete } else { &mut note.put };
        list.push(path.clone());
    }
    let drafted = note.put.iter().try_for_each(|path| {
        let Draft { target, draft, folder } = Draft::of(&folder.join(path))?;
        make_folder(&folder)?;
        write_whole(&draft, &target, files.get(path).map_or("", AsRef::as_ref))?;
        sync_folder(&folder)
    });
    let begun = drafted.and_then(|()| replace(&folder.join(NOTE), &serde_json::to_string(&note)?));
    if begun.is_err() {
        for draft in note.put.iter().filter_map(|path| Draft::of(&folder.join(path)).ok()) {
            let _ = fs::remove_file(draft.draft);
        }
    }
    begun
}

/// Does what the note in a system's folder says, as far as that is left to do.
fn finish(folder: &Path) -> io::Result<()> {
    let note: Note = serde_json::from_str(&fs::read_to_string(folder.join(NOTE))?)?;
    // A note that came from elsewhere must not reach beyond the rules.
    let is_rule = |path: &&String| path.parse::<RulePath>().is_ok();
    for path in note.put.iter().filter(is_rule) {
        let Draft { target, draft, folder } = Draft::of(&folder.join(path))?;
        if draft.exists() {
            fs::rename(&draft, &target)?;
            sync_folder(&folder)?;
        }
    }
    for path in note.delete.iter().filter(is_rule).map(|path| folder.join(path)) {
        if path.symlink_metadata().is_ok() {
            delete(&path)?;
        }
    }
    delete(&folder.join(NOTE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::ruleset::fixtures::{CRM, Kept, Nobody, Rules, files, system};
    use crate::ruleset::{LastGood, RulesOptions};

    fn service(rules: &Rules) -> Arc<RulesService> {
        let options = RulesOptions { watch: false, read_only: false, script_us: 200 };
        let kept: Arc<dyn LastGood> = Arc::new(Kept::default());
        RulesService::start(rules.root(), kept, Clock::system(), options, Box::new(Nobody)).ok().unwrap()
    }

    const BIG: &str = "crm.Seats > 50";

    fn tree() -> Rules {
        Rules::new(&[
            ("default/system.toml", "name = \"Mine\"\n"),
            ("default/integrations/crm.toml", CRM),
            ("default/segments/old.rhai", "crm.Seats > 1"),
            ("default/segments/same.rhai", BIG),
            ("default/segments/.keep", ""),
        ])
    }

    fn on_disk(rules: &Rules) -> Vec<String> {
        let folder = |name: &str| fs::read_dir(rules.root().join("default").join(name)).unwrap();
        let mut names: Vec<String> = ["", "integrations", "segments"]
            .into_iter()
            .flat_map(folder)
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn wanted() -> Files {
        files(&[
            ("system.toml", "name = \"Theirs\"\n"),
            ("integrations/crm.toml", &CRM.replace("Signup", "Since")),
            ("segments/new.rhai", "crm.Seats > 2"),
            ("segments/same.rhai", BIG),
        ])
    }

    #[test]
    fn all_rules_are_replaced_and_the_settings_stay() {
        let rules = tree();
        let service = service(&rules);
        let same = service.live().systems["default"].segments.get(&"same".parse().unwrap()).unwrap().text.clone();
        let changed = service.replace_rules(&system("default"), &wanted()).unwrap();
        let told: Vec<_> = changed.files.iter().map(|(path, change)| (path.as_str(), *change)).collect();
        assert_eq!(
            told,
            [
                ("integrations/crm.toml", FileChange::Changed),
                ("segments/new.rhai", FileChange::Added),
                ("segments/old.rhai", FileChange::Removed),
            ]
        );
        let live = service.live();
        assert_eq!(live.systems["default"].revision, changed.revision);
        assert_eq!(live.systems["default"].settings.name, "Mine");
        assert!(
            Arc::ptr_eq(&live.systems["default"].segments.get(&"same".parse().unwrap()).unwrap().text, &same)
                || *same == *BIG
        );
        assert_eq!(
            on_disk(&rules),
            [".keep", "crm.toml", "integrations", "new.rhai", "same.rhai", "segments", "system.toml"]
        );
    }

    #[test]
    fn rules_that_would_not_load_are_refused_and_nothing_changes() {
        let rules = tree();
        let service = service(&rules);
        let before = on_disk(&rules);
        let mut wanted = wanted();
        wanted.insert("segments/new.rhai".to_owned(), "crm.Signup > 2".into());
        let Err(RuleWriteError::Invalid(errors)) = service.replace_rules(&system("default"), &wanted) else { panic!() };
        assert_eq!(errors[0].file, "default/segments/new.rhai");
        assert_eq!(on_disk(&rules), before);
        let draft = service.draft(&system("default"), &wanted, true).map(|_| ()).unwrap_err();
        assert_eq!(draft, errors, "a draft is judged alike");
        assert!(matches!(service.replace_rules(&system("none"), &wanted), Err(RuleWriteError::NotFound)));
    }

    #[test]
    fn a_change_that_was_cut_off_is_finished_by_the_next_reading() {
        let rules = tree();
        let before = service(&rules).live().systems["default"].files.clone();
        let mut wanted = wanted();
        wanted.insert("system.toml".to_owned(), before["system.toml"].clone());
        let changes = FileChange::between(&before, &wanted);
        begin(&rules.root().join("default"), &changes, &wanted).unwrap();
        // As far as a crash let it come.
        let draft = Draft::of(&rules.root().join("default/integrations/crm.toml")).unwrap();
        fs::rename(draft.draft, draft.target).unwrap();
        assert_eq!(service(&rules).live().systems["default"].files, wanted);
        assert!(!on_disk(&rules).iter().any(|name| name.contains("rollcall")), "{:?}", on_disk(&rules));
    }

    #[test]
    fn a_note_from_elsewhere_does_not_reach_beyond_the_rules() {
        let rules = tree();
        rules.put("other.txt", "x");
        rules.put(&format!("default/{NOTE}"), r#"{"put":["../../x"],"delete":["../other.txt",".keep"]}"#);
        let _ = service(&rules);
        assert!(rules.root().join("other.txt").exists());
        assert!(!rules.root().join("default").join(NOTE).exists());
    }
}
