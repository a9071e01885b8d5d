//! Logging in and out: from what a person types, or a cookie holds, to a session and a principal.
//!
//! Owns the order of the checks. Knows nothing of HTTP.
//!
//! Invariant: whoever can't log in learns nothing of why, nor whether there is such an account: unknown, disabled, blocked,
//! not activated, logging in by SSO and wrong password are one answer, after the same work and the same commit. Only who
//! knows the password is asked for the second factor.

use std::net::IpAddr;
use std::sync::Arc;

use super::happenings::Happening;
use super::one_time::UsedLinks;
use super::passwords::{DeskBusy, HashingDesk, PasswordHash};
use super::principal::Principal;
use super::secret::{NoRandomness, Secret};
use super::sessions::{NewSession, Session, Sessions, Visitor};
use super::throttle::{Attempt, Limits, Throttle, Throttled, Turns};
use super::users::{LoginMethod, UserRecord, UserRoles};
use super::vault::{Change, RecordError, Vault};
use super::{Accounts, keys::ServerKey};
use crate::clock::Clock;
use crate::engine::WriteError;
use crate::ruleset::LiveRules;
use crate::store::Table;

/// Failed log-ins that are borne: the sixth for an account from an address and the thirtieth from an address are refused.
const LOG_INS: Limits = Limits { account: 5, address: 29 };
/// Failed client authentications that are borne. More than for people: a machine with an old secret tries on, and its
/// neighbours behind the same address must not suffer for it.
const CLIENTS: Limits = Limits { account: 10, address: 100 };
/// Links with unknown tokens that are borne, and wrong passwords of who is logged in already.
const LINKS: Limits = Limits { account: 29, address: 29 };
/// Reset mails for one account, and asked for from one address, that are sent within the window.
const LETTERS: Limits = Limits { account: 3, address: 30 };
/// The key of a record that is never there: removing it costs what writing another one costs.
const NOBODYS_RECORD: &[u8] = b"nobody";

/// What stands between a visitor and an account.
pub(super) struct Door {
    pub(super) desk: HashingDesk,
    pub(super) sessions: Sessions,
    pub(super) log_ins: Throttle,
    pub(super) clients: Throttle,
    pub(super) links: Throttle,
    pub(super) letters: Throttle,
    pub(super) turns: Turns,
    pub(super) used_links: UsedLinks,
}

impl Door {
    pub(super) fn new(key: &ServerKey, vault: &dyn Vault, clock: &Clock) -> Result<Self, RecordError> {
        let throttle = |limits| Throttle::new(limits, clock.clone());
        Ok(Self {
            desk: HashingDesk::new(),
            sessions: Sessions::load(key, vault)?,
            log_ins: throttle(LOG_INS),
            clients: throttle(CLIENTS),
            links: throttle(LINKS),
            letters: throttle(LETTERS),
            turns: Turns::new(),
            used_links: UsedLinks::default(),
        })
    }
}

/// What is typed at log-in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// An e-mail address or a username.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// The second factor's code, where it is asked for.
    pub code: Option<String>,
}

/// Why a log-in fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SignInError {
    /// Whatever is wrong, this is all that is told.
    #[error("the name or the password is wrong, or the account can't log in")]
    Refused,
    /// The password is right, and the second factor is needed.
    #[error("this account has a second factor: send the code of the authenticator app too")]
    CodeNeeded,
    /// The password is right and the code is not.
    #[error("the code is wrong or was used before: wait for the next one")]
    CodeWrong,
    /// Too many failures before.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many at once.
    #[error(transparent)]
    Busy(#[from] DeskBusy),
    /// The session can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is nothing to make a session's id of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Who a session's cookie stands for.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The session.
    pub session: Arc<Session>,
    /// The account.
    pub user: Arc<UserRecord>,
    /// What the account may do now; nothing while it lacks a second factor that it must have.
    pub principal: Arc<Principal>,
    /// Whether a second factor must be set up before anything else.
    pub lacks_second_factor: bool,
}

