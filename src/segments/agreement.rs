//! Condition and script give the same answer: random rules over random end users, missing values among them.
//!
//! [`super::SegmentSet::judge`] itself compares the two ways in test builds, so every other test of rules holds this,
//! too; here rules are made for it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Facts, Schema, Segment, SegmentSet};
use crate::model::{AttributeId, AttributeType, Date, SegmentId, Value};

/// Every attribute of the made-up system, with values that meet the constants of the rules, just miss them, or don't.
const ATTRIBUTES: [(&str, AttributeType); 6] = [
    ("crm.Plan", AttributeType::String),
    ("crm.Name", AttributeType::String),
    ("crm.Seats", AttributeType::Number),
    ("web.Score", AttributeType::Number),
    ("crm.Signup", AttributeType::Date),
    ("web.Seen", AttributeType::Date),
];
const TODAY: i32 = 20_000;

fn schema() -> Schema {
    let mut schema = Schema::default();
    for (id, kind) in ATTRIBUTES {
        let id: AttributeId = id.parse().unwrap();
        schema.integrations.entry(id.integration).or_default().insert(id.name, kind);
    }
    schema.segments = ["base", "rule"].map(|id| SegmentId::new(id).unwrap()).into();
    schema
}

#[derive(Debug)]
struct EndUser(BTreeMap<AttributeId, Value>);

impl Facts for EndUser {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.0.get(attribute).cloned()
    }
}

fn end_user() -> impl Strategy<Value = EndUser> {
    let value = |kind: AttributeType| match kind {
        AttributeType::String => prop::sample::select(vec!["pro", "Pro", "free", "", "prö", "x pro y", "PRO"])
            .prop_map(|text| Value::String(text.into()))
            .boxed(),
        AttributeType::Number => {
            prop::sample::select(vec![-3.0, 0.0, 0.5, 2.5, 3.0, 49.0, 50.0, 51.0, 1e9]).prop_map(Value::Number).boxed()
        }
        AttributeType::Date => prop_oneof![-3_i32..4, -33_i32..-27, 27_i32..33, Just(-TODAY), Just(-TODAY - 1)]
            .prop_map(|days| Value::Date(Date::from_days(TODAY + days).unwrap()))
            .boxed(),
    };
    let values: Vec<_> = ATTRIBUTES.iter().map(|(_, kind)| prop::option::weighted(0.8, value(*kind))).collect();
    values.prop_map(|values| {
        let ids = ATTRIBUTES.iter().map(|(id, _)| id.parse().unwrap());
        EndUser(ids.zip(values).filter_map(|(id, value)| Some((id, value?))).collect())
    })
}

fn pick(texts: &[&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned).boxed()
}

