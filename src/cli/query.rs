//! `rollcall query`: who fulfils a rule, asked of a running server.
//!
//! On a terminal a table; off it a line an end user, the identifier first, with tabs between, for other programs.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::Attributes;
use super::remote::{Remote, encoded, visible};
use super::token::Access;

/// End users of one answer.
const PAGE: usize = 1_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A rule, written as that of a segment: who would be in it [default: everybody]
    #[arg(conflicts_with = "condition")]
    rule: Option<String>,
    /// A filter as JSON, in place of a rule
    #[arg(long = "where", value_name = "JSON", value_parser = super::json_value)]
    condition: Option<Value>,
    /// The system
    #[arg(long, value_name = "ID")]
    system: String,
    /// Print how many they are, and nothing else
    #[arg(long)]
    count: bool,
    /// The attributes to show, with commas between them; empty: none [default: all]
    #[arg(long, value_name = "ATTRIBUTES")]
    select: Option<Attributes>,
    /// How many end users to give at most
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    /// Print JSON: `{"total", "items"}`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { rule, condition, system, count, select, limit, json: as_json, access } = args;
    let select = select.map(|Attributes(select)| select);
    let mut question = json!({ "count_only": count });
    for (key, value) in
        [("rule", rule.map(Value::from)), ("where", condition), ("select", select.clone().map(Value::from))]
    {
        if let (Some(question), Some(value)) = (question.as_object_mut(), value) {
            question.insert(key.to_owned(), value);
        }
    }
    let found = ask(&Remote::connect(&access)?, &system, question, if count { 1 } else { limit })?;
    if let Some(error) = &found.error {
        let error = visible(error);
        let failed = format!("warning: the rule failed for {} end users, who are left out: {error}\n", found.errors);
        io::Write::write_all(&mut io::stderr(), failed.as_bytes())?;
    }
    let text = match (count, as_json) {
        (true, false) => format!("{}\n", found.total),
        (true, true) => format!("{}\n", json!({ "total": found.total })),
        (false, true) => format!("{:#}\n", json!({ "total": found.total, "items": found.items })),
        (false, false) if io::stdout().is_terminal() => table(&found, select.as_deref()),
        (false, false) => lines(&found, select.as_deref()),
    };
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What was found.
#[derive(Default)]
struct Found {
    total: u64,
    items: Vec<Value>,
    errors: u64,
    error: Option<String>,
}

/// Asks page by page, until there are enough.
fn ask(server: &Remote, system: &str, mut question: Value, limit: usize) -> anyhow::Result<Found> {
    let path = format!("public/v1/systems/{}/end-users/query", encoded(system));
    let mut found = Found::default();
    loop {
        if let Some(question) = question.as_object_mut() {
            let left = limit.saturating_sub(found.items.len()).clamp(1, PAGE);
            question.insert("limit".to_owned(), left.into());
        }
        let mut page = server.post(&path, &question)?;
        found.total = page.get("total").and_then(Value::as_u64).unwrap_or_default();
        found.errors = page.get("errors").and_then(Value::as_u64).unwrap_or_default();
        found.error = page.get("last_error").and_then(Value::as_str).map(str::to_owned);
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            found.items.extend(items);
        }
        found.items.truncate(limit);
        match (page.get_mut("next_cursor").map(Value::take), question.as_object_mut()) {
            (Some(Value::String(cursor)), Some(question)) if found.items.len() < limit => {
                question.insert("cursor".to_owned(), cursor.into());
            }
            _ => return Ok(found),
        }
    }
}

/// The attributes that are shown, in order: those asked for, or those that somebody has.
fn columns(found: &Found, select: Option<&[String]>) -> Vec<String> {
    if let Some(select) = select {
        return select.to_vec();
    }
    let attributes = found.items.iter().filter_map(|item| item.get("attributes")?.as_object()).flatten();
    let ids = attributes.flat_map(|(integration, values)| {
        let names = values.as_object().into_iter().flat_map(|values| values.keys());
        names.map(move |name| format!("{integration}.{name}"))
    });
    ids.collect::<BTreeSet<String>>().into_iter().collect()
}

/// An end user's cells: the identifier, then the attributes.
fn cells(item: &Value, columns: &[String]) -> Vec<String> {
    let value = |id: &String| {
        let (integration, name) = id.split_once('.')?;
        let value = item.get("attributes")?.get(integration)?.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    std::iter::once(id).chain(columns.iter().map(|column| value(column).unwrap_or_default())).collect()
}

fn table(found: &Found, select: Option<&[String]>) -> String {
    let columns = columns(found, select);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(std::iter::once("id".to_owned()).chain(columns.iter().cloned()));
    found.items.iter().for_each(|item| {
        table.add_row(cells(item, &columns).iter().map(|cell| visible(cell)));
    });
    let shown = found.items.len();
    let more = if (shown as u64) < found.total { format!(", of whom {shown} are shown") } else { String::new() };
    let people = if found.total == 1 { "end user" } else { "end users" };
    let head = if found.items.is_empty() { String::new() } else { format!("{}\n\n", table.trim_fmt()) };
    format!("{head}{} {people}{more}\n", found.total)
}

fn lines(found: &Found, select: Option<&[String]>) -> String {
    let columns = columns(found, select);
    // What would end a cell or a line is a space.
    let plain = |cell: String| visible(&cell.replace(['\t', '\n', '\r'], " "));
    let line = |item: &Value| cells(item, &columns).into_iter().map(plain).collect::<Vec<_>>().join("\t") + "\n";
    found.items.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let items = vec![
            json!({ "id": "a", "attributes": { "crm": { "Seats": 5, "Type": "x\ty" } } }),
            json!({ "id": "b", "attributes": { "web": { "Visits": 1.5 } } }),
        ];
        Found { total: 7, items, errors: 0, error: None }
    }

    #[test]
    fn end_users_are_lines_for_programs_and_a_table_for_people() {
        assert_eq!(lines(&found(), None), "a\t5\tx y\t\nb\t\t\t1.5\n");
        assert_eq!(lines(&found(), Some(&["web.Visits".to_owned()])), "a\t\nb\t1.5\n");
        let table = table(&found(), None);
        assert!(table.contains("crm.Seats") && table.ends_with("7 end users, of whom 2 are shown\n"), "{table}");
        assert_eq!(super::table(&Found { total: 0, ..Found::default() }, None), "0 end users\n");
    }
}
