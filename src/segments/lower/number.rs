//! Numbers that one attribute decides: a Number, or the days between a Date and a day, taken through arithmetic with
//! constants.
//!
//! Every step is monotone, also as floating-point numbers are rounded, so which values of the attribute pass a
//! comparison is a span, and its ends are found by trying: as exact as the script, whatever the rounding.

use std::ops::Bound;

use super::comparison::Comparison;
use super::symbol::{is_set, test};
use crate::model::{AttributeId, AttributeType, number_text};
use crate::predicate::{Condition, DateBound, DateTest, NumberTest, Span, Test};

/// Largest whole number that an attribute holds: 2^53. Beyond, every floating-point number is a whole one.
pub(super) const WHOLE: f64 = 9_007_199_254_740_992.0;
/// More days than lie between any two dates, with what a rule may add.
const DAYS: i64 = 10_000_000;

/// A number that one attribute decides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity {
    of: Measured,
    steps: Vec<Step>,
    /// Rhai counts it among its whole numbers, whose arithmetic is another.
    pub(super) whole: bool,
}

/// What a [`Quantity`] begins with.
#[derive(Debug, Clone, PartialEq)]
enum Measured {
    Number(AttributeId),
    /// The days from a Date attribute to a day.
    DaysTo(AttributeId, DateBound),
    /// The days to a Date attribute from a day.
    DaysFrom(AttributeId, DateBound),
}

/// What is done with a number, one constant at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Add(f64),
    /// By no zero.
    Multiply(f64),
    /// By no zero.
    Divide(f64),
    Negate,
    Round,
    Floor,
    Ceiling,
    Truncate,
}

impl Step {
    fn apply(self, x: f64) -> f64 {
        match self {
            Self::Add(number) => x + number,
            Self::Multiply(number) => x * number,
            Self::Divide(number) => x / number,
            Self::Negate => -x,
            Self::Round => x.round(),
            Self::Floor => x.floor(),
            Self::Ceiling => x.ceil(),
            Self::Truncate => x.trunc(),
        }
    }

    /// Whether a larger number comes out smaller.
    fn turns(self) -> bool {
        match self {
            Self::Negate => true,
            Self::Multiply(number) | Self::Divide(number) => number < 0.0,
            _ => false,
        }
    }
}

impl Quantity {
    pub(super) fn number(attribute: AttributeId) -> Self {
        Self { of: Measured::Number(attribute), steps: Vec::new(), whole: false }
    }

    pub(super) fn days_to(attribute: AttributeId, day: DateBound) -> Self {
        Self { of: Measured::DaysTo(attribute, day), steps: Vec::new(), whole: false }
    }

    pub(super) fn days_from(attribute: AttributeId, day: DateBound) -> Self {
        Self { of: Measured::DaysFrom(attribute, day), steps: Vec::new(), whole: false }
    }

    pub(super) fn attribute(&self) -> (&AttributeId, AttributeType) {
        match &self.of {
            Measured::Number(attribute) => (attribute, AttributeType::Number),
            Measured::DaysTo(attribute, _) | Measured::DaysFrom(attribute, _) => (attribute, AttributeType::Date),
        }
    }

    /// The attribute, if it is the number as it stands.
    pub(super) fn plain(&self) -> Option<&AttributeId> {
        match &self.of {
            Measured::Number(attribute) if self.steps.is_empty() => Some(attribute),
            _ => None,
        }
    }

    pub(super) fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same as one of Rhai's whole numbers, if it surely fits.
    pub(super) fn to_whole(&self) -> Option<Self> {
        let far = if matches!(self.of, Measured::Number(_)) { WHOLE } else { DAYS as f64 };
        let fits = [-far, far].into_iter().all(|x| self.apply(x).abs() <= WHOLE);
        fits.then(|| Self { whole: true, ..self.clone().then(Step::Truncate) })
    }

    fn apply(&self, x: f64) -> f64 {
        self.steps.iter().fold(x, |x, step| step.apply(x))
    }

    /// The condition of a comparison with a number; of `!=`, that of `==`.
    pub(super) fn compared(&self, comparison: Comparison, number: f64) -> Condition {
        let (attribute, kind) = self.attribute();
        let Some(span) = self.span(comparison, number) else { return Condition::Constant(false) };
        match &self.of {
            _ if span == (Bound::Unbounded, Bound::Unbounded) => is_set(attribute, kind),
            Measured::Number(_) => test(attribute, kind, Test::Number(NumberTest::Within(span))),
            Measured::DaysTo(_, day) | Measured::DaysFrom(_, day) => {
                let (low, high) = whole_span(span);
                if low > high || low > DAYS || high < -DAYS {
                    return Condition::Constant(false);
                }
                // Only where the number of days is that far is it not decided.
                let (low, high) = ((low > -DAYS).then_some(low), (high < DAYS).then_some(high));
                let days = match &self.of {
                    Measured::DaysTo(..) => (high.map(|days| beside(*day, -days)), low.map(|days| beside(*day, -days))),
                    _ => (low.map(|days| beside(*day, days)), high.map(|days| beside(*day, days))),
                };
                match days {
                    (None, None) => is_set(attribute, kind),
                    (first, last) => test(attribute, kind, Test::Date(DateTest::Within(first, last))),
                }
            }
        }
    }

