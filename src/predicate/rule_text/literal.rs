//! Values as a rule writes them: dates, numbers and texts.
//!
//! Invariant: what is written is read as the same value, and shows all of it.

use crate::model::{Date, number_text};
use crate::predicate::DateBound;

/// Days from today up to which `today() - n` surely is a date.
const NEAR: u64 = 300_000;
/// The largest integer up to which every one is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A day as a value that a date is compared with; `None` when it is none on every day.
pub(super) fn day(bound: DateBound) -> Option<String> {
    Some(match bound {
        DateBound::Day(day) if (first()..=last()).contains(&day) => date(day),
        DateBound::Today(0) => "today()".to_owned(),
        DateBound::Today(offset) if offset.unsigned_abs() > NEAR => return None,
        DateBound::Today(offset @ ..0) => format!("today() - {}", offset.unsigned_abs()),
        DateBound::Today(offset) => format!("today() + {offset}"),
        DateBound::Day(_) => return None,
    })
}

pub(super) fn first() -> i64 {
    Date::from_ymd(1, 1, 1).map_or(0, |date| i64::from(date.days()))
}

pub(super) fn last() -> i64 {
    Date::from_ymd(9999, 12, 31).map_or(0, |date| i64::from(date.days()))
}

/// A day within the years of dates, in quotes.
pub(super) fn date(day: i64) -> String {
    let day = day.clamp(first(), last());
    let date = i32::try_from(day).ok().and_then(Date::from_days);
    date.map_or_else(String::new, |date| format!("\"{date}\""))
}

pub(super) fn number(value: f64) -> Option<String> {
    match value {
        value if !value.is_finite() => None,
        value if value.fract() == 0.0 && value.abs() <= EXACT => Some(number_text(value)),
        // Rhai reads a number with a point or an exponent as one with a fraction; `1e300` has one.
        value => Some(format!("{value:?}")),
    }
}

/// A text in double quotes. What can't be seen is escaped, so that nobody reads another rule than runs.
pub(in crate::predicate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || is_unseen(c) => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Characters that take no place, or turn the direction of others; all within four hexadecimal digits.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
