//! The layers as they were written: every setting with its place, nothing judged but names.
//!
//! Owns reading TOML and variables. Knows which keys there are (`keys.rs`), not what they mean.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, position};
use super::keys;
use crate::model::spelling;

/// What every variable of ours begins with.
const PREFIX: &str = "ROLLCALL_";

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Whole(i64),
    /// A TOML boolean.
    Switch(bool),
    /// A TOML array.
    List(Vec<Given>),
    /// A variable's value: text that is read as the key asks.
    Variable(String),
    /// Something that no key takes, in words.
    Other(&'static str),
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    pub(super) written: Written,
    pub(super) place: Place,
}

/// One `[[roles]]` table.
#[derive(Debug, Clone)]
pub(super) struct GivenRole {
    pub(super) place: Place,
    pub(super) name: Option<Given>,
    pub(super) permissions: Option<Given>,
}

/// Every setting that was given, later layers over earlier ones.
#[derive(Debug, Default)]
pub(super) struct Layers {
    settings: BTreeMap<&'static str, Given>,
    sections: BTreeMap<&'static str, Place>,
    roles: Vec<GivenRole>,
}

impl Layers {
    /// What was given for a key.
    pub(super) fn get(&self, key: &str) -> Option<&Given> {
        debug_assert!(keys::known(key).is_some(), "`{key}` is missing in the list of keys");
        self.settings.get(key)
    }

    /// Where a section was first named; nothing if it is absent.
    pub(super) fn section(&self, name: &str) -> Option<&Place> {
        self.sections.get(name)
    }

    pub(super) fn roles(&self) -> &[GivenRole] {
        &self.roles
    }

    /// Adds a file's text. When it is not TOML, that alone is told and nothing of it counts.
    pub(super) fn add_file(&mut self, path: &Path, text: &str, mistakes: &mut Vec<ConfigError>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let file = File { path, text };
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            self.add_table(&file, "", table.get_ref(), mistakes);
            return;
        }
        for error in errors {
            let place = file.place(error.span().unwrap_or_default());
            mistakes.push(ConfigError::new(place, None, format!("not TOML: {}", error.message()), None));
        }
    }

    fn add_table(&mut self, file: &File<'_>, section: &str, table: &DeTable<'_>, mistakes: &mut Vec<ConfigError>) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            if path == keys::ROLES {
                self.add_roles(file, value, mistakes);
            } else if let Some(known) = keys::known(&path) {
                self.settings.insert(known, file.given(value));
            } else if let Some(known) = keys::known_section(&path) {
                self.add_section(file, known, key.span(), value, mistakes);
            } else {
                let message = if section.is_empty() && value.get_ref().is_table() {
                    "there is no such section"
                } else {
                    "there is no such key"
                };
                let hint = Some(keys::hint(section, name));
                mistakes.push(ConfigError::new(file.place(key.span()), Some(&path), message.to_owned(), hint));
            }
        }
    }

    fn add_section(
        &mut self,
        file: &File<'_>,
        section: &'static str,
        at: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        mistakes: &mut Vec<ConfigError>,
    ) {
        match value.get_ref() {
            DeValue::Table(inner) => {
                self.sections.insert(section, file.place(at));
                self.add_table(file, section, inner, mistakes);
            }
            _ => mistakes.push(ConfigError::new(
                file.place(value.span()),
                Some(section),
                "must be a section".to_owned(),
                Some(format!("write it as [{section}], its keys on the lines below")),
            )),
        }
    }

    fn add_roles(&mut self, file: &File<'_>, value: &Spanned<DeValue<'_>>, mistakes: &mut Vec<ConfigError>) {
        let items = value.get_ref().as_array().map_or(&[][..], |a| a.as_ref());
        let tables: Vec<_> = items.iter().filter_map(|i| i.get_ref().as_table().map(|t| (i.span(), t))).collect();
        if !value.get_ref().is_array() || tables.len() != items.len() {
            mistakes.push(ConfigError::new(
                file.place(value.span()),
                Some(keys::ROLES),
                "must be a list of sections".to_owned(),
                Some("write each role as [[roles]], its name and permissions on the lines below".to_owned()),
            ));
        }
        for (at, table) in tables {
            let mut role = GivenRole { place: file.place(at), name: None, permissions: None };
            for (key, value) in table {
                match key.get_ref().as_ref() {
                    "name" => role.name = Some(file.given(value)),
                    "permissions" => role.permissions = Some(file.given(value)),
                    other => mistakes.push(ConfigError::new(
                        file.place(key.span()),
                        Some(&format!("roles.{other}")),
                        "there is no such key".to_owned(),
                        Some(keys::hint(keys::ROLES, other)),
                    )),
                }
            }
            self.roles.push(role);
        }
    }

    /// Adds the variables that are ours: those of the form `ROLLCALL_<SECTION>__<KEY>`.
    pub(super) fn add_variables(
        &mut self,
        env: impl IntoIterator<Item = (String, String)>,
        mistakes: &mut Vec<ConfigError>,
    ) {
        for (name, value) in env {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|r| r.contains("__")) else { continue };
            let place = Place::Variable(name.clone());
            match key_of_variable(rest) {
                Some(key) => {
                    let section = keys::section_of(key);
                    self.sections.entry(section).or_insert_with(|| place.clone());
                    self.settings.insert(key, Given { written: Written::Variable(value), place });
                }
                None => {
                    let message = "there is no such key".to_owned();
                    mistakes.push(ConfigError::new(place, None, message, variable_hint(rest)));
                }
            }
        }
    }
}

