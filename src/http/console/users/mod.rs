//! `/console/users`: operators' accounts.
//!
//! | file | owns |
//! | --- | --- |
//! | this one | the lists: those in use, those that are inactive, and those of one system |
//! | `invite` | invitations |
//! | `order` | how a list is sorted |
//! | `edit` | one account: what is said of it, data access, its mails |
//! | `standing` | disabling and enabling, one or many |
//! | `requests` | requests for access |

pub(super) mod edit;
pub(super) mod invite;
mod order;
pub(super) mod requests;
pub(super) mod standing;

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use self::order::{Head, Order};
use super::answer::Failure;
use super::frame::{Frame, Section};
use super::list::{Asked, Choice, Paged, Pager};
use super::people::{Status, method_of, name_of, systems_in_words};
use super::visit::{Operator, Visit, VisitAt};
use super::when::Moment;
use crate::accounts::{LoginMethod, RequestStatus, UserFilter, UserRecord, UserStatus};
use crate::http::auth::needs;
use crate::http::problem::Problem;
use crate::model::Permission;
use crate::ruleset::LiveRules;

/// An operator in a list.
struct Row {
    username: String,
    name: String,
    /// The name and the address, which break before their `@` where they must.
    called: (String, String),
    email: (String, String),
    roles: String,
    systems: Vec<String>,
    method: &'static str,
    last_login: Option<Moment>,
    status: Status,
    /// Which entries the row's menu has.
    resend: bool,
    reset: bool,
    enable: bool,
}

impl Row {
    fn new(user: &UserRecord, live: &LiveRules) -> Self {
        Self {
            username: user.username.clone(),
            name: name_of(user),
            called: at_its_sign(&name_of(user)),
            email: at_its_sign(&user.email),
            roles: user.roles.iter().collect::<Vec<_>>().join(", "),
            systems: systems_in_words(user, live),
            method: method_of(user),
            last_login: user.last_login.map(Moment::of),
            status: Status(user.status),
            resend: user.status == UserStatus::Provisioned && user.login_method == LoginMethod::Password,
            reset: user.status == UserStatus::Active && user.login_method == LoginMethod::Password,
            enable: user.status == UserStatus::Inactive,
        }
    }
}

/// A text in two, the second of which begins with the first `@`.
fn at_its_sign(text: &str) -> (String, String) {
    let (name, host) = text.split_at(text.find('@').unwrap_or(text.len()));
    (name.to_owned(), host.to_owned())
}

/// The tabs over the lists; `tabs.html` shows them.
struct Tabs {
    /// `users`, `inactive` or `requests`
    tab: &'static str,
    users: usize,
    inactive: usize,
    /// Whether there are lists beside the requests.
    sees_users: bool,
    /// How many requests wait; for who may decide on them.
    requests: Option<usize>,
}

impl Tabs {
    async fn of(tab: &'static str, operator: &Operator, users: &[Arc<UserRecord>]) -> Result<Self, Problem> {
        let inactive = users.iter().filter(|user| user.status == UserStatus::Inactive).count();
        let requests = if operator.principal().may(Permission::AccessRequestsManage, None) {
            let accounts = Arc::clone(&operator.state.accounts);
            let read = tokio::task::spawn_blocking(move || accounts.access_requests()).await;
            let requests = read.map_err(|error| Problem::internal(&error.to_string()))??;
            Some(requests.iter().filter(|request| request.status == RequestStatus::Pending).count())
        } else {
            None
        };
        let sees_users = operator.principal().may(Permission::UsersRead, None);
        Ok(Self { tab, users: users.len() - inactive, inactive, sees_users, requests })
    }
}

/// What an operator may do with the list.
struct Rights {
    write: bool,
    invite: bool,
}

impl Rights {
    fn of(operator: &Operator) -> Self {
        let may = |permission| operator.principal().may(permission, None);
        Self { write: may(Permission::UsersWrite), invite: may(Permission::UsersInvite) }
    }
}

#[derive(Template)]
#[template(path = "http/console/users/list.html")]
struct UsersPage {
    frame: Frame,
    tabs: Tabs,
    rights: Rights,
    heads: Vec<Head>,
    order: Order,
    rows: Vec<Row>,
    pager: Pager,
    q: String,
    roles: Vec<Choice>,
    systems: Vec<Choice>,
    statuses: Vec<Choice>,
    /// Whether anything is asked for.
    searched: bool,
    export: String,
}

/// Operators who are active or invited.
pub(super) async fn page(visit: Visit<needs::UsersRead>, asked: Asked) -> Result<Response, Failure> {
    list(&visit, &asked, "users").await
}

