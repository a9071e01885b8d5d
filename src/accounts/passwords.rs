//! Operators' passwords: what a good one is, how it is kept, and the desk at which they are hashed.
//!
//! Knows nothing of whose they are. Invariants: a password is kept only as an argon2id hash with a salt of its own; hashing
//! happens off the async threads and at few places at once, so that log-ins never take the machine from page loads;
//! judging a password takes as long where there is none to compare it with.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash as ParsedHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot};

use super::secret::{NoRandomness, Secret, random};

/// Fewest characters of a password.
const MIN_CHARACTERS: usize = 10;
/// Longest password, in bytes: more says nothing and costs hashing time.
const MAX_BYTES: usize = 1024;
/// Most passwords that wait to be hashed; who comes later is asked to come again. A hash takes some 20 ms.
const MAX_WAITING: usize = 128;
/// The commonest passwords; lines that begin with `#` say where the list comes from.
const COMMON: &str = include_str!("passwords/common.txt");
/// Compared with where there is no password: a hash of random bytes that nobody knows, with the parameters of every other.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZSByYW5kb20gc2FsdA$pZQSqyXzYcCIfcJFwWMVJ3Lqh3BJ7q9w2pZ8D5m1yHc";

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

impl PasswordHash {
    /// Whether it is this password's. Takes some 20 ms of one core and 19 MiB.
    fn matches(&self, password: &Secret) -> bool {
        // A hash that can't be read is nobody's password; the store's checksums make that a thing that does not happen.
        ParsedHash::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password.reveal().as_bytes(), &hash).is_ok())
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
    /// One that everybody tries first.
    #[error("the password is one of the commonest, with a special character or without: choose another")]
    Common,
    /// The account's own name or address.
    #[error("the password is the account's own name or e-mail address: choose another")]
    OwnName,
    /// There is nothing to make a salt of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The hash failed.
    #[error("the password can't be hashed: {0}")]
    Hash(String),
}

impl PasswordError {
    /// A short stable code for machines, where the password itself is to blame; `None` where the server is.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::TooShort(_) => Some("too_short"),
            Self::TooLong(_) => Some("too_long"),
            Self::NoSpecialCharacter => Some("no_special_character"),
            Self::Common => Some("too_common"),
            Self::OwnName => Some("own_name"),
            Self::NoRandomness(_) | Self::Hash(_) => None,
        }
    }
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
    if is_common(password) {
        return Err(PasswordError::Common);
    }
    Ok(())
}

/// Whether it is one of the commonest, whatever its case; also with special characters only put before or after it, which
/// is what people do who are asked for one.
fn is_common(password: &str) -> bool {
    static LIST: LazyLock<HashSet<&str>> = LazyLock::new(|| COMMON.lines().filter(|l| !l.starts_with('#')).collect());
    let lower = password.to_lowercase();
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    LIST.contains(lower.as_str()) || LIST.contains(bare)
}

/// Refuses a password that is one of the account's own names.
pub(super) fn check_own_names(password: &Secret, names: &[&str]) -> Result<(), PasswordError> {
    let lower = password.reveal().to_lowercase();
    let own = names.iter().any(|name| !name.is_empty() && lower.contains(&name.to_lowercase()));
    if own { Err(PasswordError::OwnName) } else { Ok(()) }
}

/// How far behind others a thread that hashes is (`nice`): it gets a tenth of a processor that others want as well.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 10;

/// Where passwords are hashed and judged, a few at once.
pub(super) struct HashingDesk {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Too many passwords wait to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at the moment")]
pub struct DeskBusy;

impl HashingDesk {
    /// Half of the processors may hash; the others stay free for everything else.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { places: Arc::new(Semaphore::new((processors / 2).max(1))), waiting: AtomicUsize::new(0) }
    }

    /// Whether the password is the one that was hashed; takes as long without a hash, for which it is false.
    pub(super) async fn verify(&self, password: Secret, hash: Option<PasswordHash>) -> Result<bool, DeskBusy> {
        self.work(move || match hash {
            Some(hash) => hash.matches(&password),
            None => {
                let _ = std::hint::black_box(PasswordHash(NOBODYS_HASH.to_owned()).matches(&password));
                false
            }
        })
        .await
    }

