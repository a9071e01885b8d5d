//! Durability around sled. STUB: interface only.
#![allow(missing_docs, unused, clippy::todo)]

use serde::{Deserialize, Serialize};

/// A column's place in its system's catalogue.
pub type ColumnNo = u32;
/// A system's place in the store's catalogue.
pub type SystemNo = u32;
/// An end user's place in its system.
pub type RowNo = u32;

/// One commit: everything in it becomes durable and visible at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was made, in milliseconds since 1970 UTC.
    pub at: i64,
    /// What it does, in order. Physical: rows and columns are named by number, so that replaying is idempotent.
    pub ops: Vec<Op>,
}

/// One change of an [`Entry`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// A system gets its number.
    System { no: SystemNo, id: String },
    /// A column gets its number. One attribute has a column for each type that it ever had.
    Column { system: SystemNo, no: ColumnNo, integration: String, name: String, kind: u8 },
    /// Values of one end user.
    Put {
        system: SystemNo,
        row: RowNo,
        /// The identifier, when the end user comes to be.
        id: Option<String>,
        /// The columns' integration (`integration`'s number in the catalogue), whose `set_at` moves to the entry's time.
        touched: Option<u32>,
        /// Cells set.
        sets: Vec<(ColumnNo, Cell)>,
        /// Cells emptied.
        clears: Vec<ColumnNo>,
    },
    /// The end user is gone; the row may be used again.
    Delete { system: SystemNo, row: RowNo },
    /// A column's values go, and its number is never used again.
    DropColumn { system: SystemNo, no: ColumnNo },
    /// A small record is put (or removed, with `None`) in a table.
    Record { table: Table, key: Vec<u8>, value: Option<Vec<u8>> },
    /// An integration gets its number (for `set_at`).
    Integration { system: SystemNo, no: u32, id: String },
}

/// A stored value in a journal entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// Text.
    S(std::sync::Arc<str>),
    /// A number.
    N(f64),
    /// Days since 1970-01-01.
    D(i32),
}

/// The tables of small records: the whole catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Table {
    /// OAuth clients, by client id.
    Clients,
    /// Operators, by username.
    Users,
    /// Rotation numbers of integration tokens, by `system/integration`.
    Rotations,
    /// Answers kept for `Idempotency-Key`, by client and key.
    Idempotency,
    /// Last good files of each system, by system id.
    LastGood,
    /// Recent calls of each integration, by `system/integration`.
    Calls,
    /// Revoked access tokens, by their id.
    Revoked,
    /// Single values of the server, by name.
    Server,
}

/// The open store.
#[derive(Debug)]
pub struct Store {}
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("full")]
    DiskFull { free_mib: u64 },
    #[error("{0}")]
    Damaged(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
impl StoreError {
    pub fn damaged(what: String) -> Self {
        Self::Damaged(what)
    }
}
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct PieceKey {
    pub system: SystemNo,
    pub chunk: u32,
    pub column: ColumnNo,
}
pub struct Checkpoint<'a>(&'a Store);
impl Store {
    pub fn open(folder: &std::path::Path, options: &Options) -> Result<Store, StoreError> {
        todo!()
    }
    pub fn is_new(&self) -> bool {
        todo!()
    }
    pub fn last(&self) -> u64 {
        todo!()
    }
    pub fn manifest<M: serde::de::DeserializeOwned>(&self) -> Result<Option<(u64, M)>, StoreError> {
        todo!()
    }
    pub fn pieces<T: serde::de::DeserializeOwned>(
        &self,
        each: impl FnMut(PieceKey, T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        todo!()
    }
    pub fn replay(&self, after: u64, each: impl FnMut(u64, Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        todo!()
    }
    pub fn append(&self, after: u64, entry: &Entry) -> Result<u64, StoreError> {
        todo!()
    }
    pub fn checkpoint(&self) -> Checkpoint<'_> {
        todo!()
    }
    pub fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        todo!()
    }
    pub fn records(&self, table: Table) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        todo!()
    }
    pub fn failed(&self) -> Option<String> {
        todo!()
    }
    pub fn size_on_disk(&self) -> u64 {
        todo!()
    }
    pub fn free_mib(&self) -> Option<u64> {
        todo!()
    }
}
pub struct Options {
    pub cache_mib: u64,
}
impl Checkpoint<'_> {
    pub fn put<T: Serialize>(&mut self, key: PieceKey, piece: &T) -> Result<(), StoreError> {
        todo!()
    }
    pub fn remove(&mut self, key: PieceKey) -> Result<(), StoreError> {
        todo!()
    }
    pub fn finish<M: Serialize>(self, stands_for: u64, manifest: &M) -> Result<(), StoreError> {
        todo!()
    }
}
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(value).map_err(|e| StoreError::Damaged(e.to_string()))
}
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes).map_err(|e| StoreError::Damaged(e.to_string()))
}
