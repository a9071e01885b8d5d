//! The audit: every change, with who, from where, what before and after, and no secret.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Ask, CLIENT_ID, CLIENT_SECRET, all_items, entry, operators_setup, user};

const AUDIT: &str = "/admin/v1/audit";

#[test]
fn every_change_is_put_down_with_who_and_what() {
    let server = operators_setup().start();
    let client = server.client();
    let mut secrets = vec![CLIENT_SECRET.to_owned(), ADMIN_PASSWORD.to_owned()];

    let mut ann = user("ann", "Viewer");
    client.post("/admin/v1/users", &ann).is(200);
    ann["email"] = json!("other@example.com");
    client.put("/admin/v1/users/ann", &ann).is(200);
    client.put("/admin/v1/users/ann", &ann).is(200);
    let access = json!({ "organization": [entry("Viewer", "shop", "*")] });
    client.put("/admin/v1/users/ann/data-access", &access).is(200);
    client.post_empty("/admin/v1/users/ann/actions/resend-activation").is(204);
    client.post("/admin/v1/users/actions/inactive", &json!({ "usernames": ["ann"] })).is(200);
    client.post_empty("/admin/v1/users/ann/actions/reset-password").is(204);
    client.post_empty("/admin/v1/users/ann/actions/active").is(204);
    client.post("/admin/v1/invitations", &json!({ "emails": "bob@example.com", "role": "Viewer" })).is(200);
    client.delete("/admin/v1/users/ann").is(204);
    server.anonymous().post("/accounts/access-requests", &json!({ "email": "eve@example.com" })).is(202);
    let id = client.get("/admin/v1/access-requests").is(200)["items"][0]["id"].as_str().unwrap().to_owned();
    client.post_empty(&format!("/admin/v1/access-requests/{id}/deny")).is(204);
    let made = client.post("/admin/v1/clients", &json!({ "client_id": "ci", "role": "Viewer" })).is(201);
    secrets.push(made["client_secret"].as_str().unwrap().to_owned());
    client.put("/admin/v1/clients/ci", &json!({ "role": "Integration", "systems": "*" })).is(200);
    let rotated = client.post_empty("/admin/v1/clients/ci/rotate").is(200);
    secrets.push(rotated["client_secret"].as_str().unwrap().to_owned());
    client.post_empty("/admin/v1/clients/ci/disable").is(204);
    client.post_empty("/admin/v1/clients/ci/enable").is(204);
    client.post("/admin/v1/systems", &json!({ "id": "fresh", "stage": "test" })).is(201);
    let shop = server.system("shop");
    secrets.push(shop.token("crm"));
    client.post_empty(&shop.admin("integrations/crm/rotate-token?grace_hours=2")).is(200);
    secrets.push(shop.token("crm"));
    client.put(&shop.admin("segments/vip"), &json!({ "text": "// Vip\ncrm.Seats > 9\n" })).is(201);
    client.put(&shop.admin("segments/vip"), &json!({ "text": "// Vip\ncrm.Seats > 99\n" })).is(200);
    client.put(&shop.admin("segments/vip"), &json!({ "text": "// Vip\ncrm.Seats > 99\n" })).is(200);
    client.delete(&shop.admin("segments/vip")).is(204);
    shop.update("crm", &json!([{ "Email": "canary-person@example.com", "Seats": 1 }])).counts();
    client.delete(&shop.public("end-users/canary-person%40example.com/attributes/crm.Seats")).is(204);
    client.delete(&shop.public("end-users/canary-person%40example.com/attributes/crm.Seats")).problem(404);
    client.delete(&shop.public("end-users/nobody")).problem(404);
    client.delete(&shop.public("end-users/canary-person%40example.com")).is(204);
    client.post_empty("/admin/v1/maintenance/purge").is(200);
    for dry_run in [true, false, false] {
        client.post(&shop.admin(&format!("promote?dry_run={dry_run}")), &json!({ "to": "fresh" })).is(200);
    }
    drop(shop);

    let entries = all_items(&client, &format!("{AUDIT}?limit=7"));
    let told: Vec<(&str, &str)> =
        entries.iter().rev().map(|e| (e["action"].as_str().unwrap(), e["object"].as_str().unwrap())).collect();
    let person = told.iter().find(|(action, _)| *action == "end_user.delete").unwrap().1;
    let request = format!("access-requests/{id}");
    let expected = [
        ("client.create", "clients/tests"),
        ("user.create", "users/root@example.com"),
        ("user.create", "users/ann"),
        ("user.update", "users/ann"),
        ("user.data_access", "users/ann"),
        ("user.send_activation", "users/ann"),
        ("user.disable", "users/ann"),
        ("user.send_password_reset", "users/ann"),
        ("user.enable", "users/ann"),
        ("user.create", "users/bob@example.com"),
        ("user.delete", "users/ann"),
        ("access_request.deny", &request),
        ("client.create", "clients/ci"),
        ("client.update", "clients/ci"),
        ("client.rotate_secret", "clients/ci"),
        ("client.disable", "clients/ci"),
        ("client.enable", "clients/ci"),
        ("rule.create", "systems/fresh"),
        ("integration.rotate_token", "systems/shop/integrations/crm"),
        ("rule.create", "systems/shop/segments/vip"),
        ("rule.update", "systems/shop/segments/vip"),
        ("rule.delete", "systems/shop/segments/vip"),
        ("end_user.unset", person),
        ("end_user.delete", person),
        ("maintenance.purge", "maintenance"),
        ("rule.promote", "systems/fresh"),
    ];
    assert_eq!(told, expected, "every change once and in order; what changed nothing is none");

    let find = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap();
    for entry in entries.iter().filter(|entry| entry["actor_kind"] != "command") {
        assert_eq!(
            (&entry["actor"], &entry["actor_kind"], &entry["address"]),
            (&json!(CLIENT_ID), &json!("client"), &json!("127.0.0.1")),
            "{entry}"
        );
    }
    let promoted = find("rule.promote");
    assert_eq!(
        (&promoted["after"]["from"], &promoted["after"]["files"]["segments/big.rhai"]),
        (&json!("shop"), &json!("added")),
        "{promoted}"
    );
    assert_ne!(promoted["before"]["revision"], promoted["after"]["revision"]);
    let update = find("user.update");
    assert_eq!(
        (&update["before"]["email"], &update["after"]["email"]),
        (&json!("ann@example.com"), &json!("other@example.com"))
    );
    assert_eq!(
        (&find("user.disable")["before"]["status"], &find("user.disable")["after"]["status"]),
        (&json!("PROVISIONED"), &json!("INACTIVE"))
    );
    assert_eq!(
        (&find("user.delete")["before"]["username"], &find("user.delete")["after"]),
        (&json!("ann"), &Value::Null)
    );
    assert_eq!(
        (&find("client.update")["before"]["role"], &find("client.update")["after"]["role"]),
        (&json!("Viewer"), &json!("Integration"))
    );
    let rule = find("rule.update");
    assert_eq!(
        (&rule["before"]["text"], &rule["after"]["text"]),
        (&json!("// Vip\ncrm.Seats > 9\n"), &json!("// Vip\ncrm.Seats > 99\n"))
    );
    assert!(person.starts_with("systems/shop/end-users/"), "{person}");

    let whole = Value::from(entries.clone()).to_string();
    secrets.push("canary-person".to_owned());
    secrets.push("argon2".to_owned());
    for secret in &secrets {
        assert!(!whole.contains(secret.as_str()), "a secret is in the audit");
    }
    // It is in the store, and stays.
    let server = server.restart();
    assert_eq!(all_items(&server.client(), AUDIT), entries);
}

