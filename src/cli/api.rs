//! The admin API as commands call it, and how what it answers is shown.
//!
//! Owns its paths and tables. Knows nothing of what is asked, and leaves requests to `remote`. Invariant: what comes from
//! the server reaches a terminal without control characters.

use std::io::{self, IsTerminal};

use comfy_table::{ContentArrangement, Table, presets};
use reqwest::Method;
use serde_json::Value;

pub(super) use super::remote::visible;
use super::remote::{Remote, encoded};
use super::token::Access;

/// What every command that calls the API is told.
#[derive(Debug, clap::Args)]
pub(super) struct Call {
    #[command(flatten)]
    access: Access,
    /// Print the server's answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The admin API of one server, as one caller. A path is given part by part.
pub(super) struct Api(Remote);

impl Api {
    pub(super) fn new(call: &Call) -> anyhow::Result<Self> {
        Remote::connect(&call.access).map(Self)
    }

    /// The answer to a request; null where it has no body.
    pub(super) fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        self.0.call(method, &admin(path, &[]), body)
    }

    /// Every item of a list, page after page.
    pub(super) fn list(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
        self.0.list(&admin(path, query))
    }

    /// A file.
    pub(super) fn file(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<String> {
        self.0.text(&admin(path, query))
    }
}

/// A path below `/admin/v1` with its query.
fn admin(path: &[&str], query: &[(&str, &str)]) -> String {
    let path: String = path.iter().map(|part| format!("/{}", encoded(part))).collect();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let with = if query.is_empty() { "" } else { "?" };
    format!("admin/v1{path}{with}{}", query.join("&"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_of_whole_parts() {
        assert_eq!(admin(&["users"], &[]), "admin/v1/users");
        assert_eq!(admin(&["users", "a/b ü"], &[("q", "x&y")]), "admin/v1/users/a%2Fb%20%C3%BC?q=x%26y");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        let rows = [vec!["a\u{1b}[31m".to_owned(), "b\tc\nd".to_owned()]];
        assert_eq!(table(&["A", "B"], &rows, false), "a\u{FFFD}[31m\tb\u{FFFD}c d\n");
        let wide = table(&["A", "B"], &rows, true);
        assert!(wide.starts_with(" A") && !wide.contains('\u{1b}'), "{wide}");
    }
}
