//! Roles: names for sets of permissions.
//!
//! Owns the built-in roles and those of `[[roles]]`. Knows nothing of who holds them. Invariant: a name that is no role
//! grants nothing; a built-in role can't be redefined.

use std::fmt;

use crate::config;
use crate::model::{BuiltInRole, Permission};

/// A set of permissions, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PermissionSet(u32);

// Each permission has its bit by its place in the enum.
const _: () = assert!(Permission::ALL.len() <= u32::BITS as usize);

impl PermissionSet {
    /// No permission.
    pub const NONE: Self = Self(0);

    fn bit(permission: Permission) -> u32 {
        1 << (permission as u32)
    }
    /// Whether the permission is in it.
    #[must_use]
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & Self::bit(permission) != 0
    }
    /// The permissions that are in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// The permissions that are in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Those in it, in the order in which scopes are shown.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
    /// As an OAuth scope: the permissions' texts, with one space between them.
    #[must_use]
    pub fn to_scope(self) -> String {
        self.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | Self::bit(permission)))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// What it grants.
    pub permissions: PermissionSet,
    /// Whether it is always there.
    pub built_in: bool,
}

/// Every role there is.
#[derive(Debug, Clone)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// The built-in roles, then the configured ones as they were written. A built-in name stays what it is.
    #[must_use]
    pub fn new(configured: &[config::Role]) -> Self {
        let built_in = BuiltInRole::ALL.iter().map(|role| {
            let granted = Permission::ALL.iter().copied().filter(|permission| role.grants(*permission));
            Role { name: role.name().to_owned(), permissions: granted.collect(), built_in: true }
        });
        let configured = configured.iter().map(|role| Role {
            name: role.name.clone(),
            permissions: role.permissions.iter().copied().collect(),
            built_in: false,
        });
        Self(built_in.chain(configured).collect())
    }
    /// What a role grants; `None` when there is no such role.
    #[must_use]
    pub fn permissions(&self, role: &str) -> Option<PermissionSet> {
        self.0.iter().find(|known| known.name == role).map(|role| role.permissions)
    }
    /// Every role.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.iter()
    }
    /// What to say of a name that is no role.
    pub(super) fn unknown(&self, name: &str) -> String {
        let known: Vec<_> = self.0.iter().map(|role| format!("`{}`", role.name)).collect();
        let known = known.join(", ");
        if name.is_empty() {
            return format!("a role is needed, one of {known}");
        }
        format!("there is no role `{name}`; there are {known}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_into_them_and_show_it_as_a_scope() {
        let set: PermissionSet = [Permission::Operate, Permission::EndUsersRead].into_iter().collect();
        assert_eq!(set.to_scope(), "end_users:read operate");
        assert!(set.contains(Permission::Operate) && !set.contains(Permission::EndUsersWrite));
        let all: PermissionSet = Permission::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), Permission::ALL.len());
        assert_eq!(all.intersection(set), set);
        assert_eq!(PermissionSet::NONE.to_scope(), "");
    }

    #[test]
    fn configured_roles_add_to_the_built_in_ones() {
        let agent = config::Role { name: "[CC] Agent".to_owned(), permissions: vec![Permission::EndUsersRead] };
        let forged = config::Role { name: "Viewer".to_owned(), permissions: Permission::ALL.to_vec() };
        let roles = Roles::new(&[agent, forged]);
        assert_eq!(roles.permissions("[CC] Agent").unwrap().to_scope(), "end_users:read");
        assert_eq!(roles.permissions("Admin").unwrap().iter().count(), Permission::ALL.len());
        assert_eq!(roles.permissions("Integration").unwrap().to_scope(), "end_users:write");
        assert_eq!(roles.permissions("Viewer").unwrap().iter().count(), 7);
        assert_eq!(roles.permissions("admin"), None);
    }
}
