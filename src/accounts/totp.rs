//! The second factor: six digits from an authenticator app (TOTP, RFC 6238, with SHA-1, 30 seconds, as apps expect).
//!
//! Owns codes, their time window and the form in which a factor is kept. Knows nothing of who logs in. Invariant: a code is
//! good once: [`SecondFactor::take`] never takes the code of a step that is not after the last one taken.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::secret::{NoRandomness, random};
use crate::model::Timestamp;

/// Bytes of a key: what RFC 4226 recommends.
const KEY_BYTES: usize = 20;
/// Life of a code, in milliseconds.
const STEP_MS: i64 = 30_000;
/// Steps before and after now whose codes are taken: a phone's clock may be off by that much.
const DRIFT: i64 = 1;
/// Digits of a code.
const DIGITS: usize = 6;
/// Base 32 (RFC 4648), in which apps take a key.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// An operator's second factor, as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The key, sealed; `None` until the first enrolment is confirmed.
    #[serde(with = "serde_bytes")]
    pub(super) sealed: Option<Vec<u8>>,
    /// The step of the last code that was taken.
    pub(super) last_step: i64,
    /// The sealed key of an enrolment that is to be confirmed.
    #[serde(with = "serde_bytes")]
    pub(super) pending: Option<Vec<u8>>,
}

impl SecondFactor {
    /// Whether log-in asks for it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.sealed.is_some()
    }

    /// Takes a code under a key, once.
    pub(super) fn take(&mut self, key: &TotpKey, code: &str, now: Timestamp) -> bool {
        match key.step_of(code, now) {
            Some(step) if step > self.last_step => {
                self.last_step = step;
                true
            }
            _ => false,
        }
    }
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor").field("active", &self.is_active()).finish_non_exhaustive()
    }
}

/// The key that an app and the server share.
pub(super) struct TotpKey(Vec<u8>);

impl TotpKey {
    pub(super) fn make() -> Result<Self, NoRandomness> {
        Ok(Self(random::<KEY_BYTES>()?.to_vec()))
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it is typed into an app.
    pub(super) fn to_base32(&self) -> String {
        let bits: String = self.0.iter().map(|byte| format!("{byte:08b}")).collect();
        let digit = |bits: &[u8]| {
            let value = bits.iter().fold(0, |value, bit| value * 2 + usize::from(*bit == b'1')) << (5 - bits.len());
            ALPHABET.get(value).copied().map_or(' ', char::from)
        };
        bits.as_bytes().chunks(5).map(digit).collect()
    }

    /// As it is shown in a QR code.
    pub(super) fn to_uri(&self, username: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        let account: String = username.bytes().map(escape).collect();
        format!("otpauth://totp/Rollcall:{account}?secret={}&issuer=Rollcall", self.to_base32())
    }

    /// The step whose code this is, near now. Every step is looked at, so that the time tells nothing.
    fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let typed: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let current = now.as_millis().div_euclid(STEP_MS);
        let mut found = None;
        for step in (current - DRIFT)..=(current + DRIFT) {
            if bool::from(self.code(step).as_bytes().ct_eq(typed.as_bytes())) {
                found = Some(step);
            }
        }
        found
    }

    /// The code of a step (RFC 4226, section 5.3).
    fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
        let part = tag.get(at..at + 4).unwrap_or_default();
        let number = part.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:0DIGITS$}", number % 10_u32.pow(DIGITS as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_key() -> TotpKey {
        TotpKey(b"12345678901234567890".to_vec())
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, whose codes have eight digits.
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc_key().code(at / 30), code, "{at}");
            assert_eq!(rfc_key().step_of(code, seconds(at)), Some(at / 30));
        }
    }

    #[test]
    fn a_code_is_taken_once_and_only_near_its_time() {
        let factor = SecondFactor { sealed: None, last_step: 0, pending: None };
        let taken = |at: i64| factor.clone().take(&rfc_key(), "287082", seconds(at));
        assert_eq!([-1, 0, 29, 30, 59, 60, 89, 90].map(taken), [false, true, true, true, true, true, true, false]);
        let mut factor = factor.clone();
        assert!(factor.take(&rfc_key(), " 287 082 ", seconds(59)));
        assert!(!factor.take(&rfc_key(), "287082", seconds(60)), "the same code again");
        assert!(factor.take(&rfc_key(), &rfc_key().code(2), seconds(60)), "the next one");
        assert!(!factor.take(&rfc_key(), &rfc_key().code(1), seconds(61)), "an older one");
        for wrong in ["", "000000", "28708", "2870822", "٢٨٧٠٨٢"] {
            assert!(!factor.clone().take(&rfc_key(), wrong, seconds(59)), "{wrong}");
        }
    }

    #[test]
    fn keys_are_shown_as_apps_take_them() {
        assert_eq!(rfc_key().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(TotpKey(b"foobar".to_vec()).to_base32(), "MZXW6YTBOI");
        assert_eq!(
            rfc_key().to_uri("a&b@example.com"),
            "otpauth://totp/Rollcall:a%26b%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Rollcall"
        );
        assert_eq!(TotpKey::make().unwrap().to_base32().len(), 32);
    }
}
