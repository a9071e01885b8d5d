//! One import: what was asked, how far it is, and how both are stored.
//!
//! ```text
//! validating ──► applying ──► done        abort without bad rows, or skip
//!      │             └──────► failed      what rows mean was changed meanwhile; what was stored stays
//!      ├────────────────────► done        a dry run
//!      └────────────────────► failed      abort with bad rows, or a file that can't be read: nothing was stored
//! ```
//!
//! **Stored form**, in the table of imports: the import under its id, and while it is applied its progress under
//! `<id>/progress`, written in the same commit as the rows that it stands for. So after a crash it goes on exactly
//! behind the last row that was stored. Under `<id>/gone/<hash>` stands, until it has ended, whoever was deleted after
//! the upload.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::faults::RowError;
use super::layout::Columns;
use super::rows::Position;
use crate::engine::RecordWrite;
use crate::model::{IntegrationId, SystemId, Timestamp};
use crate::store::{self, StoreError, Table};

/// What stands behind the id in the key of the progress.
const PROGRESS: &str = "/progress";
/// What stands between the id and the hash of whoever was deleted.
const GONE: &str = "/gone/";
/// Digits of the number at the start of an id: enough for milliseconds until the year 10889.
const NUMBER: usize = 12;

/// An import's id: a number that only grows, and something random. Ids sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ImportId(String);

impl ImportId {
    /// The id with that number; `random` makes it hard to guess.
    pub(super) fn new(number: u64, random: u32) -> Self {
        Self(format!("{number:0NUMBER$x}{random:08x}"))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its number, by which imports are in order.
    #[must_use]
    pub fn number(&self) -> u64 {
        number_in(&self.0).unwrap_or(0)
    }
}

/// The number in a text that may be an id.
pub(super) fn number_in(text: &str) -> Option<u64> {
    u64::from_str_radix(text.get(..NUMBER)?, 16).ok()
}

impl fmt::Display for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of the good rows when there are bad ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Nothing is stored.
    #[default]
    Abort,
    /// The good rows are stored.
    Skip,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// It waits for its turn, or its rows are being judged. Nothing is stored yet.
    Validating,
    /// Its rows are being stored.
    Applying,
    /// It came to its end.
    Done,
    /// It ended early; `detail` says why.
    Failed,
}

impl ImportState {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// The state's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Applying => "applying",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// An upload of a file for an integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its id.
    pub id: ImportId,
    /// The system whose end users are in the file.
    pub system: SystemId,
    /// The integration whose attributes are.
    pub integration: IntegrationId,
    /// Who uploaded it.
    pub client: String,
    /// The file's name, if it was sent.
    pub file_name: Option<String>,
    /// The file's size, in bytes.
    pub bytes: u64,
    /// What becomes of good rows when there are bad ones.
    pub on_error: OnError,
    /// Whether nothing is to be stored in any case.
    pub dry_run: bool,
    /// When the upload began.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How far it is.
    pub state: ImportState,
    /// Rows judged so far, without the header and wholly empty ones.
    pub rows_read: u64,
    /// Rows in the file, once all are judged.
    pub rows_total: Option<u64>,
    /// Rows stored.
    pub stored: u64,
    /// Rows with anything bad.
    pub rejected: u64,
    /// What the file's columns were found to be.
    pub columns: Option<Columns>,
    /// Why it failed, or what it waits for.
    pub detail: Option<String>,
    /// The first bad places.
    #[serde(skip)]
    pub errors: Vec<RowError>,
    /// What rows meant when they were validated (see `layout::fingerprint`).
    pub(super) fingerprint: u64,
    /// The row with which applying goes on.
    pub(super) next: Position,
    /// Hashes of those who were deleted since the upload: their rows are passed over.
    #[serde(skip)]
    pub(super) gone: HashSet<u64>,
}

/// What stands for an end user who was deleted.
pub(super) fn gone_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// How far applying is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Rows stored.
    pub(super) stored: u64,
    /// The row to go on with.
    pub(super) next: Position,
}

impl Progress {
    /// The record to write.
    pub(super) fn record(&self, id: &ImportId) -> Result<RecordWrite, StoreError> {
        Ok((Table::Imports, progress_key(id), Some(store::encode(self)?)))
    }
}

fn progress_key(id: &ImportId) -> Vec<u8> {
    format!("{id}{PROGRESS}").into_bytes()
}

