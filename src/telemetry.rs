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
/// Upper bounds of how many calls share one commit.
const GROUP: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

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
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_GROUP.to_owned()), &GROUP)
}

/// Counter. HTTP requests answered, by `method`, `route` (the template, not the path) and `status`.
pub const HTTP_REQUESTS: &str = "rollcall_http_requests_total";
/// Histogram. Seconds from a request's headers to its answer, by `route`.
pub const HTTP_SECONDS: &str = "rollcall_http_request_seconds";
/// Gauge. Connections open.
pub const HTTP_CONNECTIONS: &str = "rollcall_http_connections";
/// Counter. Update calls, by `system`, `integration` and `result` (`stored`, `refused`).
pub const UPDATE_CALLS: &str = "rollcall_update_calls_total";
/// Counter. Records of stored update calls, by `system` and `integration`.
pub const UPDATE_RECORDS: &str = "rollcall_update_records_total";
/// Counter. Access tokens asked for, by `result` (`issued`, `refused`).
pub const TOKENS: &str = "rollcall_access_tokens_total";
/// Counter. Commits made durable.
pub const COMMITS: &str = "rollcall_commits_total";
/// Histogram. Seconds that a commit takes to become durable.
pub const COMMIT_SECONDS: &str = "rollcall_commit_seconds";
/// Histogram. How many calls share one commit.
pub const COMMIT_GROUP: &str = "rollcall_commit_group";
/// Gauge. Calls that wait for the writer.
pub const QUEUE: &str = "rollcall_write_queue";
/// Histogram. Seconds that a checkpoint takes.
pub const CHECKPOINT_SECONDS: &str = "rollcall_checkpoint_seconds";
/// Gauge. End users, by `system`.
pub const END_USERS: &str = "rollcall_end_users";
/// Gauge. Attributes declared, by `system`; at most 100.
pub const ATTRIBUTES: &str = "rollcall_attributes";
/// Gauge. Errors in the rule files on disk, by `system`; above 0 an older version is live.
pub const RULE_ERRORS: &str = "rollcall_rule_errors";
/// Counter. Loads of the rule files, by `system` and `result` (`live`, `refused`).
pub const RULE_LOADS: &str = "rollcall_rule_loads_total";
/// Counter. Judgements at which a rule failed, by `system` and `segment`.
pub const RULE_FAILURES: &str = "rollcall_rule_failures_total";

/// Gives every metric its help text and unit.
fn describe() {
    describe_counter!(HTTP_REQUESTS, Unit::Count, "HTTP requests answered, by method, route and status");
    describe_histogram!(HTTP_SECONDS, Unit::Seconds, "Time from a request's headers to its answer, by route");
    describe_gauge!(HTTP_CONNECTIONS, Unit::Count, "Connections open");
    describe_counter!(UPDATE_CALLS, Unit::Count, "Update calls, by system, integration and result");
    describe_counter!(UPDATE_RECORDS, Unit::Count, "Records of stored update calls, by system and integration");
    describe_counter!(TOKENS, Unit::Count, "Access tokens asked for, by result");
    describe_counter!(COMMITS, Unit::Count, "Commits made durable");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time that a commit takes to become durable");
    describe_histogram!(COMMIT_GROUP, Unit::Count, "Calls that share one commit");
    describe_gauge!(QUEUE, Unit::Count, "Calls that wait for the writer");
    describe_histogram!(CHECKPOINT_SECONDS, Unit::Seconds, "Time that a checkpoint takes");
    describe_gauge!(END_USERS, Unit::Count, "End users, by system");
    describe_gauge!(ATTRIBUTES, Unit::Count, "Attributes declared, by system; at most 100");
    describe_gauge!(RULE_ERRORS, Unit::Count, "Errors in the rule files on disk, by system");
    describe_counter!(RULE_LOADS, Unit::Count, "Loads of the rule files, by system and result");
    describe_counter!(RULE_FAILURES, Unit::Count, "Judgements at which a rule failed, by system and segment");
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
            metrics::counter!(HTTP_REQUESTS, "route" => "/healthz").increment(2);
            metrics::histogram!(COMMIT_SECONDS).record(0.000_3);
            metrics::histogram!(COMMIT_GROUP).record(20.0);
        });
        for line in [
            "# HELP rollcall_http_requests_total HTTP requests answered, by method, route and status",
            "rollcall_http_requests_total{route=\"/healthz\"} 2",
            "rollcall_commit_seconds_bucket{le=\"0.00025\"} 0",
            "rollcall_commit_seconds_bucket{le=\"0.0005\"} 1",
            "rollcall_commit_group_bucket{le=\"16\"} 0",
            "rollcall_commit_group_bucket{le=\"32\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "`{line}` is missing in:\n{text}");
        }
    }

    #[test]
    fn handle_is_the_same_however_often_it_is_asked_for() {
        let first = metrics().unwrap();
        let second = metrics().unwrap();
        metrics::gauge!(QUEUE).set(7.0);
        assert!(
            first.render().contains("rollcall_write_queue 7") && second.render().contains("rollcall_write_queue 7")
        );
    }

    #[test]
    fn bad_log_filter_is_told_with_its_variable() {
        let error = filter("ROLLCALL_LOG", "rollcall=loud").unwrap_err().to_string();
        assert!(error.starts_with("ROLLCALL_LOG: `rollcall=loud` is no log filter"), "{error}");
        assert!(filter("RUST_LOG", "info,rollcall=debug").is_ok());
    }
}
