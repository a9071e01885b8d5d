//! A whole rules folder checked without a server, for `rollcall check`.
//!
//! Owns what is counted. Judges by the same functions as the running server, so that what passes here goes live there.

use std::path::Path;

use super::files::{Folder, read_tree, settled};
use super::load::{load, revision};
use super::service::no_system;
use super::{FileError, Files, RulePath, RuleSet, RulesOptions};
use crate::model::Timestamp;
use crate::segments::Segment;

/// What `rollcall check` says of one entry of the rules folder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// The name of the system's folder (or of a stray file); empty when the rules folder itself is wrong.
    pub system: String,
    /// How many attributes it declares.
    pub attributes_used: usize,
    /// How many integrations it has.
    pub integrations: usize,
    /// How many segments it has.
    pub segments: usize,
    /// Everything that is wrong.
    pub errors: Vec<FileError>,
    /// What is allowed but worth a look.
    pub warnings: Vec<FileError>,
    /// How each segment runs, in alphabetical order; empty when anything is wrong.
    pub modes: Vec<SegmentMode>,
}

/// How a segment's rule runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SegmentMode {
    /// The segment's id.
    pub segment: String,
    /// Its file, relative to the rules folder.
    pub file: String,
    /// `index`: as a condition; `script`: end user by end user.
    pub mode: &'static str,
    /// Whether the script runs only for end users who meet a condition that the rule implies.
    pub guarded: bool,
    /// What in the rule is no condition, when it runs as a script.
    pub why: Option<String>,
    /// The line of that, from 1; 0 when the whole rule is meant.
    pub line: usize,
    /// The column of that, from 1, in characters; 0 when the whole rule is meant.
    pub column: usize,
}

impl SegmentMode {
    fn new(system: &str, segment: &Segment) -> Self {
        let script = segment.runs_as_script();
        Self {
            segment: segment.id.to_string(),
            file: format!("{system}/{}", RulePath::Segment(segment.id.clone())),
            mode: if script.is_some() { "script" } else { "index" },
            guarded: segment.guard().is_some(),
            why: script.map(|script| script.why.clone()),
            line: script.map_or(0, |script| script.line),
            column: script.map_or(0, |script| script.column),
        }
    }

    fn all(rules: &RuleSet) -> Vec<Self> {
        let mut modes: Vec<Self> =
            rules.segments.iter().map(|segment| Self::new(rules.system.as_str(), segment)).collect();
        modes.sort_by(|a, b| a.segment.cmp(&b.segment));
        modes
    }
}

impl Checked {
    fn wrong(system: &str, errors: Vec<FileError>) -> Self {
        let (system, warnings, modes) = (system.to_owned(), Vec::new(), Vec::new());
        Self { system, attributes_used: 0, integrations: 0, segments: 0, errors, warnings, modes }
    }
}

/// Checks a whole rules folder without a server. A folder that can't be read, or holds nothing, is one entry with an
/// empty `system`.
#[must_use]
pub fn check(root: &Path, _options: &RulesOptions) -> Vec<Checked> {
    match settled(|| read_tree(root)) {
        Err(error) => vec![Checked::wrong("", vec![error])],
        Ok(tree) if tree.is_empty() => vec![Checked::wrong("", vec![no_system(root)])],
        Ok(tree) => tree.into_iter().map(|(name, folder)| check_folder(&name, folder)).collect(),
    }
}

/// A system's folder as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSystem {
    /// The folder's name (or that of a stray file).
    pub name: String,
    /// Its files.
    pub files: Files,
    /// The hash of its files: what is live on a server has the same if its files are the same.
    pub revision: String,
    /// What is misplaced, misnamed or unreadable.
    pub errors: Vec<FileError>,
}

/// Reads a rules folder, and judges no file's content.
///
/// # Errors
/// When the folder itself can't be read.
pub fn read_local(root: &Path) -> Result<Vec<LocalSystem>, FileError> {
    let tree = settled(|| read_tree(root))?;
    let local = |(name, folder): (String, Folder)| LocalSystem {
        name,
        revision: revision(&folder.files),
        files: folder.files,
        errors: folder.errors,
    };
    Ok(tree.into_iter().map(local).collect())
}

fn check_folder(name: &str, folder: Folder) -> Checked {
    let Some(id) = &folder.id else { return Checked::wrong(name, folder.errors) };
    let loaded = load(id, &folder.files, None, Timestamp::default());
    let modes = loaded.result.as_ref().map(SegmentMode::all).unwrap_or_default();
    let mut errors = loaded.result.err().unwrap_or_default();
    errors.extend(folder.errors);
    errors.sort();
    Checked {
        system: name.to_owned(),
        attributes_used: loaded.attributes_used,
        integrations: loaded.integrations,
        segments: loaded.segments,
        errors,
        warnings: loaded.warnings,
        modes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::fixtures::{CRM, Rules};

    const OPTIONS: RulesOptions = RulesOptions { watch: false, read_only: false, script_us: 200 };

    #[test]
    fn every_system_is_counted_and_every_mistake_told() {
        let rules = Rules::new(&[
            ("good/integrations/crm.toml", CRM),
            ("bad/integrations/crm.toml", "naem = 1"),
            ("bad/notes.txt", ""),
            ("stray.txt", ""),
        ]);
        let checked = check(&rules.root(), &OPTIONS);
        let seen: Vec<_> =
            checked.iter().map(|c| (c.system.as_str(), c.integrations, c.attributes_used, c.errors.len())).collect();
        assert_eq!(seen, [("bad", 1, 0, 3), ("good", 1, 3, 0), ("stray.txt", 0, 0, 1)]);
    }

    #[test]
    fn an_empty_or_missing_rules_folder_is_wrong() {
        let rules = Rules::new(&[]);
        for root in [rules.root(), rules.root().join("nope")] {
            let checked = check(&root, &OPTIONS);
            assert_eq!((checked.len(), checked[0].errors[0].file.as_str()), (1, "."));
        }
    }
}
