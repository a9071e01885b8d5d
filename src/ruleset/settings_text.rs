//! A `system.toml` as a person would write it, changed for who fills in a form.
//!
//! Owns what a change leaves as it is: comments, order, keys that the form does not show. Judges nothing: what is written
//! is checked as every file is, by loading it. Invariant: a form without changes gives the very text that it was filled
//! from.

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::settings::{Stage, SystemSettings};
use crate::model::IdentifierCase;

/// What a form says of a system. None of it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsForm {
    /// The data view that data-access entries name.
    pub name: String,
    /// `production` or `test`.
    pub stage: String,
    /// An IANA name.
    pub timezone: String,
    /// `sensitive` or `lower`.
    pub identifier_case: String,
    /// The unit groups.
    pub unit_groups: Vec<UnitGroupForm>,
}

/// What a form says of a unit group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitGroupForm {
    /// Its id.
    pub id: String,
    /// Its name for people; empty: the id.
    pub name: String,
    /// Who is in it.
    pub rule: String,
}

/// Why a text can't be changed by a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`system.toml` can't be changed by a form, as it can't be read: {0}")]
pub struct UnreadableSettings(pub String);

impl From<&SystemSettings> for SettingsForm {
    fn from(settings: &SystemSettings) -> Self {
        let group = |group: &super::UnitGroup| UnitGroupForm {
            id: group.id.to_string(),
            name: if group.name == group.id.as_str() { String::new() } else { group.name.clone() },
            rule: group.rule.clone(),
        };
        Self {
            name: settings.name.clone(),
            stage: match settings.stage {
                Stage::Production => "production",
                Stage::Test => "test",
            }
            .to_owned(),
            timezone: settings.timezone_name.clone(),
            identifier_case: match settings.identifier_case {
                IdentifierCase::Sensitive => "sensitive",
                IdentifierCase::Lower => "lower",
            }
            .to_owned(),
            unit_groups: settings.unit_groups.iter().map(group).collect(),
        }
    }
}

impl SettingsForm {
    /// The text with what the form says otherwise than `was` changed, and nothing else.
    ///
    /// # Errors
    /// [`UnreadableSettings`] for a text that is no TOML.
    pub fn edit(&self, text: &str, was: &Self) -> Result<String, UnreadableSettings> {
        let document = text.parse::<DocumentMut>();
        let mut document = document.map_err(|error| UnreadableSettings(error.message().to_owned()))?;
        let table = document.as_table_mut();
        let texts = [
            ("name", &self.name, &was.name),
            ("stage", &self.stage, &was.stage),
            ("timezone", &self.timezone, &was.timezone),
            ("identifier_case", &self.identifier_case, &was.identifier_case),
        ];
        for (key, new, old) in texts {
            if new != old {
                set(table, key, new);
            }
        }
        if self.unit_groups != was.unit_groups {
            let old = table.remove("unit_groups");
            let groups = self.groups(old);
            if !groups.is_empty() {
                table.insert("unit_groups", Item::ArrayOfTables(groups));
            }
        }
        Ok(document.to_string())
    }

    /// The groups as tables; one that was there keeps its comments.
    fn groups(&self, old: Option<Item>) -> ArrayOfTables {
        let old = match old {
            Some(Item::ArrayOfTables(tables)) => tables,
            _ => ArrayOfTables::new(),
        };
        let mut groups = ArrayOfTables::new();
        for group in &self.unit_groups {
            let known = old.iter().find(|table| text_of(table, "id") == Some(&group.id));
            let mut table = known.cloned().unwrap_or_default();
            set(&mut table, "id", &group.id);
            if !group.name.is_empty() {
                set(&mut table, "name", &group.name);
            } else if text_of(&table, "name").is_some_and(|name| name != group.id) {
                table.remove("name");
            }
            set(&mut table, "rule", &group.rule);
            groups.push(table);
        }
        groups
    }
}

fn text_of<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Item::as_str)
}

/// Sets a text; one that is there already keeps its quotes and comments.
fn set(table: &mut Table, key: &str, text: &str) {
    if text_of(table, key) == Some(text) {
        return;
    }
    let mut item = value(text);
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    match table.get_mut(key) {
        // To insert it anew would lose what stands before the key.
        Some(old) => *old = item,
        None => {
            table.insert(key, item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# The demo.\nname = \"Demo\" # as people call it\nstage = \"test\"\n\n# Carmen's\n[[unit_groups]]\n\
                        id = \"a\"\nname = \"Carmen\"\nrule = 'crm.Agent == \"145\"' # hers\n\n[[unit_groups]]\nid = \"b\"\nrule = 'true'\n";

    fn form() -> SettingsForm {
        let group = |id: &str, name: &str, rule: &str| UnitGroupForm {
            id: id.to_owned(),
            name: name.to_owned(),
            rule: rule.to_owned(),
        };
        SettingsForm {
            name: "Demo".to_owned(),
            stage: "test".to_owned(),
            timezone: "UTC".to_owned(),
            identifier_case: "sensitive".to_owned(),
            unit_groups: vec![group("a", "Carmen", "crm.Agent == \"145\""), group("b", "", "true")],
        }
    }

    #[test]
    fn a_form_without_changes_changes_nothing() {
        assert_eq!(form().edit(TEXT, &form()).unwrap(), TEXT);
    }

    #[test]
    fn what_is_changed_is_changed_and_comments_stay() {
        let mut new = form();
        new.name = "Show \"room\"".to_owned();
        new.timezone = "Europe/Berlin".to_owned();
        new.unit_groups[0].rule = "crm.Agent == \"146\"".to_owned();
        new.unit_groups.remove(1);
        new.unit_groups.push(UnitGroupForm { id: "c".to_owned(), name: "C".to_owned(), rule: "false".to_owned() });
        let text = new.edit(TEXT, &form()).unwrap();
        for kept in ["# The demo.", "# as people call it", "# Carmen's", "# hers", "stage = \"test\""] {
            assert!(text.contains(kept), "{kept} is not in\n{text}");
        }
        let read: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(read["name"].as_str(), Some("Show \"room\""));
        assert_eq!(read["timezone"].as_str(), Some("Europe/Berlin"));
        let groups: Vec<_> =
            read["unit_groups"].as_array().unwrap().iter().map(|g| g["id"].as_str().unwrap()).collect();
        assert_eq!(groups, ["a", "c"]);
        assert_eq!(read["unit_groups"][0]["rule"].as_str(), Some("crm.Agent == \"146\""));
    }

    #[test]
    fn a_file_that_is_not_there_is_made_of_what_differs() {
        let was =
            SettingsForm { name: "shop".to_owned(), stage: "production".to_owned(), unit_groups: Vec::new(), ..form() };
        let new = SettingsForm { stage: "test".to_owned(), ..was.clone() };
        assert_eq!(new.edit("", &was).unwrap(), "stage = \"test\"\n");
        assert!(new.edit("stage = ", &was).is_err());
    }
}
