//! One store put into the place of another, broken off at every step: the old one or the new one is there whole.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::kill::files;
use crate::support::{CLIENT_ID, CLIENT_SECRET, EIO, Failing, Home, Server, Shim, nightly};

/// End users in each store.
const PEOPLE: usize = 120;
/// More steps than an exchange has.
const MOST: i32 = 80;

/// The end users as one of the two stores has them.
fn people(store: &str) -> Value {
    let person = |n: usize| json!({ "Email": format!("u{n}"), "Seats": n, "Type": store, "Signup": "2024-02-29" });
    Value::from((0..PEOPLE).map(person).collect::<Vec<_>>())
}

/// A stopped server's data folder with the old store, a backup that has the new one, and the integration's token.
struct Ground {
    server: Server,
    token: String,
}

impl Ground {
    fn new() -> Self {
        let server = Server::with(&files()).start();
        let system = server.system("s");
        let token = system.token("crm");
        system.client.update(&token, &people("new")).counts();
        let mut command = server.home.command();
        command.args(["backup", "--url", server.base(), "--client-id", CLIENT_ID]).arg(server.home.root().join("new"));
        let output = command.env("ROLLCALL_CLIENT_SECRET", CLIENT_SECRET).output().expect("run the binary");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        system.client.update(&token, &people("old")).counts();
        drop(system);
        assert_eq!(server.stop().code, Some(0));
        Self { server, token }
    }

    /// Another folder with the old store in it.
    fn copy(&self) -> Home {
        let home = Server::with(&files()).home();
        copy(&self.server.home.data(), &home.data());
        home
    }

    /// Runs the command with that step failing; whether it came to that step.
    fn break_off(&self, home: &mut Home, args: &[&str], what: Failing, nth: i32, from: Option<&str>) -> bool {
        let shim = Shim::under(home);
        if let Some(name) = from {
            home.set_env("SHIM_ARM", name);
        }
        shim.fail(what, nth, false);
        let output = home.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        if shim.fired() == 0 {
            assert!(output.status.success(), "{args:?}: {said}");
            return false;
        }
        match what {
            Failing::Death => assert_eq!(output.status.code(), None, "it was killed: {said}"),
            _ => assert!(!said.contains("RUST_BACKTRACE"), "{said}"),
        }
        home.unset_env("LD_PRELOAD");
        home.unset_env("SHIM_ARM");
        true
    }

    /// Starts on the folder, and tells which of the two stores is there: all of it.
    #[track_caller]
    fn found(&self, home: Home, when: &str) -> &'static str {
        let server = match home.try_start() {
            Ok(server) => server,
            Err((_, ended)) => panic!("{when}: it does not start:\n{}", ended.stderr),
        };
        let system = server.system("s");
        let store = if system.attributes("u0")["crm"]["Customer_Type"] == json!("new") { "new" } else { "old" };
        let counts = system.client.update(&self.token, &people(store)).counts();
        assert_eq!(counts.unchanged, PEOPLE as u64, "{when}: the {store} store is whole: {counts:?}");
        for left in ["restoring", "replaced", "swapping", "swapping.new"] {
            assert!(!server.home.data().join(left).exists(), "{when}: {left} is left");
        }
        drop(system);
        assert_eq!(server.stop().code, Some(0), "{when}");
        store
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// The steps at which it is broken off: every one, or some of them; the first and the last are among them.
fn steps(number: i32) -> bool {
    nightly() || number % 4 == 1
}

/// Breaks the command off at each of its steps from the exchange on, and the start after it once more.
fn at_each_step(args: &[&str], what: Failing) -> (usize, usize) {
    let ground = Ground::new();
    let backup = ground.server.home.root().join("new");
    let args: Vec<&str> =
        args.iter().map(|arg| if *arg == "BACKUP" { backup.to_str().unwrap() } else { arg }).collect();
    let (mut old, mut new) = (0, 0);
    for nth in (1..MOST).filter(|nth| steps(*nth)) {
        let mut home = ground.copy();
        let mut when = format!("{args:?}, {what:?} at step {nth}");
        if !ground.break_off(&mut home, &args, what, nth, Some("swapping.new")) {
            assert!(old + new > 3, "there were steps");
            return (old, new);
        }
        if what == Failing::Death {
            // Whoever goes on is killed as well.
            let next = 1 + nth % 7;
            when = format!("{when}, and compacting killed at step {next}");
            ground.break_off(&mut home, &["compact"], what, next, None);
            home.unset_env("LD_PRELOAD");
        }
        match ground.found(home, &when) {
            "old" => old += 1,
            _ => new += 1,
        }
    }
    panic!("an exchange has more than {MOST} steps");
}

#[test]
fn a_restore_killed_amid_the_exchange_leaves_one_store_whole() {
    let (old, new) = at_each_step(&["restore", "--replace", "BACKUP"], Failing::Death);
    assert!(old > 0 && new > 0, "{old} times the old one, {new} times the new one");
}

#[test]
fn a_restore_that_the_disk_fails_leaves_one_store_whole() {
    let (old, new) = at_each_step(&["restore", "--replace", "BACKUP"], Failing::Step(EIO));
    assert!(old > 0 && new > 0, "{old} times the old one, {new} times the new one");
}

#[test]
fn a_compaction_killed_amid_the_exchange_keeps_everyone() {
    let (old, new) = at_each_step(&["compact"], Failing::Death);
    assert!(old > 3 && new == 0, "compacting changes nothing: {old}, {new}");
}

#[test]
fn a_restore_killed_while_the_new_store_is_made_leaves_the_old_one() {
    let ground = Ground::new();
    let backup = ground.server.home.root().join("new");
    let args = ["restore", "--replace", backup.to_str().unwrap()];
    for nth in if nightly() { 1..30 } else { 4..6 } {
        let mut home = ground.copy();
        if ground.break_off(&mut home, &args, Failing::Death, nth, None) {
            assert_eq!(ground.found(home, &format!("killed at step {nth}")), "old");
        }
    }
}
