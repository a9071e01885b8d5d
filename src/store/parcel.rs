//! Parcels: values of any size as runs of small sled values, each checked as a whole.
//!
//! ```text
//! key    prefix, part (u16 BE)            the parts of a parcel lie side by side, in order
//! bytes  sum u64, mark u64, len u32, parts u16 (LE), body      cut into parts of PART bytes
//! ```
//!
//! `sum` is xxh3 over everything behind it, seeded with the prefix, so that a part that is lost, old, or another
//! parcel's shows. `mark` is the journal entry or checkpoint that wrote it. A parcel that takes another one's place is
//! written in one batch.
//!
//! Parts are small because sled writes a leaf of more than a quarter of a segment (128 KiB) into a file in `blobs/`,
//! which it never syncs. A leaf holds at most 17 values, and up to 20 after a merge: 20 × 5,500, and keys of up to half a KiB, stay below.

use sled::{Batch, IVec, Tree};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::StoreError;
use super::fence::fenced;

/// Bytes of a part.
const PART: usize = 5_500;
/// Bytes before the body.
pub(super) const HEADER: usize = 8 + 8 + 4 + 2;
/// Bytes of the largest parcel, header included.
const MOST: usize = PART * u16::MAX as usize;

/// The next `N` bytes, as far as there are any.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// What stands before a parcel's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// Checksum of all that follows it.
    pub(super) sum: u64,
    /// Who wrote it.
    pub(super) mark: u64,
    /// How many parts it has.
    pub(super) parts: u16,
}

impl Label {
    /// Reads the label at the start of a parcel's first part; with it the whole parcel's length in bytes.
    pub(super) fn read(mut bytes: &[u8]) -> Option<(Self, usize)> {
        let sum = u64::from_le_bytes(take(&mut bytes)?);
        let mark = u64::from_le_bytes(take(&mut bytes)?);
        let len = u32::from_le_bytes(take(&mut bytes)?) as usize;
        let parts = u16::from_le_bytes(take(&mut bytes)?);
        Some((Self { sum, mark, parts }, len))
    }
}

/// A parcel ready to be written.
pub(super) struct Packed {
    pub(super) label: Label,
    bytes: Vec<u8>,
}

/// An empty buffer with room for the label: append the body, then [`pack`] it.
pub(super) fn buffer() -> Vec<u8> {
    vec![0; HEADER]
}

/// Labels a [`buffer`].
pub(super) fn pack(prefix: &[u8], mark: u64, mut bytes: Vec<u8>) -> Result<Packed, StoreError> {
    let too_large = StoreError::TooLarge { bytes: bytes.len(), most: MOST };
    let (Ok(len), Ok(parts)) = (u32::try_from(bytes.len()), u16::try_from(bytes.len().div_ceil(PART))) else {
        return Err(too_large);
    };
    let mut head = Vec::with_capacity(HEADER);
    head.extend_from_slice(&mark.to_le_bytes());
    head.extend_from_slice(&len.to_le_bytes());
    head.extend_from_slice(&parts.to_le_bytes());
    put_at(&mut bytes, 8, &head);
    let sum = checksum(prefix, &bytes);
    put_at(&mut bytes, 0, &sum.to_le_bytes());
    Ok(Packed { label: Label { sum, mark, parts }, bytes })
}

/// Overwrites bytes of a buffer; what does not fit is left out.
pub(super) fn put_at(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(new) {
        *to = *from;
    }
}

fn checksum(prefix: &[u8], bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes.get(8..).unwrap_or_default(), xxh3_64(prefix))
}

/// A parcel that was packed before, under the same prefix; `None` when it is not as it was packed.
pub(super) fn repack(prefix: &[u8], bytes: &[u8]) -> Option<Packed> {
    let (label, len) = Label::read(bytes)?;
    let whole =
        len == bytes.len() && usize::from(label.parts) == len.div_ceil(PART) && label.sum == checksum(prefix, bytes);
    whole.then(|| Packed { label, bytes: bytes.to_vec() })
}

