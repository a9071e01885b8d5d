//! A client that says what it asked and what came back when an assertion fails.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

static HTTP: LazyLock<reqwest::blocking::Client> = LazyLock::new(|| {
    reqwest::blocking::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("build the HTTP client")
});

/// Talks to one server, with an access token or without.
#[derive(Clone)]
pub struct Client {
    base: String,
    bearer: Option<String>,
}

impl Client {
    /// A client without an access token.
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned(), bearer: None }
    }
    /// The same with this access token.
    pub fn with_bearer(&self, token: &str) -> Self {
        Self { base: self.base.clone(), bearer: Some(token.to_owned()) }
    }
    /// The same without one.
    pub fn anonymous(&self) -> Self {
        Self::new(&self.base)
    }
    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> &str {
        &self.base
    }
    /// The access token.
    pub fn bearer(&self) -> &str {
        self.bearer.as_deref().expect("this client has an access token")
    }
    /// A request to be finished by the test.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = HTTP.request(method, format!("{}{path}", self.base));
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.request(Method::GET, path).ask()
    }
    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.request(Method::DELETE, path).ask()
    }
    /// POST without a body.
    #[track_caller]
    pub fn post_empty(&self, path: &str) -> Reply {
        self.request(Method::POST, path).ask()
    }
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::POST, path).json(body).ask()
    }
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.request(Method::PUT, path).json(body).ask()
    }
    /// An update call, not yet sent.
    pub fn update_request(&self, integration_token: &str, data: &Value) -> RequestBuilder {
        self.request(Method::POST, "/public/v1/user/data").json(&json!({ "token": integration_token, "data": data }))
    }
    /// An update call.
    #[track_caller]
    pub fn update(&self, integration_token: &str, data: &Value) -> Reply {
        self.update_request(integration_token, data).ask()
    }
    /// An update call whose `data` is this very text, for what a JSON library would not send.
    #[track_caller]
    pub fn update_raw(&self, integration_token: &str, data: &str) -> Reply {
        self.update_body(format!("{{\"token\":\"{integration_token}\",\"data\":{data}}}"))
    }
    /// An update call with this very body.
    #[track_caller]
    pub fn update_body(&self, body: impl Into<reqwest::blocking::Body>) -> Reply {
        self.request(Method::POST, "/public/v1/user/data").header("content-type", "application/json").body(body).ask()
    }
}

/// Sending a request and reading the whole answer.
pub trait Ask {
    /// Sends it; fails the test when there is no answer.
    fn ask(self) -> Reply;
    /// Sends it; `None` when the connection broke before the whole answer was there.
    fn try_ask(self) -> Option<Reply>;
}

impl Ask for RequestBuilder {
    #[track_caller]
    fn ask(self) -> Reply {
        match send(self) {
            Ok(reply) => reply,
            Err(error) => panic!("no answer: {error:?}"),
        }
    }
    fn try_ask(self) -> Option<Reply> {
        send(self).ok()
    }
}

fn send(request: RequestBuilder) -> Result<Reply, reqwest::Error> {
    let (client, request) = request.build_split();
    let request = request?;
    let what = format!("{} {}", request.method(), request.url());
    let response = client.execute(request)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = String::from_utf8_lossy(&response.bytes()?).into_owned();
    Ok(Reply { what, status, headers, body })
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    pub what: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// What an update call counted.
#[derive(Debug, PartialEq, Eq, Clone, Copy, Default)]
pub struct Counts {
    pub received: u64,
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
}

impl Reply {
    /// Asserts the status; gives the body as JSON (null when there is none).
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} answered\n{}", self.what, self.body);
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
    /// Asserts a page of that status.
    #[track_caller]
    pub fn is_page(&self, status: u16) {
        assert_eq!(self.status, status, "{} answered\n{}", self.what, self.body);
        assert!(self.header("content-type").starts_with("text/html"), "{}: {:?}", self.what, self.headers);
    }
    /// Asserts a 2xx without caring which.
    #[track_caller]
    pub fn is_success(&self) {
        assert!((200..300).contains(&self.status), "{} answered {}\n{}", self.what, self.status, self.body);
    }
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.body) {
            Ok(json) => json,
            Err(error) => panic!("{} answered {}, no JSON ({error}):\n{}", self.what, self.status, self.body),
        }
    }
    /// A header's text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
    /// Asserts an accepted update call and its counts.
    #[track_caller]
    pub fn counts(&self) -> Counts {
        let body = self.is(200);
        assert_eq!(body["message"], "Request has been received", "{}", self.body);
        let field = |name: &str| body[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {}", self.body));
        Counts {
            received: field("received"),
            created: field("created"),
            updated: field("updated"),
            unchanged: field("unchanged"),
        }
    }
    /// Asserts a problem (RFC 9457) of that status in the agreed shape.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Problem {
        let json = self.is(status);
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/problem+json"), "{}: content-type `{kind}`\n{}", self.what, self.body);
        assert_eq!(json["status"], status, "the body repeats the status: {}", self.body);
        for key in ["type", "title", "detail"] {
            assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "no `{key}`: {}", self.body);
        }
        for leak in ["panicked", ".rs:", "RUST_BACKTRACE", "/tmp/"] {
            assert!(!self.body.contains(leak), "a problem tells no stack and no path of the server: {}", self.body);
        }
        let errors = match &json["errors"] {
            Value::Null => Vec::new(),
            Value::Array(errors) => errors.iter().map(|error| BadPlace::read(error, &self.body)).collect(),
            _ => panic!("`errors` is a list: {}", self.body),
        };
        Problem { errors, body: self.body.clone() }
    }
}

/// One entry of a problem's `errors`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadPlace {
    pub pointer: String,
    pub code: String,
    pub detail: String,
}

impl BadPlace {
    #[track_caller]
    fn read(error: &Value, body: &str) -> Self {
        let text = |key: &str| match error[key].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("an error without `{key}`: {body}"),
        };
        let (code, detail) = (text("code"), text("detail"));
        assert!(!code.is_empty() && !detail.is_empty(), "an error says what and how to mend: {body}");
        Self { pointer: text("pointer"), code, detail }
    }
}

/// A problem as its caller reads it.
#[derive(Debug)]
pub struct Problem {
    pub errors: Vec<BadPlace>,
    pub body: String,
}

impl Problem {
    /// The bad places, in order of their pointers.
    pub fn pointers(&self) -> Vec<&str> {
        let mut pointers: Vec<&str> = self.errors.iter().map(|error| error.pointer.as_str()).collect();
        pointers.sort_unstable();
        pointers
    }
    /// Asserts exactly these bad places.
    #[track_caller]
    pub fn points_at(&self, mut expected: Vec<&str>) -> &Self {
        expected.sort_unstable();
        assert_eq!(self.pointers(), expected, "{}", self.body);
        self
    }
    /// The code at a place.
    #[track_caller]
    pub fn code(&self, pointer: &str) -> &str {
        match self.errors.iter().find(|error| error.pointer == pointer) {
            Some(error) => &error.code,
            None => panic!("nothing is said of {pointer}: {}", self.body),
        }
    }
    /// Asserts that the text tells of something.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.body.to_lowercase().contains(&part.to_lowercase()), "`{part}` is not in {}", self.body);
        self
    }
}
