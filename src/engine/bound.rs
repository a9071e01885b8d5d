//! A condition bound to a system's columns: asked of a chunk at once, or of one row.
//!
//! Asking a chunk goes by whole columns, cheap tests first: an `All` asks only of the rows that are left, an `Any` only
//! of those not found yet, and both stop when none is. Conditions that are asked of the same row together share their
//! tests ([`shared_tests`]). Invariant: [`Bound::ask`] and [`Bound::holds`] agree.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Bound as End;

use super::catalogue::Catalogue;
use super::mask::Mask;
use super::row::Row;
use super::scan::{passes, scan};
use super::snapshot::{Chunk, value_of};
use crate::model::{AttributeType, Date, SegmentId};
use crate::predicate::{AttributeTest, Condition, DateTest, NumberTest, Test};
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
    /// Its number among the tests that are shared.
    no: Option<usize>,
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
            Condition::All(parts) => Self::All(with_spans_joined(each(parts))),
            Condition::Any(parts) => Self::Any(each(parts)),
            Condition::Not(part) => Self::Not(Box::new(Self::new(part, catalogue, place_of, shown))),
            Condition::Segment(id) => Self::Segment(place_of(id)),
            Condition::Attribute(AttributeTest { attribute, .. }) if !shown(attribute) => Self::Constant(false),
            Condition::Attribute(AttributeTest { attribute, kind, test }) => {
                let typed = catalogue.typed(attribute);
                let others = AttributeType::ALL.into_iter().filter(|other| other != kind);
                let others = others.filter_map(|other| Some((typed.of(other)?, other))).collect();
                Self::Test(BoundTest { test: test.clone(), kind: *kind, own: typed.of(*kind), others, no: None })
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
    pub(crate) fn holds(&self, row: &mut Row<'_>, around: &Around<'_, bool>) -> bool {
        match self {
            Self::Constant(flag) => *flag,
            Self::All(parts) => parts.iter().all(|part| part.holds(row, around)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row, around)),
            Self::Not(part) => !part.holds(row, around),
            Self::Segment(place) => place.is_some_and(|place| (around.members)(place)),
            Self::Test(test) => row.answer(test.no, |row| test.holds(row, around.today)),
        }
    }

    fn each_test(&mut self, each: &mut dyn FnMut(&mut BoundTest)) {
        match self {
            Self::Constant(_) | Self::Segment(_) => {}
            Self::All(parts) | Self::Any(parts) => parts.iter_mut().for_each(|part| part.each_test(each)),
            Self::Not(part) => part.each_test(each),
            Self::Test(test) => each(test),
        }
    }
}

/// Gives equal tests of conditions that are asked of one row together the same number. Gives the tests by number, each
/// with the conditions that make it.
pub(super) fn shared_tests<'a>(conditions: impl Iterator<Item = &'a mut Bound>) -> Vec<(BoundTest, Vec<usize>)> {
    let mut tests: Vec<(BoundTest, Vec<usize>)> = Vec::new();
    let mut alike: HashMap<_, Vec<usize>> = HashMap::new();
    for (place, condition) in conditions.enumerate() {
        condition.each_test(&mut |test| {
            let known = alike.entry((test.own, test.others.clone(), test.kind)).or_default();
            let same =
                known.iter().copied().find(|no| tests.get(*no).is_some_and(|(other, _)| other.test == test.test));
            let no = same.unwrap_or_else(|| {
                tests.push((test.clone(), Vec::new()));
                known.push(tests.len() - 1);
                tests.len() - 1
            });
            test.no = Some(no);
            tests.get_mut(no).into_iter().for_each(|(_, makers)| makers.push(place));
        });
    }
    tests
}

/// Parts of an `All`, tests of one attribute made one where together they are a span: its column is read once.
fn with_spans_joined(parts: Vec<Bound>) -> Vec<Bound> {
    let mut kept: Vec<Bound> = Vec::with_capacity(parts.len());
    for part in parts {
        let take = |other: &mut Bound| match (other, &part) {
            (Bound::Test(other), Bound::Test(test)) => other.take(test),
            _ => false,
        };
        if !kept.iter_mut().any(take) {
            kept.push(part);
        }
    }
    kept
}

impl BoundTest {
    /// Becomes both this test and another, if both are of one attribute and together a span; whether it did.
    fn take(&mut self, other: &Self) -> bool {
        let columns = |test: &Self| (test.own, test.kind, test.others.clone());
        let joined = if columns(self) == columns(other) { joined(&self.test, &other.test) } else { None };
        joined.map(|joined| self.test = joined).is_some()
    }

