//! What someone may do, where, and over whom: the union rule, and who has no less than another.
//!
//! Owns the arithmetic of permissions. Knows nothing of how they came about (a client's role, an operator's roles and data
//! access). Invariants: several grants add up and none takes away; a grant over one unit group says nothing of the rest;
//! what is granted in every system holds in later ones, too, and nothing but such a grant does.

use std::collections::BTreeSet;
use std::fmt;

use super::roles::PermissionSet;
use crate::model::{Permission, SystemId, UnitGroupId};

/// Which end users of a system someone sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Every one.
    All,
    /// Those in any of these unit groups of the system; there is at least one.
    UnitGroups(BTreeSet<UnitGroupId>),
    /// None.
    None,
}

/// The systems in which a grant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Every system, later ones too.
    Everywhere,
    System(SystemId),
}

/// The end users over whom a grant holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    All,
    UnitGroup(UnitGroupId),
}

/// Permissions in one place over some end users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) permissions: PermissionSet,
    pub(super) place: Place,
    pub(super) over: Over,
}

/// All that someone may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Powers {
    /// What the roles hold, wherever they count: it decides on account-wide matters.
    pub(super) account: PermissionSet,
    /// What holds in systems.
    pub(super) grants: Vec<Grant>,
}

/// What someone would grant without having it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// `None`: any access there is lacking.
    permission: Option<Permission>,
    place: Option<Place>,
    over: Option<Over>,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody grants what they don't have: this takes ")?;
        match self.permission {
            Some(permission) => write!(f, "`{permission}`")?,
            None => f.write_str("data access")?,
        }
        match &self.place {
            Some(Place::Everywhere) => f.write_str(" in every system")?,
            Some(Place::System(system)) => write!(f, " in the system `{system}`")?,
            None => {}
        }
        match &self.over {
            Some(Over::All) => f.write_str(" over every end user"),
            Some(Over::UnitGroup(group)) => write!(f, " over the unit group `{group}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Lack {}

impl Grant {
    fn holds(&self, permission: Permission, system: &SystemId) -> bool {
        self.permissions.contains(permission)
            && match &self.place {
                Place::Everywhere => true,
                Place::System(here) => here == system,
            }
    }

    /// Whether it is about all of those end users there.
    fn reaches(&self, place: &Place, over: &Over) -> bool {
        (self.place == Place::Everywhere || self.place == *place) && (self.over == Over::All || self.over == *over)
    }
}

impl Powers {
    /// Whether the permission is there: in that system, or (`None`) account-wide.
    pub(super) fn may(&self, permission: Permission, system: Option<&SystemId>) -> bool {
        match system {
            Some(system) if !is_account_wide(permission) => {
                self.grants.iter().any(|grant| grant.holds(permission, system))
            }
            _ => self.account.contains(permission),
        }
    }

    /// Over which end users of a system the permission is there.
    pub(super) fn sight(&self, permission: Permission, system: &SystemId) -> Sight {
        let mut groups = BTreeSet::new();
        for grant in self.grants.iter().filter(|grant| grant.holds(permission, system)) {
            match &grant.over {
                Over::All => return Sight::All,
                Over::UnitGroup(group) => drop(groups.insert(group.clone())),
            }
        }
        if groups.is_empty() { Sight::None } else { Sight::UnitGroups(groups) }
    }

    /// Whether all of `other` is there, too.
    ///
    /// # Errors
    /// The first [`Lack`].
    pub(super) fn cover(&self, other: &Self) -> Result<(), Lack> {
        if let Some(permission) = other.account.iter().find(|permission| !self.account.contains(*permission)) {
            return Err(Lack { permission: Some(permission), place: None, over: None });
        }
        for Grant { permissions, place, over } in &other.grants {
            let lack = |permission| Lack { permission, place: Some(place.clone()), over: Some(over.clone()) };
            let there: Vec<&Grant> = self.grants.iter().filter(|own| own.reaches(place, over)).collect();
            let mut in_system = permissions.iter().filter(|permission| !is_account_wide(*permission));
            if let Some(lacking) = in_system.find(|one| !there.iter().any(|own| own.permissions.contains(*one))) {
                return Err(lack(Some(lacking)));
            }
            // A role of account-wide permissions alone gives nothing there today, and may tomorrow.
            if there.is_empty() {
                return Err(lack(None));
            }
        }
        Ok(())
    }
}

/// Whether a permission is about the account and not about one system.
fn is_account_wide(permission: Permission) -> bool {
    use Permission as P;
    match permission {
        P::UsersRead
        | P::UsersWrite
        | P::UsersInvite
        | P::AccessRequestsManage
        | P::RolesRead
        | P::ClientsRead
        | P::ClientsWrite
        | P::AuditRead
        | P::MetricsRead
        | P::Operate => true,
        P::EndUsersRead
        | P::EndUsersWrite
        | P::EndUsersDelete
        | P::IntegrationsRead
        | P::IntegrationsWrite
        | P::SegmentsRead
        | P::SegmentsWrite
        | P::SystemsRead
        | P::SystemsWrite
        | P::PublishTest
        | P::PublishProduction => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(id: &str) -> SystemId {
        SystemId::new(id).unwrap()
    }
    fn group(id: &str) -> UnitGroupId {
        UnitGroupId::new(id).unwrap()
    }
    fn powers(permissions: &[Permission], grants: &[(Option<&str>, Option<&str>)]) -> Powers {
        let permissions: PermissionSet = permissions.iter().copied().collect();
        let grant = |(place, over): &(Option<&str>, Option<&str>)| Grant {
            permissions,
            place: place.map_or(Place::Everywhere, |id| Place::System(system(id))),
            over: over.map_or(Over::All, |id| Over::UnitGroup(group(id))),
        };
        Powers { account: permissions, grants: grants.iter().map(grant).collect() }
    }
    const READ: &[Permission] = &[Permission::EndUsersRead];

    #[test]
    fn grants_of_one_system_add_up() {
        let some = powers(READ, &[(Some("a"), Some("g")), (Some("a"), Some("h")), (Some("b"), None)]);
        let both = BTreeSet::from([group("g"), group("h")]);
        assert_eq!(some.sight(Permission::EndUsersRead, &system("a")), Sight::UnitGroups(both));
        assert_eq!(some.sight(Permission::EndUsersRead, &system("b")), Sight::All);
        assert_eq!(some.sight(Permission::EndUsersRead, &system("c")), Sight::None);
        assert_eq!(some.sight(Permission::EndUsersWrite, &system("b")), Sight::None);
        let more = powers(READ, &[(Some("a"), Some("g")), (None, None)]);
        assert_eq!(more.sight(Permission::EndUsersRead, &system("a")), Sight::All, "the wider one stands");
    }

    #[test]
    fn account_wide_permissions_come_from_roles_and_those_of_systems_from_grants() {
        let some = powers(&[Permission::UsersRead, Permission::SystemsWrite], &[(Some("a"), None)]);
        assert!(some.may(Permission::UsersRead, None) && some.may(Permission::UsersRead, Some(&system("b"))));
        assert!(some.may(Permission::SystemsWrite, None), "making a system is account-wide");
        assert!(some.may(Permission::SystemsWrite, Some(&system("a"))));
        assert!(!some.may(Permission::SystemsWrite, Some(&system("b"))));
    }

    #[test]
    fn nobody_covers_more_than_they_have() {
        let covers = |own: &Powers, other: &Powers| own.cover(other).is_ok();
        let everywhere = powers(READ, &[(None, None)]);
        let here = powers(READ, &[(Some("a"), None)]);
        let part = powers(READ, &[(Some("a"), Some("g"))]);
        let role_only = powers(READ, &[]);
        for wider in [&everywhere, &here, &part, &role_only] {
            assert!(covers(wider, wider) && covers(wider, &role_only) && covers(wider, &Powers::default()));
        }
        assert!(covers(&everywhere, &here) && covers(&here, &part));
        assert!(!covers(&here, &everywhere) && !covers(&part, &here) && !covers(&role_only, &part));
        assert!(!covers(&part, &powers(READ, &[(Some("a"), Some("h"))])));
        assert!(!covers(&everywhere, &powers(&[Permission::EndUsersDelete], &[])), "a role counts without a place");
        let inviter = |place| powers(&[Permission::UsersInvite], &[(Some(place), None)]);
        assert!(covers(&inviter("a"), &inviter("a")) && !covers(&inviter("a"), &inviter("b")), "a place counts, too");
        let lack = here.cover(&everywhere).unwrap_err().to_string();
        assert!(lack.ends_with("`end_users:read` in every system over every end user"), "{lack}");
    }
}
