//! Access tokens that were verified a moment ago, so that a request costs a look-up instead of a signature and two JSON
//! documents.
//!
//! Knows nothing of what makes a token good. Invariant: an entry counts only in the epoch in which its verification
//! *began*; whatever ends tokens (a client changed, a token revoked) changes that state first and the epoch then. So when
//! [`VerifiedTokens::forget_all`] returns, nothing verified against the old state is answered any more, not even by a
//! verification that is still under way.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use parking_lot::RwLock;
use subtle::ConstantTimeEq as _;

use super::principal::Principal;
use super::tokens::Lifetime;
use crate::model::Timestamp;

/// Parts with a lock each, so that callers with different tokens seldom meet. A power of two.
const SHARDS: usize = 16;
/// Most tokens in a shard: together some 4,000 tokens of about 1 KiB.
const SHARD_CAPACITY: usize = 256;

/// The time from which the answers of one verification are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

struct Entry {
    hash: u64,
    token: Box<str>,
    /// Where the signature begins.
    signature: usize,
    epoch: Epoch,
    lifetime: Lifetime,
    principal: Arc<Principal>,
}

/// The cache.
pub(super) struct VerifiedTokens {
    /// Keyed by chance at every start, so that nobody can choose tokens that meet, or learn a token by how long a
    /// look-up takes.
    hashing: foldhash::quality::RandomState,
    epoch: AtomicU64,
    shards: [RwLock<HashTable<Entry>>; SHARDS],
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self {
            hashing: foldhash::quality::RandomState::default(),
            epoch: AtomicU64::new(0),
            shards: std::array::from_fn(|_| RwLock::default()),
        }
    }

    /// To be taken before a verification looks at anything.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Ends every entry. The state by which tokens are verified must be changed by now.
    pub(super) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Whose token it is, if that is known and it counts now.
    pub(super) fn get(&self, token: &str, now: Timestamp) -> Option<Arc<Principal>> {
        let hash = self.hashing.hash_one(token);
        let shard = self.shard(hash)?.read();
        let entry = shard.find(hash, |entry| entry.hash == hash && entry.is_of(token))?;
        (entry.epoch == self.epoch() && entry.lifetime.contains(now)).then(|| Arc::clone(&entry.principal))
    }

    /// Keeps what a verification that began in `epoch` found out.
    pub(super) fn insert(
        &self,
        token: &str,
        epoch: Epoch,
        lifetime: Lifetime,
        principal: Arc<Principal>,
        now: Timestamp,
    ) {
        let hash = self.hashing.hash_one(token);
        let Some(shard) = self.shard(hash) else { return };
        let mut shard = shard.write();
        if let Ok(old) = shard.find_entry(hash, |entry| *entry.token == *token) {
            old.remove();
        }
        if shard.len() >= SHARD_CAPACITY {
            let current = self.epoch();
            shard.retain(|entry| entry.epoch == current && entry.lifetime.contains(now));
            if shard.len() >= SHARD_CAPACITY {
                // Costs each of them one verification; keeping count of who was used last would cost every request.
                shard.clear();
            }
        }
        let signature = token.rfind('.').map_or(0, |dot| dot + 1);
        let entry = Entry { hash, token: token.into(), signature, epoch, lifetime, principal };
        shard.insert_unique(hash, entry, |entry| entry.hash);
    }

    fn shard(&self, hash: u64) -> Option<&RwLock<HashTable<Entry>>> {
        // The table itself uses the highest and lowest bits.
        self.shards.get((hash >> 32) as usize % SHARDS)
    }
}

impl Entry {
    /// Equality of whole tokens. What they say is no secret; the signature after the last dot is, and is compared in
    /// constant time.
    fn is_of(&self, token: &str) -> bool {
        let kept = self.token.as_bytes().split_at_checked(self.signature);
        match kept.zip(token.as_bytes().split_at_checked(self.signature)) {
            Some(((said, signature), (other, other_signature))) => {
                said == other && signature.ct_eq(other_signature).into()
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::roles::PermissionSet;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const LIFETIME: fn() -> Lifetime = || Lifetime { start: at(10), end: at(100) };

    fn principal(name: &str) -> Arc<Principal> {
        Arc::new(Principal::client_for_tests(name, PermissionSet::NONE, None))
    }

    #[test]
    fn a_kept_token_is_answered_within_its_lifetime_and_whole() {
        let cache = VerifiedTokens::new();
        cache.insert("a.b.c", cache.epoch(), LIFETIME(), principal("x"), at(10));
        assert_eq!(cache.get("a.b.c", at(99)).unwrap().name, "x");
        assert!(cache.get("a.b.c", at(100)).is_none());
        assert!(cache.get("a.b.c", at(9)).is_none());
        for other in ["a.b.d", "a.b.", "a.b.cc", "x.b.c", "", "c"] {
            assert!(cache.get(other, at(50)).is_none(), "{other}");
        }
    }

    #[test]
    fn forgetting_also_ends_what_was_being_verified_meanwhile() {
        let cache = VerifiedTokens::new();
        let began = cache.epoch();
        cache.insert("a.b.c", began, LIFETIME(), principal("x"), at(10));
        cache.forget_all();
        assert!(cache.get("a.b.c", at(50)).is_none());
        cache.insert("a.b.d", began, LIFETIME(), principal("x"), at(10));
        assert!(cache.get("a.b.d", at(50)).is_none());
        cache.insert("a.b.c", cache.epoch(), LIFETIME(), principal("y"), at(10));
        assert_eq!(cache.get("a.b.c", at(50)).unwrap().name, "y");
    }

    #[test]
    fn the_cache_stays_bounded_and_keeps_working() {
        let cache = VerifiedTokens::new();
        for number in 0..20_000 {
            let token = format!("a.{number}.c");
            cache.insert(&token, cache.epoch(), LIFETIME(), principal("x"), at(10));
            assert!(cache.get(&token, at(10)).is_some());
        }
        let kept: usize = cache.shards.iter().map(|shard| shard.read().len()).sum();
        assert!((1..=SHARDS * SHARD_CAPACITY).contains(&kept), "{kept}");
    }
}
