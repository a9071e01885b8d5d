//! Stores and backups of every released format open; a newer one is refused as such.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use super::kill::files;
use crate::support::{Home, Server};

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(drop).unwrap()
        }
    }
}

/// A folder whose data are a kept store's.
fn home(name: &str) -> Home {
    let home = Server::with(&files()).home();
    copy(&kept(name), &home.data());
    home
}

/// What every kept store and backup holds: `u0` to `u49`, half of them in the journal alone.
#[track_caller]
fn has_everything(home: Home, what: &str) {
    let server = home.start();
    let system = server.system("s");
    for person in 0..50 {
        let expected = json!({ "crm": { "Customer_Type": format!("type {}", person % 3), "Seats": person, "Signup": "2024-02-29" } });
        assert_eq!(system.attributes(&format!("u{person}")), expected, "{what}: u{person}");
    }
    assert_eq!(system.attributes("deleted"), json!(null), "{what}");
    assert_eq!(system.segments("u7"), ["late"], "{what}");
}

#[test]
fn the_store_of_every_format_opens() {
    has_everything(home("store-1"), "format 1");
}

#[test]
fn the_backup_of_every_format_is_restored() {
    let home = Server::with(&files()).home();
    let output = home.run(&["restore", kept("format-1.backup").to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    has_everything(home, "backup 1");
}

#[test]
fn a_newer_format_is_refused_and_left_as_it_is() {
    let home = home("store-1");
    let path = home.data().join("seal");
    let seal = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    for slot in [0, 4096] {
        let mut bytes = [0; 52];
        seal.read_exact_at(&mut bytes, slot).unwrap();
        bytes[16] = 9;
        let sum = xxh3_64(&bytes[8..]).to_le_bytes();
        bytes[..8].copy_from_slice(&sum);
        seal.write_all_at(&bytes, slot).unwrap();
    }
    let before = fs::read(home.data().join("store/db")).unwrap();
    let Err((home, ended)) = home.try_start() else { panic!("it serves a newer format") };
    ended.refused("a newer format");
    assert!(ended.stderr.contains("format 9"), "{}", ended.stderr);
    assert!(fs::read(home.data().join("store/db")).unwrap() == before, "nothing was written");
}
