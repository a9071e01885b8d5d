//! Values that would be scripts stay text, in a real browser under the real policy.

use serde_json::json;

use super::logged_in;
use crate::support::{ADMIN, ADMIN_PASSWORD, operators_setup, user};

/// Each sets `window.pwned`, if it runs.
pub(super) const PAYLOADS: &[&str] = &[
    "<script>window.pwned=1</script>",
    "\"><script>window.pwned=1</script>",
    "'><img src=x onerror=window.pwned=1>",
    "\" autofocus onfocus=window.pwned=1 x=\"",
    "' onmouseover='window.pwned=1",
    "<svg onload=window.pwned=1>",
    "</title><script>window.pwned=1</script>",
    "</textarea><script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "javascript:window.pwned=1",
    "<a href=javascript:window.pwned=1>x</a>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.pwned=1>",
    "{{window.pwned=1}}",
    "${window.pwned=1}",
    "<form action=//evil.example><button>x</button></form>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "<details open ontoggle=window.pwned=1>",
    "<object data=javascript:window.pwned=1>",
    "<embed src=javascript:window.pwned=1>",
    "<video><source onerror=window.pwned=1>",
    "<input type=image src=x onerror=window.pwned=1>",
    "--><script>window.pwned=1</script><!--",
    "]]><script>window.pwned=1</script>",
    "<sCrIpT>window.pwned=1</sCrIpT>",
    "\u{ff1c}script\u{ff1e}window.pwned=1\u{ff1c}/script\u{ff1e}",
    "<template><script>window.pwned=1</script></template>",
];

#[test]
fn no_value_runs_or_loads_anything() {
    let name = "</title><img src=x onerror=window.pwned=1>\"'";
    let system = format!("name = {}\n", json!(name));
    let server = operators_setup().env("ROLLCALL_SERVER__TRUSTED_PROXIES", "127.0.0.1").start();
    std::fs::create_dir_all(server.home.rules().join("evil")).unwrap();
    std::fs::write(server.home.rules().join("evil/system.toml"), system).unwrap();
    server.client().post_empty("/admin/v1/reload").is(200);
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let mut account = user(&format!("u{number}"), "Viewer");
        account["first_name"] = json!(payload);
        account["last_name"] = json!(payload);
        server.client().post("/admin/v1/users", &account).is(200);
        let asks = json!({ "email": format!("r{number}@x.example"), "name": payload, "reason": payload });
        let asked = server.visitor().from(&format!("10.9.8.{number}")).post("/accounts/access-requests", &asks);
        asked.is(202);
        let client = json!({ "client_id": format!("c{number}"), "description": payload, "role": "Viewer" });
        server.client().post("/admin/v1/clients", &client).is(201);
    }
    let browser = logged_in(&server, ADMIN, ADMIN_PASSWORD);
    browser.becomes("location.pathname === '/console'");
    let mut paths: Vec<String> = [
        "/console",
        "/console/users",
        "/console/users/invite",
        "/console/access-requests",
        "/console/clients",
        "/console/audit",
        "/console/systems",
        "/console/systems/evil",
        "/console/systems/evil/settings",
        "/console/systems/evil/users",
        "/console/profile",
    ]
    .map(str::to_owned)
    .to_vec();
    for (number, payload) in PAYLOADS.iter().enumerate() {
        paths.push(format!("/console/users/u{number}/edit"));
        paths.push(format!("/console/users/disable?username=u{number}"));
        let asked = crate::support::encode(payload);
        paths.push(format!("/console/users?q={asked}&role={asked}&system={asked}&page={asked}"));
        paths.push(format!("/console/audit?actor={asked}&from={asked}"));
    }
    for path in &paths {
        browser.open(&format!("{}{path}", server.base()));
        browser.find("main");
        assert_eq!(
            browser.run("return [typeof window.pwned, location.origin]"),
            json!(["undefined", server.base()]),
            "{path}"
        );
    }
    // In a pop-up, too, which is made of another page's HTML.
    browser.open(&format!("{}/console/users?q=u2", server.base()));
    browser.find("tbody details.menu summary").click();
    browser.find("tbody details.menu a.danger").click();
    browser.find("dialog .ends button");
    assert_eq!(browser.run("return typeof window.pwned"), "undefined");
    assert_eq!(browser.console_errors(), [""; 0], "the policy had nothing to refuse");
}
