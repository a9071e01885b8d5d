//! `/console/users/{username}/edit`: one account: what is said of it, its data access, and its mails.
//!
//! Knows nothing of who may grant what: the accounts do. What the form does not show stays as it is.

use askama::Template;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentence, sentences};
use super::super::flash::Flash;
use super::super::form::Form;
use super::super::frame::{Frame, Section};
use super::super::list::Choice;
use super::super::people::{EVERY_SYSTEM, Status, method, methods, name_of, roles_to_give};
use super::super::visit::{Posted, Visit};
use super::super::when::Moment;
use crate::accounts::{
    DataAccess, DataAccessDraft, LoginMethod, UserAction, UserDraft, UserError, UserRecord, UserStatus,
};
use crate::http::auth::needs;
use crate::http::problem::{Kind, Problem};
use crate::model::Permission;
use crate::ruleset::LiveRules;

/// One entry of data access in the form.
struct Entry {
    roles: Vec<Choice>,
    systems: Vec<Choice>,
    groups: Groups,
}

/// The unit groups that an entry can name.
struct Groups {
    /// Whether every end user is meant.
    all: bool,
    /// Each system's, under its name.
    of_systems: Vec<(String, String, Vec<Choice>)>,
    /// What is named and is not there any more.
    gone: Option<String>,
}

#[derive(Template)]
#[template(path = "http/console/users/edit.html")]
struct EditPage {
    frame: Frame,
    wrong: Vec<String>,
    username: String,
    name: String,
    status: Status,
    provisioned: bool,
    active: bool,
    has_password: bool,
    inactive: bool,
    write: bool,
    invited_at: Moment,
    changed: (Moment, String),
    last_login: Option<Moment>,
    counts: (u64, u64),
    totp: bool,
    blocked: bool,
    was: String,
    draft: Drafted,
    sso: bool,
    roles: Vec<Choice>,
    extra: Vec<Choice>,
    methods: Vec<Choice>,
    entries: Vec<Entry>,
    /// An entry for a script to copy.
    blank: Entry,
}

/// What stands in the form.
struct Drafted {
    first_name: String,
    last_name: String,
    email: String,
    role: String,
    extra: Vec<String>,
    method: &'static str,
    sso_id: String,
    blocked: bool,
    entries: Vec<DataAccessDraft>,
}

impl Drafted {
    fn of(user: &UserRecord) -> Self {
        let entry = |entry: &DataAccess| DataAccessDraft {
            role: entry.role.clone(),
            data_view: entry.data_view.clone(),
            unit_group: entry.unit_group.clone(),
        };
        Self {
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
            role: user.roles.primary_role.clone(),
            extra: user.roles.extra_roles.clone(),
            method: if user.login_method == LoginMethod::Sso { "sso" } else { "password" },
            sso_id: user.sso_id.clone().unwrap_or_default(),
            blocked: user.login_blocked,
            entries: user.data_access.iter().map(entry).collect(),
        }
    }

    /// What was sent; how one logs in is not in the form where there is no single sign-on.
    fn sent(form: &Form, user: &UserRecord, sso: bool) -> Self {
        let was = Self::of(user);
        let role = form.field("role").to_owned();
        Self {
            first_name: form.field("first_name").to_owned(),
            last_name: form.field("last_name").to_owned(),
            email: form.field("email").to_owned(),
            extra: form.all("extra_role").filter(|extra| *extra != role).map(str::to_owned).collect(),
            role,
            method: match method(form.field("login_method")).filter(|_| sso) {
                Some(LoginMethod::Sso) => "sso",
                Some(LoginMethod::Password) => "password",
                None => was.method,
            },
            sso_id: if sso { form.field("sso_id").to_owned() } else { was.sso_id },
            blocked: form.ticked("login_blocked"),
            entries: entries(form),
        }
    }

    fn draft(&self, user: &UserRecord) -> UserDraft {
        UserDraft {
            username: None,
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            email: Some(self.email.clone()),
            automatic_update: user.automatic_update,
            excluded_from_user_activity: user.excluded_from_user_activity,
            login_blocked: self.blocked,
            primary_role: Some(self.role.clone()),
            extra_roles: self.extra.clone(),
            data_access: self.entries.clone(),
            segments: 0,
            login_method: method(self.method),
            sso_id: Some(Some(self.sso_id.clone()).filter(|id| !id.is_empty())),
        }
    }
}

/// The entries of data access that were sent; one without a role is a row that was left blank.
fn entries(form: &Form) -> Vec<DataAccessDraft> {
    let rows = form.all("entry_role").zip(form.all("entry_system")).zip(form.all("entry_group"));
    let entry = |((role, system), group): ((&str, &str), &str)| DataAccessDraft {
        role: role.to_owned(),
        data_view: system.to_owned(),
        // Two systems may have groups of one name: the form says whose, and the entry's system decides.
        unit_group: group.split_once('/').map_or(group, |(_, group)| group).to_owned(),
    };
    rows.filter(|((role, _), _)| !role.is_empty()).map(entry).collect()
}

