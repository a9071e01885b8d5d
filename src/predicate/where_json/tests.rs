//! What the door lets in, what it refuses and with which words, and that what is written reads back.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::predicate::made::{self, EndUser, Made};
use crate::predicate::{DateBound, DateTest, Test, TextMatch, TextTest};

fn parse(json: Json) -> Result<Condition, Vec<WhereError>> {
    parse_where(&json, "/where", &Made)
}

/// The mistakes as pointer, code and a part of the detail.
fn mistakes(json: Json) -> Vec<(String, &'static str, String)> {
    let errors = parse(json).expect_err("has mistakes");
    errors.into_iter().map(|error| (error.pointer, error.code, error.detail)).collect()
}

/// Whether a condition on one attribute holds for a value of it; none is a missing one.
fn holds(attribute: &str, operator: &str, value: Json, actual: Option<&str>) -> bool {
    let mut condition = json!({ "attribute": attribute, "operator": operator });
    if !value.is_null() {
        condition["value"] = value;
    }
    judged(condition, attribute, actual)
}

fn judged(condition: Json, attribute: &str, actual: Option<&str>) -> bool {
    let condition = parse(condition).unwrap();
    let mut end_user = EndUser::default();
    let attribute: AttributeId = attribute.parse().unwrap();
    if let Some(text) = actual {
        let kind = Made.attribute_type(&attribute).unwrap();
        let value = crate::model::Value::String(text.into()).read_as(kind).unwrap();
        end_user.values.insert(attribute, value);
    }
    end_user.passes(&condition, made::today())
}

