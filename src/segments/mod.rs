//! Segment rules: from the text of a `.rhai` file to "is this end user in it?".
//!
//! Sole user of Rhai. A rule is parsed, checked against the attributes that the system declares (`check`), tried on
//! made-up end users (`trial`), and made a condition where it is one (`lower`); else it runs as a script (`script`). All
//! segments of a system are judged together (`set`). Both ways give the same answer for every end user. Knows nothing of
//! files, stores or HTTP. Invariants: no rule, however written, takes more than its limits (`limits`) of time, memory
//! or stack, or reaches anything outside; a rule that fails for an end user leaves that end user out of the segment
//! and says why.

#[cfg(test)]
mod agreement;
mod check;
mod comparisons;
mod evaluation;
mod functions;
mod guards;
mod header;
mod language;
mod limits;
mod lower;
mod messages;
mod missing;
mod patterns;
mod script;
mod set;
mod signatures;
#[cfg(test)]
mod tests;
mod trial;
mod typing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rhai::{OptimizationLevel, Position, Scope};

pub use language::is_reserved;
pub use script::ScriptRun;
pub use set::{Judged, SegmentSet};

use crate::model::{AttributeId, AttributeName, AttributeType, IntegrationId, SegmentId, Value};
use crate::predicate::Condition;
use messages::Failure;
use script::{Inputs, Script};
use typing::Wrong;

/// What rules may name.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Each integration's attributes and their types, those of a disabled integration too: they may be
    /// named, and read as missing.
    pub integrations: BTreeMap<IntegrationId, BTreeMap<AttributeName, AttributeType>>,
    /// Every segment of the system.
    pub segments: BTreeSet<SegmentId>,
}

/// A mistake in a rule, at a place (lines and columns from 1; 0 when the whole file is meant).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleError {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it, when that can be guessed: ``did you mean `crm.Seats`?``
    pub hint: Option<String>,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl From<Wrong> for RuleError {
    fn from(wrong: Wrong) -> Self {
        let (line, column) = line_and_column(wrong.at);
        Self { line, column, message: wrong.message, hint: wrong.hint }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match line_and_column(self.at) {
            (0, _) => f.write_str(&self.message),
            (line, column) => write!(f, "line {line}, column {column}: {}", self.message),
        }
    }
}

fn line_and_column(at: Position) -> (usize, usize) {
    at.line().map_or((0, 0), |line| (line, at.position().unwrap_or(1)))
}

/// One end user's values.
pub trait Facts {
    /// The value of the attribute, as its declared type; nothing when it is missing.
    fn value(&self, attribute: &AttributeId) -> Option<Value>;
}

/// Why a rule runs as a script, and the place that makes it so (from 1; 0 when the whole rule is meant).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunsAsScript {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// What is there that is no condition over the index: `a loop`.
    pub why: String,
}

impl fmt::Display for RunsAsScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.why),
            line => write!(f, "{} (line {line}, column {})", self.why, self.column),
        }
    }
}

impl From<lower::Reason> for RunsAsScript {
    fn from(reason: lower::Reason) -> Self {
        let (line, column) = line_and_column(reason.at);
        Self { line, column, why: reason.why }
    }
}

/// What a rule is to the index.
#[derive(Debug)]
struct Lowered {
    /// The condition, or the reason with its place.
    condition: Result<Condition, String>,
    /// The same reason.
    script: Option<RunsAsScript>,
    guard: Option<Condition>,
}

impl From<lower::Outcome> for Lowered {
    fn from(outcome: lower::Outcome) -> Self {
        let (condition, script) = match outcome.condition {
            Ok(condition) => (Ok(condition), None),
            Err(reason) => {
                let script = RunsAsScript::from(reason);
                (Err(script.to_string()), Some(script))
            }
        };
        Self { condition, script, guard: outcome.guard }
    }
}

/// An `in_segment` of a rule: which segment, and where it stands first.
#[derive(Debug, Clone)]
struct Ask {
    id: SegmentId,
    line: usize,
    column: usize,
}

