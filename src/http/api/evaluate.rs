//! `POST …/evaluate`: the page load asked for by the page itself.
//!
//! What is wrong is told in this order: publishable key or system (401), media type (415), size (413), shape (400), the
//! identifier's hash (403), the identifier (422). So nothing is told of an end user before the hash fits, and then whether
//! anything is stored of them is not told either: it is nobody's business in a browser.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{Page, view};
use super::super::body;
use super::super::cors::Cors;
use super::super::problem::{Kind, Problem};
use crate::engine::Sight;
use crate::model::{EndUserId, SegmentId};

/// Largest body, in bytes: an identifier of 256 bytes, each written as `\uXXXX`, and room to spare.
const BODY_LIMIT: usize = 8 * 1024;

/// Whom a page asks about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvaluateRequest {
    /// The end user's identifier.
    id: String,
    /// The hex HMAC-SHA-256 of the identifier's bytes, exactly as sent, under the system's identity secret; made by the
    /// site's server.
    id_hash: String,
}

/// What a page is told.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvaluateResponse {
    /// The identifier.
    #[schema(value_type = String)]
    id: EndUserId,
    /// The segments that the end user is in.
    #[schema(value_type = Vec<String>)]
    segments: Vec<SegmentId>,
}

/// The segments of an end user, asked for by a page in a browser
///
/// An end user who is not known is judged as one with no attributes. Pages of the origins in `server.cors_origins` can read
/// the answer.
#[utoipa::path(
    post, path = "/public/v1/systems/{s}/evaluate", operation_id = "evaluate", tag = "Browser",
    params(("s" = String, Path, description = "The system")),
    request_body = EvaluateRequest,
    responses(
        (status = 200, description = "The segments", body = EvaluateResponse),
        (status = 400, description = "Not JSON, or not that shape"),
        (status = 401, description = "No publishable key of that system"),
        (status = 403, description = "`id_hash` is not the identifier's"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "No identifier"),
    ),
    security(("publishable_key" = [])),
)]
pub(crate) async fn evaluate(cors: Cors, page: Result<Page, Problem>, request: Request) -> Response {
    cors.dress(answer(page, request).await)
}

/// Ask whether a page may call `evaluate`
///
/// Browsers do this by themselves (a CORS preflight); an origin that is not listed is told nothing.
#[utoipa::path(
    options, path = "/public/v1/systems/{s}/evaluate", operation_id = "evaluate_preflight", tag = "Browser",
    params(("s" = String, Path, description = "The system, which need not exist")),
    responses((status = 204, description = "What a page of that origin may send, in `Access-Control-…`")),
)]
pub(crate) async fn preflight(cors: Cors) -> Response {
    cors.preflight("POST", "Content-Type, X-Rollcall-Key")
}

async fn answer(page: Result<Page, Problem>, request: Request) -> Result<Response, Problem> {
    let Page { state, rules } = page?;
    body::demand_json(request.headers())?;
    let EvaluateRequest { id, id_hash } = body::from_slice(&body::read(request, BODY_LIMIT).await?)?;
    if !state.accounts.vouches(&rules.system, &id, &id_hash) {
        return Err(Problem::new(
            Kind::Forbidden,
            "`id_hash` is not the hex HMAC-SHA-256 of `id`, exactly as sent, under the system's identity secret",
        ));
    }
    let id = EndUserId::in_case(&id, rules.settings.identifier_case)?;
    let segments = view(&state, &rules.system, &Sight::All)?.segments_of(&id).segments;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(EvaluateResponse { id, segments })).into_response())
}
