//! Operators' passwords: what a good one is, and how it is kept.
//!
//! Knows nothing of whose they are. Invariant: a password is kept only as an argon2id hash with a salt of its own.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, SaltString};
use serde::{Deserialize, Serialize};

use super::secret::{NoRandomness, Secret, random};

/// Fewest characters of a password.
const MIN_CHARACTERS: usize = 10;
/// Longest password, in bytes: more says nothing and costs hashing time.
const MAX_BYTES: usize = 1024;

/// A password's argon2id hash, in the PHC text form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Checks a new password and hashes it. Takes some 20 ms of one core and 19 MiB.
    ///
    /// # Errors
    /// [`PasswordError`] when it is too weak, or can't be hashed.
    pub fn of_new(password: &Secret) -> Result<Self, PasswordError> {
        check_policy(password.reveal())?;
        let salt = SaltString::encode_b64(&random::<16>()?).map_err(|error| PasswordError::Hash(error.to_string()))?;
        let hash = Argon2::default().hash_password(password.reveal().as_bytes(), &salt);
        hash.map(|hash| Self(hash.to_string())).map_err(|error| PasswordError::Hash(error.to_string()))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("the password has {0} characters; at least {MIN_CHARACTERS} are needed")]
    TooShort(usize),
    /// Too many bytes.
    #[error("the password has {0} bytes; at most {MAX_BYTES} are allowed")]
    TooLong(usize),
    /// Only letters, digits and blanks.
    #[error("the password has no special character: at least one that is no letter, digit or blank is needed")]
    NoSpecialCharacter,
    /// There is nothing to make a salt of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The hash failed.
    #[error("the password can't be hashed: {0}")]
    Hash(String),
}

fn check_policy(password: &str) -> Result<(), PasswordError> {
    let count = password.chars().count();
    if count < MIN_CHARACTERS {
        return Err(PasswordError::TooShort(count));
    }
    if password.len() > MAX_BYTES {
        return Err(PasswordError::TooLong(password.len()));
    }
    if password.chars().all(|c| c.is_alphanumeric() || c.is_whitespace()) {
        return Err(PasswordError::NoSpecialCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHash as Parsed, PasswordVerifier as _};

    use super::*;

    #[test]
    fn the_policy_wants_ten_characters_and_a_special_one() {
        assert_eq!(check_policy("éééééééé!"), Err(PasswordError::TooShort(9)));
        assert_eq!(check_policy("éééééééééé"), Err(PasswordError::NoSpecialCharacter));
        assert_eq!(check_policy("with some blanks 1"), Err(PasswordError::NoSpecialCharacter));
        assert_eq!(check_policy("ééééééééé!"), Ok(()));
        assert_eq!(check_policy("123456789_"), Ok(()));
        assert_eq!(check_policy(&"!".repeat(1025)), Err(PasswordError::TooLong(1025)));
    }

    #[test]
    fn a_password_is_kept_as_its_own_argon2id_hash() {
        let password = Secret::new("correct horse!".to_owned());
        let hash = PasswordHash::of_new(&password).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$"), "{}", hash.0);
        let parsed = Parsed::new(&hash.0).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse!", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"correct horse?", &parsed).is_err());
        assert_ne!(hash, PasswordHash::of_new(&password).unwrap(), "each has its own salt");
        assert_eq!(format!("{hash:?}"), "PasswordHash(…)");
    }
}
