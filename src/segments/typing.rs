//! What the check knows of a value before any rule runs, and which values go together.
//!
//! Owns the sets of kinds, what is known of literals, and the judgement of comparisons. Knows nothing of syntax trees.
//! Invariant: what is said to be wrong here would be wrong (or always the same) for every end user; where anything is
//! unknown, it is let through and the rule is tried on rows instead.

use rhai::{ImmutableString, Position};

use crate::model::{AttributeType, Date, IntegrationId, number_text};

/// The kinds that a value can be of; several when it depends, all when nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    /// No value comes out: `return`, `throw`, `break`.
    pub(super) const NEVER: Self = Self(0);
    pub(super) const BOOL: Self = Self(1);
    pub(super) const INT: Self = Self(1 << 1);
    pub(super) const FLOAT: Self = Self(1 << 2);
    pub(super) const NUMBER: Self = Self(Self::INT.0 | Self::FLOAT.0);
    pub(super) const STRING: Self = Self(1 << 3);
    pub(super) const CHAR: Self = Self(1 << 4);
    pub(super) const TEXT: Self = Self(Self::STRING.0 | Self::CHAR.0);
    pub(super) const DATE: Self = Self(1 << 5);
    pub(super) const ARRAY: Self = Self(1 << 6);
    pub(super) const MAP: Self = Self(1 << 7);
    pub(super) const UNIT: Self = Self(1 << 8);
    pub(super) const FUNCTION: Self = Self(1 << 9);
    pub(super) const RANGE: Self = Self(1 << 10);
    pub(super) const OTHER: Self = Self(1 << 11);
    pub(super) const ANY: Self = Self((1 << 12) - 1);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    pub(super) fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
    /// Nothing useful is known.
    pub(super) fn is_any(self) -> bool {
        self == Self::ANY
    }

    /// The kinds in words, with an article: `a number`, `a string or a date`.
    pub(super) fn in_words(self) -> String {
        const WORDS: [(Kinds, &str); 11] = [
            (Kinds::BOOL, "a boolean"),
            (Kinds::NUMBER, "a number"),
            (Kinds::STRING, "a string"),
            (Kinds::CHAR, "a character"),
            (Kinds::DATE, "a date"),
            (Kinds::ARRAY, "a list"),
            (Kinds::MAP, "a map"),
            (Kinds::UNIT, "`()`"),
            (Kinds::FUNCTION, "a function"),
            (Kinds::RANGE, "a range"),
            (Kinds::OTHER, "another value"),
        ];
        let words: Vec<&str> = WORDS.iter().filter(|(kinds, _)| self.meets(*kinds)).map(|(_, word)| *word).collect();
        match words.as_slice() {
            [] => "no value".to_owned(),
            _ if self.is_any() => "any value".to_owned(),
            words => words.join(" or "),
        }
    }
}

impl From<AttributeType> for Kinds {
    fn from(kind: AttributeType) -> Self {
        match kind {
            AttributeType::String => Self::STRING,
            AttributeType::Number => Self::FLOAT,
            AttributeType::Date => Self::DATE,
        }
    }
}

/// A value that stands in the rule.
#[derive(Debug, Clone)]
pub(super) enum Literal {
    Text(ImmutableString),
    Number(f64),
    Bool(bool),
    Unit,
    List(Vec<Known>),
}

/// What is known of one value.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) kinds: Kinds,
    pub(super) literal: Option<Literal>,
    /// The value is the map of that integration.
    pub(super) integration: Option<IntegrationId>,
    /// The value is the integration's variable itself or part of it, not a copy, so nothing may change it.
    pub(super) fixed: bool,
    /// What people call it: `crm.Seats`.
    pub(super) name: Option<String>,
    /// Where it stands.
    pub(super) at: Position,
}

