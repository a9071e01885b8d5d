//! The server's secret key and what is derived from it.
//!
//! Owns where the key comes from (`ROLLCALL_SECRET_KEY`, else `secret.key` in the data folder, made once) and the one
//! way of deriving from it. Knows nothing of what the derived keys are for.
//!
//! Derivation is HMAC-SHA-256 under the key over: the purpose, the number of parts, each part; every text preceded by
//! its length and every number 8 bytes, big-endian. So no two different lists give the same message.
//!
//! Invariant: a store and its key belong together. The store keeps a value derived from the key ([`ServerKey::check`]);
//! a key is made only for a store that has none.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::private_file;
use super::secret::{self, NoRandomness};

/// The environment variable that sets the key.
pub const KEY_VARIABLE: &str = "ROLLCALL_SECRET_KEY";
/// The key's file in the data folder.
pub const KEY_FILE: &str = "secret.key";

/// Bytes of a key, and of everything derived from one.
pub(super) const KEY_BYTES: usize = 32;

/// A MAC key, prepared for use: HMAC-SHA-256.
#[derive(Clone)]
pub(super) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(super) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self::padded(key)
    }
    /// The key that is this very text, of at most 64 bytes: for what others sign with a text that we show them.
    pub(super) fn of_text(text: &str) -> Self {
        Self::padded(text.as_bytes())
    }
    /// HMAC pads a short key with zeros to its block; done here, nothing can fail.
    fn padded(key: &[u8]) -> Self {
        let mut block = [0; 64];
        debug_assert!(key.len() <= block.len(), "a longer key would have to be hashed");
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self(Hmac::new(&block.into()))
    }
    /// The MAC of a message.
    pub(super) fn tag(&self, message: &[u8]) -> [u8; KEY_BYTES] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
    /// Whether `tag` is the message's, compared in constant time.
    pub(super) fn holds(&self, message: &[u8], tag: &[u8; KEY_BYTES]) -> bool {
        self.tag(message).ct_eq(tag).into()
    }
}

/// The server's secret key: every other key and every integration token is derived from it.
#[derive(Clone)]
pub struct ServerKey(MacKey);

impl ServerKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(MacKey::new(bytes))
    }

    /// Takes the key from the environment, else from the data folder, else (with `may_make`) makes it and writes it
    /// there. Says where it came from.
    ///
    /// # Errors
    /// [`KeyError`] when what is there is no key, or nothing is there and none may be made.
    pub fn open(
        data: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        may_make: bool,
    ) -> Result<(Self, KeySource), KeyError> {
        if let Some(text) = env(KEY_VARIABLE) {
            let bytes = parse(&text).map_err(|found| KeyError::Variable { found })?;
            return Ok((Self::new(&bytes), KeySource::Environment));
        }
        let path = data.join(KEY_FILE);
        let source = KeySource::File(path.clone());
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let bytes = parse(&text).map_err(|found| KeyError::File { path: path.clone(), found })?;
                warn_if_others_may_read(&path);
                Ok((Self::new(&bytes), source))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_make => {
                let bytes = secret::random()?;
                private_file::write(&path, format!("{}\n", hex::encode(bytes)).as_bytes())
                    .map_err(|error| KeyError::Write { path: path.clone(), reason: error.to_string() })?;
                tracing::info!(path = %path.display(), "made the server's secret key");
                Ok((Self::new(&bytes), source))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeyError::Missing { path }),
            Err(error) => Err(KeyError::Read { path, reason: error.to_string() }),
        }
    }

    /// The key, token or tag for a purpose and its parts.
    #[must_use]
    pub fn derive(&self, purpose: &str, parts: &[&str]) -> [u8; 32] {
        let mut message = Vec::with_capacity(128);
        frame(&mut message, purpose);
        message.extend_from_slice(&(parts.len() as u64).to_be_bytes());
        for part in parts {
            frame(&mut message, part);
        }
        self.0.tag(&message)
    }

    /// A prepared MAC key for a purpose.
    pub(super) fn mac_key(&self, purpose: &str) -> MacKey {
        MacKey::new(&self.derive(purpose, &[]))
    }

    /// What a store keeps to know its key again. It tells nothing of the key.
    #[must_use]
    pub fn check(&self) -> [u8; 32] {
        self.derive("key check", &[])
    }

    /// Whether this is the key whose [`Self::check`] a store kept.
    ///
    /// # Errors
    /// [`KeyError::Another`] when it is not.
    pub fn verify(&self, kept: &[u8; 32], source: &KeySource, data: &Path) -> Result<(), KeyError> {
        if bool::from(self.check().ct_eq(kept)) {
            Ok(())
        } else {
            Err(KeyError::Another { data: data.to_owned(), origin: source.clone() })
        }
    }
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerKey(…)")
    }
}