/// Operators who are disabled.
pub(super) async fn inactive(visit: Visit<needs::UsersRead>, asked: Asked) -> Result<Response, Failure> {
    list(&visit, &asked, "inactive").await
}

async fn list(visit: &Visit<needs::UsersRead>, asked: &Asked, tab: &'static str) -> Result<Response, Failure> {
    let live = visit.state.rules.live();
    let users = visit.state.accounts.users();
    let statuses = match (tab, asked.field("status")) {
        ("inactive", _) => vec![UserStatus::Inactive],
        (_, "active") => vec![UserStatus::Active],
        (_, "provisioned") => vec![UserStatus::Provisioned],
        _ => vec![UserStatus::Active, UserStatus::Provisioned],
    };
    let filter = UserFilter {
        statuses,
        role: asked.field("role").to_owned(),
        system: asked.field("system").to_owned(),
        mentions: asked.field("q").to_owned(),
        ..UserFilter::default()
    };
    let order = Order::of(asked);
    let mut passing: Vec<_> = users.iter().filter(|user| filter.passes(user, &live)).cloned().collect();
    order.sort(&mut passing);
    let Paged { items, pager } = Paged::of(passing, asked);
    let page = UsersPage {
        frame: visit.frame(Section::Users),
        tabs: Tabs::of(tab, &visit.operator, &users).await?,
        rights: Rights::of(&visit.operator),
        heads: order.heads(asked),
        order,
        rows: items.iter().map(|user| Row::new(user, &live)).collect(),
        pager,
        q: asked.field("q").to_owned(),
        roles: roles_held(visit, asked.field("role")),
        systems: systems_there(visit, asked.field("system")),
        statuses: vec![
            Choice::new("", "Any status", asked.field("status")),
            Choice::new("active", "Active", asked.field("status")),
            Choice::new("provisioned", "Provisioned", asked.field("status")),
        ],
        searched: ["q", "role", "system", "status"].iter().any(|name| !asked.field(name).is_empty()),
        export: export(asked),
    };
    Ok(visit.show(StatusCode::OK, &page))
}

fn roles_held(visit: &Visit<needs::UsersRead>, chosen: &str) -> Vec<Choice> {
    let roles = visit.state.accounts.roles().iter().map(|role| Choice::new(&role.name, &role.name, chosen));
    std::iter::once(Choice::new("", "Any role", chosen)).chain(roles).collect()
}

fn systems_there(visit: &Visit<needs::UsersRead>, chosen: &str) -> Vec<Choice> {
    let live = visit.state.rules.live();
    let open = live.systems.iter().filter(|(id, _)| super::frame::is_open_to(visit.operator.principal(), id));
    let systems = open.map(|(id, rules)| Choice::new(id.as_str(), &rules.settings.name, chosen));
    std::iter::once(Choice::new("", "Any system", chosen)).chain(systems).collect()
}

/// The API's own file, with the filters that it knows.
fn export(asked: &Asked) -> String {
    let query = asked.with(&[("page", ""), ("status", ""), ("sort", ""), ("order", "")]);
    format!("/admin/v1/users/export{}{query}", if query.is_empty() { "" } else { "?" })
}

#[derive(Template)]
#[template(path = "http/console/users/of_system.html")]
struct SystemUsersPage {
    frame: Frame,
    system: String,
    system_name: String,
    rights: Rights,
    rows: Vec<Row>,
    pager: Pager,
    q: String,
}

/// Who has access to a system.
pub(super) async fn of_system(visit: VisitAt<needs::UsersRead>, asked: Asked) -> Response {
    let live = visit.state.rules.live();
    let statuses = vec![UserStatus::Active, UserStatus::Provisioned];
    let (system, mentions) = (visit.system().to_string(), asked.field("q").to_owned());
    let filter = UserFilter { statuses, system, mentions, ..UserFilter::default() };
    let users = visit.state.accounts.users();
    let Paged { items, pager } = Paged::of(users.iter().filter(|user| filter.passes(user, &live)).collect(), &asked);
    let page = SystemUsersPage {
        frame: visit.frame(Section::SystemUsers),
        system: visit.system().to_string(),
        system_name: visit.rules.settings.name.clone(),
        rights: Rights::of(&visit.operator),
        rows: items.into_iter().map(|user| Row::new(user, &live)).collect(),
        pager,
        q: asked.field("q").to_owned(),
    };
    visit.show(StatusCode::OK, &page)
}
