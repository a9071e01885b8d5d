//! Browser keys: what lets a page ask for the segments of the person who looks at it, and of nobody else.
//!
//! A system has two, both derived from the server's key, the system and its rotation number, and neither stored:
//! - the *publishable key* stands in the page for all to see, and says only which system the page belongs to;
//! - the *identity secret* stays on the site's own server, which says with it whom it has logged in: `id_hash` is the hex
//!   HMAC-SHA-256 of the identifier's bytes, exactly as sent, and the key of that HMAC is the secret's text as it is shown.
//!
//! Knows nothing of end users, nor of whether a system exists. Invariant: keys and hashes are compared in constant time.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::keys::{KEY_BYTES, MacKey, ServerKey};
use super::rotations::{Rotation, Rotations};
use super::secret::Secret;
use crate::model::{SystemId, Timestamp};

/// Bytes of a publishable key: it must not be guessed by chance, and is no secret.
const PUBLISHABLE_BYTES: usize = 16;

/// A system's keys for pages, as they are now.
#[derive(Debug, Clone)]
pub struct BrowserKeys {
    /// `pk_` and 32 hexadecimal characters, for the page.
    pub publishable_key: String,
    /// `rci_` and 43 characters, for the site's server alone.
    pub identity_secret: Secret,
}

/// Judges keys and hashes by the rotation numbers.
pub(super) struct BrowserKeyring {
    key: ServerKey,
    rotations: Arc<Rotations>,
}

impl BrowserKeyring {
    pub(super) fn new(key: &ServerKey, rotations: Arc<Rotations>) -> Self {
        Self { key: key.clone(), rotations }
    }

    /// The newest keys of a system, whether that exists or not.
    pub(super) fn current(&self, system: &SystemId) -> BrowserKeys {
        let number = self.rotations.of(system.as_str()).newest();
        BrowserKeys {
            publishable_key: self.publishable_key(system, number),
            identity_secret: Secret::new(self.identity_secret(system, number)),
        }
    }

    /// Whether this is a publishable key of the system that counts now.
    pub(super) fn is_publishable(&self, system: &SystemId, presented: &str, now: Timestamp) -> bool {
        self.any(system, now, |number| {
            self.publishable_key(system, number).as_bytes().ct_eq(presented.as_bytes()).into()
        })
    }

    /// Whether this is the hash of the identifier under an identity secret of the system that counts now. Either case of
    /// hexadecimal will do.
    pub(super) fn vouches(&self, system: &SystemId, id: &str, id_hash: &str, now: Timestamp) -> bool {
        let mut tag = [0; KEY_BYTES];
        hex::decode_to_slice(id_hash, &mut tag).is_ok()
            && self.any(system, now, |number| {
                MacKey::of_text(&self.identity_secret(system, number)).holds(id.as_bytes(), &tag)
            })
    }

    /// Whether any number of the system that counts now will do. A page and the site's server change keys one after the
    /// other, so during a grace each may have the older one.
    fn any(&self, system: &SystemId, now: Timestamp, will_do: impl Fn(u32) -> bool) -> bool {
        let (rotations, never) = (self.rotations.all(), Rotation::default());
        rotations.get(system.as_str()).unwrap_or(&never).live(now).any(will_do)
    }

    fn publishable_key(&self, system: &SystemId, number: u32) -> String {
        let bytes = self.derive("publishable key", system, number);
        format!("pk_{}", hex::encode(bytes.get(..PUBLISHABLE_BYTES).unwrap_or(&bytes)))
    }

    fn identity_secret(&self, system: &SystemId, number: u32) -> String {
        format!("rci_{}", URL_SAFE_NO_PAD.encode(self.derive("identity secret", system, number)))
    }

