//! Logging in: the cookie, what it opens, and the one answer to everybody who can't.

use reqwest::Method;
use serde_json::json;

use super::house;
use crate::support::{Ask, FIRST_EMAIL, FIRST_PASSWORD, PASSWORD, Server};

#[test]
fn logging_in_sets_one_cookie_with_its_flags() {
    let reply = house().visitor().log_in(FIRST_EMAIL, FIRST_PASSWORD);
    reply.is(204);
    let cookies: Vec<&str> = reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let [cookie] = cookies[..] else { panic!("one cookie: {cookies:?}") };
    let mut parts = cookie.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    assert_eq!(name, "rollcall_session");
    assert!(value.len() >= 43, "256 random bits: {value}");
    let mut flags: Vec<&str> = parts.collect();
    flags.sort_unstable();
    assert_eq!(flags, ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax"]);
    assert!(reply.header("cache-control").contains("no-store"));
}

#[test]
fn behind_https_the_cookie_is_secure_and_bound_to_the_host() {
    let server = Server::with_admin().env("ROLLCALL_SERVER__PUBLIC_URL", "https://rollcall.example").start();
    let browser = server.visitor().origin("https://rollcall.example");
    let reply = browser.log_in(FIRST_EMAIL, FIRST_PASSWORD);
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-rollcall_session=") && cookie.ends_with("; Secure"), "{cookie}");
    browser.get("/accounts/me").is(200);
    browser.post_empty("/admin/v1/reload").is_success();
    // A neighbouring site could plant a cookie without the prefix.
    browser.set_cookie(Some(browser.cookie().unwrap().replace("__Host-", "")));
    browser.get("/accounts/me").problem(401);
}

#[test]
fn the_name_is_an_address_or_a_username_in_any_case() {
    for name in ["ann", "ANN", "ann@x.example", "Ann@X.Example"] {
        house().visitor().log_in(name, PASSWORD).is(204);
    }
    let browser = house().visitor();
    browser.post("/accounts/login", &json!({ "username": "ann", "password": PASSWORD })).is(204);
    assert_eq!(browser.get("/accounts/me").is(200)["username"], "ann");
}

#[test]
fn whoever_can_not_log_in_gets_one_answer() {
    let mut answers = Vec::new();
    for (name, password) in [
        ("nobody", PASSWORD),
        ("nobody@x.example", ""),
        ("", ""),
        ("ann", "wrong-Password!"),
        ("ann", ""),
        ("inactive", PASSWORD),
        ("blocked", PASSWORD),
        ("invited", PASSWORD),
        ("invited", ""),
        ("provider", PASSWORD),
    ] {
        let browser = house().visitor();
        let reply = browser.log_in(name, password);
        reply.problem(401);
        assert!(reply.header("set-cookie").is_empty(), "{name}");
        browser.get("/accounts/me").problem(401);
        answers.push(reply.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(!answers[0].contains("access token"), "a person is told what to do: {}", answers[0]);
}

#[test]
fn what_is_no_log_in_is_refused_as_such() {
    let browser = house().visitor();
    for body in [
        json!({}),
        json!([]),
        json!({ "email": "ann" }),
        json!({ "password": PASSWORD }),
        json!({ "email": "ann", "username": "ann", "password": PASSWORD }),
        json!({ "email": "ann", "password": PASSWORD, "remember": true }),
        json!({ "email": 1, "password": PASSWORD }),
    ] {
        browser.post("/accounts/login", &body).problem(400);
    }
    let form = browser.request(Method::POST, "/accounts/login").form(&[("email", "ann"), ("password", PASSWORD)]);
    form.ask().problem(415);
    browser.log_in("ann", PASSWORD).is(204);
}

#[test]
fn the_cookie_opens_the_api_and_changes_need_our_own_page() {
    let browser = house().admin_visitor();
    browser.get("/admin/v1/config").is(200);
    browser.get("/public/v1/systems/s/end-users/x/segments").is(200);
    browser.post_empty("/admin/v1/reload").is_success();
    let reload = || browser.bare_request(Method::POST, "/admin/v1/reload");
    reload().ask().problem(403).says("origin");
    let own = house().base();
    for foreign in
        ["https://evil.example", "null", &format!("{own}.evil.example"), &format!("{own}/"), "http://127.0.0.1"]
    {
        reload().header("origin", foreign).ask().problem(403).says("origin");
    }
    reload().header("origin", own).header("origin", "https://evil.example").ask().problem(403);
    let delete = browser.bare_request(Method::DELETE, "/accounts/me/sessions").header("origin", "https://evil.example");
    delete.ask().problem(403);
    browser.get("/accounts/me").is(200);
    // Reading does nothing, and browsers send no Origin with it.
    browser.bare_request(Method::GET, "/admin/v1/config").ask().is(200);
}

#[test]
fn an_operator_may_do_what_the_role_grants() {
    let browser = house().visitor();
    browser.log_in("ann", PASSWORD).is(204);
    browser.get("/admin/v1/config").is(200);
    browser.post_empty("/admin/v1/reload").problem(403).says("operate");
    let me = browser.get("/accounts/me").is(200);
    assert_eq!((&me["email"], &me["primary_role"]), (&json!("ann@x.example"), &json!("Viewer")));
    let permissions = me["permissions"].as_array().unwrap();
    assert!(permissions.contains(&json!("segments:read")) && !permissions.contains(&json!("operate")), "{me}");
    assert!(!me.to_string().contains("argon2"), "{me}");
}

#[test]
fn a_bad_cookie_and_a_bad_token_open_nothing() {
    let browser = house().visitor();
    for cookie in ["rollcall_session=x", "rollcall_session=", "other=1", "rollcall_session=\"a;b\""] {
        browser.set_cookie(Some(cookie.to_owned()));
        browser.get("/accounts/me").problem(401);
        browser.get("/admin/v1/config").problem(401);
    }
    let admin = house().admin_visitor();
    admin.request(Method::GET, "/admin/v1/config").bearer_auth("no token").ask().problem(401);
    house().client().get("/accounts/me").problem(403).says("client");
}

#[test]
fn logging_out_ends_the_session_and_takes_the_cookie_back() {
    let browser = house().admin_visitor();
    let cookie = browser.cookie();
    browser.bare_request(Method::POST, "/accounts/logout").header("origin", "https://evil.example").ask().problem(403);
    browser.get("/accounts/me").is(200);
    let reply = browser.post_empty("/accounts/logout");
    reply.is(204);
    assert!(reply.header("set-cookie").contains("rollcall_session=; Path=/; Max-Age=0"), "{:?}", reply.headers);
    browser.set_cookie(cookie);
    browser.get("/accounts/me").problem(401).says("log in");
    browser.post_empty("/accounts/logout").is(204);
}

#[test]
fn many_may_log_in_at_once_as_one() {
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let log_in = || house().visitor().from("203.0.113.50").log_in("dora", PASSWORD).status;
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(log_in)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses, [204; 20]);
}

#[test]
fn log_ins_and_failures_are_counted() {
    let browser = house().visitor();
    browser.log_in("counted", "wrong-Password!").problem(401);
    browser.log_in("counted", "wrong-Password!").problem(401);
    for _ in 0..3 {
        browser.log_in("counted", PASSWORD).is(204);
    }
    let me = browser.get("/accounts/me").is(200);
    assert_eq!((&me["failed_login_count"], &me["login_count"]), (&json!(2), &json!(3)), "{me}");
    assert!(me["last_login"].is_string(), "{me}");
}
