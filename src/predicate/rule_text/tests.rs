//! Conditions as people would write them. That they read back is held where rules are read.

use serde_json::{Value as Json, json};

use super::*;
use crate::predicate::made::{self, Made};
use crate::predicate::{Pattern, TextTest, parse_where};

fn is(attribute: &str, operator: &str, value: Json) -> Json {
    json!({"attribute": attribute, "operator": operator, "value": value})
}

fn rule(json: Json) -> String {
    to_rule(&parse_where(&json, "", &Made).unwrap(), &|_| false).unwrap()
}

#[test]
fn conditions_read_as_a_person_would_write_them() {
    let set = json!({"attribute": "crm.Plan", "operator": "is_set"});
    let (pro, seats) = (is("crm.Plan", "is", json!("pro")), is("crm.Seats", "at_least", json!(50)));
    for (json, expected) in [
        (json!({"all": []}), "true"),
        (json!({"any": []}), "false"),
        (json!({"all": [seats, {"not": set}]}), "crm.Seats >= 50 && !is_set(crm.Plan)"),
        (json!({"any": [seats, {"all": [pro, set]}]}), r#"crm.Seats >= 50 || (crm.Plan == "pro" && is_set(crm.Plan))"#),
        (json!({"all": [seats, {"any": [pro, set]}]}), r#"crm.Seats >= 50 && (crm.Plan == "pro" || is_set(crm.Plan))"#),
        (json!({"all": [seats, {"all": [pro, set]}]}), r#"crm.Seats >= 50 && crm.Plan == "pro" && is_set(crm.Plan)"#),
        (json!({"not": {"any": [pro, set]}}), r#"!(crm.Plan == "pro" || is_set(crm.Plan))"#),
        (json!({"not": seats}), "!(crm.Seats >= 50)"),
        (json!({"not": {"not": seats}}), "crm.Seats >= 50"),
        (json!({"segment": "trial"}), r#"in_segment("trial")"#),
        (json!({"not": {"segment": "trial"}}), r#"!in_segment("trial")"#),
        (is("crm.Plan", "is_not", json!("pro")), r#"crm.Plan != "pro""#),
        (is("crm.Plan", "is_one_of", json!(["b", "a"])), r#"crm.Plan in ["a", "b"]"#),
        (is("crm.Plan", "is_not_one_of", json!(["b", "a"])), r#"!(crm.Plan in ["a", "b"])"#),
        (is("crm.Plan", "does_not_contain", json!("a")), r#"!contains(crm.Plan, "a")"#),
        (is("crm.Plan", "matches", json!(r"^\d")), r#"matches(crm.Plan, "^\\d")"#),
        (is("crm.Plan", "is", json!("a\"\n\u{7}\u{202e}")), r#"crm.Plan == "a\"\n\u0007\u202e""#),
        (is("crm.Seats", "not_equals", json!(-2.5)), "crm.Seats != -2.5"),
        (is("crm.Seats", "between", json!([1, 5])), "between(crm.Seats, 1, 5)"),
        (is("crm.Seats", "is_one_of", json!([1e15, 0.5])), "crm.Seats in [0.5, 1000000000000000]"),
        (is("crm.Signup", "on", json!("2024-10-04")), r#"crm.Signup == "2024-10-04""#),
        (is("crm.Signup", "before", json!("2024-10-04")), r#"crm.Signup <= "2024-10-03""#),
        (is("crm.Signup", "before", json!("0001-01-01")), "false"),
        (is("crm.Signup", "in_last_days", json!(30)), "between(crm.Signup, today() - 30, today())"),
        (is("crm.Signup", "in_last_days", json!(0)), "crm.Signup == today()"),
        (is("crm.Signup", "in_next_days", json!(400_000)), "crm.Signup >= today() && days_until(crm.Signup) <= 400000"),
        (is("crm.Signup", "more_than_days_ago", json!(30)), "days_since(crm.Signup) >= 31"),
        (is("crm.Signup", "more_than_days_ago", json!(0)), "crm.Signup < today()"),
    ] {
        assert_eq!(rule(json.clone()), expected, "{json}");
    }
}

#[test]
fn case_and_reserved_names_are_minded() {
    let mut any_case = is("crm.Plan", "ends_with", json!("X"));
    any_case["ignore_case"] = json!(true);
    assert_eq!(rule(any_case), r#"ends_with(lower(crm.Plan), "x")"#);
    let condition = parse_where(&is("crm.Plan", "is", json!("a")), "", &Made).unwrap();
    assert_eq!(to_rule(&condition, &|name| name == "Plan").unwrap(), r#"crm["Plan"] == "a""#);
    let found = TextMatch::Matches(Pattern::new("a").unwrap());
    let lowered = made::test("crm.Plan", Test::Text(TextTest { found, lowered: true }));
    assert_eq!(to_rule(&lowered, &|_| false).unwrap(), r#"matches(lower(crm.Plan), "a")"#);
}

#[test]
fn long_rules_go_over_lines_and_rows_are_not_too_long() {
    let part = json!({"any": [is("crm.Plan", "is", json!("a")), is("crm.Name", "is", json!("b"))]});
    let one = r#"(crm.Plan == "a" || crm.Name == "b")"#;
    assert_eq!(rule(json!({"all": vec![&part; 4]})), [one; 4].join("\n    && "));
    let many = rule(json!({"any": vec![is("crm.Seats", "equals", json!(1)); 900]}));
    let row = |text: &str| text.matches(") || (").count() + 1;
    assert_eq!(row(&many), 900_usize.div_ceil(IN_A_ROW), "each of them a row in parentheses");
    let list: Vec<u32> = (0..2_500).collect();
    assert_eq!(rule(is("crm.Seats", "is_one_of", json!(list))).matches("crm.Seats in [").count(), 3);
    assert!(rule(is("crm.Seats", "is_not_one_of", json!(list))).starts_with("!(crm.Seats in [0, "));
}
