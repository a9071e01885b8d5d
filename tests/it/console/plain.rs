//! Without scripts: every page does its work by links and forms alone.

use serde_json::{Value, json};

use super::{admin, between, form_token, house, house_with_sso, said, submit};
use crate::support::{ADMIN, ADMIN_PASSWORD, Server, Visitor, token_in, user};

#[track_caller]
fn get(server: &Server, path: &str) -> Value {
    server.client().get(path).is(200)
}

/// Opens a form's page first, as a person does, and then sends it.
#[track_caller]
fn fill(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> crate::support::Reply {
    visitor.get(path).is_page(200);
    submit(visitor, path, fields)
}

#[test]
fn many_people_are_invited_from_pasted_text() {
    let server = house();
    let visitor = admin(&server);
    let pasted =
        "a@x.example;b@x.example, c@x.example d@x.example\te@x.example\r\nf@x.example\nroot@example.com no-address";
    let done = fill(
        &visitor,
        "/console/users/invite",
        &[("emails", pasted), ("role", "Editor"), ("system", "shop"), ("system", "expdemo")],
    );
    let text = said(&visitor, &done);
    assert!(text.contains("6 people were invited"), "{text}");
    assert!(
        text.contains("left as they are: root@example.com") && text.contains("No e-mail address: no-address"),
        "{text}"
    );
    let made = get(&server, "/admin/v1/users/d@x.example");
    assert_eq!(made["roles"]["primary_role"]["role"], "Editor");
    assert_eq!(made["systems"], json!(["expdemo", "shop"]));
    server.home.mail_to("f@x.example", 1);
    let page = submit(&visitor, "/console/users/invite", &[("emails", " ; "), ("role", "Viewer")]);
    page.is_page(422);
    assert!(page.body.contains("At least one e-mail address is needed."), "{}", page.body);
}

#[test]
fn who_was_invited_signs_up_and_resending_ends_the_first_link() {
    let server = house();
    let visitor = admin(&server);
    fill(&visitor, "/console/users/invite", &[("emails", "ann@x.example"), ("role", "Viewer"), ("system", "*")]);
    let first = token_in(&server.home.mail_to("ann@x.example", 1));
    let page = visitor.get("/console/users/ann@x.example/edit");
    assert!(page.body.contains("Resend Email") && !page.body.contains("Reset Password Via Email"), "{}", page.body);
    assert!(page.body.contains("<span class=\"badge warn\">Provisioned</span>"), "{}", page.body);
    let done = submit(&visitor, "/console/users/ann@x.example/resend", &[]);
    assert!(said(&visitor, &done).contains("on its way to ann@x.example"));
    let mail = server.home.mail_to("ann@x.example", 2);
    assert!(mail.contains("Activate My Account"), "{mail}");
    let ann = server.visitor();
    ann.get(&format!("/activate?token={first}")).is_page(410);
    let form = [("token", token_in(&mail)), ("password", "a fine horse!".to_owned())];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(ann.form("/activate", &form).header("location"), "/login?notice=activated");
    let page = visitor.get("/console/users/ann@x.example/edit");
    assert!(page.body.contains("Reset Password Via Email") && !page.body.contains("Resend Email"), "{}", page.body);
    assert!(page.body.contains("<span class=\"badge good\">Active</span>"), "{}", page.body);
    let done = submit(&visitor, "/console/users/ann@x.example/reset", &[]);
    assert!(said(&visitor, &done).contains("reset the password"));
    server.home.mail_to("ann@x.example", 3);
    let refused = submit(&visitor, "/console/users/ann@x.example/resend", &[]);
    assert!(said(&visitor, &refused).contains("only a PROVISIONED account") || refused.status == 303);
}

#[test]
fn an_account_is_changed_with_its_data_access_and_what_the_form_lacks_stays() {
    let server = house();
    server.client().post("/admin/v1/users", &user("cc.145", "[CC] Agent")).is(200);
    let visitor = admin(&server);
    let page = visitor.get("/console/users/cc.145/edit");
    page.is_page(200);
    let was = between(&page.body, "name=\"was\" value=\"", "\"").to_owned();
    let fields = [
        ("was", was.as_str()),
        ("first_name", "Carmen"),
        ("last_name", "Diaz"),
        ("email", "diaz@example.com"),
        ("role", "[CC] Agent"),
        ("extra_role", "Viewer"),
        ("entry_role", "[CC] Agent"),
        ("entry_system", "Expdemo for Experience"),
        ("entry_group", "expdemo/(U) cc_agent_145"),
        ("entry_role", "Viewer"),
        ("entry_system", "shop"),
        ("entry_group", "*"),
        ("entry_role", ""),
        ("entry_system", "*"),
        ("entry_group", "*"),
    ];
    let done = submit(&visitor, "/console/users/cc.145/edit", &fields);
    assert!(said(&visitor, &done).contains("Carmen Diaz was saved"));
    let saved = get(&server, "/admin/v1/users/cc.145");
    assert_eq!((&saved["last_name"], &saved["email"]), (&json!("Diaz"), &json!("diaz@example.com")));
    assert_eq!(saved["automatic_update"], true, "what the form does not show stays");
    assert_eq!(saved["roles"]["extra_roles"], json!([{ "role": "Viewer" }]));
    let access = saved["data-access"]["organization"].as_array().unwrap();
    assert_eq!(access.len(), 2);
    assert_eq!(access[0]["unit_group"], "(U) cc_agent_145");
    assert_eq!(access[0]["data_view"], "Expdemo for Experience", "as it was sent");
    assert_eq!(access[0]["unit_group_display_name"], "Carmen Abbott [ 145 ]");
    assert_eq!(access[1]["data_view"], "shop");

    let stale = submit(&visitor, "/console/users/cc.145/edit", &fields);
    stale.is_page(409);
    assert!(
        stale.body.contains("has changed this account meanwhile") && stale.body.contains("value=\"Diaz\""),
        "{}",
        stale.body
    );
    let page = visitor.get("/console/users/cc.145/edit");
    assert!(page.body.contains("<option value=\"Expdemo for Experience\" selected>"), "{}", page.body);
    assert!(page.body.contains("<option value=\"expdemo/(U) cc_agent_145\" selected>"), "{}", page.body);
    let was = between(&page.body, "name=\"was\" value=\"", "\"").to_owned();
    let wrong = [("was", was.as_str()), ("email", "no address"), ("role", "[CC] Agent"), ("first_name", "Kept")];
    let refused = submit(&visitor, "/console/users/cc.145/edit", &wrong);
    refused.is_page(422);
    assert!(
        refused.body.contains("An e-mail address is needed") && refused.body.contains("value=\"Kept\""),
        "{}",
        refused.body
    );
    submit(&visitor, "/console/users/nobody/edit", &wrong).is_page(404);
}

#[test]
fn users_are_disabled_and_enabled_after_a_question() {
    let server = house();
    for name in ["ann", "bob", "eve"] {
        server.client().post("/admin/v1/users", &user(name, "Viewer")).is(200);
    }
    let visitor = admin(&server);
    let ask = visitor.get("/console/users/disable?username=ann&username=bob&username=nobody");
    ask.is_page(200);
    assert!(ask.body.contains("name=\"username\" value=\"ann\"") && !ask.body.contains("nobody"), "{}", ask.body);
    let done = submit(&visitor, "/console/users/disable", &[("username", "ann"), ("username", "bob")]);
    assert_eq!(said(&visitor, &done), "2 people were disabled.");
    let listed = |path: &str, name: &str| visitor.get(path).body.contains(&format!("/console/users/{name}/edit"));
    assert!(!listed("/console/users", "ann") && listed("/console/users/inactive", "ann"));
    assert!(listed("/console/users", "eve") && !listed("/console/users/inactive", "eve"));
    visitor.get("/console/users/enable?username=ann").is_page(200);
    let done = submit(&visitor, "/console/users/enable", &[("username", "ann")]);
    assert_eq!(said(&visitor, &done), "ann was enabled.");
    assert!(listed("/console/users", "ann"));
    let refused = submit(&visitor, "/console/users/disable", &[("username", ADMIN)]);
    assert!(said(&visitor, &refused).contains("is the last Admin who can log in"));
    let nobody = submit(&visitor, "/console/users/disable", &[]);
    assert_eq!(said(&visitor, &nobody), "Nobody was selected.");
    visitor.get("/console/users/eve/delete").is_page(200);
    let done = submit(&visitor, "/console/users/eve/delete", &[]);
    assert_eq!(said(&visitor, &done), "eve was deleted.");
    server.client().get("/admin/v1/users/eve").problem(404);
}

#[test]
fn the_list_is_searched_filtered_paged_and_exported() {
    let server = house();
    let emails: Vec<_> = (0..70).map(|n| format!("p{n:02}@x.example")).collect();
    let invite = json!({ "emails": emails.join(" "), "role": "Viewer", "systems": ["shop"] });
    server.client().post("/admin/v1/invitations", &invite).is(200);
    let visitor = admin(&server);
    let rows = |path: &str| visitor.get(path).body.matches("<tr class=\"opens\"").count();
    assert_eq!((rows("/console/users"), rows("/console/users?page=2")), (50, 21));
    assert!(visitor.get("/console/users").body.contains("1 to 50 of 71"));
    assert_eq!(rows("/console/users?q=P1"), 10);
    assert_eq!(rows("/console/users?role=Admin"), 1);
    assert_eq!(rows("/console/users?status=active"), 1);
    assert_eq!(rows("/console/users?system=expdemo"), 1, "the Admin, who has every system");
    let none = visitor.get("/console/users?q=nobody%20at%20all");
    assert!(none.body.contains("Nobody is like that"), "{}", none.body);
    let page = visitor.get("/console/users?q=p1&page=1");
    let export = between(&page.body, "Export Users List", "</a>");
    assert!(export.is_empty());
    let href = page.body.split("Export Users List").next().unwrap().rsplit("href=\"").next().unwrap();
    let href = href.split('"').next().unwrap();
    let file = visitor.get(href);
    assert_eq!((file.status, file.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(file.body.lines().count(), 11, "the head and those who were asked for");
}

#[test]
fn requests_for_access_are_approved_and_denied() {
    let server = house();
    for name in ["kim", "lee"] {
        let asker = server.visitor();
        asker.get("/request-access").is_page(200);
        let form =
            [("email", format!("{name}@x.example")), ("name", "Kim Larsen".to_owned()), ("reason", "Work".to_owned())];
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(asker.form("/request-access", &form).header("location"), "/login?notice=asked");
    }
    let wrong = server.visitor().form("/request-access", &[("email", "no address"), ("reason", "Because")]);
    wrong.is_page(422);
    assert!(wrong.body.contains("An e-mail address is needed") && wrong.body.contains("Because"), "{}", wrong.body);
    let visitor = admin(&server);
    assert!(visitor.get("/console/users").body.contains("Access Requests <span class=\"count\">2</span>"));
    let list = visitor.get("/console/access-requests");
    let id = |name: &str| {
        let row = between(&list.body, &format!("{name}@x.example"), "</tr>");
        between(row, "/console/access-requests/", "/approve").to_owned()
    };
    let (kim, lee) = (id("kim"), id("lee"));
    let approve = format!("/console/access-requests/{kim}/approve");
    let wrong = fill(&visitor, &approve, &[("role", "Nothing"), ("system", "shop")]);
    wrong.is_page(422);
    let done = submit(&visitor, &approve, &[("role", "Editor"), ("system", "shop")]);
    assert!(said(&visitor, &done).contains("kim@x.example has access"));
    assert_eq!(get(&server, "/admin/v1/users/kim@x.example")["last_name"], "Larsen");
    server.home.mail_to("kim@x.example", 1);
    let done = fill(&visitor, &format!("/console/access-requests/{lee}/deny"), &[]);
    assert!(said(&visitor, &done).contains("denied"));
    let again = submit(&visitor, &approve, &[("role", "Editor")]);
    assert!(said(&visitor, &again).contains("decided before"));
    let decided = visitor.get("/console/access-requests?status=decided").body;
    assert!(decided.contains("Approved") && decided.contains("Denied"), "{decided}");
}

#[test]
fn sso_shows_only_where_it_is_on() {
    let (with, without) = (house_with_sso(), house());
    with.client().post("/admin/v1/users", &user("ann", "Viewer")).is(200);
    without.client().post("/admin/v1/users", &user("ann", "Viewer")).is(200);
    assert!(with.visitor().get("/login").body.contains("Log in with SSO"));
    assert!(!without.visitor().get("/login").body.contains("SSO"));
    let (admin_with, admin_without) = (admin(&with), admin(&without));
    for path in ["/console/users/invite", "/console/users/ann/edit"] {
        assert!(admin_with.get(path).body.contains("SSO ID"), "{path}");
        assert!(!admin_without.get(path).body.contains("SSO ID"), "{path}");
    }
    let form = [("emails", "s@x.example"), ("role", "Viewer"), ("login_method", "sso"), ("sso_id", "idp|7")];
    said(&admin_with, &submit(&admin_with, "/console/users/invite", &form));
    let made = get(&with, "/admin/v1/users/s@x.example");
    assert_eq!((&made["login_method"], &made["sso_id"]), (&json!("sso"), &json!("idp|7")));
    said(&admin_without, &submit(&admin_without, "/console/users/invite", &form));
    assert_eq!(get(&without, "/admin/v1/users/s@x.example")["login_method"], "password");
}

#[test]
fn a_system_has_its_users_and_settings() {
    let server = house();
    let visitor = admin(&server);
    let done = fill(
        &visitor,
        "/console/systems/new",
        &[("id", "fresh"), ("name", "Fresh"), ("stage", "test"), ("timezone", "UTC")],
    );
    assert_eq!(done.header("location"), "/console/systems/fresh");
    submit(&visitor, "/console/systems/new", &[("id", "fresh"), ("stage", "test")]).is_page(409);
    submit(&visitor, "/console/systems/new", &[("id", "Not An Id"), ("stage", "test")]).is_page(422);

    let invite = visitor.get("/console/users/invite?system=fresh");
    assert!(invite.body.contains("value=\"fresh\" checked"), "{}", invite.body);
    let form = [("emails", "ann@x.example"), ("role", "Viewer"), ("system", "fresh"), ("back", "fresh")];
    let done = submit(&visitor, "/console/users/invite", &form);
    assert_eq!(done.header("location"), "/console/systems/fresh/users");
    let users = visitor.get("/console/systems/fresh/users").body;
    assert!(users.contains("ann@x.example") && users.contains(ADMIN), "{users}");
    assert!(!visitor.get("/console/systems/shop/users").body.contains("ann@x.example"));

    let page = visitor.get("/console/systems/expdemo/settings");
    let was = between(&page.body, "name=\"was\" value=\"", "\"").to_owned();
    let fields = |zone: &'static str, rule: &'static str| {
        [
            ("name", "Expdemo for Experience"),
            ("stage", "production"),
            ("timezone", zone),
            ("identifier_case", "sensitive"),
            ("group_id", "(U) cc_agent_145"),
            ("group_name", "Carmen Abbott [ 145 ]"),
            ("group_rule", rule),
            ("group_id", ""),
            ("group_name", ""),
            ("group_rule", ""),
        ]
    };
    let with_tag = |tag: &str, zone, rule| {
        let mut all = vec![("was", tag.to_owned())];
        all.extend(fields(zone, rule).map(|(name, value)| (name, value.to_owned())));
        let all: Vec<_> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        submit(&visitor, "/console/systems/expdemo/settings", &all)
    };
    let refused = with_tag(&was, "Europe/Berlim", "true");
    refused.is_page(422);
    assert!(refused.body.contains("Europe/Berlin"), "{}", refused.body);
    let refused = with_tag(&was, "Europe/Berlin", "crm.Nothing > 1");
    refused.is_page(422);
    let done = with_tag(&was, "Europe/Berlin", "crm.Seats > 7");
    assert!(said(&visitor, &done).contains("was saved"));
    let text = std::fs::read_to_string(server.home.rules().join("expdemo/system.toml")).unwrap();
    assert!(text.contains("timezone = \"Europe/Berlin\"") && text.contains("crm.Seats > 7"), "{text}");
    assert!(!text.contains("unittype_cc_agent"), "a group that was taken away is gone: {text}");
    with_tag(&was, "UTC", "true").is_page(409);
}

#[test]
fn a_client_shows_its_secret_once() {
    let server = house();
    let visitor = admin(&server);
    let made =
        fill(&visitor, "/console/clients/new", &[("client_id", "hook"), ("role", "Integration"), ("system", "shop")]);
    made.is_page(200);
    let secret = between(&made.body, "id=\"client-secret\" type=\"text\" value=\"", "\"").to_owned();
    assert!(!server.token_of("hook", &secret).is_empty());
    for path in ["/console/clients", "/console/clients/hook/edit", "/console/audit"] {
        assert!(!visitor.get(path).body.contains(&secret), "{path}");
    }
    let wrong = submit(&visitor, "/console/clients/new", &[("client_id", "hook"), ("role", "Nothing")]);
    wrong.is_page(422);
    submit(&visitor, "/console/clients/new", &[("client_id", "hook"), ("role", "Viewer")]).is_page(409);
    let turned = fill(&visitor, "/console/clients/hook/rotate", &[]);
    let newer = between(&turned.body, "id=\"client-secret\" type=\"text\" value=\"", "\"").to_owned();
    assert_ne!(secret, newer);
    assert!(!server.token_of("hook", &newer).is_empty());
    let edit = fill(
        &visitor,
        "/console/clients/hook/edit",
        &[("description", "The shop's hook"), ("role", "Integration"), ("system", "*")],
    );
    assert_eq!(said(&visitor, &edit), "hook was saved.");
    assert!(visitor.get("/console/clients?q=hook").body.contains("The shop&#39;s hook"));
    let done = fill(&visitor, "/console/clients/hook/disable", &[]);
    assert_eq!(said(&visitor, &done), "hook was disabled.");
    let done = fill(&visitor, "/console/clients/hook/enable", &[]);
    assert_eq!(said(&visitor, &done), "hook was enabled.");
    visitor.get("/console/clients/nobody/edit").is_page(404);
}

#[test]
fn the_audit_is_filtered_and_goes_on() {
    let server = house();
    for n in 0..60 {
        server.client().post("/admin/v1/users", &user(&format!("u{n}"), "Viewer")).is(200);
    }
    let visitor = admin(&server);
    let page = visitor.get("/console/audit?action=user.create");
    let rows = |page: &crate::support::Reply| page.body.matches(">user.create</span>").count();
    assert_eq!(rows(&page), 50);
    let next = between(&page.body, "rel=\"next\" href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
    let rest = visitor.get(&format!("/console/audit{next}"));
    assert_eq!(rows(&rest), 11, "the first Admin was made, too");
    assert_eq!(rows(&visitor.get("/console/audit?object=users/u7&action=user.create")), 1);
    assert!(visitor.get("/console/audit?actor=nobody").body.contains("No entry passes the filter"));
    assert!(visitor.get("/console/audit?from=May").body.contains("A day is written like"));
    visitor.get("/console/audit?cursor=zz").is_page(400);
}

#[test]
fn a_person_changes_their_own_account() {
    let server = house();
    let (visitor, other) = (admin(&server), admin(&server));
    let wrong =
        submit(&visitor, "/console/profile/password", &[("current_password", "wrong"), ("password", "a fine horse!")]);
    wrong.is_page(422);
    assert!(wrong.body.contains("This is not your password."), "{}", wrong.body);
    let page = visitor.get("/console/profile");
    assert_eq!(page.body.matches("name=\"session\" value=\"").count(), 1, "the other one can be ended");
    let session = between(&page.body, "name=\"session\" value=\"", "\"").to_owned();
    let done = submit(&visitor, "/console/profile/sessions", &[("session", &session)]);
    assert_eq!(said(&visitor, &done), "The session has ended.");
    assert_eq!(other.get("/console").status, 303);
    let enrolled = submit(&visitor, "/console/profile/second-factor", &[("current_password", ADMIN_PASSWORD)]);
    enrolled.is_page(200);
    assert!(enrolled.body.contains("<svg class=\"qr\"") && enrolled.body.contains("id=\"key\""), "{}", enrolled.body);
    let wrong = submit(&visitor, "/console/profile/second-factor/confirm", &[("totp", "000000")]);
    wrong.is_page(422);
    let fields = [("current_password", ADMIN_PASSWORD), ("password", "another horse!")];
    let done = submit(&visitor, "/console/profile/password", &fields);
    assert!(said(&visitor, &done).contains("Your password was changed"));
    server.visitor().log_in(ADMIN, "another horse!").is(204);
    assert!(!form_token(&visitor).is_empty(), "this session goes on");
}

#[test]
fn the_list_of_users_is_sorted_by_a_column_and_stays_so() {
    let server = house();
    for (name, role, last_name) in [("b", "Viewer", "Ypsilon"), ("a", "Editor", "zeta"), ("c", "Viewer", "Xerxes")] {
        let mut account = user(name, role);
        account["first_name"] = json!("");
        account["last_name"] = json!(last_name);
        server.client().post("/admin/v1/users", &account).is(200);
    }
    let visitor = admin(&server);
    let order = |query: &str| {
        let page = visitor.get(&format!("/console/users?status=provisioned&{query}"));
        page.is_page(200);
        let rows = page.body.split("<tr class=\"opens\"").skip(1);
        let names: String = rows.map(|row| between(row, "href=\"/console/users/", "/edit\"")).collect();
        (names, page.body)
    };
    assert_eq!(order("sort=no+column&order=down").0, "abc", "by username");
    let (names, page) = order("sort=name");
    assert_eq!(names, "cba");
    assert_eq!(page.matches("aria-sort=\"ascending\"").count(), 1);
    let head = between(&page, "aria-sort=\"ascending\"", "</th>");
    assert!(head.contains(">Name</a>") && head.contains("order=down") && head.contains("status=provisioned"), "{head}");
    assert!(page.contains("name=\"sort\" value=\"name\""), "whoever searches it goes on in that order");
    assert_eq!(order("sort=name&order=down").0, "abc");
    assert_eq!(order("sort=role").0, "abc");
    let (names, page) = order("sort=role&order=down");
    assert_eq!(names, "bca", "whoever is equal stands by the username");
    assert!(page.contains("aria-sort=\"descending\""), "{page}");
    assert_eq!(order("sort=email&order=down").0, "cba");
    let page = visitor.get("/console/users?sort=status");
    let first = between(&page.body, "<tr class=\"opens\"", "</tr>");
    assert!(first.contains("root@example.com"), "who can work comes first: {first}");
    assert!(visitor.get("/console/users?sort=login").body.contains("Never"));
}
