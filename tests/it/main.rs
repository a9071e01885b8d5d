//! Black-box tests: the real binary, its files, HTTP and its command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests may fail loudly"
)]

mod support;

mod api;
mod browser;
mod cli;
mod cli_reading;
mod console;
mod dataset;
mod first_run;
mod mail;
mod matrix;
mod openapi;
mod operators_cli;
mod readme;
mod recovery;
mod reload;
mod segments;
mod sign_in;
mod sso;
mod tidy;
