//! What an integration could import, proposed from a sample of what will be sent: a call's body, records, or CSV rows.
//!
//! Owns the guesses: which type fits every value of a field, what its attribute could be called, which field names the
//! end user. Knows no form and no file. Invariant: every proposed field, name and type is one that a rule file may have,
//! and each value of the sample coerces to the type of its field.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use super::imports::sample;
use super::json::{Members, Node, Place};
use crate::model::{AttributeName, AttributeType, EndUserId, Input, Limits};
use crate::ruleset::{FieldPath, IntegrationKind};

/// Most records that are looked at.
const MOST_RECORDS: usize = 1_000;
/// Most fields that are proposed; a system holds at most 100 attributes, so more is a mistake.
const MOST_FIELDS: usize = 500;
/// Values shown of a field.
const SHOWN: usize = 3;
/// Longest value shown, in characters.
const SHOWN_CHARS: usize = 40;
/// Longest name of an attribute, in bytes.
const MOST_NAME: usize = 64;

/// What a sample proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// `Api` for JSON, `Csv` for rows.
    pub kind: IntegrationKind,
    /// How many records the sample has.
    pub records: usize,
    /// The field that names the end user, if one looks like it.
    pub identifier: Option<String>,
    /// The fields that can be imported, in the order in which they come, that of the identifier among them.
    pub fields: Vec<ProposedField>,
    /// Those that can't, each with why.
    pub left_out: Vec<LeftOut>,
}

/// A field that can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedField {
    /// Its path, or its column.
    pub field: String,
    /// What its attribute could be called.
    pub name: String,
    /// The narrowest type that every value fits.
    pub kind: AttributeType,
    /// Some of its values.
    pub examples: Vec<String>,
}

/// A field that can't be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path, or its column.
    pub field: String,
    /// Why.
    pub why: String,
}

/// Why a sample proposes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// There is nothing in it.
    #[error("the sample is empty: paste a record as it will be sent")]
    Empty,
    /// It is no JSON, or no records.
    #[error("the sample is no record: {0}")]
    NoRecord(String),
    /// It is no CSV.
    #[error("the sample is neither JSON nor CSV: {0}")]
    NoRows(String),
}

/// Looks through a sample: an object, a list of objects, an update call, or a CSV header with rows.
///
/// # Errors
/// [`ProposalError`].
pub fn propose(text: &str) -> Result<Proposal, ProposalError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut fields = Fields::default();
    let kind = match text.chars().next() {
        None => return Err(ProposalError::Empty),
        Some('{' | '[') => {
            for record in records(text)? {
                fields.records += 1;
                let node = Node::read(record, Place::Top("")).map_err(|error| ProposalError::NoRecord(error.detail))?;
                let Node::Object(_) = &node else {
                    return Err(ProposalError::NoRecord("each record must be an object in braces".to_owned()));
                };
                fields.take(&node, "");
            }
            IntegrationKind::Api
        }
        Some(_) => {
            fields.take_rows(&sample(text).map_err(ProposalError::NoRows)?)?;
            IntegrationKind::Csv
        }
    };
    Ok(fields.proposal(kind))
}

/// The records of a JSON text: itself, its items, or what it has as `data`.
fn records(text: &str) -> Result<Vec<&RawValue>, ProposalError> {
    let wrong = |error: serde_json::Error| ProposalError::NoRecord(error.to_string());
    let mut records = if text.starts_with('[') {
        serde_json::from_str::<Vec<&RawValue>>(text).map_err(wrong)?
    } else {
        let Members(members) = serde_json::from_str(text).map_err(wrong)?;
        let data = members.iter().find(|(key, value)| key == "data" && value.get().starts_with('['));
        let others = members.iter().all(|(key, _)| key == "data" || key == "token");
        match data {
            Some((_, data)) if others => serde_json::from_str::<Vec<&RawValue>>(data.get()).map_err(wrong)?,
            _ => vec![serde_json::from_str::<&RawValue>(text).map_err(wrong)?],
        }
    };
    records.truncate(MOST_RECORDS);
    if records.is_empty() { Err(ProposalError::Empty) } else { Ok(records) }
}

