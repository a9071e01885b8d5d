//! Rules changed on disk: live without a restart, whole or not at all, the last good version when they are broken.
//!
//! How fast is measured elsewhere; here each change is polled for within a generous bound.

mod broken;
mod chaos;
mod disk;
mod mix;
mod slow;
mod values;

use serde_json::{Value, json};

use crate::support::{System, crm, eventually, segment, shared};

pub(super) fn files(rule: &str) -> Vec<(&'static str, String)> {
    vec![("integrations/crm.toml", crm()), ("segments/big.rhai", segment(rule))]
}

/// A system with an end user `a` of 60 seats, who is in `big`.
pub(super) fn system() -> System<'static> {
    let system = shared().add_system(&files("crm.Seats >= 50"));
    system.update("crm", &json!([{ "Email": "a", "Seats": 60 }])).counts();
    assert_eq!(system.segments("a"), ["big"]);
    system
}

/// Waits until the system's report tells errors; gives them.
#[track_caller]
pub(super) fn errors(system: &System<'_>) -> Vec<Value> {
    eventually("errors are told", || match system.report()["errors"].as_array() {
        Some(errors) if !errors.is_empty() => Ok(errors.clone()),
        _ => Err(system.report().to_string()),
    })
}
