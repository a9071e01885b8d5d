//! Who is in which segment: one bit for each row and segment, copied on write, and the counts.
//!
//! Bits stand in tiles of 256 rows: for each block of 64 rows, one word a segment. So a row's bits lie side by side,
//! which is what a page load reads, and a write copies one tile. Knows segments by place only. Invariants: a count is
//! the number of its segment's bits; a row in which nobody stands has none.

use std::sync::Arc;

use super::column::ROWS;
use super::mask::Mask;
use super::snapshot::locate;
use crate::store::RowNo;

/// Rows of a tile. Smaller copies less on a write, larger has fewer tiles to copy for a chunk.
const TILE_ROWS: usize = 256;
/// Tiles of a chunk.
const TILES: usize = ROWS / TILE_ROWS;
/// Blocks of 64 rows in a tile.
const BLOCKS: usize = TILE_ROWS / 64;

/// The bits of one tile: word `block * segments + place`.
type Tile = Arc<[u64]>;

/// The bits of one chunk.
#[derive(Debug, Clone)]
pub(crate) struct ChunkMembers([Tile; TILES]);

impl ChunkMembers {
    /// From each segment's rows, by place.
    pub(crate) fn of(masks: &[Mask]) -> Self {
        let tile = |tile: usize| {
            let blocks = (0..BLOCKS).map(|block| tile * BLOCKS + block);
            blocks.flat_map(|block| masks.iter().map(move |mask| mask.word(block))).collect()
        };
        Self(std::array::from_fn(tile))
    }

    fn empty(segments: usize) -> Self {
        let none: Tile = std::iter::repeat_n(0, segments * BLOCKS).collect();
        Self(std::array::from_fn(|_| Arc::clone(&none)))
    }

    /// The rows that are in the segment at a place.
    pub(crate) fn mask(&self, place: usize, segments: usize) -> Mask {
        Mask::from_words(self.0.iter().flat_map(|tile| {
            (0..BLOCKS).map(move |block| tile.get(block * segments + place).copied().unwrap_or_default())
        }))
    }
}

/// What changed of one segment's members in one chunk.
#[derive(Debug)]
pub(crate) struct Shift {
    /// The segment's place.
    pub(crate) place: usize,
    /// Who entered or left it.
    pub(crate) changed: Mask,
    /// Who of them is in it now.
    pub(crate) now: Mask,
}

/// Who is in which segment of a system.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    segments: usize,
    chunks: Vec<Arc<ChunkMembers>>,
    counts: Vec<u64>,
}

impl Members {
    /// From the bits of every chunk.
    pub(crate) fn new(segments: usize, chunks: Vec<Arc<ChunkMembers>>) -> Self {
        let count = |place| chunks.iter().map(|chunk| chunk.mask(place, segments).count()).sum();
        let counts = (0..segments).map(count).collect();
        Self { segments, chunks, counts }
    }

    /// How many are in the segment at a place.
    pub(crate) fn count(&self, place: usize) -> u64 {
        self.counts.get(place).copied().unwrap_or_default()
    }

    /// The rows of a chunk that are in the segment at a place.
    pub(crate) fn mask(&self, chunk: usize, place: usize) -> Mask {
        self.chunks.get(chunk).map_or(Mask::NONE, |chunk| chunk.mask(place, self.segments))
    }

    /// The bits of one row.
    pub(crate) fn row(&self, row: RowNo) -> RowMembers<'_> {
        let (chunk, at) = locate(row);
        let tile = self.chunks.get(chunk).and_then(|chunk| chunk.0.get(at / TILE_ROWS));
        let from = at % TILE_ROWS / 64 * self.segments;
        let words = tile.and_then(|tile| tile.get(from..from + self.segments)).unwrap_or_default();
        RowMembers { words, bit: at % 64 }
    }

    /// Exchanges the bits of a chunk: by place all of them, and for those that changed who changed and who is in it now.
    pub(crate) fn set_chunk(&mut self, chunk: usize, masks: &[Mask], changes: &[Shift]) {
        let segments = self.segments;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || Arc::new(ChunkMembers::empty(segments)));
        }
        if let Some(bits) = self.chunks.get_mut(chunk) {
            *bits = Arc::new(ChunkMembers::of(masks));
        }
        for Shift { place, changed, now } in changes {
            if let Some(count) = self.counts.get_mut(*place) {
                *count = *count + now.count() - changed.without(now).count();
            }
        }
    }

    /// Puts a row into the segment at a place, or takes it out; whether that changed anything.
    pub(crate) fn set(&mut self, row: RowNo, place: usize, member: bool) -> bool {
        if self.row(row).contains(place) == member {
            return false;
        }
        let (chunk, at) = locate(row);
        let segments = self.segments;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || Arc::new(ChunkMembers::empty(segments)));
        }
        let tile = self.chunks.get_mut(chunk).and_then(|chunk| Arc::make_mut(chunk).0.get_mut(at / TILE_ROWS));
        let Some(word) = tile.and_then(|tile| Arc::make_mut(tile).get_mut(at % TILE_ROWS / 64 * segments + place))
        else {
            return false;
        };
        *word ^= 1 << (at % 64);
        if let Some(count) = self.counts.get_mut(place) {
            *count = if member { *count + 1 } else { count.saturating_sub(1) };
        }
        true
    }
}

/// The segments of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowMembers<'a> {
    words: &'a [u64],
    bit: usize,
}

impl RowMembers<'_> {
    /// Whether the row is in the segment at a place.
    pub(crate) fn contains(&self, place: usize) -> bool {
        self.words.get(place).is_some_and(|word| word >> self.bit & 1 == 1)
    }

    /// All places as flags.
    pub(crate) fn flags(&self) -> Vec<bool> {
        self.words.iter().map(|word| word >> self.bit & 1 == 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_as_sets_of_rows(segments in 1_usize..70, writes in prop::collection::vec((0_u32..5000, any::<u16>(), any::<bool>()), 0..300)) {
            let mut members = Members::new(segments, Vec::new());
            let mut model = vec![BTreeSet::new(); segments];
            for (row, place, member) in writes {
                let place = usize::from(place) % segments;
                let before = members.clone();
                let changed = if member { model[place].insert(row) } else { model[place].remove(&row) };
                prop_assert_eq!(members.set(row, place, member), changed);
                prop_assert_eq!(before.row(row).contains(place), changed != member, "an older snapshot does not change");
            }
            for (place, rows) in model.iter().enumerate() {
                prop_assert_eq!(members.count(place), rows.len() as u64);
                let mut found = BTreeSet::new();
                for chunk in 0..3 {
                    found.extend(members.mask(chunk, place).rows().map(|at| (chunk * ROWS + at) as u32));
                }
                prop_assert_eq!(&found, rows);
                for row in rows {
                    prop_assert!(members.row(*row).contains(place));
                }
            }
            let masks: Vec<Mask> = (0..segments).map(|place| members.mask(0, place)).collect();
            let rebuilt = Members::new(segments, vec![Arc::new(ChunkMembers::of(&masks))]);
            for (place, mask) in masks.iter().enumerate() {
                prop_assert_eq!(rebuilt.mask(0, place), *mask);
            }
        }
    }
}