/// What is known of a field so far.
#[derive(Debug, Default)]
struct Field {
    number: bool,
    date: bool,
    values: usize,
    distinct: HashSet<String>,
    examples: Vec<String>,
    /// Values that could be an identifier, and those that look like an address.
    identifiers: usize,
    emails: usize,
    /// Why it can't be stored.
    wrong: Option<String>,
}

#[derive(Debug, Default)]
struct Fields {
    order: Vec<String>,
    known: HashMap<String, Field>,
    records: usize,
}

impl Fields {
    fn take(&mut self, node: &Node<'_>, path: &str) {
        let input = match node {
            Node::Object(members) => {
                if members.is_empty() && !path.is_empty() {
                    self.refuse(path, "an empty object has no value");
                }
                for (key, member) in members {
                    let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
                    self.take(member, &path);
                }
                return;
            }
            Node::Array(_) => return self.refuse(path, "a list is never stored: send one value"),
            Node::Null => return self.refuse(path, "a `null` makes a whole call illegal: leave such a field out"),
            Node::Boolean(flag) => Input::Boolean(*flag),
            Node::Number(number) => Input::Number(number),
            Node::Text(text) => Input::Text(text),
        };
        self.value(path, input);
    }

    fn take_rows(&mut self, rows: &[Vec<String>]) -> Result<(), ProposalError> {
        let Some((header, rows)) = rows.split_first() else { return Err(ProposalError::Empty) };
        if let [only] = header.as_slice() {
            let why = match only.contains(';') {
                true => "its columns are separated by semicolons; save it as CSV with commas".to_owned(),
                false => "it has one column; there must be one for the end user, and others".to_owned(),
            };
            return Err(ProposalError::NoRows(why));
        }
        self.records = rows.len();
        for (at, column) in header.iter().enumerate() {
            if self.known.contains_key(column) {
                return Err(ProposalError::NoRows(format!("the column `{column}` stands twice in its header")));
            }
            self.field(column);
            for cell in rows.iter().filter_map(|row| row.get(at)).filter(|cell| !cell.is_empty()) {
                self.value(column, Input::Text(cell));
            }
        }
        Ok(())
    }

    fn field(&mut self, path: &str) -> &mut Field {
        if !self.known.contains_key(path) {
            self.order.push(path.to_owned());
        }
        let new = || Field { number: true, date: true, ..Field::default() };
        self.known.entry(path.to_owned()).or_insert_with(new)
    }

    fn refuse(&mut self, path: &str, why: &str) {
        self.field(path).wrong.get_or_insert_with(|| why.to_owned());
    }

    fn value(&mut self, path: &str, input: Input<'_>) {
        const LIMITS: Limits = Limits { string_bytes: usize::MAX };
        let fits = |kind| input.coerce(kind, LIMITS).is_ok();
        // `007` is a number to the coercion table, but no longer what was sent.
        let is_code = |text: &str| text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
        let number = fits(AttributeType::Number) && !matches!(input, Input::Text(text) if is_code(text.trim()));
        let date = fits(AttributeType::Date);
        let text = match input {
            Input::Text(text) | Input::Number(text) => text,
            Input::Boolean(true) => "true",
            Input::Boolean(false) => "false",
            Input::Array | Input::Object => "",
        };
        let names = !matches!(input, Input::Boolean(_)) && !date && EndUserId::new(text).is_ok();
        let field = self.field(path);
        field.values += 1;
        field.number &= number;
        field.date &= date;
        field.identifiers += usize::from(names);
        field.emails += usize::from(is_email(text));
        if field.distinct.insert(text.to_owned()) && field.examples.len() < SHOWN {
            let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            field.examples.push(shown);
        }
    }

