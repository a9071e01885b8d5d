//! `/accounts/…`: logging in and out, activating an account, resetting a password.
//!
//! Open to all. Bodies are JSON and are told to be, which another site's form can't send.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::auth::{Perhaps, Public};
use super::super::body::JsonBody;
use super::super::cookie;
use super::super::problem::{Kind, Problem};
use super::super::visitor::AtDoor;
use crate::accounts::{Credentials, LinkKind, NewSession, Secret};
use crate::http::AppState;

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LogIn)]
pub(crate) struct LogInRequest {
    /// The e-mail address, or the username.
    email: Option<String>,
    /// The same, under another name: send one of them.
    username: Option<String>,
    /// The password.
    password: String,
    /// The authenticator app's code, where the account has a second factor.
    totp: Option<String>,
}

impl fmt::Debug for LogInRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogInRequest").finish_non_exhaustive()
    }
}

/// Log in
///
/// Sets the cookie of a session, which then stands for an access token. A browser's request that changes something must
/// come from a page of this server.
#[utoipa::path(
    post, path = "/accounts/login", operation_id = "log_in", tag = "Log-in",
    request_body = LogInRequest,
    responses(
        (status = 204, description = "Logged in: the cookie is in `Set-Cookie`"),
        (status = 400, description = "Not that shape"),
        (status = 401, description = "Refused; or the second factor's code is needed (`totp_needed`) or wrong (`totp_wrong`)"),
        (status = 415, description = "Not application/json"),
        (status = 429, description = "Too many failures: see Retry-After"),
    ),
)]
pub(crate) async fn log_in(public: Public, at: AtDoor, body: JsonBody<LogInRequest>) -> Result<Response, Problem> {
    let LogInRequest { email, username, password, totp } = body.0;
    let name = match (email, username) {
        (Some(name), None) | (None, Some(name)) => name,
        _ => return Err(Problem::new(Kind::Malformed, "send `email` (or `username`) and `password`")),
    };
    let credentials = Credentials { name, password: Secret::new(password), code: totp };
    let new = public.state.accounts.log_in(credentials, at.0).await?;
    Ok((StatusCode::NO_CONTENT, session_headers(&public.state, &new)).into_response())
}

/// What carries a new session to the browser.
pub(in crate::http) fn session_headers(state: &AppState, new: &NewSession) -> [(header::HeaderName, HeaderValue); 2] {
    let cookie = cookie::SESSION.set(new.id.reveal(), new.lifetime_s, state.is_secure());
    [(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

/// Log out
///
/// Ends the session and takes its cookie back. Does nothing where there is none.
#[utoipa::path(
    post, path = "/accounts/logout", operation_id = "log_out", tag = "Log-in",
    responses(
        (status = 204, description = "Logged out"),
        (status = 403, description = "Sent by another site's page"),
    ),
)]
pub(crate) async fn log_out(public: Public, at: AtDoor, perhaps: Perhaps) -> Result<Response, Problem> {
    if let Some(signed_in) = perhaps.0 {
        public.state.accounts.log_out(&signed_in.session, at.0).await?;
    }
    let cleared = cookie::SESSION.clear(public.state.is_secure());
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cleared)]).into_response())
}

/// A new password, and the token of the link that allows it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
pub(crate) struct LinkRequest {
    /// The token in the mail's link.
    token: String,
    /// The new password: 10 characters or more, one of them a special one.
    password: String,
}

impl fmt::Debug for LinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkRequest").finish_non_exhaustive()
    }
}

/// Activate an account
///
/// With the token of the invitation's link, which works once.
#[utoipa::path(
    post, path = "/accounts/activate", operation_id = "activate", tag = "Log-in",
    request_body = LinkRequest,
    responses(
        (status = 204, description = "Active: log in with the password"),
        (status = 400, description = "Not that shape"),
        (status = 404, description = "The link was used, is too old, or was replaced by a newer one"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The password is not taken; the link still works"),
        (status = 429, description = "Too many links that do not work: see Retry-After"),
    ),
)]
pub(crate) async fn activate(public: Public, at: AtDoor, body: JsonBody<LinkRequest>) -> Result<StatusCode, Problem> {
    redeem(&public.state, LinkKind::Activation, at, body.0).await
}

/// Reset a password
///
/// With the token of the mail's link, which works once. Ends every session of the account.
#[utoipa::path(
    post, path = "/accounts/reset-password", operation_id = "reset_password", tag = "Log-in",
    request_body = LinkRequest,
    responses(
        (status = 204, description = "Done: log in with the new password"),
        (status = 400, description = "Not that shape"),
        (status = 404, description = "The link was used, is too old, or was replaced by a newer one"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "The password is not taken; the link still works"),
        (status = 429, description = "Too many links that do not work: see Retry-After"),
    ),
)]
pub(crate) async fn reset_password(
    public: Public,
    at: AtDoor,
    body: JsonBody<LinkRequest>,
) -> Result<StatusCode, Problem> {
    redeem(&public.state, LinkKind::Reset, at, body.0).await
}

async fn redeem(state: &AppState, kind: LinkKind, at: AtDoor, request: LinkRequest) -> Result<StatusCode, Problem> {
    let LinkRequest { token, password } = request;
    state.accounts.redeem(kind, &Secret::new(token), Secret::new(password), at.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose password was forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ForgottenPassword)]
pub(crate) struct ForgotRequest {
    /// The account's e-mail address, or its username.
    email: String,
}

/// Ask for a mail to reset one's password
///
/// The answer is the same whether there is such an account or not.
#[utoipa::path(
    post, path = "/accounts/forgot-password", operation_id = "forgot_password", tag = "Log-in",
    request_body = ForgotRequest,
    responses(
        (status = 202, description = "If there is such an account, a mail is on its way to it"),
        (status = 400, description = "Not that shape"),
        (status = 415, description = "Not application/json"),
    ),
)]
pub(crate) async fn forgot_password(
    public: Public,
    at: AtDoor,
    body: JsonBody<ForgotRequest>,
) -> Result<StatusCode, Problem> {
    public.state.accounts.forgot_password(&body.0.email, at.0).await?;
    Ok(StatusCode::ACCEPTED)
}
