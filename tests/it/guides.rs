//! What stands under `docs/` is true: the API's commands are run as printed and answer what the page says, and the rules that
//! are shown load.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::first_run::example;
use crate::support::{ADMIN, ADMIN_PASSWORD, CLIENT_SECRET, Server, write_tree};

/// What stands between the answers of two commands.
const MARK: &str = "@@@@";

/// The fenced blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Whether an answer has what is printed, where `…` stands for anything. An answer may have more than a page prints.
fn holds(printed: &Value, answer: &Value) -> bool {
    match (printed, answer) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Object(printed), Value::Object(answer)) => {
            printed.iter().all(|(key, value)| answer.get(key).is_some_and(|other| holds(value, other)))
        }
        (Value::Array(printed), Value::Array(answer)) => {
            printed.len() == answer.len() && printed.iter().zip(answer).all(|(one, other)| holds(one, other))
        }
        _ => printed == answer,
    }
}

/// The same for what is no JSON, line by line.
fn reads(printed: &str, answer: &str) -> bool {
    let (printed, answer): (Vec<_>, Vec<_>) = (printed.trim().lines().collect(), answer.trim().lines().collect());
    printed.len() == answer.len() && printed.iter().zip(answer).all(|(one, other)| line_reads(one, other))
}

fn line_reads(printed: &str, answer: &str) -> bool {
    let Some((first, rest)) = printed.split_once('…') else { return printed.trim_end() == answer.trim_end() };
    let Some(mut left) = answer.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.trim_end().ends_with(last.trim_end())
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_api_page_answers_as_printed() {
    let page = page("api.md");
    let blocks = blocks(&page);
    let setup = Server::with(&example()).env("ROLLCALL_BOOTSTRAP_CLIENT_ID", "admin");
    let setup = setup.env("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", ADMIN);
    let server = setup.env("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", ADMIN_PASSWORD).start();
    let commands: Vec<&str> = blocks.iter().filter(|(language, _)| *language == "sh").map(|(_, text)| *text).collect();
    assert!(commands.len() > 50, "the page has commands: {commands:?}");
    let separator = format!("\nprintf '\\n{MARK}\\n'\n");
    let script = commands.join(&separator).replace("http://127.0.0.1:8080", server.base());
    let output = Command::new("bash")
        .args(["-euc", &script])
        .env("CLIENT_ID", "admin")
        .env("CLIENT_SECRET", CLIENT_SECRET)
        .env("ADMIN_EMAIL", ADMIN)
        .env("ADMIN_PASSWORD", ADMIN_PASSWORD)
        .current_dir(server.home.root())
        .output()
        .expect("run bash");
    let printed = String::from_utf8_lossy(&output.stdout).replace(server.base(), "http://127.0.0.1:8080");
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> = printed.split(MARK).map(str::trim).collect();
    assert_eq!(answers.len(), commands.len());

    let (mut command, mut compared) = (0, 0);
    for (language, said) in &blocks {
        let got = answers[command.max(1) - 1];
        let same = match *language {
            "sh" => {
                command += 1;
                continue;
            }
            "json" => {
                let expected: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"));
                let answer: Value = serde_json::from_str(got).unwrap_or_else(|error| panic!("{error}: {got}"));
                holds(&expected, &answer)
            }
            "text" => reads(said, got),
            _ => continue,
        };
        assert!(same, "after\n{}\nthe page says\n{said}\nand the server\n{got}", commands[command - 1]);
        compared += 1;
    }
    assert!(compared > 50, "the page shows answers");
}

#[test]
fn rules_that_are_shown_load() {
    let page = page("rules.md");
    let of = |wanted: &'static str| {
        blocks(&page).into_iter().filter(move |(language, _)| *language == wanted).map(|(_, text)| text)
    };
    // The page begins with a whole system: its settings, and the integration that its rules ask about.
    let names = ["default/system.toml", "default/integrations/crm.toml"].map(str::to_owned);
    let mut files: Vec<(String, &str)> = names.into_iter().zip(of("toml")).collect();
    files.extend(of("rhai").enumerate().map(|(number, rule)| (format!("default/segments/rule_{number}.rhai"), rule)));
    assert!(files.len() > 4, "the page shows rules: {files:?}");
    let home = tempfile::tempdir().expect("a folder");
    write_tree(home.path(), &files);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    let output = command.arg("check").arg(home.path()).current_dir(home.path()).output().expect("run the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn printed_lines_are_compared_up_to_their_gaps() {
    assert!(reads("a\nb…d…f\n", "a\nbcdef"));
    assert!(reads("{\"at\":\"…\",\"count\":0}…", "{\"at\":\"x\",\"count\":0}"));
    for (printed, answer) in [("a", "b"), ("a", "a\nb"), ("a…c", "ab"), ("a…c…", "ab"), ("a…", "b")] {
        assert!(!reads(printed, answer), "{printed} {answer}");
    }
}
