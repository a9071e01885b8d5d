//! What is asked about end users, by a filter's `where` or by a rule's text: read, checked, made a question.
//!
//! Knows nothing of what is done with the answer. Invariants: what is asked is read against the very rules that the
//! reader it is put to sees; who asks about segments must be allowed to read them.

use std::time::Duration;

use serde_json::Value as Json;

use super::super::auth::At;
use super::super::problem::{Kind, Problem, ProblemPlace};
use super::super::state::AppState;
use super::super::turns::{Turn, aside};
use crate::engine::{Question, Reader};
use crate::model::{Permission, SegmentId};
use crate::predicate::{Condition, WhereError, parse_where};
use crate::ruleset::RuleSet;
use crate::segments::{RuleError, Segment};

/// How long a rule that runs as a script may take over all end users together.
pub(crate) const SCRIPT_TIME: Duration = Duration::from_secs(10);
/// The id of a rule that is only asked: it shows nowhere.
pub(crate) const DRAFT: &str = "draft";

/// What is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Who fulfils a condition.
    Condition(Condition),
    /// Who would be in a segment of that rule.
    Rule(Box<Segment>),
}

impl Asked {
    /// Reads the two ways to ask, of which one may be used; with neither, everybody is meant. With it comes the reader to
    /// put it to: who asks about segments asks only of those whose segments it may read.
    pub(crate) async fn read<P>(
        at: &At<P>,
        condition: Option<Json>,
        rule: Option<String>,
        reader: Reader,
    ) -> Result<(Self, Reader), Problem> {
        let asked = match (condition, rule) {
            (Some(_), Some(_)) => {
                return Err(refused("/rule", "ambiguous", "send `where` or `rule`, not both".to_owned()));
            }
            (None, None) => Self::Condition(Condition::Constant(true)),
            (Some(json), None) => Self::Condition(read_where(&json, "/where", reader.rules())?),
            (None, Some(rule)) => {
                let schema = reader.rules().schema();
                // A rule is tried when it is compiled, which may take a while.
                aside(move || {
                    let compiled = Segment::compile(SegmentId::new(DRAFT)?, &rule, &schema);
                    compiled.map(|segment| Self::Rule(Box::new(segment))).map_err(wrong_rule)
                })
                .await?
            }
        };
        let about_segments = match &asked {
            Self::Condition(condition) => condition.segments().next().is_some(),
            Self::Rule(segment) => !segment.depends_on().is_empty(),
        };
        if !about_segments {
            return Ok((asked, reader));
        }
        at.demand(Permission::SegmentsRead)?;
        Ok((asked, at.narrowed(reader, Permission::SegmentsRead)))
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

/// Reads a filter that stands at the pointer, ready to judge many; 422 with every mistake in it.
pub(crate) fn read_where(json: &Json, pointer: &str, rules: &RuleSet) -> Result<Condition, Problem> {
    parse_where(json, pointer, rules).map(Condition::simplified).map_err(|errors| {
        Problem::new(Kind::Refused, "the filter has mistakes").with_errors(errors.into_iter().map(ProblemPlace::from))
    })
}

impl From<WhereError> for ProblemPlace {
    fn from(WhereError { pointer, code, detail }: WhereError) -> Self {
        Self { pointer, code: code.to_owned(), detail }
    }
}

/// A refusal for one place of the body.
pub(crate) fn refused(pointer: &str, code: &str, detail: String) -> Problem {
    let place = ProblemPlace { pointer: pointer.to_owned(), code: code.to_owned(), detail: detail.clone() };
    Problem::new(Kind::Refused, detail).with_errors([place])
}

/// A refused rule: each mistake at its line and column.
pub(crate) fn wrong_rule(errors: Vec<RuleError>) -> Problem {
    let place = |error: RuleError| ProblemPlace {
        pointer: "/rule".to_owned(),
        code: "rule".to_owned(),
        detail: error.to_string(),
    };
    Problem::new(Kind::Refused, "the rule has mistakes").with_errors(errors.into_iter().map(place))
}
