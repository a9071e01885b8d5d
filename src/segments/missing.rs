//! What becomes of a missing value, `()`: every function and operator of it gives `()` again, and every test of it
//! is false.
//!
//! The fast operators already make `()` equal only to `()` and every ordering with it false. The rest is filled in
//! here: for each name and number of arguments that the engine knows, one more function that takes anything. Rhai
//! tries it last, so it is reached only when no proper function fits the types. Then, if one of the arguments is
//! `()`, that is the answer; otherwise it is the usual "function not found".

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};

/// Operators that compute. Comparisons are not among them: theirs are built in.
const ARITHMETIC: [&str; 11] = ["+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^"];
/// Functions that answer yes or no: of a missing value they answer no.
pub(super) const TESTS: [&str; 13] = [
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "is_empty",
    "is_odd",
    "is_even",
    "is_zero",
    "is_nan",
    "is_finite",
    "is_infinite",
    "some",
    "all",
];
/// Functions that take `()` as they take any value.
const UNTOUCHED: [&str; 10] =
    ["is_set", "between", "to_string", "to_debug", "print", "debug", "tag", "set_tag", "take", "exit"];

/// Adds the answers for missing values, given every function that the engine knows.
pub(super) fn register(engine: &mut Engine, functions: &BTreeMap<String, Vec<Vec<TypeId>>>) {
    let mut shapes: BTreeSet<(&str, usize)> = ARITHMETIC.iter().map(|name| (*name, 2)).collect();
    shapes.insert(("-", 1));
    for (name, overloads) in functions {
        let named = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if named && !UNTOUCHED.contains(&name.as_str()) {
            shapes
                .extend(overloads.iter().map(Vec::len).filter(|count| *count > 0).map(|count| (name.as_str(), count)));
        }
        if let Some(property) = name.strip_prefix("get$") {
            engine.register_get(property, |_: &mut ()| ());
        }
    }
    for (name, count) in shapes {
        let answer = if TESTS.contains(&name) { Dynamic::FALSE } else { Dynamic::UNIT };
        fallback(engine, name, count, answer);
    }
    engine.register_indexer_get(|_: &mut (), _: Dynamic| ());
    concatenation(engine);
}

fn fallback(engine: &mut Engine, name: &str, count: usize, answer: Dynamic) {
    let any = vec![TypeId::of::<Dynamic>(); count];
    engine.register_raw_fn(name, any, move |context, args| {
        if args.iter().any(|arg| arg.is_unit()) { Ok(answer.clone()) } else { Err(not_found(&context, args)) }
    });
}

/// Rhai's packages take `()` as an empty text in a concatenation; ours come before them.
fn concatenation(engine: &mut Engine) {
    let (unit, text) = (TypeId::of::<()>(), TypeId::of::<ImmutableString>());
    engine.register_raw_fn("+", [unit, text], |_, _| Ok(()));
    engine.register_raw_fn("+", [text, unit], |_, _| Ok(()));
    engine.register_raw_fn("+=", [text, unit], |_, args| {
        if let Some(first) = args.first_mut() {
            **first = Dynamic::UNIT;
        }
        Ok(())
    });
}

/// The error that Rhai gives when no function fits, with the names that our messages use.
pub(super) fn not_found(context: &NativeCallContext<'_>, args: &[&mut Dynamic]) -> Box<EvalAltResult> {
    let types: Vec<&str> = args.iter().map(|arg| type_name(arg)).collect();
    let signature = format!("{} ({})", context.fn_name(), types.join(", "));
    Box::new(EvalAltResult::ErrorFunctionNotFound(signature, context.call_position()))
}

/// What people call the type of a value.
pub(super) fn type_name(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "()"
    } else if value.is_bool() {
        "a boolean"
    } else if value.is_int() {
        "a whole number"
    } else if value.is_float() {
        "a number"
    } else if value.is_string() {
        "a string"
    } else if value.is_char() {
        "a character"
    } else if value.is::<crate::model::Date>() {
        "a date"
    } else if value.is::<Array>() {
        "a list"
    } else if value.is::<Map>() {
        "a map"
    } else if value.is::<FnPtr>() {
        "a function"
    } else {
        "another kind of value"
    }
}
