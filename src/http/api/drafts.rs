//! `POST /admin/v1/systems/{s}/preview` and `…/promote`: what other rules would change, and making them live elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::{At, needs};
use super::super::body::{self, JsonBody};
use super::super::problem::{Kind, Problem, ProblemPlace};
use super::super::state::AppState;
use super::super::turns::aside;
use super::asking::{SCRIPT_TIME, refused};
use super::memberships::Mode;
use super::rules::FileErrorItem;
use crate::accounts::Act;
use crate::engine::{Reader, SegmentChange};
use crate::model::{Permission, SegmentId, SystemId};
use crate::ruleset::{Changed, FileChange, FileError, Files, RulePath, RuleSet, RuleWriteError, Stage};
use crate::segments::Segment;

/// A draft of some files.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    /// Files by their path within the system: the whole text, or null for one that is removed. All others stay.
    #[schema(example = json!({"segments/premium.rhai": "crm.Seats > 50", "segments/old.rhai": null}))]
    files: BTreeMap<String, Option<String>>,
}

/// What a draft would change.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewResponse {
    /// What is wrong with it; then there is nothing else to tell.
    pub(crate) errors: Vec<FileErrorItem>,
    /// What is worth a look.
    warnings: Vec<FileErrorItem>,
    /// The segments whose members would change, or that would come or go, by id.
    pub(crate) segments: Vec<SegmentChangeItem>,
    /// The drafted segments, by id.
    pub(crate) drafts: Vec<DraftItem>,
}

/// What would change of a segment.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentChange)]
pub(crate) struct SegmentChangeItem {
    /// The segment.
    #[schema(value_type = String)]
    pub(crate) id: SegmentId,
    /// How many are in it; null: there is no such segment now.
    pub(crate) before: Option<u64>,
    /// How many would be in it; null: there would be no such segment.
    pub(crate) after: Option<u64>,
    /// How many would enter.
    pub(crate) enters: u64,
    /// How many would leave.
    pub(crate) leaves: u64,
    /// Some who would enter.
    pub(crate) sample_enters: Vec<String>,
    /// Some who would leave.
    pub(crate) sample_leaves: Vec<String>,
    /// For how many the rule fails, of those who were judged by it: they are not in the segment. Null where it goes, and
    /// for who may see only some of the end users.
    pub(crate) errors: Option<u64>,
}

/// A segment of the draft.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentDraft)]
pub(crate) struct DraftItem {
    /// The segment.
    #[schema(value_type = String)]
    pub(crate) id: SegmentId,
    /// How many would be in it.
    pub(crate) count: u64,
    /// How its rule would run.
    pub(crate) mode: Mode,
    /// Why it would run as a script; null when it would not.
    pub(crate) why: Option<String>,
}

/// Where rules are to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromoteRequest {
    /// The system that gets them.
    to: String,
}

/// How they go there.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromoteQuery {
    /// Only tell what would change.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// What promoting did, or would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct PromoteResponse {
    /// Whether nothing was written.
    dry_run: bool,
    /// The revision of the system that got the rules; null where nothing was written.
    revision: Option<String>,
    /// What keeps the rules from loading there; only in a dry run.
    errors: Vec<FileErrorItem>,
    /// Its files that change.
    files: Vec<FileChangeItem>,
    /// Its segments whose members change, or that come or go, by id.
    segments: Vec<SegmentChangeItem>,
}

/// A file that changes.
#[derive(Serialize, ToSchema)]
#[schema(as = FileChange)]
pub(crate) struct FileChangeItem {
    /// Its path within the system.
    path: String,
    /// `added`, `changed` or `removed`.
    #[schema(value_type = String)]
    change: FileChange,
}

impl From<SegmentChange> for SegmentChangeItem {
    fn from(change: SegmentChange) -> Self {
        let SegmentChange { id, before, after, enters, leaves, sample_enters, sample_leaves, failures } = change;
        Self { id, before, after, enters, leaves, sample_enters, sample_leaves, errors: failures }
    }
}

fn items(errors: &[FileError]) -> Vec<FileErrorItem> {
    errors.iter().map(FileErrorItem::from).collect()
}

