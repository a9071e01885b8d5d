//! `/public/v1/systems/{s}/filters…`: saved filters.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body::JsonBody;
use super::super::page::{ListPage, Page, PageQuery};
use super::super::problem::{Problem, ProblemPlace};
use super::super::turns::aside;
use super::asking::{read_where, refused};
use crate::accounts::Principal;
use crate::filters::{Filter, FilterContent};
use crate::model::{FilterId, Permission, Timestamp};
use crate::predicate::parse_where;
use crate::ruleset::RuleSet;

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// What is saved. What else an answer has may be sent back, and is not looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterRequest {
    name: Option<String>,
    #[serde(rename = "where")]
    condition: Box<RawValue>,
    #[serde(default)]
    shared: bool,
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[serde(default, rename = "owner")]
    _owner: IgnoredAny,
    #[serde(default, rename = "updated_at")]
    _updated_at: IgnoredAny,
    #[serde(default, rename = "errors")]
    _errors: IgnoredAny,
}

/// What is saved.
#[derive(ToSchema)]
#[schema(as = FilterRequest)]
#[expect(dead_code, reason = "describes the body for the API's document")]
pub(crate) struct FilterDocument {
    /// Its name; left out: its id.
    name: Option<String>,
    /// What it asks.
    #[schema(rename = "where", value_type = Object)]
    condition: serde_json::Value,
    /// Whether others see it; left out: no.
    shared: Option<bool>,
}

/// A saved filter.
#[derive(Serialize, ToSchema)]
#[schema(as = Filter)]
pub(crate) struct FilterResponse {
    /// Its id.
    #[schema(value_type = String)]
    id: FilterId,
    /// Its name.
    name: String,
    /// What it asks, as it was sent.
    #[serde(rename = "where")]
    #[schema(value_type = Object)]
    condition: Box<RawValue>,
    /// Whose it is: the operator's username or the client's id.
    owner: String,
    /// Whether others see it.
    shared: bool,
    /// When it was saved last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// What is wrong with it by the rules of today: an attribute or a segment may have gone since it was saved.
    errors: Vec<ProblemPlace>,
}

impl FilterResponse {
    fn new(filter: &Filter, rules: &RuleSet) -> Self {
        let FilterContent { name, condition, shared } = filter.content.clone();
        let errors = match serde_json::from_str(&condition).map(|json| parse_where(&json, "/where", rules)) {
            Ok(Err(errors)) => errors.into_iter().map(ProblemPlace::from).collect(),
            _ => Vec::new(),
        };
        // What was kept was JSON when it was saved.
        let condition = RawValue::from_string(condition).unwrap_or_else(|_| RawValue::NULL.to_owned());
        let (owner, updated_at) = (Principal::name_of(&filter.owner).to_owned(), filter.updated_at);
        Self { id: filter.id.clone(), name, condition, owner, shared, updated_at, errors }
    }
}

/// Saved filters
///
/// The caller's own and those that are shared.
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/filters", operation_id = "list_filters", tag = "Filters",
    params(("s" = String, Path, description = "The system"), PageQuery),
    responses(
        (status = 200, description = "The filters, by id", body = ListPage<FilterResponse>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn list(at: At<needs::SegmentsRead>, page: Page) -> Json<ListPage<FilterResponse>> {
    let filters = at.state.filters.list(at.system(), &at.who());
    Json(page.of(filters.iter().map(|filter| (filter.id.to_string(), FilterResponse::new(filter, &at.rules)))))
}

/// A saved filter
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/filters/{id}", operation_id = "get_filter", tag = "Filters",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The filter")),
    responses(
        (status = 200, description = "The filter", body = FilterResponse),
        (status = 404, description = "Unknown system, or no such filter that the caller sees"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn show(at: At<needs::SegmentsRead>) -> Result<Json<FilterResponse>, Problem> {
    let unknown = || Problem::not_found(format!("there is no filter `{}`", at.param("id")));
    let id = FilterId::new(at.param("id")).map_err(|_| unknown())?;
    let filter = at.state.filters.get(at.system(), &id, &at.who()).ok_or_else(unknown)?;
    Ok(Json(FilterResponse::new(&filter, &at.rules)))
}

/// Save a filter
///
/// It is whoever's saved it first, who alone can change it.
#[utoipa::path(
    put, path = "/public/v1/systems/{s}/filters/{id}", operation_id = "put_filter", tag = "Filters",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The filter")),
    request_body = FilterDocument,
    responses(
        (status = 200, description = "Saved", body = FilterResponse),
        (status = 201, description = "Saved for the first time", body = FilterResponse),
        (status = 400, description = "Not JSON of that shape"),
        (status = 403, description = "A permission is lacking, or the filter is somebody else's"),
        (status = 404, description = "Unknown system"),
        (status = 409, description = "The id is taken, or the system has too many filters"),
        (status = 422, description = "The filter has mistakes, or the id is none"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn put(
    at: At<needs::SegmentsRead>,
    JsonBody(request): JsonBody<FilterRequest>,
) -> Result<Response, Problem> {
    let id = FilterId::new(at.param("id"))?;
    let condition = request.condition.get().to_owned();
    let (filter, created) = save(&at, id, request.name, condition, request.shared).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(FilterResponse::new(&filter, &at.rules))).into_response())
}

/// Saves a filter, whose condition is JSON; with whether it is new.
pub(crate) async fn save<P>(
    at: &At<P>,
    id: FilterId,
    name: Option<String>,
    condition: String,
    shared: bool,
) -> Result<(Arc<Filter>, bool), Problem> {
    let json = serde_json::from_str(&condition).unwrap_or_default();
    read_where(&json, "/where", &at.rules)?;
    let content = FilterContent { name: name_of(name, &id)?, condition, shared };
    let (filters, system, who) = (at.state.filters.clone(), at.system().clone(), at.who());
    aside(move || Ok(filters.save(&system, &id, content, &who)?)).await
}

/// A filter's name as it is kept.
fn name_of(name: Option<String>, id: &FilterId) -> Result<String, Problem> {
    let Some(name) = name else { return Ok(id.to_string()) };
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let detail = format!("a filter's name has 1 to {MAX_NAME} printable characters");
        return Err(refused("/name", "name", detail));
    }
    Ok(name.to_owned())
}

/// Delete a saved filter
///
/// Its owner may, and who has `systems:write`.
#[utoipa::path(
    delete, path = "/public/v1/systems/{s}/filters/{id}", operation_id = "delete_filter", tag = "Filters",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The filter")),
    responses(
        (status = 204, description = "Gone"),
        (status = 403, description = "A permission is lacking, or the filter is somebody else's"),
        (status = 404, description = "Unknown system, or no such filter that the caller sees"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn delete(at: At<needs::SegmentsRead>) -> Result<StatusCode, Problem> {
    remove(&at, at.param("id")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a filter.
pub(crate) async fn remove<P>(at: &At<P>, id: &str) -> Result<(), Problem> {
    let id = FilterId::new(id).map_err(|_| Problem::not_found(format!("there is no filter `{id}`")))?;
    let tidies = at.demand(Permission::SystemsWrite).is_ok();
    let (filters, system, who) = (at.state.filters.clone(), at.system().clone(), at.who());
    aside(move || Ok(filters.delete(&system, &id, &who, tidies)?)).await
}
