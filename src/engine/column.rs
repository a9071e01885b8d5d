//! One column of one chunk: up to [`ROWS`] typed cells, any of them missing, in as few bytes as they need.
//!
//! - String: a dictionary of up to 256 texts with one byte a row; beyond that, the rows' own texts in a row.
//! - Number: decimals of few places are whole numbers with a common scale ([`Ints`]); else doubles.
//! - Date and time: [`Ints`].
//!
//! Refuses to know which attribute it holds. Invariant: a cell reads back exactly what was set, bit for bit.

use serde::{Deserialize, Serialize};

use super::ints::Ints;
use super::packed;
use super::texts::Texts;
use crate::model::AttributeType;

/// Rows of a chunk. A write copies the chunks that it touches, so smaller is cheaper to write; a scan and the
/// list of chunks favour larger.
pub(crate) const ROWS: usize = 2048;
/// Distinct texts up to which a dictionary with one byte a row is used.
const DICTIONARY: usize = 256;
/// Powers of ten that a decimal may be scaled by.
const SCALES: [f64; 5] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Largest integer that every double around it still tells apart: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One bit a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bits(#[serde(with = "packed")] Vec<u64>);

impl Bits {
    pub(crate) fn get(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
    pub(crate) fn set(&mut self, at: usize, on: bool) {
        if self.0.len() <= at / 64 {
            self.0.resize(at / 64 + 1, 0);
        }
        if let Some(word) = self.0.get_mut(at / 64) {
            *word = *word & !(1 << (at % 64)) | u64::from(on) << (at % 64);
        }
    }
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
    /// One past the last set bit.
    pub(crate) fn end(&self) -> usize {
        let last = self.0.iter().enumerate().rev().find(|(_, word)| **word != 0);
        last.map_or(0, |(at, word)| at * 64 + 64 - word.leading_zeros() as usize)
    }
}

/// A cell's content, borrowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CellRef<'a> {
    String(&'a str),
    Number(f64),
    /// Days since 1970-01-01, or milliseconds.
    Int(i64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Cells {
    #[serde(rename = "d")]
    Dictionary {
        #[serde(rename = "t")]
        texts: Texts,
        #[serde(rename = "c", with = "packed")]
        codes: Vec<u8>,
    },
    #[serde(rename = "t")]
    Texts(Texts),
    #[serde(rename = "s")]
    Scaled {
        #[serde(rename = "e")]
        scale: u8,
        #[serde(rename = "i")]
        ints: Ints,
    },
    #[serde(rename = "f", with = "packed")]
    Doubles(Vec<f64>),
    #[serde(rename = "i")]
    Ints(Ints),
}

/// The cells of one column within one chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    #[serde(rename = "p")]
    present: Bits,
    #[serde(rename = "c")]
    cells: Cells,
    /// Number of the journal entry that last changed it: a checkpoint writes what is newer than the one before.
    #[serde(skip)]
    pub(crate) modified: u64,
}

impl Column {
    /// An empty column for values of a type.
    pub(crate) fn of(kind: AttributeType) -> Self {
        let cells = match kind {
            AttributeType::String => Cells::Dictionary { texts: Texts::default(), codes: Vec::new() },
            AttributeType::Number => Cells::Scaled { scale: 0, ints: Ints::default() },
            AttributeType::Date => Cells::Ints(Ints::default()),
        };
        Self { present: Bits::default(), cells, modified: 0 }
    }

    /// An empty column for identifiers: texts that are all different.
    pub(crate) fn of_ids() -> Self {
        Self { present: Bits::default(), cells: Cells::Texts(Texts::default()), modified: 0 }
    }

    /// An empty column for times in milliseconds.
    pub(crate) fn of_times() -> Self {
        Self::of(AttributeType::Date)
    }

    pub(super) fn cells(&self) -> &Cells {
        &self.cells
    }

    pub(crate) fn present(&self) -> &Bits {
        &self.present
    }

    /// The cell at a row of the chunk.
    pub(crate) fn get(&self, row: usize) -> Option<CellRef<'_>> {
        if !self.present.get(row) {
            return None;
        }
        Some(match &self.cells {
            Cells::Dictionary { texts, codes } => {
                CellRef::String(texts.get(codes.get(row).map_or(0, |code| usize::from(*code))))
            }
            Cells::Texts(texts) => CellRef::String(texts.get(row)),
            Cells::Scaled { scale, ints } => CellRef::Number(unscale(ints.get(row), *scale)),
            Cells::Doubles(cells) => CellRef::Number(cells.get(row).copied().unwrap_or_default()),
            Cells::Ints(ints) => CellRef::Int(ints.get(row)),
        })
    }

    /// The text at a row, for columns of texts.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match self.get(row) {
            Some(CellRef::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The text at a row in bytes, for columns of identifiers, in which a cleared cell is empty.
    pub(crate) fn raw_text(&self, row: usize) -> &[u8] {
        match &self.cells {
            Cells::Texts(texts) => texts.raw(row),
            _ => &[],
        }
    }

    /// Sets a cell. A content of another type than the column's is a mistake of the caller and is ignored.
    pub(crate) fn set(&mut self, row: usize, content: CellRef<'_>) {
        let present = &self.present;
        match (&mut self.cells, content) {
            (Cells::Dictionary { texts, codes }, CellRef::String(text)) => {
                if let Some(spread) = set_in_dictionary(texts, codes, present, row, text) {
                    self.cells = Cells::Texts(spread);
                }
            }
            (Cells::Texts(texts), CellRef::String(text)) => texts.set(row, text),
            (Cells::Scaled { scale, ints }, CellRef::Number(number)) => {
                if let Some(doubles) = set_scaled(scale, ints, present, row, number) {
                    self.cells = Cells::Doubles(doubles);
                }
            }
            (Cells::Doubles(cells), CellRef::Number(number)) => set_double(cells, row, number),
            (Cells::Ints(ints), CellRef::Int(value)) => ints.set(row, value, |cell| present.get(cell)),
            _ => return debug_assert!(false, "a cell of another type"),
        }
        self.present.set(row, true);
    }

    /// Sets many cells at once from another column of the same type: pairs of the row there and the row here. A row
    /// that has no cell there is passed over.
    pub(crate) fn take(&mut self, other: &Self, moves: &[(usize, usize)]) {
        let given = moves.iter().copied().filter(|(from, _)| other.present.get(*from));
        match (&mut self.cells, &other.cells) {
            (Cells::Dictionary { texts, codes }, Cells::Dictionary { texts: theirs, codes: their_codes })
                if texts.len() + theirs.len() <= DICTIONARY =>
            {
                let mut known = [None; DICTIONARY];
                for (from, to) in given {
                    let code = usize::from(their_codes.get(from).copied().unwrap_or_default());
                    let Some(known) = known.get_mut(code) else { continue };
                    put_code(codes, to, *known.get_or_insert_with(|| code_in(texts, theirs.get(code)).unwrap_or(0)));
                    self.present.set(to, true);
                }
            }
            (Cells::Texts(texts), _) if given.clone().any(|(_, to)| to < texts.len()) => {
                let mut new: Vec<Option<&str>> = vec![None; texts.len()];
                for (from, to) in given {
                    if new.len() <= to {
                        new.resize(to + 1, None);
                    }
                    new.get_mut(to).into_iter().for_each(|text| *text = other.text(from));
                    self.present.set(to, true);
                }
                *texts = texts.replaced(&new);
            }
            _ => {
                for (from, to) in given {
                    if let Some(cell) = other.get(from) {
                        self.set(to, cell);
                    }
                }
            }
        }
    }

    /// Empties cells; what was there does not stay behind.
    pub(crate) fn clear_all(&mut self, rows: impl Iterator<Item = usize>) {
        let mut cleared = false;
        for row in rows {
            if !self.present.get(row) {
                continue;
            }
            cleared = true;
            self.present.set(row, false);
            match &mut self.cells {
                Cells::Texts(texts) => texts.set(row, ""),
                Cells::Doubles(cells) => set_double(cells, row, 0.0),
                Cells::Dictionary { .. } | Cells::Scaled { .. } | Cells::Ints(_) => {}
            }
        }
        if let (Cells::Dictionary { texts, codes }, true) = (&mut self.cells, cleared) {
            forget_unused(texts, codes, &self.present);
        }
    }

    /// Whether what was read from disk holds together.
    pub(crate) fn is_sound(&self) -> bool {
        let rows = self.present.end();
        rows <= ROWS
            && match &self.cells {
                Cells::Dictionary { texts, codes } => {
                    texts.is_sound()
                        && codes.len() >= rows
                        && (0..rows)
                            .filter(|row| self.present.get(*row))
                            .all(|row| codes.get(row).is_some_and(|code| usize::from(*code) < texts.len()))
                }
                Cells::Texts(texts) => texts.is_sound() && texts.len() >= rows,
                Cells::Scaled { scale, .. } => usize::from(*scale) < SCALES.len(),
                Cells::Doubles(cells) => cells.len() >= rows,
                Cells::Ints(_) => true,
            }
    }
}

/// Sets a text in a dictionary column; gives the rows' own texts when the dictionary can't hold one more.
fn set_in_dictionary(texts: &mut Texts, codes: &mut Vec<u8>, present: &Bits, row: usize, text: &str) -> Option<Texts> {
    let Some(code) = code_in(texts, text) else {
        let mut spread = Texts::default();
        for other in (0..codes.len()).filter(|other| present.get(*other)) {
            spread.set(other, texts.get(codes.get(other).map_or(0, |code| usize::from(*code))));
        }
        spread.set(row, text);
        return Some(spread);
    };
    put_code(codes, row, code);
    None
}

/// A text's code in a dictionary, entered if it is new; `None` when the dictionary is full.
fn code_in(texts: &mut Texts, text: &str) -> Option<u8> {
    let code = texts.position(text).or_else(|| {
        (texts.len() < DICTIONARY).then(|| {
            texts.push(text);
            texts.len() - 1
        })
    });
    code.and_then(|code| u8::try_from(code).ok())
}

fn put_code(codes: &mut Vec<u8>, row: usize, code: u8) {
    if codes.len() <= row {
        codes.resize(row + 1, 0);
    }
    if let Some(cell) = codes.get_mut(row) {
        *cell = code;
    }
}

/// Blanks every text that no row uses any more: of a deleted end user nothing may stay in a dictionary.
fn forget_unused(texts: &mut Texts, codes: &[u8], present: &Bits) {
    let mut used = [false; DICTIONARY];
    for (row, code) in codes.iter().enumerate() {
        if let Some(slot) = used.get_mut(usize::from(*code)) {
            *slot |= present.get(row);
        }
    }
    for (code, used) in used.iter().enumerate().take(texts.len()) {
        if !used && !texts.raw(code).is_empty() {
            texts.set(code, "");
        }
    }
}

fn set_double(cells: &mut Vec<f64>, row: usize, number: f64) {
    if cells.len() <= row {
        cells.resize(row + 1, 0.0);
    }
    if let Some(cell) = cells.get_mut(row) {
        *cell = number;
    }
}

pub(super) fn unscale(int: i64, scale: u8) -> f64 {
    int as f64 / SCALES.get(usize::from(scale)).copied().unwrap_or(1.0)
}

/// The whole number nearest to a number at a scale.
#[expect(clippy::cast_possible_truncation, reason = "a number beyond what an integer holds gives the last one")]
pub(super) fn rescale(number: f64, scale: u8) -> i64 {
    (number * SCALES.get(usize::from(scale)).copied().unwrap_or(1.0)).round() as i64
}

/// The number as an integer at a scale, if that loses nothing.
fn scaled(number: f64, scale: u8) -> Option<i64> {
    let product = (number * SCALES.get(usize::from(scale))?).round();
    if product.abs() > EXACT {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an integer within 2^53")]
    let int = product as i64;
    (unscale(int, scale).to_bits() == number.to_bits()).then_some(int)
}

/// Sets a number in a scaled column, at a larger scale if need be; gives doubles when no scale fits all.
fn set_scaled(scale: &mut u8, ints: &mut Ints, present: &Bits, row: usize, number: f64) -> Option<Vec<f64>> {
    if let Some(int) = scaled(number, *scale) {
        ints.set(row, int, |cell| present.get(cell));
        return None;
    }
    let rows = present.end();
    let others = || (0..rows).filter(|other| *other != row && present.get(*other));
    for wider in *scale + 1..SCALES.len() as u8 {
        let Some(int) = scaled(number, wider) else { continue };
        let mut rescaled = Ints::default();
        let fits = others().all(|other| match scaled(unscale(ints.get(other), *scale), wider) {
            Some(int) => {
                rescaled.set(other, int, |cell| cell != row && present.get(cell));
                true
            }
            None => false,
        });
        if fits {
            rescaled.set(row, int, |cell| present.get(cell));
            (*scale, *ints) = (wider, rescaled);
            return None;
        }
    }
    let mut doubles = Vec::new();
    others().for_each(|other| set_double(&mut doubles, other, unscale(ints.get(other), *scale)));
    set_double(&mut doubles, row, number);
    Some(doubles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn round_trip(column: &Column) -> Column {
        let back: Column = rmp_round_trip(column);
        assert!(back.is_sound());
        back
    }
    // The wire form is the store's affair; any self-describing format shows that the fields survive.
    fn rmp_round_trip(column: &Column) -> Column {
        crate::store::decode(&crate::store::encode(column).unwrap()).unwrap()
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-500_i64..500).prop_map(|n| n as f64),
            (-99_999_i64..99_999).prop_map(|n| n as f64 / 100.0),
            (-99_999_i64..99_999).prop_map(|n| n as f64 / 1000.0),
            -EXACT..EXACT,
            Just(EXACT),
            Just(0.1 + 0.2),
            Just(5e-324),
        ]
    }

    proptest! {
        #[test]
        fn numbers_read_back_bit_for_bit(writes in prop::collection::vec((0_usize..40, prop::option::weighted(0.9, number())), 0..80)) {
            let mut column = Column::of(AttributeType::Number);
            let mut model = BTreeMap::new();
            for (row, write) in writes {
                match write {
                    Some(number) => { column.set(row, CellRef::Number(number)); model.insert(row, number); }
                    None => { column.clear_all(std::iter::once(row)); model.remove(&row); }
                }
            }
            for column in [&column, &round_trip(&column)] {
                for row in 0..41 {
                    prop_assert_eq!(column.get(row), model.get(&row).map(|n| CellRef::Number(*n)));
                }
                prop_assert_eq!(column.present().count(), model.len() as u64);
            }
        }

        #[test]
        fn texts_read_back(distinct in 1_usize..400, writes in prop::collection::vec((0_usize..600, any::<u16>(), any::<bool>()), 0..700)) {
            let mut column = Column::of(AttributeType::String);
            let mut model = BTreeMap::new();
            for (row, pick, keep) in writes {
                let text = format!("text-{}", usize::from(pick) % distinct);
                if keep || pick % 8 != 0 { column.set(row, CellRef::String(&text)); model.insert(row, text); }
                else { column.clear_all(std::iter::once(row)); model.remove(&row); }
            }
            for column in [&column, &round_trip(&column)] {
                for row in 0..600 {
                    prop_assert_eq!(column.text(row), model.get(&row).map(String::as_str));
                }
            }
        }
    }

    fn cell() -> impl Strategy<Value = Option<u16>> {
        prop::option::weighted(0.8, 0_u16..400)
    }

    proptest! {
        #[test]
        fn taking_many_cells_is_setting_each(
            kind in prop::sample::select(AttributeType::ALL.to_vec()),
            here in prop::collection::vec(cell(), 0..300),
            there in prop::collection::vec(cell(), 0..300),
            places in Just((0_usize..400).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let fill = |cells: &[Option<u16>]| {
                let mut column = Column::of(kind);
                for (row, cell) in cells.iter().enumerate().filter_map(|(row, cell)| Some((row, (*cell)?))) {
                    match kind {
                        AttributeType::String => column.set(row, CellRef::String(&format!("text-{cell}"))),
                        AttributeType::Number => column.set(row, CellRef::Number(f64::from(cell) / 8.0)),
                        AttributeType::Date => column.set(row, CellRef::Int(i64::from(cell) - 100)),
                    }
                }
                column
            };
            let (mut one_by_one, other) = (fill(&here), fill(&there));
            let mut at_once = one_by_one.clone();
            let moves: Vec<(usize, usize)> = places.into_iter().enumerate().collect();
            at_once.take(&other, &moves);
            for (from, to) in moves {
                other.get(from).into_iter().for_each(|cell| one_by_one.set(to, cell));
            }
            for row in 0..400 {
                prop_assert_eq!(at_once.get(row), one_by_one.get(row));
            }
            prop_assert!(at_once.is_sound());
        }
    }

    #[test]
    fn a_cleared_text_does_not_stay_behind() {
        let mut column = Column::of(AttributeType::String);
        column.set(0, CellRef::String("canary"));
        column.set(0, CellRef::String("canary two"));
        column.set(1, CellRef::String("other"));
        column.clear_all(std::iter::once(0));
        let bytes = crate::store::encode(&column).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"canary"));
        assert_eq!(column.text(1), Some("other"));
    }
}
