//! Who may call what: every operation of the API's document × every role × clients and sessions × one's own and another
//! system × inside and outside of one's unit group.
//!
//! What is expected stands here, apart from the server and from its document. An operation without an entry fails the
//! test, so that nobody adds one without saying whom it is for.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Ask, Client, PASSWORD, Reply, Server, Visitor, crm, operator, operators_setup, segment};

/// Where a permission counts.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// The matter of the whole account: whichever systems the caller has.
    Account,
    /// The matter of the system in the path.
    System,
    /// The matter of the system that the integration's token in the body names; a wrong token is refused to everyone.
    Token,
}
use Where::{Account, System, Token};

/// Whom an operation is for.
enum Entry {
    /// Everyone, without an access token.
    Open,
    /// Pages in browsers, by a system's publishable key.
    Page,
    /// Operators in a session, for their own account: no access token opens it.
    Own,
    /// Whoever has all of these.
    Needs(Where, &'static [&'static str]),
}
use Entry::{Needs, Open, Own, Page};

/// Every operation.
#[rustfmt::skip]
const ENTRIES: &[(&str, Entry)] = &[
    // Open to everyone
    ("authorization_server", Open),
    ("connect_token", Open),
    ("oauth_token", Open),
    ("revoke_token", Open),
    ("request_access", Open),
    ("health", Open),
    ("ready", Open),
    ("openapi", Open),
    ("docs", Open),
    ("docs_page", Open),
    ("docs_file", Open),
    ("sdk", Open),
    ("log_in", Open),
    ("log_out", Open),
    ("activate", Open),
    ("reset_password", Open),
    ("forgot_password", Open),
    ("log_in_page", Open),
    ("log_in_by_form", Open),
    ("activate_page", Open),
    ("activate_by_form", Open),
    ("reset_page", Open),
    ("reset_by_form", Open),
    ("forgot_page", Open),
    ("forgot_by_form", Open),
    ("request_access_page", Open),
    ("request_access_by_form", Open),
    // One's own profile
    ("show_me", Own),
    ("change_password", Own),
    ("list_own_sessions", Own),
    ("end_other_sessions", Own),
    ("end_own_session", Own),
    ("enrol_second_factor", Own),
    ("confirm_second_factor", Own),
    ("remove_second_factor", Own),
    // End users
    ("update_end_users", Needs(Token, &["end_users:write"])),
    ("get_end_user", Needs(System, &["end_users:read"])),
    ("get_end_user_segments", Needs(System, &["end_users:read", "segments:read"])),
    ("delete_end_user", Needs(System, &["end_users:delete"])),
    ("unset_attribute", Needs(System, &["end_users:write"])),
    ("query_end_users", Needs(System, &["end_users:read"])),
    ("export_end_users", Needs(System, &["end_users:read"])),
    ("list_attributes", Needs(System, &["end_users:read"])),
    ("get_distribution", Needs(System, &["end_users:read"])),
    // Pages in browsers
    ("evaluate", Page),
    ("evaluate_preflight", Page),
    ("get_browser", Needs(System, &["integrations:write"])),
    ("rotate_browser", Needs(System, &["integrations:write"])),
    // Segments at work
    ("list_segment_counts", Needs(System, &["end_users:read", "segments:read"])),
    ("get_segment_count", Needs(System, &["end_users:read", "segments:read"])),
    ("list_segment_members", Needs(System, &["end_users:read", "segments:read"])),
    ("get_segment_history", Needs(System, &["end_users:read", "segments:read"])),
    ("explain_segment", Needs(System, &["end_users:read", "segments:read"])),
    ("follow_events", Needs(System, &["end_users:read", "segments:read"])),
    // Saved filters
    ("list_filters", Needs(System, &["segments:read"])),
    ("get_filter", Needs(System, &["segments:read"])),
    ("put_filter", Needs(System, &["segments:read"])),
    ("delete_filter", Needs(System, &["segments:read"])),
    // Rules
    ("get_config", Needs(Account, &["systems:read"])),
    ("reload", Needs(Account, &["operate"])),
    ("list_systems", Needs(Account, &["systems:read"])),
    ("create_system", Needs(Account, &["systems:write", "publish:production"])),
    ("get_system", Needs(System, &["systems:read"])),
    ("put_system", Needs(System, &["systems:write", "publish:production"])),
    ("list_integrations", Needs(System, &["integrations:read"])),
    ("get_integration", Needs(System, &["integrations:read"])),
    ("put_integration", Needs(System, &["integrations:write", "publish:production"])),
    ("delete_integration", Needs(System, &["integrations:write", "publish:production"])),
    ("list_segments", Needs(System, &["segments:read"])),
    ("get_segment", Needs(System, &["segments:read"])),
    ("put_segment", Needs(System, &["segments:write", "publish:production"])),
    ("delete_segment", Needs(System, &["segments:write", "publish:production"])),
    ("preview", Needs(System, &["end_users:read", "segments:read"])),
    ("convert_rule", Needs(System, &["segments:read"])),
    ("promote", Needs(System, &["integrations:read", "segments:read"])),
    // Integrations at work
    ("get_endpoint", Needs(System, &["integrations:write"])),
    ("rotate_token", Needs(System, &["integrations:write"])),
    ("test_integration", Needs(System, &["integrations:write"])),
    ("list_calls", Needs(System, &["integrations:read"])),
    ("list_imports", Needs(System, &["end_users:write"])),
    ("import_csv", Needs(System, &["end_users:write"])),
    ("show_import", Needs(Account, &["end_users:write"])),
    ("import_errors", Needs(Account, &["end_users:write"])),
    // Users
    ("list_users", Needs(Account, &["users:read"])),
    ("get_user", Needs(Account, &["users:read"])),
    ("export_users", Needs(Account, &["users:read"])),
    ("bulk_download_users", Needs(Account, &["users:read"])),
    ("create_user", Needs(Account, &["users:write"])),
    ("put_user", Needs(Account, &["users:write"])),
    ("delete_user", Needs(Account, &["users:write"])),
    ("put_data_access", Needs(Account, &["users:write"])),
    ("act_on_user", Needs(Account, &["users:write"])),
    ("act_on_users", Needs(Account, &["users:write"])),
    ("invite", Needs(Account, &["users:invite"])),
    ("list_access_requests", Needs(Account, &["access_requests:manage"])),
    ("approve_access", Needs(Account, &["access_requests:manage"])),
    ("deny_access", Needs(Account, &["access_requests:manage"])),
    ("list_roles", Needs(Account, &["roles:read"])),
    // Clients and audit
    ("list_clients", Needs(Account, &["clients:read"])),
    ("get_client", Needs(Account, &["clients:read"])),
    ("create_client", Needs(Account, &["clients:write"])),
    ("put_client", Needs(Account, &["clients:write"])),
    ("rotate_client_secret", Needs(Account, &["clients:write"])),
    ("disable_client", Needs(Account, &["clients:write"])),
    ("enable_client", Needs(Account, &["clients:write"])),
    ("list_audit", Needs(Account, &["audit:read"])),
    // Operation
    ("backup", Needs(Account, &["operate"])),
    ("checkpoint", Needs(Account, &["operate"])),
    ("purge", Needs(Account, &["operate"])),
    ("metrics", Needs(Account, &["metrics:read"])),
];

