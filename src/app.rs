//! The composition root: opens the store, loads the rules, builds the state, starts everything, and ends it again.
//!
//! Owns the order of things and nothing else. Starting: listener, store, secret key and accounts, rules, first run. Stopping:
//! no new connections, answers for what was taken, the import's present batch, the call log, a last checkpoint.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::accounts::{self, Accounts, AccountsError, FirstRun, KeyRotated, KeySource, Postman, Recovered, Secret};
use crate::backup::Backups;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Contents, Engine, EngineOptions, RecordWrite, inspect};
use crate::filters::Filters;
use crate::http::{AppState, Services, Tls};
use crate::intake::calls::CallLog;
use crate::intake::imports::{Imports, ImportsOptions};
use crate::model::SystemId;
use crate::ruleset::{Files, Following, LastGood, LiveRules, NothingToServe, RuleSet, RulesOptions, RulesService};
use crate::segments::Segment;
use crate::store::{self, Options, Store, StoreError, Table};
use crate::telemetry;

/// How often what has been kept long enough is dropped: audit entries, decided requests.
const TIDY: Duration = Duration::from_secs(3600);
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
    let tls = open_tls(&config)?;
    let parts = Parts::open(config, Clock::system())?;
    let engine = parts.engine.clone();
    let calls = Arc::clone(&parts.calls);
    let served = runtime.block_on(run(listener, parts, tls, metrics));
    // Handlers that a cut-off client left behind end here, so that nothing writes after the last checkpoint.
    runtime.shutdown_timeout(Duration::from_secs(1));
    save_calls(&engine, &calls);
    engine.stop();
    tracing::info!("stopped");
    served
}

/// Certificate and key, where they are configured.
fn open_tls(config: &Config) -> anyhow::Result<Option<Arc<Tls>>> {
    let (Some(cert), Some(key)) = (&config.server.tls_cert, &config.server.tls_key) else { return Ok(None) };
    Ok(Some(Tls::open(cert.clone(), key.clone()).context("server.tls_cert, server.tls_key")?))
}

/// Makes an account an Admin's again, while the server is stopped: see [`Accounts::recover_admin`].
///
/// # Errors
/// Whatever is in the way, in words for the person who asks: a running server first of all.
pub fn recover_admin(config: Config, name: Option<&str>, password: Option<&Secret>) -> anyhow::Result<Recovered> {
    if !config.storage.path.is_dir() {
        let folder = config.storage.path.display();
        anyhow::bail!(
            "there is no store in `{folder}` (`storage.path`): start the server once, which makes the first Admin"
        );
    }
    let Parts { config, clock, engine, .. } = Parts::open(config, Clock::system())?;
    let env = |name: &str| std::env::var(name).ok();
    let opened = Accounts::open(Arc::new(engine.clone()), &config, clock, &env);
    let recovered = opened.map_err(anyhow::Error::from).and_then(|(accounts, bootstrap)| match bootstrap {
        Some(_) => Err(anyhow::anyhow!("the store is empty: start the server once, which makes the first Admin")),
        None => Ok(accounts.recover_admin(name, password)?),
    });
    engine.stop();
    recovered
}

/// Gives the store another secret key, while the server is stopped: see [`accounts::rotate_key`].
///
/// # Errors
/// Whatever is in the way, in words for the person who asks.
pub fn rotate_key(config: Config, lost: bool) -> anyhow::Result<KeyRotated> {
    if !store::has_store(&config.storage.path) {
        let folder = config.storage.path.display();
        anyhow::bail!("there is no store in `{folder}` (`storage.path`)");
    }
    let Parts { config, clock, engine, .. } = Parts::open(config, Clock::system())?;
    let env = |name: &str| std::env::var(name).ok();
    let rotated = accounts::rotate_key(&engine, &config.storage.path, &env, lost, clock.now());
    engine.stop();
    Ok(rotated?)
}

/// How a data folder's store is.
pub enum Examined {
    /// There is none.
    None,
    /// A server runs on it.
    InUse,
    /// It can't be used, and why.
    Broken(String),
    /// It is whole: what is in it, and whether the secret key is its own.
    Sound(Contents, Result<Option<KeySource>, AccountsError>),
}

/// Looks at the store without changing anything but sled's own leavings.
#[must_use]
pub fn examine(config: &Config) -> Examined {
    let path = &config.storage.path;
    if !store::has_store(path) {
        return Examined::None;
    }
    let opened = match Store::open(path, &Options { cache_mib: config.storage.cache_mib }) {
        Err(StoreError::Locked { .. }) => return Examined::InUse,
        Err(error) => return Examined::Broken(error.to_string()),
        Ok(opened) => opened,
    };
    match inspect(&opened) {
        Err(error) => Examined::Broken(error.to_string()),
        Ok(held) => {
            let key = accounts::check_key(&opened, path, &|name| std::env::var(name).ok());
            Examined::Sound(held, key)
        }
    }
}

/// What is opened before anything is served.
struct Parts {
    config: Config,
    clock: Clock,
    engine: Engine,
    calls: Arc<CallLog>,
    filters: Arc<Filters>,
}

impl Parts {
    fn open(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let store = Store::open(&config.storage.path, &Options { cache_mib: config.storage.cache_mib })?;
        let engine = Engine::start(store, clock.clone(), &EngineOptions { min_free_mib: config.storage.min_free_mib })?;
        crate::memory::give_back();
        let calls = Arc::new(CallLog::default());
        calls.restore(engine.store().records(Table::Calls)?);
        let filters = Arc::new(Filters::open(engine.clone(), clock.clone())?);
        Ok(Self { config, clock, engine, calls, filters })
    }
}

