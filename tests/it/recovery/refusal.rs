//! Folders that a server must not start on.

use std::fs;

use serde_json::json;

use super::kill::files;
use crate::support::Server;

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let server = Server::with(&files()).start();
    let mut second = Server::with(&files()).home();
    second.set_env("ROLLCALL_STORAGE__PATH", &server.home.data().display().to_string());
    let Err((_, ended)) = second.try_start() else { panic!("two servers on one folder") };
    ended.refused("a second server");
    let text = ended.stderr.to_lowercase();
    assert!(text.contains("another") || text.contains("in use"), "it says why: {}", ended.stderr);

    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    assert_eq!(system.attributes("a"), json!({ "crm": { "Seats": 1 } }), "the first goes on");
}

#[test]
fn another_secret_key_is_refused_and_the_right_one_taken() {
    let (one, other) = ("11".repeat(32), "22".repeat(32));
    let server = Server::with(&files()).env("ROLLCALL_SECRET_KEY", &one).start();
    let token = server.system("s").token("crm");
    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    home.set_env("ROLLCALL_SECRET_KEY", &other);
    let Err((mut home, ended)) = home.try_start() else { panic!("it serves with another key") };
    ended.refused("another key");
    assert!(ended.stderr.contains("rotate-key"), "it says how to rotate: {}", ended.stderr);
    assert!(!ended.stderr.contains(&one) && !ended.stderr.contains(&other), "and shows no key");

    home.set_env("ROLLCALL_SECRET_KEY", &one);
    let server = home.start();
    assert_eq!(server.system("s").token("crm"), token);
}

#[test]
fn a_secret_key_of_another_form_is_refused() {
    for bad in ["", "short", &"zz".repeat(32), &"11".repeat(31)] {
        let home = Server::with(&files()).env("ROLLCALL_SECRET_KEY", bad).home();
        let Err((_, ended)) = home.try_start() else { panic!("{bad:?} is taken") };
        assert!(matches!(ended.code, Some(1 | 2)), "{bad:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("ROLLCALL_SECRET_KEY"), "{bad:?}: {}", ended.stderr);
    }
}

#[test]
fn a_data_path_that_is_a_file_is_refused() {
    let home = Server::with(&files()).home();
    fs::write(home.data(), "not a folder").unwrap();
    let Err((_, ended)) = home.try_start() else { panic!("it serves") };
    ended.refused("a file as the data folder");
    assert!(ended.stderr.contains("data"), "{}", ended.stderr);
}
