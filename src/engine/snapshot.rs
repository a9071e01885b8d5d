//! What readers see: one immutable view of every system, shared by all and never locked.
//!
//! A system's end users stand in rows, rows in chunks of [`ROWS`], and a chunk holds a [`Column`] for each
//! column that has a value in it. Everything is behind `Arc`s and copied on write, so a snapshot costs a
//! writer only the chunks that it touches, and a reader nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalogue::{CREATED, IDS, SharedCatalogue, UPDATED};
use super::column::{CellRef, Column, ROWS};
use super::index::Index;
use super::live::Live;
use crate::model::{AttributeId, AttributeType, Date, EndUserId, IntegrationId, SystemId, Timestamp, Value};
use crate::store::{ColumnNo, RowNo, SystemNo};

/// Up to [`ROWS`] end users: their columns, by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chunk {
    /// The first column, the identifiers: finding anybody reads it, so it is one wait for memory nearer.
    ids: Option<Arc<Column>>,
    /// The columns behind it.
    others: Arc<[Option<Arc<Column>>]>,
}

impl Chunk {
    /// One past the highest column that may have a value.
    pub(crate) fn width(&self) -> usize {
        self.others.len() + 1
    }
    pub(crate) fn column(&self, no: ColumnNo) -> Option<&Column> {
        match no.checked_sub(1) {
            None => self.ids.as_deref(),
            Some(other) => self.others.get(other as usize)?.as_deref(),
        }
    }
    pub(crate) fn columns(&self) -> impl Iterator<Item = (ColumnNo, &Arc<Column>)> {
        let columns = std::iter::once(&self.ids).chain(self.others.iter());
        columns.enumerate().filter_map(|(no, column)| Some((no as ColumnNo, column.as_ref()?)))
    }
    /// The place of a column, made if it is not there yet.
    pub(crate) fn place(&mut self, no: ColumnNo) -> Option<&mut Option<Arc<Column>>> {
        let Some(other) = no.checked_sub(1).map(|other| other as usize) else { return Some(&mut self.ids) };
        if self.others.len() <= other {
            let more = std::iter::repeat_n(None, other + 1 - self.others.len());
            self.others = self.others.iter().cloned().chain(more).collect();
        }
        Arc::make_mut(&mut self.others).get_mut(other)
    }
    pub(crate) fn get(&self, row: usize, no: ColumnNo) -> Option<CellRef<'_>> {
        self.column(no)?.get(row)
    }
}

/// Splits a row's number into its chunk's and its place there.
pub(crate) fn locate(row: RowNo) -> (usize, usize) {
    (row as usize / ROWS, row as usize % ROWS)
}

/// One system's end users.
#[derive(Debug, Clone, Default)]
pub struct SystemData {
    pub(crate) no: SystemNo,
    pub(crate) catalogue: SharedCatalogue,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) index: Arc<Index>,
}

impl SystemData {
    /// The end user with this identifier.
    #[must_use]
    pub fn find(&self, id: &EndUserId) -> Option<EndUser<'_>> {
        self.find_row(id.as_str()).map(|row| EndUser { system: self, row })
    }

    /// How many end users there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.index.len() as u64
    }

    /// Whether there is no end user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn find_row(&self, id: &str) -> Option<RowNo> {
        self.find_row_and(id, |_| ())
    }

    /// The same, where `meanwhile` is done with what is most probably the row, before it is known to be.
    pub(crate) fn find_row_and(&self, id: &str, meanwhile: impl Fn(RowNo)) -> Option<RowNo> {
        self.index.find(id, |row| {
            meanwhile(row);
            self.raw_id(row)
        })
    }

    /// A row's identifier; empty when nobody stands there.
    pub(crate) fn id(&self, row: RowNo) -> &str {
        let (chunk, at) = locate(row);
        self.chunks.get(chunk).and_then(|chunk| chunk.column(IDS)?.text(at)).unwrap_or_default()
    }

    /// A row's identifier in bytes.
    fn raw_id(&self, row: RowNo) -> &[u8] {
        let (chunk, at) = locate(row);
        self.chunks.get(chunk).and_then(|chunk| Some(chunk.column(IDS)?.raw_text(at))).unwrap_or_default()
    }

    pub(crate) fn cell(&self, row: RowNo, no: ColumnNo) -> Option<CellRef<'_>> {
        let (chunk, at) = locate(row);
        self.chunks.get(chunk)?.get(at, no)
    }

    fn time(&self, row: RowNo, no: ColumnNo) -> Option<Timestamp> {
        match self.cell(row, no)? {
            CellRef::Int(millis) => Some(Timestamp::from_millis(millis)),
            _ => None,
        }
    }
}

/// One end user in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct EndUser<'a> {
    system: &'a SystemData,
    row: RowNo,
}

impl<'a> EndUser<'a> {
    pub(crate) fn at(system: &'a SystemData, row: RowNo) -> Self {
        Self { system, row }
    }
    pub(crate) fn row(&self) -> RowNo {
        self.row
    }
}

impl EndUser<'_> {
    /// The identifier.
    #[must_use]
    pub fn id(&self) -> &str {
        self.system.id(self.row)
    }

    /// When the end user came to be.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.system.time(self.row, CREATED).unwrap_or_default()
    }

    /// When an attribute of the end user last changed.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.system.time(self.row, UPDATED).unwrap_or_default()
    }

    /// When the integration last changed the end user.
    #[must_use]
    pub fn set_at(&self, integration: &IntegrationId) -> Option<Timestamp> {
        self.system.time(self.row, self.system.catalogue.set_at(integration)?)
    }

    /// The stored value of an attribute, read as `kind`: a value stored under another type goes through the
    /// coercion table, and one that does not fit is hidden.
    #[must_use]
    pub fn value(&self, attribute: &AttributeId, kind: AttributeType) -> Option<Value> {
        let typed = self.system.catalogue.typed(attribute);
        let stored = |no, kind| self.system.cell(self.row, no).and_then(|cell| value_of(cell, kind));
        if let Some(value) = typed.of(kind).and_then(|no| stored(no, kind)) {
            return Some(value);
        }
        AttributeType::ALL
            .into_iter()
            .filter(|other| *other != kind)
            .find_map(|other| stored(typed.of(other)?, other))?
            .read_as(kind)
    }
}

/// A cell as a value of its column's type.
pub(crate) fn value_of(cell: CellRef<'_>, kind: AttributeType) -> Option<Value> {
    match (cell, kind) {
        (CellRef::String(text), AttributeType::String) => Some(Value::String(Arc::from(text))),
        (CellRef::Number(number), AttributeType::Number) => Some(Value::Number(number)),
        (CellRef::Int(days), AttributeType::Date) => {
            i32::try_from(days).ok().and_then(Date::from_days).map(Value::Date)
        }
        _ => None,
    }
}

/// Every system as it was after one commit.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Number of the journal entry up to which it stands.
    pub(crate) commit: u64,
    pub(crate) systems: BTreeMap<SystemId, Arc<SystemData>>,
    /// The rules of each system that has some, and who is in which segment by them.
    pub(crate) live: BTreeMap<SystemId, Arc<Live>>,
}

impl Snapshot {
    /// A system's end users; `None` while nothing was ever stored in it.
    #[must_use]
    pub fn system(&self, id: &SystemId) -> Option<&Arc<SystemData>> {
        self.systems.get(id)
    }

    /// How many end users there are in all systems together.
    #[must_use]
    pub fn end_users(&self) -> u64 {
        self.systems.values().map(|system| system.len()).sum()
    }
}
