//! Rhai's errors in words for people: of a rule that does not parse, and of one that fails when it runs.
//!
//! Knows Rhai's error types and nothing of who evaluates. Positions are lines and columns from 1.

use rhai::{EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use super::evaluation::Limit;
use super::language::FORBIDDEN;
use super::limits;
use super::missing::type_name;
use super::typing::{Wrong, shortened};

/// Why an evaluation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) at: Position,
    pub(super) message: String,
    pub(super) kind: FailureKind,
}

/// What kind of failure it is, for deciding whether a rule that fails on a sample may go live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// A limit was hit.
    Limit,
    /// Time was up: the one limit that a busy machine may also hit.
    Time,
    /// The rule does what can't work: calls what is not there, changes what is fixed, gives no boolean.
    Mistake,
    /// The values did not suit: an index out of bounds, a `throw`, a division by zero.
    Values,
}

/// What is said when Rhai itself panics.
pub(super) const PANICKED: &str = "the rule breaks the language's own machinery: write it in another way";

/// Why a rule does not parse.
pub(super) fn syntax(text: &str, error: &ParseError) -> Wrong {
    let at = error.position();
    let word = word_at(text, at);
    match error.err_type() {
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) | ParseErrorType::Reserved(symbol)
            if FORBIDDEN.contains(&symbol.as_str()) =>
        {
            Wrong::new(at, format!("`{symbol}` is not available in rules"))
        }
        ParseErrorType::Reserved(symbol) if before(text, at).ends_with('.') => {
            let path = before(text, at).trim_end_matches('.').rsplit(|c: char| !is_word(c)).next().unwrap_or("crm");
            let wrong = Wrong::new(at, format!("`{symbol}` is a reserved word and can't follow a dot"));
            wrong.hint(format!("write `{path}[\"{symbol}\"]`"))
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(symbol)) if symbol == "+" => {
            Wrong::new(at, "a `+` before a value is not needed: leave it out")
        }
        ParseErrorType::BadInput(LexError::MalformedChar(inner)) => {
            let wrong = Wrong::new(at, "single quotes hold one character only");
            wrong.hint(format!("write \"{inner}\" in double quotes"))
        }
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            Wrong::new(at, "the text has no closing quote on this line")
        }
        ParseErrorType::ExprTooDeep => Wrong::new(
            at,
            format!(
                "the expression is nested too deeply or has too many operators in a row (at most {})",
                limits::EXPRESSION_DEPTH
            ),
        )
        .hint("put parts of it into `let` variables, or write `x in [\"a\", \"b\", …]` for many `==`"),
        ParseErrorType::LiteralTooLarge(..) => too_large(at, &error.err_type().to_string()),
        ParseErrorType::TooManyFunctions => {
            Wrong::new(at, format!("a rule may have at most {} functions", limits::FUNCTIONS))
        }
        ParseErrorType::UnexpectedEOF => {
            Wrong::new(at, "the rule ends too early: something is missing, or a bracket is not closed")
        }
        ParseErrorType::VariableExpected => Wrong::new(at, "a name is missing here"),
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) if mending(symbol).is_some() => {
            let wrong = Wrong::new(at, format!("`{symbol}` is no operator of rules"));
            mending(symbol).into_iter().fold(wrong, Wrong::hint)
        }
        other => {
            let wrong = Wrong::new(at, decapitalized(&other.to_string()));
            let hint =
                if word.starts_with('>') && before(text, at).ends_with('<') { mending("<>") } else { mending(word) };
            match hint {
                Some(hint) => wrong.hint(hint),
                None => wrong,
            }
        }
    }
}

fn too_large(at: Position, what: &str) -> Wrong {
    let message = if what.contains("tring") {
        format!("the text is too long (at most {} KiB)", limits::STRING_BYTES / 1024)
    } else if what.contains("rray") {
        format!("the list is too long (at most {} elements)", limits::ARRAY_SIZE)
    } else {
        format!("the map is too large (at most {} entries)", limits::MAP_SIZE)
    };
    Wrong::new(at, message)
}

/// What other languages write and Rhai does not know.
pub(super) fn mending(word: &str) -> Option<String> {
    let instead = match word {
        "and" | "AND" | "And" => "&&",
        "or" | "OR" | "Or" => "||",
        "not" | "NOT" | "Not" => "!",
        "elif" | "elseif" | "elsif" => "else if",
        "<>" => "!=",
        "===" => "==",
        "!==" => "!=",
        "=" => "==",
        "?" => "if … { … } else { … }",
        "True" | "TRUE" => "true",
        "False" | "FALSE" => "false",
        "#" => "//",
        "null" | "nil" | "None" | "undefined" => "()",
        _ => return None,
    };
    Some(format!("did you mean `{instead}`?"))
}

/// The text of the line before a position.
fn before(text: &str, at: Position) -> &str {
    let line = at.line().and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
    let column = at.position().unwrap_or(1).saturating_sub(1);
    let end = line.char_indices().nth(column).map_or(line.len(), |(index, _)| index);
    line.get(..end).unwrap_or_default()
}

