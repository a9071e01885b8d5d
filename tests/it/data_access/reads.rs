//! Every way to read, asked about part of a system and about a system that is that part.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Asker, PEOPLE, operator, server, system_of};
use crate::support::{Reply, System, encode, entry};

/// One question: method, path within the system's public or admin API, accepted form, body.
struct Question {
    method: Method,
    path: String,
    accept: &'static str,
    body: Option<Value>,
}

fn get(path: &str) -> Question {
    Question { method: Method::GET, path: path.to_owned(), accept: "*/*", body: None }
}

fn post(path: &str, accept: &'static str, body: Value) -> Question {
    Question { method: Method::POST, path: path.to_owned(), accept, body: Some(body) }
}

/// Ways to say whom a question is about.
fn conditions() -> Vec<Value> {
    let seats = |operator: &str, value: f64| json!({ "attribute": "crm.Seats", "operator": operator, "value": value });
    vec![
        json!({}),
        json!({ "where": { "all": [] } }),
        json!({ "where": { "not": { "all": [] } } }),
        json!({ "where": seats("at_least", 50.0) }),
        json!({ "where": { "not": seats("at_least", 50.0) } }),
        json!({ "where": { "any": [seats("equals", 1e6), seats("less_than", 60.0)] } }),
        json!({ "where": { "attribute": "crm.Team", "operator": "is", "value": "C" } }),
        json!({ "where": { "attribute": "crm.Team", "operator": "is_not", "value": "A" } }),
        json!({ "where": { "attribute": "crm.Since", "operator": "before", "value": "2000-01-01" } }),
        json!({ "where": { "segment": "big" } }),
        json!({ "where": { "not": { "segment": "script" } } }),
        json!({ "rule": "crm.Note == \"secret\" || crm.Seats > 55" }),
        json!({ "rule": "in_segment(\"known\")" }),
        json!({ "rule": "let n = 0; for i in 0..3 { n += i; } crm.Seats > n * 10" }),
        json!({ "rule": "if crm.Note == \"secret\" { throw \"someone\" } crm.Seats > 1" }),
    ]
}

/// Every read of a system but the events, and everything that could tell of somebody in it.
fn questions() -> Vec<Question> {
    let mut all =
        vec![get("public/segments"), get("public/segments?limit=2"), get("public/attributes"), get("public/filters")];
    let ids = PEOPLE.iter().map(|person| person.0).chain(["nobody", "A1"]);
    for id in ids {
        all.push(get(&format!("public/end-users/{id}")));
        all.push(get(&format!("public/end-users/{id}/segments")));
        for segment in ["big", "known", "unknown", "nested", "script", "none"] {
            all.push(get(&format!("public/end-users/{id}/segments/{segment}/explain")));
        }
    }
    for segment in ["big", "known", "unknown", "nested", "script", "none"] {
        all.push(get(&format!("public/segments/{segment}")));
        all.push(get(&format!("public/segments/{segment}/members")));
        all.push(get(&format!("public/segments/{segment}/members?limit=1")));
    }
    for attribute in ["Team", "Note", "Seats", "Since", "None"] {
        all.push(get(&format!("public/attributes/crm.{attribute}/distribution")));
        all.push(get(&format!("public/attributes/crm.{attribute}/distribution?top=1")));
        for condition in conditions().iter().filter_map(|condition| condition.get("where")) {
            let condition = encode(&condition.to_string());
            all.push(get(&format!("public/attributes/crm.{attribute}/distribution?where={condition}")));
        }
    }
    for condition in conditions() {
        for more in [
            json!({}),
            json!({ "count_only": true }),
            json!({ "limit": 1 }),
            json!({ "select": ["crm.Seats"], "limit": 2 }),
        ] {
            let mut body = condition.clone();
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all.push(post("public/end-users/query", "*/*", body));
        }
        all.push(post("public/end-users/export", "application/x-ndjson", condition.clone()));
        let mut csv = condition;
        csv["integration"] = json!("crm");
        all.push(post("public/end-users/export", "text/csv", csv));
    }
    for rule in [
        "crm.Seats >= 0",
        "crm.Note == \"secret\"",
        "crm.Team == ()",
        "let n = 0; while n < 3 { n += 1; } crm.Seats < n * 20",
        "(",
    ] {
        all.push(post("admin/preview", "*/*", json!({ "files": { "segments/big.rhai": rule } })));
        all.push(post("admin/preview", "*/*", json!({ "files": { "segments/fresh.rhai": rule } })));
    }
    all.push(post(
        "admin/preview",
        "*/*",
        json!({ "files": { "segments/big.rhai": null, "segments/nested.rhai": null } }),
    ));
    all.push(post("admin/preview", "*/*", json!({ "files": { "system.toml": "" } })));
    all
}