/// What a draft of rules would change
///
/// Judged over the end users as they are; nothing is changed. A draft that would not load answers 200, too, with its
/// `errors`.
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/preview", operation_id = "preview", tag = "Rules",
    params(("s" = String, Path, description = "The system")),
    request_body = PreviewRequest,
    responses(
        (status = 200, description = "What it would change, or what is wrong with it", body = PreviewResponse),
        (status = 400, description = "Not JSON of that shape"),
        (status = 404, description = "Unknown system"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "Not application/json"),
        (status = 422, description = "A rule runs as a script and takes too long"),
    ),
    security(("oauth2" = ["end_users:read", "segments:read"])),
)]
pub(crate) async fn preview(
    at: At<needs::EndUsersAndSegmentsRead>,
    request: Request,
) -> Result<Json<PreviewResponse>, Problem> {
    body::demand_json(request.headers())?;
    let body = body::read(request, at.state.config.limits.body_mib << 20).await?;
    let PreviewRequest { files } = body::from_slice(&body)?;
    previewed(&at, files).await.map(Json)
}

/// What a draft of files (no text: removed) would change, for a caller who may read segments and end users.
pub(crate) async fn previewed<P>(
    at: &At<P>,
    drafted: BTreeMap<String, Option<String>>,
) -> Result<PreviewResponse, Problem> {
    let reader = at.reader_for(&at.rules, &[Permission::EndUsersRead, Permission::SegmentsRead])?;
    let mut files = reader.rules().files.clone();
    for (path, text) in &drafted {
        match text {
            Some(text) => files.insert(path.clone(), Arc::from(text.as_str())),
            None => files.remove(path),
        };
    }
    let (state, system, timed) = (at.state.clone(), at.system().clone(), reader.sees_all());
    let rules = match aside(move || Ok(state.rules.draft(&system, &files, timed))).await? {
        Ok(rules) => Arc::new(rules),
        Err(errors) => {
            let errors = items(&errors);
            return Ok(PreviewResponse { errors, warnings: Vec::new(), segments: Vec::new(), drafts: Vec::new() });
        }
    };
    let changes = changes(&at.state, reader, Arc::clone(&rules)).await?;
    let drafts = drafted.keys().filter_map(|path| match path.parse().ok()? {
        RulePath::Segment(id) => draft(&rules, &changes, &id),
        _ => None,
    });
    Ok(PreviewResponse {
        errors: Vec::new(),
        warnings: items(&rules.warnings),
        drafts: drafts.collect(),
        segments: changes.changes.into_iter().map(SegmentChangeItem::from).collect(),
    })
}

/// What rules change, and the counts before.
struct Changes {
    changes: Vec<SegmentChange>,
    counts: BTreeMap<SegmentId, u64>,
}

/// Judges other rules over the end users of a reader.
async fn changes(state: &AppState, reader: Reader, rules: Arc<RuleSet>) -> Result<Changes, Problem> {
    let old = Arc::clone(reader.rules());
    let is_new = |segment: &Segment| old.segments.get(&segment.id).is_none_or(|known| known.text != segment.text);
    let scripts = rules.segments.iter().any(|segment| segment.condition().is_err() && is_new(segment));
    let turn = if scripts { Some(state.turns().script().await?) } else { None };
    aside(move || {
        let _turn = turn;
        let changes = reader.preview(&rules, SCRIPT_TIME)?;
        Ok(Changes { changes, counts: reader.segment_counts().into_iter().collect() })
    })
    .await
}

fn draft(rules: &RuleSet, changes: &Changes, id: &SegmentId) -> Option<DraftItem> {
    let segment = rules.segments.get(id)?;
    let changed = changes.changes.iter().find(|change| change.id == *id).and_then(|change| change.after);
    Some(DraftItem {
        id: id.clone(),
        count: changed.or_else(|| changes.counts.get(id).copied()).unwrap_or_default(),
        mode: Mode::of(segment),
        why: segment.condition().err().map(str::to_owned),
    })
}

