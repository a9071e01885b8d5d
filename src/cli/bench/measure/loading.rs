//! The data set through the update API, before all else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use super::super::api::{Api, json};
use super::super::dataset::{EndUser, SEED};
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::say;
use super::super::wire::Connection;
use super::Bench;

/// Records in one call of the load: as many as a server takes by default.
const RECORDS_PER_CALL: u64 = 10_000;
/// Connections that load the data set: enough that making the records overlaps with storing them.
const LOADERS: u64 = 4;

impl Bench {
    /// Sends the data set through the update API.
    pub(super) async fn load(&mut self) -> Result<(), BenchError> {
        let rows = self.settings.end_users;
        let start = Instant::now();
        let next = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..LOADERS {
            tasks.spawn(load_calls(self.api.clone(), rows, Arc::clone(&next)));
        }
        let mut created = 0;
        while let Some(done) = tasks.join_next().await {
            let died =
                |error| BenchError::Connection { request: "the load".into(), source: std::io::Error::other(error) };
            created += done.map_err(died).flatten()?;
        }
        if self.own.is_some() && created != rows {
            return Err(BenchError::Wrong {
                what: "the number of end users created".into(),
                expected: rows.to_string(),
                found: created.to_string(),
            });
        }
        let rate = rows as f64 / start.elapsed().as_secs_f64();
        self.figures.add(Question::Load, OURS, Metric::Records, rate);
        Ok(())
    }
}

/// Sends calls of the load until there are no more rows; gives how many end users they created.
async fn load_calls(api: Api, rows: u64, next: Arc<AtomicU64>) -> Result<u64, BenchError> {
    let mut connection = Connection::open(&api.authority).await?;
    let mut created = 0;
    let mut records = Vec::new();
    loop {
        let first = next.fetch_add(RECORDS_PER_CALL, Ordering::Relaxed);
        if first >= rows {
            return Ok(created);
        }
        let last = rows.min(first + RECORDS_PER_CALL);
        records.clear();
        for row in first..last {
            if row > first {
                records.push(b',');
            }
            EndUser::new(SEED, row).write_json(&mut records)?;
        }
        let answer = json(connection.expect_ok(&api.update(&records)).await?, "an update call")?;
        let count = |member: &str| answer.get(member).and_then(serde_json::Value::as_u64);
        if count("received") != Some(last - first) {
            return Err(BenchError::Wrong {
                what: "`received` of an update call".into(),
                expected: (last - first).to_string(),
                found: answer.to_string(),
            });
        }
        created += count("created").unwrap_or(0);
        // About ten lines for any size.
        if last / (rows / 10).max(1) != first / (rows / 10).max(1) {
            say(&format!("loading: {last} of {rows} end users"));
        }
    }
}
