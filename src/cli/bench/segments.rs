//! The 50 segments of the benchmark, with 250 conditions, and the rule files of the system `bench`.
//!
//! Owns their definition. Knows nothing of how the server judges.
//!
//! Every segment is `(type is T or tier is one of A, B) and seats > S and signup on or after D`, and by turns: no more;
//! `and not country is C`; `and logins from L to below L + 3000`; `and last seen in the last 30 days`; `and plan is one of …`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use super::condition::Condition;
use super::dataset::Column;

/// The segments of the published figures.
pub const PUBLISHED: usize = 50;
/// The most segments that are defined: beyond the published ones they are the same again, with one seat more each time.
pub const MAX_SEGMENTS: usize = 500;
/// The system's id.
pub const SYSTEM: &str = "bench";
/// The integration's id.
pub const INTEGRATION: &str = "app";

const TYPES: [&str; 10] =
    ["paying", "trial", "free", "partner", "internal", "churned", "lead", "reseller", "student", "nonprofit"];
const TIERS: [&str; 5] = ["bronze", "silver", "gold", "platinum", "diamond"];
const PLANS: [&str; 8] = ["hobby", "starter", "team", "pro", "business", "scale", "enterprise", "custom"];
const COUNTRIES: [&str; 10] = ["US", "DE", "GB", "FR", "IN", "BR", "CA", "AU", "JP", "NL"];

/// What fills the integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The update API.
    Updates,
    /// CSV files.
    Files,
}

/// A segment of the benchmark.
#[derive(Debug, Clone)]
pub struct Segment {
    /// `seg_00` to `seg_499`.
    pub id: String,
    /// Who is in it.
    pub condition: Condition,
}

impl Segment {
    /// Its file, below the system's folder.
    #[must_use]
    pub fn path(&self) -> String {
        format!("segments/{}.rhai", self.id)
    }

    /// Its file's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("// {}\n{}\n", self.id, self.condition.rhai())
    }
}

/// The first `count` of the segments.
#[must_use]
pub fn segments(count: usize) -> Vec<Segment> {
    (0..count.min(MAX_SEGMENTS)).map(|i| Segment { id: format!("seg_{i:02}"), condition: condition(i) }).collect()
}

/// The condition of segment `i`.
fn condition(i: usize) -> Condition {
    let (again, i) = ((i / PUBLISHED) as u64, i % PUBLISHED);
    let number = i as u64;
    let tiers = vec![pick(&TIERS, i / 10), pick(&TIERS, i / 10 + 2)];
    let mut parts = vec![
        Condition::Any(vec![
            Condition::OneOf(Column::Type, vec![pick(&TYPES, i)]),
            Condition::OneOf(Column::Tier, tiers),
        ]),
        Condition::Above(Column::Seats, 10 + 9 * number + again),
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
pub fn write_rules(rules: &Path, source: Source, segments: &[Segment]) -> io::Result<()> {
    let system = rules.join(SYSTEM);
    fs::create_dir_all(system.join("integrations"))?;
    fs::create_dir_all(system.join("segments"))?;
    for (path, text) in rule_files(source, segments) {
        fs::write(system.join(path), text)?;
    }
    Ok(())
}

/// The files of the system `bench`: paths below its folder, and texts.
#[must_use]
pub fn rule_files(source: Source, segments: &[Segment]) -> Vec<(String, String)> {
    let mut files = vec![(format!("integrations/{INTEGRATION}.toml"), integration(source))];
    files.extend(segments.iter().map(|segment| (segment.path(), segment.text())));
    files
}

/// The text of `integrations/app.toml`.
fn integration(source: Source) -> String {
    let kind = match source {
        Source::Updates => "api",
        Source::Files => "csv",
    };
    let mut text = format!("name = \"Bench\"\nkind = \"{kind}\"\nuser_identifier = \"id\"\n");
    for column in Column::ALL {
        let (field, name, kind) = (column.field(), column.attribute(), column.kind());
        // Writing to a String cannot fail.
        let _ = write!(text, "\n[[properties]]\nfield = \"{field}\"\nname = \"{name}\"\ntype = \"{kind}\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::dataset::{EndUser, SEED};
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
        let all = segments(PUBLISHED);
        assert_eq!((all.len(), all.iter().map(|s| leaves(&s.condition)).sum::<usize>()), (50, 250));
        assert_eq!(segments(1000).len(), MAX_SEGMENTS);
        assert_eq!(segments(3).last().unwrap().id, "seg_02");
    }

    /// The counts are another implementation's, over the same 10,000 end users.
    #[test]
    fn the_members_among_the_first_rows_are_the_published_ones() {
        let all = segments(PUBLISHED);
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
        write_rules(folder.path(), Source::Updates, &segments(2)).unwrap();
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
