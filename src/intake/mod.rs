//! From outside to changes. STUB: interface only (but `calls` is its own file).
#![allow(missing_docs, unused, clippy::todo)]
pub mod calls;

use crate::engine::Update;
use crate::model::*;
use crate::ruleset::RuleSet;

/// An update call's two properties, `data` not yet looked into.
pub struct Call<'a> { pub token: String, data: &'a serde_json::value::RawValue }
/// One bad place: a JSON pointer into the body (`/data/2/Status`), a stable code, what and how to mend.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BadPlace { pub pointer: String, pub code: String, pub detail: String }
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// 400: not JSON, a duplicate key, or not `{"token": "...", "data": [{...}, ...]}`.
    #[error("{detail}")] Shape { pointer: String, detail: String },
    /// 413.
    #[error("`data` has {count} records; at most {limit} are allowed")] TooManyRecords { count: usize, limit: usize },
    /// 422.
    #[error("{} bad places", .0.len())] Refused(Vec<BadPlace>),
}
/// Reads the outer shape of an update call.
pub fn read_call(body: &[u8]) -> Result<Call<'_>, IntakeError> { todo!() }
impl Call<'_> {
    pub fn len(&self) -> usize { todo!() }
    /// Resolves paths and coerces every record against the integration: all errors, or the update.
    pub fn to_update(&self, rules: &RuleSet, integration: &IntegrationId, limits: &crate::config::Limits) -> Result<Update, IntakeError> { todo!() }
}
