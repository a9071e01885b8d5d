//! Comparisons of symbols: which test of an attribute one is.
//!
//! Knows no Rhai. An error is the reason why a comparison can't be followed, with what it needs all the same.

use std::sync::Arc;

use super::joined::{all, not};
use super::number::{Quantity, Step, WHOLE, beside};
use super::symbol::{Symbol, is_set, test};
use super::truth::Truth;
use crate::model::{AttributeId, AttributeType, Date};
use crate::predicate::{Condition, DateBound, DateTest, NumberTest, Pattern, Test, TextMatch, TextTest};

/// How two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Longest text whose length is made a pattern.
const LENGTH: i64 = 200;

impl Comparison {
    pub(super) fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    /// The same comparison with its sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    /// Whether it is an order, which nothing missing is in.
    fn orders(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    pub(super) fn holds<T: PartialOrd + ?Sized>(self, a: &T, b: &T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::AtMost => a <= b,
            Self::Greater => a > b,
            Self::AtLeast => a >= b,
        }
    }
}

/// What can't be followed: why, and what holds wherever the script says yes.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) why: &'static str,
    pub(super) possible: Condition,
}

pub(super) type Compared = Result<Truth, Open>;

fn open<T>(why: &'static str) -> Result<T, Open> {
    Err(Open { why, possible: Condition::Constant(true) })
}

/// A number that stands in the rule.
pub(super) fn number(symbol: &Symbol) -> Option<f64> {
    match symbol {
        Symbol::Integer(number) => Some(as_float(*number)),
        Symbol::Float(number) => Some(*number),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "as the script does where a whole number meets one with a fraction")]
pub(super) fn as_float(number: i64) -> f64 {
    number as f64
}

/// A constant as a day: a date, or a text that reads as one.
pub(super) fn day(symbol: &Symbol) -> Option<DateBound> {
    match symbol {
        Symbol::Day(bound) => Some(*bound),
        Symbol::Word(text) => text.parse::<Date>().ok().map(|date| DateBound::Day(i64::from(date.days()))),
        _ => None,
    }
}

/// Two symbols compared.
pub(super) fn compared(left: &Symbol, comparison: Comparison, right: &Symbol) -> Compared {
    let result = match (left, right) {
        (Symbol::Truth(left), Symbol::Truth(right)) => match comparison {
            Comparison::Equal => Ok(left.choose(right, &right.not())),
            Comparison::NotEqual => Ok(left.choose(&right.not(), right)),
            _ => open("conditions in an order"),
        },
        (Symbol::Unknown(_), _) | (_, Symbol::Unknown(_)) => open(""),
        (Symbol::Unit, other) | (other, Symbol::Unit) => Ok(match comparison {
            Comparison::Equal => other.presence().not(),
            Comparison::NotEqual => other.presence(),
            _ => Truth::constant(false),
        }),
        (left, right) => match (left.attribute(), right.attribute()) {
            (None, None) => constants(left, comparison, right).map(Truth::constant),
            (Some(_), None) => with_constant(left, comparison, right),
            (None, Some(_)) => with_constant(right, comparison.mirrored(), left),
            (Some(_), Some(_)) => open("a comparison of two values of the end user"),
        },
    };
    result.map_err(|open| Open { possible: all(vec![open.possible, needed(left, comparison, right)]), ..open })
}

/// What must be set for a comparison to hold.
fn needed(left: &Symbol, comparison: Comparison, right: &Symbol) -> Condition {
    let is_there = |symbol: &Symbol| symbol.presence() == Truth::constant(true);
    match comparison {
        Comparison::NotEqual => Condition::Constant(true),
        Comparison::Equal if !is_there(left) && !is_there(right) => Condition::Constant(true),
        _ => all(vec![left.needs(), right.needs()]),
    }
}

