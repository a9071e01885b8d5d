//! The questions, asked of one server: load, check, then measure in rounds.
//!
//! Owns the order of things. Invariant: no figure without right answers: the answers are compared with [`Truth`] before
//! the first round, after every round that writes, and after every start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::api::{Api, Credentials, json};
use super::beside;
use super::dataset::{EndUser, SEED};
use super::error::BenchError;
use super::load::{self, Outcome, Traffic};
use super::metric::{Metric, Question};
use super::report::{CONSTANT, DISK, Figures, OURS};
use super::server::{Launcher, Server, processor_time};
use super::truth::Truth;
use super::wire::Connection;
use super::workspace::Workspace;
use super::{Settings, say};

/// Records in one call of the load: as many as a server takes by default.
const RECORDS_PER_CALL: u64 = 10_000;
/// Connections that load the data set: enough that making the records overlaps with storing them.
const LOADERS: u64 = 4;
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

impl Bench {
    /// Logs in, loads the data set, and checks that the server answers rightly.
    pub(super) async fn prepare(
        own: Option<Own>,
        workspace: Option<Workspace>,
        (authority, credentials): (&str, &Credentials),
        settings: Settings,
        truth: Truth,
        beside: Option<String>,
    ) -> Result<Self, BenchError> {
        let api = Api::log_in(authority, credentials).await?;
        let figures = Figures::default();
        let mut bench = Self { own, workspace, api, settings, beside, truth, figures, streams: 0 };
        bench.load().await?;
        bench.truth.check(&bench.api, CHECKED).await?;
        Ok(bench)
    }

    /// Sends the data set through the update API.
    async fn load(&mut self) -> Result<(), BenchError> {
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

    /// P5: from start to ready, after a clean stop and after kill -9, and the memory that it takes.
    pub(super) async fn start(&mut self) -> Result<(), BenchError> {
        for round in 1..=self.settings.runs {
            self.say_round(Question::Start, round);
            self.restart(Metric::ReadyAfterStop).await?;
            self.record_memory(Metric::MemoryReady);
            self.truth.check(&self.api, CHECKED).await?;
            self.send_page_loads(self.short()).await?;
            self.record_memory(Metric::MemoryBusy);
            self.send_updates(self.settings.connections, self.short()).await?;
            self.restart(Metric::ReadyAfterKill).await?;
            self.truth.check(&self.api, CHECKED).await?;
            self.ask_beside(Question::Start)?;
        }
        Ok(())
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

    fn record_memory(&mut self, metric: Metric) {
        if let Some(mib) = self.own.as_ref().and_then(|own| own.server.memory()) {
            self.figures.add(Question::Start, OURS, metric, mib);
        }
    }

    async fn send_updates(
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

    async fn send_page_loads(&mut self, duration: Duration) -> Result<Outcome<impl Traffic + use<>>, BenchError> {
        self.streams += 1;
        let traffics = self.api.page_loads(self.settings.end_users, self.settings.connections, self.streams);
        load::run(&self.api.authority, traffics, duration).await
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

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
        Bench::prepare(None, None, (&authority, &credentials), settings, truth, beside).await
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
