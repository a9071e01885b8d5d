//! `/console/access-requests`: people who have no account and ask for one.

use std::sync::Arc;

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentence, sentences};
use super::super::flash::Flash;
use super::super::frame::{Frame, Section};
use super::super::list::{Asked, Choice, Paged, Pager};
use super::super::people::{method, methods, roles_to_give, systems_to_give};
use super::super::visit::{Posted, Visit};
use super::super::when::Moment;
use super::Tabs;
use crate::accounts::{AccessRequest, AccessRequestError, Offer, RequestStatus};
use crate::http::auth::needs;
use crate::http::problem::{Kind, Problem};
use crate::model::{BuiltInRole, Permission};

/// The list's address.
const LIST: &str = "/console/access-requests";

/// A request in the list.
struct Row {
    id: String,
    email: String,
    name: String,
    reason: String,
    at: Moment,
    pending: bool,
    /// Of a decided one: the badge, and by whom.
    decided: Option<(&'static str, &'static str, String)>,
}

impl From<AccessRequest> for Row {
    fn from(request: AccessRequest) -> Self {
        let by = request.decided_by.unwrap_or_default();
        Self {
            decided: match request.status {
                RequestStatus::Pending => None,
                RequestStatus::Approved => Some(("good", "Approved", by)),
                RequestStatus::Denied => Some(("idle", "Denied", by)),
            },
            pending: request.status == RequestStatus::Pending,
            at: Moment::of(request.requested_at),
            id: request.id,
            email: request.email,
            name: request.name,
            reason: request.reason,
        }
    }
}

#[derive(Template)]
#[template(path = "http/console/users/requests.html")]
struct RequestsPage {
    frame: Frame,
    tabs: Tabs,
    rows: Vec<Row>,
    pager: Pager,
    q: String,
    statuses: Vec<Choice>,
}

async fn all(visit: &Visit<needs::AccessRequestsManage>) -> Result<Vec<AccessRequest>, Problem> {
    let accounts = Arc::clone(&visit.state.accounts);
    let read = tokio::task::spawn_blocking(move || accounts.access_requests()).await;
    Ok(read.map_err(|error| Problem::internal(&error.to_string()))??)
}

/// The list.
pub(in crate::http::console) async fn page(
    visit: Visit<needs::AccessRequestsManage>,
    asked: Asked,
) -> Result<Response, Failure> {
    let (q, status) = (asked.field("q").to_lowercase(), asked.field("status"));
    let wanted = |request: &AccessRequest| {
        let of_status = match status {
            "decided" => request.status != RequestStatus::Pending,
            _ => request.status == RequestStatus::Pending,
        };
        of_status
            && [&request.email, &request.name, &request.reason].iter().any(|text| text.to_lowercase().contains(&q))
    };
    let requests = all(&visit).await?.into_iter().filter(wanted).map(Row::from).collect();
    let Paged { items, pager } = Paged::of(requests, &asked);
    // Who decides on requests need not see the list of users.
    let sees_users = visit.operator.principal().may(Permission::UsersRead, None);
    let users = if sees_users { visit.state.accounts.users() } else { Vec::new() };
    let page = RequestsPage {
        frame: visit.frame(Section::Users),
        tabs: Tabs::of("requests", &visit.operator, &users).await?,
        rows: items,
        pager,
        q: asked.field("q").to_owned(),
        statuses: vec![Choice::new("", "Waiting", status), Choice::new("decided", "Decided", status)],
    };
    Ok(visit.show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "http/console/users/approve.html")]
struct ApprovePage {
    frame: Frame,
    wrong: Vec<String>,
    request: Row,
    roles: Vec<Choice>,
    systems: Vec<Choice>,
    sso: bool,
    methods: Vec<Choice>,
    sso_id: String,
}

#[derive(Template)]
#[template(path = "http/console/users/deny.html")]
struct DenyPage {
    frame: Frame,
    request: Row,
}

