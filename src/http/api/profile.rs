//! `/accounts/me…`: what operators see and change of their own account.

use std::fmt;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Own;
use super::super::body::JsonBody;
use super::super::problem::Problem;
use super::sign_in::session_headers;
use crate::accounts::{LoginMethod, Proof, SecondFactor, Secret, Session, UserStatus};
use crate::model::Timestamp;

/// One's own account.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeResponse {
    /// Username.
    username: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// E-mail address.
    email: String,
    /// Where the account stands.
    #[schema(value_type = String)]
    status: UserStatus,
    /// `password` or `sso`.
    #[schema(value_type = String)]
    login_method: LoginMethod,
    /// The main role.
    primary_role: String,
    /// Further roles.
    extra_roles: Vec<String>,
    /// Every permission that one has anywhere.
    permissions: Vec<&'static str>,
    /// The second factor.
    second_factor: SecondFactorResponse,
    /// How often one has logged in.
    login_count: u64,
    /// How many log-ins have failed.
    failed_login_count: u64,
    /// When one last logged in.
    #[schema(value_type = Option<String>)]
    last_login: Option<Timestamp>,
}

/// How the second factor stands.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondFactorState)]
pub(crate) struct SecondFactorResponse {
    /// Whether log-in asks for it.
    active: bool,
    /// Whether every account must have one; until then only one's own profile answers.
    required: bool,
}

/// Your own account
#[utoipa::path(
    get, path = "/accounts/me", operation_id = "show_me", tag = "Profile",
    responses((status = 200, description = "The account", body = MeResponse)),
    security(("session" = [])),
)]
pub(crate) async fn show(own: Own) -> Json<MeResponse> {
    let user = &own.signed_in.user;
    Json(MeResponse {
        username: user.username.clone(),
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        email: user.email.clone(),
        status: user.status,
        login_method: user.login_method,
        primary_role: user.roles.primary_role.clone(),
        extra_roles: user.roles.extra_roles.clone(),
        permissions: own.signed_in.principal.permissions().iter().map(|permission| permission.as_str()).collect(),
        second_factor: SecondFactorResponse {
            active: user.totp.as_ref().is_some_and(SecondFactor::is_active),
            required: own.state.accounts.requires_second_factor() && user.login_method == LoginMethod::Password,
        },
        login_count: user.login_count,
        failed_login_count: user.failed_login_count,
        last_login: user.last_login,
    })
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange)]
pub(crate) struct PasswordRequest {
    /// The password until now.
    current_password: String,
    /// The new one: 10 characters or more, one of them a special one.
    password: String,
    /// The authenticator app's code, where the account has a second factor.
    totp: Option<String>,
}

impl fmt::Debug for PasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordRequest").finish_non_exhaustive()
    }
}

/// Change your password
///
/// Every other session ends; this one goes on under the new cookie.
#[utoipa::path(
    post, path = "/accounts/me/password", operation_id = "change_password", tag = "Profile",
    request_body = PasswordRequest,
    responses(
        (status = 204, description = "Changed: the new cookie is in `Set-Cookie`"),
        (status = 400, description = "Not that shape"),
        (status = 409, description = "You log in by SSO and have no password here"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The current password or the code is wrong, or the new password is not taken"),
        (status = 429, description = "Too many failures: see Retry-After"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn change_password(own: Own, body: JsonBody<PasswordRequest>) -> Result<Response, Problem> {
    let PasswordRequest { current_password, password, totp } = body.0;
    let proof = Proof { password: Secret::new(current_password), code: totp };
    let accounts = &own.state.accounts;
    let new = accounts.change_password(&own.signed_in, proof, Secret::new(password), own.visitor).await?;
    Ok((StatusCode::NO_CONTENT, session_headers(&own.state, &new)).into_response())
}

/// One of one's own sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionResponse {
    /// How it is named; it opens nothing.
    id: String,
    /// When it began.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it was last used.
    #[schema(value_type = String)]
    last_used_at: Timestamp,
    /// The address from which it began.
    address: String,
    /// The browser in which it began, as that calls itself.
    agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// One's own sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = Sessions)]
pub(crate) struct SessionsResponse {
    items: Vec<SessionResponse>,
    /// Always null: they are few.
    next_cursor: Option<String>,
}

/// Your sessions
#[utoipa::path(
    get, path = "/accounts/me/sessions", operation_id = "list_own_sessions", tag = "Profile",
    responses((status = 200, description = "The sessions, the newest first", body = SessionsResponse)),
    security(("session" = [])),
)]
pub(crate) async fn sessions(own: Own) -> Json<SessionsResponse> {
    let current = own.signed_in.session.name();
    let describe = |session: &Session| SessionResponse {
        id: session.name(),
        created_at: session.begun(),
        last_used_at: session.used(),
        address: session.address().to_string(),
        agent: session.agent().to_owned(),
        current: session.name() == current,
    };
    let sessions = own.state.accounts.own_sessions(&own.signed_in);
    Json(SessionsResponse { items: sessions.iter().map(|session| describe(session)).collect(), next_cursor: None })
}

/// End all your sessions but this one
#[utoipa::path(
    delete, path = "/accounts/me/sessions", operation_id = "end_other_sessions", tag = "Profile",
    responses((status = 204, description = "Ended")),
    security(("session" = [])),
)]
pub(crate) async fn end_other_sessions(own: Own) -> Result<StatusCode, Problem> {
    own.state.accounts.end_other_sessions(&own.signed_in, own.visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End one of your sessions
#[utoipa::path(
    delete, path = "/accounts/me/sessions/{id}", operation_id = "end_own_session", tag = "Profile",
    params(("id" = String, Path, description = "The session's id, as the list has it")),
    responses((status = 204, description = "Ended"), (status = 404, description = "You have no such session")),
    security(("session" = [])),
)]
pub(crate) async fn end_session(own: Own, id: Result<Path<String>, PathRejection>) -> Result<StatusCode, Problem> {
    let Path(id) = id?;
    own.state.accounts.end_own_session(&own.signed_in, &id, own.visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is shown again before the second factor is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Proof)]
