//! Made-up attributes, conditions and end users for the tests of this room, and judging as simple as can be: the peer
//! that everything else is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Date, Value};

pub(super) const ATTRIBUTES: [(&str, AttributeType); 6] = [
    ("crm.Plan", AttributeType::String),
    ("crm.Name", AttributeType::String),
    ("crm.Seats", AttributeType::Number),
    ("web.Score", AttributeType::Number),
    ("crm.Signup", AttributeType::Date),
    ("web.Seen", AttributeType::Date),
];
pub(super) const SEGMENTS: [&str; 2] = ["premium", "trial"];
/// 2024-10-04.
pub(super) const TODAY: i32 = 20_000;

/// What there is to name.
pub(super) struct Made;

impl Names for Made {
    fn attribute_type(&self, attribute: &AttributeId) -> Option<AttributeType> {
        ATTRIBUTES.into_iter().find(|(id, _)| *id == attribute.to_string()).map(|(_, kind)| kind)
    }
    fn has_segment(&self, segment: &SegmentId) -> bool {
        SEGMENTS.contains(&segment.as_str())
    }
    fn attributes(&self) -> Vec<String> {
        ATTRIBUTES.into_iter().map(|(id, _)| id.to_owned()).collect()
    }
    fn segments(&self) -> Vec<String> {
        SEGMENTS.map(str::to_owned).into()
    }
}

pub(super) fn test(attribute: &str, test: Test) -> Condition {
    let attribute: AttributeId = attribute.parse().unwrap();
    let kind = Made.attribute_type(&attribute).expect("a made-up attribute");
    Condition::Attribute(AttributeTest { attribute, kind, test })
}

pub(super) fn today() -> Date {
    Date::from_days(TODAY).unwrap()
}

/// An end user with values, in segments.
#[derive(Debug, Clone, Default)]
pub(super) struct EndUser {
    pub(super) values: BTreeMap<AttributeId, Value>,
    pub(super) segments: BTreeSet<SegmentId>,
}

impl EndUser {
    pub(super) fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.values.get(attribute).cloned()
    }

    pub(super) fn is_in(&self, segment: &SegmentId) -> bool {
        self.segments.contains(segment)
    }

    pub(super) fn passes(&self, condition: &Condition, today: Date) -> bool {
        match condition {
            Condition::Constant(flag) => *flag,
            Condition::All(parts) => parts.iter().all(|part| self.passes(part, today)),
            Condition::Any(parts) => parts.iter().any(|part| self.passes(part, today)),
            Condition::Not(part) => !self.passes(part, today),
            Condition::Segment(segment) => self.is_in(segment),
            Condition::Attribute(test) => {
                self.values.get(&test.attribute).is_some_and(|value| test.test.passes(value, today))
            }
        }
    }
}

/// The values that end users have here: they meet the operands below, just miss them, or have nothing to do with them.
pub(super) fn values(kind: AttributeType) -> Vec<Value> {
    match kind {
        AttributeType::String => {
            ["pro", "Pro", "PRO", "free", "FREE", "", "r", "prö", "x pro y", "prfree", "team", "a\"\\\n", "7 teamo"]
                .map(|text| Value::String(text.into()))
                .into()
        }
        AttributeType::Number => {
            let near =
                [-4.0, -3.0, -1.0, 0.0, 0.25, 0.5, 1.0, 2.5, 2.75, 3.0, 49.0, 50.0, 50.5, 51.0, 99.0, 100.0, 101.0];
            near.into_iter().chain([1e9, 2e9]).map(Value::Number).collect()
        }
        AttributeType::Date => (-3..4)
            .chain(-33..-27)
            .chain(27..33)
            .chain([-15, 15, 100, -TODAY - 1, -TODAY, 1 - TODAY, -719_162 - TODAY, 2_932_896 - TODAY])
            .map(|days| Value::Date(Date::from_days(TODAY + days).unwrap()))
            .collect(),
    }
}