/// The page.
pub(in crate::http::console) async fn page(
    visit: Visit<needs::UsersRead>,
    username: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(username) = username?;
    let Some(user) = visit.state.accounts.user(&username) else {
        return Ok(visit.failed(UserError::Unknown(username)));
    };
    let page = edit_page(&visit, &user, Drafted::of(&user), Vec::new());
    Ok(visit.show(StatusCode::OK, &page))
}

fn edit_page<P>(visit: &Visit<P>, user: &UserRecord, draft: Drafted, wrong: Vec<String>) -> EditPage {
    let live = visit.state.rules.live();
    let extra = |choice: Choice| Choice { chosen: draft.extra.contains(&choice.value), ..choice };
    let entry = |entry: &DataAccessDraft| entry_of(visit, entry, &live);
    let blank = DataAccessDraft { role: String::new(), data_view: String::new(), unit_group: EVERY_SYSTEM.to_owned() };
    EditPage {
        frame: visit.frame(Section::Users),
        wrong,
        username: user.username.clone(),
        name: name_of(user),
        status: Status(user.status),
        provisioned: user.status == UserStatus::Provisioned,
        active: user.status == UserStatus::Active,
        inactive: user.status == UserStatus::Inactive,
        has_password: user.login_method == LoginMethod::Password,
        write: visit.operator.principal().may(Permission::UsersWrite, None),
        invited_at: Moment::of(user.created_on),
        changed: (Moment::of(user.modified_on), user.modified_by.clone()),
        last_login: user.last_login.map(Moment::of),
        counts: (user.login_count, user.failed_login_count),
        totp: user.totp.as_ref().is_some_and(crate::accounts::SecondFactor::is_active),
        blocked: user.login_blocked,
        was: user.modified_on.to_string(),
        sso: visit.state.accounts.has_sso(),
        roles: roles_to_give(&visit.operator, &draft.role),
        extra: all_roles(visit, &draft.extra).into_iter().map(extra).collect(),
        methods: methods(draft.method),
        entries: draft.entries.iter().map(entry).collect(),
        blank: entry(&blank),
        draft,
    }
}

/// The roles that can be given, and those that are held.
fn all_roles<P>(visit: &Visit<P>, held: &[String]) -> Vec<Choice> {
    let mut roles = roles_to_give(&visit.operator, "");
    for role in held {
        if !roles.iter().any(|choice| choice.value == *role) {
            roles.push(Choice::new(role, role, ""));
        }
    }
    roles
}

fn entry_of<P>(visit: &Visit<P>, entry: &DataAccessDraft, live: &LiveRules) -> Entry {
    let view = entry.data_view.as_str();
    // An entry keeps the word by which it names its system.
    let mut systems: Vec<_> = live
        .systems
        .iter()
        .map(|(id, rules)| match view == id.as_str() || view == rules.settings.name {
            true => Choice::new(view, &rules.settings.name, view),
            false => Choice::new(id.as_str(), &rules.settings.name, view),
        })
        .collect();
    systems.insert(0, Choice::new(EVERY_SYSTEM, "All systems", view));
    if !view.is_empty() && !systems.iter().any(|system| system.chosen) {
        systems.push(Choice::new(view, format!("{view} (not there now)"), view));
    }
    let mut roles = all_roles(visit, std::slice::from_ref(&entry.role));
    roles.retain(|role| !role.value.is_empty());
    roles.iter_mut().for_each(|role| role.chosen = role.value == entry.role);
    Entry { roles, systems, groups: groups_of(entry, live) }
}

fn groups_of(entry: &DataAccessDraft, live: &LiveRules) -> Groups {
    let named =
        |id: &str, name: &str| entry.data_view == id || entry.data_view == name || entry.data_view == EVERY_SYSTEM;
    let (mut found, mut of_systems) = (false, Vec::new());
    let mut all = entry.unit_group == EVERY_SYSTEM;
    for (id, rules) in &live.systems {
        let here = named(id.as_str(), &rules.settings.name);
        all |= here && entry.unit_group == id.as_str();
        let groups = rules.settings.unit_groups.iter().map(|group| {
            let chosen = here && !found && entry.unit_group == group.id.as_str();
            found |= chosen;
            Choice { value: format!("{id}/{}", group.id), text: group.name.clone(), chosen }
        });
        let groups: Vec<_> = groups.collect();
        if !groups.is_empty() {
            of_systems.push((id.to_string(), rules.settings.name.clone(), groups));
        }
    }
    let gone = (!all && !found).then(|| entry.unit_group.clone());
    Groups { all, of_systems, gone }
}

