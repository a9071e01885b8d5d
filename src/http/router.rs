//! The whole route table on one page, and the OpenAPI document that follows from it.
//!
//! Every route is written once, in [`routes`], with its documentation at its handler; there is no other way to add one.
//! So the document has every route of the server and no other, which the tests below hold. The pages of the console, which
//! are no API, have a table of their own (`console/routes.rs`).

use std::sync::LazyLock;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, ClientCredentials, Flow, OAuth2, Scopes, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::api::{
    access_requests, attributes, audit, browser, calls, clients, convert, docs, drafts, end_users, endpoints, evaluate,
    events, explain, export, filters, imports, integrations, invitations, maintenance, memberships, profile, questions,
    roles, rules, sdk, segments, sign_in, sso, status, systems, tokens, trials, user_data, users,
};
use super::auth::Gate;
use super::console::{door, with_pages};
use super::edge::EdgeLayer;
use super::problem::{Kind, PROBLEM_JSON, Problem, ProblemDocument};
use super::state::AppState;

/// The router of the whole server.
pub fn router(state: AppState) -> Router {
    let (router, _) = routes(state.accounts.has_sso()).split_for_parts();
    finish(with_pages(router), state.is_secure()).with_state(Gate::new(state))
}

/// Every route; those of single sign-on only where it is on.
#[rustfmt::skip]
fn routes(sso: bool) -> OpenApiRouter<Gate> {
    let routes = OpenApiRouter::with_openapi(Api::openapi())
        // Access tokens
        .routes(routes!(tokens::connect))
        .routes(routes!(tokens::oauth))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::metadata))
        // Log-in
        .routes(routes!(sign_in::log_in))
        .routes(routes!(sign_in::log_out))
        .routes(routes!(sign_in::activate))
        .routes(routes!(sign_in::reset_password))
        .routes(routes!(sign_in::forgot_password))
        // Profile
        .routes(routes!(profile::show))
        .routes(routes!(profile::change_password))
        .routes(routes!(profile::sessions, profile::end_other_sessions))
        .routes(routes!(profile::end_session))
        .routes(routes!(profile::enrol))
        .routes(routes!(profile::confirm))
        .routes(routes!(profile::remove))
        // End users
        .routes(routes!(user_data::update))
        .routes(routes!(end_users::show, end_users::delete))
        .routes(routes!(end_users::segments))
        .routes(routes!(end_users::unset))
        // Pages in browsers
        .routes(routes!(evaluate::evaluate, evaluate::preflight))
        .routes(routes!(browser::show))
        .routes(routes!(browser::rotate))
        .routes(routes!(sdk::script))
        .routes(routes!(questions::query))
        .routes(routes!(export::export))
        .routes(routes!(attributes::list))
        .routes(routes!(attributes::distribution))
        // Segments at work
        .routes(routes!(explain::show))
        .routes(routes!(memberships::list))
        .routes(routes!(memberships::show))
        .routes(routes!(memberships::members))
        .routes(routes!(memberships::history))
        .routes(routes!(events::follow))
        // Saved filters
        .routes(routes!(filters::list))
        .routes(routes!(filters::show, filters::put, filters::delete))
        // Rules
        .routes(routes!(rules::show))
        .routes(routes!(rules::reload))
        .routes(routes!(systems::list, systems::create))
        .routes(routes!(systems::show, systems::put))
        .routes(routes!(integrations::list))
        .routes(routes!(integrations::show, integrations::put, integrations::delete))
        .routes(routes!(segments::list))
        .routes(routes!(segments::show, segments::put, segments::delete))
        .routes(routes!(drafts::preview))
        .routes(routes!(convert::convert))
        .routes(routes!(drafts::promote))
        // Integrations at work
        .routes(routes!(endpoints::show))
        .routes(routes!(endpoints::rotate))
        .routes(routes!(trials::judge))
        .routes(routes!(calls::list))
        .routes(routes!(imports::list, imports::upload))
        .routes(routes!(imports::show))
        .routes(routes!(imports::errors))
        // Users
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::export))
        .routes(routes!(users::bulk_download))
        .routes(routes!(users::act_on_many))
        .routes(routes!(users::show, users::put, users::delete))
        .routes(routes!(users::put_data_access))
        .routes(routes!(users::act))
        .routes(routes!(invitations::invite))
        .routes(routes!(access_requests::ask))
        .routes(routes!(access_requests::list))
        .routes(routes!(access_requests::approve))
        .routes(routes!(access_requests::deny))
        .routes(routes!(roles::list))
        // Clients and audit
        .routes(routes!(clients::list, clients::create))
        .routes(routes!(clients::show, clients::put))
        .routes(routes!(clients::rotate))
        .routes(routes!(clients::disable))
        .routes(routes!(clients::enable))
        .routes(routes!(audit::list))
        // Operation
        .routes(routes!(maintenance::backup))
        .routes(routes!(maintenance::checkpoint))
        .routes(routes!(maintenance::purge))
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(status::metrics))
        // Pages
        .routes(routes!(door::log_in_page, door::log_in))
        .routes(routes!(door::activate_page, door::activate))
        .routes(routes!(door::reset_page, door::reset))
        .routes(routes!(door::forgot_page, door::forgot))
        .routes(routes!(door::request_access_page, door::request_access))
        // Documentation
        .routes(routes!(docs::openapi))
        .routes(routes!(docs::redirect))
        .routes(routes!(docs::page))
        .routes(routes!(docs::file));
    // Single sign-on
    if sso { routes.routes(routes!(sso::begin)).routes(routes!(sso::finish)) } else { routes }
}

