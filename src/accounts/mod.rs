//! Clients, tokens and operators: who may ask what.
//!
//! Owns the server's secret key and all that is derived from it, OAuth clients and their access tokens, integration tokens,
//! browser keys, roles, the first start, and operators' records. Knows nothing of HTTP: a request's bearer comes in as text and leaves as a
//! [`Principal`]. Records are read and written through [`Vault`] alone.
//!
//! Invariants:
//! - A secret is stored as a hash or not at all, compared in constant time, and shown by no `Debug`, message or log line.
//! - What ends a token (its client changed, the token revoked, the clock) ends it at once, also where it was just verified:
//!   when the call that ends it returns, no later [`Accounts::authenticate`] answers it.
//! - Memory never says more than the store: a change counts when it is durable. Revocation alone counts before.

mod access;
mod access_requests;
mod audit;
mod bootstrap;
mod browser_keys;
mod client_changes;
mod clients;
mod directory;
mod drafts;
mod fault;
mod first_run;
mod grants;
mod happenings;
mod integration_tokens;
mod invitations;
mod keys;
mod mail;
mod one_time;
mod operators;
mod passwords;
mod principal;
mod private_file;
mod profile;
mod recovery;
mod revoked;
mod roles;
mod rotations;
mod sealed;
mod secret;
mod sessions;
mod sign_in;
mod sso;
mod throttle;
mod tokens;
mod totp;
mod user_actions;
mod user_filter;
mod users;
mod vault;
mod verified;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

pub use access::{DataAccessDraft, DataAccessView, systems_of, view};
pub use access_requests::{AccessRequest, AccessRequestError, RequestStatus};
pub use audit::{Act, Actor, ActorKind, AuditEntry, AuditFilter, AuditPage, By};
pub use bootstrap::{Bootstrap, BootstrapError, FirstRun};
pub use browser_keys::BrowserKeys;
pub use client_changes::{ClientDraft, ClientError};
pub use clients::Client;
pub use drafts::UserDraft;
pub use fault::Fault;
pub use first_run::{AdminNote, ClientNote, Example, first_run_text};
pub use grants::{Lack, Sight};
pub use invitations::{InvitationOutcome, Invited, Invitee, Offer};
pub use keys::{KEY_VARIABLE, KeyError, KeySource, NoKey, ServerKey};
pub use mail::{Letter, LetterKind, MailError, Postman, letter};
pub use one_time::{LinkError, LinkKind};
pub use operators::UserError;
pub use passwords::{DeskBusy, PasswordError, PasswordHash};
pub use principal::{Asker, Principal};
pub use profile::{Enrolment, ProfileError, Proof};
pub use recovery::{Recovered, RecoveryError};
pub use roles::{PermissionSet, Role, Roles};
pub use sealed::SealError;
pub use secret::{NoRandomness, Secret};
pub use sessions::{NewSession, Session, Visitor};
pub use sign_in::{ClientAttempt, Credentials, SignInError, SignedIn};
pub use sso::{CALLBACK_PATH, Departure, PATIENCE_S, Return, SsoError};
pub use throttle::Throttled;
pub use tokens::{IssuedToken, TokenError};
pub use totp::SecondFactor;
pub use user_actions::{BulkOutcome, UserAction};
pub use user_filter::UserFilter;
pub use users::{
    DataAccess, LoginMethod, OneTimeToken, PasswordNotSetReason, StatusConflict, UserRecord, UserRoles, UserStatus,
};
pub use vault::{Change, RecordError, StoredRecord, Vault};

use self::audit::Audit;
use self::browser_keys::BrowserKeyring;
use self::clients::Clients;
use self::directory::{Directory, UserChange};
use self::integration_tokens::IntegrationTokens;
use self::revoked::RevokedTokens;
use self::rotations::{Rotations, integration_name};
use self::sealed::Seal;
use self::sessions::Sessions;
use self::sign_in::Door;
use self::sso::Sso;
use self::tokens::AccessTokens;
use self::verified::VerifiedTokens;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::WriteError;
use crate::model::{EndUserId, IntegrationId, SystemId, Timestamp};
use crate::ruleset::LiveRules;
use crate::store::Table;

