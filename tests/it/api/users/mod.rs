//! Operators' accounts over HTTP.

mod escalation;
pub(in crate::api) mod export;
mod invitations;
mod page;
mod table;
mod walk;
