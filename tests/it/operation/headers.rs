//! What every answer says to browsers, and how fast strangers may come.

use serde_json::json;

use crate::support::{Ask, Server, crm, shared};

#[test]
fn every_answer_has_the_security_headers() {
    let client = shared().client();
    for path in [
        "/healthz",
        "/nowhere",
        "/admin/v1/config",
        "/docs/",
        "/sdk/rollcall.js",
        "/public/v1/systems/s/segments",
        "/login",
    ] {
        for reply in [client.get(path), client.anonymous().get(path)] {
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(reply.header("x-frame-options"), "DENY", "{path}");
            assert!(!reply.header("referrer-policy").is_empty(), "{path}");
            assert!(
                reply.header("content-security-policy").contains("frame-ancestors 'none'"),
                "{path}: {:?}",
                reply.headers
            );
            assert_eq!(reply.header("strict-transport-security"), "", "only over https: {path}");
        }
    }
}

#[test]
fn who_asks_too_often_as_a_page_is_slowed_down_and_others_are_not() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())])
        .env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let ask = |from: &str| {
        let request = server.anonymous().request(reqwest::Method::POST, "/public/v1/systems/s/evaluate");
        request.header("x-forwarded-for", from).header("x-rollcall-key", "pk_wrong").json(&json!({})).ask().status
    };
    let mut refused = 0;
    for _ in 0..4_000 {
        if ask("203.0.113.5") == 429 {
            refused += 1;
            break;
        }
    }
    assert_eq!(refused, 1, "some call is one too many");
    assert_eq!(ask("203.0.113.6"), 401, "another address is not slowed down");
}
