//! Conditions put together without needless parts.
//!
//! Rules followed step by step repeat themselves: `is_set(x) && x > 5`, a case of a `switch` that is none of those
//! before it. Knows no Rhai. Invariant: what comes out holds exactly where what went in does.

use std::ops::Bound;
use std::sync::Arc;

use super::arithmetic::FAR;
use super::number::{highest, lowest};
use crate::predicate::{AttributeTest, Condition, DateBound, DateTest, NumberTest, Test, TextMatch, TextTest};

/// Most parts of one list that are held against each other, pair by pair.
const COMPARED: usize = 64;
/// Days before, and after, every day that is within twice [`FAR`] of today: in the years 550 and 9450.
const PAST: i64 = -518_000;
const FUTURE: i64 = 2_732_000;

/// How many nodes a condition has.
pub(super) fn size(condition: &Condition) -> usize {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => 1 + parts.iter().map(size).sum::<usize>(),
        Condition::Not(part) => 1 + size(part),
        _ => 1,
    }
}

/// How deep its nodes are within each other.
pub(super) fn depth(condition: &Condition) -> usize {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => 1 + parts.iter().map(depth).max().unwrap_or(0),
        Condition::Not(part) => 1 + depth(part),
        _ => 1,
    }
}

pub(super) fn not(condition: Condition) -> Condition {
    match condition {
        Condition::Constant(flag) => Condition::Constant(!flag),
        Condition::Not(inner) => *inner,
        other => Condition::Not(Box::new(other)),
    }
}

/// All of them.
pub(super) fn all(parts: Vec<Condition>) -> Condition {
    let mut kept: Vec<Condition> = Vec::with_capacity(parts.len());
    let flat = parts.into_iter().flat_map(|part| if let Condition::All(inner) = part { inner } else { vec![part] });
    for part in flat {
        if !add(&mut kept, part) {
            return Condition::Constant(false);
        }
    }
    match kept.pop() {
        None => Condition::Constant(true),
        Some(only) if kept.is_empty() => only,
        Some(last) => {
            kept.push(last);
            Condition::All(kept)
        }
    }
}

/// At least one of them.
pub(super) fn any(parts: Vec<Condition>) -> Condition {
    match all(parts.into_iter().map(not).collect()) {
        Condition::All(negated) => Condition::Any(negated.into_iter().map(not).collect()),
        other => not(other),
    }
}

/// Adds one to those that all must hold; false when they never do together.
fn add(kept: &mut Vec<Condition>, mut part: Condition) -> bool {
    let mut place = kept.len();
    while let Some(other) = kept.iter().take(COMPARED).position(|other| meet(other, &part).is_some()) {
        let Some(one) = kept.get(other).and_then(|other| meet(other, &part)) else { break };
        kept.remove(other);
        (part, place) = (one, place.min(other));
    }
    match part {
        Condition::Constant(flag) => flag,
        part => {
            kept.insert(place.min(kept.len()), part);
            true
        }
    }
}

