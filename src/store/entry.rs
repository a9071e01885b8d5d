//! What a journal entry says: the physical changes of one commit.
//!
//! Owns the form of entries on disk (short names, one MessagePack map a change); knows nothing of how they are kept.
//! Invariant: every change names rows and columns by number, so that applying an entry twice is the same as once.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
    #[serde(rename = "sys")]
    System {
        /// Its number.
        no: SystemNo,
        /// Its id.
        id: String,
    },
    /// A column gets its number. One attribute has a column for each type that it ever had.
    #[serde(rename = "col")]
    Column {
        /// The system that it belongs to.
        system: SystemNo,
        /// Its number.
        no: ColumnNo,
        /// The attribute's integration.
        integration: String,
        /// The attribute's name.
        name: String,
        /// The attribute's type, as the engine numbers types.
        kind: u8,
    },
    /// Values of one end user.
    #[serde(rename = "put")]
    Put {
        /// The system.
        #[serde(rename = "s")]
        system: SystemNo,
        /// The end user's row.
        #[serde(rename = "r")]
        row: RowNo,
        /// The identifier, when the end user comes to be.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        id: Option<Arc<str>>,
        /// The columns' integration (`integration`'s number in the catalogue), whose `set_at` moves to the entry's time.
        #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
        touched: Option<u32>,
        /// Cells set.
        #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
        sets: Vec<(ColumnNo, Cell)>,
        /// Cells emptied.
        #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
        clears: Vec<ColumnNo>,
    },
    /// Many end users were written at once.
    #[serde(rename = "sheet")]
    Sheet {
        /// The system.
        #[serde(rename = "s")]
        system: SystemNo,
        /// The columns' integration, as in [`Op::Put`].
        #[serde(rename = "t")]
        touched: ColumnNo,
        /// Their rows and values, in the engine's form.
        #[serde(rename = "w", with = "serde_bytes")]
        written: Vec<u8>,
    },
    /// The end user is gone; the row may be used again.
    #[serde(rename = "del")]
    Delete {
        /// The system.
        #[serde(rename = "s")]
        system: SystemNo,
        /// The end user's row.
        #[serde(rename = "r")]
        row: RowNo,
    },
    /// A column's values go, and its number is never used again.
    #[serde(rename = "drop")]
    DropColumn {
        /// The system.
        #[serde(rename = "s")]
        system: SystemNo,
        /// The column.
        no: ColumnNo,
    },
    /// A small record is put (or removed, with `None`) in a table.
    #[serde(rename = "rec")]
    Record {
        /// The table.
        #[serde(rename = "t")]
        table: Table,
        /// The record's key within its table.
        #[serde(rename = "k", with = "serde_bytes")]
        key: Vec<u8>,
        /// What to keep under it.
        #[serde(rename = "v", with = "serde_bytes")]
        value: Option<Vec<u8>>,
    },
    /// End users entered and left segments for one cause. Says nothing that replaying must do: it is what followers are
    /// told.
    #[serde(rename = "mov")]
    Moves {
        /// The system.
        #[serde(rename = "s")]
        system: SystemNo,
        /// The number of the first of these moves in its system; the others follow on.
        #[serde(rename = "n")]
        first: u64,
        /// The segments, which `moved` names by their place here.
        #[serde(rename = "m", default)]
        segments: Vec<Arc<str>>,
        /// Each end user with the segments entered and those left, in the order of the moves' numbers.
        #[serde(rename = "w", default)]
        moved: Vec<(Arc<str>, Vec<u16>, Vec<u16>)>,
        /// Why.
        #[serde(rename = "c")]
        cause: Arc<Cause>,
    },
    /// The moves of a system so far are to be told no more: those of one end user who is gone, or all.
    #[serde(rename = "fgt")]
    Forget {
        /// The system.
        #[serde(rename = "s")]
        system: SystemNo,
        /// The end user; `None`: everyone, as what came next could not be followed.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        id: Option<Arc<str>>,
        /// The number of the first move that is told again.
        #[serde(rename = "n")]
        before: u64,
    },
    /// An integration gets its number (for `set_at`).
    #[serde(rename = "int")]
    Integration {
        /// The system that it belongs to.
        system: SystemNo,
        /// Its number.
        no: u32,
        /// Its id.
        id: String,
    },
}

/// Why an end user entered or left a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// An integration changed attributes.
    #[serde(rename = "u")]
    Update {
        /// The integration.
        #[serde(rename = "i")]
        integration: Arc<str>,
        /// The attributes' names.
        #[serde(rename = "a")]
        attributes: Vec<Arc<str>>,
    },
    /// The rules changed to this revision.
    #[serde(rename = "r")]
    Rules(Arc<str>),
    /// It became this day.
    #[serde(rename = "d")]
    Day(Arc<str>),
}

/// A stored value in a journal entry. On disk it is a bare text, float or integer, so the three can't be mistaken.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    S(Arc<str>),
    /// A number.
    N(f64),
    /// Days since 1970-01-01.
    D(i32),
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::S(text) => serializer.serialize_str(text),
            Self::N(number) => serializer.serialize_f64(*number),
            Self::D(days) => serializer.serialize_i32(*days),
        }
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl Visitor<'_> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text, a float, or an integer of days")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::S(text.into()))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Cell, E> {
        Ok(Cell::N(number))
    }
    fn visit_i64<E: Error>(self, days: i64) -> Result<Cell, E> {
        i32::try_from(days).map(Cell::D).map_err(|_| E::custom("a day beyond the calendar"))
    }
    fn visit_u64<E: Error>(self, days: u64) -> Result<Cell, E> {
        i32::try_from(days).map(Cell::D).map_err(|_| E::custom("a day beyond the calendar"))
    }
}

/// The tables of small records: the whole catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// OAuth clients, by client id.
    Clients,
    /// Operators, by username.
    Users,
    /// Rotation numbers of integration tokens, by `system/integration`, and of browser keys, by `system`.
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
    /// CSV imports, by import id.
    Imports,
    /// Saved filters, by `system/filter`.
    Filters,
    /// Hourly counts of segments, by `system/segment`.
    History,
    /// Operators' sessions, by the hash of their id.
    Sessions,
    /// Letters that wait to be sent, by time and number.
    Mail,
    /// Who did what, by time and number.
    Audit,
    /// Requests for access, by id.
    AccessRequests,
    /// Who entered and left segments lately, by system and block.
    Events,
}

impl Table {
    /// The byte that stands for it in keys on disk. Never reused for another table.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Clients => 1,
            Self::Users => 2,
            Self::Rotations => 3,
            Self::Idempotency => 4,
            Self::LastGood => 5,
            Self::Calls => 6,
            Self::Revoked => 7,
            Self::Server => 8,
            Self::Imports => 9,
            Self::Filters => 10,
            Self::History => 11,
            Self::Sessions => 12,
            Self::Mail => 13,
            Self::Audit => 14,
            Self::AccessRequests => 15,
            Self::Events => 16,
        }
    }
}
