//! The API, one file a resource. A handler extracts, calls one service method, converts; nothing more is decided here.

pub(super) mod access_requests;
pub(super) mod audit;
pub(super) mod calls;
pub(super) mod clients;
pub(super) mod docs;
pub(super) mod end_users;
pub(super) mod endpoints;
pub(super) mod integrations;
pub(super) mod invitations;
pub(super) mod maintenance;
pub(super) mod roles;
pub(super) mod rule_files;
pub(super) mod rules;
pub(super) mod segments;
pub(super) mod status;
pub(super) mod systems;
pub(super) mod tokens;
pub(super) mod trials;
pub(super) mod user_data;
pub(super) mod users;
