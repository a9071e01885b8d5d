//! Which column is which: every column that a system ever had, by number.
//!
//! Numbers are given once and never used again. The first three columns are every system's own; the others come
//! with the first value stored. One attribute has a column for each type that it ever had, so a column never
//! mixes types, and a type changed back finds its values again.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{Equivalent, HashMap};
use serde::{Deserialize, Serialize};

use super::column::Column;
use crate::model::{AttributeId, AttributeName, AttributeType, IntegrationId};
use crate::store::ColumnNo;

/// Column of the identifiers.
pub(crate) const IDS: ColumnNo = 0;
/// Column of the times at which end users came to be.
pub(crate) const CREATED: ColumnNo = 1;
/// Column of the times of the last change.
pub(crate) const UPDATED: ColumnNo = 2;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Spec {
    Ids,
    Created,
    Updated,
    /// When an integration last changed the end user.
    SetAt(IntegrationId),
    /// An attribute's values of one type.
    Attribute(AttributeId, AttributeType),
    /// A purged column; its number stays taken.
    Dropped,
}

impl Spec {
    /// An empty column for it.
    pub(crate) fn column(&self) -> Column {
        match self {
            Self::Ids => Column::of_ids(),
            Self::Created | Self::Updated | Self::SetAt(_) | Self::Dropped => Column::of_times(),
            Self::Attribute(_, kind) => Column::of(*kind),
        }
    }
}

/// An attribute's columns, by type.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Typed([Option<ColumnNo>; 3]);

impl Typed {
    fn place(kind: AttributeType) -> usize {
        match kind {
            AttributeType::String => 0,
            AttributeType::Number => 1,
            AttributeType::Date => 2,
        }
    }
    pub(crate) fn of(&self, kind: AttributeType) -> Option<ColumnNo> {
        self.0.get(Self::place(kind)).copied().flatten()
    }
    /// The columns of other types than this.
    pub(crate) fn others(&self, kind: AttributeType) -> impl Iterator<Item = ColumnNo> {
        let own = Self::place(kind);
        self.0.iter().enumerate().filter(move |(place, _)| *place != own).filter_map(|(_, column)| *column)
    }
    pub(crate) fn all(&self) -> impl Iterator<Item = ColumnNo> {
        self.0.iter().filter_map(|column| *column)
    }
}

/// A system's columns.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    specs: Vec<Spec>,
    attributes: HashMap<AttributeId, Typed, FixedState>,
    set_at: HashMap<IntegrationId, ColumnNo, FixedState>,
}

/// An attribute's id in two parts, to look it up by.
#[derive(Hash)]
struct Parts<'a>(&'a IntegrationId, &'a AttributeName);

impl Equivalent<AttributeId> for Parts<'_> {
    fn equivalent(&self, id: &AttributeId) -> bool {
        *self.0 == id.integration && *self.1 == id.name
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            specs: vec![Spec::Ids, Spec::Created, Spec::Updated],
            attributes: HashMap::default(),
            set_at: HashMap::default(),
        }
    }
}

impl Catalogue {
    pub(crate) fn specs(&self) -> &[Spec] {
        &self.specs
    }
    pub(crate) fn spec(&self, column: ColumnNo) -> Option<&Spec> {
        self.specs.get(column as usize)
    }
    /// The number that the next new column gets.
    pub(crate) fn next(&self) -> ColumnNo {
        self.specs.len() as ColumnNo
    }
    pub(crate) fn typed(&self, attribute: &AttributeId) -> Typed {
        self.typed_of(&attribute.integration, &attribute.name)
    }
    /// The columns of an integration's attribute.
    pub(crate) fn typed_of(&self, integration: &IntegrationId, name: &AttributeName) -> Typed {
        // `AttributeId` hashes its parts in this order.
        self.attributes.get(&Parts(integration, name)).copied().unwrap_or_default()
    }
    pub(crate) fn set_at(&self, integration: &IntegrationId) -> Option<ColumnNo> {
        self.set_at.get(integration).copied()
    }
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&AttributeId, Typed)> {
        self.attributes.iter().map(|(id, typed)| (id, *typed))
    }

    /// Enters a column at its number; entering the same one again changes nothing.
    pub(crate) fn enter(&mut self, column: ColumnNo, spec: Spec) {
        match &spec {
            Spec::Attribute(id, kind) => {
                let typed = self.attributes.entry(id.clone()).or_default();
                if let Some(place) = typed.0.get_mut(Typed::place(*kind)) {
                    *place = Some(column);
                }
            }
            Spec::SetAt(integration) => {
                self.set_at.insert(integration.clone(), column);
            }
            _ => {}
        }
        while self.specs.len() <= column as usize {
            self.specs.push(Spec::Dropped);
        }
        if let Some(place) = self.specs.get_mut(column as usize) {
            *place = spec;
        }
    }

    /// Forgets a column; its number stays taken.
    pub(crate) fn drop_column(&mut self, column: ColumnNo) {
        if let Some(Spec::Attribute(id, kind)) = self.spec(column).cloned() {
            if let Some(typed) = self.attributes.get_mut(&id) {
                if let Some(place) = typed.0.get_mut(Typed::place(kind)) {
                    *place = None;
                }
                if typed.all().next().is_none() {
                    self.attributes.remove(&id);
                }
            }
            if let Some(place) = self.specs.get_mut(column as usize) {
                *place = Spec::Dropped;
            }
        }
    }

    /// From the form that a checkpoint keeps.
    pub(crate) fn from_specs(specs: Vec<Spec>) -> Self {
        let mut catalogue = Self::default();
        specs.into_iter().enumerate().for_each(|(no, spec)| catalogue.enter(no as ColumnNo, spec));
        catalogue
    }
}

/// A catalogue shared by snapshots.
pub(crate) type SharedCatalogue = Arc<Catalogue>;
