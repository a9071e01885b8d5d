//! Who asks, and what they may do.
//!
//! Knows nothing of how they proved it. Invariant: a principal never may more than its role grants now, nor more than
//! the scope of the token that it came with.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::roles::{PermissionSet, Roles};
use super::users::{EVERYTHING, UserRecord};
use crate::model::{Permission, SystemId};

/// Who asks: an OAuth client, or an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The client's id, or the operator's username.
    pub name: String,
    /// Its role's name; an operator's main one.
    pub role: String,
    permissions: PermissionSet,
    /// The systems in which it may act; `None`: all, later ones too.
    systems: Option<Arc<BTreeSet<SystemId>>>,
}

impl Principal {
    pub(super) fn new(
        name: String,
        role: String,
        permissions: PermissionSet,
        systems: Option<Arc<BTreeSet<SystemId>>>,
    ) -> Self {
        Self { name, role, permissions, systems }
    }

    /// An operator with its roles, in the systems of its data access.
    pub(super) fn of_user(user: &UserRecord, roles: &Roles) -> Self {
        let held = std::iter::once(&user.roles.primary_role).chain(&user.roles.extra_roles);
        let permissions = held.filter_map(|role| roles.permissions(role)).flat_map(PermissionSet::iter).collect();
        let everywhere = user.data_access.iter().any(|entry| entry.data_view == EVERYTHING);
        let systems = user.data_access.iter().filter_map(|entry| SystemId::new(&entry.data_view).ok()).collect();
        let systems = (!everywhere).then(|| Arc::new(systems));
        Self { name: user.username.clone(), role: user.roles.primary_role.clone(), permissions, systems }
    }

    /// Whether it may do this in that system (`None`: an account-wide matter, such as making a system).
    ///
    /// Account-wide permissions come from the role alone, whatever the system; those of a system hold only in the
    /// principal's systems. So a caller that lists something of several systems asks once for each.
    #[must_use]
    pub fn may(&self, permission: Permission, system: Option<&SystemId>) -> bool {
        self.permissions.contains(permission)
            && match system {
                Some(system) if !is_account_wide(permission) => self.acts_in(system),
                _ => true,
            }
    }

    /// What it may do, each in its place.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.permissions
    }

    fn acts_in(&self, system: &SystemId) -> bool {
        self.systems.as_ref().is_none_or(|systems| systems.contains(system))
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

    #[test]
    fn limited_systems_bound_what_is_of_a_system_and_nothing_else() {
        let here = SystemId::new("here").unwrap();
        let elsewhere = SystemId::new("elsewhere").unwrap();
        let permissions = [Permission::EndUsersRead, Permission::ClientsRead, Permission::SystemsWrite];
        let of = |systems: Option<Vec<SystemId>>| {
            let systems = systems.map(|list| Arc::new(list.into_iter().collect()));
            Principal::new("n".into(), "r".into(), permissions.into_iter().collect(), systems)
        };
        let limited = of(Some(vec![here.clone()]));
        assert!(limited.may(Permission::EndUsersRead, Some(&here)));
        assert!(!limited.may(Permission::EndUsersRead, Some(&elsewhere)));
        assert!(limited.may(Permission::ClientsRead, None));
        assert!(limited.may(Permission::ClientsRead, Some(&elsewhere)));
        assert!(limited.may(Permission::SystemsWrite, None));
        assert!(!limited.may(Permission::SystemsWrite, Some(&elsewhere)));
        assert!(!limited.may(Permission::EndUsersWrite, Some(&here)));
        assert!(of(None).may(Permission::EndUsersRead, Some(&elsewhere)));
        assert!(!of(Some(vec![])).may(Permission::EndUsersRead, Some(&here)));
    }
}
