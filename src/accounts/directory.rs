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
    Gone(String),
}

impl UserChange {
    pub(super) fn username(&self) -> &str {
        match self {
            Self::Put(user) => &user.username,
            Self::Gone(username) => username,
        }
    }
}

/// Something that only one account can have, and another has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Username,
    Email,
    SsoId,
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

    /// What of a user's is another's. A new one has nothing yet: whoever has its username is another.
    pub(super) fn taken(&self, user: &UserRecord, is_new: bool) -> Option<Taken> {
        let index = self.0.read();
        let others =
            |found: Option<&Arc<UserRecord>>| found.is_some_and(|found| is_new || found.username != user.username);
        if others(index.names.get(&folded(&user.username))) {
            return Some(Taken::Username);
        }
        if others(index.names.get(&folded(&user.email))) {
            return Some(Taken::Email);
        }
        user.sso_id.as_ref().filter(|id| others(index.sso_ids.get(*id))).map(|_| Taken::SsoId)
    }

    /// Puts changes into memory. They must be durable by now.
    pub(super) fn apply(&self, changes: impl IntoIterator<Item = UserChange>) {
        let mut index = self.0.write();
        for change in changes {
            if let Some(old) = index.users.remove(change.username()) {
                index.forget_names(&old);
            }
            if let UserChange::Put(user) = change {
                index.learn_names(&user);
                index.users.insert(user.username.clone(), user);
            }
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

#[cfg(test)]
mod tests {
    use super::super::users::admin;
    use super::*;
    use crate::model::Timestamp;

    fn user(username: &str, email: &str, sso_id: Option<&str>) -> Arc<UserRecord> {
        let mut user = admin(username.to_owned(), email.to_owned(), "test", Timestamp::default());
        user.sso_id = sso_id.map(str::to_owned);
        Arc::new(user)
    }

    #[test]
    fn an_account_is_found_by_all_its_names() {
        let directory = Directory::default();
        directory.apply([UserChange::Put(user("ann", "Ann.A@x.example", Some("idp|7")))]);
        for name in ["ANN", "ann", "ann.a@x.EXAMPLE"] {
            assert_eq!(directory.find(name).unwrap().username, "ann", "{name}");
        }
        assert!(directory.get("ANN").is_none(), "a username is written one way");
        assert!(directory.find_sso("idp|7").is_some() && directory.find_sso("IDP|7").is_none());
        directory.apply([UserChange::Put(user("ann", "b@x.example", None))]);
        assert!(directory.find("ann.a@x.example").is_none() && directory.find_sso("idp|7").is_none());
        directory.apply([UserChange::Gone("ann".to_owned())]);
        assert!(directory.find("b@x.example").is_none() && directory.all().is_empty());
    }

    #[test]
    fn names_of_two_kinds_can_not_be_one() {
        let directory = Directory::default();
        directory.apply([UserChange::Put(user("ann@x.example", "other@x.example", Some("7")))]);
        let taken = |username, email, id| directory.taken(&user(username, email, id), false);
        assert_eq!(taken("bob", "ANN@x.example", None), Some(Taken::Email), "a username, typed as an address");
        assert_eq!(taken("Other@x.example", "b@x.example", None), Some(Taken::Username));
        assert_eq!(taken("Ann@X.example", "b@x.example", None), Some(Taken::Username));
        assert_eq!(taken("bob", "b@x.example", Some("7")), Some(Taken::SsoId));
        assert_eq!(taken("bob", "b@x.example", Some("8")), None);
        assert_eq!(taken("ann@x.example", "ann@x.example", Some("7")), None, "its own names are its own");
        let anew = directory.taken(&user("ann@x.example", "new@x.example", None), true);
        assert_eq!(anew, Some(Taken::Username), "and a new account of its name is another");
    }
}
