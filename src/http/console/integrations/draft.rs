//! An integration as fields of a form: read from it, filled from a file, and completed by what a sample proposes.
//!
//! Judges nothing: a draft becomes a file, which is checked as every file is. Invariant: a form that is shown again has
//! everything that was typed into it.

use super::super::form::Form;
use crate::intake::{LeftOut, propose};
use crate::model::{ATTRIBUTE_CAP, AttributeType};
use crate::ruleset::{FieldPath, Integration, IntegrationForm, IntegrationKind, PropertyForm};

/// Most rows that a form may send: far above the cap, below what costs anything.
const MOST_ROWS: usize = 500;
/// Empty rows that a new form offers.
const OFFERED: usize = 3;

/// One field that can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Whether it is to be.
    pub(super) used: bool,
    pub(super) field: String,
    /// The attribute's name; empty: made from the field.
    pub(super) name: String,
    pub(super) kind: AttributeType,
    pub(super) description: String,
    /// Some of its values in the sample.
    pub(super) examples: String,
}

impl Row {
    fn empty() -> Self {
        Self {
            used: true,
            field: String::new(),
            name: String::new(),
            kind: AttributeType::String,
            description: String::new(),
            examples: String::new(),
        }
    }

    /// The name that the attribute gets when none is given.
    pub(super) fn default_name(&self) -> String {
        FieldPath::column(&self.field).map(|path| path.default_name()).unwrap_or_default()
    }
}

/// An integration that is being made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) kind: IntegrationKind,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) id: String,
    pub(super) user_identifier: String,
    pub(super) sample: String,
    pub(super) rows: Vec<Row>,
    /// Fields of the sample that can't be imported.
    pub(super) left_out: Vec<LeftOut>,
}

impl Draft {
    /// A new one.
    pub(super) fn new(kind: IntegrationKind) -> Self {
        let text = String::new;
        let (name, description, id, user_identifier, sample) = (text(), text(), text(), text(), text());
        Self { kind, name, description, id, user_identifier, sample, rows: Vec::new(), left_out: Vec::new() }
    }

    /// One that there is.
    pub(super) fn of(integration: &Integration) -> Self {
        let form = IntegrationForm::from(integration);
        let row = |property: PropertyForm| Row {
            used: true,
            field: property.field,
            name: property.name,
            kind: property.kind,
            description: property.description,
            examples: String::new(),
        };
        Self {
            kind: form.kind,
            name: form.name,
            description: form.description,
            id: integration.id.to_string(),
            user_identifier: form.user_identifier,
            sample: String::new(),
            rows: form.properties.into_iter().map(row).collect(),
            left_out: Vec::new(),
        }
    }

    /// What a form says.
    pub(super) fn read(form: &Form) -> Self {
        let used: Vec<usize> = form.all("used").filter_map(|at| at.parse().ok()).collect();
        let columns = ["attribute", "type", "about", "example"].map(|name| form.all(name).collect::<Vec<_>>());
        let text = |column: usize, at: usize| -> &str {
            columns.get(column).and_then(|column| column.get(at)).copied().unwrap_or_default()
        };
        let rows = form.all("field").take(MOST_ROWS).enumerate().map(|(at, field)| Row {
            used: used.contains(&at),
            field: field.to_owned(),
            name: text(0, at).trim().to_owned(),
            kind: kind_of(text(1, at)),
            description: text(2, at).trim().to_owned(),
            examples: text(3, at).to_owned(),
        });
        Self {
            kind: if form.field("kind") == "csv" { IntegrationKind::Csv } else { IntegrationKind::Api },
            name: form.field("name").to_owned(),
            description: form.field("description").to_owned(),
            id: form.field("id").to_owned(),
            user_identifier: form.raw("user_identifier").to_owned(),
            sample: form.raw("sample").to_owned(),
            rows: rows.collect(),
            left_out: Vec::new(),
        }
    }

