//! The 50 segments of the benchmark, with 250 conditions, and the rule files of the system `bench`.
//!
//! Owns their definition and its forms: judged in plain Rust (what the server's answers are compared with), as Rhai (what
//! the server gets), as SQL (what a database beside it gets). Knows nothing of how the server judges.
//!
//! Every segment is `(type is T or tier is one of A, B) and seats > S and signup on or after D`, and by turns: no more;
//! `and not country is C`; `and logins from L to below L + 3000`; `and last seen in the last 30 days`; `and plan is one of …`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::dataset::{Cell, Column, EndUser};

/// The most segments that are defined.
pub const MAX_SEGMENTS: usize = 50;
/// The system's id.
pub const SYSTEM: &str = "bench";
/// The integration's id.
pub const INTEGRATION: &str = "app";

const TYPES: [&str; 10] =
    ["paying", "trial", "free", "partner", "internal", "churned", "lead", "reseller", "student", "nonprofit"];
const TIERS: [&str; 5] = ["bronze", "silver", "gold", "platinum", "diamond"];
const PLANS: [&str; 8] = ["hobby", "starter", "team", "pro", "business", "scale", "enterprise", "custom"];
const COUNTRIES: [&str; 10] = ["US", "DE", "GB", "FR", "IN", "BR", "CA", "AU", "JP", "NL"];

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
            Self::Above(column, bound) => integer(*column).is_some_and(|number| number > *bound),
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
            Self::Above(column, bound) => format!("{} > {bound}", column.field()),
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

/// A segment of the benchmark.
#[derive(Debug, Clone)]
pub struct Segment {
    /// `seg_00` to `seg_49`.
    pub id: String,
    /// Who is in it.
    pub condition: Condition,
}

/// The first `count` of the segments.
#[must_use]
pub fn segments(count: usize) -> Vec<Segment> {
    (0..count.min(MAX_SEGMENTS)).map(|i| Segment { id: format!("seg_{i:02}"), condition: condition(i) }).collect()
}

/// The condition of segment `i`.
fn condition(i: usize) -> Condition {
    let number = i as u64;
    let tiers = vec![pick(&TIERS, i / 10), pick(&TIERS, i / 10 + 2)];
    let mut parts = vec![
        Condition::Any(vec![
            Condition::OneOf(Column::Type, vec![pick(&TYPES, i)]),
            Condition::OneOf(Column::Tier, tiers),
        ]),
        Condition::Above(Column::Seats, 10 + 9 * number),
        Condition::OnOrAfter(Column::Signup, (2021 + (i % 5) as i32, 1 + (i % 12) as u32, 1)),
    ];
    match i % 5 {
        1 => {
            let country = Condition::OneOf(Column::Country, vec![pick(&COUNTRIES, i / 5)]);
            parts.push(Condition::Not(Box::new(country)));
        }
        2 => parts.extend([
            Condition::AtLeast(Column::Logins, 100 * number),
            Condition::Below(Column::Logins, 100 * number + 3000),
        ]),
        3 => parts.push(Condition::OnOrAfter(Column::LastSeen, (2025, 12, 2))),
        4 => {
            let plans = [i, i + 3, i + 5].map(|at| pick(&PLANS, at)).to_vec();
            parts.push(Condition::OneOf(Column::Plan, plans));
        }
        _ => {}
    }
    Condition::All(parts)
}

