//! README is true: its commands are run as printed, and answer what it says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::first_run::example;
use crate::support::Server;

/// A fenced block: its language and text.
type Block = (String, String);

/// The fenced blocks of one section.
fn blocks(readme: &str, heading: &str) -> Vec<Block> {
    let section = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section `{heading}`"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).map(|(lang, text)| (lang.to_owned(), text.to_owned())).collect()
}

/// Whether an answer is as printed, where `…` stands for anything.
fn is_as_printed(printed: &Value, answer: &Value) -> bool {
    match (printed, answer) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Object(printed), Value::Object(answer)) => {
            printed.len() == answer.len()
                && printed.iter().all(|(key, value)| answer.get(key).is_some_and(|other| is_as_printed(value, other)))
        }
        (Value::Array(printed), Value::Array(answer)) => {
            printed.len() == answer.len() && printed.iter().zip(answer).all(|(one, other)| is_as_printed(one, other))
        }
        _ => printed == answer,
    }
}

#[test]
fn the_api_by_example_answers_as_printed() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let blocks = blocks(&readme, "API by example");
    let server = Server::with(&example()).start();
    let system = server.system("default");
    let commands: Vec<&str> = blocks.iter().filter(|(lang, _)| lang == "sh").map(|(_, text)| text.as_str()).collect();
    assert!(commands.len() >= 5, "the section has commands: {commands:?}");
    let script = commands.join("\nprintf '\\n@@@@\\n'\n").replace("http://127.0.0.1:8080", server.base());
    // In the server's folder, where the commands write rule files.
    let output = Command::new("bash")
        .args(["-euc", &script])
        .env("TOKEN", system.client.bearer())
        .current_dir(server.home.root())
        .output()
        .expect("run bash");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> = printed.split("@@@@").map(str::trim).collect();
    assert_eq!(answers.len(), commands.len());

    let mut compared = 0;
    let mut command = 0;
    for (lang, text) in &blocks {
        match lang.as_str() {
            "sh" => command += 1,
            "json" => {
                let (said, got) = (text.trim(), answers[command - 1]);
                let expected: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"));
                let answer: Value = serde_json::from_str(got).unwrap_or_else(|error| panic!("{error}: {got}"));
                assert!(is_as_printed(&expected, &answer), "README says\n{said}\nand the server\n{got}");
                compared += 1;
            }
            _ => {}
        }
    }
    assert!(compared >= 3, "the section shows answers");

    // What it says in words.
    let stored = json!({ "webhook": { "field1": "value", "field2": 123, "nested_field": 456 } });
    assert_eq!(system.attributes("name@company.com"), stored);
    let refusal: Value = serde_json::from_str(answers[answers.len() - 1]).expect("a problem");
    assert_eq!(refusal["status"], 422);
    let pointers: Vec<&Value> = refusal["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/data/0/Status", "/data/0/Seats"]);
}

#[test]
fn printed_answers_are_compared_up_to_their_gaps() {
    let printed = json!({ "a": "…", "b": [1, "…"] });
    assert!(is_as_printed(&printed, &json!({ "a": { "x": 1 }, "b": [1, 2] })));
    assert!(!is_as_printed(&printed, &json!({ "a": 1, "b": [2, 2] })));
    assert!(!is_as_printed(&printed, &json!({ "a": 1, "b": [1, 2], "c": 3 })));
}
