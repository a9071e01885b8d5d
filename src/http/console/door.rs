//! `/login`, `/activate`, `/reset`, `/forgot`, `/request-access`: the forms before the console.
//!
//! Each does what the call of the API under `/accounts/` does, by the same services.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::api::access_requests;
use super::super::api::sign_in::session_headers;
use super::super::auth::Public;
use super::super::problem::{Kind, Problem};
use super::super::visitor::AtDoor;
use super::answer::{go_to, page, sentence, sentences};
use super::form::Form;
use super::{HOME, local_path};
use crate::accounts::{Credentials, LinkKind, Secret, SignInError};
use crate::http::AppState;

#[derive(Template)]
#[template(path = "http/console/log_in.html")]
struct LogInPage<'a> {
    notice: Option<&'static str>,
    wrong: Option<String>,
    name: &'a str,
    next: &'a str,
    sso: bool,
    /// What single sign-on must remember of where to go.
    sso_query: String,
}

#[derive(Template)]
#[template(path = "http/console/password.html")]
struct PasswordPage<'a> {
    title: &'static str,
    about: &'static str,
    action: &'static str,
    button: &'static str,
    token: &'a str,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "http/console/forgot.html")]
struct ForgotPage;

/// A page with a message, for what went wrong where no form can say it.
pub(in crate::http) fn message(status: StatusCode, title: &str, text: &str) -> Response {
    super::answer::message(status, title, text, ("/login", "To log-in"))
}

#[derive(Template)]
#[template(path = "http/console/request_access.html")]
struct RequestAccessPage<'a> {
    wrong: Option<String>,
    email: &'a str,
    name: &'a str,
    reason: &'a str,
}

/// How the log-in page is opened.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogInQuery {
    /// Where to go after log-in: a path of this server.
    #[param(required = false)]
    #[serde(default)]
    next: String,
    /// What to say: `activated`, `reset`, `forgot`, `asked`, `left` or `sso`.
    #[param(required = false)]
    #[serde(default)]
    notice: String,
}

/// The log-in page
#[utoipa::path(
    get, path = "/login", operation_id = "log_in_page", tag = "Console",
    params(LogInQuery),
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub(crate) async fn log_in_page(public: Public, query: Result<Query<LogInQuery>, QueryRejection>) -> Response {
    let Query(LogInQuery { next, notice }) = query.unwrap_or_default();
    let notice = match notice.as_str() {
        "activated" => Some("Your account is active: log in with your new password."),
        "reset" => Some("Your new password is set: log in with it."),
        "asked" => Some("Your request is on its way to an Admin."),
        "left" => Some("You are logged out."),
        "forgot" => Some("If there is such an account, a mail is on its way to it."),
        "sso" => Some("The identity provider can't be reached at the moment: try again later."),
        _ => None,
    };
    let sso = public.state.accounts.has_sso();
    let next = local_path(&next);
    page(StatusCode::OK, &LogInPage { notice, wrong: None, name: "", next, sso, sso_query: sso_query(next) })
}

fn sso_query(next: &str) -> String {
    match next {
        HOME => String::new(),
        _ => format!("?{}", form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish()),
    }
}

/// Log in by the form
#[utoipa::path(
    post, path = "/login", operation_id = "log_in_by_form", tag = "Console",
    request_body(content_type = "application/x-www-form-urlencoded", content = String, description = "`email`, `password`, `totp`, `next`"),
    responses(
        (status = 303, description = "Logged in: on to `next`"),
        (status = 401, description = "The page again, saying why", content_type = "text/html", body = String),
        (status = 403, description = "Sent by another site's page"),
        (status = 429, description = "The page again, saying when", content_type = "text/html", body = String),
    ),
)]
pub(crate) async fn log_in(public: Public, at: AtDoor, request: Request) -> Result<Response, Problem> {
    let state = public.state;
    let form = Form::read(request, &state.config.server.public_url).await?;
    let (name, code) = (form.field("email"), form.field("totp"));
    let credentials = Credentials {
        name: name.to_owned(),
        password: Secret::new(form.raw("password").to_owned()),
        code: (!code.is_empty()).then(|| code.to_owned()),
    };
    match state.accounts.log_in(credentials, at.0).await {
        Ok(new) => Ok((session_headers(&state, &new), go_to(local_path(form.field("next")))).into_response()),
        Err(error) => {
            let wrong = Some(sentence(&error.to_string()));
            let status = match &error {
                SignInError::Refused | SignInError::CodeNeeded | SignInError::CodeWrong => StatusCode::UNAUTHORIZED,
                SignInError::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
                _ => return Err(error.into()),
            };
            let (next, sso) = (local_path(form.field("next")), state.accounts.has_sso());
            Ok(page(status, &LogInPage { notice: None, wrong, name, next, sso, sso_query: sso_query(next) }))
        }
    }
}

