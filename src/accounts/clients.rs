//! OAuth clients: the machines that call the API.
//!
//! Owns their records and the check of their secrets. Knows nothing of the tokens that they get. A secret is kept as its
//! HMAC-SHA-256 under a derived key; as those that we make have 256 random bits, no slow hash is needed.
//!
//! Invariant: [`Clients::check`] does the same work for a client that exists and for one that doesn't, and readers never
//! wait for a change.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::{KEY_BYTES, MacKey, ServerKey};
use super::roles::Roles;
use super::rotate;
use super::secret::Secret;
use super::vault::{RecordError, Vault, read_all};
use crate::model::{SystemId, Timestamp};
use crate::store::Table;

/// The purpose of the key under which secrets are hashed.
pub(super) const SECRETS: &str = "client secrets";
/// Compared with where there is no client; no secret is known that has it.
const NOBODYS_HASH: [u8; KEY_BYTES] = [0; KEY_BYTES];

/// An OAuth client, as it is stored under its id.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// The keyed hash of its secret.
    pub secret_hash: [u8; 32],
    /// What it is for, in its makers' words.
    #[serde(default)]
    pub description: String,
    /// Its role's name.
    pub role: String,
    /// The systems in which it may act; `None`: all, later ones too.
    #[serde(default)]
    pub systems: Option<Arc<BTreeSet<SystemId>>>,
    /// Whether it gets tokens, and those that it has are taken.
    pub enabled: bool,
    /// Raised when its secret is rotated and when it is disabled; tokens of another generation are refused.
    pub generation: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("systems", &self.systems)
            .field("enabled", &self.enabled)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// What the audit keeps of it: all but its secret.
    pub(super) fn for_audit(&self) -> Value {
        json!({
            "description": self.description,
            "role": self.role,
            "systems": self.systems,
            "enabled": self.enabled,
        })
    }
}

/// Every client, for reading without a lock.
pub(super) struct Clients {
    secrets: MacKey,
    /// The keys before a rotation of the server's, under which older secrets are hashed.
    earlier: Vec<MacKey>,
    live: ArcSwap<HashMap<String, Arc<Client>>>,
}

impl Clients {
    pub(super) fn load(key: &ServerKey, vault: &dyn Vault, roles: &Roles) -> Result<Self, RecordError> {
        let mut live = HashMap::new();
        for (id, client) in read_all::<Client>(vault, Table::Clients)? {
            if roles.permissions(&client.role).is_none() {
                tracing::warn!(
                    client = id,
                    role = client.role,
                    "the client's role does not exist, so it may do nothing: add the role to `[[roles]]` in the configuration"
                );
            }
            live.insert(id, Arc::new(client));
        }
        let earlier = rotate::carried(key, vault)?;
        Ok(Self { secrets: key.mac_key(SECRETS), earlier, live: ArcSwap::from_pointee(live) })
    }

    /// What is kept of a secret.
    pub(super) fn hash(&self, secret: &Secret) -> [u8; KEY_BYTES] {
        self.secrets.tag(secret.reveal().as_bytes())
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Client>> {
        self.live.load().get(id).cloned()
    }

    /// All of them, by id.
    pub(super) fn all(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.live.load().values().cloned().collect();
        clients.sort_by(|one, other| one.id.cmp(&other.id));
        clients
    }

    /// The enabled client with this id and secret.
    pub(super) fn check(&self, id: &str, secret: &str) -> Option<Arc<Client>> {
        let client = self.get(id);
        let hash = client.as_ref().map_or(&NOBODYS_HASH, |client| &client.secret_hash);
        let holds = |key: &MacKey| key.holds(secret.as_bytes(), hash);
        let right = self.earlier.iter().map(holds).fold(holds(&self.secrets), |one, other| one | other);
        client.filter(|client| right && client.enabled)
    }

    /// Puts a client in the place of the one with its id, if any. It must be durable by now.
    pub(super) fn set(&self, client: &Arc<Client>) {
        self.live.rcu(|live| {
            let mut live = HashMap::clone(live);
            live.insert(client.id.clone(), Arc::clone(client));
            live
        });
    }
}
