//! What the tests of this room share: an integration and an import.

use std::collections::HashSet;

use super::import::{Import, ImportId, ImportState, OnError};
use super::rows::Position;
use crate::model::{AttributeName, AttributeType, IntegrationId, SystemId, Timestamp};
use crate::ruleset::{FieldPath, Integration, IntegrationKind, Property};

/// `upload`: identifier `Email`; `Type` (as `Customer_Type`), `Seats`, `Signup`.
pub(super) fn upload() -> Integration {
    let property = |field: &str, name: &str, kind| Property {
        field: FieldPath::column(field).unwrap(),
        name: AttributeName::new(name).unwrap(),
        kind,
        description: String::new(),
    };
    let properties = vec![
        property("Type", "Customer_Type", AttributeType::String),
        property("Seats", "Seats", AttributeType::Number),
        property("Signup", "Signup", AttributeType::Date),
    ];
    Integration {
        id: IntegrationId::new("upload").unwrap(),
        name: "Upload".to_owned(),
        description: String::new(),
        kind: IntegrationKind::Csv,
        user_identifier: FieldPath::column("Email").unwrap(),
        enabled: true,
        names: properties.iter().map(|property| property.name.clone()).collect(),
        properties,
    }
}

/// An import of `upload` that nothing was done for yet.
pub(super) fn import() -> Import {
    Import {
        id: ImportId::new(1, 2),
        system: SystemId::new("s").unwrap(),
        integration: IntegrationId::new("upload").unwrap(),
        client: "tests".to_owned(),
        file_name: Some("a.csv".to_owned()),
        bytes: 3,
        on_error: OnError::Skip,
        dry_run: false,
        created_at: Timestamp::from_millis(5),
        finished_at: None,
        state: ImportState::Validating,
        rows_read: 0,
        rows_total: None,
        stored: 0,
        rejected: 0,
        columns: None,
        detail: None,
        errors: Vec::new(),
        fingerprint: 0,
        next: Position::START,
        gone: HashSet::new(),
    }
}
