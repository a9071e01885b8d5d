//! `/public/v1/systems/{s}/segments…`: the segments at work: how many are in them, who, and how that went.
//!
//! Their files are read and written elsewhere (`segments`).

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::page::{self, ListPage, Page, PageQuery};
use super::super::problem::{Kind, Problem};
use super::super::turns::aside;
use crate::engine::Reader;
use crate::model::{SegmentId, Timestamp};
use crate::segments::Segment;

/// How a segment's rule runs.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// As a condition over the index.
    Index,
    /// As a script for each end user.
    Script,
}

impl Mode {
    pub(crate) fn of(segment: &Segment) -> Self {
        if segment.condition().is_ok() { Self::Index } else { Self::Script }
    }
}

/// A segment at work.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentAtWork)]
pub(crate) struct SegmentItem {
    /// Its id.
    #[schema(value_type = String)]
    id: SegmentId,
    /// Its name.
    name: String,
    /// Its description.
    description: String,
    /// How many end users are in it.
    count: u64,
    /// How its rule runs.
    mode: Mode,
    /// How often its rule has failed since it went live: whoever it fails for is not in the segment. Null for who may see
    /// only some of the end users.
    errors: Option<u64>,
}

/// A segment at work, with its rule.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentWithRule)]
pub(crate) struct SegmentResponse {
    #[serde(flatten)]
    item: SegmentItem,
    /// How its rule failed last.
    last_error: Option<String>,
    /// Its rule.
    text: String,
    /// Why its rule runs as a script; null when it does not.
    why: Option<String>,
    /// The attributes that its rule reads.
    reads: Vec<String>,
    /// The segments that its rule asks about.
    #[schema(value_type = Vec<String>)]
    depends_on: Vec<SegmentId>,
    /// Whether its rule's answer may change with the day.
    uses_today: bool,
}

/// A segment's count at one time.
#[derive(Serialize, ToSchema)]
pub(crate) struct CountItem {
    /// The beginning of the hour.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// How many were in it then.
    count: u64,
}

impl SegmentItem {
    fn new(reader: &Reader, segment: &Segment, count: u64) -> Self {
        Self {
            id: segment.id.clone(),
            name: segment.name.clone(),
            description: segment.description.clone(),
            count,
            mode: Mode::of(segment),
            errors: reader.sees_all().then(|| reader.failures(&segment.id).0),
        }
    }
}

/// Segments with their counts
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/segments", operation_id = "list_segment_counts", tag = "Segments",
    params(("s" = String, Path, description = "The system"), PageQuery),
    responses(
        (status = 200, description = "The segments, by id", body = ListPage<SegmentItem>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn list(
    at: At<needs::EndUsersAndSegmentsRead>,
    page: Page,
) -> Result<Json<ListPage<SegmentItem>>, Problem> {
    let reader = at.reader()?;
    aside(move || {
        let segments = reader.segment_counts().into_iter().filter_map(|(id, count)| {
            let segment = reader.rules().segments.get(&id)?;
            Some((id.to_string(), SegmentItem::new(&reader, segment, count)))
        });
        Ok(Json(page.of(segments)))
    })
    .await
}

/// A segment with its count and rule
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/segments/{id}", operation_id = "get_segment_count", tag = "Segments",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The segment")),
    responses(
        (status = 200, description = "The segment", body = SegmentResponse),
        (status = 404, description = "Unknown system or segment"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn show(at: At<needs::EndUsersAndSegmentsRead>) -> Result<Json<SegmentResponse>, Problem> {
    let id = at.segment()?.id.clone();
    let reader = at.reader()?;
    aside(move || {
        let segment = reader.rules().segments.get(&id).ok_or_else(|| gone(&id))?;
        let count = reader.segment_count(&id);
        Ok(Json(SegmentResponse {
            item: SegmentItem::new(&reader, segment, count),
            last_error: reader.failures(&id).1.filter(|_| reader.sees_all()),
            text: segment.text.to_string(),
            why: segment.condition().err().map(str::to_owned),
            reads: segment.reads().iter().map(ToString::to_string).collect(),
            depends_on: segment.depends_on().to_vec(),
            uses_today: segment.uses_today(),
        }))
    })
    .await
}

/// The members of a segment
///
/// The cursor never skips or repeats an end user who is in the segment all the while.
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/segments/{id}/members", operation_id = "list_segment_members", tag = "Segments",
    params(
        ("s" = String, Path, description = "The system"),
        ("id" = String, Path, description = "The segment"),
        PageQuery,
    ),
    responses(
        (status = 200, description = "Their identifiers", body = ListPage<String>),
        (status = 400, description = "No such limit or cursor"),
        (status = 404, description = "Unknown system or segment"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn members(
    at: At<needs::EndUsersAndSegmentsRead>,
    page: Page,
) -> Result<Json<ListPage<String>>, Problem> {
    let id = at.segment()?.id.clone();
    let after = page.row(&at.state.accounts, at.system())?;
    let reader = at.reader()?;
    aside(move || {
        let members = reader.members(&id, after, page.limit);
        let items = members.rows.iter().map(|row| reader.at(*row).id().to_owned()).collect();
        let next = members.next.map(|row| page::cursor_after(row, &at.state.accounts, at.system()));
        Ok(Json(ListPage { items, next_cursor: next.transpose()? }))
    })
    .await
}

/// A segment's count over time
///
/// At the beginning of each hour of the last 90 days, oldest first, as far as a server ran; all in one answer. For callers
/// who may see all end users.
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/segments/{id}/history", operation_id = "get_segment_history", tag = "Segments",
    params(("s" = String, Path, description = "The system"), ("id" = String, Path, description = "The segment")),
    responses(
        (status = 200, description = "The counts", body = ListPage<CountItem>),
        (status = 403, description = "A permission is lacking, or the caller may see only some of the end users"),
        (status = 404, description = "Unknown system or segment"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn history(at: At<needs::EndUsersAndSegmentsRead>) -> Result<Json<ListPage<CountItem>>, Problem> {
    if !at.reader()?.sees_all() {
        return Err(Problem::new(
            Kind::Forbidden,
            "earlier counts are of all end users, of whom you may see only some",
        ));
    }
    let id = at.segment()?.id.clone();
    let (engine, system) = (at.state.engine.clone(), at.system().clone());
    aside(move || {
        let counts = engine.history(&system, &id).map_err(|error| Problem::internal(&error.to_string()))?;
        let items = counts.into_iter().map(|(at, count)| CountItem { at, count }).collect();
        Ok(Json(ListPage { items, next_cursor: None }))
    })
    .await
}

fn gone(id: &SegmentId) -> Problem {
    Problem::not_found(format!("there is no segment `{id}`"))
}
