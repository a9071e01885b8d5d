//! An integration's file as a person would write it, made and changed for who fills in a form.
//!
//! Owns what a change leaves as it is: comments, order, quoting, keys that say what the form says already. Judges
//! nothing: what is written is checked as every file is, by loading it. Invariant: a form without changes gives the very
//! text that it was filled from, and what is written reads back as the form.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::integration::{FieldPath, Integration, IntegrationKind, Property};
use crate::model::AttributeType;
use crate::segments::is_reserved;

/// Longest id.
const MAX_ID: usize = 64;
/// What a reserved word is made an id with.
const SUFFIX: &str = "_crm";

/// What a form says of an integration. None of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationForm {
    /// The name shown beside each attribute.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// How its data come.
    pub kind: IntegrationKind,
    /// Where a record holds the end user's identifier.
    pub user_identifier: String,
    /// Whether it takes data.
    pub enabled: bool,
    /// What it stores.
    pub properties: Vec<PropertyForm>,
}

/// What a form says of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyForm {
    /// Where a record holds it.
    pub field: String,
    /// The attribute's name; empty: the one made from the field.
    pub name: String,
    /// The attribute's type.
    pub kind: AttributeType,
    /// What it is, for people.
    pub description: String,
}

/// Why a text can't be changed by a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrationTextError {
    /// It is no TOML, or not of the form of an integration.
    #[error("the file can't be changed by a form, as it can't be read: {0}")]
    Unreadable(String),
}

impl From<&Integration> for IntegrationForm {
    fn from(integration: &Integration) -> Self {
        Self {
            name: integration.name.clone(),
            description: integration.description.clone(),
            kind: integration.kind,
            user_identifier: integration.user_identifier.as_str().to_owned(),
            enabled: integration.enabled,
            properties: integration.properties.iter().map(PropertyForm::from).collect(),
        }
    }
}

impl From<&Property> for PropertyForm {
    fn from(property: &Property) -> Self {
        Self {
            field: property.field.as_str().to_owned(),
            name: property.name.to_string(),
            kind: property.kind,
            description: property.description.clone(),
        }
    }
}

impl IntegrationForm {
    /// The form as a new file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut document = DocumentMut::new();
        self.write_into(&mut document);
        document.to_string()
    }

    /// The text with what the form says otherwise changed, and nothing else.
    ///
    /// # Errors
    /// [`IntegrationTextError`] for a text that is no integration's.
    pub fn edit(&self, text: &str) -> Result<String, IntegrationTextError> {
        let document = text.parse::<DocumentMut>();
        let mut document = document.map_err(|error| IntegrationTextError::Unreadable(error.message().to_owned()))?;
        self.write_into(&mut document);
        Ok(document.to_string())
    }

    fn write_into(&self, document: &mut DocumentMut) {
        let table = document.as_table_mut();
        let is_new = table.is_empty();
        let kind = match self.kind {
            IntegrationKind::Api => "api",
            IntegrationKind::Csv => "csv",
        };
        // What a key that is not there says, so that none is written that says the same.
        set_text(table, "name", &self.name, "");
        set_text(table, "description", &self.description, "");
        set_text(table, "kind", kind, if is_new { "" } else { "api" });
        set_text(table, "user_identifier", &self.user_identifier, "");
        if table.get("enabled").is_none_or(|item| item.as_bool().unwrap_or_default()) != self.enabled {
            set(table, "enabled", value(self.enabled));
        }
        // A list in brackets is kept as it is as long as it says what the form says.
        if !table.get("properties").is_some_and(|old| old.is_value() && self.says(old)) {
            let old = table.remove("properties");
            if let Some(properties) = self.properties(old) {
                table.insert("properties", properties);
            }
        }
    }

    /// Whether properties say what the form says.
    fn says(&self, old: &Item) -> bool {
        let Ok(tables) = old.clone().into_array_of_tables() else { return false };
        tables.len() == self.properties.len()
            && tables.iter().zip(&self.properties).all(|(table, form)| {
                let mut same = table.clone();
                form.write_into(&mut same);
                same.to_string() == table.to_string()
            })
    }

    /// The properties: those of the file that the form still has, changed as it says, then its new ones.
    fn properties(&self, old: Option<Item>) -> Option<Item> {
        let old = old.and_then(|item| item.into_array_of_tables().ok());
        let mut old: Vec<Option<Table>> = old.into_iter().flatten().map(Some).collect();
        // By its field a property is known, else by its name: either may have been changed.
        let mut found: Vec<Option<usize>> = self
            .properties
            .iter()
            .map(|form| old.iter().position(|table| text(table.as_ref(), "field") == form.field))
            .collect();
        for (form, place) in self.properties.iter().zip(0..) {
            let known = found.get(place).copied().flatten();
            if known.is_none() && !form.name.is_empty() {
                let by_name = old.iter().position(|table| text(table.as_ref(), "name") == form.name);
                if let Some(by_name) = by_name.filter(|by_name| !found.contains(&Some(*by_name)))
                    && let Some(slot) = found.get_mut(place)
                {
                    *slot = Some(by_name);
                }
            }
        }
        let mut kept: Vec<(usize, Table)> = Vec::new();
        let mut new = Vec::new();
        for (form, place) in self.properties.iter().zip(found) {
            match place.and_then(|place| Some((place, old.get_mut(place)?.take()?))) {
                Some((place, mut table)) => {
                    form.write_into(&mut table);
                    kept.push((place, table));
                }
                None => new.push(form.to_table()),
            }
        }
        kept.sort_by_key(|(place, _)| *place);
        let mut tables = ArrayOfTables::new();
        for table in kept.into_iter().map(|(_, table)| table).chain(new) {
            tables.push(table);
        }
        (!tables.is_empty()).then_some(Item::ArrayOfTables(tables))
    }
}

