//! The list of a system's segments.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::answer::Failure;
use super::super::figures::{Spark, grouped};
use super::super::frame::{Frame, Section};
use super::super::visit::VisitAt;
use super::super::writing::Pen;
use crate::http::auth::needs;
use crate::http::page::Page;
use crate::http::problem::Problem;
use crate::http::turns::aside;
use crate::model::Permission;
use crate::segments::Segment;

/// Segments on a page.
const SHOWN: usize = 100;
/// Days that are drawn: what is read for them grows with the segments.
const DAYS: i64 = 30;

/// What is searched.
#[derive(Default, Deserialize)]
pub(in crate::http::console) struct Search {
    #[serde(default)]
    q: String,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "http/console/segments/list.html")]
struct ListPage {
    frame: Frame,
    base: String,
    new: String,
    /// Where counts and events are asked for; none where they may not be.
    live: Option<String>,
    pen: Pen,
    query: String,
    rows: Vec<Row>,
    some: bool,
    next: Option<String>,
}

struct Row {
    id: String,
    name: String,
    description: String,
    count: String,
    course: Spark,
    script: bool,
    errors: u64,
}

fn is_called(segment: &Segment, wanted: &str) -> bool {
    [segment.id.as_str(), &segment.name, &segment.description].iter().any(|text| text.to_lowercase().contains(wanted))
}

/// The page.
pub(in crate::http::console) async fn page(
    visit: VisitAt<needs::SegmentsRead>,
    query: Result<Query<Search>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(search) = query.unwrap_or_default();
    let query = search.q.trim().to_owned();
    let wanted = query.to_lowercase();
    let part = Page::new(Some(SHOWN), search.cursor)?;
    let found = visit.rules.segments.by_id().filter(|segment| is_called(segment, &wanted));
    let found = part.of(found.map(|segment| (segment.id.to_string(), segment.clone())));
    let counted = visit.demand(Permission::EndUsersRead).is_ok();
    let base = visit.path("segments");
    let next = found.next_cursor.map(|cursor| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", &query)
            .append_pair("cursor", &cursor)
            .finish();
        format!("{base}?{query}")
    });
    let page = ListPage {
        frame: visit.frame(Section::Segments),
        new: visit.path("new-segment"),
        live: counted.then(|| format!("/public/v1/systems/{}", visit.system())),
        pen: Pen::of(&visit, Permission::SegmentsWrite),
        rows: rows(&visit, found.items, counted).await?,
        some: visit.rules.segments.iter().next().is_some(),
        query,
        next,
        base,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

async fn rows(
    visit: &VisitAt<needs::SegmentsRead>,
    segments: Vec<Segment>,
    counted: bool,
) -> Result<Vec<Row>, Problem> {
    let reader = if counted {
        Some(visit.reader_for(&visit.rules, &[Permission::EndUsersRead, Permission::SegmentsRead])?)
    } else {
        None
    };
    let (engine, system) = (visit.state.engine.clone(), visit.system().clone());
    aside(move || {
        let Some(reader) = reader else {
            return Ok(segments.into_iter().map(|segment| Row::new(&segment, String::new(), &[], 0)).collect());
        };
        // Earlier counts are of all end users.
        let mut histories = match reader.sees_all() {
            true => engine.histories(&system, DAYS).map_err(|error| Problem::internal(&error.to_string()))?,
            false => Default::default(),
        };
        let counts: std::collections::BTreeMap<_, _> = reader.segment_counts().into_iter().collect();
        let row = |segment: Segment| {
            let count = counts.get(&segment.id).copied().unwrap_or_default();
            let mut history = histories.remove(&segment.id).unwrap_or_default();
            history.push((reader.now(), count));
            let errors = if reader.sees_all() { reader.failures(&segment.id).0 } else { 0 };
            Row::new(&segment, grouped(count), if reader.sees_all() { &history } else { &[] }, errors)
        };
        Ok(segments.into_iter().map(row).collect())
    })
    .await
}

impl Row {
    fn new(segment: &Segment, count: String, history: &[(crate::model::Timestamp, u64)], errors: u64) -> Self {
        Self {
            id: segment.id.to_string(),
            name: segment.name.clone(),
            description: segment.description.clone(),
            count,
            course: Spark::new(history),
            script: segment.condition().is_err(),
            errors,
        }
    }
}