    fn derive(&self, purpose: &str, system: &SystemId, number: u32) -> [u8; KEY_BYTES] {
        self.key.derive(purpose, &[system.as_str(), &number.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::rotations::tests::{at, raise};
    use crate::accounts::vault::memory::MemoryVault;

    fn open(vault: &MemoryVault) -> BrowserKeyring {
        BrowserKeyring::new(&ServerKey::new(&[1; 32]), Arc::new(Rotations::load(vault).unwrap()))
    }

    fn system(id: &str) -> SystemId {
        id.parse().unwrap()
    }

    fn hash(keys: &BrowserKeys, id: &str) -> String {
        hex::encode(MacKey::of_text(keys.identity_secret.reveal()).tag(id.as_bytes()))
    }

    #[test]
    fn a_system_takes_its_own_keys_and_no_others() {
        let keyring = open(&MemoryVault::default());
        let (a, b) = (system("a"), system("b"));
        let (keys, others) = (keyring.current(&a), keyring.current(&b));
        assert_eq!((keys.publishable_key.len(), keys.identity_secret.reveal().len()), (3 + 32, 4 + 43));
        assert!(keyring.is_publishable(&a, &keys.publishable_key, at(0)));
        for wrong in
            [&others.publishable_key, "", "pk_", &keys.publishable_key.to_uppercase(), &keys.publishable_key[1..]]
        {
            assert!(!keyring.is_publishable(&a, wrong, at(0)), "{wrong}");
        }
        assert!(!keyring.is_publishable(&a, keys.identity_secret.reveal(), at(0)));
        assert!(keyring.vouches(&a, "Ann", &hash(&keys, "Ann"), at(0)));
        assert!(!keyring.vouches(&a, "Ann", &hash(&others, "Ann"), at(0)));
    }

    #[test]
    fn a_hash_is_of_the_identifier_as_sent() {
        let keyring = open(&MemoryVault::default());
        let a = system("a");
        let keys = keyring.current(&a);
        let good = hash(&keys, "Ann");
        assert!(keyring.vouches(&a, "Ann", &good.to_uppercase(), at(0)), "either case of hexadecimal");
        for id in ["ann", "Ann ", "", "Bob"] {
            assert!(!keyring.vouches(&a, id, &good, at(0)), "{id:?}");
        }
        for wrong in ["", "zz", &good[2..], &format!("{good}00"), &format!(" {good}")] {
            assert!(!keyring.vouches(&a, "Ann", wrong, at(0)), "{wrong:?}");
        }
    }

    #[test]
    fn rotated_keys_live_on_for_their_grace_alone_each_with_either() {
        let vault = MemoryVault::default();
        let keyring = open(&vault);
        let a = system("a");
        let first = keyring.current(&a);
        raise(&keyring.rotations, &vault, "a", Some(1000), 0);
        let second = keyring.current(&a);
        assert_ne!(first.publishable_key, second.publishable_key);
        assert_ne!(first.identity_secret.reveal(), second.identity_secret.reveal());
        for keyring in [keyring, open(&vault)] {
            let works = |keys: &BrowserKeys, now| {
                let key = keyring.is_publishable(&a, &keys.publishable_key, at(now));
                assert_eq!(key, keyring.vouches(&a, "Ann", &hash(keys, "Ann"), at(now)));
                key
            };
            assert!(works(&first, 999) && works(&second, 999));
            assert!(!works(&first, 1000) && works(&second, 1000));
        }
        let keyring = open(&vault);
        raise(&keyring.rotations, &vault, "a", None, 1);
        for ended in [first, second] {
            assert!(!keyring.is_publishable(&a, &ended.publishable_key, at(1)));
            assert!(!keyring.vouches(&a, "Ann", &hash(&ended, "Ann"), at(1)));
        }
    }

    #[test]
    fn the_hash_is_the_one_that_everyone_computes() {
        // printf %s 'jöhn@example.com' | openssl dgst -sha256 -hmac 'rci_6sDvuUZEqtwm8qxdcmwUKT3_kKXQiCHpFVQ6mtW3xGA'
        let mac = MacKey::of_text("rci_6sDvuUZEqtwm8qxdcmwUKT3_kKXQiCHpFVQ6mtW3xGA");
        assert_eq!(
            hex::encode(mac.tag("jöhn@example.com".as_bytes())),
            "abc68f136325f4f04a7b108d2e1fd15d28321fe2dc73221215e37bd53106d38e"
        );
    }

    #[test]
    fn the_keys_never_change() {
        // Every page and every site's server that is out depends on them.
        let keys = open(&MemoryVault::default()).current(&system("default"));
        assert_eq!(keys.publishable_key, "pk_21a9dc451524f18f25d251ba4d66c6e7");
        assert_eq!(keys.identity_secret.reveal(), "rci_rm_qAqznqfFukIVkmvPfVI400gWv3yQWNLDycOu8ncw");
    }
}
