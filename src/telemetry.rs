//! Logs and metrics: how they are set up, and the one catalogue of metric names.
//!
//! Owns the format of log lines, the log filter, every metric's name, meaning and buckets. Knows nothing of what is
//! logged or counted, and never sees a secret: callers log names and numbers, not bodies, tokens or keys.
//! Invariant: on a terminal a line is for people; off it, each line is one JSON object. Both go to stderr.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Variables that set the log filter; the first that is set counts.
const FILTER_VARIABLES: [&str; 2] = ["ROLLCALL_LOG", "RUST_LOG"];
/// The filter when none is set. The store's own notes say nothing that an operator could act on.
const DEFAULT_FILTER: &str = "info,sled=warn";

/// Upper bounds in seconds: from a page load answered from memory to a checkpoint of a large store.
const SECONDS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter can't be read.
    #[error("{variable}: `{text}` is no log filter ({reason}); write it like `info` or `info,rollcall=debug`")]
    Filter {
        /// The variable that holds it.
        variable: &'static str,
        /// Its text.
        text: String,
        /// What the filter's parser says.
        reason: String,
    },
    /// Something in this process has set up logging before.
    #[error("logging is set up already: {0}")]
    Logs(String),
    /// The metrics recorder was refused.
    #[error("metrics can't be set up: {0}")]
    Metrics(String),
}

/// Sets up logging for the whole process: `tracing`, records of the `log` crate, and panics.
///
/// # Errors
/// [`TelemetryError`] for a filter that can't be read, or when logging was set up before.
pub fn init() -> Result<(), TelemetryError> {
    let set = FILTER_VARIABLES.into_iter().find_map(|name| std::env::var(name).ok().map(|text| (name, text)));
    let filter = match set {
        Some((variable, text)) if !text.trim().is_empty() => filter(variable, &text)?,
        _ => EnvFilter::new(DEFAULT_FILTER),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let done = if std::io::stderr().is_terminal() {
        registry.with(layer.with_target(false)).try_init()
    } else {
        registry.with(layer.json().flatten_event(true).with_span_list(false)).try_init()
    };
    done.map_err(|e| TelemetryError::Logs(e.to_string()))?;
    log_panics();
    Ok(())
}

fn filter(variable: &'static str, text: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(text).map_err(|e| TelemetryError::Filter {
        variable,
        text: text.to_owned(),
        reason: e.to_string(),
    })
}

/// A panic becomes a log line like any other, so that nothing off a terminal is no JSON.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("without a message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            tracing::error!(place, %backtrace, "panic: {message}");
        } else {
            tracing::error!(place, "panic: {message}");
        }
    }));
}

/// Installs the process's metrics recorder and gives the handle that renders it; later calls give the same handle.
///
/// Whoever holds the handle calls [`PrometheusHandle::run_upkeep`] every few seconds: histograms grow until then.
///
/// # Errors
/// [`TelemetryError::Metrics`] when another recorder was installed.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    let installed = HANDLE.get_or_init(|| {
        let recorder = builder().map_err(|e| e.to_string())?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|e| e.to_string())?;
        describe();
        Ok(handle)
    });
    installed.clone().map_err(TelemetryError::Metrics)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
}

/// What a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by size.
    Histogram,
}