/// Where the key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `ROLLCALL_SECRET_KEY`.
    Environment,
    /// This file.
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str(KEY_VARIABLE),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

/// Why there is no usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The variable holds something else than a key.
    #[error(
        "{KEY_VARIABLE} must be 64 hexadecimal characters (32 bytes), but {found}; `openssl rand -hex 32` makes one"
    )]
    Variable {
        /// What is wrong with it.
        found: NoKey,
    },
    /// Another variable holds something else than a key.
    #[error("{name} must be 64 hexadecimal characters (32 bytes), but {found}; `openssl rand -hex 32` makes one")]
    NamedVariable {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        found: NoKey,
    },
    /// The file holds something else than a key.
    #[error("`{}` must hold 64 hexadecimal characters (32 bytes), but {found}; put the file back from a backup, or set {KEY_VARIABLE}", path.display())]
    File {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        found: NoKey,
    },
    /// The store has a key, but it is nowhere to be found.
    #[error("the store's secret key is missing: put `{}` back, or set {KEY_VARIABLE} to the key that the store was made with; \
        if it is lost for good, `rollcall rotate-key --lost` makes another one", path.display())]
    Missing {
        /// Where the key's file should be.
        path: PathBuf,
    },
    /// The store was made under another key.
    #[error(
        "the store in `{}` was made with another secret key than the one in {origin}: put the old key back. \
         To give the store another key, run `rollcall rotate-key` with the old one in place and the server stopped", data.display()
    )]
    Another {
        /// The data folder.
        data: PathBuf,
        /// Where the wrong key came from.
        origin: KeySource,
    },
    /// The key's file can't be read.
    #[error("the secret key in `{}` can't be read: {reason}", path.display())]
    Read {
        /// The key's file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// A new key can't be written.
    #[error("the new secret key can't be written to `{}`: {reason}", path.display())]
    Write {
        /// The key's file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// There is nothing to make a key of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What a text has that a key must not. It never shows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// Too short or too long.
    #[error("it has {0} characters")]
    Length(usize),
    /// Not hexadecimal.
    #[error("it has characters other than 0-9 and a-f")]
    Characters,
}

/// Reads 64 hex characters; blanks around them (a file's line end) do not matter.
pub(super) fn parse(text: &str) -> Result<[u8; KEY_BYTES], NoKey> {
    let text = text.trim();
    let count = text.chars().count();
    if count != 2 * KEY_BYTES {
        return Err(NoKey::Length(count));
    }
    let mut bytes = [0; KEY_BYTES];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| NoKey::Characters)?;
    Ok(bytes)
}

fn frame(message: &mut Vec<u8>, text: &str) {
    message.extend_from_slice(&(text.len() as u64).to_be_bytes());
    message.extend_from_slice(text.as_bytes());
}

