//! Page loads and updates are answered by a short way past the router. It must give the router's answers, byte for byte.
//!
//! A request with a whole address in its first line, as proxies get it, takes the router.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::{CLIENT_ID, Server, crm, segment};

/// One request: method, path, header lines, body.
struct Call {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<String>,
    body: String,
}

/// Sends the request with that target and gives the whole answer as it came.
fn sent(server: &Server, call: &Call, target: &str) -> String {
    let host = server.base().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let Call { method, headers, body, .. } = call;
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // What is refused by its length is not read to its end.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = String::new();
    let mut stream = BufReader::new(stream);
    while !answer.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut answer).unwrap() > 0, "the answer ends in its head: {answer}");
    }
    let (_, length) = answer.split_once("\r\ncontent-length: ").expect("the answer tells its length");
    let length = length.lines().next().unwrap().parse().unwrap();
    stream.take(length).read_to_string(&mut answer).unwrap();
    answer
}

/// The answer without what differs from one to the next: times, and ids that the server made up.
fn constant(answer: &str) -> String {
    let changing = regex::Regex::new(
        r#"(?m)^(date: ).*\r$|^(x-request-id: )[0-9a-f]{16}-[0-9a-f]+\r$|("evaluated_at":)"[^"]*"|(\(see[^)]*\))"#,
    );
    changing.unwrap().replace_all(answer, "$1$2$3…").into_owned()
}

#[test]
fn both_ways_give_the_same_answer() {
    let files = [
        ("shop/integrations/crm.toml", crm()),
        ("shop/segments/premium.rhai", segment("crm.Seats >= 50")),
        ("shop/segments/some.rhai", segment("is_set(crm.Seats)")),
        ("lower/system.toml", "identifier_case = \"lower\"\n".to_owned()),
        ("lower/integrations/crm.toml", crm()),
    ];
    let server = Server::with(&files).config("[limits]\nbody_mib = 1\nrecords_per_call = 3\n").start();
    let calls = calls(&server, &server.system("shop").token("crm"));
    for call in &calls {
        let whole = format!("{}{}", server.base(), call.path);
        // Once beforehand, so that an update finds the same both times.
        sent(&server, call, &call.path);
        let (direct, routed) = (sent(&server, call, &call.path), sent(&server, call, &whole));
        assert!(direct.starts_with("HTTP/1.1 "), "{}: {direct}", call.what);
        assert_eq!(constant(&direct), constant(&routed), "{}", call.what);
    }
    let metrics = server.client().get("/metrics").body;
    for (route, method, least) in
        [("/public/v1/systems/{s}/end-users/{id}/segments", "GET", 20), ("/public/v1/user/data", "POST", 30)]
    {
        let of = |line: &&str| {
            line.starts_with("rollcall_http_requests_total{")
                && line.contains(&format!("route=\"{route}\""))
                && line.contains(&format!("method=\"{method}\""))
        };
        let counts = metrics.lines().filter(of).map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        let asked = calls.iter().filter(|call| call.method == method && call.body.is_empty() == (method == "GET"));
        let (counted, asked) = (counts.sum::<u64>(), 3 * asked.count() as u64);
        assert!(counted == asked && asked > least, "{route}: {counted} of {asked}\n{metrics}");
    }
}

/// Good and bad calls of both kinds.
fn calls(server: &Server, token: &str) -> Vec<Call> {
    let bearer = |client: &crate::support::Client| format!("Authorization: Bearer {}", client.bearer());
    let (all, few) = (bearer(&server.client()), bearer(&server.client_with("segments:read")));
    let load = |what, path: &str, headers: &[&str]| Call {
        what,
        method: "GET",
        path: format!("/public/v1/systems/{path}/segments"),
        headers: headers.iter().map(|&line| line.to_owned()).collect(),
        body: String::new(),
    };
    let update = |what, headers: &[&str], body: String| Call {
        what,
        method: "POST",
        path: "/public/v1/user/data".to_owned(),
        headers: headers.iter().map(|&line| line.to_owned()).collect(),
        body,
    };
    let json = "Content-Type: application/json";
    let data = |data: &str| format!("{{\"token\":\"{token}\",\"data\":{data}}}");
    let ann = || data(r#"[{"Email":"ann","Seats":60}]"#);
    vec![
        update("an update", &[&all, json], ann()),
        update("an update with an id", &[&all, json, "X-Request-Id: mine"], ann()),
        update("an update with a key", &[&all, json, "Idempotency-Key: k1"], ann()),
        update(
            "three records",
            &[&all, json],
            data(r#"[{"Email":"b","Seats":1},{"Email":"c","Seats":2},{"Email":"c"}]"#),
        ),
        update("without a token", &[json], ann()),
        update("with a bad token", &["Authorization: Bearer x.y.z", json], ann()),
        update("with another scheme", &["Authorization: Basic YTpi", json], ann()),
        update("without the permission", &[&few, json], ann()),
        update("without a media type", &[&all], ann()),
        update("another media type", &[&all, "Content-Type: text/plain"], ann()),
        update("no JSON", &[&all, json], "{".to_owned()),
        update("too many records", &[&all, json], data("[{},{},{},{}]")),
        update("bad values", &[&all, json], data(r#"[{"Email":"ann","Seats":"x"}]"#)),
        update("a token of no integration", &[&all, json], ann().replace(token, &"0".repeat(64))),
        update("a body too large", &[&all, json], data(&format!("[{{\"Email\":\"{}\"}}]", "x".repeat(1 << 20)))),
        update("a bad key", &[&all, json, "Idempotency-Key: a b"], ann()),
        load("a page load", "shop/end-users/ann", &[&all]),
        load("a page load with an id", "shop/end-users/ann", &[&all, "X-Request-Id: mine"]),
        load("a stranger", "shop/end-users/nobody", &[&all]),
        load("another case", "lower/end-users/ANN", &[&all]),
        load("an identifier with quotes", "shop/end-users/\"a\"", &[&all]),
        load("an identifier that is too long", &format!("shop/end-users/{}", "x".repeat(257)), &[&all]),
        load("no such system", "nowhere/end-users/ann", &[&all]),
        load("a system's id that is none", "No-Where/end-users/ann", &[&all]),
        load("without the permission", "shop/end-users/ann", &[&few]),
        load("without a token", "shop/end-users/ann", &[]),
        load("with a client's id as a token", "shop/end-users/ann", &[&format!("Authorization: Bearer {CLIENT_ID}")]),
    ]
}
