//! Links that work once: to activate an account and to reset a password.
//!
//! Owns their tokens and what redeeming one does. Knows nothing of the mails that carry them. A token is made when its mail
//! is sent and kept as a keyed hash in the account's record, where each kind has one place: a newer one ends the older.
//!
//! Invariants: of any number who redeem a token at once exactly one wins; a refused password leaves the token as it was.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use subtle::ConstantTimeEq as _;

use super::Accounts;
use super::happenings::Happening;
use super::keys::ServerKey;
use super::mail::{LetterKind, letter};
use super::passwords::{DeskBusy, PasswordError, PasswordHash, check_own_names};
use super::secret::{NoRandomness, Secret};
use super::sessions::Visitor;
use super::sign_in::nobodys_change;
use super::throttle::{Attempt, Throttled};
use super::users::{LoginMethod, OneTimeToken, UserRecord, UserStatus};
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::store::Table;

/// How long an activation link works, in milliseconds: 7 days.
const ACTIVATION_MS: i64 = 7 * 24 * 3_600_000;
/// How long a reset link works, in milliseconds: an hour.
const RESET_MS: i64 = 3_600_000;
/// Used links that are remembered.
const MAX_USED_LINKS: usize = 256;
/// Under which all links are counted, as a token that is unknown belongs to no account.
const ANY_LINK: &str = "";

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// To activate an account.
    Activation,
    /// To reset a password.
    Reset,
}

impl LinkKind {
    fn purpose(self) -> &'static str {
        match self {
            Self::Activation => "activation token",
            Self::Reset => "reset token",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Activation => "rca_",
            Self::Reset => "rcr_",
        }
    }

    fn lifetime_ms(self) -> i64 {
        match self {
            Self::Activation => ACTIVATION_MS,
            Self::Reset => RESET_MS,
        }
    }

    /// The record's place for such a token.
    pub(super) fn place(self, user: &mut UserRecord) -> &mut Option<OneTimeToken> {
        match self {
            Self::Activation => &mut user.activation,
            Self::Reset => &mut user.reset,
        }
    }

    fn kept(self, user: &UserRecord) -> Option<&OneTimeToken> {
        match self {
            Self::Activation => user.activation.as_ref(),
            Self::Reset => user.reset.as_ref(),
        }
    }

    /// Whether an account in that state can follow such a link.
    fn fits(self, user: &UserRecord) -> bool {
        user.login_method == LoginMethod::Password
            && match self {
                Self::Activation => user.status == UserStatus::Provisioned,
                Self::Reset => user.status != UserStatus::Provisioned,
            }
    }
}

/// Makes a token: the token itself for its owner, and what is kept of it.
pub(super) fn make_token(
    key: &ServerKey,
    kind: LinkKind,
    now: Timestamp,
) -> Result<(Secret, OneTimeToken), NoRandomness> {
    let token = Secret::random(kind.prefix())?;
    let until = Timestamp::from_millis(now.as_millis().saturating_add(kind.lifetime_ms()));
    let kept = OneTimeToken { hash: hash_of(key, kind, token.reveal()), until };
    Ok((token, kept))
}

fn hash_of(key: &ServerKey, kind: LinkKind, token: &str) -> [u8; 32] {
    key.derive(kind.purpose(), &[token])
}

/// The links that were used last, as their hashes: who opens one again does not guess.
#[derive(Default)]
pub(super) struct UsedLinks(Mutex<VecDeque<[u8; 32]>>);

impl UsedLinks {
    fn add(&self, hash: [u8; 32]) {
        let mut used = self.0.lock();
        if used.len() >= MAX_USED_LINKS {
            used.pop_front();
        }
        used.push_back(hash);
    }

    fn contains(&self, hash: &[u8; 32]) -> bool {
        self.0.lock().contains(hash)
    }
}

