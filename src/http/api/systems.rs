//! `/admin/v1/systems`: the systems that there are, and each one's own file, `system.toml`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{At, Caller, Permit, needs, publish};
use super::super::body::JsonBody;
use super::super::page::{ListPage, Page, PageQuery};
use super::super::problem::{Kind, Problem};
use super::rule_files::{self, FileRequest, FileResponse, audited};
use crate::accounts::Sight;
use crate::model::{Permission, SystemId};
use crate::ruleset::{RulePath, RuleSet, Stage};

/// A system.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemItem {
    #[schema(value_type = String)]
    id: SystemId,
    /// The data view that data access names.
    name: String,
    /// `production` or `test`: which `publish:` permission writing its rules needs.
    #[schema(value_type = String)]
    stage: Stage,
    /// What `today()` means in its rules.
    timezone: String,
    unit_groups: Vec<UnitGroupItem>,
    /// How many attributes its integrations declare.
    attributes_used: usize,
    /// Hash of the files that are live.
    revision: String,
}

/// A set of end users to which an operator's view may be narrowed.
#[derive(Serialize, ToSchema)]
struct UnitGroupItem {
    id: String,
    name: String,
}

impl From<&RuleSet> for SystemItem {
    fn from(rules: &RuleSet) -> Self {
        let groups = rules.settings.unit_groups.iter();
        Self {
            id: rules.system.clone(),
            name: rules.settings.name.clone(),
            stage: rules.settings.stage,
            timezone: rules.settings.timezone_name.clone(),
            unit_groups: groups.map(|g| UnitGroupItem { id: g.id.to_string(), name: g.name.clone() }).collect(),
            attributes_used: rules.attributes_used(),
            revision: rules.revision.clone(),
        }
    }
}

/// List systems
///
/// Those that are live and in which the caller has `systems:read`.
#[utoipa::path(
    get, path = "/admin/v1/systems", operation_id = "list_systems", tag = "Rules",
    params(PageQuery),
    responses(
        (status = 200, description = "The systems, by id", body = ListPage<SystemItem>),
        (status = 400, description = "No such limit or cursor"),
    ),
    security(("oauth2" = ["systems:read"])),
)]
pub(crate) async fn list(caller: Caller, page: Page) -> Result<Json<ListPage<SystemItem>>, Problem> {
    let live = caller.state.rules.live();
    let mut seen =
        live.systems.iter().filter(|(id, _)| caller.demand(Permission::SystemsRead, Some(*id)).is_ok()).peekable();
    if seen.peek().is_none() {
        caller.demand(Permission::SystemsRead, None)?;
    }
    Ok(Json(page.of(seen.map(|(id, rules)| (id.to_string(), SystemItem::from(&**rules))))))
}

/// What a new system is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemRequest {
    /// A lower-case letter, then lower-case letters, digits or `_`.
    pub(in crate::http) id: String,
    /// The data view that data access names; left out: the id.
    pub(in crate::http) name: Option<String>,
    /// `production` or `test`; left out: `production`.
    pub(in crate::http) stage: Option<String>,
    /// An IANA name; left out: `UTC`.
    pub(in crate::http) timezone: Option<String>,
}

impl SystemRequest {
    /// Its `system.toml`; what is no good in it is told as a mistake of the file.
    fn text(&self) -> String {
        let mut text = String::new();
        for (key, value) in [("name", &self.name), ("stage", &self.stage), ("timezone", &self.timezone)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", toml::Value::from(value.as_str()));
            }
        }
        text
    }
}

/// Make a system
///
/// A folder with a `system.toml`. Needs also `publish:<stage>`.
#[utoipa::path(
    post, path = "/admin/v1/systems", operation_id = "create_system", tag = "Rules",
    request_body = SystemRequest,
    responses(
        (status = 201, description = "Made and live", body = SystemItem),
        (status = 409, description = "There is a system or folder of this id, or rules are read-only here"),
        (status = 422, description = "No id, stage or time zone"),
    ),
    security(("oauth2" = ["systems:write"])),
)]
pub(crate) async fn create(
    permit: Permit<needs::SystemsWrite>,
    JsonBody(request): JsonBody<SystemRequest>,
) -> Result<Response, Problem> {
    let rules = make(&permit, &request).await?;
    Ok((StatusCode::CREATED, Json(SystemItem::from(&*rules))).into_response())
}

