//! The walk of the Users API's document, request by request: token, find, status, password, e-mail, role, data access.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, CLIENT_ID, CLIENT_SECRET, entry, keys, operators_setup, token_in};

const CABBOTT: &str = "/admin/v1/users/cabbott";

/// The user as the document has it, `_system_properties` and all.
fn documented(email: &str) -> Value {
    json!({
        "username": "cabbott",
        "first_name": "Carmen",
        "last_name": "Abbott",
        "email": email,
        "automatic_update": true,
        "excluded_from_user_activity": false,
        "login_blocked": false,
        "roles": { "primary_role": { "role": "[CC] Agent" }, "extra_roles": [] },
        "data-access": {
            "organization": [{
                "role": "[CC] Agent",
                "data_view": "Expdemo for Experience",
                "unit_group": "(U) cc_agent_145",
                "unit_group_display_name": "Carmen Abbott [ 145 ]"
            }],
            "segments": []
        },
        "_system_properties": {
            "status": "INACTIVE",
            "created_on": "2019-06-04T22:27:38.417Z",
            "modified_on": "2021-03-09T22:10:46.844Z",
            "modified_by": "medallia_app_integrations",
            "login_count": 0,
            "failed_login_count": 0,
            "password_not_set_reason": "NEW_ACCOUNT"
        }
    })
}

/// What the caller said of the user: all but what the server keeps or derives.
fn said(user: &Value) -> Value {
    let mut said = user.clone();
    let said_keys = said.as_object_mut().unwrap();
    for kept in ["_system_properties", "login_method", "sso_id", "systems"] {
        said_keys.remove(kept);
    }
    said
}

#[test]
fn the_whole_walk_goes_as_documented() {
    let server = operators_setup().start();
    let admin = server.client();
    admin.post("/admin/v1/users", &documented("cabbott@example.com")).is(200);

    // 2. An access token, by the company's endpoint.
    let request = server.anonymous().request(Method::POST, "/oauth/default/token");
    let form = [("grant_type", "client_credentials")];
    let token = request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&form).ask().is(200);
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let client = server.anonymous().with_bearer(token["access_token"].as_str().unwrap());

    // 3. One user.
    let found = client.get(CABBOTT).is(200);
    let shape = [
        "username",
        "first_name",
        "last_name",
        "email",
        "automatic_update",
        "excluded_from_user_activity",
        "login_blocked",
        "login_method",
        "sso_id",
        "roles",
        "data-access",
        "systems",
        "_system_properties",
    ];
    assert_eq!(keys(&found), shape.into_iter().collect());
    assert_eq!(said(&found), said(&documented("cabbott@example.com")));
    assert_eq!(
        (&found["login_method"], &found["sso_id"], &found["systems"]),
        (&json!("password"), &Value::Null, &json!(["expdemo"]))
    );
    let kept = &found["_system_properties"];
    assert_eq!(keys(kept), keys(&documented("")["_system_properties"]));
    assert_eq!((&kept["status"], &kept["password_not_set_reason"]), (&json!("PROVISIONED"), &json!("NEW_ACCOUNT")));
    assert_eq!((&kept["login_count"], &kept["failed_login_count"]), (&json!(0), &json!(0)));
    assert_eq!(kept["modified_by"], CLIENT_ID, "the server says who, whatever was sent");
    for time in ["created_on", "modified_on"] {
        let time = kept[time].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z') && !time.starts_with("2019"), "{time}");
    }

    // 4. The status.
    let reply = client.post_empty(&format!("{CABBOTT}/actions/inactive"));
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(client.get(CABBOTT).is(200)["_system_properties"]["status"], "INACTIVE");

    // 5. The password: the mail goes out, the status stays.
    client.post_empty(&format!("{CABBOTT}/actions/reset-password")).is(204);
    assert_eq!(client.get(CABBOTT).is(200)["_system_properties"]["status"], "INACTIVE");

    // 6. The address, with stale `_system_properties`.
    let before = client.get(CABBOTT).is(200);
    let changed = client.put(CABBOTT, &documented("carmen.abbott@example.com")).is(200);
    assert_eq!(changed["email"], "carmen.abbott@example.com");
    assert_eq!(said(&changed), said(&documented("carmen.abbott@example.com")));
    let (old, new) = (&before["_system_properties"], &changed["_system_properties"]);
    assert_eq!((&new["created_on"], &new["status"]), (&old["created_on"], &json!("INACTIVE")));
    assert!(new["modified_on"].as_str() > old["modified_on"].as_str(), "{old} {new}");

    // 7. A second role, whose data access comes without a display name.
    let mut with_role = documented("carmen.abbott@example.com");
    with_role.as_object_mut().unwrap().remove("_system_properties");
    with_role["roles"]["extra_roles"] = json!([{ "role": "[RETAIL] Insights" }]);
    with_role["data-access"]["organization"] = json!([
        entry("[CC] Agent", "Expdemo for Experience", "(U) cc_agent_145"),
        entry("[RETAIL] Insights", "Expdemo for Experience", "expdemo"),
    ]);
    let changed = client.put(CABBOTT, &with_role).is(200);
    assert_eq!(changed["roles"], with_role["roles"]);
    let organization = &changed["data-access"]["organization"];
    assert_eq!(organization[0]["unit_group_display_name"], "Carmen Abbott [ 145 ]");
    assert_eq!(
        (&organization[1]["unit_group"], &organization[1]["role"]),
        (&json!("expdemo"), &json!("[RETAIL] Insights"))
    );

    // 8. Data access: a second unit.
    let mut access = documented("")["data-access"].clone();
    access["organization"].as_array_mut().unwrap().push(json!({
        "role": "[CC] Agent",
        "data_view": "Expdemo for Experience",
        "unit_group": "unittype_cc_agent",
        "unit_group_display_name": "Contact Center"
    }));
    let answered = client.put(&format!("{CABBOTT}/data-access"), &access).is(200);
    assert_eq!(answered["data-access"], access, "the whole user is answered, and has it");
    assert_eq!(client.get(CABBOTT).is(200), answered);
    assert_eq!(answered["roles"], with_role["roles"], "nothing else has changed");
}

