//! Rules over HTTP: what is live, integrations, segments and `system.toml` as files, the log of calls, the test endpoint.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, Reply, Server, System, crm, segment, shared};

const COMMENTED: &str = "# Whose data this is: the sales team's.\nname = \"Sales\"   # shown\n\nkind = 'api'\nuser_identifier = \"Email\"\n\n# Seats bought\n[[properties]]\nfield=\"Seats\"\ntype = \"number\"\n";

fn system() -> System<'static> {
    shared().add_system(&[
        ("system.toml", "name = \"Commented\"\n# UTC is fine\ntimezone = \"UTC\"\n".to_owned()),
        ("integrations/crm.toml", COMMENTED.to_owned()),
        ("segments/big.rhai", segment("crm.Seats >= 50")),
        ("segments/both.rhai", segment("in_segment(\"big\") && crm.Seats < 100")),
    ])
}

#[track_caller]
fn put(system: &System<'_>, path: &str, text: &str) -> Reply {
    system.client.put(&system.admin(path), &json!({ "text": text }))
}

fn put_if(system: &System<'_>, path: &str, text: &str, etag: &str) -> Reply {
    let request = system.client.request(Method::PUT, &system.admin(path)).header("if-match", etag);
    request.json(&json!({ "text": text })).ask()
}

#[test]
fn config_tells_what_is_live() {
    let system = system();
    let report = system.report();
    assert_eq!((&report["attributes_used"], &report["cap"]), (&json!(1), &json!(100)));
    assert_eq!(report["errors"], json!([]));
    assert!(report["revision"].as_str().is_some_and(|revision| !revision.is_empty()));
    let since: jiff::Timestamp = report["live_since"].as_str().unwrap().parse().expect("RFC 3339");
    assert!(since <= jiff::Timestamp::now());
    system.reload();
    assert_eq!(system.report()["live_since"], report["live_since"], "a reload of the same files changes nothing");
}

#[test]
fn a_file_is_read_with_its_etag() {
    let system = system();
    for (path, text) in [("integrations/crm", COMMENTED.to_owned()), ("segments/big", segment("crm.Seats >= 50"))] {
        let reply = system.client.get(&system.admin(path));
        assert_eq!(reply.is(200)["text"], text);
        assert!(reply.header("etag").starts_with('"'), "{:?}", reply.headers);
        let again = system.client.get(&system.admin(path));
        assert_eq!(reply.header("etag"), again.header("etag"));
    }
    system.client.get(&system.admin("integrations/none")).problem(404);
    system.client.get(&system.admin("segments/none")).problem(404);
    let list = system.client.get(&system.admin("integrations")).is(200);
    assert_eq!(list["items"][0]["id"], "crm", "{list}");
    let list = system.client.get(&system.admin("segments")).is(200);
    let ids: Vec<&str> = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["big", "both"], "{list}");
}

#[test]
fn a_put_is_live_at_once_and_keeps_every_byte() {
    let system = system();
    let token = system.token("crm");
    system.client.update(&token, &json!([{ "Email": "a", "Seats": 60 }])).counts();
    assert_eq!(system.segments("a"), ["big", "both"]);

    let text = "//   Big   customers\n\n//tabs\tstay\n  crm.Seats>=1000 // odd   spacing\r\n\n";
    put(&system, "segments/big", text).is_success();
    assert_eq!(system.segments("a"), Vec::<String>::new(), "live when the answer is there");
    assert_eq!(system.file("segments/big.rhai"), text);
    assert_eq!(system.client.get(&system.admin("segments/big")).is(200)["text"], text);

    put(&system, "segments/tiny", &segment("crm.Seats < 61")).is_success();
    assert_eq!(system.segments("a"), ["tiny"]);

    let more = format!("{COMMENTED}# Since when\n[[properties]]\nfield = \"Signup\"\ntype = \"date\"\n");
    put(&system, "integrations/crm", &more).is_success();
    assert_eq!(system.file("integrations/crm.toml"), more);
    system.client.update(&token, &json!([{ "Email": "a", "Signup": "2024-01-01" }])).counts();
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 60, "Signup": "2024-01-01" } }));

    system.client.delete(&system.admin("segments/tiny")).is_success();
    assert!(!system.has_file("segments/tiny.rhai"));
    assert_eq!(system.segments("a"), Vec::<String>::new());
    system.client.get(&system.admin("segments/tiny")).problem(404);
    system.client.delete(&system.admin("segments/tiny")).problem(404);
}

