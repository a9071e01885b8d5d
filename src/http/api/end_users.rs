//! `/public/v1/systems/{s}/end-users/…`: reading, deleting and unsetting; the page load.
//!
//! Shows declared attributes of enabled integrations only; what is hidden stays stored and unseen.

use std::collections::BTreeMap;
use std::io::{self, Write};

use axum::Json;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body;
use super::super::problem::Problem;
use crate::accounts::Act;
use crate::engine::{EndUser, Members, Reader, RecordWrite};
use crate::model::{AttributeId, AttributeName, EndUserId, IntegrationId, Permission, SegmentId, Timestamp};
use crate::ruleset::RuleSet;

/// An end user.
#[derive(Serialize, ToSchema)]
#[schema(as = EndUser)]
pub(crate) struct EndUserResponse {
    /// The identifier.
    id: String,
    /// When the first attribute was stored.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When an attribute changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The attributes of each integration: strings, numbers, dates as `YYYY-MM-DD`.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, serde_json::Value>>)]
    attributes: BTreeMap<IntegrationId, BTreeMap<AttributeName, serde_json::Value>>,
    /// When each integration set one last.
    #[schema(value_type = BTreeMap<String, String>)]
    set_at: BTreeMap<IntegrationId, Timestamp>,
    /// The segments that the end user is in now; only for callers with `segments:read` over this end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    segments: Option<Vec<SegmentId>>,
}

/// What a page needs to know when it loads.
#[derive(Serialize, ToSchema)]
pub(crate) struct PageLoadResponse<'a> {
    /// The identifier.
    id: &'a str,
    /// Whether anything is stored of the end user; one who is not known is judged as one with no attributes.
    known: bool,
    /// The segments that the end user is in.
    #[schema(value_type = Vec<String>)]
    segments: Vec<SegmentId>,
    /// When this was so.
    #[schema(value_type = String, format = DateTime)]
    evaluated_at: Timestamp,
}

impl PageLoadResponse<'_> {
    /// What serde would write. By hand, because this is what the server does most of all.
    fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut json = Vec::with_capacity(512);
        json.extend_from_slice(b"{\"id\":");
        serde_json::to_writer(&mut json, self.id)?;
        let known: &[u8] = if self.known { b",\"known\":true" } else { b",\"known\":false" };
        json.extend_from_slice(known);
        json.extend_from_slice(b",\"segments\":[");
        for (at, segment) in self.segments.iter().enumerate() {
            // Ids have nothing in them that JSON escapes.
            json.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
            json.extend_from_slice(segment.as_str().as_bytes());
            json.push(b'"');
        }
        write!(json, "],\"evaluated_at\":\"{}\"}}", self.evaluated_at)?;
        Ok(json)
    }
}

/// One end user
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/end-users/{id}", operation_id = "get_end_user", tag = "End users",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The end user's identifier, percent-encoded")),
    responses(
        (status = 200, description = "The end user", body = EndUserResponse),
        (status = 404, description = "Unknown end user or system"),
        (status = 422, description = "No identifier"),
    ),
    security(("oauth2" = ["end_users:read"])),
)]
pub(crate) async fn show(at: At<needs::EndUsersRead>) -> Result<Json<EndUserResponse>, Problem> {
    let id = at.end_user()?;
    let reader = at.reader()?;
    let end_user = reader.end_user(&id).ok_or_else(unknown)?;
    let (attributes, set_at) = visible(&end_user, reader.rules());
    let (created_at, updated_at) = (end_user.created_at(), end_user.updated_at());
    let members = at.narrowed(reader, Permission::SegmentsRead).segments_of(&id);
    let segments = members.known.then_some(members.segments);
    Ok(Json(EndUserResponse { id: id.as_str().to_owned(), created_at, updated_at, attributes, set_at, segments }))
}

type Attributes = BTreeMap<IntegrationId, BTreeMap<AttributeName, serde_json::Value>>;

/// What may be seen of an end user: declared attributes of enabled integrations, and when those set one.
fn visible(end_user: &EndUser<'_>, rules: &RuleSet) -> (Attributes, BTreeMap<IntegrationId, Timestamp>) {
    let (mut attributes, mut set_at) = (Attributes::new(), BTreeMap::new());
    for integration in rules.integrations.values().filter(|integration| integration.enabled) {
        let values: BTreeMap<_, _> = integration
            .properties
            .iter()
            .filter_map(|property| {
                let attribute = AttributeId { integration: integration.id.clone(), name: property.name.clone() };
                end_user.value(&attribute, property.kind).map(|value| (property.name.clone(), value.to_json()))
            })
            .collect();
        if !values.is_empty() {
            attributes.insert(integration.id.clone(), values);
        }
        if let Some(at) = end_user.set_at(&integration.id) {
            set_at.insert(integration.id.clone(), at);
        }
    }
    (attributes, set_at)
}

