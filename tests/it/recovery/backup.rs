//! Backups of a running server, restored: everything is there, or nothing is touched.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::kill::files;
use crate::support::{CLIENT_ID, CLIENT_SECRET, Home, Server, System};

/// `rollcall backup FILE` against a running server.
#[track_caller]
fn back_up(server: &Server, file: &Path) -> Value {
    let mut command = server.home.command();
    command.args(["backup", "--json", "--url", server.base(), "--client-id", CLIENT_ID]).arg(file);
    let output = command.env("ROLLCALL_CLIENT_SECRET", CLIENT_SECRET).output().expect("run the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A stopped server's folder after `rollcall restore`.
#[track_caller]
fn restore(home: &Home, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut args = vec!["restore", file.to_str().unwrap()];
    args.extend(more);
    let output = home.run(&args);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

fn people(from: usize, count: usize) -> Value {
    let person = |n: usize| json!({ "Email": format!("u{n}"), "Seats": n, "Type": format!("type {}", n % 7), "Signup": "2024-02-29" });
    Value::from((from..from + count).map(person).collect::<Vec<_>>())
}

/// What a restored server must say as the one that was backed up did.
#[track_caller]
fn facts(system: &System<'_>) -> Value {
    let client = &system.client;
    let events = client.get("/public/v1/systems/s/segments");
    json!({
        "total": client.post("/public/v1/systems/s/end-users/query", &json!({ "rule": "true", "count_only": true })).is(200)["total"],
        "one": system.attributes("u5"),
        "segments": events.is(200),
        "integration token": system.token("crm"),
        "clients": client.get("/admin/v1/clients").is(200),
        "users": client.get("/admin/v1/users").is(200),
        "commit at least": client.anonymous().get("/readyz").is(200)["store"]["last_commit"].as_u64().unwrap() > 0,
    })
}

#[test]
fn a_backup_taken_amid_writes_holds_everything_acknowledged_before_it() {
    let server = Server::with(&files()).start();
    let system = server.system("s");
    let token = system.token("crm");
    system.client.update(&token, &people(0, 3000)).counts();
    system.client.post("/admin/v1/clients", &json!({ "client_id": "other", "role": "Viewer" })).is_success();
    let before = facts(&system);

    let file = server.home.root().join("one.backup");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (told, later) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                system.client.update(&token, &people(10_000 + sent * 10, 10)).counts();
                sent += 1;
            }
            sent
        });
        let told = back_up(&server, &file);
        back_up(&server, &server.home.root().join("two.backup"));
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        (told, writer.join().unwrap())
    });
    assert!(later > 0 && told["secret_key"] == json!(true), "{told}");
    let bearer = system.client.bearer().to_owned();
    drop(system);
    server.kill();

    // Onto an empty machine: another folder with the same rules.
    let home = Server::with(&files()).home();
    let (code, said) = restore(&home, &file, &[]);
    assert_eq!(code, Some(0), "{said}");
    let server = home.start();
    let same = server.anonymous().with_bearer(&bearer);
    same.get("/admin/v1/config").is(200);
    let system = server.system("s");
    let mut after = facts(&system);
    let total = after["total"].as_u64().unwrap();
    assert!(total >= 3000 && total.is_multiple_of(10), "calls are whole: {total}");
    after["total"] = before["total"].clone();
    after["segments"] = before["segments"].clone();
    assert_eq!(after, before);
    let members = system.client.get("/public/v1/systems/s/segments").is(200)["items"][0]["count"].as_u64();
    assert_eq!(members, Some(total), "counts are right");
    assert_eq!(system.client.update(&token, &people(0, 3000)).counts().unchanged, 3000);
    drop(system);
    let server = server.restart();
    assert_eq!(server.system("s").attributes("u5"), before["one"]);
}

#[test]
fn restoring_keeps_what_was_there_and_refuses_to_replace_unasked() {
    let server = Server::with(&files()).start();
    let system = server.system("s");
    system.update("crm", &people(0, 50)).counts();
    let file = server.home.root().join("a.backup");
    let told = back_up(&server, &file);
    system.update("crm", &people(50, 50)).counts();
    drop(system);

    let (code, said) = restore(&server.home, &file, &["--replace"]);
    assert_eq!(code, Some(1), "a running server is left alone: {said}");
    assert!(said.contains("in use by another process"), "{said}");
    let server = {
        assert_eq!(server.stop().code, Some(0));
        server
    };
    let (code, said) = restore(&server.home, &file, &[]);
    assert!(code == Some(1) && said.contains("--replace"), "{said}");
    let (code, said) = restore(&server.home, &file, &["--replace"]);
    assert!(code == Some(0) && said.contains("s: 50 end users"), "{said}");
    let aside: Vec<PathBuf> = fs::read_dir(server.home.data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("before-restore-"))
        .collect();
    assert_eq!(aside.len(), 1, "what was there is kept");
    assert!(aside[0].join("store/db").exists() && aside[0].join("seal").exists());
    assert!(!server.home.data().join("restoring").exists());
    let server = server.start_again();
    assert_eq!(server.system("s").attributes("u70"), Value::Null);
    assert!(server.system("s").attributes("u7").is_object());
    let numbers = server.anonymous().get("/readyz").is(200);
    assert!(numbers["store"]["last_commit"].as_u64() >= told["commit"].as_u64(), "commits go on: {numbers}");
}

