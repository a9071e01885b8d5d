//! The second factor: set up, asked for, used once, taken off; and where everybody must have one.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;
use serde_json::{Value, json};

use crate::support::{FIRST_EMAIL, FIRST_PASSWORD, PASSWORD, Reply, Server, Visitor, operator};

/// The steps of 30 seconds since 1970.
fn step() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 30
}

/// What an authenticator app shows at a step for a key in base 32 (RFC 6238).
fn code(key: &str, step: u64) -> String {
    let digits = key.bytes().map(|c| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|d| *d == c).unwrap());
    let bits: String = digits.map(|digit| format!("{digit:05b}")).collect();
    let bytes: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap())
        .collect();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes), &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A code that is right, now and in the next seconds, and was not used by the `used` calls before: steps from the one
/// before on are taken, each once, in order.
fn fresh_code(key: &str, used: u64) -> String {
    code(key, step() - 1 + used)
}

fn log_in(browser: &Visitor, code: Option<&str>) -> Reply {
    let mut body = json!({ "email": "eve", "password": PASSWORD });
    if let Some(code) = code {
        body["totp"] = code.into();
    }
    browser.post("/accounts/login", &body)
}

fn enrol(browser: &Visitor, code: Option<&str>) -> Reply {
    browser.post("/accounts/me/totp", &json!({ "current_password": PASSWORD, "totp": code }))
}

fn key_of(enrolment: &Value) -> String {
    let key = enrolment["secret"].as_str().expect("a secret").to_owned();
    assert!(enrolment["uri"].as_str().unwrap().contains(&key), "{enrolment}");
    key
}

fn server() -> Server {
    Server::with_admin().start().put_operators(&[operator("eve", &json!({}))])
}

#[test]
fn a_second_factor_counts_from_its_confirmation_and_each_code_once() {
    let server = server();
    let browser = server.visitor();
    log_in(&browser, None).is(204);
    assert_eq!(browser.get("/accounts/me").is(200)["second_factor"], json!({ "active": false, "required": false }));
    browser.post("/accounts/me/totp", &json!({ "current_password": "wrong-Password!" })).problem(422);
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": "000000" })).problem(409);
    let key = key_of(&enrol(&browser, None).is(200));
    log_in(&server.visitor(), None).is(204);
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": "000000" })).problem(422);
    let confirmed = fresh_code(&key, 0);
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": confirmed })).is(204);
    assert_eq!(browser.get("/accounts/me").is(200)["second_factor"]["active"], true);

    let other = server.visitor();
    assert_eq!(log_in(&other, None).problem(401).code("/totp"), "totp_needed");
    assert_eq!(log_in(&other, Some("")).problem(401).code("/totp"), "totp_needed");
    assert_eq!(log_in(&other, Some("000000")).problem(401).code("/totp"), "totp_wrong");
    assert_eq!(log_in(&other, Some(&confirmed)).problem(401).code("/totp"), "totp_wrong", "it was used");
    let next = fresh_code(&key, 1);
    log_in(&other, Some(&next)).is(204);
    assert_eq!(log_in(&server.visitor(), Some(&next)).problem(401).code("/totp"), "totp_wrong", "it was used");
    // Who does not know the password learns nothing of a second factor.
    let wrong = server.visitor().post("/accounts/login", &json!({ "email": "eve", "password": "wrong-Password!" }));
    assert!(wrong.problem(401).errors.is_empty());

    let server = server.restart();
    assert_eq!(log_in(&server.visitor(), None).problem(401).code("/totp"), "totp_needed");
    assert_eq!(
        log_in(&server.visitor(), Some(&next)).problem(401).code("/totp"),
        "totp_wrong",
        "used before the restart"
    );
    log_in(&server.visitor(), Some(&fresh_code(&key, 2))).is(204);
}

#[test]
fn a_code_lets_exactly_one_of_many_at_once_in() {
    let server = server();
    let browser = server.visitor();
    log_in(&browser, None).is(204);
    let key = key_of(&enrol(&browser, None).is(200));
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": fresh_code(&key, 0) })).is(204);
    let code = fresh_code(&key, 1);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| log_in(&server.visitor(), Some(&code)).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
}

