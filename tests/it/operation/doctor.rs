//! `rollcall doctor`: what is wrong, and how to mend it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Home, Server, crm};

/// The exit status, and the findings by what they are of.
#[track_caller]
fn ask(home: &Home) -> (Option<i32>, Vec<(String, String, String)>) {
    let output = home.run(&["doctor", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let list = told["findings"].as_array().unwrap();
    let found = list.iter().map(|finding| {
        let (what, state) = (text(finding, "what"), text(finding, "state"));
        assert!(
            state == "ok" || !text(finding, "mend").is_empty(),
            "what is not in order says how to mend it: {finding}"
        );
        (what, state, text(finding, "found"))
    });
    (output.status.code(), found.collect())
}

fn state<'a>(found: &'a [(String, String, String)], what: &str) -> &'a str {
    found.iter().find(|(of, ..)| of == what).map_or("nothing", |(_, state, _)| state)
}

#[test]
fn a_sound_installation_is_called_sound_stopped_and_running() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    server.client();
    let (code, found) = ask(&server.home);
    assert_eq!(code, Some(0), "{found:?}");
    assert_eq!(state(&found, "store"), "ok", "{found:?}");
    assert_eq!(server.stop().code, Some(0));
    let (code, found) = ask(&server.home);
    assert_eq!(code, Some(0), "{found:?}");
    for what in ["data folder", "disk", "store", "secret key", "rules", "clock"] {
        assert_eq!(state(&found, what), "ok", "{what}: {found:?}");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    fs::set_permissions(home.data().join("secret.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(home.rules().join("s/segments.toml"), "x").unwrap();
    home.set_env("ROLLCALL_STORAGE__MIN_FREE_MIB", "99999999999");
    home.set_env("ROLLCALL_SERVER__PUBLIC_URL", "http://rollcall.example");
    home.set_env("ROLLCALL_MAIL__TRANSPORT", "smtp");
    home.set_env("ROLLCALL_MAIL__SMTP__HOST", "127.0.0.1");
    home.set_env("ROLLCALL_MAIL__SMTP__PORT", "1");
    let (code, found) = ask(&home);
    assert_eq!(code, Some(1));
    for what in ["secret key", "rules", "disk", "address", "mail"] {
        assert_eq!(state(&found, what), "wrong", "{what}: {found:?}");
    }
    fs::remove_file(home.data().join("secret.key")).unwrap();
    let (_, found) = ask(&home);
    assert_eq!(state(&found, "secret key"), "wrong", "{found:?}");
    let bytes = fs::read(home.data().join("store/db")).unwrap();
    fs::write(home.data().join("store/db"), &bytes[..64]).unwrap();
    let (_, found) = ask(&home);
    assert_eq!(state(&found, "store"), "wrong", "{found:?}");
}
