//! The permissions as types, for the guards that demand them.
//!
//! Invariant: a type of one permission is called as that permission is.

use crate::model::Permission;

/// What a guard demands: one or several permissions.
pub(crate) trait Demand: Send + Sync + 'static {
    /// All of them are needed.
    const PERMISSIONS: &'static [Permission];
}

macro_rules! demands {
    ($($name:ident),+ $(,)?) => {
        $(
            pub(crate) struct $name;
            impl Demand for $name {
                const PERMISSIONS: &'static [Permission] = &[Permission::$name];
            }
        )+
    };
}
demands!(
    EndUsersRead,
    EndUsersWrite,
    EndUsersDelete,
    IntegrationsRead,
    IntegrationsWrite,
    SegmentsRead,
    SegmentsWrite,
    SystemsRead,
    SystemsWrite,
    Operate,
    UsersRead,
    UsersWrite,
    UsersInvite,
    AccessRequestsManage,
    RolesRead,
    ClientsRead,
    ClientsWrite,
    AuditRead,
);

/// Nothing: whoever has shown who it is.
pub(crate) struct Nothing;
impl Demand for Nothing {
    const PERMISSIONS: &'static [Permission] = &[];
}

/// Reading a system's rules.
pub(crate) struct RulesRead;
impl Demand for RulesRead {
    const PERMISSIONS: &'static [Permission] = &[Permission::IntegrationsRead, Permission::SegmentsRead];
}

/// Reading end users together with their segments.
pub(crate) struct EndUsersAndSegmentsRead;
impl Demand for EndUsersAndSegmentsRead {
    const PERMISSIONS: &'static [Permission] = &[Permission::EndUsersRead, Permission::SegmentsRead];
}
