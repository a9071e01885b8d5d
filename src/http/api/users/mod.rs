//! `/admin/v1/users`: operators' accounts.

mod export;
mod list;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{Demand, Permit, needs};
use super::super::body::JsonBody;
use super::super::problem::{Kind, Problem};
use crate::accounts::{BulkOutcome, Fault, UserAction, UserError, UserRecord};
use list::{UsersFilter, UsersQuery};
pub(crate) use wire::UserResponse;
use wire::{DataAccessRequest, UserRequest};

/// Whether whoever is made gets the activation mail; they do unless it says `false`.
const SEND_MAIL: HeaderName = HeaderName::from_static("x-medallia-send-new-user-email");
/// Most users of one bulk action.
const MAX_BULK: usize = 1000;

/// A page of users.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsersResponse {
    items: Vec<UserResponse>,
    /// Absent at the end.
    #[serde(rename = "_next", skip_serializing_if = "Option::is_none")]
    next: Option<NextPage>,
}

/// Where the list goes on.
#[derive(Serialize, ToSchema)]
struct NextPage {
    /// The address of the next page.
    href: String,
}

/// List users
#[utoipa::path(
    get, path = "/admin/v1/users", operation_id = "list_users", tag = "Users",
    params(UsersQuery),
    responses(
        (status = 200, description = "The users that pass every filter, by username", body = UsersResponse),
        (status = 400, description = "No such filter, limit or cursor"),
    ),
    security(("oauth2" = ["users:read"])),
)]
pub(crate) async fn list(permit: Permit<needs::UsersRead>, filter: UsersFilter) -> Json<UsersResponse> {
    let live = permit.state.rules.live();
    let users = permit.state.accounts.users();
    let passing = users.iter().filter(|user| filter.passes(user, &live));
    let page = filter.page.of(passing.map(|user| (user.username.clone(), UserResponse::new(user, &live))));
    let url = &permit.state.config.server.public_url;
    let next =
        page.next_cursor.map(|cursor| NextPage { href: format!("{url}/admin/v1/users?{}", filter.next(&cursor)) });
    Json(UsersResponse { items: page.items, next })
}

/// One user
#[utoipa::path(
    get, path = "/admin/v1/users/{username}", operation_id = "get_user", tag = "Users",
    params(("username" = String, Path, description = "The username")),
    responses(
        (status = 200, description = "The user", body = UserResponse),
        (status = 404, description = "Unknown user"),
    ),
    security(("oauth2" = ["users:read"])),
)]
pub(crate) async fn show(
    permit: Permit<needs::UsersRead>,
    username: Result<Path<String>, PathRejection>,
) -> Result<Json<UserResponse>, Problem> {
    let Path(username) = username?;
    let user = permit.state.accounts.user(&username).ok_or(UserError::Unknown(username))?;
    Ok(answer(&permit, &user))
}

/// Create a user
///
/// The user is PROVISIONED and gets an activation mail.
#[utoipa::path(
    post, path = "/admin/v1/users", operation_id = "create_user", tag = "Users",
    params(("X-Medallia-Send-New-User-Email" = Option<bool>, Header, description = "`false`: no activation mail")),
    request_body = UserRequest,
    responses(
        (status = 200, description = "The user", body = UserResponse),
        (status = 403, description = "`users:write` is lacking, or the caller would grant what it does not have"),
        (status = 409, description = "Another user has this username, address or `sso_id`"),
        (status = 422, description = "A bad username or address; an unknown role, data view or unit group"),
    ),
    security(("oauth2" = ["users:write"])),
)]
pub(crate) async fn create(
    permit: Permit<needs::UsersWrite>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<UserRequest>,
) -> Result<Json<UserResponse>, Problem> {
    let (mail, live) = (wants_mail(&headers)?, permit.state.rules.live());
    let user = permit.state.accounts.create_user(permit.actor.clone(), request.into(), mail, live).await?;
    Ok(answer(&permit, &user))
}