/// What differs from one system, moment or asker to the next, though both see the same: times, ids of systems, and how
/// often rules failed, which only who sees everybody is told.
fn same(reply: &Reply, system: &System<'_>) -> String {
    let mut text = reply.body.replace(&format!("/{}/", system.id), "/SYSTEM/");
    text = text.replace(&format!("\"{}/", system.id), "\"SYSTEM/");
    if let Ok(mut json) = serde_json::from_str::<Value>(&text) {
        strip(&mut json);
        text = json.to_string();
    }
    let times = regex::Regex::new(r"\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap();
    format!("{} {} {}", reply.status, reply.header("x-total-count"), times.replace_all(&text, "TIME"))
}

fn strip(json: &mut Value) {
    match json {
        Value::Object(members) => {
            let failures = members.get("errors").is_some_and(|errors| errors.is_null() || errors.is_number());
            members.retain(|key, _| {
                key != "next_cursor" && key != "instance" && !(failures && (key == "errors" || key == "last_error"))
            });
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Every page of the answer.
fn answers(asker: &impl Asker, system: &System<'_>, question: &Question) -> Vec<String> {
    let (room, rest) = question.path.split_once('/').unwrap();
    let path = if room == "admin" { system.admin(rest) } else { system.public(rest) };
    let (mut pages, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let (mut path, mut body) = (path.clone(), question.body.clone());
        if let Some(cursor) = cursor.take() {
            match &mut body {
                Some(body) => body["cursor"] = json!(cursor),
                None => path += &format!("{}cursor={cursor}", if path.contains('?') { "&" } else { "?" }),
            }
        }
        let reply = asker.send(question.method.clone(), &path, question.accept, body.as_ref());
        pages.push(same(&reply, system));
        assert!(pages.len() < 50, "{path} never ends");
        let next = serde_json::from_str::<Value>(&reply.body)
            .ok()
            .and_then(|json| json["next_cursor"].as_str().map(str::to_owned));
        match next {
            Some(next) => cursor = Some(next),
            None => return pages,
        }
    }
}

/// Asserts that every read about part of a system is answered as about a system that is that part.
#[track_caller]
fn reads_as_if_alone(asker: &impl Asker, whole: &System<'_>, part: &System<'_>) {
    let mut wrong = Vec::new();
    for question in questions() {
        let (seen, right) = (answers(asker, whole, &question), answers(&part.client, part, &question));
        if seen != right {
            let body = question.body.map(|body| body.to_string()).unwrap_or_default();
            wrong.push(format!("{} {body}\n  seen  {seen:?}\n  right {right:?}", question.path));
        }
    }
    assert!(wrong.is_empty(), "{} questions tell of others:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_operator_of_one_unit_group_reads_as_if_there_were_nobody_else() {
    let server = server();
    let (whole, part) = (system_of(server, &["A", "B", "C"]), system_of(server, &["A"]));
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    reads_as_if_alone(&ann, &whole, &part);
    assert_eq!(ann.get(&whole.public("segments/known")).is(200)["count"], 4, "there is somebody to see");
}

#[test]
fn entries_add_up_and_those_of_other_systems_count_there_alone() {
    let server = server();
    let (whole, part) = (system_of(server, &["A", "B", "C"]), system_of(server, &["A", "B"]));
    let elsewhere = system_of(server, &["C"]);
    let access =
        [entry("Reader", &whole.id, "(U) a"), entry("Reader", &elsewhere.id, "*"), entry("Reader", &whole.id, "b")];
    let both = operator(server, &access);
    reads_as_if_alone(&both, &whole, &part);
    reads_as_if_alone(&both, &elsewhere, &elsewhere);
    let stranger = operator(server, &[entry("Reader", &elsewhere.id, "*")]);
    for question in questions() {
        for page in answers(&stranger, &whole, &question) {
            assert!(page.starts_with("403 "), "{}: {page}", question.path);
        }
    }
}

#[test]
fn an_operator_whose_unit_group_has_nobody_reads_as_if_there_were_nobody() {
    let server = server();
    let (whole, part) = (system_of(server, &["B", "C"]), system_of(server, &[]));
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    reads_as_if_alone(&ann, &whole, &part);
}

#[test]
fn segments_are_read_only_of_those_over_whom_that_permission_is_held_too() {
    let server = server();
    let whole = system_of(server, &["A", "B", "C"]);
    let access = [entry("Plain", &whole.id, "(U) a"), entry("Plain", &whole.id, "b"), entry("Namer", &whole.id, "b")];
    let ann = operator(server, &access);
    let shown = |id: &str| ann.get(&whole.public(&format!("end-users/{id}"))).is(200);
    assert_eq!(shown("a1")["attributes"]["crm"]["Seats"], 10);
    assert!(shown("a1").get("segments").is_none() && shown("b1")["segments"].is_array());
    let count = |body: Value| ann.post(&whole.public("end-users/query"), &body).is(200)["total"].clone();
    assert_eq!(count(json!({})), 6);
    assert_eq!(count(json!({ "where": { "segment": "known" } })), 2);
    assert_eq!(count(json!({ "rule": "in_segment(\"known\")" })), 2);
    assert_eq!(ann.get(&whole.public("segments/known")).is(200)["count"], 2);
    assert_eq!(ann.get(&whole.public("segments/known/members")).is(200)["items"], json!(["b1", "b2"]));
    assert_eq!(ann.get(&whole.public("end-users/a1/segments")).is(200)["known"], false);
}

#[test]
fn a_cursor_tells_nothing_and_is_nobodys_invention() {
    use base64::Engine as _;
    let server = server();
    let whole = system_of(server, &["A", "B", "C"]);
    let other = system_of(server, &["A"]);
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    let path = whole.public("segments/known/members?limit=1");
    let cursor = ann.get(&path).is(200)["next_cursor"].as_str().unwrap().to_owned();
    assert_ne!(cursor, ann.get(&path).is(200)["next_cursor"], "not even whether two are for the same place");
    ann.get(&format!("{path}&cursor={cursor}")).is(200);
    let own = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode("3");
    let swapped = cursor.replacen(cursor.chars().nth(9).unwrap(), if cursor.contains('A') { "B" } else { "A" }, 1);
    for forged in [own.as_str(), "AAAA", &swapped] {
        ann.get(&format!("{path}&cursor={forged}")).problem(400);
        ann.post(&whole.public("end-users/query"), &json!({ "cursor": forged })).problem(400);
    }
    other.client.get(&other.public(&format!("segments/known/members?cursor={cursor}"))).problem(400);
}

#[test]
fn counts_over_time_are_for_who_sees_everybody() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let path = whole.public("segments/big/history");
    operator(server, &[entry("Reader", &whole.id, "(U) a"), entry("Reader", &whole.id, "b")]).get(&path).problem(403);
    operator(server, &[entry("Reader", &whole.id, "(U) a"), entry("Reader", &whole.id, "*")]).get(&path).is(200);
    operator(server, &[entry("Plain", &whole.id, "*"), entry("Namer", &whole.id, "b")]).get(&path).problem(403);
}

#[test]
fn saved_filters_say_nothing_of_end_users() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    let path = whole.public("filters/rich");
    let body =
        json!({ "where": { "attribute": "crm.Seats", "operator": "greater_than", "value": 1e5 }, "shared": true });
    let saved = ann.ask(ann.request(Method::PUT, &path).json(&body)).is(201);
    assert!(saved["owner"].as_str().unwrap().starts_with("op"), "{saved}");
    assert_eq!(ann.get(&path).is(200)["where"], body["where"]);
    let asked = json!({ "where": saved["where"], "count_only": true });
    assert_eq!(ann.post(&whole.public("end-users/query"), &asked).is(200)["total"], 0);
    assert_eq!(whole.client.post(&whole.public("end-users/query"), &asked).is(200)["total"], 1);
}
