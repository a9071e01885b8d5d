//! Invitations: addresses as people paste them.

use serde_json::{Value, json};

use crate::support::{ADMIN, entry, fresh, operators};

const INVITATIONS: &str = "/admin/v1/invitations";

fn results(answer: &Value) -> Vec<(String, String)> {
    let items = answer["items"].as_array().expect("items").iter();
    items.map(|i| (i["email"].as_str().unwrap().to_owned(), i["result"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn any_mix_of_separators_is_taken() {
    let client = operators().client();
    let prefix = fresh("inv");
    let at = |name: &str| format!("{prefix}{name}@example.com");
    let text =
        format!("{};{} , {}\t{}\r\n{}\n\n ; {},{}", at("a"), at("b"), at("c"), at("d"), at("e"), at("f"), at("g"));
    let answer = client
        .post(INVITATIONS, &json!({ "emails": text, "role": "Viewer", "systems": ["shop", "Expdemo for Experience"] }))
        .is(200);
    let expected: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|n| (at(n), "invited".to_owned())).into();
    assert_eq!(results(&answer), expected);
    let user = client.get(&format!("/admin/v1/users/{}", at("d"))).is(200);
    assert_eq!((&user["_system_properties"]["status"], &user["email"]), (&json!("PROVISIONED"), &json!(at("d"))));
    assert_eq!(user["systems"], json!(["expdemo", "shop"]));
    let organization = &user["data-access"]["organization"];
    assert_eq!(organization.as_array().unwrap().len(), 2, "one entry a system, over every end user");
    assert_eq!(organization[0]["unit_group"], "*");
}

#[test]
fn each_address_is_answered_once_and_who_exists_is_left_alone() {
    let client = operators().client();
    let (one, other) = (format!("{}@example.com", fresh("inv")), format!("{}@example.com", fresh("inv")));
    let emails = json!([
        one,
        one.to_uppercase(),
        format!("{other}; {one}"),
        "no-address",
        "@x",
        ADMIN.to_uppercase(),
        "no-address"
    ]);
    let before = client.get(&format!("/admin/v1/users/{ADMIN}")).is(200);
    let answer = client.post(INVITATIONS, &json!({ "emails": emails, "role": "Viewer" })).is(200);
    let expected = [
        (one.clone(), "invited"),
        (other, "invited"),
        ("no-address".to_owned(), "invalid"),
        ("@x".to_owned(), "invalid"),
        (ADMIN.to_uppercase(), "exists"),
    ];
    assert_eq!(results(&answer), expected.map(|(email, result)| (email, result.to_owned())));
    assert_eq!(client.get(&format!("/admin/v1/users/{ADMIN}")).is(200), before);
    let again = client.post(INVITATIONS, &json!({ "emails": one, "role": "Editor" })).is(200);
    assert_eq!(results(&again), [(one.clone(), "exists".to_owned())]);
    let user = client.get(&format!("/admin/v1/users/{one}")).is(200);
    assert_eq!(user["roles"]["primary_role"]["role"], "Viewer", "left untouched");
}

#[test]
fn an_objects_own_keys_win() {
    let client = operators().client();
    let (one, other) = (format!("{}@example.com", fresh("own")), format!("{}@example.com", fresh("own")));
    let body = json!({
        "emails": [
            { "email": one, "role": "Editor", "systems": ["shop"], "login_method": "sso", "sso_id": one, "first_name": "Jo", "last_name": "Ro" },
            { "email": other },
        ],
        "role": "Viewer",
        "systems": "*",
    });
    client.post(INVITATIONS, &body).is(200);
    let user = |email: &str| client.get(&format!("/admin/v1/users/{email}")).is(200);
    let first = user(&one);
    assert_eq!((&first["roles"]["primary_role"]["role"], &first["systems"]), (&json!("Editor"), &json!(["shop"])));
    assert_eq!(
        (&first["login_method"], &first["sso_id"], &first["first_name"]),
        (&json!("sso"), &json!(one), &json!("Jo"))
    );
    let second = user(&other);
    assert_eq!((&second["roles"]["primary_role"]["role"], &second["systems"]), (&json!("Viewer"), &json!(["*"])));
    let shown = &second["data-access"]["organization"][0];
    for (key, value) in entry("Viewer", "*", "*").as_object().unwrap() {
        assert_eq!(&shown[key], value);
    }
}

#[test]
fn a_username_is_made_of_the_address_and_is_nobody_elses() {
    let client = operators().client();
    let prefix = fresh("odd");
    let emails = format!("{prefix}+a'b@example.com {prefix}_a_b@example.com {prefix}!a!b@example.com");
    let answer = client.post(INVITATIONS, &json!({ "emails": emails, "role": "Viewer" })).is(200);
    let names: Vec<_> =
        answer["items"].as_array().unwrap().iter().map(|i| i["username"].as_str().unwrap().to_owned()).collect();
    let first = format!("{prefix}_a_b@example.com");
    assert_eq!(names[0], first);
    assert!(names[1] != names[0] && names[2] != names[1] && names[2] != names[0], "{names:?}");
    for name in names {
        client.get(&format!("/admin/v1/users/{name}")).is(200);
    }
}

#[test]
fn a_bad_offer_invites_nobody() {
    let client = operators().client();
    let email = format!("{}@example.com", fresh("nobody"));
    let refused = |body: Value, pointers: Vec<&str>| {
        client.post(INVITATIONS, &body).problem(422).points_at(pointers);
        client.get(&format!("/admin/v1/users/{email}")).problem(404);
    };
    refused(json!({ "emails": email }), vec!["/role"]);
    refused(json!({ "emails": email, "role": "Nobody" }), vec!["/role"]);
    refused(json!({ "emails": email, "role": "Viewer", "systems": ["shop", "gone"] }), vec!["/systems/1"]);
    refused(json!({ "emails": email, "role": "Viewer", "login_method": "sso" }), vec!["/sso_id"]);
    refused(
        json!({ "emails": [email, { "email": "second@example.com", "role": "Nobody" }], "role": "Viewer" }),
        vec!["/emails/1/role"],
    );
    refused(
        json!({ "emails": format!("{email} other@example.com"), "role": "Viewer", "sso_id": "7" }),
        vec!["/sso_id"],
    );
    refused(json!({ "emails": " ;, ", "role": "Viewer" }), vec!["/emails"]);
    let many: Vec<String> = (0..1001).map(|n| format!("many{n}@example.com")).collect();
    refused(json!({ "emails": many, "role": "Viewer" }), vec!["/emails"]);
    client.post(INVITATIONS, &json!({ "emails": 7, "role": "Viewer" })).problem(400).says("emails");
    client.post(INVITATIONS, &json!({ "emails": email, "role": "Viewer", "rolle": 1 })).problem(400);
}

#[test]
fn a_thousand_at_once() {
    let client = operators().client();
    let prefix = fresh("crowd");
    let many: Vec<String> = (0..1000).map(|n| format!("{prefix}-{n}@example.com")).collect();
    let answer =
        client.post(INVITATIONS, &json!({ "emails": many.join("\n"), "role": "Viewer", "systems": ["shop"] })).is(200);
    assert!(results(&answer).iter().all(|(_, result)| result == "invited"));
    assert_eq!(client.get(&format!("/admin/v1/users?q={prefix}-999")).is(200)["items"].as_array().unwrap().len(), 1);
}
