//! Events: only of whom one sees, and nothing of how many others there were, from the first one and after coming back.

use std::io::{BufRead, BufReader};

use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use super::{operator, server, system_of};
use crate::support::{System, Visitor, entry};

/// What came of a stream: each event's `id`, kind and data.
struct Events(BufReader<Response>);

impl Events {
    #[track_caller]
    fn follow(who: &Visitor, path: &str, last: Option<&str>) -> Self {
        let mut request = who.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().expect("an answer");
        assert_eq!(response.status(), 200);
        Self(BufReader::new(response))
    }

    /// The next event: its id, and kind, segment and end user in one text.
    #[track_caller]
    fn next(&mut self) -> (String, String) {
        let (mut id, mut kind) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("the stream goes on") > 0, "the stream has ended");
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", text)) => text.clone_into(&mut id),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", text)) => {
                    let data: Value = serde_json::from_str(text).expect("data is JSON");
                    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
                    return (id, format!("{kind} {} {}", text("segment"), text("id")));
                }
                _ => {}
            }
        }
    }
}

fn seats(system: &System<'_>, id: &str, seats: u32) {
    system.update("crm", &json!([{ "Email": id, "Seats": seats }])).counts();
}

#[test]
fn only_moves_of_whom_one_sees_are_told_and_none_are_counted() {
    let server = server();
    let whole = system_of(server, &["A", "B", "C"]);
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    let path = whole.public("events?segment=big");
    let mut live = Events::follow(&ann, &path, None);
    let mut all = Events::follow(&ann, &whole.public("events?segment=big&after=0"), None);
    let told: Vec<String> = (0..3).map(|_| all.next().1).collect();
    assert_eq!(told, ["entered big a2", "entered big a3", "entered big a4"]);

    for (id, now) in [("c3", 99), ("a1", 99), ("b2", 99), ("c3", 1), ("c1", 1), ("a1", 1)] {
        seats(&whole, id, now);
    }
    let (first, second) = (live.next(), live.next());
    assert_eq!([&first.1, &second.1], ["entered big a1", "left big a1"]);
    assert!(first.0.parse::<u64>().is_err() && first.0.len() == second.0.len(), "numbers would count: {first:?}");
    let mut again = Events::follow(&ann, &path, Some(&first.0));
    assert_eq!(again.next().1, "left big a1");
    let mut beginning = Events::follow(&ann, &path, Some("0"));
    assert_eq!(beginning.next().1, "entered big a2");
    // A number of one's own would tell, by what follows, how many moves of others lie before.
    for forged in ["1", "7", "x", &first.0[1..]] {
        let reply = ann.ask(ann.request(Method::GET, &path).header("last-event-id", forged));
        reply.problem(400);
        ann.get(&whole.public(&format!("events?after={forged}"))).problem(400);
    }
}

#[test]
fn who_leaves_the_unit_group_is_not_told_of_any_more() {
    let server = server();
    let whole = system_of(server, &["A", "C"]);
    let ann = operator(server, &[entry("Reader", &whole.id, "(U) a")]);
    let mut live = Events::follow(&ann, &whole.public("events?segment=big"), None);
    whole.update("crm", &json!([{ "Email": "a2", "Team": "C", "Seats": 1 }])).counts();
    seats(&whole, "a1", 99);
    let next = live.next();
    assert_eq!(next.1, "entered big a1", "that a2 left is not for who does not see a2 any more");
    whole.update("crm", &json!([{ "Email": "c1", "Team": "A" }])).counts();
    seats(&whole, "c1", 1);
    assert_eq!(live.next().1, "left big c1");
    let mut later = Events::follow(&ann, &whole.public("events?segment=big"), Some(&next.0));
    assert_eq!(later.next().1, "left big c1");
}
