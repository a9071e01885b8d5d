//! Values and the one coercion table: what a JSON value or a CSV cell becomes as a String, Number or Date.
//!
//! | input | String | Number | Date |
//! | --- | --- | --- | --- |
//! | text | as is, at most `string_bytes` | trimmed, whole text a decimal, then as a number | `YYYY-MM-DD` or RFC 3339 |
//! | number | its shortest JSON text | finite, no integer beyond ±2^53 | refused |
//! | boolean | `true` / `false` | refused | refused |
//! | array, object | refused | refused | refused |
//!
//! A null is refused before it gets here: it makes the whole call illegal.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Date, DateError};

/// The largest integer up to which every integer is exact in a double: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The type of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeType {
    /// Text.
    String,
    /// A finite double; integers within ±2^53.
    Number,
    /// A calendar day.
    Date,
}

impl AttributeType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::String, Self::Number, Self::Date];

    /// The type's name as the rule files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Date => "date",
        }
    }
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored value. Numbers are finite and never `-0.0`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub enum Value {
    /// Text.
    String(Arc<str>),
    /// A number.
    Number(f64),
    /// A day.
    Date(Date),
}

impl Value {
    /// The type of the value.
    #[must_use]
    pub fn kind(&self) -> AttributeType {
        match self {
            Self::String(_) => AttributeType::String,
            Self::Number(_) => AttributeType::Number,
            Self::Date(_) => AttributeType::Date,
        }
    }

    /// The value read as another type, by the coercion table; `None` when it does not fit (it is then hidden, not lost).
    #[must_use]
    pub fn read_as(&self, kind: AttributeType) -> Option<Self> {
        let limits = Limits { string_bytes: usize::MAX };
        match self {
            value if value.kind() == kind => Some(self.clone()),
            Self::String(text) => Input::Text(text).coerce(kind, limits).ok(),
            Self::Number(number) => Input::Number(&number_text(*number)).coerce(kind, limits).ok(),
            Self::Date(date) => Input::Text(&date.to_string()).coerce(kind, limits).ok(),
        }
    }

    /// The value as callers see it: a JSON string, number, or `YYYY-MM-DD` string.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::String(text) => serde_json::Value::from(text.as_ref()),
            Self::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "an integer within 2^53 fits an i64 exactly")]
                serde_json::Value::from(*number as i64)
            }
            Self::Number(number) => serde_json::Value::from(*number),
            Self::Date(date) => serde_json::Value::from(date.to_string()),
        }
    }
}

/// What limits a value, from `[limits]` in `config.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest String, in bytes of UTF-8.
    pub string_bytes: usize,
}

/// One value as it arrives, not yet of any type.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A JSON string or a CSV cell.
    Text(&'a str),
    /// A JSON number's own text (RFC 8259 grammar).
    Number(&'a str),
    /// A JSON boolean.
    Boolean(bool),
    /// A JSON array.
    Array,
    /// A JSON object.
    Object,
}

/// Why a value does not become an attribute's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoerceError {
    /// A String over the limit: its length and the limit, in bytes.
    #[error("the text has {length} bytes; at most {limit} are allowed (`string_bytes`)")]
    StringTooLong {
        /// Bytes that were sent.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Text that is no decimal.
    #[error("`{0}` is no number: write a decimal such as -4.5 or 1e3")]
    NotANumber(String),
    /// A number that no double can hold.
    #[error("the number is not finite")]
    NotFinite,
    /// An integer that a double would round.
    #[error("the integer is beyond ±9007199254740992 (2^53) and would be rounded; declare the attribute as a string")]
    IntegerTooLarge,
    /// Text that is no date.
    #[error(transparent)]
    NotADate(#[from] DateError),
    /// A kind of JSON value that the type does not take.
    #[error("{found} can't be a {wanted}{}", if *wanted == AttributeType::Date { ": write it as \"YYYY-MM-DD\"" } else { "" })]
    WrongKind {
        /// What was sent: `a boolean`, `an array`, …
        found: &'static str,
        /// The attribute's type.
        wanted: AttributeType,
    },
}

impl CoerceError {
    /// A short stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::StringTooLong { .. } => "string_too_long",
            Self::NotANumber(_) => "not_a_number",
            Self::NotFinite => "number_not_finite",
            Self::IntegerTooLarge => "integer_too_large",
            Self::NotADate(DateError::Form(_)) => "not_a_date",
            Self::NotADate(_) => "no_such_day",
            Self::WrongKind { .. } => "wrong_type",
        }
    }
}

