//! Values that would be scripts stay text, in a real browser under the real policy: 30 of them in every value that somebody
//! can set and a page shows, and every page opened. What is planted says what it is, so that it is also proven to be shown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{log_in, logged_in};
use crate::support::{
    ADMIN, ADMIN_PASSWORD, Ask, Browser, Server, encode, entry, nightly, operators_setup, user, write_tree,
};

/// Each sets `window.pwned`, leads elsewhere or loads something, where a page takes it for markup, a script or an address.
const PAYLOADS: [&str; 30] = [
    "<script>window.pwned=1</script>",
    "\"><script>window.pwned=1</script>",
    "'><img src=x onerror=window.pwned=1>",
    "\" autofocus onfocus=window.pwned=1 x=\"",
    "' onmouseover='window.pwned=1",
    "` onpointerenter=window.pwned=1 `",
    "<svg onload=window.pwned=1>",
    "<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s>",
    "<svg><script href=data:,window.pwned=1 />",
    "<math href=javascript:window.pwned=1><mtext></mtext><mglyph><style><img src=x onerror=window.pwned=1>",
    "</title><script>window.pwned=1</script>",
    "</textarea><script>window.pwned=1</script>",
    "\"}]}'</script><script>window.pwned=1</script>",
    "</option></select></template></noscript><img src=x onerror=window.pwned=1>",
    "--><script>window.pwned=1</script><!--",
    "]]><script>window.pwned=1</script>",
    "javascript:window.pwned=1",
    "javascript&colon;window&period;pwned=1",
    "<a href=javascript:window.pwned=1 autofocus>x</a>",
    "data:text/html,<script>parent.pwned=1</script>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "<object data=//evil.example><embed src=//evil.example>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<style>@import '//evil.example/x.css';*{background:url(//evil.example/x)}</style>",
    "\" style=\"background:url(//evil.example/x)",
    "<form action=//evil.example><button formaction=javascript:window.pwned=1 data-dialog data-close>x</button></form>",
    "{{window.pwned=1}}${window.pwned=1}<%=window.pwned=1%>#{window.pwned=1}",
    "&lt;img src=x onerror=window.pwned=1&gt;&#60;script&#62;\\u003cscript\\u003e",
    // As long as the value may be, begun by what looks like the first one and what turns the reading around.
    "\u{202e}＜script＞\u{200d}<img src=x onerror=window.pwned=1>",
];

/// The payloads as values of a kind, of at most so many bytes, each with the kind in it.
pub(super) fn planted(kind: &str, most: usize) -> Vec<String> {
    let tag = format!("//{kind}");
    let mut values: Vec<String> = PAYLOADS.iter().map(|payload| format!("{payload}{tag}")).collect();
    if let Some(last) = values.last_mut() {
        let room = most.saturating_sub(last.len());
        last.insert_str(0, &"<b>".repeat(room / 3));
    }
    values
}

/// `look(page)`: what a page has made of values that it must not, and all that it shows as text. `read(paths, forms)`: the
/// same of pages that are fetched and parsed, and not gone to.
const LOOK: &str = r#"
    const leads = ['href', 'src', 'action', 'formaction', 'data', 'srcdoc', 'xlink:href'];
    const foreign = ({ name, value }) => leads.includes(name) && (/^\s*(javascript|data):/i.test(value) || new URL(value, location.href).origin !== location.origin);
    const look = (page) => {
        const elements = [...page.querySelectorAll('*')];
        const made = elements.filter(one => one.matches('iframe, object, embed, base, math, style, animate, img[src=x], body script, meta[http-equiv], [style*=url]')
            || [...one.attributes].some(attribute => attribute.name.startsWith('on') || foreign(attribute)));
        const said = elements.flatMap(one => [one.value, one.title, one.ariaLabel, one.placeholder]).filter(text => typeof text === 'string');
        return {
            pwned: typeof window.pwned, reports: window.reports, origin: location.origin,
            made: made.map(one => one.outerHTML), said: [page.documentElement.textContent, ...said].join('\n'),
        };
    };
    const read = (path, fields) => fetch(path, fields && { method: 'POST', body: new URLSearchParams(fields) })
        .then(reply => reply.text()).then(text => look(new DOMParser().parseFromString(text, 'text/html')));
    const token = () => ['form_token', document.querySelector('[name=form_token]')?.value ?? ''];
