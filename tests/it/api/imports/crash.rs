//! Imports through crashes and stops: each goes on where it was, and ends with the counts of one that nothing disturbed.

use serde_json::Value;

use super::{begin, came_to, csv_integration, ended, look, rows, spooled};
use crate::support::{Server, eventually};

/// Rows of a file that takes some batches to apply and some rounds to validate.
const ROWS: usize = 60_000;

fn server() -> Server {
    Server::with(&[("s/integrations/upload.toml", csv_integration())]).start()
}

/// A file of so many rows, every thousandth of them bad.
fn spotted(count: usize) -> String {
    let spot = |(at, line): (usize, &str)| {
        if at % 1000 == 500 { format!("{line},too much\n") } else { format!("{line}\n") }
    };
    rows(count).lines().enumerate().map(spot).collect()
}

/// Asserts that the import came to its end, all its good rows stored, and nothing left but its errors.
#[track_caller]
fn is_whole(server: Server, id: &str) {
    let bad = (ROWS / 1000) as u64;
    let import = ended(&server.client(), id);
    came_to(&import, "done", [ROWS as u64, ROWS as u64 - bad, bad]);
    assert_eq!(import["errors"].as_array().unwrap().len(), bad as usize);
    let csv = server.client().get(&format!("/admin/v1/imports/{id}/errors.csv"));
    assert_eq!(csv.body.lines().count(), 1 + bad as usize);
    assert_eq!(spooled(&server.home.data()), [] as [String; 0]);
    let system = server.system("s");
    for n in (0..ROWS).step_by(1499).chain([1, ROWS - 1]) {
        let expected = if n % 1000 == 499 { Value::Null } else { Value::from(n) };
        assert_eq!(system.attributes(&format!("u{n}"))["upload"]["Seats"], expected, "u{n}");
    }
    drop(system);
    // The store counts its end users when it is opened.
    let server = server.restart();
    server.logs(&format!("\"end_users\":{}", ROWS as u64 - bad));
}

#[test]
fn a_kill_while_rows_are_applied_costs_none_of_them() {
    let mut server = server();
    let id = begin(&server.system("s"), "?on_error=skip", spotted(ROWS));
    let mut seen = 0;
    for round in 0..3 {
        let client = server.client();
        let stored = eventually("more rows are stored", || {
            let import = look(&client, &id);
            let stored = import["stored"].as_u64().unwrap_or(0);
            let further = import["state"] == "applying" && stored > seen;
            if further { Ok(stored) } else { Err(import.to_string()) }
        });
        server.kill();
        server = server.start_again();
        let import = look(&server.client(), &id);
        assert!(import["stored"].as_u64() >= Some(stored), "round {round}: what was told is not lost: {import:#}");
        seen = import["stored"].as_u64().unwrap();
    }
    is_whole(server, &id);
}

#[test]
fn a_kill_while_rows_are_validated_or_wait_begins_them_anew() {
    let server = server();
    let (id, waiting) = {
        let system = server.system("s");
        (begin(&system, "?on_error=skip", spotted(ROWS)), begin(&system, "", "email,Seats\nlate,1\n"))
    };
    let client = server.client();
    eventually("some rows are validated", || {
        let import = look(&client, &id);
        assert_eq!(import["state"], "validating", "the file is too small for this test");
        if import["rows_read"].as_u64() > Some(0) { Ok(()) } else { Err(import.to_string()) }
    });
    server.kill();
    let server = server.start_again();
    came_to(&ended(&server.client(), &waiting), "done", [1, 1, 0]);
    assert_eq!(server.system("s").attributes("late")["upload"]["Seats"], 1);
    server.system("s").client.delete("/public/v1/systems/s/end-users/late").is(204);
    is_whole(server, &id);
}

#[test]
fn a_stop_ends_behind_a_batch_and_the_import_goes_on_after_it() {
    let server = server();
    let id = begin(&server.system("s"), "?on_error=skip", spotted(ROWS));
    let client = server.client();
    eventually("some rows are stored", || {
        let import = look(&client, &id);
        let stored = import["stored"].as_u64() > Some(0);
        if stored { Ok(()) } else { Err(import.to_string()) }
    });
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("an import waits for the restart"), "{}", ended.stderr);
    is_whole(server.start_again(), &id);
}
