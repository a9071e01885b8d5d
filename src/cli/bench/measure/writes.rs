//! P1, P1b, P8: durable updates, by many callers, by one alone, and with many segments.

use std::time::Duration;

use super::super::error::BenchError;
use super::super::load::{self, Outcome, Traffic};
use super::super::metric::{Metric, Question};
use super::super::report::{DISK, OURS};
use super::super::targets::FEW;
use super::{Bench, CHECKED};

impl Bench {
    /// P1: durable updates of three attributes of random end users.
    pub(super) async fn update(&mut self) -> Result<(), BenchError> {
        self.send_updates(self.settings.connections, self.short()).await?;
        for round in 1..=self.settings.runs {
            self.say_round(Question::Update, round);
            let before = self.processors();
            let outcome = self.send_updates(self.settings.connections, self.seconds()).await?;
            self.record(Question::Update, OURS, Some(Metric::Updates), &outcome, &before);
            self.truth.check(&self.api, CHECKED).await?;
            self.ask_beside(Question::Update)?;
        }
        Ok(())
    }

    /// P1b: one caller alone, beside the disk itself.
    pub(super) async fn caller(&mut self) -> Result<(), BenchError> {
        for round in 1..=self.settings.runs {
            self.say_round(Question::Caller, round);
            if let Some(workspace) = &self.workspace {
                let syncs = workspace.sync_times(self.short())?;
                self.figures.add(Question::Caller, DISK, Metric::P50, syncs.percentile(0.5));
                self.figures.add(Question::Caller, DISK, Metric::P99, syncs.percentile(0.99));
            }
            let before = self.processors();
            let outcome = self.send_updates(1, self.seconds()).await?;
            self.record(Question::Caller, OURS, None, &outcome, &before);
            self.truth.check(&self.api, CHECKED).await?;
            self.ask_beside(Question::Caller)?;
        }
        Ok(())
    }

    /// P8: updates with ever more segments.
    pub(super) async fn segments(&mut self) -> Result<(), BenchError> {
        for round in 1..=self.settings.runs {
            self.say_round(Question::Segments, round);
            for (count, subject) in [(10, FEW), (50, "50 segments"), (500, OURS)] {
                self.use_segments(count).await?;
                self.send_updates(self.settings.connections, self.short()).await?;
                let before = self.processors();
                let outcome = self.send_updates(self.settings.connections, self.seconds()).await?;
                self.record(Question::Segments, subject, Some(Metric::Updates), &outcome, &before);
                self.truth.check(&self.api, CHECKED).await?;
            }
        }
        self.use_segments(self.settings.segments).await
    }

    pub(super) async fn send_updates(
        &mut self,
        connections: u64,
        duration: Duration,
    ) -> Result<Outcome<impl Traffic + use<>>, BenchError> {
        self.streams += 1;
        let traffics = self.api.updates(self.settings.end_users, connections, self.streams);
        let outcome = load::run(&self.api.authority, traffics, duration).await?;
        self.truth.acknowledge(outcome.traffics.iter().flat_map(|traffic| traffic.acknowledged.iter().copied()));
        Ok(outcome)
    }
}
