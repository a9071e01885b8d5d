//! A disk that fails: no room, errors, short writes, syncs that fail. Nothing acknowledged is lost, and reading goes on.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::kill::files;
use crate::support::{Ask, EIO, ENOSPC, Failing, Server, Shim, System, nightly};

/// Which call fails: every one of the first hundred, or some of them.
fn numbers(first: i32) -> Vec<i32> {
    if nightly() { (1..=100).collect() } else { (first..=100).step_by(10).collect() }
}

/// The calls of one caller, and which of them were acknowledged.
#[derive(Default)]
struct Calls {
    acknowledged: BTreeMap<String, u64>,
    refused: usize,
}

impl Calls {
    /// One call; its status.
    fn make(&mut self, system: &System<'_>, token: &str, number: u64) -> u16 {
        let id = format!("u{}", number % 40);
        let data = json!([{ "Email": id, "Seats": number, "Type": format!("{number:0500}") }]);
        let reply = system.client.update_request(token, &data).ask();
        match reply.status {
            200 => {
                self.acknowledged.insert(id, number);
            }
            503 | 507 => {
                reply.problem(reply.status);
                self.refused += 1;
                // It may have been stored all the same, where the disk failed behind it.
                self.acknowledged.remove(&id);
            }
            other => panic!("a call was answered {other}: {}", reply.body),
        }
        reply.status
    }

    #[track_caller]
    fn check(&self, system: &System<'_>, when: &str) {
        for (id, number) in &self.acknowledged {
            assert_eq!(system.attributes(id)["crm"]["Seats"], json!(number), "{when}: {id}");
        }
    }
}

/// Lets a call fail under load, and starts again.
fn round(what: Failing, nth: i32) {
    let when = format!("{what:?} at call {nth}");
    let mut home = Server::with(&files()).home();
    let shim = Shim::under(&mut home);
    let server = home.start();
    let system = server.system("s");
    let token = system.token("crm");
    let mut calls = Calls::default();
    (0..5).for_each(|number| assert_eq!(calls.make(&system, &token, number), 200));
    shim.fail(what, nth, false);
    for number in 5..160 {
        calls.make(&system, &token, number);
        if number % 9 == 0 {
            let reply = system.client.post_empty("/admin/v1/maintenance/checkpoint");
            assert!([200, 503, 507].contains(&reply.status), "{when}: {}", reply.body);
        }
        if calls.refused > 2 {
            break;
        }
    }
    assert!(shim.fired() > 0, "{when}: it never came to that call");
    calls.check(&system, &format!("{when}, before the restart"));
    shim.mend();
    if calls.refused > 0 {
        let ready = server.anonymous().get("/readyz").is(503);
        assert!(ready["warnings"].to_string().contains("failed"), "{when}: {ready}");
        assert_ne!(calls.make(&system, &token, 200), 200, "{when}: no more on that handle");
    } else {
        assert!(!matches!(what, Failing::Sync(_)), "{when}: a failed sync may not pass unnoticed");
    }
    drop(system);
    server.kill();
    let server = server.start_again();
    let system = server.system("s");
    calls.check(&system, &when);
    assert_eq!(calls.make(&system, &token, 300), 200, "{when}: it goes on");
    calls.check(&system, &when);
}

#[test]
fn a_full_disk_loses_nothing() {
    numbers(1).into_iter().for_each(|nth| round(Failing::Write(ENOSPC), nth));
}

#[test]
fn a_disk_error_loses_nothing() {
    numbers(3).into_iter().for_each(|nth| round(Failing::Write(EIO), nth));
}

#[test]
fn a_short_write_loses_nothing() {
    numbers(5).into_iter().for_each(|nth| round(Failing::ShortWrite, nth));
}

#[test]
fn after_a_failed_sync_nothing_more_is_acknowledged() {
    numbers(2).into_iter().for_each(|nth| round(Failing::Sync(EIO), nth));
}

/// A small disk, as far as this user may make one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn at(path: &std::path::Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=0700"), "tmpfs"]).arg(path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_small_disk_fills_up_and_is_written_to_again_when_there_is_room() {
    let mut home = Server::with(&files()).home();
    home.set_env("ROLLCALL_STORAGE__MIN_FREE_MIB", "0");
    let Some(_disk) = SmallDisk::at(&home.data(), 12) else {
        eprintln!("this user may not mount a small disk: the full disk is left to the shim");
        return;
    };
    let ballast = home.data().join("ballast");
    fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let server = home.start();
    let system = server.system("s");
    let token = system.token("crm");
    let call = |number: usize| {
        let person =
            |n: usize| json!({ "Email": format!("u{number}-{n}"), "Seats": n, "Type": format!("{number:0900}") });
        let data = Value::from((0..200).map(person).collect::<Vec<_>>());
        system.client.update_request(&token, &data).ask()
    };
    let mut stored = 0;
    let refused = (0..200).map(call).find(|reply| {
        stored += usize::from(reply.status == 200);
        reply.status != 200
    });
    let refused = refused.expect("the disk fills up");
    refused.problem(507);
    assert!(stored > 0);
    assert!(system.attributes("u0-7").is_object(), "reads go on");
    fs::remove_file(&ballast).unwrap();
    crate::support::eventually("there is room again", || match call(1_000).status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    drop(system);
    let server = server.restart();
    let system = server.system("s");
    for number in (0..stored).chain([1_000]) {
        assert!(system.attributes(&format!("u{number}-199")).is_object(), "call {number} is whole");
    }
    drop(system);
    server.kill();
}
