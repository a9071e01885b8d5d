//! Reading: page load, one end user, deleting, unsetting.

use serde_json::{Value, json};

use crate::support::{Server, System, crm, encode, integration, segment, shared};

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("integrations/crm.toml", crm()),
        ("integrations/billing.toml", integration("Email", &[("Plan", "", "string")])),
        ("segments/premium.rhai", segment("crm.Seats >= 50")),
        ("segments/small.rhai", segment("!is_set(crm.Seats) || crm.Seats < 50")),
        ("segments/paying.rhai", segment("billing.Plan != \"free\" && is_set(billing.Plan)")),
    ]
}

/// The point in time that a field tells.
#[track_caller]
fn instant(value: &Value) -> jiff::Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    text.parse().unwrap_or_else(|error| panic!("`{text}` is no RFC 3339 time: {error}"))
}

#[test]
fn page_load_tells_segments_known_and_when() {
    let system = shared().add_system(&files());
    system.update("crm", &json!([{ "Email": "Ann", "Seats": 60 }])).counts();
    system.update("billing", &json!([{ "Email": "Ann", "Plan": "pro" }])).counts();
    let before = jiff::Timestamp::now();
    let page = system.page_load("Ann");
    assert_eq!((&page["id"], &page["known"]), (&json!("Ann"), &json!(true)));
    assert_eq!(page["segments"], json!(["paying", "premium"]), "ids in order");
    let evaluated = instant(&page["evaluated_at"]);
    assert!((evaluated - before).get_seconds().abs() <= 60, "{page}");

    let stranger = system.page_load("nobody");
    assert_eq!((&stranger["id"], &stranger["known"]), (&json!("nobody"), &json!(false)));
    assert_eq!(stranger["segments"], json!(["small"]), "judged as one with no attributes");
    system.end_user("nobody").problem(404);
}

#[test]
fn one_end_user_is_shown_whole() {
    let system = shared().add_system(&files());
    system.update("crm", &json!([{ "Email": "Ann", "Seats": 1.5, "Type": "x", "Signup": "2024-02-29" }])).counts();
    let first = system.end_user("Ann").is(200);
    assert_eq!(first["attributes"], json!({ "crm": { "Seats": 1.5, "Customer_Type": "x", "Signup": "2024-02-29" } }));
    assert_eq!(first["segments"], json!(["small"]));
    assert!(instant(&first["created_at"]) <= instant(&first["updated_at"]));
    assert_eq!(first["set_at"].as_object().unwrap().keys().collect::<Vec<_>>(), ["crm"]);

    system.update("billing", &json!([{ "Email": "Ann", "Plan": "free" }])).counts();
    let second = system.end_user("Ann").is(200);
    assert_eq!(second["created_at"], first["created_at"]);
    assert!(instant(&second["updated_at"]) >= instant(&first["updated_at"]));
    assert_eq!(second["set_at"]["crm"], first["set_at"]["crm"], "each integration has its own time");
    assert!(instant(&second["set_at"]["billing"]) >= instant(&first["set_at"]["crm"]));
    assert_eq!(second["attributes"]["billing"], json!({ "Plan": "free" }));
}

#[test]
fn identifiers_are_percent_decoded_once() {
    let system = shared().add_system(&files());
    let ids = ["a/b", "a b", "a+b", "ü/ö 😀", "100%", "%2F", "q?x=1#f", "a;b=c", "dots..", "\"quoted\"", "a\\b"];
    for (number, id) in ids.iter().enumerate() {
        system.update("crm", &json!([{ "Email": id, "Seats": number }])).counts();
        let end_user = system.end_user(id).is(200);
        assert_eq!((&end_user["id"], &end_user["attributes"]["crm"]["Seats"]), (&json!(id), &json!(number)));
        assert_eq!(system.page_load(id)["known"], true, "{id}");
    }
    assert_eq!(system.client.get(&system.public("end-users/a+b/segments")).is(200)["id"], "a+b");
    for id in ids {
        system.client.delete(&system.public(&format!("end-users/{}", encode(id)))).is(204);
        system.end_user(id).problem(404);
    }
}

