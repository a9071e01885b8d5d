//! The journal: entries numbered from 1 without a gap, each with a checksum over itself and its predecessor's.
//!
//! ```text
//! key   number u64 (BE)                                                      a parcel each, marked with the number
//! body  flags u8, predecessor's checksum u64, records' digest after it u64 (LE), the encoded entry
//! ```
//!
//! Bit 0 of the flags: the entry changes records, so that opening decodes no other. Knows nothing of what entries mean.

use std::ops::RangeInclusive;

use sled::{Batch, Tree};

use super::fence::fenced;
use super::parcel::{self, Found, HEADER, Packed, Parcels, put_at, take};
use super::{Entry, Op, StoreError, codec};

/// Entries that stay behind a checkpoint: the last one only, which carries on the chain and the records' digest. What
/// was deleted is so gone from the journal with the next checkpoint.
pub(super) const WINDOW: u64 = 1;
/// Keys removed in one batch, about: a batch keeps others out of sled while it is applied.
const REMOVED_AT_ONCE: usize = 256;

/// Bytes of the largest buffer that is kept for the next entry.
const MOST_SPARE: usize = 4 << 20;
const HEAD: usize = 1 + 8 + 8;
const CHANGES_RECORDS: u8 = 1;

/// The end of the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The last entry's number; 0: none.
    pub(super) number: u64,
    /// Its checksum.
    pub(super) sum: u64,
    /// The records' digest after it.
    pub(super) digest: u64,
}

/// An encoded entry without its place in the chain.
pub(super) struct Draft {
    bytes: Vec<u8>,
    pub(super) changes_records: bool,
}

/// Encodes an entry, into a buffer that was used before.
pub(super) fn draft(entry: &Entry, mut bytes: Vec<u8>) -> Result<Draft, StoreError> {
    let changes_records = entry.ops.iter().any(|op| matches!(op, Op::Record { .. }));
    bytes.clear();
    bytes.resize(HEADER + HEAD, 0);
    codec::encode_into(&mut bytes, entry)?;
    Ok(Draft { bytes, changes_records })
}

impl Draft {
    /// Puts the entry behind `end`.
    pub(super) fn link(mut self, end: End, digest: u64) -> Result<Linked, StoreError> {
        let number = end.number + 1;
        let mut head = vec![if self.changes_records { CHANGES_RECORDS } else { 0 }];
        head.extend_from_slice(&end.sum.to_le_bytes());
        head.extend_from_slice(&digest.to_le_bytes());
        put_at(&mut self.bytes, HEADER, &head);
        let packed = parcel::pack(&number.to_be_bytes(), number, self.bytes)?;
        Ok(Linked { end: End { number, sum: packed.label.sum, digest }, packed })
    }
}

/// An entry with its place in the chain.
pub(super) struct Linked {
    /// The chain's end with it.
    pub(super) end: End,
    packed: Packed,
}

impl Linked {
    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.packed.size()
    }

    /// Writes it, part by part: a batch would cost every commit a second write and sync, because sled seals its buffer
    /// when one begins. Of an entry whose writing broke off some parts may be found; that was never acknowledged, and
    /// opening cuts it off.
    pub(super) fn write(&self, tree: &Tree) -> sled::Result<()> {
        self.packed.parts(&self.end.number.to_be_bytes()).try_for_each(|(key, part)| tree.insert(key, part).map(drop))
    }

    /// Its buffer, for the next entry; a new one if it has grown too large to keep.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        Some(self.packed.into_buffer()).filter(|bytes| bytes.capacity() <= MOST_SPARE).unwrap_or_default()
    }
}

/// An entry as it was found.
pub(super) struct Written {
    /// The chain's end with it.
    pub(super) end: End,
    /// Whether it changes records.
    pub(super) changes_records: bool,
    before: u64,
    bytes: Vec<u8>,
}

impl Written {
    fn of(found: Found) -> Result<Self, (u64, &'static str)> {
        let number = |prefix: &[u8]| prefix.try_into().map_or(u64::MAX, u64::from_be_bytes);
        match found {
            Found::Broken { prefix, why } => Err((number(&prefix), why)),
            Found::Whole { prefix, label, bytes } => {
                let number = number(&prefix);
                let head = |mut bytes: &[u8]| {
                    let [flags] = take(&mut bytes)?;
                    Some((flags, u64::from_le_bytes(take(&mut bytes)?), u64::from_le_bytes(take(&mut bytes)?)))
                };
                let Some((flags, before, digest)) = bytes.get(HEADER..).and_then(head) else {
                    return Err((number, "a value too short for an entry"));
                };
                let end = End { number, sum: label.sum, digest };
                Ok(Self { end, changes_records: flags & CHANGES_RECORDS != 0, before, bytes })
            }
        }
    }
    /// The entry itself.
    pub(super) fn entry(&self) -> Result<Entry, StoreError> {
        codec::decode(self.bytes.get(HEADER + HEAD..).unwrap_or_default())
    }
}

/// Where the chain ends, and why it does not go on though there is more.
pub(super) struct Chain {
    /// The last good entry.
    pub(super) end: End,
    /// What comes behind it and can't be used.
    pub(super) behind: Option<&'static str>,
}

/// Walks the chain from the entry behind `after` as far as it is unbroken, or to the end of `numbers`.
pub(super) fn walk(
    tree: &Tree,
    numbers: RangeInclusive<u64>,
    mut each: impl FnMut(Written) -> Result<(), StoreError>,
) -> Result<Chain, StoreError> {
    let (first, last) = numbers.into_inner();
    let mut chain = Chain { end: End { number: first.saturating_sub(1), ..End::default() }, behind: None };
    for found in Parcels::new(tree.range(parcel::key(&first.to_be_bytes(), 0)..)) {
        if chain.end.number >= last {
            break;
        }
        let wanted = chain.end.number + 1;
        let why = match Written::of(found?) {
            Ok(written) if written.end.number != wanted => "a gap",
            // The first one's predecessor may have been dropped.
            Ok(written) if written.before != chain.end.sum && (wanted != first || first == 1) => {
                "an entry that does not follow from the one before it"
            }
            Ok(written) => {
                chain.end = written.end;
                each(written)?;
                continue;
            }
            Err((number, _)) if number != wanted => "a gap",
            Err((_, why)) => why,
        };
        chain.behind = Some(why);
        break;
    }
    Ok(chain)
}

/// Removes the entry behind `end` and all later ones.
pub(super) fn cut(tree: &Tree, end: u64) -> Result<(), StoreError> {
    remove(tree, end.saturating_add(1)..=u64::MAX)
}

/// Removes the entries up to `last`, oldest first, each whole.
pub(super) fn drop_up_to(tree: &Tree, last: u64) -> Result<(), StoreError> {
    remove(tree, 0..=last)
}

fn remove(tree: &Tree, numbers: RangeInclusive<u64>) -> Result<(), StoreError> {
    let (first, last) = numbers.into_inner();
    let (mut batch, mut size, mut current) = (Batch::default(), 0, None);
    let mut keys = tree.range(parcel::key(&first.to_be_bytes(), 0)..=parcel::key(&last.to_be_bytes(), u16::MAX)).keys();
    while let Some(key) = fenced("reading the journal", || keys.next().transpose())? {
        let number = key.get(..8).map(<[u8]>::to_vec);
        if number != current && size >= REMOVED_AT_ONCE {
            let full = std::mem::take(&mut batch);
            fenced("dropping journal entries", || tree.apply_batch(full))?;
            size = 0;
        }
        current = number;
        batch.remove(key);
        size += 1;
    }
    fenced("dropping journal entries", || tree.apply_batch(batch))
}
