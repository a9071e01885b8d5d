//! Whole numbers in as few bytes as their range within a chunk needs: a base, and offsets of 0, 1, 2, 4 or 8 bytes.
//!
//! Holds dates (days), times (milliseconds), and numbers that are decimals of few places. Refuses to know which
//! of them are present: a cell never set reads as the base.

use serde::{Deserialize, Serialize};

use super::mask::Mask;
use super::packed;

/// Offsets from a base, all of one width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Offsets {
    #[serde(rename = "0")]
    Same,
    #[serde(rename = "1", with = "packed")]
    Byte(Vec<u8>),
    #[serde(rename = "2", with = "packed")]
    Short(Vec<u16>),
    #[serde(rename = "4", with = "packed")]
    Word(Vec<u32>),
    #[serde(rename = "8", with = "packed")]
    Long(Vec<u64>),
}

/// A list of integers, growing on write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ints {
    base: i64,
    /// How many cells are there; those of a narrower buffer read as the base.
    len: u32,
    offsets: Offsets,
}

impl Default for Ints {
    fn default() -> Self {
        Self { base: 0, len: 0, offsets: Offsets::Same }
    }
}

impl Ints {
    pub(crate) fn get(&self, at: usize) -> i64 {
        let offset = match &self.offsets {
            Offsets::Same => None,
            Offsets::Byte(cells) => cells.get(at).map(|cell| u64::from(*cell)),
            Offsets::Short(cells) => cells.get(at).map(|cell| u64::from(*cell)),
            Offsets::Word(cells) => cells.get(at).map(|cell| u64::from(*cell)),
            Offsets::Long(cells) => cells.get(at).copied(),
        };
        self.base.wrapping_add_unsigned(offset.unwrap_or(0))
    }

    /// The cells from `low` to `high`, both in: the span is moved to the offsets once, and those are compared.
    pub(super) fn within(&self, low: i64, high: i64) -> Mask {
        // One comparison tells both bounds: below the lower one the difference wraps round and is large.
        fn compare<T>(cells: &[T], (low, high): (u64, u64), max: T, minus: impl Fn(T, T) -> T) -> Mask
        where
            T: Copy + PartialOrd + TryFrom<u64>,
        {
            let Ok(low) = T::try_from(low) else { return Mask::NONE };
            let span = minus(T::try_from(high).unwrap_or(max), low);
            Mask::where_cells(cells, |cell| minus(cell, low) <= span)
        }
        if high < self.base || low > high {
            return Mask::NONE;
        }
        let low = low.max(self.base).wrapping_sub(self.base).cast_unsigned();
        let span = (low, high.wrapping_sub(self.base).cast_unsigned());
        // A narrow buffer may end before its last cells, which are the base.
        let tail = |len: usize| if low == 0 && len < self.len as usize { Mask::from_row(len) } else { Mask::NONE };
        match &self.offsets {
            Offsets::Same => {
                if low == 0 {
                    Mask::ALL
                } else {
                    Mask::NONE
                }
            }
            Offsets::Byte(cells) => compare(cells, span, u8::MAX, u8::wrapping_sub).or(&tail(cells.len())),
            Offsets::Short(cells) => compare(cells, span, u16::MAX, u16::wrapping_sub).or(&tail(cells.len())),
            Offsets::Word(cells) => compare(cells, span, u32::MAX, u32::wrapping_sub).or(&tail(cells.len())),
            Offsets::Long(cells) => compare(cells, span, u64::MAX, u64::wrapping_sub).or(&tail(cells.len())),
        }
    }

    /// Sets one cell. `present` tells which other cells count when the range has to be found anew.
    pub(crate) fn set(&mut self, at: usize, value: i64, present: impl Fn(usize) -> bool) {
        if self.len == 0 {
            self.base = value;
        }
        self.len = self.len.max(at as u32 + 1);
        let offset = value.wrapping_sub(self.base).cast_unsigned();
        if value < self.base || !self.put(at, offset) {
            self.widen(at, value, present);
        }
    }

    /// Stores an offset if the present width holds it.
    fn put(&mut self, at: usize, offset: u64) -> bool {
        fn store<T: Copy + Default + TryFrom<u64>>(cells: &mut Vec<T>, at: usize, offset: u64) -> bool {
            let Ok(offset) = T::try_from(offset) else { return false };
            if cells.len() <= at {
                cells.resize(at + 1, T::default());
            }
            if let Some(cell) = cells.get_mut(at) {
                *cell = offset;
            }
            true
        }
        match &mut self.offsets {
            Offsets::Same => offset == 0,
            Offsets::Byte(cells) => store(cells, at, offset),
            Offsets::Short(cells) => store(cells, at, offset),
            Offsets::Word(cells) => store(cells, at, offset),
            Offsets::Long(cells) => store(cells, at, offset),
        }
    }

    /// Finds base and width for all present cells and the new one, and stores them so.
    fn widen(&mut self, at: usize, value: i64, present: impl Fn(usize) -> bool) {
        let old = std::mem::take(self);
        let kept: Vec<(usize, i64)> = (0..old.len as usize)
            .filter(|cell| *cell != at && present(*cell))
            .map(|cell| (cell, old.get(cell)))
            .collect();
        let low = kept.iter().fold(value, |low, (_, other)| low.min(*other));
        let high = kept.iter().fold(value, |high, (_, other)| high.max(*other));
        let span = high.wrapping_sub(low).cast_unsigned();
        let len = old.len as usize;
        self.base = low;
        self.len = old.len;
        self.offsets = match span {
            0 => Offsets::Same,
            1..=0xFF => Offsets::Byte(vec![0; len]),
            0x100..=0xFFFF => Offsets::Short(vec![0; len]),
            0x1_0000..=0xFFFF_FFFF => Offsets::Word(vec![0; len]),
            _ => Offsets::Long(vec![0; len]),
        };
        for (cell, other) in kept.into_iter().chain([(at, value)]) {
            self.put(cell, other.wrapping_sub(low).cast_unsigned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_as_a_list_of_integers(writes in prop::collection::vec((0_usize..30, prop_oneof![
            Just(0_i64), -3_i64..3, -300_i64..300, any::<i32>().prop_map(i64::from), any::<i64>(),
            Just(i64::MIN), Just(i64::MAX)]), 0..60)) {
            let mut ints = Ints::default();
            let mut model = std::collections::BTreeMap::new();
            for (at, value) in writes {
                let before = model.clone();
                ints.set(at, value, |cell| before.contains_key(&cell));
                model.insert(at, value);
                for (cell, expected) in &model {
                    prop_assert_eq!(ints.get(*cell), *expected);
                }
            }
        }
    }

    #[test]
    fn takes_no_more_bytes_than_the_range_needs() {
        let mut ints = Ints::default();
        for at in 0..100 {
            ints.set(at, 1_700_000_000_000, |_| true);
        }
        assert_eq!(ints.offsets, Offsets::Same);
        ints.set(5, 1_700_000_000_200, |_| true);
        assert!(matches!(ints.offsets, Offsets::Byte(_)));
        ints.set(6, 1_699_999_999_000, |_| true);
        assert!(matches!(ints.offsets, Offsets::Short(_)));
    }
}
