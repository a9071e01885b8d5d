//! Each row of the table of users' calls, with what each refuses.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, Ask, all_items, entry, fresh, operators, operators_setup, user};

const USERS: &str = "/admin/v1/users";

fn path(username: &str) -> String {
    format!("{USERS}/{username}")
}

#[test]
fn lists_are_filtered_and_go_on_by_next() {
    let server = operators_setup().start();
    let client = server.client();
    for number in 0..7 {
        let mut body = user(&format!("u{number}"), if number % 2 == 0 { "[CC] Agent" } else { "Viewer" });
        body["first_name"] = json!(format!("Näme {number}"));
        body["data-access"]["organization"] = match number {
            0 => json!([entry("[CC] Agent", "The Shop", "*")]),
            1 => json!([entry("Viewer", "*", "*")]),
            _ => json!([]),
        };
        client.post(USERS, &body).is(200);
    }
    client.post_empty(&format!("{}/actions/inactive", path("u3"))).is(204);
    let names = |query: &str| -> Vec<String> {
        let items = all_items(&client, &format!("{USERS}{query}"));
        items.iter().map(|item| item["username"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("?limit=3"), [ADMIN, "u0", "u1", "u2", "u3", "u4", "u5", "u6"], "every one once, page after page");
    assert!(client.get(USERS).is(200).get("_next").is_none(), "absent at the end");
    assert_eq!(names("?status=active"), [ADMIN]);
    assert_eq!(names("?status=INACTIVE&limit=1"), ["u3"]);
    assert_eq!(
        names("?status=provisioned&limit=2"),
        ["u0", "u1", "u2", "u4", "u5", "u6"],
        "filters go on to the next page"
    );
    assert_eq!(names("?username=u1,u5,nobody"), ["u1", "u5"]);
    assert_eq!(names("?role=%5BCC%5D%20Agent"), ["u0", "u2", "u4", "u6"]);
    for system in ["shop", "The%20Shop"] {
        assert_eq!(names(&format!("?system={system}")), [ADMIN, "u0", "u1"], "who has every system has this one, too");
    }
    assert_eq!(names("?q=U6@EXAMPLE"), ["u6"]);
    assert_eq!(names("?q=N%C3%84ME%202"), ["u2"], "names without case");
    assert_eq!(names("?q=u6&status=active"), [""; 0]);

    for query in ["?status=gone", "?limit=0", "?limit=1001", "?limit=x", "?cursor=!", "?colour=red"] {
        client.get(&format!("{USERS}{query}")).problem(400);
    }
    client.get(&path("nobody")).problem(404).says("nobody");
}

#[test]
fn a_user_is_created_provisioned_with_the_defaults_of_what_was_left_out() {
    let client = operators().client();
    let name = fresh("bare");
    let body = json!({ "username": name, "email": format!("{name}@example.com"), "roles": { "primary_role": { "role": "Viewer" } } });
    let made = client.post(USERS, &body).is(200);
    assert_eq!(made["_system_properties"]["status"], "PROVISIONED");
    assert_eq!(
        (&made["first_name"], &made["login_blocked"], &made["systems"]),
        (&json!(""), &json!(false), &json!([]))
    );
    assert_eq!(made["data-access"], json!({ "organization": [], "segments": [] }));
    assert_eq!(client.get(&path(&name)).is(200), made);
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let client = operators().client();
    let name = fresh("taken");
    client.post(USERS, &user(&name, "Viewer")).is(200);
    client.post(USERS, &user(&name, "Viewer")).problem(409).points_at(vec!["/username"]);
    client.post(USERS, &user(&name.to_uppercase(), "Viewer")).problem(409);
    let mut other = user(&fresh("taken"), "Viewer");
    other["email"] = json!(format!("{}@EXAMPLE.com", name.to_uppercase()));
    client.post(USERS, &other).problem(409).points_at(vec!["/email"]);
    // Both are typed at log-in, so neither may be another's.
    other["email"] = json!(ADMIN);
    client.post(USERS, &other).problem(409);
    let mut address = user(&fresh("taken"), "Viewer");
    address["username"] = json!(format!("{name}@example.com"));
    client.post(USERS, &address).problem(409).points_at(vec!["/username"]);
    let mut sso = user(&fresh("sso"), "Viewer");
    sso["login_method"] = json!("sso");
    sso["sso_id"] = json!("idp|1");
    client.post(USERS, &sso).is(200);
    let mut second = user(&fresh("sso"), "Viewer");
    second["sso_id"] = json!("idp|1");
    client.post(USERS, &second).problem(409).points_at(vec!["/sso_id"]);
}

#[test]
fn every_bad_place_of_a_user_is_named() {
    let client = operators().client();
    let bad = json!({
        "username": "has blanks",
        "email": "no address",
        "first_name": "line\nbreak",
        "roles": { "primary_role": { "role": "Nobody" }, "extra_roles": [{ "role": "Viewer" }, { "role": "viewer" }] },
        "data-access": {
            "organization": [
                entry("Editor", "shop", "*"),
                entry("Viewer", "no such system", "*"),
                entry("Viewer", "expdemo", "no such group"),
                entry("Viewer", "shop", "(U) cc_agent_145"),
                entry("Viewer", "*", "no such group"),
                entry("Viewer", "expdemo", "(U) cc_agent_145"),
            ],
            "segments": [{ "role": "Viewer" }],
        },
        "login_method": "sso",
    });
    let problem = client.post(USERS, &bad).problem(422);
    problem.points_at(vec![
        "/username",
        "/email",
        "/first_name",
        "/roles/primary_role/role",
        "/roles/extra_roles/1/role",
        "/data-access/organization/0/role",
        "/data-access/organization/1/data_view",
        "/data-access/organization/2/unit_group",
        "/data-access/organization/3/unit_group",
        "/data-access/organization/4/unit_group",
        "/data-access/segments",
        "/sso_id",
    ]);
    assert_eq!(problem.code("/data-access/organization/1/data_view"), "unknown_data_view");
    client.put(&path("actions"), &user("actions", "Viewer")).problem(422).points_at(vec!["/username"]);
    client.put(&path("export"), &user("export", "Viewer")).problem(405);
    for reserved in ["export", "actions"] {
        client.post(USERS, &user(reserved, "Viewer")).problem(422).points_at(vec!["/username"]);
    }
    client.post(USERS, &json!({})).problem(422).points_at(vec!["/username", "/email", "/roles/primary_role"]);
    client.post(USERS, &json!({ "login_bloked": true })).problem(400).says("login_blocked");
    client.post(USERS, &json!({ "username": 7 })).problem(400);
    client.request(Method::POST, USERS).body("{}").ask().problem(415);
    client.request(Method::POST, USERS).header("content-type", "application/json").body("{").ask().problem(400);
}

#[test]
fn put_replaces_or_creates() {
    let client = operators().client();
    let name = fresh("put");
    let mut body = user(&name, "Viewer");
    let made = client.put(&path(&name), &body).is(200);
    assert_eq!(made["_system_properties"]["status"], "PROVISIONED", "as POST does");
    body["login_blocked"] = json!(true);
    body["login_method"] = json!("sso");
    body["sso_id"] = json!(name);
    assert_eq!(client.put(&path(&name), &body).is(200)["login_blocked"], true);
    let minimal = json!({ "email": format!("{name}@example.com"), "roles": { "primary_role": { "role": "Viewer" } } });
    let replaced = client.put(&path(&name), &minimal).is(200);
    assert_eq!(
        (&replaced["login_blocked"], &replaced["first_name"]),
        (&json!(false), &json!("")),
        "left out: the default"
    );
    assert_eq!(
        (&replaced["login_method"], &replaced["sso_id"]),
        (&json!("sso"), &json!(name)),
        "callers of old know nothing of these"
    );
    client.put(&path(&name), &user("another", "Viewer")).problem(422).points_at(vec!["/username"]);
    let mut taken = user(&name, "Viewer");
    taken["email"] = json!(ADMIN);
    client.put(&path(&name), &taken).problem(409).points_at(vec!["/email"]);
}

#[test]
fn a_deleted_user_is_gone_and_its_name_is_free() {
    let client = operators().client();
    let name = fresh("gone");
    client.post(USERS, &user(&name, "Viewer")).is(200);
    let reply = client.delete(&path(&name));
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    client.get(&path(&name)).problem(404);
    client.delete(&path(&name)).problem(404);
    client.post(USERS, &user(&name, "Viewer")).is(200);
}

#[test]
fn data_access_is_replaced_whole() {
    let client = operators().client();
    let name = fresh("access");
    client.post(USERS, &user(&name, "Viewer")).is(200);
    let access =
        |entries: Value| client.put(&format!("{}/data-access", path(&name)), &json!({ "organization": entries }));
    let both = json!([entry("Viewer", "shop", "*"), entry("Viewer", "Expdemo for Experience", "expdemo")]);
    let answered = access(both).is(200);
    assert_eq!(answered["systems"], json!(["expdemo", "shop"]));
    let shown = &answered["data-access"]["organization"];
    assert_eq!((&shown[0]["data_view"], &shown[0]["unit_group"]), (&json!("shop"), &json!("*")), "answered as sent");
    assert_eq!(
        (&shown[0]["unit_group_display_name"], &shown[1]["unit_group_display_name"]),
        (&json!("The Shop"), &json!("Expdemo for Experience"))
    );
    assert_eq!(access(json!([entry("Viewer", "*", "*")])).is(200)["systems"], json!(["*"]));
    access(json!([entry("Editor", "shop", "*"), entry("Viewer", "gone", "*")]))
        .problem(422)
        .points_at(vec!["/organization/0/role", "/organization/1/data_view"]);
    assert_eq!(client.get(&path(&name)).is(200)["systems"], json!(["*"]), "a refused change changes nothing");
    let segments = json!({ "organization": [], "segments": [{ "field": "x", "role": "Viewer" }] });
    client.put(&format!("{}/data-access", path(&name)), &segments).problem(422).points_at(vec!["/segments"]);
    client.put(&format!("{}/data-access", path("nobody")), &json!({ "organization": [] })).problem(404);
    for nothing in [json!({}), json!([]), json!([[]]), json!({ "segments": [] })] {
        client.put(&format!("{}/data-access", path(&name)), &nothing).problem(400);
    }
    assert_eq!(client.get(&path(&name)).is(200)["systems"], json!(["*"]), "what says nothing takes nothing away");
    assert_eq!(access(json!([])).is(200)["systems"], json!([]));
}

#[test]
fn actions_go_where_the_status_lets_them() {
    let client = operators().client();
    let name = fresh("status");
    client.post(USERS, &user(&name, "Viewer")).is(200);
    let act = |action: &str| client.post_empty(&format!("{}/actions/{action}", path(&name)));
    let status = || client.get(&path(&name)).is(200)["_system_properties"]["status"].as_str().unwrap().to_owned();

    for forbidden in ["active", "activate", "reset-password"] {
        act(forbidden).problem(409).says("PROVISIONED");
    }
    act("resend-activation").is(204);
    act("inactive").is(204);
    assert_eq!(status(), "INACTIVE");
    act("inactive").is(204);
    act("resend-activation").problem(409);
    act("reset-password").is(204);
    act("activate").is(204);
    assert_eq!(status(), "PROVISIONED", "who never activated still has to");

    act("delete").problem(404);
    client.post_empty(&format!("{}/actions/inactive", path("nobody"))).problem(404);
    client.get(&format!("{}/actions/inactive", path(&name))).problem(405);
    for active in ["active", "activate", "reset-password"] {
        client.post_empty(&format!("{}/actions/{active}", path(ADMIN))).is(204);
    }
    client.post_empty(&format!("{}/actions/resend-activation", path(ADMIN))).problem(409);
}

#[test]
fn several_users_are_disabled_and_enabled_in_one_call() {
    let client = operators().client();
    let (one, other) = (fresh("bulk"), fresh("bulk"));
    for name in [&one, &other] {
        client.post(USERS, &user(name, "Viewer")).is(200);
    }
    let act = |action: &str, names: &[&str]| {
        let reply = client.post(&format!("{USERS}/actions/{action}"), &json!({ "usernames": names }));
        let items = reply.is(200)["items"].as_array().unwrap().clone();
        let pair =
            |item: &Value| (item["username"].as_str().unwrap().to_owned(), item["result"].as_str().unwrap().to_owned());
        items.iter().map(pair).collect::<Vec<_>>()
    };
    let expect =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(n, r)| ((*n).to_owned(), (*r).to_owned())).collect::<Vec<_>>();
    assert_eq!(
        act("inactive", &[&one, "nobody", &other, &one, ADMIN]),
        expect(&[(&one, "changed"), ("nobody", "unknown"), (&other, "changed"), (ADMIN, "conflict")]),
        "each once; what can't be done keeps no other from it"
    );
    assert_eq!(act("inactive", &[&one]), expect(&[(&one, "unchanged")]));
    assert_eq!(act("active", &[&one, ADMIN]), expect(&[(&one, "changed"), (ADMIN, "unchanged")]));
    assert_eq!(act("active", &[&one]), expect(&[(&one, "conflict")]), "PROVISIONED again");

    let bulk = |action: &str, body: &Value| client.post(&format!("{USERS}/actions/{action}"), body);
    bulk("reset-password", &json!({ "usernames": [one] })).problem(404);
    bulk("inactive", &json!({ "usernames": [] })).problem(422);
    bulk("inactive", &json!({ "usernames": vec![one.as_str(); 1001] })).problem(422);
    bulk("inactive", &json!({})).problem(400);
}

#[test]
fn the_last_admin_who_can_log_in_stays_one() {
    let server = operators_setup().start();
    let client = server.client();
    // Another Admin who has not activated the account can't let anybody in.
    client.post(USERS, &user("second", "Admin")).is(200);
    client.post_empty(&format!("{}/actions/inactive", path(ADMIN))).problem(409).says("last Admin");
    client.delete(&path(ADMIN)).problem(409).says("last Admin");
    let mut demoted = client.get(&path(ADMIN)).is(200);
    demoted["roles"]["primary_role"]["role"] = json!("Viewer");
    demoted["data-access"]["organization"] = json!([]);
    client.put(&path(ADMIN), &demoted).problem(409).says("last Admin");
    demoted["roles"]["extra_roles"] = json!([{ "role": "Admin" }]);
    client.put(&path(ADMIN), &demoted).is(200);
    let mut blocked = client.get(&path(ADMIN)).is(200);
    blocked["login_blocked"] = json!(true);
    client.put(&path(ADMIN), &blocked).problem(409).says("last Admin");
    // Those who can't log in anyway may go.
    client.post_empty(&format!("{}/actions/inactive", path("second"))).is(204);
    client.delete(&path("second")).is(204);
}

#[test]
fn whether_a_new_user_gets_mail_is_the_callers_choice() {
    let client = operators().client();
    let post = |value: &str| {
        let request = client.request(Method::POST, USERS).header("X-Medallia-Send-New-User-Email", value);
        request.json(&user(&fresh("mail"), "Viewer")).ask()
    };
    post("false").is(200);
    post("True").is(200);
    post("perhaps").problem(400).says("X-Medallia-Send-New-User-Email");
}

#[test]
fn without_permission_there_is_nothing_to_see_or_do() {
    let server = operators();
    let (_, viewer) = server.client_of("Viewer", None);
    let (_, machine) = server.client_of("Integration", None);
    for call in [USERS, "/admin/v1/users/export", "/admin/v1/users-bulk-download", &path(ADMIN)] {
        viewer.get(call).is_success();
        machine.get(call).problem(403).says("users:read");
        server.anonymous().get(call).problem(401);
    }
    let writes = [
        (Method::POST, USERS.to_owned()),
        (Method::PUT, path(ADMIN)),
        (Method::DELETE, path(ADMIN)),
        (Method::PUT, path(ADMIN) + "/data-access"),
        (Method::POST, path(ADMIN) + "/actions/inactive"),
        (Method::POST, USERS.to_owned() + "/actions/inactive"),
    ];
    for (method, call) in writes {
        viewer.request(method.clone(), &call).json(&json!({})).ask().problem(403).says("users:write");
        server.anonymous().request(method, &call).json(&json!({})).ask().problem(401);
    }
}
