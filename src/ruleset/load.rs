//! From a system's files to one checked [`RuleSet`], or to every mistake in them.
//!
//! Owns the cap, what rules may name, and the order of checking. Touches no disk: it is a function of the files (so a
//! draft, a last good version and a folder are judged alike). Invariant: a rule set comes out only when no file has a
//! mistake.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::document::{Document, Found};
use super::integration::{self, ParsedIntegration};
use super::settings::{self, ParsedSettings};
use super::{FileError, Files, Integration, RulePath, RuleSet, SystemSettings};
use crate::model::{
    ATTRIBUTE_CAP, ATTRIBUTE_WARN, AttributeName, AttributeType, IntegrationId, SegmentId, SystemId, Timestamp,
};
use crate::predicate::Condition;
use crate::segments::{RuleError, Schema, Segment, SegmentSet};

/// What came of loading a system's files.
pub(super) struct Loaded {
    /// The rule set, or the mistakes in the order of the files.
    pub(super) result: Result<RuleSet, Vec<FileError>>,
    /// What is allowed but worth a look.
    pub(super) warnings: Vec<FileError>,
    /// How many attributes the files declare.
    pub(super) attributes_used: usize,
    /// How many integrations the files declare.
    pub(super) integrations: usize,
    /// How many segments the files declare.
    pub(super) segments: usize,
}

/// Loads a system `s` of these files, by their paths: for `fuzzing`.
pub(crate) fn load_texts(files: &[(&str, &str)]) -> Result<RuleSet, Vec<FileError>> {
    let files: Files = files.iter().map(|(path, text)| ((*path).to_owned(), std::sync::Arc::from(*text))).collect();
    let Ok(system) = SystemId::new("s") else { return Err(Vec::new()) };
    load(&system, &files, None, Timestamp::default()).result
}

/// Loads a system's files. Rules that `previous` has already compiled under the same attributes are taken over from it.
pub(super) fn load(system: &SystemId, files: &Files, previous: Option<&RuleSet>, now: Timestamp) -> Loaded {
    let mut loading = Loading { system, previous, errors: Vec::new(), warnings: Vec::new() };
    let sorted = loading.sort(files);
    let parsed = loading.integrations(&sorted);
    let attributes_used = loading.cap(&parsed);
    let (integrations, segments) = (parsed.len(), sorted.segments.len());
    let names = Names::new(&parsed, &sorted);
    let compiled = loading.segments(&sorted, &names);
    let settings = loading.settings(sorted.system, &names);

    let Loading { mut errors, mut warnings, .. } = loading;
    errors.sort();
    warnings.sort();
    let result = match compiled {
        Some(compiled) if errors.is_empty() => Ok(RuleSet {
            system: system.clone(),
            settings,
            integrations: parsed.into_iter().filter_map(|(id, parsed)| Some((id, parsed.integration?))).collect(),
            segments: compiled,
            revision: revision(files),
            live_since: now,
            files: files.clone(),
            warnings: warnings.clone(),
        }),
        _ => Err(errors),
    };
    Loaded { result, warnings, attributes_used, integrations, segments }
}

