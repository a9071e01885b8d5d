//! One segment: its rule as text, and as conditions where it is one; checked, saved, deleted.
//!
//! Without scripts there are the text and a button to check it; a module checks while one types, and draws the conditions.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentence, sentences};
use super::super::choices::choices;
use super::super::end_users::path_of;
use super::super::figures::{Course, grouped};
use super::super::flash::Flash;
use super::super::form::Form;
use super::super::frame::{Frame, Section};
use super::super::visit::{Posted, VisitAt};
use super::super::writing::{Commit, Mistake, Pen, Wrote, write};
use crate::http::api::convert::as_where;
use crate::http::api::drafts::{PreviewResponse, previewed};
use crate::http::api::memberships::Mode;
use crate::http::api::rule_files::{etag_of, text_of};
use crate::http::auth::needs;
use crate::http::problem::Problem;
use crate::http::turns::aside;
use crate::model::{Permission, SegmentId};
use crate::ruleset::{RulePath, proposed_segment_id};
use crate::segments::Segment;

type Visit = VisitAt<needs::SegmentsRead>;

#[derive(Template)]
#[template(path = "http/console/segments/editor.html")]
struct EditorPage {
    frame: Frame,
    base: String,
    /// Where the form goes.
    path: String,
    system: String,
    pen: Pen,
    draft: Draft,
    said: Said,
    now: Option<Now>,
    /// Where counts and events are asked for.
    live: Option<String>,
    choices: String,
    /// The rule as JSON of a filter; empty where it is none.
    condition: String,
    why: String,
}

/// What is being edited.
#[derive(Default)]
struct Draft {
    /// The segment that there is; none: a new one.
    id: Option<SegmentId>,
    new_id: String,
    name: String,
    text: String,
    etag: String,
}

/// What is said beside the text.
#[derive(Default)]
struct Said {
    wrong: Vec<String>,
    mistakes: Vec<Mistake>,
    checked: Option<Checked>,
    commit: Option<Commit>,
    /// The text that somebody else wrote meanwhile.
    theirs: Option<String>,
}

/// What the text would change.
struct Checked {
    count: String,
    enters: String,
    leaves: String,
    /// Some who would enter or leave, with where their pages are.
    sample_enters: Vec<(String, String)>,
    sample_leaves: Vec<(String, String)>,
    /// Other segments: count before and after.
    others: Vec<(String, String, String)>,
    script: bool,
    why: String,
}

/// The segment as it is.
struct Now {
    name: String,
    description: String,
    count: String,
    course: Course,
    script: bool,
    why: String,
    errors: u64,
    last_error: String,
    reads: Vec<String>,
    depends_on: Vec<String>,
}

impl Checked {
    fn new(visit: &Visit, id: &str, found: PreviewResponse) -> Self {
        let base = visit.path("end-users");
        let people = |ids: Vec<String>| ids.into_iter().map(|id| (path_of(&base, &id), id)).collect();
        let draft = found.drafts.into_iter().next();
        let (own, others): (Vec<_>, Vec<_>) = found.segments.into_iter().partition(|segment| segment.id.as_str() == id);
        let count = |count: Option<u64>| count.map(grouped).unwrap_or_default();
        let others = others.into_iter().map(|one| (one.id.to_string(), count(one.before), count(one.after))).collect();
        let (enters, leaves, sample_enters, sample_leaves) = match own.into_iter().next() {
            Some(own) => (own.enters, own.leaves, own.sample_enters, own.sample_leaves),
            None => (0, 0, Vec::new(), Vec::new()),
        };
        Self {
            count: draft.as_ref().map(|draft| grouped(draft.count)).unwrap_or_default(),
            enters: grouped(enters),
            leaves: grouped(leaves),
            sample_enters: people(sample_enters),
            sample_leaves: people(sample_leaves),
            others,
            script: draft.as_ref().is_some_and(|draft| matches!(draft.mode, Mode::Script)),
            why: draft.and_then(|draft| draft.why).unwrap_or_default(),
        }
    }
}

