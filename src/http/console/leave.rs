//! `/console/log-out`: the end of a session.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{Failure, go_to};
use super::frame::{Frame, Section};
use super::visit::{Oneself, Posted, with_cookies};
use crate::http::cookie;

#[derive(Template)]
#[template(path = "http/console/leave.html")]
struct LeavePage {
    frame: Frame,
}

/// For who comes by an address: a session ends by a form alone.
pub(super) async fn page(oneself: Oneself) -> Response {
    oneself.show(StatusCode::OK, &LeavePage { frame: oneself.frame(Section::Elsewhere) })
}

/// Ends the session.
pub(super) async fn log_out(Posted { visit, .. }: Posted<Oneself>) -> Result<Response, Failure> {
    visit.state.accounts.log_out(&visit.signed_in.session, visit.visitor.clone()).await?;
    let cleared = cookie::SESSION.clear(visit.state.is_secure());
    Ok(with_cookies(go_to("/login?notice=left"), [cleared]))
}
