//! Every operator, in memory: by username, by what a person types at log-in, and by name at the identity provider.
//!
//! Knows nothing of what an account may do. Invariants: it holds what is durable and nothing else; usernames and e-mail
//! addresses are one space of names without case, so that what is typed at log-in means one account at most.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use super::users::UserRecord;
use super::vault::{RecordError, Vault, read_all};
use crate::store::Table;

/// What happens to one account: it is put in the place of the one of its name, or goes.
pub(super) enum UserChange {
    Put(Arc<UserRecord>),
}

impl UserChange {
    pub(super) fn username(&self) -> &str {
        match self {
            Self::Put(user) => &user.username,
        }
    }
}

#[derive(Default)]
struct Index {
    users: BTreeMap<String, Arc<UserRecord>>,
    /// Usernames and addresses, without case.
    names: HashMap<String, Arc<UserRecord>>,
    sso_ids: HashMap<String, Arc<UserRecord>>,
}

/// Every operator.
#[derive(Default)]
pub(super) struct Directory(RwLock<Index>);

impl Directory {
    pub(super) fn load(vault: &dyn Vault) -> Result<Self, RecordError> {
        let directory = Self::default();
        let users = read_all::<UserRecord>(vault, Table::Users)?;
        directory.apply(users.into_iter().map(|(_, user)| UserChange::Put(Arc::new(user))));
        Ok(directory)
    }

    pub(super) fn get(&self, username: &str) -> Option<Arc<UserRecord>> {
        self.0.read().users.get(username).cloned()
    }

    /// The account that a username or an e-mail address means, whatever its case.
    pub(super) fn find(&self, name: &str) -> Option<Arc<UserRecord>> {
        self.0.read().names.get(&folded(name)).cloned()
    }

    pub(super) fn find_sso(&self, sso_id: &str) -> Option<Arc<UserRecord>> {
        self.0.read().sso_ids.get(sso_id).cloned()
    }

    /// All of them, by username.
    pub(super) fn all(&self) -> Vec<Arc<UserRecord>> {
        self.0.read().users.values().cloned().collect()
    }

    /// Puts changes into memory. They must be durable by now.
    pub(super) fn apply(&self, changes: impl IntoIterator<Item = UserChange>) {
        let mut index = self.0.write();
        for change in changes {
            if let Some(old) = index.users.remove(change.username()) {
                index.forget_names(&old);
            }
            let UserChange::Put(user) = change;
            index.learn_names(&user);
            index.users.insert(user.username.clone(), user);
        }
    }
}

impl Index {
    fn learn_names(&mut self, user: &Arc<UserRecord>) {
        for name in [&user.username, &user.email] {
            self.names.insert(folded(name), Arc::clone(user));
        }
        if let Some(id) = &user.sso_id {
            self.sso_ids.insert(id.clone(), Arc::clone(user));
        }
    }

    fn forget_names(&mut self, user: &UserRecord) {
        for name in [&user.username, &user.email] {
            self.names.remove(&folded(name));
        }
        if let Some(id) = &user.sso_id {
            self.sso_ids.remove(id);
        }
    }
}

/// A name without case.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}