/// The segments of an end user, for a page that loads
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/end-users/{id}/segments", operation_id = "get_end_user_segments", tag = "End users",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The end user's identifier, percent-encoded")),
    responses(
        (status = 200, description = "The segments; an end user who is not known is judged as one with no attributes", body = PageLoadResponse),
        (status = 404, description = "Unknown system"),
        (status = 422, description = "No identifier"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn segments(at: At<needs::EndUsersAndSegmentsRead>) -> Result<Response, Problem> {
    page_load(&at.reader()?, &at.rules, at.param("id"))
}

/// Answers a page load, whichever way it came: 422 when `id` is no identifier.
pub(crate) fn page_load(reader: &Reader, rules: &RuleSet, id: &str) -> Result<Response, Problem> {
    let id = EndUserId::in_case(id, rules.settings.identifier_case)?;
    let Members { known, segments } = reader.segments_of(&id);
    let answer = PageLoadResponse { id: id.as_str(), known, segments, evaluated_at: reader.now() };
    answer.to_json().map(body::json).map_err(|error| Problem::internal(&error.to_string()))
}

/// Delete an end user
#[utoipa::path(
    delete, path = "/public/v1/systems/{s}/end-users/{id}", operation_id = "delete_end_user", tag = "End users",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The end user's identifier, percent-encoded")),
    responses(
        (status = 204, description = "Gone from every answer"),
        (status = 404, description = "Unknown end user or system"),
        (status = 422, description = "No identifier"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["end_users:delete"])),
)]
pub(crate) async fn delete(at: At<needs::EndUsersDelete>) -> Result<StatusCode, Problem> {
    remove(&at).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes the end user that the path names: 404 where there is none to be seen.
pub(crate) async fn remove(at: &At<needs::EndUsersDelete>) -> Result<(), Problem> {
    let id = at.end_user()?;
    demand_in_sight(at, &id, Permission::EndUsersDelete)?;
    at.state.imports.forget(at.system(), &id).await;
    let entry = audited(at, "end_user.delete", &id, None)?;
    let deleted = at.state.engine.delete(at.system().clone(), id, vec![entry]).await?;
    if deleted { Ok(()) } else { Err(unknown()) }
}

/// Unset one attribute of an end user
#[utoipa::path(
    delete, path = "/public/v1/systems/{s}/end-users/{id}/attributes/{a}", operation_id = "unset_attribute", tag = "End users",
    params(
        ("s" = String, Path, description = "The system"),
        ("id" = String, Path, description = "The end user's identifier, percent-encoded"),
        ("a" = String, Path, description = "The attribute, `<integration>.<name>`"),
    ),
    responses(
        (status = 204, description = "It has no value now"),
        (status = 404, description = "Unknown attribute, or it had no value"),
        (status = 422, description = "No identifier"),
        (status = 507, description = "Too little disk is left"),
    ),
    security(("oauth2" = ["end_users:write"])),
)]
pub(crate) async fn unset(at: At<needs::EndUsersWrite>) -> Result<StatusCode, Problem> {
    unset_one(&at, at.param("a")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unsets an attribute of the end user that the path names: 404 where there is none, or nothing of it to be seen.
pub(crate) async fn unset_one(at: &At<needs::EndUsersWrite>, attribute: &str) -> Result<(), Problem> {
    let id = at.end_user()?;
    let attribute: AttributeId = attribute.parse()?;
    if at.rules.attribute_type(&attribute).is_none() {
        return Err(Problem::not_found(format!("there is no attribute `{attribute}` of an enabled integration")));
    }
    demand_in_sight(at, &id, Permission::EndUsersWrite)?;
    let entry = audited(at, "end_user.unset", &id, Some(&attribute))?;
    let unset = at.state.engine.unset(at.system().clone(), id, attribute, vec![entry]).await?;
    if unset { Ok(()) } else { Err(Problem::not_found("the end user has no value of it")) }
}

/// 404 for an end user over whom the caller does not have the permission, as for one that there is not.
fn demand_in_sight<P>(at: &At<P>, id: &EndUserId, permission: Permission) -> Result<(), Problem> {
    at.reader_for(&at.rules, &[permission])?.end_user(id).map(|_| ()).ok_or_else(unknown)
}

/// What the audit says of a change of an end user: a keyed hash stands for the identifier.
fn audited<P>(
    at: &At<P>,
    action: &'static str,
    id: &EndUserId,
    attribute: Option<&AttributeId>,
) -> Result<RecordWrite, Problem> {
    let accounts = &at.state.accounts;
    let object = format!("systems/{}/end-users/{}", at.system(), accounts.end_user_hash(at.system(), id));
    let act = match attribute {
        Some(attribute) => Act::new(action, object).before(serde_json::json!({ "attribute": attribute.to_string() })),
        None => Act::new(action, object),
    };
    Ok(accounts.audited(&at.actor, act)?)
}

fn unknown() -> Problem {
    Problem::not_found("there is no such end user")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_load_is_written_as_serde_writes_it() {
        let segment = |id: &str| SegmentId::new(id).unwrap();
        for (id, segments) in [
            ("ann", vec![]),
            ("a\"b\\c/ü\u{2028}😀", vec![segment("a")]),
            ("7", vec![segment("a"), segment("b_1"), segment("premium")]),
        ] {
            for known in [false, true] {
                let evaluated_at = Timestamp::from_millis(1_559_687_258_417);
                let answer = PageLoadResponse { id, known, segments: segments.clone(), evaluated_at };
                assert_eq!(answer.to_json().unwrap(), serde_json::to_vec(&answer).unwrap());
            }
        }
    }
}
