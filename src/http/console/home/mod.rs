//! `/console` and `/console/systems/{s}`: systems at a glance.
//!
//! Knows nothing of how anything is counted. Invariant: what is shown of a system is what its operator may read there; who
//! may see only some of the end users sees counts of those alone.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::Failure;
use super::figures::{Spark, grouped};
use super::frame::{Frame, Section, is_open_to};
use super::list::{Asked, Paged, Pager};
use super::visit::{Visit, VisitAt};
use crate::accounts::Principal;
use crate::http::AppState;
use crate::http::auth::{needs, reader_for, unknown_system};
use crate::http::problem::Problem;
use crate::http::turns::aside;
use crate::model::{ATTRIBUTE_CAP, Permission, SystemId};
use crate::ruleset::{FileError, LiveRules, RuleSet, Stage, SystemReport};

/// Segments of one system on the page of all.
const FEW_SEGMENTS: usize = 5;
/// How far back the small drawings go, in days.
const DAYS: i64 = 7;

/// A system at a glance.
struct Glance {
    id: String,
    name: String,
    is_test: bool,
    /// How many end users; for who may read them.
    end_users: Option<String>,
    /// Records stored in the last hour; for who may see every end user.
    updates: Option<String>,
    attributes: usize,
    cap: usize,
    segments: Vec<SegmentGlance>,
    more: usize,
    sees_segments: bool,
}

/// A segment at a glance.
struct SegmentGlance {
    id: String,
    name: String,
    count: String,
    spark: Spark,
}

/// A mistake in a rule file.
struct Mistake {
    place: String,
    text: String,
}

/// What is wrong with a system's files.
struct Broken {
    system: String,
    /// Whether an earlier version is served.
    serves_last_good: bool,
    mistakes: Vec<Mistake>,
}

impl Broken {
    fn of(report: &SystemReport) -> Option<Self> {
        let mistake = |error: &FileError| {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let place = match error.line {
                0 => error.file.clone(),
                line => format!("{}, line {line}", error.file),
            };
            Mistake { place, text: format!("{}{hint}", error.message) }
        };
        (!report.errors.is_empty()).then(|| Self {
            system: report.system.clone(),
            serves_last_good: report.serves_last_good(),
            mistakes: report.errors.iter().take(20).map(mistake).collect(),
        })
    }
}

/// What is broken on disk, as far as somebody may know of it.
fn broken(who: &Principal, live: &LiveRules, only: Option<&SystemId>) -> Vec<Broken> {
    let may_know = |report: &&SystemReport| match SystemId::new(&report.system) {
        Ok(system) => only.is_none_or(|only| *only == system) && who.may(Permission::SystemsRead, Some(&system)),
        Err(_) => only.is_none() && who.may(Permission::SystemsRead, None),
    };
    live.reports.iter().filter(may_know).filter_map(Broken::of).collect()
}

/// Looks at a system. Blocks.
fn glance(state: &AppState, who: &Principal, rules: &Arc<RuleSet>, most: Option<usize>) -> Result<Glance, Problem> {
    let system = &rules.system;
    let may = |permission| who.may(permission, Some(system));
    let mut glance = Glance {
        id: system.to_string(),
        name: rules.settings.name.clone(),
        is_test: rules.settings.stage == Stage::Test,
        end_users: None,
        updates: None,
        attributes: rules.attributes_used(),
        cap: ATTRIBUTE_CAP,
        segments: Vec::new(),
        more: 0,
        sees_segments: may(Permission::EndUsersRead) && may(Permission::SegmentsRead),
    };
    if !may(Permission::EndUsersRead) {
        return Ok(glance);
    }
    let reader = reader_for(state, who, rules, Permission::EndUsersRead)?;
    glance.end_users = Some(grouped(reader.len()));
    if reader.sees_all() {
        glance.updates = Some(grouped(state.calls.last_hour(system, reader.now())));
    }
    if glance.sees_segments {
        // Earlier counts are of all end users.
        let told = if reader.sees_all() { state.engine.histories(system, DAYS) } else { Ok(Default::default()) };
        let mut histories = told.map_err(|error| Problem::internal(&error.to_string()))?;
        let counts = reader.segment_counts();
        glance.more = counts.len().saturating_sub(most.unwrap_or(usize::MAX));
        let segments = counts.into_iter().take(most.unwrap_or(usize::MAX)).filter_map(|(id, count)| {
            let segment = reader.rules().segments.get(&id)?;
            let mut course = histories.remove(&id).unwrap_or_default();
            if !course.is_empty() {
                course.push((reader.now(), count));
            }
            let (name, count) = (segment.name.clone(), grouped(count));
            Some(SegmentGlance { id: id.to_string(), name, count, spark: Spark::new(course) })
        });
        glance.segments = segments.collect();
    }
    Ok(glance)
}