/// How a page behind a link is opened.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinkQuery {
    /// The token in the mail's link.
    #[param(required = false)]
    #[serde(default)]
    token: String,
}

/// The page to activate an account
#[utoipa::path(
    get, path = "/activate", operation_id = "activate_page", tag = "Console",
    params(LinkQuery),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 410, description = "The link does not work any more", content_type = "text/html", body = String),
        (status = 429, description = "Too many links that do not work: see Retry-After"),
    ),
)]
pub(crate) async fn activate_page(
    public: Public,
    at: AtDoor,
    query: Result<Query<LinkQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    link_page(&public.state, LinkKind::Activation, &at, &query.unwrap_or_default().token)
}

/// The page to reset a password
#[utoipa::path(
    get, path = "/reset", operation_id = "reset_page", tag = "Console",
    params(LinkQuery),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 410, description = "The link does not work any more", content_type = "text/html", body = String),
        (status = 429, description = "Too many links that do not work: see Retry-After"),
    ),
)]
pub(crate) async fn reset_page(
    public: Public,
    at: AtDoor,
    query: Result<Query<LinkQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    link_page(&public.state, LinkKind::Reset, &at, &query.unwrap_or_default().token)
}

fn link_page(state: &AppState, kind: LinkKind, at: &AtDoor, token: &str) -> Result<Response, Problem> {
    if state.accounts.link_works(kind, token, at.0.address)? {
        Ok(page(StatusCode::OK, &password_page(kind, token, None)))
    } else {
        Ok(ended_page())
    }
}

fn ended_page() -> Response {
    let text = "It was used already, is too old, or a newer mail took its place. Ask for another mail, or log in.";
    message(StatusCode::GONE, "This link does not work any more", text)
}

fn password_page(kind: LinkKind, token: &str, wrong: Option<String>) -> PasswordPage<'_> {
    match kind {
        LinkKind::Activation => PasswordPage {
            title: "Sign up",
            about: "Choose a password to activate your account.",
            action: "/activate",
            button: "Sign Up",
            token,
            wrong,
        },
        LinkKind::Reset => PasswordPage {
            title: "Choose a new password",
            about: "Every session of your account ends with your old password.",
            action: "/reset",
            button: "Set Password",
            token,
            wrong,
        },
    }
}

/// Activate an account by the form
#[utoipa::path(
    post, path = "/activate", operation_id = "activate_by_form", tag = "Console",
    request_body(content_type = "application/x-www-form-urlencoded", content = String, description = "`token`, `password`"),
    responses(
        (status = 303, description = "Active: on to log-in"),
        (status = 403, description = "Sent by another site's page"),
        (status = 410, description = "The link does not work any more", content_type = "text/html", body = String),
        (status = 422, description = "The page again, saying what is wrong with the password", content_type = "text/html", body = String),
        (status = 429, description = "Too many links that do not work: see Retry-After"),
    ),
)]
pub(crate) async fn activate(public: Public, at: AtDoor, request: Request) -> Result<Response, Problem> {
    redeem(&public.state, LinkKind::Activation, at, request).await
}

/// Reset a password by the form
#[utoipa::path(
    post, path = "/reset", operation_id = "reset_by_form", tag = "Console",
    request_body(content_type = "application/x-www-form-urlencoded", content = String, description = "`token`, `password`"),
    responses(
        (status = 303, description = "Done: on to log-in"),
        (status = 403, description = "Sent by another site's page"),
        (status = 410, description = "The link does not work any more", content_type = "text/html", body = String),
        (status = 422, description = "The page again, saying what is wrong with the password", content_type = "text/html", body = String),
        (status = 429, description = "Too many links that do not work: see Retry-After"),
    ),
)]
pub(crate) async fn reset(public: Public, at: AtDoor, request: Request) -> Result<Response, Problem> {
    redeem(&public.state, LinkKind::Reset, at, request).await
}