"#;
/// Of so many pages that differ only in the payload one is gone to; the others are fetched. By night, all are gone to.
const GONE_TO: usize = 10;

/// A browser that is looked at for what values do on its pages.
pub(super) struct Watch<'s> {
    pub(super) browser: Browser,
    server: &'s Server,
    /// The paths that were opened.
    opened: RefCell<Vec<String>>,
    /// What was planted and not yet shown.
    unseen: RefCell<BTreeSet<String>>,
    found: Cell<usize>,
    turn: Cell<usize>,
}

impl<'s> Watch<'s> {
    pub(super) fn new(server: &'s Server, browser: Browser) -> Self {
        let source = "window.reports = []; for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => { window.pwned = 1; };\
                      document.addEventListener('securitypolicyviolation', event => window.reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`))";
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": source }));
        Self {
            browser,
            server,
            opened: RefCell::default(),
            unseen: RefCell::default(),
            found: Cell::new(0),
            turn: Cell::new(0),
        }
    }

    /// Plants the payloads as a kind of value, which pages must show: all but so many of them.
    pub(super) fn plants(&self, values: &[String]) {
        self.unseen.borrow_mut().extend(values.iter().cloned());
    }

    /// Opens a page and looks at it.
    #[track_caller]
    pub(super) fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.server.base()));
        self.opened.borrow_mut().push(path.to_owned());
        self.look(path);
    }

    /// Sends a form as a page of the server would, and looks at the page that answers.
    #[track_caller]
    pub(super) fn submit(&self, path: &str, fields: &[(&str, &str)]) {
        let script = format!(
            "{LOOK} const form = document.createElement('form'); form.id = 'sent'; form.method = 'post'; form.action = {};\
             for (const [name, value] of [token(), ...{}]) {{\
                 const field = document.createElement('textarea'); field.name = name; field.value = value; form.append(field); }}\
             document.body.append(form); form.submit();",
            json!(path),
            json!(fields)
        );
        self.browser.run(&script);
        self.browser.becomes("document.readyState === 'complete' && !document.getElementById('sent')");
        self.look(&format!("the answer to {path}"));
    }

    /// Whether it is the turn of a page to be gone to.
    fn is_gone_to(&self) -> bool {
        self.turn.set(self.turn.get() + 1);
        nightly() || self.turn.get().is_multiple_of(GONE_TO)
    }

    /// Looks at pages which differ in their payload from others of the same kind.
    #[track_caller]
    pub(super) fn open_some(&self, paths: &[String]) {
        let (open, fetch): (Vec<_>, Vec<_>) = paths.iter().partition(|_| self.is_gone_to());
        open.into_iter().for_each(|path| self.open(path));
        let script = format!("{LOOK} return Promise.all({}.map(path => read(path)));", json!(fetch));
        for (path, seen) in fetch.into_iter().zip(self.browser.run(&script).as_array().into_iter().flatten()) {
            self.opened.borrow_mut().push(path.clone());
            self.judge(path, seen);
        }
    }

    /// The same for forms.
    #[track_caller]
    pub(super) fn submit_some(&self, forms: &[(&str, Vec<(&str, &str)>)]) {
        let (send, fetch): (Vec<_>, Vec<_>) = forms.iter().partition(|_| self.is_gone_to());
        send.into_iter().for_each(|(path, fields)| self.submit(path, fields));
        let script = format!(
            "{LOOK} return Promise.all({}.map(([path, fields]) => read(path, [token(), ...fields])));",
            json!(fetch)
        );
        for ((path, _), seen) in fetch.into_iter().zip(self.browser.run(&script).as_array().into_iter().flatten()) {
            self.judge(&format!("the answer to {path}"), seen);
        }
    }

    /// Looks at what the browser shows now.
    #[track_caller]
    pub(super) fn look(&self, what: &str) {
        self.judge(what, &self.browser.run(&format!("{LOOK} return look(document);")));
    }

    #[track_caller]
    fn judge(&self, what: &str, seen: &Value) {
        let [pwned, reports, origin, made] = ["pwned", "reports", "origin", "made"].map(|name| &seen[name]);
        assert_eq!(
            (pwned, reports, origin, made),
            (&json!("undefined"), &json!([]), &json!(self.server.base()), &json!([])),
            "{what}"
        );
        let said = seen["said"].as_str().unwrap_or_default();
        let before = self.unseen.borrow().len();
        self.unseen.borrow_mut().retain(|value| !said.contains(value.as_str()));
        self.found.set(self.found.get() + before - self.unseen.borrow().len());
    }

    /// Asserts that every page of the route table that passes was opened, every value was shown, and nothing was refused.
    #[track_caller]
    pub(super) fn has_seen_all(&self, passes: impl Fn(&str) -> bool) {
        let table = include_str!("../../../src/http/console/routes.rs");
        let pages = table.lines().filter(|line| line.contains(".route(") && line.contains("get("));
        let pages = pages.filter_map(|line| line.split('"').nth(1));
        let is_page = |page: &&str| !["static", "export", "{*rest}"].iter().any(|part| page.contains(part));
        for page in pages.filter(is_page).filter(|page| passes(page)) {
            assert!(self.opened.borrow().iter().any(|path| is_of(path, page)), "{page} was not opened");
        }
        assert!(self.unseen.borrow().is_empty(), "{} were shown, but not {:#?}", self.found.get(), self.unseen);
        self.has_had_nothing_refused();
    }

    /// Asserts that the policy had nothing to refuse, and no module failed. Pages that say what is wrong are no such thing.
    #[track_caller]
    fn has_had_nothing_refused(&self) {
        let told = self.browser.console_errors().into_iter().filter(|error| !error.contains("Failed to load resource"));
        assert_eq!(told.collect::<Vec<_>>(), [""; 0]);
    }
}

