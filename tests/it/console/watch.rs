//! A browser that is looked at for what hostile values do on its pages, and the values.
//!
//! Knows nothing of where they are planted. Invariant: what is planted says what it is, so that it is also proven to be shown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::logged_in;
use crate::support::{Browser, Server, nightly};

/// Each sets `window.pwned`, leads elsewhere or loads something, where a page takes it for markup, a script or an address.
pub(super) const PAYLOADS: [&str; 30] = [
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
        // What only leads to another page is none.
        let pages = pages.filter(|line| !line.contains("get(begin)"));
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
    pub(super) fn has_had_nothing_refused(&self) {
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

/// A browser of the Admin of those pages, watched.
pub(super) fn watched<'s>(server: &'s Server, name: &str, password: &str) -> Watch<'s> {
    Watch::new(server, logged_in(server, name, password))
}

/// The payloads as JSON keys or values of one text.
pub(super) fn as_record(values: &[String]) -> Value {
    values.iter().map(|value| (value.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}
