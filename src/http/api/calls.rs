//! `GET …/integrations/{i}/calls`: an integration's last update calls.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::page::{ListPage, Page, PageQuery, cursor};
use super::super::problem::{Problem, ProblemPlace};
use crate::intake::calls::{CallError, CallRecord};
use crate::model::Timestamp;

/// An update call.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallItem {
    /// When it was answered.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The OAuth client that made it.
    client: String,
    /// The status that it was answered with.
    status: u16,
    /// Records in it.
    records: Option<u64>,
    /// How long it took, in microseconds.
    duration_us: u64,
    /// The `X-Request-Id` of its answer.
    request_id: String,
    /// Its first bad places; never the values that were sent.
    errors: Vec<ProblemPlace>,
    /// How many bad places it had.
    errors_total: u64,
}

impl From<CallRecord> for CallItem {
    fn from(call: CallRecord) -> Self {
        let CallRecord { at, client, status, records, duration_us, request_id, errors, errors_total } = call;
        let place = |error: CallError| ProblemPlace {
            detail: error.detail().to_owned(),
            pointer: error.pointer,
            code: error.code,
        };
        let errors = errors.into_iter().map(place).collect();
        Self { at, client, status, records, duration_us, request_id, errors, errors_total }
    }
}

/// An integration's last 1,000 update calls, newest first
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/integrations/{i}/calls", operation_id = "list_calls", tag = "Integrations",
    params(("s" = String, Path, description = "The system"), ("i" = String, Path, description = "The integration"), PageQuery),
    responses(
        (status = 200, description = "The calls, refused ones with their errors", body = ListPage<CallItem>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system or integration"),
    ),
    security(("oauth2" = ["integrations:read"])),
)]
pub(crate) async fn list(at: At<needs::IntegrationsRead>, page: Page) -> Result<Json<ListPage<CallItem>>, Problem> {
    let integration = at.integration()?;
    let found = at.state.calls.list(at.system(), &integration.id, page.limit, page.number()?);
    Ok(Json(ListPage {
        items: found.calls.into_iter().map(CallItem::from).collect(),
        next_cursor: found.next_cursor.map(|number| cursor(&number.to_string())),
    }))
}