/// Whether a path is one of a route's.
fn is_of(path: &str, route: &str) -> bool {
    let mut steps = path.split('?').next().unwrap_or_default().split('/');
    let mut parts = route.split('/');
    parts.all(|part| steps.next().is_some_and(|step| part.starts_with('{') || part == step)) && steps.next().is_none()
}

/// A value as a file's name can be.
fn file_name(value: &str) -> String {
    value.replace('/', "_")
}

/// Roles, systems and unit groups whose names are payloads, in one server. Each system is `e` and its number.
fn evil_house(roles: &[String], systems: &[String], groups: &[String]) -> Server {
    let mut config = String::from(
        "[sso]\nissuer = \"https://idp.example\"\nclient_id = \"rollcall\"\nclient_secret_env = \"SSO_SECRET\"\n",
    );
    for role in roles {
        config.push_str(&format!("[[roles]]\nname = {}\npermissions = [\"end_users:read\"]\n", json!(role)));
    }
    let server = operators_setup()
        .config(&config)
        .env("SSO_SECRET", "of-no-use")
        .env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .start();
    for (number, name) in systems.iter().enumerate() {
        let group = json!(groups[number]);
        let groups = format!("[[unit_groups]]\nid = {group}\nname = {group}\nrule = 'true'\n");
        let text = format!("name = {}\n{groups}", json!(name));
        write_tree(&server.home.rules().join(format!("e{number}")), &[("system.toml", text)]);
    }
    server.client().post_empty("/admin/v1/reload").is(200);
    server
}

/// What a kind of value has, one for each payload.
struct Kinds {
    names: Vec<String>,
    ids: Vec<String>,
    mails: Vec<String>,
    askers: Vec<String>,
    reasons: Vec<String>,
    clients: Vec<String>,
}

impl Kinds {
    fn new() -> Self {
        // An address has nothing in it at which a letter's head or a list is split.
        let mail = |(number, value): (usize, String)| {
            format!("{number}{}@x.example", value.replace([' ', '<', '>', '"', ';', ',', '@'], ""))
        };
        Self {
            names: planted("name", 200),
            ids: planted("sso-id", 256),
            mails: planted("mail", 200).into_iter().enumerate().map(mail).collect(),
            askers: planted("asker", 256),
            reasons: planted("reason", 2000),
            clients: planted("client", 256),
        }
    }

