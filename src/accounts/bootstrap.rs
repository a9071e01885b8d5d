//! The first start on an empty store: one Admin client and one Admin operator.
//!
//! Owns what the `ROLLCALL_BOOTSTRAP_…` variables may say, the making of what they don't, and the note that tells it.
//! Knows nothing of how the server goes on.
//!
//! Invariant: made secrets are on disk, in `first-run.txt`, before the records that hold their hashes. A crash between the
//! two leaves an empty store, and the next start makes new secrets and a new note. So no client is ever left whose secret
//! nobody has seen.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::audit::{Act, ActorKind, By};
use super::clients::Client;
use super::directory::UserChange;
use super::drafts::is_address;
use super::first_run::{AdminNote, ClientNote, Example, first_run_text};
use super::keys::ServerKey;
use super::one_time::{LinkKind, make_token};
use super::passwords::{PasswordError, PasswordHash};
use super::secret::Secret;
use super::users::{Start, UserRecord, first_admin, username_of};
use super::vault::{Change, put};
use super::{Accounts, AccountsError, KEY_CHECK, private_file};
use crate::engine::WriteError;
use crate::model::{BuiltInRole, Timestamp};
use crate::ruleset::LiveRules;
use crate::store::Table;

/// The variable with the first client's id.
pub(super) const CLIENT_ID: &str = "ROLLCALL_BOOTSTRAP_CLIENT_ID";
/// The variable with the first client's secret.
pub(super) const CLIENT_SECRET: &str = "ROLLCALL_BOOTSTRAP_CLIENT_SECRET";
/// The variable with the first Admin's e-mail address.
pub(super) const ADMIN_EMAIL: &str = "ROLLCALL_BOOTSTRAP_ADMIN_EMAIL";
/// The variable with the first Admin's password.
pub(super) const ADMIN_PASSWORD: &str = "ROLLCALL_BOOTSTRAP_ADMIN_PASSWORD";

/// The note's file in the data folder.
const NOTE_FILE: &str = "first-run.txt";
/// The name of the client and of the operator, where we choose it.
const MADE_NAME: &str = "admin";
/// The address of an operator of whom none is known; it is to be changed.
const MADE_EMAIL: &str = "admin@localhost";
/// A given client secret of fewer characters is warned of: unlike a made one, it could be guessed.
const SHORT_SECRET: usize = 16;
/// Most characters of a client id.
const MAX_CLIENT_ID: usize = 128;

/// Why the bootstrap variables can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// One of two variables is there without the other.
    #[error("{given} is set and {missing} is not: set both, or neither to have the credentials made")]
    Half {
        /// The one that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A client id that HTTP Basic or a log line could garble.
    #[error("{CLIENT_ID} must have 1 to {MAX_CLIENT_ID} visible ASCII characters, none of them `:`")]
    ClientId,
    /// An empty client secret, or one with control characters.
    #[error("{CLIENT_SECRET} must not be empty nor have control characters")]
    ClientSecret,
    /// Not an e-mail address.
    #[error("{ADMIN_EMAIL} must be an e-mail address, such as `name@example.com`")]
    AdminEmail,
    /// A password that breaks the policy.
    #[error("{ADMIN_PASSWORD}: {0}")]
    AdminPassword(PasswordError),
}

/// What the environment gives.
struct Given {
    client: Option<(String, Secret)>,
    admin: Option<(String, Secret)>,
}

impl Given {
    fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, BootstrapError> {
        let client = both(env, CLIENT_ID, CLIENT_SECRET)?;
        if let Some((id, secret)) = &client {
            if !(1..=MAX_CLIENT_ID).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
                return Err(BootstrapError::ClientId);
            }
            let secret = secret.reveal();
            if secret.is_empty() || secret.chars().any(char::is_control) {
                return Err(BootstrapError::ClientSecret);
            }
            if secret.chars().count() < SHORT_SECRET {
                tracing::warn!("{CLIENT_SECRET} is short and may be guessed: `openssl rand -hex 32` makes a good one");
            }
        }
        let admin = both(env, ADMIN_EMAIL, ADMIN_PASSWORD)?;
        if admin.as_ref().is_some_and(|(email, _)| !is_address(email)) {
            return Err(BootstrapError::AdminEmail);
        }
        Ok(Self { client, admin })
    }
}

fn both(
    env: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
    secret: &'static str,
) -> Result<Option<(String, Secret)>, BootstrapError> {
    match (env(name), env(secret)) {
        (Some(name), Some(secret)) => Ok(Some((name, Secret::new(secret)))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(BootstrapError::Half { given: name, missing: secret }),
        (None, Some(_)) => Err(BootstrapError::Half { given: secret, missing: name }),
    }
}

/// A first start under way: everything is made, nothing is stored yet. Call [`Bootstrap::finish`].
#[must_use = "until it is finished, nothing of the first start is stored"]
pub struct Bootstrap {
    accounts: Arc<Accounts>,
    first_client: Arc<Client>,
    first_admin: Arc<UserRecord>,
    client: ClientNote,
    admin: AdminNote,
    changes: Vec<Change>,
    file: PathBuf,
    public_url: String,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap").field("client", &self.client).field("admin", &self.admin).finish_non_exhaustive()
    }
}

/// What the first start did.
#[derive(Clone)]
pub struct FirstRun {
    /// What to show on a terminal. **It has secrets in it**: never log it.
    pub text: String,
    /// Where the same text was written; `None` when every credential came from the environment.
    pub file: Option<PathBuf>,
}

