//! The console's pages of a system: integrations, segments, insights, end users; in a browser, and without scripts.

mod accessible;
mod end_users;
mod hostile;
mod insights;
mod integrations;
mod segments;
mod walk;

use serde_json::json;

use crate::support::{PASSWORD, Reply, Server, Visitor, crm, operator, segment};

/// A server with an Admin, a Viewer `val`, and `part`, who sees only end users with over ten seats.
fn house() -> Server {
    let system = "name = \"Shop\"\n[[unit_groups]]\nid = \"large\"\nname = \"Large\"\nrule = 'crm.Seats > 10'\n";
    let files = [
        ("s/system.toml", system.to_owned()),
        ("s/integrations/crm.toml", format!("# kept by sales\n{}", crm())),
        ("s/segments/big.rhai", segment("crm.Seats > 50")),
    ];
    let part = json!([{ "role": "Viewer", "data_view": "s", "unit_group": "large" }]);
    let server = Server::with(&files)
        .env("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", crate::support::FIRST_EMAIL)
        .env("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", crate::support::FIRST_PASSWORD)
        .env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .put_operators(&[operator("val", &json!({})), operator("part", &json!({ "data_access": part }))]);
    server.system("s").update(
        "crm",
        &json!([
            { "Email": "ann@x.example", "Seats": 60, "Type": "paying" },
            { "Email": "bob/1?", "Seats": 20, "Type": "free", "Signup": "2026-01-01" },
            { "Email": "cat", "Seats": 5, "Type": "free" },
        ]),
    );
    server
}

/// Somebody who was put into the store, logged in.
#[track_caller]
fn visitor(server: &Server, name: &str) -> Visitor {
    let visitor = server.visitor();
    visitor.log_in(name, PASSWORD).is(204);
    visitor
}

/// What a page has between two texts.
#[track_caller]
fn between<'p>(page: &'p str, begin: &str, end: &str) -> &'p str {
    let rest = page.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {page}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} behind {begin} in {page}")).0
}

/// Sends a form as one of the visitor's pages would.
#[track_caller]
fn submit(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> Reply {
    let page = visitor.get("/console");
    page.is_page(200);
    let token = between(&page.body, "name=\"form_token\" value=\"", "\"").to_owned();
    let mut all = vec![("form_token", token.as_str())];
    all.extend(fields);
    visitor.form(path, &all)
}

/// The page to which a form that was done leads.
#[track_caller]
fn next(visitor: &Visitor, done: &Reply) -> Reply {
    assert_eq!(done.status, 303, "{} answered\n{}", done.what, done.body);
    let next = visitor.get(done.header("location"));
    next.is_page(200);
    next
}

/// Asserts that a page says some texts.
#[track_caller]
fn says(page: &Reply, texts: &[&str]) {
    for text in texts {
        assert!(page.body.contains(text), "{text} is not in {}:\n{}", page.what, page.body);
    }
}