pub(super) fn end_user() -> impl Strategy<Value = EndUser> {
    let each: Vec<_> =
        ATTRIBUTES.iter().map(|(_, kind)| prop::option::weighted(0.8, prop::sample::select(values(*kind)))).collect();
    (each, prop::collection::vec(prop::bool::ANY, SEGMENTS.len())).prop_map(|(values, members)| {
        let ids = ATTRIBUTES.iter().map(|(id, _)| id.parse().unwrap());
        let segments = SEGMENTS.into_iter().zip(members).filter(|(_, member)| *member);
        EndUser {
            values: ids.zip(values).filter_map(|(id, value)| Some((id, value?))).collect(),
            segments: segments.map(|(id, _)| SegmentId::new(id).unwrap()).collect(),
        }
    })
}

fn text_test() -> impl Strategy<Value = TextTest> {
    let text =
        || prop::sample::select(vec!["pro", "Pro", "free", "", "r", "team", "prö", "a\"\\\n"]).prop_map(Arc::from);
    let pattern = prop::sample::select(vec!["^[pP]r", "o$", "(?i)PRO", "\\d+"]);
    let found = prop_oneof![
        3 => prop::collection::vec(text(), 1..4).prop_map(|mut texts: Vec<Arc<str>>| {
            texts.sort();
            texts.dedup();
            TextMatch::OneOf(texts)
        }),
        1 => text().prop_map(TextMatch::Contains),
        1 => text().prop_map(TextMatch::StartsWith),
        1 => text().prop_map(TextMatch::EndsWith),
    ];
    prop_oneof![
        4 => (found, prop::bool::ANY).prop_map(|(found, lowered)| TextTest { found, lowered }),
        1 => pattern.prop_map(|source| {
            TextTest { found: TextMatch::Matches(Pattern::new(source).unwrap()), lowered: false }
        }),
    ]
}

fn number_test() -> impl Strategy<Value = NumberTest> {
    let number = || prop::sample::select(vec![-3.0, 0.0, 0.5, 2.5, 3.0, 50.0, 51.0, 100.0, 1e9]);
    let bound = move || {
        prop_oneof![Just(Bound::Unbounded), number().prop_map(Bound::Included), number().prop_map(Bound::Excluded)]
    };
    prop_oneof![
        3 => (bound(), bound()).prop_map(NumberTest::Within),
        1 => number().prop_map(|one| NumberTest::Within((Bound::Included(one), Bound::Included(one)))),
        1 => prop::collection::vec(number(), 0..4).prop_map(|mut numbers| {
            numbers.sort_by(f64::total_cmp);
            numbers.dedup();
            NumberTest::OneOf(numbers)
        }),
    ]
}

fn date_test() -> impl Strategy<Value = DateTest> {
    let today = i64::from(TODAY);
    let day = move || {
        prop_oneof![
            2 => prop::sample::select(vec![-31_i64, -30, -1, 0, 1, 30]).prop_map(DateBound::Today),
            1 => prop::sample::select(vec![today - 30, today, today + 1, 0, -719_162, 2_932_896, -719_163, 2_932_897])
                .prop_map(DateBound::Day),
        ]
    };
    let end = move || prop::option::weighted(0.7, day());
    prop_oneof![
        3 => (end(), end()).prop_map(|(low, high)| DateTest::Within(low, high)),
        1 => prop::collection::vec(day(), 0..4).prop_map(DateTest::OneOf),
    ]
}

fn leaf() -> BoxedStrategy<Condition> {
    let id = |ids: &[&'static str]| prop::sample::select(ids.to_vec());
    let all: Vec<&str> = ATTRIBUTES.into_iter().map(|(id, _)| id).collect();
    prop_oneof![
        1 => id(&all).prop_map(|id| test(id, Test::IsSet)),
        3 => (id(&["crm.Plan", "crm.Name"]), text_test()).prop_map(|(id, found)| test(id, Test::Text(found))),
        3 => (id(&["crm.Seats", "web.Score"]), number_test()).prop_map(|(id, found)| test(id, Test::Number(found))),
        3 => (id(&["crm.Signup", "web.Seen"]), date_test()).prop_map(|(id, found)| test(id, Test::Date(found))),
        1 => id(&SEGMENTS).prop_map(|id| Condition::Segment(SegmentId::new(id).unwrap())),
    ]
    .boxed()
}

/// Conditions of every kind, of some twenty tests at most.
pub(super) fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![20 => leaf(), 1 => prop::bool::ANY.prop_map(Condition::Constant)];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}