/// The server's record by which a store knows its key again. While it is missing, the store is empty.
const KEY_CHECK: &str = "key_check";

/// Why accounts can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// There is no usable secret key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bootstrap variables can't be followed.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A stored record can't be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Records can't be written.
    #[error("records of accounts can't be written: {0}")]
    Write(#[from] WriteError),
    /// The first start's note can't be written.
    #[error("the first start's credentials can't be written to `{}`: {reason}; nothing was stored", path.display())]
    Note {
        /// The note's file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The variable with the secret for single sign-on is not set.
    #[error(
        "sso.client_secret_env names {variable}, which is not set: set it to the client secret that the identity provider gave"
    )]
    NoSsoSecret {
        /// The variable.
        variable: String,
    },
    /// Single sign-on can't be set up.
    #[error("single sign-on can't be set up: {0}")]
    Sso(String),
    /// There is nothing to make secrets of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Everything about who may ask what, live.
pub struct Accounts {
    key: ServerKey,
    vault: Arc<dyn Vault>,
    clock: Clock,
    data: PathBuf,
    public_url: String,
    roles: Roles,
    clients: Clients,
    users: Directory,
    tokens: AccessTokens,
    verified: VerifiedTokens,
    revoked: RevokedTokens,
    rotations: Arc<Rotations>,
    integration_tokens: IntegrationTokens,
    browser_keys: BrowserKeyring,
    audit: Audit,
    door: Door,
    sso: Option<Sso>,
    totp_seal: Seal,
    require_totp: bool,
    /// Held from reading what is to be changed until the change counts.
    changing: Mutex<()>,
}

impl Accounts {
    /// Reads what the store keeps. On an empty store there is a [`Bootstrap`] to finish; until then nothing is stored, though
    /// a secret key may have been made. Blocks.
    ///
    /// # Errors
    /// [`AccountsError`]: no key or another than the store's, unreadable records, bootstrap variables that can't be followed.
    pub fn open(
        vault: Arc<dyn Vault>,
        config: &Config,
        clock: Clock,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Arc<Self>, Option<Bootstrap>), AccountsError> {
        let data = config.storage.path.clone();
        let kept: Option<[u8; 32]> = vault::read_one(&*vault, Table::Server, KEY_CHECK)?;
        let (key, source) = ServerKey::open(&data, env, kept.is_none())?;
        if let Some(kept) = &kept {
            key.verify(kept, &source, &data)?;
        }
        let roles = Roles::new(&config.roles);
        let rotations = Arc::new(Rotations::load(&*vault)?);
        let accounts = Arc::new(Self {
            clients: Clients::load(&key, &*vault, &roles)?,
            users: Directory::load(&*vault)?,
            tokens: AccessTokens::new(&key, &config.server.public_url)?,
            verified: VerifiedTokens::new(),
            revoked: RevokedTokens::load(&*vault)?,
            integration_tokens: IntegrationTokens::new(&key, Arc::clone(&rotations)),
            browser_keys: BrowserKeyring::new(&key, Arc::clone(&rotations)),
            rotations,
            audit: Audit::new(config.audit.keep_days),
            door: Door::new(&key, &*vault, &clock)?,
            sso: config
                .sso
                .as_ref()
                .map(|sso| Sso::open(sso, &config.server.public_url, &key, &clock, env))
                .transpose()?,
            totp_seal: Seal::new(&key, "second factors"),
            require_totp: config.auth.require_totp,
            public_url: config.server.public_url.clone(),
            changing: Mutex::new(()),
            key,
            vault,
            clock,
            data,
            roles,
        });
        accounts.purge_revoked();
        let bootstrap = if kept.is_none() { Some(Bootstrap::begin(&accounts, env)?) } else { None };
        Ok((accounts, bootstrap))
    }

    /// The enabled client with this id and secret. Takes as long for an id that there is not.
    ///
    /// # Errors
    /// [`TokenError::InvalidClient`].
    pub fn authenticate_client(&self, client_id: &str, secret: &str) -> Result<Arc<Client>, TokenError> {
        self.clients.check(client_id, secret).ok_or(TokenError::InvalidClient)
    }

