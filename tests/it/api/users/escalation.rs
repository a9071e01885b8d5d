//! Nobody grants what they don't have, by whatever door.

use serde_json::{Value, json};

use crate::support::{ADMIN, Client, entry, fresh, operators, operators_setup, user};

const USERS: &str = "/admin/v1/users";

/// Someone who manages users and clients, and sees the end users of one system.
fn manager() -> Client {
    operators().client_of("Manager", Some(&["shop"])).1
}

/// A user with this role and these entries.
fn with_access(name: &str, role: &str, entries: Value) -> Value {
    let mut body = user(name, role);
    body["data-access"]["organization"] = entries;
    body
}

#[track_caller]
fn refused(reply: &crate::support::Reply) {
    reply.problem(403).says("nobody grants what they don't have");
}

#[test]
fn not_by_making_a_user() {
    let manager = manager();
    let post = |role: &str, entries: Value| manager.post(USERS, &with_access(&fresh("esc"), role, entries));
    for role in ["Admin", "Editor", "Viewer", "Integration", "[CC] Agent"] {
        refused(&post(role, json!([])));
    }
    post("Manager", json!([])).is(200);
    post("Manager", json!([entry("Manager", "shop", "*")])).is(200);
    refused(&post("Manager", json!([entry("Manager", "expdemo", "*")])));
    refused(&post("Manager", json!([entry("Manager", "expdemo", "(U) cc_agent_145")])));
    refused(&post("Manager", json!([entry("Manager", "*", "*")])));
    let mut extra = user(&fresh("esc"), "Manager");
    extra["roles"]["extra_roles"] = json!([{ "role": "Admin" }]);
    refused(&manager.post(USERS, &extra));
    refused(&manager.put(&format!("{USERS}/{}", extra["username"].as_str().unwrap()), &extra));
}

#[test]
fn not_by_changing_a_user() {
    let (admin, manager) = (operators().client(), manager());
    let name = fresh("esc");
    let path = format!("{USERS}/{name}");
    let theirs = with_access(&name, "Viewer", json!([entry("Viewer", "expdemo", "*")]));
    admin.post(USERS, &theirs).is(200);

    // What the user has already is no grant: the rest may be edited.
    let mut edited = theirs.clone();
    edited["first_name"] = json!("Edited");
    edited["login_blocked"] = json!(true);
    manager.put(&path, &edited).is(200);
    for role in ["Admin", "Editor", "[CC] Agent"] {
        let mut more = edited.clone();
        more["roles"]["extra_roles"] = json!([{ "role": role }]);
        refused(&manager.put(&path, &more));
    }
    let mut wider = edited.clone();
    wider["data-access"]["organization"] = json!([entry("Viewer", "*", "*")]);
    refused(&manager.put(&path, &wider));
    refused(&manager.put(&format!("{path}/data-access"), &wider["data-access"]));
    let elsewhere = json!({ "organization": [entry("Viewer", "expdemo", "*"), entry("Viewer", "shop", "*")] });
    refused(&manager.put(&format!("{path}/data-access"), &elsewhere));
    manager.put(&format!("{path}/data-access"), &json!({ "organization": [] })).is(200);
    refused(&manager.put(&format!("{path}/data-access"), &edited["data-access"]));
}

#[test]
fn not_by_taking_an_account_over() {
    // Whoever could have an Admin's mail sent to themselves would be one.
    let (admin, manager) = (operators().client(), manager());
    let path = format!("{USERS}/{ADMIN}");
    let before = admin.get(&path).is(200);
    for (key, value) in [("email", "mine@example.com"), ("login_method", "sso"), ("sso_id", "mine")] {
        let mut taken = before.clone();
        taken[key] = json!(value);
        taken["sso_id"] = json!("mine");
        refused(&manager.put(&path, &taken));
    }
    assert_eq!(admin.get(&path).is(200), before);
    let name = fresh("esc");
    let mut own = manager.post(USERS, &with_access(&name, "Manager", json!([entry("Manager", "shop", "*")]))).is(200);
    own["email"] = json!(format!("new-{name}@example.com"));
    manager.put(&format!("{USERS}/{name}"), &own).is(200);
}

#[test]
fn not_by_inviting() {
    let manager = manager();
    let invite = |role: &str, systems: Value| {
        let email = format!("{}@example.com", fresh("esc"));
        manager.post("/admin/v1/invitations", &json!({ "emails": email, "role": role, "systems": systems }))
    };
    refused(&invite("Admin", json!([])));
    refused(&invite("Viewer", json!(["shop"])));
    refused(&invite("Manager", json!(["expdemo"])));
    refused(&invite("Manager", json!("*")));
    invite("Manager", json!(["shop"])).is(200);
    // One who is too much, and nobody is invited.
    let (one, other) = (format!("{}@example.com", fresh("esc")), format!("{}@example.com", fresh("esc")));
    let mixed = json!({ "emails": [{ "email": one }, { "email": other, "role": "Admin" }], "role": "Manager" });
    refused(&manager.post("/admin/v1/invitations", &mixed));
    operators().client().get(&format!("{USERS}/{one}")).problem(404);
}

