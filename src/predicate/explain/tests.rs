//! What an explanation says, and that its changes turn the answer round and no fewer would.

use std::collections::BTreeSet;
use std::ops::Bound;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::AttributeType;
use crate::predicate::made::{self, EndUser, Made};
use crate::predicate::{DateBound, DateTest, NumberTest, Pattern, Test, TextMatch, TextTest, parse_where};

fn told(condition: &Condition, end_user: &EndUser) -> Explanation {
    explain(condition, &|id| end_user.value(id), &|id| end_user.is_in(id), made::today())
}

fn end_user(values: &[(&str, Value)]) -> EndUser {
    let values = values.iter().map(|(id, value)| (id.parse().unwrap(), value.clone())).collect();
    EndUser { values, ..EndUser::default() }
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn read(json: Json) -> Condition {
    parse_where(&json, "", &Made).unwrap()
}

fn is(attribute: &str, operator: &str, value: Json) -> Json {
    json!({"attribute": attribute, "operator": operator, "value": value})
}

/// The changes, and whether making them turns the answer round.
fn changes(condition: &Condition, of: &EndUser) -> Vec<String> {
    let explanation = told(condition, of);
    let sets = std::iter::once(&explanation.changes).chain(&explanation.alternatives);
    for set in sets.filter(|set| !set.is_empty()) {
        assert!(turns_round(condition, of, set), "{set:?} does not turn {condition:?} round for {of:?}");
    }
    explanation.changes.into_iter().map(|change| change.text).collect()
}

fn applied(of: &EndUser, set: &[Change]) -> EndUser {
    let mut changed = of.clone();
    for change in set {
        match &change.example {
            Alteration::Attribute(id, Some(value)) => {
                changed.values.insert(id.clone(), value.clone());
            }
            Alteration::Attribute(id, None) => {
                changed.values.remove(id);
            }
            Alteration::Segment(id, true) => {
                changed.segments.insert(id.clone());
            }
            Alteration::Segment(id, false) => {
                changed.segments.remove(id);
            }
        }
    }
    changed
}

fn turns_round(condition: &Condition, of: &EndUser, set: &[Change]) -> bool {
    of.passes(condition, made::today()) != applied(of, set).passes(condition, made::today())
}

#[test]
fn the_tree_says_what_held_and_what_did_not() {
    let condition = read(json!({"all": [
        is("crm.Seats", "at_least", json!(50)),
        {"any": [is("crm.Plan", "is", json!("pro")), {"segment": "premium"}]},
        {"not": {"all": [is("crm.Plan", "contains", json!("x"))]}},
        {"not": is("crm.Plan", "contains", json!("x"))},
        {"attribute": "crm.Name", "operator": "is_not_set"},
        is("crm.Plan", "is_not", json!("free")),
        {"all": []},
    ]}));
    let mut of = end_user(&[("crm.Seats", Value::Number(49.0)), ("crm.Plan", text("pro"))]);
    of.segments.insert(SegmentId::new("trial").unwrap());
    let explanation = serde_json::to_value(told(&condition, &of)).unwrap();
    let plan = |condition: &str, held: bool| json!({"condition": condition, "attribute": "crm.Plan", "actual": "pro", "held": held});
    assert_eq!(
        explanation,
        json!({
            "tree": {
                "all": [
                    {"condition": "crm.Seats >= 50", "attribute": "crm.Seats", "actual": 49, "held": false},
                    {"any": [plan("crm.Plan == \"pro\"", true), {"segment": "premium", "held": false}], "held": true},
                    {"not": {"all": [plan("contains(crm.Plan, \"x\")", false)], "held": false}, "held": true},
                    {"not": plan("contains(crm.Plan, \"x\")", false), "held": true},
                    {"condition": "!is_set(crm.Name)", "attribute": "crm.Name", "actual": null, "held": true},
                    plan("crm.Plan != \"free\"", true),
                    {"all": [], "held": true},
                ],
                "held": false,
            },
            "changes": ["`crm.Seats` at least 50"],
        })
    );
}

#[test]
fn changes_are_what_a_person_would_say() {
    let today = |test: DateTest| made::test("crm.Signup", Test::Date(test));
    let seats = |operator: &str, value: Json| read(is("crm.Seats", operator, value));
    let plan = |operator: &str, value: Json| read(is("crm.Plan", operator, value));
    let all = |parts: &[&Condition]| Condition::All(parts.iter().map(|part| (*part).clone()).collect());
    let any = |parts: &[&Condition]| Condition::Any(parts.iter().map(|part| (*part).clone()).collect());
    let not = |part: &Condition| Condition::Not(Box::new(part.clone()));
    let nobody = EndUser::default();
    let someone = end_user(&[
        ("crm.Seats", Value::Number(60.0)),
        ("crm.Plan", text("free")),
        ("crm.Signup", Value::Date(made::today())),
    ]);
    let some = |low: i64, high: i64| today(DateTest::Within(Some(DateBound::Today(low)), Some(DateBound::Today(high))));
    let any_case = |text: &str| {
        let found = TextMatch::OneOf(vec![text.into()]);
        made::test("crm.Plan", Test::Text(TextTest { found, lowered: true }))
    };
    let set = |id: &str| made::test(id, Test::IsSet);
    for (condition, of, expected) in [
        (seats("at_least", json!(50)), &nobody, "`crm.Seats` at least 50"),
        (seats("at_least", json!(50)), &someone, "`crm.Seats` less than 50, or not set"),
        (seats("greater_than", json!(50)), &nobody, "`crm.Seats` more than 50"),
        (seats("at_most", json!(50)), &nobody, "`crm.Seats` at most 50"),
        (seats("equals", json!(50)), &nobody, "`crm.Seats` equal to 50"),
        (seats("not_equals", json!(60)), &someone, "`crm.Seats` other than 60, or not set"),
        (seats("is_one_of", json!([5, 6])), &nobody, "`crm.Seats` one of 5, 6"),
        (
            all(&[&seats("at_least", json!(50)), &seats("less_than", json!(100))]),
            &nobody,
            "`crm.Seats` at least 50 and less than 100",
        ),
        (
            all(&[&seats("at_least", json!(50)), &seats("not_equals", json!(70))]),
            &nobody,
            "`crm.Seats` at least 50 and less than 70, or more than 70",
        ),
        (any(&[&seats("less_than", json!(10)), &seats("at_least", json!(100))]), &someone, "`crm.Seats` less than 10"),
        (all(&[&set("crm.Seats"), &seats("not_equals", json!(60))]), &someone, "`crm.Seats` other than 60"),
        (set("crm.Seats"), &nobody, "`crm.Seats` set"),
        (set("crm.Seats"), &someone, "`crm.Seats` not set"),
        (plan("is", json!("pro")), &nobody, "`crm.Plan` equal to \"pro\""),
        (plan("is_one_of", json!(["team", "pro"])), &nobody, "`crm.Plan` one of \"pro\", \"team\""),
        (
            all(&[&plan("is_one_of", json!(["team", "pro"])), &plan("is_not", json!("pro"))]),
            &nobody,
            "`crm.Plan` equal to \"team\"",
        ),
        (plan("is_not", json!("free")), &someone, "`crm.Plan` other than \"free\", or not set"),
        (
            all(&[&plan("starts_with", json!("a")), &not(&plan("contains", json!("b")))]),
            &someone,
            "`crm.Plan` beginning with \"a\" and not containing \"b\"",
        ),
        (
            all(&[&plan("starts_with", json!("a")), &not(&plan("ends_with", json!("a")))]),
            &someone,
            "`crm.Plan` beginning with \"a\" and not ending with \"a\"",
        ),
        (plan("matches", json!("^[a-c]{2}$")), &nobody, "`crm.Plan` matching \"^[a-c]{2}$\""),
        (any_case("pro"), &nobody, "`crm.Plan` equal to \"pro\" in any case"),
        (
            all(&[&any_case("pro"), &plan("is_not", json!("pro"))]),
            &nobody,
            "`crm.Plan` equal to \"pro\" in any case and other than \"pro\"",
        ),
        (some(-30, -1), &nobody, "`crm.Signup` from 2024-09-04 to 2024-10-03"),
        (some(-30, -1), &someone, "`crm.Signup` from 2024-09-04 to 2024-10-03"),
        (some(1, 1), &someone, "`crm.Signup` on 2024-10-05"),
        (some(-30, 0), &someone, "`crm.Signup` on or before 2024-09-03, or on or after 2024-10-05, or not set"),
        (today(DateTest::Within(Some(DateBound::Day(0)), None)), &nobody, "`crm.Signup` on or after 1970-01-01"),
        (Condition::Segment(SegmentId::new("premium").unwrap()), &nobody, "in segment `premium`"),
        (not(&Condition::Segment(SegmentId::new("premium").unwrap())), &nobody, "in segment `premium`"),
    ] {
        assert_eq!(changes(&condition, of), [expected], "{condition:?}");
    }
}

#[test]
fn the_smallest_set_is_found_where_the_nearest_is_not() {
    // Two changes on the left, one on the right, which the order does not tell.
    let condition = read(json!({"any": [
        {"all": [is("crm.Seats", "at_least", json!(50)), is("crm.Plan", "is", json!("pro"))]},
        {"all": [is("crm.Name", "is", json!("x")), is("web.Score", "at_least", json!(1))]},
    ]}));
    let of = end_user(&[("web.Score", Value::Number(1.0))]);
    assert_eq!(changes(&condition, &of), ["`crm.Name` equal to \"x\""]);
    // One value that serves two parts, of which each alone has nearer ones.
    let condition = read(json!({"all": [
        {"any": [is("crm.Plan", "is_one_of", json!(["a", "c"])), is("crm.Seats", "at_least", json!(50))]},
        {"any": [is("web.Score", "at_least", json!(1)), is("crm.Plan", "is_one_of", json!(["b", "c"]))]},
    ]}));
    assert_eq!(changes(&condition, &EndUser::default()), ["`crm.Plan` equal to \"c\""]);
}

#[test]
fn all_that_is_needed_is_told_and_other_ways_too() {
    let parts: Vec<Json> =
        ["crm.Plan", "crm.Name", "crm.Seats"].map(|id| json!({"attribute": id, "operator": "is_set"})).into();
    assert_eq!(
        changes(&read(json!({ "all": parts })), &EndUser::default()),
        ["`crm.Plan` set", "`crm.Name` set", "`crm.Seats` set"]
    );
    let explanation = told(&read(json!({ "any": parts })), &EndUser::default());
    let texts = |set: &[Change]| set.iter().map(|change| change.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&explanation.changes), ["`crm.Plan` set"]);
    let others: Vec<_> = explanation.alternatives.iter().map(|set| texts(set)).collect();
    assert_eq!(others, [["`crm.Name` set"], ["`crm.Seats` set"]]);
}

