//! A newcomer's first minutes, and that no secret shows up where it should not.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{CLIENT_SECRET, Server, crm};

/// The example that comes with the product, as a newcomer has it.
pub(crate) fn example() -> Vec<(String, String)> {
    fn below(root: &Path, folder: &Path, out: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(root, &path, out);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                out.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let (root, mut out) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), Vec::new());
    below(&root, &root, &mut out);
    out
}

/// The shell commands in a text: from a line that begins with `curl` or assigns one, with its continued lines.
fn shell_lines(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let bare = line.trim().trim_start_matches("$ ");
        if open {
            let last = commands.last_mut().expect("an open command");
            last.push('\n');
            last.push_str(line);
        } else if bare.starts_with("curl ") || (bare.contains("=$(curl ") && !bare.starts_with('#')) {
            commands.push(bare.to_owned());
        } else {
            continue;
        }
        let command = commands.last().expect("a command");
        let quotes = command.replace("\\'", "").matches('\'').count();
        open = line.ends_with('\\') || quotes % 2 == 1;
    }
    commands
}

fn bash(script: &str) -> Output {
    Command::new("bash").args(["-euc", script]).output().expect("run bash")
}

#[test]
fn first_run_txt_is_private_and_its_lines_run_as_printed() {
    // The lines name the address, so it is settled before the start.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = Server::with(&example())
        .without_bootstrap()
        .env("ROLLCALL_SERVER__LISTEN", &address)
        .env("ROLLCALL_SERVER__PUBLIC_URL", &format!("http://{address}"))
        .start();
    let path = server.home.data().join("first-run.txt");
    let mode = fs::metadata(&path).expect("first-run.txt is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let lines = shell_lines(&text);
    assert!(lines.len() >= 3, "a token, an update, a page load: {text}");
    // Each line in the shell that the ones before were typed in, with what it prints kept apart.
    let script = lines.join("\necho; echo @@@@\n");
    let output = bash(&script);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}\n---\n{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> =
        printed.split("@@@@").filter_map(|answer| serde_json::from_str(answer.trim()).ok()).collect();
    let update = answers.iter().find(|answer| answer["message"] == "Request has been received");
    assert_eq!(update.unwrap_or_else(|| panic!("no update was taken: {printed}"))["created"], 1, "{printed}");
    let page = answers.iter().find(|answer| answer["known"] == true);
    let segments = page.unwrap_or_else(|| panic!("no page load: {printed}"))["segments"].as_array().cloned();
    assert!(segments.is_some_and(|segments| !segments.is_empty()), "the first end user is in a segment: {printed}");

    // The secret in the file is not told anywhere else, and a restart makes no new one.
    let log = server.log();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').filter(|word| word.len() >= 32)
    {
        assert!(!log.contains(word), "a secret of first-run.txt is in the log");
    }
    let server = server.restart();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let reply = bash(&(lines[..1].join("\n") + "\necho \"$TOKEN\""));
    let token = String::from_utf8_lossy(&reply.stdout).trim().to_owned();
    server.anonymous().with_bearer(&token).get("/admin/v1/config").is(200);
}

#[test]
fn bootstrap_variables_make_the_client_and_no_file() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    server.client().get("/admin/v1/config").is(200);
    let first_run = server.home.data().join("first-run.txt");
    if let Ok(text) = fs::read_to_string(&first_run) {
        assert!(!text.contains(CLIENT_SECRET), "a secret that was given is not written down again");
    }
    // Once the store exists, other bootstrap values do nothing.
    assert_eq!(server.stop().code, Some(0));
    let mut home = server.into_home();
    home.set_env("ROLLCALL_BOOTSTRAP_CLIENT_ID", "late");
    let server = home.start();
    let request = server.anonymous().request(reqwest::Method::POST, "/accounts/connect/token");
    let form = [("grant_type", "client_credentials")];
    let reply = request.basic_auth("late", Some(CLIENT_SECRET)).form(&form).send().unwrap();
    assert_eq!(reply.status().as_u16(), 401);
}

/// Every file below a folder, but for those that are meant to hold secrets.
pub(crate) fn bytes_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).expect("read the folder").map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            out.extend(bytes_below(&path));
        } else if name != "first-run.txt" && name != "secret.key" {
            out.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    out
}

#[test]
fn secrets_show_up_in_no_log_metric_problem_or_store() {
    let key: String = (0..32).map(|n: u8| format!("{:02x}", n.wrapping_mul(73).wrapping_add(11))).collect();
    let server =
        Server::with(&[("s/integrations/crm.toml", crm()), ("s/segments/bad.rhai", "// Bad\ntrue".to_owned())])
            .env("ROLLCALL_SECRET_KEY", &key)
            .env("RUST_LOG", "trace")
            .start();
    let system = server.system("s");
    let (token, access) = (system.token("crm"), system.client.bearer().to_owned());
    let mut told = String::new();
    let mut tell = |reply: crate::support::Reply| told.push_str(&format!("{:?}{}", reply.headers, reply.body));

    system.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    tell(system.update("crm", &json!([{ "Email": "a", "Seats": "x", "Type": null }])));
    tell(system.client.update_body(format!("{{\"token\":\"{token}\",\"data\":")));
    tell(system.client.update(&format!("{token}0"), &json!([{ "Email": "a", "Seats": 1 }])));
    tell(system.client.anonymous().with_bearer(&format!("{access}x")).get("/admin/v1/config"));
    tell(system.client.get(&format!("/nothing?token={token}")));
    tell(system.client.get("/readyz"));
    tell(system.client.get("/metrics"));
    tell(system.client.get("/openapi.json"));
    tell(system.client.get("/admin/v1/config"));
    tell(system.client.get(&system.admin("integrations/crm/calls")));
    system.client.post_empty(&system.admin("integrations/crm/rotate-token?grace_hours=1")).is_success();
    system.client.post_empty("/admin/v1/maintenance/checkpoint").is_success();
    let rotated = system.token("crm");
    drop(system);
    assert_eq!(server.stop().code, Some(0));

    let signature = access.rsplit('.').next().unwrap();
    let raw_key = hex::decode(&key).unwrap();
    let secrets: [(&str, &[u8]); 6] = [
        ("client secret", CLIENT_SECRET.as_bytes()),
        ("integration token", token.as_bytes()),
        ("rotated integration token", rotated.as_bytes()),
        ("access token", signature.as_bytes()),
        ("secret key", key.as_bytes()),
        ("secret key in bytes", &raw_key),
    ];
    let mut places = bytes_below(&server.home.data());
    places.push(("the log".to_owned(), server.log().into_bytes()));
    places.push(("an answer".to_owned(), told.into_bytes()));
    for (what, secret) in secrets {
        for (place, bytes) in &places {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "the {what} is in {place}");
        }
    }
}

#[test]
fn shell_lines_are_found_with_their_continuations() {
    let text =
        "1. Token\nT=$(curl -u 'a' x | sed -n 's/a/b/p')\n\n  curl -d '{\n  \"a\": 1}' \\\n  y\nand so on\n# curl no\n";
    assert_eq!(shell_lines(text), ["T=$(curl -u 'a' x | sed -n 's/a/b/p')", "curl -d '{\n  \"a\": 1}' \\\n  y"]);
}