impl PropertyForm {
    fn to_table(&self) -> Table {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        table.insert("field", value(&self.field));
        if self.name != default_name(&self.field) {
            set_text(&mut table, "name", &self.name, "");
        }
        table.insert("type", value(self.kind.as_str()));
        set_text(&mut table, "description", &self.description, "");
        table
    }

    fn write_into(&self, table: &mut Table) {
        let default = default_name(&self.field);
        set_text(table, "field", &self.field, "");
        let name = if self.name.is_empty() { &default } else { &self.name };
        set_text(table, "name", name, &default);
        set_text(table, "type", self.kind.as_str(), "");
        set_text(table, "description", &self.description, "");
    }
}

fn default_name(field: &str) -> String {
    FieldPath::column(field).map(|path| path.default_name()).unwrap_or_default()
}

fn text<'a>(table: Option<&'a Table>, key: &str) -> &'a str {
    table.and_then(|table| table.get(key)).and_then(Item::as_str).unwrap_or_default()
}

/// Sets a text where it says something else; `absent` is what it says when it is not there. An empty text that is there
/// goes, comment and all: it says nothing.
fn set_text(table: &mut Table, key: &str, wanted: &str, absent: &str) {
    match table.get(key).map(|item| item.as_str() == Some(wanted)) {
        Some(true) => {}
        None if wanted == absent => {}
        _ if wanted.is_empty() => {
            table.remove(key);
        }
        _ => set(table, key, value(wanted)),
    }
}

/// Sets a key, and keeps what stands around its value.
fn set(table: &mut Table, key: &str, mut wanted: Item) {
    match table.get_mut(key) {
        Some(item) => {
            if let (Some(old), Some(new)) = (item.as_value(), wanted.as_value_mut()) {
                *new.decor_mut() = old.decor().clone();
            }
            *item = wanted;
        }
        None => {
            table.insert(key, wanted);
        }
    }
}

/// An id made from a name: lower case, everything else made `_`, and nothing that rules could not name. A name without
/// a letter or digit of ASCII gives `integration`; where the id is taken, a number follows.
#[must_use]
pub fn proposed_id(name: &str, is_taken: &dyn Fn(&str) -> bool) -> String {
    let mut id = slug(name, "integration");
    if is_reserved(&id) {
        id.push_str(SUFFIX);
    }
    free(&id, is_taken)
}

/// The same for a segment, whose id may be any word.
#[must_use]
pub fn proposed_segment_id(name: &str, is_taken: &dyn Fn(&str) -> bool) -> String {
    free(&slug(name, "segment"), is_taken)
}

fn slug(name: &str, otherwise: &str) -> String {
    let mut id = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' => id.push(c),
            '0'..='9' if !id.is_empty() => id.push(c),
            _ if !id.is_empty() && !id.ends_with('_') => id.push('_'),
            _ => {}
        }
    }
    id.truncate(MAX_ID - SUFFIX.len());
    let id = id.trim_end_matches('_');
    if id.is_empty() { otherwise.to_owned() } else { id.to_owned() }
}

