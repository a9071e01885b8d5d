//! The list of users as a file: all of it, and safe to open in a spreadsheet.

use serde_json::json;

use crate::support::{ADMIN_PASSWORD, fresh, operators, operators_setup, user};

/// The cells of a CSV file, line by line (RFC 4180).
pub(in crate::api) fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    assert!(!quoted && cell.is_empty(), "the file ends with a line");
    rows
}

#[test]
fn the_export_has_every_user_and_both_names() {
    let server = operators_setup().start();
    let client = server.client();
    for number in 0..60 {
        client.post("/admin/v1/users", &user(&format!("u{number:02}"), "Viewer")).is(200);
    }
    let reply = client.get("/admin/v1/users/export");
    assert!(reply.header("content-type").starts_with("text/csv"), "{:?}", reply.headers);
    assert!(reply.header("content-disposition").contains("users.csv"), "{:?}", reply.headers);
    let rows = cells(&reply.body);
    assert_eq!(rows.len(), 1 + 61, "no page ends it");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{:?}", rows[0]);
    let column =
        |name: &str| rows[0].iter().position(|cell| cell == name).unwrap_or_else(|| panic!("no {name}: {:?}", rows[0]));
    assert_eq!((rows[2][column("username")].as_str(), rows[2][column("status")].as_str()), ("u00", "PROVISIONED"));
    assert_eq!(rows[2][column("email")], "u00@example.com");
    assert_eq!(client.get("/admin/v1/users-bulk-download").body, reply.body);
    let filtered = cells(&client.get("/admin/v1/users/export?username=u03,u04").body);
    assert_eq!(filtered.len(), 3);
    client.get("/admin/v1/users/export?colour=red").problem(400);
    for secret in ["argon2", ADMIN_PASSWORD] {
        assert!(!reply.body.contains(secret));
    }
}

#[test]
fn no_cell_is_taken_for_a_formula() {
    let client = operators().client();
    let hostile =
        ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "＝1", "\"=1\"", "a,=b", "=HYPERLINK(\"http://x\",\"y\")"];
    let prefix = fresh("csv");
    for (number, text) in hostile.iter().enumerate() {
        let mut body = user(&format!("{prefix}-{number}"), "Viewer");
        body["first_name"] = json!(text);
        body["last_name"] = json!(text);
        body["sso_id"] = json!(format!("{text}{prefix}{number}"));
        client.post("/admin/v1/users", &body).is(200);
    }
    // Usernames and addresses are the caller's words, too.
    let mut body = user(&format!("-{prefix}"), "Viewer");
    body["email"] = json!(format!("=1+{prefix}@example.com"));
    client.post("/admin/v1/users", &body).is(200);
    let text = client.get(&format!("/admin/v1/users/export?q={prefix}")).body;
    let rows = cells(&text);
    assert_eq!(rows.len(), 1 + hostile.len() + 1);
    for cell in rows.iter().skip(1).flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝']), "{cell}");
    }
    assert!(rows.iter().flatten().any(|cell| cell == "'=cmd|' /C calc'!A0"), "neutral, and still to be read: {text}");
}