/// Two values that stand in the rule.
fn constants(left: &Symbol, comparison: Comparison, right: &Symbol) -> Result<bool, Open> {
    match (left, right) {
        (Symbol::Integer(left), Symbol::Integer(right)) => Ok(comparison.holds(left, right)),
        (Symbol::Word(left), Symbol::Word(right)) => Ok(comparison.holds(left, right)),
        (Symbol::Day(_), _) | (_, Symbol::Day(_)) => match (day(left), day(right)) {
            (Some(DateBound::Day(left)), Some(DateBound::Day(right)))
            | (Some(DateBound::Today(left)), Some(DateBound::Today(right))) => Ok(comparison.holds(&left, &right)),
            (Some(_), Some(_)) => open("a comparison that only the day decides"),
            _ => open("a comparison of different kinds"),
        },
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => Ok(comparison.holds(&left, &right)),
            _ => open("a comparison of different kinds"),
        },
    }
}

/// A symbol of an attribute compared with a constant on the right.
fn with_constant(left: &Symbol, comparison: Comparison, right: &Symbol) -> Compared {
    let positive = match left {
        Symbol::Text { attribute, lowered } => match right {
            Symbol::Word(_) if comparison.orders() => return open("texts in an order"),
            Symbol::Word(text) => one_text(attribute, *lowered, vec![Arc::clone(text)]),
            _ => return open("a comparison of different kinds"),
        },
        Symbol::Number(quantity) => match number(right) {
            Some(number) if quantity.whole && number.abs() >= WHOLE => {
                return open("a comparison with a very large number");
            }
            Some(number) => quantity.compared(comparison, number),
            None => return open("a comparison of different kinds"),
        },
        Symbol::Date { attribute, days } => match day(right) {
            Some(bound) => {
                let found = Test::Date(days_from(comparison, beside(bound, -days)));
                test(attribute, AttributeType::Date, found)
            }
            None => return open("a comparison of different kinds"),
        },
        Symbol::Length(attribute) => match number(right) {
            Some(number) => length(attribute, comparison, number)?,
            None => return open("a comparison of different kinds"),
        },
        _ => return open("a comparison of something that is no attribute"),
    };
    Ok(Truth::Exact(if comparison == Comparison::NotEqual { not(positive) } else { positive }))
}

/// That a String attribute is one of some texts.
pub(super) fn one_text(attribute: &AttributeId, lowered: bool, mut texts: Vec<Arc<str>>) -> Condition {
    texts.sort();
    texts.dedup();
    text_test(attribute, lowered, TextMatch::OneOf(texts))
}

pub(super) fn text_test(attribute: &AttributeId, lowered: bool, found: TextMatch) -> Condition {
    test(attribute, AttributeType::String, Test::Text(TextTest { found, lowered }))
}

/// The positive test of a comparison with a day (of `!=`, that of `==`).
fn days_from(comparison: Comparison, bound: DateBound) -> DateTest {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => DateTest::Within(Some(bound), Some(bound)),
        Comparison::Less => DateTest::Within(None, Some(beside(bound, -1))),
        Comparison::AtMost => DateTest::Within(None, Some(bound)),
        Comparison::Greater => DateTest::Within(Some(beside(bound, 1)), None),
        Comparison::AtLeast => DateTest::Within(Some(bound), None),
    }
}

/// That a String attribute has so many characters.
fn length(attribute: &AttributeId, comparison: Comparison, number: f64) -> Result<Condition, Open> {
    // The length as if it were a Number attribute: which whole numbers pass.
    let passes = |length: i64| comparison.holds(&as_float(length), &number) != (comparison == Comparison::NotEqual);
    let first = (0..=LENGTH + 1).find(|length| passes(*length));
    let last = (0..=LENGTH + 1).rev().find(|length| passes(*length));
    let set = || is_set(attribute, AttributeType::String);
    let empty = || one_text(attribute, false, vec![Arc::from("")]);
    match (first, last) {
        _ if number.abs() > as_float(LENGTH) => open("a length of more than 200 characters"),
        (Some(first), Some(last)) => Ok(match (first, last > LENGTH) {
            (0, true) => set(),
            (1, true) => all(vec![set(), not(empty())]),
            (0, false) if last == 0 => empty(),
            (first, endless) => {
                let last = if endless { String::new() } else { last.to_string() };
                match Pattern::new(&format!(r"(?s)\A.{{{first},{last}}}\z")) {
                    Ok(pattern) => text_test(attribute, false, TextMatch::Matches(pattern)),
                    Err(_) => return open("a pattern that is too large"),
                }
            }
        }),
        _ => Ok(Condition::Constant(false)),
    }
}