    fn proposal(self, kind: IntegrationKind) -> Proposal {
        let mut proposal =
            Proposal { kind, records: self.records, identifier: None, fields: Vec::new(), left_out: Vec::new() };
        let (mut names, mut best) = (HashSet::new(), 0);
        for path in self.order.into_iter().take(MOST_FIELDS) {
            let Some(field) = self.known.get(&path) else { continue };
            let parsed = match kind {
                IntegrationKind::Api => FieldPath::parse(&path),
                IntegrationKind::Csv => FieldPath::column(&path),
            };
            let why = match (&field.wrong, &parsed) {
                (Some(why), _) => Some(why.clone()),
                (None, Err(error)) => Some(error.to_string()),
                (None, Ok(_)) => None,
            };
            let (Ok(parsed), None) = (parsed, why.clone()) else {
                proposal.left_out.push(LeftOut { field: path, why: why.unwrap_or_default() });
                continue;
            };
            let score = field.identifier_score(&path);
            if score > best {
                (best, proposal.identifier) = (score, Some(path.clone()));
            }
            let (name, kind) = (attribute_name(&parsed, &mut names), field.kind());
            proposal.fields.push(ProposedField { field: path, name, kind, examples: field.examples.clone() });
        }
        proposal
    }
}

impl Field {
    /// A date before a number before a text; a column without values is a text.
    fn kind(&self) -> AttributeType {
        match (self.values, self.date, self.number) {
            (1.., true, _) => AttributeType::Date,
            (1.., _, true) => AttributeType::Number,
            _ => AttributeType::String,
        }
    }

    /// How much the field looks like the end user's identifier; 0: not at all.
    fn identifier_score(&self, path: &str) -> u32 {
        const WORDS: [&str; 12] = [
            "id",
            "userid",
            "uid",
            "uuid",
            "guid",
            "identifier",
            "username",
            "login",
            "customerid",
            "contactid",
            "externalid",
            "enduserid",
        ];
        if self.identifiers < self.values {
            return 0;
        }
        let last = path.rsplit('.').next().unwrap_or_default().to_lowercase();
        let word: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
        let by_name = match word.as_str() {
            word if word.contains("email") || word == "mail" => 4,
            word if WORDS.contains(&word) => 3,
            word if word.ends_with("id") => 1,
            _ => 0,
        };
        let by_value = if self.values > 0 && self.emails == self.values { 4 } else { 0 };
        let score = by_name + by_value;
        // Who is in a sample twice is rare.
        if self.distinct.len() < self.values { score / 2 } else { score }
    }
}

