//! Rule files written by a page: who may, and what is said when the rules would not load.
//!
//! Owns no page. What is written goes the way of the API (`rule_files`). Invariant: where Git is the only writer, a page
//! shows the file to commit and changes nothing.

use crate::http::api::rule_files::write_expecting;
use crate::http::auth::{At, Demand, publish};
use crate::http::problem::Problem;
use crate::model::Permission;
use crate::ruleset::{FileError, RulePath, RuleWriteError};

/// Whether an operator may write the rules of a kind here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    /// The permissions are there.
    pub(super) may: bool,
    /// But Git is the only writer.
    pub(super) read_only: bool,
}

impl Pen {
    /// For the rules that need this permission.
    pub(super) fn of<P>(at: &At<P>, permission: Permission) -> Self {
        let may = at.demand(permission).is_ok() && at.demand(publish(at.rules.settings.stage)).is_ok();
        Self { may, read_only: at.state.config.rules.read_only }
    }
}

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The file, within its system, where it is another one than was written.
    pub(super) elsewhere: Option<String>,
    /// Line and column from 1; 0 when the whole file is meant.
    pub(super) line: usize,
    pub(super) column: usize,
    /// What is wrong and how to mend it.
    pub(super) text: String,
}

impl Mistake {
    fn new(error: FileError, system: &str, path: &str) -> Self {
        let FileError { file, line, column, message, hint } = error;
        let within = file.strip_prefix(system).and_then(|file| file.strip_prefix('/')).unwrap_or(&file);
        let elsewhere = (within != path).then(|| within.to_owned());
        let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self { elsewhere, line, column, text: format!("{message}{hint}") }
    }

    /// The mistake as a sentence; places within a file that nobody sees as one are left out.
    pub(super) fn sentence(&self) -> String {
        match &self.elsewhere {
            Some(file) => format!("{file}, line {}: {}", self.line, self.text),
            None => super::answer::sentence(&self.text),
        }
    }
}

/// What became of a file.
pub(super) enum Wrote {
    /// It is live.
    Done,
    /// The rules would not load with it.
    Wrong(Vec<Mistake>),
    /// Somebody changed it meanwhile.
    Conflict,
    /// Git is the only writer.
    ReadOnly,
}

/// Writes a rule file, or deletes it; `expected`: only while it has that tag.
pub(super) async fn write<P: Demand>(
    at: &At<P>,
    path: RulePath,
    text: Option<String>,
    expected: Option<String>,
) -> Result<Wrote, Problem> {
    let name = path.to_string();
    match write_expecting(at, path, text, expected).await? {
        Ok(_) => Ok(Wrote::Done),
        Err(RuleWriteError::Invalid(errors)) => {
            let system = at.system().as_str();
            Ok(Wrote::Wrong(errors.into_iter().map(|error| Mistake::new(error, system, &name)).collect()))
        }
        Err(RuleWriteError::Conflict { .. }) => Ok(Wrote::Conflict),
        Err(RuleWriteError::ReadOnly) => Ok(Wrote::ReadOnly),
        Err(error) => Err(error.into()),
    }
}

/// A file that is to be committed to Git.
pub(super) struct Commit {
    /// Its path within the rules folder.
    pub(super) path: String,
    /// Its text; none: it is to be deleted.
    pub(super) text: Option<String>,
}

impl Commit {
    /// That file of that system.
    pub(super) fn new<P>(at: &At<P>, path: &RulePath, text: Option<String>) -> Self {
        Self { path: format!("{}/{path}", at.system()), text }
    }
}
