//! The end users of a large call as columns, and the same once their rows are known: how many rows are stored at once.
//!
//! Owns the form of both, the second also as the journal keeps it. Knows nothing of systems or of how rows are found.
//! Invariant: an end user stands at the same place in every part.

use serde::{Deserialize, Serialize};

use super::column::{Bits, CellRef, Column};
use super::snapshot::value_of;
use super::texts::Texts;
use crate::model::{AttributeType, EndUserId, Value};
use crate::store::{ColumnNo, RowNo};

/// Cells of a sheet that cost as much as one of a single record: to hold, to store, and to read back after a crash.
const CELLS_FOR_ONE: usize = 8;

/// Values of many end users, attribute by attribute.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    ids: Texts,
    columns: Vec<Given>,
    /// Where the last value went: the next one mostly goes to the column behind it.
    last: usize,
}

/// The values of an attribute, of one type.
#[derive(Debug, Clone)]
struct Given {
    /// The attribute's place among the declared ones.
    place: usize,
    kind: AttributeType,
    values: Column,
}

/// The rows of one commit that were written together, as the journal keeps them.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Everybody's row.
    #[serde(rename = "r")]
    pub(crate) rows: Vec<RowNo>,
    /// Who came to be.
    #[serde(rename = "n")]
    pub(crate) created: Bits,
    #[serde(rename = "i")]
    pub(crate) ids: Texts,
    /// Values by column.
    #[serde(rename = "v")]
    pub(crate) sets: Vec<(ColumnNo, Column)>,
    /// Whose value goes, by column.
    #[serde(rename = "c")]
    pub(crate) clears: Vec<(ColumnNo, Bits)>,
}

/// A value as a column takes it.
fn cell_of(value: &Value) -> CellRef<'_> {
    match value {
        Value::String(text) => CellRef::String(text),
        Value::Number(number) => CellRef::Number(*number),
        Value::Date(date) => CellRef::Int(i64::from(date.days())),
    }
}

impl Sheet {
    /// Adds an end user with values, each attribute once, by its place among the declared ones.
    pub fn push(&mut self, id: &EndUserId, sets: impl IntoIterator<Item = (usize, Value)>) {
        let row = self.len();
        self.ids.push(id.as_str());
        for (place, value) in sets {
            let at = self.place_of(place, value.kind());
            if let Some(given) = self.columns.get_mut(at) {
                given.values.set(row, cell_of(&value));
            }
        }
    }

    fn place_of(&mut self, place: usize, kind: AttributeType) -> usize {
        let is_it = |at: &usize| self.columns.get(*at).is_some_and(|given| (given.place, given.kind) == (place, kind));
        let known = (self.last..self.columns.len()).chain(0..self.last).find(is_it);
        let at = known.unwrap_or_else(|| {
            self.columns.push(Given { place, kind, values: Column::of(kind) });
            self.columns.len() - 1
        });
        self.last = at;
        at
    }

    /// How many end users it has, those named more than once counted each time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much work and memory it is, in cells of single records.
    pub(super) fn cells(&self) -> usize {
        self.len() * (self.columns.len() + 1) / CELLS_FOR_ONE
    }

    /// The identifiers, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.iter()
    }

    /// The identifier at a place.
    pub(super) fn id(&self, at: usize) -> &str {
        self.ids.get(at)
    }

    /// An end user's value of an attribute, if it is of that type.
    #[must_use]
    pub fn value(&self, at: usize, place: usize, kind: AttributeType) -> Option<Value> {
        value_of(self.values(place, kind)?.get(at)?, kind)
    }

    /// An attribute's values of a type.
    pub(super) fn values(&self, place: usize, kind: AttributeType) -> Option<&Column> {
        let given = self.columns.iter().find(|given| (given.place, given.kind) == (place, kind));
        given.map(|given| &given.values)
    }

    /// Whether an end user has any value.
    pub(super) fn has_values(&self, at: usize) -> bool {
        self.columns.iter().any(|given| given.values.present().get(at))
    }

    /// Keeps the end users for whom `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let kept: Vec<usize> = (0..self.len()).filter(|at| keep(self.ids.get(*at))).collect();
        if kept.len() < self.len() {
            *self = self.select(&kept);
        }
    }

    /// Those at some places, in that order.
    pub(super) fn select(&self, places: &[usize]) -> Self {
        let mut ids = Texts::default();
        places.iter().for_each(|at| ids.push(self.ids.get(*at)));
        let moves: Vec<(usize, usize)> = places.iter().copied().zip(0..).collect();
        let columns = self.columns.iter().map(|given| {
            let mut values = Column::of(given.kind);
            values.take(&given.values, &moves);
            Given { values, ..*given }
        });
        Self { ids, columns: columns.collect(), last: 0 }
    }

    /// The identifiers, and the values by the attribute's place and type.
    pub(super) fn into_parts(self) -> (Texts, impl Iterator<Item = (usize, AttributeType, Column)>) {
        (self.ids, self.columns.into_iter().map(|given| (given.place, given.kind, given.values)))
    }
}
