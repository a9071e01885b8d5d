//! Long work: off the threads that answer requests, and of the kinds that cost much only a little at once.
//!
//! Answering page loads must not wait for questions. So whatever may take longer than a few hundred microseconds runs
//! aside, on threads of its own; what may keep a processor busy for seconds, or holds memory for as long as a client
//! likes, first waits for a turn. Knows nothing of what the work is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Kind, Problem};

/// Questions that run scripts over end users at the same time. Each takes every processor that it gets.
const SCRIPTS: usize = 2;
/// Exports at the same time: each holds the state that it began with until its reader has had all of it.
const EXPORTS: usize = 8;
/// Streams of events at the same time: each holds a connection.
const FOLLOWERS: usize = 1_000;
/// How long a turn is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who may do long work now.
pub(crate) struct Turns {
    scripts: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    followers: Arc<Semaphore>,
}

/// A turn; over when dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Default for Turns {
    fn default() -> Self {
        let of = |count| Arc::new(Semaphore::new(count));
        Self { scripts: of(SCRIPTS), exports: of(EXPORTS), followers: of(FOLLOWERS) }
    }
}

impl Turns {
    /// A turn to run scripts over end users; 503 when there is none for too long.
    pub(crate) async fn script(&self) -> Result<Turn, Problem> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.scripts).acquire_owned()).await;
        turn.ok().and_then(Result::ok).map(Turn).ok_or_else(|| busy("questions that run a rule as a script"))
    }

    /// A turn to export; 503 when there is none.
    pub(crate) fn export(&self) -> Result<Turn, Problem> {
        Arc::clone(&self.exports).try_acquire_owned().map(Turn).map_err(|_| busy("exports"))
    }

    /// A turn to follow events; 503 when there is none.
    pub(crate) fn follow(&self) -> Result<Turn, Problem> {
        Arc::clone(&self.followers).try_acquire_owned().map(Turn).map_err(|_| busy("followers of events"))
    }
}

fn busy(what: &str) -> Problem {
    Problem::new(Kind::Unavailable, format!("there are too many {what} at the moment: try again later"))
}

/// Does work on a thread that may be kept busy.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_no_turn_is_told_to_come_back() {
        let turns = Turns::default();
        let held: Vec<Turn> = (0..EXPORTS).map(|_| turns.export().unwrap()).collect();
        assert_eq!(turns.export().unwrap_err().status(), 503);
        drop(held);
        assert!(turns.export().is_ok());
    }
}
