//! `Idempotency-Key`: the same call again is answered the same and not applied twice.

use serde_json::{Value, json};

use crate::support::{Ask, Reply, Server, System, crm, shared};

fn keyed(system: &System<'_>, token: &str, key: &str, data: &Value) -> Reply {
    system.client.update_request(token, data).header("Idempotency-Key", key).ask()
}

#[test]
fn the_same_call_again_gets_the_same_answer_and_is_not_applied() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let token = system.token("crm");
    let call = json!([{ "Email": "a", "Seats": 1 }]);
    let first = keyed(&system, &token, "key-1", &call);
    assert_eq!(first.counts().created, 1);
    system.update("crm", &json!([{ "Email": "a", "Seats": 2 }])).counts();

    let again = keyed(&system, &token, "key-1", &call);
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 2 } }), "the repeat changes nothing");

    assert_eq!(keyed(&system, &token, "key-2", &call).counts().updated, 1, "another key is another call");
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }));
}

#[test]
fn another_call_under_a_used_key_is_refused() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let token = system.token("crm");
    keyed(&system, &token, "key-reused", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    let reply = keyed(&system, &token, "key-reused", &json!([{ "Email": "a", "Seats": 3 }]));
    assert!(matches!(reply.status, 409 | 422), "{reply:?}");
    reply.problem(reply.status).says("Idempotency-Key");
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }));
}

#[test]
fn one_of_many_at_once_is_applied() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let token = system.token("crm");
    let call = json!([{ "Email": "a", "Seats": 1 }, { "Email": "b", "Seats": 2 }]);
    let answers: Vec<Reply> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| keyed(&system, &token, "key-many", &call))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!(answer.counts().created, 2, "every caller gets the one answer");
    }
}

#[test]
fn keys_are_kept_over_a_kill() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    let system = server.system("s");
    let token = system.token("crm");
    let call = json!([{ "Email": "a", "Seats": 1 }]);
    let first = keyed(&system, &token, "key-1", &call);
    system.update("crm", &json!([{ "Email": "a", "Seats": 2 }])).counts();
    drop(system);
    server.kill();

    let server = server.start_again();
    let system = server.system("s");
    let again = keyed(&system, &token, "key-1", &call);
    assert_eq!((again.status, again.json()), (200, first.json()));
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 2 } }));
}

#[test]
fn a_key_is_a_header_of_sensible_length() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let token = system.token("crm");
    let reply = keyed(&system, &token, &"k".repeat(5000), &json!([{ "Email": "a", "Seats": 1 }]));
    assert!((400..500).contains(&reply.status), "{reply:?}");
    assert_eq!(system.attributes("a"), Value::Null);
}
