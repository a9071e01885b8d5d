//! Letters as files: whole, private, both forms of the text, and no header that a name could begin.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::support::{Ask, Server, eventually, operator};

#[test]
fn a_letter_is_a_whole_private_file_in_two_forms() {
    let server = Server::with_admin().start();
    server.visitor().post("/accounts/forgot-password", &json!({ "email": "admin@x.example" })).is(202);
    let mail = server.home.mail_to("admin@x.example", 1);
    for part in [
        "From: Rollcall <rollcall@localhost>",
        "To: admin@x.example",
        "Subject: Choose a new Rollcall password",
        "MIME-Version: 1.0",
        "Auto-Submitted: auto-generated",
        "multipart/alternative",
        "text/plain",
        "text/html",
    ] {
        assert!(mail.contains(part), "`{part}` is not in\n{mail}");
    }
    let links = mail.matches(&format!("{}/reset?token=rcr_", server.base())).count();
    assert_eq!(links, 3, "one in the text, a button and a line in the HTML:\n{mail}");
    let outbox = server.home.data().join("outbox");
    for entry in fs::read_dir(outbox).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(entry.file_name().to_string_lossy().ends_with(".eml"), "{entry:?}");
    }
    // The file is there a moment before its letter is counted.
    eventually("the mail is counted", || {
        let metrics = server.anonymous().get("/metrics").body;
        if metrics.contains("rollcall_mails_sent_total 1") { Ok(()) } else { Err(metrics) }
    });
}

#[test]
fn a_name_with_line_breaks_begins_no_header() {
    let evil = "Eve\r\nBcc: victim@x.example\r\n\r\nBuy now";
    let eve = operator("eve", &json!({ "first_name": evil, "last_name": "=?utf-8?q?=0D=0ABcc:_victim@x.example?=" }));
    let bad = operator("bad", &json!({ "email": "bad@x.example\r\nBcc: victim@x.example" }));
    let server = Server::with_admin().start().put_operators(&[eve, bad]);
    for name in ["bad", "eve"] {
        server.visitor().post("/accounts/forgot-password", &json!({ "email": name })).is(202);
    }
    let mail = server.home.mail_to("eve@x.example", 1);
    let head = mail.split("\r\n\r\n").next().unwrap();
    let names: Vec<&str> = head.lines().filter(|l| !l.starts_with(' ')).filter_map(|l| l.split(':').next()).collect();
    let mut known =
        vec!["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"];
    known.sort_unstable();
    let mut found = names.clone();
    found.sort_unstable();
    assert_eq!(found, known, "{head}");
    server.logs("is given up");
    assert_eq!(server.home.mails().len(), 1, "an address with a line break gets no mail");
}

#[test]
fn queued_letters_outlive_a_crash() {
    let server = Server::with_admin().start();
    // The outbox can't be made where a file stands: letters wait.
    fs::write(server.home.data().join("outbox"), "in the way").unwrap();
    server.visitor().post("/accounts/forgot-password", &json!({ "email": "admin@x.example" })).is(202);
    server.logs("could not be sent");
    server.kill();
    let home = server.into_home();
    fs::remove_file(home.data().join("outbox")).unwrap();
    let server = home.start();
    server.home.mail_to("admin@x.example", 1);
    server.anonymous().request(reqwest::Method::GET, "/healthz").ask().is_success();
}
