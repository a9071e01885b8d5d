//! Secrets in memory, and the randomness that they are made of.
//!
//! Knows nothing of what a secret opens. Invariant: a [`Secret`] shows itself only by [`Secret::reveal`], never in
//! `Debug`; it has no `Display`, so that it can't slip into a message.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of randomness in every secret that we make.
const SECRET_BYTES: usize = 32;

/// A secret text: a client secret, a password, a one-time token.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps a given text as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }
    /// Makes a secret of 256 random bits: `prefix` (which says what it is for) and 43 characters that need no
    /// escaping in a URL, a header or a shell.
    ///
    /// # Errors
    /// [`NoRandomness`] when the operating system gives none.
    pub fn random(prefix: &str) -> Result<Self, NoRandomness> {
        Ok(Self(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?))))
    }
    /// The text itself. Only for handing it to its owner or for checking it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes, without which no secret can be made: {0}")]
pub struct NoRandomness(String);

/// `N` random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_secrets_differ_and_stay_hidden_in_debug() {
        let (one, other) = (Secret::random("x_").unwrap(), Secret::random("x_").unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 2 + 43);
        assert!(one.reveal().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        assert_eq!(format!("{one:?}"), "Secret(…)");
    }
}
