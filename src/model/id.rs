//! Ids: short names that people write in file names and URLs, and end users' identifiers.
//!
//! Grammar:
//! - system, integration, segment, filter: `[a-z][a-z0-9_]{0,63}`
//! - attribute name: `[A-Za-z_][A-Za-z0-9_]{0,63}`; attribute id: `<integration>.<name>`
//! - unit group: 1 to 128 printable characters
//! - end user: 1 to 256 bytes of UTF-8 without control characters, kept exactly as sent

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest id of a system, integration, segment or attribute, in characters.
const MAX_NAME: usize = 64;
/// Longest unit-group id, in characters.
const MAX_UNIT_GROUP: usize = 128;
/// Longest end-user identifier, in bytes.
const MAX_END_USER: usize = 256;

/// Why a text is no id. The message says what is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not of the form of a system, integration, segment or filter id.
    #[error(
        "`{0}` is no valid {1} id: it must begin with a lower-case letter, go on with lower-case letters, digits or `_`, and have at most 64 characters"
    )]
    Name(String, &'static str),
    /// Not of the form of an attribute name.
    #[error(
        "`{0}` is no valid attribute name: it must begin with a letter or `_`, go on with letters, digits or `_`, and have at most 64 characters"
    )]
    Attribute(String),
    /// Not of the form `<integration>.<name>`.
    #[error("`{0}` is no attribute id: write it as `<integration>.<name>`, such as `crm.Seats`")]
    AttributeId(String),
    /// Not 1 to 128 printable characters.
    #[error("a unit group id must have 1 to 128 printable characters")]
    UnitGroup,
    /// An empty end-user identifier.
    #[error("the end-user identifier is empty")]
    EndUserEmpty,
    /// An end-user identifier over 256 bytes.
    #[error("the end-user identifier has {0} bytes; at most 256 are allowed")]
    EndUserTooLong(usize),
    /// An end-user identifier with a control character.
    #[error("the end-user identifier has a control character (U+{0:04X})")]
    EndUserControl(u32),
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and makes the id.
            ///
            /// # Errors
            /// [`IdError`] when the text is not of the id's grammar.
            pub fn new(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> Result<(), IdError> = $check;
                check(text)?;
                Ok(Self(Arc::from(text)))
            }
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The id as text that is shared, not copied.
            #[must_use]
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

fn check_name(text: &str, what: &'static str) -> Result<(), IdError> {
    let mut bytes = text.bytes();
    let good = text.len() <= MAX_NAME
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if good { Ok(()) } else { Err(IdError::Name(text.to_owned(), what)) }
}

fn check_attribute(text: &str) -> Result<(), IdError> {
    let mut bytes = text.bytes();
    let good = text.len() <= MAX_NAME
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good { Ok(()) } else { Err(IdError::Attribute(text.to_owned())) }
}

fn check_unit_group(text: &str) -> Result<(), IdError> {
    let count = text.chars().count();
    let good = (1..=MAX_UNIT_GROUP).contains(&count) && !text.chars().any(char::is_control);
    if good { Ok(()) } else { Err(IdError::UnitGroup) }
}

fn check_end_user(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::EndUserEmpty);
    }
    if text.len() > MAX_END_USER {
        return Err(IdError::EndUserTooLong(text.len()));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(IdError::EndUserControl(c as u32)),
        None => Ok(()),
    }
}

text_id!(
    /// A system's id: the name of its folder under `rules/`.
    SystemId,
    |t| check_name(t, "system")
);
text_id!(
    /// An integration's id: the stem of its TOML file.
    IntegrationId,
    |t| check_name(t, "integration")
);
text_id!(
    /// A segment's id: the stem of its `.rhai` file.
    SegmentId,
    |t| check_name(t, "segment")
);
text_id!(
    /// A saved filter's id within its system.
    FilterId,
    |t| check_name(t, "filter")
);
text_id!(
    /// The name under which one property of an integration is stored.
    AttributeName,
    check_attribute
);
text_id!(
    /// A unit group's id, as data-access entries name it.
    UnitGroupId,
    check_unit_group
);
text_id!(
    /// An end user's identifier within a system, kept exactly as sent: case and spaces matter.
    EndUserId,
    check_end_user
);

/// What a system does with the case of identifiers (`identifier_case` in `system.toml`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentifierCase {
    /// Identifiers are kept and compared as sent.
    #[default]
    Sensitive,
    /// Identifiers are made lower case before they are kept or looked up.
    Lower,
}

impl EndUserId {
    /// Checks an identifier and applies the system's rule for its case.
    ///
    /// # Errors
    /// [`IdError`] when it is empty, over 256 bytes, or has a control character.
    pub fn in_case(text: &str, case: IdentifierCase) -> Result<Self, IdError> {
        match case {
            IdentifierCase::Sensitive => Self::new(text),
            IdentifierCase::Lower => Self::new(&text.to_lowercase()),
        }
    }
}

/// An attribute's full id, `<integration>.<name>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttributeId {
    /// The integration that the attribute comes from.
    pub integration: IntegrationId,
    /// The attribute's name within it.
    pub name: AttributeName,
}

impl FromStr for AttributeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (integration, name) = text.split_once('.').ok_or_else(|| IdError::AttributeId(text.to_owned()))?;
        Ok(Self { integration: IntegrationId::new(integration)?, name: AttributeName::new(name)? })
    }
}
impl TryFrom<String> for AttributeId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<AttributeId> for String {
    fn from(id: AttributeId) -> Self {
        id.to_string()
    }
}
impl fmt::Display for AttributeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.integration, self.name)
    }
}
impl fmt::Debug for AttributeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        assert!(SystemId::new("a").is_ok());
        assert!(SystemId::new(&"a".repeat(64)).is_ok());
        for bad in ["", "A", "1a", "_a", "a-b", "a.b", "é", &"a".repeat(65)] {
            assert!(SystemId::new(bad).is_err(), "{bad:?}");
        }
        assert!(AttributeName::new("_Customer_Type2").is_ok());
        for bad in ["", "2a", "a b", "a.b", "ü"] {
            assert!(AttributeName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifiers_are_kept_as_sent_unless_lowered() {
        assert_eq!(EndUserId::new(" Jöhn@X ").unwrap().as_str(), " Jöhn@X ");
        assert_eq!(EndUserId::in_case("JÖHN", IdentifierCase::Lower).unwrap().as_str(), "jöhn");
        assert!(EndUserId::new(&"é".repeat(128)).is_ok());
        assert_eq!(EndUserId::new(&"é".repeat(129)), Err(IdError::EndUserTooLong(258)));
        assert_eq!(EndUserId::new("a\u{7}"), Err(IdError::EndUserControl(7)));
        assert_eq!(EndUserId::new(""), Err(IdError::EndUserEmpty));
    }

    #[test]
    fn attribute_ids_split_at_the_first_dot() {
        let id: AttributeId = "crm.Seats".parse().unwrap();
        assert_eq!((id.integration.as_str(), id.name.as_str()), ("crm", "Seats"));
        assert!("crm".parse::<AttributeId>().is_err());
        assert!("crm.a.b".parse::<AttributeId>().is_err());
    }
}
