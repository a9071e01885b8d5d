//! `system.toml`: a system's name, stage, time zone, identifier case and unit groups.
//!
//! Owns the file's keys and defaults; every key is optional, and so is the file. Unit groups' rules are only carried:
//! `load` has them checked as rules. Invariant: the time zone exists, unit group ids are unique.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::document::{Document, Found, Section, did_you_mean};
use crate::model::{IdentifierCase, SystemId, UnitGroupId};
use crate::predicate::Condition;

/// What `system.toml` says.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSettings {
    /// The data view that data-access entries name; by default the system's id.
    pub name: String,
    /// Which `publish:` permission writing here needs.
    pub stage: Stage,
    /// What `today()` means.
    pub timezone: TimeZone,
    /// The time zone's IANA name.
    pub timezone_name: String,
    /// What is done with the case of identifiers.
    pub identifier_case: IdentifierCase,
    /// Sets of end users to which an operator's view may be narrowed.
    pub unit_groups: Vec<UnitGroup>,
}

/// What a system is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The real thing.
    Production,
    /// To try rules in.
    Test,
}

/// A set of end users to which an operator's view may be narrowed.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitGroup {
    /// Its id, as data-access entries name it.
    pub id: UnitGroupId,
    /// Its name for people; by default the id.
    pub name: String,
    /// The rule that says who is in it.
    pub rule: String,
    /// The same as a condition.
    pub condition: Condition,
}

impl SystemSettings {
    /// The settings of a system without `system.toml`.
    #[must_use]
    pub fn default_for(system: &SystemId) -> Self {
        Self {
            name: system.to_string(),
            stage: Stage::Production,
            timezone: TimeZone::UTC,
            timezone_name: "UTC".to_owned(),
            identifier_case: IdentifierCase::Sensitive,
            unit_groups: Vec::new(),
        }
    }
}

/// What stands for every end user in data access, beside the system's id.
const EVERYONE: &str = "*";

const STAGES: [(&str, Stage); 2] = [("production", Stage::Production), ("test", Stage::Test)];
const CASES: [(&str, IdentifierCase); 2] = [("sensitive", IdentifierCase::Sensitive), ("lower", IdentifierCase::Lower)];

/// A system's settings as read (defaults where wrong), and each unit group's rule with its place.
pub(super) struct ParsedSettings {
    pub(super) settings: SystemSettings,
    pub(super) rules: Vec<Found<String>>,
}

/// Reads `system.toml`; its mistakes are left in `document`.
pub(super) fn parse(system: &SystemId, document: &mut Document<'_>) -> ParsedSettings {
    let mut parsed = ParsedSettings { settings: SystemSettings::default_for(system), rules: Vec::new() };
    let Some(table) = document.parse() else { return parsed };
    let settings = &mut parsed.settings;
    let mut section = Section::new(table.get_ref(), 0);
    if let Some(name) = section.filled(document, "name") {
        settings.name = name.value;
    }
    settings.stage = section.choice(document, "stage", &STAGES).unwrap_or(Stage::Production);
    if let Some((zone, name)) = section.filled(document, "timezone").and_then(|found| read_zone(document, &found)) {
        (settings.timezone, settings.timezone_name) = (zone, name);
    }
    settings.identifier_case = section.choice(document, "identifier_case", &CASES).unwrap_or_default();
    let mut seen = HashMap::new();
    for group in section.tables(document, "unit_groups") {
        if let Some((group, rule)) = read_unit_group(system, document, group, &mut seen) {
            settings.unit_groups.push(group);
            parsed.rules.push(rule);
        }
    }
    section.finish(document);
    parsed
}

fn read_zone(document: &mut Document<'_>, found: &Found<String>) -> Option<(TimeZone, String)> {
    match TimeZone::get(&found.value) {
        Ok(zone) => {
            let name = zone.iana_name().unwrap_or(&found.value).to_owned();
            Some((zone, name))
        }
        Err(_) => {
            let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let hint = did_you_mean(&found.value, known.iter().map(String::as_str))
                .unwrap_or_else(|| "use an IANA name, such as `Europe/Berlin` or `UTC`".to_owned());
            document.error(found.span.start, format!("`{}` is no known time zone", found.value), Some(hint));
            None
        }
    }
}

