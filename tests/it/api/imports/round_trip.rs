//! What an export wrote, imported again: the same data, whatever a spreadsheet would have made of it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{came_to, import};
use crate::support::{Ask, System, property, segment, shared};

/// What a spreadsheet computes, what looks as if it were guarded already, and what only looks odd.
const ODD: [&str; 14] = [
    "=1+1",
    "+49 30",
    "-x",
    "@SUM(A1)",
    "\t=x",
    "\r\n=x",
    "'=1",
    "''@x",
    "'plain'",
    "'",
    "say \"hi\", you",
    " =1",
    "a\nb",
    "-1.5",
];

fn system() -> System<'static> {
    let fields =
        [property("=total", "Total", "string"), property("@x", "", "string"), property("-n", "Minus", "number")];
    let crm = format!("kind = \"csv\"\nuser_identifier = \"+id\"\n{}", fields.concat());
    shared().add_system(&[
        ("integrations/upload.toml", crm),
        ("segments/formula.rhai", segment("starts_with(upload.Total, \"=\")")),
        ("segments/negative.rhai", segment("upload.Minus < 0")),
    ])
}

fn export(system: &System<'_>, accept: &str, body: &Value) -> String {
    let request = system.client.request(Method::POST, &system.public("end-users/export"));
    let reply = request.header("accept", accept).json(body).ask();
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

/// Everything that there is to say about the end users of a system, in no order.
fn answers(system: &System<'_>) -> Vec<Value> {
    let all = export(system, "application/x-ndjson", &json!({}));
    let mut answers: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    answers.sort_by_key(|item| item["id"].to_string());
    for item in &mut answers {
        item["segments"] = json!(system.segments(item["id"].as_str().unwrap()));
    }
    answers
}

#[test]
fn an_exported_file_imports_to_the_same_data() {
    let (from, to) = (system(), system());
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    // Raw, so what begins with an apostrophe and a formula is behind one more, as an export would have it.
    let guarded = |text: &str| {
        let is_suspect = text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r']);
        quoted(&if is_suspect { format!("'{text}") } else { text.to_owned() })
    };
    let mut file = "'+id,'=total,'@x,'-n\n".to_owned();
    for (n, odd) in ODD.iter().enumerate() {
        // An identifier has no control character.
        let id = format!("{}{n}", odd.replace(|c: char| c.is_control(), ""));
        file += &format!("{},{},{},{}\n", guarded(&id), guarded(odd), guarded(ODD[13 - n]), 3_i64 - n as i64);
    }
    came_to(&import(&from, "", file), "done", [14, 14, 0]);
    let before = answers(&from);
    assert_eq!(from.attributes("=1+10")["upload"], json!({ "Total": "=1+1", "_x": "-1.5", "Minus": 3 }));
    assert_eq!(from.attributes("'=16")["upload"]["Total"], "'=1");
    assert_eq!(from.segments("=1+10"), ["formula"]);

    let csv = export(&from, "text/csv", &json!({ "integration": "upload" }));
    assert!(csv.starts_with("'+id,'=total,'@x,'-n\r\n"), "{csv}");
    came_to(&import(&to, "", csv.clone()), "done", [14, 14, 0]);
    assert_eq!(answers(&to), before);
    assert_eq!(export(&to, "text/csv", &json!({ "integration": "upload" })), csv);
}

#[test]
fn cells_that_nobody_guarded_are_taken_as_they_are() {
    let system = system();
    came_to(&import(&system, "", "+id,=total,-n\n=a,=1,-2\n'b,'c',1\n"), "done", [2, 2, 0]);
    assert_eq!(system.attributes("=a")["upload"], json!({ "Total": "=1", "Minus": -2 }));
    assert_eq!(system.attributes("'b")["upload"], json!({ "Total": "'c'", "Minus": 1 }));
    let done = import(&system, "", "+id,'-n,-n\na,1,2\n");
    came_to(&done, "failed", [0, 0, 0]);
    came_to(&import(&system, "?on_error=skip", "+id,-n\na,'-5\n"), "done", [1, 0, 1]);
}

#[test]
fn who_would_be_an_empty_row_is_left_out() {
    let fields = [property("Email", "", "string"), property("Note", "", "string"), property("Seats", "", "number")];
    let integration = |kind: &str| format!("kind = \"{kind}\"\nuser_identifier = \"Email\"\n{}", fields.concat());
    let from = shared().add_system(&[("integrations/upload.toml", integration("api"))]);
    let to = shared().add_system(&[("integrations/upload.toml", integration("csv"))]);
    let records = json!([
        { "Email": "ann", "Note": "" },
        { "Email": "bob", "Note": "", "Seats": 1 },
        { "Email": "carl", "Undeclared": 1 },
        { "Email": "dora", "Note": "x" },
    ]);
    from.update("upload", &records).counts();
    let csv = export(&from, "text/csv", &json!({ "integration": "upload" }));
    assert_eq!(csv, "Email,Note,Seats\r\nbob,,1\r\ndora,x,\r\n");
    came_to(&import(&to, "", csv), "done", [2, 2, 0]);
}
