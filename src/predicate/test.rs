//! Tests of one value: all positive, each false for a missing value; a negative is [`super::Condition::Not`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use regex::Regex;

use crate::model::{Date, Value};

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES: usize = 1 << 20;
/// What makes a pattern ignore case. It stands in the source, so that patterns of the same source are the same.
const ANY_CASE: &str = "(?i)";

/// A test of an attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// There is a value.
    IsSet,
    /// A test of a String.
    Text(TextTest),
    /// A test of a Number.
    Number(NumberTest),
    /// A test of a Date.
    Date(DateTest),
}

/// A test of a String.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTest {
    /// What is looked for.
    pub found: TextMatch,
    /// The value is made lower case first; what is looked for is taken as it is.
    pub lowered: bool,
}

/// What is looked for in a String.
#[derive(Debug, Clone, PartialEq)]
pub enum TextMatch {
    /// It is one of these texts, sorted.
    OneOf(Vec<Arc<str>>),
    /// It contains the text.
    Contains(Arc<str>),
    /// It begins with the text.
    StartsWith(Arc<str>),
    /// It ends with the text.
    EndsWith(Arc<str>),
    /// The pattern matches somewhere in it.
    Matches(Pattern),
}

/// A regular expression, equal to another by its source.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern of the `regex` crate's dialect.
    ///
    /// # Errors
    /// The crate's own message for a bad or too large pattern.
    pub fn new(source: &str) -> Result<Self, String> {
        let built = regex::RegexBuilder::new(source).size_limit(PATTERN_BYTES).build();
        built.map(Self).map_err(|error| error.to_string())
    }
    /// The same for a text in any case.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn ignoring_case(source: &str) -> Result<Self, String> {
        Self::new(&format!("{ANY_CASE}{source}"))
    }
    /// What [`Pattern::ignoring_case`] was given, when the pattern is of that kind.
    #[must_use]
    pub fn without_case(&self) -> Option<&str> {
        self.as_str().strip_prefix(ANY_CASE)
    }
    /// Whether it matches somewhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
    /// Its source.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// From where to where, either end open, in or out.
pub type Span<T> = (Bound<T>, Bound<T>);

/// A test of a Number.
#[derive(Debug, Clone, PartialEq)]
pub enum NumberTest {
    /// Within the span.
    Within(Span<f64>),
    /// One of these, sorted.
    OneOf(Vec<f64>),
}

/// A day that a Date is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateBound {
    /// That day, as days since 1970-01-01.
    Day(i64),
    /// So many days after today (negative: before).
    Today(i64),
}

impl DateBound {
    /// The day meant, as days since 1970-01-01; it may lie outside the years that a Date can hold.
    #[must_use]
    pub fn on(self, today: Date) -> i64 {
        match self {
            Self::Day(day) => day,
            Self::Today(offset) => i64::from(today.days()).saturating_add(offset),
        }
    }
}

/// A test of a Date.
#[derive(Debug, Clone, PartialEq)]
pub enum DateTest {
    /// Between the two days, both in; `None`: open.
    Within(Option<DateBound>, Option<DateBound>),
    /// One of these days.
    OneOf(Vec<DateBound>),
}

impl DateTest {
    /// First and last day of a [`DateTest::Within`] on a day.
    #[must_use]
    pub fn range(low: Option<DateBound>, high: Option<DateBound>, today: Date) -> (i64, i64) {
        (low.map_or(i64::MIN, |bound| bound.on(today)), high.map_or(i64::MAX, |bound| bound.on(today)))
    }
}

impl TextTest {
    /// Whether the text passes.
    #[must_use]
    pub fn passes(&self, value: &str) -> bool {
        // Most texts are lower-case ASCII already; only the others are copied.
        let is_low = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
        let value = match value {
            value if !self.lowered || value.bytes().all(is_low) => Cow::Borrowed(value),
            value => Cow::Owned(value.to_lowercase()),
        };
        let value = value.as_ref();
        match &self.found {
            TextMatch::OneOf(texts) => texts.binary_search_by(|text| text.as_ref().cmp(value)).is_ok(),
            TextMatch::Contains(text) => value.contains(text.as_ref()),
            TextMatch::StartsWith(text) => value.starts_with(text.as_ref()),
            TextMatch::EndsWith(text) => value.ends_with(text.as_ref()),
            TextMatch::Matches(pattern) => pattern.is_match(value),
        }
    }
}

impl NumberTest {
    /// Whether the number passes.
    #[must_use]
    pub fn passes(&self, value: f64) -> bool {
        match self {
            Self::Within(span) => std::ops::RangeBounds::contains(span, &value),
            // Ordered as `<` orders them, to which 0 and -0 are the same.
            Self::OneOf(numbers) => {
                numbers.binary_search_by(|number| number.partial_cmp(&value).unwrap_or(Ordering::Greater)).is_ok()
            }
        }
    }
}

impl Test {
    /// Whether a value that is there passes on a day.
    #[must_use]
    pub fn passes(&self, value: &Value, today: Date) -> bool {
        match (self, value) {
            (Self::IsSet, _) => true,
            (Self::Text(test), Value::String(text)) => test.passes(text),
            (Self::Number(test), Value::Number(number)) => test.passes(*number),
            (Self::Date(test), Value::Date(date)) => {
                let day = i64::from(date.days());
                match test {
                    DateTest::Within(low, high) => {
                        let (low, high) = DateTest::range(*low, *high, today);
                        low <= day && day <= high
                    }
                    DateTest::OneOf(days) => days.iter().any(|bound| bound.on(today) == day),
                }
            }
            _ => false,
        }
    }

    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::IsSet => 1,
            Self::Number(_) | Self::Date(_) => 2,
            Self::Text(TextTest { found: TextMatch::Matches(_), .. }) => 40,
            Self::Text(_) => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowered_test_lowers_every_text() {
        let lowered = |text: &str| TextTest { found: TextMatch::OneOf(vec![text.into()]), lowered: true };
        for (sought, value) in
            [("pro", "pro"), ("pro", "PrO"), ("prö", "PRÖ"), ("prö", "prö"), ("k", "\u{212a}"), ("", "")]
        {
            assert!(lowered(sought).passes(value), "{value}");
        }
        assert!(!lowered("Pro").passes("Pro"), "what is sought is taken as it is");
    }

    #[test]
    fn a_number_is_found_in_a_list() {
        let list = NumberTest::OneOf(vec![-3.0, -0.0, 0.5, 7.0, 7.0]);
        for number in [-3.0, 0.0, 0.5, 7.0] {
            assert!(list.passes(number), "{number}");
        }
        for number in [-4.0, 0.25, 8.0] {
            assert!(!list.passes(number), "{number}");
        }
        assert!(!NumberTest::OneOf(Vec::new()).passes(0.0));
    }
}