async fn redeem(state: &AppState, kind: LinkKind, at: AtDoor, request: Request) -> Result<Response, Problem> {
    use crate::accounts::LinkError as E;
    let form = Form::read(request, &state.config.server.public_url).await?;
    let (token, password) = (form.field("token"), Secret::new(form.raw("password").to_owned()));
    match state.accounts.redeem(kind, &Secret::new(token.to_owned()), password, at.0).await {
        Ok(()) if kind == LinkKind::Activation => Ok(go_to("/login?notice=activated")),
        Ok(()) => Ok(go_to("/login?notice=reset")),
        Err(E::Ended) => Ok(ended_page()),
        Err(E::Password(error)) if error.code().is_some() => {
            let wrong = Some(sentence(&error.to_string()));
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &password_page(kind, token, wrong)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The page for who forgot the password
#[utoipa::path(
    get, path = "/forgot", operation_id = "forgot_page", tag = "Console",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub(crate) async fn forgot_page(_public: Public) -> Response {
    page(StatusCode::OK, &ForgotPage)
}

/// Ask for a mail to reset one's password, by the form
#[utoipa::path(
    post, path = "/forgot", operation_id = "forgot_by_form", tag = "Console",
    request_body(content_type = "application/x-www-form-urlencoded", content = String, description = "`email`"),
    responses(
        (status = 303, description = "If there is such an account, a mail is on its way to it"),
        (status = 403, description = "Sent by another site's page"),
    ),
)]
pub(crate) async fn forgot(public: Public, at: AtDoor, request: Request) -> Result<Response, Problem> {
    let form = Form::read(request, &public.state.config.server.public_url).await?;
    public.state.accounts.forgot_password(form.field("email"), at.0).await?;
    Ok(go_to("/login?notice=forgot"))
}

/// The page for who has no account
#[utoipa::path(
    get, path = "/request-access", operation_id = "request_access_page", tag = "Console",
    responses((status = 200, description = "The page", content_type = "text/html", body = String)),
)]
pub(crate) async fn request_access_page(_public: Public) -> Response {
    page(StatusCode::OK, &RequestAccessPage { wrong: None, email: "", name: "", reason: "" })
}

/// Ask for an account by the form
#[utoipa::path(
    post, path = "/request-access", operation_id = "request_access_by_form", tag = "Console",
    request_body(content_type = "application/x-www-form-urlencoded", content = String, description = "`email`, `name`, `reason`"),
    responses(
        (status = 303, description = "An Admin will look at it"),
        (status = 403, description = "Sent by another site's page"),
        (status = 422, description = "The page again, saying what is wrong", content_type = "text/html", body = String),
        (status = 429, description = "The page again: too many requests from this address", content_type = "text/html", body = String),
    ),
)]
pub(crate) async fn request_access(public: Public, request: Request) -> Result<Response, Problem> {
    let form = Form::read(request, &public.state.config.server.public_url).await?;
    let (email, name, reason) = (form.field("email"), form.field("name"), form.field("reason"));
    match access_requests::take(&public, email, name, reason).await {
        Ok(()) => Ok(go_to("/login?notice=asked")),
        Err(problem) if matches!(problem.kind(), Kind::Refused | Kind::TooManyRequests) => {
            let wrong = Some(sentences(&problem).join(" "));
            Ok(page(problem.status(), &RequestAccessPage { wrong, email, name, reason }))
        }
        Err(problem) => Err(problem),
    }
}

/// The log-in page, told why single sign-on did not happen.
pub(in crate::http) fn sso_is_away() -> Response {
    go_to("/login?notice=sso")
}

/// What carries a new session to a browser that goes on elsewhere.
pub(in crate::http) fn go_on(headers: impl axum::response::IntoResponseParts, next: &str) -> Response {
    (headers, [(header::CACHE_CONTROL, "no-store")], go_to(if next.is_empty() { HOME } else { local_path(next) }))
        .into_response()
}
