//! What can be wrong with a file's header, a row or a cell: a code for machines, and what it means for people.
//!
//! Invariant: what is told holds no cell of a row. It is kept for weeks, and a cell may be all that is known of an end
//! user who is deleted meanwhile.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::rows::MAX_ROW;
use crate::model::{CoerceError, DateError, IdError};

/// Longest column name that is told, in characters: it is whatever stands in the file.
const MAX_NAME: usize = 200;
/// Most columns that one sentence lists.
const MAX_LISTED: usize = 30;

/// One bad place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// The row, as a spreadsheet numbers it: the header is row 1.
    pub row: u64,
    /// The column's name in the header; `None`: the whole row.
    pub column: Option<String>,
    /// A short stable code, such as `not_a_date`.
    pub code: String,
    /// What is wrong and how to mend it.
    pub detail: String,
}

/// What is wrong with a row or one of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The row is over [`MAX_ROW`].
    TooLong,
    /// Its bytes are no UTF-8.
    NotUtf8,
    /// A quote that neither encloses its cell nor is doubled.
    Quote,
    /// It has not as many cells as the header.
    Ragged { cells: usize, columns: usize },
    /// The identifier's cell is empty.
    IdentifierMissing,
    /// The identifier is none.
    Identifier(IdError),
    /// Every cell but the identifier is empty.
    NoOtherField,
    /// A cell that does not fit its attribute's type.
    Value(CoerceError),
}

impl Fault {
    /// A short stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "row_too_long",
            Self::NotUtf8 => "not_utf8",
            Self::Quote => "quote",
            Self::Ragged { .. } => "ragged",
            Self::IdentifierMissing => "identifier_missing",
            Self::Identifier(_) => "identifier",
            Self::NoOtherField => "no_other_field",
            Self::Value(error) => error.code(),
        }
    }

    /// What is wrong and how to mend it, without the cell's text.
    pub(super) fn detail(&self) -> Cow<'static, str> {
        let told = match self {
            Self::TooLong => {
                return format!("the row is over {} KiB, line breaks in its cells included", MAX_ROW >> 10).into();
            }
            Self::Ragged { cells, columns } => {
                let told = "a cell with commas in it needs quotes around it";
                return format!("the row has {cells} cells and the header {columns}: {told}").into();
            }
            Self::Identifier(error) => return error.to_string().into(),
            Self::NotUtf8 => "the row is not UTF-8: save the file as CSV UTF-8",
            Self::Quote => {
                "a quote is misplaced: a cell that has quotes is enclosed in quotes, and each within it is doubled"
            }
            Self::IdentifierMissing => "the end user's identifier is missing",
            Self::NoOtherField => "every cell but the identifier is empty: a row needs at least one other",
            Self::Value(CoerceError::NotANumber(_)) => {
                "the cell is no number: write a decimal such as -4.5 or 1e3, without separators of thousands"
            }
            Self::Value(CoerceError::NotADate(DateError::Form(_))) => {
                "the cell is no date: write it as YYYY-MM-DD, or as an RFC 3339 timestamp"
            }
            Self::Value(CoerceError::NotADate(_)) => "there is no such day in the calendar (years 0001 to 9999)",
            Self::Value(error) => return error.to_string().into(),
        };
        told.into()
    }
}

/// What is wrong with the file as a whole, so that no row can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderFault {
    /// There is no first row, or nothing in it.
    #[error("the first row is empty: it must name the columns")]
    Empty,
    /// It is too long.
    #[error("the header is over {} KiB", MAX_ROW >> 10)]
    TooLong,
    /// The first row can't be read.
    #[error("the header can't be read: {0}")]
    Unreadable(String),
    /// Lines end as they did decades ago.
    #[error("the lines end in carriage returns alone: save the file with LF or CR LF at the ends of its lines")]
    CarriageReturns,
    /// No column holds the identifier.
    #[error(
        "no column is called `{identifier}`, which says whom a row is about; the header has {found}{hint}. \
         Expected: {expected}"
    )]
    IdentifierMissing { identifier: String, found: String, expected: String, hint: &'static str },
    /// A name stands twice in the header.
    #[error("two columns are called `{0}`: which of them is meant?")]
    Duplicate(String),
    /// The identifier's column stands alone.
    #[error("the header has no column but `{identifier}`: a row needs at least one other. Expected: {expected}")]
    Alone { identifier: String, expected: String },
}

impl HeaderFault {
    /// The error at its place.
    pub(super) fn at_header(&self) -> RowError {
        let (column, code) = match self {
            Self::Empty => (None, "header_missing"),
            Self::TooLong => (None, "row_too_long"),
            Self::Unreadable(_) => (None, "header_unreadable"),
            Self::CarriageReturns => (None, "line_ends"),
            Self::IdentifierMissing { identifier, .. } => (Some(identifier.clone()), "identifier_column_missing"),
            Self::Duplicate(name) => (Some(name.clone()), "duplicate_column"),
            Self::Alone { .. } => (None, "no_other_column"),
        };
        RowError { row: 1, column, code: code.to_owned(), detail: self.to_string() }
    }
}

/// A column's name, shortened if need be.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// The first of these names, in backticks.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.fuse();
    let first: Vec<String> = names.by_ref().take(MAX_LISTED).map(|name| format!("`{}`", shown(name))).collect();
    let more = names.count();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeType, Input, Limits};

    #[test]
    fn no_fault_tells_the_cell() {
        let limits = Limits { string_bytes: 3 };
        for (text, kind) in [
            ("secret", AttributeType::String),
            ("secret", AttributeType::Number),
            ("secret", AttributeType::Date),
            ("2023-02-29", AttributeType::Date),
            ("0000-01-01", AttributeType::Date),
            ("9007199254740993", AttributeType::Number),
        ] {
            let fault = Fault::Value(Input::Text(text).coerce(kind, limits).unwrap_err());
            assert!(!fault.detail().contains(text), "{}", fault.detail());
            assert!(!fault.code().is_empty());
        }
    }

    #[test]
    fn long_names_and_lists_are_shortened() {
        assert_eq!(shown(&"é".repeat(300)).chars().count(), MAX_NAME + 1);
        let names: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
        let text = listed(names.iter().map(String::as_str));
        assert!(text.starts_with("`c0`, `c1`") && text.ends_with("`c29` and 20 more"), "{text}");
    }
}
