//! One system of a server: the cheap isolation of tests that share a server.

use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::{Client, Reply, Server, eventually, write_tree};

/// The server that tests share which need only a system of their own.
pub fn shared() -> &'static Server {
    static SHARED: LazyLock<Server> = LazyLock::new(|| {
        let server = Server::with(&[("base/integrations/crm.toml", super::crm())]).start();
        server.dies_with_the_tests();
        server
    });
    &SHARED
}

/// Every character outside RFC 3986's unreserved ones, percent-encoded.
pub fn encode(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A system and a client that may do everything in it.
pub struct System<'a> {
    pub server: &'a Server,
    pub id: String,
    pub client: Client,
}

impl Server {
    /// A system that is already live.
    pub fn system(&self, id: &str) -> System<'_> {
        System { server: self, id: id.to_owned(), client: self.client() }
    }

    /// Makes a system of these files, under a name that no other test has, and waits until it is live.
    #[track_caller]
    pub fn add_system<P: AsRef<str>, T: AsRef<str>>(&self, files: &[(P, T)]) -> System<'_> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let id = format!("t{}", NEXT.fetch_add(1, Ordering::SeqCst));
        let draft = self.home.rules().join(format!(".{id}"));
        write_tree(&draft, files);
        fs::rename(&draft, self.home.rules().join(&id)).expect("move the new system in");
        let system = self.system(&id);
        self.client().post_empty("/admin/v1/reload").is_success();
        system.is_live();
        system
    }
}

impl System<'_> {
    /// What `/admin/v1/config` says of the system; null when it is not mentioned.
    #[track_caller]
    pub fn report(&self) -> Value {
        let config = self.client.get("/admin/v1/config").is(200);
        let items = config["items"].as_array().expect("`items` is a list");
        items.iter().find(|item| item["system"] == self.id.as_str()).cloned().unwrap_or(Value::Null)
    }
    /// Waits until the system is live without errors.
    #[track_caller]
    pub fn is_live(&self) {
        eventually("the system is live", || {
            let report = self.report();
            let sound = report["revision"].is_string() && report["errors"].as_array().is_none_or(Vec::is_empty);
            if sound { Ok(()) } else { Err(format!("config says {report}")) }
        });
    }
    /// Writes rule files of this system, and waits for nothing.
    pub fn write(&self, files: &[(&str, &str)]) {
        write_tree(&self.server.home.rules().join(&self.id), files);
    }
    /// A rule file's text on disk.
    pub fn file(&self, path: &str) -> String {
        fs::read_to_string(self.server.home.rules().join(&self.id).join(path)).expect("read the rule file")
    }
    /// Whether a rule file is on disk.
    pub fn has_file(&self, path: &str) -> bool {
        self.server.home.rules().join(&self.id).join(path).exists()
    }
    /// Forces what is on disk live.
    #[track_caller]
    pub fn reload(&self) {
        self.client.post_empty("/admin/v1/reload").is_success();
    }
    /// A path of the admin API within this system.
    pub fn admin(&self, rest: &str) -> String {
        format!("/admin/v1/systems/{}/{rest}", self.id)
    }
    /// A path of the reading API within this system.
    pub fn public(&self, rest: &str) -> String {
        format!("/public/v1/systems/{}/{rest}", self.id)
    }
    /// An integration's endpoint: `{"url","token","curl"}`.
    #[track_caller]
    pub fn endpoint(&self, integration: &str) -> Value {
        self.client.get(&self.admin(&format!("integrations/{integration}/endpoint"))).is(200)
    }
    /// An integration's token.
    #[track_caller]
    pub fn token(&self, integration: &str) -> String {
        let endpoint = self.endpoint(integration);
        endpoint["token"].as_str().unwrap_or_else(|| panic!("no token in {endpoint}")).to_owned()
    }
    /// An update call to an integration of this system.
    #[track_caller]
    pub fn update(&self, integration: &str, data: &Value) -> Reply {
        self.client.update(&self.token(integration), data)
    }
    /// `GET end-users/{id}`.
    #[track_caller]
    pub fn end_user(&self, id: &str) -> Reply {
        self.client.get(&self.public(&format!("end-users/{}", encode(id))))
    }
    /// An end user's attributes by integration; null when unknown.
    #[track_caller]
    pub fn attributes(&self, id: &str) -> Value {
        let reply = self.end_user(id);
        if reply.status == 404 { Value::Null } else { reply.is(200)["attributes"].clone() }
    }
    /// Page load: `GET end-users/{id}/segments`.
    #[track_caller]
    pub fn page_load(&self, id: &str) -> Value {
        self.client.get(&self.public(&format!("end-users/{}/segments", encode(id)))).is(200)
    }
    /// The segments of a page load.
    #[track_caller]
    pub fn segments(&self, id: &str) -> Vec<String> {
        let page = self.page_load(id);
        let segments = page["segments"].as_array().unwrap_or_else(|| panic!("no `segments` in {page}"));
        segments.iter().map(|segment| segment.as_str().expect("a segment is its id").to_owned()).collect()
    }
    /// Polls page loads of an end user until they give these segments.
    #[track_caller]
    pub fn segments_become(&self, id: &str, expected: &[&str]) {
        eventually(&format!("the segments of {id} become {expected:?}"), || {
            let segments = self.segments(id);
            if segments == expected { Ok(()) } else { Err(format!("{segments:?}")) }
        });
    }
}

impl Drop for System<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.server.show_log();
        }
    }
}
