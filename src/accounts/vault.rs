//! Where accounts' records are kept: a door to the store that is no wider than this room needs.
//!
//! Owns the naming of record failures. Knows nothing of what the records mean, nor of sled. Invariant: a write is
//! durable when it returns, and happens wholly or not at all.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::{Engine, WriteError};
use crate::store::{self, StoreError, Table};

/// A record to put (`Some`) or to remove (`None`).
pub type Change = (Table, Vec<u8>, Option<Vec<u8>>);

/// A stored record: its key and its value.
pub type StoredRecord = (Vec<u8>, Vec<u8>);

/// Durable small records. Its methods may block.
pub trait Vault: Send + Sync {
    /// One record.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Every record of a table, with its key.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    fn records(&self, table: Table) -> Result<Vec<StoredRecord>, StoreError>;
    /// The first `most` records of a table whose keys are all of one length, from a key on.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    fn records_from(&self, table: Table, from: &[u8], most: usize) -> Result<Vec<StoredRecord>, StoreError>;
    /// Writes all of it, durably, or nothing.
    ///
    /// # Errors
    /// [`WriteError`] when nothing was written.
    fn write(&self, changes: Vec<Change>) -> Result<(), WriteError>;
}

impl Vault for Engine {
    fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store().record(table, key)
    }
    fn records(&self, table: Table) -> Result<Vec<StoredRecord>, StoreError> {
        self.store().records(table)
    }
    fn records_from(&self, table: Table, from: &[u8], most: usize) -> Result<Vec<StoredRecord>, StoreError> {
        self.store().records_from(table, from, most)
    }
    fn write(&self, changes: Vec<Change>) -> Result<(), WriteError> {
        self.write_records_blocking(changes)
    }
}

/// Why a record of accounts can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The store can't be read.
    #[error("the store can't be read: {0}")]
    Store(#[from] StoreError),
    /// A record is not of a form that this release knows.
    #[error(
        "the record `{key}` of {table:?} in the store can't be read ({reason}); a newer release may have written it: \
         start that release, or restore a backup"
    )]
    Form {
        /// Its table.
        table: Table,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Every record of a table, decoded, with its key as text.
pub(super) fn read_all<T: DeserializeOwned>(vault: &dyn Vault, table: Table) -> Result<Vec<(String, T)>, RecordError> {
    let decode = |(key, value): StoredRecord| {
        let value = read(table, &key, &value)?;
        Ok((String::from_utf8_lossy(&key).into_owned(), value))
    };
    vault.records(table)?.into_iter().map(decode).collect()
}

/// One record, decoded.
pub(super) fn read_one<T: DeserializeOwned>(
    vault: &dyn Vault,
    table: Table,
    key: &str,
) -> Result<Option<T>, RecordError> {
    vault.record(table, key.as_bytes())?.map(|value| read(table, key.as_bytes(), &value)).transpose()
}

fn read<T: DeserializeOwned>(table: Table, key: &[u8], value: &[u8]) -> Result<T, RecordError> {
    store::decode(value).map_err(|error| RecordError::Form {
        table,
        key: String::from_utf8_lossy(key).into_owned(),
        reason: error.to_string(),
    })
}

/// The change that puts a record.
pub(super) fn put<T: Serialize>(table: Table, key: &str, value: &T) -> Result<Change, WriteError> {
    let value = store::encode(value).map_err(|error| WriteError::Failed(error.to_string()))?;
    Ok((table, key.as_bytes().to_vec(), Some(value)))
}

#[cfg(test)]
pub(super) mod memory {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;

    use super::*;

    type Tables = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

    /// A vault that forgets everything when it is dropped, and that can be told to fail.
    #[derive(Default)]
    pub(crate) struct MemoryVault {
        tables: Mutex<Tables>,
        pub(crate) full: AtomicBool,
    }

    impl MemoryVault {
        pub(crate) fn put<T: Serialize>(&self, table: Table, key: &str, value: &T) {
            self.write(vec![put(table, key, value).unwrap()]).unwrap();
        }
    }

    impl Vault for MemoryVault {
        fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.tables.lock().get(&(table, key.to_vec())).cloned())
        }
        fn records(&self, table: Table) -> Result<Vec<StoredRecord>, StoreError> {
            let tables = self.tables.lock();
            let of_table = tables.iter().filter(|((of, _), _)| *of == table);
            Ok(of_table.map(|((_, key), value)| (key.clone(), value.clone())).collect())
        }
        fn records_from(&self, table: Table, from: &[u8], most: usize) -> Result<Vec<StoredRecord>, StoreError> {
            let mut records = self.records(table)?;
            records.retain(|(key, _)| key.as_slice() >= from);
            records.truncate(most);
            Ok(records)
        }
        fn write(&self, changes: Vec<Change>) -> Result<(), WriteError> {
            if self.full.load(Ordering::SeqCst) {
                return Err(WriteError::DiskFull);
            }
            let mut tables = self.tables.lock();
            for (table, key, value) in changes {
                match value {
                    Some(value) => tables.insert((table, key), value),
                    None => tables.remove(&(table, key)),
                };
            }
            Ok(())
        }
    }
}
