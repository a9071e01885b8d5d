//! Access tokens: both endpoints, every way to ask, every refusal of RFC 6749, metadata, revocation.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Ask, CLIENT_ID, CLIENT_SECRET, Reply, Server, crm, shared};

const CONNECT: &str = "/accounts/connect/token";
const OAUTH: &str = "/oauth/default/token";
const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn post(path: &str) -> RequestBuilder {
    shared().anonymous().request(Method::POST, path)
}

/// Asserts an RFC 6749 section 5.2 error.
#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str) {
    assert_eq!(reply.is(status)["error"], error, "{} answered {}", reply.what, reply.body);
    assert!(!reply.body.contains(CLIENT_SECRET), "a refusal repeats no secret");
    if status == 401 {
        assert!(reply.header("www-authenticate").starts_with("Basic"), "{:?}", reply.headers);
    }
}

#[test]
fn both_endpoints_take_basic_or_body_as_form_or_json() {
    let credentials = [GRANT, ("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)];
    let json_credentials =
        json!({ "grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET });
    for (path, seconds) in [(CONNECT, 86_400), (OAUTH, 3600)] {
        let basic = || post(path).basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        let ways: [(&str, RequestBuilder); 4] = [
            ("Basic, form", basic().form(&[GRANT])),
            ("Basic, JSON", basic().json(&json!({ "grant_type": "client_credentials" }))),
            ("form alone", post(path).form(&credentials)),
            ("JSON alone", post(path).json(&json_credentials)),
        ];
        for (way, request) in ways {
            let reply = request.ask();
            let body = reply.is(200);
            assert_eq!(
                (&body["token_type"], &body["expires_in"]),
                (&json!("Bearer"), &json!(seconds)),
                "{path}, {way}"
            );
            assert!(reply.header("cache-control").contains("no-store"), "{path}, {way}: {:?}", reply.headers);
            assert!(body["scope"].as_str().unwrap().contains("end_users:write"), "{path}, {way}: {}", reply.body);
            let token = body["access_token"].as_str().unwrap();
            shared().anonymous().with_bearer(token).get("/admin/v1/config").is(200);
        }
    }
}

#[test]
fn scopes_narrow_the_token() {
    let asked = "segments:read end_users:read";
    let form = [GRANT, ("scope", asked)];
    let body = post(CONNECT).basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&form).ask().is(200);
    let granted: BTreeSet<&str> = body["scope"].as_str().unwrap().split(' ').collect();
    assert_eq!(granted, asked.split(' ').collect());

    let narrow = shared().anonymous().with_bearer(body["access_token"].as_str().unwrap());
    narrow.get("/public/v1/systems/base/end-users/x/segments").is(200);
    narrow.get("/admin/v1/config").problem(403).says("systems:read");
    narrow.post_empty("/admin/v1/reload").problem(403).says("operate");

    let all = post(CONNECT).basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&[GRANT]).ask().is(200);
    let all: BTreeSet<&str> = all["scope"].as_str().unwrap().split(' ').collect();
    assert_eq!(all.len(), 21, "an Admin client's token has every permission by default: {all:?}");
}

#[test]
fn every_refusal_is_one_of_rfc_6749() {
    let basic = |path: &str| post(path).basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
    for path in [CONNECT, OAUTH] {
        refused(&post(path).form(&[GRANT]).ask(), 401, "invalid_client");
        refused(&post(path).basic_auth(CLIENT_ID, Some("wrong")).form(&[GRANT]).ask(), 401, "invalid_client");
        refused(&post(path).basic_auth("nobody", Some(CLIENT_SECRET)).form(&[GRANT]).ask(), 401, "invalid_client");
        refused(&post(path).basic_auth(CLIENT_ID, Some("")).form(&[GRANT]).ask(), 401, "invalid_client");
        refused(&post(path).header("authorization", "Basic !!!").form(&[GRANT]).ask(), 401, "invalid_client");
        let wrong = [GRANT, ("client_id", CLIENT_ID), ("client_secret", "wrong")];
        refused(&post(path).form(&wrong).ask(), 401, "invalid_client");

        refused(&basic(path).form(&[("grant_type", "password")]).ask(), 400, "unsupported_grant_type");
        refused(&basic(path).json(&json!({ "grant_type": "refresh_token" })).ask(), 400, "unsupported_grant_type");
        refused(&basic(path).form(&[GRANT, ("scope", "everything")]).ask(), 400, "invalid_scope");
        refused(&basic(path).form(&[GRANT, ("scope", "end_users:read nonsense")]).ask(), 400, "invalid_scope");

        refused(&basic(path).form(&[("scope", "end_users:read")]).ask(), 400, "invalid_request");
        refused(&basic(path).form(&[GRANT, GRANT]).ask(), 400, "invalid_request");
        refused(&basic(path).json(&json!({})).ask(), 400, "invalid_request");
        refused(&basic(path).json(&json!({ "grant_type": 1 })).ask(), 400, "invalid_request");
        refused(&basic(path).json(&json!(["grant_type"])).ask(), 400, "invalid_request");
        let seed = basic(path).header("content-type", "application/json");
        refused(&seed.body("{[\"grant_type\" : \"client_credentials\"]}").ask(), 400, "invalid_request");
    }
}

#[test]
fn another_company_and_another_method_are_no_endpoint() {
    let reply = post("/oauth/other/token").basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&[GRANT]).ask();
    assert!((400..500).contains(&reply.status), "{reply:?}");
    for path in [CONNECT, OAUTH] {
        shared().anonymous().get(path).problem(405);
    }
}

#[test]
fn the_company_is_configured() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).config("[auth]\ncompany = \"acme\"\n").start();
    let ask = |path: &str| {
        let request = server.anonymous().request(Method::POST, path);
        request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&[GRANT]).ask()
    };
    ask("/oauth/acme/token").is(200);
    assert_ne!(ask(OAUTH).status, 200);
}