    /// Which numbers to begin with pass; nothing when none does.
    fn span(&self, comparison: Comparison, number: f64) -> Option<Span<f64>> {
        use Bound::{Excluded, Included, Unbounded};
        if self.steps.is_empty() {
            return Some(match comparison {
                Comparison::Equal | Comparison::NotEqual => (Included(number), Included(number)),
                Comparison::Less => (Unbounded, Excluded(number)),
                Comparison::AtMost => (Unbounded, Included(number)),
                Comparison::Greater => (Excluded(number), Unbounded),
                Comparison::AtLeast => (Included(number), Unbounded),
            });
        }
        if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
            let (at_least, at_most) = (self.span(Comparison::AtLeast, number)?, self.span(Comparison::AtMost, number)?);
            let span = if self.turns() { (at_most.0, at_least.1) } else { (at_least.0, at_most.1) };
            return (lowest(span.0) <= highest(span.1)).then_some(span);
        }
        let passes = |rank: i64| comparison.holds(&self.apply(float_of(rank)), &number);
        let (least, greatest) = (-rank_of(f64::MAX), rank_of(f64::MAX));
        let upwards = matches!(comparison, Comparison::Greater | Comparison::AtLeast) != self.turns();
        match (passes(least), passes(greatest)) {
            (true, true) => Some((Unbounded, Unbounded)),
            (false, false) => None,
            _ if upwards => {
                let first = edge(least, greatest, passes);
                Some((simpler(Included(float_of(first)), Excluded(float_of(first - 1))), Unbounded))
            }
            _ => {
                let beyond = edge(least, greatest, |rank| !passes(rank));
                Some((Unbounded, simpler(Included(float_of(beyond - 1)), Excluded(float_of(beyond)))))
            }
        }
    }

    fn turns(&self) -> bool {
        self.steps.iter().filter(|step| step.turns()).count() % 2 == 1
    }
}

pub(super) fn beside(day: DateBound, days: i64) -> DateBound {
    match day {
        DateBound::Day(day) => DateBound::Day(day.saturating_add(days)),
        DateBound::Today(offset) => DateBound::Today(offset.saturating_add(days)),
    }
}

/// The first place from which on it holds; it holds at `last` and not at `first`.
fn edge(first: i64, last: i64, holds: impl Fn(i64) -> bool) -> i64 {
    let (mut without, mut with) = (first, last);
    while without + 1 < with {
        let middle = i64::midpoint(without, with);
        if holds(middle) { with = middle } else { without = middle }
    }
    with
}

/// Where a number stands among all floating-point numbers; both zeros stand at 0.
fn rank_of(x: f64) -> i64 {
    let size = x.abs().to_bits().cast_signed();
    if x < 0.0 { -size } else { size }
}

fn float_of(rank: i64) -> f64 {
    let size = f64::from_bits(rank.unsigned_abs());
    if rank < 0 { -size } else { size }
}

/// Whichever of two bounds that mean the same is shorter to write.
fn simpler(included: Bound<f64>, excluded: Bound<f64>) -> Bound<f64> {
    let length = |bound: Bound<f64>| match bound {
        Bound::Included(number) | Bound::Excluded(number) => number_text(number).len(),
        Bound::Unbounded => 0,
    };
    if length(excluded) < length(included) { excluded } else { included }
}

/// Where the least number within a lower bound stands among all.
pub(super) fn lowest(bound: Bound<f64>) -> i64 {
    match bound {
        Bound::Included(number) => rank_of(number),
        Bound::Excluded(number) => rank_of(number) + 1,
        Bound::Unbounded => i64::MIN,
    }
}

/// Where the greatest number within an upper bound stands among all.
pub(super) fn highest(bound: Bound<f64>) -> i64 {
    match bound {
        Bound::Included(number) => rank_of(number),
        Bound::Excluded(number) => rank_of(number) - 1,
        Bound::Unbounded => i64::MAX,
    }
}

/// The least and the greatest whole number within a span.
#[expect(clippy::cast_possible_truncation, reason = "saturates, far beyond every number of days")]
fn whole_span((low, high): Span<f64>) -> (i64, i64) {
    let low = match low {
        Bound::Included(number) => number.ceil() as i64,
        Bound::Excluded(number) => (number.floor() as i64).saturating_add(1),
        Bound::Unbounded => i64::MIN,
    };
    let high = match high {
        Bound::Included(number) => number.floor() as i64,
        Bound::Excluded(number) => (number.ceil() as i64).saturating_sub(1),
        Bound::Unbounded => i64::MAX,
    };
    (low, high)
}