async fn run(
    listener: TcpListener,
    parts: Parts,
    tls: Option<Arc<Tls>>,
    metrics: PrometheusHandle,
) -> anyhow::Result<()> {
    let Parts { mut config, clock, engine, calls, filters } = parts;
    let address = listener.local_addr().context("reading the address listened on")?;
    config.server.public_url = config.server.public_url_at(address);
    let mut stop = Stop::new()?;
    let opened = {
        let (config, clock, engine) = (config.clone(), clock.clone(), engine.clone());
        tokio::task::spawn_blocking(move || open_rules(&config, &clock, &engine)).await?
    };
    let Opened { accounts, rules, imports, postman } = opened?;
    reload_on_hangup(Arc::clone(&rules))?;
    keep_up(engine.clone(), Arc::clone(&calls), metrics.clone());
    tidy_up(Arc::clone(&accounts));
    tokio::spawn(postman.run());
    let config = Arc::new(config);
    let backups = Backups::new(engine.clone(), &config, clock.clone(), &|name| std::env::var(name).ok());
    let backing_up = back_up(Arc::clone(&backups))?;
    let (imports_too, serving_tls) = (Arc::clone(&imports), tls.clone());
    let services = Services {
        config,
        engine,
        rules,
        filters,
        accounts,
        clock,
        calls,
        imports: imports_too,
        backups,
        tls,
        metrics,
    };
    tracing::info!(address = %address, url = services.config.server.public_url, "listening");
    let state = AppState::new(services);
    let ways = crate::http::Ways::new(state.clone());
    let stopped = async move {
        stop.asked().await;
        state.stop();
    };
    let served = crate::http::serve(listener, ways, serving_tls, stopped).await;
    drop(backing_up);
    tokio::task::spawn_blocking(move || imports.stop()).await?;
    Ok(served?)
}

/// What is opened once the store is.
struct Opened {
    accounts: Arc<Accounts>,
    rules: Arc<RulesService>,
    imports: Arc<Imports>,
    postman: Postman,
}

/// Opens accounts and rules, on an empty store makes the first client and the first operator, and takes up imports.
fn open_rules(config: &Config, clock: &Clock, engine: &Engine) -> anyhow::Result<Opened> {
    let env = |name: &str| std::env::var(name).ok();
    let (accounts, bootstrap) = Accounts::open(Arc::new(engine.clone()), config, clock.clone(), &env)?;
    let postman = Postman::open(&accounts, config, &env)?;
    let options = RulesOptions { watch: true, read_only: config.rules.read_only, script_us: config.limits.script_us };
    let last_good = Arc::new(StoredLastGood(engine.clone()));
    let followers = Box::new(Followers { engine: engine.clone(), accounts: Arc::clone(&accounts) });
    let rules = RulesService::start(config.rules.path.clone(), last_good, clock.clone(), options, followers)
        .map_err(|nothing| nothing_to_serve(config, &nothing))?;
    if let Some(bootstrap) = bootstrap {
        tell_first_run(&bootstrap.finish(&rules.live())?);
    }
    let options = ImportsOptions {
        folder: config.storage.path.join("imports"),
        string_bytes: config.limits.string_bytes,
        min_free_mib: config.storage.min_free_mib,
    };
    let imports = Imports::open(options, engine.clone(), Arc::clone(&rules), clock.clone())?;
    Ok(Opened { accounts, rules, imports, postman })
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

/// Who has to know of rules before they are live.
struct Followers {
    engine: Engine,
    accounts: Arc<Accounts>,
}

impl Following for Followers {
    fn script_time(&self, rules: &RuleSet, segment: &Segment) -> Option<Duration> {
        self.engine.script_time(rules, segment)
    }

    fn before_swap(&self, old: &LiveRules, new: &LiveRules) {
        if let Err(error) = self.engine.adopt(&new.systems) {
            tracing::error!(%error, "memberships could not be made right by the new rules; the old ones are read on");
        }
        retire_keys(&self.accounts, old, new);
    }
}

/// Ends the tokens of integrations and the browser keys of systems that are gone, so that those made anew under the same id
/// get others.
fn retire_keys(accounts: &Accounts, old: &LiveRules, new: &LiveRules) {
    for (system, rules) in &old.systems {
        let left = new.systems.get(system);
        if left.is_none()
            && let Err(error) = accounts.retire_browser_keys(system)
        {
            tracing::error!(%system, %error, "the browser keys of a deleted system could not be ended");
        }
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

/// Makes backups when they are due, until what this gives is dropped.
fn back_up(backups: Arc<Backups>) -> anyhow::Result<Sender<()>> {
    let (end, ended) = channel::<()>();
    let pause = move |time| ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    std::thread::Builder::new()
        .name("backups".to_owned())
        .spawn(move || backups.keep_up(pause))
        .context("starting the thread for backups")?;
    Ok(end)
}

/// Drops what accounts have kept long enough, now and then.
fn tidy_up(accounts: Arc<Accounts>) {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(TIDY);
        loop {
            tick.tick().await;
            let accounts = Arc::clone(&accounts);
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || accounts.tidy()).await {
                tracing::warn!(%error, "old audit entries and requests could not be dropped");
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