#[test]
fn what_nothing_changes_says_so() {
    let note = |condition: &Condition| {
        let explanation = told(condition, &EndUser::default());
        assert_eq!(explanation.changes, []);
        explanation.note.unwrap()
    };
    assert!(note(&Condition::Constant(true)).contains("everybody"));
    let number = |low, high| made::test("crm.Seats", Test::Number(NumberTest::Within((low, high))));
    let never = Condition::All(vec![
        number(Bound::Included(5.0), Bound::Unbounded),
        number(Bound::Unbounded, Bound::Excluded(5.0)),
    ]);
    assert_eq!(note(&never), "no values would change it");
    assert_eq!(note(&number(Bound::Excluded(1e300), Bound::Unbounded)), "no values would change it");
    let pattern = |source: &str| {
        let found = TextMatch::Matches(Pattern::new(source).unwrap());
        made::test("crm.Plan", Test::Text(TextTest { found, lowered: false }))
    };
    assert_eq!(note(&Condition::All(vec![pattern("^a"), pattern("^b")])), "no values would change it");
}

#[test]
fn a_very_large_condition_is_answered_in_time() {
    // A rule of many attributes, of which nobody has any: every one of them has to be set.
    let id = |n: usize| format!("crm.A{n}").parse::<AttributeId>().unwrap();
    let test = |n: usize, low: f64| {
        let test = Test::Number(NumberTest::Within((Bound::Included(low), Bound::Unbounded)));
        Condition::Attribute(super::super::AttributeTest { attribute: id(n), kind: AttributeType::Number, test })
    };
    let all = Condition::All((0..100).map(|n| test(n, 5.0)).collect());
    assert_eq!(changes(&all, &EndUser::default()).len(), 100);
    // Pairs that overlap in a ring: the search has to give up, and still tells a set that needs all it has.
    let ring = Condition::All(
        (0..100)
            .flat_map(|n| [1, 7, 19].map(|step| Condition::Any(vec![test(n, 5.0), test((n + step) % 100, 9.0)])))
            .collect(),
    );
    let explanation = told(&ring, &EndUser::default());
    assert!(turns_round(&ring, &EndUser::default(), &explanation.changes));
    for left_out in 0..explanation.changes.len() {
        let mut fewer = explanation.changes.clone();
        fewer.remove(left_out);
        assert!(!turns_round(&ring, &EndUser::default(), &fewer));
    }
    assert!(explanation.note.is_some(), "that it may not be the smallest");
}

