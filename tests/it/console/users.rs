//! The Users page in a browser, bullet by bullet.

use serde_json::{Value, json};

use super::{house, house_with_sso, logged_in};
use crate::support::{ADMIN, ADMIN_PASSWORD, Browser, PASSWORD, Server, operator, user};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// A server with one user in every state, and the Admin's browser at the Users page.
fn opened() -> (Server, Browser) {
    let server = house().put_operators(&[
        operator("ann", &json!({ "first_name": "Ann", "last_name": "Active" })),
        operator(
            "ina",
            &json!({ "first_name": "Ina", "last_name": "Inactive", "status": "INACTIVE", "activated": true }),
        ),
    ]);
    server.client().post("/admin/v1/users", &user("pat", "Viewer")).is(200);
    let browser = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    go(&browser, &server, "/console/users");
    (server, browser)
}

#[track_caller]
fn go(browser: &Browser, server: &Server, path: &str) {
    browser.open(&format!("{}{path}", server.base()));
    browser.find("main");
}

/// Waits for what is said after a form.
#[track_caller]
fn says(browser: &Browser, part: &str) {
    browser.becomes(&format!("document.querySelector('main .banner')?.textContent.includes({})", json!(part)));
}

#[track_caller]
fn of(server: &Server, username: &str) -> Value {
    server.client().get(&format!("/admin/v1/users/{username}")).is(200)
}

#[track_caller]
fn status(server: &Server, username: &str) -> String {
    of(server, username)["_system_properties"]["status"].as_str().unwrap().to_owned()
}

/// Waits until a user is in the list, or is not.
#[track_caller]
fn listed(browser: &Browser, username: &str, there: bool) {
    let row = format!("!!document.querySelector('#users a[href=\"/console/users/{username}/edit\"]')");
    browser.becomes(&format!("document.querySelector('.tabs') && {row} === {there}"));
}

