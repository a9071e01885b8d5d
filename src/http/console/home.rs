//! `/console`: every system at a glance.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::{Frame, Section};
use super::visit::Visit;
use crate::http::auth::needs;

#[derive(Template)]
#[template(path = "http/console/home.html")]
struct HomePage {
    frame: Frame,
}

/// The page.
pub(super) async fn page(visit: Visit<needs::Nothing>) -> Response {
    visit.show(StatusCode::OK, &HomePage { frame: visit.frame(Section::Home) })
}
