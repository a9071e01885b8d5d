//! The data set: end users with 20 attributes each, the same bytes on every machine.
//!
//! Owns the formula and the three forms of an end user: cells, a line of CSV, a JSON record. Knows nothing of servers.
//!
//! Invariant: a cell depends on the seed, the row and the column alone, through splitmix64: no clock, no system
//! randomness. So any range of rows can be made by itself, the right answer to any question can be computed beside the
//! server, and figures from two machines are about the same data. With [`SEED`], 1,000,000 rows are 203,941,158 bytes of
//! CSV with the SHA-256 `46648bd8f6bab491f8563aafbb313a3857bd440715f1186cca2b3b4f8fd56442`; the tests hold the first
//! 10,000 to it. "Now" is 2026-01-01.

use std::fmt;
use std::io::{self, Write};

use super::random::Draw;
use crate::model::{AttributeType, Date, Value};

/// The seed of the published figures.
pub const SEED: u64 = 42;
/// The most end users: the row number has seven digits in the identifier.
pub const MAX_ROWS: u64 = 10_000_000;
/// Seconds from 1970 to the data set's "now".
const NOW: i64 = 1_767_225_600;
/// Seconds in a day.
const DAY: i64 = 86_400;

const TYPES: [&str; 10] =
    ["paying", "trial", "free", "partner", "internal", "churned", "lead", "reseller", "student", "nonprofit"];
const TIERS: [&str; 5] = ["bronze", "silver", "gold", "platinum", "diamond"];
const PLANS: [&str; 8] = ["hobby", "starter", "team", "pro", "business", "scale", "enterprise", "custom"];
const ROLES: [&str; 12] = [
    "owner",
    "admin",
    "developer",
    "designer",
    "analyst",
    "manager",
    "support",
    "sales",
    "finance",
    "marketing",
    "viewer",
    "guest",
];
const BROWSERS: [&str; 6] = ["chrome", "safari", "firefox", "edge", "opera", "other"];
const COUNTRIES: [&str; 50] = [
    "US", "DE", "GB", "FR", "IN", "BR", "CA", "AU", "JP", "NL", "ES", "IT", "PL", "SE", "CH", "AT", "BE", "DK", "NO",
    "FI", "IE", "PT", "CZ", "RO", "HU", "GR", "TR", "UA", "IL", "AE", "SG", "KR", "CN", "TW", "HK", "TH", "VN", "ID",
    "MY", "PH", "NZ", "ZA", "NG", "KE", "EG", "MX", "AR", "CL", "CO", "PE",
];

/// One of the 20 attributes. Its number in this list is also its number in the formula, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// 10 values, uniform: one is a tenth of all.
    Type = 1,
    /// 5 values: 40, 25, 20, 10 and 5 %.
    Tier,
    /// 50 values, skewed: the index is 50 u².
    Country,
    /// 8 values, uniform; 5 % missing.
    Plan,
    /// 12 values, uniform.
    Role,
    /// 20 values, uniform; 10 % missing.
    Industry,
    /// 30 values, skewed.
    Lang,
    /// 6 values, skewed.
    Browser,
    /// 20,000 values, uniform.
    Company,
    /// Unique.
    Email,
    /// Integer, 1 to 500.
    Seats,
    /// 0.00 to 9999.99; 30 % are 0.
    Mrr,
    /// Integer, 0 to 9,999.
    Logins,
    /// 0.000 to 0.999.
    Score,
    /// Integer, 18 to 89; 20 % missing.
    Age,
    /// Integer, 0 to 99, skewed: 100 u³.
    Sessions,
    /// Within five years before now.
    Signup,
    /// Within a year before now.
    LastSeen,
    /// Two weeks after the sign-up; 40 % missing.
    TrialEnd,
    /// Within a year after now; 25 % missing.
    Renewal,
}

impl Column {
    /// All columns, in the order of the CSV.
    pub const ALL: [Self; 20] = [
        Self::Type,
        Self::Tier,
        Self::Country,
        Self::Plan,
        Self::Role,
        Self::Industry,
        Self::Lang,
        Self::Browser,
        Self::Company,
        Self::Email,
        Self::Seats,
        Self::Mrr,
        Self::Logins,
        Self::Score,
        Self::Age,
        Self::Sessions,
        Self::Signup,
        Self::LastSeen,
        Self::TrialEnd,
        Self::Renewal,
    ];

    /// The column's header, and the field in a JSON record.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Tier => "tier",
            Self::Country => "country",
            Self::Plan => "plan",
            Self::Role => "role",
            Self::Industry => "industry",
            Self::Lang => "lang",
            Self::Browser => "browser",
            Self::Company => "company",
            Self::Email => "email",
            Self::Seats => "seats",
            Self::Mrr => "mrr",
            Self::Logins => "logins",
            Self::Score => "score",
            Self::Age => "age",
            Self::Sessions => "sessions",
            Self::Signup => "signup",
            Self::LastSeen => "last_seen",
            Self::TrialEnd => "trial_end",
            Self::Renewal => "renewal",
        }
    }

    /// The attribute's name: the field with a capital letter.
    #[must_use]
    pub fn attribute(self) -> String {
        let mut name = self.field().to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        name
    }

    /// The attribute's type.
    #[must_use]
    pub fn kind(self) -> AttributeType {
        match self as u64 {
            1..=10 => AttributeType::String,
            11..=16 => AttributeType::Number,
            _ => AttributeType::Date,
        }
    }
}

