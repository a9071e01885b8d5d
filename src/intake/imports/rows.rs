//! A CSV file's rows: where each begins and ends (RFC 4180), without a look into its cells.
//!
//! A row ends at a line feed outside quotes; a quote opens a cell only at the cell's start. Rows are handed out in
//! blocks, so that several threads can read their cells. Knows nothing of columns.
//!
//! Invariants: memory is bounded whatever the file holds, as a row over [`MAX_ROW`] is passed over and not kept; every
//! row has the number that a spreadsheet shows, empty lines counted and line breaks within cells not; a file read on
//! from any [`Position`] gives the same rows as in one go.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

/// Longest row, in bytes. Far above real ones: the 100 longest texts of a system and their quotes have less.
pub(super) const MAX_ROW: usize = 1 << 20;
/// Bytes read at once.
const READ: usize = 1 << 20;
/// Most rows of a block.
const BLOCK_ROWS: usize = 8192;
/// Bytes after which a block takes no more rows.
const BLOCK_BYTES: usize = 2 << 20;
/// What some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The marks before UTF-16, which is no UTF-8.
const UTF_16: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Its number: the header is row 1.
    pub(super) row: u64,
}

impl Position {
    /// The file's first row.
    pub(super) const START: Self = Self { offset: 0, row: 1 };
}

/// Why a file can't be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The file system's answer.
    #[error("the uploaded file can't be read: {0}")]
    Io(#[from] io::Error),
    /// A quote that nothing closes: everything after it belongs to this row.
    #[error("row {0} opens a quote that is never closed, so that the rest of the file belongs to it")]
    Unclosed(u64),
    /// The file says itself that it is UTF-16.
    #[error("the file is UTF-16: save it as CSV UTF-8")]
    Utf16,
}

/// One row as it stands in the file, its line end left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row<'a> {
    /// Its number.
    pub(super) number: u64,
    /// Its bytes; `None` when it is over [`MAX_ROW`].
    pub(super) bytes: Option<&'a [u8]>,
}

/// A run of whole rows.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where each row ends, behind the one before; `None`: it was too long to keep.
    ends: Vec<Option<usize>>,
    first: u64,
}

impl Block {
    /// The rows, in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut from = 0;
        (self.first..).zip(&self.ends).map(move |(number, end)| {
            let bytes = end.and_then(|end| self.bytes.get(from..end));
            from = end.unwrap_or(from);
            Row { number, bytes }
        })
    }

    /// Empties it, for rows from that number on.
    fn clear(&mut self, first: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.first = first;
    }

    fn is_full(&self) -> bool {
        self.ends.len() >= BLOCK_ROWS || self.bytes.len() >= BLOCK_BYTES
    }
}

/// Where within a row a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Within {
    /// Before a cell's first character.
    #[default]
    CellStart,
    /// In a cell without quotes, or behind its closing quote.
    Plain,
    /// In quotes.
    Quoted,
    /// Behind a quote within quotes: it closes them, or is the first of two that stand for one.
    Closing,
}

impl Within {
    /// Takes a byte; whether it ends the row.
    fn step(&mut self, byte: u8) -> bool {
        *self = match (*self, byte) {
            (Self::Quoted, b'"') => Self::Closing,
            (Self::Quoted, _) | (Self::Closing | Self::CellStart, b'"') => Self::Quoted,
            (_, b'\n') => return true,
            (_, b',') => Self::CellStart,
            _ => Self::Plain,
        };
        false
    }

    /// Reads on; the place of the line feed that ends the row.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        if matches!(self, Self::CellStart | Self::Plain) {
            // Most rows have no quote at all; then the next line feed ends it.
            let (line, ended) = first_line(bytes);
            if !line.contains(&b'"') {
                if let Some(last) = line.last() {
                    *self = if *last == b',' { Self::CellStart } else { Self::Plain };
                }
                return ended.then_some(line.len());
            }
        }
        bytes.iter().position(|byte| self.step(*byte))
    }
}

/// What stands before the first line feed, and whether there is one.
fn first_line(bytes: &[u8]) -> (&[u8], bool) {
    let mut rest = bytes;
    // Reading from memory does not fail.
    let passed = rest.skip_until(b'\n').unwrap_or(0);
    let line = bytes.get(..passed).unwrap_or_default();
    line.strip_suffix(b"\n").map_or((line, false), |line| (line, true))
}

/// Reads rows from a file, from the start or from a [`Position`] on.
#[derive(Debug)]
pub(super) struct Rows<R> {
    input: R,
    /// Bytes read at once.
    piece: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the next row begins.
    at: usize,
    /// Whether the input has ended.
    ended: bool,
    /// Where in the file the next row begins.
    next: Position,
    /// Why there is no further row, once those before it were handed out.
    failed: Option<ReadError>,
}

impl<R: Read> Rows<R> {
    /// Reads a file from its start, behind its byte order mark if it has one.
    pub(super) fn from_start(input: R) -> Result<Self, ReadError> {
        Self::from_position(input, Position::START).behind_mark()
    }

