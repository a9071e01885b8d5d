//! Operators' accounts over HTTP.

mod escalation;
mod export;
mod invitations;
mod page;
mod table;
mod walk;
