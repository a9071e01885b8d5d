//! Logging in at the provider: who is let in, and as whom.

use serde_json::json;

use super::house::{House, SECRET, config, free_address};
use crate::support::{PASSWORD, Server};

#[test]
fn who_the_provider_knows_is_logged_in_as_the_account_of_that_sso_id() {
    let house = House::shared();
    let browser = house.server.visitor();
    let leave = browser.get("/sso/login?next=/console/users");
    assert_eq!(leave.status, 303);
    let (url, cookie) = (leave.header("location").to_owned(), leave.header("set-cookie").to_owned());
    for part in [
        "response_type=code",
        "client_id=rollcall",
        "scope=openid+email",
        "code_challenge_method=S256",
        "state=",
        "nonce=",
    ] {
        assert!(url.contains(part), "{part} is not in {url}");
    }
    assert!(!url.contains("secret"), "{url}");
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/sso", "Max-Age=600"] {
        assert!(cookie.contains(flag), "{flag} is not in {cookie}");
    }
    house.provider.control(&json!({ "sub": "idp-ann" }));
    let back = house.walk(&browser, "/console/users?q=a b");
    let arrived = browser.get(&back);
    assert_eq!((arrived.status, arrived.header("location")), (303, "/console"), "a path with a blank is none of ours");
    let me = browser.get("/accounts/me").is(200);
    assert_eq!((&me["username"], &me["login_method"]), (&json!("ann"), &json!("sso")));
    browser.get("/admin/v1/config").is(200);
    let back = house.walk(&browser, "/console/users?q=a");
    assert_eq!(browser.get(&back).header("location"), "/console/users?q=a");
    let again = browser.get("/accounts/me").is(200);
    assert_eq!(again["login_count"].as_u64(), me["login_count"].as_u64().map(|count| count + 1));
}

#[test]
fn the_first_log_in_activates_an_invited_account() {
    let house = House::shared();
    let browser = house.server.visitor();
    assert_eq!(house.log_in(&browser, &json!({ "sub": "idp-new" })).status, 303);
    let me = browser.get("/accounts/me").is(200);
    assert_eq!(
        (&me["username"], &me["status"], &me["login_count"]),
        (&json!("new"), &json!("ACTIVE"), &json!(1)),
        "{me}"
    );
}

#[test]
fn who_has_no_account_that_can_log_in_by_sso_is_told_so() {
    let house = House::shared();
    for sub in ["idp-nobody", "ann", "IDP-ANN", "idp-off", "idp-blocked", "idp-newblocked", "idp-word"] {
        let browser = house.server.visitor();
        let reply = house.log_in(&browser, &json!({ "sub": sub }));
        assert_eq!(reply.status, 403, "{sub}: {}", reply.body);
        assert!(reply.body.contains("no account"), "{}", reply.body);
        assert!(browser.cookie().is_none(), "{sub}");
    }
    // Who logs in with a password still does, and who logs in by SSO has none.
    house.server.visitor().log_in("word", PASSWORD).is(204);
    house.server.visitor().log_in("ann", PASSWORD).problem(401);
}

#[test]
fn a_verified_address_may_be_the_sso_id() {
    let house = House::shared();
    let browser = house.server.visitor();
    assert_eq!(house.log_in(&browser, &json!({ "sub": "idp-mail" })).status, 303);
    assert_eq!(browser.get("/accounts/me").is(200)["username"], "mail");
    let other = house.server.visitor();
    assert_eq!(house.log_in(&other, &json!({ "sub": "idp-mail", "email_verified": false })).status, 403);
}

#[test]
fn next_leads_nowhere_else() {
    let house = House::shared();
    house.provider.control(&json!({ "sub": "idp-ann" }));
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil",
    ] {
        let browser = house.server.visitor();
        let back = house.walk(&browser, evil);
        assert_eq!(browser.get(&back).header("location"), "/console", "{evil}");
    }
}

#[test]
fn the_server_starts_without_its_provider_and_finds_it_later() {
    let (here, there) = (free_address(), free_address());
    let server = Server::with_admin()
        .config(&config(&format!("http://{there}")))
        .env("OUR_SECRET", SECRET)
        .env("ROLLCALL_SERVER__LISTEN", &here)
        .start();
    let reply = server.visitor().get("/sso/login");
    assert_eq!((reply.status, reply.header("location")), (303, "/login?notice=sso"));
    assert!(server.visitor().get("/login?notice=sso").body.contains("can&#39;t be reached"));
    server.admin_visitor().get("/admin/v1/config").is(200);
    let provider = super::house::Provider::start(&there, &here);
    let found = crate::support::eventually("the provider is found", || {
        let reply = server.visitor().get("/sso/login");
        let location = reply.header("location").to_owned();
        if location.starts_with(&provider.issuer) { Ok(location) } else { Err(location) }
    });
    assert!(found.contains("client_id=rollcall"), "{found}");
    drop(provider);
    // What is known of it is kept.
    assert!(server.visitor().get("/sso/login").header("location").contains("client_id=rollcall"));
    assert!(!server.log().contains(SECRET));
}

#[test]
fn a_provider_that_calls_itself_otherwise_is_none() {
    let (here, there) = (free_address(), free_address());
    let provider = super::house::Provider::start(&there, &here);
    let server = Server::with_admin()
        .config(&config(&format!("{}/", provider.issuer)))
        .env("OUR_SECRET", SECRET)
        .env("ROLLCALL_SERVER__LISTEN", &here)
        .start();
    assert_eq!(server.visitor().get("/sso/login").header("location"), "/login?notice=sso");
    crate::support::eventually("the log says how to mend it", || {
        let log = server.log();
        if log.contains("set sso.issuer to exactly that") { Ok(()) } else { Err(log) }
    });
}

#[test]
fn a_missing_client_secret_is_told_at_the_start() {
    let Err((_, ended)) = Server::with_admin().config(&config("http://127.0.0.1:9")).home().try_start() else {
        panic!("it started")
    };
    ended.refused("no secret");
    assert!(ended.stderr.contains("OUR_SECRET"), "{}", ended.stderr);
}

#[test]
fn without_sso_nothing_of_it_shows() {
    let server = Server::with_admin().start();
    let nothing = server.anonymous().get("/nothing/at/all").problem(404).body;
    for path in ["/sso/login", "/sso/callback", "/sso/callback?code=x&state=y", "/sso"] {
        assert_eq!(server.anonymous().get(path).problem(404).body, nothing);
        assert_eq!(server.visitor().post(path, &json!({})).problem(404).body, nothing);
    }
    let page = server.visitor().get("/login").body;
    assert!(page.contains("<form") && !page.to_lowercase().contains("sso"), "{page}");
    assert!(!server.anonymous().get("/openapi.json").body.contains("/sso/"));
    let house = House::shared();
    assert!(house.server.visitor().get("/login").body.contains("href=\"/sso/login\""));
    assert!(house.server.anonymous().get("/openapi.json").body.contains("/sso/login"));
}
