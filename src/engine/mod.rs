//! The attribute engine. STUB: interface only.
#![allow(missing_docs, unused, clippy::todo)]
use std::sync::Arc;
use crate::model::*;
use crate::store::{Op, Store, Table};

/// The live engine; cheap to clone.
#[derive(Clone)]
pub struct Engine { }
impl Engine {
    /// What is readable now: one immutable view of every system.
    pub fn snapshot(&self) -> Arc<Snapshot> { todo!() }
    /// Applies an update: durable and visible when this returns.
    pub async fn update(&self, update: Update) -> Result<Outcome, WriteError> { todo!() }
    /// Deletes an end user; false when unknown.
    pub async fn delete(&self, system: SystemId, id: EndUserId) -> Result<bool, WriteError> { todo!() }
    /// Unsets one attribute of an end user; false when there was nothing to unset.
    pub async fn unset(&self, system: SystemId, id: EndUserId, attribute: AttributeId) -> Result<bool, WriteError> { todo!() }
    /// Writes small records atomically (`None` removes).
    pub async fn write_records(&self, records: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>) -> Result<(), WriteError> { todo!() }
    /// The same from a thread that may block.
    pub fn write_records_blocking(&self, records: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>) -> Result<(), WriteError> { todo!() }
    /// Writes a checkpoint now.
    pub async fn checkpoint(&self) -> Result<(), WriteError> { todo!() }
    /// Deletes the values of every column for which `keep` is false; how many values went.
    pub async fn purge(&self, keep: Arc<dyn Fn(&SystemId, &AttributeId) -> bool + Send + Sync>) -> Result<u64, WriteError> { todo!() }
    pub fn status(&self) -> Status { todo!() }
    pub fn store(&self) -> &Arc<Store> { todo!() }
}
/// How the writer is.
#[derive(Debug, Clone)]
pub struct Status { pub last_commit: u64, pub last_checkpoint: u64, pub queued: usize, pub failed: Option<String> , pub disk_full: bool }
/// One call's changes.
#[derive(Debug, Clone)]
pub struct Update { pub system: SystemId, pub integration: IntegrationId, pub mode: Mode, pub records: Vec<Record>, pub idempotency: Option<Idempotency> }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode { /// attributes not named stay
    Merge, /// the integration's other attributes of that end user are deleted
    Replace }
#[derive(Debug, Clone)]
pub struct Record { pub id: EndUserId, pub sets: Vec<(AttributeName, Value)> }
/// `Idempotency-Key`: who and which key, and a hash of the call, so that another call under the same key is refused.
#[derive(Debug, Clone)]
pub struct Idempotency { pub key: Vec<u8>, pub call_hash: u64 }
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Outcome { pub received: u64, pub created: u64, pub updated: u64, pub unchanged: u64 }
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The queue is full: try again.
    #[error("the write queue is full")] Busy,
    #[error("free disk is below `min_free_mib`")] DiskFull,
    #[error("the store has failed and takes no more writes: {0}")] Failed(String),
    #[error("the Idempotency-Key was used before with another call")] KeyReused,
    #[error("the server is stopping")] Stopping,
}
pub struct Snapshot { }
impl Snapshot { pub fn system(&self, id: &SystemId) -> Option<&Arc<SystemData>> { todo!() } pub fn end_users(&self) -> u64 { todo!() } }
/// One system's end users.
pub struct SystemData { }
impl SystemData {
    pub fn find(&self, id: &EndUserId) -> Option<EndUser<'_>> { todo!() }
    pub fn len(&self) -> u64 { todo!() }
}
/// One end user in a snapshot.
pub struct EndUser<'a> { system: &'a SystemData, row: u32 }
impl EndUser<'_> {
    pub fn created_at(&self) -> Timestamp { todo!() }
    pub fn updated_at(&self) -> Timestamp { todo!() }
    pub fn set_at(&self, integration: &IntegrationId) -> Option<Timestamp> { todo!() }
    /// The stored value of an attribute read as `kind` (a value that does not fit is hidden).
    pub fn value(&self, attribute: &AttributeId, kind: AttributeType) -> Option<Value> { todo!() }
}

/// Which segments an end user is in.
#[derive(Debug, Clone)]
pub struct Membership { pub known: bool, pub segments: Vec<SegmentId>, pub failures: Vec<(SegmentId, String)> }
/// Judges every segment of the system for one end user; an unknown one is judged as having no attributes.
pub fn segments_of(data: Option<&SystemData>, rules: &crate::ruleset::RuleSet, id: &EndUserId, now: Timestamp) -> Membership { todo!() }
