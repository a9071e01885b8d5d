//! The composition root. STUB: interface only.
#![allow(clippy::todo)]

use crate::config::Config;

/// Runs the server until it is told to stop.
///
/// # Errors
/// What kept it from starting, in words for the operator.
pub fn serve(_config: Config) -> anyhow::Result<()> {
    todo!()
}
