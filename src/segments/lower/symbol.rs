//! What an expression of a rule stands for, as far as it can be followed.
//!
//! Knows no Rhai. Symbols of an attribute are missing where it is; whatever is done with them then gives nothing, or
//! false, as everywhere.

use std::sync::Arc;

use super::joined::size;
use super::number::Quantity;
use super::tree::{Leaf, Tree};
use super::truth::Truth;
use crate::model::{AttributeId, AttributeType, IntegrationId};
use crate::predicate::{AttributeTest, Condition, DateBound, Test};

/// What an expression stands for, which may depend.
pub(super) type Value = Tree<Symbol>;

/// What an expression stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Symbol {
    Truth(Truth),
    Integration(IntegrationId),
    /// A String attribute, perhaps made lower case.
    Text {
        attribute: AttributeId,
        lowered: bool,
    },
    /// How many characters a String attribute has.
    Length(AttributeId),
    /// A number that one attribute decides.
    Number(Quantity),
    /// So many days after a Date attribute (negative: before).
    Date {
        attribute: AttributeId,
        days: i64,
    },
    Integer(i64),
    Float(f64),
    Word(Arc<str>),
    Day(DateBound),
    Range {
        from: i64,
        to: i64,
        inclusive: bool,
    },
    List(Vec<Symbol>),
    Map(Vec<(Arc<str>, Symbol)>),
    /// A closure, and what it captured.
    Function {
        name: String,
        captured: Vec<Symbol>,
    },
    Unit,
    /// The script fails here, so the end user is not in the segment.
    Fails,
    /// Something that can't be followed, and that is missing where this does not hold. Who makes one notes why.
    Unknown(Condition),
}

impl Symbol {
    pub(super) fn constant(flag: bool) -> Self {
        Self::Truth(Truth::constant(flag))
    }

    pub(super) fn unknown() -> Self {
        Self::Unknown(Condition::Constant(true))
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    pub(super) fn exact(condition: Condition) -> Self {
        Self::Truth(Truth::Exact(condition))
    }

    /// The attribute that it is missing with.
    pub(super) fn attribute(&self) -> Option<(&AttributeId, AttributeType)> {
        match self {
            Self::Text { attribute, .. } | Self::Length(attribute) => Some((attribute, AttributeType::String)),
            Self::Number(quantity) => Some(quantity.attribute()),
            Self::Date { attribute, .. } => Some((attribute, AttributeType::Date)),
            _ => None,
        }
    }

    /// Whether there is a value: `is_set` of it.
    pub(super) fn presence(&self) -> Truth {
        match self {
            Self::Unit => Truth::constant(false),
            Self::Unknown(needs) => Truth::at_most(needs.clone()),
            Self::Fails => Truth::unknown(),
            other => Truth::Exact(other.needs()),
        }
    }

    /// What must be set for there to be a value.
    pub(super) fn needs(&self) -> Condition {
        match (self, self.attribute()) {
            (Self::Unknown(needs), _) => needs.clone(),
            (_, Some((attribute, kind))) => is_set(attribute, kind),
            _ => Condition::Constant(true),
        }
    }
}

impl Leaf for Symbol {
    fn chosen(asked: &Truth, yes: &Self, no: &Self) -> Option<Self> {
        match (yes, no) {
            (Self::Truth(yes), Self::Truth(no)) => Some(Self::Truth(asked.choose(yes, no))),
            _ => None,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Truth(truth) => truth.size(),
            Self::Unknown(needs) => size(needs),
            Self::List(symbols) | Self::Function { captured: symbols, .. } => {
                1 + symbols.iter().map(Self::size).sum::<usize>()
            }
            Self::Map(entries) => 1 + entries.iter().map(|(_, symbol)| symbol.size()).sum::<usize>(),
            _ => 1,
        }
    }
}

impl From<Symbol> for Value {
    fn from(symbol: Symbol) -> Self {
        Self::Leaf(symbol)
    }
}

pub(super) fn test(attribute: &AttributeId, kind: AttributeType, test: Test) -> Condition {
    Condition::Attribute(AttributeTest { attribute: attribute.clone(), kind, test })
}

pub(super) fn is_set(attribute: &AttributeId, kind: AttributeType) -> Condition {
    test(attribute, kind, Test::IsSet)
}
