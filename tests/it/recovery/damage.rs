//! A damaged store is refused with what to do, or whole: never served short, never a bare panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::kill::files;
use crate::support::{CLIENT_ID, Home, Server, nightly};

/// End users a call; there are [`CALLS`] calls before the checkpoint and as many after it.
const PEOPLE: usize = 400;
const CALLS: usize = 3;

/// A data folder's files by their path in it.
type Folder = BTreeMap<PathBuf, Vec<u8>>;

/// A sound store, as it was after half of the calls and as it was after all of them, each after a clean stop.
struct Sample {
    earlier: Folder,
    whole: Folder,
    token: String,
}

fn call(number: usize) -> Value {
    let person = |n: usize| json!({ "Email": format!("u{number}-{n}"), "Seats": n, "Type": format!("{n:0100}"), "Signup": "2024-02-29" });
    Value::from((0..PEOPLE).map(person).collect::<Vec<_>>())
}

fn sample() -> &'static Sample {
    static SAMPLE: LazyLock<Sample> = LazyLock::new(|| {
        let server = Server::with(&files()).start();
        let token = server.system("s").token("crm");
        let send = |server: &Server, numbers: std::ops::Range<usize>| {
            for number in numbers {
                server.system("s").client.update(&token, &call(number)).counts();
            }
        };
        send(&server, 0..CALLS);
        server.client().post_empty("/admin/v1/maintenance/checkpoint").is_success();
        assert_eq!(server.stop().code, Some(0));
        let earlier = read(&server.home.data());
        let server = server.start_again();
        send(&server, CALLS..2 * CALLS);
        // A kill, not a stop: part of the data is in the journal alone.
        server.kill();
        let whole = read(&server.home.data());
        Sample { earlier, whole, token }
    });
    &SAMPLE
}

fn read(folder: &Path) -> Folder {
    fn below(root: &Path, folder: &Path, out: &mut Folder) {
        for entry in fs::read_dir(folder).expect("read the folder").map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                below(root, &path, out);
            } else {
                out.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    let mut out = Folder::new();
    below(folder, folder, &mut out);
    out
}

fn write(folder: &Path, files: &Folder) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The store's own large file.
fn database(folder: &Folder) -> PathBuf {
    let (path, _) = folder.iter().max_by_key(|(_, bytes)| bytes.len()).expect("the data folder has files");
    path.clone()
}

/// A server's folder whose data are these files.
fn home(data: &Folder) -> Home {
    let home = Server::with(&files()).home();
    write(&home.data(), data);
    home
}

/// How it went: refused, or whole.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Outcome {
    Refused,
    Whole,
}

/// Starts on these files and asserts that it is refused with a clear text, or that everything is there.
#[track_caller]
fn judge(what: &str, data: &Folder) -> Outcome {
    match home(data).try_start() {
        Err((_, ended)) => {
            ended.refused(what);
            let text = ended.stderr.to_lowercase();
            assert!(text.contains("restore"), "{what}: it says how to go on:\n{}", ended.stderr);
            Outcome::Refused
        }
        Ok(server) => {
            let system = server.system("s");
            for number in 0..2 * CALLS {
                let counts = system.client.update(&sample().token, &call(number)).counts();
                assert_eq!(counts.unchanged, PEOPLE as u64, "{what}: served short: {counts:?}");
            }
            drop(system);
            assert_eq!(server.stop().code, Some(0), "{what}: and it ends well");
            Outcome::Whole
        }
    }
}

#[test]
fn an_unharmed_copy_is_whole() {
    assert_eq!(judge("a copy", &sample().whole), Outcome::Whole);
}

#[test]
fn a_store_cut_short_is_refused() {
    let whole = &sample().whole;
    let path = database(whole);
    let length = whole[&path].len();
    let mut refused = 0;
    let mut cuts = vec![0, 1, 4096, length / 8, length / 4, length / 2, length * 7 / 8, length - 1];
    cuts.extend((0..if nightly() { 42 } else { 0 }).map(|step| length * step / 42));
    for to in cuts {
        let mut data = whole.clone();
        data.get_mut(&path).unwrap().truncate(to);
        if judge(&format!("{} cut from {length} to {to} bytes", path.display()), &data) == Outcome::Refused {
            refused += 1;
        }
    }
    assert!(refused >= 4, "a store cut to half or less has lost data, and is refused: {refused}");
}

#[test]
fn a_flipped_bit_is_refused_or_harmless() {
    let whole = &sample().whole;
    let path = database(whole);
    let used: Vec<usize> =
        whole[&path].iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(offset, _)| offset).collect();
    let count = if nightly() { 50 } else { 8 };
    for part in 0..count {
        let (offset, eighth) = (used[used.len() * part / count + used.len() / (2 * count)], part % 8);
        let mut data = whole.clone();
        data.get_mut(&path).unwrap()[offset] ^= 1 << eighth;
        judge(&format!("bit {eighth} of byte {offset} of {} flipped", path.display()), &data);
    }
}

