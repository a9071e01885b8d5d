//! The console: its pages as people use them in a browser, and as the same pages work without scripts.

mod accessible;
mod forms;
mod frame;
mod hostile;
mod keyboard;
mod pages;
mod plain;
mod users;
mod walk;
mod watch;

use crate::support::{ADMIN, ADMIN_PASSWORD, Browser, Reply, Server, Visitor, operators_setup};

/// A server with two systems and an Admin, that believes what 127.0.0.1 says of its callers.
fn house() -> Server {
    operators_setup().env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1").start()
}

/// The same with single sign-on at a provider that nobody asks anything.
fn house_with_sso() -> Server {
    operators_setup()
        .config(
            "[sso]\nissuer = \"https://idp.example\"\nclient_id = \"rollcall\"\nclient_secret_env = \"SSO_SECRET\"\n",
        )
        .env("SSO_SECRET", "of-no-use")
        .start()
}

/// The Admin, logged in, without a browser.
#[track_caller]
fn admin(server: &Server) -> Visitor {
    let visitor = server.visitor();
    visitor.log_in(ADMIN, ADMIN_PASSWORD).is(204);
    visitor
}

/// A browser in which somebody has logged in by the form.
#[track_caller]
fn logged_in(server: &Server, name: &str, password: &str) -> Browser {
    let browser = Browser::start();
    log_in(&browser, server, name, password);
    // Whoever goes elsewhere before that page is there is taken back to it.
    browser.becomes("location.pathname === '/console' && document.readyState === 'complete'");
    browser
}

#[track_caller]
fn log_in(browser: &Browser, server: &Server, name: &str, password: &str) {
    browser.open(&format!("{}/login", server.base()));
    browser.find("#email").fill(name);
    browser.find("#password").fill(password);
    browser.find("main button").click();
}

/// What a page has between two texts.
#[track_caller]
fn between<'p>(page: &'p str, begin: &str, end: &str) -> &'p str {
    let rest = page.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {page}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} behind {begin} in {page}")).0
}

/// What the forms of a visitor's session carry.
#[track_caller]
fn form_token(visitor: &Visitor) -> String {
    let page = visitor.get("/console/profile");
    page.is_page(200);
    between(&page.body, "name=\"form_token\" value=\"", "\"").to_owned()
}

/// Sends a form as one of the visitor's pages would.
#[track_caller]
fn submit(visitor: &Visitor, path: &str, fields: &[(&str, &str)]) -> Reply {
    let token = form_token(visitor);
    let mut all = vec![("form_token", token.as_str())];
    all.extend(fields);
    visitor.form(path, &all)
}

/// Asserts that a form was done, and gives what the next page says of it.
#[track_caller]
fn said(visitor: &Visitor, done: &Reply) -> String {
    assert_eq!(done.status, 303, "{} answered\n{}", done.what, done.body);
    let next = visitor.get(done.header("location"));
    next.is_page(200);
    let banner = between(&next.body, "<div class=\"banner ", "</div></div>");
    let text = banner.rsplit_once("<div>").unwrap().1.to_owned();
    assert!(!visitor.get(done.header("location")).body.contains("<div class=\"banner good\""), "it is said once");
    text
}
