//! A condition on end users of the data set, in its three forms: judged in plain Rust (what the server's answers are
//! compared with), as Rhai (what the server gets), as SQL (what a database beside it gets).
//!
//! Knows nothing of how the server judges, and shares no code with it.

use super::dataset::{Cell, Column, EndUser};
use super::segments::INTEGRATION;

/// A condition on one end user.
#[derive(Debug, Clone)]
pub enum Condition {
    /// All hold.
    All(Vec<Self>),
    /// One holds.
    Any(Vec<Self>),
    /// It does not hold; so true for a missing value.
    Not(Box<Self>),
    /// The text is one of these; a list of one is written as an equality.
    OneOf(Column, Vec<&'static str>),
    /// The integer is greater.
    Above(Column, u64),
    /// The integer is at least this.
    AtLeast(Column, u64),
    /// The integer is less.
    Below(Column, u64),
    /// The day is this one or later: year, month, day of month.
    OnOrAfter(Column, (i32, u32, u32)),
    /// The integer is greater, found by a script that first goes round so many times for nothing.
    Slowly(u64, Column, u64),
}

impl Condition {
    /// Whether the end user fulfils it.
    #[must_use]
    pub fn holds(&self, user: &EndUser) -> bool {
        let integer = |column| match user.cell(column) {
            Cell::Integer(number) => Some(number),
            _ => None,
        };
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(user)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(user)),
            Self::Not(part) => !part.holds(user),
            Self::OneOf(column, words) => matches!(user.cell(*column), Cell::Word(word) if words.contains(&word)),
            Self::Above(column, bound) | Self::Slowly(_, column, bound) => {
                integer(*column).is_some_and(|number| number > *bound)
            }
            Self::AtLeast(column, bound) => integer(*column).is_some_and(|number| number >= *bound),
            Self::Below(column, bound) => integer(*column).is_some_and(|number| number < *bound),
            Self::OnOrAfter(column, bound) => user.cell(*column).day().is_some_and(|day| day.ymd() >= *bound),
        }
    }

    /// The condition as a Rhai expression.
    #[must_use]
    pub fn rhai(&self) -> String {
        let name = |column: &Column| format!("{INTEGRATION}.{}", column.attribute());
        match self {
            Self::All(parts) => joined(parts, " && ", Self::rhai),
            Self::Any(parts) => joined(parts, " || ", Self::rhai),
            Self::Not(part) => format!("!({})", part.rhai()),
            Self::OneOf(column, words) => match words.as_slice() {
                [word] => format!("{} == {word:?}", name(column)),
                words => format!("{} in {words:?}", name(column)),
            },
            Self::Above(column, bound) => format!("{} > {bound}", name(column)),
            Self::Slowly(turns, column, bound) => {
                format!("let n = 0; while n < {turns} {{ n += 1; }} {} > {bound} && n == {turns}", name(column))
            }
            Self::AtLeast(column, bound) => format!("{} >= {bound}", name(column)),
            Self::Below(column, bound) => format!("{} < {bound}", name(column)),
            Self::OnOrAfter(column, (year, month, day)) => {
                format!("{} >= \"{year:04}-{month:02}-{day:02}\"", name(column))
            }
        }
    }

    /// The condition as an expression of PostgreSQL over typed columns; dates are midnights in UTC, written without a
    /// colon, which pgbench would take for a variable.
    #[must_use]
    pub fn sql(&self) -> String {
        match self {
            Self::All(parts) => joined(parts, " AND ", Self::sql),
            Self::Any(parts) => joined(parts, " OR ", Self::sql),
            Self::Not(part) => format!("({}) IS NOT TRUE", part.sql()),
            Self::OneOf(column, words) => match words.as_slice() {
                [word] => format!("{} = '{word}'", column.field()),
                words => format!("{} IN ('{}')", column.field(), words.join("','")),
            },
            Self::Above(column, bound) | Self::Slowly(_, column, bound) => format!("{} > {bound}", column.field()),
            Self::AtLeast(column, bound) => format!("{} >= {bound}", column.field()),
            Self::Below(column, bound) => format!("{} < {bound}", column.field()),
            Self::OnOrAfter(column, (year, month, day)) => {
                format!("{} >= '{year:04}-{month:02}-{day:02}Z'", column.field())
            }
        }
    }
}

/// The parts in brackets, with `between` between them.
fn joined(parts: &[Condition], between: &str, form: fn(&Condition) -> String) -> String {
    format!("({})", parts.iter().map(form).collect::<Vec<_>>().join(between))
}