    /// Reads on from a position at which the input stands.
    pub(super) fn from_position(input: R, next: Position) -> Self {
        Self { input, piece: READ, buffer: Vec::new(), at: 0, ended: false, next, failed: None }
    }

    /// Passes the mark at the file's start.
    fn behind_mark(mut self) -> Result<Self, ReadError> {
        while self.buffer.len() < BYTE_ORDER_MARK.len() && !self.ended {
            self.refill()?;
        }
        if UTF_16.iter().any(|mark| self.buffer.starts_with(mark)) {
            return Err(ReadError::Utf16);
        }
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.pass(BYTE_ORDER_MARK.len());
        }
        Ok(self)
    }

    /// Where the next row begins.
    pub(super) fn position(&self) -> Position {
        self.next
    }

    /// Fills the block with the next rows; false at the end of the file.
    pub(super) fn fill(&mut self, block: &mut Block) -> Result<bool, ReadError> {
        block.clear(self.next.row);
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        while !block.is_full() {
            match self.take_row(block) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if block.ends.is_empty() => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(!block.ends.is_empty())
    }

    /// Moves the next row alone into the block; false at the end of the file.
    pub(super) fn only_next(&mut self, block: &mut Block) -> Result<bool, ReadError> {
        block.clear(self.next.row);
        self.take_row(block)
    }

    fn take_row(&mut self, block: &mut Block) -> Result<bool, ReadError> {
        let mut within = Within::default();
        let mut scanned = 0;
        loop {
            let unscanned = self.buffer.get(self.at + scanned..).unwrap_or_default();
            if let Some(length) = within.find_end(unscanned) {
                self.keep(block, scanned + length, 1);
                return Ok(true);
            }
            scanned += unscanned.len();
            if self.ended {
                if within == Within::Quoted {
                    return Err(ReadError::Unclosed(self.next.row));
                }
                if scanned > 0 {
                    self.keep(block, scanned, 0);
                }
                return Ok(scanned > 0);
            }
            if scanned > MAX_ROW {
                self.pass_over(within)?;
                block.ends.push(None);
                self.next.row += 1;
                return Ok(true);
            }
            self.refill()?;
        }
    }

    /// Moves a row of that length, with a line feed behind it or not, into the block.
    fn keep(&mut self, block: &mut Block, length: usize, line_feed: usize) {
        let row = self.buffer.get(self.at..self.at + length).unwrap_or_default();
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        block.ends.push((row.len() <= MAX_ROW).then(|| {
            block.bytes.extend_from_slice(row);
            block.bytes.len()
        }));
        self.pass(length + line_feed);
        self.next.row += 1;
    }

    /// Drops the rest of a row that is too long, of which the buffer holds no end.
    fn pass_over(&mut self, mut within: Within) -> Result<(), ReadError> {
        loop {
            self.pass(self.buffer.len() - self.at);
            self.refill()?;
            if let Some(length) = within.find_end(&self.buffer) {
                self.pass(length + 1);
                return Ok(());
            }
            if self.ended {
                self.pass(self.buffer.len());
                let unclosed = within == Within::Quoted;
                return if unclosed { Err(ReadError::Unclosed(self.next.row)) } else { Ok(()) };
            }
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.at += bytes;
        self.next.offset += bytes as u64;
    }

    /// Reads on behind what the buffer holds of the next row.
    fn refill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.reserve(self.piece);
        let read = (&mut self.input).take(self.piece as u64).read_to_end(&mut self.buffer)?;
        self.ended = read == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// Reads few bytes at a time, so that every row is cut somewhere.
    fn dripping(file: &[u8], piece: usize) -> Rows<&[u8]> {
        Rows { piece, ..Rows::from_position(file, Position::START) }.behind_mark().unwrap()
    }

    fn all(mut rows: Rows<impl Read>) -> Result<Vec<(u64, Option<String>)>, ReadError> {
        let (mut block, mut found) = (Block::default(), Vec::new());
        while rows.fill(&mut block)? {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.extend(block.rows().map(|row| (row.number, row.bytes.map(text))));
        }
        Ok(found)
    }

    fn read(file: &[u8]) -> Vec<(u64, Option<String>)> {
        let whole = all(Rows::from_start(file).unwrap()).unwrap();
        let cut = all(dripping(file, 2)).unwrap();
        assert_eq!(whole, cut);
        whole
    }

    fn texts(file: &[u8]) -> Vec<String> {
        read(file).into_iter().map(|(_, text)| text.unwrap()).collect()
    }

    #[test]
    fn rows_end_at_line_feeds_outside_quotes() {
        assert_eq!(texts(b"a,b\n1,2\n"), ["a,b", "1,2"]);
        assert_eq!(texts(b"a,b\r\n1,2"), ["a,b", "1,2"]);
        assert_eq!(texts(b"a\n\"x\ny\",1\r\nz"), ["a", "\"x\ny\",1", "z"]);
        assert_eq!(texts(b"\"say \"\"hi\n\"\"\"\nb"), ["\"say \"\"hi\n\"\"\"", "b"]);
        assert_eq!(texts(b"5\" pipe\nb"), ["5\" pipe", "b"], "a quote amid a cell opens nothing");
        assert_eq!(texts(b"\"a\"b\"\nc"), ["\"a\"b\"", "c"], "nor does one behind a closed cell");
        assert_eq!(texts(b""), [] as [&str; 0]);
    }

    #[test]
    fn rows_are_numbered_as_a_spreadsheet_does() {
        let numbered: Vec<u64> = read(b"h\n\n\"a\nb\"\n\nc").into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbered, [1, 2, 3, 4, 5]);
        assert_eq!(texts(b"h\n\n\"a\nb\"\n\nc"), ["h", "", "\"a\nb\"", "", "c"]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_header() {
        assert_eq!(texts(b"\xEF\xBB\xBFa\n1"), ["a", "1"]);
        for mark in UTF_16 {
            assert!(matches!(Rows::from_start(mark), Err(ReadError::Utf16)));
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_row() {
        for file in [&b"h\na\n\"b\nc\n"[..], b"h\na\n\"b\"\"\n"] {
            let mut rows = Rows::from_start(file).unwrap();
            let mut block = Block::default();
            assert!(rows.fill(&mut block).unwrap(), "what stands before it is handed out");
            assert_eq!(block.rows().count(), 2);
            let error = rows.fill(&mut block).unwrap_err();
            assert!(matches!(error, ReadError::Unclosed(3)), "{error}");
        }
        let long = [b"h\n\"".to_vec(), vec![b'x'; 3 * MAX_ROW]].concat();
        assert!(matches!(all(Rows::from_start(&long[..]).unwrap()), Err(ReadError::Unclosed(2))));
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over_and_not_kept() {
        let quoted_break = [b"\"".to_vec(), vec![b'\n'; 2 * MAX_ROW], b"\"".to_vec()].concat();
        for long in [vec![b'x'; MAX_ROW + 1], vec![b'x'; 5 * MAX_ROW], quoted_break] {
            for (ending, after) in [(&b"\nz\n"[..], Some("z")), (b"", None)] {
                let file = [b"h\n", &long[..], ending].concat();
                let mut rows = Rows::from_start(&file[..]).unwrap();
                let found = all(Rows::from_start(&file[..]).unwrap()).unwrap();
                assert_eq!(found[..2], [(1, Some("h".to_owned())), (2, None)]);
                assert_eq!(found.get(2).and_then(|(_, text)| text.as_deref()), after);
                let mut block = Block::default();
                while rows.fill(&mut block).unwrap() {
                    assert!(rows.buffer.capacity() <= 4 * (MAX_ROW + READ), "{}", rows.buffer.capacity());
                }
                assert_eq!(rows.position().offset, file.len() as u64);
            }
        }
        let just = [vec![b'x'; MAX_ROW], b"\n".to_vec()].concat();
        assert!(all(Rows::from_start(&just[..]).unwrap()).unwrap()[0].1.is_some());
    }

    #[test]
    fn large_files_come_in_blocks_of_whole_rows() {
        let file: String = (0..10_000).map(|n| format!("{n},\"{n}\n\"\n")).collect();
        let mut rows = Rows::from_start(file.as_bytes()).unwrap();
        let (mut block, mut blocks, mut count) = (Block::default(), 0, 0);
        while rows.fill(&mut block).unwrap() {
            assert!(block.rows().all(|row| row.bytes.unwrap().ends_with(b"\n\"")));
            blocks += 1;
            count += block.rows().count();
        }
        assert_eq!((blocks, count), (2, 10_000));
    }

    proptest! {
        #[test]
        fn reading_on_from_anywhere_gives_the_same_rows(file in "[ab\",\n\r]{0,80}", piece in 1_usize..9) {
            let whole = all(Rows::from_start(file.as_bytes()).unwrap());
            let mut rows = dripping(file.as_bytes(), piece);
            let (mut block, mut found) = (Block::default(), Vec::new());
            let error = loop {
                let position = rows.position();
                let mut rest = Cursor::new(file.as_bytes());
                rest.set_position(position.offset);
                let on = all(Rows { piece, ..Rows::from_position(rest, position) });
                if let (Ok(whole), Ok(on)) = (&whole, &on) {
                    prop_assert_eq!(&whole[found.len()..], &on[..]);
                }
                match rows.only_next(&mut block) {
                    Ok(true) => found.extend(block.rows().map(|row| row.number)),
                    Ok(false) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            };
            match whole {
                Ok(whole) => {
                    prop_assert_eq!(error, None);
                    prop_assert_eq!(found.len(), whole.len());
                }
                Err(unclosed) => prop_assert_eq!(error, Some(unclosed.to_string())),
            }
        }
    }
}
