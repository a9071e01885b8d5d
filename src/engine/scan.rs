//! Testing a whole column of a chunk at once, or one cell of it.
//!
//! A dictionary column tests each text once and then compares codes; a whole-number column translates the span to its
//! own offsets and compares those, 64 rows at a time. Refuses to know which attribute a column holds. Invariant:
//! [`scan`] answers for each row what [`passes`] answers for its cell.

use std::ops::Bound;

use super::column::{CellRef, Cells, Column, rescale, unscale};
use super::ints::Ints;
use super::mask::Mask;
use super::texts::Texts;
use crate::model::Date;
use crate::predicate::{DateBound, DateTest, NumberTest, Test, TextMatch, TextTest};

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
        (Cells::Dictionary { texts, codes }, Test::Text(test)) => scan_dictionary(texts, codes, test),
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

/// Passing codes up to which each is compared with by itself, which is quicker than looking every row's up.
const FEW: usize = 4;

fn scan_dictionary(texts: &Texts, codes: &[u8], test: &TextTest) -> Mask {
    let passes = |code: usize| match &test.found {
        // Most tests are of this kind, and every chunk has a dictionary: bytes need no checking as UTF-8.
        TextMatch::OneOf(wanted) if !test.lowered => wanted.iter().any(|text| text.as_bytes() == texts.raw(code)),
        _ => test.passes(texts.get(code)),
    };
    let (mut table, mut few, mut passing) = ([false; 256], [0_u8; FEW], 0);
    for (code, entry) in table.iter_mut().enumerate().take(texts.len()).filter(|(code, _)| passes(*code)) {
        *entry = true;
        few.iter_mut().skip(passing).for_each(|place| *place = code as u8);
        passing += 1;
    }
    match passing {
        0 => Mask::NONE,
        1 => Mask::where_cells(codes, |code| few.first() == Some(&code)),
        2..=FEW => Mask::where_cells(codes, |code| few.iter().fold(false, |found, one| found | (code == *one))),
        _ => Mask::where_cells(codes, |code| table.get(usize::from(code)).copied().unwrap_or_default()),
    }
}

fn scan_scaled(ints: &Ints, scale: u8, test: &NumberTest) -> Mask {
    match test {
        NumberTest::Within((low, high)) => {
            let low = match low {
                Bound::Unbounded => i64::MIN,
                Bound::Included(low) => first_where(scale, *low, |number| number >= *low),
                Bound::Excluded(low) => first_where(scale, *low, |number| number > *low),
            };
            let beyond = match high {
                Bound::Unbounded => i64::MAX,
                Bound::Included(high) => first_where(scale, *high, |number| number > *high),
                Bound::Excluded(high) => first_where(scale, *high, |number| number >= *high),
            };
            if low >= beyond { Mask::NONE } else { ints.within(low, beyond - 1) }
        }
        NumberTest::OneOf(numbers) => numbers.iter().fold(Mask::NONE, |mask, number| {
            let int = first_where(scale, *number, |other| other >= *number);
            if unscale(int, scale) == *number { mask.or(&ints.within(int, int)) } else { mask }
        }),
    }
}

/// The first whole number that, at the scale, passes a test that is false up to somewhere about a number and true from
/// there on. Scaling is monotonic, so a binary search over what a column can hold finds it exactly; but it is nearly always
/// where scaling back the number says.
fn first_where(scale: u8, about: f64, passes: impl Fn(f64) -> bool) -> i64 {
    const LIMIT: i64 = 1 << 53;
    let passes = |int| passes(unscale(int, scale));
    let (mut low, mut high) = (-LIMIT, LIMIT + 1);
    let guess = rescale(about, scale).clamp(low + 1, high - 1);
    if passes(guess + 1) && !passes(guess - 1) {
        return if passes(guess) { guess } else { guess + 1 };
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if passes(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AttributeType;
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
