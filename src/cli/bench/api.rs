//! The calls of the API that the benchmark makes, as ready-made requests, and what it sends under load.
//!
//! Owns paths, headers and bodies, and who the caller is. Knows nothing of time or of right answers.
//!
//! The requests of a load are made once and patched in place: the identifier, the numbers and the date stand at fixed
//! offsets with fixed widths (JSON allows the spaces before a short number), so the length never changes.

use std::io::Write as _;
use std::sync::Arc;

use serde_json::Value;

use super::dataset::{EndUser, SEED, Update};
use super::error::BenchError;
use super::load::Traffic;
use super::random::Random;
use super::segments::{INTEGRATION, SYSTEM};
use super::wire::Connection;

/// Who calls.
#[derive(Debug, Clone)]
pub(super) enum Credentials {
    /// A ready access token.
    Token(String),
    /// A client's id and secret.
    Client(String, String),
}

/// Where the server is and what opens it.
#[derive(Debug, Clone)]
pub(super) struct Api {
    /// `host:port`.
    pub(super) authority: String,
    access_token: String,
    integration_token: String,
}

impl Api {
    /// Gets an access token, to read and to import with.
    pub(super) async fn enter(authority: &str, credentials: &Credentials) -> Result<Self, BenchError> {
        let mut connection = Connection::open(authority).await?;
        let access_token = match credentials {
            Credentials::Token(token) => token.clone(),
            Credentials::Client(id, secret) => {
                let request = token_request(authority, id, secret);
                text_at(&json(connection.expect_ok(&request).await?, "the token endpoint")?, "access_token")?
            }
        };
        Ok(Self { authority: authority.to_owned(), access_token, integration_token: String::new() })
    }

    /// Gets an access token and the integration's token, to update with too.
    pub(super) async fn log_in(authority: &str, credentials: &Credentials) -> Result<Self, BenchError> {
        let api = Self::enter(authority, credentials).await?;
        let mut connection = Connection::open(authority).await?;
        let path = format!("/admin/v1/systems/{SYSTEM}/integrations/{INTEGRATION}/endpoint");
        let request = get(authority, &path, Some(&api.access_token));
        let integration_token = text_at(&json(connection.expect_ok(&request).await?, &path)?, "token")?;
        Ok(Self { integration_token, ..api })
    }

    /// The update call with these records (the inside of the array).
    pub(super) fn update(&self, records: &[u8]) -> Vec<u8> {
        let mut body = format!("{{\"token\":\"{}\",\"data\":[", self.integration_token).into_bytes();
        body.extend_from_slice(records);
        body.extend_from_slice(b"]}");
        post(&self.authority, "/public/v1/user/data", Some(&self.access_token), &body)
    }

    /// The page load of an end user.
    pub(super) fn page_load(&self, id: &str) -> Vec<u8> {
        let path = format!("/public/v1/systems/{SYSTEM}/end-users/{id}/segments");
        get(&self.authority, &path, Some(&self.access_token))
    }

    /// The call for an end user with its attributes.
    pub(super) fn end_user(&self, id: &str) -> Vec<u8> {
        get(&self.authority, &format!("/public/v1/systems/{SYSTEM}/end-users/{id}"), Some(&self.access_token))
    }

    /// The question who fulfils a rule: a page of so many, after a cursor.
    pub(super) fn query(&self, rule: &str, limit: usize, cursor: Option<&str>) -> Vec<u8> {
        self.ask(&serde_json::json!({ "rule": rule, "limit": limit, "cursor": cursor }))
    }

    /// The question how many fulfil a rule.
    pub(super) fn count(&self, rule: &str) -> Vec<u8> {
        self.ask(&serde_json::json!({ "rule": rule, "count_only": true }))
    }

    fn ask(&self, question: &Value) -> Vec<u8> {
        let path = format!("/public/v1/systems/{SYSTEM}/end-users/query");
        post(&self.authority, &path, Some(&self.access_token), question.to_string().as_bytes())
    }

    /// The list of all segments with their counts.
    pub(super) fn segments(&self) -> Vec<u8> {
        let path = format!("/public/v1/systems/{SYSTEM}/segments?limit=1000");
        get(&self.authority, &path, Some(&self.access_token))
    }

    /// The head of an import of so many bytes.
    pub(super) fn import_head(&self, bytes: u64) -> Vec<u8> {
        let path = format!("/admin/v1/systems/{SYSTEM}/integrations/{INTEGRATION}/imports");
        head("POST", &self.authority, &path, Some(&self.access_token), ("text/csv", bytes))
    }

    /// The state of an import.
    pub(super) fn import(&self, id: &str) -> Vec<u8> {
        get(&self.authority, &format!("/admin/v1/imports/{id}"), Some(&self.access_token))
    }