fn gone_key(id: &ImportId, hash: u64) -> Vec<u8> {
    format!("{id}{GONE}{hash:016x}").into_bytes()
}

impl Import {
    /// The record of the import as it is now.
    fn record(&self) -> Result<RecordWrite, StoreError> {
        Ok((Table::Imports, self.id.as_str().as_bytes().to_vec(), Some(store::encode(self)?)))
    }

    /// The records to write while it is not at its end: the import as it is now, its progress in it.
    pub(super) fn records(&self) -> Result<Vec<RecordWrite>, StoreError> {
        Ok(vec![self.record()?, (Table::Imports, progress_key(&self.id), None)])
    }

    /// The records to write at its end.
    pub(super) fn final_records(&self) -> Result<Vec<RecordWrite>, StoreError> {
        Ok(self.records()?.into_iter().chain(self.gone_removal()).collect())
    }

    fn gone_removal(&self) -> impl Iterator<Item = RecordWrite> {
        self.gone.iter().map(|hash| (Table::Imports, gone_key(&self.id, *hash), None))
    }

    /// The record that passes someone's rows over.
    pub(super) fn gone_record(&self, hash: u64) -> RecordWrite {
        (Table::Imports, gone_key(&self.id, hash), Some(Vec::new()))
    }

    /// The records to remove when it is forgotten.
    pub(super) fn removal(&self) -> Vec<RecordWrite> {
        let import = (Table::Imports, self.id.as_str().as_bytes().to_vec(), None);
        std::iter::once(import).chain(self.gone_removal()).collect()
    }
}

/// The imports in the store. One that can't be read is left out and told of.
pub(super) fn read(records: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<Import> {
    let (whole, parts): (Vec<_>, Vec<_>) = records.into_iter().partition(|(key, _)| !key.contains(&b'/'));
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let told = |error: &StoreError| {
            tracing::warn!(%error, id = %String::from_utf8_lossy(&key), "an import can't be read; left out");
        };
        let import: Import = store::decode(&value).inspect_err(told).ok()?;
        Some((import.id.as_str().to_owned(), import))
    };
    let mut imports: BTreeMap<String, Import> = whole.into_iter().filter_map(read).collect();
    for (key, value) in parts {
        let key = String::from_utf8_lossy(&key);
        let (id, part) = key.split_at(key.find('/').unwrap_or(key.len()));
        let Some(import) = imports.get_mut(id) else { continue };
        if let Some(hash) = part.strip_prefix(GONE) {
            import.gone.extend(u64::from_str_radix(hash, 16));
        } else if let Ok(Progress { stored, next }) = store::decode(&value) {
            import.stored = stored;
            import.next = next;
        }
    }
    imports.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::imports::fixtures::import;

    fn stored(records: Vec<RecordWrite>) -> Vec<(Vec<u8>, Vec<u8>)> {
        records.into_iter().filter_map(|(_, key, value)| Some((key, value?))).collect()
    }

    #[test]
    fn ids_sort_by_age() {
        let ids = [ImportId::new(9, u32::MAX), ImportId::new(10, 0), ImportId::new(1 << 40, 5)];
        assert!(ids.is_sorted());
        assert_eq!(ids.map(|id| id.number()), [9, 10, 1 << 40]);
        assert_eq!(ImportId::new(0x198, 0xAB).as_str(), "000000000198000000ab");
        assert_eq!((number_in("x"), number_in("00000000000é")), (None, None));
    }

    #[test]
    fn an_import_comes_back_with_its_progress() {
        let import = import();
        let progress = Progress { stored: 4096, next: Position { offset: 7, row: 4098 } };
        let beside = vec![progress.record(&import.id).unwrap(), import.gone_record(7), import.gone_record(u64::MAX)];
        let records = [import.records().unwrap(), beside.clone()].concat();
        let mut expected = import.clone();
        (expected.stored, expected.next) = (progress.stored, progress.next);
        expected.gone = HashSet::from([7, u64::MAX]);
        assert_eq!(read(stored(records)), [expected.clone()]);
        let removed: Vec<_> =
            expected.final_records().unwrap().into_iter().filter(|(.., value)| value.is_none()).collect();
        assert!(beside.iter().all(|(_, key, _)| removed.iter().any(|(_, gone, _)| gone == key)), "nothing is left");
        assert!(import.removal().iter().all(|(.., value)| value.is_none()));
        assert_eq!(read(vec![(b"x".to_vec(), b"y".to_vec())]), []);
    }
}
