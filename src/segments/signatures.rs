//! What calls take and give: the rules' own functions by hand, Rhai's by what the engine knows of them.
//!
//! Knows kinds, not syntax. Rhai tells the parameters of its functions but not what they give; the table of that
//! here need not be complete, as what it does not name may be anything.

use std::any::TypeId;

use rhai::{Array, Dynamic, FnPtr, ImmutableString, Map};

use super::language::language;
use super::typing::{Kinds, Known, Wrong};
use crate::model::Date;

/// The parameters of one of the rules' own functions, with the word for each, and what it gives.
pub(super) struct Signature {
    pub(super) parameters: &'static [(Kinds, &'static str)],
    pub(super) gives: Kinds,
}

const DATE_OR_TEXT: Kinds = Kinds::DATE.or(Kinds::STRING);
const ORDERED: Kinds = Kinds::NUMBER.or(Kinds::DATE).or(Kinds::STRING);

/// The functions of rules that take the same kinds however they are called. `contains` is not among them, as it is
/// also what `in` means, nor Rhai's own.
pub(super) fn own(name: &str) -> Option<Signature> {
    let (parameters, gives): (&[(Kinds, &str)], Kinds) = match name {
        "starts_with" | "ends_with" => (&[(Kinds::STRING, "a string"), (Kinds::TEXT, "a string")], Kinds::BOOL),
        "matches" => (&[(Kinds::STRING, "a string"), (Kinds::STRING, "a regular expression")], Kinds::BOOL),
        "lower" => (&[(Kinds::STRING, "a string")], Kinds::STRING),
        "between" => (
            &[(ORDERED, "a number or a date"), (ORDERED, "a number or a date"), (ORDERED, "a number or a date")],
            Kinds::BOOL,
        ),
        "date" => (&[(DATE_OR_TEXT, "a string such as \"2024-12-31\"")], Kinds::DATE),
        "today" => (&[], Kinds::DATE),
        "days_since" | "days_until" => (&[(DATE_OR_TEXT, "a date")], Kinds::FLOAT),
        "is_set" => (&[(Kinds::ANY, "a value")], Kinds::BOOL),
        "in_segment" => (&[(Kinds::STRING, "the id of a segment")], Kinds::BOOL),
        _ => return None,
    };
    Some(Signature { parameters, gives })
}

/// The name here of a function that other languages call so.
pub(super) fn elsewhere(name: &str) -> Option<&'static str> {
    Some(match name {
        "startsWith" => "starts_with",
        "endsWith" => "ends_with",
        "length" | "size" | "count" => "len",
        "now" => "today",
        "toLowerCase" | "lowercase" | "downcase" => "lower",
        "includes" | "include" => "contains",
        "exists" | "has" | "isset" => "is_set",
        "segment" | "member_of" => "in_segment",
        "regex" | "test" | "match" => "matches",
        _ => return None,
    })
}

/// Functions that change their first argument in place and give nothing.
pub(super) fn changes_in_place(name: &str) -> bool {
    matches!(
        name,
        "trim"
            | "make_upper"
            | "make_lower"
            | "clear"
            | "replace"
            | "push"
            | "append"
            | "insert"
            | "crop"
            | "truncate"
            | "pad"
            | "reverse"
            | "sort"
            | "sort_desc"
            | "dedup"
            | "chop"
            | "fill_with"
            | "mixin"
            | "set"
    ) || changes_and_gives(name)
}

/// Functions that change their first argument in place and give what they took out.
fn changes_and_gives(name: &str) -> bool {
    matches!(name, "pop" | "shift" | "remove" | "splice" | "drain" | "retain")
}