#[test]
fn taking_it_off_or_replacing_it_needs_password_and_code() {
    let server = server();
    let browser = server.visitor();
    log_in(&browser, None).is(204);
    browser.post("/accounts/me/totp/remove", &json!({ "current_password": PASSWORD })).problem(409);
    let key = key_of(&enrol(&browser, None).is(200));
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": fresh_code(&key, 0) })).is(204);
    assert_eq!(enrol(&browser, None).problem(422).code("/totp"), "totp_needed");
    let change = json!({ "current_password": PASSWORD, "password": "correct horse!" });
    assert_eq!(browser.post("/accounts/me/password", &change).problem(422).code("/totp"), "totp_needed");
    // A new one that is not confirmed changes nothing.
    let unconfirmed = key_of(&enrol(&browser, Some(&fresh_code(&key, 1))).is(200));
    assert_ne!(unconfirmed, key);
    let remove = |code: Option<&str>| {
        browser.post("/accounts/me/totp/remove", &json!({ "current_password": PASSWORD, "totp": code }))
    };
    assert_eq!(remove(None).problem(422).code("/totp"), "totp_needed");
    assert_eq!(remove(Some(&code(&unconfirmed, step() + 1))).problem(422).code("/totp"), "totp_wrong");
    remove(Some(&fresh_code(&key, 2))).is(204);
    log_in(&server.visitor(), None).is(204);
}

#[test]
fn an_admin_takes_off_a_second_factor_that_was_lost() {
    let server = server();
    let browser = server.visitor();
    log_in(&browser, None).is(204);
    let key = key_of(&enrol(&browser, None).is(200));
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": fresh_code(&key, 0) })).is(204);
    log_in(&server.visitor(), None).problem(401);
    let reset = "/admin/v1/users/eve/actions/reset-totp";
    browser.post_empty(reset).problem(403).says("users:write");
    let (admin, path) = (server.client(), "/admin/v1/audit?action=user.reset_second_factor");
    // Whoever manages users and may less than the account does not open it.
    let lesser = server.client_with("users:write users:read");
    lesser.post_empty(reset).problem(403).says("nobody grants what they don't have");
    assert_eq!(admin.get(path).is(200)["items"], json!([]));

    admin.post_empty(reset).is(204);
    browser.get("/accounts/me").problem(401);
    log_in(&browser, None).is(204);
    assert_eq!(browser.get("/accounts/me").is(200)["second_factor"]["active"], false);
    admin.post_empty(reset).is(204);
    browser.get("/accounts/me").is(200);
    let entries = admin.get(path).is(200)["items"].clone();
    assert_eq!(entries.as_array().map(Vec::len), Some(1), "what changes nothing is no change: {entries}");
    assert_eq!((&entries[0]["object"], &entries[0]["actor"]), (&json!("users/eve"), &json!("tests")));
    admin.post_empty("/admin/v1/users/nobody/actions/reset-totp").problem(404);
    admin.post("/admin/v1/users/actions/reset-totp", &json!({ "usernames": ["eve"] })).problem(404);
}

#[test]
fn guessed_codes_are_slowed_down() {
    let server = server();
    let browser = server.visitor();
    log_in(&browser, None).is(204);
    let key = key_of(&enrol(&browser, None).is(200));
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": fresh_code(&key, 0) })).is(204);
    let guesser = server.visitor();
    let judged = (0..10).filter(|_| log_in(&guesser, Some("000000")).status == 401).count();
    assert_eq!(judged, 5);
}

#[test]
fn where_everybody_must_have_one_only_the_own_profile_answers_without() {
    let server = Server::with_admin().env("ROLLCALL_AUTH__REQUIRE_TOTP", "true").start();
    let browser = server.visitor();
    browser.log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
    let me = browser.get("/accounts/me").is(200);
    assert_eq!(me["second_factor"], json!({ "active": false, "required": true }));
    assert_eq!(me["permissions"], json!([]));
    browser.get("/admin/v1/config").problem(403).says("second factor");
    browser.post_empty("/admin/v1/reload").problem(403).says("second factor");
    let enrolment = browser.post("/accounts/me/totp", &json!({ "current_password": FIRST_PASSWORD })).is(200);
    let key = key_of(&enrolment);
    browser.post("/accounts/me/totp/confirm", &json!({ "totp": fresh_code(&key, 0) })).is(204);
    browser.get("/admin/v1/config").is(200);
    let remove = json!({ "current_password": FIRST_PASSWORD, "totp": fresh_code(&key, 1) });
    browser.post("/accounts/me/totp/remove", &remove).problem(409);
    // Machines have no second factor.
    server.client().get("/admin/v1/config").is(200);
}
