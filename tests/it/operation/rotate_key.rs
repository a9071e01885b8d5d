//! `rollcall rotate-key`: what hangs on the old key is made anew, goes on, or ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{FIRST_EMAIL, FIRST_PASSWORD, Server};

#[test]
fn a_new_key_ends_tokens_and_sessions_and_keeps_secrets_and_passwords() {
    let server = Server::with_admin().start();
    let old_token = server.system("s").token("crm");
    server.system("s").update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    let old_access = server.client().bearer().to_owned();
    let admin = server.admin_visitor();
    let cookie = admin.cookie();
    let first = fs::read_to_string(server.home.data().join("secret.key")).unwrap();

    let output = server.home.run(&["rotate-key"]);
    assert_eq!(output.status.code(), Some(1), "not beside a running server");
    assert_eq!(server.stop().code, Some(0));
    for _ in 0..2 {
        let output = server.home.run(&["rotate-key", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["clients_to_rotate"], json!([]));
    }
    let path = server.home.data().join("secret.key");
    assert_ne!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let server = server.into_home().start();
    server.anonymous().with_bearer(&old_access).get("/admin/v1/config").problem(401);
    let old = server.visitor();
    old.set_cookie(cookie);
    old.get("/accounts/me").problem(401);
    // The bootstrap client's secret, hashed under the first key, and the Admin's password.
    let system = server.system("s");
    server.visitor().log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
    let new_token = system.token("crm");
    assert_ne!(new_token, old_token);
    system.client.update(&old_token, &json!([{ "Email": "a", "Seats": 2 }])).problem(403);
    assert_eq!(system.client.update(&new_token, &json!([{ "Email": "a", "Seats": 1 }])).counts().unchanged, 1);
}

#[test]
fn a_key_from_outside_is_rotated_to_one_from_outside() {
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    let server = Server::with_admin().env("ROLLCALL_SECRET_KEY", &one).start();
    server.client();
    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    let output = home.run(&["rotate-key"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("ROLLCALL_NEW_SECRET_KEY"), "{said}");
    home.set_env("ROLLCALL_NEW_SECRET_KEY", &two);
    assert!(home.run(&["rotate-key"]).status.success());
    let Err((mut home, ended)) = home.try_start() else { panic!("it starts with the old key") };
    assert!(ended.stderr.contains("rollcall rotate-key"), "{}", ended.stderr);
    home.set_env("ROLLCALL_SECRET_KEY", &two);
    home.start().client();
}

#[test]
fn a_lost_key_is_replaced_and_clients_get_new_secrets() {
    let server = Server::with_admin().start();
    assert_eq!(server.stop().code, Some(0));
    let home = server.into_home();
    fs::remove_file(home.data().join("secret.key")).unwrap();
    let output = home.run(&["rotate-key"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("rotate-key --lost"), "{said}");
    let output = home.run(&["rotate-key", "--lost", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["clients_to_rotate"], json!(["tests"]));
    let server = home.start();
    server.visitor().log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "tests"),
        ("client_secret", crate::support::CLIENT_SECRET),
    ];
    let request = server.anonymous().request(reqwest::Method::POST, "/accounts/connect/token").form(&form);
    crate::support::Ask::ask(request).is(401);
}
