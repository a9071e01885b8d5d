//! Rollcall: what a company knows about its end users, and which segments each belongs to.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "tests may fail loudly"
    )
)]

pub mod accounts;
pub mod app;
pub mod backup;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod filters;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod intake;
pub mod memory;
pub mod model;
pub mod predicate;
pub mod ruleset;
pub mod segments;
pub mod store;
pub mod telemetry;
