//! `/console/users/disable`, `/console/users/enable`: who is let in and who is not, one or many at once.
//!
//! Both ask first: a pop-up over the list, or a page where there are no scripts.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::Failure;
use super::super::flash::Flash;
use super::super::frame::{Frame, Section};
use super::super::list::Asked;
use super::super::people::{name_of, people};
use super::super::visit::{Posted, Visit};
use crate::accounts::{BulkOutcome, UserAction};
use crate::http::auth::needs;

/// Most accounts of one form; a page of a list has fewer.
const MOST: usize = 1000;

#[derive(Template)]
#[template(path = "http/console/users/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    enable: bool,
    /// Usernames with names.
    users: Vec<(String, String)>,
    back: &'static str,
}

async fn confirm(visit: Visit<needs::UsersWrite>, asked: Asked, action: UserAction) -> Response {
    let found = asked.all("username").take(MOST).filter_map(|name| visit.state.accounts.user(name));
    let enable = action == UserAction::Enable;
    let page = ConfirmPage {
        frame: visit.frame(Section::Users),
        enable,
        users: found.map(|user| (user.username.clone(), name_of(&user))).collect(),
        back: list_of(action),
    };
    visit.show(StatusCode::OK, &page)
}

/// Asks whether to disable.
pub(in crate::http::console) async fn confirm_disabling(visit: Visit<needs::UsersWrite>, asked: Asked) -> Response {
    confirm(visit, asked, UserAction::Disable).await
}

/// Asks whether to enable.
pub(in crate::http::console) async fn confirm_enabling(visit: Visit<needs::UsersWrite>, asked: Asked) -> Response {
    confirm(visit, asked, UserAction::Enable).await
}

/// Disables.
pub(in crate::http::console) async fn disable(posted: Posted<Visit<needs::UsersWrite>>) -> Result<Response, Failure> {
    act(posted, UserAction::Disable).await
}

/// Enables.
pub(in crate::http::console) async fn enable(posted: Posted<Visit<needs::UsersWrite>>) -> Result<Response, Failure> {
    act(posted, UserAction::Enable).await
}

async fn act(
    Posted { visit, form }: Posted<Visit<needs::UsersWrite>>,
    action: UserAction,
) -> Result<Response, Failure> {
    let usernames: Vec<_> = form.all("username").take(MOST).map(str::to_owned).collect();
    if usernames.is_empty() {
        return Ok(visit.done(list_of(action), &Flash::bad("Nobody was selected.")));
    }
    let outcomes = visit.state.accounts.act_on_users(visit.actor.clone(), usernames, action).await?;
    Ok(visit.done(list_of(action), &told(&outcomes, action)))
}

/// The list from which an action is done.
fn list_of(action: UserAction) -> &'static str {
    if action == UserAction::Enable { "/console/users/inactive" } else { "/console/users" }
}

fn told(outcomes: &[(String, BulkOutcome)], action: UserAction) -> Flash {
    let done: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcome)| !matches!(outcome, BulkOutcome::Refused(_)))
        .map(|(name, _)| name)
        .collect();
    let refused = outcomes.iter().filter_map(|(_, outcome)| match outcome {
        BulkOutcome::Refused(error) => Some(super::super::answer::sentence(&error.to_string())),
        _ => None,
    });
    let verb = if action == UserAction::Enable { "enabled" } else { "disabled" };
    let mut said: Vec<_> = match done.as_slice() {
        [] => Vec::new(),
        [one] => vec![format!("{one} was {verb}.")],
        many => vec![format!("{} were {verb}.", people(many.len()))],
    };
    let so_far = said.len();
    said.extend(refused);
    let is_all = said.len() == so_far;
    if is_all { Flash::good(said.join(" ")) } else { Flash::bad(said.join(" ")) }
}
