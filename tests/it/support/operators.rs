//! A server with roles, two systems with unit groups, and an Admin: what tests of operators share.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::server::Setup;
use super::{Ask, Client, Server, crm, segment};

/// The Admin who is ACTIVE from the start, by address and by username.
pub const ADMIN: &str = "root@example.com";
/// The Admin's password; also a canary that must show up nowhere.
pub const ADMIN_PASSWORD: &str = "canary-password-!77";

/// The roles beside the built-in ones.
const ROLES: &str = r#"
[[roles]]
name = "[CC] Agent"
permissions = ["end_users:read", "segments:read"]
[[roles]]
name = "[RETAIL] Insights"
permissions = ["end_users:read", "segments:read", "roles:read"]
[[roles]]
name = "Manager"
permissions = ["users:read", "users:write", "users:invite", "access_requests:manage", "clients:read", "clients:write", "end_users:read"]
"#;

const EXPDEMO: &str = r#"
name = "Expdemo for Experience"
stage = "production"
[[unit_groups]]
id = "(U) cc_agent_145"
name = "Carmen Abbott [ 145 ]"
rule = 'crm.Customer_Type == "145"'
[[unit_groups]]
id = "unittype_cc_agent"
name = "Contact Center"
rule = 'crm.Seats > 0'
"#;

/// A server of one's own with all that.
pub fn operators_setup() -> Setup {
    let files = [
        ("expdemo/system.toml", EXPDEMO.to_owned()),
        ("expdemo/integrations/crm.toml", crm()),
        ("expdemo/segments/big.rhai", segment("crm.Seats > 5")),
        ("shop/system.toml", "name = \"The Shop\"\nstage = \"test\"\n".to_owned()),
        ("shop/integrations/crm.toml", crm()),
        ("shop/segments/big.rhai", segment("crm.Seats > 5")),
    ];
    Server::with(&files)
        .config(ROLES)
        .env("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", ADMIN)
        .env("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", ADMIN_PASSWORD)
}

/// The server that tests share which need only users and clients of their own.
pub fn operators() -> &'static Server {
    static SHARED: LazyLock<Server> = LazyLock::new(|| {
        let server = operators_setup().start();
        server.dies_with_the_tests();
        server
    });
    &SHARED
}

/// A name that no other test has.
pub fn fresh(prefix: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// What POST takes for a user of this role, with nothing of its own in any system.
pub fn user(username: &str, role: &str) -> Value {
    json!({
        "username": username,
        "first_name": "Carmen",
        "last_name": "Abbott",
        "email": format!("{username}@example.com"),
        "automatic_update": true,
        "excluded_from_user_activity": false,
        "login_blocked": false,
        "roles": { "primary_role": { "role": role }, "extra_roles": [] },
        "data-access": { "organization": [], "segments": [] },
    })
}

/// One entry of data access.
pub fn entry(role: &str, data_view: &str, unit_group: &str) -> Value {
    json!({ "role": role, "data_view": data_view, "unit_group": unit_group })
}

impl Server {
    /// A new OAuth client of this role in these systems (`None`: all), and what talks as it.
    #[track_caller]
    pub fn client_of(&self, role: &str, systems: Option<&[&str]>) -> (String, Client) {
        let mut body = json!({ "role": role });
        if let Some(systems) = systems {
            body["systems"] = json!(systems);
        }
        let made = self.client().post("/admin/v1/clients", &body).is(201);
        let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
        (id.to_owned(), self.anonymous().with_bearer(&self.token_of(id, secret)))
    }

    /// An access token of a client.
    #[track_caller]
    pub fn token_of(&self, id: &str, secret: &str) -> String {
        let request = self.anonymous().request(Method::POST, "/accounts/connect/token").basic_auth(id, Some(secret));
        let reply = request.form(&[("grant_type", "client_credentials")]).ask();
        reply.is(200)["access_token"].as_str().expect("an access token").to_owned()
    }
}

/// The keys of an object.
pub fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

/// Every item of a list, page after page; `_next` or `next_cursor`, whichever the list has.
#[track_caller]
pub fn all_items(client: &Client, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = path.to_owned();
    for _ in 0..100 {
        let page = client.get(&next).is(200);
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        next = if let Some(href) = page["_next"]["href"].as_str() {
            href.strip_prefix(client.base()).expect("the next page is at this server").to_owned()
        } else if let Some(cursor) = page["next_cursor"].as_str() {
            let with = if path.contains('?') { '&' } else { '?' };
            format!("{path}{with}cursor={cursor}")
        } else {
            return items;
        };
    }
    panic!("{path} never ends");
}