/// A name that an attribute can have and none of the others has.
fn attribute_name(path: &FieldPath, taken: &mut HashSet<String>) -> String {
    let mut name = path.default_name();
    if AttributeName::new(&name).is_err() && !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        name.insert(0, '_');
    }
    name.truncate(MOST_NAME);
    let mut free = name.clone();
    for number in 2.. {
        if taken.insert(free.clone()) {
            break;
        }
        let suffix = format!("_{number}");
        free = name.clone();
        free.truncate(MOST_NAME - suffix.len());
        free.push_str(&suffix);
    }
    free
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    !local.is_empty() && domain.contains('.') && !domain.contains(['@', ' ']) && !domain.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(proposal: &Proposal) -> Vec<(&str, &str, AttributeType)> {
        proposal.fields.iter().map(|field| (field.field.as_str(), field.name.as_str(), field.kind)).collect()
    }

    const STRING: AttributeType = AttributeType::String;
    const NUMBER: AttributeType = AttributeType::Number;
    const DATE: AttributeType = AttributeType::Date;

    #[test]
    fn one_record_proposes_a_field_for_every_value() {
        let proposal = propose(
            r#"{"properties.ID": "name@company.com", "field1": "value", "field2": 123,
                "nested": {"field": 456, "since": "2026-02-28"}, "paying": true, "tags": ["a"], "2fa": "on"}"#,
        )
        .unwrap();
        assert_eq!(proposal.identifier.as_deref(), Some("properties.ID"));
        assert_eq!(
            fields(&proposal),
            [
                ("properties.ID", "properties_ID", STRING),
                ("field1", "field1", STRING),
                ("field2", "field2", NUMBER),
                ("nested.field", "nested_field", NUMBER),
                ("nested.since", "nested_since", DATE),
                ("paying", "paying", STRING),
                ("2fa", "_2fa", STRING),
            ]
        );
        assert_eq!(proposal.left_out[0].field, "tags");
        assert_eq!((proposal.kind, proposal.records), (IntegrationKind::Api, 1));
    }

    #[test]
    fn a_type_fits_every_record() {
        let proposal = propose(
            r#"[{"a": 1, "b": "2026-01-01", "c": "1e3", "d": "007", "e": "2026-01-01T10:00:00Z"},
                {"a": "x", "b": "soon", "c": 5, "d": "1", "e": "2024-02-29", "f": null}]"#,
        )
        .unwrap();
        let kinds: Vec<_> = proposal.fields.iter().map(|field| field.kind).collect();
        assert_eq!(kinds, [STRING, STRING, NUMBER, STRING, DATE]);
        assert_eq!(proposal.fields[0].examples, ["1", "x"]);
        assert!(proposal.left_out[0].why.contains("null"));
        assert_eq!(proposal.identifier, None);
    }

    #[test]
    fn a_pasted_call_is_looked_into() {
        let call = r#"{"token": "x", "data": [{"Email": "John@a.com", "Status": "New"}, {"Email": "Bill@a.com"}]}"#;
        let proposal = propose(call).unwrap();
        assert_eq!(fields(&proposal), [("Email", "Email", STRING), ("Status", "Status", STRING)]);
        assert_eq!((proposal.identifier.as_deref(), proposal.records), (Some("Email"), 2));
        let record = propose(r#"{"data": [1], "user_id": 7}"#).unwrap();
        assert_eq!(
            (fields(&record), record.identifier.as_deref()),
            (vec![("user_id", "user_id", NUMBER)], Some("user_id"))
        );
    }

    #[test]
    fn rows_propose_their_columns() {
        let proposal = propose("Customer ID,Seats,First.Seen,Note\n17,5,2026-01-01,\n18,,2026-01-02,\n").unwrap();
        assert_eq!(
            fields(&proposal),
            [
                ("Customer ID", "Customer_ID", NUMBER),
                ("Seats", "Seats", NUMBER),
                ("First.Seen", "First_Seen", DATE),
                ("Note", "Note", STRING),
            ]
        );
        assert_eq!((proposal.kind, proposal.identifier.as_deref()), (IntegrationKind::Csv, Some("Customer ID")));
    }

    #[test]
    fn names_do_not_collide() {
        let proposal = propose(r#"{"a b": 1, "a_b": 2, "a": {"b": 3}, "a.b": 4}"#).unwrap();
        let names: Vec<_> = proposal.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["a_b", "a_b_2", "a_b_3"], "a literal key and a nested one are one field");
        let long = propose(&format!("{{\"{0}1\": 1, \"{0}2\": 2}}", "x".repeat(80))).unwrap();
        assert!(long.fields.iter().all(|field| AttributeName::new(&field.name).is_ok()));
    }

    #[test]
    fn what_is_no_sample_is_told_why() {
        let told = |text: &str| propose(text).unwrap_err().to_string();
        assert!(told("  ").contains("empty") && told("[]").contains("empty"));
        assert!(told("{\"a\": ").contains("EOF"));
        assert!(told("[1]").contains("must be an object"));
        assert!(told("{\"a\": 1, \"a\": 2}").contains("stands twice"));
        assert!(told("hello").contains("one column") && told("a;b\n1;2").contains("semicolons"));
        assert!(told("a,a\n1,2").contains("stands twice"));
        assert!(propose(r#"{"a..b": 1}"#).unwrap().left_out[0].why.contains("empty step"));
    }
}
