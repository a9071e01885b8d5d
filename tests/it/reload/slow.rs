//! A rule that runs as a slow script goes live beside its callers, not in their way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Server, crm, eventually, segment};

/// End users; the script takes a millisecond or so of each.
const END_USERS: usize = 3000;
/// However busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);
const SLOW: &str = "let n = 0; while n < 300 { n += 1; } crm.Seats >= 1000 && n == 300";

#[test]
fn while_a_slow_script_is_computed_the_other_segments_answer_rightly() {
    let rules = [
        ("s/integrations/crm.toml", crm()),
        ("s/segments/large.rhai", segment("crm.Seats >= 2000")),
        ("s/segments/small.rhai", segment("crm.Seats < 10")),
    ];
    let server = Server::with(&rules).config("[limits]\nscript_us = 1000000\n").start();
    let system = server.system("s");
    let everybody: Vec<Value> = (0..END_USERS).map(|n| json!({ "Email": format!("u{n}"), "Seats": n })).collect();
    system.update("crm", &json!(everybody)).counts();
    let ask_counts = || -> Value {
        let listed = system.client.get(&system.public("segments")).is(200);
        let items = listed["items"].as_array().unwrap().iter();
        items.map(|item| (item["id"].as_str().unwrap().to_owned(), item["count"].clone())).collect()
    };
    let (before, after) = (
        json!({ "large": 1001, "small": 9 }),
        // All of the others, and `u5`, who comes to have many seats meanwhile.
        json!({ "large": 1001, "slow": 2001, "small": 9 }),
    );

    system.write(&[("segments/slow.rhai", &segment(SLOW))]);
    let is_computing = || system.report()["computing"].is_object();
    eventually("the script is computed", || if is_computing() { Ok(()) } else { Err("not yet".to_owned()) });
    system.update("crm", &json!([{ "Email": "u5", "Seats": 5000 }])).counts();
    let (mut answered, since) = (0, Instant::now());
    loop {
        assert!(since.elapsed() < PATIENCE, "the script is not live");
        let (counts, page) = (ask_counts(), (system.segments("u5"), system.segments("u7"), system.segments("u1500")));
        if counts == after {
            break;
        }
        assert_eq!(counts, before, "the old segments, and all of them");
        // Asked one after the other: the new ones may have come between.
        if ask_counts() == before {
            assert_eq!(page, (vec!["large".to_owned()], vec!["small".to_owned()], vec![]));
            answered += 1;
        }
    }
    assert!(answered > 0, "it was asked while the script was computed");
    assert_eq!(system.segments("u5"), ["large", "slow"]);
    assert_eq!(system.segments("u1500"), ["slow"]);
    assert_eq!(system.segments("u7"), ["small"]);
}
