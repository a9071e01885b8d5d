//! The files of a system: read, parsed, checked as a whole, kept as last good, watched, swapped, written.
//!
//! Owns what stands under `rules/` (contract: files, field paths, cap, removal, loading) and who serves which
//! version of it. Knows nothing of HTTP, of stored values, or of how a rule is compiled ([`crate::segments`]).
//! Invariant: a [`RuleSet`] is complete, checked and immutable; all files of one system go live together or not at
//! all; whoever takes [`RulesService::live`] once sees one version of everything until the end of what it does.
//!
//! One way through: `files` (a folder as text) → `load` (`document`, `integration`, `settings`, then the segments) →
//! `service` (swap, last good) ← `watch` (when) and `write` (by HTTP). `check` is the same without a server.

mod change;
mod check;
mod document;
mod files;
mod integration;
mod integration_text;
mod load;
mod path;
mod rule_set;
mod service;
mod settings;
mod settings_text;
mod watch;
mod write;

#[cfg(test)]
mod fixtures;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{SystemId, Timestamp};

pub use change::{Changed, FileChange};
pub use check::{Checked, LocalSystem, SegmentMode, check, read_local};
pub use integration::{FieldPath, FieldPathError, Integration, IntegrationKind, Property};
pub use integration_text::{IntegrationForm, IntegrationTextError, PropertyForm, proposed_id, proposed_segment_id};
pub(crate) use load::load_texts;
pub use path::{RulePath, RulePathError};
pub use rule_set::RuleSet;
pub use service::{Following, LastGood, LiveRules, NothingToServe, RulesOptions, RulesService, SystemReport};
pub use settings::{Stage, SystemSettings, UnitGroup};
pub use settings_text::{SettingsForm, UnitGroupForm, UnreadableSettings};
pub use write::{RuleWriteError, Written, etag};

/// A system's files as text, by path relative to the system's folder (`integrations/crm.toml`). What is kept as last
/// good.
pub type Files = BTreeMap<String, Arc<str>>;

/// Checks and compiles a system's files without making them live. What compiled before may be taken from `previous`.
///
/// # Errors
/// Every mistake, as it would be told of files on disk.
pub fn compile(
    system: &SystemId,
    files: &Files,
    previous: Option<&RuleSet>,
    now: Timestamp,
) -> Result<RuleSet, Vec<FileError>> {
    load::load(system, files, previous, now).result
}

/// A mistake in a file, or a warning about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct FileError {
    /// The file, relative to the rules folder (`default/integrations/crm.toml`); `.` is the rules folder itself.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The column in characters, from 1; 0 when the whole file is meant.
    pub column: usize,
    /// What is wrong, and what is allowed.
    pub message: String,
    /// How to mend it, where that can be guessed.
    pub hint: Option<String>,
}

impl FileError {
    /// A mistake that concerns a whole file or folder.
    fn whole(file: impl Into<String>, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, message: message.into(), hint }
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
