//! What pages about operators share: how a status, systems and names are told, and what can be given to whom.
//!
//! Knows nothing of any one page. Invariant: nobody is offered a role or a system that they could not give.

use std::fmt;

use askama::filters::HtmlSafe;

use super::list::Choice;
use super::visit::Operator;
use crate::accounts::{LoginMethod, UserRecord, UserStatus, systems_of};
use crate::model::SystemId;
use crate::ruleset::LiveRules;

/// What stands for every system.
pub(super) const EVERY_SYSTEM: &str = "*";

/// A status, as a coloured dot with words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status(pub(super) UserStatus);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, words) = match self.0 {
            UserStatus::Provisioned => ("warn", "Provisioned"),
            UserStatus::Active => ("good", "Active"),
            UserStatus::Inactive => ("idle", "Inactive"),
        };
        write!(f, "<span class=\"badge {class}\">{words}</span>")
    }
}

// Constants alone.
impl HtmlSafe for Status {}

/// What people call an operator: the name, or the username where there is none.
pub(super) fn name_of(user: &UserRecord) -> String {
    let name = format!("{} {}", user.first_name, user.last_name).trim().to_owned();
    if name.is_empty() { user.username.clone() } else { name }
}

/// How somebody logs in.
pub(super) fn method_of(user: &UserRecord) -> &'static str {
    match user.login_method {
        LoginMethod::Password => "Password",
        LoginMethod::Sso => "SSO",
    }
}

/// The names of the systems in which somebody has anything to do.
pub(super) fn systems_in_words(user: &UserRecord, live: &LiveRules) -> Vec<String> {
    let name = |id: String| match live.systems.get(id.as_str()) {
        _ if id == EVERY_SYSTEM => "All systems".to_owned(),
        Some(rules) => rules.settings.name.clone(),
        None => id,
    };
    systems_of(user).into_iter().map(name).collect()
}

/// The roles that an operator could give, and the one that is chosen.
pub(super) fn roles_to_give(operator: &Operator, chosen: &str) -> Vec<Choice> {
    let own = operator.principal().permissions();
    let roles = operator.state.accounts.roles().iter();
    let open = roles.filter(|role| role.name == chosen || role.permissions.intersection(own) == role.permissions);
    open.map(|role| Choice::new(&role.name, &role.name, chosen)).collect()
}

/// The systems that an operator could give access to, and those that are chosen.
pub(super) fn systems_to_give(operator: &Operator, chosen: &[String]) -> Vec<Choice> {
    let live = operator.state.rules.live();
    let who = operator.principal();
    let open = live.systems.iter().filter(|(id, _)| super::frame::is_open_to(who, id));
    let chosen = |value: &str| chosen.iter().find(|one| *one == value).cloned().unwrap_or_default();
    let one = |(id, name): (&SystemId, &String)| Choice::new(id.as_str(), name, &chosen(id.as_str()));
    let mut choices: Vec<_> = open.map(|(id, rules)| one((id, &rules.settings.name))).collect();
    if who.acts_everywhere() {
        let every = Choice::new(EVERY_SYSTEM, "All systems, later ones too", &chosen(EVERY_SYSTEM));
        choices.insert(0, every);
    }
    choices
}

/// The ways to log in.
pub(super) fn methods(chosen: &str) -> Vec<Choice> {
    vec![Choice::new("password", "Password", chosen), Choice::new("sso", "SSO", chosen)]
}

/// A way to log in, as a form sends it.
pub(super) fn method(sent: &str) -> Option<LoginMethod> {
    match sent {
        "password" => Some(LoginMethod::Password),
        "sso" => Some(LoginMethod::Sso),
        _ => None,
    }
}

/// "1 person", "3 people".
pub(super) fn people(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}
