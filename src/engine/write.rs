//! What may be asked of the writer about end users: an update and its records, what it came to, why it was not done.
//!
//! Knows nothing of threads, commits or rows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sheet::Sheet;
use crate::model::{AttributeId, AttributeName, EndUserId, IntegrationId, SystemId, Value};
use crate::store::Table;

/// One call's changes.
#[derive(Debug, Clone)]
pub struct Update {
    /// The system written to.
    pub system: SystemId,
    /// The integration whose attributes are written.
    pub integration: IntegrationId,
    /// What happens to attributes that a record does not name.
    pub mode: Mode,
    /// The integration's declared attributes, which records name by their place: those that [`Mode::Replace`] deletes
    /// when a record leaves them out.
    pub declared: Arc<[AttributeName]>,
    /// The end users and their values.
    pub records: Records,
    /// What makes sure that the same call sent again is not applied twice.
    pub idempotency: Option<Idempotency>,
    /// Small records written in the same commit.
    pub beside: Vec<RecordWrite>,
}

/// Records from which an update is written by columns. Tests are small.
const MANY: usize = if cfg!(test) { 3 } else { 256 };

/// The end users of an update, in the form that suits how many there are.
#[derive(Debug, Clone)]
pub enum Records {
    /// Few.
    Each(Vec<Record>),
    /// Many.
    Sheet(Sheet),
}

impl Default for Records {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

impl From<Vec<Record>> for Records {
    fn from(records: Vec<Record>) -> Self {
        if records.len() < MANY {
            return Self::Each(records);
        }
        let mut sheet = Sheet::default();
        records.into_iter().for_each(|record| sheet.push(&record.id, record.sets));
        Self::Sheet(sheet)
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        Vec::from_iter(records).into()
    }
}

impl Records {
    /// Their identifiers, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let (records, sheet) = match self {
            Self::Each(records) => (Some(records), None),
            Self::Sheet(sheet) => (None, Some(sheet)),
        };
        let each = records.into_iter().flatten().map(|record| record.id.as_str());
        each.chain(sheet.into_iter().flat_map(Sheet::ids))
    }

    pub(super) fn cells(&self) -> usize {
        match self {
            Self::Each(records) => records.iter().map(|record| record.sets.len() + 1).sum(),
            Self::Sheet(sheet) => sheet.cells(),
        }
    }
}

/// What happens to attributes that a record does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They stay.
    Merge,
    /// Those of the same integration are deleted.
    Replace,
}

/// One end user's values in an update.
#[derive(Debug, Clone)]
pub struct Record {
    /// Who.
    pub id: EndUserId,
    /// The values, each attribute once, by its place in [`Update::declared`].
    pub sets: Vec<(usize, Value)>,
}

/// `Idempotency-Key`: whose, which, and a hash of the call, so that another call under the same key is refused.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// Caller and key.
    pub key: Vec<u8>,
    /// Hash of the call's body.
    pub call_hash: u64,
}

/// What an update did, counted in distinct end users (`received`: in records).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Records in the call.
    pub received: u64,
    /// End users that came to be.
    pub created: u64,
    /// End users that changed.
    pub updated: u64,
    /// End users that stayed as they were.
    pub unchanged: u64,
}

/// Why a write was not done. Nothing of it was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The queue is full: try again.
    #[error("the write queue is full; try again in a second")]
    Busy,
    /// Too little disk.
    #[error("free disk is below `storage.min_free_mib`: updates are refused until there is room, reads go on")]
    DiskFull,
    /// A commit failed, and the store takes no more.
    #[error("the store has failed and takes no more writes until a restart: {0}")]
    Failed(String),
    /// The same `Idempotency-Key` with another call.
    #[error("this Idempotency-Key was used within 24 hours for another call; send a new key")]
    KeyReused,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// A record to put, or with `None` to remove.
pub type RecordWrite = (Table, Vec<u8>, Option<Vec<u8>>);
/// Which attributes of which systems a purge keeps.
pub type Keep = Arc<dyn Fn(&SystemId, &AttributeId) -> bool + Send + Sync>;
