//! `POST /public/v1/systems/{s}/end-users/query`: who fulfils a condition.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body::JsonBody;
use super::super::page::{self, Page};
use super::super::problem::Problem;
use super::super::turns::aside;
use super::asking::{Asked, SCRIPT_TIME};
use super::selection::{EndUserItem, Selection};

/// What a query asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryRequest {
    /// A filter: who fulfils it. Left out, as `rule` is: everybody.
    #[serde(rename = "where")]
    #[schema(value_type = Option<Object>, example = json!({"attribute": "crm.Seats", "operator": "at_least", "value": 50}))]
    condition: Option<serde_json::Value>,
    /// A rule, written as that of a segment: who would be in it. Not beside `where`.
    #[schema(example = "crm.Seats > 50")]
    rule: Option<String>,
    /// The attributes to show, such as `crm.Seats`; left out: all.
    select: Option<Vec<String>>,
    /// How many end users to give at most, 1 to 1000; 50 if left out.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next_cursor` of the answer before; left out: from the start.
    cursor: Option<String>,
    /// Give `total` alone.
    #[serde(default)]
    count_only: bool,
}

/// Who was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct QueryResponse {
    /// How many end users were found in all.
    total: u64,
    /// Some of them; none where only the count was asked for.
    items: Vec<EndUserItem>,
    /// What to send as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
    /// For how many end users the rule failed: they are not found.
    #[serde(skip_serializing_if = "is_zero")]
    errors: u64,
    /// Why the rule failed, for one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Find end users
///
/// By a filter or a rule, or everybody. The cursor never skips or repeats an end user who is there all the while.
#[utoipa::path(
    post, path = "/public/v1/systems/{s}/end-users/query", operation_id = "query_end_users", tag = "End users",
    params(("s" = String, Path, description = "The system")),
    request_body = QueryRequest,
    responses(
        (status = 200, description = "Who was found", body = QueryResponse),
        (status = 400, description = "Not JSON of that shape; no such limit or cursor"),
        (status = 404, description = "Unknown system"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The question has mistakes, or its script takes too long"),
    ),
    security(("oauth2" = ["end_users:read"])),
)]
pub(crate) async fn query(
    at: At<needs::EndUsersRead>,
    JsonBody(request): JsonBody<QueryRequest>,
) -> Result<Json<QueryResponse>, Problem> {
    let page = Page::new(request.limit, request.cursor)?;
    let after = page.row(&at.state.accounts, at.system())?;
    let reader = at.reader()?;
    let selection = Selection::read(request.select.as_deref(), reader.rules())?;
    let (asked, reader) = Asked::read(&at, request.condition, request.rule, reader).await?;
    let turn = asked.turn(&at.state).await?;
    aside(move || {
        let _turn = turn;
        let found = reader.find(&asked.question(&reader), SCRIPT_TIME)?;
        let mut answer = QueryResponse {
            total: found.total(),
            items: Vec::new(),
            next_cursor: None,
            errors: found.failures().count,
            last_error: found.failures().last.clone(),
        };
        if !request.count_only {
            let found = found.page(after, page.limit);
            answer.items = found.rows.iter().map(|row| selection.item(&reader.at(*row))).collect();
            let next = found.next.map(|row| page::cursor_after(row, &at.state.accounts, at.system()));
            answer.next_cursor = next.transpose()?;
        }
        Ok(Json(answer))
    })
    .await
}
