//! What the server must answer: the data set, and every update that it has acknowledged since.
//!
//! Owns the comparison. Knows nothing of time. Computed by the plain evaluation in [`super::segments`] and by
//! [`super::dataset`], never from an earlier answer of the server.

use std::io;

use serde_json::Value;

use super::api::{Api, json};
use super::dataset::{Cell, Column, EndUser, SEED, Update};
use super::error::BenchError;
use super::random::Random;
use super::segments::{INTEGRATION, Segment};
use super::wire::Connection;
use crate::model::AttributeType;

/// An identifier that the data set does not have.
const STRANGER: &str = "nobody";

/// What is acknowledged.
#[derive(Debug)]
pub(super) struct Truth {
    rows: u64,
    segments: Vec<Segment>,
    /// By row: the last acknowledged update.
    updates: Vec<Option<Update>>,
    /// The rows of the last run's updates.
    recent: Vec<u64>,
}

impl Truth {
    /// The data set as it was loaded.
    pub(super) fn new(rows: u64, segments: Vec<Segment>) -> Self {
        let updates = vec![None; usize::try_from(rows).unwrap_or(usize::MAX)];
        Self { rows, segments, updates, recent: Vec::new() }
    }

    /// The end user of a row, as it now must be.
    pub(super) fn end_user(&self, row: u64) -> EndUser {
        let update = usize::try_from(row).ok().and_then(|row| self.updates.get(row)).copied().flatten();
        EndUser::new(SEED, row).with(update)
    }

    /// Takes note of a run's acknowledged updates; of one row's, in their order.
    pub(super) fn acknowledge(&mut self, acknowledged: impl Iterator<Item = (u64, Update)>) {
        self.recent.clear();
        for (row, update) in acknowledged {
            if let Some(place) = usize::try_from(row).ok().and_then(|row| self.updates.get_mut(row)) {
                *place = Some(update);
                self.recent.push(row);
            }
        }
    }

    /// The ids of the segments that the end user is in, ascending.
    fn segments_of(&self, user: &EndUser) -> Vec<&str> {
        self.segments.iter().filter(|segment| segment.condition.holds(user)).map(|s| s.id.as_str()).collect()
    }

    /// Compares `sample` random end users, as many of those last updated, the first, the last, and a stranger.
    pub(super) async fn check(&self, api: &Api, sample: u64) -> Result<(), BenchError> {
        let mut connection = Connection::open(&api.authority).await?;
        let stranger = json(connection.expect_ok(&api.page_load(STRANGER)).await?, "a stranger's page load")?;
        same(|| format!("`known` of `{STRANGER}`"), &Value::Bool(false), stranger.get("known"))?;
        let mut random = Random::new(self.recent.len() as u64);
        let recent = self.recent.len() as u64;
        let mut rows = vec![0, self.rows - 1];
        rows.extend((0..sample).map(|_| random.below(self.rows)));
        let updated = (0..sample.min(recent)).filter_map(|_| usize::try_from(random.below(recent)).ok());
        rows.extend(updated.filter_map(|at| self.recent.get(at)).copied());
        for row in rows {
            self.check_end_user(&mut connection, api, &self.end_user(row)).await?;
        }
        Ok(())
    }

    async fn check_end_user(&self, connection: &mut Connection, api: &Api, user: &EndUser) -> Result<(), BenchError> {
        let id = user.id();
        let page = json(connection.expect_ok(&api.page_load(&id)).await?, "a page load")?;
        same(|| format!("`known` of `{id}`"), &Value::Bool(true), page.get("known"))?;
        let mut found = page.get("segments").cloned();
        if let Some(Value::Array(segments)) = &mut found {
            segments.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        }
        same(|| format!("the segments of `{id}`"), &Value::from(self.segments_of(user)), found.as_ref())?;
        let answer = json(connection.expect_ok(&api.end_user(&id)).await?, "an end user")?;
        let attributes = answer.pointer(&format!("/attributes/{INTEGRATION}"));
        for column in Column::ALL {
            let found = attributes.and_then(|attributes| attributes.get(column.attribute()));
            match expected_value(user.cell(column), column.kind()) {
                None if found.is_none() => {}
                expected => same(
                    || format!("{INTEGRATION}.{} of `{id}`", column.attribute()),
                    &expected.unwrap_or(Value::Null),
                    found,
                )?,
            }
        }
        Ok(())
    }

