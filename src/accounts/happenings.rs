//! What happens at the door: the one place at which log-ins, passwords, sessions and second factors are told of.
//!
//! Every change of these passes [`Accounts::happened`], which logs it and answers what is to be written in the same commit.
//! Knows nothing of how they come about. Invariant: no secret passes here.

use super::Accounts;
use super::sessions::Visitor;
use super::vault::Change;

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

    /// Its name in logs and audits.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::LoggedIn => "log_in",
            Self::LoggedInBySso => "log_in_by_sso",
            Self::LogInFailed => "log_in_failed",
            Self::Activated => "activate",
            Self::PasswordChanged => "change_password",
            Self::PasswordReset => "reset_password",
            Self::ResetAsked => "ask_for_password_reset",
            Self::SessionsEnded => "end_sessions",
            Self::SecondFactorOn => "second_factor_on",
            Self::SecondFactorOff => "second_factor_off",
        }
    }
}

impl Accounts {
    /// Tells of it. What it answers is to be written in the same commit.
    pub(super) fn happened(&self, what: Happening, username: &str, visitor: &Visitor) -> Vec<Change> {
        tracing::info!(what = what.name(), username, address = %visitor.address, "operator");
        Vec::new()
    }
}
