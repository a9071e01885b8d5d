//! Data access: an operator sees, counts and infers only the end users of their unit groups, whatever they ask.
//!
//! The measure is a second system that holds nobody else: what an operator is answered about part of a system must be
//! what a client with everything is answered about a system that is that part.

mod events;
mod moves;
mod reads;
mod writes;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Ask, Client, PASSWORD, Reply, Server, System, Visitor, integration, operator as stored, segment, user,
};

/// Who asks: a client with an access token, or an operator in a session.
trait Asker {
    fn send(&self, method: Method, path: &str, accept: &str, body: Option<&Value>) -> Reply;
}

impl Asker for Client {
    fn send(&self, method: Method, path: &str, accept: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path).header("accept", accept);
        if let Some(body) = body { request.json(body) } else { request }.ask()
    }
}

impl Asker for Visitor {
    fn send(&self, method: Method, path: &str, accept: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path).header("accept", accept);
        self.ask(if let Some(body) = body { request.json(body) } else { request })
    }
}

/// Operators that there are from the start, each for one test: so none waits for a mail.
const OPERATORS: usize = 40;

/// A server with roles that split what one may do with end users.
fn start() -> Server {
    let server = Server::with(&[("idle/integrations/crm.toml", crm())])
        // Scripts take long where nothing is optimized.
        .config("[limits]\nscript_us = 100000\n")
        .role("Reader", &["end_users:read", "segments:read", "integrations:read", "systems:read"])
        .role("Plain", &["end_users:read"])
        .role("Namer", &["segments:read"])
        .role("Writer", &["end_users:write"])
        .role("Keeper", &["end_users:delete"])
        .env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start();
    // One record for all, as hashing passwords takes its time.
    let record = stored("", &json!({ "data_access": [] }));
    let named = |n: usize| {
        let mut record = record.clone();
        (record["username"], record["email"]) = (json!(format!("op{n}")), json!(format!("op{n}@example.com")));
        record
    };
    server.put_operators(&(0..OPERATORS).map(named).collect::<Vec<_>>())
}

/// The server that these tests share.
fn server() -> &'static Server {
    static SHARED: LazyLock<Server> = LazyLock::new(|| {
        let server = start();
        server.dies_with_the_tests();
        server
    });
    &SHARED
}

/// An operator with these entries of data access, logged in. Each entry's role is held.
#[track_caller]
fn operator(server: &Server, access: &[Value]) -> Visitor {
    named_operator(server, access).1
}

/// The same with the username, which no other test has.
#[track_caller]
fn named_operator(server: &Server, access: &[Value]) -> (String, Visitor) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    assert!(number < OPERATORS, "there are no more operators: raise OPERATORS");
    let username = format!("op{number}");
    let mut roles: Vec<&str> = access.iter().map(|entry| entry["role"].as_str().unwrap()).collect();
    roles.dedup();
    let mut body = user(&username, roles.first().unwrap_or(&"Reader"));
    body["roles"]["extra_roles"] = roles.iter().skip(1).map(|role| json!({ "role": role })).collect();
    body["data-access"]["organization"] = json!(access);
    server.client().put(&format!("/admin/v1/users/{username}"), &body).is(200);
    let visitor = server.visitor();
    visitor.log_in(&username, PASSWORD).is(204);
    (username, visitor)
}

fn crm() -> String {
    integration(
        "Email",
        &[("Team", "", "string"), ("Note", "", "string"), ("Seats", "", "number"), ("Since", "", "date")],
    )
}

const GROUPS: &str = r#"
[[unit_groups]]
id = "(U) a"
name = "Team A"
rule = 'crm.Team == "A"'
[[unit_groups]]
id = "b"
name = "Team B"
rule = 'crm.Team == "B"'
"#;

/// The rules of a system of teams.
fn rules() -> Vec<(&'static str, String)> {
    vec![
        ("system.toml", GROUPS.to_owned()),
        ("integrations/crm.toml", crm()),
        ("integrations/files.toml", format!("kind = \"csv\"\n{}", crm().split_once("kind = \"api\"\n").unwrap().1)),
        ("segments/big.rhai", segment("crm.Seats >= 50")),
        ("segments/known.rhai", segment("is_set(crm.Team)")),
        ("segments/unknown.rhai", segment("crm.Team == ()")),
        ("segments/nested.rhai", segment("in_segment(\"big\") && crm.Note != \"quiet\"")),
        (
            "segments/script.rhai",
            segment("let n = 0; for i in 0..3 { n += i; } crm.Seats > n * 20 || crm.Note == \"loud\""),
        ),
    ]
}

/// Everybody there is, of three teams; those of `C` are nobody's.
const PEOPLE: [(&str, &str, &str, f64, &str); 11] = [
    ("c1", "C", "secret", 1e6, "1970-01-01"),
    ("a1", "A", "loud", 10.0, "2024-01-01"),
    ("c2", "C", "secret", 70.0, "2099-01-01"),
    ("b1", "B", "quiet", 55.0, "2024-02-01"),
    ("a2", "A", "quiet", 60.0, "2024-03-01"),
    ("c3", "C", "loud", 5.0, "2024-01-01"),
    ("a3", "A", "plain", 90.0, "2024-04-01"),
    ("b2", "B", "plain", 20.0, "2024-05-01"),
    ("a4", "A", "plain", 50.0, "2024-01-01"),
    ("c4", "C", "plain", 50.0, "2024-01-01"),
    ("c5", "C", "secret", -1e6, "2024-01-01"),
];

/// A system that holds the people of these teams, and nobody else.
#[track_caller]
fn system_of<'a>(server: &'a Server, teams: &[&str]) -> System<'a> {
    let system = server.add_system(&rules());
    for (id, team, note, seats, since) in PEOPLE.iter().filter(|person| teams.contains(&person.1)) {
        let record = json!({ "Email": id, "Team": team, "Note": note, "Seats": seats, "Since": since });
        system.update("crm", &json!([record])).counts();
    }
    system
}
