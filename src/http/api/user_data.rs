//! `POST /public/v1/user/data`: the End User Update API.
//!
//! What is wrong is told in this order: access token (401), media type (415), rate (429), size (413), shape (400), the
//! integration token or a permission (403), number of records (413), their values (422), whether the caller may write
//! these very end users (403). Every call that names a live
//! integration is noted in the call log, whatever comes of it.

use std::sync::Arc;
use std::time::Instant;

use axum::BoxError;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Body;
use serde::Serialize;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

use super::super::auth::{Caller, sight, view};
use super::super::body;
use super::super::edge::RequestId;
use super::super::problem::{Kind, Problem};
use crate::accounts::{Principal, Sight as Granted};
use crate::engine::{Idempotency, Outcome, Update};
use crate::http::AppState;
use crate::intake::calls::{CallError, CallRecord};
use crate::intake::read_call;
use crate::model::{IntegrationId, Permission, SystemId};
use crate::ruleset::RuleSet;

/// The header that makes a call that is sent twice count once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in characters.
const MAX_KEY: usize = 255;
/// Bodies over this size, in bytes, are judged on a thread that may take its time.
const INLINE_BYTES: usize = 128 * 1024;

/// What an update call sends.
#[derive(ToSchema)]
#[schema(as = UpdateCall)]
#[expect(dead_code, reason = "describes the body, which the intake reads without it")]
pub(crate) struct UpdateRequest {
    /// The integration's token, as `GET …/integrations/{i}/endpoint` shows it: 64 hexadecimal characters.
    token: String,
    /// The records: each an object with the user identifier and at least one other field. One record merges; several
    /// replace each end user's attributes of this integration.
    #[schema(min_items = 1, value_type = Vec<Object>)]
    data: Vec<serde_json::Value>,
}

/// What an update call did.
#[derive(Serialize, ToSchema)]
pub(crate) struct UpdateResponse {
    /// Always `Request has been received`.
    message: &'static str,
    /// Records in the call.
    received: u64,
    /// End users that came to be.
    created: u64,
    /// End users that changed.
    updated: u64,
    /// End users that stayed as they were.
    unchanged: u64,
}

impl IntoResponse for UpdateResponse {
    fn into_response(self) -> Response {
        // Texts and numbers always serialize.
        body::json(serde_json::to_vec(&self).unwrap_or_default())
    }
}

impl From<Outcome> for UpdateResponse {
    fn from(outcome: Outcome) -> Self {
        let Outcome { received, created, updated, unchanged } = outcome;
        Self { message: "Request has been received", received, created, updated, unchanged }
    }
}

