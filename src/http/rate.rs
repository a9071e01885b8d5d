//! `limits.updates_per_second`: a token bucket a client.
//!
//! Buckets are keyed by names of authenticated clients, so there are never more of them than there are clients.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;

/// How many update calls each client may still make.
pub(crate) struct Rates {
    per_second: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Every client may make `per_second` calls a second, and as many at once; 0: no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// Takes one call of the client's; false when there is none left (there will be one within a second).
    pub(crate) fn take(&self, client: &str, now: Instant) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let full = f64::from(self.per_second);
        let mut buckets = self.buckets.lock();
        let Some(bucket) = buckets.get_mut(client) else {
            buckets.insert(client.to_owned(), Bucket { left: full - 1.0, at: now });
            return true;
        };
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * full).min(full);
        bucket.at = now;
        let allowed = bucket.left >= 1.0;
        if allowed {
            bucket.left -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_client_gets_its_rate_and_no_more() {
        let rates = Rates::new(3);
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!([0, 0, 0, 0].map(|m| rates.take("a", at(m))), [true, true, true, false]);
        assert!(rates.take("b", at(0)), "another client has its own bucket");
        assert!(!rates.take("a", at(300)));
        assert!(rates.take("a", at(350)), "a third of a second brings one back");
        assert!(!rates.take("a", at(351)));
        assert_eq!([9000, 9000, 9000, 9000].map(|m| rates.take("a", at(m))), [true, true, true, false]);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let rates = Rates::new(0);
        assert!((0..1000).all(|_| rates.take("a", Instant::now())));
    }
}