/// Everything that one attribute or segment can be made here, for trying all of them.
fn single_changes(condition: &Condition, of: &EndUser) -> Vec<Vec<Change>> {
    let change = |example| Change { text: String::new(), example };
    let attributes: BTreeSet<&AttributeId> = condition.attributes().collect();
    let segments: BTreeSet<&SegmentId> = condition.segments().collect();
    let mut all: Vec<Vec<Change>> = attributes
        .into_iter()
        .map(|id| {
            let kind = crate::predicate::Names::attribute_type(&Made, id).unwrap();
            let values = made::values(kind).into_iter().map(Some).chain([None]);
            values.map(|value| change(Alteration::Attribute(id.clone(), value))).collect()
        })
        .collect();
    all.extend(segments.into_iter().map(|id| vec![change(Alteration::Segment(id.clone(), !of.is_in(id)))]));
    all
}

/// The fewest changes, up to two, that turn the answer round, found by trying all.
fn fewest(condition: &Condition, of: &EndUser) -> Option<usize> {
    let singles = single_changes(condition, of);
    if singles.iter().flatten().any(|change| turns_round(condition, of, std::slice::from_ref(change))) {
        return Some(1);
    }
    let two = singles.iter().enumerate().any(|(at, first)| {
        let second = singles.iter().skip(at + 1).flatten();
        second
            .clone()
            .any(|second| first.iter().any(|first| turns_round(condition, of, &[first.clone(), second.clone()])))
    });
    two.then_some(2)
}