/// What operations about end users are about: here it matters who is inside of the asker's unit groups.
#[derive(Clone, Copy, PartialEq)]
enum About {
    /// One end user: who is outside is as one that there is not.
    One,
    /// Some: who is outside is not among them. `data_access` asks these in all ways.
    Some,
    /// All: refused to who has only some of them.
    All,
}

/// Every operation whose permissions are over end users.
#[rustfmt::skip]
const ABOUT: &[(&str, About)] = &[
    ("update_end_users", About::One),
    ("get_end_user", About::One),
    ("get_end_user_segments", About::One),
    ("delete_end_user", About::One),
    ("unset_attribute", About::One),
    ("explain_segment", About::One),
    ("query_end_users", About::Some),
    ("export_end_users", About::Some),
    ("list_attributes", About::Some),
    ("get_distribution", About::Some),
    ("list_segment_counts", About::Some),
    ("get_segment_count", About::Some),
    ("list_segment_members", About::Some),
    ("follow_events", About::Some),
    ("preview", About::Some),
    ("get_segment_history", About::All),
    ("list_imports", About::All),
    ("import_csv", About::All),
    ("show_import", About::All),
    ("import_errors", About::All),
];

/// Every permission.
const ALL: &[&str] = &[
    "end_users:read",
    "end_users:write",
    "end_users:delete",
    "integrations:read",
    "integrations:write",
    "segments:read",
    "segments:write",
    "users:read",
    "users:write",
    "users:invite",
    "access_requests:manage",
    "roles:read",
    "systems:read",
    "systems:write",
    "clients:read",
    "clients:write",
    "audit:read",
    "metrics:read",
    "operate",
    "publish:test",
    "publish:production",
];

