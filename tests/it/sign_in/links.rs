//! Links that work once: the first run's, an invitation's, a reset's.

use std::fs;

use serde_json::json;

use super::house;
use crate::support::{PASSWORD, Reply, Server, crm, operator, token_in};

/// A server whose Admin is still to be activated, and the token for it.
fn fresh() -> (Server, String) {
    let server = Server::with(&[("s/integrations/crm.toml", crm())])
        .without_bootstrap()
        .env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let note = fs::read_to_string(server.home.data().join("first-run.txt")).unwrap();
    let token = token_in(&note);
    (server, token)
}

fn activate(server: &Server, token: &str, password: &str) -> Reply {
    server.visitor().post("/accounts/activate", &json!({ "token": token, "password": password }))
}

#[test]
fn the_first_admin_activates_by_the_link_of_the_first_run() {
    let (server, token) = fresh();
    let browser = server.visitor();
    browser.log_in("admin", "correct horse!").problem(401);
    for (password, code) in [
        ("short!", "too_short"),
        ("correcthorse", "no_special_character"),
        ("1234567890!", "too_common"),
        ("Password123!", "too_common"),
        ("admin@localhost", "own_name"),
    ] {
        assert_eq!(activate(&server, &token, password).problem(422).code("/password"), code);
    }
    activate(&server, &token, "correct horse!").is(204);
    activate(&server, &token, "another horse!").problem(404);
    browser.log_in("admin", "correct horse!").is(204);
    let me = browser.get("/accounts/me").is(200);
    assert_eq!((&me["status"], &me["login_count"]), (&json!("ACTIVE"), &json!(1)), "{me}");
    browser.post_empty("/admin/v1/reload").is_success();
    let server = server.restart();
    server.visitor().log_in("admin@localhost", "correct horse!").is(204);
    activate(&server, &token, "another horse!").problem(404);
}