/// Saves what was changed.
pub(in crate::http::console) async fn save(
    username: Result<Path<String>, PathRejection>,
    Posted { visit, form }: Posted<Visit<needs::UsersWrite>>,
) -> Result<Response, Failure> {
    let Path(username) = username?;
    let Some(user) = visit.state.accounts.user(&username) else {
        return Ok(visit.failed(UserError::Unknown(username)));
    };
    let drafted = Drafted::sent(&form, &user, visit.state.accounts.has_sso());
    if form.field("was") != user.modified_on.to_string() {
        let wrong =
            format!("{} has changed this account meanwhile: look at your changes again, then save", user.modified_by);
        let page = edit_page(&visit, &user, drafted, vec![sentence(&wrong)]);
        return Ok(visit.show(StatusCode::CONFLICT, &page));
    }
    let (draft, live) = (drafted.draft(&user), visit.state.rules.live());
    match visit.state.accounts.put_user(visit.actor.clone(), username, draft, true, live).await {
        Ok(user) => Ok(visit.done("/console/users", &Flash::good(format!("{} was saved.", name_of(&user))))),
        Err(error) => {
            let problem = Problem::from(error);
            if !matches!(problem.kind(), Kind::Refused | Kind::Conflict | Kind::Forbidden) {
                return Err(problem.into());
            }
            let page = edit_page(&visit, &user, drafted, sentences(&problem));
            Ok(visit.show(problem.status(), &page))
        }
    }
}

/// Sends another activation mail.
pub(in crate::http::console) async fn resend(
    username: Result<Path<String>, PathRejection>,
    posted: Posted<Visit<needs::UsersWrite>>,
) -> Result<Response, Failure> {
    mail(username?.0, posted, UserAction::ResendActivation, "The activation e-mail is on its way to").await
}

/// Sends a mail to reset the password.
pub(in crate::http::console) async fn reset(
    username: Result<Path<String>, PathRejection>,
    posted: Posted<Visit<needs::UsersWrite>>,
) -> Result<Response, Failure> {
    mail(username?.0, posted, UserAction::ResetPassword, "An e-mail to reset the password is on its way to").await
}

async fn mail(
    username: String,
    Posted { visit, .. }: Posted<Visit<needs::UsersWrite>>,
    action: UserAction,
    words: &str,
) -> Result<Response, Failure> {
    let accounts = &visit.state.accounts;
    let email = accounts.user(&username).map(|user| user.email.clone()).unwrap_or_default();
    let back = format!("/console/users/{username}/edit");
    match accounts.act_on_user(visit.actor.clone(), username, action).await {
        Ok(()) => Ok(visit.done(&back, &Flash::good(format!("{words} {email}.")))),
        Err(error) => {
            let problem = Problem::from(error);
            match problem.kind() {
                Kind::Conflict => Ok(visit.done(&back, &Flash::bad(sentence(problem.detail())))),
                _ => Ok(visit.failed(problem)),
            }
        }
    }
}

#[derive(Template)]
#[template(path = "http/console/users/delete.html")]
struct DeletePage {
    frame: Frame,
    username: String,
    name: String,
}

/// Asks whether to delete the account.
pub(in crate::http::console) async fn confirm_deletion(
    visit: Visit<needs::UsersWrite>,
    username: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(username) = username?;
    let Some(user) = visit.state.accounts.user(&username) else {
        return Ok(visit.failed(UserError::Unknown(username)));
    };
    let page = DeletePage { frame: visit.frame(Section::Users), name: name_of(&user), username };
    Ok(visit.show(StatusCode::OK, &page))
}

/// Deletes the account.
pub(in crate::http::console) async fn delete(
    username: Result<Path<String>, PathRejection>,
    Posted { visit, .. }: Posted<Visit<needs::UsersWrite>>,
) -> Result<Response, Failure> {
    let Path(username) = username?;
    match visit.state.accounts.delete_user(visit.actor.clone(), username.clone()).await {
        Ok(()) => Ok(visit.done("/console/users", &Flash::good(format!("{username} was deleted.")))),
        Err(error @ UserError::LastAdmin(_)) => {
            let back = format!("/console/users/{username}/edit");
            Ok(visit.done(&back, &Flash::bad(sentence(&error.to_string()))))
        }
        Err(error) => Ok(visit.failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_left_blank_are_no_entries() {
        let form = "entry_role=Viewer&entry_system=shop&entry_group=*&entry_role=&entry_system=*&entry_group=*\
                    &entry_role=Editor&entry_system=demo&entry_group=demo%2F(U)%20x%2Fy";
        let found = entries(&Form::parse(form.as_bytes()));
        let found: Vec<_> =
            found.iter().map(|e| (e.role.as_str(), e.data_view.as_str(), e.unit_group.as_str())).collect();
        assert_eq!(found, [("Viewer", "shop", "*"), ("Editor", "demo", "(U) x/y")]);
    }
}
