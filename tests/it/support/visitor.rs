//! An operator in a browser, as far as HTTP sees it: it keeps the session's cookie and says from which page it sends.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use serde_json::{Value, json};

use super::{Ask, Client, Reply, Server};

/// The Admin of servers that are told so in their environment.
pub const FIRST_EMAIL: &str = "admin@x.example";
/// That Admin's password; also a canary that must show up nowhere.
pub const FIRST_PASSWORD: &str = "canary-Horse!staple-41";

/// Whoever stands before the door, without or with a session.
pub struct Visitor {
    client: Client,
    origin: String,
    /// Where it calls from, as the server's trusted proxy says.
    address: String,
    /// By name.
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Server {
    /// A visitor at an address that no other one has (the server must trust 127.0.0.1 as a proxy for that to count).
    pub fn visitor(&self) -> Visitor {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let [_, b, c, d] = NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        Visitor {
            client: self.anonymous(),
            origin: self.base().to_owned(),
            address: format!("10.{b}.{c}.{d}"),
            cookies: Mutex::default(),
        }
    }

    /// The Admin, logged in.
    #[track_caller]
    pub fn admin_visitor(&self) -> Visitor {
        let visitor = self.visitor();
        visitor.log_in(FIRST_EMAIL, FIRST_PASSWORD).is(204);
        visitor
    }
}

impl Visitor {
    /// The same one at another address.
    pub fn from(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }
    /// The same one behind another public address.
    pub fn origin(mut self, origin: &str) -> Self {
        origin.clone_into(&mut self.origin);
        self
    }
    fn jar(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().expect("the cookies")
    }
    /// The session's cookie as `name=value`, if there is one.
    pub fn cookie(&self) -> Option<String> {
        let jar = self.jar();
        let session = jar.iter().find(|(name, _)| name.ends_with("rollcall_session"));
        session.map(|(name, value)| format!("{name}={value}"))
    }
    /// Puts one cookie in the place of all.
    pub fn set_cookie(&self, cookie: Option<String>) {
        let mut jar = self.jar();
        jar.clear();
        jar.extend(cookie.iter().filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
    /// A request with the cookie, without an `Origin`.
    pub fn bare_request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, path).header("x-forwarded-for", &self.address);
        let request = request.header("user-agent", "Tests/1.0");
        let cookies: Vec<String> = self.jar().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header("cookie", cookies.join("; ")) }
    }
    /// A request as a page of the server sends it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_safe = method == Method::GET;
        let request = self.bare_request(method, path);
        if is_safe { request } else { request.header("origin", &self.origin) }
    }
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.ask(self.request(Method::GET, path))
    }
    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.ask(self.request(Method::DELETE, path))
    }
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(self.request(Method::POST, path).json(body))
    }
    #[track_caller]
    pub fn post_empty(&self, path: &str) -> Reply {
        self.ask(self.request(Method::POST, path))
    }
    /// A form, as a page of the server sends it.
    #[track_caller]
    pub fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.ask(self.request(Method::POST, path).form(fields))
    }
    /// Tries to log in.
    #[track_caller]
    pub fn log_in(&self, name: &str, password: &str) -> Reply {
        self.post("/accounts/login", &json!({ "email": name, "password": password }))
    }
    /// Sends it and keeps the cookies that come back.
    #[track_caller]
    pub fn ask(&self, request: RequestBuilder) -> Reply {
        let reply = request.ask();
        for value in reply.headers.get_all("set-cookie") {
            let text = value.to_str().expect("a cookie is text");
            let (name, value) = text.split(';').next().and_then(|pair| pair.split_once('=')).expect("name=value");
            if text.contains("Max-Age=0") {
                self.jar().remove(name);
            } else {
                self.jar().insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }
}
