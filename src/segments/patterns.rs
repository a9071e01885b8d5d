//! Regular expressions of rules: the `regex` crate's dialect, of bounded size, compiled once.
//!
//! Owns the cache of compiled patterns, shared by all threads. Invariant: the cache holds at most [`CACHED`] patterns.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use regex::{Regex, RegexBuilder};

use super::limits::PATTERN_BYTES;

/// Most patterns that stay compiled. When one more comes, all are dropped: simpler than an order of use, and rules
/// that are live bring theirs back at once.
const CACHED: usize = 256;

static CACHE: LazyLock<RwLock<HashMap<Arc<str>, Arc<Regex>>>> = LazyLock::new(RwLock::default);

/// Whether the text has a match anywhere; an error says what is wrong with the pattern.
pub(super) fn is_match(text: &str, pattern: &str) -> Result<bool, String> {
    compiled(pattern).map(|regex| regex.is_match(text))
}

/// Compiles the pattern, or finds it compiled.
pub(super) fn compiled(pattern: &str) -> Result<Arc<Regex>, String> {
    if let Some(regex) = CACHE.read().get(pattern) {
        return Ok(Arc::clone(regex));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(2 * PATTERN_BYTES)
        .build()
        .map(Arc::new)
        .map_err(|error| message(pattern, &error))?;
    let mut cache = CACHE.write();
    if cache.len() >= CACHED {
        cache.clear();
    }
    cache.insert(Arc::from(pattern), Arc::clone(&regex));
    Ok(regex)
}

fn message(pattern: &str, error: &regex::Error) -> String {
    let shown: String = pattern.chars().take(60).collect();
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!(
                "the regular expression `{shown}` is too large: write smaller repetitions, or `[A-Za-z0-9_]` for `\\w`"
            )
        }
        // The crate's message draws the pattern over several lines; its last line says what is wrong.
        error => {
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("`{shown}` is no regular expression: {what}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_anywhere_and_says_what_is_wrong() {
        assert_eq!(is_match("an acme shop", "(?i)ACME"), Ok(true));
        assert_eq!(is_match("acme", "^cme"), Ok(false));
        assert_eq!(is_match("a", "(a"), Err("`(a` is no regular expression: unclosed group".to_owned()));
        assert!(is_match("a", r"\w{5000}").unwrap_err().contains("too large"));
    }

    #[test]
    fn the_cache_is_bounded() {
        for n in 0..CACHED * 2 {
            assert_eq!(is_match(&n.to_string(), &format!("^{n}$")), Ok(true));
            assert!(CACHE.read().len() <= CACHED);
        }
    }
}
