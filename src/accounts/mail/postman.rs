//! The one who carries letters: reads the queue, makes each letter's token, sends it, and tries again what failed.
//!
//! Owns the retries. A letter stays in the queue until its mail has left, so that a crash loses none; at worst one is sent
//! twice, and then the newer link holds.
//!
//! Invariants: a token is stored (hashed) before its mail leaves; a letter that no longer has a reason (its account gone,
//! active already, or the same letter queued anew) is dropped without a mail.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;

use super::compose::Composer;
use super::transport::Transport;
use super::{Letter, LetterKind, MailError};
use crate::accounts::Accounts;
use crate::accounts::one_time::{LinkKind, make_token};
use crate::accounts::secret::{NoRandomness, Secret};
use crate::accounts::users::{LoginMethod, UserRecord, UserStatus};
use crate::accounts::vault::{RecordError, put, read_all};
use crate::config::Config;
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::store::Table;

/// How often the queue is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Letters on their way at once: a few slow ones must not hold up all.
const AT_ONCE: usize = 4;
/// After the first failure a letter waits this long, in milliseconds; then twice as long each time.
const FIRST_PAUSE_MS: i64 = 2_000;
/// The longest pause, in milliseconds: 6 hours.
const LONGEST_PAUSE_MS: i64 = 6 * 3_600_000;
/// After this long a letter is given up, in milliseconds: 3 days.
const GIVEN_UP_AFTER_MS: i64 = 3 * 24 * 3_600_000;

/// Carries letters.
pub struct Postman {
    accounts: Arc<Accounts>,
    composer: Composer,
    transport: Transport,
    /// Letters whose mail has left while their removal could not be written: they must not be sent again.
    gone: Mutex<HashSet<String>>,
}

/// Why a letter did not leave this time.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Compose(#[from] super::compose::ComposeError),
    #[error(transparent)]
    Send(#[from] super::transport::SendError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Queue(#[from] RecordError),
}

/// What became of a letter.
enum Outcome {
    Sent,
    /// There is no reason for it any more.
    Dropped,
}

