//! The small records: clients, users, answers kept, last good files.
//!
//! ```text
//! key     table u8, length of the key u16 (BE), key     a parcel each, marked with the entry that wrote it
//! digest  the wrapping sum of all records' checksums    carried by every journal entry
//! ```
//!
//! Records are written by journal entries only. An entry is durable before its records, so that whatever a crash left
//! out is written again from the journal when the store is opened; the digest then shows whether all are there.

use std::collections::BTreeMap;

use sled::{Batch, Tree};

use super::parcel::{self, Found, Label, Packed, Parcels};
use super::{Entry, Op, StoreError, Table};

/// Bytes of the longest key: parts and keys together must keep a leaf small (see `parcel`).
const KEY_MOST: usize = 512;
/// Bytes of the prefix before the key.
const BEFORE_KEY: usize = 3;

/// A record's key and value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// The prefix of one record's parcel.
pub(super) fn prefix(table: Table, key: &[u8]) -> Result<Vec<u8>, StoreError> {
    let len = u16::try_from(key.len()).ok().filter(|len| usize::from(*len) <= KEY_MOST);
    let len = len.ok_or(StoreError::TooLarge { bytes: key.len(), most: KEY_MOST })?;
    let mut prefix = Vec::with_capacity(BEFORE_KEY + key.len());
    prefix.push(table.code());
    prefix.extend_from_slice(&len.to_be_bytes());
    prefix.extend_from_slice(key);
    Ok(prefix)
}

/// What the records become, by prefix; the later of two changes of one record stands.
pub(super) type Changes = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

/// Adds the record changes of entry `number`.
pub(super) fn collect(changes: &mut Changes, number: u64, entry: &Entry) -> Result<(), StoreError> {
    for op in &entry.ops {
        if let Op::Record { table, key, value } = op {
            changes.insert(prefix(*table, key)?, (number, value.clone()));
        }
    }
    Ok(())
}

/// What is to be written of records.
#[derive(Default)]
pub(super) struct Writes {
    /// Parcels of one part in the place of one or none. They need no batch, which would cost a second write and sync, as
    /// sled seals its buffer when one begins.
    single: Vec<(Vec<u8>, Vec<u8>)>,
    /// All else.
    batch: Option<Batch>,
}

impl Writes {
    pub(super) fn apply(self, tree: &Tree) -> sled::Result<()> {
        self.single.into_iter().try_for_each(|(key, bytes)| tree.insert(key, bytes).map(drop))?;
        self.batch.map_or(Ok(()), |batch| tree.apply_batch(batch))
    }
}

/// What makes `changes`, and the digest after it. Records that are so already are left alone.
pub(super) fn plan(tree: &Tree, changes: &Changes, digest: u64) -> Result<(Writes, u64), StoreError> {
    let (mut writes, mut digest) = (Writes::default(), digest);
    for (prefix, (number, value)) in changes {
        let old = parcel::label(tree, prefix)?;
        let new = value.as_ref().map(|value| packed(prefix, *number, value)).transpose()?;
        if old == new.as_ref().map(|new| new.label) {
            continue;
        }
        let old = old.unwrap_or(Label { sum: 0, mark: 0, parts: 0 });
        digest = digest.wrapping_sub(old.sum);
        match new {
            Some(new) => {
                digest = digest.wrapping_add(new.label.sum);
                match new.into_single(prefix, old.parts) {
                    Ok(single) => writes.single.push(single),
                    Err(new) => new.put(writes.batch.get_or_insert_default(), prefix, old.parts),
                }
            }
            None => parcel::remove(writes.batch.get_or_insert_default(), prefix, old.parts),
        }
    }
    Ok((writes, digest))
}

fn packed(prefix: &[u8], number: u64, value: &[u8]) -> Result<Packed, StoreError> {
    let mut bytes = parcel::buffer();
    bytes.extend_from_slice(value);
    parcel::pack(prefix, number, bytes)
}

/// The digest of all that is in the tree, every record checked.
pub(super) fn digest(tree: &Tree) -> Result<u64, StoreError> {
    let mut digest = 0u64;
    for found in Parcels::new(tree.iter()) {
        match found? {
            Found::Whole { label, .. } => digest = digest.wrapping_add(label.sum),
            Found::Broken { why, .. } => return Err(StoreError::damaged(format!("a record is {why}"), "that record")),
        }
    }
    Ok(digest)
}

/// One record's value.
pub(super) fn get(tree: &Tree, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(parcel::get(tree, &prefix(table, key)?)?.map(|(_, value)| value))
}

/// All records of a table, by key.
pub(super) fn list(tree: &Tree, table: Table) -> Result<Vec<KeyValue>, StoreError> {
    let mut records = read(tree.scan_prefix([table.code()])).collect::<Result<Vec<_>, _>>()?;
    // On disk, shorter keys come first.
    records.sort_unstable();
    Ok(records)
}

/// The first `most` records of a table from a key on, in the order on disk: by the key's length, then by its bytes.
pub(super) fn list_from(tree: &Tree, table: Table, from: &[u8], most: usize) -> Result<Vec<KeyValue>, StoreError> {
    read(tree.range(prefix(table, from)?..vec![table.code() + 1])).take(most).collect()
}

/// Records with their keys, as they come.
fn read(records: sled::Iter) -> impl Iterator<Item = Result<KeyValue, StoreError>> {
    Parcels::new(records).map(|found| match found? {
        Found::Whole { prefix, mut bytes, .. } => {
            let key = prefix.get(BEFORE_KEY..).unwrap_or_default().to_vec();
            bytes.drain(..parcel::HEADER.min(bytes.len()));
            Ok((key, bytes))
        }
        Found::Broken { why, .. } => Err(StoreError::damaged(format!("a record is {why}"), "that record")),
    })
}
