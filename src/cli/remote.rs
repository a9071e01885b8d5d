//! The server that a command speaks to: requests below its address, lists page by page, and refusals in words.
//!
//! Knows nothing of what is asked. Invariants: a redirect is never followed, as it would carry the token to whoever it
//! names; what a terminal would obey is not shown on it.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::token::{Access, below, judge};

/// Longer than the server takes for anything that it answers at once.
const PATIENCE: Duration = Duration::from_secs(120);
/// For finding nobody there.
const CONNECT: Duration = Duration::from_secs(10);

/// A server, with an access token for it.
pub(super) struct Remote {
    client: Client,
    url: Url,
    token: String,
}

impl Remote {
    /// Gets an access token.
    pub(super) fn connect(access: &Access) -> anyhow::Result<Self> {
        let redirect = reqwest::redirect::Policy::none();
        let client = Client::builder().connect_timeout(CONNECT).timeout(None).redirect(redirect).build()?;
        Ok(Self { client, url: access.url.clone(), token: access.token()? })
    }

    /// The server's address.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// A request to a path below the server's address, as percent-encoded parts; not yet sent.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut url = below(&self.url, path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        self.client.request(method, url).bearer_auth(&self.token)
    }

    /// The JSON that a path answers.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        json(self.request(Method::GET, path).timeout(PATIENCE))
    }

    /// The JSON that a path answers to a body.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        json(self.request(Method::POST, path).timeout(PATIENCE).json(body))
    }

    /// What a path answers as text.
    pub(super) fn text(&self, path: &str) -> anyhow::Result<String> {
        text(self.request(Method::GET, path).timeout(PATIENCE))
    }

    /// What a call answers, with a body or without; null where there is nothing in the answer.
    pub(super) fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.request(method, path).timeout(PATIENCE);
        let text = text(match body {
            Some(body) => request.json(body),
            None => request,
        })?;
        if text.is_empty() { Ok(Value::Null) } else { parsed(&text) }
    }

    /// All items of a list, page by page.
    pub(super) fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        let with = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut page = self.get(&format!("{path}{with}limit=1000&cursor={}", encoded(&cursor)))?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match next_cursor(&page) {
                Some(next) => cursor = next,
                None => return Ok(items),
            }
        }
    }
}

/// The cursor of the page behind this one, in either form of list.
fn next_cursor(page: &Value) -> Option<String> {
    if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
        return Some(cursor.to_owned());
    }
    let next: Url = page.get("_next")?.get("href")?.as_str()?.parse().ok()?;
    next.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
}

/// Sends a request; a refusal is an error in the server's words.
pub(super) fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    let (client, request) = request.build_split();
    let request = request?;
    let url = request.url().clone();
    let sent = client.execute(request).map_err(reqwest::Error::without_url);
    let response = sent.with_context(|| format!("no answer from {url}: is the server running, and is --url right?"))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().map_err(reqwest::Error::without_url)?;
    bail!("{}", refusal(status, &text));
}

fn json(request: RequestBuilder) -> anyhow::Result<Value> {
    parsed(&text(request)?)
}

fn text(request: RequestBuilder) -> anyhow::Result<String> {
    send(request)?.text().map_err(reqwest::Error::without_url).context("the answer broke off")
}

fn parsed(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("the answer is no JSON: is this a Rollcall server?")
}

/// A refusal in words: what a problem document says, each of its bad places on a line of its own.
fn refusal(status: StatusCode, text: &str) -> String {
    let mut words = judge(status, text).err().map_or_else(|| status.to_string(), |refusal| refusal.to_string());
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let place = part("pointer").trim_start_matches('/');
        words.push_str(&format!("\n  {place}{}{}", if place.is_empty() { "" } else { ": " }, part("detail")));
    }
    visible(&words)
}

/// The text without what a terminal would obey.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

/// A part of a path, percent-encoded.
pub(super) fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_each_bad_place() {
        let problem = r#"{"title":"Refused","detail":"the filter has mistakes","errors":[{"pointer":"/where/value","code":"x","detail":"must be a number"},{"pointer":"","code":"x","detail":"more"}]}"#;
        let told = refusal(StatusCode::UNPROCESSABLE_ENTITY, problem);
        assert_eq!(told, "Refused: the filter has mistakes\n  where/value: must be a number\n  more");
        assert!(refusal(StatusCode::BAD_GATEWAY, "<html>").contains("is this a Rollcall server?"));
    }

    #[test]
    fn both_forms_of_list_go_on() {
        let next = |page: Value| next_cursor(&page);
        assert_eq!(next(serde_json::json!({ "next_cursor": "a" })).as_deref(), Some("a"));
        let users = serde_json::json!({ "_next": { "href": "http://h/admin/v1/users?q=x&cursor=b%3D" } });
        assert_eq!(next(users).as_deref(), Some("b="));
        assert_eq!(next(serde_json::json!({ "next_cursor": null })), None);
        assert_eq!(next(serde_json::json!({ "items": [] })), None);
    }

    #[test]
    fn paths_are_below_the_servers_address() {
        let remote = |url: &str| Remote { client: Client::new(), url: url.parse().unwrap(), token: String::new() };
        for (url, path, expected) in
            [("http://a", "x/y", "http://a/x/y"), ("https://a/rollcall/", "x?limit=1", "https://a/rollcall/x?limit=1")]
        {
            let request = remote(url).request(Method::GET, path).build().unwrap();
            assert_eq!(request.url().as_str(), expected);
        }
        assert_eq!(encoded("a/b ü"), "a%2Fb%20%C3%BC");
    }
}
