//! Making an integration, step by step: its name; its identifier and properties. The third step is its endpoint.
//!
//! Every step is a form that carries the whole draft, so that the server keeps nothing and no script is needed.

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
use super::super::writing::{Commit, Mistake, Wrote, write};
use super::draft::{Draft, room};
use crate::http::auth::needs;
use crate::model::{ATTRIBUTE_CAP, AttributeType};
use crate::ruleset::{IntegrationKind, RulePath, proposed_id};

/// How the wizard is opened.
#[derive(Default, Deserialize)]
pub(in crate::http::console) struct Opening {
    #[serde(default)]
    kind: String,
}

#[derive(Template)]
#[template(path = "http/console/integrations/wizard.html")]
struct WizardPage {
    frame: Frame,
    base: String,
    step: u8,
    draft: Draft,
    types: [AttributeType; 3],
    wrong: Vec<String>,
    commit: Option<Commit>,
    used: usize,
    cap: usize,
}

type Visit = VisitAt<needs::IntegrationsWrite>;

fn show(visit: &Visit, step: u8, draft: Draft, wrong: Vec<String>, commit: Option<Commit>) -> Response {
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = WizardPage {
        frame: visit.frame(Section::Integrations),
        base: visit.path("integrations"),
        step,
        draft,
        types: AttributeType::ALL,
        wrong,
        commit,
        used: visit.rules.attributes_used(),
        cap: ATTRIBUTE_CAP,
    };
    visit.show(status, &page)
}

/// The first step.
pub(in crate::http::console) async fn page(visit: Visit, opening: Result<Query<Opening>, QueryRejection>) -> Response {
    let is_csv = opening.unwrap_or_default().0.kind == "csv";
    let draft = Draft::new(if is_csv { IntegrationKind::Csv } else { IntegrationKind::Api });
    show(&visit, 1, draft, Vec::new(), None)
}

/// What is done in a step.
pub(in crate::http::console) async fn step(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let mut draft = Draft::read(&form);
    let used = visit.rules.attributes_used();
    match form.field("do") {
        "back" => return Ok(show(&visit, 1, draft, Vec::new(), None)),
        "propose" => {
            let wrong = draft.complete(room(used)).err().map(|why| vec![sentence(&why)]).unwrap_or_default();
            return Ok(show(&visit, 2, draft, wrong, None));
        }
        "add" => {
            draft.add_row();
            return Ok(show(&visit, 2, draft, Vec::new(), None));
        }
        _ => {}
    }
    if let Err(wrong) = name(&visit, &mut draft) {
        return Ok(show(&visit, 1, draft, vec![wrong], None));
    }
    if form.field("do") != "create" {
        draft.offer_rows();
        return Ok(show(&visit, 2, draft, Vec::new(), None));
    }
    create(&visit, draft).await
}

/// Sees to it that the draft has a name and a free id.
fn name(visit: &Visit, draft: &mut Draft) -> Result<(), String> {
    if draft.name.is_empty() {
        return Err("Give the integration a name: it is shown beside each of its attributes.".to_owned());
    }
    let is_taken = |id: &str| visit.rules.integrations.contains_key(id);
    if draft.id.is_empty() {
        draft.id = proposed_id(&draft.name, &is_taken);
    }
    match format!("integrations/{}.toml", draft.id).parse::<RulePath>() {
        Ok(_) if is_taken(&draft.id) => {
            Err(format!("There is an integration `{}` already: choose another id.", draft.id))
        }
        Ok(_) => Ok(()),
        Err(_) if draft.id.contains('/') => Err("An id has no slash in it.".to_owned()),
        Err(error) => {
            let proposed = proposed_id(&draft.id, &is_taken);
            Err(format!("{} How about `{proposed}`?", sentence(&error.to_string())))
        }
    }
}

async fn create(visit: &Visit, mut draft: Draft) -> Result<Response, Failure> {
    let form = draft.to_form(true);
    let mut wrong = Vec::new();
    if form.user_identifier.is_empty() {
        wrong.push("Say which field names the end user.".to_owned());
    }
    if form.properties.is_empty() {
        wrong.push("Choose at least one property to import.".to_owned());
    }
    if !wrong.is_empty() {
        draft.offer_rows();
        return Ok(show(visit, 2, draft, wrong, None));
    }
    let path: RulePath = format!("integrations/{}.toml", draft.id)
        .parse()
        .map_err(|error| crate::http::problem::Problem::new(crate::http::problem::Kind::Refused, format!("{error}")))?;
    match write(visit, path.clone(), Some(form.to_text()), None).await? {
        Wrote::Done if draft.is_csv() => {
            let said = Flash::good(format!("{} is made: upload its first file.", draft.name));
            Ok(visit.done(&visit.path(&format!("integrations/{}", draft.id)), &said))
        }
        Wrote::Done => Ok(visit.done(
            &visit.path(&format!("integrations/{}/endpoint?step=3", draft.id)),
            &Flash::good(format!("{} is made, and its attributes can be used at once.", draft.name)),
        )),
        Wrote::Wrong(mistakes) => Ok(show(visit, 2, draft, mistakes.iter().map(Mistake::sentence).collect(), None)),
        Wrote::Conflict => {
            Ok(show(visit, 1, draft, vec!["Somebody made an integration of that id just now.".to_owned()], None))
        }
        Wrote::ReadOnly => {
            let commit = Commit::new(visit, &path, Some(form.to_text()));
            Ok(show(visit, 2, draft, Vec::new(), Some(commit)))
        }
    }
}
