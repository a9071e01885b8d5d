//! How rules run, as `check` tells it; and that it is told to check a rules folder, not one of its systems.

use serde_json::{Value, json};

use crate::support::{Home, Server, crm, segment};

const SCRIPT: &str = "crm.Seats > 5 &&\n  crm.Customer_Type.split(\",\").len() > 1";

fn home() -> Home {
    Server::with(&[
        ("s/integrations/crm.toml", crm()),
        ("s/segments/big.rhai", segment("let limit = 50; crm.Seats * 2 >= limit")),
        ("s/segments/listed.rhai", segment(SCRIPT)),
        ("s/segments/odd.rhai", segment("crm.Seats % 2 == 1 || crm.Seats == ()")),
    ])
    .home()
}

#[test]
fn check_says_how_each_segment_runs_and_why() {
    let home = home();
    let output = home.run(&["check", "rules"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "  index           big",
        "  index + script  listed: the function `split` (rules/s/segments/listed.rhai:3:21)",
        "  script          odd: the operator `%` (rules/s/segments/odd.rhai:2:11)",
    ] {
        assert!(text.lines().any(|told| told == line), "`{line}` is not in\n{text}");
    }
    let output = home.run(&["check", "rules", "--format", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON value");
    let mode = |segment: &str, mode: &str, guarded: bool, why: Value, line: u64, column: u64| {
        json!({ "segment": segment, "file": format!("s/segments/{segment}.rhai"), "mode": mode, "guarded": guarded,
            "why": why, "line": line, "column": column })
    };
    let expected = json!([
        mode("big", "index", false, Value::Null, 0, 0),
        mode("listed", "script", true, json!("the function `split`"), 3, 21),
        mode("odd", "script", false, json!("the operator `%`"), 2, 11),
    ]);
    assert_eq!(json["systems"][0]["modes"], expected);
    let output = home.run(&["check", "rules", "--format", "github"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let notices: Vec<&str> = text.lines().filter(|line| line.starts_with("::notice ")).collect();
    assert_eq!(notices.len(), 2, "{text}");
    assert!(notices[0].contains("s/segments/listed.rhai,line=3,col=21::`listed` runs as a script"), "{text}");
}

#[test]
fn check_asks_for_the_folder_that_holds_the_systems() {
    let home = home();
    for (folder, says) in [
        ("rules/s", "`rules/s` is the folder of one system"),
        ("rules/t", "there is no folder `rules/t`"),
        ("rules/s/segments/big.rhai", "there is no folder"),
    ] {
        let output = home.run(&["check", folder]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(says), "{text}");
        assert_eq!(text.contains("`rollcall check rules`"), folder.len() == "rules/s".len(), "{text}");
    }
    // A system may be called so.
    let home = Server::with(&[("segments/integrations/crm.toml", crm()), ("integrations/system.toml", String::new())]);
    let output = home.home().run(&["check", "rules"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