    fn ask(&self, chunk: &Chunk, within: &Mask, today: Date) -> Mask {
        let own = self.own.and_then(|no| chunk.column(no));
        let mut found = own.map_or(Mask::NONE, |column| scan(column, &self.test, within, today).and(within));
        if self.others.is_empty() {
            return found;
        }
        let left = own.map_or(*within, |column| within.without(&Mask::of(column.present())));
        for row in left.rows() {
            if self.holds_in_others(&mut Row::new(chunk, row), today) {
                found.set(row);
            }
        }
        found
    }

    /// The columns that it reads.
    pub(super) fn columns(&self) -> impl Iterator<Item = ColumnNo> {
        self.own.into_iter().chain(self.others.iter().map(|(no, _)| *no))
    }

    /// Whether a row passes.
    pub(super) fn holds(&self, row: &mut Row<'_>, today: Date) -> bool {
        match self.own.and_then(|no| row.cell(no)) {
            Some(cell) => passes(&self.test, cell, today),
            None => !self.others.is_empty() && self.holds_in_others(row, today),
        }
    }

    /// Whether a value stored under another type passes, read as the present one.
    fn holds_in_others(&self, row: &mut Row<'_>, today: Date) -> bool {
        let stored = self.others.iter().find_map(|(no, kind)| value_of(row.cell(*no)?, *kind));
        stored.and_then(|value| value.read_as(self.kind)).is_some_and(|value| self.test.passes(&value, today))
    }
}

/// Both tests as one, where together they are a span.
fn joined(one: &Test, other: &Test) -> Option<Test> {
    match (one, other) {
        (Test::Number(NumberTest::Within(one)), Test::Number(NumberTest::Within(other))) => {
            let low = nearer(one.0, other.0, Ordering::Greater);
            let high = nearer(one.1, other.1, Ordering::Less);
            Some(Test::Number(NumberTest::Within((low, high))))
        }
        (Test::Date(DateTest::Within(low, None)), Test::Date(DateTest::Within(None, high)))
        | (Test::Date(DateTest::Within(None, high)), Test::Date(DateTest::Within(low, None))) => {
            Some(Test::Date(DateTest::Within(*low, *high)))
        }
        _ => None,
    }
}

/// Of two ends of a span the one that holds when both do; `order` is how its number stands to the other's.
fn nearer(one: End<f64>, other: End<f64>, order: Ordering) -> End<f64> {
    match (one, other) {
        (End::Unbounded, end) | (end, End::Unbounded) => end,
        (End::Included(a) | End::Excluded(a), End::Included(b) | End::Excluded(b)) => match a.partial_cmp(&b) {
            Some(Ordering::Equal) if matches!(one, End::Excluded(_)) => one,
            Some(found) if found == order => one,
            _ => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::CellRef;
    use super::*;
    use crate::predicate::DateBound;
    use proptest::prelude::*;

    fn ends() -> impl Strategy<Value = End<f64>> {
        let number = (-4_i8..4).prop_map(f64::from);
        prop_oneof![Just(End::Unbounded), number.clone().prop_map(End::Included), number.prop_map(End::Excluded)]
    }

    proptest! {
        #[test]
        fn joined_spans_hold_where_both_do(one in (ends(), ends()), other in (ends(), ends())) {
            let [a, b] = [one, other].map(|span| Test::Number(NumberTest::Within(span)));
            let both = joined(&a, &b).unwrap();
            for number in (-10..10).map(|half| f64::from(half) / 2.0) {
                let holds = |test| passes(test, CellRef::Number(number), Date::from_days(0).unwrap());
                prop_assert_eq!(holds(&both), holds(&a) && holds(&b), "{} of {:?} and {:?}", number, one, other);
            }
        }
    }

    #[test]
    fn only_open_spans_of_days_become_one() {
        let (from, to) =
            (DateTest::Within(Some(DateBound::Today(-3)), None), DateTest::Within(None, Some(DateBound::Day(5))));
        let whole = Test::Date(DateTest::Within(Some(DateBound::Today(-3)), Some(DateBound::Day(5))));
        assert_eq!(joined(&Test::Date(to), &Test::Date(from.clone())).as_ref(), Some(&whole));
        assert_eq!(joined(&Test::Date(from), &whole), None);
    }
}
