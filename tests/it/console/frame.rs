//! What goes for every page: who sees which, how it is sent, and what it loads.

use serde_json::json;

use super::{admin, between, house, said, submit};
use crate::support::{ADMIN_PASSWORD, PASSWORD, Reply, Server, Visitor, entry, operator, operators_setup};

/// Pages without anything to ask for in their path.
const PAGES: [&str; 14] = [
    "/console",
    "/console/systems/expdemo",
    "/console/users",
    "/console/users/inactive",
    "/console/users/invite",
    "/console/access-requests",
    "/console/systems/expdemo/users",
    "/console/systems",
    "/console/systems/new",
    "/console/systems/expdemo/settings",
    "/console/clients",
    "/console/clients/new",
    "/console/audit",
    "/console/profile",
];

#[track_caller]
fn is_safe(reply: &Reply) {
    let policy = reply.header("content-security-policy");
    assert_eq!(
        policy,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("x-frame-options"), "DENY");
    assert_eq!(reply.header("referrer-policy"), "same-origin");
    for part in [" style=\"", "<style", " onclick", "javascript:", "<script>"] {
        assert!(!reply.body.contains(part), "{part} is in {}", reply.what);
    }
}

/// A server with somebody of that role, and them.
fn somebody(role: &str, systems: &[&str]) -> (Server, Visitor) {
    let access: Vec<_> = systems.iter().map(|system| entry(role, system, "*")).collect();
    let fields = json!({ "roles": { "primary_role": role, "extra_roles": [] }, "data_access": access });
    let server = house().put_operators(&[operator("sam", &fields)]);
    let sam = server.visitor();
    sam.log_in("sam", PASSWORD).is(204);
    (server, sam)
}

#[test]
fn every_page_opens_for_an_admin_and_runs_only_what_the_server_serves() {
    let server = house();
    let visitor = admin(&server);
    for path in PAGES {
        let page = visitor.get(path);
        page.is_page(200);
        is_safe(&page);
        assert!(page.body.starts_with("<!doctype html>") && page.body.contains("<html lang=\"en\">"), "{path}");
        assert!(
            page.body.contains("class=\"skip\" href=\"#main\"")
                && page.body.contains("<main class=\"main\" id=\"main\""),
            "{path}"
        );
        for rest in page.body.split("src=\"").skip(1).chain(page.body.split("rel=\"stylesheet\" href=\"").skip(1)) {
            let asset = rest.split('"').next().unwrap();
            assert!(asset.starts_with("/console/static/"), "{path} loads {asset}");
        }
    }
}

#[test]
fn the_bare_address_leads_to_the_console() {
    let server = house();
    let stranger = server.visitor();
    for path in ["/", "/console/"] {
        let reply = stranger.get(path);
        assert_eq!((reply.status, reply.header("location")), (303, "/console"), "{path}");
    }
}

#[test]
fn who_is_not_logged_in_logs_in_and_comes_back() {
    let server = house();
    for path in PAGES {
        let reply = server.visitor().get(path);
        let to = format!("/login?next={}", path.replace('/', "%2F"));
        assert_eq!((reply.status, reply.header("location")), (303, to.as_str()));
    }
    let reply = server.visitor().get("/console/users?q=a&role=Viewer");
    assert_eq!(reply.header("location"), "/login?next=%2Fconsole%2Fusers%3Fq%3Da%26role%3DViewer");
}