    /// Takes over what the sample proposes for fields that are not there yet, as far as there is room for attributes.
    pub(super) fn complete(&mut self, room: usize) -> Result<(), String> {
        let proposal = propose(&self.sample).map_err(|error| error.to_string())?;
        self.rows.retain(|row| !row.field.is_empty() || !row.name.is_empty());
        let identifier = match (self.user_identifier.is_empty(), proposal.identifier) {
            (true, Some(identifier)) => {
                self.user_identifier.clone_from(&identifier);
                identifier
            }
            _ => self.user_identifier.clone(),
        };
        for field in proposal.fields {
            let examples = field.examples.join(", ");
            if let Some(row) = self.rows.iter_mut().find(|row| row.field == field.field) {
                row.examples = examples;
                continue;
            }
            let taken = self.rows.iter().filter(|row| row.used).count();
            let used = field.field != identifier && taken < room;
            let (field, name, kind) = (field.field, field.name, field.kind);
            self.rows.push(Row { used, field, name, kind, description: String::new(), examples });
        }
        self.left_out = proposal.left_out;
        Ok(())
    }

    /// Another empty row.
    pub(super) fn add_row(&mut self) {
        self.rows.push(Row::empty());
    }

    /// Some empty rows, where there are none.
    pub(super) fn offer_rows(&mut self) {
        if self.rows.is_empty() {
            self.rows = vec![Row::empty(); OFFERED];
        }
    }

    /// What is to become the file. Rows without a field say nothing.
    pub(super) fn to_form(&self, enabled: bool) -> IntegrationForm {
        let rows = self.rows.iter().filter(|row| row.used && !row.field.is_empty());
        let property = |row: &Row| PropertyForm {
            field: row.field.clone(),
            name: row.name.clone(),
            kind: row.kind,
            description: row.description.clone(),
        };
        IntegrationForm {
            name: self.name.clone(),
            description: self.description.clone(),
            kind: self.kind,
            user_identifier: self.user_identifier.clone(),
            enabled,
            properties: rows.map(property).collect(),
        }
    }

    pub(super) fn is_csv(&self) -> bool {
        self.kind == IntegrationKind::Csv
    }
}

/// How many attributes more a system may have.
pub(super) fn room(used: usize) -> usize {
    ATTRIBUTE_CAP.saturating_sub(used)
}

fn kind_of(word: &str) -> AttributeType {
    AttributeType::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(AttributeType::String)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_row_by_row() {
        let form = Form::of(&[
            ("kind", "api"),
            ("name", " CRM "),
            ("user_identifier", "Email"),
            ("used", "1"),
            ("field", "Email"),
            ("attribute", ""),
            ("type", "string"),
            ("field", "Seats"),
            ("attribute", "seats"),
            ("type", "number"),
        ]);
        let draft = Draft::read(&form);
        assert_eq!((draft.name.as_str(), draft.rows.len()), ("CRM", 2));
        let made = draft.to_form(true);
        assert_eq!(made.properties.len(), 1);
        assert_eq!((made.properties[0].name.as_str(), made.properties[0].kind), ("seats", AttributeType::Number));
    }

    #[test]
    fn a_sample_completes_and_overwrites_nothing() {
        let mut draft = Draft::new(IntegrationKind::Api);
        draft.offer_rows();
        draft.rows[0].field = "Seats".to_owned();
        draft.rows[0].name = "chairs".to_owned();
        draft.sample = r#"{"Email": "a@b.example", "Seats": 5, "Type": "x"}"#.to_owned();
        draft.complete(100).unwrap();
        assert_eq!(draft.user_identifier, "Email");
        let rows: Vec<_> = draft.rows.iter().map(|row| (row.field.as_str(), row.name.as_str(), row.used)).collect();
        assert_eq!(rows, [("Seats", "chairs", true), ("Email", "Email", false), ("Type", "Type", true)]);
        draft.user_identifier = "Type".to_owned();
        draft.complete(100).unwrap();
        assert_eq!((draft.user_identifier.as_str(), draft.rows.len()), ("Type", 3));
        let mut full = Draft { rows: Vec::new(), ..draft };
        full.complete(1).unwrap();
        assert_eq!(full.rows.iter().filter(|row| row.used).count(), 1, "no more than there is room for");
    }
}
