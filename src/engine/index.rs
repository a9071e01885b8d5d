//! From identifier to row without a lock: a hash table in shards, copied on write.
//!
//! A slot holds a row and 32 bits of its identifier's hash, side by side: looking up is one wait for memory, and moving
//! slots needs no identifier. The identifiers themselves stand in the columns, so comparing asks the caller.
//! Invariants: a row stands in the shard that its identifier's hash names, once; from the slot that the hash names on to
//! the row's own no slot is empty.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::catalogue::IDS;
use super::column::ROWS;
use super::mask::Mask;
use super::parallel::{Helpers, Progress, in_parallel, processors};
use super::snapshot::SystemData;
use crate::store::RowNo;

/// Slots of a new shard, which with its head is 8 KiB: a new end user copies one shard.
const SLOTS: usize = 1022;
/// Rows of a shard, on average, from which on the number of shards doubles: three of four slots are taken then.
const CROWDED: usize = SLOTS / 4 * 3;
/// Slots passed over in search of an empty one before a shard is asked whether it is too full.
const FAR: usize = 32;
const SEED: u64 = 0x0526_F0C4_1189_0001;

/// A row beside its identifier's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: u32,
    row: RowNo,
}

/// No row has this number: it would be one too many to count.
const EMPTY: Slot = Slot { hash: 0, row: RowNo::MAX };

impl Slot {
    fn is_empty(self) -> bool {
        self.row == EMPTY.row
    }
}

type Shard = Arc<[Slot]>;

fn hash(id: &str) -> u32 {
    // The upper half is the better mixed one.
    (FixedState::with_seed(SEED).hash_one(id) >> 32) as u32
}

/// The shard, of so many, of an identifier: by the upper bits of its hash.
fn shard_of(hash: u32, shards: usize) -> usize {
    ((u64::from(hash) * shards as u64) >> 32) as usize
}

/// How many shards so many rows want.
fn shards_for(rows: usize) -> usize {
    (rows / CROWDED + 1).next_power_of_two()
}

fn empty(slots: usize) -> Shard {
    std::iter::repeat_n(EMPTY, slots).collect()
}

/// The slots from the one that a hash names, once around.
fn from_first(shard: &[Slot], hash: u32) -> impl Iterator<Item = Slot> {
    let (before, from) = shard.split_at(first(shard, hash));
    from.iter().chain(before).copied()
}

/// The place that a hash names. All of a shard have the upper bits in common, so the lower ones are spread over it.
fn first(shard: &[Slot], hash: u32) -> usize {
    let spread = hash.wrapping_mul(0x9E37_79B1);
    ((u64::from(spread) * shard.len() as u64) >> 32) as usize
}

/// Puts a slot into a shard, which grows when three of four of its slots are taken and an empty one is far.
fn put(shard: &mut Shard, slot: Slot) {
    let slots = shard.len();
    let far = from_first(shard, slot.hash).position(|at| at.is_empty());
    let taken = || shard.iter().filter(|at| !at.is_empty()).count();
    let Some(far) = far.filter(|far| *far < FAR || taken() < slots / 4 * 3) else {
        let smaller = std::mem::replace(shard, empty(slots * 2));
        smaller.iter().filter(|at| !at.is_empty()).for_each(|at| put(shard, *at));
        return put(shard, slot);
    };
    let place = (first(shard, slot.hash) + far) % slots;
    Arc::make_mut(shard).get_mut(place).into_iter().for_each(|at| *at = slot);
}