/// Replace a user, or create one
///
/// What is left out gets its default, but for `login_method` and `sso_id`, which stay as they are. `_system_properties`,
/// `systems` and display names are ignored.
#[utoipa::path(
    put, path = "/admin/v1/users/{username}", operation_id = "put_user", tag = "Users",
    params(
        ("username" = String, Path, description = "The username"),
        ("X-Medallia-Send-New-User-Email" = Option<bool>, Header, description = "`false`: no activation mail"),
    ),
    request_body = UserRequest,
    responses(
        (status = 200, description = "The user", body = UserResponse),
        (status = 403, description = "`users:write` is lacking, or the caller would grant what it does not have"),
        (status = 409, description = "Another user has this address or `sso_id`, or the last Admin would be demoted"),
        (status = 422, description = "Another username, a bad address; an unknown role, data view or unit group"),
    ),
    security(("oauth2" = ["users:write"])),
)]
pub(crate) async fn put(
    permit: Permit<needs::UsersWrite>,
    username: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    JsonBody(request): JsonBody<UserRequest>,
) -> Result<Json<UserResponse>, Problem> {
    let Path(username) = username?;
    let (mail, live) = (wants_mail(&headers)?, permit.state.rules.live());
    let user = permit.state.accounts.put_user(permit.actor.clone(), username, request.into(), mail, live).await?;
    Ok(answer(&permit, &user))
}

/// Delete a user
#[utoipa::path(
    delete, path = "/admin/v1/users/{username}", operation_id = "delete_user", tag = "Users",
    params(("username" = String, Path, description = "The username")),
    responses(
        (status = 204, description = "Gone, with every session"),
        (status = 404, description = "Unknown user"),
        (status = 409, description = "The last Admin who can log in"),
    ),
    security(("oauth2" = ["users:write"])),
)]
pub(crate) async fn delete(
    permit: Permit<needs::UsersWrite>,
    username: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(username) = username?;
    permit.state.accounts.delete_user(permit.actor, username).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replace a user's data access
#[utoipa::path(
    put, path = "/admin/v1/users/{username}/data-access", operation_id = "put_data_access", tag = "Users",
    params(("username" = String, Path, description = "The username")),
    request_body = DataAccessRequest,
    responses(
        (status = 200, description = "The whole user", body = UserResponse),
        (status = 403, description = "`users:write` is lacking, or the caller would grant what it does not have"),
        (status = 404, description = "Unknown user"),
        (status = 422, description = "A role that the user does not hold; an unknown data view or unit group"),
    ),
    security(("oauth2" = ["users:write"])),
)]
pub(crate) async fn put_data_access(
    permit: Permit<needs::UsersWrite>,
    username: Result<Path<String>, PathRejection>,
    JsonBody(request): JsonBody<DataAccessRequest>,
) -> Result<Json<UserResponse>, Problem> {
    let Path(username) = username?;
    let (entries, segments) = request.into_draft();
    if segments > 0 {
        let detail = "data access by segment is not possible: send `[]`, and give access by unit groups";
        let fault = Fault { pointer: "/segments".to_owned(), code: "not_empty", detail: detail.to_owned() };
        return Err(Problem::refused(vec![fault]));
    }
    let live = permit.state.rules.live();
    let user = permit.state.accounts.put_data_access(permit.actor.clone(), username, entries, live).await?;
    Ok(answer(&permit, &user))
}

/// Do something with a user: `active` (or `activate`), `inactive`, `reset-password`, `resend-activation`,
/// `reset-totp`
///
/// `active` lets an INACTIVE user in again, as what it was before. `inactive` ends its sessions at once. `reset-password`
/// and `resend-activation` send a mail. `reset-totp` takes the second factor off and ends its sessions, for an owner who has
/// lost it; it takes all that the user may.
#[utoipa::path(
    post, path = "/admin/v1/users/{username}/actions/{action}", operation_id = "act_on_user", tag = "Users",
    params(
        ("username" = String, Path, description = "The username"),
        ("action" = String, Path, description = "`active`, `activate`, `inactive`, `reset-password`, `resend-activation` or `reset-totp`"),
    ),
    responses(
        (status = 204, description = "Done, or it was so before"),
        (status = 404, description = "Unknown user or action"),
        (status = 409, description = "The user's status forbids it, or it is the last Admin"),
    ),
    security(("oauth2" = ["users:write"])),
)]
pub(crate) async fn act(
    permit: Permit<needs::UsersWrite>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path((username, action)) = path?;
    let accounts = &permit.state.accounts;
    let action = match action.as_str() {
        "reset-totp" => {
            accounts.reset_second_factor(permit.actor, username, permit.state.rules.live()).await?;
            return Ok(StatusCode::NO_CONTENT);
        }
        "reset-password" => UserAction::ResetPassword,
        "resend-activation" => UserAction::ResendActivation,
        other => bulk_action(other)?,
    };
    accounts.act_on_user(permit.actor, username, action).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is meant by a bulk action.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkRequest {
    /// 1 to 1,000 usernames.
    usernames: Vec<String>,
}

/// What came of a bulk action.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkResponse {
    /// Each user once.
    items: Vec<BulkItem>,
}

