//! A block of rows judged by a layout: the records, or every bad place.
//!
//! Owns the meaning of one row: that of identifiers and texts is what they were before an export guarded them against
//! spreadsheets (`model::csv`). Both passes over a file go through [`Judge::row`], so that what the first found good the
//! second finds good as well. Refuses to know of files and of where records go.

use std::borrow::Cow;

use super::cells::{Cells, Splitter};
use super::faults::{Fault, RowError};
use super::layout::{Layout, Stored};
use super::rows::{Block, Row};
use crate::engine::Sheet;
use crate::model::csv::unguarded;
use crate::model::{self, AttributeType, CoerceError, EndUserId, IdentifierCase, Input};

/// Judges rows.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) layout: Layout,
    pub(super) case: IdentifierCase,
    pub(super) limits: model::Limits,
}

/// What was found in a block.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Rows that are not wholly empty.
    pub(super) rows: u64,
    /// Rows with anything bad.
    pub(super) rejected: u64,
    /// The bad places, in order.
    pub(super) errors: Vec<BadCell>,
}

/// A bad place, in little memory: every second byte of a block may be one.
#[derive(Debug)]
pub(super) struct BadCell {
    row: u64,
    /// The column; `None`: the whole row.
    column: Option<usize>,
    code: &'static str,
    detail: Cow<'static, str>,
}

/// What is bad in one row: the column (`None`: all of it) and what.
type Bad = Vec<(Option<usize>, Fault)>;

impl Judge {
    /// Judges a block, and makes nothing of it.
    pub(super) fn check(&self, block: &Block) -> Verdict {
        let (mut verdict, mut splitter, mut bad) = (Verdict::default(), Splitter::default(), Bad::new());
        for row in block.rows() {
            let mut check = |stored: &Stored, input: Input<'_>| input.check(stored.kind, self.limits);
            let found = self.row(row, &mut splitter, &mut check, &mut bad);
            if matches!(found, Found::Nothing) {
                continue;
            }
            verdict.rows += 1;
            verdict.rejected += u64::from(!bad.is_empty());
            for (column, fault) in bad.drain(..) {
                let (code, detail) = (fault.code(), fault.detail());
                verdict.errors.push(BadCell { row: row.number, column, code, detail });
            }
        }
        verdict
    }

    /// A bad place as it is told.
    pub(super) fn told(&self, bad: BadCell) -> RowError {
        let column = bad.column.and_then(|column| self.layout.name(column));
        RowError { row: bad.row, column, code: bad.code.to_owned(), detail: bad.detail.into_owned() }
    }

    /// A block's good rows, in order.
    pub(super) fn sheet(&self, block: &Block) -> Sheet {
        let (mut splitter, mut bad) = (Splitter::default(), Bad::new());
        let mut sheet = Sheet::default();
        let mut sets = Vec::with_capacity(self.layout.stored.len());
        for row in block.rows() {
            let mut set = |stored: &Stored, input: Input<'_>| {
                let value = input.coerce(stored.kind, self.limits)?;
                sets.push((stored.property, value));
                Ok(())
            };
            let found = self.row(row, &mut splitter, &mut set, &mut bad);
            if let Found::EndUser(id) = found
                && bad.is_empty()
            {
                sheet.push(&id, sets.drain(..));
            }
            bad.clear();
            sets.clear();
        }
        sheet
    }

    /// Judges one row: hands each cell that is stored to `take`, and notes whatever is bad.
    fn row(
        &self,
        row: Row<'_>,
        splitter: &mut Splitter,
        take: &mut impl FnMut(&Stored, Input<'_>) -> Result<(), CoerceError>,
        bad: &mut Bad,
    ) -> Found {
        let cells = match readable(row, splitter) {
            Ok(cells) => cells,
            Err(fault) => {
                bad.push(fault);
                return Found::Bad;
            }
        };
        if cells.iter().all(str::is_empty) {
            return Found::Nothing;
        }
        if cells.len() != self.layout.width() {
            bad.push((None, Fault::Ragged { cells: cells.len(), columns: self.layout.width() }));
            return Found::Bad;
        }
        let id = self.identifier(&cells, bad);
        let identifier = self.layout.identifier;
        if (0..cells.len()).all(|column| column == identifier || cells.get(column).is_empty()) {
            bad.push((None, Fault::NoOtherField));
        }
        for stored in &self.layout.stored {
            let text = cells.get(stored.column);
            if text.is_empty() {
                continue;
            }
            // Numbers and dates are never guarded.
            let text = if stored.kind == AttributeType::String { unguarded(text) } else { text };
            if let Err(error) = take(stored, Input::Text(text)) {
                bad.push((Some(stored.column), Fault::Value(error)));
            }
        }
        id.map_or(Found::Bad, Found::EndUser)
    }

    fn identifier(&self, cells: &Cells<'_>, bad: &mut Bad) -> Option<EndUserId> {
        let column = self.layout.identifier;
        let fault = match cells.get(column) {
            "" => Fault::IdentifierMissing,
            text => match EndUserId::in_case(unguarded(text), self.case) {
                Ok(id) => return Some(id),
                Err(error) => Fault::Identifier(error),
            },
        };
        bad.push((Some(column), fault));
        None
    }
}

/// What a row turned out to be.
enum Found {
    /// It is wholly empty, as spreadsheets leave them behind: no row at all.
    Nothing,
    /// Of nobody.
    Bad,
    /// Of this end user, good or bad.
    EndUser(EndUserId),
}

