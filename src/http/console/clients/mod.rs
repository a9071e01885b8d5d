//! `/console/clients`: OAuth clients, the machines that call the API.
//!
//! Invariant: a secret is shown by the answer to the form that made it, and nowhere else: it is in no cookie and no address.

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{Failure, sentence, sentences};
use super::flash::Flash;
use super::form::Form;
use super::frame::{Frame, Section};
use super::list::{Asked, Choice, Paged, Pager};
use super::people::{EVERY_SYSTEM, roles_to_give, systems_to_give};
use super::visit::{Posted, Visit};
use super::when::Moment;
use crate::accounts::{Client, ClientDraft, ClientError, Secret};
use crate::http::auth::needs;
use crate::http::problem::{Kind, Problem};
use crate::model::Permission;
use crate::ruleset::LiveRules;

/// The list's address.
const LIST: &str = "/console/clients";

/// A client in the list.
struct Row {
    id: String,
    description: String,
    role: String,
    systems: String,
    enabled: bool,
    made: Moment,
}

impl Row {
    fn new(client: &Client, live: &LiveRules) -> Self {
        let name = |id: &crate::model::SystemId| match live.systems.get(id) {
            Some(rules) => rules.settings.name.clone(),
            None => id.to_string(),
        };
        let systems = client.systems.as_ref().map(|systems| systems.iter().map(name).collect::<Vec<_>>().join(", "));
        Self {
            id: client.id.clone(),
            description: client.description.clone(),
            role: client.role.clone(),
            systems: systems.unwrap_or_else(|| "All systems".to_owned()),
            enabled: client.enabled,
            made: Moment::of(client.created_at),
        }
    }
}

#[derive(Template)]
#[template(path = "http/console/clients/list.html")]
struct ClientsPage {
    frame: Frame,
    rows: Vec<Row>,
    pager: Pager,
    q: String,
    write: bool,
}

/// The list.
pub(super) async fn page(visit: Visit<needs::ClientsRead>, asked: Asked) -> Response {
    let live = visit.state.rules.live();
    let q = asked.field("q").to_lowercase();
    let clients = visit.state.accounts.clients();
    let wanted = clients.iter().filter(|client| {
        [&client.id, &client.description, &client.role].iter().any(|text| text.to_lowercase().contains(&q))
    });
    let Paged { items, pager } = Paged::of(wanted.map(|client| Row::new(client, &live)).collect(), &asked);
    let page = ClientsPage {
        frame: visit.frame(Section::Clients),
        rows: items,
        pager,
        q: asked.field("q").to_owned(),
        write: visit.operator.principal().may(Permission::ClientsWrite, None),
    };
    visit.show(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "http/console/clients/edit.html")]
struct EditPage {
    frame: Frame,
    wrong: Vec<String>,
    /// None: a new one.
    id: Option<String>,
    wanted_id: String,
    description: String,
    roles: Vec<Choice>,
    systems: Vec<Choice>,
}

fn draft_of(client: &Client) -> ClientDraft {
    let ids = |systems: &std::sync::Arc<_>| -> Vec<String> {
        let systems: &std::collections::BTreeSet<crate::model::SystemId> = systems;
        systems.iter().map(ToString::to_string).collect()
    };
    ClientDraft {
        id: Some(client.id.clone()),
        description: client.description.clone(),
        role: client.role.clone(),
        systems: client.systems.as_ref().map(ids),
    }
}

fn sent(form: &Form) -> ClientDraft {
    ClientDraft {
        id: form.some("client_id"),
        description: form.field("description").to_owned(),
        role: form.field("role").to_owned(),
        systems: Some(form.all("system").map(str::to_owned).collect()),
    }
}

fn edit_page(
    visit: &Visit<needs::ClientsWrite>,
    of: Option<&Client>,
    draft: ClientDraft,
    wrong: Vec<String>,
) -> EditPage {
    let chosen = draft.systems.unwrap_or_else(|| vec![EVERY_SYSTEM.to_owned()]);
    EditPage {
        frame: visit.frame(Section::Clients),
        wrong,
        id: of.map(|client| client.id.clone()),
        wanted_id: draft.id.unwrap_or_default(),
        description: draft.description,
        roles: roles_to_give(&visit.operator, &draft.role),
        systems: systems_to_give(&visit.operator, &chosen),
    }
}

/// The form for a new one.
pub(super) async fn new(visit: Visit<needs::ClientsWrite>) -> Response {
    let draft = ClientDraft { systems: Some(Vec::new()), ..ClientDraft::default() };
    visit.show(StatusCode::OK, &edit_page(&visit, None, draft, Vec::new()))
}

/// Makes a client; the answer shows its secret.
pub(super) async fn create(Posted { visit, form }: Posted<Visit<needs::ClientsWrite>>) -> Result<Response, Failure> {
    let (draft, live) = (sent(&form), visit.state.rules.live());
    match visit.state.accounts.create_client(visit.actor.clone(), draft.clone(), live).await {
        Ok((client, secret)) => Ok(show_secret(&visit, &client, &secret, true)),
        Err(error) => again(&visit, None, draft, error),
    }
}

fn again(
    visit: &Visit<needs::ClientsWrite>,
    of: Option<&Client>,
    draft: ClientDraft,
    error: ClientError,
) -> Result<Response, Failure> {
    let problem = Problem::from(error);
    if !matches!(problem.kind(), Kind::Refused | Kind::Conflict | Kind::Forbidden) {
        return Err(problem.into());
    }
    Ok(visit.show(problem.status(), &edit_page(visit, of, draft, sentences(&problem))))
}