impl Postman {
    /// Makes ready to carry the letters of these accounts.
    ///
    /// # Errors
    /// [`MailError`] when the configured way to send can't be used.
    pub fn open(
        accounts: &Arc<Accounts>,
        config: &Config,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, MailError> {
        let from = config.mail.from.parse().map_err(|error| MailError::From(format!("{error}")))?;
        Ok(Self {
            accounts: Arc::clone(accounts),
            composer: Composer::new(from, accounts.public_url.clone()),
            transport: Transport::open(&config.mail.transport, config.storage.path.join("outbox"), env)?,
            gone: Mutex::default(),
        })
    }

    /// Carries letters for as long as it is let.
    pub async fn run(self) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut under_way, mut carrying) = (HashSet::new(), FuturesUnordered::new());
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let mut due = self.look().await;
                    due.retain(|due| !under_way.contains(&due.key));
                    for due in due.into_iter().take(AT_ONCE.saturating_sub(carrying.len())) {
                        under_way.insert(due.key.clone());
                        carrying.push(self.carry(due));
                    }
                }
                Some(key) = carrying.next() => {
                    under_way.remove(&key);
                    tick.reset_immediately();
                }
            }
        }
    }

    /// Carries what is due now, one letter after the other.
    #[cfg(test)]
    pub(crate) async fn deliver(&self) {
        for due in self.look().await {
            self.carry(due).await;
        }
    }

    /// The letters that are due.
    async fn look(&self) -> Vec<Due> {
        let read = |accounts: &Accounts| Ok::<_, Failure>(read_all::<Letter>(&*accounts.vault, Table::Mail)?);
        match self.accounts.blocking(read).await {
            Ok(waiting) => {
                metrics::gauge!("rollcall_mails_waiting").set(waiting.len() as f64);
                due(waiting, self.accounts.clock.now())
            }
            Err(error) => {
                tracing::error!(%error, "the letters that wait can't be read");
                Vec::new()
            }
        }
    }

    /// Carries one letter as far as it goes today; answers its key.
    async fn carry(&self, Due { key, letter, is_newest }: Due) -> String {
        self.carry_letter(&key, &letter, is_newest).await;
        key
    }

    async fn carry_letter(&self, key: &str, letter: &Letter, is_newest: bool) {
        let is_gone = self.gone.lock().contains(key);
        let outcome = if is_newest && !is_gone { self.send(key, letter).await } else { Ok(Outcome::Dropped) };
        let kept = match outcome {
            Ok(outcome) => {
                if matches!(outcome, Outcome::Sent) {
                    metrics::counter!("rollcall_mails_sent_total").increment(1);
                    tracing::info!(kind = ?letter.kind, username = letter.username, "mail sent");
                }
                self.left(key);
                None
            }
            Err(error) => self.after_failure(letter, &error),
        };
        let removed = kept.is_none();
        match self.write(key, kept).await {
            Ok(()) if removed => {
                self.gone.lock().remove(key);
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the queue of letters could not be written"),
        }
    }

    /// Notes that a letter must not be sent (again).
    pub(crate) fn left(&self, key: &str) {
        self.gone.lock().insert(key.to_owned());
    }

    /// The letter as it waits on after a failure; `None` when it is given up.
    fn after_failure(&self, letter: &Letter, error: &Failure) -> Option<Letter> {
        metrics::counter!("rollcall_mails_failed_total").increment(1);
        let now = self.accounts.clock.now();
        let age = now.as_millis().saturating_sub(letter.at.as_millis());
        let (kind, username) = (letter.kind, letter.username.as_str());
        // No later day makes an address of what is none.
        if age >= GIVEN_UP_AFTER_MS || matches!(error, Failure::Compose(_)) {
            metrics::counter!("rollcall_mails_given_up_total").increment(1);
            tracing::error!(?kind, username, %error, "a mail could not be sent and is given up");
            return None;
        }
        let failures = letter.failures.saturating_add(1);
        let pause = pause_ms(failures);
        tracing::warn!(?kind, username, failures, again_in_s = pause / 1000, %error, "a mail could not be sent");
        let not_before = Timestamp::from_millis(now.as_millis().saturating_add(pause));
        Some(Letter { failures, not_before, ..letter.clone() })
    }

    async fn send(&self, key: &str, letter: &Letter) -> Result<Outcome, Failure> {
        let Some((user, token)) = self.make_ready(letter).await? else { return Ok(Outcome::Dropped) };
        let now = self.accounts.clock.now();
        let message = self.composer.compose(letter.kind, &user, &letter.by, token.as_ref(), now)?;
        self.transport.send(message, key).await?;
        Ok(Outcome::Sent)
    }

    /// The account that a letter goes to, and its link's new token, which is stored by now; `None` when the letter has no
    /// reason any more.
    async fn make_ready(&self, letter: &Letter) -> Result<Option<(Arc<UserRecord>, Option<Secret>)>, Failure> {
        let letter = letter.clone();
        self.accounts
            .blocking(move |accounts| {
                let Some(user) = accounts.user(&letter.username).filter(|user| has_reason(letter.kind, user)) else {
                    return Ok(None);
                };
                if user.login_method == LoginMethod::Sso {
                    return Ok(Some((user, None)));
                }
                let kind = match letter.kind {
                    LetterKind::Activation => LinkKind::Activation,
                    LetterKind::Reset => LinkKind::Reset,
                };
                let (token, kept) = make_token(&accounts.key, kind, accounts.clock.now())?;
                let changed = accounts.change_user::<Failure>(&letter.username, |user| {
                    // What changed a moment ago is seen here.
                    if has_reason(letter.kind, user) {
                        *kind.place(user) = Some(kept);
                    }
                    Ok(Vec::new())
                })?;
                Ok(changed.filter(|user| has_reason(letter.kind, user)).map(|user| (user, Some(token))))
            })
            .await
    }

    async fn write(&self, key: &str, letter: Option<Letter>) -> Result<(), WriteError> {
        let key = key.to_owned();
        let change = match letter {
            Some(letter) => put(Table::Mail, &key, &letter)?,
            None => (Table::Mail, key.into_bytes(), None),
        };
        self.accounts.blocking(move |accounts| accounts.vault.write(vec![change])).await
    }
}

/// A letter whose time has come.
struct Due {
    key: String,
    letter: Letter,
    /// Whether no later letter says the same to the same operator.
    is_newest: bool,
}

/// The letters that are due, of those that wait in the order in which they were queued.
fn due(waiting: Vec<(String, Letter)>, now: Timestamp) -> Vec<Due> {
    let reason = |letter: &Letter| (letter.kind, letter.username.clone());
    let newest: HashMap<_, _> = waiting.iter().map(|(key, letter)| (reason(letter), key.clone())).collect();
    let when_due = |(key, letter): (String, Letter)| {
        let is_newest = newest.get(&reason(&letter)) == Some(&key);
        (letter.not_before <= now || !is_newest).then_some(Due { key, letter, is_newest })
    };
    waiting.into_iter().filter_map(when_due).collect()
}

/// Whether a letter to an account as it is now makes sense.
fn has_reason(kind: LetterKind, user: &UserRecord) -> bool {
    match kind {
        LetterKind::Activation => user.status == UserStatus::Provisioned,
        LetterKind::Reset => user.status != UserStatus::Provisioned && user.login_method == LoginMethod::Password,
    }
}

/// How long a letter waits after its n-th failure, in milliseconds.
fn pause_ms(failures: u32) -> i64 {
    let doublings = failures.saturating_sub(1).min(30);
    FIRST_PAUSE_MS.saturating_mul(1 << doublings).min(LONGEST_PAUSE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_level_out() {
        let seconds = [1, 2, 3, 10, 14, 15, 60].map(|failures| pause_ms(failures) / 1000);
        assert_eq!(seconds, [2, 4, 8, 1024, 16_384, 21_600, 21_600]);
    }
}
