//! Arithmetic of symbols: with constants, with days, with numbers that one attribute decides.
//!
//! Knows no Rhai, but computes as it does: two whole numbers stay whole (`7 / 2` is 3) and must not overflow.

use std::sync::Arc;

use super::comparison::{as_float, number};
use super::number::{Quantity, Step, beside};
use super::symbol::{Symbol, Value, test};
use super::tree::Tree;
use super::truth::Truth;
use crate::model::{AttributeId, AttributeType, Date};
use crate::predicate::{DateBound, DateTest, Test};

/// Days that a rule may move a day by. Rhai fails beyond the years 0001 to 9999; from today this stays well within.
pub(super) const FAR: i64 = 200_000;

/// The value of a binary operator, if it can be followed.
pub(super) fn computed(operator: &str, left: &Symbol, right: &Symbol) -> Option<Value> {
    Some(match (operator, left, right) {
        (_, Symbol::Unit, _) | (_, _, Symbol::Unit) => Symbol::Unit.into(),
        ("+" | "-", Symbol::Day(_) | Symbol::Date { .. }, _) | ("-", _, Symbol::Date { .. }) => {
            return dates(operator, left, right);
        }
        ("+", Symbol::Word(left), Symbol::Word(right)) => Symbol::Word(Arc::from(format!("{left}{right}"))).into(),
        (_, Symbol::Integer(left), Symbol::Integer(right)) => Symbol::Integer(whole(operator, *left, *right)?).into(),
        (_, Symbol::Number(quantity), other) if !quantity.whole => stepped(operator, quantity, number(other)?)?.into(),
        ("+" | "*", other, Symbol::Number(quantity)) if !quantity.whole => {
            stepped(operator, quantity, number(other)?)?.into()
        }
        ("-", other, Symbol::Number(quantity)) if !quantity.whole => {
            stepped("+", &quantity.clone().then(Step::Negate), number(other)?)?.into()
        }
        _ => Symbol::Float(fractions(operator, number(left)?, number(right)?)?).into(),
    })
}

fn whole(operator: &str, left: i64, right: i64) -> Option<i64> {
    match operator {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" => left.checked_div(right),
        "%" => left.checked_rem(right),
        _ => None,
    }
}

fn fractions(operator: &str, left: f64, right: f64) -> Option<f64> {
    let value = match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "%" => left % right,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

fn stepped(operator: &str, quantity: &Quantity, number: f64) -> Option<Symbol> {
    let step = match operator {
        _ if !number.is_finite() => return None,
        "+" => Step::Add(number),
        "-" => Step::Add(-number),
        "*" if number != 0.0 => Step::Multiply(number),
        "/" if number != 0.0 => Step::Divide(number),
        _ => return None,
    };
    Some(Symbol::Number(quantity.clone().then(step)))
}

/// The opposite of a number.
pub(super) fn negated(symbol: &Symbol) -> Option<Symbol> {
    match symbol {
        Symbol::Unit => Some(Symbol::Unit),
        Symbol::Integer(number) => number.checked_neg().map(Symbol::Integer),
        Symbol::Float(number) => Some(Symbol::Float(-number)),
        Symbol::Number(quantity) if !quantity.whole => Some(Symbol::Number(quantity.clone().then(Step::Negate))),
        _ => None,
    }
}

/// A day and days, or two days.
fn dates(operator: &str, left: &Symbol, right: &Symbol) -> Option<Value> {
    Some(match (left, right) {
        (Symbol::Day(to), Symbol::Date { attribute, days }) if operator == "-" => {
            Symbol::Number(Quantity::days_to(attribute.clone(), beside(*to, -days))).into()
        }
        (Symbol::Date { attribute, days }, Symbol::Day(from)) if operator == "-" => {
            Symbol::Number(Quantity::days_from(attribute.clone(), beside(*from, -days))).into()
        }
        (Symbol::Day(DateBound::Day(to)), Symbol::Day(DateBound::Day(from)))
        | (Symbol::Day(DateBound::Today(to)), Symbol::Day(DateBound::Today(from)))
            if operator == "-" =>
        {
            Symbol::Float(as_float(to - from)).into()
        }
        (date, days) => {
            let days = days_of(days)?;
            return moved(date, if operator == "-" { -days } else { days });
        }
    })
}

/// A constant number of days; a fraction is cut off.
fn days_of(symbol: &Symbol) -> Option<i64> {
    let days = match symbol {
        Symbol::Integer(days) => *days,
        #[expect(clippy::cast_possible_truncation, reason = "as the script does; it saturates, and is then too far")]
        Symbol::Float(days) => *days as i64,
        _ => return None,
    };
    (-FAR..=FAR).contains(&days).then_some(days)
}

/// A day so many days later.
fn moved(date: &Symbol, days: i64) -> Option<Value> {
    let total = |before: i64| Some(before + days).filter(|days| days.abs() <= FAR);
    Some(match date {
        Symbol::Day(DateBound::Today(before)) => Symbol::Day(DateBound::Today(total(*before)?)).into(),
        Symbol::Day(DateBound::Day(day)) => {
            let day = i32::try_from(day + days).ok().and_then(Date::from_days)?;
            Symbol::Day(DateBound::Day(i64::from(day.days()))).into()
        }
        Symbol::Date { attribute, days: before } => shifted(attribute, total(*before)?),
        _ => return None,
    })
}

/// So many days after a Date attribute. The script fails where that is outside the years that a date can be in.
fn shifted(attribute: &AttributeId, days: i64) -> Value {
    let day = |year, month, day| Date::from_ymd(year, month, day).map_or(0, |date| i64::from(date.days()));
    let outside = match days {
        1.. => DateTest::Within(Some(DateBound::Day(day(9999, 12, 31) - days + 1)), None),
        _ => DateTest::Within(None, Some(DateBound::Day(day(1, 1, 1) - days - 1))),
    };
    let fails = Truth::Exact(test(attribute, AttributeType::Date, Test::Date(outside)));
    let date = Value::Leaf(Symbol::Date { attribute: attribute.clone(), days });
    if days == 0 { date } else { Tree::fork(&fails, Symbol::Fails.into(), date) }
}
