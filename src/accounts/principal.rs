//! Who asks, and what they may do: an OAuth client, or an operator in a session.
//!
//! Knows nothing of how they proved it. Invariants: a client never may more than its role grants now, nor more than the
//! scope of the token that it came with; an operator may in a system what its data access there says, and data access that
//! names a role, a system or a unit group that there is not grants nothing.

use std::borrow::Cow;

use super::access::powers_of;
use super::clients::Client;
use super::grants::{Grant, Lack, Over, Place, Powers, Sight};
use super::roles::{PermissionSet, Roles};
use super::users::UserRecord;
use crate::model::{Permission, SystemId};
use crate::ruleset::LiveRules;

/// What kind of asker it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// An OAuth client, with an access token.
    Client,
    /// An operator, in the session with this hash.
    User {
        /// The keyed hash under which the session is stored.
        session: [u8; 32],
    },
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The client's id or the operator's username.
    pub name: String,
    /// The client's role, or the operator's main one.
    pub role: String,
    /// What kind of asker it is.
    pub asker: Asker,
    powers: Powers,
}

impl Principal {
    /// A client, with what both its role and its token's scope grant.
    pub(super) fn of_client(client: &Client, permissions: PermissionSet) -> Self {
        Self {
            name: client.id.clone(),
            role: client.role.clone(),
            asker: Asker::Client,
            powers: client_powers(permissions, client),
        }
    }

    /// An operator, as data access and rules are now.
    pub(super) fn of_user(user: &UserRecord, session: [u8; 32], roles: &Roles, live: &LiveRules) -> Self {
        Self {
            name: user.username.clone(),
            role: user.roles.primary_role.clone(),
            asker: Asker::User { session },
            powers: powers_of(user, roles, live),
        }
    }

    /// Whether it may do this in that system (`None`: an account-wide matter, such as making a system).
    ///
    /// Account-wide permissions come from roles alone, whatever the system; those of a system hold only where the
    /// principal acts. So a caller that lists something of several systems asks once for each.
    #[must_use]
    pub fn may(&self, permission: Permission, system: Option<&SystemId>) -> bool {
        self.powers.may(permission, system)
    }

    /// Over which end users of a system it has a permission of that system.
    #[must_use]
    pub fn sight(&self, system: &SystemId, permission: Permission) -> Sight {
        self.powers.sight(permission, system)
    }

    /// Every permission that it has anywhere.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.powers.account
    }

    /// Whether it acts in every system, later ones too, over every end user.
    #[must_use]
    pub fn acts_everywhere(&self) -> bool {
        self.powers.grants.iter().any(|grant| grant.place == Place::Everywhere && grant.over == Over::All)
    }

    /// What tells it from every other principal: an operator may be called as a client is.
    #[must_use]
    pub fn id(&self) -> Cow<'_, str> {
        match self.asker {
            Asker::Client => Cow::Borrowed(&self.name),
            // No client's id has a colon.
            Asker::User { .. } => Cow::Owned(format!("user:{}", self.name)),
        }
    }

    /// Whether it has all of this itself, and so may grant it.
    pub(super) fn cover(&self, powers: &Powers) -> Result<(), Lack> {
        self.powers.cover(powers)
    }
}

/// What a client may do with these permissions: they hold over every end user of its systems.
pub(super) fn client_powers(permissions: PermissionSet, client: &Client) -> Powers {
    let grant = |place| Grant { permissions, place, over: Over::All };
    let grants = match &client.systems {
        None => vec![grant(Place::Everywhere)],
        Some(systems) => systems.iter().cloned().map(|system| grant(Place::System(system))).collect(),
    };
    Powers { account: permissions, grants }
}

#[cfg(test)]
impl Principal {
    /// A client of these permissions in these systems (`None`: all).
    pub(super) fn client_for_tests(name: &str, permissions: PermissionSet, systems: Option<&[&str]>) -> Self {
        let client = Client {
            id: name.to_owned(),
            secret_hash: [0; 32],
            description: String::new(),
            role: "r".to_owned(),
            systems: systems
                .map(|list| std::sync::Arc::new(list.iter().map(|id| SystemId::new(id).unwrap()).collect())),
            enabled: true,
            generation: 1,
            created_at: crate::model::Timestamp::default(),
        };
        Self::of_client(&client, permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_systems_bound_what_is_of_a_system_and_nothing_else() {
        let here = SystemId::new("here").unwrap();
        let elsewhere = SystemId::new("elsewhere").unwrap();
        let permissions = [Permission::EndUsersRead, Permission::ClientsRead, Permission::SystemsWrite];
        let of =
            |systems: Option<&[&str]>| Principal::client_for_tests("n", permissions.into_iter().collect(), systems);
        let limited = of(Some(&["here"]));
        assert!(limited.may(Permission::EndUsersRead, Some(&here)));
        assert!(!limited.may(Permission::EndUsersRead, Some(&elsewhere)));
        assert!(limited.may(Permission::ClientsRead, None));
        assert!(limited.may(Permission::ClientsRead, Some(&elsewhere)));
        assert!(limited.may(Permission::SystemsWrite, None));
        assert!(!limited.may(Permission::SystemsWrite, Some(&elsewhere)));
        assert!(!limited.may(Permission::EndUsersWrite, Some(&here)));
        assert!(of(None).may(Permission::EndUsersRead, Some(&elsewhere)));
        assert!(!of(Some(&[])).may(Permission::EndUsersRead, Some(&here)));
        assert_eq!(limited.sight(&here, Permission::EndUsersRead), Sight::All);
        assert_eq!(limited.sight(&elsewhere, Permission::EndUsersRead), Sight::None);
    }

    #[test]
    fn an_operator_and_a_client_of_one_name_are_two() {
        let client = Principal::client_for_tests("n", PermissionSet::NONE, None);
        let user = Principal { asker: Asker::User { session: [0; 32] }, ..client.clone() };
        assert_ne!(client.id(), user.id());
    }
}
