//! A user as the API has it: what is sent and what is answered.
//!
//! Owns the shape, which is that of the Users API that callers know, with `login_method`, `sso_id` and `systems` beside
//! it. Knows nothing of what is allowed. What the server keeps or derives is ignored where it is sent, so that an answer
//! can be changed and sent back.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::accounts::{
    DataAccessDraft, LoginMethod, PasswordNotSetReason, UserDraft, UserRecord, UserStatus, systems_of, view,
};
use crate::model::Timestamp;
use crate::ruleset::LiveRules;

/// A role that a user holds.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldRole {
    /// The role's name.
    role: String,
}

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserResponse {
    username: String,
    first_name: String,
    last_name: String,
    email: String,
    automatic_update: bool,
    excluded_from_user_activity: bool,
    /// Whether log-in is refused.
    login_blocked: bool,
    /// How the user logs in: `password` or `sso`.
    #[schema(value_type = String)]
    login_method: LoginMethod,
    /// By what the identity provider knows the user.
    sso_id: Option<String>,
    roles: RolesResponse,
    #[serde(rename = "data-access")]
    data_access: DataAccessResponse,
    /// The systems in which the user has anything to do, by id; `*` alone: every one. Derived from `data-access`.
    systems: Vec<String>,
    #[serde(rename = "_system_properties")]
    system_properties: SystemProperties,
}

/// The roles that a user holds.
#[derive(Serialize, ToSchema)]
struct RolesResponse {
    primary_role: HeldRole,
    extra_roles: Vec<HeldRole>,
}

/// Where the roles count.
#[derive(Serialize, ToSchema)]
struct DataAccessResponse {
    organization: Vec<DataAccessItem>,
    /// Always empty.
    segments: [String; 0],
}

/// In one data view, a role over the end users of one unit group.
#[derive(Serialize, ToSchema)]
struct DataAccessItem {
    role: String,
    /// A system's name or id; `*`: every system.
    data_view: String,
    /// A unit group's id; `*` or the system's id: every end user.
    unit_group: String,
    /// Null when there is no such unit group any more.
    unit_group_display_name: Option<String>,
}

/// What the server keeps of a user.
#[derive(Serialize, ToSchema)]
struct SystemProperties {
    /// `PROVISIONED`, `ACTIVE` or `INACTIVE`.
    #[schema(value_type = String)]
    status: UserStatus,
    #[schema(value_type = String, format = DateTime)]
    created_on: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    modified_on: Timestamp,
    modified_by: String,
    /// Absent until the first log-in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_login: Option<Timestamp>,
    login_count: u64,
    failed_login_count: u64,
    /// `NEW_ACCOUNT` until there is a password, then null.
    #[schema(value_type = Option<String>)]
    password_not_set_reason: Option<PasswordNotSetReason>,
}

impl UserResponse {
    /// The user as it is under these rules.
    pub(crate) fn new(user: &UserRecord, live: &LiveRules) -> Self {
        let held = |role: &String| HeldRole { role: role.clone() };
        let item = |entry| {
            let shown = view(entry, live);
            DataAccessItem {
                role: shown.role.to_owned(),
                data_view: shown.data_view.to_owned(),
                unit_group: shown.unit_group.to_owned(),
                unit_group_display_name: shown.unit_group_display_name.map(str::to_owned),
            }
        };
        Self {
            username: user.username.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
            automatic_update: user.automatic_update,
            excluded_from_user_activity: user.excluded_from_user_activity,
            login_blocked: user.login_blocked,
            login_method: user.login_method,
            sso_id: user.sso_id.clone(),
            roles: RolesResponse {
                primary_role: held(&user.roles.primary_role),
                extra_roles: user.roles.extra_roles.iter().map(held).collect(),
            },
            data_access: DataAccessResponse { organization: user.data_access.iter().map(item).collect(), segments: [] },
            systems: systems_of(user),
            system_properties: SystemProperties {
                status: user.status,
                created_on: user.created_on,
                modified_on: user.modified_on,
                modified_by: user.modified_by.clone(),
                last_login: user.last_login,
                login_count: user.login_count,
                failed_login_count: user.failed_login_count,
                password_not_set_reason: user.password_not_set_reason,
            },
        }
    }
}

