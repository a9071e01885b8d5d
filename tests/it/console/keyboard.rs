//! The whole walk by keyboard alone: nothing is clicked, no script puts the focus anywhere, and a page is only gone to by what
//! the focus reaches. At every stop the focus can be seen.

use std::process::Command;

use serde_json::json;

use super::house;
use crate::support::{ADMIN, ADMIN_PASSWORD, Browser, CLIENT_ID, CLIENT_SECRET, Server, token_in};

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";
const SPACE: &str = " ";
const DOWN: &str = "\u{e015}";
const ESCAPE: &str = "\u{e00c}";
/// More stops than any page here has.
const STOPS: usize = 120;

/// Where the focus is: what it is, whether it can be seen there, and whether it looks like it.
const STOP: &str = r#"
    const one = document.activeElement;
    const all = (one.matches('.unseen') && one.closest('label, .drop')) || one;
    const box = all.getBoundingClientRect();
    const style = getComputedStyle(all), own = getComputedStyle(one);
    const seen = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    const ring = [style, own].some(s => (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) || s.boxShadow !== 'none');
    const [x, y] = [box.x + box.width / 2, box.y + Math.min(box.height / 2, innerHeight / 2)];
    const top = document.elementFromPoint(Math.min(x, innerWidth - 1), Math.min(Math.max(y, 0), innerHeight - 1));
    const covered = top && !top.contains(all) && !all.contains(top) && !top.closest('label')?.contains(all);
    return { what: one.outerHTML.slice(0, 120), body: one === document.body, seen, ring, covered: covered ? top.outerHTML.slice(0, 120) : null };
"#;

/// A browser that only has a keyboard.
struct Keyboard(Browser);

impl Keyboard {
    /// A browser into which somebody typed an address.
    fn at(server: &Server, path: &str) -> Self {
        let browser = Browser::start();
        browser.open(&format!("{}{path}", server.base()));
        Self(browser)
    }

    #[track_caller]
    fn press(&self, keys: &str) {
        self.0.keys(keys, false);
    }

    /// Goes on with Tab, or back with Shift and Tab, until the focus is on what the selector names.
    #[track_caller]
    fn goes(&self, selector: &str, back: bool) {
        self.0.becomes(&format!(
            "document.readyState === 'complete' && document.querySelector({}) !== null",
            json!(selector)
        ));
        let is_there = format!("return document.activeElement.matches({})", json!(selector));
        let mut stops = Vec::new();
        while stops.len() < STOPS {
            if self.0.run(&is_there) == json!(true) {
                return;
            }
            self.0.keys(TAB, back);
            let stop = self.0.run(STOP);
            let is_seen = stop["seen"] == true && stop["ring"] == true && stop["covered"].is_null();
            assert!(is_seen || stop["body"] == true, "the focus can't be seen: {stop:#}");
            stops.push(stop["what"].clone());
        }
        panic!("the keyboard does not reach {selector}: {stops:#?}");
    }

    /// Reaches it, and presses keys there.
    #[track_caller]
    fn reaches(&self, selector: &str, keys: &str) {
        self.goes(selector, false);
        self.press(keys);
    }

    /// Goes past the navigation by the link that is there for that, and reaches it.
    #[track_caller]
    fn skips_to(&self, selector: &str, keys: &str) {
        self.reaches("a.skip", ENTER);
        self.reaches(selector, keys);
    }

    #[track_caller]
    fn is_at(&self, path: &str) {
        self.0.becomes(&format!("location.pathname === {} && document.readyState === 'complete'", json!(path)));
    }

    #[track_caller]
    fn is_told(&self, part: &str) {
        self.0.becomes(&format!("document.querySelector('main .banner')?.textContent.includes({})", json!(part)));
    }

    /// By the form of the log-in page, whose first field has the focus.
    #[track_caller]
    fn logs_in(&self, name: &str, password: &str) {
        self.is_at("/login");
        assert_eq!(self.0.run("return document.activeElement.id"), "email", "one can type at once");
        self.press(name);
        self.reaches("#password", password);
        self.press(ENTER);
    }

    /// A condition on a text: the focus is where the last one was chosen, so that one goes on with Tab.
    #[track_caller]
    fn builds(&self, integration: &str, attribute: &str, value: &str) {
        self.skips_to("#conditions .group-foot button", ENTER);
        self.0.becomes("document.activeElement.dataset.part === 'group'");
        self.reaches("[data-part=integration]", integration);
        self.reaches("[data-part=attribute]", attribute);
        self.reaches("[data-part=value]", value);
    }
}

