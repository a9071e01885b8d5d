//! The route table and its document agree, and every answer goes through the edge.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::{describe, finish};

/// Operations that need no access token; a new one has to be put here on purpose.
const PUBLIC: &[&str] = &[
    "activate",
    "activate_by_form",
    "activate_page",
    "authorization_server",
    "begin_sso",
    "connect_token",
    "docs",
    "docs_file",
    "docs_page",
    "evaluate",
    "evaluate_preflight",
    "finish_sso",
    "forgot_by_form",
    "forgot_page",
    "forgot_password",
    "health",
    "log_in",
    "log_in_by_form",
    "log_in_page",
    "log_out",
    "oauth_token",
    "openapi",
    "ready",
    "request_access",
    "request_access_by_form",
    "request_access_page",
    "reset_by_form",
    "reset_page",
    "reset_password",
    "revoke_token",
    "sdk",
];

fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        item.into_iter().map(|(method, operation)| (format!("{method} {path}"), operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let source = include_str!("../router.rs");
    let (table, _) = source.split_once("/// Answers for what is no route").unwrap();
    let handlers: Vec<_> = table
        .split("routes!(")
        .skip(1)
        .flat_map(|rest| rest.split(')').next().unwrap().split(','))
        .map(str::trim)
        .filter(|handler| handler.contains("::"))
        .collect();
    assert_eq!(handlers.len(), operations(&describe(true)).len(), "{handlers:?}");
    let code = source.replace("OpenApiRouter", "");
    for another_way in [".route(", ".nest(", ".merge(", ".route_service(", ".nest_service("] {
        assert!(!code.contains(another_way), "{another_way} would add a route that the document lacks");
    }
}

#[test]
fn without_single_sign_on_nothing_of_it_shows() {
    let document = describe(false).to_string();
    assert!(!document.contains("/sso/") && document.contains("/accounts/login"), "{document}");
}

#[test]
fn every_operation_says_what_it_is_takes_and_needs() {
    let document = describe(true);
    let mut ids = BTreeSet::new();
    for (place, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{place} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is twice there");
        assert!(operation["summary"].is_string(), "{place} has no summary");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{place}");
        let needs = operation["security"][0]["oauth2"].as_array();
        let own = operation["security"][0].get("session").is_some();
        assert_eq!(needs.is_none() && !own, PUBLIC.contains(&id), "{place}");
        for permission in needs.into_iter().flatten() {
            assert!(permission.as_str().unwrap().parse::<crate::model::Permission>().is_ok(), "{place}: {permission}");
        }
        let named = place.matches('{').count();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        assert_eq!(parameters.iter().filter(|parameter| parameter["in"] == "path").count(), named, "{place}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let is_problem = status.as_str() >= "400";
            assert!(!is_problem || response["content"].is_object(), "{place} {status} has no content");
            assert!(response["description"].is_string(), "{place} {status}");
        }
    }
}

#[test]
fn the_document_is_openapi_3_1_and_refers_to_nothing_that_is_missing() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = describe(true);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.iter().any(|reference| reference.ends_with("/Problem")));
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

async fn ask(method: &str, path: &str) -> (Response, Value) {
    async fn fine() -> &'static str {
        "{}"
    }
    async fn panics() -> &'static str {
        panic!("secret of {}", "the house")
    }
    let router: Router = Router::new().route("/fine", get(fine)).route("/panics", get(panics));
    let request = Request::builder().method(method).uri(path).header("x-request-id", "mine").body(Body::empty());
    let response = finish(router).oneshot(request.unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, Body::empty()), serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn every_answer_has_its_request_id_and_the_security_headers() {
    for (method, path, status) in
        [("GET", "/fine", 200), ("GET", "/nowhere", 404), ("POST", "/fine", 405), ("GET", "/panics", 500)]
    {
        let (response, body) = ask(method, path).await;
        assert_eq!(response.status(), status, "{method} {path}");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("x-request-id").as_deref(), Some("mine"));
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
        assert_eq!(header("x-frame-options").as_deref(), Some("DENY"));
        assert_eq!(header("allow").is_some(), status == 405);
        if status != 200 {
            assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
            assert_eq!(body["status"], status);
        }
        assert!(!body.to_string().contains("secret"), "{body}");
    }
}
