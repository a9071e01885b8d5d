//! Clients, tokens, users. STUB: interface only.
#![allow(missing_docs, unused, clippy::todo)]
use std::sync::Arc;
use crate::model::*;
use crate::ruleset::LiveRules;

pub struct Accounts { }
/// Who asks: an OAuth client (an operator later).
pub struct Principal { pub name: String }
impl Principal {
    /// Whether it may do this in that system (`None`: an account-wide matter).
    pub fn may(&self, permission: Permission, system: Option<&SystemId>) -> bool { todo!() }
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError { #[error("unknown client or wrong secret")] InvalidClient, #[error("scope")] InvalidScope(String) }
#[derive(Debug, Clone, serde::Serialize)]
pub struct IssuedToken { pub access_token: String, pub token_type: &'static str, pub expires_in: u64, pub scope: String }
impl Accounts {
    pub fn issue_token(&self, client_id: &str, secret: &str, scope: Option<&str>, lifetime_s: u64) -> Result<IssuedToken, TokenError> { todo!() }
    /// The bearer of an access token, if it is genuine, unexpired, unrevoked and its client is enabled.
    pub fn authenticate(&self, access_token: &str) -> Option<Arc<Principal>> { todo!() }
    pub async fn revoke(&self, access_token: &str) -> Result<(), crate::engine::WriteError> { todo!() }
    pub fn integration_token(&self, system: &SystemId, integration: &IntegrationId) -> String { todo!() }
    pub async fn rotate_integration_token(&self, system: &SystemId, integration: &IntegrationId, grace_hours: u32) -> Result<(), crate::engine::WriteError> { todo!() }
    /// The enabled `api` integration that an integration token belongs to.
    pub fn integration_of(&self, rules: &LiveRules, token: &str) -> Option<(SystemId, IntegrationId)> { todo!() }
}