impl Accounts {
    /// Logs an operator in with a password.
    ///
    /// # Errors
    /// [`SignInError`]; there is no session then.
    pub async fn log_in(
        self: &Arc<Self>,
        credentials: Credentials,
        visitor: Visitor,
    ) -> Result<NewSession, SignInError> {
        let Credentials { name, password, code } = credentials;
        let user = self.find_user(&name);
        let account = user.as_ref().map_or(name.as_str(), |user| user.username.as_str());
        let _turn = self.door.turns.wait(account, visitor.address).await;
        let attempt = self.door.log_ins.check(account, visitor.address)?;
        // Only who can log in with a password has one that is compared; for all others it is as if there were none.
        let able = user.as_ref().filter(|user| user.may_log_in() && user.login_method == LoginMethod::Password);
        let hash = able.and_then(|user| user.password.clone());
        let right = self.door.desk.verify(password, hash.clone()).await?;
        match (user, hash) {
            (Some(user), Some(hash)) if right => {
                self.blocking(move |accounts| accounts.finish_log_in(&user.username, &hash, code, attempt, &visitor))
                    .await
            }
            (user, _) => {
                attempt.fail();
                let username = user.map(|user| user.username.clone());
                self.blocking(move |accounts| accounts.note_failed_log_in(username.as_deref(), &visitor)).await?;
                Err(SignInError::Refused)
            }
        }
    }

    /// The password was right: asks for the second factor, and begins the session. Blocks.
    fn finish_log_in(
        &self,
        username: &str,
        hash: &PasswordHash,
        code: Option<String>,
        attempt: Attempt,
        visitor: &Visitor,
    ) -> Result<NewSession, SignInError> {
        let is_still_right = |user: &UserRecord| user.may_log_in() && user.password.as_ref() == Some(hash);
        let begun = self.begin_session(username, Happening::LoggedIn, visitor, |user| {
            if !is_still_right(user) {
                return Err(SignInError::Refused);
            }
            self.take_code(user, code.as_deref()).map_err(|error| match error {
                CodeError::Needed => SignInError::CodeNeeded,
                CodeError::Wrong => SignInError::CodeWrong,
            })
        });
        match &begun {
            Ok(_) => attempt.succeed(),
            Err(SignInError::Refused) => attempt.fail(),
            Err(SignInError::CodeWrong) => {
                attempt.fail();
                self.note_failed_log_in(Some(username), visitor)?;
            }
            Err(_) => {}
        }
        begun
    }

    /// Begins a session for an operator, unless `check` refuses; `check` may change the record. Blocks.
    pub(super) fn begin_session<E>(
        &self,
        username: &str,
        how: Happening,
        visitor: &Visitor,
        check: impl FnOnce(&mut UserRecord) -> Result<(), E>,
    ) -> Result<NewSession, E>
    where
        E: From<WriteError> + From<NoRandomness> + From<Gone>,
    {
        let now = self.clock.now();
        let mut begun = None;
        let user = self.change_user::<E>(username, |user| {
            check(user)?;
            if how.is_log_in() {
                user.login_count = user.login_count.saturating_add(1);
                user.last_login = Some(now);
            }
            let new = self.door.sessions.prepare(user, visitor, now)?;
            let mut changes = self.door.sessions.changes_for(&new.session, now)?;
            changes.push(self.happened(how, Some(username), visitor)?);
            begun = Some((new, changes.clone()));
            Ok(changes)
        })?;
        let (Some(_), Some((new, written))) = (user, begun) else { return Err(Gone.into()) };
        self.door.sessions.insert(Arc::clone(&new.session), &written);
        Ok(new)
    }

    /// Counts a failure. Where there is no such account, as much is written for nobody. Blocks.
    pub(super) fn note_failed_log_in(&self, username: Option<&str>, visitor: &Visitor) -> Result<(), WriteError> {
        let failed = Happening::LogInFailed;
        let Some(username) = username else {
            return self.vault.write(vec![nobodys_change(Table::Users), self.happened(failed, None, visitor)?]);
        };
        self.change_user::<WriteError>(username, |user| {
            user.failed_login_count = user.failed_login_count.saturating_add(1);
            Ok(vec![self.happened(failed, Some(username), visitor)?])
        })?;
        Ok(())
    }

    /// Takes the second factor's code, if the account has a second factor.
    pub(super) fn take_code(&self, user: &mut UserRecord, code: Option<&str>) -> Result<(), CodeError> {
        let Some(factor) = user.totp.as_mut().filter(|factor| factor.is_active()) else { return Ok(()) };
        let code = code.filter(|code| !code.trim().is_empty()).ok_or(CodeError::Needed)?;
        let key = self.totp_key(&user.username, factor.sealed.as_deref()).ok_or(CodeError::Wrong)?;
        if factor.take(&key, code, self.clock.now()) { Ok(()) } else { Err(CodeError::Wrong) }
    }

