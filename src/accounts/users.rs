//! Operators' accounts, as they are stored, and the states that they go through.
//!
//! Owns the stored form, in the terms of the users API, and the diagram below. Knows nothing of log-in, mail or HTTP.
//!
//! ```text
//! PROVISIONED ──activate──► ACTIVE ◄──enable/disable──► INACTIVE
//!      ▲                                                   │
//!      └────────── enable, where it was never active ──────┘      (disable leads from PROVISIONED to INACTIVE, too)
//! ```
//!
//! Invariant: a record tells no secret: the password and the links' tokens are there as hashes only, the second factor's key
//! sealed.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::passwords::PasswordHash;
use super::secret::{NoRandomness, random};
use super::totp::SecondFactor;
use crate::model::{BuiltInRole, SystemId, Timestamp};

/// A data view that stands for every system, and a unit group that stands for every end user.
pub(super) const EVERYTHING: &str = "*";

/// An operator's account, stored under its username.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its name: letters, digits, `_`, `.`, `@` and `-`.
    pub username: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Kept as sent.
    pub automatic_update: bool,
    /// Kept as sent.
    pub excluded_from_user_activity: bool,
    /// Whether log-in is refused.
    pub login_blocked: bool,
    /// The roles that it holds.
    pub roles: UserRoles,
    /// Where its roles count, and for which end users.
    pub data_access: Vec<DataAccess>,
    /// How it logs in.
    pub login_method: LoginMethod,
    /// Its name at the identity provider.
    pub sso_id: Option<String>,
    /// Where it stands.
    pub status: UserStatus,
    /// When it was made.
    pub created_on: Timestamp,
    /// When it was last changed.
    pub modified_on: Timestamp,
    /// Who changed it last.
    pub modified_by: String,
    /// How often it has logged in.
    pub login_count: u64,
    /// How many log-ins have failed.
    pub failed_login_count: u64,
    /// Why there is no password yet.
    pub password_not_set_reason: Option<PasswordNotSetReason>,
    /// Its password.
    pub password: Option<PasswordHash>,
    /// What its activation link must show, while there is one.
    pub activation: Option<OneTimeToken>,
    /// What its reset link must show, while there is one.
    #[serde(default)]
    pub reset: Option<OneTimeToken>,
    /// Its second factor.
    #[serde(default)]
    pub totp: Option<SecondFactor>,
    /// Whether it was ever active.
    #[serde(default)]
    pub activated: bool,
    /// When it last logged in.
    #[serde(default)]
    pub last_login: Option<Timestamp>,
    /// What its sessions were opened under: a session opened under another number has ended. Whatever ends them all puts
    /// a number here that was never there.
    #[serde(default)]
    pub sessions: u64,
}

/// The roles that an operator holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRoles {
    /// The main one.
    pub primary_role: String,
    /// Further ones.
    pub extra_roles: Vec<String>,
}

impl UserRoles {
    /// Every role, the main one first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.primary_role).chain(&self.extra_roles).map(String::as_str)
    }
    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.iter().any(|held| held == role)
    }
}

/// One entry of data access: in the systems of `data_view`, this role's permissions over `unit_group`'s end users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAccess {
    /// One of the operator's roles.
    pub role: String,
    /// A system's name or id, as it was sent; `*`: every system.
    pub data_view: String,
    /// The system that `data_view` named when it was sent, so that renaming a system moves nobody's access.
    #[serde(default)]
    pub system: Option<SystemId>,
    /// A unit group's id; `*` or the system's id: every end user.
    pub unit_group: String,
}

/// How an operator logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginMethod {
    /// With a password.
    Password,
    /// At the identity provider.
    Sso,
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UserStatus {
    /// Made or invited, and not yet activated.
    Provisioned,
    /// In use.
    Active,
    /// Disabled.
    Inactive,
}

/// Why an account has no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PasswordNotSetReason {
    /// Its owner has not chosen one yet.
    NewAccount,
}

/// What is kept of a token that works once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneTimeToken {
    /// The token's keyed hash.
    pub hash: [u8; 32],
    /// When it ends.
    pub until: Timestamp,
}

