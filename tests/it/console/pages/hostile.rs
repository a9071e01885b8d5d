//! What end users, rules and filters hold stays text on every page of a system.

use serde_json::json;

use super::super::hostile::PAYLOADS;
use super::house;
use super::walk::log_in;
use crate::support::encode;

#[test]
fn no_value_of_a_system_runs_or_loads_anything() {
    let server = house();
    let system = server.system("s");
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let (name, line) = (json!(payload), payload.replace('\n', " "));
        let integration = format!(
            "name = {name}\ndescription = {name}\nuser_identifier = {name}\n[[properties]]\nfield = {}\nname = \"V\"\ntype = \"string\"\ndescription = {name}\n",
            json!(format!("{number}{}", payload.replace('.', "")))
        );
        // A path with two dots in a row is none.
        let integration = integration.replace("..", "");
        let rule = format!("// {line}\n// {line}\ncrm.Customer_Type == {name}\n");
        let files = [(format!("integrations/i{number}.toml"), integration), (format!("segments/s{number}.rhai"), rule)];
        system.write(&files.each_ref().map(|(path, text)| (path.as_str(), text.as_str())));
        system.update("crm", &json!([{ "Email": payload, "Type": payload }])).is(200);
    }
    system.reload();
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let filter = json!({ "name": payload, "shared": true, "where": { "attribute": "crm.Customer_Type", "operator": "is", "value": payload } });
        system.client.put(&system.public(&format!("filters/f{number}")), &filter).is_success();
    }
    let browser = log_in(&server);
    let mut paths: Vec<String> =
        ["integrations", "segments", "segments/big", "end-users", "insights"].map(str::to_owned).into();
    for (number, payload) in PAYLOADS.iter().enumerate() {
        paths.push(format!("end-users/{}?why=s{number}", encode(payload)));
        // The others are drawn by the same templates.
        if number < 6 {
            for page in ["integrations/i", "segments/s", "insights?filter=f"] {
                paths.push(format!("{page}{number}"));
            }
            paths.push(format!("integrations/i{number}/edit"));
            paths.push(format!("integrations/i{number}/endpoint"));
            paths.push(format!("segments/s{number}/delete"));
        }
    }
    for path in paths {
        browser.open(&format!("{}/console/systems/s/{path}", server.base()));
        browser.find("h1");
        assert!(browser.run("return window.pwned").is_null(), "{path} ran something");
        assert!(browser.url().starts_with(server.base()), "{path} led to {}", browser.url());
    }
    assert_eq!(browser.console_errors(), Vec::<String>::new(), "nothing was refused by the policy");
}