#[test]
fn not_a_system_by_a_role_that_counts_in_none() {
    let server = operators_setup().role("Inviter", &["users:invite", "users:write", "clients:write"]).start();
    let (_, inviter) = server.client_of("Inviter", Some(&["shop"]));
    let invite = |systems: Value| {
        let body = json!({ "emails": format!("{}@example.com", fresh("esc")), "role": "Inviter", "systems": systems });
        inviter.post("/admin/v1/invitations", &body)
    };
    invite(json!([])).is(200);
    invite(json!(["shop"])).is(200);
    invite(json!(["expdemo"])).problem(403).says("this takes data access in the system `expdemo`");
    refused(&invite(json!("*")));
    let access = |system: &str| with_access(&fresh("esc"), "Inviter", json!([entry("Inviter", system, "*")]));
    inviter.post(USERS, &access("shop")).is(200);
    refused(&inviter.post(USERS, &access("expdemo")));
    inviter.post("/admin/v1/clients", &json!({ "role": "Inviter", "systems": ["shop"] })).is(201);
    refused(&inviter.post("/admin/v1/clients", &json!({ "role": "Inviter" })));
}

#[test]
fn not_by_approving() {
    let manager = manager();
    let email = format!("{}@example.com", fresh("esc"));
    operators().anonymous().post("/accounts/access-requests", &json!({ "email": email })).is(202);
    let requests = manager.get("/admin/v1/access-requests?status=pending&limit=1000").is(200);
    let request =
        requests["items"].as_array().unwrap().iter().find(|item| item["email"] == email.as_str()).unwrap().clone();
    let approve = format!("/admin/v1/access-requests/{}/approve", request["id"].as_str().unwrap());
    refused(&manager.post(&approve, &json!({ "role": "Admin" })));
    refused(&manager.post(&approve, &json!({ "role": "Manager", "systems": ["expdemo"] })));
    manager.post(&approve, &json!({ "role": "Manager", "systems": ["shop"] })).is(200);
}

#[test]
fn not_by_making_or_changing_a_client() {
    let server = operators();
    let manager = manager();
    let make = |role: &str, systems: Option<Value>| {
        let mut body = json!({ "role": role });
        if let Some(systems) = systems {
            body["systems"] = systems;
        }
        manager.post("/admin/v1/clients", &body)
    };
    refused(&make("Admin", Some(json!(["shop"]))));
    refused(&make("Integration", Some(json!(["shop"]))));
    refused(&make("Manager", None));
    refused(&make("Manager", Some(json!(["*"]))));
    refused(&make("Manager", Some(json!(["shop", "expdemo"]))));
    let made = make("Manager", Some(json!(["shop"]))).is(201);
    let path = format!("/admin/v1/clients/{}", made["client_id"].as_str().unwrap());
    refused(&manager.put(&path, &json!({ "role": "Admin", "systems": ["shop"] })));
    refused(&manager.put(&path, &json!({ "role": "Manager", "systems": "*" })));
    manager.put(&path, &json!({ "role": "Manager", "systems": [] })).is(200);

    // The secret of one that may more is not for them.
    let (stronger, _) = server.client_of("Admin", None);
    refused(&manager.post_empty(&format!("/admin/v1/clients/{stronger}/rotate")));
}

#[test]
fn not_by_a_token_that_was_narrowed() {
    let narrow = operators().client_with("users:read users:write users:invite clients:write");
    refused(&narrow.post(USERS, &user(&fresh("esc"), "Viewer")));
    refused(&narrow.post("/admin/v1/clients", &json!({ "role": "Viewer" })));
    let invitation = json!({ "emails": format!("{}@example.com", fresh("esc")), "role": "Editor" });
    refused(&narrow.post("/admin/v1/invitations", &invitation));
}

#[test]
fn not_by_making_a_system_that_one_may_not_publish_to() {
    let server = operators();
    let (_, editor) = server.client_of("Editor", None);
    editor.post("/admin/v1/systems", &json!({ "id": "mine" })).problem(403).says("systems:write");
    let narrow = server.client_with("systems:write publish:test");
    narrow.post("/admin/v1/systems", &json!({ "id": fresh("esc") })).problem(403).says("publish:production");
    narrow.post("/admin/v1/systems", &json!({ "id": fresh("esc"), "stage": "test" })).is(201);
}
