//! The API, one file a resource. A handler extracts, calls one service method, converts; nothing more is decided here.

pub(super) mod calls;
pub(super) mod docs;
pub(super) mod end_users;
pub(super) mod endpoints;
pub(super) mod integrations;
pub(super) mod maintenance;
pub(super) mod profile;
pub(super) mod rule_files;
pub(super) mod rules;
pub(super) mod segments;
pub(super) mod sign_in;
pub(super) mod sso;
pub(super) mod status;
pub(super) mod systems;
pub(super) mod tokens;
pub(super) mod trials;
pub(super) mod user_data;
