//! Running it: health, metrics, the API's document, request ids, maintenance, what is not there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, Server, crm, integration, segment, shared};

/// Every route of the contract's first part: what [`the_document_lists_every_route`] must find.
const ROUTES: &[(&str, &str)] = &[
    ("post", "/accounts/connect/token"),
    ("post", "/oauth/{company}/token"),
    ("post", "/oauth/revoke"),
    ("get", "/.well-known/oauth-authorization-server"),
    ("post", "/accounts/login"),
    ("post", "/accounts/logout"),
    ("post", "/accounts/activate"),
    ("post", "/accounts/reset-password"),
    ("post", "/accounts/forgot-password"),
    ("get", "/accounts/me"),
    ("post", "/accounts/me/password"),
    ("get", "/accounts/me/sessions"),
    ("delete", "/accounts/me/sessions"),
    ("delete", "/accounts/me/sessions/{}"),
    ("post", "/accounts/me/totp"),
    ("post", "/accounts/me/totp/confirm"),
    ("post", "/accounts/me/totp/remove"),
    ("post", "/public/v1/user/data"),
    ("get", "/public/v1/systems/{}/end-users/{}"),
    ("delete", "/public/v1/systems/{}/end-users/{}"),
    ("get", "/public/v1/systems/{}/end-users/{}/segments"),
    ("delete", "/public/v1/systems/{}/end-users/{}/attributes/{}"),
    ("post", "/public/v1/systems/{}/evaluate"),
    ("get", "/sdk/rollcall.js"),
    ("get", "/admin/v1/config"),
    ("post", "/admin/v1/reload"),
    ("get", "/admin/v1/systems/{}"),
    ("put", "/admin/v1/systems/{}"),
    ("get", "/admin/v1/systems/{}/browser"),
    ("post", "/admin/v1/systems/{}/browser/rotate"),
    ("get", "/admin/v1/systems/{}/integrations"),
    ("get", "/admin/v1/systems/{}/integrations/{}"),
    ("put", "/admin/v1/systems/{}/integrations/{}"),
    ("delete", "/admin/v1/systems/{}/integrations/{}"),
    ("get", "/admin/v1/systems/{}/integrations/{}/endpoint"),
    ("post", "/admin/v1/systems/{}/integrations/{}/rotate-token"),
    ("post", "/admin/v1/systems/{}/integrations/{}/test"),
    ("get", "/admin/v1/systems/{}/integrations/{}/calls"),
    ("post", "/admin/v1/systems/{}/integrations/{}/imports"),
    ("get", "/admin/v1/systems/{}/integrations/{}/imports"),
    ("get", "/admin/v1/imports/{}"),
    ("get", "/admin/v1/imports/{}/errors.csv"),
    ("get", "/admin/v1/systems/{}/segments"),
    ("get", "/admin/v1/systems/{}/segments/{}"),
    ("put", "/admin/v1/systems/{}/segments/{}"),
    ("delete", "/admin/v1/systems/{}/segments/{}"),
    ("get", "/admin/v1/systems"),
    ("post", "/admin/v1/systems"),
    ("get", "/admin/v1/users"),
    ("post", "/admin/v1/users"),
    ("get", "/admin/v1/users/{}"),
    ("put", "/admin/v1/users/{}"),
    ("delete", "/admin/v1/users/{}"),
    ("put", "/admin/v1/users/{}/data-access"),
    ("post", "/admin/v1/users/{}/actions/{}"),
    ("post", "/admin/v1/users/actions/{}"),
    ("get", "/admin/v1/users/export"),
    ("get", "/admin/v1/users-bulk-download"),
    ("post", "/admin/v1/invitations"),
    ("post", "/accounts/access-requests"),
    ("get", "/admin/v1/access-requests"),
    ("post", "/admin/v1/access-requests/{}/approve"),
    ("post", "/admin/v1/access-requests/{}/deny"),
    ("get", "/admin/v1/roles"),
    ("get", "/admin/v1/clients"),
    ("post", "/admin/v1/clients"),
    ("get", "/admin/v1/clients/{}"),
    ("put", "/admin/v1/clients/{}"),
    ("post", "/admin/v1/clients/{}/rotate"),
    ("post", "/admin/v1/clients/{}/disable"),
    ("post", "/admin/v1/clients/{}/enable"),
    ("get", "/admin/v1/audit"),
    ("post", "/admin/v1/maintenance/backup"),
    ("post", "/admin/v1/maintenance/checkpoint"),
    ("post", "/admin/v1/maintenance/purge"),
    ("get", "/healthz"),
    ("post", "/public/v1/systems/{}/end-users/query"),
    ("post", "/public/v1/systems/{}/end-users/export"),
    ("get", "/public/v1/systems/{}/end-users/{}/segments/{}/explain"),
    ("get", "/public/v1/systems/{}/attributes"),
    ("get", "/public/v1/systems/{}/attributes/{}/distribution"),
    ("get", "/public/v1/systems/{}/segments"),
    ("get", "/public/v1/systems/{}/segments/{}"),
    ("get", "/public/v1/systems/{}/segments/{}/members"),
    ("get", "/public/v1/systems/{}/segments/{}/history"),
    ("get", "/public/v1/systems/{}/events"),
    ("get", "/public/v1/systems/{}/filters"),
    ("get", "/public/v1/systems/{}/filters/{}"),
    ("put", "/public/v1/systems/{}/filters/{}"),
    ("delete", "/public/v1/systems/{}/filters/{}"),
    ("post", "/admin/v1/systems/{}/preview"),
    ("post", "/admin/v1/systems/{}/convert"),
    ("post", "/admin/v1/systems/{}/promote"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
];

/// A path with its parameters' names left out.
fn nameless(path: &str) -> String {
    let mut out = String::new();
    for (number, part) in path.split('{').enumerate() {
        if number == 0 {
            out.push_str(part);
        } else {
            out.push_str("{}");
            out.push_str(part.split_once('}').expect("a parameter is closed").1);
        }
    }
    out
}

#[test]
fn health_and_readiness_answer_all() {
    let anyone = shared().anonymous();
    assert_eq!(anyone.get("/healthz").status, 200);
    let reply = anyone.get("/readyz");
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json();
}

#[test]
fn metrics_answer_loopback_in_prometheus_form() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    system.update("crm", &json!([{ "Email": "a", "Seats": "x" }])).problem(422);
    let reply = shared().anonymous().get("/metrics");
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.header("content-type").starts_with("text/plain"), "{:?}", reply.headers);
    let samples: Vec<&str> = reply.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(samples.iter().any(|line| line.starts_with("rollcall_")), "{}", reply.body);
    for line in samples {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "no sample: {line}");
    }
    let forwarded =
        shared().anonymous().request(Method::GET, "/metrics").header("x-forwarded-for", "203.0.113.9").ask();
    assert_eq!(forwarded.status, 401, "what a proxy on this machine passes on does not come from this machine");
}