/// Update end users
///
/// Durable and visible when 200 arrives. All of the call is applied, or nothing. An operator whose `end_users:write` is
/// over some unit groups only is refused (403) where the call names anyone outside of them, or anyone new.
#[utoipa::path(
    post, path = "/public/v1/user/data", operation_id = "update_end_users", tag = "End users",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, kept for 24 hours: the same call again gets the same answer and is not applied twice.")),
    request_body = UpdateRequest,
    responses(
        (status = 200, description = "Stored", body = UpdateResponse),
        (status = 400, description = "Not JSON, a duplicate key, or not that shape"),
        (status = 413, description = "The body or `data` is too large"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "Records that can't be stored, one entry for each bad place; or an Idempotency-Key that came with another call"),
        (status = 429, description = "More calls a second than the client may make"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["end_users:write"])),
)]
pub(crate) async fn update(caller: Caller, request: Request) -> Result<UpdateResponse, Problem> {
    let (parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
    receive(&caller.state, &caller.principal, (&parts.headers, id), body).await
}

/// Receives an update call, whichever way it came: its headers, its request's id and its body.
pub(crate) async fn receive<B>(
    state: &AppState,
    principal: &Arc<Principal>,
    (headers, request_id): (&HeaderMap, &str),
    body: B,
) -> Result<UpdateResponse, Problem>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let started = Instant::now();
    body::demand_json(headers)?;
    if !state.rates().take(&principal.id(), started) {
        let limit = state.config.limits.updates_per_second;
        return Err(Problem::new(
            Kind::TooManyRequests,
            format!("over {limit} update calls a second: wait and repeat"),
        ));
    }
    let key = idempotency_key(headers)?;
    let body = body::read_all(headers, body, state.config.limits.body_mib << 20).await?;
    let call_hash = key.as_ref().map(|_| xxh3_64(&body));
    let Judged { target, records, update } = judge(state, principal, body).await?;
    let outcome = match update {
        Ok(mut update) => {
            update.idempotency = key.zip(call_hash).map(|(key, call_hash)| {
                let key = [principal.id().as_bytes(), b"\0", key.as_bytes()].concat();
                Idempotency { key, call_hash }
            });
            state.engine.update(update).await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    let (status, problem) = match &outcome {
        Ok(_) => (200, None),
        Err(problem) => (problem.status().as_u16(), Some(problem)),
    };
    let call = CallRecord {
        at: state.clock.now(),
        client: principal.id().into_owned(),
        status,
        records: Some(records),
        duration_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        request_id: request_id.to_owned(),
        errors: problem.map_or_else(Vec::new, logged_errors),
        errors_total: problem.map_or(0, |problem| problem.errors().len().max(1) as u64),
    };
    state.calls.record(&target.0, &target.1, call);
    outcome.map(UpdateResponse::from)
}

/// A call that reached an integration.
struct Judged {
    target: (SystemId, IntegrationId),
    records: u64,
    update: Result<Update, Problem>,
}

/// Reads the call and judges it against its integration; large ones beside the threads that answer requests.
async fn judge(state: &AppState, principal: &Arc<Principal>, body: Bytes) -> Result<Judged, Problem> {
    if body.len() <= INLINE_BYTES {
        return judge_now(state, principal, &body);
    }
    let (state, principal) = (state.clone(), Arc::clone(principal));
    let judged = tokio::task::spawn_blocking(move || judge_now(&state, &principal, &body));
    judged.await.map_err(|error| Problem::internal(&error.to_string()))?
}

fn judge_now(state: &AppState, principal: &Principal, body: &[u8]) -> Result<Judged, Problem> {
    let call = read_call(body)?;
    let live = state.rules.live();
    let target = state.accounts.integration_of(&live, &call.token);
    let Some((target, rules)) = target.and_then(|target| live.systems.get(&target.0).map(|rules| (target, rules)))
    else {
        return Err(Problem::new(
            Kind::Forbidden,
            "`token` is no live token of an enabled integration of kind `api`; it is not the access token",
        ));
    };
    let records = call.len() as u64;
    let update = || call.to_update(rules, &target.1, &state.config.limits).map_err(Problem::from);
    let update = match principal.sight(&target.0, Permission::EndUsersWrite) {
        Granted::All => update(),
        Granted::None => Err(Problem::lacking(Permission::EndUsersWrite)),
        Granted::UnitGroups(_) => update().and_then(|update| only_in_sight(state, principal, rules, update)),
    };
    Ok(Judged { target, records, update })
}

/// The update, if the caller may write every end user in it: one whom it may not, and one that is not there yet, are
/// refused in the same words, so that nobody learns who lies outside of their unit groups.
fn only_in_sight(state: &AppState, principal: &Principal, rules: &RuleSet, update: Update) -> Result<Update, Problem> {
    let reader = view(state, &rules.system, &sight(principal, rules, &[Permission::EndUsersWrite]))?;
    if update.records.ids().all(|id| reader.has(id)) {
        return Ok(update);
    }
    let detail = "your `end_users:write` here is over the end users of some unit groups, and this call names others: \
        nothing of it was stored";
    Err(Problem::new(Kind::Forbidden, detail))
}

/// The call's `Idempotency-Key`: 400 when it is not 1 to 255 visible ASCII characters.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(Kind::Malformed, "`Idempotency-Key` was sent twice: a call has one"));
    }
    let good = (1..=MAX_KEY).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    value.to_str().ok().filter(|_| good).map(|key| Some(key.to_owned())).ok_or_else(|| {
        Problem::new(Kind::Malformed, format!("`Idempotency-Key` must be 1 to {MAX_KEY} visible ASCII characters"))
    })
}

/// What the call log keeps of a refusal: places and codes, never values.
fn logged_errors(problem: &Problem) -> Vec<CallError> {
    if problem.errors().is_empty() {
        return vec![CallError::new("", problem.kind().slug())];
    }
    let kept = problem.errors().iter().take(crate::intake::calls::MAX_ERRORS);
    kept.map(|place| CallError::new(&place.pointer, &place.code)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_visible_ascii() {
        let key = |bytes: &[u8]| {
            let value = axum::http::HeaderValue::from_bytes(bytes).unwrap();
            idempotency_key(&HeaderMap::from_iter([(IDEMPOTENCY_KEY, value)])).map_err(|problem| problem.status())
        };
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        assert_eq!(key(b"order-17!").unwrap().as_deref(), Some("order-17!"));
        assert_eq!(key(&[b'x'; 255]).unwrap().unwrap().len(), 255);
        for bad in [&b""[..], b"a b", "é".as_bytes(), &[b'x'; 256]] {
            assert_eq!(key(bad).unwrap_err(), 400, "{bad:?}");
        }
        let mut twice = HeaderMap::new();
        for value in ["a", "b"] {
            twice.append(IDEMPOTENCY_KEY, axum::http::HeaderValue::from_static(value));
        }
        assert_eq!(idempotency_key(&twice).unwrap_err().status(), 400);
    }

    #[test]
    fn the_call_log_gets_places_and_codes_and_no_value() {
        let place = super::super::super::problem::ProblemPlace {
            pointer: "/data/0/Seats".to_owned(),
            code: "not_a_number".to_owned(),
            detail: "`secret` is no number".to_owned(),
        };
        let refused = Problem::new(Kind::Refused, "`secret`").with_errors([place]);
        assert_eq!(logged_errors(&refused), [CallError::new("/data/0/Seats", "not_a_number")]);
        assert_eq!(
            logged_errors(&Problem::lacking(Permission::EndUsersWrite)),
            [CallError::new("", "forbidden")],
            "a refusal of the whole call is noted by its kind"
        );
    }

    #[test]
    fn the_answer_is_as_the_contract_has_it() {
        let outcome = Outcome { received: 3, created: 1, updated: 1, unchanged: 1 };
        assert_eq!(
            serde_json::to_string(&UpdateResponse::from(outcome)).unwrap(),
            r#"{"message":"Request has been received","received":3,"created":1,"updated":1,"unchanged":1}"#
        );
    }
}
