//! The API, one file a resource. A handler extracts, calls one service method, converts; nothing more is decided here.

pub(super) mod asking;
pub(super) mod attributes;
pub(super) mod calls;
pub(super) mod docs;
pub(super) mod drafts;
pub(super) mod end_users;
pub(super) mod endpoints;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod export;
pub(super) mod filters;
pub(super) mod integrations;
pub(super) mod maintenance;
pub(super) mod memberships;
pub(super) mod questions;
pub(super) mod rule_files;
pub(super) mod rules;
pub(super) mod segments;
pub(super) mod selection;
pub(super) mod status;
pub(super) mod systems;
pub(super) mod tokens;
pub(super) mod trials;
pub(super) mod user_data;
