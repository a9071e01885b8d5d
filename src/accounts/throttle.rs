//! Guessing made slow: failures are counted per account and address, and per address.
//!
//! Knows nothing of what is guessed. A throttled attempt is not judged at all and does not count. Attempts at one account
//! from one address take turns ([`Turns`]) where judging takes long, so that a hundred guesses at once are no more than a
//! hundred in a row, and eight right log-ins at once are eight log-ins.
//!
//! Invariants: other addresses stay open, whatever one address does; memory is bounded: when a table is full, what failed
//! longest ago is forgotten first.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::model::Timestamp;

/// How long a failure counts, in milliseconds.
const WINDOW_MS: i64 = 5 * 60 * 1000;
/// Attempts that can have their turn at the same time.
const TURNS: usize = 128;
/// Most entries of each of the two tables.
const MAX_ENTRIES: usize = 20_000;
/// Most bytes of an account's name that are kept: longer ones are no account's.
const MAX_NAME: usize = 320;

/// How many failures are borne within the window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For one account from one address.
    pub(super) account: usize,
    /// From one address.
    pub(super) address: usize,
}

/// Attempts come too fast after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts: try again in {retry_after_s} s")]
pub struct Throttled {
    /// Seconds until the next attempt is judged.
    pub retry_after_s: u64,
}

/// When the failures of one key were, oldest first.
type Failures = Vec<Timestamp>;

/// Counts failures of one kind of attempt.
pub(super) struct Throttle {
    limits: Limits,
    clock: Clock,
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    accounts: HashMap<(Box<str>, IpAddr), Failures>,
    addresses: HashMap<IpAddr, Failures>,
}

/// An attempt under way, that may be judged. Whoever judges it says how it ended; said nothing, it was neither.
#[must_use = "a failure that nobody tells of does not count"]
pub(super) struct Attempt {
    tables: Arc<Mutex<Tables>>,
    account: (Box<str>, IpAddr),
    at: Timestamp,
}

/// Whose turn it is: attempts of one account and address are judged one after the other.
pub(super) struct Turns {
    hashing: RandomState,
    /// Some share one by chance, which costs them nothing but a moment.
    turns: [tokio::sync::Mutex<()>; TURNS],
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { hashing: RandomState::new(), turns: std::array::from_fn(|_| tokio::sync::Mutex::default()) }
    }

    /// Waits for one's turn, and has it until the guard is dropped.
    pub(super) async fn wait(&self, account: &str, address: IpAddr) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let hash = self.hashing.hash_one((name_key(account), network_of(address)));
        Some(self.turns.get(hash as usize % TURNS)?.lock().await)
    }
}

impl Throttle {
    pub(super) fn new(limits: Limits, clock: Clock) -> Self {
        Self { limits, clock, tables: Arc::default() }
    }

    /// Whether an attempt at an account (as it was named, whether there is one or not) from an address may be judged.
    pub(super) fn check(&self, account: &str, address: IpAddr) -> Result<Attempt, Throttled> {
        let now = self.clock.now();
        let address = network_of(address);
        let key = (name_key(account), address);
        let mut tables = self.tables.lock();
        let Tables { accounts, addresses } = &mut *tables;
        let busy =
            [blocked(accounts, &key, self.limits.account, now), blocked(addresses, &address, self.limits.address, now)];
        if let Some(until) = busy.into_iter().flatten().max() {
            let wait_ms = until.as_millis().saturating_sub(now.as_millis()).max(1);
            return Err(Throttled { retry_after_s: wait_ms.unsigned_abs().div_ceil(1000) });
        }
        Ok(Attempt { tables: Arc::clone(&self.tables), account: key, at: now })
    }
}

impl Attempt {
    /// It was a wrong guess.
    pub(super) fn fail(self) {
        let mut tables = self.tables.lock();
        note(&mut tables.addresses, self.account.1, self.at);
        note(&mut tables.accounts, self.account, self.at);
    }

    /// It succeeded: the account's failures before it from this address do not count any more.
    pub(super) fn succeed(self) {
        self.tables.lock().accounts.remove(&self.account);
    }
}

/// Until when the key is blocked, if it is. Failures outside the window are dropped; so are those of the future, which a
/// clock that was set back leaves.
fn blocked<K: Hash + Eq>(table: &mut HashMap<K, Failures>, key: &K, limit: usize, now: Timestamp) -> Option<Timestamp> {
    let failures = table.get_mut(key)?;
    // A clock that was set back must not open the door, nor keep it shut for as long as it was set back.
    failures.iter_mut().for_each(|at| *at = (*at).min(now));
    failures.retain(|at| is_recent(*at, now));
    let oldest_that_counts = failures.len().checked_sub(limit)?;
    failures.get(oldest_that_counts).map(|at| Timestamp::from_millis(at.as_millis().saturating_add(WINDOW_MS)))
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    let age = now.as_millis().saturating_sub(at.as_millis());
    (0..WINDOW_MS).contains(&age)
}

fn note<K: Hash + Eq + Clone>(table: &mut HashMap<K, Failures>, key: K, now: Timestamp) {
    if table.len() >= MAX_ENTRIES && !table.contains_key(&key) {
        make_room(table, now);
    }
    table.entry(key).or_default().push(now);
}

