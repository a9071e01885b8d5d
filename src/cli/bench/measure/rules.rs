//! P6: from a rule's file written to the rule at work; and the segments that are live.
//!
//! Only of a server of its own: the files are written where that reads them.

use std::time::{Duration, Instant};

use super::super::condition::Condition;
use super::super::dataset::{EndUser, SEED};
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::segments::{self, Segment};
use super::super::truth::segment_counts;
use super::super::wire::Connection;
use super::super::{api::json, count};
use super::Bench;

/// Segments of which rules are saved.
const RULES: u64 = 200;
/// Longest wait for rules to be live: a slow script over ten million end users has room in it.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How often it is looked for what needs no exact time.
const LOOK: Duration = Duration::from_millis(20);

impl Bench {
    /// P6: one rule saved, and all of them.
    pub(super) async fn rule(&mut self) -> Result<(), BenchError> {
        self.use_segments(RULES).await?;
        self.truth.check_segment_counts(&self.api).await?;
        for round in 1..=self.settings.runs {
            self.say_round(Question::Rule, round);
            for (changed, metric) in [(1, Metric::OneRule), (count(RULES), Metric::AllRules)] {
                let before = segment_counts(&self.api).await?;
                let time = self.save_negated(changed).await?;
                self.figures.add(Question::Rule, OURS, metric, time.as_secs_f64() * 1e3);
                self.check_negated(&before, changed).await?;
            }
        }
        self.use_segments(self.settings.segments).await
    }

    /// Turns so many rules into their negations; gives the time from the last write until the last one is live.
    async fn save_negated(&mut self, changed: usize) -> Result<Duration, BenchError> {
        let Some(workspace) = &self.workspace else { return Ok(Duration::ZERO) };
        let turned = self.truth.segments.iter_mut().take(changed);
        for segment in turned {
            segment.condition = match &segment.condition {
                Condition::Not(condition) => (**condition).clone(),
                condition => Condition::Not(Box::new(condition.clone())),
            };
        }
        let mut connection = Connection::open(&self.api.authority).await?;
        let page_load = self.api.page_load(&EndUser::new(SEED, 0).id());
        for segment in self.truth.segments.iter().take(changed) {
            workspace.write_rule(segment, true)?;
        }
        let saved = Instant::now();
        // Every rule was turned round, so each tells of itself by any end user; and all go live at once.
        let Some(last) = changed.checked_sub(1).and_then(|last| self.truth.segments.get(last)) else {
            return Ok(Duration::ZERO);
        };
        let expected = last.condition.holds(&self.truth.end_user(0));
        loop {
            let page = json(connection.expect_ok(&page_load).await?, "a page load")?;
            let listed = page.get("segments").and_then(serde_json::Value::as_array);
            let member = listed.is_some_and(|listed| listed.iter().any(|id| id == last.id.as_str()));
            if member == expected {
                return Ok(saved.elapsed());
            }
            patience(saved, "rules that were saved")?;
        }
    }

    /// The first `changed` segments must have everybody that they did not have before, and the others whom they had.
    async fn check_negated(&self, before: &[(String, u64)], changed: usize) -> Result<(), BenchError> {
        let turned: Vec<&str> = self.truth.segments.iter().take(changed).map(|segment| segment.id.as_str()).collect();
        let rows = self.settings.end_users;
        let right = before.iter().map(|(id, count)| {
            (id.clone(), if turned.contains(&id.as_str()) { rows.saturating_sub(*count) } else { *count })
        });
        let (right, found) = (right.collect::<Vec<_>>(), segment_counts(&self.api).await?);
        if right == found {
            return Ok(());
        }
        Err(BenchError::Wrong {
            what: "the segments' counts after rules were saved".into(),
            expected: format!("{right:?}"),
            found: format!("{found:?}"),
        })
    }

    /// Makes the first so many segments live, and no others.
    pub(super) async fn use_segments(&mut self, number: u64) -> Result<(), BenchError> {
        self.use_these(segments::segments(count(number))).await
    }

    /// Makes these segments live, and no others.
    pub(super) async fn use_these(&mut self, wanted: Vec<Segment>) -> Result<(), BenchError> {
        self.write_segments(wanted)?;
        self.are_live().await
    }

    /// Writes the rules of these segments that are not there so yet, and removes those of others.
    pub(super) fn write_segments(&mut self, wanted: Vec<Segment>) -> Result<(), BenchError> {
        let Some(workspace) = &self.workspace else { return Ok(()) };
        let there = std::mem::replace(&mut self.truth.segments, wanted);
        let wanted = &self.truth.segments;
        for segment in there.iter().filter(|segment| !wanted.iter().any(|other| other.id == segment.id)) {
            workspace.write_rule(segment, false)?;
        }
        let is_there = |segment: &&Segment| there.iter().any(|other| other.text() == segment.text());
        wanted.iter().filter(|segment| !is_there(segment)).try_for_each(|segment| workspace.write_rule(segment, true))
    }

    /// Whether the segments that should be live are.
    pub(super) async fn is_live(&self) -> Result<bool, BenchError> {
        let mut ids: Vec<&str> = self.truth.segments.iter().map(|segment| segment.id.as_str()).collect();
        ids.sort_unstable();
        Ok(segment_counts(&self.api).await?.iter().map(|(id, _)| id.as_str()).eq(ids))
    }

    /// Waits until the segments that should be live are.
    pub(super) async fn are_live(&self) -> Result<(), BenchError> {
        let since = Instant::now();
        while !self.is_live().await? {
            patience(since, "segments that were written")?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}

fn patience(since: Instant, what: &str) -> Result<(), BenchError> {
    if since.elapsed() < PATIENCE {
        return Ok(());
    }
    Err(BenchError::Wrong { what: what.into(), expected: "to be live".into(), found: "the old ones still".into() })
}
