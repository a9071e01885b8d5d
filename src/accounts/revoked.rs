//! Access tokens that were given back before they expired (RFC 7009).
//!
//! Knows nothing of what else ends a token. Invariant: a token's id is kept, in memory and in the store, until a day
//! after the token has expired (a clock that runs ahead for an hour must not bring it back).

use std::collections::BTreeSet;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::tokens::{GenuineToken, TokenId};
use super::vault::{Change, RecordError, Vault, put, read_all};
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::store::Table;

/// How long an id is kept after its token has expired, in milliseconds.
const KEPT_AFTER_EXPIRY_MS: i64 = 24 * 3600 * 1000;

/// What is stored under a revoked token's id.
#[derive(Serialize, Deserialize)]
struct RevokedRecord {
    expires: Timestamp,
}

/// Every revoked token that could otherwise still count, those that expire first in front.
pub(super) struct RevokedTokens(RwLock<BTreeSet<(Timestamp, TokenId)>>);

impl RevokedTokens {
    pub(super) fn load(vault: &dyn Vault) -> Result<Self, RecordError> {
        let mut revoked = BTreeSet::new();
        for (key, record) in read_all::<RevokedRecord>(vault, Table::Revoked)? {
            let Some(id) = TokenId::parse(&key) else {
                let reason = "its key is no token id".to_owned();
                return Err(RecordError::Form { table: Table::Revoked, key, reason });
            };
            revoked.insert((record.expires, id));
        }
        Ok(Self(RwLock::new(revoked)))
    }

    pub(super) fn contains(&self, token: &GenuineToken) -> bool {
        self.0.read().contains(&(token.lifetime.end, token.id))
    }

    /// Revokes a token in memory, at once; answers what is to be written so that it lasts.
    pub(super) fn add(&self, token: &GenuineToken) -> Result<Change, WriteError> {
        let record = RevokedRecord { expires: token.lifetime.end };
        self.0.write().insert((token.lifetime.end, token.id));
        put(Table::Revoked, &token.id.to_string(), &record)
    }

    /// Drops what has expired long enough ago from memory; answers what is to be written so that the store does too.
    pub(super) fn purge(&self, now: Timestamp) -> Vec<Change> {
        let limit = Timestamp::from_millis(now.as_millis().saturating_sub(KEPT_AFTER_EXPIRY_MS));
        let mut revoked = self.0.write();
        let kept = revoked.split_off(&(limit, TokenId(0)));
        let expired = std::mem::replace(&mut *revoked, kept);
        expired.into_iter().map(|(_, id)| (Table::Revoked, id.to_string().into_bytes(), None)).collect()
    }
}