fn free(id: &str, is_taken: &dyn Fn(&str) -> bool) -> String {
    let numbered = (2..1_000).map(|number| format!("{id}_{number}"));
    std::iter::once(id.to_owned()).chain(numbered).find(|id| !is_taken(id)).unwrap_or_else(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IntegrationId;

    const FILE: &str = r#"# Kept by the sales team.
name = "Customers"      # as people say
kind = "api"
user_identifier = 'Email'

# What they pay
[[properties]]
field = "Type"
name = "Customer_Type"  # renamed
type = "string"

[[properties]]
field = "Seats"
type = "number" # how many

# the end
"#;

    fn form(text: &str) -> IntegrationForm {
        let parsed = super::super::integration::parse(&IntegrationId::new("crm").unwrap(), "crm.toml".to_owned(), text);
        assert_eq!(parsed.errors, []);
        IntegrationForm::from(&parsed.integration.unwrap())
    }

    fn property(field: &str, name: &str, kind: AttributeType) -> PropertyForm {
        PropertyForm { field: field.to_owned(), name: name.to_owned(), kind, description: String::new() }
    }

    #[test]
    fn a_new_file_reads_as_a_person_would_write_it() {
        let form = IntegrationForm {
            name: "Update \"Customer\" Attributes".to_owned(),
            description: String::new(),
            kind: IntegrationKind::Api,
            user_identifier: "Email".to_owned(),
            enabled: true,
            properties: vec![
                property("Type", "Customer_Type", AttributeType::String),
                property("nested.field", "nested_field", AttributeType::Number),
            ],
        };
        let text = form.to_text();
        assert_eq!(
            text,
            "name = 'Update \"Customer\" Attributes'\nkind = \"api\"\nuser_identifier = \"Email\"\n\n\
             [[properties]]\nfield = \"Type\"\nname = \"Customer_Type\"\ntype = \"string\"\n\n\
             [[properties]]\nfield = \"nested.field\"\ntype = \"number\"\n"
        );
        assert_eq!(super::tests::form(&text), form);
    }

    #[test]
    fn a_form_without_changes_changes_nothing() {
        for text in [
            FILE,
            "user_identifier = \"e\"\n",
            "user_identifier='e'\nproperties = [ {field = 'a', type = 'date'}, # first\n]\n",
            "kind = \"csv\"\nuser_identifier = \"e.\"\nenabled = false\n",
        ] {
            let form = form(text);
            let name_is_told = text.contains("name =");
            let edited = IntegrationForm { name: if name_is_told { form.name.clone() } else { String::new() }, ..form };
            assert_eq!(edited.edit(text).unwrap(), text);
        }
    }

    #[test]
    fn comments_and_order_outlive_every_change() {
        let mut changed = form(FILE);
        changed.name = "Accounts".to_owned();
        changed.enabled = false;
        changed.properties[0].name = "Kind".to_owned();
        changed.properties[1].kind = AttributeType::String;
        changed.properties.insert(0, property("Signup", "Signup", AttributeType::Date));
        let text = changed.edit(FILE).unwrap();
        for kept in [
            "# Kept by the sales team.\nname = \"Accounts\"      # as people say\n",
            "user_identifier = 'Email'\nenabled = false\n",
            "# What they pay\n[[properties]]\nfield = \"Type\"\nname = \"Kind\"  # renamed\n",
            "field = \"Seats\"\ntype = \"string\" # how many\n\n[[properties]]\nfield = \"Signup\"\ntype = \"date\"\n",
            "# the end",
        ] {
            assert!(text.contains(kept), "{kept} in\n{text}");
        }
        changed.properties.rotate_left(1);
        assert_eq!(form(&text), changed);
    }

    #[test]
    fn a_property_is_known_by_its_field_or_its_name() {
        let mut changed = form(FILE);
        changed.properties[0].field = "CustomerType".to_owned();
        changed.properties.remove(1);
        let text = changed.edit(FILE).unwrap();
        assert!(text.contains(
            "# What they pay\n[[properties]]\nfield = \"CustomerType\"\nname = \"Customer_Type\"  # renamed"
        ));
        assert!(!text.contains("Seats") && form(&text) == changed, "{text}");
        changed.properties.clear();
        let text = changed.edit(FILE).unwrap();
        assert!(!text.contains("properties") && form(&text) == changed, "{text}");
    }

    #[test]
    fn a_renamed_field_keeps_the_attribute_name_it_made() {
        let mut changed = form(FILE);
        changed.properties[1].field = "seat_count".to_owned();
        let text = changed.edit(FILE).unwrap();
        assert_eq!(form(&text), changed, "{text}");
        assert!(text.contains("name = \"Seats\""), "{text}");
    }

    #[test]
    fn what_is_no_toml_is_not_touched() {
        assert!(form(FILE).edit("name = ").is_err());
    }

    #[test]
    fn ids_are_made_from_names() {
        let id = |name: &str| proposed_id(name, &|id| id == "taken");
        assert_eq!(id("Update Customer Attributes"), "update_customer_attributes");
        assert_eq!(id("  99 Ünï-Bottles (old)"), "n_bottles_old");
        assert_eq!(id("Default"), "default_crm");
        assert_eq!(id("taken"), "taken_2");
        assert_eq!(id("顧客"), "integration");
        assert!(IntegrationId::new(&id(&"x".repeat(99))).is_ok());
        assert_eq!(proposed_segment_id("Default", &|_| false), "default");
    }
}
