//! What is done to an account, as its owner meets it at the door; and what the audit says of the door.

use serde_json::{Value, json};

use crate::support::{ADMIN, ADMIN_PASSWORD, Server, Visitor, all_items, entry, operators_setup, token_in, user};

const PASSWORD: &str = "canary-Battery!paper-18";

fn server() -> Server {
    operators_setup().env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1").start()
}

/// An operator who was made, followed the link in the mail, and has logged in.
#[track_caller]
fn arrived(server: &Server, username: &str, mail: usize) -> Visitor {
    let mut made = user(username, "Editor");
    made["data-access"] = json!({ "organization": [entry("Editor", "shop", "*")], "segments": [] });
    server.client().post("/admin/v1/users", &made).is(200);
    let token = token_in(&server.home.mail_to(&format!("{username}@example.com"), mail));
    let visitor = server.visitor();
    visitor.post("/accounts/activate", &json!({ "token": token, "password": PASSWORD })).is(204);
    visitor.log_in(username, PASSWORD).is(204);
    visitor
}

#[test]
fn a_session_may_what_its_operator_may_now() {
    let server = server();
    let ann = arrived(&server, "ann", 1);
    let segment = |system: &str| format!("/admin/v1/systems/{system}/segments/big");
    ann.get(&segment("shop")).is(200);
    ann.get(&segment("expdemo")).problem(403);
    ann.get("/admin/v1/users").is(200);
    ann.get("/admin/v1/audit").problem(403);
    ann.delete("/admin/v1/users/ann").problem(403);

    let access = json!({ "organization": [entry("Editor", "expdemo", "*")] });
    server.client().put("/admin/v1/users/ann/data-access", &access).is(200);
    ann.get(&segment("shop")).problem(403);
    ann.get(&segment("expdemo")).is(200);
    server.client().put("/admin/v1/users/ann", &user("ann", "Integration")).is(200);
    ann.get("/admin/v1/users").problem(403);

    let root = server.visitor();
    root.log_in(ADMIN, ADMIN_PASSWORD).is(204);
    root.post_empty("/admin/v1/users/ann/actions/inactive").is(204);
    let entries = all_items(&server.client(), "/admin/v1/audit?action=user.disable");
    assert_eq!((&entries[0]["actor_kind"], &entries[0]["actor"]), (&json!("user"), &json!(ADMIN)), "{entries:?}");
}

#[test]
fn whatever_ends_sessions_ends_them_for_good() {
    let server = server();
    let client = server.client();
    let act = |action: &str| client.post_empty(&format!("/admin/v1/users/ann/actions/{action}")).is(204);
    let mut ann = arrived(&server, "ann", 1);
    let again = || {
        let visitor = server.visitor();
        visitor.log_in("ann", PASSWORD).is(204);
        visitor
    };
    act("inactive");
    ann.get("/accounts/me").problem(401);
    server.visitor().log_in("ann", PASSWORD).problem(401);
    act("active");
    ann.get("/accounts/me").problem(401);

    ann = again();
    let shown = client.get("/admin/v1/users/ann").is(200);
    let blocked = |is: bool| {
        let mut changed = user("ann", "Editor");
        changed["data-access"] = shown["data-access"].clone();
        changed["login_blocked"] = json!(is);
        client.put("/admin/v1/users/ann", &changed).is(200);
    };
    blocked(true);
    ann.get("/accounts/me").problem(401);
    blocked(false);
    ann.get("/accounts/me").problem(401);

    ann = again();
    act("reset-password");
    ann.get("/accounts/me").is(200);
    let token = token_in(&server.home.mail_to("ann@example.com", 2));
    let reset = json!({ "token": token, "password": PASSWORD });
    server.visitor().post("/accounts/reset-password", &reset).is(204);
    ann.get("/accounts/me").problem(401);

    ann = again();
    client.delete("/admin/v1/users/ann").is(204);
    ann.get("/accounts/me").problem(401);
    let anew = arrived(&server, "ann", 3);
    ann.get("/accounts/me").problem(401);
    anew.get("/accounts/me").is(200);
    let server = server.restart();
    let late = server.visitor();
    late.set_cookie(ann.cookie());
    late.get("/accounts/me").problem(401);
    late.set_cookie(anew.cookie());
    late.get("/accounts/me").is(200);
}

#[test]
fn another_activation_mail_ends_the_link_of_the_one_before() {
    let server = server();
    server.client().post("/admin/v1/users", &user("bob", "Viewer")).is(200);
    let first = token_in(&server.home.mail_to("bob@example.com", 1));
    server.client().post_empty("/admin/v1/users/bob/actions/resend-activation").is(204);
    let activate =
        |token: &str| server.visitor().post("/accounts/activate", &json!({ "token": token, "password": PASSWORD }));
    activate(&first).problem(404);
    let second = token_in(&server.home.mail_to("bob@example.com", 2));
    activate(&second).is(204);
    server.client().post_empty("/admin/v1/users/bob/actions/resend-activation").problem(409);
}

#[test]
fn the_audit_has_what_happens_at_the_door() {
    let server = server();
    let ann = arrived(&server, "ann", 1);
    let other = "canary-Other!paper-19";
    server.visitor().log_in("ann", "canary-Wrong!paper").problem(401);
    server.visitor().log_in("canary-Typed!in-the-wrong-field", "x").problem(401);
    ann.post("/accounts/me/password", &json!({ "current_password": PASSWORD, "password": other })).is(204);
    ann.post("/accounts/forgot-password", &json!({ "email": "ann" })).is(202);
    ann.post("/accounts/forgot-password", &json!({ "email": "canary-nobody@example.com" })).is(202);
    let token = token_in(&server.home.mail_to("ann@example.com", 2));
    ann.post("/accounts/reset-password", &json!({ "token": token, "password": PASSWORD })).is(204);
    ann.log_in("ann", PASSWORD).is(204);
    ann.post_empty("/accounts/logout").is_success();

    let entries = all_items(&server.client(), "/admin/v1/audit?action=user");
    let told = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        assert!(entry["action"] == "user.create" || text("address").starts_with("10."), "{entry}");
        [text("action"), text("actor_kind"), text("actor"), text("object")].join(" ")
    };
    let told: Vec<String> = entries.iter().rev().map(told).filter(|line| !line.contains("user.create")).collect();
    let expected = [
        "user.activate user ann users/ann",
        "user.log_in user ann users/ann",
        "user.log_in_failed anonymous  users/ann",
        "user.log_in_failed anonymous  users",
        "user.change_password user ann users/ann",
        "user.forgot_password anonymous  users/ann",
        "user.forgot_password anonymous  users",
        "user.reset_by_link user ann users/ann",
        "user.log_in user ann users/ann",
        "user.end_sessions user ann users/ann",
    ];
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|line| !line.contains("users/root")).collect();
    assert_eq!(told, expected);
    let all = json!(entries).to_string();
    assert!(!all.contains("canary") && !all.contains(&token), "{all}");
}