/// Attribute, operator, its value, what passes, what does not.
type Row<'a> = (&'a str, &'a str, Json, &'a [Option<&'a str>], &'a [Option<&'a str>]);

#[test]
fn every_operator_says_what_the_table_says() {
    let table: &[Row] = &[
        ("crm.Plan", "is", json!("pro"), &[Some("pro")], &[Some("Pro"), Some("prod"), None]),
        ("crm.Plan", "is", json!(5), &[Some("5")], &[Some("5.0"), None]),
        ("crm.Plan", "is_not", json!("pro"), &[Some("Pro"), None], &[Some("pro")]),
        ("crm.Plan", "contains", json!("ro"), &[Some("pro")], &[Some("pRo"), None]),
        ("crm.Plan", "does_not_contain", json!("ro"), &[Some("pRo"), None], &[Some("pro")]),
        ("crm.Plan", "starts_with", json!("pr"), &[Some("pro")], &[Some("apro"), None]),
        ("crm.Plan", "ends_with", json!("ro"), &[Some("pro")], &[Some("prod"), None]),
        ("crm.Plan", "is_one_of", json!(["team", "pro", "pro"]), &[Some("pro"), Some("team")], &[Some("x"), None]),
        ("crm.Plan", "is_one_of", json!([]), &[], &[Some("x"), None]),
        ("crm.Plan", "is_not_one_of", json!(["team", "pro"]), &[Some("x"), None], &[Some("pro"), Some("team")]),
        ("crm.Plan", "matches", json!("r.$"), &[Some("pro")], &[Some("prod"), None]),
        ("crm.Plan", "is_set", Json::Null, &[Some(""), Some("x")], &[None]),
        ("crm.Plan", "is_not_set", Json::Null, &[None], &[Some("")]),
        ("crm.Seats", "equals", json!(50), &[Some("50")], &[Some("50.5"), None]),
        ("crm.Seats", "equals", json!(" 5e1 "), &[Some("50")], &[Some("5")]),
        ("crm.Seats", "not_equals", json!(50), &[Some("51"), None], &[Some("50")]),
        ("crm.Seats", "greater_than", json!(50), &[Some("50.5")], &[Some("50"), None]),
        ("crm.Seats", "at_least", json!(50), &[Some("50")], &[Some("49.5"), None]),
        ("crm.Seats", "less_than", json!(50), &[Some("-50")], &[Some("50"), None]),
        ("crm.Seats", "at_most", json!(50), &[Some("50")], &[Some("51"), None]),
        ("crm.Seats", "between", json!([1, 5]), &[Some("1"), Some("5")], &[Some("0"), Some("5.5"), None]),
        ("crm.Seats", "between", json!([5, 1]), &[], &[Some("1"), Some("3"), Some("5"), None]),
        ("crm.Seats", "is_one_of", json!([9, "1", 1]), &[Some("1"), Some("9")], &[Some("2"), None]),
        ("crm.Seats", "is_not_one_of", json!([9, 1]), &[Some("2"), None], &[Some("9")]),
        ("crm.Seats", "is_set", Json::Null, &[Some("0")], &[None]),
        ("crm.Signup", "on", json!("2024-10-04"), &[Some("2024-10-04")], &[Some("2024-10-05"), None]),
        ("crm.Signup", "on", json!("2024-10-04T23:00:00-05:00"), &[Some("2024-10-04")], &[Some("2024-10-05"), None]),
        ("crm.Signup", "not_on", json!("2024-10-04"), &[Some("2024-10-05"), None], &[Some("2024-10-04")]),
        ("crm.Signup", "before", json!("2024-10-04"), &[Some("2024-10-03")], &[Some("2024-10-04"), None]),
        ("crm.Signup", "after", json!("2024-10-04"), &[Some("2024-10-05")], &[Some("2024-10-04"), None]),
        ("crm.Signup", "on_or_before", json!("2024-10-04"), &[Some("2024-10-04")], &[Some("2024-10-05"), None]),
        ("crm.Signup", "on_or_after", json!("2024-10-04"), &[Some("2024-10-04")], &[Some("2024-10-03"), None]),
        (
            "crm.Signup",
            "between",
            json!(["2024-10-01", "2024-10-03"]),
            &[Some("2024-10-01"), Some("2024-10-03")],
            &[Some("2024-09-30"), Some("2024-10-04"), None],
        ),
        // Today is 2024-10-04.
        (
            "crm.Signup",
            "in_last_days",
            json!(30),
            &[Some("2024-09-04"), Some("2024-10-04")],
            &[Some("2024-09-03"), Some("2024-10-05"), None],
        ),
        ("crm.Signup", "in_last_days", json!("0"), &[Some("2024-10-04")], &[Some("2024-10-03"), Some("2024-10-05")]),
        (
            "crm.Signup",
            "in_next_days",
            json!(3),
            &[Some("2024-10-04"), Some("2024-10-07")],
            &[Some("2024-10-03"), Some("2024-10-08"), None],
        ),
        ("crm.Signup", "more_than_days_ago", json!(30), &[Some("2024-09-03")], &[Some("2024-09-04"), None]),
        ("crm.Signup", "is_not_set", Json::Null, &[None], &[Some("2024-09-04")]),
    ];
    for (attribute, operator, value, passing, failing) in table {
        for actual in *passing {
            assert!(holds(attribute, operator, value.clone(), *actual), "{actual:?} {operator} {value}");
        }
        for actual in *failing {
            assert!(!holds(attribute, operator, value.clone(), *actual), "{actual:?} {operator} {value}");
        }
    }
    for operator in Operator::ALL {
        assert!(table.iter().any(|(_, name, ..)| *name == operator.as_str()), "{operator:?} is not tried");
    }
}

#[test]
fn case_is_ignored_when_asked() {
    let any_case = |operator: &str, value: Json, actual: &str| {
        let condition = json!({ "attribute": "crm.Plan", "operator": operator, "value": value, "ignore_case": true });
        judged(condition, "crm.Plan", Some(actual))
    };
    for (operator, value) in [
        ("is", json!("pRÖ")),
        ("is_one_of", json!(["x", "PRÖ"])),
        ("contains", json!("RÖ")),
        ("starts_with", json!("PR")),
        ("ends_with", json!("Ö")),
        ("matches", json!("^PR(Ö|x)$")),
    ] {
        assert!(any_case(operator, value.clone(), "Prö"), "{operator}");
        assert!(!any_case(operator, value, "free"), "{operator}");
    }
    assert!(!any_case("is_not", json!("PRO"), "pro"));
    assert!(any_case("matches", json!(r"^\S+$"), "x"), "the pattern's own letters keep their case");
    assert!(!any_case("matches", json!(r"^\S+$"), " "));
}

#[test]
fn conditions_nest() {
    let json = json!({"all": [
        {"any": [{"attribute": "crm.Plan", "operator": "is", "value": "pro"}, {"segment": "trial"}]},
        {"not": {"attribute": "crm.Seats", "operator": "is_set"}},
        {"any": []},
    ]});
    let is_pro = TextTest { found: TextMatch::OneOf(vec!["pro".into()]), lowered: false };
    let expected = Condition::All(vec![
        Condition::Any(vec![
            made::test("crm.Plan", Test::Text(is_pro)),
            Condition::Segment(SegmentId::new("trial").unwrap()),
        ]),
        Condition::Not(Box::new(made::test("crm.Seats", Test::IsSet))),
        Condition::Any(vec![]),
    ]);
    assert_eq!(parse(json.clone()), Ok(expected.clone()), "as it is written");
    assert_eq!(to_where(&expected).unwrap()["all"][0], json["all"][0]);
}

#[test]
fn every_mistake_is_named_with_its_place_at_once() {
    let found = mistakes(json!({"all": [
        {"attribute": "crm.Seatz", "operator": "at_leest", "value": 5},
        {"attribute": "crm.Plan", "operator": "equals", "value": "x"},
        {"attribute": "crm.Seats", "operator": "at_least", "value": "many", "ignore_case": true},
        {"segment": "premum"},
        {"attribute": "crm.Seats", "operator": "is_one_of", "value": [1, null, "x", true]},
        {"attribute": "crm.Signup", "operator": "between", "value": ["2024-02-30"]},
        {"attribute": "crm.Plan", "operator": "matches", "value": "(a"},
        {"attribute": "Seats", "operator": "is_set", "value": 1},
        {"any": [], "not": {"segment": "trial"}},
        {"al": []},
        5,
    ]}));
    let expected: &[(&str, &str, &str)] = &[
        ("/where/all/0/attribute", "unknown_attribute", "there is no attribute `crm.Seatz`; did you mean `crm.Seats`?"),
        ("/where/all/0/operator", "unknown_operator", "there is no operator `at_leest`; did you mean `at_least`?"),
        (
            "/where/all/1/operator",
            "wrong_operator",
            "`crm.Plan` is a string and has no operator `equals`; did you mean `is`?",
        ),
        ("/where/all/2/ignore_case", "wrong_type", "only strings"),
        ("/where/all/2/value", "not_a_number", "`many` is no number"),
        ("/where/all/3/segment", "unknown_segment", "there is no segment `premum`; did you mean `premium`?"),
        ("/where/all/4/value/1", "null", "is_not_set"),
        ("/where/all/4/value/2", "not_a_number", "`x`"),
        ("/where/all/4/value/3", "wrong_type", "a boolean can't be a number"),
        ("/where/all/5/value", "two_values", "[from, to]"),
        ("/where/all/6/value", "bad_pattern", "unclosed group"),
        ("/where/all/7/attribute", "unknown_attribute", "did you mean `crm.Seats`?"),
        ("/where/all/8/not", "unknown_key", "can't stand beside `any`"),
        ("/where/all/9/al", "unknown_key", "did you mean `all`?"),
        ("/where/all/9", "shape", "all, any, not, segment, attribute"),
        ("/where/all/10", "shape", "must be an object"),
    ];
    for ((pointer, code, detail), (expected_pointer, expected_code, part)) in found.iter().zip(expected) {
        assert_eq!((pointer.as_str(), *code), (*expected_pointer, *expected_code), "{detail}");
        assert!(detail.contains(part), "{detail:?} has no {part:?}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn each_kind_of_mistake_has_its_code() {
    let is = |operator: &str, value: Json| json!({"attribute": "crm.Plan", "operator": operator, "value": value});
    let of = |attribute: &str, operator: &str, value: Json| json!({"attribute": attribute, "operator": operator, "value": value});
    let long = "x".repeat(MAX_TEXT + 1);
    for (json, pointer, code) in [
        (json!([]), "", "shape"),
        (json!("crm.Seats > 5"), "", "shape"),
        (json!({}), "", "shape"),
        (json!({"all": {}}), "/all", "shape"),
        (json!({"not": []}), "/not", "shape"),
        (json!({"segment": 5}), "/segment", "shape"),
        (json!({"segment": "No Id"}), "/segment", "unknown_segment"),
        (json!({"operator": "is_set"}), "", "missing_attribute"),
        (json!({"attribute": "crm.Plan"}), "", "missing_operator"),
        (json!({"attribute": 1, "operator": "is_set"}), "/attribute", "shape"),
        (json!({"attribute": "crm.Plan", "operator": 1}), "/operator", "shape"),
        (json!({"attribute": "crm.Plan", "operator": "is"}), "/value", "missing_value"),
        (json!({"attribute": "crm.Plan", "operator": "is_set", "a/b~": 1}), "/a~1b~0", "unknown_key"),
        (json!({"attribute": "crm.Plan", "operator": "is_set", "ignore_case": 1}), "/ignore_case", "shape"),
        (is("is", Json::Null), "/value", "null"),
        (is("is", json!(["a"])), "/value", "wrong_type"),
        (is("is", json!({})), "/value", "wrong_type"),
        (is("is", json!(long)), "/value", "string_too_long"),
        (is("is_one_of", json!("a")), "/value", "shape"),
        (is("is_one_of", json!(vec![0; MAX_VALUES + 1])), "/value", "too_large"),
        (is("is_set", json!("a")), "/value", "unexpected_value"),
        (is("matches", json!(r"\w{5000}")), "/value", "bad_pattern"),
        (is("at_least", json!(1)), "/operator", "wrong_operator"),
        (of("crm.Seats", "is", json!(1)), "/operator", "wrong_operator"),
        (of("crm.Seats", "at_least", json!(9_007_199_254_740_993_i64)), "/value", "integer_too_large"),
        (of("crm.Seats", "between", json!(1)), "/value", "two_values"),
        (of("crm.Seats", "between", json!([1, 2, 3])), "/value", "two_values"),
        (of("crm.Signup", "is_one_of", json!([])), "/operator", "wrong_operator"),
        (of("crm.Signup", "on", json!("4.10.2024")), "/value", "not_a_date"),
        (of("crm.Signup", "on", json!("2023-02-29")), "/value", "no_such_day"),
        (of("crm.Signup", "on", json!(20240101)), "/value", "wrong_type"),
        (of("crm.Signup", "in_last_days", json!(-1)), "/value", "days"),
        (of("crm.Signup", "in_last_days", json!(1.5)), "/value", "days"),
        (of("crm.Signup", "in_last_days", json!("soon")), "/value", "not_a_number"),
        (of("crm.Signup", "in_last_days", json!(1e15)), "/value", "days"),
    ] {
        let expected = (format!("/where{pointer}"), code);
        let found: Vec<_> = mistakes(json.clone()).into_iter().map(|(pointer, code, _)| (pointer, code)).collect();
        assert_eq!(found, [expected], "{json}");
    }
}

#[test]
fn too_deep_and_too_large_are_refused_once() {
    let nested = |levels: usize| (0..levels).fold(json!({"segment": "trial"}), |inner, _| json!({ "not": inner }));
    assert!(parse(nested(MAX_DEPTH)).is_ok());
    let deep = mistakes(nested(MAX_DEPTH + 1));
    assert_eq!(deep.len(), 1);
    assert_eq!(
        (deep[0].0.as_str(), deep[0].1),
        (format!("/where{}", "/not".repeat(MAX_DEPTH + 1)).as_str(), "too_deep")
    );

    let wide = |count: usize| json!({ "any": vec![json!({"segment": "trial"}); count] });
    assert!(parse(wide(MAX_CONDITIONS - 1)).is_ok());
    let large = mistakes(wide(5 * MAX_CONDITIONS));
    assert_eq!(large.len(), 1, "and the rest is not looked into");
    assert_eq!((large[0].0.as_str(), large[0].1), ("/where/any/999", "too_large"));

    let wrong = json!({"attribute": "crm.Seats", "operator": "is_one_of", "value": vec!["x"; 5_000]});
    assert_eq!(mistakes(wrong).len(), MAX_ERRORS);
}

#[test]
fn days_relative_to_today_become_what_people_ask() {
    let within = |low: Option<i64>, high: Option<i64>| {
        let test = DateTest::Within(low.map(DateBound::Today), high.map(DateBound::Today));
        to_where(&made::test("crm.Signup", Test::Date(test))).unwrap()
    };
    let is = |operator: &str, days: i64| json!({"attribute": "crm.Signup", "operator": operator, "value": days});
    assert_eq!(within(Some(-30), Some(0)), is("in_last_days", 30));
    assert_eq!(within(Some(0), Some(7)), is("in_next_days", 7));
    assert_eq!(within(None, Some(-31)), is("more_than_days_ago", 30));
    assert_eq!(within(Some(-30), Some(7)), json!({"any": [is("in_last_days", 30), is("in_next_days", 7)]}));
}

#[test]
fn a_negation_becomes_the_negative_operator() {
    for operator in Operator::ALL.iter().filter(|operator| operator.positive().is_some()) {
        let (attribute, value) = match *operator {
            Operator::IsNotSet => ("crm.Plan", None),
            Operator::IsNotOneOf => ("crm.Plan", Some(json!(["a", "b"]))),
            Operator::NotEquals => ("crm.Seats", Some(json!(5))),
            Operator::NotOn => ("crm.Signup", Some(json!("2024-10-04"))),
            _ => ("crm.Plan", Some(json!("a"))),
        };
        let mut json = json!({"attribute": attribute, "operator": operator.as_str()});
        if let Some(value) = value {
            json["value"] = value;
        }
        assert_eq!(to_where(&parse(json.clone()).unwrap()), Some(json));
    }
}

#[test]
fn what_a_filter_can_not_say_is_not_written() {
    use crate::predicate::NumberTest::OneOf;
    let number = |number: f64| made::test("crm.Seats", Test::Number(OneOf(vec![number])));
    assert!(to_where(&number(5.5)).is_some());
    assert_eq!(to_where(&number(1e300)), None);
    assert_eq!(to_where(&number(f64::INFINITY)), None);
    // `lower(crm.Plan) == "Pro"` never holds, while a filter would look for "pro".
    let text = |text: &str| {
        let found = TextMatch::OneOf(vec![text.into()]);
        made::test("crm.Plan", Test::Text(TextTest { found, lowered: true }))
    };
    assert!(to_where(&text("pro")).is_some());
    assert_eq!(to_where(&text("Pro")), None);
    let deep = (0..=MAX_DEPTH).fold(number(5.0), |inner, _| Condition::All(vec![inner]));
    assert_eq!(to_where(&deep), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_reads_back_with_the_same_meaning(
        condition in made::condition(),
        end_users in prop::collection::vec(made::end_user(), 20),
        day in -40_i32..40,
    ) {
        let Some(json) = to_where(&condition) else { return Ok(()) };
        let back = parse_where(&json, "", &Made).unwrap();
        let today = crate::model::Date::from_days(made::TODAY + day).unwrap();
        for end_user in &end_users {
            prop_assert_eq!(end_user.passes(&back, today), end_user.passes(&condition, today), "{}", json);
            let simple = condition.clone().simplified();
            prop_assert_eq!(end_user.passes(&simple, today), end_user.passes(&condition, today), "{:?}", simple);
        }
        // And from then on it stays as it is.
        prop_assert_eq!(to_where(&back), Some(json));
    }
}
