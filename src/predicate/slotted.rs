//! A condition over values in slots: what judges one end user by many conditions quickly.
//!
//! Whoever judges fetches each attribute once into its slot; a condition then names slots and places instead of ids.

use super::{Condition, Test};
use crate::model::{AttributeId, Date, SegmentId, Value};

/// A condition whose attributes are slots and whose segments are places.
#[derive(Debug, Clone)]
pub struct Slotted(Node);

#[derive(Debug, Clone)]
enum Node {
    Constant(bool),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Segment(usize),
    Test(usize, Test),
}

impl Slotted {
    /// Gives every attribute its slot and every segment its place.
    #[must_use]
    pub fn new(
        condition: &Condition,
        slot_of: &dyn Fn(&AttributeId) -> usize,
        place_of: &dyn Fn(&SegmentId) -> usize,
    ) -> Self {
        Self(Node::new(condition, slot_of, place_of))
    }

    /// Whether it holds on a day for an end user with these values, who is in those segments. A slot or a place
    /// beyond the end counts as missing, and as not in it.
    #[must_use]
    pub fn holds(&self, values: &[Option<Value>], members: &[bool], today: Date) -> bool {
        self.0.holds(values, members, today)
    }
}

impl Node {
    fn new(
        condition: &Condition,
        slot_of: &dyn Fn(&AttributeId) -> usize,
        place_of: &dyn Fn(&SegmentId) -> usize,
    ) -> Self {
        let each = |parts: &[Condition]| parts.iter().map(|part| Self::new(part, slot_of, place_of)).collect();
        match condition {
            Condition::Constant(flag) => Self::Constant(*flag),
            Condition::All(parts) => Self::All(each(parts)),
            Condition::Any(parts) => Self::Any(each(parts)),
            Condition::Not(part) => Self::Not(Box::new(Self::new(part, slot_of, place_of))),
            Condition::Segment(segment) => Self::Segment(place_of(segment)),
            Condition::Attribute(test) => Self::Test(slot_of(&test.attribute), test.test.clone()),
        }
    }

    fn holds(&self, values: &[Option<Value>], members: &[bool], today: Date) -> bool {
        match self {
            Self::Constant(flag) => *flag,
            Self::All(parts) => parts.iter().all(|part| part.holds(values, members, today)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(values, members, today)),
            Self::Not(part) => !part.holds(values, members, today),
            Self::Segment(place) => members.get(*place).copied().unwrap_or_default(),
            Self::Test(slot, test) => {
                values.get(*slot).and_then(Option::as_ref).is_some_and(|value| test.passes(value, today))
            }
        }
    }
}