/// One value of one end user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Missing,
    /// A word of a list.
    Word(&'static str),
    /// A stem and a number, padded with zeros to a width: `company-00329`.
    Numbered(&'static str, u64, usize),
    /// The e-mail address of a row at a host.
    Address(u64, u64),
    /// An integer.
    Integer(u64),
    /// A number in units of 10 to the minus `places`, written with all its places: `352.20`.
    Fixed(u64, usize),
    /// Seconds since 1970, written as an RFC 3339 timestamp.
    Time(i64),
}

impl Cell {
    /// The day of a [`Cell::Time`].
    #[must_use]
    pub fn day(self) -> Option<Date> {
        match self {
            Self::Time(seconds) => i32::try_from(seconds.div_euclid(DAY)).ok().and_then(Date::from_days),
            _ => None,
        }
    }

    /// The value as it is stored; `None` for a missing one.
    #[must_use]
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Missing => None,
            Self::Integer(_) | Self::Fixed(..) => self.to_string().parse().ok().map(Value::Number),
            Self::Time(_) => self.day().map(Value::Date),
            Self::Word(_) | Self::Numbered(..) | Self::Address(..) => Some(Value::String(self.to_string().into())),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing => Ok(()),
            Self::Word(word) => f.write_str(word),
            Self::Numbered(stem, number, width) => write!(f, "{stem}-{number:0width$}"),
            Self::Address(row, host) => write!(f, "user{row}@mail{host}.example"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Fixed(scaled, places) => {
                let unit = (0..places).fold(1, |unit, _| unit * 10);
                write!(f, "{}.{:0places$}", scaled / unit, scaled % unit)
            }
            Self::Time(seconds) => {
                let day = self.day().ok_or(fmt::Error)?;
                let second = seconds.rem_euclid(DAY);
                write!(f, "{day}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
            }
        }
    }
}

/// An update of the benchmark: the plan becomes `pro`, and these two are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// `logins`, below 10,000.
    pub logins: u16,
    /// `last_seen`: a day of 2025, from 0.
    pub day: u16,
}

impl Update {
    /// What the update makes of `plan`.
    pub const PLAN: &'static str = "pro";

    /// The day `last_seen`.
    #[must_use]
    pub fn last_seen(self) -> Cell {
        Cell::Time(NOW - (365 - i64::from(self.day % 365)) * DAY)
    }
}

/// One end user of the data set.
#[derive(Debug, Clone, Copy)]
pub struct EndUser {
    seed: u64,
    row: u64,
    update: Option<Update>,
}

impl EndUser {
    /// The end user of that row.
    #[must_use]
    pub fn new(seed: u64, row: u64) -> Self {
        Self { seed, row, update: None }
    }

    /// The end user after an update.
    #[must_use]
    pub fn with(self, update: Option<Update>) -> Self {
        Self { update, ..self }
    }

    /// The identifier: `u` and the row in seven digits.
    #[must_use]
    pub fn id(&self) -> String {
        format!("u{:07}", self.row)
    }

    /// The value in a column.
    #[must_use]
    pub fn cell(&self, column: Column) -> Cell {
        match (self.update, column) {
            (Some(_), Column::Plan) => return Cell::Word(Update::PLAN),
            (Some(update), Column::Logins) => return Cell::Integer(u64::from(update.logins)),
            (Some(update), Column::LastSeen) => return update.last_seen(),
            _ => {}
        }
        let draw = Draw::new(self.seed, self.row, column as u64);
        match column {
            Column::Type => word(&TYPES, draw.below(10)),
            Column::Tier => word(
                &TIERS,
                match draw.below(100) {
                    0..=39 => 0,
                    40..=64 => 1,
                    65..=84 => 2,
                    85..=94 => 3,
                    _ => 4,
                },
            ),
            Column::Country => word(&COUNTRIES, draw.skewed(50)),
            Column::Plan if draw.percent(5) => Cell::Missing,
            Column::Plan => word(&PLANS, draw.below(8)),
            Column::Role => word(&ROLES, draw.below(12)),
            Column::Industry if draw.percent(10) => Cell::Missing,
            Column::Industry => Cell::Numbered("industry", draw.below(20), 2),
            Column::Lang => Cell::Numbered("lang", draw.skewed(30), 2),
            Column::Browser => word(&BROWSERS, draw.skewed(6)),
            Column::Company => Cell::Numbered("company", draw.below(20_000), 5),
            Column::Email => Cell::Address(self.row, draw.below(100)),
            Column::Seats => Cell::Integer(1 + draw.below(500)),
            Column::Mrr if draw.percent(30) => Cell::Fixed(0, 2),
            Column::Mrr => Cell::Fixed(draw.below(1_000_000), 2),
            Column::Logins => Cell::Integer(draw.below(10_000)),
            Column::Score => Cell::Fixed(draw.below(1000), 3),
            Column::Age if draw.percent(20) => Cell::Missing,
            Column::Age => Cell::Integer(18 + draw.below(72)),
            Column::Sessions => Cell::Integer(draw.skewed_more(100)),
            Column::Signup => Cell::Time(NOW - seconds(draw, 1825)),
            Column::LastSeen => Cell::Time(NOW - seconds(draw, 365)),
            Column::TrialEnd if !draw.percent(60) => Cell::Missing,
            Column::TrialEnd => match self.cell(Column::Signup) {
                Cell::Time(signup) => Cell::Time(signup + 14 * DAY),
                other => other,
            },
            Column::Renewal if draw.percent(25) => Cell::Missing,
            Column::Renewal => Cell::Time(NOW + seconds(draw, 365)),
        }
    }

