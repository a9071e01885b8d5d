//! What is kept or taken away of an answer: saved filters, and files.

use axum::extract::RawQuery;
use axum::response::Response;

use super::super::answer::{Failure, sentence};
use super::super::flash::Flash;
use super::super::visit::Posted;
use super::asking::Asking;
use super::page::Visit;
use crate::http::api::export::{ExportRequest, Form as FileForm, exported};
use crate::http::api::filters::{remove, save};
use crate::http::problem::Problem;
use crate::model::FilterId;
use crate::ruleset::proposed_segment_id;

/// Saves or deletes a filter.
pub(in crate::http::console) async fn act(Posted { visit, form }: Posted<Visit>) -> Result<Response, Failure> {
    let path = visit.path("insights");
    let to = |filter: &str, condition: &str| {
        let asking = Asking { filter: filter.to_owned(), condition: condition.to_owned(), ..Asking::default() };
        asking.address(&path, "", &[])
    };
    if form.field("do") == "delete" {
        let said = match remove(&visit, form.field("id")).await {
            Ok(()) => Flash::good("The filter is deleted."),
            Err(problem) => Flash::bad(told(&problem)),
        };
        return Ok(visit.done(&path, &said));
    }
    let condition = form.field("where");
    let condition = if condition.is_empty() { r#"{"all":[]}"# } else { condition };
    let id = match form.some("id") {
        Some(id) => FilterId::new(&id)?,
        None => {
            let taken = |id: &str| {
                FilterId::new(id).is_ok_and(|id| {
                    visit.state.filters.list(visit.system(), &visit.who()).iter().any(|one| one.id == id)
                })
            };
            FilterId::new(&proposed_segment_id(form.field("name"), &taken))?
        }
    };
    let saved = save(&visit, id, form.some("name"), condition.to_owned(), form.ticked("shared")).await;
    Ok(match saved {
        Ok((filter, _)) => {
            let said = Flash::good(format!("The filter “{}” is saved.", filter.content.name));
            visit.done(&to(filter.id.as_str(), ""), &said)
        }
        Err(problem) => visit.done(&to("", condition), &Flash::bad(told(&problem))),
    })
}

fn told(problem: &Problem) -> String {
    match problem.errors().first() {
        Some(place) => sentence(&place.detail),
        None => sentence(problem.detail()),
    }
}

/// Everybody who is asked for, as a file.
pub(in crate::http::console) async fn export(visit: Visit, query: RawQuery) -> Result<Response, Failure> {
    let asking = Asking::read(&query);
    let form = if asking.form == "ndjson" { FileForm::Ndjson } else { FileForm::Csv };
    let request = ExportRequest {
        condition: asking.json()?,
        rule: asking.rule(),
        select: (!asking.select.is_empty()).then(|| asking.select.clone()),
        integration: None,
        raw: false,
    };
    Ok(exported(&visit, form, request).await?)
}
