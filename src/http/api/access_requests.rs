//! `/accounts/access-requests` and `/admin/v1/access-requests`: people who have no account ask for one.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{Permit, Public, needs};
use super::super::body::JsonBody;
use super::super::page::{ListPage, Page};
use super::super::problem::{Kind, Problem};
use super::invitations::Systems;
use super::users::UserResponse;
use crate::accounts::{AccessRequest, LoginMethod, Offer, RequestStatus};
use crate::model::Timestamp;

/// Who asks, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessRequestRequest {
    email: String,
    name: Option<String>,
    reason: Option<String>,
}

/// Ask for an account
///
/// Open to everyone, but not for many requests from one address. The answer is the same whether there is an account of
/// this address or not.
#[utoipa::path(
    post, path = "/accounts/access-requests", operation_id = "request_access", tag = "Users",
    request_body = AccessRequestRequest,
    responses(
        (status = 202, description = "An Admin will look at it"),
        (status = 422, description = "No address, or a text that is too long"),
        (status = 429, description = "Too many requests from this address"),
    ),
)]
pub(crate) async fn ask(
    public: Public,
    JsonBody(request): JsonBody<AccessRequestRequest>,
) -> Result<StatusCode, Problem> {
    let AccessRequestRequest { email, name, reason } = request;
    take(&public, &email, &name.unwrap_or_default(), &reason.unwrap_or_default()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Takes a request, if not too many came from its address.
pub(in crate::http) async fn take(public: &Public, email: &str, name: &str, reason: &str) -> Result<(), Problem> {
    if !public.state.door().take(public.address, Instant::now()) {
        let detail = "too many requests for access came from this address: try again in some minutes";
        return Err(Problem::new(Kind::TooManyRequests, detail));
    }
    Ok(public.state.accounts.request_access(email.to_owned(), name.to_owned(), reason.to_owned()).await?)
}

/// Which requests are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessRequestsQuery {
    /// `pending`, `approved` or `denied`
    #[param(required = false, value_type = Option<String>)]
    status: Option<RequestStatus>,
    /// How many at most, 1 to 1000; 50 if left out
    #[param(minimum = 1, maximum = 1000, required = false)]
    limit: Option<usize>,
    /// The `next_cursor` of the answer before
    #[param(required = false)]
    cursor: Option<String>,
}

/// A request for access.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessRequestItem {
    id: String,
    email: String,
    name: String,
    reason: String,
    /// `pending`, `approved` or `denied`
    #[schema(value_type = String)]
    status: RequestStatus,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
    decided_by: Option<String>,
    /// The user that was made.
    username: Option<String>,
}

impl From<AccessRequest> for AccessRequestItem {
    fn from(request: AccessRequest) -> Self {
        let AccessRequest { id, email, name, reason, status, requested_at, decided_at, decided_by, username } = request;
        Self { id, email, name, reason, status, requested_at, decided_at, decided_by, username }
    }
}

/// List requests for access, the newest first
#[utoipa::path(
    get, path = "/admin/v1/access-requests", operation_id = "list_access_requests", tag = "Users",
    params(AccessRequestsQuery),
    responses(
        (status = 200, description = "The requests", body = ListPage<AccessRequestItem>),
        (status = 400, description = "No such status, limit or cursor"),
    ),
    security(("oauth2" = ["access_requests:manage"])),
)]
pub(crate) async fn list(
    permit: Permit<needs::AccessRequestsManage>,
    query: Result<Query<AccessRequestsQuery>, QueryRejection>,
) -> Result<Json<ListPage<AccessRequestItem>>, Problem> {
    let Query(AccessRequestsQuery { status, limit, cursor }) = query?;
    let page = Page::new(limit, cursor)?;
    let accounts = Arc::clone(&permit.state.accounts);
    let read = tokio::task::spawn_blocking(move || accounts.access_requests()).await;
    let requests = read.map_err(|error| Problem::internal(&error.to_string()))??;
    let wanted = requests.into_iter().filter(|request| status.is_none_or(|status| request.status == status));
    // A later one sorts first.
    let key = |request: &AccessRequest| format!("{:016x}{}", !request.requested_at.as_millis(), request.id);
    let mut items: Vec<_> = wanted.map(|request| (key(&request), AccessRequestItem::from(request))).collect();
    items.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Json(page.of(items.into_iter())))
}

/// What whoever asked for access gets.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalRequest {
    /// The role.
    role: Option<String>,
    systems: Option<Systems>,
    /// `password` or `sso`
    #[schema(value_type = Option<String>)]
    login_method: Option<LoginMethod>,
    /// By what the identity provider knows them.
    sso_id: Option<String>,
}

/// Give access to whoever asked for it
#[utoipa::path(
    post, path = "/admin/v1/access-requests/{id}/approve", operation_id = "approve_access", tag = "Users",
    params(("id" = String, Path, description = "The request")),
    request_body = ApprovalRequest,
    responses(
        (status = 200, description = "The new user, who gets an activation mail", body = UserResponse),
        (status = 403, description = "`access_requests:manage` is lacking, or the caller would grant what it does not have"),
        (status = 404, description = "Unknown request"),
        (status = 409, description = "Decided before, or there is a user of this address by now"),
        (status = 422, description = "An unknown role or system"),
    ),
    security(("oauth2" = ["access_requests:manage"])),
)]
pub(crate) async fn approve(
    permit: Permit<needs::AccessRequestsManage>,
    id: Result<Path<String>, PathRejection>,
    JsonBody(request): JsonBody<ApprovalRequest>,
) -> Result<Json<UserResponse>, Problem> {
    let Path(id) = id?;
    let ApprovalRequest { role, systems, login_method, sso_id } = request;
    let offer = Offer { role, systems: systems.map(Systems::into_list), login_method, sso_id };
    let live = permit.state.rules.live();
    let user = permit.state.accounts.approve_access(permit.actor, id, offer, live.clone()).await?;
    Ok(Json(UserResponse::new(&user, &live)))
}

/// Deny access
#[utoipa::path(
    post, path = "/admin/v1/access-requests/{id}/deny", operation_id = "deny_access", tag = "Users",
    params(("id" = String, Path, description = "The request")),
    responses(
        (status = 204, description = "Denied; nobody is told"),
        (status = 404, description = "Unknown request"),
        (status = 409, description = "Decided before"),
    ),
    security(("oauth2" = ["access_requests:manage"])),
)]
pub(crate) async fn deny(
    permit: Permit<needs::AccessRequestsManage>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    permit.state.accounts.deny_access(permit.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
