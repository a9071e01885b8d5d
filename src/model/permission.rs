//! Permissions (which are the OAuth scopes) and the built-in roles.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One thing that a client or an operator may do; its text is its OAuth scope.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Permission { $($(#[$doc])* $name,)+ }

        impl Permission {
            /// Every permission, in the order in which scopes are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The scope's text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

permissions! {
    /// Read end users, query, count, export.
    EndUsersRead = "end_users:read",
    /// Send updates, import CSV, unset an attribute.
    EndUsersWrite = "end_users:write",
    /// Delete an end user.
    EndUsersDelete = "end_users:delete",
    /// Read integrations and their calls.
    IntegrationsRead = "integrations:read",
    /// Write integrations; see and rotate their tokens.
    IntegrationsWrite = "integrations:write",
    /// Read segments, members, events.
    SegmentsRead = "segments:read",
    /// Write segments.
    SegmentsWrite = "segments:write",
    /// Read operators' accounts.
    UsersRead = "users:read",
    /// Change operators' accounts.
    UsersWrite = "users:write",
    /// Invite operators.
    UsersInvite = "users:invite",
    /// Decide on access requests.
    AccessRequestsManage = "access_requests:manage",
    /// Read roles.
    RolesRead = "roles:read",
    /// Read systems, their settings and the live configuration.
    SystemsRead = "systems:read",
    /// Change systems.
    SystemsWrite = "systems:write",
    /// Read OAuth clients.
    ClientsRead = "clients:read",
    /// Change OAuth clients.
    ClientsWrite = "clients:write",
    /// Read the audit.
    AuditRead = "audit:read",
    /// Read `/metrics` from another machine.
    MetricsRead = "metrics:read",
    /// Reload rules, maintenance.
    Operate = "operate",
    /// Write the rules of test systems.
    PublishTest = "publish:test",
    /// Write the rules of production systems.
    PublishProduction = "publish:production",
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no permission; one of: {list}", list = Permission::ALL.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", "))]
pub struct UnknownPermission(pub String);

impl FromStr for Permission {
    type Err = UnknownPermission;
    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL.iter().copied().find(|p| p.as_str() == text).ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}
impl TryFrom<String> for Permission {
    type Error = UnknownPermission;
    fn try_from(text: String) -> Result<Self, UnknownPermission> {
        text.parse()
    }
}
impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.as_str().to_owned()
    }
}
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles that are always there; `[[roles]]` in `config.toml` adds to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltInRole {
    /// Everything.
    Admin,
    /// Everything but accounts, clients, making systems, publishing to production, operating, audit and deleting end users.
    Editor,
    /// The reads, without clients and audit.
    Viewer,
    /// Sends updates and nothing else.
    Integration,
}

impl BuiltInRole {
    /// Every built-in role.
    pub const ALL: &'static [Self] = &[Self::Admin, Self::Editor, Self::Viewer, Self::Integration];

    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Editor => "Editor",
            Self::Viewer => "Viewer",
            Self::Integration => "Integration",
        }
    }

    /// Whether the role has the permission.
    #[must_use]
    pub fn grants(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Admin => true,
            Self::Editor => !matches!(
                permission,
                P::UsersWrite
                    | P::AccessRequestsManage
                    | P::ClientsRead
                    | P::ClientsWrite
                    | P::SystemsWrite
                    | P::PublishProduction
                    | P::Operate
                    | P::AuditRead
                    | P::EndUsersDelete
            ),
            Self::Viewer => matches!(
                permission,
                P::EndUsersRead
                    | P::IntegrationsRead
                    | P::SegmentsRead
                    | P::UsersRead
                    | P::RolesRead
                    | P::SystemsRead
                    | P::MetricsRead
            ),
            Self::Integration => permission == P::EndUsersWrite,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_as_the_contract_lists_them() {
        let of = |role: BuiltInRole| Permission::ALL.iter().filter(|p| role.grants(**p)).count();
        assert_eq!(of(BuiltInRole::Admin), 21);
        assert_eq!(of(BuiltInRole::Editor), 12);
        assert_eq!(of(BuiltInRole::Viewer), 7);
        assert_eq!(of(BuiltInRole::Integration), 1);
        assert!(Permission::ALL.iter().all(|p| p.as_str().parse() == Ok(*p)));
    }
}