#[test]
fn the_whole_walk_needs_no_pointer() {
    let server = house();
    let admin = Keyboard::at(&server, "/login");
    admin.logs_in(ADMIN, ADMIN_PASSWORD);
    invite(&admin);

    let mail = server.home.mail_to("new@x.example", 1);
    let person = Keyboard::at(&server, &format!("/activate?token={}", token_in(&mail)));
    person.reaches("#password", "a fine horse!");
    person.press(ENTER);
    person.logs_in("new@x.example", "a fine horse!");
    person.is_at("/console");
    make_an_integration(&person);
    send(&server, &person);
    ask(&person);
    build_a_segment(&server, &person);

    disable(&admin);
    person.reaches(".nav a[href='/console']", ENTER);
    person.logs_in("new@x.example", "a fine horse!");
    person.0.becomes("document.querySelector('main [role=alert]') !== null && location.pathname === '/login'");
    leave(&admin);
    for keyboard in [&admin, &person] {
        let errors = keyboard.0.console_errors();
        let errors: Vec<_> = errors.iter().filter(|error| !error.contains("status of 401")).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

fn invite(admin: &Keyboard) {
    admin.is_at("/console");
    admin.reaches(".nav a[href='/console/users']", ENTER);
    admin.is_at("/console/users");
    admin.skips_to("#invite", ENTER);
    admin.0.becomes("document.activeElement.id === 'emails' && document.activeElement.closest('dialog') !== null");
    admin.press("new@x.example");
    admin.press(ENTER);
    admin.reaches("dialog #role", "Editor");
    admin.reaches("dialog input[value=shop]", SPACE);
    // What is behind the pop-up is not reached.
    admin.goes("dialog .chip select", true);
    admin.reaches("dialog .ends button.primary", ENTER);
    admin.is_told("new@x.example was invited");
}

fn make_an_integration(person: &Keyboard) {
    person.reaches(".nav a[href$='/integrations']", ENTER);
    person.is_at("/console/systems/shop/integrations");
    person.skips_to("main a[href$='/integrations/new']", ENTER);
    person.is_at("/console/systems/shop/integrations/new");
    person.skips_to("#name", "Loyalty");
    person.reaches("button[value=name].primary", ENTER);
    person.0.becomes("document.querySelector('#sample') !== null");
    person.skips_to("#sample", "{\"Login\": \"jane@example.com\", \"Plan\": \"gold\", \"Score\": 7}");
    person.reaches("[data-proposes]", ENTER);
    person.0.becomes("document.querySelector('#identifier')?.value === 'Login'");
    person.skips_to("button[value=create].primary", ENTER);
    person.is_at("/console/systems/shop/integrations/loyalty/endpoint");
    person.skips_to("button[data-copies=curl]", ENTER);
    // Where the clipboard is closed to pages, the text is selected instead.
    person.0.becomes("document.activeElement.textContent === 'Copied' || getSelection().toString().includes('curl ')");
}

/// Sends the line that the page shows, as it stands, with an access token in it.
fn send(server: &Server, person: &Keyboard) {
    let curl = person.0.find("#curl").text();
    let token = server.token_of(CLIENT_ID, CLIENT_SECRET);
    let line = curl.replace("<access token>", &token).replace("\"Plan\": \"text\"", "\"Plan\": \"gold\"");
    let sent = Command::new("sh").args(["-c", &format!("{line} --silent --fail-with-body --noproxy '*'")]).output();
    let sent = sent.expect("run curl");
    assert!(sent.status.success(), "{line}\n{}", String::from_utf8_lossy(&sent.stdout));
}

fn ask(person: &Keyboard) {
    person.reaches(".nav a[href$='/insights']", ENTER);
    person.is_at("/console/systems/shop/insights");
    person.builds("Loyalty", "Plan", "gold");
    // What was typed is asked about, and its answer stands: a table that is about to be replaced would lose the focus.
    person
        .0
        .becomes("location.search.includes('gold') && document.querySelector('#results:not([data-stale])') !== null");
    person.0.becomes("document.querySelector('#total')?.textContent.startsWith('1 ')");
    person.0.becomes("document.querySelector('#charts .chart') !== null");
    person.reaches("#results a[href*='/end-users/']", ENTER);
    person.0.becomes("document.querySelector('h1.identifier')?.textContent === 'jane@example.com'");
}

fn build_a_segment(server: &Server, person: &Keyboard) {
    person.reaches(".nav a[href$='/segments']", ENTER);
    person.is_at("/console/systems/shop/segments");
    person.skips_to("main a[href$='/new-segment']", ENTER);
    person.skips_to("#name", "Golden");
    assert_eq!(person.0.run("return document.querySelectorAll('#check .wrong').length"), 0, "nothing is wrong yet");
    person.builds("Loyalty", "Plan", "gold");
    person.0.becomes("document.querySelector('#check .stat dd')?.textContent === '1'");
    person.reaches("button[value=save]", ENTER);
    person.is_at("/console/systems/shop/segments/golden");
    person.reaches(".nav a[href$='/segments']", ENTER);
    person.is_at("/console/systems/shop/segments");
    assert_eq!(person.0.find("[data-count=golden]").text(), "1");
    // The page follows from the moment on at which its connection stands; it asks once then.
    person.0.becomes("performance.getEntriesByType('resource').some(one => one.name.endsWith('/segments?limit=1000'))");
    server.system("shop").update("loyalty", &json!([{ "Login": "joe", "Plan": "gold" }])).is(200);
    person.0.becomes("document.querySelector('[data-count=golden]').textContent === '2'");
}

fn disable(admin: &Keyboard) {
    admin.skips_to("#search input", "new@x");
    admin.0.becomes("location.search.includes('q=new') && document.querySelectorAll('#users tbody tr').length === 1");
    admin.reaches("input[value='new@x.example']", SPACE);
    admin.goes("button[data-needs-picked]", true);
    admin.press(ENTER);
    admin.0.becomes("document.activeElement.closest('dialog') !== null");
    // Whoever thinks again is where they were.
    admin.press(ESCAPE);
    admin.0.becomes("document.activeElement.matches('button[data-needs-picked]')");
    admin.press(ENTER);
    admin.0.becomes("document.activeElement.closest('dialog') !== null");
    admin.reaches("dialog .ends button", ENTER);
    admin.is_told("new@x.example was disabled");
}

/// Menus open with Enter, are gone through with the arrows, and do what they say.
fn leave(admin: &Keyboard) {
    admin.reaches("#system-menu summary", ENTER);
    admin.press(DOWN);
    admin.0.becomes("document.activeElement.closest('#system-menu .panel') !== null");
    admin.press(ESCAPE);
    admin.0.becomes("document.activeElement.matches('#system-menu summary')");
    admin.reaches("#own-menu summary", ENTER);
    admin.press(DOWN);
    admin.press(DOWN);
    admin.0.becomes("document.activeElement.textContent.includes('Log out')");
    admin.press(ENTER);
    admin.is_at("/login");
}
