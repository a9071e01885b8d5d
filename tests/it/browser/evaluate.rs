//! `POST evaluate`: every answer of it.

use reqwest::Method;
use serde_json::json;

use super::{Keys, evaluate, files, page};
use crate::support::{Ask, crm, segment, shared};

#[test]
fn a_page_is_told_the_segments_and_nothing_else() {
    let system = shared().add_system(&files());
    let keys = Keys::of(&system);
    system.update("crm", &json!([{ "Email": "Ann", "Seats": 60 }])).counts();
    let reply = evaluate(&system, &keys, "Ann");
    assert_eq!(reply.is(200), json!({ "id": "Ann", "segments": ["premium"] }));
    assert_eq!(reply.header("cache-control"), "no-store", "it is about one person");
    assert_eq!(evaluate(&system, &keys, "nobody").is(200), json!({ "id": "nobody", "segments": ["small"] }));
    system.update("crm", &json!([{ "Email": "Ann", "Seats": 1 }])).counts();
    assert_eq!(evaluate(&system, &keys, "Ann").is(200)["segments"], json!(["small"]), "right after a write");
}

#[test]
fn a_wrong_key_and_an_unknown_system_look_the_same() {
    let system = shared().add_system(&files());
    let other = shared().add_system(&files());
    let keys = Keys::of(&system);
    let body = json!({ "id": "Ann", "id_hash": keys.hash("Ann") });
    let mut told = Vec::new();
    for wrong in [
        "",
        "pk_",
        &keys.publishable.to_uppercase(),
        &keys.publishable[..30],
        &keys.secret,
        &Keys::of(&other).publishable,
        &system.token("crm"),
        system.client.bearer(),
    ] {
        let reply = page(&system, wrong, &body).ask();
        reply.problem(401).says("X-Rollcall-Key");
        assert!(!reply.header("www-authenticate").is_empty(), "{:?}", reply.headers);
        told.push(reply.body);
    }
    let anyone = system.client.anonymous();
    told.push(anyone.post(&system.public("evaluate"), &body).body);
    let key = |path: &str| anyone.request(Method::POST, path).header("x-rollcall-key", &keys.publishable).json(&body);
    for nowhere in ["/public/v1/systems/no_such_system/evaluate", "/public/v1/systems/No%20System/evaluate"] {
        told.push(key(nowhere).ask().body);
    }
    assert!(told.iter().all(|one| *one == told[0]), "{told:#?}");
    let bearer = system.client.post(&system.public("evaluate"), &body);
    bearer.problem(401);
}

#[test]
fn a_page_can_ask_about_nobody_else() {
    let system = shared().add_system(&files());
    let other = shared().add_system(&files());
    let keys = Keys::of(&system);
    system.update("crm", &json!([{ "Email": "Ann", "Seats": 60 }])).counts();
    let good = keys.hash("Ann");
    let ask = |id: &str, id_hash: &str| {
        let reply = page(&system, &keys.publishable, &json!({ "id": id, "id_hash": id_hash })).ask();
        reply.problem(403).says("id_hash");
        reply.body
    };
    let mut told: Vec<String> = ["Bob", "ann", "Ann ", "", &"x".repeat(300)].map(|id| ask(id, &good)).into();
    for wrong in ["", &good[1..], &format!("{good}00"), &"0".repeat(64), "id_hash", &Keys::of(&other).hash("Ann")] {
        told.push(ask("Ann", wrong));
    }
    assert!(told.iter().all(|one| *one == told[0]), "it tells nothing of who is known: {told:#?}");
    let upper = json!({ "id": "Ann", "id_hash": good.to_uppercase() });
    assert_eq!(page(&system, &keys.publishable, &upper).ask().is(200)["segments"], json!(["premium"]));
}

#[test]
fn the_hash_is_of_the_identifier_as_sent() {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("segments/premium.rhai", segment("crm.Seats >= 50")),
        ("system.toml", "identifier_case = \"lower\"\n".to_owned()),
    ]);
    let keys = Keys::of(&system);
    for id in ["Jöhn@Example.com", "日本 / 😀", "a\"b\\c", " "] {
        system.update("crm", &json!([{ "Email": id, "Seats": 60 }])).counts();
        let answer = json!({ "id": id.to_lowercase(), "segments": ["premium"] });
        assert_eq!(evaluate(&system, &keys, id).is(200), answer, "{id}");
    }
}

#[test]
fn a_call_of_another_shape_is_refused() {
    let system = shared().add_system(&files());
    let keys = Keys::of(&system);
    let ask = |kind: &str, body: &str| {
        let request = system.client.anonymous().request(Method::POST, &system.public("evaluate"));
        request.header("x-rollcall-key", &keys.publishable).header("content-type", kind).body(body.to_owned()).ask()
    };
    let (id, hash) = ("Ann", keys.hash("Ann"));
    let good = json!({ "id": id, "id_hash": hash });
    ask("text/plain", &good.to_string()).problem(415);
    for bad in [
        String::new(),
        "Ann".to_owned(),
        "[]".to_owned(),
        json!({ "id": id }).to_string(),
        json!({ "id_hash": hash }).to_string(),
        json!({ "id": 7, "id_hash": hash }).to_string(),
        json!({ "id": id, "id_hash": hash, "known": true }).to_string(),
        format!(r#"{{"id":"Ann","id":"Bob","id_hash":"{hash}"}}"#),
    ] {
        ask("application/json", &bad).problem(400);
    }
    ask("application/json", &format!("{good}{}", " ".repeat(9000))).problem(413);
    for no_id in ["", "a\u{7}", &"x".repeat(257)] {
        evaluate(&system, &keys, no_id).problem(422).says("identifier");
    }
    evaluate(&system, &keys, &"\u{1F600}".repeat(64)).is(200);
    let get = system.client.get(&system.public("evaluate"));
    get.problem(405);
    assert!(get.header("allow").contains("POST"), "{:?}", get.headers);
}

#[test]
fn a_publishable_key_opens_nothing_else() {
    let system = shared().add_system(&files());
    let keys = Keys::of(&system);
    let anyone = system.client.anonymous();
    for path in [system.public("end-users/Ann/segments"), system.admin("browser"), "/admin/v1/config".to_owned()] {
        anyone.request(Method::GET, &path).header("x-rollcall-key", &keys.publishable).ask().problem(401);
        anyone.with_bearer(&keys.publishable).get(&path).problem(401);
    }
}