/// What one of Rhai's functions gives, given what it is called with.
pub(super) fn native_gives(name: &str, arguments: &[Known]) -> Kinds {
    if changes_in_place(name) && !changes_and_gives(name) {
        return Kinds::UNIT;
    }
    let first = arguments.first().map_or(Kinds::ANY, |known| known.kinds);
    match name {
        "len" | "bytes" | "index_of" | "to_int" | "parse_int" | "sign" => Kinds::INT,
        "sin" | "cos" | "tan" | "sinh" | "cosh" | "tanh" | "asin" | "acos" | "atan" | "asinh" | "acosh" | "atanh"
        | "sqrt" | "exp" | "ln" | "log" | "floor" | "ceiling" | "round" | "int" | "fraction" | "to_float"
        | "parse_float" | "hypot" | "to_degrees" | "to_radians" | "PI" | "E" => Kinds::FLOAT,
        "abs" if first.within(Kinds::NUMBER) => first,
        "min" | "max" if arguments.iter().all(|known| known.kinds.within(Kinds::NUMBER)) => Kinds::NUMBER,
        "is_empty" | "is_odd" | "is_even" | "is_zero" | "is_nan" | "is_finite" | "is_infinite" | "some" | "all" => {
            Kinds::BOOL
        }
        "to_upper" | "to_lower" if first == Kinds::STRING => Kinds::STRING,
        "sub_string" | "to_string" | "to_debug" | "to_hex" | "to_octal" | "to_binary" | "to_json" => Kinds::STRING,
        "split" | "split_rev" | "to_chars" | "keys" | "values" | "order" | "order_desc" | "extract" | "zip" => {
            Kinds::ARRAY
        }
        "map" | "filter" => Kinds::ARRAY.or(Kinds::MAP),
        "parse_json" => Kinds::MAP,
        "range" => Kinds::RANGE,
        _ => Kinds::ANY,
    }
}

/// Whether some overload of a native function takes the arguments; says what is wrong when none does.
pub(super) fn check_native(name: &str, arguments: &[Known], method: bool, at: rhai::Position) -> Result<(), Wrong> {
    let overloads = language().overloads(name);
    let mut counts: Vec<usize> = overloads.iter().map(Vec::len).collect();
    counts.sort_unstable();
    counts.dedup();
    if !counts.contains(&arguments.len()) {
        return Err(wrong_count(name, arguments.len(), &counts, method, at));
    }
    let takes = |types: &Vec<TypeId>| {
        types.len() == arguments.len()
            && types.iter().zip(arguments).all(|(id, known)| {
                // Of a missing value every function gives a missing value.
                known.kinds.meets(Kinds::UNIT) || known.kinds.meets(kinds_of(*id))
            })
    };
    if overloads.iter().any(takes) {
        return Ok(());
    }
    let given: Vec<String> = arguments.iter().map(Known::in_words).collect();
    let wrong = Wrong::new(at, format!("`{name}` does not take {}", given.join(", ")));
    // Attributes are floats, and many of Rhai's functions want an integer, or the other way round.
    let with_numbers = |types: &Vec<TypeId>| {
        types.len() == arguments.len()
            && types.iter().zip(arguments).all(|(id, known)| {
                let wanted = kinds_of(*id);
                known.kinds.meets(wanted) || (known.kinds.meets(Kinds::NUMBER) && wanted.meets(Kinds::NUMBER))
            })
    };
    Err(match overloads.iter().find(|types| with_numbers(types)) {
        Some(types) if types.iter().any(|id| kinds_of(*id) == Kinds::INT) => {
            wrong.hint("it wants a whole number: write `to_int(…)` around the number")
        }
        Some(_) => wrong.hint("it wants a number with a fraction: write `5.0` for `5`"),
        None => wrong,
    })
}

/// The error for a call with the wrong number of arguments; of a method the value before the dot is the first.
pub(super) fn wrong_count(name: &str, given: usize, counts: &[usize], method: bool, at: rhai::Position) -> Wrong {
    let wanted: Vec<String> = counts.iter().map(usize::to_string).collect();
    let arguments = if counts == [1] { "argument" } else { "arguments" };
    let wrong = Wrong::new(at, format!("`{name}` takes {} {arguments}, not {given}", wanted.join(" or ")));
    if method { wrong.hint("the value before the dot is the first") } else { wrong }
}

fn kinds_of(id: TypeId) -> Kinds {
    let table = [
        (TypeId::of::<bool>(), Kinds::BOOL),
        (TypeId::of::<i64>(), Kinds::INT),
        (TypeId::of::<f64>(), Kinds::FLOAT),
        (TypeId::of::<ImmutableString>(), Kinds::STRING),
        (TypeId::of::<char>(), Kinds::CHAR),
        (TypeId::of::<Date>(), Kinds::DATE),
        (TypeId::of::<Array>(), Kinds::ARRAY),
        (TypeId::of::<Map>(), Kinds::MAP),
        (TypeId::of::<()>(), Kinds::UNIT),
        (TypeId::of::<FnPtr>(), Kinds::FUNCTION),
        (TypeId::of::<std::ops::Range<i64>>(), Kinds::RANGE),
        (TypeId::of::<std::ops::RangeInclusive<i64>>(), Kinds::RANGE),
        (TypeId::of::<Dynamic>(), Kinds::ANY),
    ];
    table.iter().find(|(known, _)| *known == id).map_or(Kinds::OTHER, |(_, kinds)| *kinds)
}
