//! A condition as the text of a rule.
//!
//! Knows of Rhai what is written here and no more; which words it reserves is for the caller to say. Invariant: the text,
//! read as a rule, says what the condition says.

mod literal;
#[cfg(test)]
mod tests;

use std::ops::Bound;

use super::{AttributeTest, Condition, DateBound, DateTest, NumberTest, Test, TextMatch};
use crate::model::AttributeId;
pub(super) use literal::quoted;
use literal::{first, last, number};

/// Most terms that stand in a row: each counts as a level of nesting when a rule is read.
const IN_A_ROW: usize = 32;
/// Most values of one list: what a rule may hold.
const IN_A_LIST: usize = 1_000;
/// Longest rule on one line, in bytes.
const LINE: usize = 100;

/// The condition as a rule, over several lines when it is long; `None` when a number in it can't be written.
/// `is_reserved` says which attribute names can't follow a dot.
#[must_use]
pub fn to_rule(condition: &Condition, is_reserved: &dyn Fn(&str) -> bool) -> Option<String> {
    let writer = Writer { is_reserved };
    let line = writer.condition(condition)?;
    let (parts, and) = match condition {
        Condition::All(parts) if parts.len() > 1 => (parts, true),
        Condition::Any(parts) if parts.len() > 1 => (parts, false),
        _ => return Some(line.text),
    };
    if line.text.len() <= LINE || parts.len() > IN_A_ROW {
        return Some(line.text);
    }
    let terms: Option<Vec<String>> = parts.iter().map(|part| Some(writer.condition(part)?.within(and))).collect();
    Some(terms?.join(if and { "\n    && " } else { "\n    || " }))
}

/// A test as a rule writes it, or its negation; shortened when it is very long. For people: a name that Rhai reserves
/// is written as others are.
pub(super) fn test_in_words(test: &AttributeTest, negated: bool) -> String {
    /// Longest text, in characters.
    const LONG: usize = 300;
    let writer = Writer { is_reserved: &|_| false };
    let written = if negated { writer.negated(test) } else { writer.test(test) };
    let Some(written) = written else { return format!("{} compared with what is no number", test.attribute) };
    if written.text.chars().count() <= LONG {
        return written.text;
    }
    written.text.chars().take(LONG).chain(['…']).collect()
}

/// Whether the negation of a test has a form of its own: `!=`, or `!is_set(…)`.
pub(super) fn has_negative(test: &Test) -> bool {
    matches!(test, Test::IsSet) || equal_to(test).is_some()
}

/// How strongly a text holds together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// A call or a constant: `!` can stand before it.
    Call,
    Comparison,
    And,
    Or,
}

struct Written {
    text: String,
    strength: Strength,
}

impl Written {
    fn constant(flag: bool) -> Self {
        Self { text: flag.to_string(), strength: Strength::Call }
    }

    fn call(text: impl Into<String>) -> Option<Self> {
        Some(Self { text: text.into(), strength: Strength::Call })
    }

    fn comparison(text: String) -> Option<Self> {
        Some(Self { text, strength: Strength::Comparison })
    }

    /// As a term of a row of `&&` (`and`) or `||`. `a && b || c` is right, too, but not everybody knows.
    fn within(self, and: bool) -> String {
        match self.strength {
            Strength::And if !and => format!("({})", self.text),
            Strength::Or if and => format!("({})", self.text),
            _ => self.text,
        }
    }

    fn not(self) -> Self {
        let text = match self.strength {
            Strength::Call => format!("!{}", self.text),
            _ => format!("!({})", self.text),
        };
        Self { text, strength: Strength::Call }
    }
}

/// What a test compares for equality, if that is all it does.
enum Equal<'a> {
    Text(&'a str),
    Number(f64),
    Day(DateBound),
}

fn equal_to(test: &Test) -> Option<Equal<'_>> {
    match test {
        Test::IsSet => None,
        Test::Text(test) => match &test.found {
            TextMatch::OneOf(texts) => match texts.as_slice() {
                [text] => Some(Equal::Text(text)),
                _ => None,
            },
            _ => None,
        },
        Test::Number(NumberTest::Within((Bound::Included(low), Bound::Included(high)))) if low == high => {
            Some(Equal::Number(*low))
        }
        Test::Date(DateTest::Within(Some(low), Some(high))) if low == high && literal::day(*low).is_some() => {
            Some(Equal::Day(*low))
        }
        Test::Number(_) | Test::Date(_) => None,
    }
}

