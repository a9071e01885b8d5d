//! The integration token: shown, rotated, and dead with its integration.

use serde_json::{Value, json};

use crate::support::{Server, crm, integration, shared};

fn data() -> Value {
    json!([{ "Email": "a", "Seats": 1 }])
}

#[test]
fn the_endpoint_shows_url_token_and_curl() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let endpoint = system.endpoint("crm");
    let (url, token, curl) =
        (&endpoint["url"], endpoint["token"].as_str().unwrap(), endpoint["curl"].as_str().unwrap());
    assert!(url.as_str().unwrap().ends_with("/public/v1/user/data"), "{endpoint}");
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()), "{endpoint}");
    assert!(curl.starts_with("curl ") && curl.contains(token) && curl.contains(url.as_str().unwrap()), "{endpoint}");
    assert_eq!(system.token("crm"), token, "it is the same whenever it is shown");

    let writer = system.server.client_with("integrations:read end_users:write segments:read");
    writer.get(&system.admin("integrations/crm/endpoint")).problem(403).says("integrations:write");
    system.client.get(&system.admin("integrations/none/endpoint")).problem(404);
}

#[test]
fn tokens_differ_between_integrations_and_systems() {
    let files =
        [("integrations/crm.toml", crm()), ("integrations/two.toml", integration("Email", &[("Seats", "", "number")]))];
    let (one, other) = (shared().add_system(&files), shared().add_system(&files));
    let tokens = [one.token("crm"), one.token("two"), other.token("crm"), other.token("two")];
    let distinct: std::collections::BTreeSet<&String> = tokens.iter().collect();
    assert_eq!(distinct.len(), 4);
    other.client.update(&tokens[2], &data()).counts();
    assert_eq!(one.attributes("a"), Value::Null, "a token stores into its own system");
    assert_eq!(other.attributes("a"), json!({ "crm": { "Seats": 1 } }));
}

#[test]
fn the_token_of_a_disabled_or_csv_integration_is_refused() {
    let disabled = crm().replace("kind = \"api\"", "kind = \"api\"\nenabled = false");
    let csv = integration("Email", &[("Seats", "", "number")]).replace("\"api\"", "\"csv\"");
    let system = shared().add_system(&[
        ("integrations/crm.toml", crm()),
        ("integrations/off.toml", disabled.clone()),
        ("integrations/upload.toml", csv),
    ]);
    let token = system.token("crm");
    system.client.update(&token, &data()).counts();
    system.client.update(&system.token("off"), &data()).problem(403);
    let csv_endpoint = system.client.get(&system.admin("integrations/upload/endpoint"));
    if csv_endpoint.status == 200 {
        let token = csv_endpoint.is(200)["token"].as_str().unwrap().to_owned();
        system.client.update(&token, &data()).problem(403);
    } else {
        csv_endpoint.problem(csv_endpoint.status);
    }

    system.write(&[("integrations/crm.toml", &disabled)]);
    system.reload();
    system.client.update(&token, &data()).problem(403);
    assert_eq!(system.attributes("a").get("crm"), None, "disabling hides the values");
    system.write(&[("integrations/crm.toml", &crm())]);
    system.reload();
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }), "enabling shows them again");
    assert_eq!(system.client.update(&token, &data()).counts().unchanged, 1);
}

#[test]
fn rotating_ends_the_old_token_at_once() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let old = system.token("crm");
    system.client.post_empty(&system.admin("integrations/crm/rotate-token")).is_success();
    let new = system.token("crm");
    assert_ne!(old, new);
    system.client.update(&old, &data()).problem(403);
    system.client.update(&new, &data()).counts();
}

#[test]
fn rotating_with_grace_lets_the_old_one_live_on() {
    let system = shared().add_system(&[("integrations/crm.toml", crm())]);
    let old = system.token("crm");
    system.client.post_empty(&system.admin("integrations/crm/rotate-token?grace_hours=24")).is_success();
    let new = system.token("crm");
    assert_ne!(old, new);
    system.client.update(&old, &data()).counts();
    system.client.update(&new, &data()).counts();
    for bad in ["-1", "soon", "1.5"] {
        let reply =
            system.client.post_empty(&system.admin(&format!("integrations/crm/rotate-token?grace_hours={bad}")));
        assert!(matches!(reply.status, 400 | 422), "{bad}: {reply:?}");
        reply.problem(reply.status);
    }
    assert_eq!(system.token("crm"), new, "a refused rotation rotates nothing");
    let reader = system.server.client_with("integrations:read");
    reader.post_empty(&system.admin("integrations/crm/rotate-token")).problem(403);
    system.client.post_empty(&system.admin("integrations/none/rotate-token")).problem(404);
}

#[test]
fn deleting_the_integration_kills_its_token_for_good() {
    let system = shared().add_system(&[("integrations/crm.toml", crm()), ("integrations/two.toml", crm())]);
    let old = system.token("crm");
    system.client.update(&old, &data()).counts();
    system.client.delete(&system.admin("integrations/crm")).is_success();
    system.client.update(&old, &data()).problem(403);
    assert_eq!(system.attributes("a").get("crm"), None, "its values are hidden at once");

    system.client.put(&system.admin("integrations/crm"), &json!({ "text": crm() })).is_success();
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }), "and come back with the same id");
    assert_ne!(system.token("crm"), old, "the old token does not come back");
    system.client.update(&old, &data()).problem(403);
    system.client.update(&system.token("crm"), &data()).counts();
}

#[test]
fn tokens_and_rotations_survive_a_restart() {
    let server = Server::with(&[("s/integrations/crm.toml", crm()), ("s/integrations/two.toml", crm())]).start();
    let system = server.system("s");
    let old = system.token("crm");
    system.client.post_empty(&system.admin("integrations/crm/rotate-token?grace_hours=1")).is_success();
    let (new, two) = (system.token("crm"), system.token("two"));
    drop(system);

    let server = server.restart();
    let system = server.system("s");
    assert_eq!((system.token("crm"), system.token("two")), (new.clone(), two));
    system.client.update(&old, &data()).counts();
    system.client.update(&new, &data()).counts();
    system.client.post_empty(&system.admin("integrations/crm/rotate-token")).is_success();
    system.client.update(&new, &data()).problem(403);
    drop(system);

    let server = server.restart();
    server.system("s").client.update(&new, &data()).problem(403);
}