/// The hash by which a version of a system's files is known: 16 hex characters.
pub(super) fn revision(files: &Files) -> String {
    let mut hash = Sha256::new();
    for (path, text) in files {
        // With their lengths, so that no two sets of files give the same bytes.
        for part in [path.as_str(), text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let mut hex = hex::encode(hash.finalize());
    hex.truncate(16);
    hex
}

/// A system's files by what they are.
struct Sorted<'f> {
    system: Option<&'f str>,
    integrations: Vec<(IntegrationId, &'f str)>,
    segments: Vec<(SegmentId, &'f str)>,
}

/// What rules may name.
struct Names {
    schema: Schema,
    /// Integrations whose file has a mistake: what they hold is not known.
    broken: Vec<IntegrationId>,
}

impl Names {
    fn new(parsed: &BTreeMap<IntegrationId, ParsedIntegration>, sorted: &Sorted<'_>) -> Self {
        let good = parsed.iter().filter_map(|(id, parsed)| Some((id, parsed.integration.as_ref()?)));
        let schema = Schema {
            integrations: good.map(|(id, integration)| (id.clone(), attributes(integration))).collect(),
            segments: sorted.segments.iter().map(|(id, _)| id.clone()).collect(),
        };
        let broken = parsed.iter().filter(|(_, parsed)| parsed.integration.is_none());
        Self { schema, broken: broken.map(|(id, _)| id.clone()).collect() }
    }

    /// Whether the rule names an integration that is not known: then it can't be judged before that one is mended, and
    /// complaints about it would only hide the real mistake.
    fn leave_open(&self, rule: &str) -> bool {
        let mut words = rule.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.any(|word| self.broken.iter().any(|id| id.as_str() == word))
    }
}

/// An integration's attributes and their types.
pub(super) fn attributes(integration: &Integration) -> BTreeMap<AttributeName, AttributeType> {
    integration.properties.iter().map(|property| (property.name.clone(), property.kind)).collect()
}

/// One load under way.
struct Loading<'l> {
    system: &'l SystemId,
    previous: Option<&'l RuleSet>,
    errors: Vec<FileError>,
    warnings: Vec<FileError>,
}

impl<'l> Loading<'l> {
    /// A file's path as mistakes tell it.
    fn file(&self, path: &str) -> String {
        format!("{}/{path}", self.system)
    }

    fn sort<'f>(&mut self, files: &'f Files) -> Sorted<'f> {
        let mut sorted = Sorted { system: None, integrations: Vec::new(), segments: Vec::new() };
        for (path, text) in files {
            match path.parse() {
                Ok(RulePath::System) => sorted.system = Some(text),
                Ok(RulePath::Integration(id)) => sorted.integrations.push((id, text)),
                Ok(RulePath::Segment(id)) => sorted.segments.push((id, text)),
                Err(error) => self.errors.push(FileError::whole(self.file(path), error.to_string(), error.hint())),
            }
        }
        sorted
    }

    fn integrations(&mut self, sorted: &Sorted<'_>) -> BTreeMap<IntegrationId, ParsedIntegration> {
        let mut all = BTreeMap::new();
        for (id, text) in &sorted.integrations {
            let file = self.file(&RulePath::Integration(id.clone()).to_string());
            let mut parsed = integration::parse(id, file.clone(), text);
            self.errors.append(&mut parsed.errors);
            if parsed.integration.as_ref().is_some_and(|integration| integration.properties.is_empty()) {
                let hint = Some("declare the fields to store, each by `[[properties]]`".to_owned());
                self.warnings.push(FileError::whole(
                    file,
                    "the integration has no properties, so nothing of it is stored",
                    hint,
                ));
            }
            all.insert(id.clone(), parsed);
        }
        all
    }

    /// Counts the attributes and holds them against the cap, told at the first property above it.
    fn cap(&mut self, parsed: &BTreeMap<IntegrationId, ParsedIntegration>) -> usize {
        let total: usize = parsed.values().map(|parsed| parsed.places.len()).sum();
        if total <= ATTRIBUTE_WARN {
            return total;
        }
        let each: Vec<String> = parsed.iter().map(|(id, parsed)| format!("{id} {}", parsed.places.len())).collect();
        let message =
            format!("the system declares {total} attributes; at most {ATTRIBUTE_CAP} are allowed: {}", each.join(", "));
        if total <= ATTRIBUTE_CAP {
            self.warnings.push(FileError::whole(self.system.as_str(), message, None));
            return total;
        }
        let places = parsed.iter().flat_map(|(id, parsed)| parsed.places.iter().map(move |place| (id, *place)));
        if let Some((id, (line, column))) = places.into_iter().nth(ATTRIBUTE_CAP) {
            let file = self.file(&RulePath::Integration(id.clone()).to_string());
            let hint = Some("remove properties; those of a disabled integration count, too".to_owned());
            self.errors.push(FileError { file, line, column, message, hint });
        }
        total
    }

    /// Compiles every rule; `None` when one of them has a mistake or can't be judged yet.
    fn segments(&mut self, sorted: &Sorted<'_>, names: &Names) -> Option<SegmentSet> {
        let taken = self.taken_over(names);
        let mut compiled = Vec::new();
        for (id, text) in &sorted.segments {
            if names.leave_open(text) {
                continue;
            }
            if let Some(segment) = taken.and_then(|set| take_over(set, id, text, &names.schema.segments)) {
                compiled.push(segment);
                continue;
            }
            match Segment::compile(id.clone(), text, &names.schema) {
                Ok(segment) => compiled.push(segment),
                Err(errors) => errors.into_iter().for_each(|error| self.segment_error(id, error)),
            }
        }
        if compiled.len() < sorted.segments.len() {
            SegmentSet::cycles(compiled).into_iter().for_each(|(id, error)| self.segment_error(&id, error));
            return None;
        }
        let set = SegmentSet::new(compiled);
        set.map_err(|errors| errors.into_iter().for_each(|(id, error)| self.segment_error(&id, error))).ok()
    }

    /// The previous version's rules, if they were compiled under the same attributes.
    fn taken_over(&self, names: &Names) -> Option<&'l SegmentSet> {
        let previous = self.previous?;
        let mut before = previous.integrations.iter().map(|(id, integration)| (id, attributes(integration)));
        let same = previous.integrations.len() == names.schema.integrations.len()
            && before.all(|(id, attributes)| names.schema.integrations.get(id) == Some(&attributes));
        same.then_some(&previous.segments)
    }

    fn segment_error(&mut self, id: &SegmentId, error: RuleError) {
        let file = self.file(&RulePath::Segment(id.clone()).to_string());
        let RuleError { line, column, message, hint } = error;
        self.errors.push(FileError { file, line, column, message, hint });
    }

    fn settings(&mut self, text: Option<&str>, names: &Names) -> SystemSettings {
        let Some(text) = text else { return SystemSettings::default_for(self.system) };
        let mut document = Document::new(self.file(&RulePath::System.to_string()), text);
        let ParsedSettings { mut settings, rules } = settings::parse(self.system, &mut document);
        for (group, rule) in settings.unit_groups.iter_mut().zip(&rules) {
            if !names.leave_open(&rule.value)
                && let Some(condition) = unit_group_condition(&mut document, rule, &names.schema)
            {
                group.condition = condition;
            }
        }
        self.errors.append(&mut document.errors);
        settings
    }
}

