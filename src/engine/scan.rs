//! Testing a whole column of a chunk at once, or one cell of it.
//!
//! A dictionary column tests each text once and then compares codes; a whole-number column translates the span to its
//! own offsets and compares those, 64 rows at a time. Refuses to know which attribute a column holds. Invariant:
//! [`scan`] answers for each row what [`passes`] answers for its cell.

use std::ops::Bound;

use super::column::{CellRef, Cells, Column, unscale};
use super::ints::Ints;
use super::mask::Mask;
use crate::model::Date;
use crate::predicate::{DateBound, DateTest, NumberTest, Test, TextTest};

/// Whether a cell of the test's own type passes.
pub(crate) fn passes(test: &Test, cell: CellRef<'_>, today: Date) -> bool {
    match (test, cell) {
        (Test::IsSet, _) => true,
        (Test::Text(test), CellRef::String(text)) => test.passes(text),
        (Test::Number(test), CellRef::Number(number)) => test.passes(number),
        (Test::Date(DateTest::Within(low, high)), CellRef::Int(day)) => {
            let (low, high) = DateTest::range(*low, *high, today);
            low <= day && day <= high
        }
        (Test::Date(DateTest::OneOf(days)), CellRef::Int(day)) => days.iter().any(|bound| bound.on(today) == day),
        _ => false,
    }
}

/// The rows whose cell is there and passes. Rows outside `within` may be answered either way.
pub(crate) fn scan(column: &Column, test: &Test, within: &Mask, today: Date) -> Mask {
    let present = Mask::of(column.present());
    let passing = match (column.cells(), test) {
        (_, Test::IsSet) => Mask::ALL,
        (Cells::Dictionary { texts, codes }, Test::Text(test)) => scan_dictionary(texts.iter(), codes, test),
        (Cells::Texts(_), Test::Text(test)) => {
            let mut mask = Mask::NONE;
            for row in within.and(&present).rows() {
                if column.text(row).is_some_and(|text| test.passes(text)) {
                    mask.set(row);
                }
            }
            mask
        }
        (Cells::Scaled { scale, ints }, Test::Number(test)) => scan_scaled(ints, *scale, test),
        (Cells::Doubles(cells), Test::Number(test)) => Mask::where_cells(cells, |number| test.passes(number)),
        (Cells::Ints(ints), Test::Date(DateTest::Within(low, high))) => {
            let (low, high) = DateTest::range(*low, *high, today);
            ints.within(low, high)
        }
        (Cells::Ints(ints), Test::Date(DateTest::OneOf(days))) => days.iter().fold(Mask::NONE, |mask, day| {
            let day = DateBound::on(*day, today);
            mask.or(&ints.within(day, day))
        }),
        _ => Mask::NONE,
    };
    passing.and(&present)
}

fn scan_dictionary<'a>(texts: impl Iterator<Item = &'a str>, codes: &[u8], test: &TextTest) -> Mask {
    let mut table = [false; 256];
    let mut passing = 0_usize;
    let mut one = 0_u8;
    for (code, text) in texts.enumerate().take(256) {
        if test.passes(text) {
            passing += 1;
            one = code as u8;
            if let Some(entry) = table.get_mut(code) {
                *entry = true;
            }
        }
    }
    match passing {
        0 => Mask::NONE,
        1 => Mask::where_cells(codes, |code| code == one),
        _ => Mask::where_cells(codes, |code| table.get(usize::from(code)).copied().unwrap_or_default()),
    }
}

fn scan_scaled(ints: &Ints, scale: u8, test: &NumberTest) -> Mask {
    match test {
        NumberTest::Within((low, high)) => {
            let low = match low {
                Bound::Unbounded => i64::MIN,
                Bound::Included(low) => first_where(scale, |number| number >= *low),
                Bound::Excluded(low) => first_where(scale, |number| number > *low),
            };
            let beyond = match high {
                Bound::Unbounded => i64::MAX,
                Bound::Included(high) => first_where(scale, |number| number > *high),
                Bound::Excluded(high) => first_where(scale, |number| number >= *high),
            };
            if low >= beyond { Mask::NONE } else { ints.within(low, beyond - 1) }
        }
        NumberTest::OneOf(numbers) => numbers.iter().fold(Mask::NONE, |mask, number| {
            let int = first_where(scale, |other| other >= *number);
            if unscale(int, scale) == *number { mask.or(&ints.within(int, int)) } else { mask }
        }),
    }
}

