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
pub struct Store { }