impl Known {
    pub(super) fn of(kinds: Kinds, at: Position) -> Self {
        Self { kinds, literal: None, integration: None, fixed: false, name: None, at }
    }
    pub(super) fn any(at: Position) -> Self {
        Self::of(Kinds::ANY, at)
    }
    pub(super) fn literal(kinds: Kinds, literal: Literal, at: Position) -> Self {
        Self { literal: Some(literal), ..Self::of(kinds, at) }
    }
    pub(super) fn text(&self) -> Option<&ImmutableString> {
        match &self.literal {
            Some(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value in words: `` `crm.Seats` is a number``, `the string "50"`.
    pub(super) fn in_words(&self) -> String {
        match (&self.name, &self.literal) {
            (Some(name), _) => format!("`{name}` ({})", self.kinds.in_words()),
            (_, Some(Literal::Text(text))) => format!("the string \"{}\"", shortened(text)),
            (_, Some(Literal::Number(number))) => format!("the number {}", number_text(*number)),
            (_, Some(Literal::Bool(flag))) => format!("`{flag}`"),
            _ => self.kinds.in_words(),
        }
    }
}

/// A text short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

/// What is wrong, where, and how to mend it.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: Position,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None }
    }
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Judges a comparison (`==`, `<`, an element of a list) of two values.
pub(super) fn compare(a: &Known, b: &Known) -> Result<(), Wrong> {
    let (left, right) = (a.kinds.without(Kinds::UNIT), b.kinds.without(Kinds::UNIT));
    for value in [a, b] {
        if value.kinds == Kinds::UNIT && !matches!(value.literal, Some(Literal::Unit)) {
            return Err(Wrong::new(
                value.at,
                "this gives no value that could be compared: does it change one in place?",
            ));
        }
    }
    // With `()` itself anything may be compared, and of nothing nothing is known.
    if left == Kinds::NEVER || right == Kinds::NEVER {
        return Ok(());
    }
    let date_with_text =
        (left == Kinds::DATE && right == Kinds::STRING) || (left == Kinds::STRING && right == Kinds::DATE);
    if date_with_text {
        let (date, text) = if left == Kinds::DATE { (a, b) } else { (b, a) };
        return date_and_text(date, text);
    }
    let fits = left.meets(right)
        || (left.meets(Kinds::NUMBER) && right.meets(Kinds::NUMBER))
        || (left.meets(Kinds::TEXT) && right.meets(Kinds::TEXT))
        || (left.meets(Kinds::DATE) && right.meets(Kinds::STRING))
        || (left.meets(Kinds::STRING) && right.meets(Kinds::DATE));
    if fits {
        return Ok(());
    }
    let literal = if a.literal.is_some() && b.literal.is_none() { a } else { b };
    let wrong = Wrong::new(literal.at, format!("{} can't be compared with {}", a.in_words(), b.in_words()));
    Err(match mending(a, b).or_else(|| mending(b, a)) {
        Some(hint) => wrong.hint(hint),
        None => wrong,
    })
}

fn date_and_text(date: &Known, text: &Known) -> Result<(), Wrong> {
    let Some(literal) = text.text() else {
        let wrong = Wrong::new(
            text.at,
            format!("{} can't be compared with {}: a string is no date", date.in_words(), text.in_words()),
        );
        return Err(match &text.name {
            Some(name) => wrong.hint(format!("declare it as a date, or write `date({name})`")),
            None => wrong,
        });
    };
    date_literal(literal, text.at)
}

/// Judges a string that stands for a date.
pub(super) fn date_literal(text: &str, at: Position) -> Result<(), Wrong> {
    match text.parse::<Date>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Wrong::new(at, error.to_string())),
    }
}

/// How to mend a comparison of `value` with something of another kind.
fn mending(literal: &Known, other: &Known) -> Option<String> {
    let name = other.name.as_deref();
    match &literal.literal {
        Some(Literal::Text(text)) if other.kinds.within(Kinds::NUMBER) => {
            let number: f64 = text.trim().parse().ok()?;
            number.is_finite().then(|| format!("write {} without quotes", number_text(number)))
        }
        Some(Literal::Number(number)) if other.kinds == Kinds::STRING => {
            Some(format!("write \"{}\" in quotes", number_text(*number)))
        }
        Some(Literal::Number(number)) if other.kinds == Kinds::DATE => Some(format!(
            "write a date such as \"2024-12-31\", or `days_since({}) <= {}`",
            name.unwrap_or("x"),
            number_text(*number)
        )),
        None if literal.name.is_none() && literal.kinds.within(Kinds::NUMBER) && other.kinds == Kinds::DATE => {
            Some("a date is written in quotes: \"2024-12-31\"".to_owned())
        }
        Some(Literal::Bool(flag)) if other.kinds == Kinds::STRING => {
            Some(format!("booleans arrive as texts: write \"{flag}\" in quotes"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_as_words() {
        assert_eq!(Kinds::FLOAT.in_words(), "a number");
        assert_eq!(Kinds::BOOL.or(Kinds::UNIT).in_words(), "a boolean or `()`");
        assert_eq!(Kinds::ANY.in_words(), "any value");
    }
}
