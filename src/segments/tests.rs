//! Runs the tables in `tests/cases`: rules over end users, wrong rules, hostile rules; and what no table shows.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::model::Date;

type EndUser = BTreeMap<String, toml::Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    #[serde(default)]
    same: Vec<String>,
    #[serde(default, rename = "in")]
    members: Vec<EndUser>,
    #[serde(default)]
    out: Vec<EndUser>,
    #[serde(default)]
    fails: Vec<EndUser>,
}

#[derive(Deserialize)]
struct Cases<T> {
    case: Vec<T>,
}

fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    toml::from_str::<Cases<T>>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).case
}

fn id(text: &str) -> SegmentId {
    SegmentId::new(text).unwrap()
}

fn schema() -> Schema {
    use AttributeType::{Date, Number, String};
    let attributes = [
        ("crm.Type", String),
        ("crm.Name", String),
        ("crm.default", String),
        ("crm.Seats", Number),
        ("crm.Spend", Number),
        ("crm.Signup", Date),
        ("crm.Renewal", Date),
        ("csv_upload.Type", String),
    ];
    let mut schema = Schema::default();
    for (name, kind) in attributes {
        let attribute: AttributeId = name.parse().unwrap();
        schema.integrations.entry(attribute.integration).or_default().insert(attribute.name, kind);
    }
    schema.segments = ["elsewhere", "premium", "rule", "a", "b", "c"].into_iter().map(id).collect();
    schema
}

fn today() -> Date {
    "2024-06-15".parse().unwrap()
}

struct Person<'a>(&'a EndUser);

impl Facts for Person<'_> {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.0.get(&attribute.to_string()).map(|value| match value {
            toml::Value::String(text) => Value::String(text.as_str().into()),
            toml::Value::Integer(number) => Value::Number(*number as f64),
            toml::Value::Float(number) => Value::Number(*number),
            toml::Value::Datetime(date) => Value::Date(date.to_string().parse().unwrap()),
            other => panic!("{other}"),
        })
    }
}

fn compile(rule: &str) -> Result<Segment, Vec<RuleError>> {
    Segment::compile(id("rule"), rule, &schema())
}

fn good(name: &str, rule: &str) -> Segment {
    Segment::compile(id(name), rule, &schema()).unwrap_or_else(|errors| panic!("{rule}\n{errors:#?}"))
}

fn set(rules: &[(&str, &str)]) -> SegmentSet {
    SegmentSet::new(rules.iter().map(|(name, rule)| good(name, rule)).collect()).unwrap()
}

#[test]
fn rules_judge_end_users_as_the_table_says() {
    for case in cases::<Case>("rules.toml") {
        for rule in std::iter::once(&case.rule).chain(&case.same) {
            let set = set(&[("rule", rule), ("elsewhere", "crm.Type == \"elsewhere\"")]);
            let judge = |end_user| {
                let judged = set.judge(&Person(end_user), today());
                (judged.members.contains(&id("rule")), judged.failures)
            };
            for end_user in &case.members {
                assert_eq!(judge(end_user), (true, vec![]), "in: {rule} for {end_user:?}");
            }
            for end_user in &case.out {
                assert_eq!(judge(end_user), (false, vec![]), "out: {rule} for {end_user:?}");
            }
            for end_user in &case.fails {
                let (member, failures) = judge(end_user);
                assert!(!member && failures.len() == 1, "fails: {rule} for {end_user:?}: {failures:?}");
            }
        }
    }
}