/// The word or the run of signs at a position.
fn word_at(text: &str, at: Position) -> &str {
    let line = at.line().and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
    let rest = line.get(before(text, at).len()..).unwrap_or_default();
    let first = rest.chars().next().unwrap_or(' ');
    let same = |c: char| if is_word(first) { is_word(c) } else { !is_word(c) && !c.is_whitespace() };
    let end = rest.char_indices().find(|(_, c)| !same(*c)).map_or(rest.len(), |(index, _)| index);
    rest.get(..end).unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn decapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect()).replace('\'', "`")
}

/// Why a limit stopped an evaluation.
pub(super) fn limit(limit: Limit, at: Position) -> Failure {
    let message = match limit {
        Limit::Operations => {
            format!("the rule takes too many steps (at most {}): is there an endless loop?", limits::OPERATIONS)
        }
        Limit::Time | Limit::Waiting => {
            "the rule takes too long: is there an endless loop, or too much text?".to_owned()
        }
        Limit::Stack => "calls or expressions are nested too deeply: does a function call itself for ever?".to_owned(),
    };
    let kind = if matches!(limit, Limit::Time | Limit::Waiting) { FailureKind::Time } else { FailureKind::Limit };
    Failure { at, message, kind }
}

/// Why an evaluation failed, by Rhai's error.
pub(super) fn failure(error: &EvalAltResult) -> Failure {
    use EvalAltResult as E;
    let at = error.position();
    let (kind, message) = match error {
        // The innermost error says what is wrong and where.
        E::ErrorInFunctionCall(_, _, inner, at) => {
            let inner = failure(inner);
            return Failure { at: if inner.at.is_none() { *at } else { inner.at }, ..inner };
        }
        E::ErrorTooManyOperations(_) => return limit(Limit::Operations, at),
        E::ErrorTerminated(..) => return limit(Limit::Time, at),
        E::ErrorStackOverflow(_) => (
            FailureKind::Limit,
            format!("functions call each other more than {} deep: does one call itself for ever?", limits::CALL_DEPTH),
        ),
        E::ErrorDataTooLarge(what, _) => (FailureKind::Limit, too_large(at, what).message),
        E::ErrorTooManyVariables(_) => {
            (FailureKind::Limit, format!("there are too many variables (at most {} at one time)", limits::VARIABLES))
        }
        E::ErrorFunctionNotFound(signature, _) => {
            (FailureKind::Mistake, format!("there is no function `{}` for these kinds of values", plain(signature)))
        }
        E::ErrorVariableNotFound(name, _) => (FailureKind::Mistake, format!("there is no variable `{name}`")),
        E::ErrorModuleNotFound(name, _) => (FailureKind::Mistake, format!("rules have no modules such as `{name}`")),
        E::ErrorAssignmentToConstant(name, _) => {
            (FailureKind::Mistake, format!("`{name}` is only there to be read and can't be changed"))
        }
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            (FailureKind::Mistake, format!("`{name}` would change an attribute, but attributes can only be read"))
        }
        E::ErrorMismatchDataType(wanted, found, _) => {
            (FailureKind::Mistake, format!("{} is needed here, not {}", kind_in_words(wanted), kind_in_words(found)))
        }
        E::ErrorIndexingType(what, _) => (FailureKind::Mistake, format!("this can't be indexed so: `{}`", plain(what))),
        E::ErrorDotExpr(what, _) => (FailureKind::Mistake, decapitalized(what)),
        E::ErrorFor(_) => (FailureKind::Mistake, "`for` goes over a list, a range or a string only".to_owned()),
        E::ErrorUnboundThis(_) => {
            (FailureKind::Mistake, "`this` is there only in a function called as a method".to_owned())
        }
        E::ErrorDataRace(..) => (
            FailureKind::Mistake,
            "a function uses the variable that a method is at work on: put what the method works on into a `let` of its own first"
                .to_owned(),
        ),
        // Only what is short and flat: to write out a list that is nested a thousand deep would overflow the stack.
        E::ErrorRuntime(value, _) => (
            FailureKind::Values,
            match value.as_immutable_string_ref() {
                Ok(text) => shortened(&text),
                Err(_) => format!("the rule throws {}", type_name(value)),
            },
        ),
        E::ErrorSystem(message, _) if message == PANICKED => (FailureKind::Mistake, PANICKED.to_owned()),
        E::ErrorIndexNotFound(..) => (FailureKind::Values, "there is nothing at that index".to_owned()),
        other => {
            let text = other.to_string();
            let place = format!(" ({})", other.position());
            (FailureKind::Values, decapitalized(text.trim_end_matches(place.as_str())))
        }
    };
    Failure { at, message, kind }
}

/// Rhai's names of types as the rules' messages use them.
fn plain(signature: &str) -> String {
    [
        ("&str | ImmutableString | String", "a string"),
        ("i64", "a whole number"),
        ("f64", "a number"),
        ("bool", "a boolean"),
        ("array", "a list"),
    ]
    .iter()
    .fold(signature.to_owned(), |text, (name, word)| text.replace(name, word))
    .replace(" (", "(")
}

fn kind_in_words(name: &str) -> String {
    match name {
        "()" => "a missing value".to_owned(),
        "string" => "a string".to_owned(),
        "map" => "a map".to_owned(),
        "Fn" => "a function".to_owned(),
        name => plain(name),
    }
}