#[test]
fn exactly_one_of_a_hundred_at_once_redeems_a_link() {
    let (server, token) = fresh();
    // All from one address: none of them guesses.
    let browser = server.visitor();
    let statuses: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let redeem = |n: usize| {
            let body = json!({ "token": token, "password": format!("correct horse {n}!") });
            browser.post("/accounts/activate", &body).status
        };
        let threads: Vec<_> = (0..100).map(|n| scope.spawn(move || (n, redeem(n)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<usize> = statuses.iter().filter(|(_, status)| *status == 204).map(|(n, _)| *n).collect();
    let [winner] = winners[..] else { panic!("{} winners", winners.len()) };
    assert!(statuses.iter().all(|(_, status)| matches!(status, 204 | 404 | 503)), "{statuses:?}");
    server.visitor().log_in("admin", &format!("correct horse {winner}!")).is(204);
    let loser = (winner + 1) % 100;
    server.visitor().log_in("admin", &format!("correct horse {loser}!")).problem(401);
}

#[test]
fn exactly_one_of_a_hundred_at_once_resets_a_password() {
    let server = Server::with_admin().start().put_operators(&[operator("eve", &json!({}))]);
    let browser = server.visitor();
    browser.post("/accounts/forgot-password", &json!({ "email": "eve" })).is(202);
    let token = token_in(&server.home.mail_to("eve@x.example", 1));
    let statuses: Vec<(usize, u16)> = std::thread::scope(|scope| {
        let redeem = |n: usize| {
            let body = json!({ "token": token, "password": format!("correct horse {n}!") });
            browser.post("/accounts/reset-password", &body).status
        };
        let threads: Vec<_> = (0..100).map(|n| scope.spawn(move || (n, redeem(n)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<usize> = statuses.iter().filter(|(_, status)| *status == 204).map(|(n, _)| *n).collect();
    let [winner] = winners[..] else { panic!("{} winners: {statuses:?}", winners.len()) };
    assert!(statuses.iter().all(|(_, status)| matches!(status, 204 | 404 | 503)), "{statuses:?}");
    server.visitor().log_in("eve", &format!("correct horse {winner}!")).is(204);
    server.visitor().log_in("eve", PASSWORD).problem(401);
}

#[test]
fn forgetting_is_answered_the_same_for_everybody() {
    let mut answers = Vec::new();
    for name in ["ann@x.example", "ann", "nobody@x.example", "inactive@x.example", "invited", "provider", "", "a\r\nb"]
    {
        let reply = house().visitor().post("/accounts/forgot-password", &json!({ "email": name }));
        reply.is(202);
        answers.push((reply.body.clone(), reply.headers.len()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    house().visitor().post("/accounts/forgot-password", &json!({})).problem(400);
    house().visitor().post("/accounts/forgot-password", &json!("ann")).problem(400);
}

#[test]
fn a_reset_link_sets_the_password_and_the_old_one_holds_until_then() {
    let server = Server::with_admin().start().put_operators(&[operator("eve", &json!({ "first_name": "Eve" }))]);
    let forget = |name: &str| server.visitor().post("/accounts/forgot-password", &json!({ "email": name })).is(202);
    let reset = |token: &str, password: &str| {
        server.visitor().post("/accounts/reset-password", &json!({ "token": token, "password": password }))
    };
    forget("EVE@x.example");
    let first = server.home.mail_to("eve@x.example", 1);
    assert!(first.contains("To: Eve <eve@x.example>"), "{first}");
    assert!(first.contains(&format!("{}/reset?token=", server.base())), "{first}");
    server.visitor().log_in("eve", PASSWORD).is(204);
    forget("eve");
    let second = server.home.mail_to("eve@x.example", 2);
    let (first, second) = (token_in(&first), token_in(&second));
    reset(&first, "correct horse!").problem(404);
    activate(&server, &second, "correct horse!").problem(404);
    reset(&second, "correct").problem(422);
    reset(&second, "correct horse!").is(204);
    reset(&second, "another horse!").problem(404);
    server.visitor().log_in("eve", PASSWORD).problem(401);
    server.visitor().log_in("eve", "correct horse!").is(204);
}

#[test]
fn mails_are_sent_only_to_who_can_use_them_and_not_without_end() {
    let server = Server::with_admin().start().put_operators(&[
        operator("eve", &json!({})),
        operator("off", &json!({ "status": "INACTIVE" })),
        operator("new", &json!({ "status": "PROVISIONED", "password": null })),
        operator("idp", &json!({ "login_method": "sso", "sso_id": "1" })),
    ]);
    let browser = server.visitor();
    for name in ["off", "new", "idp", "nobody", "off", "new", "idp", "nobody"] {
        browser.post("/accounts/forgot-password", &json!({ "email": name })).is(202);
    }
    for number in 1..=3 {
        browser.post("/accounts/forgot-password", &json!({ "email": "eve" })).is(202);
        server.home.mail_to("eve@x.example", number);
    }
    for _ in 0..5 {
        browser.post("/accounts/forgot-password", &json!({ "email": "eve@x.example" })).is(202);
    }
    // One that is queued later shows that nothing waits any more.
    server.visitor().post("/accounts/forgot-password", &json!({ "email": "admin@x.example" })).is(202);
    server.home.mail_to("admin@x.example", 1);
    assert_eq!(server.home.mails().len(), 4);
}

#[test]
fn a_link_leads_to_the_public_url_whatever_the_request_says() {
    let server = Server::with_admin().env("ROLLCALL_SERVER__PUBLIC_URL", "https://rollcall.example").start();
    for (header, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ] {
        let request = server.visitor().bare_request(reqwest::Method::POST, "/accounts/forgot-password");
        let request = request.header(header, value).json(&json!({ "email": "admin@x.example" }));
        assert_eq!(request.send().unwrap().status().as_u16(), 202, "{header}");
        // At most three go to one account from one address; each comes from its own.
    }
    let mail = server.home.mail_to("admin@x.example", 1);
    assert!(mail.contains("https://rollcall.example/reset?token="), "{mail}");
    assert!(!server.home.mails().concat().contains("evil"), "{mail}");
}

#[test]
fn what_is_no_token_is_refused_without_harm() {
    let (server, token) = fresh();
    let long = "x".repeat(100_000);
    for wrong in ["", "x", &token[1..], &token.to_uppercase(), &format!("{token} "), &long, "\0", "é"] {
        activate(&server, wrong, "correct horse!").problem(404);
    }
    for body in [
        json!({}),
        json!({ "token": token }),
        json!({ "password": "correct horse!" }),
        json!({ "token": 1, "password": "x" }),
    ] {
        server.visitor().post("/accounts/activate", &body).problem(400);
        server.visitor().post("/accounts/reset-password", &body).problem(400);
    }
    server
        .visitor()
        .post("/accounts/reset-password", &json!({ "token": token, "password": "correct horse!" }))
        .problem(404);
    activate(&server, &token, "correct horse!").is(204);
}
