//! A condition bound to a system's columns: asked of a chunk at once, or of one row.
//!
//! Asking a chunk goes by whole columns, cheap tests first: an `All` asks only of the rows that are left, an `Any` only
//! of those not found yet, and both stop when none is. Invariant: [`Bound::ask`] and [`Bound::holds`] agree.

use super::catalogue::Catalogue;
use super::mask::Mask;
use super::scan::{passes, scan};
use super::snapshot::{Chunk, value_of};
use crate::model::{AttributeType, Date, SegmentId};
use crate::predicate::{AttributeTest, Condition, Test};
use crate::store::ColumnNo;

/// A condition bound to columns and to the places of segments.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    Constant(bool),
    All(Vec<Bound>),
    Any(Vec<Bound>),
    Not(Box<Bound>),
    /// In the segment at that place; `None`: there is no such segment, and nobody is in it.
    Segment(Option<usize>),
    Test(BoundTest),
}

/// A test bound to its attribute's columns.
#[derive(Debug, Clone)]
pub(crate) struct BoundTest {
    test: Test,
    kind: AttributeType,
    own: Option<ColumnNo>,
    /// Columns of types that the attribute had before, with their type.
    others: Vec<(ColumnNo, AttributeType)>,
}

/// What a condition is asked with, beside the columns.
pub(crate) struct Around<'a, T> {
    pub(crate) today: Date,
    /// The members of the segment at a place: of a chunk as a mask, of a row as a flag.
    pub(crate) members: &'a dyn Fn(usize) -> T,
}

impl Bound {
    /// Binds a condition. An attribute that `shown` does not show reads as missing.
    pub(crate) fn new(
        condition: &Condition,
        catalogue: &Catalogue,
        place_of: &dyn Fn(&SegmentId) -> Option<usize>,
        shown: &dyn Fn(&crate::model::AttributeId) -> bool,
    ) -> Self {
        let each = |parts: &[Condition]| parts.iter().map(|part| Self::new(part, catalogue, place_of, shown)).collect();
        match condition {
            Condition::Constant(flag) => Self::Constant(*flag),
            Condition::All(parts) => Self::All(each(parts)),
            Condition::Any(parts) => Self::Any(each(parts)),
            Condition::Not(part) => Self::Not(Box::new(Self::new(part, catalogue, place_of, shown))),
            Condition::Segment(id) => Self::Segment(place_of(id)),
            Condition::Attribute(AttributeTest { attribute, .. }) if !shown(attribute) => Self::Constant(false),
            Condition::Attribute(AttributeTest { attribute, kind, test }) => {
                let typed = catalogue.typed(attribute);
                let others = AttributeType::ALL.into_iter().filter(|other| other != kind);
                let others = others.filter_map(|other| Some((typed.of(other)?, other))).collect();
                Self::Test(BoundTest { test: test.clone(), kind: *kind, own: typed.of(*kind), others })
            }
        }
    }

    /// The rows of `within` for which it holds.
    pub(crate) fn ask(&self, chunk: &Chunk, within: &Mask, around: &Around<'_, Mask>) -> Mask {
        match self {
            Self::Constant(true) => *within,
            Self::Constant(false) | Self::Segment(None) => Mask::NONE,
            Self::All(parts) => {
                let mut left = *within;
                for part in parts {
                    if left.is_empty() {
                        break;
                    }
                    left = part.ask(chunk, &left, around);
                }
                left
            }
            Self::Any(parts) => {
                let (mut found, mut left) = (Mask::NONE, *within);
                for part in parts {
                    if left.is_empty() {
                        break;
                    }
                    let more = part.ask(chunk, &left, around);
                    found = found.or(&more);
                    left = left.without(&more);
                }
                found
            }
            Self::Not(part) => within.without(&part.ask(chunk, within, around)),
            Self::Segment(Some(place)) => (around.members)(*place).and(within),
            Self::Test(test) => test.ask(chunk, within, around.today),
        }
    }

    /// Whether it holds for one row of a chunk.
    pub(crate) fn holds(&self, chunk: &Chunk, row: usize, around: &Around<'_, bool>) -> bool {
        match self {
            Self::Constant(flag) => *flag,
            Self::All(parts) => parts.iter().all(|part| part.holds(chunk, row, around)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(chunk, row, around)),
            Self::Not(part) => !part.holds(chunk, row, around),
            Self::Segment(place) => place.is_some_and(|place| (around.members)(place)),
            Self::Test(test) => test.holds(chunk, row, around.today),
        }
    }
}

impl BoundTest {
    fn ask(&self, chunk: &Chunk, within: &Mask, today: Date) -> Mask {
        let own = self.own.and_then(|no| chunk.column(no));
        let mut found = own.map_or(Mask::NONE, |column| scan(column, &self.test, within, today).and(within));
        if self.others.is_empty() {
            return found;
        }
        let left = own.map_or(*within, |column| within.without(&Mask::of(column.present())));
        for row in left.rows() {
            if self.holds_in_others(chunk, row, today) {
                found.set(row);
            }
        }
        found
    }

    fn holds(&self, chunk: &Chunk, row: usize, today: Date) -> bool {
        match self.own.and_then(|no| chunk.get(row, no)) {
            Some(cell) => passes(&self.test, cell, today),
            None => !self.others.is_empty() && self.holds_in_others(chunk, row, today),
        }
    }

    /// Whether a value stored under another type passes, read as the present one.
    fn holds_in_others(&self, chunk: &Chunk, row: usize, today: Date) -> bool {
        let stored = self.others.iter().find_map(|(no, kind)| value_of(chunk.get(row, *no)?, *kind));
        stored.and_then(|value| value.read_as(self.kind)).is_some_and(|value| self.test.passes(&value, today))
    }
}
