//! One version of a system's files, checked and ready to serve.
//!
//! Owns what the rest of the program may ask of it. Invariant: built by `load` alone, never changed afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::attributes;
use super::{FileError, Files, Integration, SystemSettings};
use crate::model::{AttributeId, AttributeType, Date, IntegrationId, SegmentId, SystemId, Timestamp};
use crate::predicate::Names;
use crate::segments::{Schema, SegmentSet};

/// One immutable, complete, checked version of a system's files.
pub struct RuleSet {
    /// The system.
    pub system: SystemId,
    /// Its `system.toml`.
    pub settings: SystemSettings,
    /// Its integrations, disabled ones included.
    pub integrations: BTreeMap<IntegrationId, Integration>,
    /// Its segments.
    pub segments: SegmentSet,
    /// Hash of the files (hex).
    pub revision: String,
    /// Since when this version is served by this process.
    pub live_since: Timestamp,
    /// The files as read, by path relative to the system's folder (`integrations/crm.toml`).
    pub files: Files,
    /// Warnings (over 80 attributes, an integration without properties).
    pub warnings: Vec<FileError>,
}

impl RuleSet {
    /// How many places under the cap are taken: the properties of every integration, disabled ones included.
    #[must_use]
    pub fn attributes_used(&self) -> usize {
        self.integrations.values().map(|integration| integration.properties.len()).sum()
    }

    /// The type of an attribute of an enabled integration; `None` for any other, whose stored values are hidden.
    ///
    /// Rules may name the attributes of a disabled integration, so that disabling one breaks no rule: as this answers
    /// `None` for them, they read as missing.
    #[must_use]
    pub fn attribute_type(&self, id: &AttributeId) -> Option<AttributeType> {
        let integration = self.integrations.get(&id.integration).filter(|integration| integration.enabled)?;
        integration.properties.iter().find(|property| property.name == id.name).map(|property| property.kind)
    }

    /// What a rule of this system may name, for compiling one that is not among its files.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let integrations = self.integrations.iter();
        Schema {
            integrations: integrations.map(|(id, integration)| (id.clone(), attributes(integration))).collect(),
            segments: self.segments.iter().map(|segment| segment.id.clone()).collect(),
        }
    }

    /// The day that it is in the system's time zone: what `today()` means in its rules.
    #[must_use]
    pub fn today(&self, now: Timestamp) -> Date {
        Date::at(now, &self.settings.timezone)
    }

    /// The text of one file, by its path within the system.
    #[must_use]
    pub fn file(&self, path: &super::RulePath) -> Option<&Arc<str>> {
        self.files.get(&path.to_string())
    }
}

/// What a filter may name. As in rules, attributes of a disabled integration may be named, and read as missing.
impl Names for RuleSet {
    fn attribute_type(&self, attribute: &AttributeId) -> Option<AttributeType> {
        let integration = self.integrations.get(&attribute.integration)?;
        integration.property(&attribute.name).map(|property| property.kind)
    }
    fn has_segment(&self, segment: &SegmentId) -> bool {
        self.segments.get(segment).is_some()
    }
    fn attributes(&self) -> Vec<String> {
        let of = |integration: &Integration| {
            let id = integration.id.clone();
            integration.properties.iter().map(move |property| format!("{id}.{}", property.name)).collect::<Vec<_>>()
        };
        self.integrations.values().flat_map(of).collect()
    }
    fn segments(&self) -> Vec<String> {
        self.segments.alphabetical().map(|(id, _)| id.to_string()).collect()
    }
}
