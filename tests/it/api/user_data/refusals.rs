//! Every refusal of an update call: its status, its places, and that nothing of the call is stored.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, Server, System, crm, shared};

fn system() -> System<'static> {
    shared().add_system(&[("integrations/crm.toml", crm())])
}

#[test]
fn a_usual_mistake_is_told_with_its_mending() {
    let system = system();
    for (body, told) in [
        ("", "the body is empty"),
        (r#"[{"Email":"a","Seats":1}]"#, "no JSON object"),
        (r#"{"token":"x","data":[{"Email":"a","Seats":1,}]}"#, "a comma too many"),
        (r#"{'token':'x'}"#, "without double quotes"),
    ] {
        system.client.update_body(body.as_bytes().to_vec()).problem(400).says(told);
    }
    let token = system.token("crm");
    let swapped = shared().anonymous().with_bearer(&token).get("/public/v1/systems/s/end-users/a");
    swapped.problem(401).says("looks like an integration token");
    system.update("crm", &json!([{ "Email": "a", "Signup": 1 }])).problem(422).says("YYYY-MM-DD");
}

#[test]
fn what_is_not_such_json_is_400() {
    let system = system();
    let token = system.token("crm");
    let record = r#"{"Email":"a","Seats":1}"#;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("not JSON", b"Seats=1".to_vec()),
        ("cut short", format!(r#"{{"token":"{token}","data":[{record}"#).into_bytes()),
        ("text after the end", format!(r#"{{"token":"{token}","data":[{record}]}} x"#).into_bytes()),
        ("the seed's missing colons", format!(r#"{{"token""{token}","data":[{record}]}}"#).into_bytes()),
        (
            "no UTF-8",
            [format!(r#"{{"token":"{token}","data":[{{"Email":"#).as_bytes(), b"\"\xff\",\"Seats\":1}]}"].concat(),
        ),
        ("an array", format!("[{record}]").into_bytes()),
        ("no token", format!(r#"{{"data":[{record}]}}"#).into_bytes()),
        ("no data", format!(r#"{{"token":"{token}"}}"#).into_bytes()),
        ("a token that is a number", format!(r#"{{"token":1,"data":[{record}]}}"#).into_bytes()),
        ("data that is one record", format!(r#"{{"token":"{token}","data":{record}}}"#).into_bytes()),
        ("data that is null", format!(r#"{{"token":"{token}","data":null}}"#).into_bytes()),
        ("a record that is a text", format!(r#"{{"token":"{token}","data":[{record},"a"]}}"#).into_bytes()),
        ("a record that is an array", format!(r#"{{"token":"{token}","data":[[]]}}"#).into_bytes()),
        ("two tokens", format!(r#"{{"token":"{token}","token":"{token}","data":[{record}]}}"#).into_bytes()),
        ("two data", format!(r#"{{"token":"{token}","data":[],"data":[{record}]}}"#).into_bytes()),
        (
            "a field twice",
            format!(r#"{{"token":"{token}","data":[{{"Email":"a","Seats":1,"Seats":2}}]}}"#).into_bytes(),
        ),
        (
            "a nested key twice",
            format!(r#"{{"token":"{token}","data":[{{"Email":"a","x":{{"y":1,"y":1}}}}]}}"#).into_bytes(),
        ),
        (
            "half a surrogate pair",
            format!(r#"{{"token":"{token}","data":[{{"Email":"\ud800","Seats":1}}]}}"#).into_bytes(),
        ),
        (
            "a key twice beside token and data",
            format!(r#"{{"token":"{token}","data":[{record}],"x":[{{"y":1,"y":1}}]}}"#).into_bytes(),
        ),
        ("nested 100,000 deep", format!(r#"{{"token":"{token}","data":[{{"Email":"a","x":{deep}}}]}}"#).into_bytes()),
    ];
    for (what, body) in cases {
        let reply = system.client.update_body(body);
        assert_eq!(reply.status, 400, "{what}: {}", reply.body);
        reply.problem(400);
    }
    assert_eq!(system.attributes("a"), Value::Null);
}

#[test]
fn a_long_key_over_many_places_does_not_multiply() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    let system = server.system("s");
    let token = system.token("crm");
    // Each place's pointer has the key in it: written out for every one, they would come to gigabytes.
    let key = "k".repeat(4 << 20);
    let call = |item: &str| {
        let items = vec![item; 500_000].join(",");
        format!(r#"{{"token":"{token}","data":[{{"Email":"a","Seats":1,"{key}":[{items}]}}]}}"#)
    };
    let refused = system.client.update_body(call("null"));
    assert_eq!(refused.problem(422).code(&format!("/data/0/{key}/0")), "null");
    assert!(refused.body.len() < 10 << 20, "{} bytes", refused.body.len());
    assert_eq!(system.attributes("a"), Value::Null);
    system.client.update_body(call("1")).counts();
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }));

    let members: Vec<String> = (0..1900).map(|n| format!("\"{n}\":1")).collect();
    let payload = format!(r#"{{"data":[{{"Email":"a","{key}":{{{}}}}}]}}"#, members.join(","));
    let request = system.client.request(Method::POST, &system.admin("integrations/crm/test"));
    let tried = request.header("content-type", "application/json").body(payload).ask();
    assert_eq!(tried.is(200)["accepted"], true);
    assert!(tried.body.len() < 10 << 20, "{} bytes", tried.body.len());
}

#[test]
fn a_call_without_records_is_refused() {
    let system = system();
    let reply = system.update("crm", &json!([]));
    assert!(matches!(reply.status, 400 | 422), "{reply:?}");
    reply.problem(reply.status);
}

#[test]
fn only_json_is_taken() {
    let system = system();
    let body = json!({ "token": system.token("crm"), "data": [{ "Email": "a", "Seats": 1 }] }).to_string();
    let post = || system.client.request(Method::POST, "/public/v1/user/data").body(body.clone());
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"] {
        post().header("content-type", kind).ask().problem(415);
    }
    post().ask().problem(415);
    assert_eq!(system.attributes("a"), Value::Null);
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        post().header("content-type", kind).ask().counts();
    }
}

#[test]
fn a_bearer_is_needed() {
    let system = system();
    let body = json!({ "token": system.token("crm"), "data": [{ "Email": "a", "Seats": 1 }] });
    let good = system.client.bearer();
    let parts: Vec<&str> = good.split('.').collect();
    assert_eq!(parts.len(), 3, "an access token is a signed JWT");
    let flipped: String = parts[2].chars().rev().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
    let cases = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer nonsense".to_owned()),
        Some(format!("Basic {good}")),
        Some(format!("Bearer {}.{}.{flipped}", parts[0], parts[1])),
        Some(format!("Bearer {}.{}.", parts[0], parts[1])),
        // {"alg":"none","typ":"JWT"}
        Some(format!("Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1])),
        Some(format!("Bearer {}", body["token"].as_str().unwrap())),
    ];
    for authorization in cases {
        let request = system.client.anonymous().request(Method::POST, "/public/v1/user/data").json(&body);
        let reply = match &authorization {
            Some(text) => request.header("authorization", text).ask(),
            None => request.ask(),
        };
        assert_eq!(reply.status, 401, "{authorization:?}: {}", reply.body);
        reply.problem(401);
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{authorization:?}: {:?}", reply.headers);
    }
    assert_eq!(system.attributes("a"), Value::Null);
    let any_case = system.client.anonymous().request(Method::POST, "/public/v1/user/data").json(&body);
    any_case.header("authorization", format!("bearer {good}")).ask().counts();
}

#[test]
fn the_scope_must_let_it_write() {
    let system = system();
    let token = system.token("crm");
    let data = json!([{ "Email": "a", "Seats": 1 }]);
    let reader = system.server.client_with("end_users:read segments:read integrations:write");
    reader.update(&token, &data).problem(403).says("end_users:write");
    assert_eq!(system.attributes("a"), Value::Null);
    system.server.client_with("end_users:write").update(&token, &data).counts();
}

#[test]
fn every_bad_place_is_named_and_nothing_is_stored() {
    let system = system();
    system.update("crm", &json!([{ "Email": "old", "Seats": 1 }])).counts();
    let data = json!([
        { "Email": "old", "Seats": 2 },
        { "Email": "new", "Type": "fine", "Status": ["x"], "Seats": "many" },
        { "Email": "c", "Status": { "a": 1 }, "Signup": "2023-02-29" },
        { "Seats": 3 },
        { "Email": "d" },
        { "Email": "e", "Type": null, "Other": [null] },
        { "Email": "f", "Seats": 4, "Undeclared": { "fine": [true] } },
    ]);
    let reply = system.update("crm", &data);
    let problem = reply.problem(422);
    let exact =
        ["/data/1/Status", "/data/1/Seats", "/data/2/Status", "/data/2/Signup", "/data/5/Type", "/data/5/Other/0"];
    for pointer in exact {
        assert!(problem.pointers().contains(&pointer), "{pointer} is not told: {}", problem.body);
    }
    for record in ["/data/3", "/data/4"] {
        let told = problem.pointers().iter().filter(|pointer| pointer.starts_with(record)).count();
        assert_eq!(told, 1, "{record}: {}", problem.body);
    }
    assert_eq!(problem.errors.len(), exact.len() + 2, "and nothing else: {}", problem.body);
    assert_eq!(problem.code("/data/1/Status"), "wrong_type");
    assert_eq!(problem.code("/data/1/Seats"), "not_a_number");
    assert_eq!(problem.code("/data/2/Signup"), "no_such_day");

    assert_eq!(system.attributes("old"), json!({ "crm": { "Seats": 1 } }), "not even the good records are stored");
    for id in ["new", "c", "d", "e", "f"] {
        system.end_user(id).problem(404);
    }
}

#[test]
fn an_unknown_integration_token_is_403() {
    let system = system();
    let live = system.token("crm");
    let data = json!([{ "Email": "a", "Seats": 1 }]);
    let zeros = "0".repeat(64);
    let shorter = &live[..63];
    let longer = format!("{live}0");
    let shouted = live.to_uppercase();
    for token in ["", "x", zeros.as_str(), shorter, longer.as_str(), system.client.bearer()] {
        system.client.update(token, &data).problem(403);
    }
    if shouted != live {
        system.client.update(&shouted, &data).problem(403);
    }
    assert_eq!(system.attributes("a"), Value::Null);
}
