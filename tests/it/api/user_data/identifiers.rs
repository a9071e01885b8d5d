//! Which end user a record is about.

use serde_json::{Value, json};

use crate::support::{Counts, crm, shared};

#[test]
fn strings_and_numbers_are_identifiers_kept_as_sent() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let token = system.token("crm");
    let long = "é".repeat(128);
    let cases: &[(String, &str)] = &[
        (r#""name@company.com""#.to_owned(), "name@company.com"),
        (r#""  two spaces  ""#.to_owned(), "  two spaces  "),
        (r#""a/b?c#d%2F&e""#.to_owned(), "a/b?c#d%2F&e"),
        (r#""日本 \ud83d\ude00""#.to_owned(), "日本 😀"),
        (format!("\"{long}\""), &long),
        ("42".to_owned(), "42"),
        ("-7".to_owned(), "-7"),
        ("4.50".to_owned(), "4.5"),
        ("12345678901234567890123".to_owned(), "12345678901234567890123"),
    ];
    for (number, (sent, id)) in cases.iter().enumerate() {
        let reply = system.client.update_raw(&token, &format!(r#"[{{"Email":{sent},"Seats":{number}}}]"#));
        assert_eq!(reply.counts().created, 1, "{sent}");
        let end_user = system.end_user(id).is(200);
        assert_eq!(end_user["id"], *id, "{sent}");
        assert_eq!(end_user["attributes"]["crm"]["Seats"], number, "{sent}");
    }
    let again = system.client.update_raw(&token, r#"[{"Email":"42","Seats":5}]"#);
    assert_eq!(again.counts().unchanged, 1, "the number 42 and the text \"42\" are one end user");
}

#[test]
fn anything_else_is_no_identifier() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let token = system.token("crm");
    let too_long = format!("\"{}\"", "x".repeat(257));
    let too_many_bytes = format!("\"{}!\"", "é".repeat(128));
    let bad = [
        r#""""#,
        "true",
        "[]",
        r#"["a"]"#,
        "{}",
        r#""a\u0000b""#,
        r#""line\nbreak""#,
        r#""\u007f""#,
        r#""\u0085""#,
        "1e999",
        &too_long,
        &too_many_bytes,
    ];
    for sent in bad {
        let reply = system.client.update_raw(&token, &format!(r#"[{{"Email":{sent},"Seats":1}}]"#));
        reply.problem(422).points_at(vec!["/data/0/Email"]);
    }
    for missing in [json!({ "Seats": 1 }), json!({ "email": "a", "Seats": 1 }), json!({})] {
        let problem = system.update("crm", &json!([missing])).problem(422);
        assert!(
            !problem.errors.is_empty() && problem.pointers().iter().all(|p| p.starts_with("/data/0")),
            "{problem:?}"
        );
        problem.says("Email");
    }
}

#[test]
fn a_record_needs_one_other_field() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let problem = system.update("crm", &json!([{ "Email": "a", "Seats": 1 }, { "Email": "b" }])).problem(422);
    assert_eq!(problem.errors.len(), 1, "{problem:?}");
    assert!(problem.pointers()[0].starts_with("/data/1"), "{problem:?}");
    assert_eq!(system.attributes("a"), Value::Null, "nothing of the call is stored");
}

#[test]
fn case_and_spaces_matter_unless_the_system_lowers() {
    let exact = shared().add_system(&[("integrations/crm.toml", crm())]);
    let data = json!([{ "Email": "Ann", "Seats": 1 }, { "Email": "ann", "Seats": 2 }]);
    assert_eq!(exact.update("crm", &data).counts().created, 2);
    assert_eq!(exact.attributes("Ann")["crm"]["Seats"], 1);
    exact.end_user("ANN").problem(404);

    let lower = shared()
        .add_system(&[("integrations/crm.toml", crm()), ("system.toml", "identifier_case = \"lower\"\n".to_owned())]);
    let counts =
        lower.update("crm", &json!([{ "Email": "JÖHN", "Seats": 1 }, { "Email": "jöhn", "Seats": 2 }])).counts();
    assert_eq!(counts, Counts { received: 2, created: 1, ..Counts::default() }, "one end user named twice");
    let end_user = lower.end_user("Jöhn").is(200);
    assert_eq!((&end_user["id"], &end_user["attributes"]["crm"]["Seats"]), (&json!("jöhn"), &json!(2)));
    assert_eq!(lower.page_load("JÖHN")["known"], true);
    lower.client.delete(&lower.public("end-users/J%C3%96HN")).is(204);
    lower.end_user("jöhn").problem(404);
}
