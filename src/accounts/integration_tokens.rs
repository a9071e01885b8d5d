//! Integration tokens: which integration an update call is for.
//!
//! A token is the lower-case hex of HMAC-SHA-256, under the server's key, of system, integration and rotation number. Only
//! the rotation numbers are stored. Owns those and the look-up of a presented token. Knows nothing of who presents it.
//!
//! Invariant: what a caller learns from how long a look-up takes does not depend on the bytes of any live token. The
//! presented text is looked up by a keyed hash and then compared whole, in constant time.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::keys::{MacKey, ServerKey};
use super::vault::{Change, RecordError, Vault, put, read_all};
use crate::engine::WriteError;
use crate::model::{IntegrationId, SystemId, Timestamp};
use crate::ruleset::{IntegrationKind, LiveRules};
use crate::store::Table;

/// Characters of a token.
const TOKEN_LENGTH: usize = 64;
/// Most tokens of one integration that live on beside its newest, so that a script that rotates in a loop fills nothing.
const MAX_EARLIER: usize = 8;

/// An integration's rotation: its newest number, and those that live on for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rotation {
    number: u32,
    #[serde(default)]
    earlier: Vec<Earlier>,
}

/// A rotated token that still works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    number: u32,
    until: Timestamp,
}

impl Rotation {
    /// The rotation after this one. With a grace the token of today, and those whose grace lasts, live on; without one, all
    /// end: who rotates because a token leaked wants no other to work.
    fn raised(&self, grace_until: Option<Timestamp>, now: Timestamp) -> Self {
        let mut earlier = Vec::new();
        if let Some(until) = grace_until {
            earlier.push(Earlier { number: self.number, until });
            earlier.extend(self.earlier.iter().filter(|earlier| now < earlier.until));
            earlier.truncate(MAX_EARLIER);
        }
        Self { number: self.number.saturating_add(1), earlier }
    }
}

type Place = (SystemId, IntegrationId);
type Rotations = HashMap<Place, Rotation>;

/// Rotation numbers and the tokens that follow from them.
pub(super) struct IntegrationTokens {
    key: ServerKey,
    lookup: MacKey,
    rotations: ArcSwap<Rotations>,
    live: ArcSwap<LiveTokens>,
}

impl IntegrationTokens {
    pub(super) fn load(key: &ServerKey, vault: &dyn Vault) -> Result<Self, RecordError> {
        let mut rotations = Rotations::new();
        for (key, rotation) in read_all::<Rotation>(vault, Table::Rotations)? {
            let Some(place) = parse_place(&key) else {
                let reason = "its key is not `system/integration`".to_owned();
                return Err(RecordError::Form { table: Table::Rotations, key, reason });
            };
            rotations.insert(place, rotation);
        }
        Ok(Self {
            key: key.clone(),
            lookup: key.mac_key("integration token look-up"),
            rotations: ArcSwap::from_pointee(rotations),
            live: ArcSwap::from_pointee(LiveTokens::default()),
        })
    }

    /// The newest token of an integration, whether that exists or not.
    pub(super) fn current(&self, system: &SystemId, integration: &IntegrationId) -> String {
        let rotations = self.rotations.load();
        let number = rotations.get(&(system.clone(), integration.clone())).map_or(0, |rotation| rotation.number);
        token(&self.key, system, integration, number)
    }

    /// An integration's next rotation, and what is to be written before [`Self::set`] makes it count. The caller sees to it
    /// that one integration is not raised twice at once.
    pub(super) fn raise(
        &self,
        place: &Place,
        grace_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Rotation, Change), WriteError> {
        let rotation = self.rotations.load().get(place).cloned().unwrap_or_default().raised(grace_until, now);
        let change = put(Table::Rotations, &format!("{}/{}", place.0, place.1), &rotation)?;
        Ok((rotation, change))
    }

    /// Makes a rotation count.
    pub(super) fn set(&self, place: &Place, rotation: &Rotation) {
        self.rotations.rcu(|rotations| {
            let mut rotations = Rotations::clone(rotations);
            rotations.insert(place.clone(), rotation.clone());
            rotations
        });
    }

    /// The enabled `api` integration that a token belongs to.
    pub(super) fn find(&self, rules: &Arc<LiveRules>, presented: &str, now: Timestamp) -> Option<Place> {
        let rotations = self.rotations.load();
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
    rotations: Arc<Rotations>,
    by_hash: HashMap<u64, Vec<LiveToken>>,
}

struct LiveToken {
    token: String,
    /// When its grace ends; `None`: the newest.
    until: Option<Timestamp>,
    place: Place,
}

impl LiveTokens {
    fn new(tokens: &IntegrationTokens, rules: &Arc<LiveRules>, rotations: Arc<Rotations>) -> Self {
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
        let rotation = self.rotations.get(&place).cloned().unwrap_or_default();
        let earlier = rotation.earlier.iter().map(|earlier| (earlier.number, Some(earlier.until)));
        for (number, until) in earlier.chain([(rotation.number, None)]) {
            let token = token(&tokens.key, &place.0, &place.1, number);
            let hash = short_hash(&tokens.lookup, &token);
            self.by_hash.entry(hash).or_default().push(LiveToken { token, until, place: place.clone() });
        }
    }

    fn stands_for(&self, rules: &Arc<LiveRules>, rotations: &Arc<Rotations>) -> bool {
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

fn parse_place(key: &str) -> Option<Place> {
    let (system, integration) = key.split_once('/')?;
    Some((system.parse().ok()?, integration.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accounts::vault::memory::MemoryVault;

    fn place(system: &str, integration: &str) -> Place {
        (system.parse().unwrap(), integration.parse().unwrap())
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn open(vault: &MemoryVault) -> IntegrationTokens {
        IntegrationTokens::load(&ServerKey::new(&[1; 32]), vault).unwrap()
    }

    fn raise(tokens: &IntegrationTokens, vault: &MemoryVault, place: &Place, until: Option<i64>, now: i64) {
        let (rotation, change) = tokens.raise(place, until.map(at), at(now)).unwrap();
        vault.write(vec![change]).unwrap();
        tokens.set(place, &rotation);
    }

    /// What a look-up finds with these integrations live.
    fn find(tokens: &IntegrationTokens, live: &[Place], presented: &str, now: i64) -> Option<Place> {
        let mut table = LiveTokens { rotations: tokens.rotations.load_full(), ..LiveTokens::default() };
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
    fn rotating_in_a_loop_keeps_few() {
        let rotation = (0..100).fold(Rotation::default(), |rotation, now| rotation.raised(Some(at(1000)), at(now)));
        assert_eq!((rotation.number, rotation.earlier.len()), (100, MAX_EARLIER));
        assert_eq!(rotation.earlier[0].number, 99);
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