/// `SERVER__LISTEN` → `server.listen`, if there is that key and a variable may set it.
fn key_of_variable(rest: &str) -> Option<&'static str> {
    keys::KEYS.iter().copied().filter(|k| keys::section_of(k) != keys::ROLES).find(|k| variable_of(k) == rest)
}

/// The part of the variable's name that follows the prefix.
fn variable_of(key: &str) -> String {
    key.replace('.', "__").to_uppercase()
}

fn variable_hint(rest: &str) -> Option<String> {
    if rest.starts_with("ROLES__") {
        return Some("roles are set in the file alone, as [[roles]]".to_owned());
    }
    let names: Vec<String> = keys::KEYS.iter().map(|k| variable_of(k)).collect();
    let near = spelling::nearest(rest, names.iter().map(String::as_str))?;
    Some(format!("did you mean `{PREFIX}{near}`?"))
}

/// The file that is being read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let (line, column) = position(self.text, span.start);
        Place::File { path: self.path.to_owned(), line, column }
    }

    fn given(&self, value: &Spanned<DeValue<'_>>) -> Given {
        written(value, &|span| self.place(span))
    }
}

/// A TOML value with the places of its parts.
fn written(value: &Spanned<DeValue<'_>>, place: &dyn Fn(Range<usize>) -> Place) -> Given {
    let written = match value.get_ref() {
        DeValue::String(text) => Written::Text(text.as_ref().to_owned()),
        DeValue::Boolean(on) => Written::Switch(*on),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Written::Whole(number),
            Err(_) => Written::Other("a number that is too large"),
        },
        DeValue::Array(items) => Written::List(items.iter().map(|i| written(i, place)).collect()),
        DeValue::Float(_) => Written::Other("a fractional number"),
        DeValue::Datetime(_) => Written::Other("a date"),
        DeValue::Table(_) => Written::Other("a section"),
    };
    Given { written, place: place(value.span()) }
}

/// The items of a list in a variable: a TOML array, or texts between commas.
pub(super) fn list_of_variable(text: &str, place: &Place) -> Result<Vec<Given>, String> {
    let text = text.trim();
    if text.starts_with('[') {
        let value = DeValue::parse(text).map_err(|e| format!("not a TOML array: {}", e.message()))?;
        let Written::List(items) = written(&value, &|_| place.clone()).written else { return Ok(Vec::new()) };
        return Ok(items);
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(|i| Given { written: Written::Text(i.to_owned()), place: place.clone() }).collect())
}