#[test]
fn the_audit_is_filtered_by_actor_action_object_and_time() {
    let server = operators_setup().start();
    let client = server.client();
    let (manager_id, manager) = server.client_of("Manager", Some(&["shop"]));
    client.post("/admin/v1/users", &user("ann", "Manager")).is(200);
    manager.post_empty("/admin/v1/users/ann/actions/inactive").is(204);
    client.put(&server.system("shop").admin("segments/vip"), &json!({ "text": "true\n" })).is(201);
    let actions = |query: &str| -> Vec<String> {
        let items = all_items(&client, &format!("{AUDIT}?{query}"));
        items.iter().map(|item| item["action"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actions(&format!("actor={manager_id}")), ["user.disable"]);
    assert_eq!(actions("object=users/ann"), ["user.disable", "user.create"]);
    assert_eq!(actions("object=systems/shop"), ["rule.create"], "all below the path");
    assert_eq!(actions("action=user.create&object=users/ann"), ["user.create"]);
    assert_eq!(actions("action=rule"), ["rule.create"]);
    assert_eq!(actions("action=rul"), [""; 0]);
    let at = client.get(&format!("{AUDIT}?object=users/ann&action=user.disable")).is(200)["items"][0]["at"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(actions(&format!("from={at}")).contains(&"user.disable".to_owned()));
    assert!(!actions(&format!("to={at}")).contains(&"user.disable".to_owned()), "up to, and not with, that time");
    for query in ["from=yesterday", "limit=0", "cursor=!", "cursor=eHg", "who=x"] {
        client.get(&format!("{AUDIT}?{query}")).problem(400);
    }
    for role in ["Editor", "Viewer", "Integration"] {
        server.client_of(role, None).1.get(AUDIT).problem(403).says("audit:read");
    }
}

#[test]
fn the_address_is_that_of_the_caller_behind_trusted_proxies() {
    let from = |server: &crate::support::Server, forwarded: &str| {
        let request = server.client().request(Method::POST, "/admin/v1/users").header("x-forwarded-for", forwarded);
        request.json(&user("ann", "Viewer")).ask().is(200);
        server.client().get(&format!("{AUDIT}?object=users/ann")).is(200)["items"][0]["address"].clone()
    };
    let server = operators_setup().start();
    assert_eq!(from(&server, "203.0.113.9"), "127.0.0.1", "nobody vouches for what the caller says");
    let server = operators_setup().env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1").start();
    assert_eq!(from(&server, "198.51.100.1, 203.0.113.9"), "203.0.113.9");
}
