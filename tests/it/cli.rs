//! The command line: exit statuses, and that mistakes are named with file, line and key.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::{CLIENT_ID, CLIENT_SECRET, Server, crm, segment, shared};

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr)
}

#[test]
fn exit_statuses_are_0_1_and_2() {
    let home =
        Server::with(&[("good/integrations/crm.toml", crm()), ("good/segments/big.rhai", segment("crm.Seats >= 50"))])
            .home();
    for (args, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["serve", "--help"], 0),
        (&["check", "rules"], 0),
        (&["completions", "bash"], 0),
        (&["check", "no-such-folder"], 1),
        (&["no-such-command"], 2),
        (&["serve", "--no-such-flag"], 2),
        (&["check", "rules", "--format", "xml"], 2),
        (&["completions", "no-such-shell"], 2),
    ] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", both(&output));
        assert!(!both(&output).trim().is_empty(), "{args:?} says something");
        if code != 0 {
            assert!(!output.stderr.is_empty(), "{args:?}: errors are on stderr");
        }
    }
}

#[test]
fn check_tells_what_it_found_good() {
    let home = Server::with(&[
        ("one/integrations/crm.toml", crm()),
        ("one/segments/big.rhai", segment("crm.Seats >= 50")),
        ("two/integrations/crm.toml", crm()),
        ("README.md", "ignored".to_owned()),
        (".hidden/whatever.txt", "ignored".to_owned()),
    ])
    .home();
    let output = home.run(&["check", "rules"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for part in ["one", "two"] {
        assert!(both(&output).contains(part), "{}", both(&output));
    }
    let output = home.run(&["check", "rules", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    serde_json::from_slice::<Value>(&output.stdout).expect("stdout is JSON");
}

#[test]
fn check_finds_every_kind_of_mistake_in_the_files() {
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            "integrations/crm.toml",
            "name = \"x\"\nkind = \"api\"\nuser_identifer = \"Email\"\n",
            ":3:1:",
            "user_identifier",
        ),
        ("integrations/crm.toml", "name = \"x\"\nkind = \"push\"\nuser_identifier = \"Email\"\n", ":2:", "api"),
        (
            "integrations/crm.toml",
            "name = \"x\"\nkind = \"api\"\nuser_identifier = \"Email\"\nenabled = \"yes\"\n",
            ":4:",
            "enabled",
        ),
        ("integrations/crm.toml", "name = \"x\nkind = \"api\"\n", ":1:", ""),
        ("integrations/crm.toml", "kind = \"api\"\nuser_identifier = \"\"\nname = \"x\"\n", ":2:", "user_identifier"),
        (
            "integrations/crm.toml",
            "kind = \"api\"\nuser_identifier = \"Email\"\nname = \"x\"\n[[properties]]\nfield = \"a\"\ntype = \"text\"\n",
            ":6:",
            "string",
        ),
        (
            "integrations/crm.toml",
            "kind = \"api\"\nuser_identifier = \"Email\"\nname = \"x\"\n[[properties]]\nfield = \"a\"\ntype = \"string\"\nname = \"a b\"\n",
            ":7:",
            "a b",
        ),
        (
            "integrations/crm.toml",
            "kind = \"api\"\nuser_identifier = \"Email\"\nname = \"x\"\n[[properties]]\nfield = \"a.b\"\ntype = \"string\"\n[[properties]]\nfield = \"a_b\"\ntype = \"string\"\n",
            "",
            "a_b",
        ),
        ("integrations/import.toml", "kind = \"api\"\nuser_identifier = \"Email\"\nname = \"x\"\n", "", "import"),
        ("integrations/Crm.toml", "kind = \"api\"\nuser_identifier = \"Email\"\nname = \"x\"\n", "", "Crm"),
        ("integrations/crm.tml", "", "", "crm.tml"),
        ("segments/big.txt", "true", "", "big.txt"),
        ("rules/x.rhai", "true", "", "rules"),
        ("system.toml", "timezone = \"Mars/Olympus\"\n", ":1:", "Mars/Olympus"),
        ("system.toml", "name = \"x\"\nstage = \"live\"\n", ":2:", "production"),
        ("system.toml", "identifier_case = \"upper\"\n", ":1:", "lower"),
        ("system.toml", "[[unit_groups]]\nid = \"g\"\nname = \"G\"\nrule = 'crm.Agent == \"1\"'\n", ":4:", "crm"),
    ];
    let tree: Vec<(String, &str)> =
        cases.iter().enumerate().map(|(n, (path, text, ..))| (format!("r{n}/{path}"), *text)).collect();
    let home = Server::with(&tree).home();
    let output = home.run(&["check", "rules"]);
    let text = both(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let mut failures = Vec::new();
    for (n, (path, _, place, says)) in cases.iter().enumerate() {
        let file = format!("r{n}/{}", if *path == "rules/x.rhai" { "rules" } else { path });
        let here = format!("{file}{place}");
        let lines = || text.lines().enumerate();
        let found =
            lines().find(|(_, line)| line.contains(&here)).or_else(|| lines().find(|(_, line)| line.contains(&file)));
        let Some((at, line)) = found else {
            failures.push(format!("nothing is said of {file}"));
            continue;
        };
        let told: String = text.lines().skip(at).take(3).collect::<Vec<_>>().join("\n");
        if !line.contains(&here) || !told.contains(says) {
            failures.push(format!("{file} should be told at `{place}` with `{says}`: {told}"));
        }
    }
    assert!(failures.is_empty(), "{}\n--- all of it\n{text}", failures.join("\n"));
}

#[test]
fn the_example_that_comes_with_it_is_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = Server::with::<&str, &str>(&[]).home();
    let rules = root.join("rules").display().to_string();
    let output = home.run(&["check", &rules]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(both(&output).contains("default"), "{}", both(&output));
}

#[test]
fn a_start_with_nothing_to_serve_tells_every_mistake_at_the_beginning_of_its_line() {
    let home = Server::with(&[
        ("a/integrations/crm.toml", crm()),
        ("a/segments/x.rhai", "crm.Nope > 1".to_owned()),
        ("b/system.toml", "zz = 1".to_owned()),
    ])
    .home();
    let output = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let stderr = String::from_utf8_lossy(&output.stderr);
    for place in ["rules/a/segments/x.rhai:1:5: ", "rules/b/system.toml:1:1: "] {
        let begins = |line: &str| line.split_once(place).is_some_and(|(before, _)| !before.contains(' '));
        assert!(stderr.lines().any(begins), "{place}: {stderr}");
    }
}

#[test]
fn the_reference_configuration_starts_a_server() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("config.toml")).expect("config.toml is in the repository");
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).config(&text).start();
    server.client().get("/admin/v1/config").is(200);
}

