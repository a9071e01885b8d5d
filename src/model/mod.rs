//! The product's nouns as pure types: ids, identifiers, values, dates, attributes, permissions.
//!
//! Owns every rule about what a well-formed id, value or date is, and the coercion table. Does no I/O and
//! imports nothing else of the crate. Invariant: a value of a type in here is valid by construction; unchecked
//! input is parsed at the edge (`FromStr`, `TryFrom`, `coerce`) and never travels further.

pub mod csv;
mod date;
mod id;
mod permission;
pub mod spelling;
mod time;
mod value;

pub use date::{Date, DateError};
pub use id::{
    AttributeId, AttributeName, EndUserId, FilterId, IdError, IdentifierCase, IntegrationId, SegmentId, SystemId,
    UnitGroupId,
};
pub use permission::{BuiltInRole, Permission, UnknownPermission};
pub use time::Timestamp;
pub use value::{AttributeType, CoerceError, Input, Limits, Value, number_text, number_text_of_json};

/// How many attributes a system may hold, summed over all its integrations, disabled ones included.
///
/// A constant on purpose: the seed product has the same figure, and the columns are sized for it.
pub const ATTRIBUTE_CAP: usize = 100;
/// From how many attributes on the load of a system's rules warns that the cap is near.
pub const ATTRIBUTE_WARN: usize = 80;
