//! One record merges, several replace; what the counts count.

use serde_json::json;

use crate::support::{Counts, crm, integration, shared};

#[test]
fn replacing_touches_only_the_integration_that_the_call_is_for() {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("integrations/billing.toml", integration("Email", &[("Plan", "", "string"), ("Type", "", "string")])),
    ]);
    let both = json!([{ "Email": "a", "Type": "x", "Seats": 1 }]);
    system.update("crm", &both).counts();
    system.update("billing", &json!([{ "Email": "a", "Plan": "pro", "Type": "y" }])).counts();
    system.update("billing", &json!([{ "Email": "a", "Type": "z" }, { "Email": "b", "Plan": "free" }])).counts();
    let expected = json!({ "crm": { "Customer_Type": "x", "Seats": 1 }, "billing": { "Type": "z" } });
    assert_eq!(system.attributes("a"), expected);
    assert_eq!(system.attributes("b"), json!({ "billing": { "Plan": "free" } }));
}

#[test]
fn the_later_record_of_an_end_user_stands() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let twice = json!([
        { "Email": "a", "Type": "first", "Seats": 1 },
        { "Email": "b", "Seats": 2 },
        { "Email": "a", "Type": "second" },
    ]);
    let counts = system.update("crm", &twice).counts();
    assert_eq!(counts, Counts { received: 3, created: 2, ..Counts::default() }, "end users are counted once");
    assert_eq!(system.attributes("a"), json!({ "crm": { "Customer_Type": "second" } }));

    let there_and_back = json!([{ "Email": "a", "Type": "third" }, { "Email": "a", "Type": "second" }]);
    let counts = system.update("crm", &there_and_back).counts();
    assert_eq!(counts, Counts { received: 2, unchanged: 1, ..Counts::default() });
}

#[test]
fn counts_tell_created_updated_and_unchanged_end_users() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let counts = |data| system.update("crm", &data).counts();
    let seats = |id: &str, seats: i64| json!({ "Email": id, "Seats": seats });
    assert_eq!(counts(json!([seats("a", 1), seats("b", 1)])), Counts { received: 2, created: 2, ..Counts::default() });
    assert_eq!(
        counts(json!([seats("a", 1), seats("b", 2), seats("c", 3)])),
        Counts { received: 3, created: 1, updated: 1, unchanged: 1 }
    );
    assert_eq!(counts(json!([seats("c", 3)])), Counts { received: 1, unchanged: 1, ..Counts::default() });
    assert_eq!(counts(json!([{ "Email": "c", "Seats": " 3.0 " }])).unchanged, 1, "the same value in another form");
}

#[test]
fn a_record_of_undeclared_fields_only_changes_nothing_or_deletes() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();

    let one = json!([{ "Email": "a", "Colour": "red" }]);
    assert_eq!(system.update("crm", &one).counts(), Counts { received: 1, unchanged: 1, ..Counts::default() });
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }));

    let several = json!([{ "Email": "a", "Colour": "red" }, { "Email": "new", "Colour": "red" }]);
    let counts = system.update("crm", &several).counts();
    assert_eq!((counts.received, counts.created, counts.updated), (2, 0, 1));
    assert_eq!(system.attributes("a").get("crm").and_then(|crm| crm.get("Seats")), None, "a missing field is deleted");
    system.end_user("new").problem(404);
    assert_eq!(system.page_load("new")["known"], false, "an end user comes to be with the first attribute stored");
}
