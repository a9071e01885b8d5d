//! `/admin/v1/audit`: who did what, when, from where.

use std::sync::Arc;

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{Permit, needs};
use super::super::page::{ListPage, Page, bad_cursor, cursor};
use super::super::problem::{Kind, Problem};
use crate::accounts::{ActorKind, AuditEntry, AuditFilter};
use crate::model::Timestamp;

/// Filters; an entry must pass all that are sent.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    /// The actor's name
    #[param(required = false)]
    actor: Option<String>,
    /// An action, such as `user.disable`, or all of a kind, such as `user`
    #[param(required = false)]
    action: Option<String>,
    /// An object, such as `users/ann`, or all below a path, such as `systems/shop`
    #[param(required = false)]
    object: Option<String>,
    /// Entries of this time (RFC 3339) and later ones
    #[param(required = false)]
    from: Option<String>,
    /// Entries before this time (RFC 3339)
    #[param(required = false)]
    to: Option<String>,
    /// How many at most, 1 to 1000; 50 if left out
    #[param(minimum = 1, maximum = 1000, required = false)]
    limit: Option<usize>,
    /// The `next_cursor` of the answer before
    #[param(required = false)]
    cursor: Option<String>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditItem {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `user`, `client`, `command` (on the server's machine) or `anonymous`
    #[schema(value_type = String)]
    actor_kind: ActorKind,
    /// The actor's name.
    actor: String,
    /// The address that the actor called from.
    address: Option<String>,
    /// What was done: `user.disable`.
    action: String,
    /// With what: `users/ann`.
    object: String,
    /// How it was; null where that says nothing.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// How it is since; null where that says nothing.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<(String, AuditEntry)> for AuditItem {
    fn from((id, entry): (String, AuditEntry)) -> Self {
        let AuditEntry { at, actor_kind, actor, address, action, object, before, after } = entry;
        Self { id, at, actor_kind, actor, address, action, object, before, after }
    }
}

/// Who did what, newest first
///
/// With a filter that few entries pass, a page may hold fewer than `limit`, or none, and the list still go on:
/// `next_cursor` is null at its end alone.
#[utoipa::path(
    get, path = "/admin/v1/audit", operation_id = "list_audit", tag = "Audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "The entries", body = ListPage<AuditItem>),
        (status = 400, description = "No such filter, time, limit or cursor"),
    ),
    security(("oauth2" = ["audit:read"])),
)]
pub(crate) async fn list(
    permit: Permit<needs::AuditRead>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<ListPage<AuditItem>>, Problem> {
    let Query(query) = query?;
    let page = Page::new(query.limit, query.cursor)?;
    let filter = AuditFilter {
        actor: query.actor.unwrap_or_default(),
        action: query.action.unwrap_or_default(),
        object: query.object.unwrap_or_default(),
        from: time("from", query.from)?,
        to: time("to", query.to)?,
    };
    let accounts = Arc::clone(&permit.state.accounts);
    let read = move || accounts.audit_page(&filter, page.after(), page.limit);
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error.to_string()))?;
    let found = read?.ok_or_else(bad_cursor)?;
    let items = found.entries.into_iter().map(AuditItem::from).collect();
    Ok(Json(ListPage { items, next_cursor: found.next.map(|key| cursor(&key)) }))
}

fn time(name: &str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = serde_json::from_value(Value::String(text));
    parsed.map(Some).map_err(|_| {
        Problem::new(
            Kind::Malformed,
            format!("`{name}` must be a time as RFC 3339 has it, such as `2026-05-01T00:00:00Z`"),
        )
    })
}
