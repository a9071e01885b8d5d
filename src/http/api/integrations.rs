//! `/admin/v1/systems/{s}/integrations…`: the integrations' files.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::body::JsonBody;
use super::super::page::{ListPage, Page, PageQuery};
use super::super::problem::Problem;
use super::rule_files::{self, FileRequest, FileResponse};
use crate::model::{AttributeType, IntegrationId};
use crate::ruleset::{Integration, IntegrationKind, Property, RulePath};

/// An integration in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntegrationItem {
    /// Its id, the stem of its file.
    #[schema(value_type = String)]
    id: IntegrationId,
    /// The name that is shown beside its attributes.
    name: String,
    /// What it is for.
    description: String,
    /// `api` or `csv`.
    #[schema(value_type = String)]
    kind: IntegrationKind,
    /// Whether it takes calls, and its attributes are seen.
    enabled: bool,
    /// Where a record has the end user's identifier.
    user_identifier: String,
    /// What it stores.
    attributes: Vec<AttributeItem>,
    /// What its file's text is known by, for `If-Match`.
    etag: Option<String>,
}

/// An attribute of an integration.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttributeItem {
    /// Its id, `<integration>.<name>`.
    id: String,
    /// Its name.
    name: String,
    /// Where a record has it.
    field: String,
    /// `string`, `number` or `date`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: AttributeType,
    /// What it means.
    description: String,
}

impl AttributeItem {
    fn new(integration: &IntegrationId, property: &Property) -> Self {
        Self {
            id: format!("{integration}.{}", property.name),
            name: property.name.to_string(),
            field: property.field.as_str().to_owned(),
            kind: property.kind,
            description: property.description.clone(),
        }
    }
}

impl IntegrationItem {
    fn new(integration: &Integration, etag: Option<String>) -> Self {
        let Integration { id, name, description, kind, user_identifier, enabled, properties, names: _ } = integration;
        Self {
            id: id.clone(),
            name: name.clone(),
            description: description.clone(),
            kind: *kind,
            enabled: *enabled,
            user_identifier: user_identifier.as_str().to_owned(),
            attributes: properties.iter().map(|property| AttributeItem::new(id, property)).collect(),
            etag,
        }
    }
}

/// The integrations of a system
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/integrations", operation_id = "list_integrations", tag = "Rules",
    params(("s" = String, Path, description = "The system"), PageQuery),
    responses(
        (status = 200, description = "The integrations, by id", body = ListPage<IntegrationItem>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["integrations:read"])),
)]
pub(crate) async fn list(at: At<needs::IntegrationsRead>, page: Page) -> Json<ListPage<IntegrationItem>> {
    Json(page.of(at.rules.integrations.values().map(|integration| {
        let etag = rule_files::etag_of(&at.rules, &RulePath::Integration(integration.id.clone()));
        (integration.id.to_string(), IntegrationItem::new(integration, etag))
    })))
}

/// An integration's file
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/integrations/{i}", operation_id = "get_integration", tag = "Rules",
    params(("s" = String, Path, description = "The system"), ("i" = String, Path, description = "The integration")),
    responses(
        (status = 200, description = "The file", body = FileResponse),
        (status = 404, description = "Unknown system or integration"),
    ),
    security(("oauth2" = ["integrations:read"])),
)]
pub(crate) async fn show(at: At<needs::IntegrationsRead>) -> Result<Response, Problem> {
    let id = at.integration()?.id.clone();
    Ok(rule_files::show(&at.rules, &RulePath::Integration(id)))
}

/// Write an integration's file
///
/// Checked with the rest of the system first; live when this answers. Needs also `publish:<stage>`.
#[utoipa::path(
    put, path = "/admin/v1/systems/{s}/integrations/{i}", operation_id = "put_integration", tag = "Rules",
    params(
        ("s" = String, Path, description = "The system"),
        ("i" = String, Path, description = "The integration"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the file must still have"),
    ),
    request_body = FileRequest,
    responses(
        (status = 200, description = "Written and live", body = FileResponse),
        (status = 201, description = "Made and live", body = FileResponse),
        (status = 404, description = "Unknown system"),
        (status = 409, description = "Rules are read-only here"),
        (status = 412, description = "The file was changed meanwhile"),
        (status = 422, description = "The rules would not load with it, or the id is none"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn put(
    at: At<needs::IntegrationsWrite>,
    headers: HeaderMap,
    JsonBody(FileRequest { text }): JsonBody<FileRequest>,
) -> Result<Response, Problem> {
    let id = IntegrationId::new(at.param("i"))?;
    rule_files::put(&at, RulePath::Integration(id), text, &headers).await
}

/// Delete an integration
///
/// Its values are hidden, not lost, and its token is good for nothing any more. Needs also `publish:<stage>`.
#[utoipa::path(
    delete, path = "/admin/v1/systems/{s}/integrations/{i}", operation_id = "delete_integration", tag = "Rules",
    params(
        ("s" = String, Path, description = "The system"),
        ("i" = String, Path, description = "The integration"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the file must still have"),
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "Unknown system or integration"),
        (status = 409, description = "Rules are read-only here"),
        (status = 412, description = "The file was changed meanwhile"),
        (status = 422, description = "The rules would not load without it"),
    ),
    security(("oauth2" = ["integrations:write"])),
)]
pub(crate) async fn delete(at: At<needs::IntegrationsWrite>, headers: HeaderMap) -> Result<StatusCode, Problem> {
    let id = at.integration()?.id.clone();
    rule_files::delete(&at, RulePath::Integration(id), &headers).await?;
    Ok(StatusCode::NO_CONTENT)
}