/// What each role has; beside the built-in ones, one of the configuration, and one that has nothing.
fn roles() -> Vec<(&'static str, Vec<&'static str>)> {
    let but = |without: &[&str]| ALL.iter().copied().filter(|p| !without.contains(p)).collect();
    vec![
        ("Admin", ALL.to_vec()),
        (
            "Editor",
            but(&[
                "users:write",
                "access_requests:manage",
                "clients:read",
                "clients:write",
                "systems:write",
                "publish:production",
                "operate",
                "audit:read",
                "end_users:delete",
            ]),
        ),
        (
            "Viewer",
            vec![
                "end_users:read",
                "integrations:read",
                "segments:read",
                "users:read",
                "roles:read",
                "systems:read",
                "metrics:read",
            ],
        ),
        ("Integration", vec!["end_users:write"]),
        (
            "Manager",
            vec![
                "users:read",
                "users:write",
                "users:invite",
                "access_requests:manage",
                "clients:read",
                "clients:write",
                "end_users:read",
            ],
        ),
        ("Nothing", vec![]),
    ]
}

/// An operation of the document.
struct Operation {
    id: String,
    method: Method,
    path: String,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(id) = operation["operationId"].as_str() else { continue };
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            operations.push(Operation { id: id.to_owned(), method, path: path.clone() });
        }
    }
    operations
}

/// The path of an operation about one end user.
fn fill_in(operation: &Operation, end_user: &str) -> String {
    let path = operation.path.replace("{s}", "own").replace("{id}", end_user).replace("{seg}", "big");
    path.replace("{a}", "crm.Customer_Type")
}

/// The path in a system. The other parameters name what there is not, so that an allowed call is answered 404, 409 or 422
/// and changes nothing; but where a file must be there to be asked for the permission to publish, they name that.
fn fill(operation: &Operation, system: &str) -> String {
    let publishes = matches!(operation.id.as_str(), "delete_integration" | "delete_segment");
    let mut filled = String::new();
    let mut rest = operation.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a parameter is closed");
        filled.push_str(before);
        filled.push_str(match name {
            "s" => system,
            "company" => "default",
            "i" if publishes => "crm",
            "id" if publishes => "big",
            _ => "nobody",
        });
        rest = after;
    }
    filled + rest
}

/// A body that is far enough from empty for the call to come to every permission, and changes nothing.
fn body(operation: &Operation, token: &str) -> Value {
    match operation.id.as_str() {
        "update_end_users" => json!({ "token": token, "data": [{ "Email": "a", "Seats": 50 }] }),
        "create_system" => json!({ "id": "own" }),
        id if id.starts_with("put_") && operation.path.contains("{s}") => json!({ "text": "(" }),
        _ => json!({}),
    }
}

/// Who calls: a client by its access token, or an operator by the cookie of a session.
enum By {
    Client(Client),
    Session(Visitor),
}

impl By {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        match self {
            // As from behind a proxy, so that metrics are not open to this machine.
            Self::Client(client) => client.request(method, path).header("x-forwarded-for", "203.0.113.9"),
            Self::Session(visitor) => visitor.request(method, path),
        }
    }
}