fn warn_if_others_may_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(about) = std::fs::metadata(path) else { return };
    if about.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read the secret key: `chmod 600` its file");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn unset(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn tags_are_hmac_sha_256() {
        // RFC 4231, test case 2, has a key of 4 bytes: padded with zeros it is the same HMAC key.
        let mut key = [0; KEY_BYTES];
        key[..4].copy_from_slice(b"Jefe");
        let tag = MacKey::new(&key).tag(b"what do ya want for nothing?");
        assert_eq!(hex::encode(tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn derivation_tells_every_list_of_parts_from_every_other() {
        let key = ServerKey::new(&[7; 32]);
        let lists: [(&str, &[&str]); 8] = [
            ("p", &["a", "bc"]),
            ("p", &["ab", "c"]),
            ("p", &["abc"]),
            ("p", &["abc", ""]),
            ("p", &["", "abc"]),
            ("p", &[]),
            ("pabc", &[]),
            ("p", &["a", "b", "c"]),
        ];
        let derived: std::collections::BTreeSet<_> = lists.iter().map(|(p, parts)| key.derive(p, parts)).collect();
        assert_eq!(derived.len(), lists.len());
        assert_eq!(key.derive("p", &["a", "bc"]), ServerKey::new(&[7; 32]).derive("p", &["a", "bc"]));
        assert_ne!(key.derive("p", &["a"]), ServerKey::new(&[8; 32]).derive("p", &["a"]));
    }

    #[test]
    fn the_derivation_never_changes() {
        // Every token that is out depends on it.
        let key = ServerKey::new(&parse(HEX).unwrap());
        let mut message = Vec::new();
        for (length, text) in [(1, "p"), (2, ""), (1, "a"), (2, "bc")] {
            message.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, length]);
            message.extend_from_slice(text.as_bytes());
        }
        assert_eq!(key.derive("p", &["a", "bc"]), MacKey::new(&parse(HEX).unwrap()).tag(&message));
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let data = tempfile::tempdir().unwrap();
        let (made, _) = ServerKey::open(data.path(), &unset, true).unwrap();
        let (given, source) = ServerKey::open(data.path(), &|_| Some(format!(" {HEX}\n")), true).unwrap();
        assert_eq!(source, KeySource::Environment);
        assert_ne!(made.check(), given.check());
        assert_eq!(given.check(), ServerKey::new(&parse(HEX).unwrap()).check());
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let (made, source) = ServerKey::open(data.path(), &unset, true).unwrap();
        let path = data.path().join(KEY_FILE);
        assert_eq!(source, KeySource::File(path.clone()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, _) = ServerKey::open(data.path(), &unset, false).unwrap();
        assert_eq!(made.check(), again.check());
    }

    #[test]
    fn no_key_is_made_for_a_store_that_has_one() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join(KEY_FILE);
        let error = ServerKey::open(data.path(), &unset, false).unwrap_err();
        assert_eq!(error, KeyError::Missing { path: path.clone() });
        assert!(!path.exists());
    }

    #[test]
    fn another_key_than_the_stores_is_refused_with_what_to_do() {
        let store = ServerKey::new(&[1; 32]).check();
        let data = Path::new("data");
        assert_eq!(ServerKey::new(&[1; 32]).verify(&store, &KeySource::Environment, data), Ok(()));
        let message = ServerKey::new(&[2; 32]).verify(&store, &KeySource::Environment, data).unwrap_err().to_string();
        for part in ["`data`", KEY_VARIABLE, "put the old key back", "rollcall rotate-key"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_wrong_key_is_told_without_showing_it() {
        let data = tempfile::tempdir().unwrap();
        let canary = "canary".repeat(10) + "zzzz";
        let error = ServerKey::open(data.path(), &|_| Some(canary.clone()), true).unwrap_err();
        assert_eq!(error, KeyError::Variable { found: NoKey::Characters });
        assert!(!format!("{error} {error:?}").contains("canary"));
        let error = ServerKey::open(data.path(), &|_| Some(String::new()), true).unwrap_err();
        assert_eq!(error, KeyError::Variable { found: NoKey::Length(0) });
        std::fs::write(data.path().join(KEY_FILE), "short").unwrap();
        let error = ServerKey::open(data.path(), &unset, true).unwrap_err();
        assert!(matches!(error, KeyError::File { found: NoKey::Length(5), .. }), "{error}");
        assert_eq!(format!("{:?}", ServerKey::new(&[1; 32])), "ServerKey(…)");
    }
}
