//! Every cell of the coercion table: what is stored, read back and judged, and what is refused.

use serde_json::{Value, json};

use crate::support::{integration, segment, shared};

/// `Ok`: what reading back gives. `Err`: the code of the refusal.
type Cell = (&'static str, &'static str, Result<Value, &'static str>);

fn cells() -> Vec<Cell> {
    let ok = |value: Value| Ok(value);
    vec![
        // A JSON string.
        (r#"" kept as is ""#, "s", ok(json!(" kept as is "))),
        (r#""""#, "s", ok(json!(""))),
        (r#""2024-02-29""#, "s", ok(json!("2024-02-29"))),
        (r#""é\u0000\ud83d\ude00""#, "s", ok(json!("é\u{0}😀"))),
        (r#"" -4.5 ""#, "n", ok(json!(-4.5))),
        (r#""1e3""#, "n", ok(json!(1000))),
        (r#""9007199254740992""#, "n", ok(json!(9_007_199_254_740_992_i64))),
        (r#""9007199254740993""#, "n", Err("integer_too_large")),
        (r#""1e999""#, "n", Err("number_not_finite")),
        (r#""""#, "n", Err("not_a_number")),
        (r#""12 seats""#, "n", Err("not_a_number")),
        (r#""NaN""#, "n", Err("not_a_number")),
        (r#""0x10""#, "n", Err("not_a_number")),
        (r#""1,5""#, "n", Err("not_a_number")),
        (r#""2024-02-29""#, "d", ok(json!("2024-02-29"))),
        (r#""0001-01-01""#, "d", ok(json!("0001-01-01"))),
        (r#""9999-12-31""#, "d", ok(json!("9999-12-31"))),
        (r#""2024-03-01T23:30:00-05:00""#, "d", ok(json!("2024-03-01"))),
        (r#""2024-03-01T00:10:00.25Z""#, "d", ok(json!("2024-03-01"))),
        (r#""2023-02-29""#, "d", Err("no_such_day")),
        (r#""0000-01-01""#, "d", Err("no_such_day")),
        (r#""10000-01-01""#, "d", Err("not_a_date")),
        (r#""29.02.2024""#, "d", Err("not_a_date")),
        (r#"" 2024-02-29""#, "d", Err("not_a_date")),
        (r#""2024-03-01T00:10""#, "d", Err("not_a_date")),
        // A JSON number.
        ("5", "s", ok(json!("5"))),
        ("1.50", "s", ok(json!("1.5"))),
        ("-0", "s", ok(json!("0"))),
        ("1e3", "s", ok(json!("1000"))),
        ("12345678901234567890123", "s", ok(json!("12345678901234567890123"))),
        ("1e999", "s", Err("number_not_finite")),
        ("5", "n", ok(json!(5))),
        ("-0.5", "n", ok(json!(-0.5))),
        ("1.5e-7", "n", ok(json!(1.5e-7))),
        ("0.1", "n", ok(json!(0.1))),
        ("-9007199254740992", "n", ok(json!(-9_007_199_254_740_992_i64))),
        ("-9007199254740993", "n", Err("integer_too_large")),
        ("1e17", "n", Err("integer_too_large")),
        ("1e999", "n", Err("number_not_finite")),
        ("20240229", "d", Err("wrong_type")),
        // A JSON boolean.
        ("true", "s", ok(json!("true"))),
        ("false", "s", ok(json!("false"))),
        ("true", "n", Err("wrong_type")),
        ("false", "d", Err("wrong_type")),
        // Arrays and objects.
        ("[]", "s", Err("wrong_type")),
        (r#"["a"]"#, "s", Err("wrong_type")),
        ("[1]", "n", Err("wrong_type")),
        (r#"["2024-02-29"]"#, "d", Err("wrong_type")),
        ("{}", "s", Err("wrong_type")),
        (r#"{"a":1}"#, "n", Err("wrong_type")),
        (r#"{"a":1}"#, "d", Err("wrong_type")),
    ]
}

#[test]
fn every_cell_of_the_table_stores_or_refuses() {
    let text = integration("id", &[("s", "", "string"), ("n", "", "number"), ("d", "", "date")]);
    let system = shared().add_system(&[
        ("integrations/x.toml", text),
        ("segments/has_s.rhai", segment("is_set(x.s)")),
        ("segments/has_n.rhai", segment("is_set(x.n)")),
        ("segments/has_d.rhai", segment("is_set(x.d)")),
    ]);
    let token = system.token("x");
    for (number, (json, field, outcome)) in cells().into_iter().enumerate() {
        let id = format!("u{number}");
        let what = format!("{json} as `{field}`");
        let reply = system.client.update_raw(&token, &format!(r#"[{{"id":"{id}","{field}":{json}}}]"#));
        match outcome {
            Ok(expected) => {
                assert_eq!(reply.counts().created, 1, "{what}");
                assert_eq!(system.attributes(&id), json!({ "x": { field: expected } }), "{what}");
                assert_eq!(system.segments(&id), [format!("has_{field}")], "{what}");
            }
            Err(code) => {
                let pointer = format!("/data/0/{field}");
                let problem = reply.problem(422);
                problem.points_at(vec![&pointer]);
                assert_eq!(problem.code(&pointer), code, "{what}");
                system.end_user(&id).problem(404);
                assert!(system.segments(&id).is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn a_string_is_limited_in_bytes() {
    let system = shared().add_system(&[("integrations/x.toml", integration("id", &[("s", "", "string")]))]);
    let fits = "é".repeat(512);
    system.update("x", &json!([{ "id": "u", "s": fits }])).counts();
    assert_eq!(system.attributes("u"), json!({ "x": { "s": fits } }));
    let problem = system.update("x", &json!([{ "id": "u", "s": format!("{fits}!") }])).problem(422);
    assert_eq!(problem.points_at(vec!["/data/0/s"]).code("/data/0/s"), "string_too_long");
    problem.says("1024").says("1025");
    assert_eq!(system.attributes("u"), json!({ "x": { "s": fits } }));
}

#[test]
fn stored_values_are_judged_by_their_type() {
    let text = integration("id", &[("s", "", "string"), ("n", "", "number"), ("d", "", "date")]);
    let system = shared().add_system(&[
        ("integrations/x.toml", text),
        ("segments/exact.rhai", segment("x.n == 1000")),
        ("segments/text.rhai", segment("x.s == \"1.5\"")),
        ("segments/leap.rhai", segment("x.d == \"2024-02-29\"")),
        ("segments/later.rhai", segment("x.d > \"2024-02-28\" && x.n > 999.5")),
    ]);
    let token = system.token("x");
    let record = r#"[{"id":"u","s":1.50,"n":" 1e3","d":"2024-02-29T12:00:00+14:00"}]"#;
    system.client.update_raw(&token, record).counts();
    assert_eq!(system.segments("u"), ["exact", "later", "leap", "text"]);
}