/// Give a system's rules to another system
///
/// Its integrations and segments take the place of those of the other system, which keeps its `system.toml`: checked
/// there first, all together, live when this answers. Integrations that the other system has and this one has not are
/// deleted there. Needs in the other system `integrations:write`, `segments:write` and `publish:<stage>`; with `dry_run`
/// the permissions to preview there.
#[utoipa::path(
    post, path = "/admin/v1/systems/{s}/promote", operation_id = "promote", tag = "Rules",
    params(("s" = String, Path, description = "The system whose rules they are"), PromoteQuery),
    request_body = PromoteRequest,
    responses(
        (status = 200, description = "Live there, or what would change", body = PromoteResponse),
        (status = 400, description = "Not JSON of that shape"),
        (status = 404, description = "Unknown system, here or there"),
        (status = 409, description = "Rules are read-only here"),
        (status = 422, description = "The rules would not load there, or a script takes too long"),
    ),
    security(("oauth2" = ["integrations:read", "segments:read"])),
)]
pub(crate) async fn promote(
    at: At<needs::RulesRead>,
    query: Result<Query<PromoteQuery>, QueryRejection>,
    JsonBody(PromoteRequest { to }): JsonBody<PromoteRequest>,
) -> Result<Json<PromoteResponse>, Problem> {
    let Query(PromoteQuery { dry_run }) = query?;
    if to == at.system().as_str() {
        return Err(refused("/to", "same_system", "a system can't be promoted to itself".to_owned()));
    }
    let target = at.rules_in(&to, needed(dry_run, None))?;
    if !dry_run {
        at.rules_in(&to, needed(dry_run, Some(target.settings.stage)))?;
    }
    let reader = at.reader_for(&target, &[Permission::EndUsersRead, Permission::SegmentsRead])?;
    let files = given(&at.rules.files, &reader.rules().files);
    let changed = FileChange::between(&reader.rules().files, &files);
    let (state, system, draft, timed) = (at.state.clone(), target.system.clone(), files.clone(), reader.sees_all());
    let rules = match aside(move || Ok(state.rules.draft(&system, &draft, timed))).await? {
        Ok(rules) => Arc::new(rules),
        Err(errors) if dry_run => {
            let errors = items(&errors);
            let files = file_items(changed);
            return Ok(Json(PromoteResponse { dry_run, revision: None, errors, files, segments: Vec::new() }));
        }
        Err(errors) => return Err(would_not_load(errors)),
    };
    let changes = changes(&at.state, reader, rules).await?.changes;
    let segments = changes.into_iter().map(SegmentChangeItem::from).collect();
    if dry_run {
        let files = file_items(changed);
        return Ok(Json(PromoteResponse { dry_run, revision: None, errors: Vec::new(), files, segments }));
    }
    let (state, system) = (at.state.clone(), target.system.clone());
    let written = aside(move || match state.rules.replace_rules(&system, &files) {
        Err(RuleWriteError::Invalid(errors)) => Err(would_not_load(errors)),
        written => Ok(written?),
    });
    let written = written.await?;
    if !written.files.is_empty() {
        let act = promoted(&at.rules.system, &target, &written);
        at.state.accounts.note(&at.actor, act).await;
    }
    let files = file_items(written.files);
    Ok(Json(PromoteResponse { dry_run, revision: Some(written.revision), errors: Vec::new(), files, segments }))
}

/// What the audit says of rules that were given to a system.
fn promoted(from: &SystemId, target: &RuleSet, written: &Changed) -> Act {
    let files: BTreeMap<&str, FileChange> =
        written.files.iter().map(|(path, change)| (path.as_str(), *change)).collect();
    Act::new("rule.promote", format!("systems/{}", target.system))
        .before(json!({ "revision": target.revision }))
        .after(json!({ "from": from.as_str(), "revision": written.revision, "files": files }))
}

/// What is needed in the system that gets rules.
fn needed(dry_run: bool, stage: Option<Stage>) -> &'static [Permission] {
    use Permission as P;
    match (dry_run, stage) {
        (true, _) => &[P::EndUsersRead, P::SegmentsRead],
        (false, None) => &[P::IntegrationsWrite, P::SegmentsWrite, P::EndUsersRead, P::SegmentsRead],
        (false, Some(Stage::Production)) => &[P::PublishProduction],
        (false, Some(Stage::Test)) => &[P::PublishTest],
    }
}

/// The files of one system as another gets them, which keeps its own settings.
fn given(from: &Files, to: &Files) -> Files {
    let own = RulePath::System.to_string();
    let rules = from.iter().filter(|(path, _)| **path != own);
    rules.chain(to.get_key_value(&own)).map(|(path, text)| (path.clone(), Arc::clone(text))).collect()
}

fn file_items(files: BTreeMap<String, FileChange>) -> Vec<FileChangeItem> {
    files.into_iter().map(|(path, change)| FileChangeItem { path, change }).collect()
}

fn would_not_load(errors: Vec<FileError>) -> Problem {
    let place = |error: FileError| ProblemPlace {
        pointer: "/to".to_owned(),
        code: "rule".to_owned(),
        detail: error.to_string(),
    };
    Problem::new(Kind::Refused, "the rules would not load there; nothing was written")
        .with_errors(errors.into_iter().map(place))
}
