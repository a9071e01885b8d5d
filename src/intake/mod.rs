//! From outside to changes: the update call's payload, the log of calls, and CSV imports.
//!
//! Owns the meaning of a payload for an integration: field paths, allow-list, renaming, coercion, and every error
//! of it with a JSON pointer. Refuses to know of HTTP and of where changes go.

pub mod calls;
pub mod imports;
mod json;
mod payload;

pub use payload::{BadPlace, Call, IntakeError, read_call};
