//! Integrations without scripts: the wizard step by step, and what comes later.

use serde_json::json;

use super::{between, house, next, says, submit, visitor};
use crate::support::Server;

const NEW: &str = "/console/systems/s/integrations/new";
const SAMPLE: &str =
    r#"{"token": "x", "data": [{"Email": "a@x.example", "Seats": 5, "Since": "2026-01-01", "tags": []}]}"#;

#[test]
fn the_wizard_works_without_scripts() {
    let server = house();
    let admin = server.admin_visitor();
    says(&admin.get(NEW), &["API to Rollcall", "name=\"name\""]);
    let unnamed = submit(&admin, NEW, &[("do", "name"), ("name", " ")]);
    unnamed.is_page(422);
    // Rhai keeps the word for itself.
    let reserved = submit(&admin, NEW, &[("do", "name"), ("name", "x"), ("id", "default")]);
    reserved.is_page(422);
    says(&reserved, &["Rhai, the language of the rules", "`default_crm`"]);
    let taken = submit(&admin, NEW, &[("do", "name"), ("name", "x"), ("id", "crm")]);
    says(&taken, &["There is an integration `crm` already"]);

    let second = submit(&admin, NEW, &[("do", "name"), ("name", "Default"), ("kind", "api")]);
    second.is_page(200);
    says(&second, &["name=\"id\" value=\"default_crm\"", "name=\"sample\""]);
    let fields = [("name", "Default"), ("id", "default_crm"), ("kind", "api"), ("sample", SAMPLE)];
    let proposed = submit(&admin, NEW, &[&fields[..], &[("do", "propose")]].concat());
    proposed.is_page(200);
    says(
        &proposed,
        &[
            "name=\"user_identifier\" value=\"Email\"",
            "name=\"field\" value=\"Seats\"",
            "<option value=\"number\" selected>",
            "<option value=\"date\" selected>",
            "<code>tags</code>",
        ],
    );
    let rows = [
        ("user_identifier", "Email"),
        ("field", "Email"),
        ("attribute", ""),
        ("type", "string"),
        ("used", "1"),
        ("field", "Seats"),
        ("attribute", "Chairs"),
        ("type", "number"),
        ("do", "create"),
    ];
    let third = next(&admin, &submit(&admin, NEW, &[&fields[..], &rows[..]].concat()));
    says(&third, &["/public/v1/user/data", "data-copies=\"token\"", "Authorization: Bearer", "Send Test"]);
    let file = server.system("s").file("integrations/default_crm.toml");
    assert_eq!(
        file,
        "name = \"Default\"\nkind = \"api\"\nuser_identifier = \"Email\"\n\n[[properties]]\nfield = \"Seats\"\nname = \"Chairs\"\ntype = \"number\"\n"
    );

    let endpoint = "/console/systems/s/integrations/default_crm/endpoint";
    let good = submit(&admin, endpoint, &[("payload", r#"{"Email": "e", "Seats": "7", "x": 1}"#)]);
    says(&good, &["The call would be stored: 1 record", "Chairs", "<dd>7</dd>", "<code>x</code>"]);
    let bad = submit(&admin, endpoint, &[("payload", r#"[{"Email": "e", "Seats": "many"}]"#)]);
    says(&bad, &["would be refused", "<code>/data/0/Seats</code>"]);
    server.system("s").end_user("e").is(404);
}

#[test]
fn a_change_by_the_form_keeps_what_people_wrote() {
    let server = house();
    let admin = server.admin_visitor();
    let path = "/console/systems/s/integrations/crm/edit";
    let page = admin.get(path);
    let etag = between(&page.body, "name=\"etag\" value=\"", "\"").to_owned();
    let fields = |name: &'static str| {
        vec![
            ("do", "save"),
            ("kind", "api"),
            ("name", name),
            ("user_identifier", "Email"),
            ("used", "0"),
            ("field", "Seats"),
            ("attribute", "Seats"),
            ("type", "number"),
        ]
    };
    let changed = submit(&admin, path, &[&fields("Sales")[..], &[("etag", &etag)]].concat());
    says(&next(&admin, &changed), &["Sales"]);
    let file = server.system("s").file("integrations/crm.toml");
    assert!(file.starts_with("# kept by sales\nname = \"Sales\"\n") && !file.contains("Signup"), "{file}");
    // Whoever opened the form before is told, and loses nothing of either.
    let late = submit(&admin, path, &[&fields("Late")[..], &[("etag", &etag)]].concat());
    late.is_page(422);
    says(&late, &["Somebody changed the file meanwhile", "value=\"Late\""]);
    // What a segment needs can't be taken away.
    let etag = between(&admin.get(path).body, "name=\"etag\" value=\"", "\"").to_owned();
    let broken: Vec<_> = fields("Sales").into_iter().filter(|(name, _)| *name != "used").collect();
    let broken = submit(&admin, path, &[&broken[..], &[("etag", &etag)]].concat());
    broken.is_page(422);
    says(&broken, &["segments/big.rhai"]);
}

#[test]
fn calls_are_told_and_the_token_is_exchanged() {
    let server = house();
    let admin = server.admin_visitor();
    let (system, path) = (server.system("s"), "/console/systems/s/integrations/crm");
    system.update("crm", &json!([{ "Email": "e", "Seats": "many" }])).is(422);
    says(&admin.get(path), &["422", "/data/0/Seats", "crm.Seats", "<td class=\"number\">3</td>"]);
    let token = system.token("crm");
    says(&admin.get(&format!("{path}/rotate")), &["data-dialog-content", "Rotate token"]);
    next(&admin, &submit(&admin, &format!("{path}/rotate"), &[("grace_hours", "0")]));
    assert_ne!(system.token("crm"), token);

    next(&admin, &submit(&admin, &format!("{path}/switch"), &[("enabled", "no")]));
    assert!(system.file("integrations/crm.toml").contains("enabled = false"));
    says(&next(&admin, &submit(&admin, &format!("{path}/switch"), &[("enabled", "yes")])), &["Enabled"]);
    // A rule still names its attributes.
    submit(&admin, &format!("{path}/delete"), &[]).is_page(422);
    next(&admin, &submit(&admin, "/console/systems/s/segments/big/delete", &[]));
    let list = admin.get("/console/systems/s/integrations");
    says(&list, &["<b>4</b> of 100 attributes used"]);
}

#[test]
fn who_may_not_write_is_shown_no_way_to() {
    let server = house();
    let viewer = visitor(&server, "val");
    let list = viewer.get("/console/systems/s/integrations");
    says(&list, &["crm"]);
    for page in ["integrations", "integrations/crm", "segments", "segments/big", "end-users/ann@x.example"] {
        let page = viewer.get(&format!("/console/systems/s/{page}"));
        page.is_page(200);
        for way in ["API to Rollcall", "/edit\"", "/delete\"", "value=\"save\"", "/new-segment", "/unset"] {
            assert!(!page.body.contains(way), "{way} is in {}", page.what);
        }
    }
    for path in ["integrations/new", "integrations/crm/edit", "integrations/crm/endpoint", "new-segment"] {
        viewer.get(&format!("/console/systems/s/{path}")).is_page(403);
    }
    for path in [
        "integrations/new",
        "integrations/crm/edit",
        "integrations/crm/switch",
        "integrations/crm/delete",
        "integrations/crm/rotate",
        "segments/big/delete",
        "end-users/cat/delete",
        "end-users/cat/unset",
    ] {
        submit(&viewer, &format!("/console/systems/s/{path}"), &[("do", "save")]).is_page(403);
    }
    submit(&viewer, "/console/systems/s/segments/big", &[("do", "save"), ("text", "true")]).is_page(403);
}

#[test]
fn where_git_is_the_only_writer_the_file_to_commit_is_shown() {
    let files = [("s/integrations/crm.toml", crate::support::crm())];
    let server = Server::with(&files)
        .env("ROLLCALL_BOOTSTRAP_ADMIN_EMAIL", crate::support::FIRST_EMAIL)
        .env("ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD", crate::support::FIRST_PASSWORD)
        .env("ROLLCALL_RULES__READ_ONLY", "true")
        .start();
    let admin = server.admin_visitor();
    let rows = [
        ("do", "create"),
        ("name", "New one"),
        ("user_identifier", "Email"),
        ("used", "0"),
        ("field", "a"),
        ("type", "date"),
    ];
    let shown = submit(&admin, NEW, &rows);
    shown.is_page(200);
    says(&shown, &["s/integrations/new_one.toml", "type = &#34;date&#34;"]);
    let segment = [("do", "save"), ("name", "Some"), ("text", "crm.Seats > 1")];
    let shown = submit(&admin, "/console/systems/s/new-segment", &segment);
    says(&shown, &["s/segments/some.rhai", "// Some"]);
    assert!(!server.system("s").has_file("integrations/new_one.toml"));
}