impl fmt::Debug for FirstRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstRun").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Bootstrap {
    /// Makes the first client and the first Admin.
    pub(super) fn begin(accounts: &Arc<Accounts>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, AccountsError> {
        let given = Given::read(env)?;
        let now = accounts.clock.now();
        let (client_id, client_secret, client_note) = match given.client {
            Some((id, secret)) => (id, secret, ClientNote::FromEnvironment),
            None => {
                let secret = Secret::random("rcs_")?;
                let note = ClientNote::Made(MADE_NAME.to_owned(), secret.clone());
                (MADE_NAME.to_owned(), secret, note)
            }
        };
        let client = Arc::new(Client {
            secret_hash: accounts.clients.hash(&client_secret),
            id: client_id,
            description: "Made at the first start".to_owned(),
            role: BuiltInRole::Admin.name().to_owned(),
            systems: None,
            enabled: true,
            generation: 1,
            created_at: now,
        });
        let (user, admin) = make_admin(&accounts.key, given.admin, now)?;
        let changes = vec![
            put(Table::Clients, &client.id, &client)?,
            put(Table::Users, &user.username, &user)?,
            put(Table::Server, KEY_CHECK, &accounts.key.check())?,
            noted(accounts, Act::new("client.create", format!("clients/{}", client.id)).after(client.for_audit()))?,
            noted(accounts, Act::new("user.create", format!("users/{}", user.username)).after(user.for_audit()))?,
        ];
        Ok(Self {
            accounts: Arc::clone(accounts),
            first_client: client,
            first_admin: Arc::new(user),
            client: client_note,
            admin,
            changes,
            file: accounts.data.join(NOTE_FILE),
            public_url: accounts.public_url.clone(),
        })
    }

    /// Writes the note, with an example that fits the live rules, and then the records. Blocks.
    ///
    /// # Errors
    /// [`AccountsError`] when either can't be written; the store is empty then, as before.
    pub fn finish(self, rules: &LiveRules) -> Result<FirstRun, AccountsError> {
        let token = |system: &_, integration: &_| self.accounts.integration_token(system, integration);
        let example = Example::of(rules, token, self.accounts.clock.now());
        let text = first_run_text(&self.public_url, &self.client, &self.admin, example.as_ref());
        let all_given =
            matches!((&self.client, &self.admin), (ClientNote::FromEnvironment, AdminNote::FromEnvironment));
        let file = (!all_given).then_some(self.file);
        if let Some(path) = &file {
            private_file::write(path, text.as_bytes())
                .map_err(|error| AccountsError::Note { path: path.clone(), reason: error.to_string() })?;
        }
        self.accounts.vault.write(self.changes)?;
        self.accounts.clients.set(&self.first_client);
        self.accounts.users.apply([UserChange::Put(self.first_admin)]);
        tracing::info!("first start: made the Admin client and the Admin operator");
        Ok(FirstRun { text, file })
    }
}

/// What the first start puts down in the audit.
fn noted(accounts: &Accounts, act: Act) -> Result<Change, WriteError> {
    let by = By { kind: ActorKind::Command, name: "bootstrap".to_owned(), address: None };
    accounts.audit.record(&by, act, accounts.clock.now())
}

fn make_admin(
    key: &ServerKey,
    given: Option<(String, Secret)>,
    now: Timestamp,
) -> Result<(UserRecord, AdminNote), AccountsError> {
    if let Some((email, password)) = given {
        let password = PasswordHash::of_new(&password).map_err(BootstrapError::AdminPassword)?;
        let user = first_admin(username_of(&email), email, Start::Active(password), now);
        return Ok((user, AdminNote::FromEnvironment));
    }
    let (token, kept) = make_token(key, LinkKind::Activation, now)?;
    let user = first_admin(MADE_NAME.to_owned(), MADE_EMAIL.to_owned(), Start::Invited(kept), now);
    Ok((user, AdminNote::Invited(MADE_NAME.to_owned(), token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Given, BootstrapError> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Given::read(&move |name| pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
    }

    #[test]
    fn variables_come_in_pairs() {
        for (given, missing) in [
            (CLIENT_ID, CLIENT_SECRET),
            (CLIENT_SECRET, CLIENT_ID),
            (ADMIN_EMAIL, ADMIN_PASSWORD),
            (ADMIN_PASSWORD, ADMIN_EMAIL),
        ] {
            let error = read(&[(given, "canary@x")]).err().unwrap();
            assert_eq!(error, BootstrapError::Half { given, missing });
            let message = error.to_string();
            assert!(message.contains(given) && message.contains(missing) && !message.contains("canary"), "{message}");
        }
        assert!(read(&[]).is_ok());
    }

    #[test]
    fn what_they_may_say() {
        let client = |id, secret| read(&[(CLIENT_ID, id), (CLIENT_SECRET, secret)]).err();
        assert_eq!(client("ci-1", "s3cret"), None);
        let long = "a".repeat(129);
        for id in ["", "a:b", "a b", "é", "a\n", &long] {
            assert_eq!(client(id, "s3cret"), Some(BootstrapError::ClientId), "{id:?}");
        }
        for secret in ["", "a\nb"] {
            assert_eq!(client("a", secret), Some(BootstrapError::ClientSecret), "{secret:?}");
        }
        let admin = |email| read(&[(ADMIN_EMAIL, email), (ADMIN_PASSWORD, "x")]).err();
        assert_eq!(admin("ops@example.com"), None);
        for email in ["", "ops", "@example.com", "ops@", "a@b@c", "a b@c", "a@b\n", "A <a@b>", "a@b,c@d"] {
            assert_eq!(admin(email), Some(BootstrapError::AdminEmail), "{email:?}");
        }
    }
}