#[test]
fn an_impossible_identifier_is_refused() {
    let system = shared().add_system(&files());
    let long = "x".repeat(257);
    for id in ["a%00b", "a%0Ab", "%FF", long.as_str()] {
        for path in [format!("end-users/{id}"), format!("end-users/{id}/segments")] {
            let reply = system.client.get(&system.public(&path));
            assert!((400..500).contains(&reply.status), "{path}: {reply:?}");
            reply.problem(reply.status);
        }
    }
}

#[test]
fn a_deleted_end_user_is_gone_at_once_and_after_a_restart() {
    let files: Vec<(String, String)> = files().into_iter().map(|(path, text)| (format!("s/{path}"), text)).collect();
    let server = Server::with(&files).start();
    let system = server.system("s");
    for id in ["a", "b", "c"] {
        system.update("crm", &json!([{ "Email": id, "Seats": 60, "Type": "x" }])).counts();
    }
    let delete = |system: &System<'_>, id: &str| system.client.delete(&system.public(&format!("end-users/{id}")));
    assert_eq!(delete(&system, "a").is(204), Value::Null);
    system.end_user("a").problem(404);
    assert_eq!(system.page_load("a")["known"], false);
    assert_eq!(system.segments("a"), ["small"]);
    delete(&system, "a").problem(404);
    delete(&system, "never").problem(404);
    delete(&system, "b").is(204);
    assert_eq!(system.update("crm", &json!([{ "Email": "b", "Seats": 1 }])).counts().created, 1);
    let anew = json!({ "crm": { "Seats": 1 } });
    assert_eq!(system.attributes("b"), anew, "who comes again comes anew");
    drop(system);

    server.kill();
    let server = server.start_again();
    let system = server.system("s");
    system.end_user("a").problem(404);
    assert_eq!(system.attributes("b"), anew);
    assert_eq!(system.segments("c"), ["premium"]);
    let reader = server.client_with("end_users:read end_users:write segments:read");
    reader.delete(&system.public("end-users/c")).problem(403).says("end_users:delete");
    assert_eq!(system.segments("c"), ["premium"]);
}

#[test]
fn one_attribute_can_be_unset() {
    let system = shared().add_system(&files());
    system.update("crm", &json!([{ "Email": "a/b", "Seats": 60, "Type": "x" }])).counts();
    let unset =
        |attribute: &str| system.client.delete(&system.public(&format!("end-users/a%2Fb/attributes/{attribute}")));
    unset("crm.Seats").is(204);
    assert_eq!(system.attributes("a/b"), json!({ "crm": { "Customer_Type": "x" } }));
    assert_eq!(system.segments("a/b"), ["small"]);
    for nothing in ["crm.None", "none.Seats", "crm"] {
        let reply = unset(nothing);
        assert!(matches!(reply.status, 400 | 404 | 422), "{nothing}: {reply:?}");
        reply.problem(reply.status);
    }
    system.client.delete(&system.public("end-users/nobody/attributes/crm.Seats")).problem(404);
    let reader = system.server.client_with("end_users:read segments:read");
    reader.delete(&system.public("end-users/a%2Fb/attributes/crm.Customer_Type")).problem(403);
    assert_eq!(system.attributes("a/b"), json!({ "crm": { "Customer_Type": "x" } }));
}

#[test]
fn what_is_not_there_is_404() {
    let system = shared().add_system(&files());
    for path in [
        "/public/v1/systems/no_such_system/end-users/a",
        "/public/v1/systems/no_such_system/end-users/a/segments",
        "/public/v1/systems/Not%20An%20Id/end-users/a/segments",
    ] {
        system.client.get(path).problem(404);
    }
}

#[test]
fn reading_needs_its_scopes() {
    let system = shared().add_system(&files());
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    let paths = [system.public("end-users/a"), system.public("end-users/a/segments")];
    let writer = system.server.client_with("end_users:write");
    for path in &paths {
        writer.get(path).problem(403);
        system.client.anonymous().get(path).problem(401);
    }
    let no_segments = system.server.client_with("end_users:read");
    no_segments.get(&paths[1]).problem(403).says("segments:read");
}
