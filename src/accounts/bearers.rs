//! Clients and their access tokens at work: issued, recognized, ended.
//!
//! Knows nothing of a token's form (`tokens`). Invariant: who was recognized a moment ago is recognized no longer once a call
//! that ends the token has returned.

use std::sync::Arc;

use super::{Accounts, Client, IssuedToken, PermissionSet, Principal, TokenError, tokens};
use crate::engine::WriteError;

impl Accounts {
    /// The enabled client with this id and secret. Takes as long for an id that there is not.
    ///
    /// # Errors
    /// [`TokenError::InvalidClient`].
    pub fn authenticate_client(&self, client_id: &str, secret: &str) -> Result<Arc<Client>, TokenError> {
        self.clients.check(client_id, secret).ok_or(TokenError::InvalidClient)
    }

    /// Issues an access token to a client, for `lifetime_s` seconds and for the permissions in `scope` (absent: all that its
    /// role has).
    ///
    /// # Errors
    /// [`TokenError`]: unknown, disabled or wrongly authenticated client; a scope beyond its role's permissions.
    pub fn issue_token(
        &self,
        client_id: &str,
        secret: &str,
        scope: Option<&str>,
        lifetime_s: u64,
    ) -> Result<IssuedToken, TokenError> {
        let client = self.authenticate_client(client_id, secret)?;
        let granted = tokens::grant(scope, &client.role, self.role_permissions(&client))?;
        Ok(self.tokens.issue(&client, granted, lifetime_s, self.clock.now()))
    }

    /// The bearer of an access token, if it is genuine, unexpired, unrevoked and its client is enabled.
    #[must_use]
    pub fn authenticate(&self, access_token: &str) -> Option<Arc<Principal>> {
        let now = self.clock.now();
        if let Some(principal) = self.verified.get(access_token, now) {
            return Some(principal);
        }
        let epoch = self.verified.epoch();
        let token = self.tokens.read(access_token)?;
        if !token.lifetime.contains(now) || self.revoked.contains(&token) {
            return None;
        }
        let client = self.clients.get(&token.client)?;
        if !client.enabled || client.generation != token.generation {
            return None;
        }
        let permissions = self.role_permissions(&client).intersection(token.scope);
        let principal = Arc::new(Principal::of_client(&client, permissions));
        self.verified.insert(access_token, epoch, token.lifetime, Arc::clone(&principal), now);
        Some(principal)
    }

    /// Revokes an access token of this client, which has been authenticated. What is no token of its is left alone, without
    /// an error (RFC 7009, section 2.2).
    ///
    /// # Errors
    /// [`WriteError`]: the token has ended, but may come back with a restart.
    pub async fn revoke(self: &Arc<Self>, client_id: &str, access_token: &str) -> Result<(), WriteError> {
        let Some(token) = self.tokens.read(access_token).filter(|token| token.client == client_id) else {
            return Ok(());
        };
        self.blocking(move |accounts| {
            let change = accounts.revoked.add(&token);
            accounts.verified.forget_all();
            let mut changes = vec![change?];
            changes.extend(accounts.revoked.purge(accounts.clock.now()));
            accounts.vault.write(changes)
        })
        .await
    }

    fn role_permissions(&self, client: &Client) -> PermissionSet {
        self.roles.permissions(&client.role).unwrap_or(PermissionSet::NONE)
    }

    pub(super) fn purge_revoked(&self) {
        let changes = self.revoked.purge(self.clock.now());
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.vault.write(changes) {
            // They only take room, and the next start tries again.
            tracing::warn!(%error, "expired revocations stay in the store");
        }
    }
}
