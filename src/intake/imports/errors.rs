//! The bad places of an import: a file of them while it is validated, and the CSV that a person downloads.
//!
//! The file is a JSON object a line, oldest first. What is downloaded is made from it as it is read, so that it may be
//! of any length. Invariant: no cell of the CSV begins with a character that makes a spreadsheet compute something.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::faults::RowError;
use super::spool::create;
use crate::model::csv::{guarded, push_cell};

/// Bad places that an import's answer shows.
pub(super) const SHOWN: usize = 100;
/// Bad places that are listed at all, some 100 MB; rows are counted on. A file with more of them is no file for this
/// integration.
const MOST: usize = 1_000_000;
/// The header of the CSV.
const HEADER: &str = "row,column,code,detail\r\n";
/// Bytes after which a piece of the CSV is handed out.
const PIECE: usize = 64 * 1024;

/// Collects the bad places of an import.
#[derive(Debug)]
pub(super) struct ErrorLog {
    path: PathBuf,
    /// Made with the first bad place.
    file: Option<BufWriter<File>>,
    listed: usize,
}

impl ErrorLog {
    /// Begins anew, without what an earlier try found.
    pub(super) fn begin(path: PathBuf) -> io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Self { path, file: None, listed: 0 }),
        }
    }

    /// How many bad places there were so far.
    pub(super) fn listed(&self) -> usize {
        self.listed
    }

    /// Lists a bad place, if there is room.
    pub(super) fn add(&mut self, error: RowError) -> io::Result<()> {
        self.listed += 1;
        let error = match self.listed {
            ..MOST => error,
            MOST => RowError {
                row: error.row,
                column: None,
                code: "too_many_errors".to_owned(),
                detail: "from here on, bad rows are counted and not listed: mend those above first".to_owned(),
            },
            _ => return Ok(()),
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(create(&self.path)?)),
        };
        serde_json::to_writer(&mut *file, &error)?;
        file.write_all(b"\n")
    }

    /// Makes what was listed durable.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// The bad places in a file, as far as it is written; a last line that is not yet whole is left out.
fn read(path: &Path) -> io::Result<impl Iterator<Item = io::Result<RowError>> + use<>> {
    let file = match File::open(path) {
        Ok(file) => Some(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let lines = file.into_iter().flat_map(BufRead::lines);
    Ok(lines.filter_map(|line| line.map(|line| serde_json::from_str(&line).ok()).transpose()))
}

/// The first bad places in a file.
pub(super) fn first(path: &Path) -> io::Result<Vec<RowError>> {
    read(path)?.take(SHOWN).collect()
}

/// An import's bad places as CSV, piece by piece. Reading it blocks.
pub struct ErrorsCsv {
    errors: Box<dyn Iterator<Item = io::Result<RowError>> + Send>,
    /// What is handed out before them.
    head: Option<&'static str>,
}

impl ErrorsCsv {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { errors: Box::new(read(path)?), head: Some(HEADER) })
    }
}

impl Iterator for ErrorsCsv {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = self.head.take().unwrap_or_default().to_owned();
        while piece.len() < PIECE {
            match self.errors.next() {
                Some(Ok(error)) => push_line(&mut piece, &error),
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        (!piece.is_empty()).then(|| Ok(piece.into_bytes()))
    }
}

fn push_line(csv: &mut String, error: &RowError) {
    csv.push_str(&error.row.to_string());
    for text in [error.column.as_deref().unwrap_or_default(), &error.code, &error.detail] {
        csv.push(',');
        push_cell(csv, &guarded(text));
    }
    csv.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(row: u64, column: &str) -> RowError {
        RowError { row, column: Some(column.to_owned()), code: "x".to_owned(), detail: "a \"b\", c".to_owned() }
    }

    fn csv(path: &Path) -> String {
        ErrorsCsv::open(path).unwrap().map(|piece| String::from_utf8(piece.unwrap()).unwrap()).collect()
    }

    #[test]
    fn errors_come_back_in_order_and_as_csv() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors");
        assert_eq!(csv(&path), HEADER, "no file: no errors");
        let mut log = ErrorLog::begin(path.clone()).unwrap();
        let errors: Vec<_> = (1..=3000).map(|row| error(row, "Seats")).collect();
        errors.iter().for_each(|error| log.add(error.clone()).unwrap());
        log.finish().unwrap();
        assert_eq!(first(&path).unwrap(), errors[..SHOWN]);
        assert!(ErrorsCsv::open(&path).unwrap().count() > 1, "in pieces");
        assert_eq!(csv(&path).lines().nth(3000), Some("3000,Seats,x,\"a \"\"b\"\", c\""));

        ErrorLog::begin(path.clone()).unwrap().finish().unwrap();
        assert_eq!(csv(&path), HEADER, "begun anew");
    }

    #[test]
    fn a_line_that_is_half_written_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors");
        let mut log = ErrorLog::begin(path.clone()).unwrap();
        log.add(error(1, "a")).unwrap();
        log.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..9]].concat()).unwrap();
        assert_eq!(first(&path).unwrap(), [error(1, "a")]);
    }

    #[test]
    fn no_cell_is_a_formula() {
        for start in ["=", "+", "-", "@", "\t", "\r"] {
            let mut line = String::new();
            push_line(&mut line, &error(1, &format!("{start}1,2")));
            assert!(line.starts_with(&format!("1,\"'{start}1,2\",")), "{line:?}");
            let mut cell = String::new();
            push_line(&mut cell, &error(1, &format!("{start}x")));
            assert!(cell.strip_prefix("1,").unwrap().trim_start_matches('"').starts_with('\''), "{cell:?}");
        }
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors");
        let mut log = ErrorLog::begin(path.clone()).unwrap();
        log.listed = MOST - 2;
        (7..10).for_each(|row| log.add(error(row, "a")).unwrap());
        log.finish().unwrap();
        let codes: Vec<_> = first(&path).unwrap().into_iter().map(|error| (error.row, error.code)).collect();
        assert_eq!(codes, [(7, "x".to_owned()), (8, "too_many_errors".to_owned())]);
    }
}
