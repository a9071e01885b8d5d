//! `kill -9` under load, round after round on one data folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::beside::Beside;
use super::history::{Caller, Load};
use crate::support::{Server, crm, eventually, nightly, segment};

/// Rounds of kill and restart: 20, or 200 with `ROLLCALL_NIGHTLY=1`.
fn rounds() -> usize {
    if nightly() { 200 } else { 20 }
}

pub(super) fn files() -> Vec<(&'static str, String)> {
    vec![
        ("s/integrations/crm.toml", crm()),
        ("s/integrations/files.toml", super::beside::uploads()),
        ("s/segments/late.rhai", segment("crm.Seats >= 0 && is_set(crm.Customer_Type)")),
    ]
}

#[test]
fn nothing_acknowledged_is_lost_and_no_call_is_half_applied() {
    let mut server = Server::with(&files()).start();
    let token = server.system("s").token("crm");
    let mut callers = Caller::all();
    let mut beside = Beside::default();
    let mut acknowledged = 0;
    for round in 0..rounds() {
        // The kill comes after a number of answers that differs from round to round, amid other work of every kind.
        let load = Load::new(1 + (round * 37) % 150);
        let client = server.client();
        let killed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for caller in &mut callers {
                let (client, token, load) = (client.clone(), token.as_str(), &load);
                scope.spawn(move || caller.run("s", &client, token, load));
            }
            let (work, other, is_killed) = (&mut beside, client.clone(), &killed);
            scope.spawn(move || work.run(round, &other, is_killed));
            eventually("the load is taken", || {
                if load.is_enough() { Ok(()) } else { Err(format!("{} answers", load.acknowledged())) }
            });
            server.kill();
            killed.store(true, Ordering::SeqCst);
        });
        acknowledged += load.acknowledged();

        server = server.start_again();
        let system = server.system("s");
        let when = format!("round {round}, after {acknowledged} answers");
        for caller in &mut callers {
            caller.check(&system, &when);
        }
        beside.check(&system, &when);
        callers[round % super::history::CALLERS].check_counts(&system, &token, &when);
    }
    assert!(acknowledged > rounds(), "there was a load: {acknowledged}");
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(blobs(&server.home.data()), Vec::<PathBuf>::new());

    let server = server.start_again();
    let system = server.system("s");
    for caller in &mut callers {
        caller.check(&system, "after a clean stop");
    }
}

/// Files below folders named `blobs`: what the store would not sync.
fn blobs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("read the data folder").map(Result::unwrap) {
        if entry.path().is_dir() {
            if entry.file_name() == "blobs" {
                found.extend(fs::read_dir(entry.path()).unwrap().map(|file| file.unwrap().path()));
            } else {
                found.extend(blobs(&entry.path()));
            }
        }
    }
    found
}

#[test]
fn large_calls_make_no_blobs() {
    let server = Server::with(&files()).start();
    let system = server.system("s");
    let token = system.token("crm");
    // 1.5 MB in one call, and as much again in checkpointed columns.
    let records: Vec<Value> = (0..1500)
        .map(|n| json!({ "Email": format!("u{n}"), "Type": format!("{n:01000}"), "Seats": n, "Signup": "2024-02-29" }))
        .collect();
    let call = Value::from(records);
    assert_eq!(system.client.update(&token, &call).counts().created, 1500);
    assert_eq!(blobs(&server.home.data()), Vec::<PathBuf>::new());
    system.client.post_empty("/admin/v1/maintenance/checkpoint").is_success();
    assert_eq!(blobs(&server.home.data()), Vec::<PathBuf>::new());
    drop(system);
    server.kill();

    let server = server.start_again();
    let system = server.system("s");
    assert_eq!(system.client.update(&token, &call).counts().unchanged, 1500);
    assert_eq!(blobs(&server.home.data()), Vec::<PathBuf>::new());
}
