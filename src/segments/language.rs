//! The language of rules: Rhai with our limits, without what could reach outside, and with our functions.
//!
//! Owns the one engine, which all threads share, and the list of what it can call. Every package is registered by
//! hand, so that a new Rhai cannot add one unseen. Two settings surprise:
//! - `+` and the comparisons are taken from Rhai and given back as operators of ours: the built-in `+` makes
//!   `() + "x"` into `"x"`, where a missing value must stay missing, and the comparisons are inexact (`comparisons`).
//!   They can't be overridden while the fast operators are on. Those stay on, as they halve the cost of a rule and
//!   agree with the contract in everything else (tests hold that).
//! - Nothing is optimized while parsing: the check must see the rule as it was written.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, OptimizationLevel, Scope};

use super::{comparisons, evaluation, functions, guards, limits, missing};

/// Symbols that are no part of the language of rules, found by the parser.
/// `curry` lets a function hold itself twice, again and again: a copy of it then costs all memory.
pub(super) const FORBIDDEN: [&str; 6] = ["eval", "import", "export", "print", "debug", "curry"];
/// Functions of Rhai's packages that are taken away; the check refuses them, and a call that it could not see fails.
pub(super) const REMOVED: [&str; 3] = ["sleep", "timestamp", "get_fn_metadata_list"];
/// Array functions that take a comparing closure and go on when it fails; they exist without it only.
pub(super) const WITHOUT_CLOSURE: [&str; 5] = ["sort", "sort_by", "order", "order_by", "dedup"];
/// The precedence of Rhai's own `+`.
const PLUS: u8 = 150;

static LANGUAGE: LazyLock<Language> = LazyLock::new(Language::new);

/// The engine and what it can call.
pub(super) struct Language {
    pub(super) engine: Engine,
    /// The native functions by name: the types of the parameters of each overload.
    functions: BTreeMap<String, Vec<Vec<TypeId>>>,
}

/// The language of rules.
pub(super) fn language() -> &'static Language {
    &LANGUAGE
}

impl Language {
    fn new() -> Self {
        let mut engine = Engine::new_raw();
        for module in [
            LanguageCorePackage::new().as_shared_module(),
            ArithmeticPackage::new().as_shared_module(),
            LogicPackage::new().as_shared_module(),
            BasicStringPackage::new().as_shared_module(),
            MoreStringPackage::new().as_shared_module(),
            BasicIteratorPackage::new().as_shared_module(),
            BasicFnPackage::new().as_shared_module(),
            BasicMathPackage::new().as_shared_module(),
            BasicArrayPackage::new().as_shared_module(),
            BasicMapPackage::new().as_shared_module(),
        ] {
            engine.register_global_module(module);
        }
        set_limits(&mut engine);
        for symbol in FORBIDDEN {
            engine.disable_symbol(symbol);
        }
        for (operator, precedence) in comparisons::OPERATORS.into_iter().chain([("+", PLUS)]) {
            engine.disable_symbol(operator);
            let registered = engine.register_custom_operator(operator, precedence).map(|_| ());
            debug_assert_eq!(registered, Ok(()), "a disabled operator can be registered");
        }
        #[expect(deprecated, reason = "not deprecated, says its note, but volatile; the version is pinned")]
        engine.on_var(|name, _, context| Ok(captured_constant(name, context.scope())));
        functions::register(&mut engine);
        comparisons::register(&mut engine);
        guards::register(&mut engine);
        let functions = native_functions(&engine);
        missing::register(&mut engine, &functions);
        Self { engine, functions }
    }

    /// The parameter types of every overload of a native function; empty when there is none of that name.
    pub(super) fn overloads(&self, name: &str) -> &[Vec<TypeId>] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that a rule may call, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let hidden: BTreeSet<&str> = REMOVED.into_iter().chain(FORBIDDEN).collect();
        self.functions
            .keys()
            .map(String::as_str)
            .filter(move |name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !hidden.contains(name))
    }
}

/// A constant that a closure has captured, as a copy; nothing for all other variables, which Rhai finds itself.
///
/// Captured variables are shared behind a lock, which is held while a method works on them. Without this,
/// `crm.Name.split(",").some(|part| part == crm.Type)` would fail, after waiting 50 ms for the lock.
fn captured_constant(name: &str, scope: &Scope<'_>) -> Option<Dynamic> {
    let value = scope.get(name).filter(|value| value.is_shared())?;
    (scope.is_constant(name) == Some(true)).then(|| value.flatten_clone())
}

fn set_limits(engine: &mut Engine) {
    engine
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(limits::OPERATIONS)
        .set_max_call_levels(limits::CALL_DEPTH)
        .set_max_expr_depths(limits::EXPRESSION_DEPTH, limits::FUNCTION_EXPRESSION_DEPTH)
        .set_max_string_size(limits::STRING_BYTES)
        .set_max_array_size(limits::ARRAY_SIZE)
        .set_max_map_size(limits::MAP_SIZE)
        .set_max_variables(limits::VARIABLES)
        .set_max_functions(limits::FUNCTIONS)
        .set_max_modules(0)
        .on_progress(|_| evaluation::tick().map(|_| Dynamic::UNIT));
}

fn native_functions(engine: &Engine) -> BTreeMap<String, Vec<Vec<TypeId>>> {
    let all = engine.collect_fn_metadata(
        None,
        |function| {
            let types: Vec<TypeId> = function.metadata.param_types.iter().copied().collect();
            Some((function.metadata.name.to_string(), types))
        },
        true,
    );
    let mut functions: BTreeMap<String, Vec<Vec<TypeId>>> = BTreeMap::new();
    for (name, types) in all {
        functions.entry(name).or_default().push(types);
    }
    functions
}

/// Whether Rhai reserves the word, so that no integration can be called so (`new`, `default`, `import`, `call`, …).
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    let names_a_variable = language().engine.compile(format!("{word}.x == 1")).is_ok()
        && language().engine.compile(format!("let {word} = 1; {word} == 1")).is_ok();
    !names_a_variable || matches!(word, "global" | "this" | "call" | "curry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_known() {
        for word in ["new", "default", "import", "call", "if", "let", "this", "global", "eval", "sync", "print", "fn"] {
            assert!(is_reserved(word), "{word}");
        }
        for word in ["crm", "csv_upload", "date", "today", "sleep", "contains", "matches"] {
            assert!(!is_reserved(word), "{word}");
        }
    }

    #[test]
    fn the_engine_has_no_function_that_waits_or_looks_around() {
        let names: Vec<&str> = language().names().collect();
        for name in ["sleep", "timestamp", "print", "debug", "eval", "blob"] {
            assert!(!names.contains(&name), "{name}");
        }
        for name in ["between", "matches", "to_upper", "some", "abs", "keys"] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
