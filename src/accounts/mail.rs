//! Letters that wait to be sent to operators.
//!
//! Owns the queue's form: what a letter is for, and for whom. Knows nothing of addresses, texts or transports, and of no
//! secret: the one-time token that a letter carries is made when it is sent. Invariant: a letter is queued in the commit
//! of the change that it tells of, so neither is ever there without the other.

use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::secret::random;
use crate::engine::{RecordWrite, WriteError};
use crate::model::Timestamp;
use crate::store::{self, Table};

/// What a letter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// Invites to activate a new account.
    Activation,
    /// Lets its reader choose a new password.
    Reset,
}

/// A letter that waits to be sent, stored under the time and a number (so that the oldest comes first).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What it is for.
    pub kind: LetterKind,
    /// The operator that it goes to.
    pub username: String,
    /// Who caused it: an operator's or a client's name.
    pub by: String,
    /// When it was queued.
    pub at: Timestamp,
}

/// The record that queues a letter; to be written with the change that it tells of.
///
/// # Errors
/// [`WriteError::Failed`] when there is no randomness for its key, or it can't be encoded.
pub fn letter(kind: LetterKind, username: &str, by: &str, at: Timestamp) -> Result<RecordWrite, WriteError> {
    let letter = Letter { kind, username: username.to_owned(), by: by.to_owned(), at };
    let value = store::encode(&letter).map_err(|error| WriteError::Failed(error.to_string()))?;
    Ok((Table::Mail, key(at)?.to_vec(), Some(value)))
}

/// Time, count within the process, and four random bytes, all in the order of bytes: unique whatever the clock does.
fn key(at: Timestamp) -> Result<[u8; 16], WriteError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let chance: [u8; 4] = random().map_err(|error| WriteError::Failed(error.to_string()))?;
    let mut key = [0; 16];
    let parts = at.as_millis().to_be_bytes().into_iter();
    let parts = parts.chain(COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes()).chain(chance);
    key.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_wait_in_the_order_in_which_they_were_queued() {
        let queue = |millis| letter(LetterKind::Reset, "ann", "bob", Timestamp::from_millis(millis)).unwrap();
        let queued = [queue(5), queue(5), queue(6), queue(70_000)];
        let keys: Vec<_> = queued.iter().map(|(_, key, _)| key.clone()).collect();
        let mut sorted = keys.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(keys, sorted);
        let (table, _, value) = &queued[0];
        assert_eq!(*table, Table::Mail);
        let letter: Letter = store::decode(value.as_ref().unwrap()).unwrap();
        assert_eq!((letter.kind, letter.username.as_str(), letter.by.as_str()), (LetterKind::Reset, "ann", "bob"));
    }
}
