//! Letters by a real SMTP server on this machine: in every kind of connection, and in every mood of the server.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{FIRST_EMAIL, Server, operator, python, token_in};

/// How long a mail may take to arrive; the first pauses between tries are seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// A mail server; it ends when it is dropped.
struct MailServer {
    child: Child,
    stdin: Option<ChildStdin>,
    port: u16,
    mails: Receiver<Value>,
}

impl MailServer {
    fn start(args: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mail/server.py");
        let mut command = Command::new(python());
        command.args(["-W", "ignore"]).arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the mail server");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (send, mails) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).expect("a line of JSON"));
            }
        });
        let first: Value = mails.recv_timeout(PATIENCE).expect("the mail server listens");
        let port = first["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        Self { child, stdin, port, mails }
    }

    /// The next mail that was taken.
    #[track_caller]
    fn mail(&self) -> Value {
        self.mails.recv_timeout(PATIENCE).expect("a mail arrives")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn authority() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mail/ca.pem")
}

fn config(port: u16, tls: &str, more: &str) -> String {
    format!(
        "[mail]\ntransport = \"smtp\"\nfrom = \"Rollcall <rollcall@x.example>\"\n\
         [mail.smtp]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\n{more}"
    )
}

/// A Rollcall that sends by the mail server at that port.
fn rollcall(port: u16, tls: &str, more: &str) -> Server {
    Server::with_admin().config(&config(port, tls, more)).env("SSL_CERT_FILE", authority().to_str().unwrap()).start()
}

fn forget(server: &Server, name: &str) {
    server.visitor().post("/accounts/forgot-password", &json!({ "email": name })).is(202);
}

#[test]
fn a_letter_arrives_and_its_link_works() {
    let mail_server = MailServer::start(&[]);
    let server = rollcall(mail_server.port, "none", "");
    forget(&server, FIRST_EMAIL);
    let mail = mail_server.mail();
    assert_eq!((&mail["from"], &mail["to"]), (&json!("rollcall@x.example"), &json!(["admin@x.example"])));
    assert_eq!((&mail["tls"], &mail["user"]), (&json!(false), &Value::Null));
    let text = mail["mail"].as_str().unwrap();
    assert!(text.contains("Subject: Choose a new Rollcall password"), "{text}");
    let token = token_in(&crate::support::plain(text));
    let reset = json!({ "token": token, "password": "correct horse!" });
    server.visitor().post("/accounts/reset-password", &reset).is(204);
    assert!(server.home.mails().is_empty(), "nothing is in the outbox");
}

#[test]
fn a_password_goes_over_tls_alone() {
    for tls in ["starttls", "tls"] {
        let mail_server = MailServer::start(&["--tls", tls, "--user", "post", "--password", "canary-mail-secret"]);
        let credentials = "user = \"post\"\npassword_env = \"MAIL_PASSWORD\"\n";
        let server = Server::with_admin()
            .config(&config(mail_server.port, tls, credentials))
            .env("SSL_CERT_FILE", authority().to_str().unwrap())
            .env("MAIL_PASSWORD", "canary-mail-secret")
            .start();
        forget(&server, FIRST_EMAIL);
        let mail = mail_server.mail();
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("post")), "{tls}");
        assert!(!server.log().contains("canary-mail-secret"));
    }
}

#[test]
fn a_server_without_the_tls_that_is_asked_for_gets_nothing() {
    let mail_server = MailServer::start(&[]);
    let server = rollcall(mail_server.port, "starttls", "");
    forget(&server, FIRST_EMAIL);
    server.logs("could not be sent");
    assert!(mail_server.mails.try_recv().is_err());
}

#[test]
fn a_certificate_that_nobody_trusts_gets_nothing() {
    let mail_server = MailServer::start(&["--tls", "tls"]);
    let server = Server::with_admin().config(&config(mail_server.port, "tls", "")).start();
    forget(&server, FIRST_EMAIL);
    server.logs("could not be sent");
    assert!(mail_server.mails.try_recv().is_err());
}

#[test]
fn a_server_that_is_down_gets_the_letter_when_it_is_back() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = rollcall(port, "none", "");
    forget(&server, FIRST_EMAIL);
    server.logs("could not be sent");
    let mail_server = MailServer::start(&["--port", &port.to_string()]);
    assert_eq!(mail_server.mail()["to"], json!(["admin@x.example"]));
    let metrics = server.anonymous().get("/metrics").body;
    assert!(metrics.lines().any(|line| line.starts_with("rollcall_mails_failed_total ")), "{metrics}");
}

#[test]
fn moods_of_the_server_hold_up_neither_requests_nor_other_letters() {
    let mail_server = MailServer::start(&[]);
    let names = ["stuck", "refused", "later", "eve"];
    let operators: Vec<Value> = names.iter().map(|name| operator(name, &json!({}))).collect();
    let server = rollcall(mail_server.port, "none", "").put_operators(&operators);
    for name in names {
        forget(&server, name);
    }
    let mut arrived = [mail_server.mail(), mail_server.mail()].map(|mail| mail["to"][0].as_str().unwrap().to_owned());
    arrived.sort();
    assert_eq!(arrived, ["eve@x.example", "later@x.example"]);
    assert!(server.log().contains("550"), "why a mail is refused is in the log:\n{}", server.log());
    assert_eq!(server.stop().code, Some(0), "a mail on its way does not hold up the end");
}

#[test]
fn a_missing_password_is_told_at_the_start() {
    let text = config(25, "none", "user = \"post\"\npassword_env = \"MAIL_PASSWORD\"\n");
    let Err((_, ended)) = Server::with_admin().config(&text).home().try_start() else { panic!("it started") };
    ended.refused("no password");
    assert!(ended.stderr.contains("MAIL_PASSWORD"), "{}", ended.stderr);
}