#[test]
fn token_prints_an_access_token_and_nothing_else() {
    let server = shared();
    let credentials = ["--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET];
    let ask = |credentials: &[&str], env: &[(&str, &str)]| {
        let mut command = server.home.command();
        command.args(["token", "--url", server.base()]).args(credentials).envs(env.iter().copied());
        command.output().expect("run the binary")
    };
    let by_environment = [("ROLLCALL_CLIENT_ID", CLIENT_ID), ("ROLLCALL_CLIENT_SECRET", CLIENT_SECRET)];
    for output in [ask(&credentials, &[]), ask(&[], &by_environment)] {
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        let token = String::from_utf8(output.stdout).unwrap();
        server.anonymous().with_bearer(token.trim()).get("/admin/v1/config").is(200);
    }
    let output = ask(&["--client-id", CLIENT_ID, "--client-secret", "wrong"], &[]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    let output = ask(&[], &[]);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
    assert!(both(&output).contains("ROLLCALL_CLIENT_SECRET"), "it says what is missing: {}", both(&output));

    let mut nowhere = server.home.command();
    nowhere.args(["token", "--url", "http://127.0.0.1:9"]).args(credentials);
    let output = nowhere.output().expect("run the binary");
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(both(&output).contains("127.0.0.1:9"), "{}", both(&output));
}

#[test]
fn completions_are_made_for_every_shell() {
    let home = Server::with::<&str, &str>(&[]).home();
    for shell in ["bash", "zsh", "fish"] {
        let output = home.run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}: {}", both(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("rollcall") && text.contains("check"), "{shell}: {text}");
    }
}

#[test]
fn mistakes_in_the_configuration_are_named_with_file_line_and_key() {
    let cases = [
        ("[server]\nlissten = \"127.0.0.1:0\"\n", ":2:1:", "listen"),
        ("[sever]\nlisten = \"127.0.0.1:0\"\n", ":1:", "server"),
        ("[limits]\nbody_mib = \"ten\"\n", ":2:", "body_mib"),
        ("[limits]\nrecords_per_call = -1\n", ":2:", "records_per_call"),
        ("[auth]\n\ncompany = 5\n", ":3:", "company"),
        ("[server\n", ":1:", ""),
        ("[[roles]]\nname = \"X\"\npermissions = [\"end_users:raed\"]\n", ":3:", "end_users:raed"),
        ("[mail]\ntransport = \"pigeon\"\n", ":2:", "transport"),
    ];
    for (config, place, says) in cases {
        let home = Server::with(&[("s/integrations/crm.toml", crm())]).config(config).home();
        let Err((_, ended)) = home.try_start() else { panic!("it serves with {config:?}") };
        assert_eq!(ended.code, Some(1), "{config:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("config.toml{place}")), "{config:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{config:?} should say `{says}`: {}", ended.stderr);
    }
}

#[test]
fn mistakes_in_the_environment_are_named() {
    for (name, value) in [
        ("ROLLCALL_SERVER__LISTEN", "nowhere"),
        ("ROLLCALL_SERVER__LISTN", "127.0.0.1:0"),
        ("ROLLCALL_LIMITS__BODY_MIB", "ten"),
        ("ROLLCALL_RULES__READ_ONLY", "perhaps"),
    ] {
        let mut home = Server::with(&[("s/integrations/crm.toml", crm())]).home();
        home.set_env(name, value);
        let Err((_, ended)) = home.try_start() else { panic!("it serves with {name}={value}") };
        assert_eq!(ended.code, Some(1), "{name}={value}: {}", ended.stderr);
        assert!(ended.stderr.contains(name), "{name}={value}: {}", ended.stderr);
    }
    // Other variables with the prefix are no configuration.
    Server::with(&[("s/integrations/crm.toml", crm())]).env("ROLLCALL_UNRELATED", "x").start();
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let config = "[auth]\ncompany = \"of-the-file\"\n";
    let server = Server::with(&[("s/integrations/crm.toml", crm())])
        .config(config)
        .env("ROLLCALL_AUTH__COMPANY", "of-the-env")
        .start();
    let status = |company: &str| {
        use crate::support::Ask;
        let request = server.anonymous().request(reqwest::Method::POST, &format!("/oauth/{company}/token"));
        request.basic_auth(CLIENT_ID, Some(CLIENT_SECRET)).form(&[("grant_type", "client_credentials")]).ask().status
    };
    assert_eq!(status("of-the-env"), 200);
    assert_ne!(status("of-the-file"), 200);

    let mut home = Server::with(&[("s/integrations/crm.toml", crm())]).home();
    home.set_env("ROLLCALL_SERVER__LISTEN", "192.0.2.1:1");
    let output = home.run(&["serve", "--help"]);
    assert!(both(&output).contains("--listen"), "there is a flag for the address: {}", both(&output));
}

#[test]
fn a_busy_address_and_a_missing_rules_folder_are_told() {
    let server = shared();
    let mut home = Server::with(&[("s/integrations/crm.toml", crm())]).home();
    let address = server.base().trim_start_matches("http://");
    home.set_env("ROLLCALL_SERVER__LISTEN", address);
    let Err((mut home, ended)) = home.try_start() else { panic!("two servers on one address") };
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(address), "{}", ended.stderr);

    home.set_env("ROLLCALL_SERVER__LISTEN", "127.0.0.1:0");
    home.set_env("ROLLCALL_RULES__PATH", "no-such-folder");
    let Err((_, ended)) = home.try_start() else { panic!("it serves no rules") };
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("no-such-folder"), "{}", ended.stderr);
}
