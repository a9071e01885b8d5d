//! `integrations/*.toml`: a declared source of attributes.
//!
//! Owns the file's keys, field paths, and how a property gets its name. Knows nothing of payloads or stored values.
//! Invariant: within an [`Integration`] no two properties share a name or a field.
//!
//! The field of a property may be the user identifier too: then the identifier is also stored as an attribute, so that
//! rules can ask about it (`crm.Email.ends_with("@example.com")`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::FileError;
use super::document::{Document, Section};
use crate::model::{AttributeName, AttributeType, IntegrationId};

/// Longest field path, in bytes. Far above real ones; it bounds what looking one up can cost.
const MAX_PATH: usize = 512;
/// Most steps of a field path: each may be split or literal, so that looking one up tries many ways.
const MAX_STEPS: usize = 16;

/// A declared source of attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// Its id: the file's stem.
    pub id: IntegrationId,
    /// The name shown beside each of its attributes; by default the id.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// How its data come.
    pub kind: IntegrationKind,
    /// Where a record holds the end user's identifier.
    pub user_identifier: FieldPath,
    /// A disabled integration takes no data and hides what it has, and keeps its places under the cap.
    pub enabled: bool,
    /// The fields that are stored, in the file's order.
    pub properties: Vec<Property>,
    /// The properties' names, in their order.
    pub names: Arc<[AttributeName]>,
}

impl Integration {
    /// The property stored under that name.
    #[must_use]
    pub fn property(&self, name: &AttributeName) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == *name)
    }
}

/// How an integration's data come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IntegrationKind {
    /// By the End User Update API.
    Api,
    /// By batch upload.
    Csv,
}

/// One allow-listed field of an integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Where a record holds it.
    pub field: FieldPath,
    /// The name under which it is stored.
    pub name: AttributeName,
    /// The type as which it is stored.
    pub kind: AttributeType,
    /// What it is, for people.
    pub description: String,
}

/// Where a record holds a value: for `api` a dot-separated path in the payload, for `csv` a column's name. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(String);

/// Why a text is no field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldPathError {
    /// Nothing in it.
    #[error("a field's path is empty")]
    Empty,
    /// Two dots in a row, or one at an end.
    #[error("the path `{0}` has an empty step: between its dots, and before and after them, a key must stand")]
    EmptyStep(String),
    /// Over 512 bytes.
    #[error("a field's path has {0} bytes; at most {MAX_PATH} are allowed")]
    TooLong(usize),
    /// Over 16 steps.
    #[error("a field's path has {0} steps; at most {MAX_STEPS} are allowed")]
    TooDeep(usize),
}