/// A call against a file that nobody has, and behind an event that never was, so that nobody follows them.
#[track_caller]
fn call(by: &By, operation: &Operation, system: &str, token: &str) -> Reply {
    let request = by.request(operation.method.clone(), &fill(operation, system)).header("if-match", "\"nobodys\"");
    let reply = request.header("last-event-id", "none").json(&body(operation, token)).ask();
    assert!(reply.status < 500, "{}: {}", operation.id, reply.body);
    reply
}

/// Someone outside of the unit group, whom nothing may name to an operator in it.
const OUTSIDE: &str = "canary-outside";
const UNIT_GROUP: &str = "[[unit_groups]]\nid = \"inside\"\nname = \"Inside\"\nrule = 'crm.Seats < 10'\n";

/// An operator of this role with this data access, as it is stored.
fn stored(name: &str, role: &str, unit_group: &str) -> Value {
    let access = json!([{ "role": role, "data_view": "own", "system": "own", "unit_group": unit_group }]);
    let roles = json!({ "primary_role": role, "extra_roles": [] });
    operator(name, &json!({ "roles": roles, "data_access": access }))
}

/// A server with two production systems, `own` and `other`, and of each role an operator with all of `own` (`role-all`) and
/// one bound to a unit group of it (`role-some`).
fn houses() -> Server {
    let mut setup = operators_setup().role("Nothing", &[]);
    setup = setup.role("Everything", &["end_users:read", "end_users:write", "end_users:delete", "segments:read"]);
    let mut operators = vec![stored("everything-some", "Everything", "inside")];
    for (role, _) in roles() {
        operators.push(stored(&format!("{role}-all"), role, "*"));
        operators.push(stored(&format!("{role}-some"), role, "inside"));
    }
    let server = setup.start();
    for id in ["own", "other"] {
        server.client().post("/admin/v1/systems", &json!({ "id": id })).is(201);
        let files = [
            ("system.toml", format!("name = \"{id}\"\nstage = \"production\"\n{UNIT_GROUP}")),
            ("integrations/crm.toml", crm()),
            ("segments/big.rhai", segment("crm.Seats > 5")),
        ];
        server.system(id).write(&files.each_ref().map(|(path, text)| (*path, text.as_str())));
        server.system(id).reload();
    }
    for (id, seats) in [("inside", 7), (OUTSIDE, 77)] {
        server.system("own").update("crm", &json!([{ "Email": id, "Seats": seats, "Type": id }])).counts();
    }
    server.put_operators(&operators)
}

fn logged_in(server: &Server, name: &str) -> By {
    let visitor = server.visitor();
    visitor.log_in(name, PASSWORD).is(204);
    By::Session(visitor)
}

