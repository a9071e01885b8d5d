//! A real browser: Debian's Chromium without a window, asked by chromedriver in the WebDriver protocol (W3C).
//!
//! One test has one [`Browser`], with a profile of its own: no cookie, no storage and no cache is shared. What a page does in
//! its own time is waited for by asking until it is so ([`Browser::becomes`], [`Browser::find`]). The protocol is some
//! requests of JSON, spoken here by the client that the other tests use: a crate for it would make the tested server another
//! one than is shipped, by switching on features of crates that both use.
//!
//! Invariant: no browser outlives its test, however that ends. A shell holds chromedriver and its Chromium in one process
//! group, and ends that when its own stdin closes, which it does when the test process is gone.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::eventually;

/// How the protocol names an element within JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// The key, as the protocol names it.
const SHIFT: char = '\u{e008}';
/// Keeps chromedriver for as long as somebody holds this shell's stdin; then the whole process group ends.
const HOLD: &str = "chromedriver --port=0 & exec >&-; read _; kill -KILL 0";

/// A browser with one tab.
pub struct Browser {
    driver: Child,
    _said: Lines<BufReader<ChildStdout>>,
    http: reqwest::blocking::Client,
    /// The address of the session.
    session: String,
    /// What the console has said of errors so far.
    errors: RefCell<Vec<String>>,
    _home: tempfile::TempDir,
}

/// A driver, what it goes on to say, and its port; `None` when it ends before it says one.
fn start_driver(home: &Path, log: &Path) -> Option<(Child, Lines<BufReader<ChildStdout>>, u16)> {
    let mut driver = Command::new("sh")
        .args(["-c", HOLD])
        .envs(["HOME", "TMPDIR"].map(|name| (name, home)))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(log).expect("make the driver's log"))
        .spawn()
        .expect("start sh");
    let mut said = BufReader::new(driver.stdout.take().expect("stdout is a pipe")).lines();
    let port = said.by_ref().map_while(Result::ok).find_map(|line| port(&line));
    if port.is_none() {
        drop(driver.stdin.take());
        let _ = driver.wait();
    }
    Some((driver, said, port?))
}

impl Browser {
    /// Starts a browser of a desktop's size.
    #[track_caller]
    pub fn start() -> Self {
        let home = tempfile::Builder::new().prefix("rollcall-it-browser-").tempdir().expect("make a temporary folder");
        let log = home.path().join("chromedriver.log");
        // A driver finds a free port and then takes it; somebody else may be quicker.
        let started = (0..3).find_map(|_| start_driver(home.path(), &log));
        let Some((driver, said, port)) = started else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("no chromedriver; tests/run installs it (Debian: chromium and chromium-driver):\n{log}");
        };
        let http = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build();
        let mut browser = Self {
            driver,
            _said: said,
            http: http.expect("build the HTTP client"),
            session: format!("http://127.0.0.1:{port}/session"),
            errors: RefCell::default(),
            _home: home,
        };
        let session = browser.ask(Method::POST, "", &json!({ "capabilities": { "alwaysMatch": capabilities() } }));
        let session = session.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        browser.session = format!("{}/{}", browser.session, session["sessionId"].as_str().expect("a session's id"));
        browser
    }

    /// Goes to a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.told(Method::POST, "/url", &json!({ "url": url }));
    }
    /// The address of the page.
    #[track_caller]
    pub fn url(&self) -> String {
        text(&self.told(Method::GET, "/url", &Value::Null))
    }
    #[track_caller]
    pub fn title(&self) -> String {
        text(&self.told(Method::GET, "/title", &Value::Null))
    }
    /// Gives the page this much room; a phone's is 390 by 844.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 0, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }
    /// Makes a CSS media feature hold, such as `prefers-color-scheme` `dark`.
    #[track_caller]
    pub fn prefers(&self, feature: &str, value: &str) {
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [{ "name": feature, "value": value }] }));
    }
    /// Runs no script of the pages to come; [`Browser::run`] still works.
    #[track_caller]
    pub fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }
    /// A command of the Chrome DevTools Protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, params: &Value) -> Value {
        self.told(Method::POST, "/goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }
    /// Runs the body of a function in the page; gives what it returns, or what its promise becomes.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.told(Method::POST, "/execute/sync", &json!({ "script": script, "args": [] }))
    }
    /// Presses keys one after the other where the focus is, as a keyboard does; `shift` is held meanwhile.
    #[track_caller]
    pub fn keys(&self, keys: &str, shift: bool) {
        let key = |kind: &str, key: char| json!({ "type": kind, "value": key.to_string() });
        let mut actions: Vec<Value> = keys.chars().flat_map(|one| [key("keyDown", one), key("keyUp", one)]).collect();
        if shift {
            actions.insert(0, key("keyDown", SHIFT));
            actions.push(key("keyUp", SHIFT));
        }
        self.told(
            Method::POST,
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }),
        );
    }
    /// Waits until an expression is true, as JavaScript sees it, and gives its value.
    #[track_caller]
    pub fn becomes(&self, expression: &str) -> Value {
        let script = json!({ "script": format!("return ({expression}) || null"), "args": [] });
        eventually(expression, || match self.ask(Method::POST, "/execute/sync", &script) {
            Ok(Value::Null) => Err(self.console_errors().join("\n")),
            answer => answer,
        })
    }
    /// Waits for an element that a CSS selector names, and that can be seen.
    #[track_caller]
    pub fn find(&self, selector: &str) -> Element<'_> {
        eventually(selector, || {
            let element = self.elements(selector)?.into_iter().next().ok_or("there is none")?;
            if element.is_shown() { Ok(element) } else { Err("it can't be seen".to_owned()) }
        })
    }
    /// The elements that a CSS selector names now.
    #[track_caller]
    pub fn all(&self, selector: &str) -> Vec<Element<'_>> {
        self.elements(selector).unwrap_or_else(|error| panic!("{selector}: {error}"))
    }
    /// Every error that the console has shown so far: exceptions, failed requests, what a policy refused.
    pub fn console_errors(&self) -> Vec<String> {
        let log = self.ask(Method::POST, "/se/log", &json!({ "type": "browser" })).unwrap_or_default();
        let errors = log.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        self.errors.borrow_mut().extend(errors.map(|entry| text(&entry["message"])));
        self.errors.borrow().clone()
    }
    /// Keeps a picture of what can be seen, where `tests/run --screenshots` wants some.
    #[track_caller]
    pub fn keep_picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("ROLLCALL_SCREENSHOTS") {
            let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            self.picture(&Path::new(&folder).join(format!("{}.png", name.trim_matches('-'))));
        }
    }
    /// Writes what can be seen into a PNG file.
    #[track_caller]
    pub fn picture(&self, path: &Path) {
        let picture = text(&self.told(Method::GET, "/screenshot", &Value::Null));
        std::fs::write(path, STANDARD.decode(picture).expect("base64")).expect("write the picture");
    }

    fn elements(&self, selector: &str) -> Result<Vec<Element<'_>>, String> {
        let found = self.ask(Method::POST, "/elements", &json!({ "using": "css selector", "value": selector }))?;
        let ids = found.as_array().into_iter().flatten().map(|element| text(&element[ELEMENT]));
        Ok(ids.map(|id| Element { browser: self, id }).collect())
    }
    /// A command that must work.
    #[track_caller]
    fn told(&self, method: Method, path: &str, body: &Value) -> Value {
        match self.ask(method, path, body) {
            Ok(value) => value,
            Err(error) => panic!("{path} {body}: {error}"),
        }
    }
    fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if !body.is_null() {
            request = request.json(body);
        }
        let reply = request.send().map_err(|error| format!("{error:?}"))?;
        let good = reply.status().is_success();
        let value = reply.json::<Value>().map_err(|error| format!("{error:?}"))?["value"].take();
        if good { Ok(value) } else { Err(format!("{}: {}", text(&value["error"]), text(&value["message"]))) }
    }
    /// For a test that failed: where it was, what the console said, and what could be seen.
    fn show(&self) {
        let name = std::thread::current().name().unwrap_or("browser").replace("::", "-");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        let url = self.ask(Method::GET, "/url", &Value::Null);
        eprintln!("--- the browser was at {url:?}; its console's errors:\n{}", self.console_errors().join("\n"));
        if let Ok(Value::String(picture)) = self.ask(Method::GET, "/screenshot", &Value::Null) {
            let written = STANDARD.decode(picture).map(|picture| std::fs::write(&path, picture));
            eprintln!("--- what could be seen: {} ({written:?})", path.display());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        drop(self.driver.stdin.take());
        let _ = self.driver.wait();
    }
}

