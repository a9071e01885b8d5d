//! The one condition language: what a filter says, and what a segment rule becomes where it is a condition.
//!
//! A [`Condition`] is a tree of tests over attributes; a [`Slotted`] is one made ready to judge many end users. It is
//! read from a filter's JSON ([`parse_where`]) or lowered from a rule, and written as either ([`to_where`],
//! [`to_rule`]); [`explain`] says why it holds for somebody and what would change that. Refuses to know where values
//! are kept, and knows of Rhai no more than how a condition is written in it.
//!
//! Meaning of a missing value: every test is false, so a negated test is true. Invariant: a test's operands are of
//! its attribute's type.

mod due;
mod explain;
#[cfg(test)]
mod made;
mod operator;
mod rule_text;
mod slotted;
mod test;
mod where_json;

pub use explain::{Alteration, Change, Explained, Explanation, explain};
pub use operator::{Operands, Operator, operators_of};
pub use rule_text::to_rule;
pub use slotted::Slotted;
pub use test::{DateBound, DateTest, NumberTest, Pattern, Span, Test, TextMatch, TextTest};
pub use where_json::{MAX_CONDITIONS, MAX_DEPTH, MAX_TEXT, MAX_VALUES, Names, WhereError, parse_where, to_where};

use crate::model::{AttributeId, AttributeType, SegmentId};

/// A condition over one end user.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Always or never.
    Constant(bool),
    /// All of them hold; true when there are none.
    All(Vec<Condition>),
    /// At least one of them holds; false when there are none.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// The end user is in that segment.
    Segment(SegmentId),
    /// An attribute's value passes a test.
    Attribute(AttributeTest),
}

/// A test of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeTest {
    /// Which attribute.
    pub attribute: AttributeId,
    /// Its declared type, which is the type of the test's operands.
    pub kind: AttributeType,
    /// The test.
    pub test: Test,
}

impl Condition {
    /// The same condition without needless nesting: flattened, constants folded, double negations gone, and each
    /// list ordered so that cheap tests are asked first.
    #[must_use]
    pub fn simplified(self) -> Self {
        match self {
            Self::All(parts) => Self::list(parts, true),
            Self::Any(parts) => Self::list(parts, false),
            Self::Not(part) => match part.simplified() {
                Self::Constant(flag) => Self::Constant(!flag),
                Self::Not(inner) => *inner,
                other => Self::Not(Box::new(other)),
            },
            other => other,
        }
    }

    /// An `All` (`neutral` true) or `Any` (`neutral` false) of the parts, simplified.
    fn list(parts: Vec<Self>, neutral: bool) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match (part.simplified(), neutral) {
                (Self::Constant(flag), _) if flag == neutral => {}
                (Self::Constant(flag), _) => return Self::Constant(flag),
                (Self::All(inner), true) | (Self::Any(inner), false) => flat.extend(inner),
                (other, _) => flat.push(other),
            }
        }
        flat.sort_by_key(Self::cost);
        match (flat.len(), neutral) {
            (0, _) => Self::Constant(neutral),
            (1, _) => flat.pop().unwrap_or(Self::Constant(neutral)),
            (_, true) => Self::All(flat),
            (_, false) => Self::Any(flat),
        }
    }

    /// It and every condition within it, as they are written.
    fn nodes(&self) -> impl Iterator<Item = &Self> {
        let mut waiting = vec![self];
        std::iter::from_fn(move || {
            let next = waiting.pop()?;
            match next {
                Self::All(parts) | Self::Any(parts) => waiting.extend(parts.iter().rev()),
                Self::Not(part) => waiting.push(part),
                Self::Constant(_) | Self::Segment(_) | Self::Attribute(_) => {}
            }
            Some(next)
        })
    }

    /// Its tests, as they are written.
    pub fn tests(&self) -> impl Iterator<Item = &AttributeTest> {
        self.nodes().filter_map(|node| if let Self::Attribute(test) = node { Some(test) } else { None })
    }

    /// The attributes that it reads; one that it tests twice comes twice.
    pub fn attributes(&self) -> impl Iterator<Item = &AttributeId> {
        self.tests().map(|test| &test.attribute)
    }

    /// The segments that it asks for; one that it asks for twice comes twice.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentId> {
        self.nodes().filter_map(|node| if let Self::Segment(segment) = node { Some(segment) } else { None })
    }

    /// The same condition with segments replaced by what they are; `None` leaves one as it is. What is put in is taken
    /// as it stands, so the segments within it are for the caller to replace first.
    #[must_use]
    pub fn with_segments(&self, of: &dyn Fn(&SegmentId) -> Option<Self>) -> Self {
        let each = |parts: &[Self]| parts.iter().map(|part| part.with_segments(of)).collect();
        match self {
            Self::All(parts) => Self::All(each(parts)),
            Self::Any(parts) => Self::Any(each(parts)),
            Self::Not(part) => Self::Not(Box::new(part.with_segments(of))),
            Self::Segment(segment) => of(segment).unwrap_or_else(|| self.clone()),
            Self::Constant(_) | Self::Attribute(_) => self.clone(),
        }
    }

    /// What judging costs, roughly, in tests of a number.
    fn cost(&self) -> u32 {
        match self {
            Self::Constant(_) => 0,
            Self::Segment(_) => 1,
            Self::Not(part) => part.cost(),
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).sum::<u32>() + 1,
            Self::Attribute(test) => test.test.cost(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(id: &str) -> Condition {
        Condition::Segment(SegmentId::new(id).unwrap())
    }

    fn sample() -> Condition {
        Condition::All(vec![
            Condition::Any(vec![made::test("crm.Plan", Test::IsSet), segment("premium")]),
            Condition::Not(Box::new(Condition::All(vec![segment("trial"), made::test("crm.Seats", Test::IsSet)]))),
            made::test("crm.Plan", Test::IsSet),
        ])
    }

    #[test]
    fn what_a_condition_reads_is_told_in_its_order() {
        let attributes: Vec<String> = sample().attributes().map(ToString::to_string).collect();
        assert_eq!(attributes, ["crm.Plan", "crm.Seats", "crm.Plan"]);
        let segments: Vec<String> = sample().segments().map(ToString::to_string).collect();
        assert_eq!(segments, ["premium", "trial"]);
    }

    #[test]
    fn segments_are_replaced_where_they_are_known() {
        let seats = made::test("crm.Seats", Test::IsSet);
        let of = |id: &SegmentId| {
            (id.as_str() == "premium").then(|| Condition::Any(vec![seats.clone(), segment("premium")]))
        };
        let replaced = sample().with_segments(&of);
        let expected = Condition::Any(vec![seats.clone(), segment("premium")]);
        let Condition::All(parts) = &replaced else { panic!("{replaced:?}") };
        assert_eq!(
            parts[0],
            Condition::Any(vec![made::test("crm.Plan", Test::IsSet), expected]),
            "once, not within itself"
        );
        let segments: Vec<String> = replaced.segments().map(ToString::to_string).collect();
        assert_eq!(segments, ["premium", "trial"]);
    }
}