#[test]
fn an_active_user_goes_the_walk_to_inactive_and_back() {
    let server = operators_setup().start();
    let (client, password) = (server.client(), "canary-Battery!paper-18");
    client.post("/admin/v1/users", &documented("cabbott@example.com")).is(200);
    let token = token_in(&server.home.mail_to("cabbott@example.com", 1));
    let activate = json!({ "token": token, "password": password });
    server.visitor().post("/accounts/activate", &activate).is(204);
    let carmen = server.visitor();
    carmen.log_in("cabbott", password).is(204);
    let kept = |user: Value| user["_system_properties"].clone();
    let active = kept(client.get(CABBOTT).is(200));
    assert_eq!((&active["status"], &active["password_not_set_reason"]), (&json!("ACTIVE"), &Value::Null));
    assert_eq!((&active["login_count"], &active["failed_login_count"]), (&json!(1), &json!(0)));

    client.post_empty(&format!("{CABBOTT}/actions/inactive")).is(204);
    carmen.get("/accounts/me").problem(401);
    server.visitor().log_in("cabbott", password).problem(401);
    client.post_empty(&format!("{CABBOTT}/actions/reset-password")).is(204);
    let reset = token_in(&server.home.mail_to("cabbott@example.com", 2));
    let changed = kept(client.put(CABBOTT, &documented("carmen.abbott@example.com")).is(200));
    assert_eq!((&changed["status"], &changed["modified_by"]), (&json!("INACTIVE"), &json!(CLIENT_ID)));
    let reset = json!({ "token": reset, "password": "canary-Other!paper-19" });
    server.visitor().post("/accounts/reset-password", &reset).problem(404).says("ask for a new mail");

    client.post_empty(&format!("{CABBOTT}/actions/active")).is(204);
    assert_eq!(kept(client.get(CABBOTT).is(200))["status"], "ACTIVE");
    let carmen = server.visitor();
    carmen.log_in("carmen.abbott@example.com", password).is(204);
    // What an [CC] Agent may, over the one unit group.
    carmen.get("/public/v1/systems/expdemo/segments/big").is(200);
    carmen.get("/public/v1/systems/expdemo/segments/big/history").problem(403);
    carmen.get("/public/v1/systems/shop/segments/big").problem(403);
}

#[test]
fn an_answer_can_be_sent_back_as_it_is() {
    let server = operators_setup().start();
    let client = server.client();
    let made = client.post("/admin/v1/users", &documented("cabbott@example.com")).is(200);
    let again = client.put(CABBOTT, &made).is(200);
    assert_eq!(again, made, "and changes nothing, not even when it was changed");

    // Also after the system was renamed: access stays with the system.
    let renamed = "name = \"Another name\"\n[[unit_groups]]\nid = \"(U) cc_agent_145\"\nrule = 'true'\n";
    server.system("expdemo").write(&[("system.toml", renamed)]);
    server.system("expdemo").reload();
    let shown = client.get(CABBOTT).is(200);
    assert_eq!(shown["data-access"]["organization"][0]["data_view"], "Another name");
    assert_eq!(said(&client.put(CABBOTT, &shown).is(200)), said(&shown));

    // The unit group is gone: it is shown without a name, and naming it anew is refused.
    server.system("expdemo").write(&[("system.toml", "name = \"Another name\"\n")]);
    server.system("expdemo").reload();
    let shown = client.get(CABBOTT).is(200);
    assert_eq!(shown["data-access"]["organization"][0]["unit_group_display_name"], Value::Null);
    client.put(CABBOTT, &shown).problem(422).points_at(vec!["/data-access/organization/0/unit_group"]);
}
