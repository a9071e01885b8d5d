//! `/console/users/invite`: many people at once, from addresses as they are pasted.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::super::answer::{Failure, sentences};
use super::super::flash::Flash;
use super::super::form::Form;
use super::super::frame::{Frame, Section};
use super::super::list::{Asked, Choice};
use super::super::people::{method, methods, people, roles_to_give, systems_to_give};
use super::super::visit::{Posted, Visit};
use crate::accounts::{InvitationOutcome, Invited, Invitee, Offer};
use crate::http::auth::needs;
use crate::http::problem::{Kind, Problem};
use crate::model::{BuiltInRole, SystemId};

#[derive(Template)]
#[template(path = "http/console/users/invite.html")]
struct InvitePage {
    frame: Frame,
    wrong: Vec<String>,
    emails: String,
    roles: Vec<Choice>,
    systems: Vec<Choice>,
    sso: bool,
    methods: Vec<Choice>,
    sso_id: String,
    /// The system from whose page one came.
    back: String,
}

/// What stands in the form.
#[derive(Default)]
struct Filled {
    emails: String,
    role: String,
    systems: Vec<String>,
    method: String,
    sso_id: String,
    back: String,
}

impl Filled {
    fn of(form: &Form) -> Self {
        let chips: Vec<_> = form.all("email").map(str::to_owned).collect();
        Self {
            emails: [form.field("emails").to_owned(), chips.join("\n")].join("\n").trim().to_owned(),
            role: form.field("role").to_owned(),
            systems: form.all("system").map(str::to_owned).collect(),
            method: form.field("login_method").to_owned(),
            sso_id: form.field("sso_id").to_owned(),
            back: form.field("back").to_owned(),
        }
    }
}

fn invite_page(visit: &Visit<needs::UsersInvite>, filled: Filled, wrong: Vec<String>) -> InvitePage {
    let role = if filled.role.is_empty() { BuiltInRole::Viewer.name() } else { &filled.role };
    InvitePage {
        frame: visit.frame(Section::Users),
        wrong,
        roles: roles_to_give(&visit.operator, role),
        systems: systems_to_give(&visit.operator, &filled.systems),
        sso: visit.state.accounts.has_sso(),
        methods: methods(&filled.method),
        emails: filled.emails,
        sso_id: filled.sso_id,
        back: filled.back,
    }
}

/// The form.
pub(in crate::http::console) async fn page(visit: Visit<needs::UsersInvite>, asked: Asked) -> Response {
    let system = asked.field("system").to_owned();
    let systems = if system.is_empty() { Vec::new() } else { vec![system.clone()] };
    let filled = Filled { systems, back: system, ..Filled::default() };
    visit.show(StatusCode::OK, &invite_page(&visit, filled, Vec::new()))
}

/// Sends the invitations.
pub(in crate::http::console) async fn send(
    Posted { visit, form }: Posted<Visit<needs::UsersInvite>>,
) -> Result<Response, Failure> {
    let sso = visit.state.accounts.has_sso();
    let all = Offer {
        role: form.some("role"),
        systems: Some(form.all("system").map(str::to_owned).collect()),
        login_method: method(form.field("login_method")).filter(|_| sso),
        sso_id: form.some("sso_id").filter(|_| sso && form.field("login_method") == "sso"),
    };
    let invitees = invitees(&form, sso);
    let live = visit.state.rules.live();
    match visit.state.accounts.invite(visit.actor.clone(), invitees, all, live).await {
        Ok(outcomes) => Ok(visit.done(&back_to(form.field("back")), &told(&outcomes))),
        Err(error) => {
            let problem = Problem::from(error);
            if !matches!(problem.kind(), Kind::Refused | Kind::Conflict | Kind::Forbidden) {
                return Err(problem.into());
            }
            let page = invite_page(&visit, Filled::of(&form), sentences(&problem));
            Ok(visit.show(problem.status(), &page))
        }
    }
}

/// The addresses: as text, and the chips, each with a role (and a name at the identity provider) of its own.
fn invitees(form: &Form, sso: bool) -> Vec<Invitee> {
    let text = Invitee { email: form.field("emails").to_owned(), ..Invitee::default() };
    let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (mut roles, mut ids) = (form.all("email_role"), form.all("email_sso_id"));
    let chips = form.all("email").map(|email| Invitee {
        email: email.to_owned(),
        own: Offer {
            role: given(roles.next()),
            sso_id: given(ids.next()).filter(|_| sso && form.field("login_method") == "sso"),
            ..Offer::default()
        },
        ..Invitee::default()
    });
    std::iter::once(text).filter(|invitee| !invitee.email.is_empty()).chain(chips).collect()
}

/// Where the form was opened from.
fn back_to(system: &str) -> String {
    match SystemId::new(system) {
        Ok(system) => format!("/console/systems/{system}/users"),
        Err(_) => "/console/users".to_owned(),
    }
}

/// What is said of the invitations that were sent.
fn told(outcomes: &[InvitationOutcome]) -> Flash {
    let of = |result| {
        let found = outcomes.iter().filter(move |outcome| outcome.result == result);
        found.map(|outcome| outcome.email.as_str()).collect::<Vec<_>>()
    };
    let (invited, exist, invalid) = (of(Invited::Invited), of(Invited::Exists), of(Invited::Invalid));
    let mut said = Vec::new();
    match invited.as_slice() {
        [] => said.push("Nobody was invited.".to_owned()),
        [one] => said.push(format!("{one} was invited: the activation e-mail is on its way.")),
        many => said.push(format!("{} were invited: the activation e-mails are on their way.", people(many.len()))),
    }
    if !exist.is_empty() {
        said.push(format!("In the account already, and left as they are: {}.", exist.join(", ")));
    }
    if !invalid.is_empty() {
        said.push(format!("No e-mail address: {}.", invalid.join(", ")));
    }
    let said = said.join(" ");
    if invited.is_empty() || !invalid.is_empty() { Flash::bad(said) } else { Flash::good(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_have_roles_of_their_own_and_text_has_the_role_of_all() {
        let form = "emails=a%40x.example%3Bb%40x.example&email=c%40x.example&email_role=Editor&email=d%40x.example&email_role=";
        let found = invitees(&Form::parse(form.as_bytes()), false);
        let found: Vec<_> = found.iter().map(|one| (one.email.as_str(), one.own.role.as_deref())).collect();
        let expected = [("a@x.example;b@x.example", None), ("c@x.example", Some("Editor")), ("d@x.example", None)];
        assert_eq!(found, expected);
        assert_eq!(back_to("shop"), "/console/systems/shop/users");
        assert_eq!(back_to("//evil"), "/console/users");
    }

    #[test]
    fn what_is_said_tells_who_was_not_invited() {
        let outcome = |email: &str, result| InvitationOutcome { email: email.to_owned(), result, username: None };
        let flash = told(&[outcome("a@x", Invited::Invited), outcome("b@x", Invited::Exists)]);
        assert!(
            flash.good && flash.text.starts_with("a@x was invited") && flash.text.ends_with("left as they are: b@x.")
        );
        assert!(!told(&[outcome("b@x", Invited::Exists)]).good);
        assert!(!told(&[outcome("a@x", Invited::Invited), outcome("x", Invited::Invalid)]).good);
    }
}