    /// Makes users, requests and clients of them.
    fn plant(&self, server: &Server, systems: &[String], roles: &[String], groups: &[String]) {
        let api = server.client();
        for number in 0..PAYLOADS.len() {
            let mut account = user(&format!("u{number}"), &roles[number]);
            account["first_name"] = json!(self.names[number]);
            account["last_name"] = json!(self.names[number]);
            account["email"] = json!(self.mails[number]);
            account["login_method"] = json!("sso");
            account["sso_id"] = json!(self.ids[number]);
            let access = entry(&roles[number], &systems[number], &groups[number]);
            account["data-access"] = json!({ "organization": [access], "segments": [] });
            api.post("/admin/v1/users", &account).is(200);
            let asks = json!({ "email": format!("asks.{}", self.mails[number]), "name": self.askers[number], "reason": self.reasons[number] });
            server.visitor().post("/accounts/access-requests", &asks).is(202);
            let client = json!({ "client_id": format!("c{number}"), "description": self.clients[number], "role": roles[number] });
            api.post("/admin/v1/clients", &client).is(201);
        }
    }
}

/// Breaks the files of the systems: a file under each payload's name, and a rule with it in its text.
fn break_files(server: &Server, files: &[String], rules: &[String]) {
    for (number, (file, rule)) in files.iter().zip(rules).enumerate() {
        let rule = format!("crm[{}] == 1\n", json!(rule));
        let wrong = [(format!("segments/{}", file_name(file)), String::new()), ("segments/b.rhai".to_owned(), rule)];
        write_tree(&server.home.rules().join(format!("e{number}")), &wrong);
    }
    server.client().post_empty("/admin/v1/reload");
}

#[test]
fn no_value_of_accounts_and_systems_runs_or_loads_anything() {
    let (roles, systems, groups) = (planted("role", 120), planted("system", 200), planted("group", 120));
    let (agents, files, rules) = (planted("agent", 0), planted("file", 120), planted("rule", 400));
    let server = evil_house(&roles, &systems, &groups);
    let kinds = Kinds::new();
    kinds.plant(&server, &systems, &roles, &groups);
    // A header has no letters but ASCII's. An account has at most 30 sessions; the browser's is one of them.
    let agents: Vec<String> = agents.iter().map(|agent| agent.replace(|c: char| !c.is_ascii(), "")).collect();
    for agent in &agents[1..] {
        let body = json!({ "email": ADMIN, "password": ADMIN_PASSWORD });
        let request = server.visitor().bare_request(reqwest::Method::POST, "/accounts/login");
        let headers = [("user-agent", agent.as_str()), ("origin", server.base())];
        let headers = headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        request.headers(headers.collect()).json(&body).ask().is(204);
    }
    let browser = Browser::start();
    browser.devtools("Network.setUserAgentOverride", &json!({ "userAgent": agents[0] }));
    log_in(&browser, &server, ADMIN, ADMIN_PASSWORD);
    browser.becomes("location.pathname === '/console' && document.readyState === 'complete'");
    let watch = Watch::new(&server, browser);
    for values in [
        &roles,
        &systems,
        &groups,
        &agents,
        &kinds.names,
        &kinds.ids,
        &kinds.mails,
        &kinds.askers,
        &kinds.reasons,
        &kinds.clients,
    ] {
        watch.plants(values);
    }
    for path in [
        "/console",
        "/console?q=e",
        "/console/log-out",
        "/console/profile",
        "/console/systems",
        "/console/systems/new",
        "/console/users",
        "/console/users/inactive",
        "/console/users/invite",
        "/console/users/enable?username=u1",
        "/console/access-requests",
        "/console/clients",
        "/console/clients/new",
        "/console/audit",
        "/console/audit?action=user",
        "/console/audit?action=client",
        "/console/audit?action=access_request",
    ] {
        watch.open(path);
    }
    let requests = server.client().get("/admin/v1/access-requests?limit=100").is(200);
    let requests: Vec<&str> =
        requests["items"].as_array().unwrap().iter().filter_map(|request| request["id"].as_str()).collect();
    assert_eq!(requests.len(), PAYLOADS.len());
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let asked = encode(payload);
        watch.open_some(&[
            format!("/console?q={asked}"),
            format!("/console/systems/e{number}"),
            format!("/console/systems/e{number}/settings"),
            format!("/console/systems/e{number}/users?q={asked}"),
            format!("/console/users/u{number}/edit"),
            format!("/console/users/u{number}/delete"),
            format!("/console/users/disable?username=u{number}&username={asked}"),
            format!("/console/users?q={asked}&role={asked}&system={asked}&status={asked}&page={asked}"),
            format!("/console/access-requests?q={asked}&status={asked}"),
            format!("/console/access-requests/{}/approve", requests[number]),
            format!("/console/access-requests/{}/deny", requests[number]),
            format!("/console/clients/c{number}/edit"),
            format!("/console/clients/c{number}/rotate"),
            format!("/console/clients/c{number}/disable"),
            format!("/console/clients/c{number}/enable"),
            format!(
                "/console/audit?actor={asked}&action={asked}&object={asked}&from={asked}&to={asked}&cursor={asked}"
            ),
        ]);
    }
    in_pop_ups(&watch);
    in_forms(&watch);
    break_files(&server, &files, &rules);
    watch.plants(&files.iter().map(|file| file_name(file)).collect::<Vec<_>>());
    watch.open("/console");
    let broken: Vec<_> = (0..PAYLOADS.len()).map(|number| format!("/console/systems/e{number}")).collect();
    watch.open_some(&broken);
    let of_systems = ["/integrations", "/segments", "segment", "/insights", "/end-users"];
    watch.has_seen_all(|page| !of_systems.iter().any(|part| page.contains(part)));
}