#[test]
fn people_are_invited_as_chips_each_with_a_role() {
    let (server, browser) = opened();
    browser.find("#invite").click();
    let field = browser.find("dialog #emails");
    assert_eq!(browser.run("return document.activeElement.id"), "emails", "one can type at once");
    field.press(&format!("one@x.example; two@x.example,three@x.example{ENTER}"));
    browser.becomes("document.querySelectorAll('dialog .chip').length === 3");
    browser.find("dialog #emails").press("four@x.example");
    browser.find("dialog .adder button").click();
    browser.run(
        "const data = new DataTransfer(); data.setData('text', 'five@x.example\\tsix@x.example\\r\\nONE@x.example');\
         document.querySelector('dialog #emails').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))",
    );
    browser.becomes("document.querySelectorAll('dialog .chip').length === 6");
    browser.find("dialog .chip:nth-child(2) select option[value=Editor]").click();
    browser.find("dialog .chip:nth-child(3) button").click();
    browser.find("dialog #role option[value=Integration]").click();
    browser.find("dialog input[value=shop]").click();
    assert!(browser.all("dialog #sso_id, dialog #login_method").is_empty(), "nothing of SSO shows");
    browser.find("dialog .ends button").click();
    says(&browser, "5 people were invited");
    let role = |name: &str| of(&server, &format!("{name}@x.example"))["roles"]["primary_role"]["role"].clone();
    assert_eq!((role("one"), role("two"), role("six")), (json!("Integration"), json!("Editor"), json!("Integration")));
    assert_eq!(of(&server, "four@x.example")["systems"], json!(["shop"]));
    server.client().get("/admin/v1/users/three@x.example").problem(404);
    assert!(server.home.mail_to("two@x.example", 1).contains("Activate My Account"));
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn what_is_no_address_is_told_before_it_is_sent() {
    let (_server, browser) = opened();
    browser.find("#invite").click();
    browser.find("dialog #emails").press(&format!("nobody{ENTER}"));
    browser.find("dialog .chip.bad");
    browser.find("dialog .ends button").click();
    browser.becomes("document.querySelector('dialog #emails').validationMessage.includes('no e-mail address')");
    browser.find("dialog .chip button").click();
    browser.find("dialog .ends button").click();
    browser.becomes("document.querySelector('dialog #emails').validationMessage.includes('at least one')");
}

#[test]
fn with_sso_each_address_has_its_own_id() {
    let server = house_with_sso();
    let browser = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    go(&browser, &server, "/console/users");
    browser.find("#invite").click();
    browser.find("dialog #emails").press(&format!("one@x.example two@x.example{ENTER}"));
    assert!(!browser.all("dialog [name=email_sso_id]")[0].is_shown());
    browser.find("dialog #login_method option[value=sso]").click();
    browser.find("dialog .chip:nth-child(1) [name=email_sso_id]").fill("idp|1");
    browser.find("dialog .chip:nth-child(2) [name=email_sso_id]").fill("idp|2");
    browser.find("dialog .ends button").click();
    says(&browser, "2 people were invited");
    assert_eq!(of(&server, "one@x.example")["sso_id"], "idp|1");
    assert_eq!(
        (&of(&server, "two@x.example")["sso_id"], &of(&server, "two@x.example")["login_method"]),
        (&json!("idp|2"), &json!("sso"))
    );
}

#[test]
fn a_status_has_its_colour_and_its_word() {
    let (server, browser) = opened();
    let look = |word: &str| {
        let script = format!(
            "const badge = [...document.querySelectorAll('#users .badge')].find(b => b.textContent === '{word}');\
             return getComputedStyle(badge, '::before').backgroundColor.match(/\\d+/g).map(Number)"
        );
        let color: Vec<i64> = serde_json::from_value(browser.run(&script)).unwrap();
        (color[0], color[1], color[2])
    };
    for scheme in ["light", "dark"] {
        browser.prefers("prefers-color-scheme", scheme);
        go(&browser, &server, "/console/users");
        let (r, g, b) = look("Provisioned");
        assert!(r > g && g > b && r > 200, "orange, {scheme}: {r} {g} {b}");
        let (r, g, b) = look("Active");
        assert!(g > r && g > b, "green, {scheme}: {r} {g} {b}");
        go(&browser, &server, "/console/users/inactive");
        let (r, g, b) = look("Inactive");
        assert!((r - g).abs() < 40 && (g - b).abs() < 40, "grey, {scheme}: {r} {g} {b}");
    }
    let heads = browser.all("#users thead th[scope=col]").iter().map(|head| head.text()).collect::<Vec<_>>();
    assert_eq!(heads, ["Name", "E-mail", "Role", "Systems", "Log-in method", "Last log-in", "Status"]);
}

#[test]
fn a_row_opens_the_account_which_is_changed_and_mailed() {
    let (server, browser) = opened();
    browser.run(
        "document.querySelector('#users a[href*=\"/pat/\"]').closest('tr').querySelector('td:nth-child(3)').click()",
    );
    browser.becomes("location.pathname === '/console/users/pat/edit'");
    assert!(browser.all("form[action$='/reset']").is_empty(), "nobody resets what was never set");
    browser.find("form[action$='/resend'] button").click();
    says(&browser, "The activation e-mail is on its way to pat@example.com");
    server.home.mail_to("pat@example.com", 2);
    browser.find("#last_name").fill("Changed");
    browser.find("#role option[value=Editor]").click();
    browser.find("[data-adds-row]").click();
    browser.find("[data-row] [name=entry_role] option[value=Editor]").click();
    browser.find("[data-row] [name=entry_system] option[value=expdemo]").click();
    browser.find("[data-row] [name=entry_group] option[value='expdemo/unittype_cc_agent']").click();
    browser.find("main form > .ends .primary").click();
    says(&browser, "was saved");
    let saved = of(&server, "pat");
    assert_eq!((&saved["last_name"], &saved["roles"]["primary_role"]["role"]), (&json!("Changed"), &json!("Editor")));
    assert_eq!(saved["data-access"]["organization"][0]["unit_group"], "unittype_cc_agent");

    go(&browser, &server, "/console/users/ann/edit");
    assert!(browser.all("form[action$='/resend']").is_empty());
    browser.find("form[action$='/reset'] button").click();
    says(&browser, "An e-mail to reset the password is on its way to ann@x.example");
    assert!(server.home.mail_to("ann@x.example", 1).contains("/reset?token="));
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn boxes_and_menus_disable_and_enable_after_a_pop_up() {
    let (server, browser) = opened();
    let button = "button[data-needs-picked]";
    assert_eq!(browser.find(button).attribute("disabled").as_deref(), Some("true"), "nobody is selected");
    browser.find("input[value=ann]").click();
    browser.find("input[value=pat]").click();
    browser.becomes("document.querySelector('[data-tells-picked]').textContent === '2 selected'");
    browser.find(button).click();
    assert_eq!(browser.find("dialog header h2").text(), "Disable Users");
    assert_eq!(status(&server, "ann"), "ACTIVE", "nothing is done before one says so");
    browser.find("dialog .ends a").click();
    browser.becomes("!document.querySelector('dialog')");
    browser.find(button).click();
    browser.find("dialog .ends button").click();
    says(&browser, "2 people were disabled.");
    listed(&browser, "ann", false);
    assert_eq!((status(&server, "ann"), status(&server, "pat")), ("INACTIVE".to_owned(), "INACTIVE".to_owned()));

    browser.find(".tabs a[href='/console/users/inactive']").click();
    listed(&browser, "ann", true);
    listed(&browser, "ina", true);
    let menu = "tr:has(input[value=ina]) details.menu";
    browser.find(&format!("{menu} summary")).click();
    let entry = browser.find(&format!("{menu} a[href^='/console/users/enable']"));
    assert_eq!(entry.text(), "Enable User");
    entry.click();
    browser.find("dialog .ends button").click();
    says(&browser, "ina was enabled.");
    assert_eq!(status(&server, "ina"), "ACTIVE");
    go(&browser, &server, "/console/users");
    browser.find("[data-picks]").click();
    browser.becomes("[...document.querySelectorAll('input[name=username]')].every(box => box.checked)");
    let menu = "tr:has(input[value=ina]) details.menu";
    browser.find(&format!("{menu} summary")).click();
    let entry = browser.find(&format!("{menu} a.danger"));
    assert_eq!(entry.text(), "Disable Users");
    entry.click();
    browser.find("dialog .ends button").click();
    says(&browser, "ina was disabled.");
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn three_dots_export_the_list() {
    let (_server, browser) = opened();
    assert!(!browser.all("#list-menu .panel a")[0].is_shown());
    browser.find("#list-menu summary").click();
    let export = browser.find("#list-menu .panel a");
    assert_eq!(export.text(), "Export Users List");
    assert!(export.attribute("download").is_some());
    let file = browser.run("return fetch(document.querySelector('#list-menu a').href).then(r => r.text())");
    let file = file.as_str().unwrap().to_owned();
    assert!(
        file.starts_with("username,") && file.contains("ann@x.example") && file.contains("pat@example.com"),
        "{file}"
    );
}

#[test]
fn the_systems_name_opens_a_menu() {
    let (server, browser) = opened();
    go(&browser, &server, "/console/systems/expdemo");
    browser.find("#system-menu summary").click();
    browser.find("#system-menu a[href='/console/systems/shop']").click();
    browser.becomes("document.querySelector('#system-menu summary').textContent.includes('The Shop')");
    browser.find("#system-menu summary").click();
    let manage = browser.find("#system-menu a[href='/console/systems/shop/users']");
    assert_eq!(manage.text(), "Manage Users");
    manage.click();
    browser.find("#users");
    assert!(browser.all("#users select, #users input").is_empty(), "who is in the account is changed on its page");
    let invite = browser.find("#invite");
    assert_eq!(invite.text(), "Invite Users");
    invite.click();
    browser.find("dialog #emails").press(&format!("new@x.example{ENTER}"));
    assert_eq!(browser.run("return document.querySelector('dialog input[name=system][value=shop]').checked"), true);
    browser.find("dialog .ends button").click();
    says(&browser, "new@x.example was invited");
    browser.becomes("location.pathname === '/console/systems/shop/users' && document.querySelector('#users').textContent.includes('new@x.example')");
    browser.find("main .actions a[href='/console/users']").click();
    browser.becomes("location.pathname === '/console/users'");
    browser.find("#system-menu summary").click();
    browser.find("#system-menu a[href='/console/systems']").click();
    browser.becomes("location.pathname === '/console/systems'");
}

#[test]
fn requests_are_decided_in_pop_ups_and_show_to_who_may_decide() {
    let (server, browser) = opened();
    for name in ["kim", "lee"] {
        let body = json!({ "email": format!("{name}@x.example"), "name": "Kim", "reason": "Work" });
        server.visitor().post("/accounts/access-requests", &body).is(202);
    }
    browser.open(&format!("{}/console/users", server.base()));
    browser.find(".tabs a[href='/console/access-requests']").click();
    browser.find("#requests tbody tr:nth-child(1) a[href$='/approve']").click();
    browser.find("dialog #role option[value=Editor]").click();
    browser.find("dialog input[value=shop]").click();
    browser.find("dialog .ends button").click();
    says(&browser, "has access");
    browser.find("#requests tbody tr:nth-child(1) a[href$='/deny']").click();
    browser.find("dialog .ends button").click();
    says(&browser, "was denied");
    browser.becomes("document.querySelector('.empty')?.textContent.includes('No requests')");
    // Whoever was disabled is enabled by the boxes, too.
    go(&browser, &server, "/console/users/inactive");
    browser.find("input[value=ina]").click();
    let enable = browser.find("button[data-needs-picked]");
    assert_eq!(enable.text(), "Enable User");
    enable.click();
    browser.find("dialog .ends button").click();
    says(&browser, "ina was enabled");
    let viewer = logged_in(&server, "ann", PASSWORD);
    go(&viewer, &server, "/console/users");
    assert_eq!(viewer.all(".tabs a").len(), 2, "a Viewer decides on nothing");
}

#[test]
fn with_sso_a_request_is_approved_with_an_id() {
    let server = house_with_sso();
    let body = json!({ "email": "kim@x.example", "name": "Kim", "reason": "Work" });
    server.visitor().post("/accounts/access-requests", &body).is(202);
    let browser = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    go(&browser, &server, "/console/access-requests");
    browser.find("#requests a[href$='/approve']").click();
    browser.find("dialog #login_method option[value=sso]").click();
    browser.find("dialog #sso_id").fill("idp|kim");
    browser.find("dialog #role option[value=Editor]").click();
    browser.find("dialog input[value=shop]").click();
    browser.find("dialog .ends button").click();
    says(&browser, "has access");
    let kim = of(&server, "kim@x.example");
    assert_eq!((&kim["sso_id"], &kim["login_method"]), (&json!("idp|kim"), &json!("sso")));
    assert_eq!((&kim["roles"]["primary_role"]["role"], &kim["systems"]), (&json!("Editor"), &json!(["shop"])));
}

#[test]
fn the_keyboard_is_enough() {
    let (server, browser) = opened();
    browser.run("document.querySelector('#invite').focus()");
    browser.find("#invite").press(ENTER);
    browser.find("dialog #emails").press(&format!("key@x.example{ENTER}"));
    browser.find("dialog .chip");
    browser.find("dialog #emails").press(ESCAPE);
    browser.becomes("!document.querySelector('dialog')");
    assert_eq!(browser.run("return document.activeElement.id"), "invite", "one is where one was");
    browser.find("#system-menu summary").press(ENTER);
    browser.find("#system-menu .panel");
    browser.find("#system-menu summary").press("\u{e015}");
    browser.becomes("document.activeElement.closest('#system-menu .panel') !== null");
    browser.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true, cancelable: true }))");
    browser.becomes(
        "!document.querySelector('#system-menu').open && document.activeElement.closest('#system-menu') !== null",
    );
    let (role, name) = browser.find("main").presented();
    assert_eq!(role, "main", "{name}");
    for (selector, role, name) in [
        ("#search input", "searchbox", "Search users"),
        ("input[value=ann]", "checkbox", "Select Ann Active"),
        ("#own-menu summary", "DisclosureTriangle", "Your account"),
    ] {
        assert_eq!(browser.find(selector).presented(), (role.to_owned(), name.to_owned()), "{selector}");
    }
    server.client().get("/admin/v1/users/key@x.example").problem(404);
}

#[test]
fn a_list_is_searched_while_one_types() {
    let (_server, browser) = opened();
    browser.find("#search input").press("ann");
    browser.becomes("location.search.includes('q=ann') && document.querySelectorAll('#users tbody tr').length === 1");
    assert_eq!(browser.run("return document.activeElement.name"), "q", "one goes on typing");
    browser.find("#search input").press("x");
    browser.becomes("document.querySelector('.empty')?.textContent.includes('Nobody is like that')");
}
