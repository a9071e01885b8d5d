//! Rhai's own functions that a hostile rule could turn against us, replaced by ones that can't be.
//!
//! Rhai bounds how large a value is after a function has made it, and how deep functions call each other, but not
//! what a function takes on the way. Ours come first in every call, so the packages' are never reached. Invariant: no
//! native function makes more than the limits allow, sleeps, or descends deeper into a value than [`DEPTH`].

use std::any::TypeId;
use std::fmt::Write as _;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, Position};

use super::{language, limits};
use crate::model::Date;

/// How deep lists and maps within each other are written out. Rhai would go as deep as they are, up to the stack's end.
const DEPTH: usize = 16;

/// Replaces the dangerous functions.
pub(super) fn register(engine: &mut Engine) {
    replacements(engine);
    writing(engine);
    removals(engine);
}

/// Rhai's `replace` builds its result before its size is looked at, and 64 KiB of `a` replaced by 64 KiB are 4 GiB.
fn replacements(engine: &mut Engine) {
    fn replace(text: &mut ImmutableString, from: &str, to: &str) -> Result<(), Box<EvalAltResult>> {
        let found = text.matches(from).count();
        if text.len() + found * to.len().saturating_sub(from.len()) > limits::STRING_BYTES {
            return Err(too_large("Length of string"));
        }
        *text = text.replace(from, to).into();
        Ok(())
    }
    engine.register_fn("replace", |text: &mut ImmutableString, from: ImmutableString, to: ImmutableString| {
        replace(text, &from, &to)
    });
    engine.register_fn("replace", |text: &mut ImmutableString, from: ImmutableString, to: char| {
        replace(text, &from, to.encode_utf8(&mut [0; 4]))
    });
    engine.register_fn("replace", |text: &mut ImmutableString, from: char, to: ImmutableString| {
        replace(text, from.encode_utf8(&mut [0; 4]), &to)
    });
    engine.register_fn("replace", |text: &mut ImmutableString, from: char, to: char| {
        replace(text, from.encode_utf8(&mut [0; 4]), to.encode_utf8(&mut [0; 4]))
    });
}

/// What the check refuses must also fail where it cannot see the call, as in `Fn("sl" + "eep")`.
/// Lists and maps as text.
fn writing(engine: &mut Engine) {
    for name in ["to_string", "to_debug", "print", "debug"] {
        engine.register_fn(name, |list: &mut Array| written(&Dynamic::from_array(list.clone())));
        engine.register_fn(name, |map: &mut Map| written(&Dynamic::from_map(map.clone())));
    }
    engine.register_fn("to_json", |map: &mut Map| {
        let value = Dynamic::from_map(map.clone());
        if is_deep(&value, DEPTH) {
            return Err(too_large("Size of object map"));
        }
        // Rhai writes out what a closure captures too, and panics where that is the map that is being written.
        if holds_function(&value) {
            return Err("a function can't be written as JSON".into());
        }
        Ok(rhai::format_map_as_json(map))
    });
}

fn removals(engine: &mut Engine) {
    let refused = |name: &str| Box::new(EvalAltResult::from(format!("`{name}` is not available in rules")));
    for number in [TypeId::of::<i64>(), TypeId::of::<f64>()] {
        engine.register_raw_fn::<()>("sleep", [number], move |_, _| Err(refused("sleep")));
    }
    for name in language::WITHOUT_CLOSURE {
        engine.register_raw_fn::<()>(name, [TypeId::of::<Array>(), TypeId::of::<FnPtr>()], move |_, _| {
            Err(refused(&format!("{name} with a function")))
        });
    }
    for types in
        [vec![], vec![TypeId::of::<ImmutableString>()], vec![TypeId::of::<ImmutableString>(), TypeId::of::<i64>()]]
    {
        engine.register_raw_fn::<()>("get_fn_metadata_list", types, move |_, _| Err(refused("get_fn_metadata_list")));
    }
}

fn too_large(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE))
}

/// Whether lists and maps are nested deeper than that.
fn is_deep(value: &Dynamic, depth: usize) -> bool {
    let inner = |value: &Dynamic| depth == 0 || is_deep(value, depth - 1);
    if let Ok(list) = value.as_array_ref() {
        return list.iter().any(inner);
    }
    value.as_map_ref().is_ok_and(|map| map.values().any(inner))
}

/// Whether there is a function in lists and maps. They are no deeper than [`DEPTH`].
fn holds_function(value: &Dynamic) -> bool {
    if let Ok(list) = value.as_array_ref() {
        return list.iter().any(holds_function);
    }
    value.is_fnptr() || value.as_map_ref().is_ok_and(|map| map.values().any(holds_function))
}

fn written(value: &Dynamic) -> String {
    let mut text = String::new();
    write(value, DEPTH, &mut text);
    text
}

/// Writes a value as Rhai would, but deeper values as `…`. A text that can't be written is none that matters.
fn write(value: &Dynamic, depth: usize, text: &mut String) {
    if let Ok(list) = value.as_array_ref() {
        if depth == 0 {
            return text.push('…');
        }
        text.push('[');
        for (place, element) in list.iter().enumerate() {
            text.push_str(if place == 0 { "" } else { ", " });
            write(element, depth - 1, text);
        }
        text.push(']');
    } else if let Ok(map) = value.as_map_ref() {
        if depth == 0 {
            return text.push('…');
        }
        text.push_str("#{");
        for (place, (key, element)) in map.iter().enumerate() {
            let _ = write!(text, "{}{key:?}: ", if place == 0 { "" } else { ", " });
            write(element, depth - 1, text);
        }
        text.push('}');
    } else if let Some(date) = value.read_lock::<Date>() {
        let _ = write!(text, "{}", *date);
    } else if value.is_fnptr() {
        // What it captures may be locked, and would be waited for.
        text.push_str("Fn");
    } else {
        let _ = write!(text, "{value:?}");
    }
}