#[test]
fn a_token_holds_no_secret_and_names_its_client() {
    let token = shared().client().bearer().to_owned();
    let decode = |part: &str| -> Value {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    assert_ne!(header["alg"], "none");
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!(expires - issued, 86_400);
    assert!(claims.to_string().contains(CLIENT_ID), "{claims}");
    assert!(!claims.to_string().contains(CLIENT_SECRET), "{claims}");
}

#[test]
fn metadata_is_as_rfc_8414_has_it() {
    let metadata = shared().anonymous().get("/.well-known/oauth-authorization-server").is(200);
    let has = |key: &str, value: &str| {
        let list = metadata[key].as_array().unwrap_or_else(|| panic!("no `{key}` in {metadata}"));
        assert!(list.contains(&json!(value)), "`{key}` lacks {value}: {metadata}");
    };
    let issuer = metadata["issuer"].as_str().unwrap();
    assert!(issuer.starts_with("http"), "{metadata}");
    for (key, path) in [("token_endpoint", OAUTH), ("revocation_endpoint", "/oauth/revoke")] {
        assert_eq!(metadata[key].as_str().unwrap(), format!("{issuer}{path}"), "{metadata}");
    }
    has("grant_types_supported", "client_credentials");
    has("scopes_supported", "end_users:write");
    has("token_endpoint_auth_methods_supported", "client_secret_basic");
    has("token_endpoint_auth_methods_supported", "client_secret_post");
}

#[test]
fn a_revoked_token_is_dead_also_after_a_restart() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    let ask = |server: &Server, path: &str, form: &[(&str, &str)]| {
        let request = server.anonymous().request(Method::POST, path);
        request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(form).ask()
    };
    let token = ask(&server, CONNECT, &[GRANT]).is(200)["access_token"].as_str().unwrap().to_owned();
    let works = |server: &Server| server.anonymous().with_bearer(&token).get("/admin/v1/config");
    works(&server).is(200);

    let unauthenticated = server.anonymous().request(Method::POST, "/oauth/revoke").form(&[("token", &token)]).ask();
    refused(&unauthenticated, 401, "invalid_client");
    works(&server).is(200);

    ask(&server, "/oauth/revoke", &[("token", &token)]).is_success();
    works(&server).problem(401);
    ask(&server, "/oauth/revoke", &[("token", &token)]).is_success();
    ask(&server, "/oauth/revoke", &[("token", "never issued"), ("token_type_hint", "access_token")]).is_success();
    refused(&ask(&server, "/oauth/revoke", &[]), 400, "invalid_request");
    server.client().get("/admin/v1/config").is(200);

    let server = server.restart();
    works(&server).problem(401);
    server.client().get("/admin/v1/config").is(200);
}