/// A rule of the previous version, if its text is the same and what it asks about is still there.
fn take_over(set: &SegmentSet, id: &SegmentId, text: &str, present: &BTreeSet<SegmentId>) -> Option<Segment> {
    let segment = set.get(id)?;
    let same = *segment.text == *text && segment.depends_on().iter().all(|other| present.contains(other));
    same.then(|| segment.clone())
}

/// A unit group's rule as a condition, checked as if it were a segment's. It must be one: it stands before every read of
/// whoever is bound to the group, so a script would make each of them slow.
fn unit_group_condition(document: &mut Document<'_>, rule: &Found<String>, schema: &Schema) -> Option<Condition> {
    let id = SegmentId::new("unit_group").ok()?;
    match Segment::compile(id, &rule.value, schema) {
        Ok(segment) => {
            let why = match segment.condition() {
                Ok(condition) => return Some(condition.clone()),
                Err(why) => why.to_owned(),
            };
            let at = document.place_within(rule, 1, 1);
            let hint = "write it as one boolean expression over attributes".to_owned();
            document.error(at, format!("`rule`: a unit group's rule can't run as a script: {why}"), Some(hint));
        }
        Err(errors) => {
            for error in errors {
                let at = document.place_within(rule, error.line, error.column);
                document.error(at, format!("`rule`: {}", error.message), error.hint);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::fixtures::{CRM, files, integration, system};

    fn loaded(given: &[(&str, &str)]) -> Loaded {
        load(&system("default"), &files(given), None, Timestamp::from_millis(7))
    }
    fn mistakes(given: &[(&str, &str)]) -> Vec<String> {
        match loaded(given).result {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }
    #[test]
    fn a_good_system_loads() {
        let rules = loaded(&[("integrations/crm.toml", CRM), ("system.toml", "name = \"X\"")]).result.ok().unwrap();
        assert_eq!((rules.attributes_used(), rules.settings.name.as_str()), (3, "X"));
        assert_eq!((rules.live_since, rules.revision.len()), (Timestamp::from_millis(7), 16));
        assert_eq!(rules.attribute_type(&"crm.Seats".parse().unwrap()), Some(AttributeType::Number));
        assert_eq!(rules.attribute_type(&"crm.Nope".parse().unwrap()), None);
        assert_eq!(rules.file(&RulePath::System).unwrap().as_ref(), "name = \"X\"");
    }

    #[test]
    fn a_disabled_integration_hides_its_attributes_and_keeps_its_places() {
        let crm = format!("enabled = false\n{CRM}");
        let rules = loaded(&[("integrations/crm.toml", &crm)]).result.ok().unwrap();
        assert_eq!(rules.attribute_type(&"crm.Seats".parse().unwrap()), None);
        assert_eq!(rules.attributes_used(), 3);
    }

    #[test]
    fn today_is_the_day_in_the_systems_time_zone() {
        let rules = loaded(&[("system.toml", "timezone = \"Pacific/Auckland\"")]).result.ok().unwrap();
        let evening: jiff::Timestamp = "2024-05-06T20:00:00Z".parse().unwrap();
        assert_eq!(rules.today(Timestamp::from_millis(evening.as_millisecond())).to_string(), "2024-05-07");
    }

    #[test]
    fn the_hundred_and_first_attribute_is_refused_and_every_integration_counted() {
        let at_cap = [("integrations/a.toml", &*integration(60)), ("integrations/b.toml", &*integration(40))];
        assert!(loaded(&at_cap).result.is_ok());
        let off = format!("enabled = false\n{}", integration(41));
        let told = mistakes(&[("integrations/a.toml", &integration(60)), ("integrations/b.toml", &off)]);
        assert_eq!(
            told,
            [
                "default/integrations/b.toml:123:1: the system declares 101 attributes; at most 100 are allowed: a 60, b 41 \
              (remove properties; those of a disabled integration count, too)"
            ]
        );
    }

    #[test]
    fn over_eighty_attributes_the_load_warns() {
        assert_eq!(loaded(&[("integrations/a.toml", &integration(80))]).warnings, []);
        let rules = loaded(&[("integrations/a.toml", &integration(80)), ("integrations/b.toml", &integration(1))])
            .result
            .ok()
            .unwrap();
        assert_eq!(rules.warnings.len(), 1);
        assert!(rules.warnings[0].message.contains("81 attributes") && rules.warnings[0].message.contains("a 80, b 1"));
    }

    #[test]
    fn an_integration_without_properties_is_warned_of() {
        let warnings = loaded(&[("integrations/a.toml", "user_identifier = \"id\"")]).warnings;
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].file, "default/integrations/a.toml");
    }

    #[test]
    fn all_mistakes_of_all_files_are_told_at_once_in_the_order_of_the_files() {
        let told = mistakes(&[
            ("system.toml", "stage = \"x\"\n"),
            ("integrations/new.toml", CRM),
            ("integrations/crm.toml", "user_identifier = 1\nnaem = 2\n"),
            ("notes.txt", ""),
        ]);
        let starts: Vec<&str> = told.iter().map(|told| &told[..told.find(": ").unwrap()]).collect();
        assert_eq!(
            starts,
            [
                "default/integrations/crm.toml:1:19",
                "default/integrations/crm.toml:2:1",
                "default/integrations/new.toml:0:0",
                "default/notes.txt:0:0",
                "default/system.toml:1:9"
            ]
        );
    }

    #[test]
    fn the_revision_depends_on_every_file_and_its_name() {
        let all = [
            files(&[]),
            files(&[("system.toml", "")]),
            files(&[("system.toml", "x")]),
            files(&[("integrations/a.toml", "x")]),
            files(&[("integrations/b.toml", "x")]),
            files(&[("integrations/a.toml", ""), ("integrations/b.toml", "x")]),
        ];
        let revisions: BTreeSet<String> = all.iter().map(revision).collect();
        assert_eq!(revisions.len(), all.len());
    }

    const SYSTEM_WITH_GROUP: &str = "[[unit_groups]]\nid = \"a\"\nrule = 'crm.Seets > 1'\n";

    #[test]
    fn a_wrong_rule_is_told_with_its_file_line_and_column() {
        let told = mistakes(&[
            ("integrations/crm.toml", CRM),
            ("segments/good.rhai", "crm.Seats > 50"),
            ("segments/typo.rhai", "// Typo\ncrm.Seets > 50"),
        ]);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with("default/segments/typo.rhai:2:") && told[0].contains("Seats"), "{told:#?}");
    }

    #[test]
    fn a_unit_groups_rule_is_checked_and_told_in_the_file_that_holds_it() {
        let told = mistakes(&[("integrations/crm.toml", CRM), ("system.toml", SYSTEM_WITH_GROUP)]);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with("default/system.toml:3:") && told[0].contains("Seats"), "{told:#?}");
    }

    #[test]
    fn a_unit_groups_rule_is_a_condition_and_no_script() {
        let group = |rule: &str| format!("[[unit_groups]]\nid = \"a\"\nrule = '{rule}'\n");
        let good =
            loaded(&[("integrations/crm.toml", CRM), ("system.toml", &group("crm.Seats > 1"))]).result.ok().unwrap();
        let schema = good.settings.unit_groups[0].condition.clone();
        assert!(matches!(schema, crate::predicate::Condition::Attribute(_)), "{schema:?}");
        let told = mistakes(&[
            ("integrations/crm.toml", CRM),
            ("system.toml", &group("let n = 0; while n < 3 { n += 1; } n == 3")),
        ]);
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(
            told[0].starts_with("default/system.toml:3:") && told[0].contains("can't run as a script"),
            "{told:#?}"
        );
    }

    #[test]
    fn a_rule_may_name_a_disabled_integration() {
        let crm = format!("enabled = false\n{CRM}");
        assert_eq!(mistakes(&[("integrations/crm.toml", &crm), ("segments/a.rhai", "crm.Seats > 1")]), [""; 0]);
    }

    #[test]
    fn a_rule_that_names_a_broken_integration_is_not_blamed_for_it() {
        let told = mistakes(&[
            ("integrations/crm.toml", "oops"),
            ("integrations/erp.toml", CRM),
            ("segments/a.rhai", "crm.Seats > 1"),
            ("segments/b.rhai", "erp.Seets > 1"),
        ]);
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(
            told[0].starts_with("default/integrations/crm.toml:1:")
                && told[1].starts_with("default/segments/b.rhai:1:")
        );
    }

    #[test]
    fn a_cycle_of_rules_is_told_at_each_of_them() {
        let told = mistakes(&[
            ("segments/a.rhai", "in_segment(\"b\")"),
            ("segments/b.rhai", "in_segment(\"a\")"),
            ("segments/c.rhai", "true"),
        ]);
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].starts_with("default/segments/a.rhai:") && told[1].starts_with("default/segments/b.rhai:"));
    }

    #[test]
    fn a_cycle_is_told_beside_other_mistakes() {
        let told = mistakes(&[
            ("segments/a.rhai", "in_segment(\"a\")"),
            ("segments/b.rhai", "crm.Seats > 1"),
            ("segments/c.rhai", "in_segment(\"b\")"),
        ]);
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].contains("in a cycle: a -> a") && told[1].starts_with("default/segments/b.rhai:1:1:"));
    }

    #[test]
    fn rules_are_taken_over_only_under_the_same_attributes() {
        let rule = ("segments/a.rhai", "crm.Seats > 1");
        let before = loaded(&[("integrations/crm.toml", CRM), rule]).result.ok().unwrap();
        let retyped = CRM.replace("number", "string");
        let files = files(&[("integrations/crm.toml", &retyped), rule]);
        let now = Timestamp::from_millis(8);
        assert!(load(&system("default"), &files, Some(&before), now).result.is_err(), "a string has no `> 1`");
        let same = load(&system("default"), &before.files, Some(&before), now).result.ok().unwrap();
        let text = |rules: &RuleSet| rules.segments.get(&SegmentId::new("a").unwrap()).unwrap().text.clone();
        assert!(std::sync::Arc::ptr_eq(&text(&before), &text(&same)), "not compiled again");
    }

    #[test]
    fn a_rule_whose_other_segment_is_gone_is_checked_again() {
        let rule = ("segments/a.rhai", "in_segment(\"b\")");
        let before = loaded(&[rule, ("segments/b.rhai", "true")]).result.ok().unwrap();
        let after = load(&system("default"), &files(&[rule]), Some(&before), Timestamp::from_millis(8));
        assert_eq!(after.result.err().unwrap()[0].file, "default/segments/a.rhai");
    }
}
