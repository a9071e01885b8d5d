//! A row's cells (RFC 4180): split at commas, quotes taken off.
//!
//! Stricter than most readers: a quote that does not enclose its cell, or is not doubled within one, is told, because
//! guessing what it means would store something else than what was meant. A row without quotes is not copied.

use std::ops::Range;

/// A cell whose quotes are wrong: its column, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadQuote(pub(super) usize);

/// A row's cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells<'a> {
    text: &'a str,
    bounds: &'a [Range<usize>],
}

impl<'a> Cells<'a> {
    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.bounds.len()
    }

    /// A cell; empty when there is none in that column.
    pub(super) fn get(&self, column: usize) -> &'a str {
        self.bounds.get(column).and_then(|bounds| self.text.get(bounds.clone())).unwrap_or_default()
    }

    /// All cells, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> + '_ {
        (0..self.len()).map(|column| self.get(column))
    }
}

/// Splits rows, one after the other, in memory that it uses again.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// The cells of a row with quotes, without them.
    text: String,
    bounds: Vec<Range<usize>>,
}

impl Splitter {
    /// The row's cells; a row has at least one.
    pub(super) fn split<'a>(&'a mut self, row: &'a str) -> Result<Cells<'a>, BadQuote> {
        self.bounds.clear();
        self.text.clear();
        if row.as_bytes().contains(&b'"') {
            self.unquote(row)?;
            return Ok(Cells { text: &self.text, bounds: &self.bounds });
        }
        let mut from = 0;
        for (at, _) in row.bytes().enumerate().filter(|(_, byte)| *byte == b',') {
            self.bounds.push(from..at);
            from = at + 1;
        }
        self.bounds.push(from..row.len());
        Ok(Cells { text: row, bounds: &self.bounds })
    }

    fn unquote(&mut self, row: &str) -> Result<(), BadQuote> {
        let mut rest = row;
        loop {
            let bad = BadQuote(self.bounds.len());
            let from = self.text.len();
            rest = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted).ok_or(bad)?,
                None => {
                    let (cell, behind) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                    if cell.contains('"') {
                        return Err(bad);
                    }
                    self.text.push_str(cell);
                    behind
                }
            };
            self.bounds.push(from..self.text.len());
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.is_empty() => return Ok(()),
                None => return Err(bad),
            }
        }
    }

    /// Takes a cell up to its closing quote; what stands behind that.
    fn quoted<'a>(&mut self, mut rest: &'a str) -> Option<&'a str> {
        loop {
            let (part, behind) = rest.split_once('"')?;
            self.text.push_str(part);
            match behind.strip_prefix('"') {
                Some(more) => {
                    self.text.push('"');
                    rest = more;
                }
                None => return Some(behind),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(row: &str) -> Result<Vec<String>, BadQuote> {
        Splitter::default().split(row).map(|cells| cells.iter().map(str::to_owned).collect())
    }

    #[test]
    fn cells_are_split_at_commas_outside_quotes() {
        assert_eq!(split("a,,b c, d "), Ok(["a", "", "b c", " d "].map(str::to_owned).to_vec()));
        assert_eq!(split(""), Ok(vec![String::new()]));
        assert_eq!(split("a,"), Ok(["a", ""].map(str::to_owned).to_vec()));
        let quoted = ["a,b", "say \"hi\"\n", "", "é", ""].map(str::to_owned);
        assert_eq!(split("\"a,b\",\"say \"\"hi\"\"\n\",\"\",é,"), Ok(quoted.to_vec()));
    }

    #[test]
    fn a_misplaced_quote_is_told_with_its_column() {
        for (row, column) in [("5\" pipe", 0), ("a,\"b\"c", 1), ("a, \"b\"", 1), ("\"a\"\"", 0), ("a,b,\"", 2)] {
            assert_eq!(split(row), Err(BadQuote(column)), "{row}");
        }
    }

    #[test]
    fn a_splitter_forgets_the_row_before() {
        let mut splitter = Splitter::default();
        assert!(splitter.split("\"a\",\"b\",\"").is_err());
        assert_eq!(splitter.split("\"c\",d").unwrap().iter().collect::<Vec<_>>(), ["c", "d"]);
        let cells = splitter.split("e").unwrap();
        assert_eq!((cells.len(), cells.get(0), cells.get(1)), (1, "e", ""));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(cells in proptest::collection::vec("[a\",\n\ré]{0,6}", 1..6)) {
            let row: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            prop_assert_eq!(split(&row.join(",")), Ok(cells));
        }
    }
}
