//! What an accessibility checker (axe-core) finds on the pages, in both colour schemes: nothing.

use serde_json::{Value, json};

use super::{house, logged_in};
use crate::support::{ADMIN, ADMIN_PASSWORD, Browser, node_packages, user};

const DOOR: [&str; 4] = ["/login", "/forgot", "/request-access", "/activate?token=x"];
const PAGES: [&str; 16] = [
    "/console",
    "/console/systems/expdemo",
    "/console/users",
    "/console/users/inactive",
    "/console/users/invite",
    "/console/users/ann/edit",
    "/console/users/disable?username=ann",
    "/console/access-requests",
    "/console/systems/expdemo/users",
    "/console/systems",
    "/console/systems/new",
    "/console/systems/expdemo/settings",
    "/console/clients",
    "/console/clients/new",
    "/console/audit",
    "/console/profile",
];

/// Runs the checker over what the browser shows.
#[track_caller]
pub(super) fn nothing_is_found(browser: &Browser, axe: &str, what: &str) {
    let run = "return axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(\
               v => [v.id, v.impact, v.nodes.map(node => node.html + ' ' + node.failureSummary)]))";
    let found = browser.run(&format!("{axe}; {run}"));
    assert_eq!(found, Value::Array(Vec::new()), "{what}");
    stands_still(browser, what);
    browser.keep_picture(what);
}

/// Asserts that nothing that could be seen has moved by itself since the page came: 0.1 is what people notice.
#[track_caller]
fn stands_still(browser: &Browser, what: &str) {
    let shift = browser.run(
        "return new Promise(done => { let sum = 0, moved = []; new PerformanceObserver(list => { for (const one of list.getEntries())\
         if (!one.hadRecentInput) { sum += one.value; moved.push(...one.sources.map(source => source.node?.outerHTML?.slice(0, 80))); } })\
         .observe({ type: 'layout-shift', buffered: true }); setTimeout(() => done([sum, moved]), 30); })",
    );
    assert!(shift[0].as_f64().is_some_and(|sum| sum < 0.1), "{what}: {shift}");
}

/// Opens pages in a phone's width: nothing stands out to the side.
#[track_caller]
pub(super) fn fit_a_phone(browser: &Browser, addresses: impl Iterator<Item = String>) {
    browser.resize(400, 800);
    for address in addresses {
        browser.open(&address);
        browser.find("main");
        let wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wide, json!(0), "{address}");
        stands_still(browser, &address);
        let path = address.splitn(4, '/').last().unwrap_or_default();
        browser.keep_picture(&format!("{path}, narrow"));
    }
}

#[test]
fn every_page_fits_a_phone() {
    let server = house();
    server.client().post("/admin/v1/users", &user("ann", "Viewer")).is(200);
    let browser = Browser::start();
    fit_a_phone(&browser, DOOR.iter().map(|path| format!("{}{path}", server.base())));
    drop(browser);
    let browser = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    fit_a_phone(&browser, PAGES.iter().map(|path| format!("{}{path}", server.base())));
}

#[test]
fn nothing_stands_in_the_way_of_anybody() {
    let axe = std::fs::read_to_string(node_packages().join("axe-core/axe.min.js"));
    let axe = axe.expect("axe-core is there: `tests/run --tools` installs it");
    let server = house();
    server.client().post("/admin/v1/users", &user("ann", "Viewer")).is(200);
    let asks = json!({ "email": "kim@x.example", "name": "Kim", "reason": "Work" });
    server.visitor().post("/accounts/access-requests", &asks).is(202);
    let browser = Browser::start();
    for path in DOOR {
        browser.open(&format!("{}{path}", server.base()));
        nothing_is_found(&browser, &axe, path);
    }
    drop(browser);
    let browser = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    browser.becomes("location.pathname === '/console'");
    for scheme in ["light", "dark"] {
        browser.prefers("prefers-color-scheme", scheme);
        for path in PAGES {
            browser.open(&format!("{}{path}", server.base()));
            nothing_is_found(&browser, &axe, &format!("{path}, {scheme}"));
        }
        browser.open(&format!("{}/console/users", server.base()));
        browser.find("#invite").click();
        browser.find("dialog #emails").press("a@x.example nobody\u{e007}");
        browser.becomes("document.getAnimations().every(one => one.playState === 'finished')");
        nothing_is_found(&browser, &axe, &format!("the pop-up, {scheme}"));
    }
}