/// The one test that says what two conditions say together, if there is one.
fn meet(one: &Condition, other: &Condition) -> Option<Condition> {
    if *one == Condition::Constant(true) || implies(other, one) {
        return Some(other.clone());
    }
    if *other == Condition::Constant(true) || implies(one, other) {
        return Some(one.clone());
    }
    if contradict(one, other) {
        return Some(Condition::Constant(false));
    }
    match (one, other) {
        (Condition::Attribute(one), Condition::Attribute(other)) if one.attribute == other.attribute => {
            let test = narrowed(&one.test, &other.test)?;
            Some(Condition::Attribute(AttributeTest { test, ..one.clone() }))
        }
        (Condition::Attribute(one), Condition::Not(other)) | (Condition::Not(other), Condition::Attribute(one)) => {
            let Condition::Attribute(other) = &**other else { return None };
            if one.attribute != other.attribute {
                return None;
            }
            let test = narrowed(&one.test, &beyond(&other.test)?)?;
            Some(Condition::Attribute(AttributeTest { test, ..one.clone() }))
        }
        (Condition::Not(one), Condition::Not(other)) => match (&**one, &**other) {
            (Condition::Attribute(one), Condition::Attribute(other)) if one.attribute == other.attribute => {
                let test = either(&one.test, &other.test)?;
                Some(not(Condition::Attribute(AttributeTest { test, ..one.clone() })))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether it is plain that where one holds, the other does.
pub(super) fn implies(one: &Condition, other: &Condition) -> bool {
    match (one, other) {
        (Condition::All(parts), other) if !matches!(other, Condition::All(_)) => {
            parts.iter().any(|part| implies(part, other))
        }
        (Condition::Not(one), Condition::Not(other)) => implies(other, one),
        (Condition::Attribute(one), Condition::Attribute(other)) => {
            one == other || (one.attribute == other.attribute && (other.test == Test::IsSet || within(one, other)))
        }
        (Condition::Attribute(one), Condition::Not(other)) => {
            matches!(&**other, Condition::Attribute(other) if one.attribute == other.attribute && apart(one, other))
        }
        _ => one == other,
    }
}

/// Whether it is plain that they never hold together.
pub(super) fn contradict(one: &Condition, other: &Condition) -> bool {
    match (one, other) {
        (Condition::All(parts), other) => parts.iter().any(|part| contradict(part, other)),
        (Condition::Constant(false), _) | (_, Condition::Constant(false)) => true,
        (one, Condition::Not(other)) | (Condition::Not(other), one) => implies(one, other),
        (Condition::Attribute(one), Condition::Attribute(other)) => {
            one.attribute == other.attribute && apart(one, other)
        }
        _ => false,
    }
}

/// Whether every value that passes one test passes the other.
fn within(one: &AttributeTest, other: &AttributeTest) -> bool {
    match (extent(one), extent(other)) {
        (Some(one), Some(other)) => one.0 == other.0 && other.1 <= one.1 && one.2 <= other.2,
        _ => false,
    }
}

/// Whether no value passes both.
fn apart(one: &AttributeTest, other: &AttributeTest) -> bool {
    if let (Some(one), Some(other)) = (extent(one), extent(other)) {
        return one.0 == other.0 && (one.2 < other.1 || other.2 < one.1);
    }
    let (Some((texts, lowered)), Some((others, also_lowered))) = (texts_of(&one.test), texts_of(&other.test)) else {
        return false;
    };
    lowered == also_lowered && !texts.iter().any(|text| others.contains(text))
}

/// What an extent counts in.
#[derive(PartialEq)]
enum Scale {
    Numbers,
    Days,
    DaysFromToday,
}

/// From where to where a value must be, both in.
fn extent(test: &AttributeTest) -> Option<(Scale, i64, i64)> {
    let days = |bound: Option<DateBound>, open: i64| match bound {
        Some(DateBound::Day(days) | DateBound::Today(days)) => days,
        None => open,
    };
    let scale = |bound: Option<DateBound>| match bound {
        Some(DateBound::Day(_)) => Scale::Days,
        _ => Scale::DaysFromToday,
    };
    match &test.test {
        Test::Number(NumberTest::Within(span)) => Some((Scale::Numbers, lowest(span.0), highest(span.1))),
        Test::Date(DateTest::Within(first, last)) => {
            let same = first.is_none() || last.is_none() || scale(*first) == scale(*last);
            same.then(|| (scale(first.or(*last)), days(*first, i64::MIN), days(*last, i64::MAX)))
        }
        _ => None,
    }
}

fn texts_of(test: &Test) -> Option<(&[Arc<str>], bool)> {
    match test {
        Test::Text(TextTest { found: TextMatch::OneOf(texts), lowered }) => Some((texts, *lowered)),
        _ => None,
    }
}

/// The test that two spans pass together.
fn narrowed(one: &Test, other: &Test) -> Option<Test> {
    match (one, other) {
        (Test::Number(NumberTest::Within(one)), Test::Number(NumberTest::Within(other))) => {
            let low = if lowest(one.0) < lowest(other.0) { other.0 } else { one.0 };
            let high = if highest(one.1) > highest(other.1) { other.1 } else { one.1 };
            Some(Test::Number(NumberTest::Within((low, high))))
        }
        (Test::Date(DateTest::Within(first, last)), Test::Date(DateTest::Within(also_first, also_last))) => {
            let first = nearer(*first, *also_first, i64::max)?;
            let last = nearer(*last, *also_last, i64::min)?;
            Some(Test::Date(DateTest::Within(first, last)))
        }
        _ => None,
    }
}

/// The one of two ends that counts; nothing when only the day decides which.
fn nearer(one: Option<DateBound>, other: Option<DateBound>, of: fn(i64, i64) -> i64) -> Option<Option<DateBound>> {
    match (one, other) {
        (None, bound) | (bound, None) => Some(bound),
        (Some(DateBound::Day(one)), Some(DateBound::Day(other))) => Some(Some(DateBound::Day(of(one, other)))),
        (Some(DateBound::Today(one)), Some(DateBound::Today(other))) => Some(Some(DateBound::Today(of(one, other)))),
        (Some(day @ DateBound::Day(days)), Some(today @ DateBound::Today(offset)))
        | (Some(today @ DateBound::Today(offset)), Some(day @ DateBound::Day(days))) => {
            // The ends of the calendar, which arithmetic with dates brings in, are beyond every day near today.
            let near = (PAST..=FUTURE).contains(&days) || offset.abs() > 2 * FAR;
            let order = if days > FUTURE { 1 } else { -1 };
            (!near).then_some(Some(if of(order, 0) == order { day } else { today }))
        }
    }
}

/// What a value that is there passes if it does not pass a test with one open end.
fn beyond(test: &Test) -> Option<Test> {
    let turned = |bound: Bound<f64>| match bound {
        Bound::Included(number) => Bound::Excluded(number),
        Bound::Excluded(number) => Bound::Included(number),
        Bound::Unbounded => Bound::Unbounded,
    };
    match test {
        Test::Number(NumberTest::Within((Bound::Unbounded, high))) => {
            Some(Test::Number(NumberTest::Within((turned(*high), Bound::Unbounded))))
        }
        Test::Number(NumberTest::Within((low, Bound::Unbounded))) => {
            Some(Test::Number(NumberTest::Within((Bound::Unbounded, turned(*low)))))
        }
        Test::Date(DateTest::Within(None, Some(last))) => {
            Some(Test::Date(DateTest::Within(Some(super::number::beside(*last, 1)), None)))
        }
        Test::Date(DateTest::Within(Some(first), None)) => {
            Some(Test::Date(DateTest::Within(None, Some(super::number::beside(*first, -1)))))
        }
        _ => None,
    }
}

/// The test that is passed by what passes either of two that name single values.
fn either(one: &Test, other: &Test) -> Option<Test> {
    if let (Some((texts, lowered)), Some((others, also_lowered))) = (texts_of(one), texts_of(other)) {
        let mut texts: Vec<Arc<str>> = texts.iter().chain(others).cloned().collect();
        texts.sort();
        texts.dedup();
        return (lowered == also_lowered).then_some(Test::Text(TextTest { found: TextMatch::OneOf(texts), lowered }));
    }
    let mut numbers = [numbers_of(one)?, numbers_of(other)?].concat();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    Some(Test::Number(NumberTest::OneOf(numbers)))
}

fn numbers_of(test: &Test) -> Option<Vec<f64>> {
    match test {
        Test::Number(NumberTest::OneOf(numbers)) => Some(numbers.clone()),
        Test::Number(NumberTest::Within((Bound::Included(low), Bound::Included(high)))) if low == high => {
            Some(vec![*low])
        }
        _ => None,
    }
}
