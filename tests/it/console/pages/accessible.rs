//! What an accessibility checker (axe-core) finds on a system's pages, in both colour schemes: nothing.

use super::super::accessible::{fit_a_phone, nothing_is_found};
use super::house;
use super::walk::log_in;
use crate::support::node_packages;

const PAGES: [&str; 15] = [
    "integrations",
    "integrations/new",
    "integrations/crm",
    "integrations/crm/edit",
    "integrations/crm/endpoint",
    "integrations/crm/rotate",
    "integrations/crm/delete",
    "segments",
    "segments/big",
    "segments/big/members",
    "new-segment",
    "insights?charts=yes",
    "end-users",
    "end-users/ann@x.example?why=big",
    "end-users/cat/delete",
];

#[test]
fn every_page_fits_a_phone() {
    let server = house();
    let browser = log_in(&server);
    fit_a_phone(&browser, PAGES.iter().map(|path| format!("{}/console/systems/s/{path}", server.base())));
}

#[test]
fn nothing_stands_in_the_way_of_anybody() {
    let axe = std::fs::read_to_string(node_packages().join("axe-core/axe.min.js"));
    let axe = axe.expect("axe-core is there: `tests/run --tools` installs it");
    let server = house();
    let browser = log_in(&server);
    for scheme in ["light", "dark"] {
        browser.prefers("prefers-color-scheme", scheme);
        for path in PAGES {
            browser.open(&format!("{}/console/systems/s/{path}", server.base()));
            browser.find("main");
            nothing_is_found(&browser, &axe, &format!("{path}, {scheme}"));
        }
    }
}
