//! `/admin/v1/maintenance/…`: work that an operator may ask for.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::auth::{Permit, needs};
use super::super::problem::{Kind, Problem};
use super::super::turns::aside;
use crate::accounts::Act;
use crate::backup::{BackupError, Made};
use crate::model::{AttributeId, SystemId};
use crate::ruleset::LiveRules;

/// Bytes of a backup that are sent at once.
const PIECE: usize = 256 * 1024;
/// The media type of a backup.
const BACKUP: &str = "application/octet-stream";

/// A backup that was made in the server's folder for backups.
#[derive(Serialize, ToSchema)]
pub(crate) struct BackupResponse {
    /// The file's name in the folder that the configuration names.
    file: String,
    /// Its size.
    bytes: u64,
    /// The last commit that is in it.
    commit: u64,
    /// End users in it.
    end_users: u64,
}

/// What a checkpoint did.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckpointResponse {
    /// The commit up to which the last checkpoint stands.
    last_checkpoint: u64,
}

/// What a purge did.
#[derive(Serialize, ToSchema)]
pub(crate) struct PurgeResponse {
    /// How many values were deleted.
    purged: u64,
}

/// Make a backup now
///
/// Of one moment, while calls go on. With `Accept: application/octet-stream` it is sent; otherwise it is written to the
/// folder of `[backup]`, and the oldest there is dropped if there are too many. The server's secret key is in it where it is
/// a file of the data folder; in one that is sent, only if the caller may do everything.
#[utoipa::path(
    post, path = "/admin/v1/maintenance/backup", operation_id = "backup", tag = "Operation",
    params(("Accept" = Option<String>, Header, description = "`application/octet-stream` to have it sent")),
    responses(
        (status = 200, description = "Made", content(
            (BackupResponse = "application/json"), (Vec<u8> = "application/octet-stream"))),
        (status = 409, description = "The configuration has no [backup]"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["operate"])),
)]
pub(crate) async fn backup(permit: Permit<needs::Operate>, headers: HeaderMap) -> Result<Response, Problem> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_sent = accept.flat_map(|value| value.split(',')).any(|range| range.trim().starts_with(BACKUP));
    let backups = Arc::clone(&permit.state.backups);
    let act = Act::new("maintenance.backup", "maintenance");
    if is_sent {
        let with_key = permit.actor.principal.may_everything();
        let made = aside(move || Ok(backups.spool(with_key)?)).await?;
        let act = act.after(json!({ "commit": made.contents.commit, "sent": true, "secret_key": made.has_key }));
        permit.state.accounts.note(&permit.actor, act).await;
        return Ok(sent(made));
    }
    let made = aside(move || Ok(backups.make()?)).await?;
    let file = made.place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    permit.state.accounts.note(&permit.actor, act.after(json!({ "commit": made.contents.commit, "file": file }))).await;
    let (bytes, commit, end_users) = (made.bytes, made.contents.commit, made.contents.total());
    Ok(Json(BackupResponse { file, bytes, commit, end_users }).into_response())
}

/// A backup piece by piece, as fast as it is read.
fn sent(made: Made<File>) -> Response {
    let pieces = futures_util::stream::try_unfold(made.place, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            Ok::<_, std::io::Error>((piece, file))
        });
        let (piece, file) = read.await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(BACKUP));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(made.bytes));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let kind = match error {
            BackupError::NoFolder => Kind::Conflict,
            BackupError::Running => Kind::Unavailable,
            BackupError::DiskFull => Kind::DiskFull,
            BackupError::StoreFailed => Kind::Unavailable,
            BackupError::Store(_) | BackupError::Io { .. } => return Self::internal(&error.to_string()),
        };
        Self::new(kind, error.to_string())
    }
}

/// Write a checkpoint now
#[utoipa::path(
    post, path = "/admin/v1/maintenance/checkpoint", operation_id = "checkpoint", tag = "Operation",
    responses(
        (status = 200, description = "Written", body = CheckpointResponse),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["operate"])),
)]
pub(crate) async fn checkpoint(permit: Permit<needs::Operate>) -> Result<Json<CheckpointResponse>, Problem> {
    permit.state.engine.checkpoint().await?;
    Ok(Json(CheckpointResponse { last_checkpoint: permit.state.engine.status().last_checkpoint }))
}

/// Delete the values of attributes that no integration declares any more
///
/// Values of a disabled integration stay. So do those of a system whose files are on disk but could not be loaded.
#[utoipa::path(
    post, path = "/admin/v1/maintenance/purge", operation_id = "purge", tag = "Operation",
    responses(
        (status = 200, description = "Deleted", body = PurgeResponse),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["operate"])),
)]
pub(crate) async fn purge(permit: Permit<needs::Operate>) -> Result<Json<PurgeResponse>, Problem> {
    let live = permit.state.rules.live();
    let keep = move |system: &SystemId, attribute: &AttributeId| is_declared(&live, system, attribute);
    let purged = permit.state.engine.purge(Arc::new(keep)).await?;
    let act = Act::new("maintenance.purge", "maintenance").after(json!({ "purged": purged }));
    permit.state.accounts.note(&permit.actor, act).await;
    Ok(Json(PurgeResponse { purged }))
}

/// Whether the attribute is declared, or may be for all that is known.
fn is_declared(live: &LiveRules, system: &SystemId, attribute: &AttributeId) -> bool {
    match live.systems.get(system) {
        Some(rules) => rules
            .integrations
            .get(&attribute.integration)
            .is_some_and(|integration| integration.properties.iter().any(|property| property.name == attribute.name)),
        None => live.reports.iter().any(|report| report.system == system.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::SystemReport;

    #[test]
    fn what_a_broken_system_declares_is_not_purged() {
        let report = SystemReport {
            system: "broken".to_owned(),
            revision: None,
            live_since: None,
            attributes_used: 0,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        let live = LiveRules { systems: std::collections::BTreeMap::new(), reports: vec![report] };
        let attribute: AttributeId = "crm.Seats".parse().unwrap();
        assert!(is_declared(&live, &SystemId::new("broken").unwrap(), &attribute));
        assert!(!is_declared(&live, &SystemId::new("removed").unwrap(), &attribute));
    }
}