/// What came of it for one user.
#[derive(Serialize, ToSchema)]
struct BulkItem {
    username: String,
    /// `changed`, `unchanged` (it was so before), `unknown` or `conflict`.
    result: &'static str,
    /// Why, of a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Enable or disable several users
///
/// What can't be done for one is told and does not keep the others from it.
#[utoipa::path(
    post, path = "/admin/v1/users/actions/{action}", operation_id = "act_on_users", tag = "Users",
    params(("action" = String, Path, description = "`active` (or `activate`), or `inactive`")),
    request_body = BulkRequest,
    responses(
        (status = 200, description = "What came of it for each user", body = BulkResponse),
        (status = 404, description = "Unknown action"),
        (status = 422, description = "No users, or over 1,000"),
    ),
    security(("oauth2" = ["users:write"])),
)]
pub(crate) async fn act_on_many(
    permit: Permit<needs::UsersWrite>,
    action: Result<Path<String>, PathRejection>,
    JsonBody(BulkRequest { usernames }): JsonBody<BulkRequest>,
) -> Result<Json<BulkResponse>, Problem> {
    let action = bulk_action(&action?.0)?;
    if !(1..=MAX_BULK).contains(&usernames.len()) {
        let detail = format!("1 to {MAX_BULK} usernames are taken at once");
        return Err(Problem::refused(vec![Fault { pointer: "/usernames".to_owned(), code: "count", detail }]));
    }
    let outcomes = permit.state.accounts.act_on_users(permit.actor, usernames, action).await?;
    let item = |(username, outcome)| {
        let (result, detail) = match outcome {
            BulkOutcome::Changed => ("changed", None),
            BulkOutcome::Unchanged => ("unchanged", None),
            BulkOutcome::Refused(UserError::Unknown(_)) => ("unknown", None),
            BulkOutcome::Refused(error) => ("conflict", Some(error.to_string())),
        };
        BulkItem { username, result, detail }
    };
    Ok(Json(BulkResponse { items: outcomes.into_iter().map(item).collect() }))
}

/// The users as a CSV file
///
/// Safe to open in a spreadsheet: no cell is taken for a formula. Takes the filters of the list.
#[utoipa::path(
    get, path = "/admin/v1/users/export", operation_id = "export_users", tag = "Users",
    params(UsersQuery),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/csv"),
        (status = 400, description = "No such filter"),
    ),
    security(("oauth2" = ["users:read"])),
)]
pub(crate) async fn export(permit: Permit<needs::UsersRead>, filter: UsersFilter) -> Response {
    export_file(&permit, &filter)
}

/// The users as a CSV file (as `users/export`)
#[utoipa::path(
    get, path = "/admin/v1/users-bulk-download", operation_id = "bulk_download_users", tag = "Users",
    params(UsersQuery),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/csv"),
        (status = 400, description = "No such filter"),
    ),
    security(("oauth2" = ["users:read"])),
)]
pub(crate) async fn bulk_download(permit: Permit<needs::UsersRead>, filter: UsersFilter) -> Response {
    export_file(&permit, &filter)
}

fn export_file(permit: &Permit<needs::UsersRead>, filter: &UsersFilter) -> Response {
    let live = permit.state.rules.live();
    let users = permit.state.accounts.users();
    let text = export::csv(users.iter().map(AsRef::as_ref).filter(|user| filter.passes(user, &live)));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"users.csv\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

fn answer<P: Demand>(permit: &Permit<P>, user: &Arc<UserRecord>) -> Json<UserResponse> {
    Json(UserResponse::new(user, &permit.state.rules.live()))
}

fn bulk_action(text: &str) -> Result<UserAction, Problem> {
    match text {
        "active" | "activate" => Ok(UserAction::Enable),
        "inactive" => Ok(UserAction::Disable),
        _ => Err(Problem::not_found(format!("there is no action `{text}` here"))),
    }
}

fn wants_mail(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(SEND_MAIL) else { return Ok(true) };
    match value.to_str().map(str::to_ascii_lowercase).as_deref() {
        Ok("true") => Ok(true),
        Ok("false") => Ok(false),
        _ => Err(Problem::new(Kind::Malformed, "`X-Medallia-Send-New-User-Email` must be `true` or `false`")),
    }
}
