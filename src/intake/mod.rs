//! From outside to changes: the update call's payload, the log of calls, CSV imports, and
//! what an integration could import.
//!
//! Owns the meaning of a payload for an integration: field paths, allow-list, renaming, coercion, and every error
//! of it with a JSON pointer. Refuses to know of HTTP and of where changes go.

pub mod calls;
pub mod imports;
mod json;
mod payload;
mod proposal;

pub use payload::{BadPlace, Call, IntakeError, read_call};
pub use proposal::{LeftOut, Proposal, ProposalError, ProposedField, propose};
