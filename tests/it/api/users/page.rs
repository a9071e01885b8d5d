//! What the Users page lets a person do, bullet by bullet, as far as it is not the page itself.

use serde_json::{Value, json};

use crate::support::{ADMIN, fresh, operators, operators_setup, token_in, user};

fn path(username: &str) -> String {
    format!("/admin/v1/users/{username}")
}

fn status(username: &str) -> Value {
    operators().client().get(&path(username)).is(200)["_system_properties"]["status"].clone()
}

#[test]
fn create_or_add_new_users_with_role_systems_and_login_method() {
    let client = operators().client();
    let email = format!("{}@example.com", fresh("page"));
    let body =
        json!({ "emails": email, "role": "Editor", "systems": ["shop"], "login_method": "sso", "sso_id": email });
    client.post("/admin/v1/invitations", &body).is(200);
    let made = client.get(&path(&email)).is(200);
    assert_eq!(
        (&made["login_method"], &made["sso_id"], &made["systems"]),
        (&json!("sso"), &json!(email), &json!(["shop"]))
    );
}

#[test]
fn who_is_invited_activates_the_account_signs_up_and_logs_in() {
    let server = operators_setup().start();
    let email = "page@example.com".to_owned();
    let status = |email: &str| server.client().get(&path(email)).is(200)["_system_properties"]["status"].clone();
    let body = json!({ "emails": email, "role": "Viewer", "systems": ["shop"] });
    assert_eq!(server.client().post("/admin/v1/invitations", &body).is(200)["items"][0]["result"], "invited");
    let mail = server.home.mail_to(&email, 1);
    assert!(mail.contains("Activate My Account"), "{mail}");
    let (token, visitor) = (token_in(&mail), server.visitor());
    let page = visitor.get(&format!("/activate?token={token}"));
    page.is_page(200);
    assert!(page.body.contains("Sign Up"), "{}", page.body);
    let sign_up =
        |password: &str| server.visitor().post("/accounts/activate", &json!({ "token": token, "password": password }));
    // At least 10 characters, one of them special.
    for refused in ["nine-chrs", "tencharact", "1234567890"] {
        sign_up(refused).problem(422).points_at(vec!["/password"]);
    }
    assert_eq!(status(&email), "PROVISIONED");
    sign_up("ten-charac").is(204);
    assert_eq!(status(&email), "ACTIVE");
    visitor.log_in(&email, "ten-charac").is(204);
    visitor.get("/public/v1/systems/shop/segments").is(200);
    visitor.get("/public/v1/systems/expdemo/segments").problem(403);
}

#[test]
fn manage_access_requests() {
    let server = operators();
    let admin = server.client();
    let email = format!("{}@example.com", fresh("page"));
    let ask = json!({ "email": email, "name": "Jo Ro", "reason": "to see the segments" });
    server.anonymous().post("/accounts/access-requests", &ask).is(202);
    let (_, editor) = server.client_of("Editor", None);
    editor.get("/admin/v1/access-requests").problem(403);
    let requests = crate::support::all_items(&admin, "/admin/v1/access-requests?status=pending");
    let request = requests.iter().find(|request| request["email"] == email.as_str()).expect("the request");
    assert_eq!((&request["name"], &request["reason"]), (&ask["name"], &ask["reason"]));
    let approve = format!("/admin/v1/access-requests/{}/approve", request["id"].as_str().unwrap());
    let offer = json!({ "role": "Viewer", "systems": ["shop"], "login_method": "sso", "sso_id": email });
    editor.post(&approve, &offer).problem(403);
    admin.post(&approve, &offer).is(200);
    let made = admin.get(&path(&email)).is(200);
    assert_eq!(
        (&made["roles"]["primary_role"]["role"], &made["systems"], &made["login_method"], &made["sso_id"]),
        (&json!("Viewer"), &json!(["shop"]), &json!("sso"), &json!(email))
    );
}

#[test]
fn view_a_users_status() {
    assert_eq!(status(ADMIN), "ACTIVE");
    let name = fresh("page");
    operators().client().post("/admin/v1/users", &user(&name, "Viewer")).is(200);
    assert_eq!(status(&name), "PROVISIONED");
}

#[test]
fn resend_an_activation_email_to_who_is_provisioned() {
    let client = operators().client();
    let name = fresh("page");
    client.post("/admin/v1/users", &user(&name, "Viewer")).is(200);
    client.post_empty(&format!("{}/actions/resend-activation", path(&name))).is(204);
    client.post_empty(&format!("{}/actions/resend-activation", path(ADMIN))).problem(409);
}

#[test]
fn reset_the_password_of_who_is_active() {
    operators().client().post_empty(&format!("{}/actions/reset-password", path(ADMIN))).is(204);
}

#[test]
fn edit_a_user() {
    let client = operators().client();
    let name = fresh("page");
    let mut edited = client.post("/admin/v1/users", &user(&name, "Viewer")).is(200);
    edited["last_name"] = json!("Changed");
    assert_eq!(client.put(&path(&name), &edited).is(200)["last_name"], "Changed");
}

#[test]
fn export_the_users_list() {
    let reply = operators().client().get("/admin/v1/users/export");
    assert!(reply.status == 200 && reply.body.contains(ADMIN), "{}", reply.body);
}

#[test]
fn disable_and_enable_users_alone_and_by_check_boxes() {
    let client = operators().client();
    let names = [fresh("page"), fresh("page"), fresh("page")];
    for name in &names {
        client.post("/admin/v1/users", &user(name, "Viewer")).is(200);
    }
    client.post_empty(&format!("{}/actions/inactive", path(&names[0]))).is(204);
    client.post("/admin/v1/users/actions/inactive", &json!({ "usernames": names })).is(200);
    let inactive = client.get(&format!("/admin/v1/users?status=inactive&username={}", names.join(","))).is(200);
    assert_eq!(inactive["items"].as_array().unwrap().len(), 3, "they are among the inactive ones");
    client.post("/admin/v1/users/actions/active", &json!({ "usernames": names[1..] })).is(200);
    assert_eq!((status(&names[0]), status(&names[2])), (json!("INACTIVE"), json!("PROVISIONED")));
}

#[test]
fn invite_from_the_editor_who_is_new_and_leave_alone_who_exists() {
    // Who has write permissions may invite to a system, up to what they have themselves.
    let server = operators();
    let (_, editor) = server.client_of("Editor", Some(&["shop"]));
    let email = format!("{}@example.com", fresh("page"));
    let body = |role: &str| json!({ "emails": [email], "role": role, "systems": ["shop"] });
    let items = |role: &str| editor.post("/admin/v1/invitations", &body(role)).is(200)["items"][0]["result"].clone();
    assert_eq!(items("Viewer"), "invited");
    assert_eq!(items("Editor"), "exists");
    let made = editor.get(&path(&email)).is(200);
    assert_eq!(made["roles"]["primary_role"]["role"], "Viewer", "the role is set in the account, not from the editor");
    editor.put(&path(&email), &made).problem(403);
}

#[test]
fn see_who_has_access_to_a_system() {
    let client = operators().client();
    let name = fresh("page");
    let mut body = user(&name, "Viewer");
    body["data-access"]["organization"] = json!([{ "role": "Viewer", "data_view": "shop", "unit_group": "*" }]);
    client.post("/admin/v1/users", &body).is(200);
    let in_system = |system: &str| {
        let users = client.get(&format!("/admin/v1/users?q={name}&system={system}")).is(200);
        users["items"].as_array().unwrap().len()
    };
    assert_eq!((in_system("shop"), in_system("expdemo")), (1, 0));
}