impl Input<'_> {
    /// Applies the coercion table.
    ///
    /// # Errors
    /// [`CoerceError`] for a cell of the table that refuses.
    pub fn coerce(self, kind: AttributeType, limits: Limits) -> Result<Value, CoerceError> {
        let wrong = |found| CoerceError::WrongKind { found, wanted: kind };
        match (self, kind) {
            (Self::Text(text), AttributeType::String) => within(text, limits).map(|()| Value::String(Arc::from(text))),
            (Self::Text(text), AttributeType::Number) => {
                let trimmed = text.trim();
                if is_decimal(trimmed) {
                    checked_number(trimmed).map(Value::Number)
                } else {
                    Err(CoerceError::NotANumber(text.chars().take(40).collect()))
                }
            }
            (Self::Text(text), AttributeType::Date) => Ok(Value::Date(text.parse()?)),
            (Self::Number(text), AttributeType::String) => {
                Input::Text(&number_text_of_json(text)?).coerce(AttributeType::String, limits)
            }
            (Self::Number(text), AttributeType::Number) => checked_number(text).map(Value::Number),
            (Self::Number(_), AttributeType::Date) => Err(wrong("a number")),
            (Self::Boolean(flag), AttributeType::String) => {
                Ok(Value::String(Arc::from(if flag { "true" } else { "false" })))
            }
            (Self::Boolean(_), _) => Err(wrong("a boolean")),
            (Self::Array, _) => Err(wrong("an array")),
            (Self::Object, _) => Err(wrong("an object")),
        }
    }

    /// Whether [`Input::coerce`] takes it, without making the value.
    ///
    /// # Errors
    /// Those of [`Input::coerce`].
    pub fn check(self, kind: AttributeType, limits: Limits) -> Result<(), CoerceError> {
        match (self, kind) {
            (Self::Text(text), AttributeType::String) => within(text, limits),
            _ => self.coerce(kind, limits).map(drop),
        }
    }
}

/// Refuses a text over the limit.
fn within(text: &str, limits: Limits) -> Result<(), CoerceError> {
    if text.len() > limits.string_bytes {
        return Err(CoerceError::StringTooLong { length: text.len(), limit: limits.string_bytes });
    }
    Ok(())
}

/// Whether the whole text is a decimal: sign, digits, fraction, exponent.
fn is_decimal(text: &str) -> bool {
    fn digits(bytes: &[u8]) -> (usize, &[u8]) {
        let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        (count, bytes.get(count..).unwrap_or_default())
    }
    fn unsigned(bytes: &[u8]) -> &[u8] {
        match bytes {
            [b'+' | b'-', rest @ ..] => rest,
            _ => bytes,
        }
    }
    let (whole, mut rest) = digits(unsigned(text.as_bytes()));
    let mut fraction = 0;
    if let [b'.', after @ ..] = rest {
        (fraction, rest) = digits(after);
        if fraction == 0 {
            return false;
        }
    }
    if whole + fraction == 0 {
        return false;
    }
    match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => matches!(digits(unsigned(exponent)), (1.., [])),
        _ => false,
    }
}

/// Parses a decimal text and refuses what a double can't hold: infinities, and integers that would be rounded.
fn checked_number(text: &str) -> Result<f64, CoerceError> {
    let number: f64 = text.parse().map_err(|_| CoerceError::NotANumber(text.chars().take(40).collect()))?;
    if !number.is_finite() {
        return Err(CoerceError::NotFinite);
    }
    // 2^53 + 1 rounds to 2^53, so the number's own digits decide at the edge.
    if number.abs() > EXACT || (number.abs() == EXACT && !is_written_as(text, "9007199254740992")) {
        return Err(CoerceError::IntegerTooLarge);
    }
    Ok(if number == 0.0 { 0.0 } else { number })
}

/// Whether a decimal text, sign aside, is exactly this integer, which ends in another digit than 0; however it is
/// written: `90.0e-1` is `9`.
fn is_written_as(text: &str, integer: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches(['+', '-']));
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let exponent = exponent.parse::<i64>().ok();
    let lowest = exponent.map(|exponent| exponent - fraction.len() as i64 + zeros as i64);
    significant == integer && lowest == Some(0)
}

/// A JSON number's shortest text. An integer keeps all its digits (it may be an id longer than a double holds);
/// anything else is the shortest text that reads back as the same double, as ECMAScript prints it.
///
/// # Errors
/// [`CoerceError::NotFinite`] for a number such as `1e999`.
pub fn number_text_of_json(text: &str) -> Result<String, CoerceError> {
    if text.bytes().skip(usize::from(text.starts_with('-'))).all(|b| b.is_ascii_digit()) {
        return Ok(if text == "-0" { "0".to_owned() } else { text.to_owned() });
    }
    let number: f64 = text.parse().map_err(|_| CoerceError::NotANumber(text.chars().take(40).collect()))?;
    if number.is_finite() { Ok(number_text(number)) } else { Err(CoerceError::NotFinite) }
}

