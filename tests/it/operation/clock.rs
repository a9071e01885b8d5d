//! A clock that is set: tokens, sessions, lock-outs and dates stay right, and what was kept stays kept.

use serde_json::json;

use crate::support::{FIRST_EMAIL, FIRST_PASSWORD, Server, Shim, crm, segment};

const HOUR: i64 = 3_600;
const DAYS_400: i64 = 400 * 24 * HOUR;

#[test]
fn a_clock_that_is_set_forth_and_back_leaves_everything_right() {
    let mut home = Server::with_admin().home();
    let shim = Shim::under(&mut home);
    crate::support::write_tree(
        &home.rules(),
        &[("s/integrations/crm.toml", crm()), ("s/segments/recent.rhai", segment("days_since(crm.Signup) <= 365"))],
    );
    let server = home.start();
    let system = server.system("s");
    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    system.update("crm", &json!([{ "Email": "a", "Signup": today }])).counts();
    assert_eq!(system.segments("a"), ["recent"]);
    let admin = server.admin_visitor();
    let old = server.client();
    for seconds in [HOUR, 0, -HOUR, 0] {
        shim.set_clock(seconds);
        old.get("/admin/v1/config").is(200);
        admin.get("/accounts/me").is(200);
        assert_eq!(system.segments("a"), ["recent"], "{seconds} s");
    }
    shim.set_clock(DAYS_400);
    old.get("/admin/v1/config").problem(401);
    admin.get("/accounts/me").problem(401);
    let later = server.admin_visitor();
    let fresh = server.fresh_client();
    crate::support::eventually("the day has turned", || {
        let segments = fresh.get(&system.public("end-users/a/segments")).is(200)["segments"].clone();
        if segments == json!([]) { Ok(()) } else { Err(segments.to_string()) }
    });
    let token =
        fresh.get("/admin/v1/systems/s/integrations/crm/endpoint").is(200)["token"].as_str().unwrap().to_owned();
    assert_eq!(fresh.update(&token, &json!([{ "Email": "b", "Seats": 1 }])).counts().created, 1);

    // Back by 400 days: what came from the future is refused, and what is made now holds.
    shim.set_clock(0);
    fresh.get("/admin/v1/config").problem(401);
    later.get("/accounts/me").problem(401);
    let back = server.fresh_client();
    crate::support::eventually("the day has turned back", || {
        let segments = back.get(&system.public("end-users/a/segments")).is(200)["segments"].clone();
        if segments == json!(["recent"]) { Ok(()) } else { Err(segments.to_string()) }
    });
    server.visitor().log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
    assert_eq!(back.update(&token, &json!([{ "Email": "c", "Seats": 1 }])).counts().created, 1);
    drop(system);
    shim.set_clock(-DAYS_400);
    let server = server.restart();
    let back = server.fresh_client();
    for id in ["a", "b", "c"] {
        back.get(&format!("/public/v1/systems/s/end-users/{id}")).is(200);
    }
}

#[test]
fn a_lock_out_is_neither_ended_nor_prolonged_by_the_clock() {
    let mut home = Server::with_admin().home();
    let shim = Shim::under(&mut home);
    let server = home.start();
    let guesser = server.visitor().from("203.0.113.77");
    for _ in 0..5 {
        guesser.log_in(FIRST_EMAIL, "wrong-Password!").problem(401);
    }
    assert_eq!(guesser.log_in(FIRST_EMAIL, FIRST_PASSWORD).status, 429);
    shim.set_clock(-HOUR);
    assert_eq!(guesser.log_in(FIRST_EMAIL, FIRST_PASSWORD).status, 429, "set back, the clock opens nothing");
    shim.set_clock(-HOUR + 301);
    guesser.log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
}
