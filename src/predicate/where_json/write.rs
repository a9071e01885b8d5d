//! A condition back to JSON, for the builder and for saved filters.
//!
//! Days relative to today become `in_last_days` and its like, put together where one does not do. Invariant: what is
//! written reads back with the same meaning; what would not is not written.

use std::ops::Bound;

use serde_json::{Value as Json, json};

use super::{Names, parse_where};
use crate::model::{AttributeId, AttributeType, Date, SegmentId, Value};
use crate::predicate::operator::Operator;
use crate::predicate::{AttributeTest, Condition, DateBound, DateTest, NumberTest, Pattern, Test, TextMatch, TextTest};

/// The condition as a `where` that means the same; `None` for what JSON can't say: nested too deep, too large, or a
/// value that a filter may not hold, as a rule can have them.
#[must_use]
pub fn to_where(condition: &Condition) -> Option<Json> {
    let json = written(condition)?;
    // Reading it tells whether it keeps within all that a filter must.
    parse_where(&json, "", &Of(condition)).is_ok().then_some(json)
}

/// What a condition itself names.
struct Of<'a>(&'a Condition);

impl Names for Of<'_> {
    fn attribute_type(&self, attribute: &AttributeId) -> Option<AttributeType> {
        self.0.tests().find(|test| test.attribute == *attribute).map(|test| test.kind)
    }
    fn has_segment(&self, segment: &SegmentId) -> bool {
        self.0.segments().any(|known| known == segment)
    }
    fn attributes(&self) -> Vec<String> {
        Vec::new()
    }
    fn segments(&self) -> Vec<String> {
        Vec::new()
    }
}

fn all(parts: Vec<Json>) -> Json {
    json!({ "all": parts })
}

fn any(parts: Vec<Json>) -> Json {
    json!({ "any": parts })
}

fn not(part: Json) -> Json {
    json!({ "not": part })
}

fn written(condition: &Condition) -> Option<Json> {
    let each = |parts: &[Condition]| parts.iter().map(written).collect::<Option<Vec<Json>>>();
    Some(match condition {
        Condition::Constant(true) => all(Vec::new()),
        Condition::Constant(false) => any(Vec::new()),
        Condition::All(parts) => all(each(parts)?),
        Condition::Any(parts) => any(each(parts)?),
        Condition::Segment(segment) => json!({ "segment": segment.as_str() }),
        Condition::Attribute(test) => attribute(test)?,
        Condition::Not(part) => negated(written(part)?),
    })
}

/// The negative operator where there is one, else `not`.
fn negated(mut part: Json) -> Json {
    let positive = part.get("operator").and_then(Json::as_str).and_then(Operator::named);
    let negative = Operator::ALL.iter().find(|operator| positive.is_some() && operator.positive() == positive);
    match (negative, part.get_mut("operator")) {
        (Some(negative), Some(operator)) => {
            *operator = Json::from(negative.as_str());
            part
        }
        _ => not(part),
    }
}

fn attribute(test: &AttributeTest) -> Option<Json> {
    let of = On(&test.attribute);
    match &test.test {
        Test::IsSet => Some(of.is(Operator::IsSet)),
        Test::Text(text) => of.text(text),
        Test::Number(number) => of.number(number),
        Test::Date(date) => of.date(date),
    }
}

/// Writes conditions on one attribute.
struct On<'a>(&'a AttributeId);

