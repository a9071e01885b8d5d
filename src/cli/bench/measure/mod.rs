//! The questions, asked of one server: load, check, then measure in rounds.
//!
//! - `loading`: before all else
//! - `reads`, `writes`, `start`, `rules`, `script`, `log_ins`, `doors`, `pages`, `large`, `import`, `restore`, `soak`: the
//!   questions
//!
//! Owns the order of things. Invariant: no figure without right answers: the answers are compared with [`Truth`] before
//! the first round, after every round that writes, and after every start.

mod doors;
mod import;
mod large;
mod loading;
mod log_ins;
mod pages;
mod reads;
mod restore;
mod rules;
mod script;
mod soak;
mod start;
mod writes;

use std::path::Path;
use std::time::Duration;

use super::api::{Api, Credentials};
use super::beside;
use super::error::BenchError;
use super::load::Outcome;
use super::metric::{Metric, Question};
use super::report::{Figures, OURS};
use super::segments::{self, Source};
use super::server::{Launcher, Server, processor_time};
use super::truth::Truth;
use super::workspace::Workspace;
use super::{Settings, count, say};

pub(super) use import::import;

/// Random end users compared in one check, and as many of the last updated.
const CHECKED: u64 = 500;
/// Longest warm-up, burst, and timing of the disk, in seconds.
const SHORT: u64 = 2;

/// A server that the benchmark may stop and start.
#[derive(Debug)]
pub(super) struct Own {
    /// How to start it.
    pub(super) launcher: Launcher,
    /// The one that runs.
    pub(super) server: Server,
}

/// A server with the data set, and what is known of it. The server's field stands first: it ends before its folder goes.
#[derive(Debug)]
pub(super) struct Bench {
    own: Option<Own>,
    workspace: Option<Workspace>,
    api: Api,
    credentials: Credentials,
    settings: Settings,
    beside: Option<String>,
    truth: Truth,
    /// The figures so far.
    pub(super) figures: Figures,
    /// Runs so far: each has random numbers of its own.
    streams: u64,
}

/// What was done by the processors before a run.
struct Processors {
    server: Option<Duration>,
    client: Option<Duration>,
}

impl Processors {
    /// What the server's have done since.
    fn server_since(&self, before: &Self) -> Option<Duration> {
        self.server.zip(before.server).map(|(now, before)| now.saturating_sub(before))
    }
}

impl Bench {
    /// Logs in, loads the data set, and checks that the server answers rightly.
    pub(super) async fn prepare(
        own: Option<Own>,
        workspace: Option<Workspace>,
        (authority, credentials): (&str, Credentials),
        settings: Settings,
        truth: Truth,
        beside: Option<String>,
    ) -> Result<Self, BenchError> {
        let api = Api::log_in(authority, &credentials).await?;
        let figures = Figures::default();
        let mut bench = Self { own, workspace, api, credentials, settings, beside, truth, figures, streams: 0 };
        bench.load().await?;
        bench.truth.check(&bench.api, CHECKED).await?;
        Ok(bench)
    }

    /// A server of its own in a folder of its own, filled by updates.
    pub(super) async fn of_its_own(
        parent: Option<&Path>,
        keep: bool,
        settings: Settings,
        beside: Option<String>,
    ) -> Result<Self, BenchError> {
        let workspace = Workspace::create(parent, keep)?;
        say(&format!("working in {}", workspace.path().display()));
        let segments = segments::segments(count(settings.segments));
        workspace.furnish(Source::Updates, &segments)?;
        let launcher = Launcher::new(&workspace)?;
        let (server, _) = launcher.start().await?;
        let (authority, credentials) = (server.authority.clone(), launcher.credentials());
        let truth = Truth::new(settings.end_users, segments);
        let own = Some(Own { launcher, server });
        Self::prepare(own, Some(workspace), (&authority, credentials), settings, truth, beside).await
    }

