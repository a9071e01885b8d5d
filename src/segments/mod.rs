//! Segment rules. STUB: interface only.
#![allow(missing_docs, unused, clippy::todo)]
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use crate::model::{AttributeId, AttributeName, AttributeType, Date, IntegrationId, SegmentId, Value};

/// What rules may name.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Each integration's attributes and their types (disabled integrations have none and count as unknown).
    pub integrations: BTreeMap<IntegrationId, BTreeMap<AttributeName, AttributeType>>,
    /// Every segment of the system.
    pub segments: BTreeSet<SegmentId>,
}
/// A mistake in a rule, at a place (lines and columns from 1; 0 when the whole file is meant).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError { pub line: usize, pub column: usize, pub message: String, pub hint: Option<String> }
/// One compiled rule.
#[derive(Clone)]
pub struct Segment { pub id: SegmentId, pub name: String, pub description: String, pub text: Arc<str> /* private: ast, reads, depends_on ... */ }
impl Segment {
    /// Parses, checks names and types, and tries the rule on rows of missing and of sample values.
    pub fn compile(id: SegmentId, text: &str, schema: &Schema) -> Result<Self, Vec<RuleError>> { todo!() }
    pub fn reads(&self) -> &[AttributeId] { todo!() }
    pub fn depends_on(&self) -> &[SegmentId] { todo!() }
    pub fn uses_today(&self) -> bool { todo!() }
}
/// A system's segments in an order in which each comes after those that it asks about.
pub struct SegmentSet { }
impl SegmentSet {
    /// Orders the segments. Errors name the cycle, one per segment on it.
    pub fn new(segments: Vec<Segment>) -> Result<Self, Vec<(SegmentId, RuleError)>> { todo!() }
    pub fn iter(&self) -> impl Iterator<Item = &Segment> { [].iter() }
    pub fn get(&self, id: &SegmentId) -> Option<&Segment> { todo!() }
    /// Every attribute that some segment reads, without repeats.
    pub fn reads(&self) -> &[AttributeId] { todo!() }
    /// Judges every segment for one end user.
    pub fn judge(&self, facts: &dyn Facts, today: Date) -> Judged { todo!() }
}
/// One end user's values.
pub trait Facts { fn value(&self, attribute: &AttributeId) -> Option<Value>; }
/// The segments that an end user is in (ids in alphabetical order), and rules that failed, with why.
#[derive(Debug, Default)]
pub struct Judged { pub members: Vec<SegmentId>, pub failures: Vec<(SegmentId, String)> }
