//! What the server must answer: the data set, and every update that it has acknowledged since.
//!
//! Owns the comparison. Knows nothing of time. Computed by the plain evaluation in [`super::segments`] and by
//! [`super::dataset`], never from an earlier answer of the server.

use std::collections::BTreeSet;
use std::io;

use serde_json::Value;

use super::api::{Api, json, text_at};
use super::condition::Condition;
use super::dataset::{Cell, Column, EndUser, SEED, Update};
use super::error::BenchError;
use super::filters::Filter;
use super::random::Random;
use super::segments::{INTEGRATION, Segment};
use super::wire::Connection;
use crate::model;

/// An identifier that the data set does not have.
const STRANGER: &str = "nobody";

/// End users on a page, where all of them are taken.
const PAGE: usize = 1000;

/// What is acknowledged.
#[derive(Debug)]
pub(super) struct Truth {
    rows: u64,
    seed: u64,
    /// The segments that are live.
    pub(super) segments: Vec<Segment>,
    /// By row: the last acknowledged update.
    updates: Vec<Option<Update>>,
    /// The rows of the last run's updates.
    recent: Vec<u64>,
}

impl Truth {
    /// The data set as it was loaded.
    pub(super) fn new(rows: u64, segments: Vec<Segment>) -> Self {
        let updates = vec![None; usize::try_from(rows).unwrap_or(usize::MAX)];
        Self { rows, seed: SEED, segments, updates, recent: Vec::new() }
    }

    /// The same end users with another seed's values.
    pub(super) fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The end user of a row, as it now must be.
    pub(super) fn end_user(&self, row: u64) -> EndUser {
        let update = usize::try_from(row).ok().and_then(|row| self.updates.get(row)).copied().flatten();
        EndUser::new(self.seed, row).with(update)
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
        let segments = self.segments.iter().filter(|segment| segment.condition.holds(user));
        let mut ids: Vec<&str> = segments.map(|segment| segment.id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    /// How many fulfil each of the conditions.
    pub(super) fn counts(&self, conditions: &[&Condition]) -> Vec<u64> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let part = |thread: u64| {
            let mut counts = vec![0; conditions.len()];
            for row in (thread..self.rows).step_by(threads as usize) {
                let user = self.end_user(row);
                for (count, condition) in counts.iter_mut().zip(conditions) {
                    *count += u64::from(condition.holds(&user));
                }
            }
            counts
        };
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
            let parts = parts.into_iter().map(|part| part.join().unwrap_or_default());
            parts.fold(vec![0; conditions.len()], |sums, part| sums.iter().zip(part).map(|(a, b)| a + b).collect())
        })
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

    /// Compares the count of every segment.
    pub(super) async fn check_segment_counts(&self, api: &Api) -> Result<(), BenchError> {
        let conditions: Vec<&Condition> = self.segments.iter().map(|segment| &segment.condition).collect();
        let mut right: Vec<(String, u64)> =
            self.segments.iter().map(|segment| segment.id.clone()).zip(self.counts(&conditions)).collect();
        right.sort();
        let found = segment_counts(api).await?;
        same(|| "the segments' counts".into(), &serde_json::json!(right), Some(&serde_json::json!(found)))
    }

    /// Compares, of every filter, how many it finds and a page of who; of the one that finds fewest, all.
    pub(super) async fn check_filters(&self, api: &Api, filters: &[Filter]) -> Result<(), BenchError> {
        let conditions: Vec<&Condition> = filters.iter().map(|filter| &filter.condition).collect();
        let right = self.counts(&conditions);
        let fewest = right.iter().min().copied().unwrap_or(0);
        for (filter, right) in filters.iter().zip(right) {
            let pages = if right == fewest { u64::MAX } else { 1 };
            let found = self.walk(api, filter, pages, right).await?;
            let all = right.min(found.len() as u64);
            let expected = if pages == 1 { right.min(PAGE as u64) } else { right };
            same(|| format!("end users found by {}", filter.letter), &Value::from(expected), Some(&Value::from(all)))?;
        }
        Ok(())
    }

    /// Takes so many pages of who a filter finds: each must fulfil it, have its values, and come once.
    async fn walk(&self, api: &Api, filter: &Filter, pages: u64, right: u64) -> Result<BTreeSet<u64>, BenchError> {
        let mut connection = Connection::open(&api.authority).await?;
        let (mut seen, mut cursor) = (BTreeSet::new(), None);
        for _ in 0..pages {
            let request = api.query(&filter.condition.rhai(), PAGE, cursor.as_deref());
            let page = json(connection.expect_ok(&request).await?, "a query")?;
            same(|| format!("`total` of {}", filter.letter), &Value::from(right), page.get("total"))?;
            for item in page.get("items").and_then(Value::as_array).into_iter().flatten() {
                let id = text_at(item, "id")?;
                let row = id.strip_prefix('u').and_then(|row| row.parse().ok()).filter(|row| *row < self.rows);
                let user = self.end_user(row.unwrap_or_default());
                let held = row.is_some() && filter.condition.holds(&user) && seen.insert(row.unwrap_or_default());
                same(
                    || format!("whether {} finds `{id}`, once", filter.letter),
                    &Value::from(held),
                    Some(&true.into()),
                )?;
                check_attributes(item, &user)?;
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(seen)
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
        check_attributes(&answer, user)
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

/// Compares the attributes in an answer.
fn check_attributes(answer: &Value, user: &EndUser) -> Result<(), BenchError> {
    let attributes = answer.pointer(&format!("/attributes/{INTEGRATION}"));
    for column in Column::ALL {
        let found = attributes.and_then(|attributes| attributes.get(column.attribute()));
        match expected_value(user.cell(column)) {
            None if found.is_none() => {}
            expected => same(
                || format!("{INTEGRATION}.{} of `{}`", column.attribute(), user.id()),
                &expected.unwrap_or(Value::Null),
                found,
            )?,
        }
    }
    Ok(())
}

/// The segments that are live, with their counts, as the server tells them.
pub(super) async fn segment_counts(api: &Api) -> Result<Vec<(String, u64)>, BenchError> {
    let mut connection = Connection::open(&api.authority).await?;
    let answer = json(connection.expect_ok(&api.segments()).await?, "the segments")?;
    let items = answer.get("items").and_then(Value::as_array).into_iter().flatten();
    items
        .map(|item| Ok((text_at(item, "id")?, item.get("count").and_then(Value::as_u64).unwrap_or_default())))
        .collect()
}

/// The value as the API gives it back; `None` for a missing one.
fn expected_value(cell: Cell) -> Option<Value> {
    cell.value().map(|value| match value {
        model::Value::String(text) => Value::from(&*text),
        model::Value::Number(number) => Value::from(number),
        model::Value::Date(date) => Value::from(date.to_string()),
    })
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
        let value = |column| expected_value(user.cell(column));
        assert_eq!(value(Column::Mrr), Some(Value::from(1273.09)));
        assert_eq!(value(Column::Signup), Some(Value::from("2023-07-29")));
        assert_eq!(value(Column::Company), Some(Value::from("company-00329")));
        assert_eq!(value(Column::TrialEnd), None);
    }
}