/// One element of the page, as long as it is there.
pub struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl Element<'_> {
    #[track_caller]
    pub fn click(&self) {
        self.told(Method::POST, "click", &json!({}));
    }
    /// Puts this text in place of what a field holds, key by key.
    #[track_caller]
    pub fn fill(&self, value: &str) {
        self.told(Method::POST, "clear", &json!({}));
        self.press(value);
    }
    /// Types; `\u{e004}` is Tab, `\u{e007}` Enter, `\u{e00c}` Escape (WebDriver, "keyboard actions").
    #[track_caller]
    pub fn press(&self, keys: &str) {
        self.told(Method::POST, "value", &json!({ "text": keys }));
    }
    /// The text that can be seen.
    #[track_caller]
    pub fn text(&self) -> String {
        text(&self.told(Method::GET, "text", &Value::Null))
    }
    /// An attribute; `None` when there is none.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.told(Method::GET, &format!("attribute/{name}"), &Value::Null).as_str().map(str::to_owned)
    }
    /// The role and the name by which a screen reader presents it.
    #[track_caller]
    pub fn presented(&self) -> (String, String) {
        let ask = |what| text(&self.told(Method::GET, what, &Value::Null));
        (ask("computedrole"), ask("computedlabel"))
    }
    #[track_caller]
    pub fn is_shown(&self) -> bool {
        self.ask(Method::GET, "displayed", &Value::Null) == Ok(Value::Bool(true))
    }
    #[track_caller]
    fn told(&self, method: Method, what: &str, body: &Value) -> Value {
        match self.ask(method, what, body) {
            Ok(value) => value,
            Err(error) => panic!("{what} {body}: {error}"),
        }
    }
    fn ask(&self, method: Method, what: &str, body: &Value) -> Result<Value, String> {
        self.browser.ask(method, &format!("/element/{}/{what}", self.id), body)
    }
}

/// The port in the line that says that chromedriver listens.
fn port(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}

fn capabilities() -> Value {
    let mut args = vec![
        "--headless=new",
        "--window-size=1280,900",
        "--lang=en-US",
        "--no-proxy-server",
        // Containers have little of it.
        "--disable-dev-shm-usage",
    ];
    if rustix::process::geteuid().is_root() {
        args.push("--no-sandbox");
    }
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "args": args },
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
