//! The composition root: opens the store, loads the rules, builds the state, starts everything, and ends it again.
//!
//! Owns the order of things and nothing else. Starting: listener, store, secret key and accounts, rules, first run. Stopping:
//! no new connections, answers for what was taken, the call log, a last checkpoint.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::accounts::{Accounts, FirstRun, Postman};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Engine, EngineOptions, RecordWrite};
use crate::http::{AppState, Services};
use crate::intake::calls::CallLog;
use crate::model::SystemId;
use crate::ruleset::{Files, LastGood, LiveRules, NothingToServe, RulesOptions, RulesService};
use crate::store::{self, Options, Store, Table};
use crate::telemetry;

/// How often the call log is written behind the calls, and metrics are tidied up.
const UPKEEP: Duration = Duration::from_secs(15);

/// Serves until SIGTERM or SIGINT, then ends within 10 seconds.
///
/// # Errors
/// Whatever keeps the server from starting, in words for the person who starts it.
pub fn serve(config: Config) -> anyhow::Result<()> {
    let metrics = telemetry::metrics()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    // Bound first, so that a port in use is told before anything is made; who connects meanwhile waits.
    let listener = runtime.block_on(TcpListener::bind(config.server.listen)).with_context(|| {
        format!("can't listen on {} (`server.listen` or --listen sets another)", config.server.listen)
    })?;
    let parts = Parts::open(config, Clock::system())?;
    let engine = parts.engine.clone();
    let calls = Arc::clone(&parts.calls);
    let served = runtime.block_on(run(listener, parts, metrics));
    // Handlers that a cut-off client left behind end here, so that nothing writes after the last checkpoint.
    runtime.shutdown_timeout(Duration::from_secs(1));
    save_calls(&engine, &calls);
    engine.stop();
    tracing::info!("stopped");
    served
}

/// What is opened before anything is served.
struct Parts {
    config: Config,
    clock: Clock,
    engine: Engine,
    calls: Arc<CallLog>,
}

impl Parts {
    fn open(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let store = Store::open(&config.storage.path, &Options { cache_mib: config.storage.cache_mib })?;
        let engine = Engine::start(store, clock.clone(), &EngineOptions { min_free_mib: config.storage.min_free_mib })?;
        crate::memory::give_back();
        let calls = Arc::new(CallLog::default());
        calls.restore(engine.store().records(Table::Calls)?);
        Ok(Self { config, clock, engine, calls })
    }
}

async fn run(listener: TcpListener, parts: Parts, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let Parts { mut config, clock, engine, calls } = parts;
    let address = listener.local_addr().context("reading the address listened on")?;
    config.server.public_url = config.server.public_url_at(address);
    let mut stop = Stop::new()?;
    let opened = {
        let (config, clock, engine) = (config.clone(), clock.clone(), engine.clone());
        tokio::task::spawn_blocking(move || open_rules(&config, &clock, &engine)).await?
    };
    let Opened { accounts, rules, postman } = opened?;
    reload_on_hangup(Arc::clone(&rules))?;
    keep_up(engine.clone(), Arc::clone(&calls), metrics.clone());
    tokio::spawn(postman.run());
    let services = Services { config: Arc::new(config), engine, rules, accounts, clock, calls, metrics };
    tracing::info!(address = %address, url = services.config.server.public_url, "listening");
    let router = crate::http::router(AppState::new(services));
    crate::http::serve(listener, router, async move { stop.asked().await }).await?;
    Ok(())
}

/// What serves requests, opened.
struct Opened {
    accounts: Arc<Accounts>,
    rules: Arc<RulesService>,
    postman: Postman,
}

/// Opens accounts and rules, and on an empty store makes the first client and the first operator.
fn open_rules(config: &Config, clock: &Clock, engine: &Engine) -> anyhow::Result<Opened> {
    let env = |name: &str| std::env::var(name).ok();
    let (accounts, bootstrap) = Accounts::open(Arc::new(engine.clone()), config, clock.clone(), &env)?;
    let postman = Postman::open(&accounts, config, &env)?;
    let options = RulesOptions { watch: true, read_only: config.rules.read_only, script_us: config.limits.script_us };
    let last_good = Arc::new(StoredLastGood(engine.clone()));
    let retiring = Arc::clone(&accounts);
    let before_swap = Box::new(move |old: &LiveRules, new: &LiveRules| retire_tokens(&retiring, old, new));
    let rules = RulesService::start(config.rules.path.clone(), last_good, clock.clone(), options, before_swap)
        .map_err(|nothing| nothing_to_serve(config, &nothing))?;
    if let Some(bootstrap) = bootstrap {
        tell_first_run(&bootstrap.finish(&rules.live())?);
    }
    Ok(Opened { accounts, rules, postman })
}

