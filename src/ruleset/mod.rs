//! The files of a system. STUB: interface only.
#![allow(missing_docs, unused, clippy::todo)]
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use crate::model::*;
use crate::segments::{Facts, Schema, SegmentSet};

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
pub struct Loader { }
pub struct RulesService { }
#[derive(Debug, thiserror::Error)] #[error("stub")]
pub struct WriteRefused;
impl RulesService {
    pub fn live(&self) -> Arc<LiveRules> { todo!() }
    /// Re-reads the disk now; returns when what is there has gone live or been refused.
    pub fn reload(&self) -> Arc<LiveRules> { todo!() }
}
