//! The store as its user sees it, and as a crash leaves it.

mod apart;
mod crash;
mod damage;
mod use_;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.roll().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }
}

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(folder, &Options { cache_mib: 16 })
}

/// An entry that sets one cell.
fn put(row: u32, days: i32) -> Entry {
    let sets = vec![(1, Cell::D(days))];
    Entry { at: 0, ops: vec![Op::Put { system: 1, row, id: None, touched: None, sets, clears: vec![] }] }
}

/// An entry that changes one record.
fn record(table: Table, key: &[u8], value: Option<&[u8]>) -> Entry {
    Entry { at: 0, ops: vec![Op::Record { table, key: key.to_vec(), value: value.map(<[u8]>::to_vec) }] }
}

fn append(store: &Store, entry: &Entry) -> u64 {
    store.append(store.last(), entry).unwrap()
}

/// Appends entries that set the rows `0..rows`.
fn fill(store: &Store, rows: u32) {
    for row in 0..rows {
        append(store, &put(row, 1));
    }
}

fn entries(store: &Store, after: u64) -> Vec<(u64, Entry)> {
    let mut entries = Vec::new();
    store
        .replay(after, |number, entry| {
            entries.push((number, entry));
            Ok(())
        })
        .unwrap();
    entries
}

/// What a killed process leaves: the files as they are now.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

fn blobs(folder: &Path) -> usize {
    fs::read_dir(folder.join("store/blobs")).unwrap().count()
}

/// Rows in chunks of this many.
const CHUNK: u32 = 50;

/// A live state as an engine would hold it: rows of days, checkpointed by chunk.
#[derive(Debug, Default, PartialEq)]
struct Live {
    rows: BTreeMap<u32, i32>,
    last: u64,
}

impl Live {
    fn load(store: &Store) -> Result<Self, StoreError> {
        let mut live =
            Self { last: store.manifest::<u64>()?.map_or(0, |(stands_for, _)| stands_for), ..Self::default() };
        store.pieces(|_, chunk: BTreeMap<u32, i32>| {
            live.rows.extend(chunk);
            Ok(())
        })?;
        store.replay(live.last, |number, entry| {
            live.apply(number, &entry);
            Ok(())
        })?;
        Ok(live)
    }
    fn apply(&mut self, number: u64, entry: &Entry) {
        for op in &entry.ops {
            if let Op::Put { row, sets, .. } = op
                && let [(_, Cell::D(days))] = sets.as_slice()
            {
                self.rows.insert(*row, *days);
            } else if let Op::Delete { row, .. } = op {
                self.rows.remove(row);
            }
        }
        self.last = number;
    }
    fn commit(&mut self, store: &Store, entry: &Entry) {
        let number = store.append(self.last, entry).unwrap();
        self.apply(number, entry);
    }
    fn chunk(&self, chunk: u32) -> BTreeMap<u32, i32> {
        self.rows.range(chunk * CHUNK..(chunk + 1) * CHUNK).map(|(row, days)| (*row, *days)).collect()
    }
    /// Writes all chunks up to `chunks`; empty ones are removed.
    fn write_chunks(&self, checkpoint: &mut Checkpoint<'_>, chunks: u32) {
        for chunk in 0..chunks {
            let key = PieceKey { system: 1, chunk, column: 0 };
            let rows = self.chunk(chunk);
            if rows.is_empty() { checkpoint.remove(key).unwrap() } else { checkpoint.put(key, &rows).unwrap() }
        }
    }
}
