//! A TOML file read strictly: every mistake with its place, none hidden behind the first.
//!
//! Owns places (lines and columns from 1, columns in characters), unknown keys, wrong types and did-you-mean. Knows no
//! key of any file. Invariant: a value that a [`Section`] hands out has the type asked for, and a key that nobody
//! asked for is an error.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FileError;
use crate::model::spelling;

/// A file being read, and the mistakes found in it.
pub(super) struct Document<'t> {
    file: String,
    text: &'t str,
    /// The mistakes so far.
    pub(super) errors: Vec<FileError>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    /// Its place as byte offsets, delimiters included.
    pub(super) span: Range<usize>,
}

/// One table of a document: hands out its values, then finds what nobody asked for.
pub(super) struct Section<'d, 't> {
    table: &'d DeTable<'t>,
    /// Where a missing key is told.
    pub(super) at: usize,
    known: Vec<&'static str>,
}

impl<'t> Document<'t> {
    /// A document that has not been parsed yet. `file` is told in its mistakes.
    pub(super) fn new(file: String, text: &'t str) -> Self {
        Self { file, text, errors: Vec::new() }
    }

    /// Parses the text; `None` when it is no TOML at all, with every such mistake told.
    pub(super) fn parse(&mut self) -> Option<Spanned<DeTable<'t>>> {
        let (table, mistakes) = DeTable::parse_recoverable(self.text);
        let mut last_line = 0;
        for mistake in &mistakes {
            let (line, column) = position(self.text, mistake.span().map_or(0, |span| span.start));
            // The parser goes on after a mistake; what else it finds on the same line follows from the first.
            if line != last_line {
                self.errors.push(FileError {
                    file: self.file.clone(),
                    line,
                    column,
                    message: format!("this is not valid TOML: {}", mistake.message()),
                    hint: None,
                });
            }
            last_line = line;
        }
        mistakes.is_empty().then_some(table)
    }

    /// Tells a mistake at a byte offset.
    pub(super) fn error(&mut self, at: usize, message: impl Into<String>, hint: Option<String>) {
        let (line, column) = position(self.text, at);
        self.errors.push(FileError { file: self.file.clone(), line, column, message: message.into(), hint });
    }

    /// The line and column of a byte offset, both from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        position(self.text, at)
    }

    /// The byte offset of a place within a text value, where the value stands in the file as it reads (no escapes);
    /// else where the value begins.
    pub(super) fn place_within(&self, value: &Found<String>, line: usize, column: usize) -> usize {
        let raw = self.text.get(value.span.clone()).unwrap_or_default();
        let opening = if raw.starts_with("'''") || raw.starts_with("\"\"\"") {
            let newline = raw.get(3..).map_or(0, |rest| match rest.as_bytes() {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                _ => 0,
            });
            3 + newline
        } else {
            1
        };
        if !raw.get(opening..).is_some_and(|rest| rest.starts_with(&value.value)) {
            return value.span.start;
        }
        value.span.start + opening + offset(&value.value, line, column)
    }
}

