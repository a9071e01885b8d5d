//! Sets of numbers, and of days as numbers, as ranges between cuts.
//!
//! A cut lies just before a number or just after it, so that open and closed ends need no cases of their own. Invariant:
//! ranges are in order, not empty, and don't touch.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::model::Date;
use crate::predicate::{DateTest, NumberTest, Span, Test};

/// A place between numbers.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Cut {
    /// The number next to it.
    pub(super) at: f64,
    /// Whether it lies after the number, not before it.
    pub(super) after: bool,
}

impl Cut {
    /// Before all numbers.
    pub(super) const START: Self = Self { at: f64::NEG_INFINITY, after: false };
    /// After all numbers.
    pub(super) const END: Self = Self { at: f64::INFINITY, after: true };

    fn before(at: f64) -> Self {
        Self { at, after: false }
    }

    fn after(at: f64) -> Self {
        Self { at, after: true }
    }

    /// Their order; there is one, as no number here is none.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.partial_cmp(other).unwrap_or(Ordering::Equal)
    }
}

/// A set of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranges(Vec<(Cut, Cut)>);

impl Ranges {
    pub(super) fn everything() -> Self {
        Self(vec![(Cut::START, Cut::END)])
    }

    /// The numbers, or the days, that pass a test; of strings there are none.
    pub(super) fn of(test: &Test, today: Date) -> Self {
        match test {
            Test::IsSet => Self::everything(),
            Test::Text(_) => Self(Vec::new()),
            Test::Number(NumberTest::Within(span)) => Self::span(span),
            Test::Number(NumberTest::OneOf(numbers)) => {
                Self::union(numbers.iter().map(|number| (Cut::before(*number), Cut::after(*number))).collect())
            }
            Test::Date(DateTest::Within(low, high)) => {
                let (low, high) = DateTest::range(*low, *high, today);
                Self::union(vec![days(low, high)])
            }
            Test::Date(DateTest::OneOf(each)) => {
                Self::union(each.iter().map(|bound| bound.on(today)).map(|day| days(day, day)).collect())
            }
        }
    }

    fn span((low, high): &Span<f64>) -> Self {
        let low = match low {
            Bound::Included(low) => Cut::before(*low),
            Bound::Excluded(low) => Cut::after(*low),
            Bound::Unbounded => Cut::START,
        };
        let high = match high {
            Bound::Included(high) => Cut::after(*high),
            Bound::Excluded(high) => Cut::before(*high),
            Bound::Unbounded => Cut::END,
        };
        Self::union(vec![(low, high)])
    }

    /// The ranges together, whatever their order.
    fn union(mut ranges: Vec<(Cut, Cut)>) -> Self {
        ranges.retain(|(from, to)| from < to);
        ranges.sort_by(|(a, _), (b, _)| a.order(b));
        let mut joined: Vec<(Cut, Cut)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match joined.last_mut() {
                Some((_, end)) if from <= *end => {
                    if *end < to {
                        *end = to;
                    }
                }
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    /// All other numbers.
    pub(super) fn complement(&self) -> Self {
        let mut from = Cut::START;
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        for (start, end) in &self.0 {
            gaps.push((from, *start));
            from = *end;
        }
        gaps.push((from, Cut::END));
        Self::union(gaps)
    }

    /// The numbers in both.
    pub(super) fn intersect(&self, other: &Self) -> Self {
        // What is outside either is outside both together.
        let mut outside = self.complement().0;
        outside.extend(other.complement().0);
        Self::union(outside).complement()
    }

    pub(super) fn each(&self) -> &[(Cut, Cut)] {
        &self.0
    }
}

/// The days from one to another, both in; those before and after all dates are left out.
fn days(low: i64, high: i64) -> (Cut, Cut) {
    let (first, last) = dates();
    let (from, to) = (low.max(first), high.min(last));
    if from > to {
        return (Cut::END, Cut::START);
    }
    (
        if from == first { Cut::START } else { Cut::before(day_number(from)) },
        if to == last { Cut::END } else { Cut::before(day_number(to + 1)) },
    )
}

/// The first and the last day that a date can be.
pub(super) fn dates() -> (i64, i64) {
    let day = |year, month, day| Date::from_ymd(year, month, day).map_or(0, |date| i64::from(date.days()));
    (day(1, 1, 1), day(9999, 12, 31))
}

#[expect(clippy::cast_precision_loss, reason = "days of dates are far below 2^53")]
fn day_number(day: i64) -> f64 {
    day as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_numbers_add_up() {
        let today = Date::from_days(0).unwrap();
        let within = |low, high| Ranges::of(&Test::Number(NumberTest::Within((low, high))), today);
        let (some, more) =
            (within(Bound::Included(1.0), Bound::Excluded(5.0)), within(Bound::Excluded(1.0), Bound::Included(5.0)));
        assert_eq!(some.intersect(&more), within(Bound::Excluded(1.0), Bound::Excluded(5.0)));
        assert_eq!(some.complement().complement(), some);
        assert_eq!(some.intersect(&some.complement()), within(Bound::Included(5.0), Bound::Included(1.0)));
        let points = Ranges::of(&Test::Number(NumberTest::OneOf(vec![1.0, 1.0, 2.0, 9.0])), today);
        assert_eq!(points.each().len(), 3);
        assert_eq!(points.intersect(&some).each().len(), 2);
        assert_eq!(Ranges::everything().complement().each(), []);
    }

    #[test]
    fn days_beside_each_other_are_one_range() {
        use crate::predicate::DateBound::Day;
        let today = Date::from_days(0).unwrap();
        let of = |test| Ranges::of(&Test::Date(test), today);
        assert_eq!(of(DateTest::OneOf(vec![Day(2), Day(1), Day(3)])), of(DateTest::Within(Some(Day(1)), Some(Day(3)))));
        assert_eq!(of(DateTest::Within(None, Some(Day(i64::MAX)))), Ranges::everything());
        assert_eq!(of(DateTest::Within(Some(Day(3_000_000)), None)).each(), []);
    }
}
