//! Operators' accounts, as they are stored.
//!
//! Owns the stored form, in the terms of the users API. Knows nothing of log-in, mail or HTTP. Invariant: a record tells
//! no secret: the password and the links' tokens are there as hashes only, the second factor's key sealed.

use serde::{Deserialize, Serialize};

use super::passwords::PasswordHash;
use super::secret::{NoRandomness, random};
use super::totp::SecondFactor;
use crate::model::{BuiltInRole, Timestamp};

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

impl UserRecord {
    /// Whether it can log in as far as its state goes.
    #[must_use]
    pub fn may_log_in(&self) -> bool {
        self.status == UserStatus::Active && !self.login_blocked
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
}

/// A number for [`UserRecord::sessions`] that was never there.
pub(super) fn session_number() -> Result<u64, NoRandomness> {
    random().map(u64::from_be_bytes)
}

/// The roles that an operator holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRoles {
    /// The main one.
    pub primary_role: String,
    /// Further ones.
    pub extra_roles: Vec<String>,
}

/// One entry of data access: in the systems of `data_view`, this role's permissions over `unit_group`'s end users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAccess {
    /// One of the operator's roles.
    pub role: String,
    /// A system's name or id; `*`: every system.
    pub data_view: String,
    /// A unit group's id; `*`: every end user.
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

/// How the first Admin begins.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// With this password, at once.
    Active(PasswordHash),
    /// When its owner follows the activation link.
    Invited(OneTimeToken),
}

/// The first Admin's account: every permission in every system.
pub(super) fn first_admin(username: String, email: String, start: Start, now: Timestamp) -> UserRecord {
    let admin = BuiltInRole::Admin.name().to_owned();
    let (status, password, activation) = match start {
        Start::Active(password) => (UserStatus::Active, Some(password), None),
        Start::Invited(token) => (UserStatus::Provisioned, None, Some(token)),
    };
    UserRecord {
        username,
        first_name: String::new(),
        last_name: String::new(),
        email,
        automatic_update: false,
        excluded_from_user_activity: false,
        login_blocked: false,
        roles: UserRoles { primary_role: admin.clone(), extra_roles: Vec::new() },
        data_access: vec![DataAccess {
            role: admin,
            data_view: EVERYTHING.to_owned(),
            unit_group: EVERYTHING.to_owned(),
        }],
        login_method: LoginMethod::Password,
        sso_id: None,
        status,
        created_on: now,
        modified_on: now,
        modified_by: "bootstrap".to_owned(),
        login_count: 0,
        failed_login_count: 0,
        password_not_set_reason: password.is_none().then_some(PasswordNotSetReason::NewAccount),
        password,
        activation,
        reset: None,
        totp: None,
        activated: status == UserStatus::Active,
        last_login: None,
        sessions: 0,
    }
}

/// The username that goes with an e-mail address: the address, with every character that a username can't have made `_`.
pub(super) fn username_of(email: &str) -> String {
    email.chars().map(|c| if c.is_ascii_alphanumeric() || "_.@-".contains(c) { c } else { '_' }).collect()
}