    /// Asks a question in rounds.
    pub(super) async fn ask(&mut self, question: Question) -> Result<(), BenchError> {
        match question {
            Question::Update => self.update().await,
            Question::Caller => self.caller().await,
            Question::PageLoad => self.page_load().await,
            Question::FirstPage => self.first_page().await,
            Question::SegmentCounts => self.segment_counts().await,
            Question::Start => self.start().await,
            Question::Rule => self.rule().await,
            Question::Segments => self.segments().await,
            Question::Script => self.script().await,
            Question::Large => self.large().await,
            Question::Tokens => self.tokens().await,
            Question::LogIns => self.log_ins().await,
            Question::Doors => self.doors().await,
            Question::Pages => self.pages().await,
            Question::Restore => self.restore().await,
            Question::Soak => self.soak().await,
            // The load is done already; the others are not asked of a loaded server.
            Question::Load | Question::Import | Question::Count => Ok(()),
        }
    }

    /// Ends the benchmark: a server of its own is stopped.
    pub(super) async fn finish(mut self) -> Result<Figures, BenchError> {
        if let Some(own) = self.own.take() {
            own.server.stop().await?;
        }
        if self.workspace.as_ref().is_some_and(Workspace::is_in_memory) {
            self.figures.note(
                "The folder is in memory (tmpfs): nothing there is durable, so P1 and P1b say nothing about a disk. \
                 Name a folder on a disk with `--folder`."
                    .into(),
            );
        }
        Ok(self.figures)
    }

    fn record_memory(&mut self, question: Question, metric: Metric) {
        if let Some(mib) = self.own.as_ref().and_then(|own| own.server.memory()) {
            self.figures.add(question, OURS, metric, mib);
        }
    }

    fn processors(&self) -> Processors {
        Processors {
            server: self.own.as_ref().and_then(|own| own.server.processor_time()),
            client: processor_time("self"),
        }
    }

    /// Takes a run's figures.
    fn record<T>(
        &mut self,
        question: Question,
        subject: &str,
        rate: Option<Metric>,
        outcome: &Outcome<T>,
        before: &Processors,
    ) {
        let after = self.processors();
        if let Some(metric) = rate {
            self.figures.add(question, subject, metric, outcome.rate());
        }
        self.figures.add(question, subject, Metric::P50, outcome.latencies.percentile(0.5));
        self.figures.add(question, subject, Metric::P99, outcome.latencies.percentile(0.99));
        let answers = outcome.latencies.count().max(1) as f64;
        let spent =
            [(Metric::ServerCpu, before.server, after.server), (Metric::ClientCpu, before.client, after.client)];
        for (metric, before, after) in spent {
            if let Some(used) = before.zip(after).map(|(before, after)| after.saturating_sub(before)) {
                self.figures.add(question, subject, metric, used.as_secs_f64() * 1e6 / answers);
            }
        }
    }

    /// Runs the command beside, if there is one, for one round.
    fn ask_beside(&mut self, question: Question) -> Result<(), BenchError> {
        let Some(command) = &self.beside else { return Ok(()) };
        for line in beside::run(command, question, &self.settings)? {
            self.figures.add(question, &line.subject, line.metric, line.value);
        }
        Ok(())
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(self.settings.seconds)
    }

    fn short(&self) -> Duration {
        Duration::from_secs(self.settings.seconds.min(SHORT))
    }

