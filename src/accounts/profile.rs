//! What operators change about themselves: password, sessions, second factor.
//!
//! Owns the rules for it: whoever changes how the account is entered shows the password again (and the second factor's
//! code, where there is one), so that a borrowed session can't lock its owner out. Knows nothing of HTTP.

use std::sync::Arc;

use super::Accounts;
use super::happenings::Happening;
use super::passwords::{DeskBusy, PasswordError, PasswordHash, check_own_names};
use super::sealed::SealError;
use super::secret::{NoRandomness, Secret};
use super::sessions::{NewSession, Session, Visitor};
use super::sign_in::{CodeError, Gone, SignedIn};
use super::throttle::{Attempt, Throttled};
use super::totp::{SecondFactor, TotpKey};
use super::users::{LoginMethod, UserRecord};
use crate::engine::WriteError;

/// Why a profile is not changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProfileError {
    /// The password that was to be shown is not the account's.
    #[error("this is not your password")]
    WrongPassword,
    /// The second factor's code is needed.
    #[error("your account has a second factor: send the code of the authenticator app too")]
    CodeNeeded,
    /// The code is wrong.
    #[error("the code is wrong or was used before: wait for the next one")]
    CodeWrong,
    /// The new password is not taken.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The account logs in elsewhere.
    #[error("you log in at the identity provider: password and second factor are kept there")]
    LogsInBySso,
    /// There is no enrolment to confirm.
    #[error("no second factor waits to be confirmed: enrol first")]
    NothingToConfirm,
    /// There is no second factor.
    #[error("your account has no second factor")]
    NoSecondFactor,
    /// Everybody must have one.
    #[error("every account here must have a second factor: enrol another one to replace it")]
    SecondFactorRequired,
    /// No such session of one's own.
    #[error("you have no session `{0}`")]
    UnknownSession(String),
    /// The account has changed or ended meanwhile.
    #[error("your account has changed meanwhile: log in again")]
    Gone,
    /// Too many wrong passwords or codes before.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    /// Too many at once.
    #[error(transparent)]
    Busy(#[from] DeskBusy),
    /// The change can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A secret can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is nothing to make secrets of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<Gone> for ProfileError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<CodeError> for ProfileError {
    fn from(error: CodeError) -> Self {
        match error {
            CodeError::Needed => Self::CodeNeeded,
            CodeError::Wrong => Self::CodeWrong,
        }
    }
}

/// A second factor to be put into an app.
#[derive(Debug)]
pub struct Enrolment {
    /// The key in base 32, to be typed.
    pub key: Secret,
    /// The same as `otpauth://` URI, to be shown as a QR code.
    pub uri: Secret,
}

/// What an operator shows again before changing how the account is entered.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The password.
    pub password: Secret,
    /// The second factor's code, where there is one.
    pub code: Option<String>,
}

impl Accounts {
    /// Changes one's own password. Ends every session of the account; the new one takes the place of the one that asked.
    ///
    /// # Errors
    /// [`ProfileError`]; nothing has changed then.
    pub async fn change_password(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        proof: Proof,
        password: Secret,
        visitor: Visitor,
    ) -> Result<NewSession, ProfileError> {
        let user = &signed_in.user;
        let _turn = self.door.turns.wait(&user.username, visitor.address).await;
        let (attempt, old) = self.prove(user, &proof.password, &visitor).await?;
        check_own_names(&password, &[&user.username, &user.email])?;
        let new = self.door.desk.hash(password, || true).await?.ok_or(ProfileError::Gone)??;
        let username = user.username.clone();
        let changed = self
            .blocking(move |accounts| {
                accounts.begin_session(&username, Happening::PasswordChanged, &visitor, |user| {
                    accounts.check_proof(user, &old, proof.code.as_deref())?;
                    user.end_sessions()?;
                    user.password = Some(new);
                    user.reset = None;
                    Ok::<(), ProfileError>(())
                })
            })
            .await;
        settle(attempt, changed)
    }

    /// One's own sessions that count, the newest first.
    #[must_use]
    pub fn own_sessions(&self, signed_in: &SignedIn) -> Vec<Arc<Session>> {
        let mut own = self.door.sessions.of(&signed_in.user.username);
        own.retain(|session| session.belongs_to(&signed_in.user) && session.is_current(self.clock.now()));
        own.sort_by_key(|session| std::cmp::Reverse((session.begun(), session.name())));
        own
    }

    /// Ends one of one's own sessions.
    ///
    /// # Errors
    /// [`ProfileError::UnknownSession`]; [`ProfileError::Write`]: it has ended, but may come back with a restart.
    pub async fn end_own_session(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        name: &str,
        visitor: Visitor,
    ) -> Result<(), ProfileError> {
        let mut own = self.own_sessions(signed_in);
        own.retain(|session| session.name() == name);
        if own.is_empty() {
            return Err(ProfileError::UnknownSession(name.to_owned()));
        }
        Ok(self.blocking(move |accounts| accounts.end_sessions(&own, &visitor)).await?)
    }

    /// Ends all of one's own sessions but the one that asks.
    ///
    /// # Errors
    /// [`WriteError`]: they have ended, but may come back with a restart.
    pub async fn end_other_sessions(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        visitor: Visitor,
    ) -> Result<(), WriteError> {
        let mut others = self.own_sessions(signed_in);
        others.retain(|session| session.name() != signed_in.session.name());
        self.blocking(move |accounts| accounts.end_sessions(&others, &visitor)).await
    }