/// Pop-ups are made by a module of another page's HTML, and so are chips of what is typed.
fn in_pop_ups(watch: &Watch<'_>) {
    let browser = &watch.browser;
    for number in [2, 6, 20] {
        watch.open(&format!("/console/users?q=u{number}"));
        browser.find(&format!("tr:has(input[value=u{number}]) details.menu summary")).click();
        browser.find(&format!("tr:has(input[value=u{number}]) details.menu a.danger")).click();
        browser.find("dialog .ends button");
        watch.look("the pop-up");
    }
    watch.open("/console/users");
    browser.find("#invite").click();
    browser.find("dialog #emails");
    browser.run(&format!(
        "const data = new DataTransfer(); data.setData('text', {});\
         document.querySelector('dialog #emails').dispatchEvent(new ClipboardEvent('paste', {{ clipboardData: data, bubbles: true, cancelable: true }}))",
        json!(PAYLOADS.join("\n"))
    ));
    browser.becomes("document.querySelectorAll('dialog .chip').length > 30");
    watch.look("the chips");
}

/// What a form's page says again, or the next page says of it.
fn in_forms(watch: &Watch<'_>) {
    watch.open("/console/profile");
    for payload in PAYLOADS {
        let list = format!("{payload}\nx@x.example");
        let group = [("group_id", payload), ("group_name", payload), ("group_rule", payload)];
        let settings = [("name", payload), ("stage", payload), ("timezone", payload), ("was", payload)];
        watch.submit_some(&[
            ("/console/users/invite", vec![("emails", &list), ("role", payload), ("system", payload)]),
            ("/console/users/u0/edit", vec![("first_name", payload), ("email", payload), ("role", payload)]),
            ("/console/systems/e0/settings", [&settings[..], &group[..]].concat()),
            ("/console/systems/new", vec![("id", payload), ("name", payload), ("timezone", payload)]),
            ("/console/clients/new", vec![("client_id", payload), ("description", payload), ("role", payload)]),
            ("/console/users/disable", vec![("username", payload)]),
        ]);
    }
}

#[test]
fn nothing_that_a_stranger_sends_runs_or_loads_anything() {
    let server = operators_setup().env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1").start();
    let watch = Watch::new(&server, Browser::start());
    watch.open("/forgot");
    for payload in PAYLOADS {
        let asked = encode(payload);
        watch.open_some(&[format!("/login?next={asked}&notice={asked}")]);
        watch.submit_some(&[
            ("/login", vec![("email", payload), ("password", payload), ("totp", payload), ("next", payload)]),
            ("/request-access", vec![("email", payload), ("name", payload), ("reason", payload)]),
        ]);
    }
    for path in ["/activate", "/reset"] {
        // Links that do not work are counted.
        for payload in &PAYLOADS[..3] {
            watch.open(&format!("{path}?token={}", encode(payload)));
            watch.submit(path, &[("token", payload), ("password", payload)]);
        }
    }
    watch.has_had_nothing_refused();
}

/// A browser of the Admin of those pages, watched.
pub(super) fn watched<'s>(server: &'s Server, name: &str, password: &str) -> Watch<'s> {
    Watch::new(server, logged_in(server, name, password))
}

/// The payloads as JSON keys or values of one text.
pub(super) fn as_record(values: &[String]) -> Value {
    values.iter().map(|value| (value.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}
