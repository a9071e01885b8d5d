//! Single sign-on by OpenID Connect: the authorization code flow with PKCE, state and nonce.
//!
//! | file | owns |
//! | --- | --- |
//! | `provider` | talking to the provider: discovery, keys, code for token |
//! | `identity` | judging an ID token: who it is, if everything about it is right |
//!
//! The flow is small, and its two hard parts, signatures and TLS, are done by libraries that access tokens and the command
//! line need anyway; so it stands here instead of in a dependency that would bring its own of both.
//!
//! What is to be remembered between leaving for the provider and coming back (state, nonce, verifier, where to go then) is
//! sealed in a cookie of that browser, not in memory: so it survives a restart, costs an attacker's thousand beginnings no
//! room, and an answer counts only in the browser that asked.
//!
//! Invariants: the server starts and serves whatever the provider does; an identity counts only for an account that is told
//! to log in by SSO and has exactly this `sso_id`.

mod identity;
mod provider;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub(super) use identity::Identity;

use self::provider::Provider;
use super::happenings::Happening;
use super::keys::ServerKey;
use super::sealed::{Seal, SealError};
use super::secret::{NoRandomness, Secret, random};
use super::sessions::{NewSession, Visitor};
use super::sign_in::Gone;
use super::users::{LoginMethod, UserRecord, UserStatus};
use super::{Accounts, AccountsError};
use crate::clock::Clock;
use crate::config;
use crate::engine::WriteError;
use crate::model::Timestamp;

/// Where the provider sends people back to.
pub const CALLBACK_PATH: &str = "/sso/callback";
/// How long a person may take at the provider, in seconds.
pub const PATIENCE_S: i64 = 600;
/// For whom the cookie is sealed.
const COOKIE: &str = "cookie";

/// Why nobody is logged in by SSO.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SsoError {
    /// The provider can't be reached, or makes no sense.
    #[error("the identity provider can't be reached at the moment: try again later")]
    Unreachable(String),
    /// The answer does not belong to a log-in that this browser has begun.
    #[error("this log-in was not begun in this browser, or too long ago: begin again")]
    Stray,
    /// The provider did not let them in.
    #[error("the identity provider refused the log-in")]
    Declined(String),
    /// The provider's answer is not to be trusted.
    #[error("the identity provider's answer is not valid")]
    Invalid(String),
    /// There is no account for who the provider says it is, or it can't log in.
    #[error("there is no account for you here that can log in by SSO: ask an administrator to invite you")]
    NoAccount,
    /// The session can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Nothing can be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is nothing to make secrets of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl SsoError {
    /// What the log keeps of it, where it says more than the person is told.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unreachable(reason) | Self::Declined(reason) | Self::Invalid(reason) => Some(reason),
            _ => None,
        }
    }
}

impl From<Gone> for SsoError {
    fn from(_: Gone) -> Self {
        Self::NoAccount
    }
}

/// A log-in that has begun: where to send the browser, and the cookie to give it.
#[derive(Debug)]
pub struct Departure {
    /// The provider's page.
    pub url: String,
    /// The cookie's value, for [`PATIENCE_S`] seconds.
    pub cookie: Secret,
}

/// What the browser brings back from the provider.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Return {
    /// The code to be changed into a token.
    pub code: Option<String>,
    /// The state that was sent along.
    pub state: Option<String>,
    /// Who the provider says it is (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// What is remembered meanwhile.
#[derive(Serialize, Deserialize)]
struct Errand {
    state: String,
    nonce: String,
    verifier: String,
    /// Where to go afterwards: a path of ours.
    next: String,
    until: Timestamp,
}

/// Single sign-on, where it is configured.
pub(super) struct Sso {
    provider: Provider,
    client_id: String,
    redirect_uri: String,
    seal: Seal,
    clock: Clock,
}

