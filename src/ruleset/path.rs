//! Where a rule file stands within its system, and which names are allowed there.
//!
//! Owns the layout of a system's folder: `system.toml`, `integrations/<id>.toml`, `segments/<id>.rhai`. Reads nothing
//! from disk. Invariant: a [`RulePath`] and its relative path are two forms of one thing.

use std::fmt;
use std::str::FromStr;

use crate::model::{IdError, IntegrationId, SegmentId};
use crate::segments::is_reserved;

/// The settings' file name.
const SYSTEM: &str = "system.toml";
/// The folder of the integrations, and how their files end.
const INTEGRATIONS: (&str, &str) = ("integrations", ".toml");
/// The folder of the segments, and how their files end.
const SEGMENTS: (&str, &str) = ("segments", ".rhai");

/// The folders that a system's folder may hold.
pub(super) const FOLDERS: [&str; 2] = [INTEGRATIONS.0, SEGMENTS.0];

/// A rule file's place within its system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RulePath {
    /// `system.toml`.
    System,
    /// `integrations/<id>.toml`.
    Integration(IntegrationId),
    /// `segments/<id>.rhai`.
    Segment(SegmentId),
}

/// Why a path within a system's folder is no rule file's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulePathError {
    /// There is no such place in a system.
    #[error("`{0}` has no place in a system, which holds `system.toml`, `integrations/*.toml` and `segments/*.rhai`")]
    Misplaced(String),
    /// In the right folder with the wrong ending.
    #[error("`{name}` does not end in `{ending}`, as every file in `{folder}/` must")]
    Ending {
        /// The file's name.
        name: String,
        /// How it must end.
        ending: &'static str,
        /// The folder it is in.
        folder: &'static str,
    },
    /// The stem is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The stem is an integration id that rules could not name.
    #[error("`{0}` can't be an integration's id: Rhai, the language of the rules, keeps the word for itself")]
    Reserved(String),
}

impl RulePathError {
    /// How to mend it, where that can be guessed.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Misplaced(path) if path.contains('/') => Some("folders below these are not read".to_owned()),
            Self::Misplaced(path) if path.ends_with(INTEGRATIONS.1) => {
                Some(format!("an integration belongs in `{}/`", INTEGRATIONS.0))
            }
            Self::Misplaced(path) if path.ends_with(SEGMENTS.1) => {
                Some(format!("a segment's rule belongs in `{}/`", SEGMENTS.0))
            }
            Self::Misplaced(_) | Self::Ending { .. } => {
                Some("notes can be kept as `*.md`, and names that begin with a dot are ignored".to_owned())
            }
            Self::Id(_) => None,
            Self::Reserved(id) => Some(format!("rename the file, for example to `{id}_crm.toml`")),
        }
    }
}

impl FromStr for RulePath {
    type Err = RulePathError;
    /// Reads a path relative to the system's folder.
    fn from_str(path: &str) -> Result<Self, RulePathError> {
        if path == SYSTEM {
            return Ok(Self::System);
        }
        let misplaced = || RulePathError::Misplaced(path.to_owned());
        let (folder, name) = path.split_once('/').ok_or_else(misplaced)?;
        if name.contains('/') {
            return Err(misplaced());
        }
        let stem = |(folder, ending): (&'static str, &'static str)| {
            let wrong = || RulePathError::Ending { name: name.to_owned(), ending, folder };
            name.strip_suffix(ending).ok_or_else(wrong)
        };
        if folder == INTEGRATIONS.0 {
            let id = stem(INTEGRATIONS)?;
            let id = IntegrationId::new(id)?;
            // An integration is a variable in the rules; an attribute or a segment may be called as Rhai likes.
            if is_reserved(id.as_str()) {
                return Err(RulePathError::Reserved(id.to_string()));
            }
            Ok(Self::Integration(id))
        } else if folder == SEGMENTS.0 {
            Ok(Self::Segment(SegmentId::new(stem(SEGMENTS)?)?))
        } else {
            Err(misplaced())
        }
    }
}

impl fmt::Display for RulePath {
    /// The path relative to the system's folder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str(SYSTEM),
            Self::Integration(id) => write!(f, "{}/{id}{}", INTEGRATIONS.0, INTEGRATIONS.1),
            Self::Segment(id) => write!(f, "{}/{id}{}", SEGMENTS.0, SEGMENTS.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_reads_back_as_it_is_written() {
        for path in ["system.toml", "integrations/crm.toml", "segments/default.rhai"] {
            assert_eq!(path.parse::<RulePath>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn a_misplaced_or_misnamed_file_is_told_where_it_belongs() {
        let told = |path: &str| {
            let error = path.parse::<RulePath>().unwrap_err();
            format!("{error} {}", error.hint().unwrap_or_default())
        };
        assert!(told("crm.toml").contains("belongs in `integrations/`"));
        assert!(told("vip.rhai").contains("belongs in `segments/`"));
        assert!(told("integrations/crm.json").contains("does not end in `.toml`"));
        assert!(told("segments/vip.toml").contains("does not end in `.rhai`"));
        assert!(told("integrations/old/crm.toml").contains("not read"));
        assert!(told("other/crm.toml").contains("no place in a system"));
        assert!(told("integrations/My-CRM.toml").contains("`My-CRM` is no valid integration id"));
        assert!(told("segments/.rhai").contains("no valid segment id"));
    }

    #[test]
    fn an_integration_id_that_rhai_reserves_is_refused_with_a_suggestion() {
        for word in ["new", "default", "import", "call", "this", "fn", "let", "in", "eval", "switch", "thread"] {
            let error = format!("integrations/{word}.toml").parse::<RulePath>().unwrap_err();
            assert_eq!(error, RulePathError::Reserved(word.to_owned()));
            let suggested = format!("integrations/{word}_crm.toml");
            assert!(
                error.hint().unwrap().contains(&format!("`{word}_crm.toml`")) && suggested.parse::<RulePath>().is_ok()
            );
        }
    }
}
