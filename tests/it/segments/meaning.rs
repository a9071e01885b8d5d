//! What rules mean: every named function, missing values, other segments, today.

use std::fmt::Write as _;

use serde_json::json;

use crate::support::{System, crm, integration, segment, shared};

/// The end users of the table below: `full` has every value, `none` has none (and is unknown).
fn good_system(rules: &[(&str, bool, bool)]) -> System<'static> {
    let facts = integration(
        "id",
        &[
            ("s", "", "string"),
            ("n", "", "number"),
            ("d", "", "date"),
            ("empty", "", "string"),
            ("gone", "", "string"),
            ("default", "", "number"),
        ],
    );
    let mut files = vec![
        ("integrations/x.toml".to_owned(), facts),
        ("segments/yes.rhai".to_owned(), segment("true")),
        ("segments/has_n.rhai".to_owned(), segment("is_set(x.n)")),
    ];
    files.extend(
        rules.iter().enumerate().map(|(number, (rule, ..))| (format!("segments/g{number:03}.rhai"), segment(rule))),
    );
    let system = shared().add_system(&files);
    let full = json!([{ "id": "full", "s": "Paying Customer", "n": 50, "d": "2024-02-29", "empty": "", "default": 1 }]);
    system.update("x", &full).counts();
    system
}

