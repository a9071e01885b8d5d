//! One rule file written or deleted by a caller rather than by Git or an editor.
//!
//! Owns what guards such a write (`If-Match`, read-only) and that it is atomic and durable. Invariant: the file changes
//! only when the whole system is good with the change; when a write returns, the change is live.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::files::{Folder, MAX_FILE, read_system, settled, too_large};
use super::load::revision;
use super::service::Tried;
use super::{FileError, RulePath, RulesService};
use crate::model::SystemId;

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The hash of the file's text, absent after a deletion.
    pub etag: Option<String>,
    /// Whether the file was not there before.
    pub created: bool,
    /// The system's revision with the change.
    pub revision: String,
}

/// Why a rule file was not written.
#[derive(Debug, thiserror::Error)]
pub enum RuleWriteError {
    /// Git is the only writer here.
    #[error("rules are read-only here (`rules.read_only`): commit the file to Git instead")]
    ReadOnly,
    /// `If-Match` names another text than the file has.
    #[error("the file was changed meanwhile: read it again and repeat the change")]
    Conflict {
        /// The hash of the text that is there; `None` when there is no such file.
        current: Option<String>,
    },
    /// There is no such system, or no such file to delete.
    #[error("there is no such file")]
    NotFound,
    /// With the change, the system's files have mistakes (in this file or in another).
    #[error("the rules would not load: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Invalid(Vec<FileError>),
    /// The disk refused.
    #[error("the file could not be written: {0}")]
    Io(String),
}

/// The `ETag` of a rule file's text (without quotes): 32 hex characters.
#[must_use]
pub fn etag(text: &str) -> String {
    let mut hex = hex::encode(Sha256::digest(text));
    hex.truncate(32);
    hex
}

/// Whether an `If-Match` header's value (`*`, or entity tags with or without quotes) allows changing a file that has
/// this tag now. A weak tag (`W/"…"`) never matches, as RFC 9110 has it.
fn matches(header: &str, current: Option<&str>) -> bool {
    let Some(current) = current else { return false };
    header.trim() == "*" || header.split(',').any(|tag| tag.trim().trim_matches('"') == current)
}

impl RulesService {
    /// The text of a rule file as it is on disk now, which may be newer than what is live: what an editor shows, and whose
    /// [`etag`] a write is held against. `None`: there is no such readable file. Blocks.
    #[must_use]
    pub fn read(&self, system: &SystemId, path: &RulePath) -> Option<Arc<str>> {
        settled(|| read_system(&self.root, system))?.files.remove(&path.to_string())
    }

