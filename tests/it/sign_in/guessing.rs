//! Those who guess: slowed down by account and address, while everybody else gets in.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::house;
use crate::support::{Ask, CLIENT_ID, CLIENT_SECRET, PASSWORD, Reply, Server, nightly, operator};

/// Guesses made at each door; ten thousand at night.
fn rounds() -> usize {
    if nightly() { 10_000 } else { 200 }
}

#[track_caller]
fn slowed_down(reply: &Reply) {
    assert_eq!(reply.status, 429, "{}", reply.body);
    let seconds: u64 = reply.header("retry-after").parse().expect("Retry-After in seconds");
    assert!((1..=300).contains(&seconds), "{seconds}");
}

#[test]
fn the_sixth_failure_for_one_account_from_one_address_is_slowed_down() {
    let guesser = house().visitor().from("203.0.113.1");
    for name in ["ann", "ANN", "ann@x.example", "ann", "ann"] {
        guesser.log_in(name, "wrong-Password!").problem(401);
    }
    slowed_down(&guesser.log_in("ann", "wrong-Password!"));
    slowed_down(&guesser.log_in("ann@x.example", PASSWORD));
    house().visitor().from("203.0.113.2").log_in("ann", PASSWORD).is(204);
    guesser.log_in("nobody", "wrong-Password!").problem(401);
    house().visitor().from("203.0.113.1").log_in("dora", PASSWORD).is(204);
}

#[test]
fn an_account_that_there_is_not_is_slowed_down_alike() {
    let guesser = house().visitor().from("203.0.113.3");
    let statuses: Vec<u16> = (0..7).map(|_| guesser.log_in("nobody", "wrong-Password!").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
}

#[test]
fn the_thirtieth_failure_from_one_address_is_slowed_down() {
    let guesser = house().visitor().from("203.0.113.4");
    let statuses: Vec<u16> = (0..32).map(|n| guesser.log_in(&format!("user{n}"), "wrong-Password!").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 29, "{statuses:?}");
    assert!(statuses[29..].iter().all(|status| *status == 429), "{statuses:?}");
    house().visitor().from("203.0.113.5").log_in("ann", PASSWORD).is(204);
}

#[test]
fn a_log_in_begins_a_new_count_and_what_is_no_guess_does_not_count() {
    let browser = house().visitor();
    for _ in 0..3 {
        for _ in 0..4 {
            browser.log_in("ann", "wrong-Password!").problem(401);
        }
        browser.log_in("ann", PASSWORD).is(204);
    }
    for _ in 0..40 {
        browser.post("/accounts/login", &json!({ "email": "ann" })).problem(400);
    }
    browser.log_in("ann", PASSWORD).is(204);
}

#[test]
fn refused_passwords_do_not_slow_down_their_owner() {
    let server = Server::with_admin().start();
    let browser = server.visitor();
    browser.post("/accounts/forgot-password", &json!({ "email": "admin@x.example" })).is(202);
    let token = crate::support::token_in(&server.home.mail_to("admin@x.example", 1));
    let reset =
        |password: &str| browser.post("/accounts/reset-password", &json!({ "token": token, "password": password }));
    for _ in 0..40 {
        reset("short!").problem(422);
    }
    reset("correct horse!").is(204);
}

#[test]
fn many_guesses_at_once_are_no_more_than_a_few() {
    let address = "203.0.113.6";
    let judged = std::thread::scope(|scope| {
        let guess = || house().visitor().from(address).log_in("ann", "wrong-Password!").status;
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(guess)).collect();
        threads.into_iter().filter_map(|thread| (thread.join().unwrap() == 401).then_some(())).count()
    });
    assert_eq!(judged, 5);
}

#[test]
fn a_claimed_address_moves_no_failure() {
    // Nobody is trusted to say where callers come from.
    let server = Server::with_admin().env("ROLLCALL_SERVER__TRUSTED_PROXIES", "").start();
    let statuses: Vec<u16> = (0..7).map(|_| server.visitor().log_in("admin", "wrong-Password!").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
}

#[test]
fn guessed_client_secrets_are_slowed_down_and_the_owner_gets_in_from_elsewhere() {
    let server = Server::with_admin().start();
    let ask = |path: &str, address: &str, secret: &str| {
        let request = server.visitor().from(address).bare_request(Method::POST, path);
        let form = [("grant_type", "client_credentials"), ("token", "x")];
        request.basic_auth(CLIENT_ID, Some(secret)).form(&form).ask()
    };
    for path in ["/accounts/connect/token", "/oauth/default/token", "/oauth/revoke"] {
        let guesser = format!("203.0.113.{}", path.len());
        let mut judged = 0;
        for n in 0..rounds() {
            let reply = ask(path, &guesser, &format!("guess {n}"));
            if reply.status == 401 {
                judged += 1;
                assert_eq!(reply.json()["error"], "invalid_client");
            } else {
                slowed_down(&reply);
                assert!(reply.json()["error"].is_string(), "{}", reply.body);
            }
        }
        assert!((5..=20).contains(&judged), "{judged} guesses were judged at {path}");
        slowed_down(&ask(path, &guesser, CLIENT_SECRET));
        ask(path, "203.0.113.200", CLIENT_SECRET).is_success();
    }
}

#[test]
fn guessed_log_ins_and_tokens_are_slowed_down() {
    let server = Server::with_admin().start().put_operators(&[operator("eve", &json!({}))]);
    let guesser = server.visitor();
    let judged = (0..rounds()).filter(|n| guesser.log_in("eve", &format!("guess-{n}-Password!")).status == 401).count();
    assert_eq!(judged, 5);
    for path in ["/accounts/activate", "/accounts/reset-password"] {
        let guesser = server.visitor();
        let guess = |n: usize| json!({ "token": format!("rcr_guess{n}"), "password": "correct horse!" });
        let judged = (0..rounds()).filter(|n| guesser.post(path, &guess(*n)).status == 404).count();
        assert_eq!(judged, 29, "{path}");
    }
    server.visitor().log_in("eve", PASSWORD).is(204);
}

/// The time that one request takes.
fn timed(request: impl Fn() -> Reply, status: u16) -> Duration {
    let start = Instant::now();
    assert_eq!(request().status, status);
    start.elapsed()
}

#[test]
fn the_time_of_an_answer_does_not_tell_whether_there_is_an_account() {
    let (rounds, bound_ms) = if nightly() { (1000, 5.0) } else { (40, 40.0) };
    let log_in = |name: &str| timed(|| house().visitor().log_in(name, "wrong-Password!"), 401);
    let forgot =
        |name: &str| timed(|| house().visitor().post("/accounts/forgot-password", &json!({ "email": name })), 202);
    let knocks: [&dyn Fn(&str) -> Duration; 2] = [&log_in, &forgot];
    for (door, knock) in ["log-in", "forgot"].into_iter().zip(knocks) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for n in 0..rounds {
            known.push(knock("inactive"));
            unknown.push(knock(&format!("nobody{n}")));
        }
        let [known, unknown] = [known, unknown].map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e3
        });
        eprintln!("{door}: {known:.2} ms where there is an account, {unknown:.2} ms where there is none");
        assert!((known - unknown).abs() < bound_ms, "{door}: {known:.2} ms and {unknown:.2} ms");
    }
}
