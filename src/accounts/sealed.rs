//! Small secrets that have to be read back: sealed under a key derived from the server's.
//!
//! ChaCha20-Poly1305 with a random nonce before the text. Knows nothing of what is sealed. Invariant: what [`Seal::open`]
//! answers was sealed by this server for the same purpose and the same holder, and nobody else can read it.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::keys::ServerKey;
use super::secret::{NoRandomness, random};

/// Seals and opens texts of one purpose.
pub(super) struct Seal(LessSafeKey);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

/// Why nothing could be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nothing to make a nonce of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The text is longer than the cipher takes.
    #[error("a text is too long to be sealed")]
    TooLong,
}

impl Seal {
    pub(super) fn new(key: &ServerKey, purpose: &str) -> Self {
        #[expect(clippy::expect_used, reason = "a derived key has the cipher's length, which is all that is asked")]
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key.derive(purpose, &[])).expect("a key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Seals a text for a holder, without whose name it can't be opened.
    pub(super) fn close(&self, text: &[u8], holder: &str) -> Result<Vec<u8>, SealError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = text.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(holder.as_bytes()), &mut sealed)
            .map_err(|_| SealError::TooLong)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// The text, if it was sealed here for this holder.
    pub(super) fn open(&self, sealed: &[u8], holder: &str) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.0.open_in_place(nonce, Aad::from(holder.as_bytes()), &mut text).ok()?;
        Some(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(key: u8, purpose: &str) -> Seal {
        Seal::new(&ServerKey::new(&[key; 32]), purpose)
    }

    #[test]
    fn only_the_same_key_purpose_and_holder_open_it() {
        let sealed = seal(1, "p").close(b"secret", "ann").unwrap();
        assert_eq!(seal(1, "p").open(&sealed, "ann").unwrap(), b"secret");
        assert_eq!(seal(2, "p").open(&sealed, "ann"), None);
        assert_eq!(seal(1, "q").open(&sealed, "ann"), None);
        assert_eq!(seal(1, "p").open(&sealed, "bob"), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal(1, "p").open(&changed, "ann"), None);
        }
        assert_eq!(seal(1, "p").open(&[], "ann"), None);
        assert_ne!(sealed, seal(1, "p").close(b"secret", "ann").unwrap());
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
    }
}
