//! What a file's columns mean for an integration: its header against the declared fields.
//!
//! Owns the matching of names, which is exact but for what an export guards against spreadsheets. Columns that are not declared are ignored; declared ones that the file
//! lacks are missing in every row. Invariant: a layout has an identifier column and at least one other.

use std::collections::HashMap;
use std::hash::Hasher;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::cells::{Cells, Splitter};
use super::faults::{HeaderFault, listed, shown};
use crate::model::csv::unguarded;
use crate::model::{self, AttributeType, IdentifierCase};
use crate::ruleset::Integration;

/// Most ignored columns that are named.
const MAX_IGNORED: usize = 100;

/// Which columns of the file were found to be what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Those that are stored.
    pub stored: Vec<String>,
    /// Declared columns that the file lacks: no row has them, so whoever is in the file loses them.
    pub missing: Vec<String>,
    /// Those that are not declared (the first 100).
    pub ignored: Vec<String>,
}

/// How a row becomes a record.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Every column's name, as shown in errors.
    names: Vec<String>,
    /// The column of the identifier.
    pub(super) identifier: usize,
    /// The columns that are stored.
    pub(super) stored: Vec<Stored>,
    /// What is told of them.
    pub(super) columns: Columns,
}

/// A column that is stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) column: usize,
    /// Its property's place in the integration.
    pub(super) property: usize,
    pub(super) kind: AttributeType,
}

impl Layout {
    /// Reads the header's bytes; `None`: it was too long to keep.
    pub(super) fn read(header: Option<&[u8]>, integration: &Integration) -> Result<Self, HeaderFault> {
        let header = header.ok_or(HeaderFault::TooLong)?;
        let text = str::from_utf8(header)
            .map_err(|_| HeaderFault::Unreadable("it is not UTF-8; save the file as CSV UTF-8".to_owned()))?;
        let mut splitter = Splitter::default();
        let cells = splitter.split(text).map_err(|bad| {
            HeaderFault::Unreadable(format!("a quote is misplaced in column {}", bad.0.saturating_add(1)))
        })?;
        if cells.iter().all(str::is_empty) {
            return Err(HeaderFault::Empty);
        }
        if text.contains('\r') && !text.contains('\n') {
            return Err(HeaderFault::CarriageReturns);
        }
        Self::of(&cells, integration)
    }

    fn of(cells: &Cells<'_>, integration: &Integration) -> Result<Self, HeaderFault> {
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(cells.len());
        for (column, name) in cells.iter().enumerate() {
            if places.insert(unguarded(name), column).is_some() && !name.is_empty() {
                return Err(HeaderFault::Duplicate(shown(name)));
            }
        }
        let identifier = integration.user_identifier.as_str();
        let expected = || {
            let fields = integration.properties.iter().map(|property| property.field.as_str());
            listed(std::iter::once(identifier).chain(fields.filter(|field| *field != identifier)))
        };
        let place = *places.get(identifier).ok_or_else(|| HeaderFault::IdentifierMissing {
            identifier: shown(identifier),
            found: listed(cells.iter()),
            expected: expected(),
            hint: hint(cells, identifier),
        })?;
        if cells.len() == 1 {
            return Err(HeaderFault::Alone { identifier: shown(identifier), expected: expected() });
        }
        let mut columns = Columns::default();
        let mut stored = Vec::with_capacity(integration.properties.len());
        for (at, property) in integration.properties.iter().enumerate() {
            let field = property.field.as_str();
            let Some(column) = places.remove(field) else {
                columns.missing.push(field.to_owned());
                continue;
            };
            columns.stored.push(field.to_owned());
            stored.push(Stored { column, property: at, kind: property.kind });
        }
        places.remove(identifier);
        let ignored = cells.iter().filter(|name| !name.is_empty() && places.contains_key(unguarded(name)));
        columns.ignored = ignored.take(MAX_IGNORED).map(shown).collect();
        Ok(Self { names: cells.iter().map(shown).collect(), identifier: place, stored, columns })
    }

    /// How many columns the header has.
    pub(super) fn width(&self) -> usize {
        self.names.len()
    }

    /// A column's name, as shown in errors.
    pub(super) fn name(&self, column: usize) -> Option<String> {
        self.names.get(column).cloned()
    }
}

