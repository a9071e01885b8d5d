//! The house's rules that the compiler does not hold: which floor may name which, and who alone names a crate.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the roof down; a room names only itself and those below it.
const FLOORS: &[&str] = &[
    "main",
    "lib",
    "cli",
    "app",
    "fuzzing",
    "http",
    "intake",
    "backup",
    "accounts",
    "filters",
    "engine",
    "ruleset",
    "segments",
    "predicate",
    "store",
    "config",
    "telemetry",
    "clock",
    "memory",
    "model",
];

/// Crates (and types) that only these rooms may name. The command line is a client of the API, hence its status codes.
const SOLE_USERS: &[(&str, &[&str])] = &[
    ("sled", &["store"]),
    ("rmp_serde", &["store"]),
    ("rhai", &["segments"]),
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("utoipa", &["http"]),
    ("argon2", &["accounts"]),
    ("lettre", &["accounts"]),
    ("ring", &["accounts", "http"]),
    ("rustls", &["http"]),
    ("zstd", &["store"]),
    ("StatusCode", &["http", "cli"]),
];

/// Every Rust file of `src/`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    fn below(folder: &Path, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                below(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut out);
    assert!(out.len() > 10, "the sources are there");
    out
}

/// The room that a file belongs to.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without comments and without the tests at its end, so that prose may name what code may not and a test
/// may build its own peer.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let uncommented = |line: &str| match line.find("//") {
        // `://` is part of an address in a text.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

/// The rooms named by `crate::room` and `crate::{room, room::…}`.
fn named_rooms(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(word(rest));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => rooms.push(word(std::mem::take(&mut item).trim())),
                _ if depth == 0 => item.push(c),
                _ => {}
            }
        }
        rooms.push(word(item.trim()));
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

#[test]
fn a_room_names_only_the_floors_below_it() {
    let floor = |room: &str| FLOORS.iter().position(|known| *known == room);
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let here = room(&path);
        let Some(own) = floor(&here) else {
            wrong.push(format!("{}: `{here}` is no known room; give it a floor", path.display()));
            continue;
        };
        for named in named_rooms(&code(&text)) {
            match floor(&named) {
                Some(other) if other < own => wrong.push(format!("{}: names `{named}` above it", path.display())),
                Some(_) => {}
                None => wrong.push(format!("{}: `crate::{named}` is no room", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn http_and_the_command_line_never_touch_the_store() {
    for (path, text) in sources() {
        let here = room(&path);
        let named = named_rooms(&code(&text)).contains(&"store".to_owned());
        assert!(!(named && matches!(here.as_str(), "http" | "cli")), "{}: names the store", path.display());
    }
}

#[test]
fn each_outside_matter_has_one_room() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let (here, code) = (room(&path), code(&text));
        for (name, owners) in SOLE_USERS {
            let named = code.match_indices(name).any(|(at, _)| {
                let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let (before, after) = (&code[..at], &code[at + name.len()..]);
                let whole = !before.ends_with(part_of_word) && !after.starts_with(part_of_word);
                // A path (`sled::`), an import (`use sled`) or a type; not a word in a message.
                whole && (after.starts_with("::") || before.ends_with("use ") || name.starts_with(char::is_uppercase))
            });
            if named && !owners.contains(&here.as_str()) {
                wrong.push(format!("{}: names `{name}`, which is for {owners:?} alone", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is() {
    let bare: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(bare.is_empty(), "these files do not open with `//!`: {bare:?}");
}

#[test]
fn nothing_is_left_to_do() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", "STUB"];
    let mut found = Vec::new();
    for (path, text) in sources() {
        found.extend(
            marks.iter().filter(|mark| text.contains(**mark)).map(|mark| format!("{}: {mark}", path.display())),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_reader_of_imports_reads_them() {
    let text = "use crate::model::{A, B};\nuse crate::{store::{Op, Table}, clock::Clock, engine};\nfn f() { crate::http::x() } $crate::y";
    assert_eq!(named_rooms(text), ["model", "store", "clock", "engine", "http"]);
    assert_eq!(code("a // sled::\n//! b\nlet x = \"http://h\";"), "a \n\nlet x = \"http://h\";");
}
