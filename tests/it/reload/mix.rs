//! Under callers, a swap of the rules is seen whole or not at all.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::support::{Server, integration, segment, swap_link, write_tree};

/// Two versions of a system, each consistent: what a page load and an end user may look like under each.
fn consistent_version(b: bool) -> Vec<(String, String)> {
    let (kind, left, extra) = if b {
        ("string", "crm.Seats == \"61\"", "crm.Seats == \"60\"")
    } else {
        ("number", "crm.Seats >= 50", "crm.Seats < 0")
    };
    vec![
        ("s/integrations/crm.toml".to_owned(), integration("Email", &[("Seats", "", kind)])),
        ("s/segments/left.rhai".to_owned(), segment(left)),
        ("s/segments/mid.rhai".to_owned(), segment(extra)),
        ("s/segments/right.rhai".to_owned(), segment(left)),
    ]
}

#[test]
fn under_fifty_swaps_no_caller_sees_a_mix() {
    const SWAPS: usize = 50;
    let home = Server::with::<&str, &str>(&[]).home();
    let root = home.rules();
    for (number, b) in [(0, false), (1, true)] {
        write_tree(&root.join(format!("..v{number}")), &consistent_version(b));
    }
    symlink("..v0", root.join("..data")).unwrap();
    symlink("..data/s", root.join("s")).unwrap();
    let server = home.start();
    let system = server.system("s");
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    let a = json!({ "seats": 60, "segments": ["left", "right"] });
    let b = json!({ "seats": "60", "segments": ["mid"] });

    let (done, seen_a, seen_b) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let caller = || {
        let mut mixes = BTreeSet::new();
        while !done.load(Ordering::SeqCst) {
            let end_user = system.end_user("a").is(200);
            let seen = json!({ "seats": end_user["attributes"]["crm"]["Seats"], "segments": end_user["segments"] });
            let page = system.page_load("a")["segments"].clone();
            if seen == a {
                seen_a.fetch_add(1, Ordering::SeqCst);
            } else if seen == b {
                seen_b.fetch_add(1, Ordering::SeqCst);
            } else {
                mixes.insert(seen.to_string());
            }
            if page != a["segments"] && page != b["segments"] {
                mixes.insert(page.to_string());
            }
        }
        mixes
    };
    let mixes: BTreeSet<String> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(caller)).collect();
        let swaps = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for swap in 1..=SWAPS {
                swap_link(&root.join("..data"), &format!("..v{}", swap % 2));
                // Every third swap comes on the heels of the one before.
                if swap % 3 != 0 {
                    let expected: &[&str] = if swap % 2 == 0 { &["left", "right"] } else { &["mid"] };
                    system.segments_become("a", expected);
                }
            }
        }));
        done.store(true, Ordering::SeqCst);
        let mixes = callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect();
        if let Err(panic) = swaps {
            std::panic::resume_unwind(panic);
        }
        mixes
    });
    assert!(mixes.is_empty(), "mixes were seen: {mixes:?}");
    assert!(seen_a.into_inner() > 0 && seen_b.into_inner() > 0, "both versions were seen");
    assert_eq!(system.report()["errors"], json!([]));
}
