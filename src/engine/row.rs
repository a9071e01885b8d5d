//! One row while conditions are asked of it: a cell that several of them read is read once, and a test that they share is
//! made once.
//!
//! Knows nothing of what is asked. Invariant: what is remembered is what asking again would answer.

use super::column::CellRef;
use super::snapshot::Chunk;
use crate::store::ColumnNo;

/// A row of a chunk, and what was found out about it.
pub(crate) struct Row<'a> {
    chunk: &'a Chunk,
    at: usize,
    /// The cells that were read, by column.
    cells: Vec<Option<Option<CellRef<'a>>>>,
    /// The answers of tests, by their numbers.
    answers: Vec<Option<bool>>,
}

impl<'a> Row<'a> {
    /// A row of which a few things are asked: nothing is remembered.
    pub(crate) fn new(chunk: &'a Chunk, at: usize) -> Self {
        Self { chunk, at, cells: Vec::new(), answers: Vec::new() }
    }

    /// A row of which so many tests are asked, each more than once.
    pub(crate) fn remembering(chunk: &'a Chunk, at: usize, tests: usize) -> Self {
        Self { chunk, at, cells: vec![None; chunk.width()], answers: vec![None; tests] }
    }

    pub(crate) fn cell(&mut self, no: ColumnNo) -> Option<CellRef<'a>> {
        let Some(known) = self.cells.get_mut(no as usize) else { return self.chunk.get(self.at, no) };
        *known.get_or_insert_with(|| self.chunk.get(self.at, no))
    }

    /// The answer to a test, asked if it is not known.
    pub(crate) fn answer(&mut self, test: Option<usize>, ask: impl FnOnce(&mut Self) -> bool) -> bool {
        let known = test.and_then(|no| self.answers.get(no)).copied().flatten();
        known.unwrap_or_else(|| {
            let answer = ask(self);
            if let Some(place) = test.and_then(|no| self.answers.get_mut(no)) {
                *place = Some(answer);
            }
            answer
        })
    }
}
