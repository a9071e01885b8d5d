//! Uploads: broken ones leave nothing, and neither does one for which the disk has no room.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use super::{came_to, import, rows, rules, send, spooled};
use crate::support::{Server, eventually};

fn server() -> crate::support::Server {
    let files: Vec<_> = rules().into_iter().map(|(path, text)| (format!("s/{path}"), text)).collect();
    Server::with(&files).start()
}

#[test]
fn a_broken_upload_leaves_nothing() {
    let server = server();
    let system = server.system("s");
    let mut stream = TcpStream::connect(server.base().trim_start_matches("http://")).expect("connect");
    let head = format!(
        "POST /admin/v1/systems/s/integrations/upload/imports HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: text/csv\r\ncontent-length: 1000\r\n\r\nemail,Seats\nann,1\n",
        system.client.bearer()
    );
    stream.write_all(head.as_bytes()).expect("send half a file");
    eventually("the upload has begun", || match spooled(&server.home.data()).as_slice() {
        [part] if part.ends_with(".part") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    drop(stream);
    eventually("the upload is gone", || {
        let files = spooled(&server.home.data());
        if files.is_empty() { Ok(()) } else { Err(format!("{files:?}")) }
    });
    let path = system.admin("integrations/upload/imports");
    assert_eq!(system.client.get(&path).is(200)["items"], json!([]));
    assert_eq!(system.attributes("ann"), serde_json::Value::Null);
}

#[test]
fn an_upload_that_a_crash_broke_is_swept_at_the_start() {
    let server = server();
    let mut stream = TcpStream::connect(server.base().trim_start_matches("http://")).expect("connect");
    let head = format!(
        "POST /admin/v1/systems/s/integrations/upload/imports HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\nc\r\nemail,Seats\n\r\n",
        server.client().bearer()
    );
    stream.write_all(head.as_bytes()).expect("send half a file");
    eventually("the upload has begun", || {
        if spooled(&server.home.data()).is_empty() { Err("no file".to_owned()) } else { Ok(()) }
    });
    server.kill();
    assert_eq!(spooled(&server.home.data()).len(), 1);
    let server = server.start_again();
    assert_eq!(spooled(&server.home.data()), [] as [String; 0]);
}

#[test]
fn a_file_is_gone_once_its_import_has_ended() {
    let server = server();
    let system = server.system("s");
    came_to(&import(&system, "", rows(10)), "done", [10, 10, 0]);
    came_to(&import(&system, "", "email,Seats\na,x\n"), "failed", [1, 0, 1]);
    assert_eq!(spooled(&server.home.data()), [] as [String; 0]);
}

#[test]
fn imports_are_told_of_after_a_restart() {
    let server = server();
    let done = import(&server.system("s"), "?on_error=skip", "email,Seats\nann,1\nbob,x\n");
    let server = server.restart();
    let show = format!("/admin/v1/imports/{}", done["id"].as_str().unwrap());
    assert_eq!(server.client().get(&show).is(200), done);
    assert_eq!(server.client().get(&format!("{show}/errors.csv")).body.lines().count(), 2);
}

#[test]
fn a_file_is_refused_when_the_disk_has_no_room_for_it() {
    let server = server();
    let _ = server.client();
    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    home.set_env("ROLLCALL_STORAGE__MIN_FREE_MIB", "1000000000");
    let server = home.start();
    send(&server.system("s"), "", rows(1)).problem(507);
    assert_eq!(spooled(&server.home.data()), [] as [String; 0]);
}
