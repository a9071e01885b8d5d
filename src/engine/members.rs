//! Who is in which segment: one bit for each row and segment, copied on write, and the counts.
//!
//! Bits stand in tiles of some blocks of 64 rows, a block with one word a segment. So a row's bits lie side by side, which
//! is what a page load reads, and a write copies one tile: the more segments, the fewer rows it has. Knows segments by
//! place only. Invariants: a count is the number of its segment's bits; a row in which nobody stands has none.

use std::sync::Arc;

use super::column::ROWS;
use super::mask::Mask;
use super::snapshot::locate;
use crate::store::RowNo;

/// Blocks of a chunk.
const BLOCKS: usize = ROWS / 64;
/// Words that a tile has at most, unless one block has more. Smaller copies less on a write, larger has fewer tiles to
/// copy for a chunk.
const TILE_WORDS: usize = 1024;

/// Words that memory gives at once.
const WORDS_OF_LINE: usize = 8;

/// Blocks in a tile: a power of two.
fn blocks_in_tile(segments: usize) -> usize {
    let most = (TILE_WORDS / segments.max(1)).clamp(1, 8);
    1 << most.ilog2()
}

/// The bits of one tile: word `block * segments + place`.
type Tile = Arc<[u64]>;

/// The bits of one chunk.
#[derive(Debug, Clone)]
pub(crate) struct ChunkMembers(Arc<[Tile]>);

impl ChunkMembers {
    /// From each segment's rows, by place.
    pub(crate) fn of(masks: &[Mask]) -> Self {
        let tile_blocks = blocks_in_tile(masks.len());
        let tile = |first: usize| {
            let blocks = first..first + tile_blocks;
            blocks.flat_map(|block| masks.iter().map(move |mask| mask.word(block))).collect()
        };
        Self((0..BLOCKS).step_by(tile_blocks).map(tile).collect())
    }

    fn empty(segments: usize) -> Self {
        let blocks = blocks_in_tile(segments);
        let none: Tile = std::iter::repeat_n(0, segments * blocks).collect();
        Self(std::iter::repeat_n(none, BLOCKS / blocks).collect())
    }

    /// The rows that are in the segment at a place.
    pub(crate) fn mask(&self, place: usize, segments: usize) -> Mask {
        Mask::from_words(self.0.iter().flat_map(|tile| tile.iter().skip(place).step_by(segments.max(1)).copied()))
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
    chunks: Vec<ChunkMembers>,
    counts: Vec<u64>,
}

impl Members {
    /// From the bits of every chunk.
    pub(crate) fn new(segments: usize, chunks: Vec<ChunkMembers>) -> Self {
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

    /// Where a row's bits are: the chunk, the tile, and its block's first word.
    fn place_of(&self, row: RowNo) -> (usize, usize, usize) {
        let (chunk, at) = locate(row);
        let blocks = blocks_in_tile(self.segments);
        (chunk, at / 64 / blocks, at / 64 % blocks * self.segments)
    }

    /// The bits of one row.
    pub(crate) fn row(&self, row: RowNo) -> RowMembers<'_> {
        let (chunk, tile, from) = self.place_of(row);
        let tile = self.chunks.get(chunk).and_then(|chunk| chunk.0.get(tile));
        let words = tile.and_then(|tile| tile.get(from..from + self.segments)).unwrap_or_default();
        RowMembers { words, bit: row as usize % 64 }
    }

    /// Exchanges the bits of a chunk: by place all of them, and for those that changed who changed and who is in it now.
    pub(crate) fn set_chunk(&mut self, chunk: usize, masks: &[Mask], changes: &[Shift]) {
        let segments = self.segments;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || ChunkMembers::empty(segments));
        }
        if let Some(bits) = self.chunks.get_mut(chunk) {
            *bits = ChunkMembers::of(masks);
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
        let (chunk, tile, from) = self.place_of(row);
        let segments = self.segments;
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || ChunkMembers::empty(segments));
        }
        let tile = self.chunks.get_mut(chunk).and_then(|chunk| Arc::make_mut(&mut chunk.0).get_mut(tile));
        let Some(word) = tile.and_then(|tile| Arc::make_mut(tile).get_mut(from + place)) else { return false };
        *word ^= 1 << (row % 64);
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
    /// Has the bits come from memory: who reads them later finds them near, and others may do something meanwhile.
    pub(crate) fn fetch(&self) {
        std::hint::black_box(self.words.iter().step_by(WORDS_OF_LINE).fold(0, |all, word| all | word));
    }

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
            let rebuilt = Members::new(segments, vec![ChunkMembers::of(&masks)]);
            for (place, mask) in masks.iter().enumerate() {
                prop_assert_eq!(rebuilt.mask(0, place), *mask);
            }
        }
    }
}