impl std::fmt::Debug for OneTimeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTimeToken").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Why an account's status forbids an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusConflict {
    /// Enabling who was invited only.
    #[error(
        "the account is PROVISIONED: its owner activates it by the link in the mail, which resend-activation sends again"
    )]
    NeverActivated,
    /// Sending an activation mail to who needs none.
    #[error("only a PROVISIONED account has an activation to be sent again")]
    NotProvisioned,
    /// Resetting a password that was never set.
    #[error("the account is PROVISIONED and has no password yet: use resend-activation")]
    NoPasswordYet,
    /// Resetting a password where there is none.
    #[error("the account logs in by SSO and has no password here")]
    LogsInBySso,
}

impl UserRecord {
    /// Whether it can log in as far as its state goes.
    #[must_use]
    pub fn may_log_in(&self) -> bool {
        self.status == UserStatus::Active && !self.login_blocked
    }

    /// Whether it is an Admin that can log in: one of them has to stay.
    pub(super) fn is_working_admin(&self) -> bool {
        self.may_log_in() && self.roles.contains(BuiltInRole::Admin.name())
    }

    /// Makes it active: its owner has proved to be there.
    pub(super) fn activate(&mut self, now: Timestamp) {
        self.status = UserStatus::Active;
        self.activated = true;
        self.activation = None;
        self.modified_on = now;
        self.modified_by = self.username.clone();
    }

    /// Ends every session that it has.
    ///
    /// # Errors
    /// [`NoRandomness`]; nothing has changed then.
    pub fn end_sessions(&mut self) -> Result<(), NoRandomness> {
        self.sessions = session_number()?;
        Ok(())
    }

    /// Enables it; false when it was enabled.
    pub(super) fn enable(&mut self) -> Result<bool, StatusConflict> {
        match self.status {
            UserStatus::Active => return Ok(false),
            UserStatus::Provisioned => return Err(StatusConflict::NeverActivated),
            UserStatus::Inactive if self.activated => self.status = UserStatus::Active,
            UserStatus::Inactive => self.status = UserStatus::Provisioned,
        }
        Ok(true)
    }

    /// Disables it and ends its sessions and its activation link; false when it was disabled.
    pub(super) fn disable(&mut self) -> Result<bool, NoRandomness> {
        if self.status == UserStatus::Inactive {
            return Ok(false);
        }
        self.end_sessions()?;
        self.activated |= self.status == UserStatus::Active;
        self.activation = None;
        self.status = UserStatus::Inactive;
        Ok(true)
    }

    /// Prepares for another activation mail, which ends the link of the one before.
    pub(super) fn begin_resend(&mut self) -> Result<(), StatusConflict> {
        if self.status != UserStatus::Provisioned {
            return Err(StatusConflict::NotProvisioned);
        }
        self.activation = None;
        Ok(())
    }

    /// Whether a mail to reset its password may go out. The old password holds until it is reset.
    pub(super) fn check_reset(&self) -> Result<(), StatusConflict> {
        match (self.status, self.login_method) {
            (UserStatus::Provisioned, _) => Err(StatusConflict::NoPasswordYet),
            (_, LoginMethod::Sso) => Err(StatusConflict::LogsInBySso),
            _ => Ok(()),
        }
    }

    /// What the audit keeps of it: all but counts, times and secrets.
    pub(super) fn for_audit(&self) -> Value {
        let access = self.data_access.iter().map(|entry| {
            json!({ "role": entry.role, "data_view": entry.data_view, "system": entry.system, "unit_group": entry.unit_group })
        });
        json!({
            "username": self.username,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "email": self.email,
            "automatic_update": self.automatic_update,
            "excluded_from_user_activity": self.excluded_from_user_activity,
            "login_blocked": self.login_blocked,
            "roles": self.roles.iter().collect::<Vec<_>>(),
            "data_access": access.collect::<Vec<_>>(),
            "login_method": self.login_method,
            "sso_id": self.sso_id,
            "status": self.status,
        })
    }
}

/// A number for [`UserRecord::sessions`] that was never there.
pub(super) fn session_number() -> Result<u64, NoRandomness> {
    random().map(u64::from_be_bytes)
}

/// How the first Admin begins.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// With this password, at once.
    Active(PasswordHash),
    /// When its owner follows the activation link.
    Invited(OneTimeToken),
}

