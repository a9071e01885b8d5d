//! The API's document is true to the server: every documented operation is routed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::imports::csv_integration;
use crate::support::{Ask, Server, crm, segment, user};

#[test]
fn every_documented_operation_answers() {
    // A server of its own: this calls everything, maintenance and deleting too.
    let files = [
        ("s/integrations/crm.toml", crm()),
        ("s/integrations/upload.toml", csv_integration()),
        ("s/segments/all.rhai", segment("true")),
        ("s/system.toml", "name = \"S\"\n".to_owned()),
    ];
    let sso = "[sso]\nissuer = \"http://127.0.0.1:9\"\n";
    let server = Server::with(&files).config(sso).env("ROLLCALL_SSO_SECRET", "secret").start();
    let system = server.system("s");
    let uploads = system.admin("integrations/upload/imports");
    let upload = system.client.request(Method::POST, &uploads).header("content-type", "text/csv").body("email,Seats\n");
    let import = upload.ask().is(202)["id"].as_str().expect("an import").to_owned();
    let document = system.client.get("/openapi.json").is(200);
    server.anonymous().post("/accounts/access-requests", &json!({ "email": "ask@example.com" })).is(202);
    let requests = system.client.get("/admin/v1/access-requests").is(200);
    let request = requests["items"][0]["id"].as_str().expect("a request");
    system.client.post("/admin/v1/clients", &json!({ "client_id": "ci", "role": "Viewer" })).is(201);
    let mut operations = 0;
    let mut silent = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
            if !operation.is_object() {
                continue;
            }
            operations += 1;
            // What the operation before may have deleted is put back.
            system.write(&[("integrations/crm.toml", &crm()), ("segments/all.rhai", &segment("true"))]);
            system.reload();
            system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
            system.client.put("/admin/v1/users/ann", &user("ann", "Viewer")).is(200);
            system.client.put(&system.public("filters/f"), &json!({ "where": { "all": [] } })).is_success();
            let filled = fill(path, operation, item, &import, request);
            let asked = system.client.request(method.clone(), &filled).json(&json!({}));
            if streams(operation) {
                assert_eq!(asked.send().expect("an answer").status(), 200, "{method} {filled}");
                continue;
            }
            let reply = asked.ask();
            if matches!(reply.status, 404 | 405 | 501) {
                silent.push(format!("{method} {filled} answered {}: {}", reply.status, reply.body));
            }
            assert!(reply.status < 500, "{method} {filled} answered {}: {}", reply.status, reply.body);
            let documented = operation["responses"].as_object().expect("responses");
            assert!(
                documented.contains_key(&reply.status.to_string())
                    || documented.contains_key("default")
                    || reply.status >= 400,
                "{method} {path} answered {}, of which the document does not know: {:?}",
                reply.status,
                documented.keys()
            );
        }
    }
    assert!(silent.is_empty(), "documented, but not there:\n{}", silent.join("\n"));
    assert!(operations >= 25, "{operations} operations");
}

/// Whether the operation's answer has no end.
fn streams(operation: &Value) -> bool {
    operation["responses"]["200"]["content"].get("text/event-stream").is_some()
}

/// The path with something that exists in each of its parameters' places.
fn fill(path: &str, operation: &Value, item: &Value, import: &str, request: &str) -> String {
    let declared = |name: &str| {
        [operation, item].iter().any(|at| {
            at["parameters"].as_array().is_some_and(|list| list.iter().any(|p| p["name"] == name && p["in"] == "path"))
        })
    };
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a parameter is closed");
        assert!(declared(name), "{path}: the parameter `{name}` is not declared");
        filled.push_str(before);
        filled.push_str(match before.rsplit('/').nth(1).unwrap_or_default() {
            "systems" => "s",
            "integrations" => "crm",
            "segments" => "all",
            "filters" => "f",
            "end-users" => "a",
            "attributes" => "crm.Seats",
            "oauth" => "default",
            "docs" => "index.html",
            "imports" => import,
            "users" => "ann",
            "actions" => "inactive",
            "clients" => "ci",
            "access-requests" => request,
            "sessions" => "0123456789abcdef",
            other => panic!("{path}: what stands after `{other}`?"),
        });
        rest = after;
    }
    filled + rest
}
