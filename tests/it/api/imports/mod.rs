//! CSV imports: files in, what becomes of them, and what a crash does to that.

mod access;
mod change;
mod command;
mod crash;
mod files;
mod meaning;
mod round_trip;
mod uploads;

use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Ask, Client, Reply, System, eventually, property};

/// An integration of kind `csv`: `email`; `Type` (as `Customer_Type`), `Seats`, `Signup`.
pub fn csv_integration() -> String {
    let properties = [("Type", "Customer_Type", "string"), ("Seats", "", "number"), ("Signup", "", "date")]
        .map(|(f, n, t)| property(f, n, t));
    format!("kind = \"csv\"\nuser_identifier = \"email\"\n{}", properties.concat())
}

/// The files of a system with that integration as `upload`.
fn rules() -> Vec<(&'static str, String)> {
    vec![("integrations/upload.toml", csv_integration())]
}

/// A file of so many good rows: `u0`, `u1`, …; `Seats` is the number.
fn rows(count: usize) -> String {
    let rows = (0..count).map(|n| format!("u{n},paying,{n},2024-02-29\n"));
    std::iter::once("email,Type,Seats,Signup\n".to_owned()).chain(rows).collect()
}

/// Uploads a file to the integration `upload`, with these query parameters.
fn send(system: &System<'_>, query: &str, file: impl Into<reqwest::blocking::Body>) -> Reply {
    let path = system.admin(&format!("integrations/upload/imports{query}"));
    system.client.request(Method::POST, &path).header("content-type", "text/csv").body(file).ask()
}

/// Uploads a file; the id of the import that it became.
#[track_caller]
fn begin(system: &System<'_>, query: &str, file: impl Into<reqwest::blocking::Body>) -> String {
    let reply = send(system, query, file);
    let import = reply.is(202);
    let id = import["id"].as_str().expect("an import has an id").to_owned();
    assert_eq!(reply.header("location"), format!("/admin/v1/imports/{id}"));
    assert_eq!(import["state"], "validating", "{import}");
    id
}

/// An import as it is now.
#[track_caller]
fn look(client: &Client, id: &str) -> Value {
    client.get(&format!("/admin/v1/imports/{id}")).is(200)
}

/// Waits for an import's end, however long that is, as long as it gets further.
#[track_caller]
fn ended(client: &Client, id: &str) -> Value {
    let mut seen = Value::Null;
    while !["done", "failed"].contains(&seen["state"].as_str().unwrap_or_default()) {
        seen = eventually("the import gets further", || {
            let import = look(client, id);
            if import == seen { Err(import.to_string()) } else { Ok(import) }
        });
    }
    seen
}

/// Uploads a file and waits for the end of its import.
#[track_caller]
fn import(system: &System<'_>, query: &str, file: impl Into<reqwest::blocking::Body>) -> Value {
    let id = begin(system, query, file);
    ended(&system.client, &id)
}

/// Asserts how an import ended and its counts: rows read, stored, rejected.
#[track_caller]
fn came_to(import: &Value, state: &str, counts: [u64; 3]) {
    let found = ["rows_read", "stored", "rejected"].map(|key| import[key].as_u64().unwrap_or(u64::MAX));
    assert_eq!((import["state"].as_str(), found), (Some(state), counts), "{import:#}");
}

/// The bad places of an import, as `row column code`.
fn bad(import: &Value) -> Vec<String> {
    let errors = import["errors"].as_array().expect("`errors` is a list");
    let told = |error: &Value| {
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
        let column = error["column"].as_str().unwrap_or("-");
        format!("{} {column} {}", error["row"], error["code"].as_str().expect("a code"))
    };
    errors.iter().map(told).collect()
}

/// The names of the files in the folder of uploads, without the lists of errors.
fn spooled(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("imports")).expect("the folder of uploads");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".errors")).collect()
}
