//! What a change of the rules means for the values that are stored: the cap, removal and return, another type.

use std::fs;

use serde_json::{Value, json};

use super::{errors, system};
use crate::support::{System, crm, eventually, integration, property, segment, shared};

#[test]
fn the_hundred_and_first_attribute_is_refused() {
    let many = |count: usize| {
        let properties: String = (0..count).map(|n| property(&format!("f{n}"), "", "number")).collect();
        format!("{}{properties}", integration("Email", &[]))
    };
    let disabled = many(40).replace("kind =", "enabled = false\nkind =");
    let system = shared().add_system(&[("integrations/one.toml", many(60)), ("integrations/two.toml", disabled)]);
    assert_eq!(system.report()["attributes_used"], 100);
    let full = json!([(0..60).fold(json!({ "Email": "a" }), |mut record, n| {
        record[format!("f{n}")] = json!(n);
        record
    })]);
    system.update("one", &full).counts();

    system.write(&[("integrations/three.toml", &many(1))]);
    let told = errors(&system);
    let text = json!(told).to_string();
    for part in ["101", "100", "one", "60", "two", "40", "three"] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    assert_eq!(system.report()["attributes_used"], 100, "the last good version stays");
    let reply = system.client.put(&system.admin("integrations/one"), &json!({ "text": many(61) }));
    reply.problem(422);
    system.write(&[("integrations/two.toml", &many(39))]);
    system.is_live();
    eventually("the freed place is taken", || {
        let report = system.report();
        if report["errors"] == json!([]) && report["attributes_used"] == 100 { Ok(()) } else { Err(report.to_string()) }
    });
    system.update("three", &json!([{ "Email": "a", "f0": 1 }])).counts();
}

#[test]
fn a_removed_property_hides_its_values_and_a_returned_one_shows_them() {
    let system = system();
    system.update("crm", &json!([{ "Email": "a", "Type": "paying" }])).counts();
    let less = integration("Email", &[("Type", "Customer_Type", "string")]);
    system.write(&[("integrations/crm.toml", &less), ("segments/big.rhai", &segment("is_set(crm.Customer_Type)"))]);
    system.reload();
    assert_eq!(system.attributes("a"), json!({ "crm": { "Customer_Type": "paying" } }));
    assert_eq!(system.report()["attributes_used"], 1, "its place is free");
    system.update("crm", &json!([{ "Email": "a", "Seats": 99, "Type": "x" }])).counts();
    system.update("crm", &json!([{ "Email": "a", "Type": "y" }, { "Email": "b", "Type": "y" }])).counts();

    system.write(&[("integrations/crm.toml", &crm()), ("segments/big.rhai", &segment("crm.Seats == 60"))]);
    system.reload();
    assert_eq!(system.attributes("a")["crm"]["Customer_Type"], "y");
    let seats = &system.attributes("a")["crm"]["Seats"];
    assert!(*seats == json!(60) || seats.is_null(), "never a value that was not declared when it was sent: {seats}");

    fs::remove_file(server_file(&system, "integrations/crm.toml")).unwrap();
    fs::remove_file(server_file(&system, "segments/big.rhai")).unwrap();
    system.write(&[("segments/all.rhai", &segment("true"))]);
    system.reload();
    assert_eq!(system.attributes("a"), json!({}), "a removed integration hides all of its values");
    assert_eq!(system.report()["attributes_used"], 0);
    system.write(&[("integrations/crm.toml", &crm())]);
    system.reload();
    assert_eq!(system.attributes("a")["crm"]["Customer_Type"], "y");
}

#[test]
fn a_changed_type_reads_stored_values_through_the_table() {
    let typed = |kind: &str| integration("id", &[("v", "", kind)]);
    let system =
        shared().add_system(&[("integrations/x.toml", typed("string")), ("segments/has.rhai", segment("is_set(x.v)"))]);
    let stored = [("a", "12.50"), ("b", "2024-02-29T10:00:00Z"), ("c", "words"), ("d", " 7 ")];
    for (id, text) in stored {
        system.update("x", &json!([{ "id": id, "v": text }])).counts();
    }
    let read_as = |kind: &str, expected: [Value; 4]| {
        system.write(&[("integrations/x.toml", &typed(kind))]);
        system.reload();
        for ((id, text), expected) in stored.iter().zip(expected) {
            let value = system.attributes(id)["x"]["v"].clone();
            assert_eq!(value, expected, "{text:?} as {kind}");
            let has: &[&str] = if expected.is_null() { &[] } else { &["has"] };
            assert_eq!(system.segments(id), has, "{text:?} as {kind}: segments see what readers see");
        }
    };
    read_as("number", [json!(12.5), Value::Null, Value::Null, json!(7)]);
    read_as("date", [Value::Null, json!("2024-02-29"), Value::Null, Value::Null]);
    read_as("string", [json!("12.50"), json!("2024-02-29T10:00:00Z"), json!("words"), json!(" 7 ")]);

    system.write(&[("integrations/x.toml", &typed("number"))]);
    system.reload();
    system.update("x", &json!([{ "id": "a", "v": 3 }])).counts();
    system.write(&[("integrations/x.toml", &typed("string"))]);
    system.reload();
    assert_eq!(system.attributes("a")["x"]["v"], json!("3"), "the newest value counts, whatever type it was sent as");
    assert_eq!(system.attributes("c")["x"]["v"], json!("words"));
}

fn server_file(system: &System<'_>, path: &str) -> std::path::PathBuf {
    system.server.home.rules().join(&system.id).join(path)
}
