//! The keys of a system: shown, rotated, and dead with their system.

use std::fs;

use serde_json::json;

use super::{Keys, evaluate, files, files_of_s, page};
use crate::support::{Ask, Server, System, shared};

const CONFIG: &str = "[server]\npublic_url = \"https://rollcall.example\"\ncors_origins = [\"https://app.example\"]\n";

/// Whether a site that holds these keys is answered.
#[track_caller]
fn works(system: &System<'_>, keys: &Keys) -> bool {
    let reply = evaluate(system, keys, "Ann");
    assert!(matches!(reply.status, 200 | 401), "{reply:?}");
    reply.status == 200
}

#[test]
fn the_keys_are_shown_with_what_to_paste() {
    let server = Server::with(&files_of_s()).config(CONFIG).start();
    let system = server.system("s");
    let shown = system.client.get(&system.admin("browser")).is(200);
    let keys = Keys::read(&shown);
    assert_eq!(keys.publishable.len(), 35, "{shown}");
    assert!(keys.publishable.starts_with("pk_"), "{shown}");
    assert_eq!(shown["cors_origins"], json!(["https://app.example"]));
    let snippet = shown["snippet"].as_str().unwrap();
    for part in ["src=\"https://rollcall.example/sdk/rollcall.js\"", "data-system=\"s\"", &keys.publishable] {
        assert!(snippet.contains(part), "{part} is not in\n{snippet}");
    }
    assert!(!snippet.contains(&keys.secret), "the secret does not belong into a page");
    assert_eq!(Keys::of(&system), keys, "they are the same whenever they are shown");

    let reader = server.client_with("integrations:read end_users:read segments:read systems:read");
    reader.get(&system.admin("browser")).problem(403).says("integrations:write");
    reader.post_empty(&system.admin("browser/rotate")).problem(403).says("integrations:write");
    server.anonymous().get(&system.admin("browser")).problem(401);
    system.client.get("/admin/v1/systems/nowhere/browser").problem(404);
    assert!(!server.log().contains(&keys.secret), "no secret in the log");
}

#[test]
fn every_system_has_keys_of_its_own() {
    let (one, other) = (shared().add_system(&files()), shared().add_system(&files()));
    let (keys, others) = (Keys::of(&one), Keys::of(&other));
    assert_ne!(keys.publishable, others.publishable);
    assert_ne!(keys.secret, others.secret);
    assert!(works(&one, &keys) && works(&other, &others) && !works(&one, &others));
}

#[test]
fn rotating_ends_the_old_keys_at_once_or_after_a_grace() {
    let system = shared().add_system(&files());
    let first = Keys::of(&system);
    let answer = system.client.post_empty(&system.admin("browser/rotate?grace_hours=24")).is(200);
    let second = Keys::read(&answer);
    assert_ne!(first, second);
    assert_eq!(Keys::of(&system), second);
    assert!(works(&system, &first) && works(&system, &second));
    // Page and server change one after the other.
    for (page_keys, server_keys) in [(&first, &second), (&second, &first)] {
        let body = json!({ "id": "Ann", "id_hash": server_keys.hash("Ann") });
        page(&system, &page_keys.publishable, &body).ask().is(200);
    }
    for bad in ["-1", "721", "soon"] {
        system.client.post_empty(&system.admin(&format!("browser/rotate?grace_hours={bad}"))).problem(400);
    }
    assert_eq!(Keys::of(&system), second, "a refused rotation rotates nothing");

    system.client.post_empty(&system.admin("browser/rotate")).is_success();
    let third = Keys::of(&system);
    assert!(!works(&system, &first) && !works(&system, &second) && works(&system, &third));
    let body = json!({ "id": "Ann", "id_hash": second.hash("Ann") });
    page(&system, &third.publishable, &body).ask().problem(403);
    system.client.post_empty("/admin/v1/systems/nowhere/browser/rotate").problem(404);
}

#[test]
fn keys_and_rotations_survive_a_restart() {
    let server = Server::with(&files_of_s()).start();
    let system = server.system("s");
    let first = Keys::of(&system);
    system.client.post_empty(&system.admin("browser/rotate")).is_success();
    let second = Keys::of(&system);
    drop(system);
    let server = server.restart();
    let system = server.system("s");
    assert_eq!(Keys::of(&system), second);
    assert!(works(&system, &second) && !works(&system, &first));
}

#[test]
fn deleting_the_system_kills_its_keys_for_good() {
    let system = shared().add_system(&files());
    let old = Keys::of(&system);
    let (folder, aside) = (system.server.home.rules().join(&system.id), system.server.home.root().join(&system.id));
    fs::rename(&folder, &aside).unwrap();
    system.reload();
    assert!(!works(&system, &old), "there is no such system");
    fs::rename(&aside, &folder).unwrap();
    system.reload();
    system.is_live();
    assert!(!works(&system, &old), "the old keys do not come back with it");
    assert!(works(&system, &Keys::of(&system)));
}
