//! Integration tokens: which integration an update call is for.
//!
//! A token is the lower-case hex of HMAC-SHA-256, under the server's key, of system, integration and rotation number. Only
//! the rotation numbers are stored (see `rotations`). Owns the look-up of a presented token. Knows nothing of who presents it.
//!
//! Invariant: what a caller learns from how long a look-up takes does not depend on the bytes of any live token. The
//! presented text is looked up by a keyed hash and then compared whole, in constant time.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq as _;

use super::keys::{MacKey, ServerKey};
use super::rotations::{ByName, Rotations, integration_name};
use crate::model::{IntegrationId, SystemId, Timestamp};
use crate::ruleset::{IntegrationKind, LiveRules};

/// Characters of a token.
const TOKEN_LENGTH: usize = 64;

type Place = (SystemId, IntegrationId);

/// The tokens that follow from the rotation numbers.
pub(super) struct IntegrationTokens {
    key: ServerKey,
    lookup: MacKey,
    rotations: Arc<Rotations>,
    live: ArcSwap<LiveTokens>,
}

impl IntegrationTokens {
    pub(super) fn new(key: &ServerKey, rotations: Arc<Rotations>) -> Self {
        Self {
            key: key.clone(),
            lookup: key.mac_key("integration token look-up"),
            rotations,
            live: ArcSwap::from_pointee(LiveTokens::default()),
        }
    }

    /// The newest token of an integration, whether that exists or not.
    pub(super) fn current(&self, system: &SystemId, integration: &IntegrationId) -> String {
        let rotation = self.rotations.of(&integration_name(system, integration));
        token(&self.key, system, integration, rotation.newest())
    }

    /// The enabled `api` integration that a token belongs to.
    pub(super) fn find(&self, rules: &Arc<LiveRules>, presented: &str, now: Timestamp) -> Option<Place> {
        let rotations = self.rotations.all();
        let live = self.live.load();
        if live.stands_for(rules, &rotations) {
            return live.find(&self.lookup, presented, now);
        }
        let fresh = Arc::new(LiveTokens::new(self, rules, Arc::clone(&rotations)));
        self.live.store(Arc::clone(&fresh));
        fresh.find(&self.lookup, presented, now)
    }
}

/// The tokens that work under one version of the rules and of the rotation numbers.
#[derive(Default)]
struct LiveTokens {
    /// Held weakly: old rules may go, but while we compare addresses no other rules can come to stand at theirs.
    rules: Weak<LiveRules>,
    rotations: Arc<ByName>,
    by_hash: HashMap<u64, Vec<LiveToken>>,
}

struct LiveToken {
    token: String,
    /// When its grace ends; `None`: the newest.
    until: Option<Timestamp>,
    place: Place,
}

impl LiveTokens {
    fn new(tokens: &IntegrationTokens, rules: &Arc<LiveRules>, rotations: Arc<ByName>) -> Self {
        let mut live = Self { rules: Arc::downgrade(rules), rotations, by_hash: HashMap::new() };
        for (system, rules) in &rules.systems {
            for (id, integration) in &rules.integrations {
                if integration.enabled && integration.kind == IntegrationKind::Api {
                    live.add(tokens, (system.clone(), id.clone()));
                }
            }
        }
        live
    }

    fn add(&mut self, tokens: &IntegrationTokens, place: Place) {
        let rotation = self.rotations.get(&integration_name(&place.0, &place.1)).cloned().unwrap_or_default();
        for (number, until) in rotation.numbers() {
            let token = token(&tokens.key, &place.0, &place.1, number);
            let hash = short_hash(&tokens.lookup, &token);
            self.by_hash.entry(hash).or_default().push(LiveToken { token, until, place: place.clone() });
        }
    }

    fn stands_for(&self, rules: &Arc<LiveRules>, rotations: &Arc<ByName>) -> bool {
        std::ptr::eq(self.rules.as_ptr(), Arc::as_ptr(rules)) && Arc::ptr_eq(&self.rotations, rotations)
    }

    fn find(&self, lookup: &MacKey, presented: &str, now: Timestamp) -> Option<Place> {
        if presented.len() != TOKEN_LENGTH {
            return None;
        }
        let candidates = self.by_hash.get(&short_hash(lookup, presented))?;
        let found = candidates.iter().fold(None, |found, live| {
            let same: bool = live.token.as_bytes().ct_eq(presented.as_bytes()).into();
            if same { Some(live) } else { found }
        })?;
        found.until.is_none_or(|until| now < until).then(|| found.place.clone())
    }
}

/// The token of an integration under a rotation number.
fn token(key: &ServerKey, system: &SystemId, integration: &IntegrationId, number: u32) -> String {
    hex::encode(key.derive("integration token", &[system.as_str(), integration.as_str(), &number.to_string()]))
}

