//! Changes of OAuth clients.
//!
//! Owns who may make which client, and what ends its tokens. Knows nothing of HTTP. Invariants: nobody makes, or gets the
//! secret of, a client that may more than they; a secret is answered once, by the call that makes it; disabling and
//! rotating end every access token at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Accounts;
use super::access::find_place;
use super::audit::{Act, Actor, By};
use super::clients::Client;
use super::drafts::check_text;
use super::fault::{Fault, summary};
use super::grants::{Lack, Place};
use super::principal::client_powers;
use super::roles::PermissionSet;
use super::secret::{NoRandomness, Secret, random};
use super::vault::put;
use crate::engine::WriteError;
use crate::model::SystemId;
use crate::ruleset::LiveRules;
use crate::store::Table;

/// Most characters of a client's id.
const MAX_ID: usize = 128;
/// What a secret begins with, so that scanners for leaked secrets know it.
const SECRET_PREFIX: &str = "rcs_";

/// Why a client is not changed. Nothing was stored then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// There is no such client.
    #[error("there is no client `{0}`")]
    Unknown(String),
    /// There is one of this id.
    #[error("there is a client `{0}` already")]
    Exists(String),
    /// Something that was sent is no good.
    #[error("{}", summary(.0))]
    Invalid(Vec<Fault>),
    /// Who asks would grant what they don't have.
    #[error(transparent)]
    Beyond(#[from] Lack),
    /// The change can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is nothing to make a secret of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What is said of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientDraft {
    /// Its id; left out, one is made.
    pub id: Option<String>,
    /// What it is for.
    pub description: String,
    /// Its role.
    pub role: String,
    /// The systems in which it may act, by id or name; `*`, and of a new one `None`: all, later ones too.
    pub systems: Option<Vec<String>>,
}

