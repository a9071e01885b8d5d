//! `/admin/v1/roles`: the roles that there are. They are made in the configuration.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::{Permit, needs};
use super::super::page::ListPage;
use crate::model::Permission;

/// A role.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoleItem {
    name: String,
    /// What it may do; the same texts are OAuth scopes.
    permissions: Vec<&'static str>,
    /// Whether it is always there.
    built_in: bool,
}

/// List roles
///
/// The built-in ones, then those of `[[roles]]` in the configuration. All of them are on the first page.
#[utoipa::path(
    get, path = "/admin/v1/roles", operation_id = "list_roles", tag = "Users",
    responses((status = 200, description = "The roles", body = ListPage<RoleItem>)),
    security(("oauth2" = ["roles:read"])),
)]
pub(crate) async fn list(permit: Permit<needs::RolesRead>) -> Json<ListPage<RoleItem>> {
    let roles = permit.state.accounts.roles().iter().map(|role| RoleItem {
        name: role.name.clone(),
        permissions: role.permissions.iter().map(Permission::as_str).collect(),
        built_in: role.built_in,
    });
    Json(ListPage { items: roles.collect(), next_cursor: None })
}
