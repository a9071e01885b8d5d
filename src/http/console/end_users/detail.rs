//! One end user: attributes by integration, segments with why and why not.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::answer::{Failure, sentence};
use super::super::flash::Flash;
use super::super::frame::{Frame, Section};
use super::super::visit::{Posted, VisitAt};
use super::super::when::Moment;
use super::path_of;
use crate::engine::{EndUser, Reader};
use crate::http::api::end_users::{remove, unset_one};
use crate::http::api::explain::{self, ExplainResponse};
use crate::http::auth::needs;
use crate::http::problem::Problem;
use crate::http::turns::aside;
use crate::model::{AttributeId, Permission, SegmentId, Value};
use crate::predicate::{Change, Explained};
use crate::ruleset::Integration;

type Visit = VisitAt<needs::EndUsersRead>;

/// What is asked beside who it is.
#[derive(Default, Deserialize)]
pub(in crate::http::console) struct Asking {
    /// The segment of which to say why.
    why: Option<String>,
}

#[derive(Template)]
#[template(path = "http/console/end_users/detail.html")]
struct DetailPage {
    frame: Frame,
    base: String,
    path: String,
    segments_path: String,
    id: String,
    created_at: Moment,
    updated_at: Moment,
    sources: Vec<Source>,
    /// None where segments may not be read.
    segments: Option<Vec<SegmentRow>>,
    members: usize,
    why: Option<Why>,
    may_unset: bool,
    may_delete: bool,
}

/// What one integration says of the end user.
struct Source {
    name: String,
    id: String,
    set_at: Option<Moment>,
    /// Attribute's id, name, value.
    values: Vec<(String, String, String)>,
}

struct SegmentRow {
    id: String,
    name: String,
    member: bool,
    asked: bool,
}

/// Why an end user is in a segment or not.
struct Why {
    id: String,
    name: String,
    member: bool,
    script: String,
    error: String,
    lines: Vec<Line>,
    changes: Vec<String>,
    alternatives: Vec<String>,
    note: String,
}

/// A part of a rule, one a line; how deep it stands tells what it belongs to.
struct Line {
    /// The parts that it is within, and whether each goes on below it.
    depth: usize,
    held: bool,
    text: String,
    actual: Option<String>,
}

fn lines(tree: &Explained, depth: usize, into: &mut Vec<Line>) {
    let group = |text: &str| Line { depth, held: tree.held(), text: text.to_owned(), actual: None };
    match tree {
        Explained::All { all, .. } => {
            into.push(group("all of these"));
            all.iter().for_each(|part| lines(part, depth + 1, into));
        }
        Explained::Any { any, .. } => {
            into.push(group("any of these"));
            any.iter().for_each(|part| lines(part, depth + 1, into));
        }
        Explained::Not { not, .. } => {
            into.push(group("not"));
            lines(not, depth + 1, into);
        }
        Explained::Segment { segment, .. } => into.push(group(&format!("in the segment {segment}"))),
        Explained::Condition { condition, actual, .. } => {
            let actual = match actual {
                serde_json::Value::Null => "no value".to_owned(),
                value => value.to_string(),
            };
            into.push(Line { actual: Some(actual), ..group(condition) });
        }
    }
}

impl Why {
    fn new(name: String, answer: ExplainResponse) -> Self {
        let mut found = Vec::new();
        if let Some(tree) = &answer.tree {
            lines(tree, 0, &mut found);
        }
        let texts = |changes: &[Change]| changes.iter().map(|change| change.text.replace('`', "")).collect::<Vec<_>>();
        Self {
            id: answer.segment.to_string(),
            name,
            member: answer.member,
            script: answer.why.unwrap_or_default(),
            error: answer.error.as_deref().map(sentence).unwrap_or_default(),
            lines: found,
            changes: texts(&answer.changes),
            alternatives: answer.alternatives.iter().map(|set| texts(set).join(" and ")).collect(),
            note: answer.note.map(sentence).unwrap_or_default(),
        }
    }
}

