//! The six comparisons of rules, exact.
//!
//! Rhai's own are built in and take two floats that differ in the last bit or two for equal, so that
//! `crm.Account == 9007199254740991` would hold for 9007199254740990, too, and 1e-17 would not be above 0. The
//! conditions that rules become compare exactly, as filters do, and a rule must mean one thing. So the operators are
//! taken from Rhai and given back (see `language`).
//!
//! Of a missing value, `==` holds with another missing one only, `!=` is its negation, and every ordering is false.
//! So are orderings of values of different kinds.

use std::cmp::Ordering;

use rhai::{Dynamic, Engine, ImmutableString};

use super::missing;
use crate::model::Date;

/// The operators, with Rhai's own precedence for them.
pub(super) const OPERATORS: [(&str, u8); 6] =
    [("==", 90), ("!=", 90), ("<", 130), ("<=", 130), (">", 130), (">=", 130)];

/// Whether a comparison holds, given the order of its two sides; there is none when they can't be ordered.
type Holds = fn(Option<Ordering>) -> bool;

const HOLDS: [Holds; 6] = [
    |order| order == Some(Ordering::Equal),
    |order| order != Some(Ordering::Equal),
    |order| order == Some(Ordering::Less),
    |order| matches!(order, Some(Ordering::Less | Ordering::Equal)),
    |order| order == Some(Ordering::Greater),
    |order| matches!(order, Some(Ordering::Greater | Ordering::Equal)),
];

/// Adds the comparisons of every two kinds of values. Lists and maps have their own `==`, from Rhai's packages.
pub(super) fn register(engine: &mut Engine) {
    for ((operator, _), holds) in OPERATORS.into_iter().zip(HOLDS) {
        numbers(engine, operator, holds);
        texts(engine, operator, holds);
        dates(engine, operator, holds);
        engine.register_fn(operator, move |a: bool, b: bool| holds(Some(a.cmp(&b))));
        // For speed alone: these are the comparisons of a missing value that rules make, and would be found last.
        let unlike = holds(None);
        engine.register_fn(operator, move |(): (), _: f64| unlike);
        engine.register_fn(operator, move |(): (), _: i64| unlike);
        engine.register_fn(operator, move |(): (), _: ImmutableString| unlike);
        engine.register_fn(operator, move |_: f64, (): ()| unlike);
        engine.register_fn(operator, move |_: ImmutableString, (): ()| unlike);
        any(engine, operator, holds);
    }
}

#[expect(clippy::cast_precision_loss, reason = "as everywhere where a whole number meets one with a fraction")]
fn numbers(engine: &mut Engine, operator: &str, holds: Holds) {
    engine.register_fn(operator, move |a: i64, b: i64| holds(Some(a.cmp(&b))));
    engine.register_fn(operator, move |a: f64, b: f64| holds(a.partial_cmp(&b)));
    engine.register_fn(operator, move |a: f64, b: i64| holds(a.partial_cmp(&(b as f64))));
    engine.register_fn(operator, move |a: i64, b: f64| holds((a as f64).partial_cmp(&b)));
}

fn texts(engine: &mut Engine, operator: &str, holds: Holds) {
    let text = |letter: char| ImmutableString::from(letter.to_string());
    engine.register_fn(operator, move |a: ImmutableString, b: ImmutableString| holds(Some(a.cmp(&b))));
    engine.register_fn(operator, move |a: char, b: char| holds(Some(a.cmp(&b))));
    engine.register_fn(operator, move |a: ImmutableString, b: char| holds(Some(a.cmp(&text(b)))));
    engine.register_fn(operator, move |a: char, b: ImmutableString| holds(Some(text(a).cmp(&b))));
}

/// A date compares with a date and with a string that reads as one; with another text it is unequal and unordered.
fn dates(engine: &mut Engine, operator: &str, holds: Holds) {
    let read = |text: ImmutableString| text.parse::<Date>().ok();
    engine.register_fn(operator, move |a: Date, b: Date| holds(Some(a.cmp(&b))));
    engine.register_fn(operator, move |a: Date, b: ImmutableString| holds(read(b).map(|b| a.cmp(&b))));
    engine.register_fn(operator, move |a: ImmutableString, b: Date| holds(read(a).map(|a| a.cmp(&b))));
}

/// All other pairs. Rhai tries this last.
fn any(engine: &mut Engine, operator: &str, holds: Holds) {
    let equals = holds(Some(Ordering::Equal)) && !holds(Some(Ordering::Less)) && !holds(Some(Ordering::Greater));
    engine.register_raw_fn(operator, [std::any::TypeId::of::<Dynamic>(); 2], move |context, args| match args {
        [a, b] if a.is_unit() && b.is_unit() => Ok(equals),
        [a, b] if a.type_id() != b.type_id() => Ok(holds(None)),
        _ => Err(missing::not_found(&context, args)),
    });
}
