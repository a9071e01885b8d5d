//! Who may import where, and what is refused before anything is read.

use reqwest::Method;
use serde_json::json;

use super::{came_to, csv_integration, import, rows, rules, send};
use crate::support::{Ask, crm, shared};

#[test]
fn an_integration_that_takes_no_file_refuses_it_and_says_why() {
    let disabled = format!("enabled = false\n{}", csv_integration());
    let system = shared().add_system(&[("integrations/crm.toml", crm()), ("integrations/upload.toml", disabled)]);
    send(&system, "", rows(1)).problem(409).says("`upload` is disabled").says("enabled = true");
    let path = system.admin("integrations/crm/imports");
    let to_crm = system.client.request(Method::POST, &path).header("content-type", "text/csv").body(rows(1));
    to_crm.ask().problem(409).says("/public/v1/user/data").says("kind = \\\"csv\\\"");
    let path = system.admin("integrations/none/imports");
    system.client.request(Method::POST, &path).header("content-type", "text/csv").body(rows(1)).ask().problem(404);
}

#[test]
fn what_is_no_csv_and_what_is_asked_wrongly_is_refused() {
    let system = shared().add_system(&rules());
    let path = system.admin("integrations/upload/imports");
    for kind in ["application/json", "text/plain", "text/csv; charset=windows-1252"] {
        let reply = system.client.request(Method::POST, &path).header("content-type", kind).body(rows(1)).ask();
        reply.problem(415);
    }
    for query in ["?on_error=ignore", "?dry_run=maybe", "?on_eror=skip", "?file_name=%00"] {
        send(&system, query, rows(1)).problem(400);
    }
    assert_eq!(system.client.get(&path).is(200)["items"], json!([]), "nothing was taken");
}

#[test]
fn importing_and_reading_imports_need_the_permission_in_that_system() {
    let system = shared().add_system(&rules());
    let done = import(&system, "?file_name=M%C3%A4rz.csv", rows(2));
    came_to(&done, "done", [2, 2, 0]);
    assert_eq!((&done["file_name"], &done["system"]), (&json!("März.csv"), &json!(system.id)));
    let object = format!("systems/{}/integrations/upload/imports/{}", system.id, done["id"].as_str().unwrap());
    let audit = system.client.get(&format!("/admin/v1/audit?object={object}")).is(200)["items"].clone();
    assert_eq!((&audit[0]["action"], &audit[0]["after"]["file_name"]), (&json!("import.begin"), &json!("März.csv")));
    assert_eq!(audit.as_array().map(Vec::len), Some(1), "{audit}");
    assert_eq!((&done["integration"], &done["client"]), (&json!("upload"), &json!("tests")));
    let show = format!("/admin/v1/imports/{}", done["id"].as_str().unwrap());
    let list = system.admin("integrations/upload/imports");
    let reader = system.server.client_with("end_users:read integrations:read");
    for path in [&show, &format!("{show}/errors.csv"), &list] {
        reader.get(path).problem(403).says("end_users:write");
        system.client.anonymous().get(path).problem(401);
    }
    let upload = reader.request(Method::POST, &list).header("content-type", "text/csv").body(rows(1)).ask();
    upload.problem(403).says("end_users:write");
    let writer = system.server.client_with("end_users:write");
    assert_eq!(writer.get(&show).is(200), done);
    for unknown in ["/admin/v1/imports/none", "/admin/v1/imports/none/errors.csv", &format!("{show}0")] {
        system.client.get(unknown).problem(404);
    }
}

#[test]
fn an_integrations_imports_are_listed_newest_first() {
    let mut files = rules();
    files.push(("integrations/other.toml", csv_integration()));
    let system = shared().add_system(&files);
    let ids: Vec<_> = (1..=5).map(|n| import(&system, "", rows(n))["id"].clone()).collect();
    let path = system.admin("integrations/upload/imports");
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = system.client.get(&format!("{path}?limit=2{cursor}")).is(200);
        found.extend(page["items"].as_array().unwrap().iter().map(|import| import["id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ids.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(system.client.get(&system.admin("integrations/other/imports")).is(200)["items"], json!([]));
}

#[test]
fn imports_are_counted() {
    let system = shared().add_system(&rules());
    came_to(&import(&system, "", rows(7)), "done", [7, 7, 0]);
    came_to(&import(&system, "", "x\n"), "failed", [0, 0, 0]);
    let metrics = system.client.get("/metrics").body;
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(value("rollcall_import_rows_total ") >= 7.0);
    assert!(value("rollcall_imports_total{outcome=\"done\"}") >= 1.0);
    assert!(value("rollcall_imports_total{outcome=\"failed\"}") >= 1.0);
}