impl On<'_> {
    fn is(&self, operator: Operator) -> Json {
        json!({ "attribute": self.0.to_string(), "operator": operator.as_str() })
    }

    fn with(&self, operator: Operator, value: impl Into<Json>) -> Json {
        json!({ "attribute": self.0.to_string(), "operator": operator.as_str(), "value": value.into() })
    }

    fn text(&self, test: &TextTest) -> Option<Json> {
        let (operator, value) = match &test.found {
            TextMatch::Matches(pattern) => return if test.lowered { None } else { Some(self.pattern(pattern)) },
            TextMatch::OneOf(texts) => match texts.as_slice() {
                [text] => (Operator::Is, Json::from(text.as_ref())),
                texts => (Operator::IsOneOf, texts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().into()),
            },
            TextMatch::Contains(text) => (Operator::Contains, Json::from(text.as_ref())),
            TextMatch::StartsWith(text) => (Operator::StartsWith, Json::from(text.as_ref())),
            TextMatch::EndsWith(text) => (Operator::EndsWith, Json::from(text.as_ref())),
        };
        if !test.lowered {
            return Some(self.with(operator, value));
        }
        // A filter makes lower case what it looks for; a rule may look for what no lower-case text has.
        let texts = value.as_array().map_or_else(|| std::slice::from_ref(&value), Vec::as_slice);
        let is_low = |text: &Json| text.as_str().is_some_and(|text| text.to_lowercase() == text);
        texts.iter().all(is_low).then(|| any_case(self.with(operator, value.clone())))
    }

    fn pattern(&self, pattern: &Pattern) -> Json {
        match pattern.without_case() {
            Some(source) => any_case(self.with(Operator::Matches, source)),
            None => self.with(Operator::Matches, pattern.as_str()),
        }
    }

    fn number(&self, test: &NumberTest) -> Option<Json> {
        use Bound::{Excluded, Included, Unbounded};
        let value = |number: f64| number.is_finite().then(|| Value::Number(number).to_json());
        let (low, high) = match test {
            NumberTest::OneOf(numbers) => {
                let numbers: Vec<Json> = numbers.iter().map(|number| value(*number)).collect::<Option<_>>()?;
                return Some(self.with(Operator::IsOneOf, numbers));
            }
            NumberTest::Within(span) => *span,
        };
        let from = match low {
            Included(number) => Some(self.with(Operator::AtLeast, value(number)?)),
            Excluded(number) => Some(self.with(Operator::GreaterThan, value(number)?)),
            Unbounded => None,
        };
        let to = match high {
            Included(number) => Some(self.with(Operator::AtMost, value(number)?)),
            Excluded(number) => Some(self.with(Operator::LessThan, value(number)?)),
            Unbounded => None,
        };
        Some(match (low, high) {
            (Included(low), Included(high)) if low == high => self.with(Operator::Equals, value(low)?),
            (Included(low), Included(high)) => self.with(Operator::Between, vec![value(low)?, value(high)?]),
            _ => self.both(from, to),
        })
    }

    /// Both, where they are asked; a value, in any case.
    fn both(&self, from: Option<Json>, to: Option<Json>) -> Json {
        match (from, to) {
            (Some(from), Some(to)) => all(vec![from, to]),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => self.is(Operator::IsSet),
        }
    }

    fn date(&self, test: &DateTest) -> Option<Json> {
        match test {
            DateTest::Within(low, high) => self.within(*low, *high),
            DateTest::OneOf(days) => match days.as_slice() {
                [day] => self.within(Some(*day), Some(*day)),
                days => {
                    let each = days.iter().map(|day| self.within(Some(*day), Some(*day)));
                    Some(any(each.collect::<Option<_>>()?))
                }
            },
        }
    }

    fn within(&self, low: Option<DateBound>, high: Option<DateBound>) -> Option<Json> {
        use DateBound::{Day, Today};
        Some(match (low, high) {
            (Some(Today(low @ ..=0)), Some(Today(0))) => self.with(Operator::InLastDays, low.checked_neg()?),
            (Some(Today(0)), Some(Today(high @ 0..))) => self.with(Operator::InNextDays, high),
            (Some(Today(low @ ..=0)), Some(Today(high @ 0..))) => {
                let past = self.with(Operator::InLastDays, low.checked_neg()?);
                any(vec![past, self.with(Operator::InNextDays, high)])
            }
            (Some(Day(low)), Some(Day(high))) => match (date(low), date(high)) {
                (Some(low), Some(high)) if low == high => self.with(Operator::On, low),
                (Some(low), Some(high)) => self.with(Operator::Between, vec![low, high]),
                _ => self.both(Some(self.from(Day(low))?), Some(self.to(Day(high))?)),
            },
            (low, high) => {
                let from = if let Some(low) = low { Some(self.from(low)?) } else { None };
                let to = if let Some(high) = high { Some(self.to(high)?) } else { None };
                self.both(from, to)
            }
        })
    }

    /// On the day or after it.
    fn from(&self, low: DateBound) -> Option<Json> {
        Some(match low {
            DateBound::Day(day) => match (date(day), date(day.checked_sub(1)?)) {
                (Some(date), _) => self.with(Operator::OnOrAfter, date),
                (None, Some(last)) => self.with(Operator::After, last),
                (None, None) if day < 0 => self.is(Operator::IsSet),
                (None, None) => any(Vec::new()),
            },
            // No operator says this alone: who has a date, and none before it.
            DateBound::Today(offset) => {
                all(vec![self.is(Operator::IsSet), not(self.to(DateBound::Today(offset.checked_sub(1)?))?)])
            }
        })
    }

    /// On the day or before it.
    fn to(&self, high: DateBound) -> Option<Json> {
        Some(match high {
            DateBound::Day(day) => match (date(day), date(day.checked_add(1)?)) {
                (Some(date), _) => self.with(Operator::OnOrBefore, date),
                (None, Some(first)) => self.with(Operator::Before, first),
                (None, None) if day > 0 => self.is(Operator::IsSet),
                (None, None) => any(Vec::new()),
            },
            DateBound::Today(offset @ ..0) => self.with(Operator::MoreThanDaysAgo, (-1_i64).checked_sub(offset)?),
            DateBound::Today(_) => {
                let from_today = self.within(Some(DateBound::Today(0)), Some(high))?;
                any(vec![self.with(Operator::MoreThanDaysAgo, 0), from_today])
            }
        })
    }
}

fn any_case(mut condition: Json) -> Json {
    if let Some(object) = condition.as_object_mut() {
        object.insert("ignore_case".to_owned(), Json::Bool(true));
    }
    condition
}

/// A day as a filter writes it, if there is such a date.
fn date(day: i64) -> Option<String> {
    i32::try_from(day).ok().and_then(Date::from_days).map(|date| date.to_string())
}
