//! Limits on update calls: records, bytes, calls a second, disk.

use serde_json::{Value, json};

use crate::support::{Counts, Server, crm, shared};

#[test]
fn records_and_bytes_are_limited() {
    let config = "[limits]\nrecords_per_call = 3\nbody_mib = 1\nstring_bytes = 10\n";
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).config(config).start();
    let system = server.system("s");
    let records = |count: usize| Value::from((0..count).map(|n| json!({ "Email": n, "Seats": n })).collect::<Vec<_>>());
    system.update("crm", &records(4)).problem(413).says("3");
    system.end_user("0").problem(404);
    assert_eq!(system.update("crm", &records(3)).counts(), Counts { received: 3, created: 3, ..Counts::default() });

    let padded = |bytes: usize| json!([{ "Email": "big", "Seats": 1, "Undeclared": "x".repeat(bytes) }]);
    system.update("crm", &padded(1024 * 1024)).problem(413);
    system.end_user("big").problem(404);
    system.update("crm", &padded(1024 * 1024 - 1024)).counts();

    let problem = system.update("crm", &json!([{ "Email": "a", "Type": "12345678901" }])).problem(422);
    assert_eq!(problem.code("/data/0/Type"), "string_too_long");
}

#[test]
fn updates_a_second_are_limited_by_client() {
    let server =
        Server::with(&[("s/integrations/crm.toml", crm())]).config("[limits]\nupdates_per_second = 1\n").start();
    let system = server.system("s");
    let token = system.token("crm");
    let (mut accepted, mut refused) = (0, None);
    for seats in 0..50 {
        let reply = system.client.update(&token, &json!([{ "Email": "a", "Seats": seats }]));
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        reply.counts();
        accepted = seats;
    }
    let refused = refused.expect("50 calls in a row are more than one a second");
    refused.problem(429);
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{:?}", refused.headers);
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": accepted } }), "a refused call is not applied");
    system.segments("a");
}

#[test]
fn a_full_disk_refuses_updates_and_reads_go_on() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    server.system("s").update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    home.set_env("ROLLCALL_STORAGE__MIN_FREE_MIB", "1000000000");
    let server = home.start();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 2 }])).problem(507);
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }));
    assert_eq!(system.page_load("a")["known"], true);
    drop(system);

    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    home.set_env("ROLLCALL_STORAGE__MIN_FREE_MIB", "1");
    let server = home.start();
    assert_eq!(server.system("s").update("crm", &json!([{ "Email": "a", "Seats": 2 }])).counts().updated, 1);
}

#[test]
fn the_most_records_of_the_default_are_taken_in_one_call() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let records: Vec<Value> = (0..10_000).map(|n| json!({ "Email": format!("u{n}"), "Seats": n })).collect();
    let counts = system.update("crm", &Value::from(records.clone())).counts();
    assert_eq!(counts, Counts { received: 10_000, created: 10_000, ..Counts::default() });
    assert_eq!(system.attributes("u9999"), json!({ "crm": { "Seats": 9999 } }));
    let mut more = records;
    more.push(json!({ "Email": "one more", "Seats": 1 }));
    system.update("crm", &Value::from(more)).problem(413);
}
