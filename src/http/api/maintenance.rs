//! `/admin/v1/maintenance/…`: work that an operator may ask for.

use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::auth::{Permit, needs};
use super::super::problem::Problem;
use crate::accounts::Act;
use crate::model::{AttributeId, SystemId};
use crate::ruleset::LiveRules;

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