/// The word at that place, counted round.
fn pick(words: &[&'static str], at: usize) -> &'static str {
    words.get(at % words.len()).copied().unwrap_or_default()
}

/// One SQL row expression: the numbers of the segments that a row of the typed table is in, ascending.
#[must_use]
pub fn member_sql(segments: &[Segment]) -> String {
    let cases: Vec<String> = segments
        .iter()
        .enumerate()
        .map(|(number, segment)| format!("CASE WHEN {} THEN {number} END", segment.condition.sql()))
        .collect();
    format!("array_remove(ARRAY[{}]::int[], NULL)", cases.join(",\n"))
}

/// Writes the system `bench` into the folder `rules`: the integration `app` over the 20 attributes, and the segments.
///
/// # Errors
/// Those of the file system.
pub fn write_rules(rules: &Path, segments: &[Segment]) -> io::Result<()> {
    let system = rules.join(SYSTEM);
    fs::create_dir_all(system.join("integrations"))?;
    fs::create_dir_all(system.join("segments"))?;
    fs::write(system.join("integrations").join(format!("{INTEGRATION}.toml")), integration())?;
    for segment in segments {
        let text = format!("// {}\n{}\n", segment.id, segment.condition.rhai());
        fs::write(system.join("segments").join(format!("{}.rhai", segment.id)), text)?;
    }
    Ok(())
}

/// The text of `integrations/app.toml`.
fn integration() -> String {
    let mut text = "name = \"Bench\"\nkind = \"api\"\nuser_identifier = \"id\"\n".to_owned();
    for column in Column::ALL {
        let (field, name, kind) = (column.field(), column.attribute(), column.kind());
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[properties]]\nfield = \"{field}\"\nname = \"{name}\"\ntype = \"{kind}\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::dataset::SEED;
    use super::*;

    fn leaves(condition: &Condition) -> usize {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().map(leaves).sum(),
            Condition::Not(part) => leaves(part),
            _ => 1,
        }
    }

    #[test]
    fn there_are_50_segments_with_250_conditions() {
        let all = segments(MAX_SEGMENTS);
        assert_eq!((all.len(), all.iter().map(|s| leaves(&s.condition)).sum::<usize>()), (50, 250));
        assert_eq!(segments(1000).len(), 50);
        assert_eq!(segments(3).last().unwrap().id, "seg_02");
    }

    /// The counts are another implementation's, over the same 10,000 end users.
    #[test]
    fn the_members_among_the_first_rows_are_the_published_ones() {
        let all = segments(MAX_SEGMENTS);
        let mut counts = [0; 50];
        for row in 0..10_000 {
            let user = EndUser::new(SEED, row);
            for (count, segment) in counts.iter_mut().zip(&all) {
                *count += u32::from(segment.condition.holds(&user));
            }
        }
        let published = [
            6232, 4130, 1005, 149, 291, 5215, 3640, 784, 99, 101, 2822, 1942, 585, 90, 161, 2825, 2098, 462, 68, 74,
            1805, 1258, 260, 25, 127, 1727, 1290, 298, 36, 64, 2167, 1587, 327, 30, 23, 1561, 1420, 313, 39, 82, 901,
            630, 127, 20, 18, 534, 360, 65, 15, 20,
        ];
        assert_eq!(counts, published);
    }

    #[test]
    fn each_turn_is_written_as_rhai_and_as_sql() {
        let all = segments(5);
        let rhai = [
            r#"((app.Type == "paying" || app.Tier in ["bronze", "gold"]) && app.Seats > 10 && app.Signup >= "2021-01-01")"#,
            r#"((app.Type == "trial" || app.Tier in ["bronze", "gold"]) && app.Seats > 19 && app.Signup >= "2022-02-01" && !(app.Country == "US"))"#,
            r#"((app.Type == "free" || app.Tier in ["bronze", "gold"]) && app.Seats > 28 && app.Signup >= "2023-03-01" && app.Logins >= 200 && app.Logins < 3200)"#,
            r#"((app.Type == "partner" || app.Tier in ["bronze", "gold"]) && app.Seats > 37 && app.Signup >= "2024-04-01" && app.Last_seen >= "2025-12-02")"#,
            r#"((app.Type == "internal" || app.Tier in ["bronze", "gold"]) && app.Seats > 46 && app.Signup >= "2025-05-01" && app.Plan in ["business", "custom", "starter"])"#,
        ];
        assert_eq!(all.iter().map(|s| s.condition.rhai()).collect::<Vec<_>>(), rhai);
        assert_eq!(
            member_sql(&all[1..2]),
            "array_remove(ARRAY[CASE WHEN ((type = 'trial' OR tier IN ('bronze','gold')) AND seats > 19 AND \
             signup >= '2022-02-01Z' AND (country = 'US') IS NOT TRUE) THEN 0 END]::int[], NULL)"
        );
    }

    #[test]
    fn the_system_is_one_integration_of_20_properties_and_the_segments() {
        let folder = tempfile::tempdir().unwrap();
        write_rules(folder.path(), &segments(2)).unwrap();
        let system = folder.path().join(SYSTEM);
        let integration: toml::Table =
            fs::read_to_string(system.join("integrations/app.toml")).unwrap().parse().unwrap();
        let properties = integration["properties"].as_array().unwrap();
        assert_eq!(properties.len(), 20);
        assert_eq!(properties[17]["name"].as_str(), Some("Last_seen"));
        assert_eq!(properties[17]["type"].as_str(), Some("date"));
        assert_eq!(fs::read_dir(system.join("segments")).unwrap().count(), 2);
        assert!(fs::read_to_string(system.join("segments/seg_01.rhai")).unwrap().starts_with(
            "// seg_01
((app.Type"
        ));
    }
}