#[test]
fn what_a_page_loads_is_kept_for_ever_and_changes_its_address() {
    let server = house();
    let page = server.visitor().get("/login");
    let style = between(&page.body, "rel=\"stylesheet\" href=\"", "\"").to_owned();
    let reply = server.visitor().get(&style);
    assert_eq!(reply.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(reply.header("content-type"), "text/css; charset=utf-8");
    let older = style.replace(between(&style, "/static/", "/"), "0000000000000000");
    assert_eq!(server.visitor().get(&older).header("cache-control"), "no-store", "another version's page in an update");
    assert_eq!(server.visitor().get("/console/static/0/nothing.js").status, 404);
    let script = between(&admin(&server).get("/console").body, "<script type=\"module\" src=\"", "\"").to_owned();
    assert_eq!(server.visitor().get(&script).header("content-type"), "text/javascript; charset=utf-8");
}

#[test]
fn a_viewer_sees_what_a_viewer_may() {
    let (_server, sam) = somebody("Viewer", &["shop"]);
    let home = sam.get("/console");
    home.is_page(200);
    let nav = between(&home.body, "<nav class=\"nav\"", "</nav>");
    assert!(nav.contains("/console/systems/shop/segments") && nav.contains("/console/users"), "{nav}");
    assert!(!nav.contains("/console/clients") && !nav.contains("/console/audit"), "{nav}");
    assert!(!home.body.contains("Expdemo"), "another system shows nowhere");
    for path in [
        "/console/clients",
        "/console/audit",
        "/console/users/invite",
        "/console/access-requests",
        "/console/systems/new",
    ] {
        let page = sam.get(path);
        page.is_page(403);
        is_safe(&page);
        assert!(page.body.contains("<nav class=\"nav\""), "{path} is told within the frame");
    }
    let told = |system: &str| {
        let page = sam.get(&format!("/console/systems/{system}"));
        page.is_page(404);
        between(&page.body, "<main", "</main>").replace(system, "")
    };
    assert_eq!(told("expdemo"), told("nowhere"), "nobody learns which systems there are");
    let users = sam.get("/console/users");
    users.is_page(200);
    for part in ["Disable Users", "Invite", "type=\"checkbox\"", "/resend", "Access Requests"] {
        assert!(!users.body.contains(part), "{part} is there for a Viewer");
    }
    submit(&sam, "/console/users/disable", &[("username", "root@example.com")]).is_page(403);
    submit(&sam, "/console/systems/shop/settings", &[("name", "x")]).is_page(403);
}

#[test]
fn an_editor_invites_and_changes_nobody() {
    let (server, sam) = somebody("Editor", &["shop"]);
    let users = sam.get("/console/users");
    assert!(users.body.contains("/console/users/invite") && !users.body.contains("Disable Users"), "{}", users.body);
    let form = sam.get("/console/users/invite");
    form.is_page(200);
    let roles = between(&form.body, "<select id=\"role\"", "</select>");
    assert!(roles.contains("Viewer") && !roles.contains("Admin"), "nobody is offered what they can't give: {roles}");
    assert!(!form.body.contains("value=\"expdemo\"") && !form.body.contains("value=\"*\""), "nor where they are not");
    let done =
        submit(&sam, "/console/users/invite", &[("emails", "new@x.example"), ("role", "Viewer"), ("system", "shop")]);
    assert!(said(&sam, &done).contains("new@x.example was invited"));
    let refused =
        submit(&sam, "/console/users/invite", &[("emails", "evil@x.example"), ("role", "Admin"), ("system", "*")]);
    refused.is_page(403);
    assert!(refused.body.contains("obody grants what they don"), "{}", refused.body);
    assert!(refused.body.contains("evil@x.example"), "what was typed stays");
    server.client().get("/admin/v1/users/evil@x.example").problem(404);
}

#[test]
fn a_broken_file_is_told_with_its_line() {
    let server = house();
    let visitor = admin(&server);
    assert!(!visitor.get("/console").body.contains("broken on disk"));
    let file = server.home.rules().join("shop/segments/big.rhai");
    std::fs::write(&file, "crm.Seats >\n  crm.Nothing").unwrap();
    server.client().post_empty("/admin/v1/reload").is(200);
    for path in ["/console", "/console/systems/shop"] {
        let page = visitor.get(path);
        assert!(page.body.contains("The files of shop are broken on disk"), "{}", page.body);
        assert!(page.body.contains("shop/segments/big.rhai, line 2"), "{}", page.body);
    }
    assert!(!visitor.get("/console/systems/expdemo").body.contains("broken"), "another system is not");
}

#[test]
fn home_counts_what_its_reader_may_see() {
    let (server, sam) = somebody("Viewer", &["expdemo"]);
    let token = server.client().get("/admin/v1/systems/expdemo/integrations/crm/endpoint").is(200)["token"].clone();
    let data = json!([{ "Email": "a", "Seats": 9 }, { "Email": "b", "Seats": 1 }]);
    server.client().post("/public/v1/user/data", &json!({ "token": token, "data": data })).is(200);
    let stat = |page: &Reply, name: &str| {
        let rest = between(&page.body, &format!("<dt>{name}</dt><dd>"), "</dd>");
        rest.split('<').next().unwrap().trim().to_owned()
    };
    let page = sam.get("/console");
    assert_eq!(stat(&page, "End users"), "2");
    assert_eq!(stat(&page, "Updates, last hour"), "2");
    assert!(page.body.contains("of 100"), "{}", page.body);
    let row = between(&page.body, "/console/systems/expdemo/segments/big", "</tr>");
    assert!(row.contains("<td class=\"number\">1</td>"), "{row}");
}

#[test]
fn what_is_no_page_is_told_within_the_frame() {
    let server = house();
    let page = admin(&server).get("/console/nowhere/at/all");
    page.is_page(404);
    is_safe(&page);
    assert!(page.body.contains("There is no such page") && page.body.contains("<nav class=\"nav\""), "{}", page.body);
    assert_eq!(server.visitor().get("/console/nowhere").status, 303);
}

#[test]
fn who_must_have_a_second_factor_sets_it_up_first() {
    let server = operators_setup().config("[auth]\nrequire_totp = true\n").start();
    let visitor = admin(&server);
    for path in ["/console", "/console/users", "/console/systems/expdemo"] {
        let reply = visitor.get(path);
        assert_eq!((reply.status, reply.header("location")), (303, "/console/profile"), "{path}");
    }
    let profile = visitor.get("/console/profile");
    profile.is_page(200);
    assert!(profile.body.contains("Every account here must have a second factor"), "{}", profile.body);
    assert_eq!(submit(&visitor, "/console/users/invite", &[("emails", "x@x.example")]).status, 303);
    let enrolled = submit(&visitor, "/console/profile/second-factor", &[("current_password", ADMIN_PASSWORD)]);
    enrolled.is_page(200);
    assert!(enrolled.body.contains("<svg class=\"qr\""), "{}", enrolled.body);
}

#[test]
fn logging_out_ends_the_session() {
    let server = house();
    let visitor = admin(&server);
    let cookie = visitor.cookie();
    let done = submit(&visitor, "/console/log-out", &[]);
    assert_eq!((done.status, done.header("location")), (303, "/login?notice=left"));
    visitor.set_cookie(cookie);
    assert_eq!(visitor.get("/console").status, 303);
}
