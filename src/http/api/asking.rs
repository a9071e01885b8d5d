//! What is asked about end users: by a rule's text, or nothing in particular. Read, checked, made a question.
//!
//! Knows nothing of what is done with the answer. Invariant: what is asked is read against the very rules that the
//! reader it is put to sees.

use std::time::Duration;

use super::super::problem::{Kind, Problem, ProblemPlace};
use super::super::state::AppState;
use super::super::turns::{Turn, aside};
use crate::engine::{Question, Reader};
use crate::model::SegmentId;
use crate::predicate::Condition;
use crate::segments::{RuleError, Segment};

/// How long a rule that runs as a script may take over all end users together.
pub(crate) const SCRIPT_TIME: Duration = Duration::from_secs(10);
/// The id of a rule that is only asked: it shows nowhere.
const DRAFT: &str = "draft";

/// What is asked.
pub(crate) enum Asked {
    /// Who fulfils a condition.
    Condition(Condition),
    /// Who would be in a segment of that rule.
    Rule(Box<Segment>),
}

impl Asked {
    /// Reads the two ways to ask, of which at most one may be used; with none, everybody is meant.
    pub(crate) async fn read(rule: Option<String>, reader: &Reader) -> Result<Self, Problem> {
        match rule {
            None => Ok(Self::Condition(Condition::Constant(true))),
            Some(rule) => {
                let schema = reader.rules().schema();
                // A rule is tried when it is compiled, which may take a while.
                aside(move || {
                    let compiled = Segment::compile(SegmentId::new(DRAFT)?, &rule, &schema);
                    compiled.map(|segment| Self::Rule(Box::new(segment))).map_err(|errors| wrong_rule(errors, "/rule"))
                })
                .await
            }
        }
    }

    /// A turn to ask it, where it takes one.
    pub(crate) async fn turn(&self, state: &AppState) -> Result<Option<Turn>, Problem> {
        match self {
            Self::Rule(segment) if segment.condition().is_err() => state.turns().script().await.map(Some),
            _ => Ok(None),
        }
    }

    /// As a question to a reader.
    pub(crate) fn question(&self, reader: &Reader) -> Question {
        match self {
            Self::Condition(condition) => reader.question(condition),
            Self::Rule(segment) => reader.draft(segment),
        }
    }
}

/// A refused rule: each mistake at its place in the text that stands at the pointer.
fn wrong_rule(errors: Vec<RuleError>, pointer: &str) -> Problem {
    let place = |error: RuleError| ProblemPlace {
        pointer: pointer.to_owned(),
        code: "rule".to_owned(),
        detail: error.to_string(),
    };
    Problem::new(Kind::Refused, "the rule has mistakes").with_errors(errors.into_iter().map(place))
}
