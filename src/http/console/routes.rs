//! Every page and form of the console on one page. Who may use it stands in its handler's first argument (`visit`).
//!
//! They are no part of the API and of its document. Invariant: every POST takes a `Posted<…>`; `tests/it/console/forms.rs`
//! reads this table and sends each of them a form of nobody.

use axum::Router;
use axum::routing::{get, post};

use super::super::auth::{Gate, needs};
use super::answer::go_to;
use super::users::{edit, invite, requests, standing};
use super::visit::Visit;
use super::{
    HOME, assets, audit, clients, end_users, home, insights, integrations, leave, profile, segments, systems, users,
};
use crate::http::problem::Problem;
use axum::response::Response;

/// Adds the console to the server's routes.
#[rustfmt::skip]
pub(in crate::http) fn with_pages(router: Router<Gate>) -> Router<Gate> {
    router
        .route("/console/static/{version}/{name}", get(assets::serve))
        .route("/", get(begin))
        .route("/console/", get(begin))
        .route("/console", get(home::page))
        .route("/console/log-out", get(leave::page).post(leave::log_out))
        .route("/console/systems/{s}", get(home::overview))
        // Profile
        .route("/console/profile", get(profile::page))
        .route("/console/profile/password", post(profile::change_password))
        .route("/console/profile/second-factor", post(profile::enrol))
        .route("/console/profile/second-factor/confirm", post(profile::confirm))
        .route("/console/profile/second-factor/remove", post(profile::remove))
        .route("/console/profile/sessions", post(profile::end_sessions))
        // Systems
        .route("/console/systems", get(systems::page))
        .route("/console/systems/new", get(systems::new).post(systems::create))
        .route("/console/systems/{s}/settings", get(systems::settings).post(systems::save))
        // Clients and audit
        .route("/console/clients", get(clients::page))
        .route("/console/clients/new", get(clients::new).post(clients::create))
        .route("/console/clients/{id}/edit", get(clients::edit).post(clients::save))
        .route("/console/clients/{id}/rotate", get(clients::ask_rotate).post(clients::rotate))
        .route("/console/clients/{id}/disable", get(clients::ask_disable).post(clients::disable))
        .route("/console/clients/{id}/enable", get(clients::ask_enable).post(clients::enable))
        .route("/console/audit", get(audit::page))
        // Users
        .route("/console/users", get(users::page))
        .route("/console/users/inactive", get(users::inactive))
        .route("/console/users/invite", get(invite::page).post(invite::send))
        .route("/console/users/disable", get(standing::confirm_disabling).post(standing::disable))
        .route("/console/users/enable", get(standing::confirm_enabling).post(standing::enable))
        .route("/console/users/{username}/edit", get(edit::page).post(edit::save))
        .route("/console/users/{username}/resend", post(edit::resend))
        .route("/console/users/{username}/reset", post(edit::reset))
        .route("/console/users/{username}/delete", get(edit::confirm_deletion).post(edit::delete))
        .route("/console/access-requests", get(requests::page))
        .route("/console/access-requests/{id}/approve", get(requests::confirm_approval).post(requests::approve))
        .route("/console/access-requests/{id}/deny", get(requests::confirm_denial).post(requests::deny))
        .route("/console/systems/{s}/users", get(users::of_system))
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

/// Leads who types the server's bare address to the console.
async fn begin() -> Response {
    go_to(HOME)
}

/// Answers, within the frame, that there is no such page.
async fn nowhere(visit: Visit<needs::Nothing>) -> Response {
    visit.failed(Problem::not_found("there is no such page: it may have been moved, or its address is mistyped"))
}
