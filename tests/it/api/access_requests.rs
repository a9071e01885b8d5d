//! Requests for access: asked for by anyone, decided by whoever may.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, Ask, all_items, fresh, operators, operators_setup};

const ASK: &str = "/accounts/access-requests";
const LIST: &str = "/admin/v1/access-requests";

fn of(client: &crate::support::Client, email: &str) -> Vec<Value> {
    all_items(client, LIST).into_iter().filter(|item| item["email"] == email).collect()
}

#[test]
fn a_request_is_approved_or_denied_once() {
    let server = operators_setup().start();
    let client = server.client();
    let ask = |email: &str| {
        server.anonymous().post(ASK, &json!({ "email": email, "name": "Jo Ann Roe", "reason": "to\nhelp" }))
    };
    for email in ["one@example.com", "two@example.com"] {
        let reply = ask(email);
        assert_eq!((reply.status, reply.body.as_str()), (202, ""));
    }
    let listed = all_items(&client, &format!("{LIST}?limit=1"));
    assert_eq!(listed.len(), 2);
    let (two, one) = (&listed[0], &listed[1]);
    assert_eq!(
        (&two["email"], &one["email"]),
        (&json!("two@example.com"), &json!("one@example.com")),
        "the newest first"
    );
    assert_eq!(
        (&one["status"], &one["name"], &one["reason"]),
        (&json!("pending"), &json!("Jo Ann Roe"), &json!("to\nhelp"))
    );
    let path = |item: &Value, what: &str| format!("{LIST}/{}/{what}", item["id"].as_str().unwrap());

    client.post(&path(one, "approve"), &json!({})).problem(422).points_at(vec!["/role"]);
    let bad = json!({ "role": "Viewer", "systems": ["gone"] });
    client.post(&path(one, "approve"), &bad).problem(422).points_at(vec!["/systems/0"]);
    let offer = json!({ "role": "Viewer", "systems": ["shop"], "login_method": "sso", "sso_id": "idp|one" });
    let made = client.post(&path(one, "approve"), &offer).is(200);
    assert_eq!(
        (&made["username"], &made["systems"], &made["login_method"]),
        (&json!("one@example.com"), &json!(["shop"]), &json!("sso"))
    );
    assert_eq!((&made["first_name"], &made["last_name"]), (&json!("Jo"), &json!("Ann Roe")));
    assert_eq!(made["_system_properties"]["status"], "PROVISIONED");
    client.post_empty(&path(two, "deny")).is(204);

    for item in [one, two] {
        client.post(&path(item, "approve"), &json!({ "role": "Viewer" })).problem(409).says("decided before");
        client.post_empty(&path(item, "deny")).problem(409);
    }
    let pending =
        |status: &str| client.get(&format!("{LIST}?status={status}")).is(200)["items"].as_array().unwrap().len();
    assert_eq!((pending("pending"), pending("approved"), pending("denied")), (0, 1, 1));
    let decided = &of(&client, "one@example.com")[0];
    assert_eq!((&decided["username"], decided["decided_by"].is_string()), (&json!("one@example.com"), true));
    client.get(&format!("{LIST}?status=open")).problem(400);
    client.post_empty(&format!("{LIST}/nothing/deny")).problem(404);
    client.post(&format!("{LIST}/{}/approve", "x".repeat(600)), &json!({ "role": "Viewer" })).problem(404);

    // Who was denied may ask again.
    ask("two@example.com").is(202);
    assert_eq!(of(&client, "two@example.com").len(), 2);
    // They survive a restart.
    let server = server.restart();
    assert_eq!(all_items(&server.client(), LIST).len(), 3);
}

#[test]
fn the_answer_never_tells_who_has_an_account() {
    let server = operators_setup().start();
    let ask = |email: &str| {
        let reply = server.anonymous().post(ASK, &json!({ "email": email }));
        (reply.status, reply.body, reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(ask(ADMIN), ask("stranger@example.com"));
    assert!(of(&server.client(), ADMIN).is_empty(), "and who has one asks for nothing");
    assert_eq!(ask("Stranger@example.com").0, 202);
    assert_eq!(all_items(&server.client(), LIST).len(), 1, "one address has one open request");
}

#[test]
fn what_is_no_request_is_refused() {
    let server = operators_setup().start();
    let ask = |body: Value| server.anonymous().post(ASK, &body);
    ask(json!({ "email": "no address" })).problem(422).points_at(vec!["/email"]);
    ask(json!({ "email": "a@example.com", "reason": "x".repeat(2001), "name": "a\u{7}" }))
        .problem(422)
        .points_at(vec!["/reason", "/name"]);
    ask(json!({})).problem(400);
    ask(json!({ "email": "a@example.com", "role": "Admin" })).problem(400);
    server.anonymous().request(Method::POST, ASK).body("email=x").ask().problem(415);
    assert!(all_items(&server.client(), LIST).is_empty());
}

#[test]
fn one_address_can_not_flood_the_list() {
    let server = operators_setup().start();
    let ask = |email: &str| server.anonymous().post(ASK, &json!({ "email": email })).status;
    let answers: Vec<u16> = (0..30).map(|n| ask(&format!("flood{n}@example.com"))).collect();
    assert!(answers[..20].iter().all(|status| *status == 202), "{answers:?}");
    assert!(answers[20..].contains(&429), "{answers:?}");
    let reply = server.anonymous().post(ASK, &json!({ "email": "late@example.com" }));
    if reply.status == 429 {
        assert!(!reply.header("retry-after").is_empty(), "{:?}", reply.headers);
    }
}

#[test]
fn only_who_may_sees_and_decides() {
    let server = operators();
    let email = format!("{}@example.com", fresh("ask"));
    server.anonymous().post(ASK, &json!({ "email": email })).is(202);
    let id = of(&server.client(), &email)[0]["id"].as_str().unwrap().to_owned();
    for role in ["Editor", "Viewer", "Integration"] {
        let (_, other) = server.client_of(role, None);
        other.get(LIST).problem(403).says("access_requests:manage");
        other.post(&format!("{LIST}/{id}/approve"), &json!({ "role": role })).problem(403);
        other.post_empty(&format!("{LIST}/{id}/deny")).problem(403);
    }
    server.anonymous().get(LIST).problem(401);
}
