//! The files of a system. STUB: interface only.
#![allow(missing_docs, unused, clippy::todo)]
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use crate::model::*;
use crate::segments::SegmentSet;

/// One immutable, complete, checked version of a system's files.
pub struct RuleSet {
    pub system: SystemId,
    pub settings: SystemSettings,
    pub integrations: BTreeMap<IntegrationId, Integration>,
    pub segments: SegmentSet,
    /// Hash of the files (hex).
    pub revision: String,
    pub live_since: Timestamp,
    /// The files as read, by path relative to the system's folder (`integrations/crm.toml`).
    pub files: BTreeMap<String, Arc<str>>,
    /// Warnings (over 80 attributes, ...).
    pub warnings: Vec<FileError>,
}
impl RuleSet {
    pub fn attributes_used(&self) -> usize { todo!() }
    /// The type of an attribute of an enabled integration.
    pub fn attribute_type(&self, id: &AttributeId) -> Option<AttributeType> { todo!() }
    pub fn today(&self, now: Timestamp) -> Date { todo!() }
}
pub struct SystemSettings { pub name: String, pub stage: Stage, pub timezone: jiff::tz::TimeZone, pub timezone_name: String, pub identifier_case: IdentifierCase, pub unit_groups: Vec<UnitGroup> }
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)] #[serde(rename_all = "lowercase")]
pub enum Stage { Production, Test }
pub struct UnitGroup { pub id: UnitGroupId, pub name: String, pub rule: String }
pub struct Integration { pub id: IntegrationId, pub name: String, pub description: String, pub kind: IntegrationKind, pub user_identifier: FieldPath, pub enabled: bool, pub properties: Vec<Property> }
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)] #[serde(rename_all = "lowercase")]
pub enum IntegrationKind { Api, Csv }
pub struct Property { pub field: FieldPath, pub name: AttributeName, pub kind: AttributeType, pub description: String }
/// A dot-separated path in a payload, non-empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath(String);
impl FieldPath { pub fn as_str(&self) -> &str { &self.0 } }

/// A mistake in a file. `file` is relative to the rules folder (`default/integrations/crm.toml`); line and column from 1, 0: the whole file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileError { pub file: String, pub line: usize, pub column: usize, pub message: String, pub hint: Option<String> }

/// All that is live, as one immutable value: take it once a request.
#[derive(Default)]
pub struct LiveRules {
    pub systems: BTreeMap<SystemId, Arc<RuleSet>>,
    /// One for each system that is live or was tried, also for folders whose name is no id.
    pub reports: Vec<SystemReport>,
}
/// What `/admin/v1/config` shows of a system.
#[derive(Debug, Clone)]
pub struct SystemReport { pub system: String, pub revision: Option<String>, pub live_since: Option<Timestamp>, pub attributes_used: usize, pub errors: Vec<FileError>, pub warnings: Vec<FileError> }

/// A system's files as text, by path relative to the system's folder. What is kept as last good.
pub type Files = BTreeMap<String, Arc<str>>;
/// Where last good versions are kept (the store, behind this trait).
pub trait LastGood: Send + Sync {
    fn load(&self) -> Result<BTreeMap<SystemId, Files>, String>;
    fn save(&self, system: &SystemId, files: &Files) -> Result<(), String>;
    fn forget(&self, system: &SystemId) -> Result<(), String>;
}
/// How the service behaves.
#[derive(Debug, Clone)]
pub struct RulesOptions { pub watch: bool, pub read_only: bool, pub script_us: u64 }
/// There is no system to serve at all; the reports say what is wrong.
#[derive(Debug, thiserror::Error)] #[error("no system under the rules folder can be served")]
pub struct NothingToServe { pub reports: Vec<SystemReport> }
/// Called with the old and the new rules just before a swap; what it does is done when the swap is seen.
pub type BeforeSwap = Box<dyn Fn(&LiveRules, &LiveRules) + Send + Sync>;
pub struct RulesService { }
impl RulesService {
    /// Loads the tree (last good versions where it is broken) and, with `watch`, follows it on a thread of its own.
    pub fn start(root: PathBuf, last_good: Arc<dyn LastGood>, clock: crate::clock::Clock, options: RulesOptions, before_swap: BeforeSwap) -> Result<Arc<Self>, NothingToServe> { todo!() }
    pub fn live(&self) -> Arc<LiveRules> { todo!() }
    /// Re-reads the disk now; returns when what is there has gone live or been refused. Blocks.
    pub fn reload(&self) -> Arc<LiveRules> { todo!() }
    /// Writes (or with `None` deletes) one rule file: checked with the rest of the system first, atomically, live when this returns. Blocks.
    pub fn write(&self, system: &SystemId, path: &RulePath, text: Option<&str>, if_match: Option<&str>) -> Result<Written, RuleWriteError> { todo!() }
}
/// A rule file's place within its system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulePath { System, Integration(IntegrationId), Segment(SegmentId) }
/// What a write did. `etag` is the hash of the file's text, absent after a deletion.
#[derive(Debug, Clone)]
pub struct Written { pub etag: Option<String>, pub created: bool, pub revision: String }
/// The `ETag` of a rule file's text (without quotes).
pub fn etag(text: &str) -> String { todo!() }
#[derive(Debug, thiserror::Error)]
pub enum RuleWriteError {
    #[error("rules are read-only here (`rules.read_only`): commit the file to Git instead")] ReadOnly,
    #[error("the file was changed meanwhile")] Conflict { current: Option<String> },
    #[error("there is no such file")] NotFound,
    #[error("the rules would not load")] Invalid(Vec<FileError>),
    #[error("the file could not be written: {0}")] Io(String),
}
/// What `rollcall check` says of one system.
#[derive(Debug, Clone)]
pub struct Checked { pub system: String, pub attributes_used: usize, pub integrations: usize, pub segments: usize, pub errors: Vec<FileError>, pub warnings: Vec<FileError> }
/// Checks a whole rules folder without a server.
pub fn check(root: &std::path::Path, options: &RulesOptions) -> Vec<Checked> { todo!() }
