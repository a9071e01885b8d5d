//! Every way in which files change on disk is noticed.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::json;

use super::{files, system};
use crate::support::{Server, crm, eventually, integration, segment, swap_link, write_tree};

#[test]
fn an_edited_rule_goes_live() {
    let system = system();
    let revision = system.report()["revision"].clone();
    let path = system.server.home.rules().join(&system.id).join("segments/big.rhai");
    fs::write(&path, segment("crm.Seats >= 61")).unwrap();
    system.segments_become("a", &[]);
    assert_ne!(system.report()["revision"], revision);
    fs::write(&path, segment("crm.Seats >= 50")).unwrap();
    system.segments_become("a", &["big"]);
    assert_eq!(system.report()["revision"], revision, "the revision is a hash of the files");
}

#[test]
fn a_rename_over_goes_live() {
    let system = system();
    system.write(&[("segments/big.rhai", &segment("crm.Seats >= 61"))]);
    system.segments_become("a", &[]);
    let folder = system.server.home.rules().join(&system.id).join("segments");
    fs::rename(folder.join("big.rhai"), folder.join("large.rhai")).unwrap();
    fs::write(folder.join("large.rhai~"), "an editor's backup").unwrap();
    fs::remove_file(folder.join("large.rhai~")).unwrap();
    system.write(&[("segments/large.rhai", &segment("crm.Seats == 60"))]);
    system.segments_become("a", &["large"]);
}

#[test]
fn several_files_at_once_go_live_together() {
    let system = system();
    let placed = integration("Email", &[("Seats", "Places", "number"), ("Plan", "", "string")]);
    system.write(&[
        ("integrations/crm.toml", &placed),
        ("integrations/billing.toml", &integration("Email", &[("Plan", "", "string")])),
        ("segments/big.rhai", &segment("crm.Places >= 50 && !is_set(billing.Plan)")),
        ("segments/none.rhai", &segment("!is_set(crm.Places)")),
    ]);
    system.segments_become("a", &["none"]);
    assert_eq!(system.report()["attributes_used"], 3);
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    assert_eq!(system.segments("a"), ["big"]);

    let folder = system.server.home.rules().join(&system.id);
    for gone in ["integrations/billing.toml", "segments/none.rhai"] {
        fs::remove_file(folder.join(gone)).unwrap();
    }
    system.write(&files("crm.Seats >= 50").iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>());
    eventually("the old tree is back", || {
        let attributes = system.attributes("a");
        if attributes == json!({ "crm": { "Seats": 60 } }) { Ok(()) } else { Err(attributes.to_string()) }
    });
    assert_eq!(system.segments("a"), ["big"]);
}

#[test]
fn a_new_and_a_removed_system_folder_are_noticed() {
    let server = Server::with(&[("s/integrations/crm.toml", crm())]).start();
    let (s, new) = (server.system("s"), server.system("new"));
    s.client.get(&new.public("end-users/a/segments")).problem(404);
    new.write(&[("integrations/crm.toml", &crm()), ("segments/all.rhai", &segment("true"))]);
    eventually("the new system is live", || {
        let reply = s.client.get(&new.public("end-users/a/segments"));
        if reply.status == 200 { Ok(()) } else { Err(reply.body) }
    });
    assert_eq!(new.segments("a"), ["all"]);
    new.update("crm", &json!([{ "Email": "a", "Seats": 1 }])).counts();
    let token = new.token("crm");

    fs::remove_dir_all(server.home.rules().join("new")).unwrap();
    eventually("the removed system is gone", || {
        let reply = s.client.get(&new.public("end-users/a/segments"));
        if reply.status == 404 { Ok(()) } else { Err(reply.body) }
    });
    s.client.update(&token, &json!([{ "Email": "a", "Seats": 2 }])).problem(403);
    s.client.get(&s.public("end-users/a/segments")).is(200);
    new.write(&[("integrations/crm.toml", &crm())]);
    new.is_live();
    eventually("its values are back", || {
        let attributes = new.attributes("a");
        if attributes == json!({ "crm": { "Seats": 1 } }) { Ok(()) } else { Err(attributes.to_string()) }
    });
}

#[test]
fn kubernetes_swaps_of_the_data_link_go_live() {
    // A mounted map shows each file behind `..data`, a link to a hidden folder; an update swaps that one link.
    for mount in ["", "s"] {
        let home = Server::with(&[("base/integrations/crm.toml", crm())]).home();
        let root = home.rules().join(mount);
        fs::create_dir_all(&root).unwrap();
        let prefix = if mount.is_empty() { "s/" } else { "" };
        let version = |number: usize, rule: &str| {
            let files: Vec<_> = files(rule).into_iter().map(|(path, text)| (format!("{prefix}{path}"), text)).collect();
            write_tree(&root.join(format!("..v{number}")), &files);
        };
        version(1, "crm.Seats >= 50");
        symlink("..v1", root.join("..data")).unwrap();
        for name in if mount.is_empty() { vec!["s"] } else { vec!["integrations", "segments"] } {
            symlink(format!("..data/{name}"), root.join(name)).unwrap();
        }
        let server = home.start();
        let system = server.system("s");
        system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
        assert_eq!(system.segments("a"), ["big"], "mounted at {root:?}");
        for (number, rule, expected) in [(2, "crm.Seats > 60", vec![]), (3, "crm.Seats == 60", vec!["big"])] {
            version(number, rule);
            swap_link(&root.join("..data"), &format!("..v{number}"));
            fs::remove_dir_all(root.join(format!("..v{}", number - 1))).unwrap();
            system.segments_become("a", &expected);
            assert_eq!(system.report()["errors"], json!([]), "mounted at {root:?}");
        }
    }
}

#[test]
fn sighup_and_reload_force_what_is_on_disk() {
    let server = Server::with(&[("s/integrations/crm.toml", crm()), ("s/segments/big.rhai", segment("true"))]).start();
    let system = server.system("s");
    assert_eq!(system.segments("a"), ["big"]);
    system.write(&[("segments/big.rhai", &segment("false"))]);
    system.reload();
    assert_eq!(system.segments("a"), Vec::<String>::new(), "live when the reload is answered");
    system.write(&[("segments/big.rhai", &segment("true"))]);
    server.signal(Signal::HUP);
    system.segments_become("a", &["big"]);
    system.write(&[("segments/big.rhai", "broken(")]);
    let reply = system.client.post_empty("/admin/v1/reload");
    assert!(reply.body.contains("s/segments/big.rhai"), "a reload tells what it found: {reply:?}");
    assert_eq!(system.segments("a"), ["big"]);
}