    /// Issues an access token to a client, for `lifetime_s` seconds and for the permissions in `scope` (absent: all that its
    /// role has).
    ///
    /// # Errors
    /// [`TokenError`]: unknown, disabled or wrongly authenticated client; a scope beyond its role's permissions.
    pub fn issue_token(
        &self,
        client_id: &str,
        secret: &str,
        scope: Option<&str>,
        lifetime_s: u64,
    ) -> Result<IssuedToken, TokenError> {
        let client = self.authenticate_client(client_id, secret)?;
        let granted = tokens::grant(scope, &client.role, self.role_permissions(&client))?;
        Ok(self.tokens.issue(&client, granted, lifetime_s, self.clock.now()))
    }

    /// The bearer of an access token, if it is genuine, unexpired, unrevoked and its client is enabled.
    #[must_use]
    pub fn authenticate(&self, access_token: &str) -> Option<Arc<Principal>> {
        let now = self.clock.now();
        if let Some(principal) = self.verified.get(access_token, now) {
            return Some(principal);
        }
        let epoch = self.verified.epoch();
        let token = self.tokens.read(access_token)?;
        if !token.lifetime.contains(now) || self.revoked.contains(&token) {
            return None;
        }
        let client = self.clients.get(&token.client)?;
        if !client.enabled || client.generation != token.generation {
            return None;
        }
        let permissions = self.role_permissions(&client).intersection(token.scope);
        let principal = Arc::new(Principal::of_client(&client, permissions));
        self.verified.insert(access_token, epoch, token.lifetime, Arc::clone(&principal), now);
        Some(principal)
    }

    /// Revokes an access token of this client, which has been authenticated. What is no token of its is left alone, without
    /// an error (RFC 7009, section 2.2).
    ///
    /// # Errors
    /// [`WriteError`]: the token has ended, but may come back with a restart.
    pub async fn revoke(self: &Arc<Self>, client_id: &str, access_token: &str) -> Result<(), WriteError> {
        let Some(token) = self.tokens.read(access_token).filter(|token| token.client == client_id) else {
            return Ok(());
        };
        self.blocking(move |accounts| {
            let change = accounts.revoked.add(&token);
            accounts.verified.forget_all();
            let mut changes = vec![change?];
            changes.extend(accounts.revoked.purge(accounts.clock.now()));
            accounts.vault.write(changes)
        })
        .await
    }

    /// The newest integration token of an integration.
    #[must_use]
    pub fn integration_token(&self, system: &SystemId, integration: &IntegrationId) -> String {
        self.integration_tokens.current(system, integration)
    }

