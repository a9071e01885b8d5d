//! P2, P3b, P3c, P9: what is read: page loads, first pages of filters, segments' counts; and tokens.

use std::time::Duration;

use super::super::api::{Credentials, same};
use super::super::error::BenchError;
use super::super::filters::filters;
use super::super::load::{self, Outcome, Traffic};
use super::super::metric::{Metric, Question};
use super::super::report::{CONSTANT, OURS};
use super::{Bench, CHECKED};

/// End users on a first page.
const PAGE: usize = 50;

impl Bench {
    /// P2: page loads of random end users, beside the same server answering a constant.
    pub(super) async fn page_load(&mut self) -> Result<(), BenchError> {
        let connections = self.settings.connections;
        self.send_page_loads(self.short()).await?;
        for round in 1..=self.settings.runs {
            self.say_round(Question::PageLoad, round);
            let before = self.processors();
            let constant = load::run(&self.api.authority, self.api.constants(connections), self.seconds()).await?;
            self.record(Question::PageLoad, CONSTANT, Some(Metric::Answers), &constant, &before);
            let before = self.processors();
            let outcome = self.send_page_loads(self.seconds()).await?;
            self.record(Question::PageLoad, OURS, Some(Metric::Answers), &outcome, &before);
            self.ask_beside(Question::PageLoad)?;
        }
        self.truth.check(&self.api, CHECKED).await
    }

    /// P3b: the first page of who fulfils each filter, and how many they are, for a caller alone.
    pub(super) async fn first_page(&mut self) -> Result<(), BenchError> {
        let filters = filters();
        self.truth.check_filters(&self.api, &filters).await?;
        let each = self.seconds() / 5;
        for round in 1..=self.settings.runs {
            self.say_round(Question::FirstPage, round);
            for (filter, metric) in filters.iter().zip(Metric::FILTERS) {
                let request = self.api.query(&filter.condition.rhai(), PAGE, None);
                let outcome = load::run(&self.api.authority, same(&request, 1), each).await?;
                self.figures.add(Question::FirstPage, OURS, metric, outcome.latencies.percentile(0.5));
            }
            self.ask_beside(Question::FirstPage)?;
        }
        Ok(())
    }

    /// P3c: the counts of all segments, for a caller alone.
    pub(super) async fn segment_counts(&mut self) -> Result<(), BenchError> {
        self.truth.check_segment_counts(&self.api).await?;
        let request = self.api.segments();
        for round in 1..=self.settings.runs {
            self.say_round(Question::SegmentCounts, round);
            self.constant(Question::SegmentCounts, 1, None).await?;
            let before = self.processors();
            let outcome = load::run(&self.api.authority, same(&request, 1), self.seconds()).await?;
            self.record(Question::SegmentCounts, OURS, None, &outcome, &before);
            self.ask_beside(Question::SegmentCounts)?;
        }
        Ok(())
    }

    /// P9: access tokens for a client.
    pub(super) async fn tokens(&mut self) -> Result<(), BenchError> {
        let Credentials::Client(id, secret) = &self.credentials else {
            return Err(BenchError::Usage(
                "`tokens` needs a client's id and secret: an access token makes none".into(),
            ));
        };
        let (id, secret) = (id.clone(), secret.clone());
        for round in 1..=self.settings.runs {
            self.say_round(Question::Tokens, round);
            self.constant(Question::Tokens, self.settings.connections, Some(Metric::Answers)).await?;
            let traffics = self.api.tokens(&id, &secret, self.settings.connections);
            let before = self.processors();
            let outcome = load::run(&self.api.authority, traffics, self.seconds()).await?;
            self.record(Question::Tokens, OURS, Some(Metric::Answers), &outcome, &before);
        }
        Ok(())
    }

    /// One round of the constant answer.
    async fn constant(&mut self, question: Question, connections: u64, rate: Option<Metric>) -> Result<(), BenchError> {
        let before = self.processors();
        let outcome = load::run(&self.api.authority, self.api.constants(connections), self.seconds()).await?;
        self.record(question, CONSTANT, rate, &outcome, &before);
        Ok(())
    }

    pub(super) async fn send_page_loads(
        &mut self,
        duration: Duration,
    ) -> Result<Outcome<impl Traffic + use<>>, BenchError> {
        self.streams += 1;
        let traffics = self.api.page_loads(self.settings.end_users, self.settings.connections, self.streams);
        load::run(&self.api.authority, traffics, duration).await
    }
}
