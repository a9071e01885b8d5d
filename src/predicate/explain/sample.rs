//! Texts that a pattern matches: examples, a few of many.
//!
//! Follows the pattern's parts and takes the plainest of what each allows. What it makes may fail the pattern (`\b`
//! between two letters), so whoever asks gets only what was tried.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::predicate::Pattern;

/// Most texts that are carried on from part to part.
const TEXTS: usize = 6;
/// Longest text, in bytes.
const BYTES: usize = 1_024;

/// Some texts that the pattern matches; perhaps none where there are some.
pub(super) fn samples(pattern: &Pattern) -> Vec<String> {
    let Ok(parsed) = regex_syntax::parse(pattern.as_str()) else { return Vec::new() };
    let mut texts = texts(&parsed);
    texts.retain(|text| pattern.is_match(text));
    texts
}

fn texts(part: &Hir) -> Vec<String> {
    let mut found = match part.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).map(str::to_owned).into_iter().collect(),
        HirKind::Class(class) => plainest(class).into_iter().map(String::from).collect(),
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Repetition(repetition) => {
            let times = usize::try_from(repetition.min).unwrap_or(usize::MAX);
            let of = texts(&repetition.sub);
            let repeated = |times: usize| {
                let short = move |text: &&String| text.len().saturating_mul(times) <= BYTES;
                of.iter().filter(short).map(move |text| text.repeat(times)).collect::<Vec<_>>()
            };
            match times {
                // Nothing, or one of it.
                0 => std::iter::once(String::new()).chain(repeated(1)).collect(),
                times => repeated(times),
            }
        }
        HirKind::Concat(parts) => parts.iter().fold(vec![String::new()], |begun, part| joined(&begun, &texts(part))),
        HirKind::Alternation(parts) => parts.iter().flat_map(|part| texts(part).into_iter().take(2)).collect(),
    };
    found.retain(|text| text.len() <= BYTES);
    found.truncate(TEXTS);
    found
}

fn joined(begun: &[String], more: &[String]) -> Vec<String> {
    let each = begun.iter().flat_map(|start| more.iter().map(move |end| format!("{start}{end}")));
    each.filter(|text| text.len() <= BYTES).take(TEXTS).collect()
}

/// One or two characters of a class, letters and digits before others.
fn plainest(class: &Class) -> Vec<char> {
    let contains = |c: char| match class {
        Class::Unicode(class) => class.iter().any(|range| (range.start()..=range.end()).contains(&c)),
        Class::Bytes(class) => class.iter().any(|range| {
            u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && (range.start()..=range.end()).contains(&byte))
        }),
    };
    let mut found: Vec<char> = ['a', 'A', '1', ' ', '-'].into_iter().filter(|c| contains(*c)).take(2).collect();
    if found.is_empty() {
        found.extend(match class {
            Class::Unicode(class) => class.iter().next().map(|range| range.start()),
            Class::Bytes(class) => class.iter().next().map(|range| char::from(range.start())),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_examples() {
        let first = |source: &str| samples(&Pattern::new(source).unwrap()).first().cloned();
        assert_eq!(first("^a+b{3}c?$").as_deref(), Some("abbb"));
        assert_eq!(first("(?i)acme (gmbh|inc)").as_deref(), Some("aCME GMBH"));
        assert_eq!(first(r"^\d{4}-\d{2}$").as_deref(), Some("1111-11"));
        assert_eq!(first(r"[^a-zA-Z0-9 -]").as_deref(), Some("\0"));
        assert_eq!(first(r"a\bb"), None, "nothing matches it");
        assert_eq!(first("x{2000}"), None, "too long");
    }
}
