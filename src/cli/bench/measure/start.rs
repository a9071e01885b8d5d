//! P5: how long a start takes, and how much memory the server has then.

use super::super::api::Api;
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::{Bench, CHECKED, Own};

impl Bench {
    /// P5: from start to ready, after a clean stop and after kill -9, and the memory that it takes.
    pub(super) async fn start(&mut self) -> Result<(), BenchError> {
        for round in 1..=self.settings.runs {
            self.say_round(Question::Start, round);
            self.restart(Metric::ReadyAfterStop).await?;
            self.record_memory(Question::Start, Metric::MemoryReady);
            self.truth.check(&self.api, CHECKED).await?;
            self.send_page_loads(self.short()).await?;
            self.record_memory(Question::Start, Metric::MemoryBusy);
            self.send_updates(self.settings.connections, self.short()).await?;
            self.restart(Metric::ReadyAfterKill).await?;
            self.truth.check(&self.api, CHECKED).await?;
            self.ask_beside(Question::Start)?;
        }
        Ok(())
    }

    /// Stops or kills the server, starts it, and records how long it took to be ready.
    async fn restart(&mut self, metric: Metric) -> Result<(), BenchError> {
        let Some(Own { launcher, server }) = self.own.take() else { return Ok(()) };
        if metric == Metric::ReadyAfterKill {
            server.kill()?;
        } else {
            let stop = server.stop().await?;
            self.figures.add(Question::Start, OURS, Metric::Stop, stop.as_secs_f64());
        }
        let (server, ready) = launcher.start().await?;
        self.figures.add(Question::Start, OURS, metric, ready.as_secs_f64());
        self.api = Api::log_in(&server.authority, &launcher.credentials()).await?;
        self.own = Some(Own { launcher, server });
        Ok(())
    }
}