/// The first whole number that, at the scale, passes a test that is false up to somewhere and true from there on.
/// Scaling is monotonic, so a binary search over what a column can hold finds it exactly.
fn first_where(scale: u8, passes: impl Fn(f64) -> bool) -> i64 {
    const LIMIT: i64 = 1 << 53;
    let (mut low, mut high) = (-LIMIT, LIMIT + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if passes(unscale(middle, scale)) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AttributeType;
    use crate::predicate::TextMatch;
    use proptest::prelude::*;

    fn judged(cell: Option<CellRef<'_>>, test: &Test, today: Date) -> bool {
        cell.is_some_and(|cell| passes(test, cell, today))
    }

    fn today() -> Date {
        Date::from_days(20_000).unwrap()
    }

    fn numbers() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-50_i64..50).prop_map(|n| n as f64),
            (-5000_i64..5000).prop_map(|n| n as f64 / 100.0),
            Just(0.1 + 0.2),
            Just(9e15)
        ]
    }

    fn spans() -> impl Strategy<Value = NumberTest> {
        let bound = prop_oneof![
            Just(Bound::Unbounded),
            numbers().prop_map(Bound::Included),
            numbers().prop_map(Bound::Excluded)
        ];
        prop_oneof![
            (bound.clone(), bound).prop_map(NumberTest::Within),
            prop::collection::vec(numbers(), 0..4).prop_map(|mut numbers| {
                numbers.sort_by(f64::total_cmp);
                NumberTest::OneOf(numbers)
            })
        ]
    }

    proptest! {
        #[test]
        fn scanning_numbers_is_judging_each(cells in prop::collection::vec(prop::option::of(numbers()), 0..200), test in spans()) {
            let mut column = Column::of(AttributeType::Number);
            for (row, cell) in cells.iter().enumerate() {
                if let Some(number) = cell { column.set(row, CellRef::Number(*number)); }
            }
            let test = Test::Number(test);
            let mask = scan(&column, &test, &Mask::ALL, today());
            for row in 0..cells.len() {
                prop_assert_eq!(mask.get(row), judged(column.get(row), &test, today()));
            }
        }

        #[test]
        fn scanning_dates_is_judging_each(cells in prop::collection::vec(prop::option::of(19_900_i64..20_100), 0..200),
            low in prop::option::of(-90_i64..90), high in prop::option::of(-90_i64..90)) {
            let mut column = Column::of(AttributeType::Date);
            for (row, cell) in cells.iter().enumerate() {
                if let Some(day) = cell { column.set(row, CellRef::Int(*day)); }
            }
            let test = Test::Date(DateTest::Within(low.map(DateBound::Today), high.map(|h| DateBound::Day(20_000 + h))));
            let mask = scan(&column, &test, &Mask::ALL, today());
            for row in 0..cells.len() {
                prop_assert_eq!(mask.get(row), judged(column.get(row), &test, today()));
            }
        }

        #[test]
        fn scanning_texts_is_judging_each(distinct in 1_usize..300, cells in prop::collection::vec(prop::option::of(any::<u16>()), 0..600), pick in 0_usize..300) {
            let mut column = Column::of(AttributeType::String);
            for (row, cell) in cells.iter().enumerate() {
                if let Some(n) = cell { column.set(row, CellRef::String(&format!("text-{}", usize::from(*n) % distinct))); }
            }
            let texts = [
                TextTest { found: TextMatch::OneOf(vec![format!("text-{pick}").into()]), lowered: false },
                TextTest { found: TextMatch::StartsWith("text-1".into()), lowered: true },
                TextTest { found: TextMatch::EndsWith("7".into()), lowered: false },
            ];
            for test in texts.map(Test::Text) {
                let mask = scan(&column, &test, &Mask::ALL, today());
                for row in 0..cells.len() {
                    prop_assert_eq!(mask.get(row), judged(column.get(row), &test, today()));
                }
            }
        }
    }
}
