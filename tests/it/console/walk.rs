//! From the invitation to the end: two people, two browsers.

use super::{house, log_in, logged_in};
use crate::support::{ADMIN, ADMIN_PASSWORD, Browser, token_in};

#[test]
fn who_is_invited_signs_up_logs_in_and_is_out_once_disabled() {
    let server = house();
    let admin = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    admin.open(&format!("{}/console/users", server.base()));
    admin.find("#invite").click();
    admin.find("dialog #emails").press("new@x.example\u{e007}");
    admin.find("dialog #role option[value=Editor]").click();
    admin.find("dialog input[value=shop]").click();
    admin.find("dialog .ends button").click();
    admin.becomes("document.querySelector('main .banner')?.textContent.includes('new@x.example was invited')");

    let person = Browser::start();
    let mail = server.home.mail_to("new@x.example", 1);
    person.open(&format!("{}/activate?token={}", server.base(), token_in(&mail)));
    person.find("#password").fill("short");
    person.run("document.querySelector('main form').noValidate = true");
    person.find("main button").click();
    person.becomes("document.querySelector('main [role=alert]')?.textContent.includes('at least 10')");
    person.find("#password").fill("atleast10letters");
    person.find("main button").click();
    person.becomes("document.querySelector('main [role=alert]')?.textContent.includes('special')");
    person.find("#password").fill("a fine horse!");
    let sign_up = person.find("main button");
    assert_eq!(sign_up.text(), "Sign Up");
    sign_up.click();
    person.becomes("location.pathname === '/login' && document.querySelector('main [role=status]')?.textContent.includes('active')");
    log_in(&person, &server, "new@x.example", "a fine horse!");
    person
        .becomes("location.pathname === '/console' && document.querySelector('main').textContent.includes('The Shop')");
    assert!(!person.find("main").text().contains("Expdemo"), "only their system shows");
    person.find(".nav a[href='/console/users']").click();
    person.becomes("document.querySelector('#users').textContent.includes('new@x.example')");

    admin.open(&format!("{}/console/users?q=new%40x", server.base()));
    admin.find("#users .badge.good");
    admin.find("input[value='new@x.example']").click();
    admin.find("button[data-needs-picked]").click();
    admin.find("dialog .ends button").click();
    admin.becomes("document.querySelector('main .banner')?.textContent.includes('new@x.example was disabled')");

    person.open(&format!("{}/console", server.base()));
    person.becomes("location.pathname === '/login'");
    log_in(&person, &server, "new@x.example", "a fine horse!");
    person.becomes("location.pathname === '/login' && document.querySelector('main [role=alert]') !== null");
    assert_eq!(admin.console_errors(), [""; 0]);
}
