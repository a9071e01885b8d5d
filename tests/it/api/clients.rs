//! OAuth clients: made, changed, rotated, disabled, and their tokens' end.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, CLIENT_ID, Client, all_items, fresh, keys, operators, operators_setup};

const CLIENTS: &str = "/admin/v1/clients";

fn path(id: &str) -> String {
    format!("{CLIENTS}/{id}")
}

/// What a token request of the client answers.
fn token_status(id: &str, secret: &str) -> u16 {
    let request = operators().anonymous().request(Method::POST, "/oauth/default/token").basic_auth(id, Some(secret));
    request.form(&[("grant_type", "client_credentials")]).ask().status
}

fn bearer(id: &str, secret: &str) -> Client {
    operators().anonymous().with_bearer(&operators().token_of(id, secret))
}

#[test]
fn a_secret_is_shown_once() {
    let client = operators().client();
    let id = fresh("ci-");
    let body = json!({ "client_id": id, "description": "Builds", "role": "Viewer", "systems": ["The Shop"] });
    let reply = client.post(CLIENTS, &body);
    assert_eq!(reply.header("cache-control"), "no-store");
    let made = reply.is(201);
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() > 40, "{made}");
    let shown = client.get(&path(&id)).is(200);
    assert_eq!(
        keys(&shown),
        ["client_id", "description", "role", "systems", "enabled", "created_at"].into_iter().collect()
    );
    assert_eq!(
        (&shown["systems"], &shown["enabled"], &shown["description"]),
        (&json!(["shop"]), &json!(true), &json!("Builds"))
    );
    assert!(!client.get(&format!("{CLIENTS}?limit=1000")).body.contains(&secret));
    assert!(all_items(&client, &format!("{CLIENTS}?limit=2")).contains(&shown));
    bearer(&id, &secret).get("/admin/v1/systems").is(200);
    client.post(CLIENTS, &body).problem(409).says(&id);
    let unnamed = client.post(CLIENTS, &json!({ "role": "Viewer" })).is(201);
    assert!(unnamed["client_id"].as_str().unwrap().starts_with("client-"));
    assert_eq!(unnamed["systems"], json!(["*"]));
}

#[test]
fn what_is_no_client_is_refused() {
    let client = operators().client();
    let bad =
        json!({ "client_id": "a:b", "role": "Nobody", "systems": ["gone", "shop"], "description": "x".repeat(300) });
    client.post(CLIENTS, &bad).problem(422).points_at(vec!["/client_id", "/role", "/systems/0", "/description"]);
    client.post(CLIENTS, &json!({})).problem(422).points_at(vec!["/role"]);
    client.post(CLIENTS, &json!({ "role": "Viewer", "secret": "x" })).problem(400);
    for call in ["nobody", "nobody/rotate", "nobody/disable", "nobody/enable"] {
        let method = if call == "nobody" { Method::GET } else { Method::POST };
        client.request(method, &path(call)).ask().problem(404).says("nobody");
    }
    client.put(&path("nobody"), &json!({ "role": "Viewer" })).problem(404);
    let (id, _) = operators().client_of("Viewer", None);
    client
        .put(&path(&id), &json!({ "client_id": "other", "role": "Viewer", "systems": "*" }))
        .problem(422)
        .points_at(vec!["/client_id"]);
}

#[test]
fn rotating_ends_the_secret_and_every_token_at_once() {
    let client = operators().client();
    let id = fresh("rotate-");
    let first = client.post(CLIENTS, &json!({ "client_id": id, "role": "Viewer" })).is(201);
    let first = first["client_secret"].as_str().unwrap();
    let old = bearer(&id, first);
    old.get("/admin/v1/systems").is(200);
    let second = client.post_empty(&format!("{}/rotate", path(&id))).is(200);
    old.get("/admin/v1/systems").problem(401);
    assert_eq!(token_status(&id, first), 401);
    bearer(&id, second["client_secret"].as_str().unwrap()).get("/admin/v1/systems").is(200);
}

#[test]
fn disabling_ends_every_token_at_once_and_enabling_brings_none_back() {
    let client = operators().client();
    let id = fresh("disable-");
    let made = client.post(CLIENTS, &json!({ "client_id": id, "role": "Viewer" })).is(201);
    let secret = made["client_secret"].as_str().unwrap();
    let old = bearer(&id, secret);
    old.get("/admin/v1/systems").is(200);
    for _ in 0..2 {
        client.post_empty(&format!("{}/disable", path(&id))).is(204);
        old.get("/admin/v1/systems").problem(401);
        assert_eq!(token_status(&id, secret), 401);
        assert_eq!(client.get(&path(&id)).is(200)["enabled"], false);
    }
    client.post_empty(&format!("{}/enable", path(&id))).is(204);
    old.get("/admin/v1/systems").problem(401);
    bearer(&id, secret).get("/admin/v1/systems").is(200);
}

