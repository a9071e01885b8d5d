//! Which origins may read what: CORS, and the script for everyone.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::json;

use super::{Keys, files_of_s, page};
use crate::support::{Ask, Reply, Server, System};

const LISTED: &str = "https://app.example";

/// A server that lists it and another, with a system `s`.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let server = start(&format!("[\"{LISTED}\", \"https://b.example:8443\"]"));
    server.dies_with_the_tests();
    server
});

fn start(cors_origins: &str) -> Server {
    Server::with(&files_of_s()).config(&format!("[server]\ncors_origins = {cors_origins}\n")).start()
}

/// What a browser asks before it sends the call of a page.
fn preflight(system: &System<'_>, path: &str, origin: &str) -> Reply {
    let request = system.client.anonymous().request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "content-type,x-rollcall-key").ask()
}

fn cors_headers(reply: &Reply) -> Vec<&str> {
    reply.headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with("access-control-")).collect()
}

#[test]
fn a_listed_origin_may_send_and_read() {
    let system = SERVER.system("s");
    let keys = Keys::of(&system);
    for origin in [LISTED, "https://b.example:8443"] {
        let before = preflight(&system, &system.public("evaluate"), origin);
        assert_eq!((before.status, before.body.as_str()), (204, ""));
        assert_eq!(before.header("access-control-allow-origin"), origin);
        assert_eq!(before.header("access-control-allow-methods"), "POST");
        let may_send = before.header("access-control-allow-headers").to_lowercase();
        assert!(may_send.contains("content-type") && may_send.contains("x-rollcall-key"), "{may_send}");
        assert_eq!(before.header("access-control-max-age"), "86400");
        assert_eq!(before.header("vary"), "Origin");
        assert_eq!(before.header("access-control-allow-credentials"), "");
    }

    let good = json!({ "id": "Ann", "id_hash": keys.hash("Ann") });
    // A page reads refusals too, to say what is wrong.
    for (key, body, status) in [
        (keys.publishable.as_str(), &good, 200),
        ("pk_wrong", &good, 401),
        (&keys.publishable, &json!({ "id": "Bob", "id_hash": keys.hash("Ann") }), 403),
        (&keys.publishable, &json!({}), 400),
    ] {
        let reply = page(&system, key, body).header("origin", LISTED).ask();
        assert_eq!(reply.status, status, "{}", reply.body);
        assert_eq!(cors_headers(&reply), ["access-control-allow-origin"], "{status}");
        assert_eq!(reply.header("access-control-allow-origin"), LISTED);
        assert_eq!(reply.header("vary"), "Origin");
    }
}

#[test]
fn an_origin_that_is_not_listed_is_told_nothing() {
    let system = SERVER.system("s");
    let keys = Keys::of(&system);
    let body = json!({ "id": "Ann", "id_hash": keys.hash("Ann") });
    for origin in ["https://evil.example", "http://app.example", "https://app.example.evil.example", "null"] {
        let before = preflight(&system, &system.public("evaluate"), origin);
        assert_eq!((before.status, before.header("vary")), (204, "Origin"));
        assert_eq!(cors_headers(&before), [""; 0], "{origin}");
        let reply = page(&system, &keys.publishable, &body).header("origin", origin).ask();
        assert_eq!((reply.status, reply.header("vary")), (200, "Origin"));
        assert_eq!(cors_headers(&reply), [""; 0], "{origin}");
    }
    let reply = page(&system, &keys.publishable, &body).ask();
    assert_eq!((cors_headers(&reply), reply.header("vary")), (vec![], "Origin"), "no page asks");
}

#[test]
fn nothing_else_is_shared_with_a_listed_origin() {
    let system = SERVER.system("s");
    for path in [system.public("end-users/Ann/segments"), system.admin("browser"), "/public/v1/user/data".to_owned()] {
        assert_eq!(cors_headers(&preflight(&system, &path, LISTED)), [""; 0], "{path}");
        let reply = system.client.request(Method::GET, &path).header("origin", LISTED).ask();
        assert_eq!(cors_headers(&reply), [""; 0], "{path}");
    }
}

#[test]
fn a_star_lists_every_origin() {
    let server = start("[\"*\"]");
    let system = server.system("s");
    let keys = Keys::of(&system);
    let before = preflight(&system, &system.public("evaluate"), "https://anyone.example");
    assert_eq!(before.header("access-control-allow-origin"), "*");
    let body = json!({ "id": "Ann", "id_hash": keys.hash("Ann") });
    let reply = page(&system, &keys.publishable, &body).header("origin", "null").ask();
    assert_eq!((reply.status, cors_headers(&reply)), (200, vec!["access-control-allow-origin"]));
    assert!(!server.log().contains("no effect"), "the setting counts");
}

#[test]
fn every_page_may_load_the_script_and_keep_it() {
    let anyone = SERVER.anonymous();
    let script = anyone.get("/sdk/rollcall.js");
    assert_eq!(script.status, 200);
    assert!(script.body.contains("window.Rollcall"), "{}", script.body);
    let etag = script.header("etag").to_owned();
    assert!(etag.len() > 10 && etag.starts_with('"'), "{etag}");
    for (name, value) in [
        ("content-type", "text/javascript; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
        ("cache-control", "public, max-age=3600"),
    ] {
        assert_eq!(script.header(name), value, "{name}");
    }
    let ask = |etag: &str| anyone.request(Method::GET, "/sdk/rollcall.js").header("if-none-match", etag).ask();
    let again = ask(&etag);
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", etag.as_str()));
    assert_eq!(again.header("cache-control"), "public, max-age=3600");
    assert_eq!(ask("\"an older one\"").status, 200);
    let head = anyone.request(Method::HEAD, "/sdk/rollcall.js").ask();
    assert_eq!((head.status, head.header("etag")), (200, etag.as_str()));
}
