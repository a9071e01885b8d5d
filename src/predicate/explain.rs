//! Why a condition holds for an end user or not, and what would change that.
//!
//! ```text
//! tree = {"all": [tree…], "held"} | {"any": [tree…], "held"} | {"not": tree, "held"} | {"segment": id, "held"}
//!      | {"condition": text, "attribute": id, "actual": value or null, "held"}
//! ```
//! The changes are a smallest set of attributes (and segments) that have to change for the answer to be the other one,
//! each with what it has to become. Found exactly, by `search`; only where that takes too long is a set given that may
//! not be smallest, and it says so. Segments count as facts of their own: whoever wants their rules to be looked into
//! puts them in first ([`Condition::with_segments`]). Invariants: `held` is the truth, and a set of changes, applied,
//! turns the answer round.

mod ranges;
mod sample;
mod search;
mod subject;
#[cfg(test)]
mod tests;
mod words;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::{AttributeTest, Condition, rule_text};
use crate::model::{AttributeId, Date, SegmentId, Value};
use search::Found;
use subject::{Goal, Subjects};

/// Most sets of changes that are told.
const SETS: usize = 5;

/// Why a condition holds for an end user or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The condition, part by part.
    pub tree: Explained,
    /// A smallest set of changes, all of them needed together, that would turn the answer round; empty when none would.
    pub changes: Vec<Change>,
    /// Other sets that are as small.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Vec<Change>>,
    /// Why there are no changes, or what they leave open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// A part of a condition, and whether it holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Explained {
    /// All of them; an empty list always holds.
    All {
        /// The parts.
        all: Vec<Explained>,
        /// Whether it holds.
        held: bool,
    },
    /// At least one of them; an empty list never holds.
    Any {
        /// The parts.
        any: Vec<Explained>,
        /// Whether it holds.
        held: bool,
    },
    /// Not that.
    Not {
        /// What is negated.
        not: Box<Explained>,
        /// Whether it holds: the negation, not what is negated.
        held: bool,
    },
    /// In that segment.
    Segment {
        /// The segment.
        segment: SegmentId,
        /// Whether the end user is in it.
        held: bool,
    },
    /// A test of an attribute.
    Condition {
        /// The test, as a rule writes it.
        condition: String,
        /// The attribute.
        attribute: AttributeId,
        /// Its value, as JSON; null when it is missing.
        actual: Json,
        /// Whether it passes.
        held: bool,
    },
}

impl Explained {
    /// Whether it holds.
    #[must_use]
    pub fn held(&self) -> bool {
        match self {
            Self::All { held, .. }
            | Self::Any { held, .. }
            | Self::Not { held, .. }
            | Self::Segment { held, .. }
            | Self::Condition { held, .. } => *held,
        }
    }
}

/// One change of one attribute or segment; as JSON, its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it has to become, such as `` `crm.Seats` at least 50 ``.
    pub text: String,
    /// One value that will do.
    pub example: Alteration,
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// A change that can be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Alteration {
    /// The attribute gets the value, or none.
    Attribute(AttributeId, Option<Value>),
    /// The end user comes into the segment, or leaves it.
    Segment(SegmentId, bool),
}

/// Explains a condition for an end user with these values, who is in those segments, on a day.
#[must_use]
pub fn explain(
    condition: &Condition,
    values: &dyn Fn(&AttributeId) -> Option<Value>,
    member_of: &dyn Fn(&SegmentId) -> bool,
    today: Date,
) -> Explanation {
    let facts = Facts { values, member_of, today };
    let tree = facts.explained(condition);
    let subjects = Subjects::of(condition, &facts);
    let goal = Goal::new(condition, !tree.held(), &subjects);
    let (found, note) = match search::smallest(&goal, &subjects) {
        Found::Nothing if subjects.is_empty() => (Vec::new(), Some("it is so for everybody: no value is asked for")),
        Found::Nothing => (Vec::new(), Some("no values would change it")),
        Found::TooMuch => (Vec::new(), Some("no set of changes was found: the condition is very large")),
        Found::Some(set) => (vec![set], Some("the condition is very large: fewer changes may do")),
        Found::Smallest(sets) => (sets, None),
    };
    let mut sets: Vec<Vec<Change>> = Vec::new();
    for states in found {
        let changes = words::changes(&goal, &subjects, &states);
        // Different examples may need the same words.
        let told =
            |set: &Vec<Change>| set.iter().map(|change| &change.text).eq(changes.iter().map(|change| &change.text));
        if !sets.iter().any(told) {
            sets.push(changes);
        }
    }
    sets.truncate(SETS);
    let mut sets = sets.into_iter();
    Explanation { tree, changes: sets.next().unwrap_or_default(), alternatives: sets.collect(), note }
}

/// What there is to know of the end user.
struct Facts<'a> {
    values: &'a dyn Fn(&AttributeId) -> Option<Value>,
    member_of: &'a dyn Fn(&SegmentId) -> bool,
    today: Date,
}

impl Facts<'_> {
    fn explained(&self, condition: &Condition) -> Explained {
        let each = |parts: &[Condition]| parts.iter().map(|part| self.explained(part)).collect::<Vec<_>>();
        match condition {
            Condition::Constant(true) => Explained::All { all: Vec::new(), held: true },
            Condition::Constant(false) => Explained::Any { any: Vec::new(), held: false },
            Condition::All(parts) => {
                let all = each(parts);
                Explained::All { held: all.iter().all(Explained::held), all }
            }
            Condition::Any(parts) => {
                let any = each(parts);
                Explained::Any { held: any.iter().any(Explained::held), any }
            }
            Condition::Segment(segment) => {
                Explained::Segment { segment: segment.clone(), held: (self.member_of)(segment) }
            }
            Condition::Attribute(test) => self.tested(test, false),
            Condition::Not(part) => match &**part {
                // `!=` is one condition to whoever wrote it.
                Condition::Attribute(test) if rule_text::has_negative(&test.test) => self.tested(test, true),
                part => {
                    let not = Box::new(self.explained(part));
                    Explained::Not { held: !not.held(), not }
                }
            },
        }
    }

    fn tested(&self, test: &AttributeTest, negated: bool) -> Explained {
        let value = (self.values)(&test.attribute);
        let passes = value.as_ref().is_some_and(|value| test.test.passes(value, self.today));
        Explained::Condition {
            condition: rule_text::test_in_words(test, negated),
            attribute: test.attribute.clone(),
            actual: value.as_ref().map_or(Json::Null, Value::to_json),
            held: passes != negated,
        }
    }
}
