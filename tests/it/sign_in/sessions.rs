//! Sessions: shown to their owner, ended one by one or all together, and by what ends them all.

use serde_json::{Value, json};

use super::house;
use crate::support::{FIRST_EMAIL, FIRST_PASSWORD, PASSWORD, Server, Visitor, operator, token_in};

fn list(browser: &Visitor) -> Vec<Value> {
    browser.get("/accounts/me/sessions").is(200)["items"].as_array().expect("items").clone()
}

/// A server with one more operator, `eve`, who is nobody else's.
fn server_with_eve() -> Server {
    Server::with_admin().start().put_operators(&[operator("eve", &json!({}))])
}

fn browser_of_eve(server: &Server) -> Visitor {
    let browser = server.visitor();
    browser.log_in("eve", PASSWORD).is(204);
    browser
}

#[test]
fn ones_own_sessions_are_listed_and_ended() {
    let server = server_with_eve();
    let (here, there, third) = (browser_of_eve(&server), browser_of_eve(&server), browser_of_eve(&server));
    let other = server.admin_visitor();
    let sessions = list(&here);
    assert_eq!(sessions.len(), 3);
    let current: Vec<_> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["agent"], "Tests/1.0");
    assert!(current[0]["address"].as_str().unwrap().starts_with("10."), "{sessions:?}");
    let cookie = here.cookie().unwrap();
    let id = current[0]["id"].as_str().unwrap();
    assert!(!cookie.contains(id), "the id in the list opens nothing");

    let id_there = list(&there).into_iter().find(|session| session["current"] == true).unwrap()["id"].clone();
    let path = format!("/accounts/me/sessions/{}", id_there.as_str().unwrap());
    other.delete(&path).problem(404);
    there.get("/accounts/me").is(200);
    here.delete(&path).is(204);
    there.get("/accounts/me").problem(401);
    here.delete(&path).problem(404);
    here.delete("/accounts/me/sessions").is(204);
    third.get("/accounts/me").problem(401);
    here.get("/accounts/me").is(200);
    other.get("/accounts/me").is(200);
    assert_eq!(list(&here).len(), 1);
}

#[test]
fn sessions_survive_a_restart_and_ended_ones_stay_ended() {
    let server = server_with_eve();
    let (kept, ended) = (browser_of_eve(&server), browser_of_eve(&server));
    let ended_cookie = ended.cookie();
    ended.post_empty("/accounts/logout").is(204);
    let server = server.restart();
    let again = server.visitor();
    again.set_cookie(kept.cookie());
    assert_eq!(again.get("/accounts/me").is(200)["username"], "eve");
    again.set_cookie(ended_cookie);
    again.get("/accounts/me").problem(401);
}

#[test]
fn changing_the_password_ends_every_other_session() {
    let server = server_with_eve();
    let (here, there) = (browser_of_eve(&server), browser_of_eve(&server));
    let before = here.cookie();
    let change = |current: &str, new: &str| {
        here.post("/accounts/me/password", &json!({ "current_password": current, "password": new }))
    };
    change("wrong-Password!", "correct horse!").problem(422).points_at(vec!["/current_password"]);
    assert_eq!(change(PASSWORD, "short!").problem(422).points_at(vec!["/password"]).code("/password"), "too_short");
    assert_eq!(change(PASSWORD, "eve@x.example").problem(422).code("/password"), "own_name");
    there.get("/accounts/me").is(200);
    let reply = change(PASSWORD, "correct horse!");
    reply.is(204);
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 1);
    here.get("/accounts/me").is(200);
    there.get("/accounts/me").problem(401);
    assert_ne!(here.cookie(), before);
    let stolen = server.visitor();
    stolen.set_cookie(before);
    stolen.get("/accounts/me").problem(401);
    stolen.set_cookie(None);
    stolen.log_in("eve", PASSWORD).problem(401);
    stolen.log_in("eve", "correct horse!").is(204);
    assert_eq!(here.get("/accounts/me").is(200)["login_count"], 3, "a change of password is no log-in");
}

#[test]
fn a_reset_ends_every_session() {
    let server = server_with_eve();
    let (one, other) = (browser_of_eve(&server), browser_of_eve(&server));
    let anyone = server.visitor();
    anyone.post("/accounts/forgot-password", &json!({ "email": "eve@x.example" })).is(202);
    let token = token_in(&server.home.mail_to("eve@x.example", 1));
    one.get("/accounts/me").is(200);
    anyone.post("/accounts/reset-password", &json!({ "token": token, "password": "correct horse!" })).is(204);
    for browser in [&one, &other] {
        browser.get("/accounts/me").problem(401);
    }
    anyone.log_in("eve", PASSWORD).problem(401);
    anyone.log_in("eve", "correct horse!").is(204);
}

#[test]
fn disabling_an_account_ends_its_sessions() {
    let server = server_with_eve();
    let browser = browser_of_eve(&server);
    let server = server.put_operators(&[operator("eve", &json!({ "status": "INACTIVE" }))]);
    let again = server.visitor();
    again.set_cookie(browser.cookie());
    again.get("/accounts/me").problem(401);
    again.get("/admin/v1/config").problem(401);
}

#[test]
fn a_session_is_bound_to_no_other_account_of_the_name() {
    let server = server_with_eve();
    let browser = browser_of_eve(&server);
    let anew = operator("eve", &json!({ "created_on": "2026-02-02T00:00:00.000Z" }));
    let server = server.put_operators(&[anew]);
    let again = server.visitor();
    again.set_cookie(browser.cookie());
    again.get("/accounts/me").problem(401);
    again.log_in("eve", PASSWORD).is(204);
}

#[test]
fn neither_passwords_nor_cookies_are_in_the_store_or_the_log() {
    let server = server_with_eve();
    let browser = browser_of_eve(&server);
    let admin = server.admin_visitor();
    server.visitor().log_in(FIRST_PASSWORD, FIRST_EMAIL).problem(401);
    server.visitor().log_in(FIRST_EMAIL, "canary-Wrong!password").problem(401);
    let cookies = [browser.cookie().unwrap(), admin.cookie().unwrap()];
    assert_eq!(server.stop().code, Some(0));
    let values = cookies.iter().map(|cookie| cookie.split_once('=').unwrap().1);
    let mut places = crate::first_run::bytes_below(&server.home.data());
    places.push(("the log".to_owned(), server.log().into_bytes()));
    for secret in values.chain([FIRST_PASSWORD, PASSWORD, "canary-Wrong!password"]) {
        for (place, bytes) in &places {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in {place}");
        }
    }
}

#[test]
fn a_session_costs_no_more_than_its_owner_may_do() {
    let browser = house().visitor();
    browser.log_in("ann", PASSWORD).is(204);
    browser.delete("/public/v1/systems/s/end-users/x").problem(403);
}
