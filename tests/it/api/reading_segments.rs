//! Segments at work: counts, members, why, over time.

use serde_json::{Value, json};

use crate::support::{Server, System, crm, integration, segment, shared};

const SCRIPT: &str = "let n = 0; for x in 0..3 { n += x; } crm.Seats > n";

fn system() -> System<'static> {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("segments/premium.rhai", "// Premium customers\n// Paying,\n// with many seats.\ncrm.Customer_Type == \"paying\" && crm.Seats >= 50\n".to_owned()),
        ("segments/script.rhai", segment(SCRIPT)),
        ("segments/failing.rhai", segment("if is_set(crm.Seats) { throw \"no\"; } false")),
        ("segments/vip.rhai", segment("in_segment(\"premium\") && crm.Seats >= 100")),
    ]);
    system
        .update(
            "crm",
            &json!([
                { "Email": "a", "Type": "paying", "Seats": 60 },
                { "Email": "b", "Type": "paying", "Seats": 120 },
                { "Email": "c", "Type": "free", "Seats": 2 },
                { "Email": "d", "Status": "x" },
            ]),
        )
        .counts();
    system
}

fn counts(system: &System<'_>) -> Vec<(String, u64)> {
    let list = system.client.get(&system.public("segments")).is(200);
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| (item["id"].as_str().unwrap().to_owned(), item["count"].as_u64().unwrap())).collect()
}

fn expected(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect()
}

#[test]
fn segments_are_listed_with_counts_and_how_they_run() {
    let system = system();
    assert_eq!(counts(&system), expected(&[("failing", 0), ("premium", 2), ("script", 2), ("vip", 1)]));
    let premium = system.client.get(&system.public("segments/premium")).is(200);
    assert_eq!(
        (&premium["name"], &premium["description"]),
        (&json!("Premium customers"), &json!("Paying,\nwith many seats."))
    );
    assert_eq!((&premium["mode"], &premium["why"], &premium["errors"]), (&json!("index"), &Value::Null, &json!(0)));
    assert_eq!(premium["reads"], json!(["crm.Customer_Type", "crm.Seats"]));
    assert!(premium["text"].as_str().unwrap().starts_with("// Premium"));

    let script = system.client.get(&system.public("segments/script")).is(200);
    assert_eq!((&script["mode"], &script["count"]), (&json!("script"), &json!(2)));
    assert!(script["why"].as_str().is_some_and(|why| why.contains("line 2")), "{script}");
    let failing = system.client.get(&system.public("segments/failing")).is(200);
    assert!(failing["errors"].as_u64().unwrap() >= 3, "{failing}");
    assert!(failing["last_error"].as_str().unwrap().contains("no"), "{failing}");
    assert_eq!(system.client.get(&system.public("segments/vip")).is(200)["depends_on"], json!(["premium"]));
    system.client.get(&system.public("segments/none")).problem(404);
    system.client.get(&system.public("segments?limit=1")).is(200)["next_cursor"].as_str().expect("there are more");
}

