//! `GET …/end-users/{id}/segments/{seg}/explain`: why an end user is in a segment or not, and what would change that.
//!
//! The tree shows the rule as it is written, so a segment that it asks about is one condition in it. The changes look
//! into such segments: what they come to is said in attributes.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{At, needs};
use super::super::problem::Problem;
use super::super::turns::aside;
use super::memberships::Mode;
use crate::engine::Reader;
use crate::model::{AttributeId, EndUserId, SegmentId, Timestamp};
use crate::predicate::{Change, Condition, Explained, explain};
use crate::segments::{Segment, SegmentSet};

/// Conditions up to which segments that a rule asks about are looked into.
const MAX_LOOKED_INTO: usize = 500;
/// Said of a rule that runs as a script.
const SCRIPT: &str = "what would change it can't be said of a rule that runs as a script";

/// Why an end user is in a segment or not.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExplainResponse {
    /// The end user.
    pub(crate) id: String,
    /// The segment.
    #[schema(value_type = String)]
    pub(crate) segment: SegmentId,
    /// Whether anything is stored of the end user; one who is not known is judged as one with no attributes.
    pub(crate) known: bool,
    /// Whether the end user is in the segment.
    pub(crate) member: bool,
    /// How the rule runs.
    pub(crate) mode: Mode,
    /// Why it runs as a script; null when it does not.
    pub(crate) why: Option<String>,
    /// The rule, part by part, each with whether it `held`: `{"all": […]}`, `{"any": […]}`, `{"not": …}`, `{"segment"}`, or
    /// `{"condition", "attribute", "actual"}`. Of a script, what must hold before it is run; null when nothing is.
    #[schema(value_type = Option<Object>)]
    pub(crate) tree: Option<Explained>,
    /// A smallest set of changes, all of them needed, that would turn the answer round.
    #[schema(value_type = Vec<String>)]
    pub(crate) changes: Vec<Change>,
    /// Other sets that are as small.
    #[schema(value_type = Vec<Vec<String>>)]
    pub(crate) alternatives: Vec<Vec<Change>>,
    /// Why there are no changes, or what they leave open.
    pub(crate) note: Option<&'static str>,
    /// How the script fails for this end user, who is then not in the segment.
    pub(crate) error: Option<String>,
    /// When this was so.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) evaluated_at: Timestamp,
}

/// Why an end user is in a segment or not
#[utoipa::path(
    get, path = "/public/v1/systems/{s}/end-users/{id}/segments/{seg}/explain", operation_id = "explain_segment", tag = "Segments",
    params(
        ("s" = String, Path, description = "The system"),
        ("id" = String, Path, description = "The end user's identifier, percent-encoded"),
        ("seg" = String, Path, description = "The segment"),
    ),
    responses(
        (status = 200, description = "Why, and what would change it", body = ExplainResponse),
        (status = 404, description = "Unknown system or segment"),
        (status = 422, description = "No identifier"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn show(at: At<needs::EndUsersAndSegmentsRead>) -> Result<Json<ExplainResponse>, Problem> {
    let id = at.end_user()?;
    let reader = at.reader()?;
    let name = at.param("seg").to_owned();
    let segment = SegmentId::new(&name).ok().and_then(|id| reader.rules().segments.get(&id).cloned());
    let segment = segment.ok_or_else(|| Problem::not_found(format!("there is no segment `{name}`")))?;
    aside(move || Ok(Json(answer(&reader, &id, &segment)))).await
}

/// Why the end user is in the segment or not.
pub(crate) fn answer(reader: &Reader, id: &EndUserId, segment: &Segment) -> ExplainResponse {
    let memberships = reader.segments_of(id);
    let is_in = |segment: &SegmentId| memberships.segments.binary_search(segment).is_ok();
    let end_user = reader.end_user(id);
    let value = |attribute: &AttributeId| reader.value(end_user.as_ref()?, attribute);
    let today = reader.rules().today(reader.now());
    let mut answer = ExplainResponse {
        id: id.as_str().to_owned(),
        segment: segment.id.clone(),
        known: memberships.known,
        member: is_in(&segment.id),
        mode: Mode::of(segment),
        why: segment.condition().err().map(str::to_owned),
        tree: None,
        changes: Vec::new(),
        alternatives: Vec::new(),
        note: Some(SCRIPT),
        error: None,
        evaluated_at: reader.now(),
    };
    match segment.condition() {
        Ok(condition) => {
            let looked_into = looked_into(condition, &reader.rules().segments);
            let mut explanation = explain(&looked_into, &value, &is_in, today);
            if looked_into != *condition {
                explanation.tree = explain(condition, &value, &is_in, today).tree;
            }
            answer.tree = Some(explanation.tree);
            answer.changes = explanation.changes;
            answer.alternatives = explanation.alternatives;
            answer.note = explanation.note;
        }
        Err(_) => {
            answer.tree = segment.guard().map(|guard| explain(guard, &value, &is_in, today).tree);
            answer.error = reader.failure(id, &segment.id);
        }
    }
    answer
}

/// The condition with the segments that it asks about replaced by their own conditions, as far as those are conditions
/// and not too large.
fn looked_into(condition: &Condition, segments: &SegmentSet) -> Condition {
    let mut asked: BTreeSet<&SegmentId> = condition.segments().collect();
    let mut waiting: Vec<&SegmentId> = asked.iter().copied().collect();
    while let Some(segment) = waiting.pop().and_then(|id| segments.get(id)) {
        waiting.extend(segment.depends_on().iter().filter(|id| asked.insert(id)));
    }
    let mut known: BTreeMap<&SegmentId, Condition> = BTreeMap::new();
    // In the order of judging, so that what a segment asks about is known before it is.
    for segment in segments.order().iter().filter(|segment| asked.contains(&segment.id)) {
        if let Ok(own) = segment.condition() {
            let whole = own.with_segments(&|id| known.get(id).cloned());
            if size(&whole) <= MAX_LOOKED_INTO {
                known.insert(&segment.id, whole);
            }
        }
    }
    let whole = condition.with_segments(&|id| known.get(id).cloned());
    if size(&whole) <= MAX_LOOKED_INTO { whole } else { condition.clone() }
}

fn size(condition: &Condition) -> usize {
    condition.tests().count() + condition.segments().count()
}