#[test]
fn exactly_the_allowed_cells_answer() {
    let entries: BTreeMap<&str, &Entry> = ENTRIES.iter().map(|(id, entry)| (*id, entry)).collect();
    let about: BTreeMap<&str, About> = ABOUT.iter().copied().collect();
    let server = houses();
    let token = |system: &str| server.system(system).token("crm");
    let tokens = [("own", token("own")), ("other", token("other"))];
    let operations = operations(&server.anonymous().get("/openapi.json").is(200));
    let unlisted: Vec<_> = operations.iter().map(|o| o.id.as_str()).filter(|id| !entries.contains_key(id)).collect();
    assert!(unlisted.is_empty(), "whom are these operations for? Put them into the matrix: {unlisted:?}");
    let gone: Vec<_> = entries.keys().filter(|id| !operations.iter().any(|o| o.id == **id)).collect();
    assert!(gone.is_empty(), "there are no such operations any more: {gone:?}");

    let mut wrong = Vec::new();
    for (role, permissions) in roles() {
        // The document's `security` narrows nothing: what a role may is what its tokens may.
        let client = By::Client(server.client_of(role, Some(&["own"])).1);
        let (all, some) = (logged_in(&server, &format!("{role}-all")), logged_in(&server, &format!("{role}-some")));
        for (who, by) in [("client", &client), ("all", &all), ("some", &some)] {
            let is_session = matches!(by, By::Session(_));
            // The role Admin has every system, and all of it.
            let is_everywhere = is_session && role == "Admin";
            let sees_some = who == "some" && !is_everywhere;
            for operation in &operations {
                let id = operation.id.as_str();
                let entry = entries[id];
                if matches!(entry, Open | Page) {
                    continue;
                }
                for (system, token) in &tokens {
                    let allowed = match entry {
                        Needs(place, needed) => {
                            let has_all = needed.iter().all(|permission| permissions.contains(permission));
                            // The update names somebody new; imports that there are not are answered so.
                            let takes_all = *place != Account && about.get(id) == Some(&About::All);
                            has_all
                                && (*place == Account || *system == "own" || is_everywhere)
                                && !(sees_some && (takes_all || id == "update_end_users"))
                        }
                        _ => is_session,
                    };
                    let reply = call(by, operation, system, token);
                    let status = reply.status;
                    if (status != 403) != allowed || (status == 401 && !matches!(entry, Own)) {
                        let Operation { method, path, .. } = operation;
                        wrong
                            .push(format!("{role} {who}: {method} {path} in `{system}`: {status}, allowed: {allowed}"));
                    }
                    if sees_some && reply.body.contains(OUTSIDE) {
                        wrong.push(format!("{role} {who}: {id} tells of somebody outside: {}", reply.body));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_is_outside_of_the_unit_group_is_as_one_that_there_is_not() {
    let entries: BTreeMap<&str, &Entry> = ENTRIES.iter().map(|(id, entry)| (*id, entry)).collect();
    let about: BTreeMap<&str, About> = ABOUT.iter().copied().collect();
    let server = houses();
    let token = server.system("own").token("crm");
    let some = logged_in(&server, "everything-some");
    let times = regex::Regex::new(r"\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap();
    for operation in operations(&server.anonymous().get("/openapi.json").is(200)) {
        let id = operation.id.as_str();
        let Needs(_, needed) = entries[id] else { continue };
        let over_end_users = needed.iter().any(|permission| permission.starts_with("end_users:"));
        assert_eq!(about.contains_key(id), over_end_users, "is {id} about one end user, some or all of them?");
        if about.get(id) != Some(&About::One) {
            continue;
        }
        let ask = |end_user: &str| {
            let body = json!({ "token": token, "data": [{ "Email": end_user, "Status": "x" }] });
            let request = some.request(operation.method.clone(), &fill_in(&operation, end_user));
            let reply = if operation.method == Method::POST { request.json(&body) } else { request }.ask();
            let text = times.replace_all(&reply.body, "TIME").replace(end_user, "SOMEBODY");
            (reply.status, text)
        };
        let (outside, nobody) = (ask(OUTSIDE), ask("canary-nobody"));
        assert_eq!(outside, nobody, "{id}");
        let inside = ask("inside");
        assert!((200..300).contains(&inside.0), "{id}: {inside:?}");
        assert_ne!(inside, outside, "{id} tells of who is inside");
        if operation.method == Method::DELETE {
            server.system("own").update("crm", &json!([{ "Email": "inside", "Seats": 7, "Type": "inside" }])).counts();
        }
    }
    assert_eq!(server.system("own").attributes(OUTSIDE)["crm"]["Customer_Type"], OUTSIDE, "nothing was done to them");
}

#[test]
fn without_an_access_token_only_what_is_open_answers() {
    let entries: BTreeMap<&str, &Entry> = ENTRIES.iter().map(|(id, entry)| (*id, entry)).collect();
    let server = operators_setup().start();
    let forged = server.anonymous().with_bearer("eyJhbGciOiJub25lIn0.e30.");
    let stranger = server.visitor();
    stranger.set_cookie(Some("rollcall_session=canary".to_owned()));
    let callers = [By::Client(server.anonymous()), By::Client(forged), By::Session(stranger)];
    for operation in operations(&server.anonymous().get("/openapi.json").is(200)) {
        let Some(Needs(..) | Own) = entries.get(operation.id.as_str()) else { continue };
        for by in &callers {
            assert_eq!(call(by, &operation, "shop", "").status, 401, "{}", operation.id);
        }
    }
}