#[test]
fn counts_and_members_are_right_right_after_a_write_a_delete_and_a_reload() {
    let system = system();
    let members = |segment: &str| {
        let list = system.client.get(&system.public(&format!("segments/{segment}/members"))).is(200);
        list["items"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(members("premium"), ["a", "b"]);
    system.update("crm", &json!([{ "Email": "c", "Type": "paying", "Seats": 200 }])).counts();
    assert_eq!((members("premium").len(), members("vip")), (3, vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(counts(&system), expected(&[("failing", 0), ("premium", 3), ("script", 3), ("vip", 2)]));
    system.client.delete(&system.public("end-users/b")).is(204);
    assert_eq!(counts(&system), expected(&[("failing", 0), ("premium", 2), ("script", 2), ("vip", 1)]));
    system.write(&[("segments/premium.rhai", &segment("crm.Seats >= 60"))]);
    system.reload();
    assert_eq!((members("premium"), members("vip")), (vec!["a".to_owned(), "c".to_owned()], vec!["c".to_owned()]));
}

#[test]
fn members_come_page_by_page() {
    let system = system();
    let records = (0..25).map(|n| json!({ "Email": format!("m{n:02}"), "Type": "paying", "Seats": 50 }));
    system.update("crm", &records.collect()).counts();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            system.client.get(&system.public(&format!("segments/premium/members?limit=10&cursor={cursor}"))).is(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    seen.sort();
    assert_eq!((seen.len(), seen[0].as_str(), seen[26].as_str()), (27, "a", "m24"));
    system.client.get(&system.public("segments/none/members")).problem(404);
    system.client.get(&system.public("segments/premium/members?cursor=x")).problem(400);
}

#[test]
fn counts_are_kept_by_the_hour() {
    let server =
        Server::with(&[("s/integrations/crm.toml", crm()), ("s/segments/all.rhai", segment("crm.Seats > 0"))]).start();
    let system = server.system("s");
    let history = crate::support::eventually("the first hour is kept", || {
        let history = system.client.get(&system.public("segments/all/history")).is(200);
        if history["items"] == json!([]) { Err(history.to_string()) } else { Ok(history) }
    });
    let at: jiff::Timestamp = history["items"][0]["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(at.as_second() % 3600, 0, "{history}");
    assert_eq!(history["items"][0]["count"], 0);
    system.client.get(&system.public("segments/none/history")).problem(404);
}

#[test]
fn segments_at_work_need_both_scopes() {
    let system = system();
    for path in [
        "segments",
        "segments/premium",
        "segments/premium/members",
        "segments/premium/history",
        "events",
        "end-users/a/segments/premium/explain",
    ] {
        for scope in ["end_users:read", "segments:read"] {
            system.server.client_with(scope).get(&system.public(path)).problem(403);
        }
    }
}

#[test]
fn a_membership_is_explained_with_the_smallest_changes() {
    let system = system();
    let explain = |id: &str, segment: &str| {
        system.client.get(&system.public(&format!("end-users/{id}/segments/{segment}/explain"))).is(200)
    };
    let why = explain("c", "premium");
    assert_eq!((&why["member"], &why["mode"], &why["known"]), (&json!(false), &json!("index"), &json!(true)));
    let parts = why["tree"]["all"].as_array().unwrap();
    let seats = parts.iter().find(|part| part["attribute"] == "crm.Seats").unwrap();
    assert_eq!(*seats, json!({ "condition": "crm.Seats >= 50", "attribute": "crm.Seats", "actual": 2, "held": false }));
    assert_eq!(why["tree"]["held"], false);
    let changes: Vec<&str> = why["changes"].as_array().unwrap().iter().map(|change| change.as_str().unwrap()).collect();
    assert_eq!(changes.len(), 2);
    assert!(changes.contains(&"`crm.Seats` at least 50"), "{changes:?}");

    let nested = explain("a", "vip");
    assert!(nested["tree"].to_string().contains(r#"{"held":true,"segment":"premium"}"#), "{nested}");
    assert_eq!(nested["changes"], json!(["`crm.Seats` at least 100"]));
    let out = explain("d", "vip");
    assert!(out["changes"].to_string().contains("crm.Customer_Type"), "what it asks about is looked into: {out}");
    let stranger = explain("nobody", "premium");
    assert_eq!((&stranger["known"], &stranger["member"]), (&json!(false), &json!(false)));

    // What it says is so: with the changes made, the answer turns round.
    system.update("crm", &json!([{ "Email": "a", "Seats": 100 }])).counts();
    assert_eq!(explain("a", "vip")["member"], true);
}

#[test]
fn a_script_is_explained_as_far_as_it_can_be() {
    let system = system();
    let explain = |id: &str, segment: &str| {
        system.client.get(&system.public(&format!("end-users/{id}/segments/{segment}/explain"))).is(200)
    };
    let script = explain("a", "script");
    assert_eq!((&script["member"], &script["mode"], &script["changes"]), (&json!(true), &json!("script"), &json!([])));
    assert!(script["why"].is_string() && script["note"].is_string() && script["error"].is_null(), "{script}");
    let failing = explain("a", "failing");
    assert_eq!(failing["member"], false);
    assert!(failing["error"].as_str().unwrap().contains("no"), "{failing}");
    system.client.get(&system.public("end-users/a/segments/none/explain")).problem(404);
}

#[test]
fn a_disabled_integration_is_missing_everywhere() {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("integrations/web.toml", integration("id", &[("Visits", "", "number")])),
        ("segments/visitor.rhai", segment("web.Visits > 0")),
    ]);
    system.update("web", &json!([{ "id": "a", "Visits": 3 }])).counts();
    let filter = json!({ "where": { "attribute": "web.Visits", "operator": "is_set" } });
    let found = || system.client.post(&system.public("end-users/query"), &filter).is(200);
    assert_eq!((found()["total"].as_u64(), counts(&system)), (Some(1), expected(&[("visitor", 1)])));
    let off = system.file("integrations/web.toml").replace("kind", "enabled = false\nkind");
    system.write(&[("integrations/web.toml", &off)]);
    system.reload();
    assert_eq!((found()["total"].as_u64(), counts(&system)), (Some(0), expected(&[("visitor", 0)])));
    let all = system.client.post(&system.public("end-users/query"), &json!({})).is(200);
    assert_eq!(all["items"][0]["attributes"], json!({}));
}
