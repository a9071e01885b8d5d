//! Values that would be scripts stay text, in a real browser under the real policy: 30 of them in every value that somebody
//! can set and a page shows, and every page opened. What is planted says what it is, so that it is also proven to be shown.

use reqwest::Method;
use serde_json::json;

use super::log_in;
use super::watch::{PAYLOADS, Watch, planted};
use crate::support::{ADMIN, ADMIN_PASSWORD, Ask, Browser, Server, encode, entry, operators_setup, user, write_tree};

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
        let request = server.visitor().bare_request(Method::POST, "/accounts/login");
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
