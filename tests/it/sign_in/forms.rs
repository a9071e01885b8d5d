//! The pages before the console: forms that work without scripts, taken only from our own pages, leading nowhere else.

use reqwest::Method;

use super::house;
use crate::support::{Ask, FIRST_EMAIL, FIRST_PASSWORD, PASSWORD, Reply, Server, token_in};

/// Asserts that a page runs nothing, is kept by nobody, and still says where its forms come from.
#[track_caller]
fn is_a_safe_page(reply: &Reply) {
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{}", reply.what);
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    for part in ["form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{part} is not in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(reply.header("cache-control"), "no-store");
    // Under `no-referrer`, browsers send forms with `Origin: null`, which is refused.
    assert_eq!(reply.header("referrer-policy"), "same-origin");
    let page = reply.body.to_lowercase();
    assert!(page.starts_with("<!doctype html>") && page.contains("<html lang=\"en\">"), "{}", reply.body);
    for unsafe_part in ["<script", " onclick", " style=", "javascript:", "http://", "https://"] {
        assert!(!page.contains(unsafe_part), "{unsafe_part} is in {}", reply.body);
    }
    for field in reply.body.split("<input").skip(1).filter(|field| !field.contains("type=\"hidden\"")) {
        let id = field.split("id=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a field has an id");
        assert!(reply.body.contains(&format!("<label for=\"{id}\">")), "{id} has no label");
    }
}

#[test]
fn a_person_logs_in_by_the_form_and_goes_on() {
    let browser = house().visitor();
    let page = browser.get("/login?next=/console/users%3Fq=1");
    page.is_page(200);
    is_a_safe_page(&page);
    assert!(page.body.contains("name=\"next\" value=\"/console/users?q=1\""), "{}", page.body);
    let wrong =
        browser.form("/login", &[("email", "ann"), ("password", "wrong-Password!"), ("next", "/console/users")]);
    wrong.is_page(401);
    is_a_safe_page(&wrong);
    assert!(wrong.body.contains("role=\"alert\"") && wrong.body.contains("value=\"ann\""), "{}", wrong.body);
    assert!(!wrong.body.contains("wrong-Password!"), "a password is not repeated");
    assert!(wrong.body.contains("value=\"/console/users\""), "{}", wrong.body);
    let right = browser.form("/login", &[("email", "ann"), ("password", PASSWORD), ("next", "/console/users?q=1")]);
    assert_eq!((right.status, right.header("location")), (303, "/console/users?q=1"));
    browser.get("/accounts/me").is(200);
}

#[test]
fn next_leads_nowhere_else() {
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\r\nSet-Cookie: a=b",
        "/\t/evil.example",
        "",
        "evil",
    ] {
        let browser = house().visitor();
        let reply = browser.form("/login", &[("email", "ann"), ("password", PASSWORD), ("next", evil)]);
        assert_eq!((reply.status, reply.header("location")), (303, "/console"), "{evil:?}");
        let page = browser.get(&format!("/login?next={}", crate::support::encode(evil)));
        assert!(page.body.contains("name=\"next\" value=\"/console\""), "{evil:?}: {}", page.body);
    }
}

#[test]
fn another_sites_form_is_refused() {
    for path in ["/login", "/activate", "/reset", "/forgot"] {
        let browser = house().visitor();
        let form = [("email", "ann"), ("password", PASSWORD), ("token", "x")];
        browser.bare_request(Method::POST, path).form(&form).ask().problem(403);
        for origin in ["https://evil.example", "null", ""] {
            browser.bare_request(Method::POST, path).header("origin", origin).form(&form).ask().problem(403);
        }
        assert!(browser.cookie().is_none());
    }
}

#[test]
fn what_is_typed_comes_back_as_text() {
    let evil = "\"><script>alert(1)</script>";
    let browser = house().visitor();
    let reply = browser.form("/login", &[("email", evil), ("password", "x")]);
    reply.is_page(401);
    is_a_safe_page(&reply);
    let page = browser.get(&format!("/activate?token={}", crate::support::encode(evil)));
    page.is_page(410);
    is_a_safe_page(&page);
    is_a_safe_page(&browser.get(&format!("/login?notice={}", crate::support::encode(evil))));
}

#[test]
fn too_many_failures_are_told_by_the_page() {
    let browser = house().visitor();
    for _ in 0..5 {
        browser.form("/login", &[("email", "nobody"), ("password", "wrong-Password!")]).is_page(401);
    }
    let reply = browser.form("/login", &[("email", "nobody"), ("password", "wrong-Password!")]);
    reply.is_page(429);
    assert!(reply.body.contains("Too many failed attempts"), "{}", reply.body);
}

#[test]
fn an_invited_admin_signs_up_and_one_who_forgot_resets_all_by_forms() {
    let server = Server::with_admin().start();
    let browser = server.visitor();
    let forgot = browser.get("/forgot");
    forgot.is_page(200);
    is_a_safe_page(&forgot);
    let asked = browser.form("/forgot", &[("email", FIRST_EMAIL)]);
    assert_eq!((asked.status, asked.header("location")), (303, "/login?notice=forgot"));
    assert!(browser.get("/login?notice=forgot").body.contains("role=\"status\""));
    let token = token_in(&server.home.mail_to(FIRST_EMAIL, 1));
    let link = format!("/reset?token={token}");
    let page = browser.get(&link);
    page.is_page(200);
    is_a_safe_page(&page);
    assert!(page.body.contains(&format!("name=\"token\" value=\"{token}\"")), "{}", page.body);
    browser.get(&link).is_page(200);
    browser.get(&format!("/activate?token={token}")).is_page(410);
    let refused = browser.form("/reset", &[("token", &token), ("password", "short!")]);
    refused.is_page(422);
    is_a_safe_page(&refused);
    assert!(refused.body.contains("at least 10") && refused.body.contains(&token), "{}", refused.body);
    let done = browser.form("/reset", &[("token", &token), ("password", "correct horse!")]);
    assert_eq!((done.status, done.header("location")), (303, "/login?notice=reset"));
    browser.get(&link).is_page(410);
    browser.form("/reset", &[("token", &token), ("password", "another horse!")]).is_page(410);
    browser.form("/login", &[("email", FIRST_EMAIL), ("password", FIRST_PASSWORD)]).is_page(401);
    assert_eq!(browser.form("/login", &[("email", FIRST_EMAIL), ("password", "correct horse!")]).status, 303);
}