#[test]
fn the_document_lists_every_route() {
    let document = shared().anonymous().get("/openapi.json").is(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let paths = document["paths"].as_object().expect("paths");
    let listed: Vec<(String, &Value)> = paths.iter().map(|(path, item)| (nameless(path), item)).collect();
    let missing: Vec<_> = ROUTES
        .iter()
        .filter(|(method, path)| {
            let path = nameless(path);
            !listed.iter().any(|(known, item)| *known == path && item.get(*method).is_some())
        })
        .collect();
    assert!(missing.is_empty(), "not in the document: {missing:?}\nit has {:?}", paths.keys());
}

#[test]
fn docs_work_offline() {
    let anyone = shared().anonymous();
    let mut page = anyone.get("/docs");
    if (300..400).contains(&page.status) {
        page = anyone.get(page.header("location"));
    }
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    let (mut loaded, mut scripts) = (0, String::new());
    for attribute in ["src=\"", "href=\""] {
        for link in page.body.split(attribute).skip(1).filter_map(|part| part.split('"').next()) {
            assert!(!link.contains("//"), "it loads {link} from another host");
            if link.ends_with(".js") || link.ends_with(".css") {
                let path = match link.strip_prefix('/') {
                    Some(_) => link.to_owned(),
                    None => format!("/docs/{}", link.trim_start_matches("./")),
                };
                let asset = anyone.get(&path);
                assert_eq!(asset.status, 200, "{path}");
                loaded += 1;
                if asset.body.len() < 20_000 {
                    scripts.push_str(&asset.body);
                }
            }
        }
    }
    assert!(loaded > 0, "a page without scripts or styles is no Swagger UI: {}", page.body);
    // Unless it is told otherwise, Swagger UI has the document judged by a validator on the internet.
    let validator = scripts.split("validatorUrl").nth(1).unwrap_or_default();
    let setting: String = validator.chars().filter(|c| !c.is_whitespace()).take(10).collect();
    assert!(["\":\"none\"", ":\"none\"", "\":null", ":null"].iter().any(|none| setting.starts_with(none)), "{scripts}");
}

#[test]
fn what_is_not_there_is_a_problem() {
    let client = shared().client();
    for path in ["/nothing", "/public/v1/nothing", "/admin/v1/systems/base/nothing", "/public", "/accounts"] {
        client.get(path).problem(404);
    }
    for (method, path) in [
        (Method::GET, "/public/v1/user/data"),
        (Method::PUT, "/public/v1/user/data"),
        (Method::DELETE, "/healthz"),
        (Method::POST, "/admin/v1/config"),
        (Method::GET, "/admin/v1/reload"),
        (Method::PATCH, "/admin/v1/systems/base/segments/x"),
    ] {
        let reply = client.request(method, path).ask();
        reply.problem(405);
        assert!(!reply.header("allow").is_empty(), "{}: {:?}", reply.what, reply.headers);
    }
}

#[test]
fn a_request_id_is_echoed_or_made() {
    let anyone = shared().anonymous();
    for path in ["/healthz", "/nothing", "/admin/v1/config"] {
        let reply = anyone.request(Method::GET, path).header("x-request-id", "from-the-caller-1").ask();
        assert_eq!(reply.header("x-request-id"), "from-the-caller-1", "{path}: {:?}", reply.headers);
        let (one, other) = (anyone.get(path), anyone.get(path));
        assert!(!one.header("x-request-id").is_empty(), "{path}: {:?}", one.headers);
        assert_ne!(one.header("x-request-id"), other.header("x-request-id"), "{path}");
    }
}

#[test]
fn what_is_about_people_or_holds_a_secret_is_kept_by_no_cache() {
    let client = shared().client();
    for path in [
        "/public/v1/systems/base/end-users/nobody/segments",
        "/public/v1/systems/base/attributes",
        "/admin/v1/systems/base/integrations/crm/endpoint",
        "/admin/v1/systems/base/browser",
        "/admin/v1/users",
        "/nowhere",
    ] {
        assert_eq!(client.get(path).header("cache-control"), "no-store", "{path}");
    }
}

#[test]
fn maintenance_and_reload_need_operate() {
    let client = shared().client_with("systems:read end_users:read");
    for path in ["/admin/v1/reload", "/admin/v1/maintenance/checkpoint", "/admin/v1/maintenance/purge"] {
        client.post_empty(path).problem(403).says("operate");
        shared().anonymous().post_empty(path).problem(401);
    }
}

#[test]
fn a_checkpoint_changes_no_answer() {
    let system =
        shared().add_system(&[("integrations/crm.toml", crm()), ("segments/all.rhai", segment("crm.Seats > 0"))]);
    let records: Vec<Value> = (1..200).map(|n| json!({ "Email": format!("u{n}"), "Seats": n, "Type": "x" })).collect();
    system.update("crm", &Value::from(records.clone())).counts();
    system.client.post_empty("/admin/v1/maintenance/checkpoint").is_success();
    assert_eq!(system.update("crm", &Value::from(records)).counts().unchanged, 199);
    assert_eq!(system.segments("u7"), ["all"]);
    system.client.post_empty("/admin/v1/maintenance/checkpoint").is_success();
}

#[test]
fn purge_deletes_hidden_values_and_only_those() {
    let full = integration("Email", &[("Seats", "", "number"), ("Plan", "", "string")]);
    let less = integration("Email", &[("Seats", "", "number")]);
    // A server of its own: a purge is for all systems.
    let server =
        Server::with(&[("s/integrations/crm.toml", full.clone()), ("s/integrations/two.toml", full.clone())]).start();
    let system = server.system("s");
    let swap = |text: &str| {
        system.write(&[("integrations/crm.toml", text)]);
        system.reload();
    };
    let record = json!([{ "Email": "a", "Seats": 1, "Plan": "pro" }]);
    system.update("crm", &record).counts();
    system.update("two", &record).counts();
    let whole = json!({ "Seats": 1, "Plan": "pro" });
    let purge = || system.client.post_empty("/admin/v1/maintenance/purge").is_success();

    purge();
    swap(&less);
    assert_eq!(system.attributes("a")["crm"], json!({ "Seats": 1 }), "removed: hidden at once");
    swap(&full);
    assert_eq!(system.attributes("a")["crm"], whole, "returned before a purge: back");

    swap(&less);
    purge();
    swap(&full);
    assert_eq!(system.attributes("a")["crm"], json!({ "Seats": 1 }), "purged: gone for good");
    assert_eq!(system.attributes("a")["two"], whole, "what is not hidden is not touched");
}
