//! Segments without scripts: checked, saved, told of lost edits, deleted.

use super::{between, house, next, says, submit, visitor};

const NEW: &str = "/console/systems/s/new-segment";
const BIG: &str = "/console/systems/s/segments/big";

#[test]
fn a_segment_is_checked_and_saved_without_scripts() {
    let server = house();
    let admin = server.admin_visitor();
    says(&admin.get("/console/systems/s/segments"), &["data-count=\"big\">1</b>", "index"]);
    let wrong = submit(&admin, NEW, &[("do", "check"), ("name", "Free"), ("text", "// Free\ncrm.Sets > 5")]);
    wrong.is_page(422);
    says(&wrong, &["line 2, column 5", "did you mean `crm.Seats`?", "crm.Sets"]);
    let checked = submit(&admin, NEW, &[("do", "check"), ("name", "Free"), ("text", "crm.Customer_Type == \"free\"")]);
    checked.is_page(200);
    says(&checked, &["<dd>2</dd>", "/console/systems/s/end-users/bob%2F1%3F", "runs as an index"]);
    assert!(!server.system("s").has_file("segments/free.rhai"), "a check changes nothing");

    let saved = submit(&admin, NEW, &[("do", "save"), ("name", "Free"), ("text", "crm.Customer_Type == \"free\"\r\n")]);
    let page = next(&admin, &saved);
    says(&page, &["<h1>Free</h1>", "data-count=\"free\">2</span>", "crm.Customer_Type"]);
    assert_eq!(server.system("s").file("segments/free.rhai"), "// Free\ncrm.Customer_Type == \"free\"\n");
    submit(&admin, NEW, &[("do", "save"), ("name", "Free again"), ("id", "free"), ("text", "true")]).is_page(422);
}

#[test]
fn lost_edits_are_told() {
    let server = house();
    let admin = server.admin_visitor();
    let etag = between(&admin.get(BIG).body, "name=\"etag\" value=\"", "\"").to_owned();
    let saved = [("do", "save"), ("etag", etag.as_str()), ("text", "// Theirs\ncrm.Seats > 51\n")];
    next(&admin, &submit(&admin, BIG, &saved));
    let late = submit(&admin, BIG, &[("do", "save"), ("etag", &etag), ("text", "// Mine\ncrm.Seats > 52\n")]);
    late.is_page(422);
    says(&late, &["Somebody changed this segment", "// Theirs", "// Mine"]);
    let newer = between(&late.body, "name=\"etag\" value=\"", "\"").to_owned();
    next(&admin, &submit(&admin, BIG, &[("do", "save"), ("etag", &newer), ("text", "// Mine\ncrm.Seats > 52\n")]));
    assert!(server.system("s").file("segments/big.rhai").starts_with("// Mine"));
    let gone = submit(&admin, "/console/systems/s/segments/big/delete", &[]);
    says(&next(&admin, &gone), &["No segments yet"]);
}

#[test]
fn counts_and_members_are_of_whom_one_may_see() {
    let server = house();
    server.system("s").write(&[("segments/all.rhai", "// All\nis_set(crm.Seats)\n")]);
    server.system("s").reload();
    let part = visitor(&server, "part");
    says(&part.get("/console/systems/s/segments"), &["data-count=\"all\">2</b>"]);
    let members = part.get("/console/systems/s/segments/all/members");
    says(&members, &["ann@x.example", "bob/1?"]);
    assert!(!members.body.contains("cat"), "{}", members.body);
    let page = part.get("/console/systems/s/segments/all");
    assert!(!page.body.contains("<figure"), "earlier counts are of all end users: {}", page.body);
    part.get("/console/systems/s/end-users/cat").is_page(404);
}
