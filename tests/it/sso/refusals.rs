//! Answers that are not to be trusted: each is refused, and nobody is logged in.

use serde_json::{Value, json};

use super::house::House;
use crate::support::Visitor;

/// Asserts that whoever comes back by that path is not let in.
#[track_caller]
fn refused(browser: &Visitor, path: &str, status: u16, what: &str) {
    let reply = browser.get(path);
    assert_eq!(reply.status, status, "{what}: {}", reply.body);
    assert!(reply.header("content-type").starts_with("text/html"), "{what}");
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"), "{what}");
    assert!(browser.cookie().is_none(), "{what} logs in");
    browser.get("/accounts/me").problem(401);
}

#[test]
fn a_spoiled_id_token_is_refused() {
    let house = House::shared();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let spoiled: Vec<Value> = vec![
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "aud": "another" }),
        json!({ "aud": ["rollcall", "another"] }),
        json!({ "aud": null }),
        json!({ "azp": "another" }),
        json!({ "iss": "http://evil.example" }),
        json!({ "iss": null }),
        json!({ "exp": now - 120 }),
        json!({ "exp": null }),
        json!({ "iat": now + 3600 }),
        json!({ "sub": null }),
        json!("alg none"),
        json!("alg none with signature"),
        json!("hmac of the public key"),
        json!("foreign key"),
        json!("unknown key"),
        json!("own key in the header"),
        json!("changed claims"),
        json!("no token"),
        json!("garbage"),
    ];
    for forge in spoiled {
        let browser = house.server.visitor();
        house.provider.control(&json!({ "sub": "idp-ann", "forge": forge }));
        let back = house.walk(&browser, "/console");
        refused(&browser, &back, 403, &forge.to_string());
    }
    // Spoiled in a way that changes nothing, it is taken: so it was the spoiling that was refused.
    let browser = house.server.visitor();
    assert_eq!(house.log_in(&browser, &json!({ "sub": "idp-ann", "forge": { "name": "Ann" } })).status, 303);
}

#[test]
fn a_return_that_was_not_begun_here_is_refused() {
    let house = House::shared();
    house.provider.control(&json!({ "sub": "idp-ann" }));
    let browser = house.server.visitor();
    let back = house.walk(&browser, "/console");
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();

    let other = house.server.visitor();
    refused(&other, &back, 400, "another browser's return");
    let _ = house.walk(&other, "/console");
    refused(&other, &back, 400, "the return of another browser that has begun too");

    for (wrong, what) in [
        (back.replace(&state, "another"), "another state"),
        (back.replace(&format!("state={state}"), "x=y"), "no state"),
        ("/sso/callback".to_owned(), "nothing"),
        (format!("/sso/callback?error=access_denied&state={state}x"), "a forged refusal"),
    ] {
        let spoiler = house.server.visitor();
        let _ = house.walk(&spoiler, "/console");
        refused(&spoiler, &wrong, 400, what);
    }
    assert_eq!(browser.get(&back).status, 303, "the right browser gets in");
    browser.post_empty("/accounts/logout").is(204);
    refused(&browser, &back, 400, "the same return again");
}

#[test]
fn a_code_is_good_once_and_an_issuer_must_be_the_right_one() {
    let house = House::shared();
    house.provider.control(&json!({ "sub": "idp-ann" }));
    let browser = house.server.visitor();
    let back = house.walk(&browser, "/console");
    let issuer = back.split("iss=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    refused(&browser, &back.replace(&issuer, "http%3A%2F%2Fevil.example"), 403, "another issuer");

    let browser = house.server.visitor();
    let back = house.walk(&browser, "/console");
    refused(&browser, &back.replace(&format!("iss={issuer}"), "x=y"), 403, "no issuer");

    let browser = house.server.visitor();
    let back = house.walk(&browser, "/console");
    refused(&browser, &back.replace("code=", "code=x"), 403, "another code");
}

#[test]
fn a_person_who_turns_back_is_told_so() {
    let house = House::shared();
    house.provider.control(&json!({ "sub": null }));
    let browser = house.server.visitor();
    let back = house.walk(&browser, "/console");
    assert!(back.contains("error=access_denied"), "{back}");
    refused(&browser, &back, 403, "a refusal");
}
