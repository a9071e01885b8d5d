//! Previews of drafts, and rules promoted from one system to another.

use serde_json::{Value, json};

use crate::support::{System, crm, integration, segment, shared};

fn system() -> System<'static> {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("segments/big.rhai", segment("crm.Seats >= 50")),
        ("segments/huge.rhai", segment("in_segment(\"big\") && crm.Seats >= 100")),
        ("segments/other.rhai", segment("crm.Seats < 10")),
    ]);
    let record = |n: u32| json!({ "Email": format!("u{n:03}"), "Seats": n });
    system.update("crm", &(0..120).map(record).collect()).counts();
    system
}

fn preview(system: &System<'_>, files: &Value) -> Value {
    system.client.post(&system.admin("preview"), &json!({ "files": files })).is(200)
}

#[test]
fn a_draft_tells_who_would_enter_and_leave_and_changes_nothing() {
    let system = system();
    let before = system.report()["revision"].clone();
    let told = preview(
        &system,
        &json!({
            "segments/big.rhai": segment("crm.Seats >= 60 || crm.Seats == 7"),
            "segments/new.rhai": segment("crm.Seats > 1000"),
            "segments/other.rhai": null,
        }),
    );
    assert_eq!(told["errors"], json!([]));
    let segments = told["segments"].as_array().unwrap();
    let ids: Vec<&Value> = segments.iter().map(|segment| &segment["id"]).collect();
    assert_eq!(ids, ["big", "new", "other"], "`huge` asks about `big` and stays as it is");
    let big = &segments[0];
    assert_eq!(
        (&big["before"], &big["after"], &big["enters"], &big["leaves"]),
        (&json!(70), &json!(61), &json!(1), &json!(10))
    );
    assert_eq!(big["sample_enters"], json!(["u007"]));
    let leaves = big["sample_leaves"].as_array().unwrap();
    assert!((1..=10).contains(&leaves.len()) && leaves.contains(&json!("u050")), "{big}");
    assert_eq!((&segments[1]["before"], &segments[1]["after"]), (&Value::Null, &json!(0)));
    assert_eq!(
        (&segments[2]["before"], &segments[2]["after"], &segments[2]["leaves"]),
        (&json!(10), &Value::Null, &json!(10))
    );
    assert_eq!(told["drafts"][0], json!({ "id": "big", "count": 61, "mode": "index", "why": null }));

    assert_eq!(system.report()["revision"], before);
    assert_eq!(system.segments("u007"), ["other"]);
    assert!(!system.has_file("segments/new.rhai"));
}

#[test]
fn a_draft_of_integrations_and_settings_is_judged_with_all_rules() {
    let system = system();
    let fewer = integration("Email", &[("Type", "Customer_Type", "string")]);
    let told = preview(&system, &json!({ "integrations/crm.toml": fewer }));
    let first = &told["errors"][0];
    assert_eq!(
        (&first["file"], &first["line"]),
        (&json!(format!("{}/segments/big.rhai", system.id)), &json!(2)),
        "{told}"
    );
    assert_eq!(told["segments"], json!([]));
    let text = crm().replace("\"number\"", "\"string\"");
    let whole = preview(
        &system,
        &json!({
            "integrations/crm.toml": text,
            "segments/big.rhai": segment("crm.Seats == \"50\""), "segments/huge.rhai": null, "segments/other.rhai": null,
        }),
    );
    assert_eq!(whole["segments"][0]["after"], 1, "stored numbers read as texts: {whole}");
    let misplaced = preview(&system, &json!({ "notes/x.txt": "?" }));
    assert!(misplaced["errors"][0]["message"].as_str().unwrap().contains("no place"), "{misplaced}");
    assert_eq!(preview(&system, &json!({}))["segments"], json!([]));
}

#[test]
fn a_draft_that_runs_as_a_script_says_so_and_how_it_fails() {
    let system = system();
    let rule = segment("let n = 0; for x in 0..2 { n += x; } if crm.Seats == 5 { throw \"five\"; } crm.Seats > n + 9");
    let told = preview(&system, &json!({ "segments/script.rhai": rule }));
    let (change, draft) = (&told["segments"][0], &told["drafts"][0]);
    assert_eq!((&change["after"], &change["errors"]), (&json!(109), &json!(1)), "{told}");
    assert_eq!((&draft["mode"], &draft["count"]), (&json!("script"), &json!(109)));
    assert!(draft["why"].as_str().is_some_and(|why| !why.is_empty()), "{told}");
}

#[test]
fn previewing_needs_both_scopes() {
    let system = system();
    for scope in ["end_users:read", "segments:read segments:write"] {
        system.server.client_with(scope).post(&system.admin("preview"), &json!({ "files": {} })).problem(403);
    }
    let reader = system.server.client_with("end_users:read segments:read");
    reader.post(&system.admin("preview"), &json!({ "files": {} })).is(200);
    for body in [json!({}), json!({ "files": [] }), json!({ "files": { "segments/a.rhai": 1 } })] {
        reader.post(&system.admin("preview"), &body).problem(400);
    }
}

/// A test system and a production one, which differ in settings, segments and end users.
fn pair() -> (System<'static>, System<'static>) {
    let production = shared().add_system(&[
        ("system.toml", "name = \"Live\"\n# kept\n".to_owned()),
        ("integrations/crm.toml", crm()),
        ("integrations/old.toml", integration("id", &[("x", "", "string")])),
        ("segments/big.rhai", segment("crm.Seats >= 50")),
        ("segments/gone.rhai", segment("old.x == \"1\"")),
    ]);
    production.update("crm", &json!([{ "Email": "a", "Seats": 20 }, { "Email": "b", "Seats": 60 }])).counts();
    production.update("old", &json!([{ "id": "b", "x": "1" }])).counts();
    let test = shared().add_system(&[
        ("system.toml", "name = \"Try\"\nstage = \"test\"\n".to_owned()),
        ("integrations/crm.toml", format!("# from the test system\n{}", crm())),
        ("segments/big.rhai", segment("crm.Seats >= 10")),
    ]);
    (test, production)
}

