//! `/console/systems` and `/console/systems/{s}/settings`: the systems that there are, and each one's own file.
//!
//! Writes `system.toml` as a person would: comments stay. Where Git is the only writer, it shows the file to commit.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::answer::{Failure, sentence, sentences};
use super::flash::Flash;
use super::form::Form;
use super::frame::{Frame, Section};
use super::list::{Asked, Choice, Paged, Pager};
use super::visit::{Posted, Visit, VisitAt};
use crate::accounts::Sight;
use crate::http::api::rule_files::{etag_of, text_of};
use crate::http::api::systems::{SystemRequest, make, write};
use crate::http::auth::{needs, publish};
use crate::http::problem::{Kind, Problem};
use crate::model::{ATTRIBUTE_CAP, Permission};
use crate::ruleset::{RulePath, RuleSet, SettingsForm, Stage, UnitGroupForm};

/// A system in the list.
struct Row {
    id: String,
    name: String,
    is_test: bool,
    timezone: String,
    groups: usize,
    attributes: usize,
    cap: usize,
}

impl From<&RuleSet> for Row {
    fn from(rules: &RuleSet) -> Self {
        Self {
            id: rules.system.to_string(),
            name: rules.settings.name.clone(),
            is_test: rules.settings.stage == Stage::Test,
            timezone: rules.settings.timezone_name.clone(),
            groups: rules.settings.unit_groups.len(),
            attributes: rules.attributes_used(),
            cap: ATTRIBUTE_CAP,
        }
    }
}

#[derive(Template)]
#[template(path = "http/console/systems/list.html")]
struct SystemsPage {
    frame: Frame,
    rows: Vec<Row>,
    pager: Pager,
    q: String,
    make: bool,
}

/// The list.
pub(super) async fn page(visit: Visit<needs::SystemsRead>, asked: Asked) -> Response {
    let live = visit.state.rules.live();
    let q = asked.field("q").to_lowercase();
    let who = visit.operator.principal();
    let wanted = live.systems.values().filter(|rules| {
        who.may(Permission::SystemsRead, Some(&rules.system))
            && (rules.settings.name.to_lowercase().contains(&q) || rules.system.as_str().contains(q.as_str()))
    });
    let Paged { items, pager } = Paged::of(wanted.map(|rules| Row::from(&**rules)).collect(), &asked);
    let page = SystemsPage {
        frame: visit.frame(Section::Systems),
        rows: items,
        pager,
        q: asked.field("q").to_owned(),
        make: who.may(Permission::SystemsWrite, None) && !visit.state.config.rules.read_only,
    };
    visit.show(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "http/console/systems/new.html")]
struct NewPage {
    frame: Frame,
    wrong: Vec<String>,
    id: String,
    name: String,
    timezone: String,
    stages: Vec<Choice>,
    zones: Vec<String>,
}

fn stages(chosen: &str) -> Vec<Choice> {
    vec![Choice::new("production", "Production", chosen), Choice::new("test", "Test", chosen)]
}

/// The time zones that there are.
fn zones() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.to_string()).collect()
}

fn new_page(visit: &Visit<needs::SystemsWrite>, form: &Form, wrong: Vec<String>) -> NewPage {
    let timezone = form.some("timezone").unwrap_or_else(|| "UTC".to_owned());
    NewPage {
        frame: visit.frame(Section::Systems),
        wrong,
        id: form.field("id").to_owned(),
        name: form.field("name").to_owned(),
        timezone,
        stages: stages(form.field("stage")),
        zones: zones(),
    }
}

/// The form for a new one.
pub(super) async fn new(visit: Visit<needs::SystemsWrite>) -> Response {
    let empty = Form::parse(b"stage=production");
    visit.show(StatusCode::OK, &new_page(&visit, &empty, Vec::new()))
}

