//! The one condition language: what a segment rule becomes where it is a condition.
//!
//! A [`Condition`] is a tree of tests over attributes; a [`Slotted`] is one made ready to judge many end users. Refuses
//! to know where values are kept, and knows no Rhai.
//!
//! Meaning of a missing value: every test is false, so a negated test is true. Invariant: a test's operands are of
//! its attribute's type.

mod slotted;
mod test;

pub use slotted::Slotted;
pub use test::{DateBound, DateTest, NumberTest, Pattern, Span, Test, TextMatch, TextTest};

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

    /// What holds of whoever it may answer otherwise on another day; `None` when the day does not matter.
    #[must_use]
    pub fn due(&self, _from: crate::model::Date, _to: crate::model::Date) -> Option<Self> {
        Some(Self::Constant(true))
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
