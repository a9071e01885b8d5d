//! From identifier to row without a lock: a hash table in shards, copied on write.
//!
//! Holds row numbers only; the identifiers themselves stand in the columns, so comparing asks the caller.
//! Invariant: a row stands in the shard that its identifier's hash names, once.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::catalogue::IDS;
use super::column::ROWS;
use super::mask::Mask;
use super::parallel::{Progress, in_parallel, processors};
use super::snapshot::SystemData;
use crate::store::RowNo;

/// Rows of a shard, on average, before the number of shards doubles: a new end user copies one shard.
const SHARD: usize = 1024;
const SEED: u64 = 0x0526_F0C4_1189_0001;

/// What an identifier's place follows from.
fn hash(id: &str) -> u64 {
    FixedState::with_seed(SEED).hash_one(id)
}

/// The shard, of so many, of an identifier.
fn shard_of(hash: u64, shards: usize) -> usize {
    // The upper half: the table itself uses the lower bits and the top seven.
    (hash >> 32) as usize & (shards - 1)
}

/// The rows of a system by identifier.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    shards: Vec<Arc<HashTable<RowNo>>>,
    rows: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Index {
    /// An empty index with as many shards as `rows` rows want.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let shards = (rows / SHARD + 1).next_power_of_two();
        Self { shards: (0..shards).map(|_| Arc::new(HashTable::new())).collect(), rows: 0 }
    }

    /// The index of everybody in a system.
    pub(crate) fn of_all(data: &SystemData) -> Self {
        let hashed = in_parallel(data.chunks.len(), &Progress::default(), |no| {
            let ids = data.chunks.get(no)?.column(IDS)?;
            let rows = Mask::of(ids.present());
            let hashed = |at| Some((hash(ids.text(at)?), (no * ROWS + at) as RowNo));
            Some(rows.rows().filter_map(hashed).collect())
        });
        Self::of(&hashed, &|row| data.id(row))
    }

    /// The index of many rows at once, each beside its identifier's hash, made on every processor.
    fn of<'a>(hashed: &[Vec<(u64, RowNo)>], id_of: &(dyn Fn(RowNo) -> &'a str + Sync)) -> Self {
        let rows = hashed.iter().map(Vec::len).sum();
        let shards = Self::with_capacity(rows).shards.len();
        let parts = processors().min(shards);
        let parts = in_parallel(parts, &Progress::default(), |part| {
            let (first, end) = (part * shards / parts, (part + 1) * shards / parts);
            let mine = || {
                let placed = hashed.iter().flatten().map(|(hash, row)| (shard_of(*hash, shards), *hash, *row));
                placed
                    .filter(|(shard, ..)| (first..end).contains(shard))
                    .map(|(shard, hash, row)| (shard - first, hash, row))
            };
            // Counted first, no table grows.
            let mut counts = vec![0_usize; end - first];
            mine().for_each(|(at, ..)| counts.get_mut(at).into_iter().for_each(|count| *count += 1));
            let mut tables: Vec<HashTable<RowNo>> = counts.into_iter().map(HashTable::with_capacity).collect();
            for (at, hashed, row) in mine() {
                if let Some(table) = tables.get_mut(at) {
                    table.insert_unique(hashed, row, |other| hash(id_of(*other)));
                }
            }
            Some(tables)
        });
        Self { shards: parts.into_iter().flatten().map(Arc::new).collect(), rows }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    fn shard(&self, hash: u64) -> usize {
        shard_of(hash, self.shards.len())
    }

    /// The row of an identifier; `id_of` gives a row's identifier in bytes.
    pub(crate) fn find<'a>(&self, id: &str, id_of: impl Fn(RowNo) -> &'a [u8]) -> Option<RowNo> {
        let hash = hash(id);
        self.shards.get(self.shard(hash))?.find(hash, |row| id_of(*row) == id.as_bytes()).copied()
    }

    /// Adds a row whose identifier is not there yet.
    pub(crate) fn insert<'a>(&mut self, id: &str, row: RowNo, id_of: &dyn Fn(RowNo) -> &'a str) {
        if self.rows >= self.shards.len() * SHARD * 2 {
            self.grow(id_of);
        }
        let hash_of_id = hash(id);
        let shard = self.shard(hash_of_id);
        if let Some(table) = self.shards.get_mut(shard) {
            Arc::make_mut(table).insert_unique(hash_of_id, row, |other| hash(id_of(*other)));
            self.rows += 1;
        }
    }

    /// Removes a row by its identifier.
    pub(crate) fn remove(&mut self, id: &str, row: RowNo) {
        let hash = hash(id);
        let shard = self.shard(hash);
        if let Some(table) = self.shards.get_mut(shard)
            && let Ok(entry) = Arc::make_mut(table).find_entry(hash, |other| *other == row)
        {
            entry.remove();
            self.rows -= 1;
        }
    }

    fn grow<'a>(&mut self, id_of: &dyn Fn(RowNo) -> &'a str) {
        let mut larger = Self::with_capacity(self.rows * 2);
        for row in self.shards.iter().flat_map(|shard| shard.iter()) {
            larger.insert(id_of(*row), *row, id_of);
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_and_not_what_was_taken_out() {
        let ids: Vec<String> = (0..5000).map(|n| format!("user{n}@example.com")).collect();
        let id_of = |row: RowNo| ids[row as usize].as_str();
        let bytes_of = |row: RowNo| ids[row as usize].as_bytes();
        let mut index = Index::default();
        for (row, id) in ids.iter().enumerate() {
            assert_eq!(index.find(id, bytes_of), None);
            index.insert(id, row as RowNo, &id_of);
        }
        let before = index.clone();
        for (row, id) in ids.iter().enumerate().filter(|(row, _)| row % 3 == 0) {
            index.remove(id, row as RowNo);
        }
        for (row, id) in ids.iter().enumerate() {
            assert_eq!(before.find(id, bytes_of), Some(row as RowNo), "an older snapshot does not change");
            assert_eq!(index.find(id, bytes_of).is_some(), row % 3 != 0);
        }
        assert_eq!((before.len(), index.len()), (5000, 3333));
    }

    #[test]
    fn many_rows_at_once_are_found_as_if_they_had_come_one_by_one() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("user{n}@example.com")).collect();
        let id_of = |row: RowNo| ids[row as usize].as_str();
        let bytes_of = |row: RowNo| ids[row as usize].as_bytes();
        for rows in [0_usize, 1, 255, 5_000, 20_000] {
            let hashed: Vec<Vec<(u64, RowNo)>> = ids[..rows]
                .chunks(300)
                .enumerate()
                .map(|(no, ids)| ids.iter().zip((no * 300) as RowNo..).map(|(id, row)| (hash(id), row)).collect())
                .collect();
            let mut index = Index::of(&hashed, &id_of);
            assert_eq!((index.len(), index.shards.len()), (rows, Index::with_capacity(rows).shards.len()));
            for (row, id) in ids.iter().enumerate() {
                assert_eq!(index.find(id, bytes_of), (row < rows).then_some(row as RowNo), "{id} of {rows}");
            }
            // It grows on.
            for (row, id) in ids.iter().enumerate().skip(rows) {
                index.insert(id, row as RowNo, &id_of);
            }
            assert!(ids.iter().enumerate().all(|(row, id)| index.find(id, bytes_of) == Some(row as RowNo)));
        }
    }
}
