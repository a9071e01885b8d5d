//! Changing an integration by its fields, disabling it, and deleting it. What a person wrote around them stays.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentence};
use super::super::flash::Flash;
use super::super::frame::{Frame, Section};
use super::super::visit::{Posted, VisitAt};
use super::super::writing::{Commit, Mistake, Wrote, write};
use super::draft::{Draft, room};
use crate::http::api::rule_files;
use crate::http::auth::needs;
use crate::http::problem::{Kind, Problem};
use crate::model::{ATTRIBUTE_CAP, AttributeType};
use crate::ruleset::{Integration, IntegrationForm, RulePath};

type Visit = VisitAt<needs::IntegrationsWrite>;

#[derive(Template)]
#[template(path = "http/console/integrations/change.html")]
struct ChangePage {
    frame: Frame,
    path: String,
    title: String,
    draft: Draft,
    etag: String,
    types: [AttributeType; 3],
    wrong: Vec<String>,
    commit: Option<Commit>,
    used: usize,
    cap: usize,
}

#[derive(Template)]
#[template(path = "http/console/integrations/delete.html")]
struct DeletePage {
    frame: Frame,
    path: String,
    name: String,
    etag: String,
    attributes: usize,
    commit: Option<Commit>,
    wrong: Vec<String>,
}

fn place(integration: &Integration) -> RulePath {
    RulePath::Integration(integration.id.clone())
}

fn tag(visit: &Visit, integration: &Integration) -> String {
    rule_files::etag_of(&visit.rules, &place(integration)).unwrap_or_default()
}

fn show(visit: &Visit, integration: &Integration, draft: Draft, etag: String, said: Said) -> Response {
    let status = if said.wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = ChangePage {
        frame: visit.frame(Section::Integrations),
        path: visit.path(&format!("integrations/{}", integration.id)),
        title: integration.name.clone(),
        draft,
        etag,
        types: AttributeType::ALL,
        wrong: said.wrong,
        commit: said.commit,
        used: visit.rules.attributes_used(),
        cap: ATTRIBUTE_CAP,
    };
    visit.show(status, &page)
}

/// What is said beside the form.
#[derive(Default)]
struct Said {
    wrong: Vec<String>,
    commit: Option<Commit>,
}

impl From<Vec<String>> for Said {
    fn from(wrong: Vec<String>) -> Self {
        Self { wrong, commit: None }
    }
}

const CONFLICT: &str =
    "Somebody changed the file meanwhile, so nothing was written: open the form again, and repeat your change.";

/// The form.
pub(in crate::http::console) async fn page(visit: Visit) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    Ok(show(&visit, integration, Draft::of(integration), tag(&visit, integration), Said::default()))
}

/// Takes the form: completes it, or writes it.
pub(in crate::http::console) async fn save(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let mut draft = Draft::read(&form);
    let etag = form.field("etag").to_owned();
    match form.field("do") {
        "propose" => {
            let others = visit.rules.attributes_used().saturating_sub(integration.properties.len());
            let wrong: Vec<String> = draft.complete(room(others)).err().map(|why| sentence(&why)).into_iter().collect();
            return Ok(show(&visit, integration, draft, etag, wrong.into()));
        }
        "add" => {
            draft.add_row();
            return Ok(show(&visit, integration, draft, etag, Said::default()));
        }
        _ => {}
    }
    let text = edited(&visit, integration, &draft.to_form(integration.enabled))?;
    match write(&visit, place(integration), Some(text.clone()), Some(etag.clone())).await? {
        Wrote::Done => {
            let to = visit.path(&format!("integrations/{}", integration.id));
            Ok(visit.done(&to, &Flash::good("The integration is changed, and the change is live.")))
        }
        Wrote::Wrong(mistakes) => {
            let wrong: Vec<String> = mistakes.iter().map(Mistake::sentence).collect();
            Ok(show(&visit, integration, draft, etag, wrong.into()))
        }
        Wrote::Conflict => Ok(show(&visit, integration, draft, etag, vec![CONFLICT.to_owned()].into())),
        Wrote::ReadOnly => {
            let commit = Some(Commit::new(&visit, &place(integration), Some(text)));
            Ok(show(&visit, integration, draft, etag, Said { wrong: Vec::new(), commit }))
        }
    }
}

/// The file as the form would have it.
fn edited(visit: &Visit, integration: &Integration, form: &IntegrationForm) -> Result<String, Problem> {
    let old = rule_files::text_of(&visit.rules, &place(integration)).map(AsRef::as_ref).unwrap_or_default();
    form.edit(old).map_err(|error| Problem::new(Kind::Refused, error.to_string()))
}

/// Disables or enables it.
pub(in crate::http::console) async fn switch(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let enabled = form.field("enabled") == "yes";
    let text = edited(&visit, integration, &IntegrationForm { enabled, ..IntegrationForm::from(integration) })?;
    let to = visit.path(&format!("integrations/{}", integration.id));
    let said = match write(&visit, place(integration), Some(text), Some(tag(&visit, integration))).await? {
        Wrote::Done if enabled => Flash::good("It is enabled: it takes data, and what it had is seen again."),
        Wrote::Done => Flash::good("It is disabled: it takes no data, and what it has is hidden."),
        Wrote::Wrong(mistakes) => Flash::bad(mistakes.iter().map(Mistake::sentence).collect::<Vec<_>>().join(" ")),
        Wrote::Conflict => Flash::bad(CONFLICT),
        Wrote::ReadOnly => Flash::bad(format!(
            "The rules come from Git alone here: put `enabled = {enabled}` into {}/{}.",
            visit.system(),
            place(integration)
        )),
    };
    Ok(visit.done(&to, &said))
}

fn show_deletion(visit: &Visit, integration: &Integration, said: Said) -> Response {
    let status = if said.wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = DeletePage {
        frame: visit.frame(Section::Integrations),
        path: visit.path(&format!("integrations/{}", integration.id)),
        name: integration.name.clone(),
        etag: tag(visit, integration),
        attributes: integration.properties.len(),
        commit: said.commit,
        wrong: said.wrong,
    };
    visit.show(status, &page)
}

/// Asks whether it is to be deleted.
pub(in crate::http::console) async fn ask(visit: Visit) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    Ok(show_deletion(&visit, integration, Said::default()))
}

/// Deletes it.
pub(in crate::http::console) async fn delete(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    match write(&visit, place(integration), None, form.some("etag")).await? {
        Wrote::Done => {
            let said = format!("{} is deleted; what it stored is hidden, not lost.", integration.name);
            Ok(visit.done(&visit.path("integrations"), &Flash::good(said)))
        }
        Wrote::Wrong(mistakes) => {
            let wrong: Vec<String> = mistakes.iter().map(Mistake::sentence).collect();
            Ok(show_deletion(&visit, integration, wrong.into()))
        }
        Wrote::Conflict => Ok(show_deletion(&visit, integration, vec![CONFLICT.to_owned()].into())),
        Wrote::ReadOnly => {
            let commit = Some(Commit::new(&visit, &place(integration), None));
            Ok(show_deletion(&visit, integration, Said { wrong: Vec::new(), commit }))
        }
    }
}