/// One compiled rule. Cheap to clone.
#[derive(Clone)]
pub struct Segment {
    /// The stem of the rule's file.
    pub id: SegmentId,
    /// The first comment line; the id when there is none.
    pub name: String,
    /// The further lines of the leading comment.
    pub description: String,
    /// The rule as written.
    pub text: Arc<str>,
    script: Script,
    lowered: Arc<Lowered>,
    /// What the script is given.
    inputs: Arc<Inputs>,
    reads: Arc<[AttributeId]>,
    integrations: Arc<[IntegrationId]>,
    asks: Arc<[Ask]>,
    depends_on: Arc<[SegmentId]>,
    uses_today: bool,
}

impl Segment {
    /// Parses, checks names and types, and tries the rule on rows of missing and of sample values.
    ///
    /// # Errors
    /// Every mistake that is found, in the order of the text. A text that does not parse has one.
    pub fn compile(id: SegmentId, text: &str, schema: &Schema) -> Result<Self, Vec<RuleError>> {
        let wrong = |wrong: Wrong| vec![RuleError::from(wrong)];
        let rule = text.strip_prefix('\u{feff}').unwrap_or(text);
        if rule.len() > limits::TEXT_BYTES {
            let message = format!("the rule has {} bytes; at most {} are allowed", rule.len(), limits::TEXT_BYTES);
            return Err(wrong(Wrong::new(Position::NONE, message)));
        }
        let engine = &language::language().engine;
        let ast = engine.compile(rule).map_err(|error| wrong(messages::syntax(rule, &error)))?;
        let mut findings = check::check(&ast, schema);
        if !findings.wrong.is_empty() {
            let mut errors: Vec<RuleError> = findings.wrong.drain(..).map(RuleError::from).collect();
            errors.sort();
            errors.dedup();
            return Err(errors);
        }
        let lowered = Arc::new(Lowered::from(lower::lower(&ast, rule, schema)));
        // What is optimized is what runs, so it is also what is tried.
        let ast = engine.optimize_ast(&Scope::new(), ast, OptimizationLevel::Simple);
        let script = Script::new(ast, findings.result_at);
        let inputs = Inputs::new(&findings.integrations, &findings.reads);
        trial::run(&script, &inputs, &findings, schema).map_err(wrong)?;
        let (name, description) = header::read(text);
        let asks = findings.asks.iter().map(|(id, at)| {
            let (line, column) = line_and_column(*at);
            Ask { id: id.clone(), line, column }
        });
        Ok(Self {
            name: name.unwrap_or_else(|| id.to_string()),
            id,
            description,
            text: Arc::from(text),
            script,
            inputs: Arc::new(inputs),
            lowered,
            reads: findings.reads.iter().cloned().collect(),
            integrations: findings.integrations.iter().cloned().collect(),
            asks: asks.collect(),
            depends_on: findings.asks.keys().cloned().collect(),
            uses_today: findings.uses_today,
        })
    }

    /// The rule as a condition over the index; `Err` says why it runs as a script per end user instead.
    ///
    /// # Errors
    /// The reason, with its place.
    pub fn condition(&self) -> Result<&Condition, &str> {
        self.lowered.condition.as_ref().map_err(String::as_str)
    }

    /// Why the rule runs as a script, when it does.
    #[must_use]
    pub fn runs_as_script(&self) -> Option<&RunsAsScript> {
        self.lowered.script.as_ref()
    }

    /// For a rule that runs as a script: a condition that holds for every end user who is in the segment (and perhaps
    /// for others), so that the script need run for those alone for whom it holds. Nothing when none is known.
    #[must_use]
    pub fn guard(&self) -> Option<&Condition> {
        self.lowered.guard.as_ref()
    }

    /// The attributes that the rule may read, without repeats.
    #[must_use]
    pub fn reads(&self) -> &[AttributeId] {
        &self.reads
    }

    /// The segments that the rule asks about itself, without repeats.
    #[must_use]
    pub fn depends_on(&self) -> &[SegmentId] {
        &self.depends_on
    }

    /// Whether the rule's own answer may change with the day (what it asks other segments aside).
    #[must_use]
    pub fn uses_today(&self) -> bool {
        self.uses_today
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}
