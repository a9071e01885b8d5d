//! Page loads beside a rule that runs as a slow script: without it, while its members are computed, and with it.

use std::time::Instant;

use super::super::condition::Condition;
use super::super::dataset::Column;
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::segments::Segment;
use super::super::targets::WITHOUT;
use super::{Bench, CHECKED};

/// While the script is run over everybody.
const MEANWHILE: &str = "while it is computed";
/// Rounds of the script's loop: some 100 µs.
const TURNS: u64 = 1000;

impl Bench {
    /// Page loads without the script, while it is computed, and with it live.
    pub(super) async fn script(&mut self) -> Result<(), BenchError> {
        let fast = self.truth.segments.clone();
        let slow = Segment { id: "slow".into(), condition: Condition::Slowly(TURNS, Column::Seats, 250) };
        for round in 1..=self.settings.runs {
            self.say_round(Question::Script, round);
            let before = self.processors();
            let outcome = self.send_page_loads(self.seconds()).await?;
            self.record(Question::Script, WITHOUT, Some(Metric::Answers), &outcome, &before);
            let of_page_loads = self.processors().server_since(&before);

            let (before, written) = (self.processors(), Instant::now());
            let all: Vec<Segment> = fast.iter().chain([&slow]).cloned().collect();
            self.write_segments(all)?;
            let meanwhile = self.send_page_loads(self.seconds()).await?;
            if !self.is_live().await? {
                self.record(Question::Script, MEANWHILE, Some(Metric::Answers), &meanwhile, &before);
            }
            self.are_live().await?;
            self.figures.add(Question::Script, OURS, Metric::ScriptRule, written.elapsed().as_secs_f64());
            // What the page loads took meanwhile is not the script's.
            let answered = meanwhile.latencies.count() as f64 / outcome.latencies.count().max(1) as f64;
            if let Some((all, page_loads)) = self.processors().server_since(&before).zip(of_page_loads) {
                let script = all.as_secs_f64() - page_loads.as_secs_f64() * answered;
                let micros = script * 1e6 / self.settings.end_users as f64;
                self.figures.add(Question::Script, OURS, Metric::ScriptTime, micros.max(0.0));
            }

            let before = self.processors();
            let outcome = self.send_page_loads(self.seconds()).await?;
            self.record(Question::Script, OURS, Some(Metric::Answers), &outcome, &before);
            self.truth.check(&self.api, CHECKED).await?;
            self.truth.check_segment_counts(&self.api).await?;
            self.use_these(fast.clone()).await?;
        }
        Ok(())
    }
}