/// One test of one attribute, in one of the ways in which a person writes it.
fn leaf() -> BoxedStrategy<String> {
    let text = pick(&["crm.Plan", "crm.Name", "crm[\"Plan\"]", "lower(crm.Name)", "crm.Plan.lower()"]);
    let string = pick(&["\"pro\"", "\"Pro\"", "\"\"", "\"r\"", "\"prö\""]);
    let number = pick(&["crm.Seats", "web.Score"]);
    let constant = pick(&["50", "50.0", "0", "-3", "2.5", "0.5", "3", "1e9"]);
    let date = pick(&["crm.Signup", "web.Seen"]);
    let day = pick(&[
        "today()",
        "today() - 30",
        "today() + 30",
        "date(\"2024-10-04\")",
        "\"2024-10-04\"",
        "\"2024-09-04\"",
        "date(\"2024-10-04\") - 1",
        "\"1970-01-01\"",
    ]);
    let days = pick(&["30", "29.5", "0", "-1", "3", "1e5"]);
    let any = prop_oneof![text.clone(), number.clone(), date.clone()].boxed();
    let order = pick(&["==", "!=", "<", "<=", ">", ">="]);
    let equal = pick(&["==", "!="]);
    let attribute = pick(&["crm.Plan", "crm.Seats", "web.Seen"]);
    prop_oneof![
        (text.clone(), equal.clone(), string.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (string.clone(), equal.clone(), text.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (number.clone(), order.clone(), constant.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (constant.clone(), order.clone(), number.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (date.clone(), order.clone(), day.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (day.clone(), order.clone(), date.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (pick(&["days_since", "days_until"]), date.clone(), order, days.clone())
            .prop_map(|(f, a, o, b)| format!("{f}({a}) {o} {b}")),
        (any, equal).prop_map(|(a, o)| format!("{a} {o} ()")),
        attribute.prop_map(|a| format!("is_set({a})")),
        (text.clone(), string.clone(), string.clone()).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
        (number.clone(), constant.clone(), constant.clone()).prop_map(|(a, b, c)| format!("{a} in [{b}, (), {c}]")),
        (date.clone(), day.clone(), day.clone()).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
        (number, constant.clone(), constant).prop_map(|(a, b, c)| format!("between({a}, {b}, {c})")),
        (date.clone(), day.clone(), day).prop_map(|(a, b, c)| format!("{a}.between({b}, {c})")),
        (date, days.clone(), days).prop_map(|(a, b, c)| format!("between(days_since({a}), {b}, {c})")),
        (pick(&["contains", "starts_with", "ends_with"]), text.clone(), string.clone())
            .prop_map(|(f, a, b)| format!("{f}({a}, {b})")),
        (text, string).prop_map(|(a, b)| format!("{a}.contains({b})")),
        pick(&["matches(crm.Plan, \"^[pP]r\")", "crm.Name.matches(\"o$\")", "in_segment(\"base\")", "true", "false"]),
    ]
    .boxed()
}

fn rule() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" && "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            inner.clone().prop_map(|part| format!("!({part})")),
            inner.clone().prop_map(|part| format!("({part}) == false")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} {{ {b} }} else {{ {c} }})")),
        ]
    })
}

/// The same rule in another dress: as it is, with variables, with a helper function, or leaving early.
fn dressed() -> impl Strategy<Value = String> {
    (rule(), leaf(), 0_u8..4).prop_map(|(rule, leaf, dress)| match dress {
        0 => rule,
        1 => format!("let a = {leaf};\nlet b = {rule};\na || b"),
        2 => format!("fn both(a, b) {{ a && b }}\nboth({leaf}, {rule})"),
        _ => format!("if {leaf} {{ return {rule}; }}\nlet day = today() - 30;\ncrm.Signup >= day"),
    })
}

/// Cases, each with 20 end users: 100,000 comparisons.
const CASES: u32 = 5_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]
    #[test]
    fn a_condition_says_what_the_script_says(rule in dressed(), end_users in prop::collection::vec(end_user(), 20)) {
        let compile = |id: &str, text: &str| Segment::compile(SegmentId::new(id).unwrap(), text, &schema());
        // Constants alone may be refused by the check; such a rule says nothing here.
        let Ok(segment) = compile("rule", &rule) else { return Ok(()) };
        prop_assert_eq!(segment.condition().err(), None, "everything made here can be lowered");
        let base = compile("base", "crm.Seats > 2").unwrap();
        let set = SegmentSet::new(vec![segment, base]).unwrap();
        for end_user in &end_users {
            // Compares the two ways.
            let judged = set.judge(end_user, Date::from_days(TODAY).unwrap());
            prop_assert_eq!(judged.failures, vec![]);
        }
    }
}

#[test]
fn what_is_no_condition_says_why_and_where() {
    let why = |rule: &str| {
        let segment = Segment::compile(SegmentId::new("rule").unwrap(), rule, &schema()).unwrap();
        segment.condition().err().map(str::to_owned)
    };
    assert_eq!(why("// Name\ncrm.Seats > 3"), None);
    assert_eq!(why("fn is_set(x) { x == 3 }\nis_set(crm.Seats)"), None, "a rule's own function goes before ours");
    for (rule, reason) in [
        ("let n = 0;\nfor i in 0..3 { n += i; }\nn > crm.Seats", "a loop (line 2, column 1)"),
        ("crm.Seats * 2 > 3", "the operator `*` (line 1, column 11)"),
        ("crm.Plan > \"m\"", "texts in an order (line 1, column 10)"),
        ("crm.Seats > web.Score", "a comparison of two values of the end user (line 1, column 11)"),
        (
            "fn is_set() { false }\ncrm.Seats.is_set()",
            "the rule's own function `is_set` as a method (line 2, column 11)",
        ),
        ("crm.Plan.len() > 2", "the function `len` (line 1, column 10)"),
        ("switch crm.Plan { \"pro\" => true, _ => false }", "a `switch` (line 1, column 1)"),
    ] {
        assert_eq!(why(rule).as_deref(), Some(reason), "{rule}");
    }
}