async fn show(visit: &Visit, draft: Draft, said: Said) -> Result<Response, Failure> {
    let rules = std::sync::Arc::clone(&visit.rules);
    let rule = draft.text.clone();
    // What has mistakes, or is still to be written, is no condition yet.
    let converted = aside(move || Ok(as_where(rule, &rules).ok())).await?;
    let (condition, why) = converted.map_or((None, None), |converted| (converted.condition, converted.why));
    let counted = visit.demand(Permission::EndUsersRead).is_ok();
    let now = match draft.id.as_ref().and_then(|id| visit.rules.segments.get(id)) {
        Some(segment) => Some(now(visit, segment.clone(), counted).await?),
        None => None,
    };
    let is_wrong = !said.wrong.is_empty() || !said.mistakes.is_empty();
    let page = EditorPage {
        frame: visit.frame(Section::Segments),
        base: visit.path("segments"),
        path: draft.id.as_ref().map_or_else(|| visit.path("new-segment"), |id| visit.path(&format!("segments/{id}"))),
        system: visit.system().to_string(),
        pen: Pen::of(visit, Permission::SegmentsWrite),
        live: counted.then(|| format!("/public/v1/systems/{}", visit.system())),
        choices: choices(&visit.rules),
        condition: condition.map(|json| json.to_string()).unwrap_or_default(),
        why: why.unwrap_or_default(),
        draft,
        said,
        now,
    };
    Ok(visit.show(if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &page))
}

async fn now(visit: &Visit, segment: Segment, counted: bool) -> Result<Now, Problem> {
    let reader = if counted {
        Some(visit.reader_for(&visit.rules, &[Permission::EndUsersRead, Permission::SegmentsRead])?)
    } else {
        None
    };
    let (engine, system) = (visit.state.engine.clone(), visit.system().clone());
    aside(move || {
        let (mut count, mut course, mut errors, mut last_error) = (String::new(), Vec::new(), 0, None);
        if let Some(reader) = reader {
            let members = reader.segment_count(&segment.id);
            count = grouped(members);
            if reader.sees_all() {
                let history = engine.history(&system, &segment.id);
                course = history.map_err(|error| Problem::internal(&error.to_string()))?;
                course.push((reader.now(), members));
                (errors, last_error) = reader.failures(&segment.id);
            }
        }
        Ok(Now {
            name: segment.name.clone(),
            description: segment.description.clone(),
            count,
            course: Course::new(&course),
            script: segment.condition().is_err(),
            why: segment.condition().err().unwrap_or_default().to_owned(),
            errors,
            last_error: last_error.as_deref().map(sentence).unwrap_or_default(),
            reads: segment.reads().iter().map(ToString::to_string).collect(),
            depends_on: segment.depends_on().iter().map(ToString::to_string).collect(),
        })
    })
    .await
}

/// The text of a segment as it is on disk, with its tag.
fn kept(visit: &Visit, id: &SegmentId) -> (String, String) {
    let path = RulePath::Segment(id.clone());
    let text = text_of(&visit.rules, &path).map(|text| text.to_string()).unwrap_or_default();
    (text, etag_of(&visit.rules, &path).unwrap_or_default())
}

/// The page of a segment.
pub(in crate::http::console) async fn page(visit: Visit) -> Result<Response, Failure> {
    let id = visit.segment()?.id.clone();
    let (text, etag) = kept(&visit, &id);
    show(&visit, Draft { id: Some(id), text, etag, ..Draft::default() }, Said::default()).await
}

/// The page of a new one.
pub(in crate::http::console) async fn new(visit: Visit) -> Result<Response, Failure> {
    visit.demand(Permission::SegmentsWrite)?;
    show(&visit, Draft::default(), Said::default()).await
}

/// What a form says. Browsers send line ends of their own.
fn drafted(form: &Form, id: Option<SegmentId>) -> Draft {
    let text = form.raw("text").replace("\r\n", "\n");
    Draft {
        id,
        new_id: form.field("id").to_owned(),
        name: form.field("name").to_owned(),
        text,
        etag: form.field("etag").to_owned(),
    }
}

/// Checks or saves a segment that there is.
pub(in crate::http::console) async fn save(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let id = visit.segment()?.id.clone();
    let draft = drafted(&form, Some(id.clone()));
    act(&visit, &form, draft, id).await
}

/// Checks or makes a new one.
pub(in crate::http::console) async fn create(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    visit.demand(Permission::SegmentsWrite)?;
    let mut draft = drafted(&form, None);
    let wrong = |text: String| Said { wrong: vec![text], ..Said::default() };
    let is_taken = |id: &str| SegmentId::new(id).is_ok_and(|id| visit.rules.segments.get(&id).is_some());
    if draft.name.is_empty() && draft.new_id.is_empty() {
        return show(&visit, draft, wrong("Give the segment a name.".to_owned())).await;
    }
    if draft.new_id.is_empty() {
        draft.new_id = proposed_segment_id(&draft.name, &is_taken);
    }
    let id = match SegmentId::new(&draft.new_id) {
        Ok(id) if visit.rules.segments.get(&id).is_some() => {
            let text = format!("There is a segment `{id}` already: choose another id.");
            return show(&visit, draft, wrong(text)).await;
        }
        Ok(id) => id,
        Err(error) => return show(&visit, draft, wrong(sentence(&error.to_string()))).await,
    };
    // Its name is its first comment.
    if !draft.name.is_empty() && !draft.text.trim_start().starts_with("//") {
        draft.text = format!("// {}\n{}", draft.name, draft.text);
    }
    act(&visit, &form, draft, id).await
}