    /// Who a session's id stands for now.
    #[must_use]
    pub fn signed_in(self: &Arc<Self>, session_id: &str, live: &LiveRules) -> Option<SignedIn> {
        let now = self.clock.now();
        let session = self.door.sessions.get(session_id, now)?;
        let user = self.user(session.username())?;
        if !user.may_log_in() || !session.belongs_to(&user) {
            return None;
        }
        if self.door.sessions.touch(&session, now) {
            self.write_use_later(&session);
        }
        let lacks_second_factor = self.lacks_second_factor(&user);
        let principal = if lacks_second_factor {
            self.user_principal(&without_powers(&user), session.hash(), live)
        } else {
            self.user_principal(&user, session.hash(), live)
        };
        Some(SignedIn { session, user, principal: Arc::new(principal), lacks_second_factor })
    }

    /// Whether the account must have a second factor and has none. Who logs in by SSO has the provider's.
    pub(super) fn lacks_second_factor(&self, user: &UserRecord) -> bool {
        self.require_totp
            && user.login_method == LoginMethod::Password
            && !user.totp.as_ref().is_some_and(super::SecondFactor::is_active)
    }

    /// Writes down when a session was last used, behind the request.
    fn write_use_later(self: &Arc<Self>, session: &Arc<Session>) {
        let (accounts, session) = (Arc::clone(self), Arc::clone(session));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn_blocking(move || {
            // What ends sessions holds it too, so that none that has ended is written again.
            let _changing = accounts.changing.lock();
            let written = accounts.door.sessions.written_use(&session).and_then(|change| match change {
                Some(change) => accounts.vault.write(vec![change]),
                None => Ok(()),
            });
            if let Err(error) = written {
                tracing::warn!(%error, "when a session was last used could not be written");
            }
        });
    }

    /// Ends a session: logs out.
    ///
    /// # Errors
    /// [`WriteError`]: the session has ended, but may come back with a restart.
    pub async fn log_out(self: &Arc<Self>, session: &Arc<Session>, visitor: Visitor) -> Result<(), WriteError> {
        let session = Arc::clone(session);
        self.blocking(move |accounts| accounts.end_sessions(&[session], &visitor)).await
    }

    /// Ends sessions of one operator. Blocks.
    pub(super) fn end_sessions(&self, sessions: &[Arc<Session>], visitor: &Visitor) -> Result<(), WriteError> {
        let Some(first) = sessions.first() else { return Ok(()) };
        let _changing = self.changing.lock();
        let ended = self.happened(Happening::SessionsEnded, Some(first.username()), visitor);
        let mut changes: Vec<Change> = self.door.sessions.end(sessions);
        changes.push(ended?);
        self.vault.write(changes)
    }

    /// Whether an attempt to authenticate a client from an address may be judged. Whoever judges it says how it ended.
    ///
    /// # Errors
    /// [`Throttled`] after too many failures: the attempt must not be judged.
    pub fn check_client_attempt(&self, client_id: &str, address: IpAddr) -> Result<ClientAttempt, Throttled> {
        self.door.clients.check(client_id, address).map(ClientAttempt)
    }
}

/// A change of nothing that takes as long to write as one of something.
pub(super) fn nobodys_change(table: Table) -> Change {
    (table, NOBODYS_RECORD.to_vec(), None)
}

/// The account as it would be if it had no role anywhere.
fn without_powers(user: &UserRecord) -> UserRecord {
    let roles = UserRoles { primary_role: String::new(), extra_roles: Vec::new() };
    UserRecord { roles, data_access: Vec::new(), ..user.clone() }
}

/// An attempt to authenticate a client.
#[must_use = "a failure that nobody tells of does not count"]
pub struct ClientAttempt(Attempt);

impl ClientAttempt {
    /// It was the wrong secret, or there is no such client.
    pub fn fail(self) {
        self.0.fail();
    }

    /// The client showed its secret.
    pub fn succeed(self) {
        self.0.succeed();
    }
}

/// Why a code is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeError {
    Needed,
    Wrong,
}

/// The account went away in the middle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

impl From<Gone> for SignInError {
    fn from(_: Gone) -> Self {
        Self::Refused
    }
}
