//! Exports: CSV and NDJSON, whole, guarded against spreadsheets, in the form that imports again.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, Reply, System, crm, integration, shared};

fn export(system: &System<'_>, accept: &str, body: &Value) -> Reply {
    let request = system.client.request(Method::POST, &system.public("end-users/export"));
    request.header("accept", accept).json(body).ask()
}

#[track_caller]
fn csv(system: &System<'_>, body: &Value) -> Vec<String> {
    let reply = export(system, "text/csv", body);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").starts_with("text/csv"), "{:?}", reply.headers);
    assert!(reply.body.is_empty() || reply.body.ends_with("\r\n"), "every line ends: {:?}", reply.body);
    reply.body.split_terminator("\r\n").map(str::to_owned).collect()
}

fn system() -> System<'static> {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("integrations/web.toml", integration("id", &[("Visits", "", "number")])),
    ]);
    system
        .update(
            "crm",
            &json!([
                { "Email": "a", "Type": "x, \"y\"", "Seats": -1.5, "Signup": "2024-02-29" },
                { "Email": "b,c", "Type": "=1+1" },
                { "Email": "+49 30", "Status": "two\nlines" },
            ]),
        )
        .counts();
    system.update("web", &json!([{ "id": "a", "Visits": 1 }, { "id": "web only", "Visits": 2 }])).counts();
    system
}

#[test]
fn columns_of_all_integrations_are_called_by_their_attributes() {
    assert_eq!(
        csv(&system(), &json!({})),
        [
            "id,crm.Customer_Type,crm.Customer_Status,crm.Seats,crm.Signup,web.Visits",
            "a,\"x, \"\"y\"\"\",,-1.5,2024-02-29,1",
            "\"b,c\",'=1+1,,,,",
            "'+49 30,,\"two\nlines\",,,",
            "web only,,,,,2",
        ]
    );
}

#[test]
fn no_cell_is_taken_for_a_formula() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let hostile = [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=2",
        "\r=3",
        "=cmd|' /C calc'!A0",
        "\"=1\"",
        "\n=4",
        " =5",
        "＝6",
        "＠7",
    ];
    // An identifier has no control characters.
    let id = |text: &str| format!("{} of x", text.trim_start_matches(['\t', '\r', '\n']));
    let records: Vec<Value> = hostile.iter().map(|text| json!({ "Email": id(text), "Type": text })).collect();
    system.update("crm", &Value::from(records)).counts();
    let text = csv(&system, &json!({})).join("\r\n");
    let cells: Vec<String> = crate::api::users::export::cells(&format!("{text}\r\n")).concat();
    assert!(cells.len() > 2 * hostile.len());
    for cell in &cells {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＠']), "{cell:?} is in {text:?}");
    }
    assert!(cells.iter().any(|cell| cell == "'=cmd|' /C calc'!A0"), "neutral, and still to be read: {text}");
}

#[test]
fn columns_of_one_integration_are_called_as_it_calls_them() {
    let system = system();
    let header = "Email,Type,Status,Seats,Signup";
    let lines = csv(&system, &json!({ "integration": "crm" }));
    assert_eq!((lines[0].as_str(), lines.len()), (header, 4), "without whom it does not know: {lines:?}");
    let raw = csv(&system, &json!({ "integration": "crm", "raw": true, "rule": "is_set(crm.Customer_Type)" }));
    assert_eq!(raw, [header, "a,\"x, \"\"y\"\"\",,-1.5,2024-02-29", "\"b,c\",=1+1,,,"]);
    assert_eq!(csv(&system, &json!({ "select": ["crm.Seats"], "rule": "crm.Seats < 0" })), ["id,crm.Seats", "a,-1.5"]);

    let alone = shared().add_system(&[("integrations/crm.toml", crm())]);
    assert_eq!(csv(&alone, &json!({})), [header], "the only one need not be named");
    export(&system, "text/csv", &json!({ "integration": "nope" })).problem(422).points_at(vec!["/integration"]);
    export(&system, "text/csv", &json!({ "integration": "crm", "select": [] }))
        .problem(422)
        .points_at(vec!["/integration"]);
}

#[test]
fn an_identifier_that_is_stored_as_well_has_one_column() {
    let text = integration("Email", &[("Email", "", "string"), ("Seats", "", "number")]);
    let lower = "identifier_case = \"lower\"\n".to_owned();
    let system = shared().add_system(&[("system.toml", lower), ("integrations/crm.toml", text)]);
    system.update("crm", &json!([{ "Email": "John@X", "Seats": 1 }])).counts();
    assert_eq!(csv(&system, &json!({})), ["Email,Seats", "John@X,1"], "as it was sent, so that it is stored so again");
}

#[test]
fn ndjson_has_an_end_user_a_line() {
    let system = system();
    let reply = export(&system, "application/x-ndjson", &json!({ "select": ["web.Visits"] }));
    assert!(reply.header("content-type").starts_with("application/x-ndjson"), "{:?}", reply.headers);
    assert_eq!(reply.header("x-total-count"), "4");
    let lines: Vec<Value> = reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "id": "a", "attributes": { "web": { "Visits": 1 } } }));
    assert_eq!(lines[2], json!({ "id": "+49 30", "attributes": {} }), "nothing is guarded here");
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_long_export_is_whole_and_of_one_moment() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let records = |from: u32| (from..from + 2_500).map(|n| json!({ "Email": format!("u{n}"), "Seats": n })).collect();
    system.update("crm", &records(0)).counts();
    system.update("crm", &records(2_500)).counts();
    let lines = csv(&system, &json!({ "where": { "attribute": "crm.Seats", "operator": "at_least", "value": 10 } }));
    assert_eq!(lines.len(), 1 + 4_990);
    let mut seats: Vec<u32> = lines[1..].iter().map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect();
    seats.sort_unstable();
    assert_eq!(seats, (10..5_000).collect::<Vec<_>>());
}

#[test]
fn the_form_is_agreed_by_accept_and_scopes_hold() {
    let system = system();
    for (accept, kind) in [("*/*", "text/csv"), ("application/jsonl", "application/x-ndjson")] {
        let reply = export(&system, accept, &json!({}));
        assert!(reply.header("content-type").starts_with(kind), "{accept}: {:?}", reply.headers);
        assert!(reply.header("content-disposition").starts_with("attachment"), "{:?}", reply.headers);
    }
    export(&system, "text/html", &json!({})).problem(406);
    let path = system.public("end-users/export");
    system.server.client_with("segments:read").post(&path, &json!({})).problem(403);
    export(&system, "text/csv", &json!({ "rule": "crm.Seets" })).problem(422).points_at(vec!["/rule"]);
}