impl Packed {
    /// The parts with their keys, in order.
    pub(super) fn parts(&self, prefix: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
        (0u16..).zip(self.bytes.chunks(PART)).map(move |(part, bytes)| (key(prefix, part), bytes))
    }
    /// Adds the parcel to a batch, and the removal of what an older one of `old` parts has beyond it.
    pub(super) fn put(&self, batch: &mut Batch, prefix: &[u8], old: u16) {
        for (key, bytes) in self.parts(prefix) {
            batch.insert(key, bytes);
        }
        for part in self.label.parts..old {
            batch.remove(key(prefix, part));
        }
    }
    /// Its only key and value, when it has one part and takes the place of a parcel of one or none.
    pub(super) fn into_single(self, prefix: &[u8], old: u16) -> Result<(Vec<u8>, Vec<u8>), Self> {
        if self.label.parts == 1 && old <= 1 { Ok((key(prefix, 0), self.bytes)) } else { Err(self) }
    }
    /// Its buffer, to be used again.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
    /// Bytes with the label.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Adds the removal of a parcel to a batch.
pub(super) fn remove(batch: &mut Batch, prefix: &[u8], parts: u16) {
    for part in 0..parts {
        batch.remove(key(prefix, part));
    }
}

/// The key of one part.
pub(super) fn key(prefix: &[u8], part: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 2);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// The label of a stored parcel, if there is one.
pub(super) fn label(tree: &Tree, prefix: &[u8]) -> Result<Option<Label>, StoreError> {
    match fenced("reading a record", || tree.get(key(prefix, 0)))? {
        None => Ok(None),
        Some(first) => match Label::read(&first) {
            Some((label, _)) => Ok(Some(label)),
            None => Err(StoreError::damaged("a value without its label", "that value")),
        },
    }
}

/// A stored parcel's label and body, if there is one.
pub(super) fn get(tree: &Tree, prefix: &[u8]) -> Result<Option<(Label, Vec<u8>)>, StoreError> {
    match Parcels::new(tree.scan_prefix(prefix)).next() {
        None => Ok(None),
        Some(Err(error)) => Err(error),
        Some(Ok(Found::Whole { prefix: found, label, mut bytes })) if found == prefix => {
            bytes.drain(..HEADER.min(bytes.len()));
            Ok(Some((label, bytes)))
        }
        // A longer key that begins alike.
        Some(Ok(Found::Whole { .. })) => Ok(None),
        Some(Ok(Found::Broken { why, .. })) => Err(StoreError::damaged(why, "that value")),
    }
}

/// A stored parcel's bytes, label included, if there is one.
pub(super) fn whole(tree: &Tree, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match Parcels::new(tree.scan_prefix(prefix)).next().transpose()? {
        Some(Found::Whole { prefix: found, bytes, .. }) if found == prefix => Ok(Some(bytes)),
        Some(Found::Broken { why, .. }) => Err(StoreError::damaged(why, "that value")),
        _ => Ok(None),
    }
}

/// A parcel met while reading a tree.
pub(super) enum Found {
    /// It is as it was written; `bytes` begin with the label.
    Whole { prefix: IVec, label: Label, bytes: Vec<u8> },
    /// It is not.
    Broken { prefix: IVec, why: &'static str },
}

/// What lies under one prefix.
struct Gathered {
    prefix: IVec,
    /// The parts joined.
    bytes: Vec<u8>,
    /// How many parts, if they are numbered without a gap.
    parts: Option<u16>,
}

/// The parcels of a range of a tree, in key order.
pub(super) struct Parcels {
    iter: sled::Iter,
    ahead: Option<(IVec, u16, IVec)>,
    ended: bool,
}

impl Parcels {
    pub(super) fn new(iter: sled::Iter) -> Self {
        Self { iter, ahead: None, ended: false }
    }

    /// The next part, left where it is.
    fn peek(&mut self) -> Result<Option<&(IVec, u16, IVec)>, StoreError> {
        if self.ahead.is_none() && !self.ended {
            match fenced("reading the store", || self.iter.next().transpose())? {
                None => self.ended = true,
                Some((key, value)) => {
                    let (prefix, part) = match key.split_last_chunk::<2>() {
                        Some((prefix, part)) => (key.subslice(0, prefix.len()), u16::from_be_bytes(*part)),
                        None => (key.clone(), u16::MAX),
                    };
                    self.ahead = Some((prefix, part, value));
                }
            }
        }
        Ok(self.ahead.as_ref())
    }

    /// All parts that lie under the next prefix.
    fn gather(&mut self) -> Result<Option<Gathered>, StoreError> {
        let Some((prefix, ..)) = self.peek()? else { return Ok(None) };
        let prefix = prefix.clone();
        let mut bytes = Vec::new();
        let mut parts = Some(0u16);
        while let Some((of, part, value)) = self.peek()? {
            if *of != prefix {
                break;
            }
            if bytes.is_empty() {
                let whole = Label::read(value).map_or(0, |(_, len)| len.min(MOST));
                bytes.reserve_exact(whole.max(value.len()));
            }
            parts = parts.filter(|next| next == part).and_then(|next| next.checked_add(1));
            bytes.extend_from_slice(value);
            self.ahead = None;
        }
        Ok(Some(Gathered { prefix, bytes, parts }))
    }
}

impl Iterator for Parcels {
    type Item = Result<Found, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Gathered { prefix, bytes, parts } = match self.gather() {
            Ok(gathered) => gathered?,
            Err(error) => {
                self.ended = true;
                return Some(Err(error));
            }
        };
        let why = match (Label::read(&bytes), parts) {
            (None, _) => "a value without its label",
            (_, None) => "a value that lacks a part",
            (Some((label, len)), Some(parts)) if label.parts == parts && len == bytes.len() => {
                if label.sum == checksum(&prefix, &bytes) {
                    return Some(Ok(Found::Whole { prefix, label, bytes }));
                }
                "a value that does not match its checksum"
            }
            _ => "a value whose length is not the one written",
        };
        Some(Ok(Found::Broken { prefix, why }))
    }
}