    /// Gives an integration a new token. The old one, and those that still live, work for `grace_hours` more and as long as
    /// their own grace lasts; 0: all end now.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub async fn rotate_integration_token(
        self: &Arc<Self>,
        actor: Actor,
        system: &SystemId,
        integration: &IntegrationId,
        grace_hours: u32,
    ) -> Result<(), WriteError> {
        let (system, integration) = (system.clone(), integration.clone());
        self.blocking(move |accounts| {
            let object = format!("systems/{system}/integrations/{integration}");
            let act = Act::new("integration.rotate_token", object).after(json!({ "grace_hours": grace_hours }));
            let entry = accounts.audited(&actor, act)?;
            accounts.raise(&integration_name(&system, &integration), grace_hours, Some(entry))
        })
        .await
    }

    /// Ends every token of an integration that was deleted, so that none works if one of that name comes to be. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub fn retire(&self, system: &SystemId, integration: &IntegrationId) -> Result<(), WriteError> {
        self.raise(&integration_name(system, integration), 0, None)
    }

    /// The enabled `api` integration that an integration token belongs to.
    #[must_use]
    pub fn integration_of(&self, rules: &Arc<LiveRules>, token: &str) -> Option<(SystemId, IntegrationId)> {
        self.integration_tokens.find(rules, token, self.clock.now())
    }

    /// A system's newest keys for pages in browsers.
    #[must_use]
    pub fn browser_keys(&self, system: &SystemId) -> BrowserKeys {
        self.browser_keys.current(system)
    }

    /// Gives a system new browser keys, both of them. The old ones, and those that still live, work for `grace_hours` more
    /// and as long as their own grace lasts; 0: all end now.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub async fn rotate_browser_keys(
        self: &Arc<Self>,
        actor: Actor,
        system: &SystemId,
        grace_hours: u32,
    ) -> Result<(), WriteError> {
        let system = system.clone();
        self.blocking(move |accounts| {
            let act = Act::new("browser.rotate_keys", format!("systems/{system}/browser"));
            let entry = accounts.audited(&actor, act.after(json!({ "grace_hours": grace_hours })))?;
            accounts.raise(system.as_str(), grace_hours, Some(entry))
        })
        .await
    }

    /// Ends the browser keys of a system that is gone, so that none works if one of that name comes to be. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub fn retire_browser_keys(&self, system: &SystemId) -> Result<(), WriteError> {
        self.raise(system.as_str(), 0, None)
    }

    /// Whether this is a publishable key of the system, with which a page may ask for segments.
    #[must_use]
    pub fn is_publishable_key(&self, system: &SystemId, key: &str) -> bool {
        self.browser_keys.is_publishable(system, key, self.clock.now())
    }

    /// Whether this is the hash of the identifier under the system's identity secret, so that the page may ask about it.
    #[must_use]
    pub fn vouches(&self, system: &SystemId, id: &str, id_hash: &str) -> bool {
        self.browser_keys.vouches(system, id, id_hash, self.clock.now())
    }

    /// The record that puts down what is done now; to be written with the change that it tells of.
    ///
    /// # Errors
    /// [`WriteError`] when it can't be made.
    pub fn audited(&self, actor: &Actor, act: Act) -> Result<Change, WriteError> {
        self.audit.record(&By::from(actor), act, self.clock.now())
    }

    /// Puts down what was done just now by a change that is no record, such as of a file. What can't be written is
    /// logged: the change itself stands.
    pub async fn note(self: &Arc<Self>, actor: &Actor, act: Act) {
        let entry = self.audited(actor, act);
        let written = self.blocking(move |accounts| accounts.vault.write(vec![entry?])).await;
        if let Err(error) = written {
            tracing::error!(%error, actor = actor.name(), "what was just done is missing in the audit");
        }
    }

    /// At most `limit` entries of the audit that pass the filter, newest first, from behind the key `after` on. `None` when
    /// `after` is no key. Blocks.
    ///
    /// # Errors
    /// [`RecordError`] when they can't be read.
    pub fn audit_page(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<AuditPage>, RecordError> {
        self.audit.page(&*self.vault, filter, after, limit)
    }

    /// What stands for an end user in the audit: nobody reads the identifier out of it.
    #[must_use]
    pub fn end_user_hash(&self, system: &SystemId, id: &EndUserId) -> String {
        hex::encode(self.key.derive("end users in the audit", &[system.as_str(), id.as_str()]))
    }

    /// Drops what has been kept long enough: entries of the audit, decided requests, revocations. Blocks.
    ///
    /// # Errors
    /// [`AccountsError`] when it can't be read or written; the next time tries again.
    pub fn tidy(&self) -> Result<(), AccountsError> {
        self.purge_revoked();
        let requests = self.old_requests()?;
        if !requests.is_empty() {
            self.vault.write(requests)?;
        }
        loop {
            let expired = self.audit.expired(&*self.vault, self.clock.now())?;
            if expired.is_empty() {
                return Ok(());
            }
            self.vault.write(expired)?;
        }
    }

    /// An operator in a session, as accounts and rules are now.
    #[must_use]
    pub fn user_principal(&self, user: &UserRecord, session: [u8; 32], live: &LiveRules) -> Principal {
        Principal::of_user(user, session, &self.roles, live)
    }

    /// What the forms of pages that are made for this session carry, so that no other page can send them.
    #[must_use]
    pub fn form_token(&self, session: &Session) -> String {
        self.door.sessions.form_token(session)
    }

    /// Whether a form was made for this session.
    #[must_use]
    pub fn is_form_token(&self, session: &Session, token: &str) -> bool {
        self.door.sessions.is_form_token(session, token)
    }

    /// Every role.
    #[must_use]
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The operator of this username.
    #[must_use]
    pub fn user(&self, username: &str) -> Option<Arc<UserRecord>> {
        self.users.get(username)
    }

    /// The operator that a username or an e-mail address means, whatever its case: what is typed at log-in.
    #[must_use]
    pub fn find_user(&self, name: &str) -> Option<Arc<UserRecord>> {
        self.users.find(name)
    }

    /// The operator of this name at the identity provider.
    #[must_use]
    pub fn find_sso_user(&self, sso_id: &str) -> Option<Arc<UserRecord>> {
        self.users.find_sso(sso_id)
    }

    /// Changes an operator's record, and writes it with what `change` answers beside it, in one commit. Blocks.
    ///
    /// # Errors
    /// What `change` answers (nothing has changed then), or [`WriteError`]. `Ok(None)`: there is no such operator.
    pub fn change_user<E: From<WriteError>>(
        &self,
        username: &str,
        change: impl FnOnce(&mut UserRecord) -> Result<Vec<Change>, E>,
    ) -> Result<Option<Arc<UserRecord>>, E> {
        let _changing = self.changing.lock();
        let Some(user) = self.users.get(username) else { return Ok(None) };
        let mut user = UserRecord::clone(&user);
        let beside = change(&mut user)?;
        let user = Arc::new(user);
        self.commit_users(vec![UserChange::Put(Arc::clone(&user))], beside)?;
        Ok(Some(user))
    }

    /// Writes changes of operators and what belongs to them in one commit, with the end of the sessions that they end;
    /// memory follows. The caller holds `changing`.
    fn commit_users(&self, users: Vec<UserChange>, beside: Vec<Change>) -> Result<(), WriteError> {
        let record = |change: &UserChange| match change {
            UserChange::Put(user) => vault::put(Table::Users, &user.username, &**user),
            UserChange::Gone(username) => Ok((Table::Users, username.as_bytes().to_vec(), None)),
        };
        let mut changes = users.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        changes.extend(beside);
        let ended: Vec<_> = users.iter().flat_map(|change| self.door.sessions.ended_by(change)).collect();
        changes.extend(Sessions::removals(&ended));
        self.vault.write(changes)?;
        self.users.apply(users);
        self.door.sessions.end(&ended);
        Ok(())
    }

    fn role_permissions(&self, client: &Client) -> PermissionSet {
        self.roles.permissions(&client.role).unwrap_or(PermissionSet::NONE)
    }

    fn raise(&self, name: &str, grace_hours: u32, beside: Option<Change>) -> Result<(), WriteError> {
        let _changing = self.changing.lock();
        let now = self.clock.now();
        let grace_ms = i64::from(grace_hours) * 3_600_000;
        let until = (grace_hours > 0).then(|| Timestamp::from_millis(now.as_millis().saturating_add(grace_ms)));
        let (rotation, change) = self.rotations.raise(name, until, now)?;
        self.vault.write(std::iter::once(change).chain(beside).collect())?;
        self.rotations.set(name, &rotation);
        Ok(())
    }

    fn purge_revoked(&self) {
        let changes = self.revoked.purge(self.clock.now());
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.vault.write(changes) {
            // They only take room, and the next start tries again.
            tracing::warn!(%error, "expired revocations stay in the store");
        }
    }

    /// Runs a change on a thread that may block, to its end even if the caller goes away in the middle: memory must follow
    /// what was written.
    async fn blocking<T, E, F>(self: &Arc<Self>, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<WriteError> + Send + 'static,
        F: FnOnce(&Self) -> Result<T, E> + Send + 'static,
    {
        let accounts = Arc::clone(self);
        match tokio::task::spawn_blocking(move || change(&accounts)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => {
                Err(E::from(WriteError::Failed("a change of accounts panicked".to_owned())))
            }
            Err(_) => Err(E::from(WriteError::Stopping)),
        }
    }
}
