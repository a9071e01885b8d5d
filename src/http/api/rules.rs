//! `/admin/v1/config` and `/admin/v1/reload`: which rules are live, and what is wrong on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{Caller, Permit, needs};
use super::super::problem::Problem;
use crate::accounts::{Principal, Sight};
use crate::model::{ATTRIBUTE_CAP, Permission, SystemId, Timestamp};
use crate::ruleset::{FileError, LiveRules, SystemReport};

/// The rules of every system.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigResponse {
    /// One for each system that is live, or was tried.
    items: Vec<SystemItem>,
}

/// A system's rules.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigItem)]
pub(crate) struct SystemItem {
    /// The system: the folder's name.
    system: String,
    /// Hash of the files that are live; null where none are.
    revision: Option<String>,
    /// Since when they are.
    #[schema(value_type = Option<String>, format = DateTime)]
    live_since: Option<Timestamp>,
    /// Attributes that the live files declare.
    attributes_used: usize,
    /// How many a system may have.
    cap: usize,
    /// Whether an earlier version is served because what is on disk is broken.
    serving_last_good: bool,
    /// What is wrong on disk.
    errors: Vec<FileErrorItem>,
    /// What is worth a look.
    warnings: Vec<FileErrorItem>,
    /// How far judging everybody by new rules, or for a new day, has come; null while nothing is computed, and for who
    /// may see only some of the end users.
    computing: Option<ComputingItem>,
}

/// How far something has come.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComputingItem {
    /// Parts that are done.
    done: usize,
    /// Of how many.
    total: usize,
}

/// A mistake in a rule file.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileErrorItem {
    /// The file, relative to the rules folder.
    pub(crate) file: String,
    /// The line, from 1; 0: the whole file.
    pub(crate) line: usize,
    /// The column, from 1.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) hint: Option<String>,
}

impl From<&FileError> for FileErrorItem {
    fn from(error: &FileError) -> Self {
        let FileError { file, line, column, message, hint } = error.clone();
        Self { file, line, column, message, hint }
    }
}

impl SystemItem {
    /// As `principal` may see it: how many parts there are to compute follows from how many end users there are.
    fn new(report: &SystemReport, computing: &BTreeMap<SystemId, (usize, usize)>, principal: &Principal) -> Self {
        let sees_some =
            |system: &SystemId| matches!(principal.sight(system, Permission::EndUsersRead), Sight::UnitGroups(_));
        let computing = computing.get_key_value(report.system.as_str()).filter(|(system, _)| !sees_some(system));
        Self {
            computing: computing.map(|(_, (done, total))| ComputingItem { done: *done, total: *total }),
            system: report.system.clone(),
            revision: report.revision.clone(),
            live_since: report.live_since,
            attributes_used: report.attributes_used,
            cap: ATTRIBUTE_CAP,
            serving_last_good: serves_last_good(report),
            errors: report.errors.iter().map(FileErrorItem::from).collect(),
            warnings: report.warnings.iter().map(FileErrorItem::from).collect(),
        }
    }
}

/// Whether what is live is not what is on disk.
pub(crate) fn serves_last_good(report: &SystemReport) -> bool {
    report.revision.is_some() && !report.errors.is_empty()
}

/// Which rules are live, and what is wrong on disk
///
/// Shows the systems in which the caller has `systems:read`.
#[utoipa::path(
    get, path = "/admin/v1/config", operation_id = "get_config", tag = "Rules",
    responses((status = 200, description = "The systems", body = ConfigResponse)),
    security(("oauth2" = ["systems:read"])),
)]
pub(crate) async fn show(caller: Caller) -> Result<Json<ConfigResponse>, Problem> {
    let live = caller.state.rules.live();
    config(&caller, &live).map(Json)
}

/// Read the rules again now
///
/// Answers when what is on disk has gone live or been refused.
#[utoipa::path(
    post, path = "/admin/v1/reload", operation_id = "reload", tag = "Operation",
    responses((status = 200, description = "The systems as they are now", body = ConfigResponse)),
    security(("oauth2" = ["operate"])),
)]
pub(crate) async fn reload(permit: Permit<needs::Operate>) -> Result<Json<ConfigResponse>, Problem> {
    let rules = Arc::clone(&permit.state.rules);
    let live = tokio::task::spawn_blocking(move || rules.reload());
    let live = live.await.map_err(|error| Problem::internal(&error.to_string()))?;
    let computing = permit.state.engine.computing();
    let items =
        live.reports.iter().map(|report| SystemItem::new(report, &computing, &permit.actor.principal)).collect();
    Ok(Json(ConfigResponse { items }))
}

/// The reports that the caller may see; 403 for who may see none.
fn config(caller: &Caller, live: &LiveRules) -> Result<ConfigResponse, Problem> {
    let may_see = |report: &&SystemReport| match SystemId::new(&report.system) {
        Ok(system) => caller.demand(Permission::SystemsRead, Some(&system)).is_ok(),
        // A folder that is misnamed belongs to no system.
        Err(_) => caller.demand(Permission::SystemsRead, None).is_ok(),
    };
    let computing = caller.state.engine.computing();
    let seen = live.reports.iter().filter(may_see);
    let items: Vec<_> = seen.map(|report| SystemItem::new(report, &computing, &caller.principal)).collect();
    if items.is_empty() {
        caller.demand(Permission::SystemsRead, None)?;
    }
    Ok(ConfigResponse { items })
}
