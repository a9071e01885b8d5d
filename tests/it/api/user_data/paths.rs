//! Field paths: how a dot-separated name finds its value in a payload.

use serde_json::{Value, json};

use crate::support::{integration, shared};

#[test]
fn the_longest_literal_key_wins_at_every_level() {
    let text = integration(
        "id",
        &[("a.b.c", "", "string"), ("d.e", "Renamed", "number"), ("f-g h", "", "string"), ("ü", "u", "string")],
    );
    let system = shared().add_system(&[("integrations/x.toml", text)]);
    let every_form = json!({ "a": { "b": { "c": "x" }, "b.c": "x" }, "a.b": { "c": "x" }, "a.b.c": "5" });
    let cases: &[(&str, Value, Value)] = &[
        ("nested", json!({ "a": { "b": { "c": "1" } } }), json!({ "a_b_c": "1" })),
        ("literal", json!({ "a.b.c": "2" }), json!({ "a_b_c": "2" })),
        ("literal, then nested", json!({ "a.b": { "c": "3" } }), json!({ "a_b_c": "3" })),
        ("nested, then literal", json!({ "a": { "b.c": "4" } }), json!({ "a_b_c": "4" })),
        ("the whole literal before all else", every_form, json!({ "a_b_c": "5" })),
        ("two of three before one", json!({ "a": { "b.c": "x" }, "a.b": { "c": "6" } }), json!({ "a_b_c": "6" })),
        ("deeper down too", json!({ "a": { "b": { "c": "x" }, "b.c": "7" } }), json!({ "a_b_c": "7" })),
        ("renamed", json!({ "d": { "e": 8 } }), json!({ "Renamed": 8 })),
        ("odd characters become _", json!({ "f-g h": "9" }), json!({ "f_g_h": "9" })),
        ("any letters in a field", json!({ "ü": "10" }), json!({ "u": "10" })),
        ("a path into a plain value finds nothing", json!({ "a": "x", "d.e": 11 }), json!({ "Renamed": 11 })),
        ("an empty branch hides nothing", json!({ "a.b": {}, "a": { "b": { "c": "12" } } }), json!({ "a_b_c": "12" })),
    ];
    for (number, (what, payload, expected)) in cases.iter().enumerate() {
        let id = format!("user-{number}");
        let mut record = payload.clone();
        record["id"] = json!(id);
        system.update("x", &json!([record])).counts();
        assert_eq!(system.attributes(&id)["x"], *expected, "{what}: {payload}");
    }
}

#[test]
fn a_bad_value_is_pointed_at_where_it_was_found() {
    let text = integration("id", &[("a.b", "", "number"), ("c/d~e", "odd", "number")]);
    let system = shared().add_system(&[("integrations/x.toml", text)]);
    let cases = [
        (json!({ "a": { "b": "x" } }), "/data/0/a/b"),
        (json!({ "a.b": "x" }), "/data/0/a.b"),
        (json!({ "c/d~e": "x" }), "/data/0/c~1d~0e"),
    ];
    for (mut record, pointer) in cases {
        record["id"] = json!("u");
        let problem = system.update("x", &json!([record])).problem(422);
        problem.points_at(vec![pointer]);
        assert_eq!(problem.code(pointer), "not_a_number");
    }
    system.end_user("u").problem(404);
}
