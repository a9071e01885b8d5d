//! A backup of the running server, restored onto an empty folder: how long, how large, and whether everything is there.

use std::fs;

use super::super::api::Api;
use super::super::error::BenchError;
use super::super::filters::filters;
use super::super::metric::{Metric, Question};
use super::super::report::OURS;
use super::super::segments::Source;
use super::super::workspace::Workspace;
use super::{Bench, CHECKED, Own};

impl Bench {
    /// Backs up while updates and page loads were just taken, restores, starts, and compares every count.
    pub(super) async fn restore(&mut self) -> Result<(), BenchError> {
        for round in 1..=self.settings.runs {
            self.say_round(Question::Restore, round);
            self.send_updates(self.settings.connections, self.short()).await?;
            self.check_counts(&self.api).await?;
            self.restore_once().await?;
            self.ask_beside(Question::Restore)?;
        }
        Ok(())
    }

    async fn restore_once(&mut self) -> Result<(), BenchError> {
        let (Some(Own { launcher, server }), Some(workspace)) = (&self.own, &self.workspace) else { return Ok(()) };
        let file = workspace.path().join("bench.backup");
        let backed_up = launcher.back_up(&server.authority, &file)?;
        let failed = |source| BenchError::File { path: file.clone(), source };
        let bytes = fs::metadata(&file).map_err(failed)?.len();

        let empty = Workspace::create(workspace.path().parent(), false)?;
        empty.furnish(Source::Updates, &self.truth.segments)?;
        let elsewhere = launcher.at(&empty);
        let restored = elsewhere.restore(&file)?;
        fs::remove_file(&file).map_err(failed)?;
        let (server, ready) = elsewhere.start().await?;
        let memory = server.memory();
        let api = Api::log_in(&server.authority, &self.credentials).await?;
        self.truth.check(&api, CHECKED).await?;
        self.check_counts(&api).await?;
        server.stop().await?;

        let mut add = |metric, value| self.figures.add(Question::Restore, OURS, metric, value);
        add(Metric::Backup, backed_up.as_secs_f64());
        add(Metric::BackupSize, bytes as f64 / f64::from(1 << 20));
        add(Metric::Restore, restored.as_secs_f64());
        add(Metric::ReadyRestored, ready.as_secs_f64());
        if let Some(mib) = memory {
            add(Metric::MemoryReady, mib);
        }
        Ok(())
    }

    /// Every segment's count and every filter's.
    async fn check_counts(&self, api: &Api) -> Result<(), BenchError> {
        self.truth.check_segment_counts(api).await?;
        self.truth.check_filters(api, &filters()).await
    }
}