impl fmt::Debug for Sso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sso").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Sso {
    pub(super) fn open(
        configured: &config::Sso,
        public_url: &str,
        key: &ServerKey,
        clock: &Clock,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AccountsError> {
        let variable = &configured.client_secret_env;
        let secret = env(variable).filter(|secret| !secret.is_empty());
        let secret = secret.ok_or_else(|| AccountsError::NoSsoSecret { variable: variable.clone() })?;
        let redirect_uri = format!("{public_url}{CALLBACK_PATH}");
        let provider = Provider::new(configured, Secret::new(secret), redirect_uri.clone(), clock.clone())
            .map_err(AccountsError::Sso)?;
        let client_id = configured.client_id.clone();
        Ok(Self { provider, client_id, redirect_uri, seal: Seal::new(key, "single sign-on"), clock: clock.clone() })
    }

    async fn depart(&self, next: &str) -> Result<Departure, SsoError> {
        let endpoint = self.provider.authorization_endpoint().await?;
        let until = self.clock.now().as_millis().saturating_add(PATIENCE_S * 1000);
        let errand = Errand {
            state: random_text()?,
            nonce: random_text()?,
            verifier: random_text()?,
            next: next.to_owned(),
            until: Timestamp::from_millis(until),
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&errand.verifier));
        let mut url = endpoint;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", &errand.state)
            .append_pair("nonce", &errand.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        // Texts and numbers always make JSON.
        let errand = serde_json::to_vec(&errand).unwrap_or_default();
        let cookie = Secret::new(URL_SAFE_NO_PAD.encode(self.seal.close(&errand, COOKIE)?));
        Ok(Departure { url: url.into(), cookie })
    }

    /// Who came back, and where to.
    async fn arrive(&self, cookie: Option<&str>, back: Return) -> Result<(Identity, String), SsoError> {
        let errand = cookie.and_then(|cookie| self.errand(cookie)).ok_or(SsoError::Stray)?;
        let state = back.state.unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(errand.state.as_bytes())) || self.clock.now() >= errand.until {
            return Err(SsoError::Stray);
        }
        self.provider.check_answering_issuer(back.iss.as_deref())?;
        if let Some(error) = back.error {
            return Err(SsoError::Declined(error));
        }
        let code = back.code.filter(|code| !code.is_empty()).ok_or_else(|| SsoError::Declined("no code".to_owned()))?;
        let token = self.provider.exchange(&code, &errand.verifier).await?;
        let identity = self.provider.identity(&token, &errand.nonce).await?;
        Ok((identity, errand.next))
    }

    fn errand(&self, cookie: &str) -> Option<Errand> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        serde_json::from_slice(&self.seal.open(&sealed, COOKIE)?).ok()
    }
}

fn random_text() -> Result<String, NoRandomness> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

impl Accounts {
    /// Whether operators can log in by SSO.
    #[must_use]
    pub fn has_sso(&self) -> bool {
        self.sso.is_some()
    }

    /// Begins a log-in at the provider, after which the browser goes on to `next`, a path of ours; `None` without SSO.
    ///
    /// # Errors
    /// [`SsoError`]: the provider can't be reached, or there is no randomness.
    pub async fn begin_sso(&self, next: &str) -> Option<Result<Departure, SsoError>> {
        match &self.sso {
            Some(sso) => Some(sso.depart(next).await),
            None => None,
        }
    }

    /// Ends a log-in at the provider: begins the session of the account that it is for, and says where to go on; `None`
    /// without SSO.
    ///
    /// # Errors
    /// [`SsoError`]; there is no session then.
    pub async fn finish_sso(
        self: &Arc<Self>,
        cookie: Option<&str>,
        back: Return,
        visitor: Visitor,
    ) -> Option<Result<(NewSession, String), SsoError>> {
        let sso = self.sso.as_ref()?;
        let arrived = sso.arrive(cookie, back).await;
        let finished = match arrived {
            Ok((identity, next)) => {
                let begun = self.blocking(move |accounts| accounts.log_in_identity(&identity, &visitor)).await;
                begun.map(|new| (new, next))
            }
            Err(error) => Err(error),
        };
        Some(finished)
    }

    /// Begins the session of the account that an identity is for; the first time, that activates it. Blocks.
    fn log_in_identity(&self, identity: &Identity, visitor: &Visitor) -> Result<NewSession, SsoError> {
        let user = identity.names().find_map(|name| self.find_sso_user(name));
        let username = user.as_ref().map(|user| user.username.as_str());
        let begun = username.ok_or(SsoError::NoAccount).and_then(|name| self.let_in(name, identity, visitor));
        if matches!(begun, Err(SsoError::NoAccount)) {
            self.note_failed_log_in(username, visitor)?;
        }
        begun
    }

    fn let_in(&self, username: &str, identity: &Identity, visitor: &Visitor) -> Result<NewSession, SsoError> {
        let now = self.clock.now();
        self.begin_session(username, Happening::LoggedInBySso, visitor, |user| {
            let is_meant = identity.names().any(|name| user.sso_id.as_deref() == Some(name));
            if user.login_method != LoginMethod::Sso || !is_meant {
                return Err(SsoError::NoAccount);
            }
            activate_at_first_log_in(user, now);
            if user.may_log_in() { Ok(()) } else { Err(SsoError::NoAccount) }
        })
    }
}

fn activate_at_first_log_in(user: &mut UserRecord, now: Timestamp) {
    if user.status == UserStatus::Provisioned && !user.login_blocked {
        user.activate(now);
    }
}