    /// Appends the end user as a line of CSV.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "u{:07}", self.row)?;
        for column in Column::ALL {
            write!(out, ",{}", self.cell(column))?;
        }
        out.write_all(b"\n")
    }

    /// Appends the end user as a JSON object: the record of an update call. Missing values are left out.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{{\"id\":\"u{:07}\"", self.row)?;
        for column in Column::ALL {
            // Nothing in the data set needs escaping.
            match (self.cell(column), column.kind()) {
                (Cell::Missing, _) => {}
                (cell, AttributeType::Number) => write!(out, ",\"{}\":{cell}", column.field())?,
                (cell, _) => write!(out, ",\"{}\":\"{cell}\"", column.field())?,
            }
        }
        out.write_all(b"}")
    }
}

/// Writes the first `rows` end users as CSV with a header.
///
/// # Errors
/// Those of `out`.
pub fn write_csv(rows: u64, seed: u64, out: &mut impl Write) -> io::Result<()> {
    write!(out, "id")?;
    for column in Column::ALL {
        write!(out, ",{}", column.field())?;
    }
    writeln!(out)?;
    (0..rows).try_for_each(|row| EndUser::new(seed, row).write_csv(out))
}

/// Uniform seconds within `days` days.
fn seconds(draw: Draw, days: u64) -> i64 {
    i64::try_from(draw.below(days * DAY.unsigned_abs())).unwrap_or(0)
}

/// The word of that index; [`Draw::below`] and [`Draw::skewed`] stay below the list's length.
fn word(words: &'static [&'static str], index: u64) -> Cell {
    usize::try_from(index).ok().and_then(|index| words.get(index)).map_or(Cell::Missing, |word| Cell::Word(word))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn sha256(rows: u64, seed: u64) -> String {
        let mut csv = Vec::new();
        write_csv(rows, seed, &mut csv).unwrap();
        hex::encode(Sha256::digest(&csv))
    }

    #[test]
    fn the_first_rows_are_the_published_bytes() {
        assert_eq!(sha256(10_000, SEED), "64741a02d4b0eb7e2329836988e25a0c393a502a12ac4213584530283b378cf7");
    }

    #[test]
    fn another_seed_gives_other_bytes() {
        assert_eq!(sha256(10_000, 7), "e8d7eef8e3964d3e8214ab175883c543b2e383f85af16a32c7b780134da1e172");
    }

    #[test]
    fn a_json_record_says_what_the_csv_line_says() {
        for row in 0..500 {
            let user = EndUser::new(SEED, row);
            let (mut json, mut csv) = (Vec::new(), Vec::new());
            user.write_json(&mut json).unwrap();
            user.write_csv(&mut csv).unwrap();
            let record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&json).unwrap();
            let line = String::from_utf8(csv).unwrap();
            let mut cells = line.trim_end().split(',');
            assert_eq!(record["id"], cells.next().unwrap());
            for (column, cell) in Column::ALL.into_iter().zip(cells) {
                match record.get(column.field()) {
                    None => assert_eq!(cell, ""),
                    Some(serde_json::Value::Number(number)) => {
                        assert_eq!(number.as_f64().unwrap(), cell.parse::<f64>().unwrap());
                        assert_eq!(column.kind(), AttributeType::Number);
                    }
                    Some(value) => assert_eq!(value, cell),
                }
            }
        }
    }

    #[test]
    fn an_update_changes_three_cells_and_no_other() {
        let before = EndUser::new(SEED, 5);
        let after = before.with(Some(Update { logins: 10_001 % 10_000, day: 364 }));
        assert_eq!(after.cell(Column::LastSeen).to_string(), "2025-12-31T00:00:00Z");
        assert_eq!(Update { logins: 0, day: 0 }.last_seen().to_string(), "2025-01-01T00:00:00Z");
        let changed: Vec<_> = Column::ALL.into_iter().filter(|&c| before.cell(c) != after.cell(c)).collect();
        assert_eq!(changed, [Column::Plan, Column::Logins, Column::LastSeen]);
    }
}
