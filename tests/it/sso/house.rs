//! A provider and a Rollcall that knows it, and the walk of a browser between them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Ask, Client, Reply, Server, Visitor, node_packages, operator};

/// The client secret at the provider; a canary that must show up nowhere.
pub(super) const SECRET: &str = "canary-sso-secret+/=%";

/// An address that nobody listens on, for a moment.
pub(super) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A running provider; it ends when it is dropped, or with the tests.
pub(super) struct Provider {
    child: Child,
    stdin: Option<ChildStdin>,
    client: Client,
    pub(super) issuer: String,
}

impl Provider {
    /// Starts it at an address, for the Rollcall at another one.
    pub(super) fn start(address: &str, rollcall: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sso/provider.mjs");
        let port = address.rsplit(':').next().unwrap();
        let mut command = Command::new("node");
        command.args(["--no-warnings", script.to_str().unwrap(), node_packages().to_str().unwrap(), port]);
        command.arg(format!("http://{rollcall}/sso/callback")).env("NODE_ENV", "test");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start node");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "listening"), "the provider listens");
        std::thread::spawn(move || lines.for_each(drop));
        let issuer = format!("http://{address}");
        Self { child, stdin, client: Client::new(&issuer), issuer }
    }

    /// Who is let in next, and how the ID token is spoiled on its way.
    #[track_caller]
    pub(super) fn control(&self, how: &Value) {
        self.client.put("/control", how).is_success();
    }

    /// What a browser does that is sent to the provider: the address to which it is sent back.
    #[track_caller]
    pub(super) fn visit(&self, url: &str) -> String {
        let (mut url, mut cookies) = (url.to_owned(), BTreeMap::<String, String>::new());
        for _ in 0..10 {
            let Some(path) = url.strip_prefix(&self.issuer) else { return url };
            let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let reply = self.client.request(Method::GET, path).header("cookie", jar.join("; ")).ask();
            assert_eq!(reply.status, 303, "{} answered {}", reply.what, reply.body);
            for cookie in reply.headers.get_all("set-cookie") {
                let pair = cookie.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let location = reply.header("location");
            url = if location.starts_with('/') { format!("{}{location}", self.issuer) } else { location.to_owned() };
        }
        panic!("the provider sends round in circles: {url}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The configuration of a Rollcall that knows a provider.
pub(super) fn config(issuer: &str) -> String {
    format!("[sso]\nissuer = \"{issuer}\"\nclient_id = \"rollcall\"\nclient_secret_env = \"OUR_SECRET\"\n")
}

/// A Rollcall and its provider.
pub(super) struct House {
    pub(super) server: Server,
    pub(super) provider: Provider,
}

impl House {
    /// A new one, with operators in every state.
    pub(super) fn new() -> Self {
        let (here, there) = (free_address(), free_address());
        let provider = Provider::start(&there, &here);
        let sso = |username: &str, sso_id: &str, fields: Value| {
            let mut fields = fields;
            fields["login_method"] = "sso".into();
            fields["sso_id"] = sso_id.into();
            fields["password"] = Value::Null;
            operator(username, &fields)
        };
        let server = Server::with_admin()
            .config(&config(&provider.issuer))
            .env("OUR_SECRET", SECRET)
            .env("ROLLCALL_SERVER__LISTEN", &here)
            .start()
            .put_operators(&[
                sso("ann", "idp-ann", json!({})),
                sso("new", "idp-new", json!({ "status": "PROVISIONED" })),
                sso("off", "idp-off", json!({ "status": "INACTIVE" })),
                sso("blocked", "idp-blocked", json!({ "login_blocked": true })),
                sso("newblocked", "idp-newblocked", json!({ "status": "PROVISIONED", "login_blocked": true })),
                sso("mail", "idp-mail@idp.example", json!({})),
                operator("word", &json!({ "sso_id": "idp-word" })),
            ]);
        Self { server, provider }
    }

    /// One that tests share which let in one person after the other.
    pub(super) fn shared() -> std::sync::MutexGuard<'static, Self> {
        static SHARED: LazyLock<std::sync::Mutex<House>> = LazyLock::new(|| {
            let house = House::new();
            house.server.dies_with_the_tests();
            std::sync::Mutex::new(house)
        });
        SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sends the browser to the provider and through it: the path by which it comes back.
    #[track_caller]
    pub(super) fn walk(&self, browser: &Visitor, next: &str) -> String {
        let leave = browser.get(&format!("/sso/login?next={}", crate::support::encode(next)));
        assert_eq!(leave.status, 303, "{}", leave.body);
        let back = self.provider.visit(leave.header("location"));
        back.strip_prefix(self.server.base()).unwrap_or_else(|| panic!("sent back to {back}")).to_owned()
    }

    /// Logs in whoever the provider is told to let in.
    #[track_caller]
    pub(super) fn log_in(&self, browser: &Visitor, how: &Value) -> Reply {
        self.provider.control(how);
        let back = self.walk(browser, "/console");
        browser.get(&back)
    }
}