fn text_of(value: &Value) -> String {
    match value.to_json() {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

fn source(end_user: &EndUser<'_>, integration: &Integration) -> Option<Source> {
    let value = |property: &crate::ruleset::Property| {
        let id = AttributeId { integration: integration.id.clone(), name: property.name.clone() };
        let value = end_user.value(&id, property.kind)?;
        Some((id.to_string(), property.name.to_string(), text_of(&value)))
    };
    let values: Vec<_> = integration.properties.iter().filter_map(value).collect();
    let set_at = end_user.set_at(&integration.id).map(Moment::of);
    (!values.is_empty() || set_at.is_some()).then(|| Source {
        name: integration.name.clone(),
        id: integration.id.to_string(),
        set_at,
        values,
    })
}

/// The page.
pub(in crate::http::console) async fn page(
    visit: Visit,
    asking: Result<Query<Asking>, QueryRejection>,
) -> Result<Response, Failure> {
    let id = visit.end_user()?;
    let why = asking.unwrap_or_default().0.why;
    let reader = visit.reader()?;
    let base = visit.path("end-users");
    let path = path_of(&base, id.as_str());
    let Some(end_user) = reader.end_user(&id) else {
        return Ok(visit.failed(Problem::not_found("there is no such end user, or none that you may see")));
    };
    let enabled = reader.rules().integrations.values().filter(|integration| integration.enabled);
    let sources = enabled.filter_map(|integration| source(&end_user, integration)).collect();
    let (created_at, updated_at) = (Moment::of(end_user.created_at()), Moment::of(end_user.updated_at()));
    // Segments are for who may read both of this one.
    let both = [Permission::EndUsersRead, Permission::SegmentsRead];
    let judged = if visit.demand(Permission::SegmentsRead).is_ok() {
        Some(visit.reader_for(&visit.rules, &both)?).filter(|reader| reader.end_user(&id).is_some())
    } else {
        None
    };
    let segments = judged.as_ref().map(|reader| rows(reader, &reader.segments_of(&id).segments, why.as_deref()));
    let members = segments.iter().flatten().filter(|row| row.member).count();
    let explained = match judged.zip(why.as_deref().and_then(|why| SegmentId::new(why).ok())) {
        Some((reader, segment)) => explain_one(reader, id.clone(), segment).await?,
        None => None,
    };
    let page = DetailPage {
        frame: visit.frame(Section::EndUsers),
        base,
        segments_path: visit.path("segments"),
        id: id.as_str().to_owned(),
        created_at,
        updated_at,
        sources,
        segments,
        members,
        why: explained,
        may_unset: visit.demand(Permission::EndUsersWrite).is_ok(),
        may_delete: visit.demand(Permission::EndUsersDelete).is_ok(),
        path,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

fn rows(reader: &Reader, members: &[SegmentId], why: Option<&str>) -> Vec<SegmentRow> {
    let row = |segment: &crate::segments::Segment| SegmentRow {
        member: members.contains(&segment.id),
        asked: why == Some(segment.id.as_str()),
        id: segment.id.to_string(),
        name: segment.name.clone(),
    };
    let mut rows: Vec<_> = reader.rules().segments.by_id().map(row).collect();
    rows.sort_by_key(|row| !row.member);
    rows
}

async fn explain_one(reader: Reader, id: crate::model::EndUserId, segment: SegmentId) -> Result<Option<Why>, Problem> {
    let Some(segment) = reader.rules().segments.get(&segment).cloned() else { return Ok(None) };
    let name = segment.name.clone();
    aside(move || Ok(Some(Why::new(name, explain::answer(&reader, &id, &segment))))).await
}

/// Unsets an attribute.
pub(in crate::http::console) async fn unset(
    Posted { visit, form }: Posted<VisitAt<needs::EndUsersWrite>>,
) -> Result<Response, Failure> {
    let attribute = form.field("attribute");
    let to = path_of(&visit.path("end-users"), visit.param("id"));
    let said = match unset_one(&visit, attribute).await {
        Ok(()) => Flash::good(format!("{attribute} has no value any more.")),
        Err(problem) => Flash::bad(sentence(problem.detail())),
    };
    // Who had this value alone is still there, with nothing known of them.
    Ok(visit.done(&to, &said))
}

#[derive(Template)]
#[template(path = "http/console/end_users/delete.html")]
struct DeletePage {
    frame: Frame,
    path: String,
    id: String,
}

/// Asks whether the end user is to be deleted.
pub(in crate::http::console) async fn ask(visit: VisitAt<needs::EndUsersDelete>) -> Result<Response, Failure> {
    let id = visit.end_user()?;
    let path = path_of(&visit.path("end-users"), id.as_str());
    let page = DeletePage { frame: visit.frame(Section::EndUsers), path, id: id.as_str().to_owned() };
    Ok(visit.show(StatusCode::OK, &page))
}

/// Deletes the end user.
pub(in crate::http::console) async fn delete(
    Posted { visit, .. }: Posted<VisitAt<needs::EndUsersDelete>>,
) -> Result<Response, Failure> {
    remove(&visit).await?;
    Ok(visit.done(&visit.path("end-users"), &Flash::good("The end user is deleted, and gone from every answer.")))
}
