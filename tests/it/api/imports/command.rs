//! `rollcall import`.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::{csv_integration, rows};
use crate::support::{CLIENT_ID, CLIENT_SECRET, Server, crm};

fn server() -> Server {
    Server::with(&[("s/integrations/upload.toml", csv_integration()), ("s/integrations/crm.toml", crm())]).start()
}

/// Runs `rollcall import` with a file's text, on stdin or from a file.
fn run(server: &Server, file: &str, from_stdin: bool, args: &[&str]) -> Output {
    let path = server.home.root().join("people.csv");
    std::fs::write(&path, file).unwrap();
    let mut command = server.home.command();
    command.args(["import", "--system", "s", "--url", server.base()]).args(args);
    command.env("ROLLCALL_CLIENT_ID", CLIENT_ID).env("ROLLCALL_CLIENT_SECRET", CLIENT_SECRET);
    command.arg(if from_stdin { "-" } else { "people.csv" });
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start the command");
    let mut stdin = child.stdin.take().expect("a pipe");
    if from_stdin {
        // A command that refuses before it has read all of it closes the pipe.
        let _ = stdin.write_all(file.as_bytes());
    }
    drop(stdin);
    child.wait_with_output().expect("run the command")
}

#[track_caller]
fn said(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

#[test]
fn a_file_or_stdin_is_imported_and_the_result_told() {
    let server = server();
    for from_stdin in [false, true] {
        let (out, err) = said(&run(&server, &rows(3000), from_stdin, &["--integration", "upload"]), 0);
        assert_eq!(out, "done: 3000 rows read, 3000 stored, 0 rejected\n");
        assert_eq!(err, "", "no progress bar off a terminal");
    }
    assert_eq!(server.system("s").attributes("u2999")["upload"]["Seats"], 2999);
    let listed = server.client().get("/admin/v1/systems/s/integrations/upload/imports").is(200);
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|import| &import["file_name"]).collect();
    assert_eq!(names, [&Value::Null, &Value::from("people.csv")]);
}

#[test]
fn rejected_rows_are_shown_and_are_exit_status_1() {
    let server = server();
    let file = "email,Seats\nann,1\nbob,x\n";
    let (out, _) = said(&run(&server, file, false, &["--integration", "upload"]), 1);
    assert!(out.starts_with("failed: 2 rows read, 0 stored, 1 rejected\n"), "{out}");
    assert!(out.contains("\nrow 3, Seats: the cell is no number"), "{out}");
    let (out, _) = said(&run(&server, file, true, &["--integration", "upload", "--on-error", "skip"]), 1);
    assert!(out.starts_with("done: 2 rows read, 1 stored, 1 rejected\n"), "{out}");

    let args = ["--integration", "upload", "--dry-run", "--json"];
    let (out, _) = said(&run(&server, &rows(2), false, &args), 0);
    let import: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&import["state"], &import["dry_run"], &import["stored"]), (&"done".into(), &true.into(), &0.into()));
}

#[test]
fn what_can_not_be_imported_is_told_in_the_servers_words() {
    let server = server();
    // Refused before all of it is sent.
    let large = rows(500_000);
    let (_, err) = said(&run(&server, &large, false, &["--integration", "crm"]), 1);
    assert!(err.contains("kind = \"csv\""), "{err}");
    let (_, err) = said(&run(&server, &rows(1), false, &["--integration", "none"]), 1);
    assert!(err.contains("no integration `none`"), "{err}");
    let output = server.home.run(&["import", "none.csv", "--system", "s", "--integration", "upload"]);
    assert!(said(&output, 1).1.contains("can't read none.csv"));
    let output = server.home.run(&["import", "people.csv", "--system", "s"]);
    assert!(said(&output, 2).1.contains("--integration"));
}