impl FieldPath {
    /// A dot-separated path into a JSON payload.
    ///
    /// # Errors
    /// [`FieldPathError`] when it is empty, has an empty step, over 512 bytes or over 16 steps.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let path = Self::column(text)?;
        if path.steps().any(str::is_empty) {
            return Err(FieldPathError::EmptyStep(text.to_owned()));
        }
        match path.steps().count() {
            count if count > MAX_STEPS => Err(FieldPathError::TooDeep(count)),
            _ => Ok(path),
        }
    }

    /// A CSV column's name, in which a dot is a character like any other.
    ///
    /// # Errors
    /// [`FieldPathError`] when it is empty or over 512 bytes.
    pub fn column(text: &str) -> Result<Self, FieldPathError> {
        match text.len() {
            0 => Err(FieldPathError::Empty),
            count if count > MAX_PATH => Err(FieldPathError::TooLong(count)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The path as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path's steps: what stands between its dots.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The name that a property gets from its path: every character outside `[A-Za-z0-9_]` becomes `_`.
    #[must_use]
    pub fn default_name(&self) -> String {
        self.0.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An integration's file, read.
pub(super) struct ParsedIntegration {
    /// The integration, when the file has no mistake.
    pub(super) integration: Option<Integration>,
    /// Where each declared property begins (line, column), right or wrong: what counts under the cap.
    pub(super) places: Vec<(usize, usize)>,
    /// The file's mistakes.
    pub(super) errors: Vec<FileError>,
}

const KINDS: [(&str, IntegrationKind); 2] = [("api", IntegrationKind::Api), ("csv", IntegrationKind::Csv)];
const TYPES: [(&str, AttributeType); 3] =
    [("string", AttributeType::String), ("number", AttributeType::Number), ("date", AttributeType::Date)];

/// Reads an integration's file. `file` is its path relative to the rules folder.
pub(super) fn parse(id: &IntegrationId, file: String, text: &str) -> ParsedIntegration {
    let mut document = Document::new(file, text);
    let mut places = Vec::new();
    let read = document.parse().and_then(|table| read(id, &mut document, table.get_ref(), &mut places));
    let integration = read.filter(|_| document.errors.is_empty());
    ParsedIntegration { integration, places, errors: document.errors }
}

fn read(
    id: &IntegrationId,
    document: &mut Document<'_>,
    table: &toml::de::DeTable<'_>,
    places: &mut Vec<(usize, usize)>,
) -> Option<Integration> {
    let mut section = Section::new(table, 0);
    let name = section.filled(document, "name");
    let description = section.text(document, "description");
    let kind = section.choice(document, "kind", &KINDS).unwrap_or(IntegrationKind::Api);
    let user_identifier = read_path(document, &mut section, "user_identifier", kind);
    let enabled = section.flag(document, "enabled").unwrap_or(true);
    let mut seen = Seen::default();
    let mut properties = Vec::new();
    for property in section.tables(document, "properties") {
        places.push(document.position(property.at));
        properties.extend(read_property(document, property, kind, &mut seen));
    }
    section.finish(document);
    Some(Integration {
        id: id.clone(),
        name: name.map_or_else(|| id.to_string(), |name| name.value),
        description: description.map(|found| found.value).unwrap_or_default(),
        kind,
        user_identifier: user_identifier?.0,
        enabled,
        names: properties.iter().map(|property: &Property| property.name.clone()).collect(),
        properties,
    })
}

/// The lines at which names and fields were declared, to name the first of two.
#[derive(Default)]
struct Seen {
    names: HashMap<String, usize>,
    fields: HashMap<String, usize>,
}

fn read_path(
    document: &mut Document<'_>,
    section: &mut Section<'_, '_>,
    key: &'static str,
    kind: IntegrationKind,
) -> Option<(FieldPath, usize)> {
    let found = section.required(document, key)?;
    let path = match kind {
        IntegrationKind::Api => FieldPath::parse(&found.value),
        IntegrationKind::Csv => FieldPath::column(&found.value),
    };
    match path {
        Ok(path) => Some((path, found.span.start)),
        Err(error) => {
            document.error(found.span.start, format!("`{key}`: {error}"), None);
            None
        }
    }
}

fn read_property(
    document: &mut Document<'_>,
    mut section: Section<'_, '_>,
    kind: IntegrationKind,
    seen: &mut Seen,
) -> Option<Property> {
    let field = read_path(document, &mut section, "field", kind);
    let given = section.text(document, "name");
    let has_type = section.has("type");
    let attribute_type = section.choice(document, "type", &TYPES);
    if !has_type {
        let hint = Some("add `type = \"string\"`, `\"number\"` or `\"date\"`".to_owned());
        document.error(section.at, "the key `type` is missing", hint);
    }
    let description = section.text(document, "description").map(|found| found.value).unwrap_or_default();
    section.finish(document);

    let (field, field_at) = field?;
    told_twice(document, &mut seen.fields, field.as_str(), field_at, "field");
    let (name, name_at) = match given {
        Some(given) => (given.value, Some(given.span.start)),
        None => (field.default_name(), None),
    };
    let at = name_at.unwrap_or(field_at);
    let name = match AttributeName::new(&name) {
        Ok(name) => name,
        Err(error) if name_at.is_some() => {
            document.error(at, error.to_string(), None);
            return None;
        }
        Err(_) => {
            let message =
                format!("the name made from the field `{field}` would be `{name}`, which no attribute can have");
            let hint =
                "give the property a `name`: a letter or `_`, then letters, digits or `_`, at most 64 characters";
            document.error(at, message, Some(hint.to_owned()));
            return None;
        }
    };
    told_twice(document, &mut seen.names, name.as_str(), at, "name");
    Some(Property { field, name, kind: attribute_type?, description })
}

/// Tells a name or field that an earlier property has as well.
fn told_twice(document: &mut Document<'_>, seen: &mut HashMap<String, usize>, text: &str, at: usize, what: &str) {
    let (line, _) = document.position(at);
    match seen.get(text) {
        Some(first) => {
            let hint = (what == "name").then(|| "give one of the two another `name`".to_owned());
            document.error(at, format!("the {what} `{text}` is declared twice; the first time in line {first}"), hint);
        }
        None => {
            seen.insert(text.to_owned(), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ParsedIntegration {
        parse(&IntegrationId::new("crm").unwrap(), "default/integrations/crm.toml".to_owned(), text)
    }
    /// The mistakes as `line:column: message (hint)`.
    fn mistakes(text: &str) -> Vec<String> {
        let parsed = parsed(text);
        assert!(parsed.integration.is_none() || parsed.errors.is_empty());
        let prefix = "default/integrations/crm.toml:";
        parsed.errors.iter().map(|error| error.to_string().strip_prefix(prefix).unwrap().to_owned()).collect()
    }
    #[track_caller]
    fn only(text: &str, expected: &str) {
        let told = mistakes(text);
        assert!(told.len() == 1 && told[0].contains(expected), "expected `{expected}`, told: {told:#?}");
    }

    #[test]
    fn defaults_fill_what_is_not_written() {
        let read =
            parsed("user_identifier = \"Email\"\n[[properties]]\nfield = \"properties.ID-x\"\ntype = \"number\"\n");
        let integration = read.integration.unwrap();
        assert_eq!(
            (integration.name.as_str(), integration.kind, integration.enabled),
            ("crm", IntegrationKind::Api, true)
        );
        assert_eq!(integration.user_identifier.as_str(), "Email");
        let property = &integration.properties[0];
        assert_eq!((property.name.as_str(), property.kind), ("properties_ID_x", AttributeType::Number));
        assert_eq!(integration.property(&property.name), Some(property));
    }

    #[test]
    fn everything_written_is_read() {
        let read = parsed(
            "name = \"Batch\"\ndescription = \"d\"\nkind = \"csv\"\nuser_identifier = \"e.\"\nenabled = false\n\
             [[properties]]\nfield = \"e.\"\nname = \"Email\"\ntype = \"string\"\ndescription = \"as sent\"\n\
             [[properties]]\nfield = \"signup\"\ntype = \"date\"\n",
        );
        assert_eq!(read.errors, []);
        let integration = read.integration.unwrap();
        assert_eq!((integration.kind, integration.enabled), (IntegrationKind::Csv, false));
        assert_eq!(integration.properties[0].field, integration.user_identifier, "the identifier may be stored, too");
        assert_eq!(integration.properties[1].kind, AttributeType::Date);
        assert_eq!(integration.properties[0].description, "as sent");
    }

    #[test]
    fn each_mistake_is_told_at_its_place() {
        let good = "user_identifier = \"Email\"\n";
        only("", "1:1: the key `user_identifier` is missing");
        only("user_identifier = \"\"", "1:19: `user_identifier` is empty");
        only("user_identifier = \"a..b\"", "1:19: `user_identifier`: the path `a..b` has an empty step");
        only("user_identifier = 7", "1:19: `user_identifier` must be a string in quotes; here it is an integer");
        only(&format!("{good}naem = \"x\""), "2:1: unknown key `naem` (did you mean `name`?)");
        only(&format!("{good}zzz = 1"), "2:1: unknown key `zzz` (known here: name, description, kind,");
        only(
            &format!("{good}kind = \"API\""),
            "2:8: `kind` is \"API\"; it must be one of \"api\", \"csv\" (did you mean `api`?)",
        );
        only(&format!("{good}enabled = \"yes\""), "2:11: `enabled` must be `true` or `false`; here it is a string");
        only(
            &format!("{good}properties = 3"),
            "2:14: `properties` must be a list of tables, each begun by `[[properties]]`",
        );
        only(&format!("{good}properties = [3]"), "2:15: `properties` must be a list of tables");
        only(&format!("{good}[properties]\nfield = \"a\""), "`properties` must be a list of tables, each begun by");
        only(&format!("{good}name = \"a\"\nname = \"b\""), "3:1: this is not valid TOML: duplicate key");
        only("user_identifier = ", "1:19: this is not valid TOML");
        only(&format!("{good}name = \" \""), "2:8: `name` is empty");
    }

    #[test]
    fn each_mistake_in_a_property_is_told_at_its_place() {
        let property = |lines: &str| format!("user_identifier = \"Email\"\n[[properties]]\n{lines}");
        only(&property("type = \"string\""), "2:1: the key `field` is missing");
        only(&property("field = \"a\""), "2:1: the key `type` is missing (add `type = \"string\"`");
        only(&property("field = \"a\"\ntype = \"String\""), "4:8: `type` is \"String\"; it must be one of");
        only(&property("field = \"a.\"\ntype = \"date\""), "3:9: `field`: the path `a.` has an empty step");
        only(&property("field = \"a\"\ntype = \"date\"\nname = \"a b\""), "5:8: `a b` is no valid attribute name");
        only(&property("field = \"2fa\"\ntype = \"date\""), "3:9: the name made from the field `2fa` would be `2fa`");
        only(
            &property("field = \"a\"\ntype = \"date\"\nfeild = 1"),
            "5:1: unknown key `feild` (did you mean `field`?)",
        );
        let second = "field = \"a.b\"\ntype = \"date\"\n[[properties]]\ntype = \"date\"\n";
        only(
            &property(&format!("{second}field = \"a.b\"\nname = \"other\"")),
            "7:9: the field `a.b` is declared twice; the first time in line 3",
        );
        only(
            &property(&format!("{second}field = \"a_b\"")),
            "7:9: the name `a_b` is declared twice; the first time in line 3",
        );
        only(&property(&format!("{second}field = \"c\"\nname = \"a_b\"")), "8:8: the name `a_b` is declared twice");
    }

    #[test]
    fn all_mistakes_of_a_file_are_told_at_once() {
        let told = mistakes("kind = \"apo\"\nnam = 1\n[[properties]]\nfield = \"a\"\n[[properties]]\ntype = \"x\"\n");
        assert_eq!(told.len(), 6, "{told:#?}");
        let places = parsed("x = 1\n[[properties]]\n[[properties]]\n").places;
        assert_eq!(places, [(2, 1), (3, 1)], "wrong properties count, too");
    }

    #[test]
    fn a_path_is_never_empty_nor_endless() {
        assert_eq!(FieldPath::parse("a.b c.d").unwrap().steps().collect::<Vec<_>>(), ["a", "b c", "d"]);
        assert_eq!(FieldPath::parse(""), Err(FieldPathError::Empty));
        assert!(FieldPath::parse(&vec!["a"; 16].join(".")).is_ok());
        assert_eq!(FieldPath::parse(&vec!["a"; 17].join(".")), Err(FieldPathError::TooDeep(17)));
        assert_eq!(FieldPath::column(&"a".repeat(513)), Err(FieldPathError::TooLong(513)));
        assert_eq!(FieldPath::column("a..b.").unwrap().as_str(), "a..b.");
    }
}