#[test]
fn if_match_guards_against_lost_edits() {
    let system = system();
    let path = system.admin("segments/big");
    let first = system.client.get(&path).header("etag").to_owned();
    put_if(&system, "segments/big", &segment("crm.Seats >= 51"), &first).is_success();
    let second = system.client.get(&path).header("etag").to_owned();
    assert_ne!(first, second);

    put_if(&system, "segments/big", &segment("crm.Seats >= 52"), &first).problem(412);
    system.client.request(Method::DELETE, &path).header("if-match", &first).ask().problem(412);
    put_if(&system, "segments/new", &segment("true"), &first).problem(412);
    assert!(!system.has_file("segments/new.rhai"));
    assert_eq!(system.file("segments/big.rhai"), segment("crm.Seats >= 51"));

    system.write(&[("segments/big.rhai", &segment("crm.Seats >= 53"))]);
    put_if(&system, "segments/big", &segment("crm.Seats >= 54"), &second).problem(412);
    assert_eq!(system.file("segments/big.rhai"), segment("crm.Seats >= 53"), "an edit on disk is not lost either");

    system.reload();
    let third = system.client.get(&path).header("etag").to_owned();
    let reply = put_if(&system, "segments/big", &segment("crm.Seats >= 55"), &third);
    reply.is_success();
    assert_eq!(reply.header("etag"), system.client.get(&path).header("etag"), "the answer has the new tag");
}

#[test]
fn a_broken_put_is_refused_and_changes_nothing() {
    let system = system();
    let token = system.token("crm");
    system.client.update(&token, &json!([{ "Email": "a", "Seats": 60 }])).counts();
    let revision = system.report()["revision"].clone();
    let wrong_type = COMMENTED.replace("number", "nummber");
    let cases: [(&str, String, &str); 8] = [
        ("segments/big", segment("crm.Seets >= 50"), "Seats"),
        ("segments/big", segment("crm.Seats >="), ""),
        ("segments/big", segment("crm.Seats"), "boolean"),
        ("segments/big", segment("in_segment(\"both\")"), "cycle"),
        ("segments/new", segment("crm.Seats == \"x\""), ""),
        ("integrations/crm", wrong_type, "number"),
        ("integrations/crm", COMMENTED.replace("field=\"Seats\"", "field=\"Places\""), "Seats"),
        ("integrations/crm", format!("{COMMENTED}colour = \"red\"\n"), "colour"),
    ];
    for (path, text, says) in cases {
        let reply = put(&system, path, &text);
        let problem = reply.problem(422);
        assert!(!problem.errors.is_empty(), "{path}: {}", problem.body);
        problem.says(says);
    }
    assert_eq!(system.file("integrations/crm.toml"), COMMENTED);
    assert_eq!(system.file("segments/big.rhai"), segment("crm.Seats >= 50"));
    assert!(!system.has_file("segments/new.rhai"));
    let folder = system.server.home.rules().join(&system.id).join("segments");
    let names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no leftovers of the refused writes: {names:?}");
    assert_eq!(system.report()["revision"], revision);
    assert_eq!(system.report()["errors"], json!([]));
    assert_eq!(system.segments("a"), ["big", "both"]);

    system.client.delete(&system.admin("segments/big")).problem(422).says("both");
    system.client.delete(&system.admin("integrations/crm")).problem(422).says("crm");
    assert!(system.has_file("segments/big.rhai") && system.has_file("integrations/crm.toml"));
}

#[test]
fn a_put_of_another_shape_or_name_is_refused() {
    let system = system();
    for body in
        [json!({}), json!({ "text": 1 }), json!({ "txt": "x" }), json!([]), json!({ "text": "true", "more": 1 })]
    {
        let reply = system.client.put(&system.admin("segments/big"), &body);
        assert!(matches!(reply.status, 400 | 422), "{body}: {reply:?}");
        reply.problem(reply.status);
    }
    for path in ["segments/Big", "segments/a-b", "segments/1a", "integrations/%2E%2Eetc", "segments/a%2Fb"] {
        let reply = put(&system, path, &segment("true"));
        assert!((400..500).contains(&reply.status), "{path}: {reply:?}");
    }
    let reserved = put(&system, "integrations/import", &crm());
    assert!((400..500).contains(&reserved.status), "a name that rules could not write: {reserved:?}");
    assert!(!system.has_file("integrations/import.toml"));
    assert_eq!(system.file("segments/big.rhai"), segment("crm.Seats >= 50"));
}

#[test]
fn writing_rules_needs_its_scopes() {
    let system = system();
    let text = json!({ "text": segment("true") });
    let path = system.admin("segments/big");
    for scope in ["segments:read integrations:write publish:production", "segments:write segments:read"] {
        let client = system.server.client_with(scope);
        client.put(&path, &text).problem(403);
        client.delete(&path).problem(403);
        client.get(&path).is(200);
    }
    system.server.client_with("segments:write publish:production").put(&path, &text).is_success();
    let integration = system.admin("integrations/crm");
    let commented = json!({ "text": COMMENTED });
    system.server.client_with("segments:write publish:production").put(&integration, &commented).problem(403);
    system.server.client_with("integrations:write publish:test").put(&integration, &commented).problem(403);
    system.server.client_with("integrations:write publish:production").put(&integration, &commented).is_success();
}

#[test]
fn read_only_rules_answer_409() {
    let files = [("s/integrations/crm.toml", crm()), ("s/segments/all.rhai", segment("true"))];
    let server = Server::with(&files).config("[rules]\nread_only = true\n").start();
    let system = server.system("s");
    put(&system, "segments/all", &segment("false")).problem(409);
    put(&system, "integrations/crm", &crm()).problem(409);
    system.client.delete(&system.admin("segments/all")).problem(409);
    system.client.put("/admin/v1/systems/s", &json!({ "text": "name = \"X\"\n" })).problem(409);
    assert_eq!(system.segments("a"), ["all"]);
    system.client.get(&system.admin("segments/all")).is(200);
    system.write(&[("segments/all.rhai", &segment("false"))]);
    system.reload();
    assert_eq!(system.segments("a"), Vec::<String>::new(), "Git's way goes on working");
}