#[test]
fn a_spoilt_backup_is_refused_and_nothing_is_touched() {
    let server = Server::with(&files()).start();
    server.system("s").update("crm", &people(0, 400)).counts();
    let file = server.home.root().join("a.backup");
    back_up(&server, &file);
    assert_eq!(server.stop().code, Some(0));
    let whole = fs::read(&file).unwrap();
    let home = Server::with(&files()).home();
    let refused = |what: &str, bytes: &[u8]| {
        let spoilt = home.root().join("spoilt.backup");
        fs::write(&spoilt, bytes).unwrap();
        let (code, said) = restore(&home, &spoilt, &[]);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains("this backup can't be restored"), "{what}: {said}");
        assert!(!home.data().join("store").exists() && !home.data().join("restoring").exists(), "{what}");
    };
    for cut in [0, 1, 15, whole.len() / 4, whole.len() / 2, whole.len() - 1] {
        refused(&format!("cut to {cut} of {} bytes", whole.len()), &whole[..cut]);
    }
    for eighth in 0..8 {
        let mut bytes = whole.clone();
        bytes[whole.len() * eighth / 8 + whole.len() / 16] ^= 1 << eighth;
        refused(&format!("a bit of eighth {eighth} flipped"), &bytes);
    }
    refused("something behind it", &[whole.as_slice(), b"x"].concat());
    refused("another file", b"id,Seats\n1,2\n");

    fs::write(home.root().join("good.backup"), &whole).unwrap();
    let (code, said) = restore(&home, &home.root().join("good.backup"), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(home.start().system("s").attributes("u399").is_object());
}

/// Whether some file below the folder has these bytes.
fn has_bytes(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return has_bytes(&path, bytes);
        }
        let mut content = Vec::new();
        fs::File::open(&path).unwrap().read_to_end(&mut content).unwrap();
        content.windows(bytes.len()).any(|part| part == bytes)
    })
}

#[test]
fn compacting_keeps_everyone_and_drops_the_bytes_of_the_deleted() {
    let server = Server::with(&files()).start();
    let system = server.system("s");
    system.update("crm", &people(0, 500)).counts();
    let canary = "canary-person-8842@example.com";
    system.update("crm", &json!([{ "Email": canary, "Seats": 1, "Type": "canary-type-8842" }])).counts();
    system.client.delete(&format!("/public/v1/systems/s/end-users/{canary}")).is(204);
    let token = system.token("crm");
    drop(system);
    assert_eq!(server.stop().code, Some(0));
    let output = server.home.run(&["compact", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["end_users"], json!({ "s": 500 }));
    assert!(told["bytes_after"].as_u64() <= told["bytes_before"].as_u64(), "{told}");
    for trace in [canary, "canary-type-8842"] {
        assert!(!has_bytes(&server.home.data(), trace.as_bytes()), "`{trace}` is in no file");
    }
    let server = server.start_again();
    let system = server.system("s");
    assert_eq!(system.token("crm"), token);
    assert_eq!(system.client.update(&token, &people(0, 500)).counts().unchanged, 500);
}

#[test]
fn scheduled_backups_are_made_and_the_oldest_dropped() {
    let mut home = Server::with(&files()).config("[backup]\nfolder = \"kept\"\nkeep = 2\n").home();
    home.set_env("ROLLCALL_LOG", "info");
    let kept = home.root().join("kept");
    fs::create_dir(&kept).unwrap();
    for day in 1..5 {
        fs::write(kept.join(format!("rollcall-2020010{day}T000000Z.backup")), "old").unwrap();
    }
    fs::write(kept.join("mine.txt"), "not a backup").unwrap();
    let server = home.start();
    server.logs("backup made");
    let mut left: Vec<String> =
        fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    server.logs("dropped an old backup");
    let answer = server.client().post_empty("/admin/v1/maintenance/backup").is(200);
    let file = answer["file"].as_str().unwrap();
    assert!(kept.join(file).exists(), "{answer}");
    let metrics = server.anonymous().get("/metrics");
    assert!(metrics.body.contains("rollcall_backup_last_success_seconds"), "{}", metrics.body);
    assert!(kept.join("mine.txt").exists());
    let backups = fs::read_dir(&kept).unwrap().count() - 1;
    assert_eq!(backups, 2, "{left:?}");
}

#[test]
fn who_may_not_do_everything_gets_no_secret_key() {
    let server = Server::with(&files()).start();
    let part = server.client_with("operate");
    let request = part.request(reqwest::Method::POST, "/admin/v1/maintenance/backup");
    let response = request.header("accept", "application/octet-stream").send().unwrap();
    assert_eq!(response.status(), 200);
    let file = server.home.root().join("part.backup");
    fs::write(&file, response.bytes().unwrap()).unwrap();
    let home = Server::with(&files()).home();
    let (code, said) = restore(&home, &file, &[]);
    assert!(code == Some(0) && said.contains("secret key was not in it"), "{said}");
    assert!(!home.data().join("secret.key").exists());
    let Err((_, ended)) = home.try_start() else { panic!("it serves without its key") };
    assert!(ended.stderr.contains("secret key is missing"), "{}", ended.stderr);
    server.client().post_empty("/admin/v1/maintenance/backup").problem(409).says("[backup]");
}
