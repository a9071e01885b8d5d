//! Insights without scripts: what is asked stands in the address.

use super::{house, next, says, submit, visitor};
use crate::support::encode;

const PATH: &str = "/console/systems/s/insights";

#[test]
fn a_question_in_the_address_is_answered() {
    let server = house();
    let admin = server.admin_visitor();
    let all = admin.get(PATH);
    all.is_page(200);
    says(&all, &["id=\"total\">3 ", "Seats", "Test", "As a rule"]);
    let rule = admin.get(&format!("{PATH}?rule={}&select=crm.Seats&charts=yes", encode("crm.Seats >= 20")));
    says(&rule, &["id=\"total\">2 ", "/end-users/bob%2F1%3F", "<svg class=\"histogram", "66.7 %"]);
    assert!(!rule.body.contains("cat"), "{}", rule.body);
    let condition = r#"{"attribute":"crm.Customer_Type","operator":"is","value":"free"}"#;
    let page = admin.get(&format!("{PATH}?where={}&select=crm.Customer_Type&charts=yes", encode(condition)));
    says(&page, &["id=\"total\">2 ", "crm.Customer_Type == &#34;free&#34;", "class=\"bars\"", "100.0 %"]);

    for (query, told) in
        [("rule=crm.Sets%20%3E%201", "crm.Seats"), ("where=%7B", "no JSON"), ("select=x", "no attribute")]
    {
        let wrong = admin.get(&format!("{PATH}?{query}"));
        wrong.is_page(422);
        says(&wrong, &[told]);
    }
    let script = admin.get(&format!("{PATH}?rule={}", encode("let n = 0; for c in \"ab\" { n += 1; } n > 1")));
    says(&script, &["id=\"total\">3 ", "data-condition=\"\""]);
}

#[test]
fn filters_are_kept_and_files_taken() {
    let server = house();
    let admin = server.admin_visitor();
    let condition = r#"{"attribute":"crm.Seats","operator":"at_least","value":20}"#;
    let fields = [("do", "save"), ("name", "Twenty & more"), ("where", condition), ("shared", "on")];
    let page = next(&admin, &submit(&admin, PATH, &fields));
    says(&page, &["Twenty &#38; more", "id=\"total\">2 ", "filter=twenty_more"]);
    let viewer = visitor(&server, "val");
    let theirs = viewer.get(&format!("{PATH}?filter=twenty_more"));
    says(&theirs, &["shared, of", "id=\"total\">2 "]);
    assert!(!theirs.body.contains("Delete filter"), "{}", theirs.body);
    let gone = submit(&admin, PATH, &[("do", "delete"), ("id", "twenty_more")]);
    says(&next(&admin, &gone), &["The filter is deleted"]);
    viewer.get(&format!("{PATH}?filter=twenty_more")).is_page(404);

    let file = admin.get(&format!("{PATH}/export?form=csv&select=crm.Seats&where={}", encode(condition)));
    assert_eq!(file.body, "id,crm.Seats\r\nann@x.example,60\r\nbob/1?,20\r\n");
    let part = visitor(&server, "part");
    says(&part.get(PATH), &["id=\"total\">2 ", "of 2"]);
    let lines = part.get(&format!("{PATH}/export?form=ndjson"));
    assert_eq!(lines.body.lines().count(), 2, "{}", lines.body);
}