fn read_unit_group(
    system: &SystemId,
    document: &mut Document<'_>,
    mut section: Section<'_, '_>,
    seen: &mut HashMap<UnitGroupId, usize>,
) -> Option<(UnitGroup, Found<String>)> {
    let id = section.required(document, "id");
    let name = section.filled(document, "name");
    let rule = section.required(document, "rule");
    section.finish(document);
    let id = id?;
    let id_at = id.span.start;
    let id = match UnitGroupId::new(&id.value) {
        Ok(id) => id,
        Err(error) => {
            document.error(id_at, error.to_string(), None);
            return None;
        }
    };
    if id.as_str() == EVERYONE || id.as_str() == system.as_str() {
        let message = format!("`{id}` stands for every end user of the system and can't be one of its unit groups");
        document.error(id_at, message, Some("choose another id".to_owned()));
        return None;
    }
    if let Some(first) = seen.get(&id) {
        document.error(id_at, format!("the unit group `{id}` is declared twice; the first time in line {first}"), None);
        return None;
    }
    seen.insert(id.clone(), document.position(id_at).0);
    let rule = rule?;
    let name = name.map_or_else(|| id.to_string(), |found| found.value);
    // Nobody, until the rule is compiled.
    let condition = Condition::Constant(false);
    Some((UnitGroup { id, name, rule: rule.value.clone(), condition }, rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (ParsedSettings, Vec<String>) {
        let mut document = Document::new("default/system.toml".to_owned(), text);
        let parsed = parse(&SystemId::new("default").unwrap(), &mut document);
        let prefix = "default/system.toml:";
        let told = document.errors.iter().map(|e| e.to_string().strip_prefix(prefix).unwrap().to_owned()).collect();
        (parsed, told)
    }
    #[track_caller]
    fn only(text: &str, expected: &str) {
        let told = parsed(text).1;
        assert!(told.len() == 1 && told[0].contains(expected), "expected `{expected}`, told: {told:#?}");
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let (parsed, told) = parsed("");
        assert_eq!(told, [""; 0]);
        assert_eq!(parsed.settings, SystemSettings::default_for(&SystemId::new("default").unwrap()));
    }

    #[test]
    fn everything_written_is_read() {
        let (parsed, told) = parsed(
            "name = \"Expdemo\"\nstage = \"test\"\ntimezone = \"europe/berlin\"\nidentifier_case = \"lower\"\n\
             [[unit_groups]]\nid = \"(U) cc_agent_145\"\nname = \"Carmen\"\nrule = 'crm.Agent == \"145\"'\n\
             [[unit_groups]]\nid = \"b\"\nrule = 'true'\n",
        );
        assert_eq!(told, [""; 0]);
        let settings = parsed.settings;
        assert_eq!((settings.name.as_str(), settings.stage), ("Expdemo", Stage::Test));
        assert_eq!(
            (settings.timezone_name.as_str(), settings.identifier_case),
            ("Europe/Berlin", IdentifierCase::Lower)
        );
        assert_eq!(settings.unit_groups[0].rule, "crm.Agent == \"145\"");
        assert_eq!(settings.unit_groups[1].name, "b", "a group is named by its id unless it says otherwise");
    }

    #[test]
    fn each_mistake_is_told_at_its_place() {
        only(
            "timezone = \"Europe/Berlim\"",
            "1:12: `Europe/Berlim` is no known time zone (did you mean `Europe/Berlin`?)",
        );
        only("timezone = \"Middle Earth\"", "1:12: `Middle Earth` is no known time zone (use an IANA name");
        only("stage = \"prod\"", "1:9: `stage` is \"prod\"; it must be one of \"production\", \"test\"");
        only("identifier_case = \"upper\"", "1:19: `identifier_case` is \"upper\"");
        only("time_zone = \"UTC\"", "1:1: unknown key `time_zone` (did you mean `timezone`?)");
        only("name = 1", "1:8: `name` must be a string");
        only("[[unit_groups]]\nrule = 'true'", "1:1: the key `id` is missing");
        only("[[unit_groups]]\nid = 'a'", "1:1: the key `rule` is missing");
        only("[[unit_groups]]\nid = \"a\\u0007\"\nrule = 'true'", "2:6: a unit group id must have 1 to 128 printable");
        only("[[unit_groups]]\nid = '*'\nrule = 'true'", "2:6: `*` stands for every end user of the system");
        only("[[unit_groups]]\nid = 'default'\nrule = 'true'", "2:6: `default` stands for every end user");
        let twice = "[[unit_groups]]\nid = 'a'\nrule = 'true'\n";
        only(&twice.repeat(2), "5:6: the unit group `a` is declared twice; the first time in line 2");
    }
}