/// The row's cells, if it can be read at all.
fn readable<'a>(row: Row<'a>, splitter: &'a mut Splitter) -> Result<Cells<'a>, (Option<usize>, Fault)> {
    let bytes = row.bytes.ok_or((None, Fault::TooLong))?;
    let text = str::from_utf8(bytes).map_err(|_| (None, Fault::NotUtf8))?;
    splitter.split(text).map_err(|bad| (Some(bad.0), Fault::Quote))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::intake::imports::fixtures::upload;
    use crate::intake::imports::rows::Rows;

    fn judged(rows: &str) -> (Verdict, Vec<RowError>, Sheet) {
        let file = format!("Email,Type,Seats,Signup,Note\n{rows}");
        let mut rows = Rows::from_start(file.as_bytes()).unwrap();
        let mut block = Block::default();
        rows.only_next(&mut block).unwrap();
        let layout = Layout::read(block.rows().next().unwrap().bytes, &upload()).unwrap();
        let judge = Judge { layout, case: IdentifierCase::Sensitive, limits: model::Limits { string_bytes: 8 } };
        rows.fill(&mut block).unwrap();
        let mut verdict = judge.check(&block);
        let errors = verdict.errors.drain(..).map(|bad| judge.told(bad)).collect();
        (verdict, errors, judge.sheet(&block))
    }

    fn errors(rows: &str) -> Vec<(u64, Option<String>, String)> {
        let (_, errors, _) = judged(rows);
        errors.into_iter().map(|error| (error.row, error.column, error.code)).collect()
    }

    fn at(row: u64, column: &str, code: &str) -> (u64, Option<String>, String) {
        (row, Some(column).filter(|name| !name.is_empty()).map(str::to_owned), code.to_owned())
    }

    #[test]
    fn good_rows_become_records_without_their_empty_cells() {
        let (verdict, _, records) = judged("a,paying,5,2024-02-29,x\n b ,,,,x\n\"c,d\",\"say \"\"x\"\"\",,,\n");
        assert_eq!((verdict.rows, verdict.rejected), (3, 0));
        let names = upload().names;
        let value = |at: usize, place: usize| {
            let values = AttributeType::ALL.into_iter().filter_map(|kind| records.value(at, place, kind));
            values.map(|value| format!("{}={}", names[place], value.to_json())).next()
        };
        let values = |at: usize| (0..names.len()).filter_map(|place| value(at, place)).collect::<Vec<_>>().join(" ");
        let shown: Vec<_> = records.ids().enumerate().map(|(at, id)| (id, values(at))).collect();
        let first = r#"Customer_Type="paying" Seats=5 Signup="2024-02-29""#;
        let third = r#"Customer_Type="say \"x\"""#;
        assert_eq!(shown, [("a", first.to_owned()), (" b ", String::new()), ("c,d", third.to_owned())]);
    }

    #[test]
    fn every_bad_place_is_told_with_its_row_and_column() {
        let rows = "a,paying,many,29.2.2024,x\nb,x\n,x,,,\nc,,,,\nd,much too long,,,\ne\u{7},x,,,\nf,\"x\"y,,,\n";
        let expected = [
            at(2, "Seats", "not_a_number"),
            at(2, "Signup", "not_a_date"),
            at(3, "", "ragged"),
            at(4, "Email", "identifier_missing"),
            at(5, "", "no_other_field"),
            at(6, "Type", "string_too_long"),
            at(7, "Email", "identifier"),
            at(8, "Type", "quote"),
        ];
        assert_eq!(errors(rows), expected);
        let (verdict, _, records) = judged(rows);
        assert_eq!((verdict.rows, verdict.rejected, records.len()), (7, 7, 0));
    }

    #[test]
    fn rows_without_anything_in_them_are_no_rows() {
        let (verdict, _, records) = judged("\n,,,,\na,x,,,\n,,\n\"\",,,,\n");
        assert_eq!((verdict.rows, verdict.rejected, records.len()), (1, 0, 1));
    }

    #[test]
    fn both_passes_find_the_same_rows_good() {
        let (verdict, _, records) = judged("a,x,1,,\nb,x,one,,\nc,x,3,,\n");
        assert_eq!((verdict.rows - verdict.rejected, records.len()), (2, 2));
        assert_eq!(records.ids().nth(1), Some("c"));
    }

    /// Whatever stands in a file: pieces of CSV, of values, and bytes that are no text.
    fn anything() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            &b","[..],
            b"\"",
            b"\n",
            b"\r\n",
            b"\"\"",
            b"a",
            b"1",
            b"1e999",
            b"2024-02-29",
            b"\xFF",
            b"\0",
            b"=",
            b"\xEF\xBB\xBF",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()).prop_map(<[u8]>::to_vec), 0..40)
            .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn both_passes_agree_on_whatever_stands_in_a_file(rows in anything()) {
            let layout = Layout::read(Some(b"Email,Seats,Signup"), &upload()).unwrap();
            let limits = model::Limits { string_bytes: 8 };
            let judge = Judge { layout, case: IdentifierCase::Lower, limits };
            let mut rows = Rows::from_position(&rows[..], super::super::rows::Position::START);
            let mut block = Block::default();
            while let Ok(true) = rows.fill(&mut block) {
                let verdict = judge.check(&block);
                prop_assert_eq!(verdict.rows - verdict.rejected, judge.sheet(&block).len() as u64);
                prop_assert_eq!(verdict.rejected == 0, verdict.errors.is_empty());
            }
        }
    }
}
