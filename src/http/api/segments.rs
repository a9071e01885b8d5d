//! `/admin/v1/systems/{s}/segments…`: the segments' files.

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
use crate::model::SegmentId;
use crate::ruleset::RulePath;

/// A segment in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct SegmentItem {
    /// Its id, the stem of its file.
    #[schema(value_type = String)]
    id: SegmentId,
    /// Its name, the first comment line.
    name: String,
    /// Its description, the further comment lines.
    description: String,
    /// What its file's text is known by, for `If-Match`.
    etag: Option<String>,
}

/// The segments of a system
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/segments", operation_id = "list_segments", tag = "Rules",
    params(("s" = String, Path, description = "The system"), PageQuery),
    responses(
        (status = 200, description = "The segments, by id", body = ListPage<SegmentItem>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn list(at: At<needs::SegmentsRead>, page: Page) -> Json<ListPage<SegmentItem>> {
    let mut segments: Vec<_> = at.rules.segments.iter().collect();
    segments.sort_by(|a, b| a.id.cmp(&b.id));
    Json(page.of(segments.into_iter().map(|segment| {
        let item = SegmentItem {
            id: segment.id.clone(),
            name: segment.name.clone(),
            description: segment.description.clone(),
            etag: rule_files::etag_of(&at.rules, &RulePath::Segment(segment.id.clone())),
        };
        (segment.id.to_string(), item)
    })))
}

/// A segment's file
#[utoipa::path(
    get, path = "/admin/v1/systems/{s}/segments/{id}", operation_id = "get_segment", tag = "Rules",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The segment")),
    responses(
        (status = 200, description = "The file", body = FileResponse),
        (status = 404, description = "Unknown system or segment"),
    ),
    security(("oauth2" = ["segments:read"])),
)]
pub(crate) async fn show(at: At<needs::SegmentsRead>) -> Result<Response, Problem> {
    let id = at.segment()?.id.clone();
    Ok(rule_files::show(&at.rules, &RulePath::Segment(id)))
}

/// Write a segment's file
///
/// Checked with the rest of the system first; live when this answers. Needs also `publish:<stage>`.
#[utoipa::path(
    put, path = "/admin/v1/systems/{s}/segments/{id}", operation_id = "put_segment", tag = "Rules",
    params(
        ("s" = String, Path, description = "The system"),
        ("id" = String, Path, description = "The segment"),
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
    security(("oauth2" = ["segments:write"])),
)]
pub(crate) async fn put(
    at: At<needs::SegmentsWrite>,
    headers: HeaderMap,
    JsonBody(FileRequest { text }): JsonBody<FileRequest>,
) -> Result<Response, Problem> {
    let id = SegmentId::new(at.param("id"))?;
    rule_files::put(&at, RulePath::Segment(id), text, &headers).await
}

/// Delete a segment
///
/// Needs also `publish:<stage>`.
#[utoipa::path(
    delete, path = "/admin/v1/systems/{s}/segments/{id}", operation_id = "delete_segment", tag = "Rules",
    params(
        ("s" = String, Path, description = "The system"),
        ("id" = String, Path, description = "The segment"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that the file must still have"),
    ),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "Unknown system or segment"),
        (status = 409, description = "Rules are read-only here"),
        (status = 412, description = "The file was changed meanwhile"),
        (status = 422, description = "The rules would not load without it"),
    ),
    security(("oauth2" = ["segments:write"])),
)]
pub(crate) async fn delete(at: At<needs::SegmentsWrite>, headers: HeaderMap) -> Result<StatusCode, Problem> {
    let id = at.segment()?.id.clone();
    rule_files::delete(&at, RulePath::Segment(id), &headers).await?;
    Ok(StatusCode::NO_CONTENT)
}
