//! Events: who enters and leaves segments, told as it happens, resumable, ended with the token and the server.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::support::{Ask, CLIENT_ID, CLIENT_SECRET, Client, Server, System, crm, segment, shared};

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("integrations/crm.toml", crm()),
        ("segments/big.rhai", segment("crm.Seats >= 50")),
        ("segments/paying.rhai", segment("crm.Customer_Type == \"paying\"")),
    ]
}

/// One event as it came.
#[derive(Debug, PartialEq)]
struct Event {
    id: u64,
    kind: String,
    data: Value,
}

impl Event {
    fn told(&self) -> (&str, &str, &str) {
        (&self.kind, self.data["segment"].as_str().unwrap_or_default(), self.data["id"].as_str().unwrap_or_default())
    }
}

/// A stream of events.
struct Events(BufReader<Response>);

impl Events {
    #[track_caller]
    fn follow(client: &Client, path: &str, last: Option<u64>) -> Self {
        let mut request = client.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(BufReader::new(response))
    }

    /// The next event; `None` when the stream has ended.
    fn next(&mut self) -> Option<Event> {
        let (mut id, mut kind, mut data) = (None, String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).expect("the stream goes on or ends") == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", number)) => id = Some(number.parse().expect("a number")),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", text)) => text.clone_into(&mut data),
                Some(_) => {}
                None if data.is_empty() => {}
                None => {
                    let data = serde_json::from_str(&data).expect("data is JSON");
                    return Some(Event { id: id.expect("an event has an id"), kind, data });
                }
            }
        }
    }

    #[track_caller]
    fn some(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.next().expect("the stream goes on")).collect()
    }
}

fn told(events: &[Event]) -> Vec<(&str, &str, &str)> {
    events.iter().map(Event::told).collect()
}

fn system() -> System<'static> {
    shared().add_system(&files())
}

#[test]
fn moves_are_told_as_they_happen_with_their_cause() {
    let system = system();
    // Nothing was ever stored here yet.
    let mut events = Events::follow(&system.client, &system.public("events"), None);
    system.update("crm", &json!([{ "Email": "a", "Seats": 60, "Type": "paying" }])).counts();
    let entered = events.some(2);
    assert_eq!(told(&entered), [("entered", "big", "a"), ("entered", "paying", "a")]);
    assert!(entered[0].id < entered[1].id);
    assert!(entered[0].data["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let cause = &entered[0].data["cause"];
    assert_eq!(cause["integration"], "crm");
    assert!(cause["attributes"].as_array().unwrap().contains(&json!("crm.Seats")), "{cause}");

    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    let left = events.some(1);
    assert_eq!(told(&left), [("left", "big", "a")]);
    assert_eq!(left[0].data["cause"], json!({ "integration": "crm", "attributes": ["crm.Seats"] }));

    system.write(&[("segments/big.rhai", &segment("crm.Seats >= 1"))]);
    system.reload();
    let by_rules = events.some(1);
    assert_eq!(told(&by_rules), [("entered", "big", "a")]);
    assert_eq!(by_rules[0].data["cause"], json!({ "revision": system.report()["revision"] }));
    assert_eq!(system.segments("a"), ["big", "paying"], "what is told can be read");
}

#[test]
fn who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let server =
        Server::with(&files().into_iter().map(|(path, text)| (format!("s/{path}"), text)).collect::<Vec<_>>()).start();
    let system = server.system("s");
    let path = system.public("events");
    let set = |seats: u32| system.update("crm", &json!([{ "Email": "a", "Seats": seats }])).counts();
    let mut events = Events::follow(&system.client, &path, None);
    set(60);
    let first = events.some(1).remove(0);
    drop(events);
    set(1);
    set(70);
    let mut events = Events::follow(&system.client, &path, Some(first.id));
    let missed = events.some(2);
    assert_eq!(told(&missed), [("left", "big", "a"), ("entered", "big", "a")]);
    drop(events);
    drop(system);

    let server = server.restart();
    let system = server.system("s");
    let mut events = Events::follow(&system.client, &path, Some(missed[0].id));
    assert_eq!(events.some(1), missed[1..], "over a restart, too");
    let mut all = Events::follow(&system.client, &format!("{path}?after=0"), None);
    assert_eq!(all.some(3)[0], first);
    let mut newer = Events::follow(&system.client, &format!("{path}?after=0"), Some(missed[0].id));
    assert_eq!(newer.some(1), missed[1..], "`Last-Event-ID` goes before `after`");
}

#[test]
fn where_moves_are_missing_a_reset_is_told() {
    let system = system();
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    let mut events = Events::follow(&system.client, &system.public("events"), Some(1_000_000));
    let reset = events.some(1).remove(0);
    assert_eq!((reset.kind.as_str(), reset.data["segment"].as_str()), ("reset", None));
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    let left = events.some(1).remove(0);
    assert_eq!(left.told(), ("left", "big", "a"));
    assert!(left.id > reset.id);
    let mut again = Events::follow(&system.client, &system.public("events"), Some(reset.id));
    assert_eq!(again.some(1)[0], left, "going on from the reset misses nothing");
}

#[test]
fn only_the_segments_asked_for_are_told() {
    let system = system();
    let mut events = Events::follow(&system.client, &system.public("events?segment=paying&after=0"), None);
    system.update("crm", &json!([{ "Email": "a", "Seats": 60, "Type": "paying" }])).counts();
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    system.update("crm", &json!([{ "Email": "a", "Type": "free" }])).counts();
    assert_eq!(told(&events.some(2)), [("entered", "paying", "a"), ("left", "paying", "a")]);
    system.client.get(&system.public("events?segment=nope")).problem(404);
    system.client.get(&system.public("events?after=x")).problem(400);
    system.client.get(&system.public("events?since=1")).problem(400);
}

#[test]
fn of_a_deleted_end_user_nothing_is_told_any_more() {
    let system = system();
    system.update("crm", &json!([{ "Email": "gone", "Seats": 60 }])).counts();
    system.update("crm", &json!([{ "Email": "stays", "Seats": 60 }])).counts();
    system.client.delete(&system.public("end-users/gone")).is(204);
    let mut events = Events::follow(&system.client, &system.public("events?after=0"), None);
    assert_eq!(events.some(1)[0].told(), ("entered", "big", "stays"));
}

#[test]
fn a_stream_ends_with_its_token() {
    let system = system();
    let follower = system.server.client_with("end_users:read segments:read");
    let mut events = Events::follow(&follower, &system.public("events"), None);
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    events.some(1);
    let revoke = system.client.anonymous().request(Method::POST, "/oauth/revoke");
    revoke.basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&[("token", follower.bearer())]).ask().is_success();
    system.update("crm", &json!([{ "Email": "b", "Seats": 60 }])).counts();
    assert_eq!(events.next(), None, "nothing is told after the token's end");
}

#[test]
fn a_stream_does_not_hold_up_the_servers_stop() {
    let files: Vec<_> = files().into_iter().map(|(path, text)| (format!("s/{path}"), text)).collect();
    let server = Server::with(&files).start();
    let system = server.system("s");
    let mut events = Events::follow(&system.client, &system.public("events"), None);
    drop(system);
    let asked = Instant::now();
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(asked.elapsed() < Duration::from_secs(6), "it did not wait to cut the follower off: {}", ended.stderr);
    assert_eq!(events.next(), None);
    assert!(!ended.stderr.contains("cutting off"), "{}", ended.stderr);
}
