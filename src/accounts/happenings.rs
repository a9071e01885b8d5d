//! What happens at the door: the one place at which log-ins, passwords, sessions and second factors are told of.
//!
//! Every change of these passes [`Accounts::happened`], which logs it and answers the audit's entry, to be written in the same
//! commit. Knows nothing of how they come about. Invariant: neither a secret passes here nor what somebody typed who is
//! nobody here: it may be a password in the wrong field.

use super::Accounts;
use super::audit::{Act, ActorKind, By};
use super::operators::object;
use super::sessions::Visitor;
use super::vault::Change;
use crate::engine::WriteError;

/// What happened to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// Its owner logged in, with a password.
    LoggedIn,
    /// Its owner logged in at the identity provider.
    LoggedInBySso,
    /// Someone failed to.
    LogInFailed,
    /// Its owner activated it.
    Activated,
    /// Its owner chose a new password, logged in.
    PasswordChanged,
    /// Its owner chose a new password by the link in a mail.
    PasswordReset,
    /// Its owner asked for such a mail.
    ResetAsked,
    /// One or several of its sessions were ended by its owner.
    SessionsEnded,
    /// Its second factor is on, or is another one.
    SecondFactorOn,
    /// Its second factor is off.
    SecondFactorOff,
}

impl Happening {
    /// Whether it counts as a log-in.
    pub(super) fn is_log_in(self) -> bool {
        matches!(self, Self::LoggedIn | Self::LoggedInBySso)
    }

    /// Whether it was its owner, who has proved to be, by password, link or provider.
    fn is_by_owner(self) -> bool {
        !matches!(self, Self::LogInFailed | Self::ResetAsked)
    }

    /// Its name in logs and audits.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LoggedIn => "user.log_in",
            Self::LoggedInBySso => "user.log_in_by_sso",
            Self::LogInFailed => "user.log_in_failed",
            Self::Activated => "user.activate",
            Self::PasswordChanged => "user.change_password",
            Self::PasswordReset => "user.reset_by_link",
            Self::ResetAsked => "user.forgot_password",
            Self::SessionsEnded => "user.end_sessions",
            Self::SecondFactorOn => "user.second_factor_on",
            Self::SecondFactorOff => "user.second_factor_off",
        }
    }
}

impl Accounts {
    /// Tells of it (`username` is none where there is no such account). What it answers is to be written in the same commit.
    ///
    /// # Errors
    /// [`WriteError`] when that can't be made.
    pub(super) fn happened(
        &self,
        what: Happening,
        username: Option<&str>,
        visitor: &Visitor,
    ) -> Result<Change, WriteError> {
        tracing::info!(what = what.name(), username, address = %visitor.address, "operator");
        let (kind, name) = match username {
            Some(username) if what.is_by_owner() => (ActorKind::User, username.to_owned()),
            _ => (ActorKind::Anonymous, String::new()),
        };
        let by = By { kind, name, address: Some(visitor.address) };
        let act = Act::new(what.name(), username.map_or_else(|| "users".to_owned(), object));
        self.audit.record(&by, act, self.clock.now())
    }
}
