//! The three payloads of the seed document, with their missing colons put right.

use serde_json::{Value, json};

use crate::support::{Counts, integration, shared};

#[test]
fn literal_and_nested_dotted_names_are_found() {
    let text = integration(
        "properties.ID",
        &[("field1", "", "string"), ("field2", "", "number"), ("nested.field", "", "number")],
    );
    let system = shared().add_system(&[("integrations/api.toml", text)]);
    let reply = system.update(
        "api",
        &json!([{ "properties.ID": "name@company.com", "field1": "value", "field2": 123, "nested": { "field": 456 } }]),
    );
    assert_eq!(reply.counts(), Counts { received: 1, created: 1, ..Counts::default() });
    let expected = json!({ "api": { "field1": "value", "field2": 123, "nested_field": 456 } });
    assert_eq!(system.attributes("name@company.com"), expected);

    let turned = json!([{ "properties": { "ID": "name@company.com" }, "nested.field": 7 }, { "properties.ID": "b", "field2": 1 }]);
    assert_eq!(system.update("api", &turned).counts().updated, 1);
    assert_eq!(system.attributes("name@company.com"), json!({ "api": { "nested_field": 7 } }));
}

/// The process example's integration: only `Type` and `Status`, both renamed.
fn customer_attributes() -> String {
    integration("Email", &[("Type", "Customer_Type", "string"), ("Status", "Customer_Status", "string")])
}

fn stored(kind: &str, status: &str) -> Value {
    json!({ "crm": { "Customer_Type": kind, "Customer_Status": status } })
}

#[test]
fn one_user_is_renamed_allow_listed_and_merged() {
    let system = shared().add_system(&[("integrations/crm.toml", customer_attributes())]);
    let john = "John@walkme.com";
    let one = json!([{ "Email": john, "Status": "New", "Type": "Internal" }]);
    assert_eq!(system.update("crm", &one).counts(), Counts { received: 1, created: 1, ..Counts::default() });
    assert_eq!(system.attributes(john), stored("Internal", "New"));

    let fewer = json!([{ "Email": john, "Status": "Veteran", "Salary": 90_000, "Nested": { "Type": "Evil" } }]);
    assert_eq!(system.update("crm", &fewer).counts(), Counts { received: 1, updated: 1, ..Counts::default() });
    assert_eq!(system.attributes(john), stored("Internal", "Veteran"), "merged; undeclared fields are not stored");
}

#[test]
fn several_users_are_replaced_and_their_missing_fields_deleted() {
    let system = shared().add_system(&[("integrations/crm.toml", customer_attributes())]);
    let three = json!([
        { "Email": "John@walkme.com", "Status": "New", "Type": "Internal" },
        { "Email": "Bill@walkme.com", "Status": "Retired", "Type": "Internal" },
        { "Email": "Tom@walkme.com", "Status": "Veteran", "Type": "External" },
    ]);
    assert_eq!(system.update("crm", &three).counts(), Counts { received: 3, created: 3, ..Counts::default() });
    assert_eq!(system.attributes("Bill@walkme.com"), stored("Internal", "Retired"));

    let again = json!([
        { "Email": "John@walkme.com", "Status": "New" },
        { "Email": "Bill@walkme.com", "Status": "Retired", "Type": "Internal" },
        { "Email": "Ann@walkme.com", "Type": "External" },
    ]);
    let counts = system.update("crm", &again).counts();
    assert_eq!(counts, Counts { received: 3, created: 1, updated: 1, unchanged: 1 });
    assert_eq!(system.attributes("John@walkme.com"), json!({ "crm": { "Customer_Status": "New" } }));
    assert_eq!(system.attributes("Bill@walkme.com"), stored("Internal", "Retired"));
    assert_eq!(system.attributes("Tom@walkme.com"), stored("External", "Veteran"), "not named, so not changed");
}

#[test]
fn null_makes_the_whole_call_illegal_and_stores_nothing() {
    let system = shared().add_system(&[("integrations/crm.toml", customer_attributes())]);
    let john = "John@walkme.com";
    let one = json!([{ "Email": john, "Status": "New", "Type": "Internal" }]);
    system.update("crm", &one).counts();
    let good = json!({ "Email": "Bill@walkme.com", "Status": "Retired" });
    let cases = [
        (json!({ "Email": john, "Status": null }), "/data/1/Status"),
        (json!({ "Email": null, "Status": "x" }), "/data/1/Email"),
        (json!({ "Email": john, "Status": "x", "Undeclared": null }), "/data/1/Undeclared"),
        (json!({ "Email": john, "Status": "x", "Un": { "de": [1, { "clared": null }] } }), "/data/1/Un/de/1/clared"),
        (json!({ "Email": john, "Status": "x", "Tags": ["a", null] }), "/data/1/Tags/1"),
    ];
    for (bad, pointer) in cases {
        system.update("crm", &json!([good, bad])).problem(422).points_at(vec![pointer]);
        let alone = pointer.replace("/data/1", "/data/0");
        system.update("crm", &json!([bad])).problem(422).points_at(vec![&alone]);
        assert_eq!(system.attributes(john), stored("Internal", "New"), "after {bad}");
        system.end_user("Bill@walkme.com").problem(404);
    }
}