    /// Writes (or with `None` deletes) one rule file: checked with the rest of the system first, atomically, live when
    /// this returns. Writing `system.toml` makes the system if there is none; no other file does. Blocks.
    ///
    /// # Errors
    /// [`RuleWriteError`]; then nothing has changed.
    pub fn write(
        &self,
        system: &SystemId,
        path: &RulePath,
        text: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<Written, RuleWriteError> {
        if self.options.read_only {
            return Err(RuleWriteError::ReadOnly);
        }
        let mut tried = self.lock();
        self.write_held(&mut tried, system, path, text, if_match)
    }

    /// Makes a system of this `system.toml`; `None` where there is a folder of its name already. Blocks.
    ///
    /// # Errors
    /// [`RuleWriteError`]; then nothing has changed.
    pub fn create(&self, system: &SystemId, settings: &str) -> Result<Option<Written>, RuleWriteError> {
        if self.options.read_only {
            return Err(RuleWriteError::ReadOnly);
        }
        let mut tried = self.lock();
        if self.root.join(system.as_str()).symlink_metadata().is_ok() {
            return Ok(None);
        }
        self.write_held(&mut tried, system, &RulePath::System, Some(settings), None).map(Some)
    }

    /// [`RulesService::write`] by whoever holds the lock.
    fn write_held(
        &self,
        tried: &mut Tried,
        system: &SystemId,
        path: &RulePath,
        text: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<Written, RuleWriteError> {
        let on_disk = settled(|| read_system(&self.root, system));
        let mut folder = match (on_disk, path, text) {
            (Some(folder), _, _) => folder,
            (None, RulePath::System, Some(_)) => Folder::default(),
            (None, _, _) => return Err(RuleWriteError::NotFound),
        };
        let name = path.to_string();
        let file = format!("{system}/{name}");
        let current = folder.files.get(&name).cloned();
        let current_tag = current.as_deref().map(etag);
        if if_match.is_some_and(|header| !matches(header, current_tag.as_deref())) {
            return Err(RuleWriteError::Conflict { current: current_tag });
        }
        let target = self.root.join(system.as_str()).join(&name);
        let existed = target.symlink_metadata().is_ok();
        match text {
            None if !existed => return Err(RuleWriteError::NotFound),
            None => folder.files.remove(&name),
            Some(text) if text.len() > MAX_FILE => {
                return Err(RuleWriteError::Invalid(vec![FileError::whole(file, too_large(), None)]));
            }
            Some(text) => folder.files.insert(name, text.into()),
        };
        // What was unreadable about this very file goes with the change.
        folder.errors.retain(|error| error.file != file);
        let revision = self.check_change(system, &folder)?;
        let change = match text {
            Some(text) if current.as_deref() == Some(text) => Ok(()),
            Some(text) => replace(&target, text),
            None => delete(&target),
        };
        change.map_err(|error| RuleWriteError::Io(error.to_string()))?;
        self.refresh(tried);
        Ok(Written { etag: text.map(etag), created: text.is_some() && !existed, revision })
    }

    /// Loads the system as it would be; gives its revision.
    pub(super) fn check_change(&self, system: &SystemId, folder: &Folder) -> Result<String, RuleWriteError> {
        let live = self.live();
        let previous = live.systems.get(system).map(AsRef::as_ref);
        let mut errors = match self.load(system, &folder.files, previous).result {
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        };
        errors.extend(folder.errors.iter().cloned());
        errors.sort();
        if errors.is_empty() { Ok(revision(&folder.files)) } else { Err(RuleWriteError::Invalid(errors)) }
    }
}

/// Replaces a file's text so that, whatever happens, either the old or the new one is there whole.
pub(super) fn replace(target: &Path, text: &str) -> io::Result<()> {
    let Draft { target, draft, folder } = Draft::of(target)?;
    make_folder(&folder)?;
    let written = write_whole(&draft, &target, text).and_then(|()| fs::rename(&draft, &target));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.and_then(|()| sync_folder(&folder))
}

/// Where a file's next version is written before it takes the file's place.
pub(super) struct Draft {
    pub(super) target: PathBuf,
    pub(super) draft: PathBuf,
    pub(super) folder: PathBuf,
}

impl Draft {
    pub(super) fn of(target: &Path) -> io::Result<Self> {
        // A link stays one: what it leads to is replaced.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_path_buf());
        let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // Ignored by its dot should it be left behind. One name will do: whoever writes holds the service's lock.
        let draft = folder.join(format!(".{}.rollcall-draft", name.to_string_lossy()));
        Ok(Self { draft, folder: folder.to_path_buf(), target })
    }
}

pub(super) fn write_whole(draft: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(draft)?;
    if let Ok(metadata) = fs::metadata(target) {
        file.set_permissions(metadata.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

pub(super) fn delete(target: &Path) -> io::Result<()> {
    fs::remove_file(target)?;
    target.parent().map_or(Ok(()), sync_folder)
}

/// Makes a folder and those above it, each durable in the one that holds it.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<PathBuf> = folder.ancestors().take_while(|path| !path.exists()).map(Path::to_path_buf).collect();
    for path in missing.iter().rev() {
        fs::create_dir(path)?;
        path.parent().map_or(Ok(()), sync_folder)?;
    }
    Ok(())
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::IntegrationId;
    use crate::ruleset::fixtures::{CRM, Kept, Nobody, Rules, integration, system};
    use crate::ruleset::{LastGood, RulesOptions};

    fn service(rules: &Rules, read_only: bool) -> Arc<RulesService> {
        let options = RulesOptions { watch: false, read_only, script_us: 200 };
        let kept: Arc<dyn LastGood> = Arc::new(Kept::default());
        RulesService::start(rules.root(), kept, Clock::system(), options, Box::new(Nobody)).ok().unwrap()
    }
    fn crm() -> RulePath {
        RulePath::Integration(IntegrationId::new("crm").unwrap())
    }
    fn on_disk(rules: &Rules, path: &str) -> Option<String> {
        fs::read_to_string(rules.root().join(path)).ok()
    }
    const PATH: &str = "default/integrations/crm.toml";

    #[test]
    fn a_written_file_is_on_disk_as_sent_and_live_at_once() {
        let rules = Rules::new(&[("default/system.toml", "")]);
        let service = service(&rules, false);
        let text = format!("# kept\n{CRM}");
        let written = service.write(&system("default"), &crm(), Some(&text), None).unwrap();
        assert!(written.created);
        assert_eq!(written.etag, Some(etag(&text)));
        assert_eq!(on_disk(&rules, PATH), Some(text.clone()));
        let live = service.live();
        assert_eq!(
            (live.systems["default"].attributes_used(), &live.systems["default"].revision),
            (3, &written.revision)
        );
        let again = service.write(&system("default"), &crm(), Some(&text), None).unwrap();
        assert!(!again.created && Arc::ptr_eq(&live, &service.live()), "the same text again changes nothing");
        let names: Vec<_> = fs::read_dir(rules.root().join("default/integrations")).unwrap().collect();
        assert_eq!(names.len(), 1, "no draft is left behind");
    }

    #[test]
    fn a_deleted_file_is_gone_at_once() {
        let rules = Rules::new(&[(PATH, CRM)]);
        let service = service(&rules, false);
        let written = service.write(&system("default"), &crm(), None, Some("*")).unwrap();
        assert_eq!((written.etag, written.created), (None, false));
        assert_eq!(on_disk(&rules, PATH), None);
        assert_eq!(service.live().systems["default"].attributes_used(), 0);
        let again = service.write(&system("default"), &crm(), None, None);
        assert!(matches!(again, Err(RuleWriteError::NotFound)));
    }

    #[test]
    fn if_match_guards_against_lost_edits() {
        let rules = Rules::new(&[(PATH, CRM)]);
        let service = service(&rules, false);
        let write = |text: &str, header: &str| service.write(&system("default"), &crm(), Some(text), Some(header));
        let (first, second) = (format!("# 1\n{CRM}"), format!("# 2\n{CRM}"));
        write(&first, &format!("\"{}\"", etag(CRM))).unwrap();
        let Err(RuleWriteError::Conflict { current }) = write(&second, &format!("\"{}\"", etag(CRM))) else { panic!() };
        assert_eq!(current, Some(etag(&first)));
        assert_eq!(on_disk(&rules, PATH), Some(first.clone()));
        rules.put(PATH, &second);
        assert!(
            matches!(write(&first, &etag(&first)), Err(RuleWriteError::Conflict { .. })),
            "the file on disk counts"
        );
        write(&first, &format!("\"x\", \"{}\"", etag(&second))).unwrap();
        let new = RulePath::Integration(IntegrationId::new("other").unwrap());
        let refused = service.write(&system("default"), &new, Some(CRM), Some("*"));
        assert!(matches!(refused, Err(RuleWriteError::Conflict { current: None })), "`*` asks for a file to be there");
        assert!(matches!(write(&second, &format!("W/\"{}\"", etag(&first))), Err(RuleWriteError::Conflict { .. })));
    }

    #[test]
    fn what_would_not_load_is_refused_and_nothing_changes() {
        let rules = Rules::new(&[(PATH, CRM), ("default/integrations/big.toml", &integration(97))]);
        let service = service(&rules, false);
        let live = service.live();
        let invalid = |text: &str| {
            let Err(RuleWriteError::Invalid(errors)) = service.write(&system("default"), &crm(), Some(text), None)
            else {
                panic!("{text} was taken")
            };
            errors
        };
        assert_eq!((invalid("\nnaem = 1")[0].line, invalid("\nnaem = 1").len()), (1, 2));
        assert!(invalid(&integration(4))[0].message.contains("101 attributes"), "the other files count, too");
        assert!(invalid(&" ".repeat(MAX_FILE + 1))[0].message.contains("larger than 256 KiB"));
        assert_eq!(on_disk(&rules, PATH).as_deref(), Some(CRM));
        assert!(Arc::ptr_eq(&live, &service.live()));
    }

    #[test]
    fn a_mistake_in_another_file_is_named_and_a_write_can_mend_its_own() {
        let rules = Rules::new(&[(PATH, CRM)]);
        let service = service(&rules, false);
        rules.put("default/integrations/erp.toml", "oops");
        let refused = service.write(&system("default"), &crm(), Some(&format!("{CRM}#")), None);
        let Err(RuleWriteError::Invalid(errors)) = refused else { panic!() };
        assert_eq!(errors[0].file, "default/integrations/erp.toml");
        assert_eq!(service.read(&system("default"), &crm()).as_deref(), Some(CRM));
        let erp = RulePath::Integration(IntegrationId::new("erp").unwrap());
        let broken = service.read(&system("default"), &erp).unwrap();
        assert_eq!(&*broken, "oops", "what is on disk is read, be it broken");
        let written = service.write(&system("default"), &erp, Some(CRM), Some(&etag(&broken))).unwrap();
        assert!(!written.created);
        assert_eq!(service.live().systems["default"].attributes_used(), 6);
        fs::write(rules.root().join("default/integrations/erp.toml"), b"\xff").unwrap();
        service.write(&system("default"), &erp, None, None).unwrap();
        assert_eq!(service.live().systems["default"].attributes_used(), 3);
    }

    #[test]
    fn only_settings_make_a_system() {
        let rules = Rules::new(&[(PATH, CRM)]);
        let service = service(&rules, false);
        let refused = service.write(&system("other"), &crm(), Some(CRM), None);
        assert!(matches!(refused, Err(RuleWriteError::NotFound)) && !rules.root().join("other").exists());
        assert!(service.write(&system("other"), &RulePath::System, Some("name = \"Other\""), None).unwrap().created);
        assert_eq!(service.live().systems["other"].settings.name, "Other");
    }

    #[test]
    fn read_only_rules_are_not_written() {
        let rules = Rules::new(&[(PATH, CRM)]);
        let refused = service(&rules, true).write(&system("default"), &crm(), None, None);
        assert!(matches!(refused, Err(RuleWriteError::ReadOnly)) && on_disk(&rules, PATH).is_some());
    }

    #[test]
    fn a_linked_file_stays_a_link_and_keeps_its_mode() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let rules = Rules::new(&[(".shared/crm.toml", CRM), ("default/integrations/README.md", "")]);
        let shared = rules.root().join(".shared/crm.toml");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&shared, rules.root().join(PATH)).unwrap();
        let text = format!("{CRM}# changed");
        service(&rules, false).write(&system("default"), &crm(), Some(&text), None).unwrap();
        assert!(fs::symlink_metadata(rules.root().join(PATH)).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&shared).unwrap(), text);
        assert_eq!(fs::metadata(&shared).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_disk_that_refuses_leaves_everything_as_it_was() {
        let rules = Rules::new(&[(PATH, CRM)]);
        let service = service(&rules, false);
        // A folder stands where the draft would be written.
        fs::create_dir(rules.root().join("default/integrations/.crm.toml.rollcall-draft")).unwrap();
        let refused = service.write(&system("default"), &crm(), Some(&format!("{CRM}#")), None);
        assert!(matches!(refused, Err(RuleWriteError::Io(_))));
        assert_eq!(on_disk(&rules, PATH).as_deref(), Some(CRM));
        assert_eq!(service.live().systems["default"].attributes_used(), 3);
    }
}