fn short_hash(lookup: &MacKey, token: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = lookup.tag(token.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::rotations::tests::{at, raise as raise_name};
    use crate::accounts::vault::memory::MemoryVault;

    fn place(system: &str, integration: &str) -> Place {
        (system.parse().unwrap(), integration.parse().unwrap())
    }

    fn open(vault: &MemoryVault) -> IntegrationTokens {
        IntegrationTokens::new(&ServerKey::new(&[1; 32]), Arc::new(Rotations::load(vault).unwrap()))
    }

    fn raise(tokens: &IntegrationTokens, vault: &MemoryVault, place: &Place, until: Option<i64>, now: i64) {
        raise_name(&tokens.rotations, vault, &integration_name(&place.0, &place.1), until, now);
    }

    /// What a look-up finds with these integrations live.
    fn find(tokens: &IntegrationTokens, live: &[Place], presented: &str, now: i64) -> Option<Place> {
        let mut table = LiveTokens { rotations: Arc::clone(&tokens.rotations.all()), ..LiveTokens::default() };
        for place in live {
            table.add(tokens, place.clone());
        }
        table.find(&tokens.lookup, presented, at(now))
    }

    #[test]
    fn every_integration_has_its_own_token() {
        let tokens = open(&MemoryVault::default());
        let live = [place("a", "b_c"), place("a_b", "c"), place("a", "b"), place("b", "a")];
        for place in &live {
            let token = tokens.current(&place.0, &place.1);
            assert_eq!(token.len(), TOKEN_LENGTH);
            assert!(token.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            assert_eq!(find(&tokens, &live, &token, 0).as_ref(), Some(place));
            assert_eq!(find(&tokens, &[], &token, 0), None);
        }
    }

    #[test]
    fn rotated_tokens_live_on_for_their_grace_alone_also_after_a_restart() {
        let vault = MemoryVault::default();
        let tokens = open(&vault);
        let crm = place("default", "crm");
        let live = [crm.clone(), place("default", "other")];
        let first = tokens.current(&crm.0, &crm.1);
        raise(&tokens, &vault, &crm, Some(1000), 0);
        let second = tokens.current(&crm.0, &crm.1);
        raise(&tokens, &vault, &crm, Some(500), 0);
        let third = tokens.current(&crm.0, &crm.1);
        for tokens in [tokens, open(&vault)] {
            let works = |token: &str, now| find(&tokens, &live, token, now).is_some();
            assert!(works(&first, 999) && !works(&first, 1000));
            assert!(works(&second, 499) && !works(&second, 500));
            assert!(works(&third, 1_000_000));
            assert_eq!(tokens.current(&crm.0, &crm.1), third);
        }
    }

    #[test]
    fn a_rotation_without_grace_ends_every_earlier_token_at_once() {
        let vault = MemoryVault::default();
        let tokens = open(&vault);
        let crm = place("default", "crm");
        let other = place("default", "other");
        let live = [crm.clone(), other.clone()];
        let first = tokens.current(&crm.0, &crm.1);
        let others = tokens.current(&other.0, &other.1);
        raise(&tokens, &vault, &crm, Some(1000), 0);
        let second = tokens.current(&crm.0, &crm.1);
        raise(&tokens, &vault, &crm, None, 1);
        assert_eq!(find(&tokens, &live, &first, 1), None);
        assert_eq!(find(&tokens, &live, &second, 1), None);
        assert!(find(&tokens, &live, &tokens.current(&crm.0, &crm.1), 1).is_some());
        assert_eq!(find(&tokens, &live, &others, 1), Some(other));
    }

    #[test]
    fn the_table_is_built_anew_when_the_rules_or_a_rotation_change() {
        let vault = MemoryVault::default();
        let tokens = open(&vault);
        let (rules, others) = (Arc::new(LiveRules::default()), Arc::new(LiveRules::default()));
        assert_eq!(tokens.find(&rules, &"0".repeat(64), at(0)), None);
        let built = tokens.live.load_full();
        tokens.find(&rules, &"0".repeat(64), at(0));
        assert!(Arc::ptr_eq(&built, &tokens.live.load_full()), "nothing changed");
        tokens.find(&others, &"0".repeat(64), at(0));
        assert!(!Arc::ptr_eq(&built, &tokens.live.load_full()), "other rules");
        let built = tokens.live.load_full();
        raise(&tokens, &vault, &place("default", "crm"), None, 0);
        tokens.find(&others, &"0".repeat(64), at(0));
        assert!(!Arc::ptr_eq(&built, &tokens.live.load_full()), "a rotation");
    }

    proptest! {
        #[test]
        fn no_other_string_is_a_token(text in ".{0,80}", digits in "[0-9a-f]{64}", at in 0_usize..64, byte in "[0-9a-fA-F]") {
            let tokens = open(&MemoryVault::default());
            let live = [place("default", "crm")];
            let good = tokens.current(&live[0].0, &live[0].1);
            let mut near = good.clone();
            near.replace_range(at..=at, &byte);
            for presented in [text, digits, near, good.to_uppercase(), format!("{good} "), good[1..].to_owned()] {
                prop_assert_eq!(find(&tokens, &live, &presented, 0).is_some(), presented == good);
            }
        }
    }
}