/// Why a link does nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// Its token is unknown, used, replaced by a newer one, or too old; or the account can't follow it any more.
    #[error("this link was used already, is too old, or was replaced by a newer one: ask for a new mail")]
    Ended,
    /// The password is not taken; the link still works.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Too many unknown tokens before.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many at once.
    #[error(transparent)]
    Busy(#[from] DeskBusy),
    /// The change can't be written; the link still works.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is nothing to make a number of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Accounts {
    /// The account that a link belongs to, if it works now.
    fn link_owner(&self, kind: LinkKind, token: &str) -> Option<Arc<UserRecord>> {
        let (hash, now) = (hash_of(&self.key, kind, token), self.clock.now());
        self.users.all().into_iter().find(|user| works(user, kind, &hash, now))
    }

    /// Whether a link works, for the page that it opens. Counts as an attempt where it does not.
    ///
    /// # Errors
    /// [`Throttled`] after too many links that did not work.
    pub fn link_works(&self, kind: LinkKind, token: &str, address: IpAddr) -> Result<bool, Throttled> {
        Ok(self.find_link(kind, token, address)?.is_some())
    }

    /// The account that a link belongs to. A link that does not work counts as a guess, unless it did work a while ago.
    fn find_link(&self, kind: LinkKind, token: &str, address: IpAddr) -> Result<Option<Arc<UserRecord>>, Throttled> {
        let attempt = self.door.links.check(ANY_LINK, address)?;
        let owner = self.link_owner(kind, token);
        if owner.is_none() && !self.door.used_links.contains(&hash_of(&self.key, kind, token)) {
            attempt.fail();
        }
        Ok(owner)
    }

    /// Redeems a link: sets the password, which activates an invited account, and ends every session of the account.
    ///
    /// # Errors
    /// [`LinkError`]; nothing has changed then.
    pub async fn redeem(
        self: &Arc<Self>,
        kind: LinkKind,
        token: &Secret,
        password: Secret,
        visitor: Visitor,
    ) -> Result<(), LinkError> {
        let owner = self.find_link(kind, token.reveal(), visitor.address)?.ok_or(LinkError::Ended)?;
        check_own_names(&password, &[&owner.username, &owner.email])?;
        // Who waits for the desk behind the one who redeems it finds the link used, and is spared the hashing.
        let (accounts, wanted) = (Arc::clone(self), token.clone());
        let still_works = move || accounts.link_owner(kind, wanted.reveal()).is_some();
        let password = self.door.desk.hash(password, still_works).await?.ok_or(LinkError::Ended)??;
        let hash = hash_of(&self.key, kind, token.reveal());
        let username = owner.username.clone();
        self.blocking(move |accounts| accounts.use_up(kind, &username, &hash, password, &visitor)).await
    }

    /// The one who wins: the link is looked at again and used up while nothing else changes. Blocks.
    fn use_up(
        &self,
        kind: LinkKind,
        username: &str,
        hash: &[u8; 32],
        password: PasswordHash,
        visitor: &Visitor,
    ) -> Result<(), LinkError> {
        let now = self.clock.now();
        let changed = self.change_user::<LinkError>(username, |user| {
            if !works(user, kind, hash, now) {
                return Err(LinkError::Ended);
            }
            user.end_sessions()?;
            user.activation = None;
            user.reset = None;
            user.password = Some(password);
            user.password_not_set_reason = None;
            if kind == LinkKind::Activation {
                user.activate(now);
            }
            let what = if kind == LinkKind::Activation { Happening::Activated } else { Happening::PasswordReset };
            Ok(vec![self.happened(what, Some(username), visitor)?])
        })?;
        self.door.used_links.add(*hash);
        changed.map(|_| ()).ok_or(LinkError::Ended)
    }

    /// Queues a reset mail for the account that an address or username means, if there is one that can use it and it does
    /// not get too many. Whether there is one shows neither in the answer nor in its time.
    ///
    /// # Errors
    /// [`WriteError`]: no mail was queued.
    pub async fn forgot_password(self: &Arc<Self>, name: &str, visitor: Visitor) -> Result<(), WriteError> {
        let user = self.find_user(name);
        let account = user.as_ref().map_or(name, |user| user.username.as_str());
        // Every mail counts.
        let within_bounds = self.door.letters.check(account, visitor.address).map(Attempt::fail).is_ok();
        let user = user.filter(|user| within_bounds && LinkKind::Reset.fits(user) && user.may_log_in());
        self.blocking(move |accounts| {
            let username = user.as_ref().map(|user| user.username.as_str());
            let mut changes = vec![match username {
                Some(username) => letter(LetterKind::Reset, username, username, accounts.clock.now())?,
                None => nobodys_change(Table::Mail),
            }];
            if within_bounds {
                changes.push(accounts.happened(Happening::ResetAsked, username, &visitor)?);
            }
            accounts.vault.write(changes)
        })
        .await
    }
}

fn works(user: &UserRecord, kind: LinkKind, hash: &[u8; 32], now: Timestamp) -> bool {
    kind.fits(user) && kind.kept(user).is_some_and(|kept| bool::from(kept.hash.ct_eq(hash)) && now < kept.until)
}
