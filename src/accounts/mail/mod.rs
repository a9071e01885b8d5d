//! Mail to operators: invitations and password resets.
//!
//! | file | owns |
//! | --- | --- |
//! | `compose` | what letters say, and their form as mails |
//! | `transport` | how mails leave: the outbox, SMTP |
//! | `postman` | reading the queue, making tokens, trying again |
//!
//! A letter waits in the store until it is sent; whoever wants one sent puts [`letter`] into the commit that it belongs
//! to, so that a letter is queued exactly if its reason was stored. Nothing is sent in a request's path.
//!
//! Invariant: the queue holds no secret. A link's token is made when its letter is sent.

mod compose;
mod postman;
mod transport;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::secret::random;
use super::vault::put;
use crate::engine::{RecordWrite, WriteError};
use crate::model::Timestamp;
use crate::store::Table;

pub use postman::Postman;

/// Why no mail can be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The sender is none.
    #[error("mail.from: {0}; write it as `Rollcall <rollcall@example.org>`")]
    From(String),
    /// The variable with the mail server's password is not set.
    #[error("mail.smtp.password_env names {variable}, which is not set: set it to the mail server's password")]
    NoPassword {
        /// The variable.
        variable: String,
    },
    /// TLS can't be set up.
    #[error("mail.smtp.tls: {0}")]
    Tls(String),
}

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterKind {
    /// The invitation: a link to activate the account.
    Activation,
    /// A link to choose a new password.
    Reset,
}

/// A letter that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What it is about.
    pub kind: LetterKind,
    /// To which operator it goes, at the address that the account has when it is sent.
    pub username: String,
    /// Who had it sent: an operator's or a client's name.
    pub by: String,
    /// When it was queued.
    pub at: Timestamp,
    /// How often sending it has failed.
    #[serde(default)]
    pub failures: u32,
    /// When it is to be tried again.
    #[serde(default)]
    pub not_before: Timestamp,
}

/// The change that queues a letter.
///
/// # Errors
/// [`WriteError`] when the letter can't be written as a record.
pub fn letter(kind: LetterKind, username: &str, by: &str, at: Timestamp) -> Result<RecordWrite, WriteError> {
    let letter = Letter {
        kind,
        username: username.to_owned(),
        by: by.to_owned(),
        at,
        failures: 0,
        not_before: Timestamp::default(),
    };
    put(Table::Mail, &fresh_key(at), &letter)
}

/// A key that no other letter has: by time, and within one millisecond by number. Numbers begin anywhere, so that they do
/// not meet those of an earlier run.
fn fresh_key(at: Timestamp) -> String {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(random().map_or(0, |bytes| u64::from_be_bytes(bytes) >> 1)));
    format!("{:016x}-{:016x}", at.as_millis().max(0), NEXT.fetch_add(1, Ordering::Relaxed))
}
