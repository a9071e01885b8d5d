//! `/healthz`, `/readyz` and `/metrics`: for those who watch the server.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{Public, Scraper};
use super::rules::serves_last_good;
use crate::ruleset::SystemReport;

/// The media type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// That the process runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the server can do its work.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReadyResponse {
    /// `ready`, or `failed`.
    status: &'static str,
    /// The store.
    store: StoreStatus,
    /// The rules of each system.
    rules: Vec<RulesStatus>,
    /// What is wrong without keeping the server from its work.
    warnings: Vec<String>,
}

/// How the store is.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoreStatus {
    /// Number of the last commit.
    last_commit: u64,
    /// The commit up to which the last checkpoint stands.
    last_checkpoint: u64,
    /// Updates that wait to be written.
    queued: usize,
}

/// How a system's rules are.
#[derive(Serialize, ToSchema)]
pub(crate) struct RulesStatus {
    /// The system.
    system: String,
    /// Hash of the files that are live; null where none are.
    revision: Option<String>,
    /// Whether an earlier version is served because what is on disk is broken.
    serving_last_good: bool,
}

/// Does the process run?
#[utoipa::path(
    get, path = "/healthz", operation_id = "health", tag = "Operation",
    responses((status = 200, description = "It does", body = HealthResponse)),
)]
pub(crate) async fn health(_: Public) -> Json<HealthResponse> {
    Json(HealthResponse { status: "ok" })
}

/// Can the server do its work?
#[utoipa::path(
    get, path = "/readyz", operation_id = "ready", tag = "Operation",
    responses(
        (status = 200, description = "It can; `warnings` tells what is wrong all the same", body = ReadyResponse),
        (status = 503, description = "The store has failed, or no system's rules are live", body = ReadyResponse),
    ),
)]
pub(crate) async fn ready(public: Public) -> Response {
    let store = public.state.engine.status();
    let live = public.state.rules.live();
    let mut warnings: Vec<_> = live.reports.iter().filter_map(warning).collect();
    if store.failed.is_some() {
        warnings.push("the store has failed and takes no more writes until the server restarts".to_owned());
    }
    if store.disk_full {
        warnings.push("free disk is below `storage.min_free_mib`: updates are refused, reads go on".to_owned());
    }
    if let Some(fault) = public.state.tls.as_ref().and_then(|tls| tls.fault()) {
        tracing::debug!(fault, "asked whether it is ready");
        warnings.push("the certificate on disk can't be used, an earlier one is served: see the log".to_owned());
    }
    let is_ready = store.failed.is_none() && !live.systems.is_empty();
    let rules = live.reports.iter().map(|report| RulesStatus {
        system: report.system.clone(),
        revision: report.revision.clone(),
        serving_last_good: serves_last_good(report),
    });
    let body = ReadyResponse {
        status: if is_ready { "ready" } else { "failed" },
        store: StoreStatus {
            last_commit: store.last_commit,
            last_checkpoint: store.last_checkpoint,
            queued: store.queued,
        },
        rules: rules.collect(),
        warnings,
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// What is wrong with a system's files, in one sentence; the whole list is at `/admin/v1/config`.
fn warning(report: &SystemReport) -> Option<String> {
    let first = report.errors.first()?;
    let served = if serves_last_good(report) { "its last good version is served" } else { "it is not served" };
    let more = match report.errors.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let place = if first.line == 0 { first.file.clone() } else { format!("{}:{}", first.file, first.line) };
    Some(format!("the rules of `{}` on disk are broken, {served}: {place}{more}", report.system))
}

/// The server's metrics
///
/// Open to this machine; others need `metrics:read`.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "Operation",
    responses((status = 200, description = "In the Prometheus text format", body = String, content_type = "text/plain")),
    security(("oauth2" = ["metrics:read"])),
)]
pub(crate) async fn metrics(scraper: Scraper) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], scraper.state.metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::FileError;

    #[test]
    fn a_broken_tree_is_told_in_one_sentence() {
        let error = |line| FileError {
            file: "default/segments/a.rhai".to_owned(),
            line,
            column: 1,
            message: "m".to_owned(),
            hint: None,
        };
        let mut report = SystemReport {
            system: "default".to_owned(),
            revision: Some("r".to_owned()),
            live_since: None,
            attributes_used: 0,
            errors: vec![error(3), error(9)],
            warnings: Vec::new(),
        };
        assert_eq!(
            warning(&report).unwrap(),
            "the rules of `default` on disk are broken, its last good version is served: default/segments/a.rhai:3 and 1 more"
        );
        report.revision = None;
        assert!(warning(&report).unwrap().contains("it is not served"));
        report.errors.clear();
        assert_eq!(warning(&report), None);
    }
}