struct Writer<'a> {
    is_reserved: &'a dyn Fn(&str) -> bool,
}

impl Writer<'_> {
    fn condition(&self, condition: &Condition) -> Option<Written> {
        match condition {
            Condition::Constant(flag) => Some(Written::constant(*flag)),
            Condition::All(parts) => self.list(parts, true),
            Condition::Any(parts) => self.list(parts, false),
            Condition::Segment(segment) => Written::call(format!("in_segment({})", quoted(segment.as_str()))),
            Condition::Attribute(test) => self.test(test),
            Condition::Not(part) => match &**part {
                Condition::Not(inner) => self.condition(inner),
                Condition::Attribute(test) => self.negated(test),
                part => Some(self.condition(part)?.not()),
            },
        }
    }

    fn list(&self, parts: &[Condition], and: bool) -> Option<Written> {
        if let [part] = parts {
            return self.condition(part);
        }
        let terms: Option<Vec<Written>> = parts.iter().map(|part| self.condition(part)).collect();
        Some(in_a_row(terms?, and))
    }

    /// The attribute, or its lower-case form.
    fn subject(&self, attribute: &AttributeId, lowered: bool) -> String {
        let (integration, name) = (&attribute.integration, attribute.name.as_str());
        let plain = if (self.is_reserved)(name) {
            format!("{integration}[{}]", quoted(name))
        } else {
            format!("{integration}.{name}")
        };
        if lowered { format!("lower({plain})") } else { plain }
    }

    fn negated(&self, test: &AttributeTest) -> Option<Written> {
        match equal_to(&test.test) {
            Some(equal) => self.equality(test, "!=", &equal),
            None => Some(self.test(test)?.not()),
        }
    }

    fn equality(&self, test: &AttributeTest, operator: &str, equal: &Equal<'_>) -> Option<Written> {
        let lowered = matches!(&test.test, Test::Text(text) if text.lowered);
        let value = match equal {
            Equal::Text(text) => quoted(text),
            Equal::Number(value) => number(*value)?,
            Equal::Day(bound) => literal::day(*bound)?,
        };
        Written::comparison(format!("{} {operator} {value}", self.subject(&test.attribute, lowered)))
    }

    fn test(&self, test: &AttributeTest) -> Option<Written> {
        if let Some(equal) = equal_to(&test.test) {
            return self.equality(test, "==", &equal);
        }
        match &test.test {
            Test::IsSet => Written::call(format!("is_set({})", self.subject(&test.attribute, false))),
            Test::Text(text) => {
                let subject = self.subject(&test.attribute, text.lowered);
                let call =
                    |function: &str, text: &str| Written::call(format!("{function}({subject}, {})", quoted(text)));
                match &text.found {
                    TextMatch::OneOf(texts) => Some(one_of(&subject, texts.iter().map(|text| quoted(text)).collect())),
                    TextMatch::Contains(text) => call("contains", text),
                    TextMatch::StartsWith(text) => call("starts_with", text),
                    TextMatch::EndsWith(text) => call("ends_with", text),
                    TextMatch::Matches(pattern) => call("matches", pattern.as_str()),
                }
            }
            Test::Number(found) => number_test(&self.subject(&test.attribute, false), found),
            Test::Date(found) => Some(self.date_test(&test.attribute, found)),
        }
    }

    fn date_test(&self, attribute: &AttributeId, test: &DateTest) -> Written {
        let subject = self.subject(attribute, false);
        match test {
            DateTest::Within(low, high) => days(&subject, *low, *high),
            DateTest::OneOf(each) => match each.iter().map(|day| literal::day(*day)).collect::<Option<Vec<String>>>() {
                Some(each) => one_of(&subject, each),
                None => in_a_row(each.iter().map(|day| days(&subject, Some(*day), Some(*day))).collect(), false),
            },
        }
    }
}

