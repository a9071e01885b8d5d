//! What rows mean: replace, empty cells, abort and skip, a dry run.

use serde_json::{Value, json};

use super::{bad, came_to, csv_integration, import, rows, rules};
use crate::support::{crm, shared};

#[test]
fn a_row_replaces_the_attributes_of_its_integration_alone() {
    let mut files = rules();
    files.push(("integrations/crm.toml", crm()));
    let system = shared().add_system(&files);
    system.update("crm", &json!([{ "Email": "ann", "Seats": 7 }])).counts();
    let first = import(&system, "", "email,Type,Seats,Signup\nann,paying,5,2024-02-29\nbob,free,,\n");
    came_to(&first, "done", [2, 2, 0]);
    let whole = json!({ "Customer_Type": "paying", "Seats": 5, "Signup": "2024-02-29" });
    assert_eq!(system.attributes("ann"), json!({ "upload": whole, "crm": { "Seats": 7 } }));
    assert_eq!(system.attributes("bob"), json!({ "upload": { "Customer_Type": "free" } }));

    // An empty cell and a missing column are missing fields: they delete.
    let second = import(&system, "", "email,Seats,Signup\nann,,2024-03-01\n");
    came_to(&second, "done", [1, 1, 0]);
    assert_eq!(system.attributes("ann"), json!({ "upload": { "Signup": "2024-03-01" }, "crm": { "Seats": 7 } }));
    assert_eq!(system.attributes("bob"), json!({ "upload": { "Customer_Type": "free" } }), "not in the file");
    assert_eq!(second["columns"], json!({ "stored": ["Seats", "Signup"], "missing": ["Type"], "ignored": [] }));
}

#[test]
fn of_an_end_user_named_twice_the_later_row_stands() {
    let system = shared().add_system(&rules());
    // Once within a batch, once batches apart.
    let file = format!("{}u0,late,,\nu4999,late,,\n", rows(5000));
    came_to(&import(&system, "", file), "done", [5002, 5002, 0]);
    let late = json!({ "upload": { "Customer_Type": "late" } });
    assert_eq!(system.attributes("u0"), late);
    assert_eq!(system.attributes("u4999"), late);
    assert_eq!(system.attributes("u1")["upload"]["Seats"], 1);
}

#[test]
fn one_bad_row_stores_nothing_unless_it_is_to_be_skipped() {
    let system = shared().add_system(&rules());
    let file = "email,Type,Seats,Signup\nann,paying,5,\nbob,free,many,tomorrow\neve,free,,2024-02-30\ndan,free,1,\n";
    let aborted = import(&system, "", file);
    came_to(&aborted, "failed", [4, 0, 2]);
    let places = ["3 Seats not_a_number", "3 Signup not_a_date", "4 Signup no_such_day"];
    assert_eq!(bad(&aborted), places);
    assert!(aborted["detail"].as_str().unwrap().contains("on_error=skip"), "{aborted}");
    for id in ["ann", "bob", "dan"] {
        assert_eq!(system.attributes(id), Value::Null, "{id}");
    }

    let skipped = import(&system, "?on_error=skip", file);
    came_to(&skipped, "done", [4, 2, 2]);
    assert_eq!(bad(&skipped), places);
    assert_eq!((&skipped["on_error"], &skipped["rows_total"]), (&json!("skip"), &json!(4)));
    assert_eq!(system.attributes("ann")["upload"], json!({ "Customer_Type": "paying", "Seats": 5 }));
    assert_eq!(system.attributes("dan")["upload"]["Seats"], 1);
    assert_eq!(system.attributes("bob"), Value::Null);
}

#[test]
fn a_dry_run_tells_all_and_stores_nothing() {
    let system = shared().add_system(&rules());
    let good = import(&system, "?dry_run=true", rows(3));
    came_to(&good, "done", [3, 0, 0]);
    assert_eq!((&good["dry_run"], &good["rows_total"]), (&json!(true), &json!(3)));
    let file = "email,Seats\nann,5\nbob,x\n";
    came_to(&import(&system, "?dry_run=true", file), "failed", [2, 0, 1]);
    let skip = import(&system, "?dry_run=true&on_error=skip", file);
    came_to(&skip, "done", [2, 0, 1]);
    assert_eq!(bad(&skip), ["3 Seats not_a_number"]);
    for id in ["u0", "ann"] {
        assert_eq!(system.attributes(id), Value::Null, "{id}");
    }
}

#[test]
fn identifiers_follow_the_systems_case() {
    let mut files = rules();
    files.push(("system.toml", "identifier_case = \"lower\"\n".to_owned()));
    let system = shared().add_system(&files);
    came_to(&import(&system, "", "email,Seats\nANN@X,1\nann@x,2\n"), "done", [2, 2, 0]);
    assert_eq!(system.attributes("ann@x")["upload"]["Seats"], 2);
    let sensitive = shared().add_system(&rules());
    came_to(&import(&sensitive, "", "email,Seats\nANN,1\n ann ,2\n"), "done", [2, 2, 0]);
    assert_eq!(sensitive.attributes("ANN")["upload"]["Seats"], 1);
    assert_eq!(sensitive.attributes(" ann ")["upload"]["Seats"], 2);
}

#[test]
fn an_import_is_seen_by_the_segments_at_once() {
    let mut files = rules();
    files.push(("segments/big.rhai", crate::support::segment("upload.Seats >= 50")));
    let system = shared().add_system(&files);
    came_to(&import(&system, "", "email,Seats\nann,60\nbob,5\n"), "done", [2, 2, 0]);
    assert_eq!((system.segments("ann"), system.segments("bob")), (vec!["big".to_owned()], vec![]));
}

#[test]
fn the_identifier_may_be_an_attribute_too() {
    let text = format!("{}[[properties]]\nfield = \"email\"\ntype = \"string\"\n", csv_integration());
    let system = shared().add_system(&[("integrations/upload.toml", text)]);
    came_to(&import(&system, "", "email,Seats\nann,60\n"), "done", [1, 1, 0]);
    assert_eq!(system.attributes("ann")["upload"], json!({ "email": "ann", "Seats": 60 }));
}
