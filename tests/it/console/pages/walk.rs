//! A person in a browser: an integration made by the wizard, its first call, its attribute in Insights, a segment of it, and
//! the segment's count as it changes.

use std::process::Command;

use super::house;
use crate::support::{Browser, CLIENT_ID, CLIENT_SECRET, FIRST_EMAIL, FIRST_PASSWORD, Server};

const SAMPLE: &str =
    r#"{"Login": "jane@example.com", "Plan": "gold", "Score": 7, "Since": "2026-01-01", "account": {"tier": "A"}}"#;

#[track_caller]
pub(super) fn log_in(server: &Server) -> Browser {
    let browser = Browser::start();
    browser.open(&format!("{}/login", server.base()));
    browser.find("#email").fill(FIRST_EMAIL);
    browser.find("#password").fill(FIRST_PASSWORD);
    browser.find("main button").click();
    browser.becomes("location.pathname === '/console' && document.readyState === 'complete'");
    browser
}

/// Chooses an option of a drop-down by its words, as the keyboard would.
#[track_caller]
fn choose(browser: &Browser, selector: &str, words: &str) {
    browser.find(selector).press(words);
}

#[track_caller]
fn text(browser: &Browser, selector: &str) -> String {
    browser.find(selector).text()
}

#[test]
fn from_the_wizard_to_a_segment_that_counts() {
    let server = house();
    let browser = log_in(&server);
    let open = |path: &str| browser.open(&format!("{}/console/systems/s/{path}", server.base()));

    open("integrations");
    browser.find("a[href$='/integrations/new']").click();
    browser.find("#name").fill("Loyalty");
    browser.find("button[value=name].primary").click();
    browser.find("#sample").fill(SAMPLE);
    browser.find("[data-proposes]").click();
    browser.becomes("document.querySelector('#identifier')?.value === 'Login'");
    let fields = browser.run(
        "const of = name => [...document.querySelectorAll(`[name=${name}]`)].map(one => one.value || one.placeholder);\
         return of('field').map((field, at) => [field, of('attribute')[at], of('type')[at]].join(' ')).join('; ')",
    );
    let fields = fields.as_str().unwrap();
    let proposed = "Plan Plan string; Score Score number; Since Since date; account.tier account_tier string";
    assert!(fields.contains(proposed), "{fields}");
    browser.find("button[value=create].primary").click();
    let curl = text(&browser, "#curl");
    assert!(curl.contains("\"Login\"") && curl.contains("<access token>"), "{curl}");

    // The line is sent as it stands, with an access token in it.
    let token = server.token_of(CLIENT_ID, CLIENT_SECRET);
    let line = curl.replace("<access token>", &token).replace("\"Plan\": \"text\"", "\"Plan\": \"gold\"");
    let sent =
        Command::new("sh").args(["-c", &format!("{line} --silent --fail-with-body --noproxy '*'")]).output().unwrap();
    assert!(sent.status.success(), "{line}\n{}", String::from_utf8_lossy(&sent.stdout));

    open("insights");
    choose_condition(&browser, "Loyalty", "Plan", "gold");
    browser.becomes("document.querySelector('#total')?.textContent.startsWith('1 ')");
    assert!(text(&browser, "#results").contains("jane@example.com"));
    browser.becomes("document.querySelector('#charts .chart')");
    browser.find("#save-filter summary").click();
    browser.find("#filter-name").fill("Gold & more");
    browser.find("#save-filter button[value=save]").click();
    browser.becomes("document.querySelector('h1').textContent === 'Gold & more'");
    assert!(text(&browser, "main .banner").contains("The filter “Gold & more” is saved."));
    assert!(text(&browser, "#results").contains("jane@example.com"));

    open("new-segment");
    browser.find("#name").fill("Golden");
    choose_condition(&browser, "Loyalty", "Plan", "gold");
    browser.becomes("document.querySelector('#text').value.includes('loyalty.Plan == \"gold\"')");
    browser.becomes("document.querySelector('#check .stat dd')?.textContent === '1'");
    browser.find("button[value=save]").click();
    browser.becomes("document.querySelector('h1')?.textContent === 'Golden'");
    assert_eq!(server.system("s").file("segments/golden.rhai"), "// Golden\nloyalty.Plan == \"gold\"\n");

    open("segments");
    assert_eq!(text(&browser, "[data-count=golden]"), "1");
    // The page follows from the moment on at which its connection stands; it asks once then.
    browser.becomes("performance.getEntriesByType('resource').some(one => one.name.endsWith('/segments?limit=1000'))");
    server.system("s").update("loyalty", &serde_json::json!([{ "Login": "joe", "Plan": "gold" }])).is(200);
    browser.becomes("document.querySelector('[data-count=golden]').textContent === '2'");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[track_caller]
fn choose_condition(browser: &Browser, integration: &str, attribute: &str, value: &str) {
    let add = "#conditions .group-foot button";
    browser.find(add).click();
    choose(browser, "[data-part=integration]", integration);
    choose(browser, "[data-part=attribute]", attribute);
    browser.find("[data-part=value]").fill(value);
}

#[test]
fn text_and_conditions_are_made_from_each_other() {
    let server = house();
    let browser = log_in(&server);
    browser.open(&format!("{}/console/systems/s/segments/big", server.base()));
    browser.becomes("document.querySelector('[data-part=value]')?.value === '50'");
    let operators = text(&browser, "[data-part=operator]");
    assert!(operators.contains("between") && !operators.contains("contains"), "of a number: {operators}");
    browser.find("[data-part=value]").fill("10");
    browser.becomes("document.querySelector('#text').value === '// Test\\ncrm.Seats > 10\\n'");
    browser.becomes("document.querySelector('#check').textContent.includes('Would enter1')");

    browser.find("#text").fill("// Test\ncrm.Sets > 10");
    browser.becomes("document.querySelector('#check .wrong')?.textContent.includes('Line 2, column 5')");
    browser.find("#text").fill("// Test\ncrm.Seats > 5 && crm.Customer_Type == \"free\"");
    browser.becomes("document.querySelectorAll('.condition').length === 2");
    browser.find("#text").fill("// Test\nlet n = 0; while n < 3 { n += 1; } n == crm.Seats");
    browser.becomes("!document.querySelector('#no-builder').hidden");
    browser.becomes("document.querySelector('#check').textContent.includes('runs as a script')");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

const FILE: &str = "Email,Type\nann@x.example,paying\ndan@x.example,paying\n,free\n";

/// The batch upload and the API set two attributes; a rule joins them with "or".
#[test]
fn a_file_is_uploaded_and_joined_with_what_calls_say() {
    let server = house();
    let browser = log_in(&server);
    let open = |path: &str| browser.open(&format!("{}/console/systems/s/{path}", server.base()));
    open("integrations");
    browser.find("a[href$='/integrations/new?kind=csv']").click();
    browser.find("#name").fill("Batch");
    browser.find("button[value=name].primary").click();
    browser.find("#sample").fill(FILE);
    browser.find("[data-proposes]").click();
    browser.becomes("document.querySelector('#identifier')?.value === 'Email'");
    browser.find("button[value=create].primary").click();
    browser.becomes("location.pathname.endsWith('/integrations/batch') && document.readyState === 'complete'");

    let file = server.home.root().join("customers.csv");
    std::fs::write(&file, FILE).unwrap();
    browser.all("#file")[0].press(file.to_str().unwrap());
    browser.becomes("document.querySelector('[data-file]').textContent.startsWith('customers.csv')");
    browser.find("#upload .primary").click();
    browser.becomes("document.querySelector('#imports .badge')?.textContent === 'Failed'");
    browser.find("#imports details summary").click();
    let refused = text(&browser, "#imports table");
    assert!(refused.contains("4 Email"), "the bad row is told: {refused}");
    assert!(server.system("s").end_user("dan@x.example").status == 404, "one bad row refuses the file");

    browser.all("#file")[0].press(file.to_str().unwrap());
    browser.find("#upload [name=skip]").click();
    browser.find("#upload .primary").click();
    browser.becomes("document.querySelector('#imports .badge')?.textContent === 'Done'");
    assert!(text(&browser, "#imports").contains("2 stored, 1 refused"), "{}", text(&browser, "#imports"));

    open("new-segment");
    browser.find("#name").fill("Paying");
    choose(&browser, ".group.top > .group-head .mode", "any");
    for (integration, attribute) in [("Batch", "Type"), ("Test", "Customer_Type")] {
        browser.find("#conditions > .group > .group-foot button").click();
        let last = ".conditions > li:last-child";
        choose(&browser, &format!("{last} [data-part=integration]"), integration);
        if browser.run(&format!("return document.querySelector('{last} [data-part=attribute]').value")) == "" {
            choose(&browser, &format!("{last} [data-part=attribute]"), attribute);
        }
        browser.find(&format!("{last} [data-part=value]")).fill("paying");
    }
    browser.becomes(
        "document.querySelector('#text').value.includes('batch.Type == \"paying\" || crm.Customer_Type == \"paying\"')",
    );
    browser.becomes("document.querySelector('#check .stat dd')?.textContent === '2'");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}
