//! One bit for each row of a chunk: what a scan computes with.
//!
//! Invariant: bits at and beyond [`ROWS`] do not exist; a block of 64 rows is one word.

use multiversion::multiversion;

use super::column::{Bits, ROWS};

/// Words of a mask.
const WORDS: usize = ROWS / 64;

/// A set of rows of one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mask([u64; WORDS]);

impl Mask {
    pub(crate) const NONE: Self = Self([0; WORDS]);
    pub(crate) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(crate) fn of(bits: &Bits) -> Self {
        let mut mask = Self::NONE;
        mask.0.iter_mut().zip(bits.words()).for_each(|(word, bits)| *word = *bits);
        mask
    }

    /// Every row from one on.
    pub(crate) fn from_row(row: usize) -> Self {
        let mut mask = Self::NONE;
        for (at, word) in mask.0.iter_mut().enumerate() {
            *word = match row.saturating_sub(at * 64) {
                0 => u64::MAX,
                skip if skip < 64 => u64::MAX << skip,
                _ => 0,
            };
        }
        mask
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }

    pub(crate) fn or(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    pub(crate) fn xor(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word ^= other);
        self
    }

    /// The rows `at * 64` to `at * 64 + 63`, lowest first.
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or_default()
    }

    /// A mask from its words, the lowest rows first.
    pub(crate) fn from_words(words: impl Iterator<Item = u64>) -> Self {
        let mut mask = Self::NONE;
        mask.0.iter_mut().zip(words).for_each(|(word, given)| *word = given);
        mask
    }

    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn count(&self) -> u64 {
        count(&self.0)
    }

    pub(crate) fn get(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(crate) fn set(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    /// The rows in it, rising.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, mut word)| {
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// The rows whose cell passes: the comparison runs over the 64 cells of a block at once.
    pub(crate) fn where_cells<T: Copy>(cells: &[T], passes: impl Fn(T) -> bool) -> Self {
        let mut mask = Self::NONE;
        compare(&mut mask.0, cells, passes);
        mask
    }
}

// What follows is most of the time of a count, so it is compiled for processors with wider registers, too.

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn count(words: &[u64; WORDS]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn compare<T: Copy>(words: &mut [u64; WORDS], cells: &[T], passes: impl Fn(T) -> bool) {
    let flag = |cell| if passes(cell) { u8::MAX } else { 0 };
    let (blocks, rest) = cells.as_chunks::<64>();
    let mut words = words.iter_mut();
    for (block, word) in blocks.iter().zip(&mut words) {
        *word = gather(&block.map(flag));
    }
    if let Some(word) = words.next() {
        let mut flags = [0; 64];
        flags.iter_mut().zip(rest).for_each(|(place, cell)| *place = flag(*cell));
        *word = gather(&flags);
    }
}

/// One bit for each of 64 bytes that are all ones or all zeros.
///
/// Byte `8 k + j` gives its bit `k` to byte `j` of a word, which costs a mask and an `or` for eight bytes; what then stands
/// there is the wanted word as a square of 8 by 8 bits with rows and columns exchanged, and three steps turn it round.
#[inline(always)]
fn gather(flags: &[u8; 64]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (eights, _) = flags.as_chunks::<8>();
    let square = eights.iter().enumerate();
    let mut word = square.fold(0, |word, (k, eight)| word | u64::from_le_bytes(*eight) & (ONES << k));
    for (distance, places) in [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)] {
        let exchanged: u64 = (word ^ word >> distance) & places;
        word ^= exchanged ^ exchanged << distance;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comparing_a_block_is_comparing_each_cell(cells in prop::collection::vec(any::<u8>(), 0..ROWS), limit in any::<u8>()) {
            let mask = Mask::where_cells(&cells, |cell| cell < limit);
            let expected: Vec<usize> = cells.iter().enumerate().filter(|(_, cell)| **cell < limit).map(|(at, _)| at).collect();
            prop_assert_eq!(mask.count(), expected.len() as u64);
            prop_assert_eq!(mask.rows().collect::<Vec<_>>(), expected);
        }
    }
}