/// Terms joined by `&&` (`and`) or `||`.
fn in_a_row(mut terms: Vec<Written>, and: bool) -> Written {
    if terms.is_empty() {
        return Written::constant(and);
    }
    if terms.len() == 1
        && let Some(term) = terms.pop()
    {
        return term;
    }
    let mut terms: Vec<String> = terms.into_iter().map(|term| term.within(and)).collect();
    let operator = if and { " && " } else { " || " };
    while terms.len() > IN_A_ROW {
        terms = terms.chunks(IN_A_ROW).map(|chunk| format!("({})", chunk.join(operator))).collect();
    }
    Written { text: terms.join(operator), strength: if and { Strength::And } else { Strength::Or } }
}

/// `x in [..]`, in as many lists as it takes.
fn one_of(subject: &str, values: Vec<String>) -> Written {
    let list = |values: &[String]| Written {
        text: format!("{subject} in [{}]", values.join(", ")),
        strength: Strength::Comparison,
    };
    if values.is_empty() {
        return Written::constant(false);
    }
    in_a_row(values.chunks(IN_A_LIST).map(list).collect(), false)
}

fn number_test(subject: &str, test: &NumberTest) -> Option<Written> {
    use Bound::{Excluded, Included, Unbounded};
    let (low, high) = match test {
        NumberTest::OneOf(numbers) => {
            let numbers = numbers.iter().map(|value| number(*value)).collect::<Option<Vec<String>>>()?;
            return Some(one_of(subject, numbers));
        }
        NumberTest::Within((Unbounded, Unbounded)) => return Written::call(format!("is_set({subject})")),
        NumberTest::Within((Included(low), Included(high))) => {
            return Written::call(format!("between({subject}, {}, {})", number(*low)?, number(*high)?));
        }
        NumberTest::Within(span) => *span,
    };
    let compared = |bound: Bound<f64>, with: &str, without: &str| {
        let (operator, value) = match bound {
            Included(value) => (with, value),
            Excluded(value) => (without, value),
            Unbounded => return Some(None),
        };
        number(value).map(|value| Written::comparison(format!("{subject} {operator} {value}")))
    };
    let (low, high) = (compared(low, ">=", ">")?, compared(high, "<=", "<")?);
    Some(in_a_row(low.into_iter().chain(high).collect(), true))
}

/// On the first day or after it, and on the last or before it.
fn days(subject: &str, low: Option<DateBound>, high: Option<DateBound>) -> Written {
    // A day before all dates or after them is no bound, or leaves nobody.
    let low = match low {
        Some(DateBound::Day(day)) if day <= first() => None,
        Some(DateBound::Day(day)) if day > last() => return Written::constant(false),
        low => low,
    };
    let high = match high {
        Some(DateBound::Day(day)) if day >= last() => None,
        Some(DateBound::Day(day)) if day < first() => return Written::constant(false),
        high => high,
    };
    if let (Some(low), Some(high)) = (low.and_then(literal::day), high.and_then(literal::day)) {
        let (text, strength) = if low == high {
            (format!("{subject} == {low}"), Strength::Comparison)
        } else {
            (format!("between({subject}, {low}, {high})"), Strength::Call)
        };
        return Written { text, strength };
    }
    let terms: Vec<String> = match (low, high) {
        (None, None) => return Written { text: format!("is_set({subject})"), strength: Strength::Call },
        (low, high) => {
            low.map(|low| from(subject, low)).into_iter().chain(high.map(|high| to(subject, high))).collect()
        }
    };
    in_a_row(terms.into_iter().map(|text| Written { text, strength: Strength::Comparison }).collect(), true)
}

/// On the day or after it.
fn from(subject: &str, low: DateBound) -> String {
    match low {
        DateBound::Day(day) => format!("{subject} >= {}", literal::date(day)),
        DateBound::Today(0) => format!("{subject} >= today()"),
        DateBound::Today(1) => format!("{subject} > today()"),
        DateBound::Today(offset @ ..0) => format!("days_since({subject}) <= {}", offset.unsigned_abs()),
        DateBound::Today(offset) => format!("days_until({subject}) >= {offset}"),
    }
}

/// On the day or before it.
fn to(subject: &str, high: DateBound) -> String {
    match high {
        DateBound::Day(day) => format!("{subject} <= {}", literal::date(day)),
        DateBound::Today(0) => format!("{subject} <= today()"),
        DateBound::Today(-1) => format!("{subject} < today()"),
        DateBound::Today(offset @ ..0) => format!("days_since({subject}) >= {}", offset.unsigned_abs()),
        DateBound::Today(offset) => format!("days_until({subject}) <= {offset}"),
    }
}
