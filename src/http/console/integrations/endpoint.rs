//! Where an integration's calls go: its address, its token, a command that sends one, and a trial that stores nothing.

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::answer::{Failure, sentence, sentences};
use super::super::figures;
use super::super::flash::Flash;
use super::super::frame::{Frame, Section};
use super::super::visit::{Posted, VisitAt};
use crate::http::api::endpoints::{EndpointResponse, endpoint, renew, sample_body};
use crate::http::api::trials::{TrialRecord, TrialResponse, judged};
use crate::http::auth::needs;

/// Hours for which an old token may live on, as the page offers them.
const GRACES: [(u32, &str); 4] = [(0, "at once"), (1, "in an hour"), (24, "in a day"), (168, "in a week")];

type Visit = VisitAt<needs::IntegrationsWrite>;

/// How the page is opened.
#[derive(Default, Deserialize)]
pub(in crate::http::console) struct Opening {
    /// As the wizard's last step.
    #[serde(default)]
    step: u8,
}

#[derive(Template)]
#[template(path = "http/console/integrations/endpoint.html")]
struct EndpointPage {
    frame: Frame,
    path: String,
    name: String,
    step: u8,
    endpoint: EndpointResponse,
    payload: String,
    verdict: Option<Verdict>,
    wrong: Vec<String>,
}

/// What would come of a payload.
struct Verdict {
    accepted: bool,
    /// What would be done, in words.
    summary: String,
    records: Vec<RecordRow>,
    /// Place and what is wrong there.
    errors: Vec<(String, String)>,
}

struct RecordRow {
    id: String,
    values: Vec<(String, String)>,
    ignored: Vec<String>,
}

/// Records that a page shows; a trial may judge thousands.
const SHOWN: usize = 50;

impl From<TrialResponse> for Verdict {
    fn from(trial: TrialResponse) -> Self {
        let count = trial.records.len() as u64;
        let summary = if trial.accepted {
            format!("The call would be stored: {}.", figures::of(count, "record", "records"))
        } else {
            "The call would be refused, and nothing of it stored.".to_owned()
        };
        let errors = trial.errors.into_iter().take(SHOWN).map(|error| (error.pointer, sentence(&error.detail)));
        Self {
            accepted: trial.accepted,
            summary,
            records: trial.records.into_iter().take(SHOWN).map(RecordRow::from).collect(),
            errors: errors.collect(),
        }
    }
}

impl From<TrialRecord> for RecordRow {
    fn from(record: TrialRecord) -> Self {
        let TrialRecord { id, attributes, ignored, .. } = record;
        let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self { id, values: attributes.into_iter().map(|(name, value)| (name, text(value))).collect(), ignored }
    }
}

fn show(
    visit: &Visit,
    step: u8,
    payload: Option<String>,
    verdict: Option<Verdict>,
    wrong: Vec<String>,
) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let sample = || sample_body(None, integration, visit.rules.today(visit.state.clock.now()));
    let page = EndpointPage {
        frame: visit.frame(Section::Integrations),
        path: visit.path(&format!("integrations/{}", integration.id)),
        name: integration.name.clone(),
        step,
        endpoint: endpoint(visit)?,
        payload: payload.unwrap_or_else(sample),
        verdict,
        wrong,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

/// The page.
pub(in crate::http::console) async fn page(
    visit: Visit,
    opening: Result<Query<Opening>, QueryRejection>,
) -> Result<Response, Failure> {
    show(&visit, opening.unwrap_or_default().0.step, None, None, Vec::new())
}

/// Judges a payload.
pub(in crate::http::console) async fn test(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let payload = form.raw("payload").to_owned();
    let step = form.field("step").parse().unwrap_or(0);
    match judged(&visit, as_call(&payload)).await {
        Ok(verdict) => show(&visit, step, Some(payload), Some(verdict.into()), Vec::new()),
        Err(problem) => show(&visit, step, Some(payload), None, sentences(&problem)),
    }
}

/// A call's body of what was pasted: one as it is, a list of records, or a record alone.
fn as_call(payload: &str) -> String {
    let text = payload.trim();
    let is_call = || {
        let object: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(text).ok();
        object.is_none_or(|object| object.contains_key("data"))
    };
    match text.chars().next() {
        Some('[') => format!("{{\"data\":{text}}}"),
        Some('{') if !is_call() => format!("{{\"data\":[{text}]}}"),
        _ => text.to_owned(),
    }
}

#[derive(Template)]
#[template(path = "http/console/integrations/rotate.html")]
struct RotatePage {
    frame: Frame,
    path: String,
    name: String,
    graces: [(u32, &'static str); 4],
}

/// Asks whether the token is to be exchanged.
pub(in crate::http::console) async fn ask(visit: Visit) -> Result<Response, Failure> {
    let integration = visit.integration()?;
    let page = RotatePage {
        frame: visit.frame(Section::Integrations),
        path: visit.path(&format!("integrations/{}", integration.id)),
        name: integration.name.clone(),
        graces: GRACES,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

/// Exchanges the token.
pub(in crate::http::console) async fn rotate(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let hours = form.field("grace_hours").parse().unwrap_or(0);
    // Only what the page offers.
    let (hours, words) = GRACES.into_iter().find(|(offered, _)| *offered == hours).unwrap_or((0, "at once"));
    renew(&visit, hours).await?;
    let to = visit.path(&format!("integrations/{}/endpoint", visit.integration()?.id));
    Ok(visit.done(&to, &Flash::good(format!("The integration has a new token; the old one ends {words}."))))
}

#[cfg(test)]
mod tests {
    use super::as_call;

    #[test]
    fn a_record_a_list_or_a_call_can_be_tried() {
        assert_eq!(as_call(" {\"Email\": 1} "), "{\"data\":[{\"Email\": 1}]}");
        assert_eq!(as_call("[{}]"), "{\"data\":[{}]}");
        assert_eq!(as_call("{\"token\":\"x\",\"data\":[]}"), "{\"token\":\"x\",\"data\":[]}");
        assert_eq!(as_call("{\"a\":"), "{\"a\":", "what is no JSON is told so as it was sent");
    }
}