/// The subjects that change.
fn changed(states: &[usize]) -> impl Iterator<Item = usize> {
    states.iter().enumerate().filter(|(_, state)| **state != 0).map(|(place, _)| place)
}

/// The values, and none, that come out in the needed tests as the one that was found.
fn allowed(subjects: &Subjects, states: &[usize], needed: &BTreeSet<(usize, usize)>, place: usize) -> Vec<Alteration> {
    let subject = subjects.get(place).unwrap();
    let found = &subject.states[states[place]];
    let subject::What::Attribute { id, kind, tests, today } = &subject.what else { return vec![found.example.clone()] };
    let values = made::values(*kind).into_iter().map(Some).chain([None]);
    let fits = |value: &Option<Value>| {
        let passes = |test: usize| value.as_ref().is_some_and(|value| tests[test].passes(value, *today));
        needed.iter().filter(|(of, _)| *of == place).all(|(_, test)| passes(*test) == found.passes[*test])
    };
    values.filter(fits).map(|value| Alteration::Attribute(id.clone(), value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_words_allow_turns_the_answer_round(
        condition in made::condition(),
        end_users in prop::collection::vec(made::end_user(), 3),
    ) {
        for of in &end_users {
            let facts = Facts { values: &|id| of.value(id), member_of: &|id| of.is_in(id), today: made::today() };
            let subjects = Subjects::of(&condition, &facts);
            let goal = Goal::new(&condition, !of.passes(&condition, made::today()), &subjects);
            let Found::Smallest(sets) = search::smallest(&goal, &subjects) else { continue };
            for states in &sets {
                let needed = words::needed(&goal, &subjects, states);
                let allowed: Vec<Vec<Alteration>> =
                    changed(states).map(|place| allowed(&subjects, states, &needed, place)).collect();
                for place in 0..allowed.len() {
                    // Each value that is allowed, with every one of the next subject.
                    let (one, other) = (&allowed[place], &allowed[(place + 1) % allowed.len()]);
                    for (one, other) in one.iter().flat_map(|one| other.iter().map(move |other| (one, other))) {
                        let mut set = words::changes(&goal, &subjects, states);
                        let next = (place + 1) % set.len();
                        set[next].example = other.clone();
                        set[place].example = one.clone();
                        prop_assert!(turns_round(&condition, of, &set), "{:?}", set);
                    }
                }
            }
        }
    }

    #[test]
    fn changes_turn_the_answer_round_and_fewer_would_not(
        condition in made::condition(),
        end_users in prop::collection::vec(made::end_user(), 3),
    ) {
        for of in &end_users {
            let explanation = told(&condition, of);
            prop_assert_eq!(explanation.tree.held(), of.passes(&condition, made::today()));
            let (count, fewest) = (explanation.changes.len(), fewest(&condition, of));
            for set in std::iter::once(&explanation.changes).chain(&explanation.alternatives) {
                prop_assert_eq!(set.len(), count);
                prop_assert!(set.is_empty() || turns_round(&condition, of, set), "{:?}", set);
            }
            if let Some(fewest) = fewest {
                let told = &explanation.changes;
                prop_assert!((1..=fewest).contains(&count), "{} would do; told: {:?}", fewest, told);
            }
            prop_assert_eq!(count == 0, explanation.note.is_some());
        }
    }
}
