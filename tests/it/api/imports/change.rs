//! What happens around an import while it is applied: other updates, and changes of the rules.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{begin, came_to, csv_integration, ended, look, rows, spooled};
use crate::support::{Ask, Server, System, crm, eventually, segment};

/// Rows of a file that takes some batches.
const ROWS: usize = 160_000;

fn server() -> Server {
    let files = [("s/integrations/upload.toml", csv_integration()), ("s/integrations/crm.toml", crm())];
    Server::with(&files).start()
}

/// Waits until some rows are stored.
#[track_caller]
fn some_are_stored(system: &System<'_>, id: &str) {
    eventually("some rows are stored", || {
        let import = look(&system.client, id);
        let stored = import["state"] == "applying" && import["stored"].as_u64() > Some(0);
        if stored { Ok(()) } else { Err(import.to_string()) }
    });
}

#[test]
fn updates_go_on_beside_an_import() {
    let server = server();
    let system = server.system("s");
    let token = system.token("crm");
    let over = AtomicBool::new(false);
    let id = begin(&system, "", rows(ROWS));
    let updates = std::thread::scope(|scope| {
        let update = scope.spawn(|| {
            let mut updates = 0;
            while !over.load(Ordering::SeqCst) {
                let data = json!([{ "Email": format!("u{}", updates % 500), "Seats": updates }]);
                system.client.update_request(&token, &data).ask().counts();
                updates += 1;
            }
            updates
        });
        some_are_stored(&system, &id);
        came_to(&ended(&system.client, &id), "done", [ROWS as u64, ROWS as u64, 0]);
        over.store(true, Ordering::SeqCst);
        update.join().expect("updates")
    });
    assert!(updates > 10, "{updates} updates got through");
    let last = updates - 1;
    let attributes = system.attributes(&format!("u{}", last % 500));
    assert_eq!((&attributes["crm"]["Seats"], &attributes["upload"]["Seats"]), (&json!(last), &json!(last % 500)));
}

#[test]
fn a_change_of_what_rows_mean_ends_the_import_and_says_how_far_it_was() {
    let server = server();
    let system = server.system("s");
    let changes: [(&str, &dyn Fn()); 3] = [
        ("was changed", &|| {
            let text = csv_integration().replace("type = \"string\"", "type = \"number\"");
            system.write(&[("integrations/upload.toml", &text)]);
        }),
        ("is disabled", &|| {
            system.write(&[("integrations/upload.toml", &format!("enabled = false\n{}", csv_integration()))]);
        }),
        ("no integration", &|| {
            std::fs::remove_file(server.home.rules().join("s/integrations/upload.toml")).unwrap();
        }),
    ];
    for (what, change) in changes {
        system.write(&[("integrations/upload.toml", &csv_integration())]);
        system.reload();
        let id = begin(&system, "", rows(ROWS));
        some_are_stored(&system, &id);
        change();
        system.reload();
        let failed = ended(&system.client, &id);
        let stored = failed["stored"].as_u64().unwrap();
        assert_eq!(failed["state"], "failed", "{failed:#}");
        assert!(stored > 0 && stored < ROWS as u64, "{failed:#}");
        let detail = failed["detail"].as_str().unwrap();
        assert!(detail.contains(what) && detail.contains(&format!("{stored} of {ROWS} rows were stored")), "{detail}");
        assert_eq!(spooled(&server.home.data()), [] as [String; 0]);
    }
    // What was stored stays.
    system.write(&[("integrations/upload.toml", &csv_integration())]);
    system.reload();
    assert_eq!(system.attributes("u0")["upload"]["Seats"], 0);
    assert_eq!(system.attributes(&format!("u{}", ROWS - 1)), Value::Null);
}

#[test]
fn a_change_that_leaves_the_meaning_of_rows_is_none_to_an_import() {
    let server = server();
    let system = server.system("s");
    let id = begin(&system, "", rows(ROWS));
    some_are_stored(&system, &id);
    let renamed = format!("name = \"Another\"\n{}", csv_integration());
    system.write(&[("integrations/upload.toml", &renamed), ("segments/big.rhai", &segment("upload.Seats >= 50"))]);
    system.reload();
    came_to(&ended(&system.client, &id), "done", [ROWS as u64, ROWS as u64, 0]);
    assert_eq!(system.segments("u60"), ["big"]);
}

#[test]
fn who_is_deleted_meanwhile_does_not_come_back_by_the_import() {
    let server = server();
    let system = server.system("s");
    let last = ROWS - 1;
    let (first, last) = ("u0".to_owned(), format!("u{last}"));
    system.update("crm", &json!([{ "Email": last, "Seats": 1 }])).counts();
    let id = begin(&system, "", rows(ROWS));
    some_are_stored(&system, &id);
    for gone in [&first, &last] {
        system.client.delete(&system.public(&format!("end-users/{gone}"))).is(204);
    }
    assert_eq!(look(&system.client, &id)["state"], "applying", "the file is too small for this test");
    drop(system);
    server.kill();
    let server = server.start_again();
    let system = server.system("s");
    came_to(&ended(&system.client, &id), "done", [ROWS as u64, ROWS as u64 - 1, 0]);
    for gone in [&first, &last] {
        system.end_user(gone).problem(404);
    }
    // A later file is another matter.
    came_to(&super::import(&system, "", format!("email,Seats\n{last},2\n")), "done", [1, 1, 0]);
    assert_eq!(system.attributes(&last), json!({ "upload": { "Seats": 2 } }));
}