/// The form of one.
pub(super) async fn edit(
    visit: Visit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id?;
    Ok(match visit.state.accounts.client(&id) {
        Some(client) => visit.show(StatusCode::OK, &edit_page(&visit, Some(&client), draft_of(&client), Vec::new())),
        None => visit.failed(ClientError::Unknown(id)),
    })
}

/// Saves what was changed.
pub(super) async fn save(
    id: Result<Path<String>, PathRejection>,
    Posted { visit, form }: Posted<Visit<needs::ClientsWrite>>,
) -> Result<Response, Failure> {
    let Path(id) = id?;
    let Some(client) = visit.state.accounts.client(&id) else {
        return Ok(visit.failed(ClientError::Unknown(id)));
    };
    let (draft, live) = (ClientDraft { id: None, ..sent(&form) }, visit.state.rules.live());
    match visit.state.accounts.put_client(visit.actor.clone(), id, draft.clone(), live).await {
        Ok(client) => Ok(visit.done(LIST, &Flash::good(format!("{} was saved.", client.id)))),
        Err(error) => again(&visit, Some(&client), draft, error),
    }
}

/// What is asked for again before it is done with a client.
#[derive(Clone, Copy, PartialEq)]
enum Asking {
    Rotate,
    Disable,
    Enable,
}

#[derive(Template)]
#[template(path = "http/console/clients/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    id: String,
    title: &'static str,
    about: &'static str,
    action: &'static str,
    danger: bool,
}

fn ask(visit: &Visit<needs::ClientsWrite>, id: String, asking: Asking) -> Response {
    if visit.state.accounts.client(&id).is_none() {
        return visit.failed(ClientError::Unknown(id));
    }
    let (title, about, action) = match asking {
        Asking::Rotate => {
            ("Rotate the secret", "The old secret and every access token of the client end at once.", "rotate")
        }
        Asking::Disable => ("Disable the client", "It gets no tokens, and those that it has end at once.", "disable"),
        Asking::Enable => ("Enable the client", "It gets tokens again, with the secret that it had.", "enable"),
    };
    let danger = asking != Asking::Enable;
    let page = ConfirmPage { frame: visit.frame(Section::Clients), id, title, about, action, danger };
    visit.show(StatusCode::OK, &page)
}

/// Asks whether to rotate.
pub(super) async fn ask_rotate(
    visit: Visit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    Ok(ask(&visit, id?.0, Asking::Rotate))
}

/// Asks whether to disable.
pub(super) async fn ask_disable(
    visit: Visit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    Ok(ask(&visit, id?.0, Asking::Disable))
}

/// Asks whether to enable.
pub(super) async fn ask_enable(
    visit: Visit<needs::ClientsWrite>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    Ok(ask(&visit, id?.0, Asking::Enable))
}

/// Gives a client a new secret; the answer shows it.
pub(super) async fn rotate(
    id: Result<Path<String>, PathRejection>,
    Posted { visit, .. }: Posted<Visit<needs::ClientsWrite>>,
) -> Result<Response, Failure> {
    match visit.state.accounts.rotate_client_secret(visit.actor.clone(), id?.0).await {
        Ok((client, secret)) => Ok(show_secret(&visit, &client, &secret, false)),
        Err(error) => refused(&visit, error),
    }
}

/// Disables a client.
pub(super) async fn disable(
    id: Result<Path<String>, PathRejection>,
    Posted { visit, .. }: Posted<Visit<needs::ClientsWrite>>,
) -> Result<Response, Failure> {
    set_enabled(&visit, id?.0, false).await
}

/// Enables a client.
pub(super) async fn enable(
    id: Result<Path<String>, PathRejection>,
    Posted { visit, .. }: Posted<Visit<needs::ClientsWrite>>,
) -> Result<Response, Failure> {
    set_enabled(&visit, id?.0, true).await
}

async fn set_enabled(visit: &Visit<needs::ClientsWrite>, id: String, enabled: bool) -> Result<Response, Failure> {
    let said = format!("{id} was {}.", if enabled { "enabled" } else { "disabled" });
    match visit.state.accounts.set_client_enabled(visit.actor.clone(), id, enabled).await {
        Ok(_) => Ok(visit.done(LIST, &Flash::good(said))),
        Err(error) => refused(visit, error),
    }
}

fn refused(visit: &Visit<needs::ClientsWrite>, error: ClientError) -> Result<Response, Failure> {
    match error {
        ClientError::Unknown(_) => Ok(visit.failed(error)),
        ClientError::Beyond(_) => Ok(visit.done(LIST, &Flash::bad(sentence(&error.to_string())))),
        other => Err(other.into()),
    }
}

#[derive(Template)]
#[template(path = "http/console/clients/secret.html")]
struct SecretPage<'a> {
    frame: Frame,
    id: &'a str,
    secret: &'a str,
    made: bool,
}

fn show_secret(visit: &Visit<needs::ClientsWrite>, client: &Client, secret: &Secret, made: bool) -> Response {
    let frame = visit.frame(Section::Clients);
    visit.show(StatusCode::OK, &SecretPage { frame, id: &client.id, secret: secret.reveal(), made })
}
