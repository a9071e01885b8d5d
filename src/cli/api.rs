//! How commands call a running server's API, and show what it answers.
//!
//! Owns requests, refusals in words, and tables. Knows nothing of what is asked. Invariants: no redirect is followed, as it
//! would carry the token to whoever it names; what comes from the server reaches a terminal without control characters.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use comfy_table::{ContentArrangement, Table, presets};
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::{Method, Url};
use serde_json::Value;

use super::token::{Access, judge};

/// Longer than any server that is well takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Items of a page of a list.
const PAGE: &str = "500";

/// What every command that calls the API is told.
#[derive(Debug, clap::Args)]
pub(super) struct Call {
    #[command(flatten)]
    access: Access,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The API of one server, as one caller.
pub(super) struct Api {
    client: Client,
    server: Url,
    token: String,
}

impl Api {
    pub(super) fn new(call: &Call) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { client, server: call.access.url.clone(), token: call.access.token()? })
    }

    /// The answer to a request for a path below `/admin/v1`, part by part; null where it has no body.
    pub(super) fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.request(method, path, &[])?;
        let text = answered(match body {
            Some(body) => request.json(body),
            None => request,
        })?;
        if text.is_empty() { Ok(Value::Null) } else { parsed(&text) }
    }

    /// Every item of a list, page after page.
    pub(super) fn list(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = query.to_vec();
            query.push(("limit", PAGE));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = parsed(&answered(self.request(Method::GET, path, &query)?)?)?;
            items.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            cursor = next_cursor(&page);
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }

    /// A file.
    pub(super) fn file(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<String> {
        answered(self.request(Method::GET, path, query)?)
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<RequestBuilder> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("`{}` is no address of a server", self.server))?
            .pop_if_empty()
            .extend(["admin", "v1"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.client.request(method, url).bearer_auth(&self.token))
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

/// The text of a good answer; a refusal in the server's words, with every bad place.
fn answered(request: RequestBuilder) -> anyhow::Result<String> {
    let response = request.send().map_err(reqwest::Error::without_url);
    let response = response.context("no answer: is the server running, and is --url right?")?;
    let status = response.status();
    let text = response.text().map_err(reqwest::Error::without_url)?;
    if status.is_success() {
        return Ok(text);
    }
    let places = serde_json::from_str::<Value>(&text).ok();
    let places: String = places
        .as_ref()
        .and_then(|problem| problem.get("errors")?.as_array())
        .into_iter()
        .flatten()
        .map(|place| format!("\n  {}: {}", text_of(place, "pointer"), text_of(place, "detail")))
        .collect();
    match judge(status, &text) {
        Err(refusal) => bail!("{}", visible(&format!("{refusal}{places}"))),
        Ok(_) => bail!("{status}"),
    }
}

fn parsed(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("the answer is no JSON: is this a Rollcall server?")
}

/// A text of an answer, to be shown.
pub(super) fn text_of(value: &Value, key: &str) -> String {
    shown(value.get(key).unwrap_or(&Value::Null))
}

/// A value of an answer, to be shown.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Prints an answer as JSON.
pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    super::print(&format!("{value:#}\n"))
}

/// Prints rows as a table: fitted to a terminal, else with a tab between cells and no header, for other programs.
pub(super) fn print_table(header: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let terminal = io::stdout().is_terminal();
    super::print(&table(header, rows, terminal))
}

fn table(header: &[&str], rows: &[Vec<String>], terminal: bool) -> String {
    let clean = |row: &Vec<String>| row.iter().map(|cell| visible(cell).replace('\n', " ")).collect::<Vec<_>>();
    if !terminal {
        return rows.iter().map(|row| clean(row).join("\t") + "\n").collect();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for row in rows {
        table.add_row(clean(row));
    }
    format!("{}\n", table.trim_fmt())
}

/// The text without what a terminal would obey.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_of_list_go_on() {
        assert_eq!(next_cursor(&json!({ "next_cursor": "a" })).as_deref(), Some("a"));
        let users = json!({ "_next": { "href": "http://h/admin/v1/users?q=x&cursor=b%3D" } });
        assert_eq!(next_cursor(&users).as_deref(), Some("b="));
        assert_eq!(next_cursor(&json!({ "next_cursor": null })), None);
        assert_eq!(next_cursor(&json!({ "items": [] })), None);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        let rows = [vec!["a\u{1b}[31m".to_owned(), "b\tc\nd".to_owned()]];
        assert_eq!(table(&["A", "B"], &rows, false), "a\u{FFFD}[31m\tb\u{FFFD}c d\n");
        let wide = table(&["A", "B"], &rows, true);
        assert!(wide.starts_with(" A") && !wide.contains('\u{1b}'), "{wide}");
    }
}