    /// Hashes a new password, unless it is no longer wanted when its turn has come.
    pub(super) async fn hash(
        &self,
        password: Secret,
        wanted: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<Option<Result<PasswordHash, PasswordError>>, DeskBusy> {
        self.work(move || wanted().then(|| PasswordHash::of_new(&password))).await
    }

    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, DeskBusy> {
        let _place = Waiting::join(&self.waiting)?;
        let permit = Arc::clone(&self.places).acquire_owned().await.map_err(|_| DeskBusy)?;
        let (done, answer) = oneshot::channel();
        // The permit goes with the job: a caller that goes away must not make room while its job still runs.
        let job = move || {
            let _permit = permit;
            step_back();
            // Whoever asked may have gone.
            let _ = done.send(job());
        };
        std::thread::Builder::new().name("passwords".to_owned()).spawn(job).map_err(|_| DeskBusy)?;
        answer.await.map_err(|_| DeskBusy)
    }
}

/// Lets this thread take a processor only where others leave one: a page load that waits for a hash waits for 20 ms.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), BEHIND) {
        tracing::debug!(%error, "passwords are hashed with everybody's priority");
    }
}

/// A place in the queue, given back when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Result<Self, DeskBusy> {
        let place = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) < MAX_WAITING { Ok(place) } else { Err(DeskBusy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_wants_ten_characters_and_a_special_one() {
        assert_eq!(check_policy("éééééééé!"), Err(PasswordError::TooShort(9)));
        assert_eq!(check_policy("éééééééééé"), Err(PasswordError::NoSpecialCharacter));
        assert_eq!(check_policy("with some blanks 1"), Err(PasswordError::NoSpecialCharacter));
        assert_eq!(check_policy("ééééééééé!"), Ok(()));
        assert_eq!(check_policy("tr0ubador_"), Ok(()));
        assert_eq!(check_policy(&"!".repeat(1025)), Err(PasswordError::TooLong(1025)));
    }

    #[test]
    fn a_password_is_kept_as_its_own_argon2id_hash() {
        let password = Secret::new("correct horse!".to_owned());
        let hash = PasswordHash::of_new(&password).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$"), "{}", hash.0);
        assert!(hash.matches(&password));
        assert!(!hash.matches(&Secret::new("correct horse?".to_owned())));
        assert_ne!(hash, PasswordHash::of_new(&password).unwrap(), "each has its own salt");
        assert_eq!(format!("{hash:?}"), "PasswordHash(…)");
    }

    #[test]
    fn the_commonest_passwords_are_refused_with_their_decorations() {
        assert_eq!(COMMON.lines().filter(|line| !line.starts_with('#')).count(), 3_000);
        for common in ["1234567890!", "!!qwertyuiop", "Password1!!", "  123456789 !", "(1q2w3e4r5t)"] {
            assert_eq!(check_policy(common), Err(PasswordError::Common), "{common}");
        }
        for good in ["1234567890!x", "pass!word1", "qwertyuiop!correct"] {
            assert_eq!(check_policy(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn an_accounts_own_names_are_no_password() {
        let own = |password: &str| check_own_names(&Secret::new(password.to_owned()), &["ann", "ann@example.com", ""]);
        assert_eq!(own("Ann@Example.com"), Err(PasswordError::OwnName));
        assert_eq!(own("!ann@example.com1"), Err(PasswordError::OwnName));
        assert_eq!(own("correct horse!"), Ok(()));
    }

    #[tokio::test]
    async fn no_password_is_judged_by_the_same_work_as_any() {
        let parameters = |hash: &str| hash.rsplitn(3, '$').nth(2).map(str::to_owned);
        let hash = PasswordHash::of_new(&Secret::new("correct horse!".to_owned())).unwrap();
        assert_eq!(parameters(NOBODYS_HASH), parameters(&hash.0));
        assert_eq!(NOBODYS_HASH.len(), hash.0.len());
        assert!(ParsedHash::new(NOBODYS_HASH).is_ok());
        let desk = HashingDesk::new();
        let verify = |password: &str, hash| desk.verify(Secret::new(password.to_owned()), hash);
        assert_eq!(verify("correct horse!", Some(hash.clone())).await, Ok(true));
        assert_eq!(verify("correct horse?", Some(hash)).await, Ok(false));
        assert_eq!(verify("correct horse!", None).await, Ok(false));
    }

    #[tokio::test]
    async fn the_queue_at_the_desk_is_bounded_and_what_is_not_wanted_is_not_hashed() {
        let desk = Arc::new(HashingDesk::new());
        let all = Arc::clone(&desk.places).acquire_many_owned(desk.places.available_permits() as u32).await.unwrap();
        let waiters: Vec<_> = (0..MAX_WAITING + 3)
            .map(|_| {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    desk.hash(Secret::new("x".to_owned()), || false).await.map(|done| done.is_none())
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(all);
        let mut results = Vec::new();
        for waiter in waiters {
            results.push(waiter.await.unwrap());
        }
        assert_eq!(results.iter().filter(|result| **result == Err(DeskBusy)).count(), 3);
        assert_eq!(results.iter().filter(|result| **result == Ok(true)).count(), MAX_WAITING);
        assert_eq!(desk.waiting.load(Ordering::Relaxed), 0);
    }
}