async fn act(visit: &Visit, form: &Form, draft: Draft, id: SegmentId) -> Result<Response, Failure> {
    if form.field("do") != "save" {
        return check(visit, draft, &id).await;
    }
    visit.demand(Permission::SegmentsWrite)?;
    let path = RulePath::Segment(id.clone());
    let mut text = draft.text.clone();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let expected = draft.id.as_ref().map(|_| draft.etag.clone());
    match write(visit, path.clone(), Some(text.clone()), expected).await? {
        Wrote::Done => {
            Ok(visit.done(&visit.path(&format!("segments/{id}")), &Flash::good("The segment is saved, and live.")))
        }
        Wrote::Wrong(mistakes) => show(visit, draft, Said { mistakes, ..Said::default() }).await,
        Wrote::Conflict => {
            let (theirs, etag) = kept(visit, &id);
            let wrong = "Somebody changed this segment since you opened it, so nothing was saved. Their text is below; saving again replaces it by yours.";
            let said = Said { wrong: vec![wrong.to_owned()], theirs: Some(theirs), ..Said::default() };
            show(visit, Draft { etag, ..draft }, said).await
        }
        Wrote::ReadOnly => {
            let commit = Some(Commit::new(visit, &path, Some(text)));
            show(visit, draft, Said { commit, ..Said::default() }).await
        }
    }
}

/// Says what the text would change, and changes nothing.
async fn check(visit: &Visit, draft: Draft, id: &SegmentId) -> Result<Response, Failure> {
    visit.demand(Permission::EndUsersRead)?;
    let path = RulePath::Segment(id.clone()).to_string();
    let files = BTreeMap::from([(path.clone(), Some(draft.text.clone()))]);
    let said = match previewed(visit, files).await {
        Ok(found) if !found.errors.is_empty() => {
            let file = format!("{}/{path}", visit.system());
            let mistake = |error: crate::http::api::rules::FileErrorItem| Mistake {
                elsewhere: (error.file != file).then_some(error.file),
                line: error.line,
                column: error.column,
                text: error.hint.map_or(error.message.clone(), |hint| format!("{} ({hint})", error.message)),
            };
            Said { mistakes: found.errors.into_iter().map(mistake).collect(), ..Said::default() }
        }
        Ok(found) => Said { checked: Some(Checked::new(visit, id.as_str(), found)), ..Said::default() },
        Err(problem) => Said { wrong: sentences(&problem), ..Said::default() },
    };
    show(visit, draft, said).await
}

#[derive(Template)]
#[template(path = "http/console/segments/delete.html")]
struct DeletePage {
    frame: Frame,
    path: String,
    name: String,
    etag: String,
    wrong: Vec<String>,
    commit: Option<Commit>,
}

fn show_deletion(
    visit: &VisitAt<needs::SegmentsWrite>,
    wrong: Vec<String>,
    commit: Option<Commit>,
) -> Result<Response, Failure> {
    let segment = visit.segment()?;
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = DeletePage {
        frame: visit.frame(Section::Segments),
        path: visit.path(&format!("segments/{}", segment.id)),
        name: segment.name.clone(),
        etag: etag_of(&visit.rules, &RulePath::Segment(segment.id.clone())).unwrap_or_default(),
        wrong,
        commit,
    };
    Ok(visit.show(status, &page))
}

/// Asks whether it is to be deleted.
pub(in crate::http::console) async fn ask(visit: VisitAt<needs::SegmentsWrite>) -> Result<Response, Failure> {
    show_deletion(&visit, Vec::new(), None)
}

/// Deletes it.
pub(in crate::http::console) async fn delete(
    Posted { visit, form }: Posted<VisitAt<needs::SegmentsWrite>>,
) -> Result<Response, Failure> {
    let segment = visit.segment()?;
    let path = RulePath::Segment(segment.id.clone());
    match write(&visit, path.clone(), None, form.some("etag")).await? {
        Wrote::Done => {
            let said = Flash::good(format!("The segment {} is deleted.", segment.name));
            Ok(visit.done(&visit.path("segments"), &said))
        }
        Wrote::Wrong(mistakes) => show_deletion(&visit, mistakes.iter().map(Mistake::sentence).collect(), None),
        Wrote::Conflict => show_deletion(
            &visit,
            vec!["Somebody changed it meanwhile: look at it again before you delete it.".to_owned()],
            None,
        ),
        Wrote::ReadOnly => show_deletion(&visit, Vec::new(), Some(Commit::new(&visit, &path, None))),
    }
}
