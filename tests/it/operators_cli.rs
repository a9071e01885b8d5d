//! `rollcall users` and `rollcall clients`: all that the API can do with operators, from a terminal, and the way back in.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{ADMIN, CLIENT_ID, CLIENT_SECRET, Server, operators_setup, user};

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr)
}

/// Runs a command against the server; its stdout.
#[track_caller]
fn run(server: &Server, code: i32, args: &[&str]) -> String {
    let mut command = server.home.command();
    command
        .env("ROLLCALL_URL", server.base())
        .env("ROLLCALL_CLIENT_ID", CLIENT_ID)
        .env("ROLLCALL_CLIENT_SECRET", CLIENT_SECRET);
    let output = command.args(args).stdin(std::process::Stdio::null()).output().expect("run the binary");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", both(&output));
    assert!(!both(&output).contains(CLIENT_SECRET), "no secret is shown");
    if code == 0 { String::from_utf8_lossy(&output.stdout).into_owned() } else { both(&output) }
}

#[test]
fn users_are_managed_from_a_terminal() {
    let server = operators_setup().start();
    let run = |code: i32, args: &[&str]| run(&server, code, &[&["users"], args].concat());
    let told = run(
        0,
        &["invite", "ann@example.com;bob@example.com", "carl@example.com", "--role", "Viewer", "--system", "shop"],
    );
    assert_eq!(told.lines().filter(|line| line.contains("\tinvited\t")).count(), 3, "{told}");
    let again = run(1, &["invite", "ann@example.com", "no-address", "--role", "Viewer"]);
    assert!(again.contains("ann@example.com\texists") && again.contains("no-address\tinvalid"), "{again}");
    assert!(run(1, &["invite", "x@example.com", "--role", "Nobody"]).contains(" role: there is no role `Nobody`"));

    let list = run(0, &["list"]);
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(list.contains(&format!("{ADMIN}\t")) && list.contains("\tPROVISIONED"), "{list}");
    assert_eq!(run(0, &["list", "--status", "active", "--role", "Admin"]).lines().count(), 1);
    assert_eq!(run(0, &["list", "--system", "The Shop", "--search", "bob"]).lines().count(), 1);
    let all: Value = serde_json::from_str(&run(0, &["list", "--json"])).expect("JSON");
    assert_eq!(all.as_array().unwrap().len(), 4);

    let shown = run(0, &["show", "ann@example.com"]);
    assert!(shown.contains("PROVISIONED") && shown.contains("Viewer | shop | * (The Shop)"), "{shown}");
    assert!(run(1, &["show", "nobody"]).contains("there is no user `nobody`"));

    run(0, &["disable", "ann@example.com", "bob@example.com"]);
    let conflict = run(1, &["disable", ADMIN, "nobody", "carl@example.com"]);
    assert!(
        conflict.contains("last Admin")
            && conflict.contains("nobody\tunknown")
            && conflict.contains("carl@example.com\tchanged"),
        "{conflict}"
    );
    run(0, &["reset", "ann@example.com"]);
    run(0, &["reset-totp", "ann@example.com"]);
    run(0, &["enable", "ann@example.com"]);
    run(0, &["resend", "ann@example.com"]);
    assert!(run(1, &["resend", "bob@example.com"]).contains("PROVISIONED"));

    let access = run(
        0,
        &[
            "data-access",
            "ann@example.com",
            "--entry",
            "Viewer",
            "Expdemo for Experience",
            "(U) cc_agent_145",
            "--entry",
            "Viewer",
            "*",
            "*",
        ],
    );
    assert_eq!(access.lines().count(), 2, "{access}");
    assert!(access.contains("Carmen Abbott [ 145 ]"), "{access}");
    assert_eq!(run(0, &["data-access", "ann@example.com"]), access, "shown as it was set");
    assert!(
        run(1, &["data-access", "ann@example.com", "--entry", "Viewer", "gone", "*"])
            .contains("organization/0/data_view")
    );
    assert_eq!(run(0, &["data-access", "ann@example.com", "--none"]), "");

    assert_eq!(run(0, &["export"]).lines().count(), 5);
    let file = server.home.root().join("users.csv");
    run(0, &["export", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 5);
    run(0, &["delete", "bob@example.com"]);
    assert!(run(1, &["delete", "bob@example.com"]).contains("no user"));

    server
        .anonymous()
        .post("/accounts/access-requests", &json!({ "email": "eve@example.com", "name": "Eve \u{1b}[31m" }))
        .problem(422);
    for name in ["eve", "mal"] {
        server
            .anonymous()
            .post("/accounts/access-requests", &json!({ "email": format!("{name}@example.com"), "name": name }))
            .is(202);
    }
    let requests: Value = serde_json::from_str(&run(0, &["requests", "--json"])).expect("JSON");
    let id = |number: usize| requests[number]["id"].as_str().unwrap().to_owned();
    assert!(run(0, &["approve", &id(1), "--role", "Viewer", "--sso-id", "idp|eve"]).contains("eve@example.com"));
    run(0, &["deny", &id(0)]);
    assert!(run(1, &["deny", &id(0)]).contains("decided before"));
    assert_eq!(run(0, &["requests"]), "");
}

#[test]
fn clients_are_managed_from_a_terminal() {
    let server = operators_setup().start();
    let run = |code: i32, args: &[&str]| run(&server, code, &[&["clients"], args].concat());
    let secret_in =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("Secret")).map(|rest| rest.trim().to_owned());
    let made = run(0, &["create", "ci", "--role", "Viewer", "--system", "shop", "--description", "Builds"]);
    let secret = secret_in(&made).expect("the secret");
    server.token_of("ci", &secret);
    assert!(run(1, &["create", "ci", "--role", "Viewer"]).contains("already"));
    let shown = run(0, &["show", "ci"]);
    assert!(shown.contains("Builds") && shown.contains("enabled") && secret_in(&shown).is_none(), "{shown}");
    assert_eq!(run(0, &["list"]).lines().count(), 2);
    let rotated = secret_in(&run(0, &["rotate", "ci"])).expect("a new secret");
    assert_ne!(rotated, secret);
    run(0, &["disable", "ci"]);
    assert!(run(0, &["list"]).contains("ci\tViewer\tshop\tdisabled"));
    run(0, &["enable", "ci"]);
    server.token_of("ci", &rotated);
    run(0, &["change", "ci", "--role", "Integration"]);
    let changed: Value = serde_json::from_str(&run(0, &["show", "ci", "--json"])).expect("JSON");
    assert_eq!(
        (&changed["role"], &changed["systems"]),
        (&json!("Integration"), &json!(["shop"])),
        "what is left out stays"
    );
    assert!(run(0, &["change", "ci", "--system", "*"]).contains("Builds"));
    assert!(run(1, &["rotate", "nobody"]).contains("there is no client `nobody`"));
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let home = operators_setup().home();
    let mut command = home.command();
    command.env("ROLLCALL_URL", "http://127.0.0.1:1").env("ROLLCALL_TOKEN", "x");
    let output = command.args(["users", "list"]).output().expect("run the binary");
    assert_eq!(output.status.code(), Some(1));
    assert!(both(&output).contains("is the server running"), "{}", both(&output));
}