/// The shortest text of a finite number, as ECMAScript prints it: `5`, `-4.5`, `1e+21`.
#[must_use]
pub fn number_text(number: f64) -> String {
    ryu_js::Buffer::new().format(number).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttributeType as T;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { string_bytes: 8 };

    fn string(text: &str) -> Result<Value, CoerceError> {
        Ok(Value::String(Arc::from(text)))
    }

    #[test]
    fn every_cell_of_the_table() {
        let cell = |input: Input<'_>, kind| input.coerce(kind, LIMITS);
        assert_eq!(cell(Input::Text(" a b "), T::String), string(" a b "));
        assert_eq!(cell(Input::Text("123456789"), T::String), Err(CoerceError::StringTooLong { length: 9, limit: 8 }));
        assert_eq!(cell(Input::Text(" -4.5\t"), T::Number), Ok(Value::Number(-4.5)));
        assert_eq!(cell(Input::Text("1e3"), T::Number), Ok(Value::Number(1000.0)));
        assert_eq!(cell(Input::Text("2024-02-29"), T::Date), Ok(Value::Date("2024-02-29".parse().unwrap())));
        assert_eq!(cell(Input::Number("1.50"), T::String), string("1.5"));
        assert_eq!(cell(Input::Number("12345678"), T::String), string("12345678"));
        assert_eq!(cell(Input::Number("1e3"), T::String), string("1000"));
        assert_eq!(cell(Input::Number("-0"), T::String), string("0"));
        assert_eq!(cell(Input::Number("1e999"), T::Number), Err(CoerceError::NotFinite));
        assert_eq!(cell(Input::Number("1e999"), T::String), Err(CoerceError::NotFinite));
        assert_eq!(cell(Input::Number("9007199254740992"), T::Number), Ok(Value::Number(EXACT)));
        assert_eq!(cell(Input::Number("9007199254740993"), T::Number), Err(CoerceError::IntegerTooLarge));
        assert_eq!(cell(Input::Number("-9007199254740993"), T::Number), Err(CoerceError::IntegerTooLarge));
        assert_eq!(cell(Input::Text("9007199254740993"), T::Number), Err(CoerceError::IntegerTooLarge));
        for exact in ["9007199254740992.0", "+009007199254740992", "90071992547409920e-1", "9.007199254740992E+15"] {
            assert_eq!(cell(Input::Text(exact), T::Number), Ok(Value::Number(EXACT)), "{exact}");
        }
        for rounded in ["9007199254740993.0", "9007199254740992.5", "90071992547409930e-1", "-9.007199254740993e15"] {
            assert_eq!(cell(Input::Text(rounded), T::Number), Err(CoerceError::IntegerTooLarge), "{rounded}");
        }
        assert!(matches!(cell(Input::Number("20240229"), T::Date), Err(CoerceError::WrongKind { .. })));
        assert_eq!(cell(Input::Boolean(true), T::String), string("true"));
        for kind in [T::Number, T::Date] {
            assert!(matches!(cell(Input::Boolean(false), kind), Err(CoerceError::WrongKind { .. })));
        }
        for kind in [T::String, T::Number, T::Date] {
            assert!(matches!(cell(Input::Array, kind), Err(CoerceError::WrongKind { .. })));
            assert!(matches!(cell(Input::Object, kind), Err(CoerceError::WrongKind { .. })));
        }
    }

    #[test]
    fn a_decimal_is_the_whole_text() {
        for good in ["0", "-0", "+5", "007", ".5", "-4.5", "1e3", "1E-3", "1.5e+10"] {
            assert!(Input::Text(good).coerce(T::Number, LIMITS).is_ok(), "{good:?}");
        }
        for bad in ["", " ", "5.", ".", "e3", "1e", "1_000", "1,5", "0x10", "NaN", "inf", "Infinity", "1 2", "--1", "٣"]
        {
            assert!(matches!(Input::Text(bad).coerce(T::Number, LIMITS), Err(CoerceError::NotANumber(_))), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_survives_being_text(number in -EXACT..EXACT) {
            let text = number_text(number);
            prop_assert_eq!(Input::Text(&text).coerce(T::Number, LIMITS), Ok(Value::Number(number)));
            let roomy = Limits { string_bytes: 64 };
            prop_assert_eq!(Input::Number(&text).coerce(T::String, roomy), string(&text));
        }

        #[test]
        fn nothing_that_coerces_breaks_an_invariant(text in "\\PC{0,12}") {
            for kind in [T::String, T::Number, T::Date] {
                let input = Input::Text(&text);
                prop_assert_eq!(input.check(kind, LIMITS), input.coerce(kind, LIMITS).map(drop));
                if let Ok(value) = Input::Text(&text).coerce(kind, LIMITS) {
                    prop_assert_eq!(value.kind(), kind);
                    if let Value::Number(n) = value { prop_assert!(n.is_finite() && n.abs() <= EXACT); }
                    if let Value::String(s) = value { prop_assert!(s.len() <= LIMITS.string_bytes); }
                }
            }
        }
    }
}