/// Makes a system and answers its rules, which are live.
pub(in crate::http) async fn make(
    permit: &Permit<needs::SystemsWrite>,
    request: &SystemRequest,
) -> Result<Arc<RuleSet>, Problem> {
    let id = SystemId::new(&request.id)?;
    let text = request.text();
    if let Some(stage) = stage_in(&text) {
        permit.demand(publish(stage), None)?;
    }
    let act = audited(&id, &RulePath::System, None, Some(&text));
    let (rules, system) = (Arc::clone(&permit.state.rules), id.clone());
    let made = tokio::task::spawn_blocking(move || rules.create(&system, &text)).await;
    let made = made.map_err(|error| Problem::internal(&error.to_string()))??;
    if made.is_none() {
        return Err(Problem::new(Kind::Conflict, format!("there is a system, or a folder of rules, `{id}` already")));
    }
    permit.state.accounts.note(&permit.actor, act).await;
    let live = permit.state.rules.live();
    live.systems.get(&id).cloned().ok_or_else(|| Problem::not_found(format!("the system `{id}` is gone again")))
}

/// A system's `system.toml`
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}", operation_id = "get_system", tag = "Rules",
    params(("s" = String, Path, description = "The system")),
    responses(
        (status = 200, description = "The file; its `text` is null where there is none", body = FileResponse),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["systems:read"])),
)]
pub(crate) async fn show(at: At<needs::SystemsRead>) -> Response {
    rule_files::show(&at.rules, &RulePath::System)
}

/// Write a system's `system.toml`
///
/// Needs also `publish:<stage>`, of the stage that the system has and of the one that it gets.
#[utoipa::path(
    put, path = "/admin/v1/systems/{s}", operation_id = "put_system", tag = "Rules",
    params(
        ("s" = String, Path, description = "The system"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the file must still have"),
    ),
    request_body = FileRequest,
    responses(
        (status = 200, description = "Written and live", body = FileResponse),
        (status = 201, description = "Made and live", body = FileResponse),
        (status = 404, description = "Unknown system"),
        (status = 409, description = "Rules are read-only here"),
        (status = 412, description = "The file was changed meanwhile"),
        (status = 422, description = "The rules would not load with it"),
    ),
    security(("oauth2" = ["systems:write"])),
)]
pub(crate) async fn put(
    at: At<needs::SystemsWrite>,
    headers: HeaderMap,
    JsonBody(FileRequest { text }): JsonBody<FileRequest>,
) -> Result<Response, Problem> {
    write(&at, text, &headers).await
}

/// Writes a system's `system.toml`, for who may.
pub(in crate::http) async fn write(
    at: &At<needs::SystemsWrite>,
    text: String,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if let Some(stage) = stage_in(&text) {
        at.demand_publish(stage)?;
    }
    // The file says who is in which unit group: whoever sees a part must not choose the part.
    if at.actor.principal.sight(at.system(), Permission::SystemsWrite) != Sight::All {
        let detail =
            "a system's unit groups are set here: this takes `systems:write` over every end user of the system";
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    rule_files::put(at, RulePath::System, text, headers).await
}

/// The stage that a system gets from a `system.toml`: production where the file does not say. One that can't be read
/// will not load either.
fn stage_in(text: &str) -> Option<Stage> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let Some(stage) = table.get("stage") else { return Some(Stage::Production) };
    match stage.as_str()? {
        "production" => Some(Stage::Production),
        "test" => Some(Stage::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_that_a_system_gets_is_found() {
        assert_eq!(stage_in("name = \"x\"\nstage = \"test\""), Some(Stage::Test));
        assert_eq!(stage_in("\"stage\" = 'production'"), Some(Stage::Production));
        assert_eq!(stage_in("name = \"x\""), Some(Stage::Production), "left out, it is production");
        assert_eq!(stage_in(""), Some(Stage::Production));
        assert_eq!(stage_in("stage = \"prod\""), None);
        assert_eq!(stage_in("stage = "), None);
    }
}