pub(crate) struct ProofRequest {
    /// Your password.
    current_password: String,
    /// The code of the second factor that you have, if you have one.
    totp: Option<String>,
}

impl fmt::Debug for ProofRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofRequest").finish_non_exhaustive()
    }
}

impl From<ProofRequest> for Proof {
    fn from(request: ProofRequest) -> Self {
        Self { password: Secret::new(request.current_password), code: request.totp }
    }
}

/// A second factor to be put into an authenticator app.
#[derive(Serialize, ToSchema)]
#[schema(as = Enrolment)]
pub(crate) struct EnrolmentResponse {
    /// The key in base 32, to be typed.
    secret: String,
    /// The same as `otpauth://` URI, to be shown as a QR code.
    uri: String,
}

/// Set up a second factor
///
/// It counts from when it is confirmed with a code; until then the one before holds, if there is one.
#[utoipa::path(
    post, path = "/accounts/me/totp", operation_id = "enrol_second_factor", tag = "Profile",
    request_body = ProofRequest,
    responses(
        (status = 200, description = "Put it into an authenticator app, then confirm it", body = EnrolmentResponse),
        (status = 400, description = "Not that shape"),
        (status = 409, description = "You log in by SSO: the second factor is the provider's"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The password or the code is wrong"),
        (status = 429, description = "Too many failures: see Retry-After"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn enrol(own: Own, body: JsonBody<ProofRequest>) -> Result<Response, Problem> {
    let enrolment = own.state.accounts.enrol_second_factor(&own.signed_in, body.0.into(), own.visitor).await?;
    let answer =
        EnrolmentResponse { secret: enrolment.key.reveal().to_owned(), uri: enrolment.uri.reveal().to_owned() };
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer)).into_response())
}

/// A code of the second factor that was set up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Confirmation)]
pub(crate) struct ConfirmRequest {
    /// The authenticator app's code.
    totp: String,
}

/// Confirm the second factor
///
/// From now on log-in asks for it.
#[utoipa::path(
    post, path = "/accounts/me/totp/confirm", operation_id = "confirm_second_factor", tag = "Profile",
    request_body = ConfirmRequest,
    responses(
        (status = 204, description = "It is on"),
        (status = 400, description = "Not that shape"),
        (status = 409, description = "None was set up"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The code is wrong"),
        (status = 429, description = "Too many failures: see Retry-After"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn confirm(own: Own, body: JsonBody<ConfirmRequest>) -> Result<StatusCode, Problem> {
    own.state.accounts.confirm_second_factor(&own.signed_in, body.0.totp, own.visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove your second factor
#[utoipa::path(
    post, path = "/accounts/me/totp/remove", operation_id = "remove_second_factor", tag = "Profile",
    request_body = ProofRequest,
    responses(
        (status = 204, description = "It is off"),
        (status = 400, description = "Not that shape"),
        (status = 409, description = "You have none, or every account must have one"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The password or the code is wrong"),
        (status = 429, description = "Too many failures: see Retry-After"),
    ),
    security(("session" = [])),
)]
pub(crate) async fn remove(own: Own, body: JsonBody<ProofRequest>) -> Result<StatusCode, Problem> {
    own.state.accounts.remove_second_factor(&own.signed_in, body.0.into(), own.visitor).await?;
    Ok(StatusCode::NO_CONTENT)
}
