//! How fast callers may come: `limits.updates_per_second`, a token bucket a client, and the doors that are open to all, a
//! bucket an address.
//!
//! Buckets of clients are keyed by names of authenticated ones, so there are never more of them than there are clients.
//! Those of addresses are bounded: full ones are forgotten first, and then all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
        bucket.refill(now, full, full);
        bucket.take()
    }
}

/// Calls that one address may make at an open door at once, and how many come back a second.
const DOORS: (f64, f64) = (20.0, 1.0 / 30.0);
/// The same for pages in browsers: many people may share an address, and a site's page loads are to be seen at once.
const PAGES: (f64, f64) = (1_000.0, 200.0);
/// Most addresses that are kept count of.
const MAX_ADDRESSES: usize = 10_000;

/// How many calls each address may still make at a door that is open to all.
pub(crate) struct AddressRates {
    at_once: f64,
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl AddressRates {
    /// For what sends mail or makes records.
    pub(crate) fn of_doors() -> Self {
        Self { at_once: DOORS.0, per_second: DOORS.1, buckets: Mutex::default() }
    }

    /// For page loads.
    pub(crate) fn of_pages() -> Self {
        Self { at_once: PAGES.0, per_second: PAGES.1, buckets: Mutex::default() }
    }

    /// Takes one call of the address's (unknown ones share one bucket); false when there is none left.
    pub(crate) fn take(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let network = network_of(address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_ADDRESSES && !buckets.contains_key(&network) {
            buckets.retain(|_, bucket| bucket.refill(now, self.at_once, self.per_second) < self.at_once);
            if buckets.len() >= MAX_ADDRESSES {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(network).or_insert(Bucket { left: self.at_once, at: now });
        bucket.refill(now, self.at_once, self.per_second);
        bucket.take()
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
    }
}

impl Bucket {
    /// What is in it by now.
    fn refill(&mut self, now: Instant, full: f64, per_second: f64) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * per_second).min(full);
        self.at = now;
        self.left
    }

    fn take(&mut self) -> bool {
        let allowed = self.left >= 1.0;
        if allowed {
            self.left -= 1.0;
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

    #[test]
    fn an_address_gets_some_calls_at_once_and_then_one_now_and_then() {
        let (rates, start) = (AddressRates::of_doors(), Instant::now());
        let address = |text: &str| Some(text.parse().unwrap());
        let takes = |from: &str, seconds| rates.take(address(from), start + Duration::from_secs(seconds));
        assert_eq!((0..30).filter(|_| takes("203.0.113.9", 0)).count(), 20);
        assert!(takes("203.0.113.10", 0), "another address has its own");
        assert!(!takes("203.0.113.9", 29) && takes("203.0.113.9", 31) && !takes("203.0.113.9", 32));
        assert_eq!((0..30).filter(|n| takes(&format!("2001:db8::{n}"), 0)).count(), 20, "a network is one");
    }

    #[test]
    fn memory_is_bounded() {
        let (rates, start) = (AddressRates::of_doors(), Instant::now());
        for number in 0..25_000_u32 {
            rates.take(Some(IpAddr::from(number.to_be_bytes())), start);
        }
        assert!(rates.buckets.lock().len() <= MAX_ADDRESSES);
    }
}