#[test]
fn calls_are_logged_with_their_errors_and_no_values() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    system.update("crm", &json!([{ "Email": "secret-person", "Type": "secret-value", "Seats": 1 }])).counts();
    system.update("crm", &json!([{ "Email": "secret-person", "Seats": "secret-seats" }])).problem(422);
    let path = system.admin("integrations/crm/calls");
    let reply = system.client.get(&path);
    let list = reply.is(200);
    let items = list["items"].as_array().expect("`items` is a list");
    assert_eq!(items.len(), 2, "{list}");
    let with_status = |status: u16| items.iter().find(|item| item["status"] == status);
    let accepted = with_status(200).unwrap_or_else(|| panic!("no accepted call in {list}"));
    assert!(accepted["at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()), "{accepted}");
    let refused = with_status(422).unwrap_or_else(|| panic!("no refused call in {list}"));
    let errors = refused["errors"].as_array().unwrap_or_else(|| panic!("no errors in {refused}"));
    assert_eq!((&errors[0]["pointer"], &errors[0]["code"]), (&json!("/data/0/Seats"), &json!("not_a_number")));
    assert!(!reply.body.contains("secret-"), "values and identifiers are not kept: {}", reply.body);

    system.server.client_with("integrations:read").get(&path).is(200);
    system.server.client_with("integrations:write").get(&path).problem(403);
    system.client.get(&system.admin("integrations/none/calls")).problem(404);
}

#[test]
fn calls_survive_a_restart() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    drop(system);
    let server = server.restart();
    let system = server.system("s");
    let list = system.client.get(&system.admin("integrations/crm/calls")).is(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn a_test_is_judged_and_not_stored() {
    let system = system();
    let path = system.admin("integrations/crm/test");
    let good = json!({ "token": system.token("crm"), "data": [{ "Email": "tried", "Seats": " 7 ", "Other": 1 }] });
    let judged = system.client.post(&path, &good);
    judged.is(200);
    assert!(judged.body.contains("tried") && judged.body.contains("Seats"), "what would be stored: {}", judged.body);

    let bad = json!({ "token": system.token("crm"), "data": [{ "Email": "tried", "Seats": "many" }] });
    let judged = system.client.post(&path, &bad);
    assert!(matches!(judged.status, 200 | 422), "{judged:?}");
    assert!(judged.body.contains("/data/0/Seats") && judged.body.contains("not_a_number"), "{}", judged.body);

    assert_eq!(system.attributes("tried"), Value::Null);
    assert_eq!(system.page_load("tried")["known"], false);
    system.server.client_with("integrations:read end_users:write").post(&path, &good).problem(403);
}

#[test]
fn system_toml_is_read_and_written() {
    let system = system();
    let path = format!("/admin/v1/systems/{}", system.id);
    let reply = system.client.get(&path);
    let old = system.file("system.toml");
    assert_eq!(reply.is(200)["text"], old.as_str());
    let etag = reply.header("etag").to_owned();
    let new = "# renamed\nname = \"Another\"\nstage = \"test\"\ntimezone = \"Europe/Berlin\"\n";
    let put = |text: &str| system.client.put(&path, &json!({ "text": text }));
    for (broken, says) in [
        ("timezone = \"Europe/Berlyn\"\n", "Berlyn"),
        ("stage = \"prod\"\n", "stage"),
        ("colour = 1\n", "colour"),
        ("name = \n", "system.toml"),
    ] {
        put(broken).problem(422).says(says);
        assert_eq!(system.file("system.toml"), old);
    }
    let request = system.client.request(Method::PUT, &path).header("if-match", &etag);
    request.json(&json!({ "text": new })).ask().is_success();
    assert_eq!(system.file("system.toml"), new);
    let request = system.client.request(Method::PUT, &path).header("if-match", &etag);
    request.json(&json!({ "text": old })).ask().problem(412);

    // The stage decides whose permission writing needs.
    let text = json!({ "text": segment("true") });
    system.server.client_with("segments:write publish:test").put(&system.admin("segments/big"), &text).is_success();
    // So whoever may publish to tests only can't turn the system into one of production, by leaving the stage out either.
    let tester = system.server.client_with("systems:write publish:test");
    for promoted in ["stage = \"production\"\n", "name = \"Another\"\n", ""] {
        tester.put(&path, &json!({ "text": promoted })).problem(403).says("publish:production");
        assert_eq!(system.file("system.toml"), new);
    }
    tester.put(&path, &json!({ "text": new })).is_success();
    let elsewhere = system.server.client_with("segments:write publish:production");
    elsewhere.put(&system.admin("segments/big"), &text).problem(403);
    system.server.client_with("systems:read").put(&path, &json!({ "text": new })).problem(403);
    system.client.get("/admin/v1/systems/none").problem(404);
}
