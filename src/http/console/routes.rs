//! Every page and form of the console on one page. Who may use it stands in its handler's first argument (`visit`).
//!
//! They are no part of the API and of its document. Invariant: every POST takes a `Posted<…>`; `tests/it/console/forms.rs`
//! reads this table and sends each of them a form of nobody.

use axum::Router;
use axum::routing::{get, post};

use super::super::auth::{Gate, needs};
use super::visit::Visit;
use super::{assets, home, leave};
use super::{end_users, insights, integrations, segments};
use crate::http::problem::Problem;
use axum::response::Response;

/// Adds the console to the server's routes.
#[rustfmt::skip]
pub(in crate::http) fn with_pages(router: Router<Gate>) -> Router<Gate> {
    router
        .route("/console/static/{version}/{name}", get(assets::serve))
        .route("/console", get(home::page))
        .route("/console/log-out", get(leave::page).post(leave::log_out))
        // Integrations
        .route("/console/systems/{s}/integrations", get(integrations::list::page))
        .route("/console/systems/{s}/integrations/new", get(integrations::wizard::page).post(integrations::wizard::step))
        .route("/console/systems/{s}/integrations/{i}", get(integrations::detail::page))
        .route("/console/systems/{s}/integrations/{i}/edit", get(integrations::change::page).post(integrations::change::save))
        .route("/console/systems/{s}/integrations/{i}/switch", post(integrations::change::switch))
        .route("/console/systems/{s}/integrations/{i}/delete", get(integrations::change::ask).post(integrations::change::delete))
        .route("/console/systems/{s}/integrations/{i}/endpoint", get(integrations::endpoint::page).post(integrations::endpoint::test))
        .route("/console/systems/{s}/integrations/{i}/rotate", get(integrations::endpoint::ask).post(integrations::endpoint::rotate))
        // Segments
        .route("/console/systems/{s}/segments", get(segments::list::page))
        .route("/console/systems/{s}/new-segment", get(segments::editor::new).post(segments::editor::create))
        .route("/console/systems/{s}/segments/{id}", get(segments::editor::page).post(segments::editor::save))
        .route("/console/systems/{s}/segments/{id}/members", get(segments::members::page))
        .route("/console/systems/{s}/segments/{id}/delete", get(segments::editor::ask).post(segments::editor::delete))
        // Insights
        .route("/console/systems/{s}/insights", get(insights::page::page).post(insights::keep::act))
        .route("/console/systems/{s}/insights/export", get(insights::keep::export))
        // End users
        .route("/console/systems/{s}/end-users", get(end_users::list::page))
        .route("/console/systems/{s}/end-users/{id}", get(end_users::detail::page))
        .route("/console/systems/{s}/end-users/{id}/unset", post(end_users::detail::unset))
        .route("/console/systems/{s}/end-users/{id}/delete", get(end_users::detail::ask).post(end_users::detail::delete))
        // What is no page.
        .route("/console/{*rest}", get(nowhere))
}

/// Answers, within the frame, that there is no such page.
async fn nowhere(visit: Visit<needs::Nothing>) -> Response {
    visit.failed(Problem::not_found("there is no such page: it may have been moved, or its address is mistyped"))
}
