//! The form of every value on disk: a version byte, then MessagePack with named fields.
//!
//! Owns the version byte. Invariant: what a version wrote, every later one reads; fields are only ever added, with a
//! default.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// The version that is written; all up to it are read.
const VERSION: u8 = 1;

/// A value as it is stored.
///
/// # Errors
/// [`StoreError::Form`] when the value can't be written as MessagePack.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    encode_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends a value as it is stored.
pub(super) fn encode_into<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), StoreError> {
    bytes.push(VERSION);
    rmp_serde::encode::write_named(bytes, value).map_err(|error| StoreError::Form(error.to_string()))
}

/// A value as it was before it was stored.
///
/// # Errors
/// [`StoreError::TooNew`] when a newer version wrote it, [`StoreError::Form`] when it is something else.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => rmp_serde::from_slice(rest).map_err(|error| StoreError::Form(error.to_string())),
        Some((&0, _)) | None => Err(StoreError::Form("it has no version".to_owned())),
        Some((&newer, _)) => Err(StoreError::TooNew { found: newer.into(), known: VERSION.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Entry, Op, Table};
    use super::*;

    fn entry(ops: Vec<Op>) -> Entry {
        Entry { at: -5, ops }
    }

    #[test]
    fn every_op_comes_back_as_it_was() {
        let all = entry(vec![
            Op::System { no: 1, id: "shop".into() },
            Op::Column { system: 1, no: 2, integration: "crm".into(), name: "Type".into(), kind: 3 },
            Op::Integration { system: 1, no: 4, id: "crm".into() },
            Op::Put {
                system: 1,
                row: u32::MAX,
                id: Some("é".into()),
                touched: Some(4),
                sets: vec![
                    (2, Cell::S("".into())),
                    (3, Cell::N(3.0)),
                    (4, Cell::N(-0.1)),
                    (5, Cell::D(3)),
                    (6, Cell::D(i32::MIN)),
                ],
                clears: vec![7, 8],
            },
            Op::Put { system: 1, row: 0, id: None, touched: None, sets: vec![], clears: vec![] },
            Op::Sheet { system: 1, touched: 4, written: vec![0, 255] },
            Op::Delete { system: 1, row: 9 },
            Op::Record { table: Table::LastGood, key: vec![0, 255], value: Some(vec![0; 300]) },
            Op::Record { table: Table::Server, key: vec![], value: None },
        ]);
        assert_eq!(decode::<Entry>(&encode(&all).unwrap()).unwrap(), all);
    }

    #[test]
    fn an_update_is_compact() {
        let put = Op::Put {
            system: 1,
            row: 1000,
            id: None,
            touched: Some(1),
            sets: vec![(1, Cell::S("paying".into())), (2, Cell::D(19_000))],
            clears: vec![],
        };
        assert!(encode(&put).unwrap().len() < 40, "{} bytes", encode(&put).unwrap().len());
    }

    #[test]
    fn a_newer_version_is_refused_as_such() {
        let mut bytes = encode(&7u32).unwrap();
        bytes[0] = 2;
        assert!(matches!(decode::<u32>(&bytes), Err(StoreError::TooNew { found: 2, known: 1 })));
        assert!(matches!(decode::<u32>(&[]), Err(StoreError::Form(_))));
        assert!(matches!(decode::<u32>(&[1, 0xc1]), Err(StoreError::Form(_))));
    }
}
