//! `/sso/login` and `/sso/callback`: to the identity provider and back.
//!
//! A person's browser comes here, so what goes wrong is told by a page. Where SSO is off, there is nothing at these paths.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::auth::Public;
use super::super::console::{door, local_path};
use super::super::cookie::{self, Cookie};
use super::super::problem::Problem;
use super::super::visitor::AtDoor;
use crate::accounts::{PATIENCE_S, Return, SsoError};

/// Holds what is to be remembered while a person is at the provider.
const ERRAND: Cookie = Cookie::new("rollcall_sso", "/sso");

/// How a log-in by SSO begins.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BeginQuery {
    /// Where to go after log-in: a path of this server.
    #[param(required = false)]
    #[serde(default)]
    next: String,
}

/// Log in with SSO
///
/// Sends the browser to the identity provider. Only there if SSO is configured.
#[utoipa::path(
    get, path = "/sso/login", operation_id = "begin_sso", tag = "Log-in",
    params(BeginQuery),
    responses(
        (status = 303, description = "On to the provider; or back to the log-in page when it can't be reached"),
        (status = 404, description = "SSO is not configured"),
    ),
)]
pub(crate) async fn begin(
    public: Public,
    query: Result<Query<BeginQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let state = public.state;
    let Query(BeginQuery { next }) = query.unwrap_or_default();
    let departure = state.accounts.begin_sso(local_path(&next)).await.ok_or_else(Problem::no_route)?;
    match departure {
        Ok(departure) => {
            let url = HeaderValue::from_str(&departure.url)
                .map_err(|_| Problem::internal("the provider's address is no header"))?;
            let errand = ERRAND.set(departure.cookie.reveal(), PATIENCE_S, state.is_secure());
            let headers = [(header::LOCATION, url), (header::SET_COOKIE, errand), no_store()];
            Ok((StatusCode::SEE_OTHER, headers).into_response())
        }
        Err(error) => refused(error),
    }
}

/// What the provider sends along.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query, which is read as the accounts have it")]
pub(crate) struct ReturnQuery {
    /// The code for a token.
    #[param(required = false)]
    code: String,
    /// What was sent to the provider.
    #[param(required = false)]
    state: String,
    /// Why there is no code.
    #[param(required = false)]
    error: String,
    /// The provider's issuer.
    #[param(required = false)]
    iss: String,
}

/// Come back from the identity provider
///
/// Begins the session of the account whose `sso_id` the provider names; the first time, that activates the account.
#[utoipa::path(
    get, path = "/sso/callback", operation_id = "finish_sso", tag = "Log-in",
    params(ReturnQuery),
    responses(
        (status = 303, description = "Logged in: the cookie is in `Set-Cookie`"),
        (status = 400, description = "This log-in was not begun in this browser, or too long ago", content_type = "text/html", body = String),
        (status = 403, description = "The provider refused, its answer is not valid, or there is no account", content_type = "text/html", body = String),
        (status = 404, description = "SSO is not configured"),
    ),
)]
pub(crate) async fn finish(
    public: Public,
    at: AtDoor,
    headers: HeaderMap,
    query: Result<Query<Return>, QueryRejection>,
) -> Result<Response, Problem> {
    let state = public.state;
    let errand = ERRAND.read(&headers, state.is_secure());
    let Query(back) = query.unwrap_or_default();
    let finished = state.accounts.finish_sso(errand, back, at.0).await.ok_or_else(Problem::no_route)?;
    // Whatever came of it, the errand is over.
    let over = (header::SET_COOKIE, ERRAND.clear(state.is_secure()));
    match finished {
        Ok((new, next)) => {
            let session = cookie::SESSION.set(new.id.reveal(), new.lifetime_s, state.is_secure());
            Ok(door::go_on(AppendHeaders([(header::SET_COOKIE, session), over]), &next))
        }
        Err(error) => Ok((AppendHeaders([over]), refused(error)?).into_response()),
    }
}

/// The page that says why nobody was logged in.
fn refused(error: SsoError) -> Result<Response, Problem> {
    if let Some(reason) = error.reason() {
        tracing::warn!(reason, "a log-in by single sign-on failed");
    }
    let status = match error {
        SsoError::Unreachable(_) => return Ok(door::sso_is_away()),
        SsoError::Stray => StatusCode::BAD_REQUEST,
        SsoError::Declined(_) | SsoError::Invalid(_) | SsoError::NoAccount => StatusCode::FORBIDDEN,
        SsoError::Write(error) => return Err(error.into()),
        SsoError::Seal(error) => return Err(Problem::internal(&error.to_string())),
        SsoError::NoRandomness(error) => return Err(Problem::internal(&error.to_string())),
    };
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Ok(door::message(status, "You are not logged in", &format!("{text}.")))
}

fn no_store() -> (header::HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