impl Accounts {
    /// Every client, by id.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        self.clients.all()
    }

    /// The client of this id.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.clients.get(id)
    }

    /// Makes a client, and answers its secret, this once.
    ///
    /// # Errors
    /// [`ClientError`]: a bad draft, an id that is taken, more than the actor may grant, the change can't be written.
    pub async fn create_client(
        self: &Arc<Self>,
        actor: Actor,
        draft: ClientDraft,
        live: Arc<LiveRules>,
    ) -> Result<(Arc<Client>, Secret), ClientError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let secret = Secret::random(SECRET_PREFIX)?;
            let id = draft
                .id
                .clone()
                .map_or_else(|| random::<6>().map(|bytes| format!("client-{}", hex::encode(bytes))), Ok)?;
            let systems = accounts.check_client(&id, &draft, &live)?;
            if accounts.clients.get(&id).is_some() {
                return Err(ClientError::Exists(id));
            }
            let client = Client {
                secret_hash: accounts.clients.hash(&secret),
                description: draft.description,
                role: draft.role,
                systems,
                enabled: true,
                generation: 1,
                created_at: accounts.clock.now(),
                id,
            };
            accounts.cover_client(&actor, &client)?;
            accounts.commit_client(&actor, "client.create", None, client).map(|client| (client, secret))
        })
        .await
    }

    /// Replaces what is said of a client. It counts for the tokens that it has, too.
    ///
    /// # Errors
    /// [`ClientError`]: unknown client, a bad draft, more than the actor may grant, the change can't be written.
    pub async fn put_client(
        self: &Arc<Self>,
        actor: Actor,
        id: String,
        draft: ClientDraft,
        live: Arc<LiveRules>,
    ) -> Result<Arc<Client>, ClientError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let Some(old) = accounts.clients.get(&id) else { return Err(ClientError::Unknown(id)) };
            if draft.id.as_ref().is_some_and(|sent| *sent != id) {
                let detail = format!("the path names `{id}`: a client's id can't be changed");
                return Err(ClientError::Invalid(vec![Fault::new("/client_id", "other_client_id", detail)]));
            }
            // Left out by mistake, they would widen a client to every system.
            if draft.systems.is_none() {
                let detail = "name the systems in which the client may act, or `*` for every one, later ones too";
                return Err(ClientError::Invalid(vec![Fault::new("/systems", "required", detail)]));
            }
            let systems = accounts.check_client(&id, &draft, &live)?;
            let client = Client { description: draft.description, role: draft.role, systems, ..Client::clone(&old) };
            if (&client.role, &client.systems) != (&old.role, &old.systems) {
                accounts.cover_client(&actor, &client)?;
            }
            accounts.commit_client(&actor, "client.update", Some(&old), client)
        })
        .await
    }

    /// Enables or disables a client. Disabling ends its access tokens, for good.
    ///
    /// # Errors
    /// [`ClientError`]: unknown client; the change can't be written.
    pub async fn set_client_enabled(
        self: &Arc<Self>,
        actor: Actor,
        id: String,
        enabled: bool,
    ) -> Result<Arc<Client>, ClientError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let Some(old) = accounts.clients.get(&id) else { return Err(ClientError::Unknown(id)) };
            if old.enabled == enabled {
                return Ok(old);
            }
            let mut client = Client { enabled, ..Client::clone(&old) };
            if !enabled {
                client.generation = client.generation.saturating_add(1);
            }
            let action = if enabled { "client.enable" } else { "client.disable" };
            accounts.commit_client(&actor, action, Some(&old), client)
        })
        .await
    }

    /// Gives a client a new secret, and answers it, this once. Its old secret and access tokens end.
    ///
    /// # Errors
    /// [`ClientError`]: unknown client; it may more than the actor; the change can't be written.
    pub async fn rotate_client_secret(
        self: &Arc<Self>,
        actor: Actor,
        id: String,
    ) -> Result<(Arc<Client>, Secret), ClientError> {
        self.blocking(move |accounts| {
            let _changing = accounts.changing.lock();
            let Some(old) = accounts.clients.get(&id) else { return Err(ClientError::Unknown(id)) };
            // Whoever has its secret may what it may.
            accounts.cover_client(&actor, &old)?;
            let secret = Secret::random(SECRET_PREFIX)?;
            let client = Client {
                secret_hash: accounts.clients.hash(&secret),
                generation: old.generation.saturating_add(1),
                ..Client::clone(&old)
            };
            accounts.commit_client(&actor, "client.rotate_secret", Some(&old), client).map(|client| (client, secret))
        })
        .await
    }

    fn check_client(&self, id: &str, draft: &ClientDraft, live: &LiveRules) -> Result<Systems, ClientError> {
        let mut faults = Vec::new();
        // Ids that were made at the first start may have other characters; they are as good as any.
        if self.clients.get(id).is_none() && !is_client_id(id) {
            let detail = format!("a client's id has letters, digits, `_`, `.`, `@` and `-`, at most {MAX_ID} of them");
            faults.push(Fault::new("/client_id", "client_id", detail));
        }
        faults.extend(check_text(&draft.description).err().map(|detail| Fault::new("/description", "text", detail)));
        if self.roles.permissions(&draft.role).is_none() {
            faults.push(Fault::new("/role", "unknown_role", self.roles.unknown(&draft.role)));
        }
        let mut systems = Some(BTreeSet::new()).filter(|_| draft.systems.is_some());
        for (number, named) in draft.systems.iter().flatten().enumerate() {
            match find_place(named, live) {
                Ok(Place::Everywhere) => systems = None,
                Ok(Place::System(system)) => drop(systems.as_mut().map(|systems| systems.insert(system))),
                Err((_, detail)) => {
                    faults.push(Fault::new(format!("/systems/{number}"), "unknown_system", detail));
                }
            }
        }
        if faults.is_empty() { Ok(systems.map(Arc::new)) } else { Err(ClientError::Invalid(faults)) }
    }

    fn cover_client(&self, actor: &Actor, client: &Client) -> Result<(), Lack> {
        let permissions = self.roles.permissions(&client.role).unwrap_or(PermissionSet::NONE);
        actor.principal.cover(&client_powers(permissions, client))
    }

    /// Writes a client with its audit entry; what was verified against the old one ends.
    fn commit_client(
        &self,
        actor: &Actor,
        action: &'static str,
        old: Option<&Client>,
        client: Client,
    ) -> Result<Arc<Client>, ClientError> {
        let mut act = Act::new(action, format!("clients/{}", client.id)).after(client.for_audit());
        if let Some(old) = old {
            act = act.before(old.for_audit());
        }
        let entry = self.audit.record(&By::from(actor), act, self.clock.now())?;
        self.vault.write(vec![put(Table::Clients, &client.id, &client)?, entry])?;
        let client = Arc::new(client);
        self.clients.set(&client);
        self.verified.forget_all();
        Ok(client)
    }
}

type Systems = Option<Arc<BTreeSet<SystemId>>>;

fn is_client_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
    (1..=MAX_ID).contains(&text.len()) && text.chars().all(allowed) && text != "." && text != ".."
}
