//! What an operator and its value become: a test.
//!
//! Values are read by the one coercion table. Invariant: a negative operator gives the test of its positive.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{MAX_TEXT, MAX_VALUES, Parser};
use crate::model::{AttributeType, Input, Limits, Value};
use crate::predicate::operator::{Operands, Operator};
use crate::predicate::{DateBound, DateTest, NumberTest, Pattern, Test, TextMatch, TextTest};

/// Most days that an operator may count: more than lie between the first and the last date.
const MAX_DAYS: f64 = 4_000_000.0;

impl Parser<'_> {
    pub(super) fn test(
        &mut self,
        operator: Operator,
        kind: AttributeType,
        value: Option<&Json>,
        ignore_case: bool,
        place: &str,
    ) -> Option<Test> {
        let positive = operator.positive().unwrap_or(operator);
        let name = operator.as_str();
        let values = match (operator.operands(), value) {
            (Operands::None, None | Some(Json::Null)) => return Some(Test::IsSet),
            (Operands::None, Some(_)) => {
                return self.fail(place, "unexpected_value", format!("`{name}` takes no value: leave it out"));
            }
            (_, None) => return self.fail(place, "missing_value", format!("`{name}` needs a `value`")),
            (Operands::Days, Some(json)) => return self.days(positive, json, place).map(Test::Date),
            (Operands::One, Some(json)) => vec![self.value(json, kind, place)?],
            (Operands::Two, Some(Json::Array(items))) if items.len() == 2 => self.values(items, kind, place)?,
            (Operands::Two, Some(_)) => {
                return self.fail(place, "two_values", format!("`{name}` takes two values: [from, to]"));
            }
            (Operands::List, Some(Json::Array(items))) => self.values(items, kind, place)?,
            (Operands::List, Some(_)) => {
                return self.fail(place, "shape", format!("`{name}` takes a list of values: [first, …]"));
            }
        };
        match kind {
            AttributeType::String => self.text_test(positive, &values, ignore_case, place).map(Test::Text),
            AttributeType::Number => number_test(positive, &values).map(Test::Number),
            AttributeType::Date => date_test(positive, &values).map(Test::Date),
        }
    }

    fn values(&mut self, items: &[Json], kind: AttributeType, place: &str) -> Option<Vec<Value>> {
        if items.len() > MAX_VALUES {
            let detail = format!("the list has {} values; at most {MAX_VALUES} are allowed", items.len());
            return self.fail(place, "too_large", detail);
        }
        // Every one is read before any is missed, so that every mistake is named.
        let values: Vec<Option<Value>> =
            items.iter().enumerate().map(|(at, item)| self.value(item, kind, &format!("{place}/{at}"))).collect();
        values.into_iter().collect()
    }

    fn value(&mut self, json: &Json, kind: AttributeType, place: &str) -> Option<Value> {
        let number;
        let input = match json {
            Json::Null => {
                return self.fail(place, "null", "null is no value: ask with `is_set` or `is_not_set`");
            }
            Json::Bool(flag) => Input::Boolean(*flag),
            Json::Number(given) => {
                number = given.to_string();
                Input::Number(&number)
            }
            Json::String(text) => Input::Text(text),
            Json::Array(_) => Input::Array,
            Json::Object(_) => Input::Object,
        };
        if let Json::String(text) = json
            && text.len() > MAX_TEXT
        {
            let detail = format!("the text has {} bytes; at most {MAX_TEXT} are allowed", text.len());
            return self.fail(place, "string_too_long", detail);
        }
        match input.coerce(kind, Limits { string_bytes: MAX_TEXT }) {
            Ok(value) => Some(value),
            Err(error) => self.fail(place, error.code(), error.to_string()),
        }
    }

    fn days(&mut self, operator: Operator, json: &Json, place: &str) -> Option<DateTest> {
        let Value::Number(days) = self.value(json, AttributeType::Number, place)? else { return None };
        if days < 0.0 || days.fract() != 0.0 || days > MAX_DAYS {
            return self.fail(place, "days", format!("must be a whole number of days from 0 to {MAX_DAYS}"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and bounded above")]
        let days = days as i64;
        let today = |offset: i64| Some(DateBound::Today(offset));
        Some(match operator {
            Operator::InLastDays => DateTest::Within(today(-days), today(0)),
            Operator::InNextDays => DateTest::Within(today(0), today(days)),
            _ => DateTest::Within(None, today(-days - 1)),
        })
    }

    fn text_test(&mut self, operator: Operator, values: &[Value], ignore_case: bool, place: &str) -> Option<TextTest> {
        // A pattern says itself that case does not matter, as a lower-case `\S` would be another pattern.
        let lowered = ignore_case && operator != Operator::Matches;
        let mut texts: Vec<Arc<str>> = values
            .iter()
            .filter_map(|value| match value {
                Value::String(text) if lowered => Some(Arc::from(text.to_lowercase())),
                Value::String(text) => Some(Arc::clone(text)),
                _ => None,
            })
            .collect();
        texts.sort();
        texts.dedup();
        if matches!(operator, Operator::Is | Operator::IsOneOf) {
            return Some(TextTest { found: TextMatch::OneOf(texts), lowered });
        }
        let text = texts.pop()?;
        let found = match operator {
            Operator::Contains => TextMatch::Contains(text),
            Operator::StartsWith => TextMatch::StartsWith(text),
            Operator::EndsWith => TextMatch::EndsWith(text),
            _ => TextMatch::Matches(self.pattern(&text, ignore_case, place)?),
        };
        Some(TextTest { found, lowered })
    }

    fn pattern(&mut self, text: &str, ignore_case: bool, place: &str) -> Option<Pattern> {
        let built = if ignore_case { Pattern::ignoring_case(text) } else { Pattern::new(text) };
        match built {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                // The crate draws the pattern over several lines; the last says what is wrong.
                let what = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.fail(place, "bad_pattern", format!("no usable regular expression: {what}"))
            }
        }
    }
}

fn number_test(operator: Operator, values: &[Value]) -> Option<NumberTest> {
    use Bound::{Excluded, Included, Unbounded};
    let mut numbers: Vec<f64> = values
        .iter()
        .filter_map(|value| if let Value::Number(number) = value { Some(*number) } else { None })
        .collect();
    if operator == Operator::IsOneOf {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        return Some(NumberTest::OneOf(numbers));
    }
    let first = *numbers.first()?;
    Some(NumberTest::Within(match operator {
        Operator::Equals => (Included(first), Included(first)),
        Operator::GreaterThan => (Excluded(first), Unbounded),
        Operator::AtLeast => (Included(first), Unbounded),
        Operator::LessThan => (Unbounded, Excluded(first)),
        Operator::AtMost => (Unbounded, Included(first)),
        _ => (Included(first), Included(*numbers.get(1)?)),
    }))
}

fn date_test(operator: Operator, values: &[Value]) -> Option<DateTest> {
    let days: Vec<i64> = values
        .iter()
        .filter_map(|value| if let Value::Date(date) = value { Some(i64::from(date.days())) } else { None })
        .collect();
    let first = *days.first()?;
    let day = |day: i64| Some(DateBound::Day(day));
    Some(match operator {
        Operator::On => DateTest::Within(day(first), day(first)),
        Operator::Before => DateTest::Within(None, day(first - 1)),
        Operator::After => DateTest::Within(day(first + 1), None),
        Operator::OnOrBefore => DateTest::Within(None, day(first)),
        Operator::OnOrAfter => DateTest::Within(day(first), None),
        _ => DateTest::Within(day(first), day(*days.get(1)?)),
    })
}