/// The request that still waits; else an answer that says that it does not.
async fn waiting(visit: &Visit<needs::AccessRequestsManage>, id: String) -> Result<Result<Row, Response>, Failure> {
    Ok(match all(visit).await?.into_iter().find(|request| request.id == id) {
        None => Err(visit.failed(AccessRequestError::Unknown(id))),
        Some(request) if request.status != RequestStatus::Pending => {
            let said = sentence(&AccessRequestError::Decided(request.status).to_string());
            Err(visit.done(LIST, &Flash::bad(said)))
        }
        Some(request) => Ok(Row::from(request)),
    })
}

fn approve_page(
    visit: &Visit<needs::AccessRequestsManage>,
    request: Row,
    offer: &Offer,
    wrong: Vec<String>,
) -> ApprovePage {
    let role = offer.role.as_deref().unwrap_or(BuiltInRole::Viewer.name());
    let sso = offer.login_method == Some(crate::accounts::LoginMethod::Sso);
    ApprovePage {
        frame: visit.frame(Section::Users),
        wrong,
        request,
        roles: roles_to_give(&visit.operator, role),
        systems: systems_to_give(&visit.operator, offer.systems.as_deref().unwrap_or_default()),
        sso: visit.state.accounts.has_sso(),
        methods: methods(if sso { "sso" } else { "password" }),
        sso_id: offer.sso_id.clone().unwrap_or_default(),
    }
}

/// Asks with which role and systems.
pub(in crate::http::console) async fn confirm_approval(
    visit: Visit<needs::AccessRequestsManage>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    Ok(match waiting(&visit, id?.0).await? {
        Ok(request) => visit.show(StatusCode::OK, &approve_page(&visit, request, &Offer::default(), Vec::new())),
        Err(answer) => answer,
    })
}

/// Makes the account.
pub(in crate::http::console) async fn approve(
    id: Result<Path<String>, PathRejection>,
    Posted { visit, form }: Posted<Visit<needs::AccessRequestsManage>>,
) -> Result<Response, Failure> {
    let Path(id) = id?;
    let sso = visit.state.accounts.has_sso();
    let offer = Offer {
        role: form.some("role"),
        systems: Some(form.all("system").map(str::to_owned).collect()),
        login_method: method(form.field("login_method")).filter(|_| sso),
        sso_id: form.some("sso_id").filter(|_| sso && form.field("login_method") == "sso"),
    };
    let live = visit.state.rules.live();
    match visit.state.accounts.approve_access(visit.actor.clone(), id.clone(), offer.clone(), live).await {
        Ok(user) => {
            let said = format!("{} has access: the activation e-mail is on its way.", user.email);
            Ok(visit.done(LIST, &Flash::good(said)))
        }
        Err(AccessRequestError::User(error)) => {
            let problem = Problem::from(error);
            if !matches!(problem.kind(), Kind::Refused | Kind::Conflict | Kind::Forbidden) {
                return Err(problem.into());
            }
            Ok(match waiting(&visit, id).await? {
                Ok(request) => {
                    visit.show(problem.status(), &approve_page(&visit, request, &offer, sentences(&problem)))
                }
                Err(answer) => answer,
            })
        }
        Err(error) => decided(&visit, error),
    }
}

/// Asks whether to deny.
pub(in crate::http::console) async fn confirm_denial(
    visit: Visit<needs::AccessRequestsManage>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    Ok(match waiting(&visit, id?.0).await? {
        Ok(request) => visit.show(StatusCode::OK, &DenyPage { frame: visit.frame(Section::Users), request }),
        Err(answer) => answer,
    })
}

/// Denies.
pub(in crate::http::console) async fn deny(
    id: Result<Path<String>, PathRejection>,
    Posted { visit, .. }: Posted<Visit<needs::AccessRequestsManage>>,
) -> Result<Response, Failure> {
    match visit.state.accounts.deny_access(visit.actor.clone(), id?.0).await {
        Ok(()) => Ok(visit.done(LIST, &Flash::good("The request was denied. Nobody is told."))),
        Err(error) => decided(&visit, error),
    }
}

fn decided(visit: &Visit<needs::AccessRequestsManage>, error: AccessRequestError) -> Result<Response, Failure> {
    match error {
        AccessRequestError::Decided(_) => Ok(visit.done(LIST, &Flash::bad(sentence(&error.to_string())))),
        AccessRequestError::Unknown(_) => Ok(visit.failed(error)),
        other => Err(other.into()),
    }
}
