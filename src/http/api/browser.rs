//! `/admin/v1/systems/{s}/browser`: what a site needs to ask for segments from its pages.

use axum::Json;
use axum::extract::Query;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::problem::Problem;
use super::endpoints::{RotationQuery, grace_hours};
use crate::accounts::BrowserKeys;
use crate::model::SystemId;

/// A system's keys for pages, and what to do with them.
#[derive(Serialize, ToSchema)]
pub(crate) struct BrowserResponse {
    /// Stands in the page, for all to see; it can do nothing but `evaluate`.
    publishable_key: String,
    /// Stays on the site's server, which makes `id_hash` with it: the hex HMAC-SHA-256 of the identifier, under this text.
    identity_secret: String,
    /// The HTML to paste, with two places for the site's server to fill.
    snippet: String,
    /// The origins whose pages may ask, from `server.cors_origins`; `*`: all.
    cors_origins: Vec<String>,
}

/// A system's keys for pages in browsers
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/browser", operation_id = "get_browser", tag = "Browser",
    params(("s" = String, Path, description = "The system")),
    responses(
        (status = 200, description = "Keys and snippet", body = BrowserResponse),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn show(at: At<needs::IntegrationsWrite>) -> Json<BrowserResponse> {
    Json(keys(&at))
}

/// Give a system new keys for pages
///
/// Both are new. During the grace a page may have the older key and the site's server the newer secret, or the other way
/// round.
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/browser/rotate", operation_id = "rotate_browser", tag = "Browser",
    params(("s" = String, Path, description = "The system"), RotationQuery),
    responses(
        (status = 200, description = "The new keys and the snippet with them", body = BrowserResponse),
        (status = 400, description = "No such number of hours"),
        (status = 404, description = "Unknown system"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn rotate(
    at: At<needs::IntegrationsWrite>,
    query: Result<Query<RotationQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<BrowserResponse>, Problem> {
    let grace_hours = grace_hours(query)?;
    at.state.accounts.rotate_browser_keys(at.actor.clone(), at.system(), grace_hours).await?;
    Ok(Json(keys(&at)))
}

fn keys(at: &At<needs::IntegrationsWrite>) -> BrowserResponse {
    let BrowserKeys { publishable_key, identity_secret } = at.state.accounts.browser_keys(at.system());
    let server = &at.state.config.server;
    BrowserResponse {
        snippet: snippet(&server.public_url, at.system(), &publishable_key),
        publishable_key,
        identity_secret: identity_secret.reveal().to_owned(),
        cors_origins: server.cors_origins.clone(),
    }
}

/// The HTML that loads the script. None of its three parts can hold a quote: an origin, an id and a key.
fn snippet(public_url: &str, system: &SystemId, publishable_key: &str) -> String {
    format!(
        r#"<!-- Your server fills in the end user's identifier, and its hex HMAC-SHA-256 under the identity secret. -->
<script async src="{public_url}/sdk/rollcall.js"
  data-system="{system}"
  data-key="{publishable_key}"
  data-id="IDENTIFIER"
  data-id-hash="HASH"></script>"#
    )
}
