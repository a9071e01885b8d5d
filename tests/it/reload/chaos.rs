//! Rules edited in every bad way while pages load: nobody sees a mix, and the last good version stays.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::support::{Ask, Server, crm, nightly, segment, swap_link, write_tree};

/// Edits.
fn edits() -> usize {
    if nightly() { 1_000 } else { 50 }
}

/// A version in which the end user is in both segments, or in neither.
fn version(both: bool) -> Vec<(String, String)> {
    let rule = if both { "crm.Seats >= 50" } else { "crm.Seats >= 5000" };
    vec![
        ("s/integrations/crm.toml".to_owned(), crm()),
        ("s/segments/left.rhai".to_owned(), segment(rule)),
        ("s/segments/right.rhai".to_owned(), segment(rule)),
    ]
}

#[test]
fn under_edits_of_every_kind_nobody_sees_a_mix_and_the_last_good_stays() {
    let home = Server::with::<&str, &str>(&[]).home();
    let root = home.rules();
    write_tree(&root.join("..v0"), &version(true));
    std::os::unix::fs::symlink("..v0", root.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/s", root.join("s")).unwrap();
    let server = home.start();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    let (done, loads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let path = system.public("end-users/a/segments");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let reply = system.client.request(reqwest::Method::GET, &path).ask().is(200);
                    let seen = &reply["segments"];
                    let whole = *seen == json!(["left", "right"]) || *seen == json!([]);
                    if !whole {
                        done.store(true, Ordering::SeqCst);
                        panic!("a mix: {reply}");
                    }
                    loads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut both = true;
        for edit in 1..=edits() {
            if done.load(Ordering::SeqCst) {
                break;
            }
            let live = root.join("..data").canonicalize().unwrap().join("s");
            let left = live.join("segments/left.rhai");
            match edit % 5 {
                // Half of a file, as an editor that writes in place leaves it for a moment.
                1 => fs::write(&left, "// left\ncrm.Seats >=").unwrap(),
                // Something that was never a rule.
                2 => fs::write(live.join("segments/Stray File.rhai"), "?").unwrap(),
                // An integration that is gone while segments need it.
                3 => fs::remove_file(live.join("integrations/crm.toml")).unwrap(),
                // A whole new version by the swap of a link.
                _ => {
                    both = !both;
                    let name = format!("..v{edit}");
                    write_tree(&root.join(&name), &version(both));
                    let old = fs::read_link(root.join("..data")).unwrap();
                    swap_link(&root.join("..data"), &name);
                    system.segments_become("a", if both { &["left", "right"] } else { &[] });
                    fs::remove_dir_all(root.join(old)).unwrap();
                    continue;
                }
            }
            crate::support::eventually("the mistake is told", || {
                let errors = system.report()["errors"].clone();
                if errors.as_array().is_some_and(|errors| !errors.is_empty()) {
                    Ok(())
                } else {
                    Err(errors.to_string())
                }
            });
            let expected: &[&str] = if both { &["left", "right"] } else { &[] };
            assert_eq!(system.segments("a"), expected, "the last good one stays, edit {edit}");
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(loads.load(Ordering::SeqCst) > 0);
}