    /// Writes, for every `step`-th row, the row and the numbers of its segments: `5000;{0,3,17}`. An array as
    /// PostgreSQL prints it, so that its answers can be compared.
    pub(super) fn write_members(&self, step: usize, out: &mut impl io::Write) -> io::Result<()> {
        for row in (0..self.rows).step_by(step.max(1)) {
            let user = self.end_user(row);
            let numbers = self.segments.iter().enumerate().filter(|(_, segment)| segment.condition.holds(&user));
            let numbers: Vec<String> = numbers.map(|(number, _)| number.to_string()).collect();
            writeln!(out, "{};{{{}}}", user.id(), numbers.join(","))?;
        }
        out.flush()
    }
}

/// The value as the API gives it back; `None` for a missing one.
fn expected_value(cell: Cell, kind: AttributeType) -> Option<Value> {
    match (cell, kind) {
        (Cell::Missing, _) => None,
        (cell, AttributeType::Number) => cell.to_string().parse::<f64>().ok().map(Value::from),
        (cell, AttributeType::Date) => cell.day().map(|day| Value::from(day.to_string())),
        (cell, AttributeType::String) => Some(Value::from(cell.to_string())),
    }
}

/// An error unless both are the same; numbers are compared as doubles.
fn same(what: impl FnOnce() -> String, expected: &Value, found: Option<&Value>) -> Result<(), BenchError> {
    let equal = match (expected.as_f64(), found.and_then(Value::as_f64)) {
        (Some(expected), Some(found)) => expected == found,
        _ => found == Some(expected),
    };
    if equal {
        return Ok(());
    }
    Err(BenchError::Wrong {
        what: what(),
        expected: expected.to_string(),
        found: found.map_or_else(|| "nothing".into(), Value::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::super::segments::segments;
    use super::*;

    #[test]
    fn the_last_acknowledged_update_is_the_truth() {
        let mut truth = Truth::new(10, segments(50));
        let (old, new) = (Update { logins: 1, day: 1 }, Update { logins: 2, day: 360 });
        truth.acknowledge([(3, old), (4, old), (3, new)].into_iter());
        assert_eq!(truth.end_user(3).cell(Column::Logins), Cell::Integer(2));
        assert_eq!(truth.end_user(4).cell(Column::Logins), Cell::Integer(1));
        assert_eq!(truth.end_user(5).cell(Column::Logins), EndUser::new(SEED, 5).cell(Column::Logins));
        truth.acknowledge(std::iter::empty());
        assert_eq!(truth.end_user(3).cell(Column::Logins), Cell::Integer(2), "a run without updates takes none back");
    }

    #[test]
    fn members_are_written_as_a_database_prints_them() {
        let mut out = Vec::new();
        Truth::new(3, segments(50)).write_members(1, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "u0000000;{0,1,2,5}\nu0000001;{0,1,5,6}\nu0000002;{0,1,5,6,30,31,35,36,47}\n"
        );
    }

    #[test]
    fn a_difference_is_told_with_both_sides() {
        let what = || "x".to_owned();
        assert!(same(what, &Value::from(12.5), Some(&Value::from(12.5))).is_ok());
        assert!(same(what, &Value::from(12.0), Some(&Value::from(12))).is_ok(), "12 and 12.0 are one number");
        let error = same(what, &Value::from("a"), None).unwrap_err();
        assert_eq!(error.to_string(), "wrong answer: x: expected \"a\", found nothing");
        assert!(same(what, &Value::from(1), Some(&Value::from("1"))).is_err());
    }

    #[test]
    fn values_are_expected_as_the_api_gives_them_back() {
        let user = EndUser::new(SEED, 0);
        let value = |column: Column| expected_value(user.cell(column), column.kind());
        assert_eq!(value(Column::Mrr), Some(Value::from(1273.09)));
        assert_eq!(value(Column::Signup), Some(Value::from("2023-07-29")));
        assert_eq!(value(Column::Company), Some(Value::from("company-00329")));
        assert_eq!(value(Column::TrialEnd), None);
    }
}
