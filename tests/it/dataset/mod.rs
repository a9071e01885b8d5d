//! The benchmark's data set, on which other programs' right answers are known: the engine's counts at 100,000 end users,
//! and the whole server at a million by night.

#[path = "../../../benches/loading/mod.rs"]
mod loading;

mod engine;
mod server;

/// Whether the long forms are wanted.
fn nightly() -> bool {
    std::env::var("ROLLCALL_NIGHTLY").is_ok_and(|value| value == "1")
}
