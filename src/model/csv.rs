//! One cell of a CSV file: quoted as RFC 4180 has it, and guarded against spreadsheets.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break for a formula, some their wide
//! forms too, so a text may be made to run something in the spreadsheet of whoever opens the file. An apostrophe before
//! it makes it a text.
//! Invariant: guarding can be undone: [`unguarded`] of a [`guarded`] text is the text, whatever it was. So a text that
//! already looks guarded is guarded once more.

use std::borrow::Cow;

/// What a formula begins with.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Whether a text is a formula to a spreadsheet, or would be but for the apostrophes before it.
fn is_suspect(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA)
}

/// The text as a spreadsheet may show it: behind an apostrophe where it would be taken for a formula.
#[must_use]
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_suspect(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text that was guarded.
#[must_use]
pub fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| is_suspect(rest)).unwrap_or(text)
}

/// Appends a cell, in quotes where it needs them; what separates it from the cell before is the caller's.
pub fn push_cell(csv: &mut String, text: &str) {
    if text.contains(['"', ',', '\n', '\r']) {
        csv.push('"');
        csv.push_str(&text.replace('"', "\"\""));
        csv.push('"');
    } else {
        csv.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_guarded() {
        for formula in ["=1+1", "+49 30", "-x", "@SUM(A1)", "\tx", "\r=1", "\n=1", "＝1", "＠SUM(A1)"] {
            assert_eq!(guarded(formula), format!("'{formula}"));
        }
        for plain in ["", "a=b", "'quoted'", "1", " =1", "é"] {
            assert_eq!(guarded(plain), plain);
            assert_eq!(unguarded(plain), plain, "what was not guarded stays as it is");
        }
        assert_eq!(guarded("'=1"), "''=1", "so that it comes back as it was");
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cell = |text: &str| {
            let mut csv = String::new();
            push_cell(&mut csv, text);
            csv
        };
        assert_eq!([cell("a b"), cell(""), cell("a,b")], ["a b", "", "\"a,b\""]);
        assert_eq!(cell("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
    }

    proptest! {
        #[test]
        fn guarding_can_be_undone(text in "['=+\\-@\t\r\n＝＠a1]{0,6}") {
            let shown = guarded(&text);
            prop_assert_eq!(unguarded(&shown), text.as_str());
            prop_assert!(!shown.starts_with(FORMULA));
        }
    }
}
