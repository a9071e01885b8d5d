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
mod bearers;
mod bookmarks;
mod bootstrap;
mod browser_keys;
mod client_changes;
mod clients;
mod derived;
mod directory;
mod drafts;
mod error;
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
mod rotate;
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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

pub use access::{DataAccessDraft, DataAccessView, systems_of, view};
pub use access_requests::{AccessRequest, AccessRequestError, RequestStatus};
pub use audit::{Act, Actor, ActorKind, AuditEntry, AuditFilter, AuditPage, By};
pub use bootstrap::{Bootstrap, BootstrapError, FirstRun};
pub use browser_keys::BrowserKeys;
pub use client_changes::{ClientDraft, ClientError};
pub use clients::Client;
pub use drafts::UserDraft;
pub use error::AccountsError;
pub use fault::Fault;
pub use first_run::{AdminNote, ClientNote, Example, first_run_text};
pub use grants::{Lack, Sight};
pub use invitations::{InvitationOutcome, Invited, Invitee, Offer};
pub use keys::{KEY_FILE, KEY_VARIABLE, KeyError, KeySource, NoKey, ServerKey};
pub use mail::{Letter, LetterKind, MailError, Postman, letter};
pub use one_time::{LinkError, LinkKind};
pub use operators::UserError;
pub use passwords::{DeskBusy, PasswordError, PasswordHash};
pub use principal::{Asker, Principal};
pub use profile::{Enrolment, ProfileError, Proof};
pub use recovery::{Recovered, RecoveryError};
pub use roles::{PermissionSet, Role, Roles};
pub use rotate::{KeyRotated, NEW_KEY_VARIABLE, RotateError, rotate_key};
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
use self::rotations::Rotations;
use self::sealed::Seal;
use self::sessions::Sessions;
use self::sign_in::Door;
use self::sso::Sso;
use self::tokens::AccessTokens;
use self::verified::VerifiedTokens;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::WriteError;
use crate::model::{EndUserId, SystemId};
use crate::ruleset::LiveRules;
use crate::store::Table;

/// The server's record by which a store knows its key again. While it is missing, the store is empty.
const KEY_CHECK: &str = "key_check";

/// The purpose under which second factors are sealed.
const SECOND_FACTORS: &str = "second factors";

/// Whether the secret key that a server would take is the store's; where it came from, or `None` where the store has none yet.
///
/// # Errors
/// [`AccountsError::Key`] when it is another or none, [`AccountsError::Record`] when the store can't be read.
pub fn check_key(
    store: &crate::store::Store,
    data: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<KeySource>, AccountsError> {
    let record = store.record(Table::Server, KEY_CHECK.as_bytes()).map_err(RecordError::from)?;
    let Some(record) = record else { return Ok(None) };
    let kept: [u8; 32] = crate::store::decode(&record).map_err(RecordError::from)?;
    let (key, source) = ServerKey::open(data, env, false)?;
    key.verify(&kept, &source, data)?;
    Ok(Some(source))
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
    bookmark_seal: Seal,
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
        if let Some(kept) = &kept {
            rotate::settle(&data, kept)?;
        }
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
            totp_seal: Seal::new(&key, SECOND_FACTORS),
            bookmark_seal: Seal::new(&key, "bookmarks"),
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