#[test]
fn every_admin_locked_out_is_let_in_again_with_the_server_stopped() {
    let server = operators_setup().start();
    let client = server.client();
    let recover = |server: &Server, args: &[&str]| server.home.run(&[&["users", "recover"], args].concat());
    let running = recover(&server, &[]);
    assert_eq!(running.status.code(), Some(1), "{}", both(&running));
    assert!(both(&running).contains("process"), "it says who has the store: {}", both(&running));
    client.post("/admin/v1/users", &user("ann", "Viewer")).is(200);
    client.post_empty("/admin/v1/users/ann/actions/inactive").is(204);
    assert_eq!(server.stop().code, Some(0));

    // The one Admin that there is, by a link.
    let output = recover(&server, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(ADMIN) && text.contains("/activate?token=rca_"), "{text}");
    // Someone else, who was disabled and no Admin, by a password; and a new one.
    let mut command = server.home.command();
    command.env("ROLLCALL_RECOVERY_PASSWORD", "canary-recovery-!9");
    let output = command.args(["users", "recover", "ann", "--password"]).output().expect("run the binary");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    assert!(!both(&output).contains("canary") && !both(&output).contains("token="), "{}", both(&output));
    let made = recover(&server, &["new@example.com"]);
    assert!(both(&made).contains("was made"), "{}", both(&made));
    assert_eq!(recover(&server, &["nobody"]).status.code(), Some(1));
    let which = recover(&server, &[]);
    assert!(which.status.code() == Some(1) && both(&which).contains("ann, new@example.com"), "{}", both(&which));
    let mut weak = server.home.command();
    weak.env("ROLLCALL_RECOVERY_PASSWORD", "short").args(["users", "recover", "ann", "--password"]);
    let weak = weak.output().expect("run the binary");
    assert!(weak.status.code() == Some(1) && both(&weak).contains("at least 10"), "{}", both(&weak));

    let server = server.start_again();
    let found = |name: &str| {
        let user = server.client().get(&format!("/admin/v1/users/{name}")).is(200);
        (user["_system_properties"]["status"].as_str().unwrap().to_owned(), user["roles"].to_string().contains("Admin"))
    };
    assert_eq!(found(ADMIN), ("PROVISIONED".to_owned(), true));
    assert_eq!(found("ann"), ("ACTIVE".to_owned(), true));
    assert_eq!(found("new@example.com"), ("PROVISIONED".to_owned(), true));
    let audit = server.client().get("/admin/v1/audit?action=user.recover").is(200);
    let entries = audit["items"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!((&entries[0]["actor_kind"], &entries[0]["actor"]), (&json!("command"), &json!("users recover")));
}

#[test]
fn without_a_store_there_is_nobody_to_let_in() {
    let home = operators_setup().home();
    let output = home.run(&["users", "recover", "--data", "no-such-folder"]);
    assert!(output.status.code() == Some(1) && both(&output).contains("start the server once"), "{}", both(&output));
    assert!(!home.root().join("no-such-folder").exists(), "nothing was made");
}
