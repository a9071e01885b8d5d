//! Systems: listed to whoever may see them, and made.

use serde_json::{Value, json};

use crate::support::{Server, all_items, crm, fresh, operators, operators_setup};

const SYSTEMS: &str = "/admin/v1/systems";

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn systems_are_listed_with_their_unit_groups() {
    let server = operators_setup().start();
    let items = all_items(&server.client(), &format!("{SYSTEMS}?limit=1"));
    assert_eq!(ids(&items), ["expdemo", "shop"]);
    assert_eq!(
        (&items[0]["name"], &items[0]["stage"], &items[1]["stage"]),
        (&json!("Expdemo for Experience"), &json!("production"), &json!("test"))
    );
    let groups = json!([{ "id": "(U) cc_agent_145", "name": "Carmen Abbott [ 145 ]" }, { "id": "unittype_cc_agent", "name": "Contact Center" }]);
    assert_eq!(items[0]["unit_groups"], groups);
    let (_, some) = server.client_of("Viewer", Some(&["shop"]));
    assert_eq!(ids(&all_items(&some, SYSTEMS)), ["shop"], "those that the caller may see");
    let (_, none) = server.client_of("Integration", None);
    none.get(SYSTEMS).problem(403).says("systems:read");
}

#[test]
fn a_system_is_made_and_live_at_once() {
    let server = operators();
    let client = server.client();
    let id = fresh("made");
    let made = client
        .post(SYSTEMS, &json!({ "id": id, "name": "Say \"hi\"\nto all", "stage": "test", "timezone": "Europe/Berlin" }))
        .is(201);
    assert_eq!(
        (&made["id"], &made["name"], &made["stage"], &made["timezone"]),
        (&json!(id), &json!("Say \"hi\"\nto all"), &json!("test"), &json!("Europe/Berlin"))
    );
    assert!(server.system(&id).has_file("system.toml"));
    client.put(&format!("{SYSTEMS}/{id}/integrations/crm"), &json!({ "text": crm() })).is(201);
    client.post(SYSTEMS, &json!({ "id": id })).problem(409).says(&id);
    let plain = fresh("made");
    assert_eq!(client.post(SYSTEMS, &json!({ "id": plain })).is(201)["name"], plain.as_str());
    client.post(SYSTEMS, &json!({ "id": "No-Id" })).problem(422);
    client.post(SYSTEMS, &json!({ "id": fresh("made"), "timezone": "Middle/Earth" })).problem(422).says("time zone");
    client.post(SYSTEMS, &json!({ "id": fresh("made"), "stage": "prod" })).problem(422).says("stage");
    client.post(SYSTEMS, &json!({})).problem(400);
    // What already stands on disk is left alone, also when it is not live.
    let broken = fresh("broken");
    server.system(&broken).write(&[("integrations/crm.toml", "oops")]);
    client.post(SYSTEMS, &json!({ "id": broken })).problem(409);
    assert_eq!(server.system(&broken).file("integrations/crm.toml"), "oops");
    std::fs::remove_dir_all(server.home.rules().join(&broken)).unwrap();
}

#[test]
fn where_git_is_the_only_writer_none_is_made() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).config("[rules]\nread_only = true\n").start();
    server.client().post(SYSTEMS, &json!({ "id": "other" })).problem(409).says("read-only");
}

#[test]
fn a_unit_group_can_not_be_called_what_stands_for_everyone() {
    let server = operators();
    let client = server.client();
    let id = fresh("groups");
    client.post(SYSTEMS, &json!({ "id": id })).is(201);
    for group in ["*", &id] {
        let text = format!("[[unit_groups]]\nid = \"{group}\"\nrule = 'true'\n");
        client.put(&format!("{SYSTEMS}/{id}"), &json!({ "text": text })).problem(422).says("stands for every end user");
    }
}