/// Takes a slot out of a shard, if it is there; those behind it that it was in the way of move up.
fn take(shard: &mut Shard, gone: Slot) -> bool {
    let Some(far) = from_first(shard, gone.hash).position(|slot| slot == gone) else { return false };
    let slots = shard.len();
    let shard = Arc::make_mut(shard);
    let place = (first(shard, gone.hash) + far) % slots;
    let mut hole = place;
    for at in (place + 1..place + slots).map(|at| at % slots) {
        let Some(slot) = shard.get(at).copied().filter(|slot| !slot.is_empty()) else { break };
        let from_first = (at + slots - first(shard, slot.hash)) % slots;
        let from_hole = (at + slots - hole) % slots;
        if from_first >= from_hole {
            shard.swap(at, hole);
            hole = at;
        }
    }
    shard.get_mut(hole).into_iter().for_each(|slot| *slot = EMPTY);
    true
}

/// The rows of a system by identifier.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    shards: Vec<Shard>,
    rows: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Index {
    /// An empty index with as many shards as `rows` rows want.
    fn with_capacity(rows: usize) -> Self {
        Self { shards: std::iter::repeat_with(|| empty(SLOTS)).take(shards_for(rows)).collect(), rows: 0 }
    }

    /// The index of everybody in a system.
    pub(crate) fn of_all(data: &SystemData) -> Self {
        let slots = in_parallel(data.chunks.len(), Helpers::New, &Progress::default(), |no| {
            let ids = data.chunks.get(no)?.column(IDS)?;
            let rows = Mask::of(ids.present());
            let slot = |at| Some(Slot { hash: hash(ids.text(at)?), row: (no * ROWS + at) as RowNo });
            Some(rows.rows().filter_map(slot).collect())
        });
        Self::of(&slots)
    }

    /// The index of many rows at once, made on every processor.
    fn of(slots: &[Vec<Slot>]) -> Self {
        let rows = slots.iter().map(Vec::len).sum();
        let shards = shards_for(rows);
        let parts = processors().min(shards);
        let parts = in_parallel(parts, Helpers::New, &Progress::default(), |part| {
            let (first, end) = (part * shards / parts, (part + 1) * shards / parts);
            let mut mine: Vec<Shard> = std::iter::repeat_with(|| empty(SLOTS)).take(end - first).collect();
            for slot in slots.iter().flatten() {
                let shard = shard_of(slot.hash, shards).checked_sub(first).and_then(|at| mine.get_mut(at));
                shard.into_iter().for_each(|shard| put(shard, *slot));
            }
            Some(mine)
        });
        Self { shards: parts.into_iter().flatten().collect(), rows }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// The row of an identifier; `id_of` gives a row's identifier in bytes.
    pub(crate) fn find<'a>(&self, id: &str, id_of: impl Fn(RowNo) -> &'a [u8]) -> Option<RowNo> {
        let hash = hash(id);
        let slots = from_first(self.shards.get(shard_of(hash, self.shards.len()))?, hash);
        let mut slots = slots.take_while(|slot| !slot.is_empty());
        slots.find(|slot| slot.hash == hash && id_of(slot.row) == id.as_bytes()).map(|slot| slot.row)
    }

    /// Adds a row whose identifier is not there yet.
    pub(crate) fn insert(&mut self, id: &str, row: RowNo) {
        if self.rows >= self.shards.len() * CROWDED {
            let mut larger = Self::with_capacity(self.rows * 2);
            self.shards
                .iter()
                .flat_map(|shard| shard.iter())
                .filter(|at| !at.is_empty())
                .for_each(|at| larger.put(*at));
            *self = larger;
        }
        self.put(Slot { hash: hash(id), row });
    }

    fn put(&mut self, slot: Slot) {
        let shard = shard_of(slot.hash, self.shards.len());
        if let Some(shard) = self.shards.get_mut(shard) {
            put(shard, slot);
            self.rows += 1;
        }
    }

    /// Removes a row by its identifier.
    pub(crate) fn remove(&mut self, id: &str, row: RowNo) {
        let gone = Slot { hash: hash(id), row };
        let shard = shard_of(gone.hash, self.shards.len());
        if self.shards.get_mut(shard).is_some_and(|shard| take(shard, gone)) {
            self.rows -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_what_was_put_in_and_not_what_was_taken_out() {
        let ids: Vec<String> = (0..5000).map(|n| format!("user{n}@example.com")).collect();
        let id_of = |row: RowNo| ids[row as usize].as_bytes();
        let mut index = Index::default();
        for (row, id) in ids.iter().enumerate() {
            assert_eq!(index.find(id, id_of), None);
            index.insert(id, row as RowNo);
        }
        let before = index.clone();
        for (row, id) in ids.iter().enumerate().filter(|(row, _)| row % 3 == 0) {
            index.remove(id, row as RowNo);
        }
        for (row, id) in ids.iter().enumerate() {
            assert_eq!(before.find(id, id_of), Some(row as RowNo), "an older snapshot does not change");
            assert_eq!(index.find(id, id_of).is_some(), row % 3 != 0);
        }
        assert_eq!((before.len(), index.len()), (5000, 3333));
    }

    #[test]
    fn many_rows_at_once_are_found_as_if_they_had_come_one_by_one() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("user{n}@example.com")).collect();
        let id_of = |row: RowNo| ids[row as usize].as_bytes();
        for rows in [0_usize, 1, 255, 5_000, 20_000] {
            let slots: Vec<Vec<Slot>> = ids[..rows]
                .chunks(300)
                .enumerate()
                .map(|(no, ids)| {
                    ids.iter().zip((no * 300) as RowNo..).map(|(id, row)| Slot { hash: hash(id), row }).collect()
                })
                .collect();
            let mut index = Index::of(&slots);
            assert_eq!((index.len(), index.shards.len()), (rows, Index::with_capacity(rows).shards.len()));
            for (row, id) in ids.iter().enumerate() {
                assert_eq!(index.find(id, id_of), (row < rows).then_some(row as RowNo), "{id} of {rows}");
            }
            // It grows on.
            for (row, id) in ids.iter().enumerate().skip(rows) {
                index.insert(id, row as RowNo);
            }
            assert!(ids.iter().enumerate().all(|(row, id)| index.find(id, id_of) == Some(row as RowNo)));
        }
    }

    #[test]
    fn identifiers_of_one_hash_are_told_apart_and_end_no_shard() {
        let mut shard = empty(SLOTS);
        let rows = 3 * SLOTS as RowNo;
        (0..rows).for_each(|row| put(&mut shard, Slot { hash: 7, row }));
        let index = Index { shards: vec![shard], rows: rows as usize };
        let slots = from_first(&index.shards[0], 7).take_while(|slot| !slot.is_empty());
        assert!(slots.map(|slot| slot.row).collect::<BTreeSet<_>>().into_iter().eq(0..rows));
    }

    proptest! {
        /// Few hashes, so that rows stand in each other's way, also around the end.
        #[test]
        fn a_shard_behaves_as_a_set(writes in prop::collection::vec((0_u32..40, 0_u32..8, any::<bool>()), 0..400)) {
            let mut shard = empty(31);
            let mut model = BTreeMap::new();
            for (row, place, enters) in writes {
                let hash = (0..).find(|hash| first(&shard, *hash) == (28 + place as usize) % 31).unwrap();
                let known = model.get(&row).copied();
                match (enters, known) {
                    (true, None) => {
                        model.insert(row, hash);
                        put(&mut shard, Slot { hash, row });
                    }
                    (false, Some(hash)) => {
                        model.remove(&row);
                        let gone = Slot { hash, row };
                        prop_assert!(take(&mut shard, gone));
                    }
                    _ => {}
                }
                prop_assert_eq!(shard.iter().filter(|slot| !slot.is_empty()).count(), model.len());
                for (row, hash) in &model {
                    let mut slots = from_first(&shard, *hash).take_while(|slot| !slot.is_empty());
                    prop_assert!(slots.any(|slot| (slot.hash, slot.row) == (*hash, *row)));
                }
            }
        }
    }
}
