//! What every black-box test stands on: the real binary in a folder of its own, a client for it, and rule files
//! written from strings.
//!
//! Invariant: nothing here waits by sleeping to be ready. The server is ready when it logs `listening`, it is gone when its
//! stderr ends; only what is asynchronous by contract (a change on disk going live) is polled, in [`eventually`].

mod browser;
mod client;
mod operators;
mod poll;
mod process;
mod rules;
mod seeded;
mod server;
mod shim;
mod system;
mod tools;
mod visitor;

pub use browser::Browser;
pub use client::{Ask, Client, Counts, Reply};
pub use operators::{ADMIN, ADMIN_PASSWORD, all_items, entry, fresh, keys, operators, operators_setup, user};
pub use poll::{eventually, nightly};
pub use rules::{crm, integration, property, segment, swap_link, write_tree};
pub use seeded::{PASSWORD, operator, plain, token_in};
pub use server::{CLIENT_ID, CLIENT_SECRET, Home, Server};
pub use shim::{EIO, ENOSPC, Failing, Shim};
pub use system::{System, encode, shared};
pub use tools::{node_packages, python};
pub use visitor::{FIRST_EMAIL, FIRST_PASSWORD, Visitor};