/// The first Admin's account.
pub(super) fn first_admin(username: String, email: String, start: Start, now: Timestamp) -> UserRecord {
    let (status, password, activation) = match start {
        Start::Active(password) => (UserStatus::Active, Some(password), None),
        Start::Invited(token) => (UserStatus::Provisioned, None, Some(token)),
    };
    UserRecord {
        status,
        password_not_set_reason: password.is_none().then_some(PasswordNotSetReason::NewAccount),
        activated: status == UserStatus::Active,
        password,
        activation,
        ..admin(username, email, "bootstrap", now)
    }
}

/// A new Admin: every permission in every system.
pub(super) fn admin(username: String, email: String, by: &str, now: Timestamp) -> UserRecord {
    let admin = BuiltInRole::Admin.name().to_owned();
    let everywhere = DataAccess {
        role: admin.clone(),
        data_view: EVERYTHING.to_owned(),
        system: None,
        unit_group: EVERYTHING.to_owned(),
    };
    let roles = UserRoles { primary_role: admin, extra_roles: Vec::new() };
    UserRecord { data_access: vec![everywhere], ..provisioned(username, email, roles, by, now) }
}

/// A new account, whose owner is still to activate it.
pub(super) fn provisioned(username: String, email: String, roles: UserRoles, by: &str, now: Timestamp) -> UserRecord {
    UserRecord {
        username,
        first_name: String::new(),
        last_name: String::new(),
        email,
        automatic_update: false,
        excluded_from_user_activity: false,
        login_blocked: false,
        roles,
        data_access: Vec::new(),
        login_method: LoginMethod::Password,
        sso_id: None,
        status: UserStatus::Provisioned,
        created_on: now,
        modified_on: now,
        modified_by: by.to_owned(),
        login_count: 0,
        failed_login_count: 0,
        password_not_set_reason: Some(PasswordNotSetReason::NewAccount),
        password: None,
        activation: None,
        reset: None,
        totp: None,
        activated: false,
        last_login: None,
        sessions: 0,
    }
}

/// The username that goes with an e-mail address: the address, with every character that a username can't have made `_`.
pub(super) fn username_of(email: &str) -> String {
    email.chars().map(|c| if c.is_ascii_alphanumeric() || "_.@-".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(status: UserStatus) -> UserRecord {
        let mut user = admin("ann".to_owned(), "ann@x.example".to_owned(), "test", Timestamp::default());
        user.status = status;
        user
    }

    #[test]
    fn states_change_as_the_diagram_says() {
        let mut ann = user(UserStatus::Provisioned);
        assert_eq!(ann.enable(), Err(StatusConflict::NeverActivated));
        assert!(ann.disable().unwrap() && !ann.disable().unwrap());
        assert_eq!((ann.enable(), ann.status), (Ok(true), UserStatus::Provisioned), "who never activated still has to");
        let mut ann = user(UserStatus::Active);
        assert_eq!(ann.enable(), Ok(false));
        assert!(ann.disable().unwrap());
        assert_eq!((ann.enable(), ann.status), (Ok(true), UserStatus::Active));
    }

    #[test]
    fn disabling_ends_sessions_and_the_activation_link() {
        let mut ann = user(UserStatus::Provisioned);
        ann.activation = Some(OneTimeToken { hash: [0; 32], until: Timestamp::default() });
        let before = ann.sessions;
        ann.disable().unwrap();
        assert_ne!(ann.sessions, before);
        assert_eq!(ann.activation, None);
    }

    #[test]
    fn mails_go_out_where_the_status_allows() {
        let of = |status| (user(status).begin_resend().is_ok(), user(status).check_reset().is_ok());
        assert_eq!(of(UserStatus::Provisioned), (true, false));
        assert_eq!(of(UserStatus::Active), (false, true));
        assert_eq!(of(UserStatus::Inactive), (false, true));
        let mut sso = user(UserStatus::Active);
        sso.login_method = LoginMethod::Sso;
        assert_eq!(sso.check_reset(), Err(StatusConflict::LogsInBySso));
    }

    #[test]
    fn the_audit_keeps_no_secret() {
        let mut ann = user(UserStatus::Provisioned);
        ann.activation = Some(OneTimeToken { hash: [7; 32], until: Timestamp::default() });
        ann.sessions = 77_777;
        let kept = ann.for_audit().to_string();
        assert!(!kept.contains("77777") && !kept.contains("activation") && !kept.contains("password\":"), "{kept}");
    }

    #[test]
    fn a_username_is_made_of_an_address() {
        assert_eq!(username_of("Jo+x'y@ex-1.example"), "Jo_x_y@ex-1.example");
    }
}