/// Answers for what is no route, and what every request goes through.
fn finish<S: Clone + Send + Sync + 'static>(router: Router<S>, secure: bool) -> Router<S> {
    router.fallback(unknown_route).method_not_allowed_fallback(unknown_method).layer(EdgeLayer { secure })
}

async fn unknown_route() -> Problem {
    Problem::no_route()
}

/// The router adds `Allow`.
async fn unknown_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "this path does not take that method; `Allow` lists those that it takes")
}

/// What the document says beside its routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "Holds what a company knows about its end users and says, at page load, which segments each belongs to.",
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Credentials),
    tags(
        (name = "Access tokens", description = "OAuth 2.0 client credentials"),
        (name = "Log-in", description = "Operators' log-in, activation and passwords"),
        (name = "Profile", description = "An operator's own account"),
        (name = "End users", description = "Updates in, segments out"),
        (name = "Browser", description = "Segments asked for by a page"),
        (name = "Segments", description = "Who is in which segment, who comes and goes, and why"),
        (name = "Filters", description = "Questions saved under a name"),
        (name = "Rules", description = "The files of a system: integrations and segments"),
        (name = "Integrations", description = "Integrations at work: endpoint, token, trial, calls, imports"),
        (name = "Users", description = "Operators' accounts: who may do what where"),
        (name = "Clients", description = "OAuth clients: the machines that call the API"),
        (name = "Audit", description = "Who did what"),
        (name = "Operation", description = "Health, metrics, maintenance"),
        (name = "Console", description = "Pages for people"),
        (name = "Documentation", description = "This document"),
    ),
)]
struct Api;

/// Says how to get a token, and where a publishable key goes.
struct Credentials;

impl utoipa::Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scopes = crate::model::Permission::ALL.iter().map(|permission| (permission.as_str(), permission.as_str()));
        let flow =
            Flow::ClientCredentials(ClientCredentials::new("/accounts/connect/token", Scopes::from_iter(scopes)));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Rollcall-Key")));
        components.add_security_scheme("publishable_key", key);
        let about = "The cookie of an operator's log-in (over https its name begins with `__Host-`)";
        let cookie = ApiKeyValue::with_description("rollcall_session", about);
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The OpenAPI document, as JSON; without SSO it has nothing of it.
pub(super) fn document(sso: bool) -> Bytes {
    static WITH_SSO: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(describe(true).to_string()));
    static WITHOUT_SSO: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(describe(false).to_string()));
    if sso { WITH_SSO.clone() } else { WITHOUT_SSO.clone() }
}

/// The document of the routes, completed by what goes for every one of them.
fn describe(sso: bool) -> Value {
    let mut document = serde_json::to_value(routes(sso).into_openapi()).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(|paths| paths.values_mut()) {
        let operations = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
        operations.filter(|operation| operation.get("responses").is_some()).for_each(complete);
    }
    document
}

/// Adds the answers that every operation can give, and the form of every problem.
fn complete(operation: &mut Value) {
    let guarded = operation.get("security").is_some();
    let has_body = operation.get("requestBody").is_some();
    let has_parameters = operation.get("parameters").is_some();
    // Wherever an access token is taken, an operator's session is too.
    if let Some(ways) = operation.get_mut("security").and_then(Value::as_array_mut)
        && ways.iter().all(|way| way.get("session").is_none())
    {
        ways.push(json!({ "session": [] }));
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let mut add = |status: &str, description: &str| {
        responses.entry(status).or_insert_with(|| json!({ "description": description }));
    };
    if guarded {
        add("401", "No access token and no session, or no good one");
        add("403", "The permission is lacking");
    }
    if has_body || has_parameters {
        add("400", "It can't be read, or is not of that shape");
    }
    if has_body {
        add("408", "The body took too long to arrive");
        add("413", "The body is too large");
        add("415", "Another media type than is taken here");
    }
    add("500", "The server failed");
    add("503", "Too busy, stopping, or the store has failed: see Retry-After");
    for (status, response) in responses {
        if status.as_str() >= "400"
            && let Some(response) = response.as_object_mut()
        {
            let problem = json!({ PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } });
            response.entry("content").or_insert(problem);
        }
    }
}

#[cfg(test)]
mod tests;