/// The start's error when there is nothing to serve: every mistake, each on its line with file and place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BrokenRules(String);

fn nothing_to_serve(config: &Config, nothing: &NothingToServe) -> BrokenRules {
    let root = config.rules.path.display();
    let mistakes: Vec<String> = nothing
        .reports
        .iter()
        .flat_map(|report| &report.errors)
        .map(|error| {
            let hint = error.hint.as_ref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
            let (line, column) = (error.line.max(1), error.column.max(1));
            format!("{root}/{}:{line}:{column}: {}{hint}", error.file, error.message)
        })
        .collect();
    BrokenRules(format!(
        "{}\nerror: {nothing} ({root}): mend the files above, or set `rules.path`",
        mistakes.join("\n")
    ))
}

/// Ends the tokens of integrations that are gone, so that one made anew under the same id gets another.
fn retire_tokens(accounts: &Accounts, old: &LiveRules, new: &LiveRules) {
    for (system, rules) in &old.systems {
        let left = new.systems.get(system);
        for integration in rules.integrations.keys() {
            if left.is_some_and(|left| left.integrations.contains_key(integration)) {
                continue;
            }
            if let Err(error) = accounts.retire(system, integration) {
                tracing::error!(%system, %integration, %error, "the token of a deleted integration could not be ended");
            }
        }
    }
}

/// On a terminal, shows the secrets and the curl lines once; the log only says where they are.
fn tell_first_run(first: &FirstRun) {
    if let Some(file) = &first.file {
        tracing::info!(file = %file.display(), "first run: credentials and ready curl lines are in this file");
    }
    let mut stdout = std::io::stdout();
    if stdout.is_terminal() {
        // Whoever closed the terminal finds it all in the file.
        let _ = writeln!(stdout, "\n{}", first.text);
    }
}

/// SIGTERM or SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
    }
}

fn reload_on_hangup(rules: Arc<RulesService>) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let rules = Arc::clone(&rules);
            let _ = tokio::task::spawn_blocking(move || rules.reload()).await;
        }
    });
    Ok(())
}

/// Writes the call log behind the calls, and tidies up metrics.
fn keep_up(engine: Engine, calls: Arc<CallLog>, metrics: PrometheusHandle) {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP);
        loop {
            tick.tick().await;
            metrics.run_upkeep();
            let records = call_records(&calls);
            if !records.is_empty()
                && let Err(error) = engine.write_records(records).await
            {
                tracing::warn!(%error, "the call log could not be written");
            }
        }
    });
}

fn call_records(calls: &CallLog) -> Vec<RecordWrite> {
    calls.snapshot_records().into_iter().map(|(key, value)| (Table::Calls, key, value)).collect()
}

fn save_calls(engine: &Engine, calls: &CallLog) {
    let records = call_records(calls);
    if !records.is_empty()
        && let Err(error) = engine.write_records_blocking(records)
    {
        tracing::warn!(%error, "the call log could not be written");
    }
}

/// Keeps each system's last good files in the store.
struct StoredLastGood(Engine);

impl StoredLastGood {
    fn write(&self, system: &SystemId, files: Option<&Files>) -> Result<(), String> {
        let value = files.map(store::encode).transpose().map_err(|error| error.to_string())?;
        let record = (Table::LastGood, system.as_str().as_bytes().to_vec(), value);
        self.0.write_records_blocking(vec![record]).map_err(|error| error.to_string())
    }
}

impl LastGood for StoredLastGood {
    fn load(&self) -> Result<BTreeMap<SystemId, Files>, String> {
        let records = self.0.store().records(Table::LastGood).map_err(|error| error.to_string())?;
        let mut systems = BTreeMap::new();
        for (key, value) in records {
            let id = String::from_utf8(key).map_err(|error| error.to_string())?;
            let id = SystemId::new(&id).map_err(|error| error.to_string())?;
            systems.insert(id, store::decode(&value).map_err(|error| error.to_string())?);
        }
        Ok(systems)
    }

    fn save(&self, system: &SystemId, files: &Files) -> Result<(), String> {
        self.write(system, Some(files))
    }

    fn forget(&self, system: &SystemId) -> Result<(), String> {
        self.write(system, None)
    }
}