/// Makes a system.
pub(super) async fn create(Posted { visit, form }: Posted<Visit<needs::SystemsWrite>>) -> Result<Response, Failure> {
    let request = SystemRequest {
        id: form.field("id").to_owned(),
        name: form.some("name"),
        stage: form.some("stage"),
        timezone: form.some("timezone"),
    };
    match make(&visit, &request).await {
        Ok(rules) => {
            let flash = Flash::good(format!("{} was made.", rules.settings.name));
            Ok(visit.done(&format!("/console/systems/{}", rules.system), &flash))
        }
        Err(problem) if is_told(&problem) => {
            let page = new_page(&visit, &form, sentences(&problem));
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// Whether a problem is for who fills in the form.
fn is_told(problem: &Problem) -> bool {
    matches!(problem.kind(), Kind::Refused | Kind::Conflict | Kind::Forbidden | Kind::EditConflict)
}

#[derive(Template)]
#[template(path = "http/console/systems/settings.html")]
struct SettingsPage {
    frame: Frame,
    wrong: Vec<String>,
    id: String,
    write: bool,
    read_only: bool,
    /// The file to be committed, where Git is the only writer.
    commit: Option<String>,
    was: String,
    form: SettingsForm,
    stages: Vec<Choice>,
    cases: Vec<Choice>,
    zones: Vec<String>,
}

fn settings_page<P>(visit: &VisitAt<P>, form: SettingsForm, wrong: Vec<String>) -> SettingsPage {
    let case = form.identifier_case.as_str();
    let may_write = visit.demand(Permission::SystemsWrite).is_ok()
        && visit.demand(publish(visit.rules.settings.stage)).is_ok()
        && visit.operator.principal().sight(visit.system(), Permission::SystemsWrite) == Sight::All;
    SettingsPage {
        frame: visit.frame(Section::Systems),
        wrong,
        id: visit.system().to_string(),
        write: may_write,
        read_only: visit.state.config.rules.read_only,
        commit: None,
        was: etag_of(&visit.rules, &RulePath::System).unwrap_or_default(),
        stages: stages(&form.stage),
        cases: vec![
            Choice::new("sensitive", "Kept as sent: Ann and ann are two", case),
            Choice::new("lower", "Made lower case: Ann and ann are one", case),
        ],
        zones: zones(),
        form,
    }
}

/// One system's settings.
pub(super) async fn settings(visit: VisitAt<needs::SystemsRead>) -> Response {
    let form = SettingsForm::from(&visit.rules.settings);
    visit.show(StatusCode::OK, &settings_page(&visit, form, Vec::new()))
}

/// What a form says of a system; a unit group without id and rule is a row that was left blank.
fn sent(form: &Form) -> SettingsForm {
    let (mut names, mut rules) = (form.all("group_name"), form.all("group_rule"));
    let groups = form.all("group_id").map(|id| UnitGroupForm {
        id: id.trim().to_owned(),
        name: names.next().unwrap_or_default().trim().to_owned(),
        rule: rules.next().unwrap_or_default().trim().replace("\r\n", "\n"),
    });
    SettingsForm {
        name: form.field("name").to_owned(),
        stage: form.field("stage").to_owned(),
        timezone: form.field("timezone").to_owned(),
        identifier_case: form.field("identifier_case").to_owned(),
        unit_groups: groups.filter(|group| !group.id.is_empty() || !group.rule.is_empty()).collect(),
    }
}

/// Saves what was changed.
pub(super) async fn save(Posted { visit, form }: Posted<VisitAt<needs::SystemsWrite>>) -> Result<Response, Failure> {
    let new = sent(&form);
    let old = text_of(&visit.rules, &RulePath::System).map(|text| text.to_string()).unwrap_or_default();
    let text = match new.edit(&old, &SettingsForm::from(&visit.rules.settings)) {
        Ok(text) => text,
        Err(error) => {
            let page = settings_page(&visit, new, vec![sentence(&error.to_string())]);
            return Ok(visit.show(StatusCode::CONFLICT, &page));
        }
    };
    if visit.state.config.rules.read_only {
        let page = SettingsPage { commit: Some(text), ..settings_page(&visit, new, Vec::new()) };
        return Ok(visit.show(StatusCode::OK, &page));
    }
    let mut headers = HeaderMap::new();
    let was = HeaderValue::from_str(&format!("\"{}\"", form.field("was")));
    if let (Ok(was), false) = (was, form.field("was").is_empty()) {
        headers.insert(header::IF_MATCH, was);
    }
    let name = new.name.clone();
    match write(&visit, text, &headers).await {
        Ok(_) => Ok(visit.done(&visit.path("settings"), &Flash::good(format!("{name} was saved, and is live.")))),
        Err(problem) if problem.kind() == Kind::EditConflict => {
            let said = "The file was changed meanwhile: look at your changes again, then save.";
            Ok(visit.show(StatusCode::CONFLICT, &settings_page(&visit, new, vec![said.to_owned()])))
        }
        Err(problem) if is_told(&problem) => {
            Ok(visit.show(problem.status(), &settings_page(&visit, new, sentences(&problem))))
        }
        Err(problem) => Err(problem.into()),
    }
}