/// `between(value, low, high)`: both ends are in.
pub(super) fn between(value: &Symbol, low: &Symbol, high: &Symbol) -> Compared {
    if [value, low, high].contains(&&Symbol::Unit) {
        return Ok(Truth::constant(false));
    }
    let from = compared(value, Comparison::AtLeast, low);
    let to = compared(value, Comparison::AtMost, high);
    both(from, to)
}

/// Both of two comparisons.
fn both(one: Compared, other: Compared) -> Compared {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok(one.and(&other)),
        (one, other) => {
            let possible = |part: &Compared| match part {
                Ok(truth) => truth.possible().clone(),
                Err(open) => open.possible.clone(),
            };
            let possible = all(vec![possible(&one), possible(&other)]);
            let why = [one, other].into_iter().find_map(|part| Some(part.err()?.why)).unwrap_or_default();
            Err(Open { why, possible })
        }
    }
}

/// `value in [..]`: equal to one of them. Nothing is in any list, and `()` in a list is nobody's value.
pub(super) fn one_of(items: &[Symbol], value: &Symbol) -> Compared {
    let items: Vec<&Symbol> = items.iter().filter(|item| **item != Symbol::Unit).collect();
    if *value == Symbol::Unit || items.is_empty() {
        return Ok(Truth::constant(false));
    }
    if let Symbol::Number(quantity) = value
        && let Some(attribute) = quantity.plain()
        && let Some(mut numbers) = items.iter().map(|item| number(item)).collect::<Option<Vec<f64>>>()
    {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        let found = Test::Number(NumberTest::OneOf(numbers));
        return Ok(Truth::Exact(test(attribute, AttributeType::Number, found)));
    }
    let text = |item: &&Symbol| if let Symbol::Word(text) = item { Some(Arc::clone(text)) } else { None };
    if let Symbol::Text { attribute, lowered } = value
        && let Some(texts) = items.iter().map(text).collect::<Option<Vec<_>>>()
    {
        return Ok(Truth::Exact(one_text(attribute, *lowered, texts)));
    }
    let needs = all(vec![value.needs()]);
    let each: Result<Vec<Truth>, Open> =
        items.into_iter().map(|item| compared(item, Comparison::Equal, value)).collect();
    // Unlike `==`, `in` is false where both are missing.
    let each = each.map_err(|open| Open { possible: needs.clone(), ..open })?;
    Ok(each.iter().fold(Truth::constant(false), |any, one| any.or(one)).and(&Truth::Exact(needs)))
}

/// `value in from..to`.
pub(super) fn in_range(value: &Symbol, from: i64, to: i64, inclusive: bool) -> Compared {
    let last = if inclusive { Comparison::AtMost } else { Comparison::Less };
    let from = compared(value, Comparison::AtLeast, &Symbol::Integer(from));
    both(from, compared(value, last, &Symbol::Integer(to)))
}

/// `contains`, `starts_with`, `ends_with` and `matches` of a String attribute.
pub(super) fn part_of(function: &str, attribute: &AttributeId, lowered: bool, text: &Arc<str>) -> Compared {
    let found = match function {
        "contains" => TextMatch::Contains(Arc::clone(text)),
        "starts_with" => TextMatch::StartsWith(Arc::clone(text)),
        "ends_with" => TextMatch::EndsWith(Arc::clone(text)),
        _ => match Pattern::new(text) {
            Ok(pattern) => TextMatch::Matches(pattern),
            Err(_) => return open("a pattern that is too large"),
        },
    };
    Ok(Truth::Exact(text_test(attribute, lowered, found)))
}

/// A number made positive: one of two, by its sign.
pub(super) fn absolute(quantity: &Quantity) -> (Truth, Symbol, Symbol) {
    let negative = Truth::Exact(quantity.compared(Comparison::Less, 0.0));
    (negative, Symbol::Number(quantity.clone().then(Step::Negate)), Symbol::Number(quantity.clone()))
}
