//! The one source of "now". Everything that depends on time takes a [`Clock`], so that tests can set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Tells the time: the machine's, or one that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }
    /// A clock that stands still at `now` until it is set.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(now.as_millis()))))
    }
    /// Sets a manual clock, and all its clones; does nothing to the machine's.
    pub fn set(&self, now: Timestamp) {
        if let Some(millis) = &self.0 {
            millis.store(now.as_millis(), Ordering::SeqCst);
        }
    }
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(millis) => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
            None => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
        }
    }
}