#[test]
fn promoting_replaces_the_rules_of_the_other_system_and_keeps_its_settings() {
    let (test, production) = pair();
    let path = test.admin("promote");
    let to = json!({ "to": production.id });
    let files = json!([
        { "path": "integrations/crm.toml", "change": "changed" },
        { "path": "integrations/old.toml", "change": "removed" },
        { "path": "segments/big.rhai", "change": "changed" },
        { "path": "segments/gone.rhai", "change": "removed" },
    ]);
    let revision = production.report()["revision"].clone();
    let dry = test.client.post(&format!("{path}?dry_run=true"), &to).is(200);
    assert_eq!((&dry["dry_run"], &dry["files"], &dry["revision"]), (&json!(true), &files, &Value::Null));
    let changes: Vec<_> =
        dry["segments"].as_array().unwrap().iter().map(|s| (&s["id"], &s["enters"], &s["leaves"])).collect();
    assert_eq!(changes, [(&json!("big"), &json!(1), &json!(0)), (&json!("gone"), &json!(0), &json!(1))]);
    assert_eq!(production.report()["revision"], revision, "a dry run changes nothing");

    let done = test.client.post(&path, &to).is(200);
    assert_eq!((&done["files"], &done["segments"]), (&files, &dry["segments"]));
    assert_eq!(production.report()["revision"], done["revision"]);
    assert_eq!(production.segments("a"), ["big"], "live when it answers");
    assert_eq!(production.file("system.toml"), "name = \"Live\"\n# kept\n");
    assert_eq!(production.file("integrations/crm.toml"), test.file("integrations/crm.toml"));
    assert!(!production.has_file("integrations/old.toml") && !production.has_file("segments/gone.rhai"));
    let again = test.client.post(&path, &to).is(200);
    assert_eq!((&again["files"], &again["segments"]), (&json!([]), &json!([])));
}

#[test]
fn promoting_needs_the_other_systems_stage() {
    let (test, production) = pair();
    let path = test.admin("promote");
    let to = json!({ "to": production.id });
    let reads = "integrations:read segments:read end_users:read";
    let with = |scope: &str| test.server.client_with(&format!("{reads} {scope}"));
    with("integrations:write segments:write publish:test").post(&path, &to).problem(403).says("publish:production");
    with("segments:write publish:production").post(&path, &to).problem(403).says("integrations:write");
    let dry = format!("{path}?dry_run=true");
    with("").post(&dry, &to).is(200);
    test.server.client_with("segments:read end_users:read").post(&dry, &to).problem(403);
    let back = json!({ "to": test.id });
    with("integrations:write segments:write publish:test").post(&production.admin("promote"), &back).is(200);
    test.client.post(&path, &json!({ "to": "nowhere" })).problem(404);
    test.client.post(&path, &json!({ "to": test.id })).problem(422);
    with("integrations:write segments:write publish:production").post(&path, &to).is(200);
}

#[test]
fn rules_that_would_not_load_there_are_not_promoted() {
    let (test, production) = pair();
    production.write(&[("system.toml", "[[unit_groups]]\nid = \"g\"\nrule = 'old.x == \"1\"'\n")]);
    production.reload();
    let to = json!({ "to": production.id });
    let dry = test.client.post(&test.admin("promote?dry_run=true"), &to).is(200);
    assert!(dry["errors"][0]["file"].as_str().unwrap().ends_with("/system.toml"), "{dry}");
    test.client.post(&test.admin("promote"), &to).problem(422).says("system.toml");
    assert!(production.has_file("integrations/old.toml"));
    assert_eq!(production.file("segments/big.rhai"), segment("crm.Seats >= 50"));
}

#[test]
fn a_filter_becomes_a_rule_and_a_rule_a_filter() {
    let system = system();
    let convert = |body: &Value, status: u16| system.client.post(&system.admin("convert"), body).is(status);
    let seats = json!({ "attribute": "crm.Seats", "operator": "at_least", "value": 50 });
    let either = json!({ "any": [seats, { "not": { "segment": "huge" } }] });
    let rule = "crm.Seats >= 50 || !in_segment(\"huge\")";
    let expected = json!({ "rule": rule, "where": either, "mode": "index", "why": null });
    assert_eq!(convert(&json!({ "where": either }), 200), expected);
    let back = convert(&json!({ "rule": "// Name\ncrm.Seats >= 50 && is_set(crm.Signup)" }), 200);
    let set = json!({ "attribute": "crm.Signup", "operator": "is_set" });
    assert_eq!(back["where"], json!({ "all": [set, seats] }));

    let script = convert(&json!({ "rule": "let n = 0; while n < 3 { n += 1; } n == crm.Seats" }), 200);
    assert_eq!((&script["where"], &script["mode"]), (&Value::Null, &json!("script")));
    assert!(script["why"].as_str().unwrap().contains("line 1"), "{script}");
    let told = convert(&json!({ "where": { "attribute": "crm.Sets", "operator": "is_set" } }), 422);
    assert_eq!(told["errors"][0]["pointer"], "/where/attribute");
    let told = convert(&json!({ "rule": "crm.Sets > 1" }), 422);
    assert!(told["errors"][0]["detail"].as_str().unwrap().starts_with("1:"), "{told}");
    convert(&json!({}), 422);
    convert(&json!({ "where": seats, "rule": "true" }), 422);
}