/// Why the identifier may seem to be missing.
fn hint(cells: &Cells<'_>, identifier: &str) -> &'static str {
    let alike = |name: &str| name.trim().to_lowercase() == identifier.trim().to_lowercase();
    if cells.iter().any(alike) {
        "; capitals and spaces count"
    } else if cells.len() == 1 && cells.get(0).contains([';', '\t']) {
        "; cells are separated by commas, not by semicolons or tabs"
    } else {
        ""
    }
}

/// The way in which cells are read: to be raised when they come to mean something else.
const READING: u32 = 1;

/// What all that decides on the meaning of a row comes to: as long as it stays the same, so does the meaning.
pub(super) fn fingerprint(integration: &Integration, case: IdentifierCase, limits: model::Limits) -> u64 {
    let mut hash = Xxh3::new();
    let mut add = |text: &str| {
        hash.write_usize(text.len());
        hash.write(text.as_bytes());
    };
    add(integration.user_identifier.as_str());
    add(if case == IdentifierCase::Lower { "lower" } else { "sensitive" });
    for property in &integration.properties {
        add(property.field.as_str());
        add(property.name.as_str());
        add(property.kind.as_str());
    }
    hash.write_usize(limits.string_bytes);
    hash.write_u32(READING);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::imports::fixtures::upload;

    fn fault(header: &str) -> HeaderFault {
        Layout::read(Some(header.as_bytes()), &upload()).unwrap_err()
    }

    #[test]
    fn declared_columns_are_found_in_any_order() {
        let layout = Layout::read(Some(b"x,Seats,,Email,,y"), &upload()).unwrap();
        assert_eq!((layout.identifier, layout.width()), (3, 6));
        let stored: Vec<_> = layout.stored.iter().map(|stored| (stored.column, stored.property)).collect();
        assert_eq!(stored, [(1, 1)]);
        assert_eq!(layout.columns.stored, ["Seats"]);
        assert_eq!(layout.columns.missing, ["Type", "Signup"]);
        assert_eq!(layout.columns.ignored, ["x", "y"]);
        assert_eq!(layout.name(1).as_deref(), Some("Seats"));
    }

    #[test]
    fn an_identifier_may_be_an_attribute_too() {
        let mut integration = upload();
        integration.properties[0].field = integration.user_identifier.clone();
        let layout = Layout::read(Some(b"Email,Seats"), &integration).unwrap();
        assert_eq!((layout.identifier, layout.stored[0].column), (0, 0));
        assert!(layout.columns.ignored.is_empty());
    }

    #[test]
    fn a_header_that_does_not_fit_is_told_with_what_was_expected() {
        let missing = fault("Mail,Seats").to_string();
        assert!(missing.starts_with("no column is called `Email`"), "{missing}");
        assert!(missing.contains("the header has `Mail`, `Seats`. Expected: `Email`, `Type`, `Seats`"), "{missing}");
        assert!(fault("email ,Seats").to_string().contains("capitals and spaces count"));
        assert!(fault("Email;Seats").to_string().contains("separated by commas"));
        assert_eq!(fault("Email,x,x"), HeaderFault::Duplicate("x".to_owned()));
        assert!(matches!(fault("Email"), HeaderFault::Alone { .. }));
        assert_eq!(fault(""), HeaderFault::Empty);
        assert_eq!(fault(",,"), HeaderFault::Empty);
        assert_eq!(fault("Email,Seats\ra,1\r"), HeaderFault::CarriageReturns);
        assert!(matches!(fault("Email,\"Seats"), HeaderFault::Unreadable(_)));
        assert_eq!(Layout::read(None, &upload()).unwrap_err(), HeaderFault::TooLong);
        assert!(matches!(Layout::read(Some(b"Email,\xFF"), &upload()), Err(HeaderFault::Unreadable(_))));
        assert_eq!(fault("Email,x,x").at_header().column.as_deref(), Some("x"));
    }

    #[test]
    fn the_fingerprint_is_of_what_rows_mean() {
        let limits = model::Limits { string_bytes: 10 };
        let of = |integration: &Integration| fingerprint(integration, IdentifierCase::Sensitive, limits);
        let base = of(&upload());
        let mut renamed = upload();
        renamed.description = "another".to_owned();
        assert_eq!(of(&renamed), base);
        let mut retyped = upload();
        retyped.properties[0].kind = AttributeType::Number;
        assert_ne!(of(&retyped), base);
        let mut fewer = upload();
        fewer.properties.pop();
        assert_ne!(of(&fewer), base);
        assert_ne!(fingerprint(&upload(), IdentifierCase::Lower, limits), base);
        assert_ne!(fingerprint(&upload(), IdentifierCase::Sensitive, model::Limits { string_bytes: 11 }), base);
    }
}
