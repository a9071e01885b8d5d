//! P4: a CSV file, from its first byte sent until it is durable and live.
//!
//! Every round has a server of its own, so that the first file meets an empty system.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::api::{Api, json, text_at};
use super::super::dataset::SEED;
use super::super::error::BenchError;
use super::super::metric::{Metric, Question};
use super::super::report::{DISK, Figures, OURS};
use super::super::segments::{self, Source};
use super::super::server::Launcher;
use super::super::truth::Truth;
use super::super::wire::Connection;
use super::super::workspace::Workspace;
use super::super::{Settings, beside, count, say};
use super::CHECKED;

/// The seed of the second file: the same end users with other values.
const OTHER: u64 = 7;
/// How often it is asked whether an import has ended.
const LOOK: Duration = Duration::from_millis(5);

/// Imports two files in rounds: into an empty system, and other values over those.
pub(in super::super) async fn import(
    parent: Option<&Path>,
    keep: bool,
    settings: &Settings,
    command: Option<&str>,
) -> Result<Figures, BenchError> {
    let mut figures = Figures::default();
    for round in 1..=settings.runs {
        say(&format!("{}: round {round} of {}", Question::Import.name(), settings.runs));
        one_round(parent, keep, settings, &mut figures).await?;
        if let Some(command) = command {
            for line in beside::run(command, Question::Import, settings)? {
                figures.add(Question::Import, &line.subject, line.metric, line.value);
            }
        }
    }
    Ok(figures)
}

async fn one_round(
    parent: Option<&Path>,
    keep: bool,
    settings: &Settings,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let workspace = Workspace::create(parent, keep)?;
    let segments = segments::segments(count(settings.segments));
    workspace.furnish(Source::Files, &segments)?;
    let launcher = Launcher::new(&workspace)?;
    let (server, _) = launcher.start().await?;
    let api = Api::enter(&server.authority, &launcher.credentials()).await?;
    let rows = settings.end_users;
    for (seed, metric) in [(SEED, Metric::Fresh), (OTHER, Metric::Again)] {
        let file = workspace.write_csv("users.csv", rows, seed)?;
        let copied = workspace.copy_time(&file)?;
        figures.add(Question::Import, DISK, metric, rows as f64 / copied.as_secs_f64());
        let time = send(&api, &file, rows).await?;
        figures.add(Question::Import, OURS, metric, rows as f64 / time.as_secs_f64());
        let truth = Truth::new(rows, segments.clone()).with_seed(seed);
        truth.check(&api, CHECKED).await?;
        truth.check_segment_counts(&api).await?;
    }
    if let Some(mib) = server.memory_peak() {
        figures.add(Question::Import, OURS, Metric::MemoryPeak, mib);
    }
    server.stop().await.map(|_| ())
}

/// Sends a file and waits until all of it is stored.
async fn send(api: &Api, file: &Path, rows: u64) -> Result<Duration, BenchError> {
    let failed = |source| BenchError::File { path: file.to_path_buf(), source };
    let body = File::open(file).map_err(failed)?;
    let bytes = body.metadata().map_err(failed)?.len();
    let mut connection = Connection::open(&api.authority).await?;
    let start = Instant::now();
    let taken = json(connection.upload(&api.import_head(bytes), body, 202).await?, "an import")?;
    let request = api.import(&text_at(&taken, "id")?);
    loop {
        let import = json(connection.expect_ok(&request).await?, "an import")?;
        let stored = import.get("stored").and_then(Value::as_u64);
        match import.get("state").and_then(Value::as_str) {
            Some("done") if stored == Some(rows) => return Ok(start.elapsed()),
            Some("validating" | "applying") => tokio::time::sleep(LOOK).await,
            _ => {
                let expected = format!("done with {rows} rows stored");
                return Err(BenchError::Wrong { what: "an import".into(), expected, found: import.to_string() });
            }
        }
    }
}