#[test]
fn a_changed_role_counts_for_tokens_that_are_out() {
    let client = operators().client();
    let id = fresh("role-");
    let made = client.post(CLIENTS, &json!({ "client_id": id, "role": "Viewer", "systems": ["shop"] })).is(201);
    let theirs = bearer(&id, made["client_secret"].as_str().unwrap());
    let systems = |answer: Value| -> Vec<String> {
        answer["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(systems(theirs.get("/admin/v1/systems").is(200)), ["shop"]);
    client.put(&path(&id), &json!({ "role": "Viewer", "systems": ["expdemo"] })).is(200);
    assert_eq!(systems(theirs.get("/admin/v1/systems").is(200)), ["expdemo"]);
    client.put(&path(&id), &json!({ "role": "Integration", "systems": ["expdemo"] })).is(200);
    theirs.get("/admin/v1/systems").problem(403);
}

#[test]
fn a_change_that_names_no_systems_does_not_widen_a_client() {
    let client = operators().client();
    let id = fresh("narrow-");
    client.post(CLIENTS, &json!({ "client_id": id, "role": "Viewer", "systems": ["shop"] })).is(201);
    for body in [json!({ "role": "Integration" }), json!({ "role": "Integration", "systems": null })] {
        client.put(&path(&id), &body).problem(422).points_at(vec!["/systems"]).says("`*`");
    }
    let shown = client.get(&path(&id)).is(200);
    assert_eq!((&shown["role"], &shown["systems"]), (&json!("Viewer"), &json!(["shop"])), "nothing was changed");
    client.put(&path(&id), &json!({ "role": "Viewer", "systems": [] })).is(200);
    assert_eq!(client.get(&path(&id)).is(200)["systems"], json!([]), "none are none");
    client.put(&path(&id), &json!({ "role": "Viewer", "systems": "*" })).is(200);
    assert_eq!(client.get(&path(&id)).is(200)["systems"], json!(["*"]));
}

#[test]
fn clients_outlive_a_restart_and_their_ended_tokens_stay_ended() {
    let server = operators_setup().start();
    let (id, theirs) = server.client_of("Viewer", Some(&["shop"]));
    let (gone, ended) = server.client_of("Viewer", None);
    server.client().post_empty(&format!("{}/disable", path(&gone))).is(204);
    let shown = server.client().get(&path(&id)).is(200);
    let (theirs, ended) = (theirs.bearer().to_owned(), ended.bearer().to_owned());
    let server = server.restart();
    assert_eq!(server.client().get(&path(&id)).is(200), shown);
    server.anonymous().with_bearer(&theirs).get("/admin/v1/systems").is(200);
    server.anonymous().with_bearer(&ended).get("/admin/v1/systems").problem(401);
}

#[test]
fn only_who_may_sees_and_changes_clients() {
    let server = operators();
    for role in ["Editor", "Viewer", "Integration"] {
        let (_, other) = server.client_of(role, None);
        other.get(CLIENTS).problem(403).says("clients:read");
        other.get(&path(CLIENT_ID)).problem(403);
        other.post(CLIENTS, &json!({ "role": role })).problem(403).says("clients:write");
        other.put(&path(CLIENT_ID), &json!({ "role": role })).problem(403);
        for action in ["rotate", "disable", "enable"] {
            other.post_empty(&format!("{}/{action}", path(CLIENT_ID))).problem(403);
        }
    }
}

#[test]
fn roles_are_listed_built_in_ones_first() {
    let server = operators();
    let roles = server.client().get("/admin/v1/roles").is(200);
    let names: Vec<_> = roles["items"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Admin", "Editor", "Viewer", "Integration", "[CC] Agent", "[RETAIL] Insights", "Manager"]);
    assert_eq!(
        roles["items"][4],
        json!({ "name": "[CC] Agent", "permissions": ["end_users:read", "segments:read"], "built_in": false })
    );
    let (_, machine) = server.client_of("Integration", None);
    machine.get("/admin/v1/roles").problem(403).says("roles:read");
}
