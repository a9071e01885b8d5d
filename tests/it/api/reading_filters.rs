//! Saved filters: kept as sent, changed by their owner, shown with what is wrong with them today.

use serde_json::{Value, json};

use crate::support::{Server, System, crm, shared};

fn system() -> System<'static> {
    shared().add_system(&[("integrations/crm.toml", crm())])
}

fn seats(least: u32) -> Value {
    json!({ "attribute": "crm.Seats", "operator": "at_least", "value": least })
}

#[test]
fn a_filter_is_saved_shown_changed_and_deleted() {
    let system = system();
    let path = system.public("filters/large_accounts");
    let body = r#"{"name": " Large accounts ", "shared": true, "where": {"operator": "at_least", "value": 5.0e1, "attribute": "crm.Seats"}}"#;
    let put = |body: &str| {
        use crate::support::Ask;
        let request = system.client.request(reqwest::Method::PUT, &path).header("content-type", "application/json");
        request.body(body.to_owned()).ask()
    };
    let first = put(body);
    assert_eq!(first.status, 201, "{}", first.body);
    assert!(
        first.body.contains(r#"{"operator": "at_least", "value": 5.0e1, "attribute": "crm.Seats"}"#),
        "as it was sent: {}",
        first.body
    );
    let shown = system.client.get(&path).is(200);
    assert_eq!(
        (&shown["id"], &shown["name"], &shown["shared"], &shown["owner"], &shown["errors"]),
        (&json!("large_accounts"), &json!("Large accounts"), &json!(true), &json!("tests"), &json!([]))
    );
    assert_eq!(shown, first.json());

    let again = put(&shown.to_string());
    assert_eq!(again.status, 200, "what was shown can be sent back: {}", again.body);
    system.client.put(&system.public("filters/plain"), &json!({ "where": { "all": [] } })).is(201);
    let list = system.client.get(&system.public("filters")).is(200);
    let ids: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, ["large_accounts", "plain"]);
    assert_eq!((&list["items"][1]["name"], &list["items"][1]["shared"]), (&json!("plain"), &json!(false)));

    system.client.delete(&path).is(204);
    system.client.get(&path).problem(404);
    system.client.delete(&path).problem(404);
}

#[test]
fn a_filter_with_mistakes_is_refused() {
    let system = system();
    let put = |id: &str, body: &Value| system.client.put(&system.public(&format!("filters/{id}")), body);
    let unknown = json!({ "where": { "all": [{ "attribute": "crm.Seets", "operator": "is_set" }] } });
    put("x", &unknown).problem(422).points_at(vec!["/where/all/0/attribute"]);
    put("x", &json!({ "where": seats(1), "name": "" })).problem(422).points_at(vec!["/name"]);
    put("x", &json!({ "where": "all" })).problem(422);
    for body in [json!({}), json!({ "where": seats(1), "shard": true }), json!({ "where": seats(1), "shared": 1 })] {
        put("x", &body).problem(400);
    }
    put("Not-An-Id", &json!({ "where": seats(1) })).problem(422);
    system.client.get(&system.public("filters/x")).problem(404);
    system.server.client_with("end_users:read").get(&system.public("filters")).problem(403);
}

#[test]
fn a_filter_whose_attribute_is_gone_is_shown_with_its_errors() {
    let system = system();
    let path = system.public("filters/large");
    system.client.put(&path, &json!({ "where": seats(50) })).is(201);
    let whole = system.file("integrations/crm.toml");
    system.write(&[("integrations/crm.toml", &whole.replace("\"Seats\"", "\"Places\""))]);
    system.reload();
    let shown = system.client.get(&path).is(200);
    assert_eq!((&shown["where"], &shown["errors"][0]["pointer"]), (&seats(50), &json!("/where/attribute")));
    system.write(&[("integrations/crm.toml", &whole)]);
    system.reload();
    assert_eq!(system.client.get(&path).is(200)["errors"], json!([]));
}

#[test]
fn filters_survive_a_restart() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    let system = server.system("s");
    system.client.put(&system.public("filters/large"), &json!({ "where": seats(50) })).is(201);
    drop(system);
    let server = server.restart();
    let system = server.system("s");
    assert_eq!(system.client.get(&system.public("filters/large")).is(200)["where"], seats(50));
}