#[derive(Template)]
#[template(path = "http/console/home/home.html")]
struct HomePage {
    frame: Frame,
    broken: Vec<Broken>,
    systems: Vec<Glance>,
    pager: Pager,
    q: String,
    /// Whether there are so many systems that one looks for them.
    many: bool,
    can_make: bool,
}

/// Every system.
pub(super) async fn page(visit: Visit<needs::Nothing>, asked: Asked) -> Result<Response, Failure> {
    let live = visit.state.rules.live();
    let who = Arc::clone(&visit.operator.signed_in.principal);
    let q = asked.field("q").to_lowercase();
    let open: Vec<_> = live.systems.values().filter(|rules| is_open_to(&who, &rules.system)).cloned().collect();
    let many = open.len() > 6;
    let named = |rules: &Arc<RuleSet>| {
        rules.settings.name.to_lowercase().contains(&q) || rules.system.as_str().contains(q.as_str())
    };
    let Paged { items, pager } = Paged::of(open.into_iter().filter(named).collect(), &asked);
    let state = visit.state.clone();
    let asker = Arc::clone(&who);
    let systems = aside(move || {
        items.iter().map(|rules| glance(&state, &asker, rules, Some(FEW_SEGMENTS))).collect::<Result<Vec<_>, _>>()
    });
    let page = HomePage {
        systems: systems.await?,
        frame: visit.frame(Section::Home),
        broken: broken(&who, &live, None),
        pager,
        q: asked.field("q").to_owned(),
        many,
        can_make: who.may(Permission::SystemsWrite, None),
    };
    Ok(visit.show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "http/console/home/overview.html")]
struct OverviewPage {
    frame: Frame,
    broken: Vec<Broken>,
    system: Glance,
    segments: Vec<SegmentGlance>,
    pager: Pager,
    q: String,
    timezone: String,
    settings: bool,
}

/// One system.
pub(super) async fn overview(visit: VisitAt<needs::Nothing>, asked: Asked) -> Result<Response, Failure> {
    let who = Arc::clone(&visit.operator.signed_in.principal);
    if !is_open_to(&who, visit.system()) {
        // Nobody learns which systems there are.
        return Ok(visit.failed(unknown_system(visit.system().as_str())));
    }
    let (state, rules, asker) = (visit.state.clone(), Arc::clone(&visit.rules), Arc::clone(&who));
    let mut system = aside(move || glance(&state, &asker, &rules, None)).await?;
    let q = asked.field("q").to_lowercase();
    let mut segments = std::mem::take(&mut system.segments);
    segments.retain(|segment| segment.name.to_lowercase().contains(&q) || segment.id.contains(&q));
    let Paged { items, pager } = Paged::of(segments, &asked);
    let page = OverviewPage {
        frame: visit.frame(Section::Overview),
        broken: broken(&who, &visit.state.rules.live(), Some(visit.system())),
        system,
        segments: items,
        pager,
        q: asked.field("q").to_owned(),
        timezone: visit.rules.settings.timezone_name.clone(),
        settings: who.may(Permission::SystemsRead, Some(visit.system())),
    };
    Ok(visit.show(StatusCode::OK, &page))
}
