//! Wrong rules are refused before they go live, with their place and how to mend them, by `check` and by PUT alike.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Server, crm, integration, segment, shared};

/// A rule that must not go live.
struct Wrong {
    /// The rule, without the comment line above it.
    rule: &'static str,
    /// The line of the mistake in the file, whose line 1 is a comment; 0 where the rule ends too early and any will do.
    line: usize,
    /// What the message or its hint must say, in any case.
    says: &'static [&'static str],
}

const fn wrong(rule: &'static str, line: usize, says: &'static [&'static str]) -> Wrong {
    Wrong { rule, line, says }
}

const WRONG: &[Wrong] = &[
    wrong("crm.Seets >= 50", 2, &["Seets", "Seats"]),
    wrong("crn.Seats >= 50", 2, &["crn", "crm"]),
    wrong("true\n  && crm.Custmer_Type == \"x\"", 3, &["Custmer_Type", "Customer_Type"]),
    wrong("crm.Customer_Type == 5", 2, &["string", "number"]),
    wrong("crm.Seats == \"fifty\"", 2, &["number", "string"]),
    wrong("crm.Seats > \"2024-01-01\"", 2, &["number"]),
    wrong("crm.Signup >= \"2024-13-01\"", 2, &["2024-13-01"]),
    wrong("crm.Signup == \"yesterday\"", 2, &["yesterday"]),
    wrong("crm.Signup > date(\"2023-02-29\")", 2, &["2023-02-29"]),
    wrong("crm.Signup > 5", 2, &["date", "number"]),
    wrong("crm.Seats + 1", 2, &["boolean"]),
    wrong("crm.Customer_Type", 2, &["boolean"]),
    wrong("\"paying\"", 2, &["boolean"]),
    wrong("let x = 1;", 2, &["boolean"]),
    wrong("starts_with(crm.Seats, \"5\")", 2, &["starts_with"]),
    wrong("matches(crm.Customer_Type, \"(\")", 2, &["regular expression"]),
    wrong("contians(crm.Customer_Type, \"x\")", 2, &["contians"]),
    wrong("in_segment(\"premuim\")", 2, &["premuim", "premium"]),
    wrong("in_segment(\"w_cycle\")", 2, &["cycle"]),
    wrong("import \"os\" as os; true", 2, &["import"]),
    wrong("eval(\"true\")", 2, &["eval"]),
    wrong("print(\"x\"); true", 2, &["print"]),
    wrong("debug(\"x\"); true", 2, &["debug"]),
    wrong("sleep(1); true", 2, &["sleep"]),
    wrong("timestamp() == timestamp()", 2, &["timestamp"]),
    wrong("loop { }", 2, &[]),
    wrong("fn f(n) { f(n + 1) } f(0)", 2, &[]),
    wrong("let s = \"x\"; loop { s += s; } true", 2, &[]),
    wrong("let a = [1]; loop { a += a; } true", 2, &[]),
    wrong("crm.Seats >=", 0, &[]),
    wrong("(crm.Seats >= 50\n&& true", 0, &[]),
    wrong("crm.Seats = 50", 2, &[]),
    wrong("", 0, &[]),
];

fn wrong_id(number: usize) -> String {
    if WRONG[number].rule.contains("w_cycle") { "w_cycle".to_owned() } else { format!("w{number}") }
}

/// A whole file of a wrong rule.
fn wrong_file(number: usize) -> String {
    segment(WRONG[number].rule)
}

fn ground() -> Vec<(&'static str, String)> {
    let off = integration("Email", &[("Plan", "", "string")]).replace("kind =", "enabled = false\nkind =");
    vec![
        ("integrations/crm.toml", crm()),
        ("integrations/off.toml", off),
        ("segments/premium.rhai", segment("crm.Seats >= 50")),
    ]
}

/// A rules folder in which every wrong rule is in a system of its own (`r<number>`).
fn wrong_tree() -> Vec<(String, String)> {
    let mut tree = Vec::new();
    for number in 0..WRONG.len() {
        tree.extend(ground().into_iter().map(|(path, text)| (format!("r{number}/{path}"), text)));
        tree.push((format!("r{number}/segments/{}.rhai", wrong_id(number)), wrong_file(number)));
    }
    tree
}

#[test]
fn check_tells_every_wrong_rule_with_its_place() {
    let home = Server::with(&wrong_tree()).home();
    let output = home.run(&["check", "rules"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let mut failures = String::new();
    for (number, wrong) in WRONG.iter().enumerate() {
        let file = format!("r{number}/segments/{}.rhai:", wrong_id(number));
        let Some(line) = text.lines().find(|line| line.contains(&file)) else {
            writeln!(failures, "nothing is said of `{}`", wrong.rule).unwrap();
            continue;
        };
        let place = line.split_once(&file).unwrap().1;
        let mut numbers = place.splitn(3, ':');
        let (row, column, message) = (numbers.next(), numbers.next(), numbers.next());
        let whole =
            text.lines().skip_while(|other| *other != line).take(3).collect::<Vec<_>>().join("\n").to_lowercase();
        let mut place_is_right = row == Some(wrong.line.to_string().as_str()) || wrong.line == 0;
        place_is_right &=
            column.and_then(|column| column.parse::<usize>().ok()).is_some_and(|c| c >= 1 || wrong.line == 0);
        place_is_right &= message.is_some_and(|message| message.trim().len() > 5);
        if !place_is_right {
            writeln!(failures, "`{}` should be told at line {}: {line}", wrong.rule, wrong.line).unwrap();
        }
        for says in wrong.says {
            if !whole.contains(&says.to_lowercase()) {
                writeln!(failures, "`{}` should say `{says}`: {line}", wrong.rule).unwrap();
            }
        }
    }
    assert!(failures.is_empty(), "{failures}\n--- all of it\n{text}");
}

#[test]
fn check_speaks_json_and_github() {
    let home = Server::with(&[
        ("s/integrations/crm.toml", crm()),
        ("s/segments/big.rhai", "// Big\ntrue &&\n  crm.Seets >= 50\n".to_owned()),
    ])
    .home();
    let output = home.run(&["check", "rules", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON value");
    let text = json.to_string();
    for part in ["big.rhai", "\"line\":3", "\"column\":", "Seets", "Seats"] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let output = home.run(&["check", "rules", "--format", "github"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line =
        text.lines().find(|line| line.starts_with("::error ")).unwrap_or_else(|| panic!("no annotation: {text}"));
    for part in ["file=", "s/segments/big.rhai", "line=3", "col=", "Seets"] {
        assert!(line.contains(part), "`{part}` is not in {line}");
    }
    assert_eq!(home.run(&["check", "rules", "--format", "xml"]).status.code(), Some(2));
}

#[test]
fn a_put_refuses_every_wrong_rule_in_the_same_words() {
    let system = shared().add_system(&ground());
    let mut failures = String::new();
    for (number, wrong) in WRONG.iter().enumerate() {
        let path = system.admin(&format!("segments/{}", wrong_id(number)));
        let reply = system.client.put(&path, &json!({ "text": wrong_file(number) }));
        let body = reply.body.to_lowercase();
        if reply.status != 422 || !wrong.says.iter().all(|says| body.contains(&says.to_lowercase())) {
            writeln!(failures, "`{}` answered {}: {}", wrong.rule, reply.status, reply.body).unwrap();
        }
        if system.has_file(&format!("segments/{}.rhai", wrong_id(number))) {
            writeln!(failures, "`{}` was written", wrong.rule).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert_eq!(system.segments("a"), Vec::<String>::new(), "and the server goes on");
}

#[test]
fn a_cycle_is_told_for_each_on_it() {
    let home = Server::with(&[
        ("s/integrations/crm.toml", crm()),
        ("s/segments/a.rhai", segment("in_segment(\"b\")")),
        ("s/segments/b.rhai", segment("!in_segment(\"c\")")),
        ("s/segments/c.rhai", segment("in_segment(\"a\") || true")),
        ("s/segments/d.rhai", segment("in_segment(\"a\")")),
    ])
    .home();
    let output = home.run(&["check", "rules"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for on_it in ["a.rhai:2:", "b.rhai:2:", "c.rhai:2:"] {
        assert!(text.lines().any(|line| line.contains(on_it) && line.contains("cycle")), "{on_it}: {text}");
    }
}