#[test]
fn a_zeroed_page_is_refused_or_harmless() {
    let whole = &sample().whole;
    let path = database(whole);
    let pages = whole[&path].len() / 4096;
    let count = if nightly() { 50 } else { 8 };
    for part in 0..count {
        let page = pages * part / count;
        let mut data = whole.clone();
        data.get_mut(&path).unwrap()[page * 4096..(page + 1) * 4096].fill(0);
        judge(&format!("page {page} of {} zeroed", path.display()), &data);
    }
}

/// Files that are no part of the store's content, whose loss has meanings of its own.
fn is_store_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.contains("secret") && !name.contains("first-run") && !name.to_lowercase().contains("lock")
}

#[test]
fn a_stale_or_removed_file_is_refused_or_harmless() {
    let Sample { earlier, whole, .. } = sample();
    for path in whole.keys().filter(|path| is_store_file(path)) {
        let mut data = whole.clone();
        data.remove(path);
        judge(&format!("{} removed", path.display()), &data);
        if let Some(old) = earlier.get(path).filter(|old| *old != &whole[path]) {
            let mut data = whole.clone();
            data.insert(path.clone(), old.clone());
            judge(&format!("{} as it was before", path.display()), &data);
        }
    }
    let mut data = whole.clone();
    data.remove(&database(whole));
    assert_eq!(judge("the largest file removed", &data), Outcome::Refused, "never an empty store instead");
}

/// A copy of the disk that was taken in between, put back under what says how far the store was acknowledged.
#[test]
fn a_stale_snapshot_is_refused() {
    let server = Server::with(&files()).start();
    let token = server.system("s").token("crm");
    let mut snapshots = Vec::new();
    for number in 0..if nightly() { 50 } else { 8 } {
        let person = json!([{ "Email": "u", "Seats": number }, { "Email": format!("u{number}"), "Seats": 1 }]);
        server.system("s").client.update(&token, &person).counts();
        if number % 3 == 2 {
            server.client().post_empty("/admin/v1/maintenance/checkpoint").is_success();
        }
        snapshots.push(read(&server.home.data()));
    }
    server.system("s").client.update(&token, &json!([{ "Email": "u", "Seats": 1_000 }])).counts();
    server.kill();
    let last = read(&server.home.data());
    let seal = last.keys().find(|path| path.ends_with("seal")).expect("a seal").clone();
    for (number, mut data) in snapshots.into_iter().enumerate() {
        data.insert(seal.clone(), last[&seal].clone());
        let what = format!("the store as it was after call {number}");
        let Err((_, ended)) = home(&data).try_start() else { panic!("{what}: it is served short") };
        ended.refused(&what);
        assert!(ended.stderr.to_lowercase().contains("restore"), "{what}: {}", ended.stderr);
    }
}

#[test]
fn a_half_written_snapshot_is_moved_aside() {
    let mut data = sample().whole.clone();
    let folder = database(&data).parent().unwrap().to_owned();
    let name = "snap.0000000000000FFF.generating";
    data.insert(folder.join(name), b"half a snap".to_vec());
    let server = home(&data).start();
    server.logs(name);
    let counts = server.system("s").client.update(&sample().token, &call(0)).counts();
    assert_eq!(counts.unchanged, PEOPLE as u64);
}

#[test]
fn the_sample_has_the_bootstrap_client_still() {
    let server = home(&sample().whole).start();
    assert!(server.client().get("/admin/v1/config").is(200)["items"].is_array(), "as {CLIENT_ID}");
}

#[test]
fn a_damaged_store_is_replaced_by_its_last_backup() {
    let server = home(&sample().whole).start();
    let backup = server.home.root().join("last.backup");
    let answer = server.client().request(reqwest::Method::POST, "/admin/v1/maintenance/backup");
    let bytes = answer.header("accept", "application/octet-stream").send().unwrap().bytes().unwrap();
    fs::write(&backup, bytes).unwrap();
    server.kill();
    let whole = read(&server.home.data());
    let path = database(&whole);
    for (what, keep) in [("cut to an eighth", 8), ("cut to half", 2)] {
        let mut data = whole.clone();
        let length = data[&path].len();
        data.get_mut(&path).unwrap().truncate(length / keep);
        let Err((home, ended)) = home(&data).try_start() else { panic!("{what}: it is served") };
        assert!(ended.stderr.contains("rollcall restore --replace"), "{what}: {}", ended.stderr);
        let output = home.run(&["restore", "--replace", backup.to_str().unwrap()]);
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let server = home.start();
        let system = server.system("s");
        for number in 0..2 * CALLS {
            let counts = system.client.update(&sample().token, &call(number)).counts();
            assert_eq!(counts.unchanged, PEOPLE as u64, "{what}");
        }
        drop(system);
        server.kill();
    }
}