#[track_caller]
fn judge(rules: &[(&str, bool, bool)]) {
    let system = good_system(rules);
    let (full, none) = (system.segments("full"), system.segments("none"));
    let mut failures = String::new();
    for (number, (rule, for_full, for_none)) in rules.iter().enumerate() {
        let id = format!("g{number:03}");
        for (who, segments, expected) in [("full", &full, for_full), ("none", &none, for_none)] {
            if segments.contains(&id) != *expected {
                writeln!(failures, "`{rule}` should be {expected} for {who}").unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn functions_and_operators_mean_what_they_say() {
    judge(&[
        // Strings.
        (r#"x.s == "Paying Customer""#, true, false),
        (r#"x.s != "Paying Customer""#, false, true),
        (r#"x.s in ["a", "Paying Customer"]"#, true, false),
        (r#"x.s in []"#, false, false),
        (r#"contains(x.s, "ing")"#, true, false),
        (r#"x.s.contains("ing")"#, true, false),
        (r#"contains(x.s, "ING")"#, false, false),
        (r#"starts_with(x.s, "Pay") && x.s.starts_with("Pay")"#, true, false),
        (r#"ends_with(x.s, "mer") && x.s.ends_with("mer")"#, true, false),
        (r#"matches(x.s, "^P.*r$") && x.s.matches("ing")"#, true, false),
        (r#"matches(x.s, "^ing")"#, false, false),
        (r#"lower(x.s) == "paying customer" && x.s.lower() != x.s"#, true, false),
        (r#"x.s > "A" && x.s < "b""#, true, false),
        (r#"x.empty == """#, true, false),
        (r#"is_set(x.empty)"#, true, false),
        // Numbers, which are floats.
        ("x.n == 50", true, false),
        ("x.n == 50.0", true, false),
        ("50 == x.n", true, false),
        ("x.n != 50", false, true),
        ("x.n >= 50 && x.n <= 50 && !(x.n > 50) && !(x.n < 50)", true, false),
        ("x.n in [1, 50]", true, false),
        ("between(x.n, 50, 60) && between(x.n, 40, 50) && x.n.between(50.0, 50)", true, false),
        ("between(x.n, 50.5, 60)", false, false),
        ("x.n / 100 == 0.5", true, false),
        ("x.n * 2 - 1 == 99 && -x.n < 0 && x.n % 7 == 1", true, false),
        (r#"x["default"] == 1"#, true, false),
        // Dates.
        (r#"x.d == "2024-02-29""#, true, false),
        (r#""2024-02-29" == x.d"#, true, false),
        (r#"x.d != "2024-02-29""#, false, true),
        (r#"x.d >= date("2024-02-29") && x.d < "2024-03-01" && x.d > "2024-02-28""#, true, false),
        (r#"x.d + 1 == "2024-03-01" && x.d - 60 == "2023-12-31""#, true, false),
        (r#"between(x.d, "2024-02-29", "2024-03-31")"#, true, false),
        (r#"x.d in ["2024-01-01", "2024-02-29"]"#, true, false),
        ("x.d < today() && x.d <= today() - 30", true, false),
        ("days_since(x.d) >= 365 && days_until(x.d) <= -365", true, false),
        ("days_since(x.d) == -days_until(x.d)", true, true),
        (r#"date("2024-03-01") > date("2024-02-29")"#, true, true),
        ("days_since(today()) == 0 && days_until(today() + 7) == 7", true, true),
        // All types.
        ("is_set(x.s) && x.n.is_set()", true, false),
        ("x.s == ()", false, true),
        ("x.s != ()", true, false),
        (r#"in_segment("yes")"#, true, true),
        (r#"in_segment("has_n") && !in_segment("g000") || false"#, false, false),
        // The language.
        ("let big = x.n > 10; if big { true } else { false }", true, false),
        (r#"switch x.s { "Paying Customer" => true, _ => false }"#, true, false),
        ("fn twice(n) { n * 2 } twice(x.n) == 100", true, false),
        ("let sum = 0; for n in [1, 2, 3] { sum += n; } sum == 6", true, true),
        ("let i = 0; while i < 10 { i += 1; } i == 10", true, true),
        ("[1, 2, 3].len() == 3 && #{ a: 1 }.a == 1", true, true),
        (r#"if !is_set(x.s) { return false; } x.s.len() == 15"#, true, false),
    ]);
}

#[test]
fn a_missing_value_means_what_the_contract_says() {
    judge(&[
        // `==` with a value is false, with nothing or another missing one true; `!=` is its negation.
        (r#"x.gone == "a""#, false, false),
        (r#"x.gone != "a""#, true, true),
        ("x.gone == ()", true, true),
        ("() == x.gone", true, true),
        ("x.gone != ()", false, false),
        ("x.gone == x.s", false, true),
        ("x.n == x.n", true, true),
        // Every ordering, `between`, `in` and string test is false, and so is `is_set`.
        ("x.n > -1 || x.n < 1e9 || x.n >= 0 || x.n <= 0", true, false),
        ("!(x.n > 50) && !(x.n <= 50)", false, true),
        ("1 < x.n || 1 > x.n", true, false),
        ("between(x.n, -1e9, 1e9)", true, false),
        (r#"x.gone in ["a", "b"]"#, false, false),
        (r#"!(x.gone in ["a", "b"])"#, true, true),
        (
            r#"contains(x.gone, "") || starts_with(x.gone, "") || ends_with(x.gone, "") || matches(x.gone, "")"#,
            false,
            false,
        ),
        (r#"x.gone.contains("") || x.gone.starts_with("")"#, false, false),
        (r#"x.d > "0001-01-01" || x.d <= "9999-12-31""#, true, false),
        ("is_set(x.gone)", false, false),
        ("!is_set(x.n)", false, true),
        // Arithmetic and other functions of nothing give nothing.
        ("x.n + 1 == ()", false, true),
        ("1 - x.n == () && x.n * 2 == () && -x.n == ()", false, true),
        ("x.d + 1 == () && x.d - 1 == ()", false, true),
        ("days_since(x.d) == () && days_until(x.d) == ()", false, true),
        ("days_since(x.d) <= 1000000", true, false),
        ("lower(x.gone) == ()", true, true),
        (r#"lower(x.gone) == "a""#, false, false),
    ]);
}

#[test]
fn a_rule_that_fails_for_an_end_user_leaves_them_out() {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("segments/trap.rhai", segment("is_set(crm.Seats) && [true, true][crm.Seats.to_int()]")),
        ("segments/all.rhai", segment("true")),
    ]);
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }, { "Email": "b", "Seats": 7777 }])).counts();
    assert_eq!(system.segments("a"), ["all", "trap"]);
    assert_eq!(system.segments("b"), ["all"]);
    assert_eq!(system.segments("a"), ["all", "trap"], "and the server goes on");
}

#[test]
fn segments_may_ask_about_others_in_any_order() {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("segments/a.rhai", segment("in_segment(\"b\") && in_segment(\"z\")")),
        ("segments/b.rhai", segment("crm.Seats > 10")),
        ("segments/z.rhai", segment("!in_segment(\"b\") || crm.Seats > 20")),
    ]);
    system.update("crm", &json!([{ "Email": "15", "Seats": 15 }, { "Email": "25", "Seats": 25 }])).counts();
    assert_eq!(system.segments("none"), ["z"]);
    assert_eq!(system.segments("15"), ["b"]);
    assert_eq!(system.segments("25"), ["a", "b", "z"]);
}

#[test]
fn today_is_the_day_in_the_systems_time_zone() {
    let zoned = |zone: &str| {
        let system = shared().add_system(&[
            ("system.toml", format!("timezone = \"{zone}\"\n")),
            ("integrations/crm.toml", crm()),
            ("segments/today.rhai", segment("crm.Signup == today()")),
            ("segments/since.rhai", segment("days_since(crm.Signup) == 0")),
        ]);
        (system, jiff::tz::TimeZone::get(zone).expect("a known zone"))
    };
    // 26 hours apart, so it is never the same day in both.
    for (system, zone) in [zoned("Pacific/Kiritimati"), zoned("Etc/GMT+12")] {
        // Asked again when midnight went by between the two.
        let right = (0..2).any(|_| {
            let day = jiff::Timestamp::now().to_zoned(zone.clone()).date();
            let records = json!([
                { "Email": "today", "Signup": day.to_string() },
                { "Email": "yesterday", "Signup": day.yesterday().unwrap().to_string() },
                { "Email": "tomorrow", "Signup": day.tomorrow().unwrap().to_string() },
            ]);
            system.update("crm", &records).counts();
            system.segments("today") == ["since", "today"]
                && system.segments("yesterday").is_empty()
                && system.segments("tomorrow").is_empty()
        });
        assert!(right, "today() in {zone:?}");
    }
}