    /// Begins to set up a second factor, or another one in the place of the one there is, which holds until the new one is
    /// confirmed.
    ///
    /// # Errors
    /// [`ProfileError`]; nothing has changed then.
    pub async fn enrol_second_factor(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        proof: Proof,
        visitor: Visitor,
    ) -> Result<Enrolment, ProfileError> {
        let key = TotpKey::make()?;
        let sealed = self.totp_seal.close(key.bytes(), &signed_in.user.username)?;
        let enrolment =
            Enrolment { key: Secret::new(key.to_base32()), uri: Secret::new(key.to_uri(&signed_in.user.username)) };
        self.change_proved(signed_in, proof, None, visitor, move |user| {
            let last_step = user.totp.as_ref().map_or(0, |factor| factor.last_step);
            let active = user.totp.take().and_then(|factor| factor.sealed);
            user.totp = Some(SecondFactor { sealed: active, last_step, pending: Some(sealed) });
            Ok(())
        })
        .await?;
        Ok(enrolment)
    }

    /// Confirms the second factor that was set up last with one of its codes: from now on log-in asks for it.
    ///
    /// # Errors
    /// [`ProfileError`]; nothing has changed then.
    pub async fn confirm_second_factor(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        code: String,
        visitor: Visitor,
    ) -> Result<(), ProfileError> {
        let username = signed_in.user.username.clone();
        let attempt = self.door.links.check(&username, visitor.address)?;
        let confirmed = self
            .blocking(move |accounts| {
                let changed = accounts.change_user::<ProfileError>(&username, |user| {
                    let pending = user.totp.as_ref().and_then(|factor| factor.pending.clone());
                    let pending = pending.ok_or(ProfileError::NothingToConfirm)?;
                    let key = accounts.totp_key(&username, Some(&pending)).ok_or(ProfileError::NothingToConfirm)?;
                    // Another key: the steps of the one before do not matter.
                    let mut factor = SecondFactor { sealed: Some(pending), last_step: 0, pending: None };
                    if !factor.take(&key, &code, accounts.clock.now()) {
                        return Err(ProfileError::CodeWrong);
                    }
                    user.totp = Some(factor);
                    Ok(vec![accounts.happened(Happening::SecondFactorOn, Some(&username), &visitor)?])
                })?;
                changed.map(|_| ()).ok_or(ProfileError::Gone)
            })
            .await;
        settle(attempt, confirmed)
    }

    /// Removes one's own second factor.
    ///
    /// # Errors
    /// [`ProfileError`]; nothing has changed then.
    pub async fn remove_second_factor(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        proof: Proof,
        visitor: Visitor,
    ) -> Result<(), ProfileError> {
        if self.require_totp {
            return Err(ProfileError::SecondFactorRequired);
        }
        if signed_in.user.totp.is_none() {
            return Err(ProfileError::NoSecondFactor);
        }
        self.change_proved(signed_in, proof, Some(Happening::SecondFactorOff), visitor, |user| {
            user.totp = None;
            Ok(())
        })
        .await
    }

    /// Whether every operator with a password must have a second factor.
    #[must_use]
    pub fn requires_second_factor(&self) -> bool {
        self.require_totp
    }

    /// The key of a sealed second factor.
    pub(super) fn totp_key(&self, username: &str, sealed: Option<&[u8]>) -> Option<TotpKey> {
        self.totp_seal.open(sealed?, username).map(TotpKey::from_bytes)
    }

    /// Changes one's own record once password and code are shown.
    async fn change_proved(
        self: &Arc<Self>,
        signed_in: &SignedIn,
        proof: Proof,
        what: Option<Happening>,
        visitor: Visitor,
        change: impl FnOnce(&mut UserRecord) -> Result<(), ProfileError> + Send + 'static,
    ) -> Result<(), ProfileError> {
        let _turn = self.door.turns.wait(&signed_in.user.username, visitor.address).await;
        let (attempt, hash) = self.prove(&signed_in.user, &proof.password, &visitor).await?;
        let username = signed_in.user.username.clone();
        let changed = self
            .blocking(move |accounts| {
                let changed = accounts.change_user::<ProfileError>(&username, |user| {
                    accounts.check_proof(user, &hash, proof.code.as_deref())?;
                    change(user)?;
                    match what {
                        Some(what) => Ok(vec![accounts.happened(what, Some(&username), &visitor)?]),
                        None => Ok(Vec::new()),
                    }
                })?;
                changed.map(|_| ()).ok_or(ProfileError::Gone)
            })
            .await;
        settle(attempt, changed)
    }

    /// Judges the password that an operator shows again; answers the hash that it matched. It is the caller's turn, until
    /// the code is judged too.
    async fn prove(
        &self,
        user: &UserRecord,
        password: &Secret,
        visitor: &Visitor,
    ) -> Result<(Attempt, PasswordHash), ProfileError> {
        let hash = match (&user.password, user.login_method) {
            (Some(hash), LoginMethod::Password) => hash.clone(),
            _ => return Err(ProfileError::LogsInBySso),
        };
        let attempt = self.door.log_ins.check(&user.username, visitor.address)?;
        if self.door.desk.verify(password.clone(), Some(hash.clone())).await? {
            Ok((attempt, hash))
        } else {
            attempt.fail();
            Err(ProfileError::WrongPassword)
        }
    }

    /// Whether the password that was judged still is the account's, and the code is right.
    fn check_proof(&self, user: &mut UserRecord, hash: &PasswordHash, code: Option<&str>) -> Result<(), ProfileError> {
        if !user.may_log_in() || user.password.as_ref() != Some(hash) {
            return Err(ProfileError::Gone);
        }
        Ok(self.take_code(user, code)?)
    }
}

/// A wrong code is a failure; everything else is none.
fn settle<T>(attempt: Attempt, done: Result<T, ProfileError>) -> Result<T, ProfileError> {
    if matches!(done, Err(ProfileError::CodeWrong)) {
        attempt.fail();
    }
    done
}
