//! The functions and operators that rules have beside Rhai's own: tests of text, dates, membership.
//!
//! Each can be written `f(x, …)` and `x.f(…)`. Numbers are floats when they come from an attribute; a whole number
//! in a rule is Rhai's integer and equal to the float of that value. Arithmetic between two integers stays Rhai's
//! (`7 / 2` is 3), with a float anywhere in it it is a float's (`crm.Seats / 2` may be 3.5).
//! What these functions answer for a missing value stands in `missing`.

use std::cmp::Ordering;

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, NativeCallContext};

use super::{evaluation, missing, patterns};
use crate::model::Date;

type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Adds everything to the engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Date>("date");
    tests(engine);
    days(engine);
    addition(engine);
}

fn tests(engine: &mut Engine) {
    engine.register_fn("is_set", |value: Dynamic| !value.is_unit());
    engine.register_fn("lower", |text: ImmutableString| ImmutableString::from(text.to_lowercase()));
    engine.register_fn("matches", |text: ImmutableString, pattern: ImmutableString| -> Answer<bool> {
        Ok(patterns::is_match(&text, &pattern)?)
    });
    engine.register_fn("between", |context: NativeCallContext<'_>, x: Dynamic, low: Dynamic, high: Dynamic| {
        between(&context, x, low, high)
    });
    engine.register_fn("contains", |list: &mut Array, item: Dynamic| {
        !item.is_unit() && list.iter().any(|element| same(element, &item))
    });
    engine.register_fn("contains", |range: &mut std::ops::Range<i64>, number: f64| {
        number >= float(range.start) && number < float(range.end)
    });
    engine.register_fn("contains", |range: &mut std::ops::RangeInclusive<i64>, number: f64| {
        number >= float(*range.start()) && number <= float(*range.end())
    });
    engine.register_fn("in_segment", |id: ImmutableString| evaluation::in_segment(&id));
}

fn days(engine: &mut Engine) {
    engine.register_fn("today", today);
    engine.register_fn("date", |text: ImmutableString| date(&text));
    engine.register_fn("date", |date: Date| date);
    engine.register_fn("days_since", |from: Date| Ok::<_, Box<EvalAltResult>>(span(today()?, from)));
    engine.register_fn("days_since", |from: ImmutableString| Ok::<_, Box<EvalAltResult>>(span(today()?, date(&from)?)));
    engine.register_fn("days_until", |to: Date| Ok::<_, Box<EvalAltResult>>(span(to, today()?)));
    engine.register_fn("days_until", |to: ImmutableString| Ok::<_, Box<EvalAltResult>>(span(date(&to)?, today()?)));
    engine.register_fn("+", |date: Date, days: i64| shifted(date, days));
    engine.register_fn("-", |date: Date, days: i64| shifted(date, days.saturating_neg()));
    engine.register_fn("+", |date: Date, days: f64| shifted(date, whole(days)));
    engine.register_fn("-", |date: Date, days: f64| shifted(date, whole(-days)));
    engine.register_fn("-", |to: Date, from: Date| span(to, from));
    engine.register_fn("to_string", |date: Date| date.to_string());
    engine.register_fn("to_debug", |date: Date| date.to_string());
}

/// Rhai's own `+`, which is built in and was taken away (see `language`), for what no package adds.
fn addition(engine: &mut Engine) {
    engine.register_fn("+", |a: i64, b: i64| {
        a.checked_add(b).ok_or_else(|| arithmetic("the sum is too large for a whole number"))
    });
    engine.register_fn("+", |a: f64, b: f64| a + b);
    engine.register_fn("+", |a: f64, b: i64| a + float(b));
    engine.register_fn("+", |a: i64, b: f64| float(a) + b);
    engine.register_fn("+", |a: char, b: char| [a, b].iter().collect::<String>());
}

fn between(context: &NativeCallContext<'_>, x: Dynamic, low: Dynamic, high: Dynamic) -> Answer<bool> {
    if x.is_unit() || low.is_unit() || high.is_unit() {
        return Ok(false);
    }
    match (order(&x, &low), order(&x, &high)) {
        (Some(low), Some(high)) => Ok(low != Ordering::Less && high != Ordering::Greater),
        _ if number(&x).is_some_and(f64::is_nan) => Ok(false),
        _ => {
            let (mut x, mut low, mut high) = (x, low, high);
            Err(missing::not_found(context, &[&mut x, &mut low, &mut high]))
        }
    }
}

/// How two numbers, or two dates of which one may be a string, are ordered.
fn order(a: &Dynamic, b: &Dynamic) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.partial_cmp(&b);
    }
    // Two texts are not ordered here: at least one must be a date.
    if a.is_string() && b.is_string() {
        return None;
    }
    Some(as_date(a)?.cmp(&as_date(b)?))
}

/// Whether two values are the same by the rules' `==`; lists and maps never are.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return *a == *b;
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (as_text(a), as_text(b)) {
        return a == b;
    }
    matches!(order(a, b), Some(Ordering::Equal))
}

fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().or_else(|_| value.as_int().map(float)).ok()
}

/// A text or a character as text.
fn as_text(value: &Dynamic) -> Option<String> {
    value.as_char().map(String::from).or_else(|_| value.as_immutable_string_ref().map(|text| text.to_string())).ok()
}

fn as_date(value: &Dynamic) -> Option<Date> {
    if let Ok(text) = value.as_immutable_string_ref() {
        return text.parse().ok();
    }
    value.read_lock::<Date>().map(|date| *date)
}

#[expect(clippy::cast_precision_loss, reason = "as Rhai does when it compares an integer with a float")]
fn float(number: i64) -> f64 {
    number as f64
}

/// A number of days without its fraction.
#[expect(clippy::cast_possible_truncation, reason = "saturates; a day so far off is refused as no date")]
fn whole(days: f64) -> i64 {
    days as i64
}

fn today() -> Answer<Date> {
    evaluation::today().ok_or_else(|| Box::new(EvalAltResult::from("`today()` has no day here")))
}

fn date(text: &str) -> Answer<Date> {
    text.parse().map_err(|error: crate::model::DateError| Box::new(EvalAltResult::from(error.to_string())))
}

/// Days from one date to another, as a number of the rules.
fn span(to: Date, from: Date) -> f64 {
    f64::from(to.days()) - f64::from(from.days())
}

fn shifted(date: Date, days: i64) -> Answer<Date> {
    date.plus_days(days).ok_or_else(|| arithmetic("the date would be outside the years 0001 to 9999"))
}

fn arithmetic(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorArithmetic(what.to_owned(), rhai::Position::NONE))
}