    /// The load of updates: one traffic a connection, over `rows` end users. `stream` tells runs apart.
    pub(super) fn updates(&self, rows: u64, connections: u64, stream: u64) -> Vec<Updates> {
        let record = br#"{"id":"u0000000","plan":"pro","logins":   0,"last_seen":"2025-01-01T00:00:00Z"}"#;
        let request: Arc<[u8]> = self.update(record).into();
        // The record is the last thing in the request, before `]}`.
        let record_at = request.len() - 2 - record.len();
        (0..connections)
            .map(|class| Updates {
                request: request.to_vec(),
                record_at,
                random: Random::new(stream * connections + class),
                rows,
                class,
                classes: connections,
                sent: None,
                acknowledged: Vec::new(),
            })
            .collect()
    }

    /// The load of page loads.
    pub(super) fn page_loads(&self, rows: u64, connections: u64, stream: u64) -> Vec<PageLoads> {
        let request = self.page_load(&EndUser::new(SEED, 0).id());
        let digits_at = request.windows(8).position(|window| window == b"u0000000").unwrap_or(0) + 1;
        (0..connections)
            .map(|class| PageLoads {
                request: request.clone(),
                digits_at,
                random: Random::new(stream * connections + class),
                rows,
            })
            .collect()
    }

    /// The load of requests that the server answers without looking at anything.
    pub(super) fn constants(&self, connections: u64) -> Vec<Constant> {
        same(&get(&self.authority, "/healthz", None), connections)
    }

    /// The request to make a user, who is mailed a link.
    pub(super) fn make_user(&self, username: &str, email: &str) -> Vec<u8> {
        let user = serde_json::json!({
            "username": username, "first_name": "", "last_name": "", "email": email,
            "roles": { "primary_role": { "role": "Viewer" }, "extra_roles": [] },
        });
        post(&self.authority, "/admin/v1/users", Some(&self.access_token), user.to_string().as_bytes())
    }

    /// The load of requests for an access token.
    pub(super) fn tokens(&self, id: &str, secret: &str, connections: u64) -> Vec<Constant> {
        same(&token_request(&self.authority, id, secret), connections)
    }
}

/// One durable update after another, each of a random end user. A connection has a class of rows to itself, so that the
/// last acknowledged update of an end user is a fact.
#[derive(Debug)]
pub(super) struct Updates {
    request: Vec<u8>,
    record_at: usize,
    random: Random,
    rows: u64,
    class: u64,
    classes: u64,
    sent: Option<(u64, Update)>,
    /// What was acknowledged: the rows and their updates, in order.
    pub(super) acknowledged: Vec<(u64, Update)>,
}

impl Traffic for Updates {
    #[expect(clippy::cast_possible_truncation, reason = "both numbers are drawn below 10,000")]
    fn next(&mut self) -> &[u8] {
        let in_class = (self.rows - self.class).div_ceil(self.classes);
        let row = self.random.below(in_class) * self.classes + self.class;
        let update = Update { logins: self.random.below(10_000) as u16, day: self.random.below(365) as u16 };
        self.sent = Some((row, update));
        // The places within the record, as `Api::updates` writes it.
        patch(&mut self.request, self.record_at + 8, 7, format_args!("{row:07}"));
        patch(&mut self.request, self.record_at + 39, 4, format_args!("{:4}", update.logins));
        patch(&mut self.request, self.record_at + 57, 20, format_args!("{}", update.last_seen()));
        &self.request
    }

    fn answered(&mut self) {
        self.acknowledged.extend(self.sent.take());
    }
}

/// One page load after another, each of a random end user.
#[derive(Debug)]
pub(super) struct PageLoads {
    request: Vec<u8>,
    digits_at: usize,
    random: Random,
    rows: u64,
}

impl Traffic for PageLoads {
    fn next(&mut self) -> &[u8] {
        let row = self.random.below(self.rows);
        patch(&mut self.request, self.digits_at, 7, format_args!("{row:07}"));
        &self.request
    }
}

/// One and the same request.
#[derive(Debug)]
pub(super) struct Constant(Vec<u8>);

/// One and the same request on so many connections.
pub(super) fn same(request: &[u8], connections: u64) -> Vec<Constant> {
    (0..connections).map(|_| Constant(request.to_vec())).collect()
}

impl Traffic for Constant {
    fn next(&mut self) -> &[u8] {
        &self.0
    }
}

/// Writes a text of that width at its place.
fn patch(request: &mut [u8], at: usize, width: usize, text: std::fmt::Arguments<'_>) {
    if let Some(mut place) = request.get_mut(at..at + width) {
        // The widths are fixed by the formats; the tests read the requests back.
        let _ = place.write_fmt(text);
    }
}