/// Drops what no longer counts; if that is too little, the older half.
fn make_room<K: Hash + Eq>(table: &mut HashMap<K, Failures>, now: Timestamp) {
    table.retain(|_, failures| failures.last().is_some_and(|at| is_recent(*at, now)));
    if table.len() < MAX_ENTRIES {
        return;
    }
    let mut latest: Vec<Timestamp> = table.values().filter_map(|failures| failures.last().copied()).collect();
    let middle = latest.len() / 2;
    let (_, median, _) = latest.select_nth_unstable(middle);
    let median = *median;
    table.retain(|_, failures| failures.last().is_some_and(|at| *at > median));
}

/// Names that differ in case alone are one account here.
fn name_key(account: &str) -> Box<str> {
    account.to_lowercase().chars().take(MAX_NAME).collect::<String>().into_boxed_str()
}

/// Who counts as one address: an IPv4 address, or a /64 of IPv6, which is the least that a household gets.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;

    struct House {
        clock: Clock,
        throttle: Throttle,
    }

    impl House {
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::from_millis(START));
            let limits = Limits { account: 5, address: 29 };
            Self { throttle: Throttle::new(limits, clock.clone()), clock }
        }
        fn after(&self, seconds: i64) {
            self.clock.set(Timestamp::from_millis(START + seconds * 1000));
        }
        fn fail(&self, account: &str, address: &str) -> bool {
            self.throttle.check(account, address.parse().unwrap()).map(Attempt::fail).is_ok()
        }
    }

    #[test]
    fn the_sixth_failure_for_an_account_from_an_address_is_not_judged() {
        let house = House::new();
        let judged = [0; 7].map(|_| house.fail("ann", "10.0.0.1"));
        assert_eq!(judged, [true, true, true, true, true, false, false]);
        assert!(!house.fail("ANN", "10.0.0.1"), "case makes no other account");
        assert!(house.fail("ann", "10.0.0.2"), "another address stays open");
        assert!(house.fail("bob", "10.0.0.1"), "another account stays open");
    }

    #[test]
    fn the_thirtieth_failure_from_an_address_is_not_judged() {
        let house = House::new();
        let judged = (0..35).filter(|n| house.fail(&format!("user{n}"), "10.0.0.1")).count();
        assert_eq!(judged, 29);
        assert!(house.fail("user1", "10.0.0.2"));
        assert_eq!(house.throttle.check("new", "10.0.0.1".parse().unwrap()).err().unwrap().retry_after_s, 300);
    }

    #[test]
    fn failures_count_for_five_minutes_each() {
        let house = House::new();
        for minute in 0..5 {
            house.after(minute * 60);
            assert!(house.fail("ann", "10.0.0.1"));
        }
        house.after(299);
        assert_eq!(
            house.throttle.check("ann", "10.0.0.1".parse().unwrap()).err(),
            Some(Throttled { retry_after_s: 1 })
        );
        house.after(300);
        assert!(house.fail("ann", "10.0.0.1"), "the first is too old");
        assert!(!house.fail("ann", "10.0.0.1"), "the second is not");
        house.after(-3600);
        assert!(!house.fail("ann", "10.0.0.1"), "a clock set back opens nothing");
        house.after(-3600 + 300);
        assert!(house.fail("ann", "10.0.0.1"), "nor keeps it shut for longer");
    }

    #[test]
    fn what_is_no_failure_does_not_count() {
        let house = House::new();
        let check = || house.throttle.check("ann", "10.0.0.1".parse().unwrap());
        for _ in 0..100 {
            drop(check().unwrap());
        }
        for _ in 0..5 {
            check().unwrap().fail();
        }
        assert!(check().is_err());
        house.after(300);
        for _ in 0..4 {
            check().unwrap().fail();
        }
        check().unwrap().succeed();
        for _ in 0..5 {
            check().unwrap().fail();
        }
        assert!(check().is_err(), "a success begins a new count");
    }

    #[tokio::test]
    async fn attempts_at_one_account_take_turns() {
        let turns = Arc::new(Turns::new());
        let address = "10.0.0.1".parse().unwrap();
        let turn = turns.wait("ann", address).await;
        let other = Arc::clone(&turns);
        let waiting = tokio::spawn(async move { other.wait("ANN", address).await.is_some() });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(turn);
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn an_ipv6_household_is_one_address() {
        let house = House::new();
        let judged = (0..10).filter(|n| house.fail("ann", &format!("2001:db8::{n:x}"))).count();
        assert_eq!(judged, 5);
        assert!(house.fail("ann", "2001:db8:0:1::1"));
        assert!(house.fail("ann", "::ffff:10.0.0.1"));
        assert_eq!((0..10).filter(|_| house.fail("ann", "10.0.0.1")).count(), 4, "a mapped address is the IPv4 one");
    }

    #[test]
    fn memory_stays_bounded_and_the_newest_failures_are_kept() {
        let house = House::new();
        for n in 0..(2 * MAX_ENTRIES as u32) {
            house.after(i64::from(n) / 1000);
            let address = IpAddr::from(n.to_be_bytes());
            house.throttle.check("ann", address).unwrap().fail();
        }
        let tables = house.throttle.tables.lock();
        assert!(tables.accounts.len() <= MAX_ENTRIES && tables.addresses.len() <= MAX_ENTRIES);
        let newest = IpAddr::from((2 * MAX_ENTRIES as u32 - 1).to_be_bytes());
        assert!(tables.addresses.contains_key(&network_of(newest)));
    }
}