/// Every metric: what it does, its name, unit and help text. A test holds that no other is used.
const CATALOGUE: &[(Kind, &str, Unit, &str)] = &[
    (
        Kind::Counter,
        "rollcall_http_requests_total",
        Unit::Count,
        "HTTP requests answered, by route, method and class of status",
    ),
    (
        Kind::Histogram,
        "rollcall_http_request_seconds",
        Unit::Seconds,
        "Time from a request to its answer, by route and method",
    ),
    (Kind::Counter, "rollcall_commits_total", Unit::Count, "Commits made durable; calls that wait share one"),
    (Kind::Histogram, "rollcall_checkpoint_seconds", Unit::Seconds, "Time that a checkpoint takes"),
    (Kind::Gauge, "rollcall_disk_full", Unit::Count, "1 while free disk is below min_free_mib and updates are refused"),
    (
        Kind::Counter,
        "rollcall_disagreements_total",
        Unit::Count,
        "Samples in which a segment's index and its script disagreed, by system: must stay 0",
    ),
    (Kind::Counter, "rollcall_backup_failures_total", Unit::Count, "Backups that could not be made"),
    (
        Kind::Gauge,
        "rollcall_backup_last_success_seconds",
        Unit::Seconds,
        "When this server made its last backup, in seconds since 1970 UTC",
    ),
    (Kind::Counter, "rollcall_import_rows_total", Unit::Count, "Rows of CSV imports made durable"),
    (Kind::Counter, "rollcall_imports_total", Unit::Count, "CSV imports that have ended, by outcome"),
    (Kind::Counter, "rollcall_rule_failures_total", Unit::Count, "Judgements at which a rule failed, by system"),
    (
        Kind::Counter,
        "rollcall_rules_load_failures_total",
        Unit::Count,
        "Loads of a system's files that were refused, the last good version staying live",
    ),
    (
        Kind::Gauge,
        "rollcall_rules_systems_with_errors",
        Unit::Count,
        "Systems whose files on disk have errors; an older version of them is live, or none",
    ),
    (
        Kind::Counter,
        "rollcall_tls_reload_failures_total",
        Unit::Count,
        "New certificates that could not be used, the old one being served on",
    ),
    (Kind::Gauge, "rollcall_store_failed", Unit::Count, "1 once the store has failed and takes no more writes"),
    (Kind::Counter, "rollcall_mails_sent_total", Unit::Count, "Mails to operators that left"),
    (
        Kind::Counter,
        "rollcall_mails_failed_total",
        Unit::Count,
        "Attempts to send a mail that failed; most are repeated",
    ),
    (Kind::Counter, "rollcall_mails_given_up_total", Unit::Count, "Mails that could not be sent and are given up"),
    (Kind::Gauge, "rollcall_mails_waiting", Unit::Count, "Letters to operators that wait to be sent"),
];

fn describe() {
    for &(kind, name, unit, help) in CATALOGUE {
        match kind {
            Kind::Counter => describe_counter!(name, unit, help),
            Kind::Gauge => describe_gauge!(name, unit, help),
            Kind::Histogram => describe_histogram!(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(record: impl FnOnce()) -> String {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            record();
        });
        handle.run_upkeep();
        handle.render()
    }

    #[test]
    fn metrics_are_shown_with_their_help_and_buckets() {
        let text = rendered(|| {
            metrics::counter!("rollcall_http_requests_total", "route" => "/healthz").increment(2);
            metrics::histogram!("rollcall_checkpoint_seconds").record(0.3);
        });
        for line in [
            "# HELP rollcall_http_requests_total HTTP requests answered, by route, method and class of status",
            "rollcall_http_requests_total{route=\"/healthz\"} 2",
            "rollcall_checkpoint_seconds_bucket{le=\"0.25\"} 0",
            "rollcall_checkpoint_seconds_bucket{le=\"0.5\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "`{line}` is missing in:\n{text}");
        }
    }

    #[test]
    fn handle_is_the_same_however_often_it_is_asked_for() {
        let (first, second) = (metrics().unwrap(), metrics().unwrap());
        metrics::gauge!("rollcall_disk_full").set(1.0);
        for handle in [first, second] {
            assert!(handle.render().contains("rollcall_disk_full 1"));
        }
    }

    #[test]
    fn every_metric_in_use_is_in_the_catalogue() {
        let used = regex::Regex::new(r#"\b(counter|gauge|histogram)!\(\s*"(rollcall_[a-z_]+)""#).unwrap();
        for path in sources(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            let text = std::fs::read_to_string(&path).unwrap();
            for found in used.captures_iter(&text) {
                let known = CATALOGUE.iter().find(|(_, name, ..)| *name == &found[2]);
                let kind = known.map(|(kind, ..)| format!("{kind:?}").to_lowercase());
                assert_eq!(kind.as_deref(), Some(&found[1]), "{} in {}", &found[2], path.display());
            }
        }
    }

    fn sources(folder: std::path::PathBuf) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        let below = folders.into_iter().flat_map(sources);
        files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")).chain(below).collect()
    }

    #[test]
    fn bad_log_filter_is_told_with_its_variable() {
        let error = filter("ROLLCALL_LOG", "rollcall=loud").unwrap_err().to_string();
        assert!(error.starts_with("ROLLCALL_LOG: `rollcall=loud` is no log filter"), "{error}");
        assert!(filter("RUST_LOG", "info,rollcall=debug").is_ok());
    }
}
