//! Broken rules: told with their place, while the last good version is served.

use std::fs;

use serde_json::json;

use super::errors;
use crate::support::{Server, crm, segment};

#[test]
fn a_broken_rule_keeps_the_last_good_one_and_is_told_with_its_place() {
    let server = Server::with(&[
        ("s/integrations/crm.toml", crm()),
        ("s/segments/big.rhai", segment("crm.Seats >= 50")),
        ("other/integrations/crm.toml", crm()),
    ])
    .start();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    let revision = system.report()["revision"].clone();

    system.write(&[
        ("segments/big.rhai", "// Big\n\ncrm.Seets >= 10\n"),
        ("segments/fine.rhai", &segment("true")),
        ("integrations/more.toml", "name = \"More\"\nkind = \"apy\"\nuser_identifier = \"Email\"\n"),
    ]);
    let told = errors(&system);
    let of = |file: &str| {
        told.iter().find(|error| error["file"] == file).unwrap_or_else(|| panic!("{file} is not told: {told:?}"))
    };
    let rule = of("s/segments/big.rhai");
    assert_eq!(rule["line"], 3, "{rule}");
    assert!(rule["column"].as_u64().is_some_and(|column| column >= 1), "{rule}");
    assert!(rule["message"].as_str().is_some_and(|message| message.contains("Seets")), "{rule}");
    assert!(rule["hint"].as_str().is_some_and(|hint| hint.contains("Seats")), "{rule}");
    assert_eq!(of("s/integrations/more.toml")["line"], 2, "all errors, not the first");

    assert_eq!(system.segments("a"), ["big"], "nothing of the new files is live, the good ones neither");
    assert_eq!(system.report()["revision"], revision);
    assert_eq!(server.system("other").report()["errors"], json!([]), "other systems are not touched");
    server.logs("big.rhai");
    let ready = server.anonymous().get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert!(ready.body.contains("warning") && ready.body.contains("\"s\""), "it says so: {}", ready.body);
    system.update("crm", &json!([{ "Email": "a", "Seats": 61 }])).counts();

    fs::remove_file(server.home.rules().join("s/integrations/more.toml")).unwrap();
    system.write(&[("segments/big.rhai", &segment("crm.Seats >= 100"))]);
    system.segments_become("a", &["fine"]);
    assert_eq!(system.report()["errors"], json!([]));
    let ready = server.anonymous().get("/readyz");
    assert!(!ready.body.contains("big.rhai"), "{}", ready.body);
}

#[test]
fn a_restart_onto_a_broken_tree_serves_the_last_good_version() {
    let server =
        Server::with(&[("s/integrations/crm.toml", crm()), ("s/segments/big.rhai", segment("crm.Seats >= 50"))])
            .start();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    system.write(&[("segments/big.rhai", &segment("crm.Seats >= 40"))]);
    system.reload();
    let revision = system.report()["revision"].clone();
    assert_eq!(server.stop().code, Some(0));
    system.write(&[("segments/big.rhai", "// Big\ncrm.Seats >=\n")]);
    drop(system);

    let server = server.start_again();
    let system = server.system("s");
    assert_eq!(system.segments("a"), ["big"]);
    assert_eq!(system.report()["revision"], revision);
    assert_eq!(errors(&system)[0]["file"], "s/segments/big.rhai");
    let ready = server.anonymous().get("/readyz");
    assert!(ready.status == 200 && ready.body.contains("warning"), "{}", ready.body);
    let token = system.token("crm");
    system.client.update(&token, &json!([{ "Email": "a", "Seats": 39 }])).counts();
    assert_eq!(system.segments("a"), Vec::<String>::new());
    drop(system);

    // A kill, and a second start onto the same broken tree, change nothing of that.
    server.kill();
    let server = server.start_again();
    let system = server.system("s");
    assert_eq!(system.report()["revision"], revision);
    system.write(&[("segments/big.rhai", &segment("crm.Seats == 39"))]);
    system.segments_become("a", &["big"]);
    assert_eq!(system.report()["errors"], json!([]));
}

#[test]
fn a_system_that_was_never_good_answers_404_and_is_told() {
    let server = Server::with(&[
        ("s/integrations/crm.toml", crm()),
        ("broken/integrations/crm.toml", "name = 1\n".to_owned()),
        ("Bad Name/integrations/crm.toml", crm()),
    ])
    .start();
    let client = server.client();
    client.get("/public/v1/systems/broken/end-users/a/segments").problem(404);
    client.get("/public/v1/systems/s/end-users/a/segments").is(200);
    let config = client.get("/admin/v1/config").is(200);
    let told = |system: &str| {
        let items = config["items"].as_array().unwrap();
        items.iter().find(|item| item["system"] == system).unwrap_or_else(|| panic!("{system} is not told: {config}"))
    };
    assert_eq!(told("broken")["errors"][0]["file"], "broken/integrations/crm.toml");
    assert_eq!(told("broken")["errors"][0]["line"], 1);
    assert!(!told("Bad Name")["errors"].as_array().unwrap().is_empty());
    assert_eq!(told("s")["errors"], json!([]));
}

#[test]
fn without_any_good_system_it_ends_with_the_errors() {
    let home = Server::with(&[
        ("one/integrations/crm.toml", "name = \"x\"\nkind = \"api\"\nuser_identifier = \"Email\"\ncolour = \"red\"\n"),
        // Not blamed for an integration that can't be read.
        ("one/segments/big.rhai", "// Big\n  crm.Seats >= 50\n"),
        ("one/segments/wrong.rhai", "// Wrong\n  nobody.Seats >= 50\n"),
        ("two/segments/x.rhai", "// X\n1 + 1\n"),
    ])
    .home();
    let Err((_, ended)) = home.try_start() else { panic!("it serves nothing") };
    ended.refused("no good system");
    for place in ["one/integrations/crm.toml:4:1:", "one/segments/wrong.rhai:2:", "two/segments/x.rhai:2:"] {
        assert!(ended.stderr.contains(place), "`{place}` is not in\n{}", ended.stderr);
    }
}