/// A GET request.
pub(super) fn get(authority: &str, path: &str, access_token: Option<&str>) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n", authorization(access_token)).into_bytes()
}

/// A request for a page, with the cookie of a session.
pub(super) fn page(authority: &str, path: &str, cookie: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nCookie: {cookie}\r\nAccept: text/html\r\n\r\n").into_bytes()
}

/// The request for an access token.
fn token_request(authority: &str, id: &str, secret: &str) -> Vec<u8> {
    let body = serde_json::json!({ "grant_type": "client_credentials", "client_id": id, "client_secret": secret });
    post(authority, "/accounts/connect/token", None, body.to_string().as_bytes())
}

/// A POST request of somebody without a token, who calls from the address of that number.
pub(super) fn post_from(authority: &str, path: &str, caller: u64, body: &Value) -> Vec<u8> {
    let [.., b, c, d] = caller.to_be_bytes();
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nX-Forwarded-For: 10.{b}.{c}.{d}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A POST request with a JSON body.
fn post(authority: &str, path: &str, access_token: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut request = head("POST", authority, path, access_token, ("application/json", body.len() as u64));
    request.extend_from_slice(body);
    request
}

/// The head of a request with a body of that type and length.
fn head(method: &str, authority: &str, path: &str, access_token: Option<&str>, (kind, length): (&str, u64)) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\n{}Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
        authorization(access_token)
    )
    .into_bytes()
}

fn authorization(access_token: Option<&str>) -> String {
    access_token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default()
}

/// An answer's body as JSON.
pub(super) fn json(body: &[u8], whose: &str) -> Result<Value, BenchError> {
    serde_json::from_slice(body).map_err(|error| BenchError::Wrong {
        what: format!("the body of {whose}"),
        expected: "JSON".into(),
        found: error.to_string(),
    })
}

/// A text member of an answer.
pub(super) fn text_at(answer: &Value, member: &str) -> Result<String, BenchError> {
    answer.get(member).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| BenchError::Wrong {
        what: format!("the member `{member}` of an answer"),
        expected: "a text".into(),
        found: answer.get(member).map_or_else(|| "nothing".into(), Value::to_string),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::dataset::Column;
    use super::*;

    fn api() -> Api {
        Api { authority: "localhost:1".into(), access_token: "access".into(), integration_token: "ab".repeat(32) }
    }

    /// Head and body of a request, its Content-Length checked.
    fn parts(request: &[u8]) -> (String, String) {
        let text = String::from_utf8(request.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        assert_eq!(length.map_or(0, |length| length.parse().unwrap()), body.len());
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn an_update_request_says_what_is_noted_as_acknowledged() {
        for mut traffic in api().updates(1000, 3, 9) {
            for _ in 0..200 {
                let (head, body) = parts(traffic.next());
                assert!(head.starts_with("POST /public/v1/user/data HTTP/1.1\r\n"), "{head}");
                assert!(head.contains("Authorization: Bearer access"));
                traffic.answered();
                let (row, update) = *traffic.acknowledged.last().unwrap();
                assert_eq!(row % 3, traffic.class, "a connection has its rows to itself");
                assert!(row < 1000);
                let user = EndUser::new(SEED, row).with(Some(update));
                let body: Value = serde_json::from_str(&body).unwrap();
                let logins: u64 = user.cell(Column::Logins).to_string().parse().unwrap();
                assert_eq!(
                    body["data"],
                    serde_json::json!([{
                        "id": user.id(), "plan": "pro", "logins": logins,
                        "last_seen": user.cell(Column::LastSeen).to_string()
                    }])
                );
            }
        }
    }

    #[test]
    fn the_connections_reach_every_row() {
        let mut seen = HashMap::new();
        for mut traffic in api().updates(10, 4, 0) {
            for _ in 0..200 {
                traffic.next();
                *seen.entry(traffic.sent.unwrap().0).or_insert(0) += 1;
            }
        }
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn a_page_load_asks_for_one_end_user_after_another() {
        let mut traffic = api().page_loads(10_000_000, 1, 0).pop().unwrap();
        let first = parts(traffic.next()).0;
        let second = parts(traffic.next()).0;
        assert_ne!(first, second);
        let line = first.lines().next().unwrap();
        let id = line.strip_prefix("GET /public/v1/systems/bench/end-users/u").unwrap();
        let digits = id.strip_suffix("/segments HTTP/1.1").unwrap();
        assert!(digits.len() == 7 && digits.parse::<u64>().is_ok(), "{line}");
    }
}
