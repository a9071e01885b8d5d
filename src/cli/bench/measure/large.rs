//! P7: ten times as many end users on a second server: page loads beside the first one's, counts, memory.

use std::path::Path;

use super::super::dataset::MAX_ROWS;
use super::super::error::BenchError;
use super::super::filters::filters;
use super::super::load;
use super::super::metric::{Metric, Question};
use super::super::report::{CONSTANT, OURS};
use super::super::targets::SMALL;
use super::super::{Settings, api::same};
use super::{Bench, CHECKED};

/// How many times as many.
const TIMES: u64 = 10;

impl Bench {
    /// Page loads of both servers in turn, and of the large one a constant answer, counts, and its memory.
    pub(super) async fn large(&mut self) -> Result<(), BenchError> {
        let settings = Settings { end_users: (self.settings.end_users * TIMES).min(MAX_ROWS), ..self.settings };
        let parent = self.workspace.as_ref().and_then(|workspace| workspace.path().parent()).map(Path::to_path_buf);
        let mut large = Self::of_its_own(parent.as_deref(), false, settings, None).await?;
        let filters = filters();
        large.truth.check_filters(&large.api, &filters).await?;
        for round in 1..=self.settings.runs {
            self.say_round(Question::Large, round);
            let before = self.processors();
            let outcome = self.send_page_loads(self.seconds()).await?;
            self.record(Question::Large, SMALL, Some(Metric::Answers), &outcome, &before);
            let before = large.processors();
            let constants = large.api.constants(settings.connections);
            let outcome = load::run(&large.api.authority, constants, self.seconds()).await?;
            large.record(Question::Large, CONSTANT, Some(Metric::Answers), &outcome, &before);
            let before = large.processors();
            let outcome = large.send_page_loads(self.seconds()).await?;
            large.record(Question::Large, OURS, Some(Metric::Answers), &outcome, &before);
            large.truth.check(&large.api, CHECKED).await?;
            large.record_memory(Question::Large, Metric::MemoryBusy);
            for (filter, metric) in filters.iter().zip(Metric::FILTERS) {
                let request = large.api.count(&filter.condition.rhai());
                let outcome = load::run(&large.api.authority, same(&request, 1), self.seconds() / 5).await?;
                large.figures.add(Question::Large, OURS, metric, outcome.latencies.percentile(0.5));
            }
        }
        self.figures.take(Question::Large, large.finish().await?);
        Ok(())
    }
}
