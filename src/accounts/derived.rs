//! What is derived from the secret key for systems and integrations at work: integration tokens and browser keys.
//!
//! Knows nothing of how they are made. Invariant: what is rotated, or whose owner is gone, counts no more when the call returns.

use std::sync::Arc;

use serde_json::json;

use super::rotations::integration_name;
use super::{Accounts, Act, Actor, BrowserKeys, Change};
use crate::engine::WriteError;
use crate::model::{IntegrationId, SystemId, Timestamp};
use crate::ruleset::LiveRules;

impl Accounts {
    /// The newest integration token of an integration.
    #[must_use]
    pub fn integration_token(&self, system: &SystemId, integration: &IntegrationId) -> String {
        self.integration_tokens.current(system, integration)
    }

    /// Gives an integration a new token. The old one, and those that still live, work for `grace_hours` more and as long as
    /// their own grace lasts; 0: all end now.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub async fn rotate_integration_token(
        self: &Arc<Self>,
        actor: Actor,
        system: &SystemId,
        integration: &IntegrationId,
        grace_hours: u32,
    ) -> Result<(), WriteError> {
        let (system, integration) = (system.clone(), integration.clone());
        self.blocking(move |accounts| {
            let object = format!("systems/{system}/integrations/{integration}");
            let act = Act::new("integration.rotate_token", object).after(json!({ "grace_hours": grace_hours }));
            let entry = accounts.audited(&actor, act)?;
            accounts.raise(&integration_name(&system, &integration), grace_hours, Some(entry))
        })
        .await
    }

    /// Ends every token of an integration that was deleted, so that none works if one of that name comes to be. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub fn retire(&self, system: &SystemId, integration: &IntegrationId) -> Result<(), WriteError> {
        self.raise(&integration_name(system, integration), 0, None)
    }

    /// The enabled `api` integration that an integration token belongs to.
    #[must_use]
    pub fn integration_of(&self, rules: &Arc<LiveRules>, token: &str) -> Option<(SystemId, IntegrationId)> {
        self.integration_tokens.find(rules, token, self.clock.now())
    }

    /// A system's newest keys for pages in browsers.
    #[must_use]
    pub fn browser_keys(&self, system: &SystemId) -> BrowserKeys {
        self.browser_keys.current(system)
    }

    /// Gives a system new browser keys, both of them. The old ones, and those that still live, work for `grace_hours` more
    /// and as long as their own grace lasts; 0: all end now.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub async fn rotate_browser_keys(
        self: &Arc<Self>,
        actor: Actor,
        system: &SystemId,
        grace_hours: u32,
    ) -> Result<(), WriteError> {
        let system = system.clone();
        self.blocking(move |accounts| {
            let act = Act::new("browser.rotate_keys", format!("systems/{system}/browser"));
            let entry = accounts.audited(&actor, act.after(json!({ "grace_hours": grace_hours })))?;
            accounts.raise(system.as_str(), grace_hours, Some(entry))
        })
        .await
    }

    /// Ends the browser keys of a system that is gone, so that none works if one of that name comes to be. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]: nothing has changed.
    pub fn retire_browser_keys(&self, system: &SystemId) -> Result<(), WriteError> {
        self.raise(system.as_str(), 0, None)
    }

    /// Whether this is a publishable key of the system, with which a page may ask for segments.
    #[must_use]
    pub fn is_publishable_key(&self, system: &SystemId, key: &str) -> bool {
        self.browser_keys.is_publishable(system, key, self.clock.now())
    }

    /// Whether this is the hash of the identifier under the system's identity secret, so that the page may ask about it.
    #[must_use]
    pub fn vouches(&self, system: &SystemId, id: &str, id_hash: &str) -> bool {
        self.browser_keys.vouches(system, id, id_hash, self.clock.now())
    }

    fn raise(&self, name: &str, grace_hours: u32, beside: Option<Change>) -> Result<(), WriteError> {
        let _changing = self.changing.lock();
        let now = self.clock.now();
        let grace_ms = i64::from(grace_hours) * 3_600_000;
        let until = (grace_hours > 0).then(|| Timestamp::from_millis(now.as_millis().saturating_add(grace_ms)));
        let (rotation, change) = self.rotations.raise(name, until, now)?;
        self.vault.write(std::iter::once(change).chain(beside).collect())?;
        self.rotations.set(name, &rotation);
        Ok(())
    }
}
