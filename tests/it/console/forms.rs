//! Forms are taken only from a page that was made for the session that sends them.

use reqwest::Method;

use super::{admin, form_token, house};
use crate::support::{ADMIN, ADMIN_PASSWORD, Ask};

/// Every path of the route table that takes a form, with the parts that it asks for filled in.
fn posts() -> Vec<String> {
    let table = include_str!("../../../src/http/console/routes.rs");
    let lines = table.lines().filter(|line| line.contains(".route(") && line.contains("post("));
    let path = |line: &str| line.split('"').nth(1).unwrap().to_owned();
    let fill = |path: String| {
        path.replace("{s}", "expdemo").replace("{username}", ADMIN).replace("{id}", "x").replace("{i}", "crm")
    };
    lines.map(path).map(fill).collect()
}

/// Fields that would do something, if any of these forms were taken.
const FIELDS: [(&str, &str); 9] = [
    ("username", ADMIN),
    ("emails", "evil@x.example"),
    ("role", "Admin"),
    ("email", "evil@x.example"),
    ("name", "Taken over"),
    ("stage", "test"),
    ("timezone", "UTC"),
    ("identifier_case", "sensitive"),
    ("id", "taken"),
];

#[test]
fn a_form_of_nobody_another_site_or_another_session_changes_nothing() {
    let server = house();
    let (own, other) = (admin(&server), admin(&server));
    let (token, others) = (form_token(&own), form_token(&other));
    assert_ne!(token, others, "each session has its own");
    let before = server.client().get("/admin/v1/audit?limit=1").is(200)["items"][0]["id"].clone();
    let posts = posts();
    assert!(posts.len() >= 20, "the table was read: {posts:?}");
    for path in &posts {
        let refused = |what: &str, request: reqwest::blocking::RequestBuilder| {
            let reply = request.ask();
            assert_eq!(reply.status, 403, "{path} {what}\n{}", reply.body);
            assert!(reply.header("content-type").starts_with("text/html"), "{path} {what}");
        };
        let with = |token: &str| {
            let fields: Vec<_> = FIELDS.iter().copied().chain([("form_token", token)]).collect();
            own.request(Method::POST, path).form(&fields)
        };
        refused("without token", own.request(Method::POST, path).form(&FIELDS));
        refused("with an empty token", with(""));
        refused("with another session's token", with(&others));
        refused("with a made-up token", with(&"0".repeat(64)));
        let fields: Vec<_> = FIELDS.iter().copied().chain([("form_token", token.as_str())]).collect();
        refused("without origin", own.bare_request(Method::POST, path).form(&fields));
        for origin in ["https://evil.example", "null"] {
            let request = own.bare_request(Method::POST, path).header("origin", origin).form(&fields);
            refused(&format!("from {origin}"), request);
        }
        let nobody = server.visitor().form(path, &fields);
        assert_eq!((nobody.status, nobody.header("location")), (303, "/login"), "{path} without a session");
    }
    let after = server.client().get("/admin/v1/audit?limit=1").is(200)["items"][0]["id"].clone();
    assert_eq!(before, after, "nothing was done");
    own.get("/accounts/me").is(200);
}

#[test]
fn an_access_token_opens_no_page() {
    let server = house();
    let reply = server.client().get("/console/users");
    assert_eq!(reply.status, 403, "{}", reply.body);
    let visitor = server.visitor();
    visitor.log_in(ADMIN, ADMIN_PASSWORD).is(204);
    visitor.get("/console/users").is_page(200);
}
