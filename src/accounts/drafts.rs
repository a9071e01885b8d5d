//! What POST and PUT say of an operator's account, checked whole.
//!
//! Owns the grammar of usernames, addresses and names. Knows nothing of who sends it and of other accounts. Invariant: a
//! [`Checked`] draft names roles, systems and unit groups that there are.

use super::access::{self, DataAccessDraft};
use super::fault::Fault;
use super::roles::Roles;
use super::users::{DataAccess, LoginMethod, UserRoles};
use crate::ruleset::LiveRules;

/// Most characters of a username or an e-mail address.
const MAX_NAME: usize = 254;
/// Most characters of a first or last name, or a name at the identity provider.
const MAX_TEXT: usize = 256;
/// Most entries of data access.
const MAX_ENTRIES: usize = 1000;
/// Names below `/admin/v1/users/` that are no usernames, and what a path can't end in.
const RESERVED: [&str; 4] = ["export", "actions", ".", ".."];

/// What is said of an account. What is left out of a PUT falls back to its default, but for how the account logs in: that
/// stays, because only callers who know of it send it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserDraft {
    /// Its name.
    pub username: Option<String>,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: Option<String>,
    /// Kept as sent.
    pub automatic_update: bool,
    /// Kept as sent.
    pub excluded_from_user_activity: bool,
    /// Whether log-in is refused.
    pub login_blocked: bool,
    /// The main role.
    pub primary_role: Option<String>,
    /// Further roles.
    pub extra_roles: Vec<String>,
    /// Where the roles count.
    pub data_access: Vec<DataAccessDraft>,
    /// How many entries `data-access.segments` has: none are possible.
    pub segments: usize,
    /// How it logs in.
    pub login_method: Option<LoginMethod>,
    /// Its name at the identity provider; `Some(None)`: none.
    pub sso_id: Option<Option<String>>,
}

/// A draft whose parts are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) roles: UserRoles,
    pub(super) data_access: Vec<DataAccess>,
    pub(super) login_method: LoginMethod,
    pub(super) sso_id: Option<String>,
}

/// How an account logs in until it says otherwise.
#[derive(Debug, Clone)]
pub(super) struct LogsIn {
    pub(super) method: LoginMethod,
    pub(super) sso_id: Option<String>,
}

impl UserDraft {
    /// Checks every part.
    pub(super) fn check(&self, known: &Roles, live: &LiveRules, until_now: LogsIn) -> Result<Checked, Vec<Fault>> {
        let mut faults = Vec::new();
        let username = self.username.clone().unwrap_or_default();
        if let Err(detail) = check_username(&username) {
            faults.push(Fault::new("/username", "username", detail));
        }
        let email = self.email.clone().unwrap_or_default();
        if !is_address(&email) {
            faults.push(Fault::new("/email", "email", "an e-mail address is needed, such as `name@example.com`"));
        }
        for (pointer, text) in [("/first_name", &self.first_name), ("/last_name", &self.last_name)] {
            faults.extend(check_text(text).err().map(|detail| Fault::new(pointer, "text", detail)));
        }
        let roles = self.roles(known, &mut faults);
        if self.data_access.len() > MAX_ENTRIES {
            let detail = format!("there are {} entries; at most {MAX_ENTRIES} are taken", self.data_access.len());
            faults.push(Fault::new("/data-access/organization", "too_many", detail));
        }
        let data_access = access::resolve(&self.data_access, &roles, live, "/data-access/organization", &mut faults);
        if self.segments > 0 {
            let detail = "data access by segment is not possible: send `[]`, and give access by unit groups";
            faults.push(Fault::new("/data-access/segments", "not_empty", detail));
        }
        let (login_method, sso_id) = self.logs_in(until_now, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Checked { username, email, roles, data_access, login_method, sso_id })
    }

    fn roles(&self, known: &Roles, faults: &mut Vec<Fault>) -> UserRoles {
        let mut check = |role: &str, pointer: String| {
            if known.permissions(role).is_none() {
                faults.push(Fault::new(pointer, "unknown_role", known.unknown(role)));
            }
        };
        let mut roles = UserRoles { primary_role: String::new(), extra_roles: Vec::new() };
        match &self.primary_role {
            Some(role) => {
                check(role, "/roles/primary_role/role".to_owned());
                roles.primary_role.clone_from(role);
            }
            None => check("", "/roles/primary_role".to_owned()),
        }
        for (number, role) in self.extra_roles.iter().enumerate() {
            check(role, format!("/roles/extra_roles/{number}/role"));
            if !roles.contains(role) {
                roles.extra_roles.push(role.clone());
            }
        }
        roles
    }

    fn logs_in(&self, until_now: LogsIn, faults: &mut Vec<Fault>) -> (LoginMethod, Option<String>) {
        let method = self.login_method.unwrap_or(until_now.method);
        let sso_id = self.sso_id.clone().unwrap_or(until_now.sso_id).filter(|id| !id.is_empty());
        match &sso_id {
            Some(id) => faults.extend(check_text(id).err().map(|detail| Fault::new("/sso_id", "text", detail))),
            None if method == LoginMethod::Sso => {
                let detail = "who logs in by SSO needs the `sso_id` by which the identity provider knows them";
                faults.push(Fault::new("/sso_id", "missing", detail));
            }
            None => {}
        }
        (method, sso_id)
    }
}

fn check_username(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
    if text.is_empty() {
        return Err("a username is needed".to_owned());
    }
    if text.len() > MAX_NAME || !text.chars().all(allowed) {
        return Err(format!("a username has letters, digits, `_`, `.`, `@` and `-`, at most {MAX_NAME} of them"));
    }
    if RESERVED.contains(&text) {
        return Err(format!("`{text}` is a part of the API's paths and can't be a username"));
    }
    Ok(())
}

pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_TEXT {
        return Err(format!("the text is over {MAX_TEXT} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("the text has control characters".to_owned());
    }
    Ok(())
}

/// Whether a text can be an address: one `@` with something on both sides, nothing that a mail header or list splits at.
pub(super) fn is_address(text: &str) -> bool {
    let sides = text.split_once('@');
    text.len() <= MAX_NAME
        && sides.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.chars().any(|c| c.is_control() || c.is_whitespace() || ",;<>\"".contains(c))
}