    fn say_round(&self, question: Question, round: u64) {
        say(&format!("{}: round {round} of {}", question.name(), self.settings.runs));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use axum::extract::{Path, State};
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use serde_json::{Map, Value};

    use super::super::dataset::Column;
    use super::*;

    /// A server that keeps attributes and knows no segments.
    #[derive(Default)]
    struct Fake {
        end_users: Mutex<HashMap<String, Map<String, Value>>>,
        /// Single-record updates are acknowledged and forgotten.
        forgets: bool,
        /// One attribute of a call of many is lost.
        loses: Option<Column>,
    }
    type Shared = State<Arc<Fake>>;

    /// A field's attribute and its value as the API gives it back.
    fn stored((field, value): (&String, &Value)) -> Option<(String, Value)> {
        let column = Column::ALL.into_iter().find(|column| column.field() == field)?;
        let is_date = column.kind() == crate::model::AttributeType::Date;
        let value = if is_date { Value::from(&value.as_str()?[..10]) } else { value.clone() };
        Some((column.attribute(), value))
    }

    async fn update(State(fake): Shared, Json(call): Json<Value>) -> Json<Value> {
        assert_eq!(call["token"], "integration");
        let data = call["data"].as_array().unwrap();
        let mut end_users = fake.end_users.lock().unwrap();
        let mut created = 0;
        for record in data {
            let id = record["id"].as_str().unwrap().to_owned();
            created += u64::from(!end_users.contains_key(&id));
            let attributes = end_users.entry(id).or_default();
            if data.len() > 1 || !fake.forgets {
                attributes.extend(record.as_object().unwrap().iter().filter_map(stored));
            }
            if let Some(column) = fake.loses {
                attributes.remove(&column.attribute());
            }
        }
        Json(serde_json::json!({"received": data.len(), "created": created}))
    }

    async fn page_load(
        State(fake): Shared,
        Path(id): Path<String>,
        headers: HeaderMap,
    ) -> Result<Json<Value>, StatusCode> {
        if headers.get("authorization").is_none_or(|token| token != "Bearer access") {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let known = fake.end_users.lock().unwrap().contains_key(&id);
        Ok(Json(serde_json::json!({"id": id, "known": known, "segments": []})))
    }

    async fn end_user(State(fake): Shared, Path(id): Path<String>) -> Json<Value> {
        let attributes = fake.end_users.lock().unwrap().get(&id).cloned();
        Json(serde_json::json!({"id": id, "attributes": {"app": attributes}}))
    }

    async fn bench_of(fake: Fake) -> Result<Bench, BenchError> {
        let app = Router::new()
            .route("/accounts/connect/token", post(|| async { Json(serde_json::json!({"access_token": "access"})) }))
            .route(
                "/admin/v1/systems/bench/integrations/app/endpoint",
                get(|| async { Json(serde_json::json!({"token": "integration"})) }),
            )
            .route("/healthz", get(|| async { "ok" }))
            .route("/public/v1/user/data", post(update))
            .route("/public/v1/systems/bench/end-users/{id}", get(end_user))
            .route("/public/v1/systems/bench/end-users/{id}/segments", get(page_load))
            .with_state(Arc::new(fake));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        // Rounds of no time: each connection sends one request.
        let settings = Settings { end_users: 300, segments: 0, connections: 8, seconds: 0, runs: 2 };
        let credentials = Credentials::Client("id".into(), "secret".into());
        let beside = Some("printf 'SQL\\tupdates\\t1\\n'".into());
        let truth = Truth::new(settings.end_users, Vec::new());
        Bench::prepare(None, None, (&authority, credentials), settings, truth, beside).await
    }

    #[tokio::test]
    async fn a_right_server_gets_its_figures() {
        let mut bench = bench_of(Fake::default()).await.unwrap();
        bench.update().await.unwrap();
        bench.caller().await.unwrap();
        bench.page_load().await.unwrap();
        let settings = bench.settings;
        let report = bench.finish().await.unwrap().json(&settings, "", "");
        let figures = report["figures"].as_array().unwrap();
        let rounds = |question: &str, subject: &str, metric: &str| {
            let named = |f: &&Value| f["question"] == question && f["subject"] == subject && f["metric"] == metric;
            figures.iter().find(named).map(|figure| figure["rounds"].as_array().unwrap().len())
        };
        assert_eq!(rounds("load", "Rollcall", "records"), Some(1));
        for (question, subject, metric) in [
            ("update", "Rollcall", "updates"),
            ("update", "Rollcall", "p99"),
            ("update", "SQL", "updates"),
            ("caller", "Rollcall", "p50"),
            ("page-load", "Rollcall", "answers"),
            ("page-load", "constant answer", "answers"),
        ] {
            assert_eq!(rounds(question, subject, metric), Some(2), "{question} {subject} {metric}");
        }
    }

    #[tokio::test]
    async fn a_server_that_forgets_an_acknowledged_update_gets_none() {
        let mut bench = bench_of(Fake { forgets: true, ..Fake::default() }).await.unwrap();
        let error = bench.update().await.unwrap_err();
        assert!(matches!(error, BenchError::Wrong { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_loses_an_attribute_of_the_data_set_gets_none() {
        let error = bench_of(Fake { loses: Some(Column::Score), ..Fake::default() }).await.unwrap_err();
        assert!(error.to_string().starts_with("wrong answer: app.Score of"), "{error}");
    }
}