/// What POST and PUT send of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserRequest {
    /// Letters, digits, `_`, `.`, `@` and `-`. PUT takes it from the path.
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    automatic_update: Option<bool>,
    excluded_from_user_activity: Option<bool>,
    login_blocked: Option<bool>,
    /// `password` or `sso`; left out, it stays as it is, and is `password` for a new user.
    #[schema(value_type = Option<String>)]
    login_method: Option<LoginMethod>,
    /// Left out, it stays as it is.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    sso_id: Option<Option<String>>,
    roles: Option<RolesRequest>,
    #[serde(rename = "data-access")]
    data_access: Option<DataAccessRequest>,
    /// Ignored: it follows from `data-access`.
    #[serde(default, rename = "systems")]
    #[schema(value_type = Option<Vec<String>>)]
    _systems: IgnoredAny,
    /// Ignored: the server keeps it.
    #[serde(default, rename = "_system_properties")]
    #[schema(value_type = Option<Object>)]
    _system_properties: IgnoredAny,
}

/// The roles that a user gets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolesRequest {
    primary_role: Option<HeldRole>,
    extra_roles: Option<Vec<HeldRole>>,
}

/// Where the roles shall count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataAccessRequest {
    /// All entries that the user shall have.
    organization: Vec<EntryRequest>,
    /// Must be empty.
    #[schema(value_type = Option<Vec<Object>>)]
    segments: Option<Vec<IgnoredAny>>,
}

/// In one data view, a role over the end users of one unit group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EntryRequest {
    /// One of the user's roles.
    role: String,
    /// A system's name or id; `*`: every system.
    data_view: String,
    /// A unit group's id; `*` or the system's id: every end user.
    unit_group: String,
    /// Ignored: it follows from `unit_group`.
    #[serde(default, rename = "unit_group_display_name")]
    #[schema(value_type = Option<String>)]
    _display_name: IgnoredAny,
}

/// Tells `null` from what was not sent.
fn sent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl DataAccessRequest {
    /// The entries, and how many there are by segment.
    pub(crate) fn into_draft(self) -> (Vec<DataAccessDraft>, usize) {
        let entries = self.organization.into_iter().map(|entry| {
            let EntryRequest { role, data_view, unit_group, _display_name } = entry;
            DataAccessDraft { role, data_view, unit_group }
        });
        (entries.collect(), self.segments.map_or(0, |segments| segments.len()))
    }
}

impl From<UserRequest> for UserDraft {
    fn from(request: UserRequest) -> Self {
        let roles = request.roles.unwrap_or(RolesRequest { primary_role: None, extra_roles: None });
        let (data_access, segments) = request.data_access.map(DataAccessRequest::into_draft).unwrap_or_default();
        Self {
            username: request.username,
            first_name: request.first_name.unwrap_or_default(),
            last_name: request.last_name.unwrap_or_default(),
            email: request.email,
            automatic_update: request.automatic_update.unwrap_or_default(),
            excluded_from_user_activity: request.excluded_from_user_activity.unwrap_or_default(),
            login_blocked: request.login_blocked.unwrap_or_default(),
            primary_role: roles.primary_role.map(|held| held.role),
            extra_roles: roles.extra_roles.unwrap_or_default().into_iter().map(|held| held.role).collect(),
            data_access,
            segments,
            login_method: request.login_method,
            sso_id: request.sso_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_told_from_what_was_not_sent() {
        let draft = |text: &str| UserDraft::from(serde_json::from_str::<UserRequest>(text).unwrap());
        assert_eq!(draft("{}").sso_id, None);
        assert_eq!(draft(r#"{"sso_id":null}"#).sso_id, Some(None));
        assert_eq!(draft(r#"{"sso_id":"7"}"#).sso_id, Some(Some("7".to_owned())));
    }

    #[test]
    fn what_is_the_servers_is_ignored_and_what_is_nobodys_is_refused() {
        let ignored = r#"{"systems":["x"],"_system_properties":{"status":7},"data-access":{"organization":[
            {"role":"r","data_view":"d","unit_group":"u","unit_group_display_name":7}],"segments":[{}]}}"#;
        let draft = UserDraft::from(serde_json::from_str::<UserRequest>(ignored).unwrap());
        assert_eq!((draft.data_access.len(), draft.segments), (1, 1));
        let refused = serde_json::from_str::<UserRequest>(r#"{"login_bloked":true}"#).err().unwrap().to_string();
        assert!(refused.contains("login_bloked") && refused.contains("login_blocked"), "{refused}");
    }
}