impl<'d, 't> Section<'d, 't> {
    /// A table, and where its missing keys are told.
    pub(super) fn new(table: &'d DeTable<'t>, at: usize) -> Self {
        Self { table, at, known: Vec::new() }
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// A text, if the key is there.
    pub(super) fn text(&mut self, document: &mut Document<'_>, key: &'static str) -> Option<Found<String>> {
        let found = self.find(key)?;
        if let DeValue::String(text) = found.get_ref() {
            return Some(Found { value: text.clone().into_owned(), span: found.span() });
        }
        wrong_type(document, key, found, "a string in quotes");
        None
    }

    /// A text with something in it, if the key is there.
    pub(super) fn filled(&mut self, document: &mut Document<'_>, key: &'static str) -> Option<Found<String>> {
        let found = self.text(document, key)?;
        if found.value.trim().is_empty() {
            document.error(found.span.start, format!("`{key}` is empty"), None);
            return None;
        }
        Some(found)
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, document: &mut Document<'_>, key: &'static str) -> Option<Found<String>> {
        if !self.has(key) {
            self.known.push(key);
            document.error(self.at, format!("the key `{key}` is missing"), None);
            return None;
        }
        self.filled(document, key)
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// `true` or `false`, if the key is there.
    pub(super) fn flag(&mut self, document: &mut Document<'_>, key: &'static str) -> Option<bool> {
        let found = self.find(key)?;
        if let DeValue::Boolean(flag) = found.get_ref() {
            return Some(*flag);
        }
        wrong_type(document, key, found, "`true` or `false`");
        None
    }

    /// One of some words, if the key is there.
    pub(super) fn choice<T: Copy>(
        &mut self,
        document: &mut Document<'_>,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let found = self.text(document, key)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == found.value) {
            return Some(*choice);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let listed = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        document.error(
            found.span.start,
            format!("`{key}` is \"{}\"; it must be one of {listed}", found.value),
            did_you_mean(&found.value, words),
        );
        None
    }

    /// The tables of `[[key]]`, each as a section.
    pub(super) fn tables(&mut self, document: &mut Document<'_>, key: &'static str) -> Vec<Section<'d, 't>> {
        let Some(found) = self.find(key) else { return Vec::new() };
        let DeValue::Array(items) = found.get_ref() else {
            wrong_type(document, key, found, &format!("a list of tables, each begun by `[[{key}]]`"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Section::new(table, item.span().start)),
                _ => wrong_type(document, key, item, &format!("a list of tables, each begun by `[[{key}]]`")),
            }
        }
        sections
    }

    /// Tells every key that was not asked for.
    pub(super) fn finish(self, document: &mut Document<'_>) {
        for (key, _) in self.table.iter() {
            let word = key.get_ref().as_ref();
            if !self.known.contains(&word) {
                let hint = did_you_mean(word, self.known.iter().copied())
                    .or_else(|| Some(format!("known here: {}", self.known.join(", "))));
                document.error(key.span().start, format!("unknown key `{word}`"), hint);
            }
        }
    }
}

fn wrong_type(document: &mut Document<'_>, key: &str, found: &Spanned<DeValue<'_>>, wanted: &str) {
    let (is, at) = (found.get_ref().type_str(), found.span().start);
    let article = if is.starts_with(['a', 'i']) { "an" } else { "a" };
    document.error(at, format!("`{key}` must be {wanted}; here it is {article} {is}"), None);
}

/// "did you mean …?", when one of the words is near enough.
pub(super) fn did_you_mean<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    spelling::nearest(word, words).map(|near| format!("did you mean `{near}`?"))
}

/// The line and column of a byte offset, both from 1, columns in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// The byte offset of a line and column, both from 1; the nearest place when there is no such one.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let within: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    start + within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        assert_eq!(position("ab\ncd", 0), (1, 1));
        assert_eq!(position("ab\ncd", 4), (2, 2));
        assert_eq!(position("é\r\nüx", 6), (2, 2), "columns are characters, not bytes");
        assert_eq!(position("ab", 99), (1, 3));
        assert_eq!(offset("ab\ncéd", 2, 3), 6);
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        assert_eq!(
            did_you_mean("user_idenifier", ["name", "user_identifier"]).unwrap(),
            "did you mean `user_identifier`?"
        );
        assert_eq!(did_you_mean("Name", ["name", "kind"]).unwrap(), "did you mean `name`?");
        assert_eq!(did_you_mean("colour", ["name", "kind"]), None);
    }

    #[test]
    fn a_place_within_a_value_is_found_in_every_way_of_quoting() {
        for (text, value, line, column, expected) in [
            ("rule = 'crm.A == 1'", "crm.A == 1", 1, 5, (1, 13)),
            ("rule = \"crm.A\"", "crm.A", 1, 5, (1, 13)),
            ("rule = '''\ncrm.A\n&& x'''", "crm.A\n&& x", 2, 4, (3, 4)),
            ("rule = \"a\\\"b\"", "a\"b", 1, 3, (1, 8)),
        ] {
            let document = Document::new(String::new(), text);
            let found = Found { value: value.to_owned(), span: 7..text.len() };
            assert_eq!(document.position(document.place_within(&found, line, column)), expected, "{text}");
        }
    }
}
