//! Commands that ask a server: query, export, diff.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Home, Server, System, crm, segment, shared, write_tree};

fn system() -> System<'static> {
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("segments/big.rhai", segment("crm.Seats >= 50")),
        ("segments/small.rhai", segment("crm.Seats < 50")),
    ]);
    let record = |n: u32| json!({ "Email": format!("u{n:03}"), "Seats": n, "Type": "=x" });
    system.update("crm", &(0..100).map(record).collect()).counts();
    system
}

fn run(system: &System<'_>, args: &[&str]) -> Output {
    let mut command = system.server.home.command();
    command.env("ROLLCALL_URL", system.server.base()).env("ROLLCALL_TOKEN", system.client.bearer());
    command.args(args).output().expect("run the binary")
}

#[track_caller]
fn stdout(output: Output, code: i32) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    out.into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn query_prints_who_fulfils_a_rule() {
    let system = system();
    let query = |args: &[&str]| run(&system, &[&["query", "--system", &system.id], args].concat());
    assert_eq!(stdout(query(&["crm.Seats >= 98"]), 0), "u098\t=x\t98\nu099\t=x\t99\n");
    assert_eq!(stdout(query(&["crm.Seats >= 98", "--select", "crm.Seats"]), 0), "u098\t98\nu099\t99\n");
    assert_eq!(stdout(query(&["in_segment(\"big\")", "--count"]), 0), "50\n");
    assert_eq!(stdout(query(&["--limit", "3", "--select", ""]), 0), "u000\nu001\nu002\n");
    let filter = r#"{"attribute":"crm.Seats","operator":"less_than","value":2}"#;
    let found: Value = serde_json::from_str(&stdout(query(&["--where", filter, "--json"]), 0)).unwrap();
    assert_eq!((&found["total"], found["items"].as_array().unwrap().len()), (&json!(2), 2));

    let wrong = query(&["crm.Seets > 1"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("rule: 1:5: ") && stderr(&wrong).contains("crm.Seats"), "{}", stderr(&wrong));
    assert_eq!(query(&["true", "--where", "{}"]).status.code(), Some(2), "one way to ask");
    let nobody = query(&["true"]).status.code().zip(run(&system, &["query", "true", "--system", "nope"]).status.code());
    assert_eq!(nobody, Some((0, 1)));
}

#[test]
fn export_writes_a_whole_file_or_none() {
    let system = system();
    let export = |args: &[&str]| run(&system, &[&["export", "--system", &system.id], args].concat());
    let csv = stdout(export(&["--rule", "crm.Seats >= 99"]), 0);
    assert_eq!(csv, "Email,Type,Status,Seats,Signup\r\nu099,'=x,,99,\r\n");
    assert!(stdout(export(&["--rule", "crm.Seats >= 99", "--raw"]), 0).ends_with("u099,=x,,99,\r\n"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.ndjson");
    let path = file.display().to_string();
    assert_eq!(stdout(export(&["--format", "ndjson", "-o", &path, "--select", "crm.Seats"]), 0), "");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 100);
    assert_eq!(text.lines().next(), Some(r#"{"id":"u000","attributes":{"crm":{"Seats":0}}}"#));
    let refused = export(&["--rule", "crm.Nope > 1", "-o", &path]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "the file that was there stays");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    let unwritable = export(&["-o", "/no/such/folder/x.csv"]);
    assert_eq!(unwritable.status.code(), Some(1));
    assert!(stderr(&unwritable).contains("/no/such/folder/x.csv"), "{}", stderr(&unwritable));
}

/// A branch of a server's rules, in a folder of its own.
fn branch(server: &Server, changes: &[(&str, Option<String>)]) -> Home {
    let home = Server::with::<&str, &str>(&[]).home();
    copy(&server.home.rules(), &home.rules());
    for (path, text) in changes {
        match text {
            Some(text) => write_tree(&home.rules(), &[(*path, text.as_str())]),
            None => fs::remove_file(home.rules().join(path)).expect("remove a rule file"),
        }
    }
    home
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn diff_tells_who_would_enter_and_leave_before_a_branch_is_merged() {
    let files = [
        ("s/integrations/crm.toml", crm()),
        ("s/segments/big.rhai", segment("crm.Seats >= 50")),
        ("s/segments/small.rhai", segment("crm.Seats < 50")),
        ("t/integrations/crm.toml", crm()),
    ];
    let server = Server::with(&files).start();
    let system = server.system("s");
    let record = |n: u32| json!({ "Email": format!("u{n:03}"), "Seats": n });
    system.update("crm", &(0..100).map(record).collect()).counts();
    let token = server.client_with("systems:read integrations:read segments:read end_users:read");
    let diff = |home: &Home, args: &[&str]| {
        let mut command = home.command();
        command.env("ROLLCALL_TOKEN", token.bearer());
        command.args(["diff", "rules", "--url", server.base()]).args(args).output().expect("run the binary")
    };

    let same = branch(&server, &[]);
    assert_eq!(stdout(diff(&same, &["--fail-over", "0%"]), 0), "s: no difference\nt: no difference\n");

    let changed = branch(
        &server,
        &[
            ("s/segments/big.rhai", Some(segment("crm.Seats >= 53"))),
            ("s/segments/new.rhai", Some(segment("crm.Seats == 1"))),
            ("u/integrations/crm.toml", Some(crm())),
        ],
    );
    let table = stdout(diff(&changed, &[]), 0);
    let row = table.lines().find(|line| line.trim_start().starts_with("big")).unwrap_or_else(|| panic!("{table}"));
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["big", "50", "47", "+0", "-3", "6.0%"]);
    assert!(table.contains("u: not on the server yet") && !table.contains("u050"), "{table}");
    stdout(diff(&changed, &["--fail-over", "6%"]), 0);
    let over = stdout(diff(&changed, &["--fail-over", "5%"]), 1);
    assert!(over.contains("over the limit of 5%: s/big"), "{over}");
    let document: Value =
        serde_json::from_str(&stdout(diff(&changed, &["--json", "--samples", "--system", "s"]), 0)).unwrap();
    let systems = document["systems"].as_array().unwrap();
    assert_eq!((systems.len(), &document["failed"]), (1, &json!(false)));
    assert_eq!(systems[0]["files"], json!({ "segments/big.rhai": "changed", "segments/new.rhai": "added" }));
    assert_eq!(systems[0]["segments"][0]["sample_leaves"], json!(["u050", "u051", "u052"]));
    let summary = stdout(diff(&changed, &["--format", "github"]), 0);
    assert!(summary.contains("| big | 50 | 47 | +0 | -3 | 6.0% |"), "{summary}");

    let broken =
        branch(&server, &[("s/segments/big.rhai", Some(segment("crm.Seets > 1"))), ("s/segments/small.rhai", None)]);
    let output = diff(&broken, &[]);
    assert!(stderr(&output).contains("rules/s/segments/big.rhai:2:5: "), "{}", stderr(&output));
    assert!(stdout(output, 1).contains("s: does not load: 1 error"));

    let gone = branch(&server, &[]);
    fs::remove_dir_all(gone.rules().join("t")).unwrap();
    assert!(stdout(diff(&gone, &[]), 0).contains("t: would be gone"));
    stdout(diff(&gone, &["--fail-over", "5%"]), 1);
    assert_eq!(diff(&gone, &["--fail-over", "much"]).status.code(), Some(2));
    assert_eq!(system.report()["revision"], server.system("s").report()["revision"]);
    assert_eq!(system.segments("u050"), ["big"], "nothing was changed");
}
