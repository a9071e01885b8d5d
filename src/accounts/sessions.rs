//! Operators' sessions: what a session cookie stands for.
//!
//! Owns their records, their limits and the table of live ones. Knows nothing of passwords or cookies. A session is kept
//! under the keyed hash of its id; the id itself is in the browser alone. A session ends by itself after [`IDLE_MS`]
//! without a request and [`ABSOLUTE_MS`] after log-in; by its owner; and with its account: it counts only while the
//! account is the one that it began for and has the number ([`UserRecord::sessions`]) under which it began.
//!
//! Invariants: memory says no more than the store, but for when a session was last used, which is written coarsely so that
//! a request costs no write; what has ended in memory is never written again.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::directory::UserChange;
use super::keys::{KEY_BYTES, MacKey, ServerKey};
use super::secret::{NoRandomness, Secret};
use super::users::UserRecord;
use super::vault::{Change, RecordError, Vault, put, read_all};
use crate::engine::WriteError;
use crate::model::Timestamp;
use crate::store::Table;

/// How long a session lives without a request, in milliseconds: half a day, so that a lunch ends none and a night does.
const IDLE_MS: i64 = 12 * 3_600_000;
/// How long a session lives at most, in milliseconds: a week.
pub(super) const ABSOLUTE_MS: i64 = 7 * 24 * 3_600_000;
/// How much later than last written a use is written again, in milliseconds. A crash forgets no more than that.
const TOUCH_MS: i64 = 10 * 60_000;
/// How far ahead of the clock a session may have begun: a clock that is set back by an hour ends none.
const MAX_CLOCK_STEP_MS: i64 = 2 * 3_600_000;
/// Most sessions of one operator; the one that was not used for longest gives way.
const MAX_PER_USER: usize = 30;
/// Most characters of a browser's name that are kept.
const MAX_AGENT: usize = 200;
/// Hex characters by which a session is named to its owner: enough to tell them apart, too few to be its id.
const NAME_LENGTH: usize = 16;

/// Who stands before the door: as far as accounts need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The address that the request came from.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub agent: String,
}

/// A session, as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SessionRecord {
    username: String,
    /// When the account was made, so that one made anew under the name has none of the old one's sessions.
    account: Timestamp,
    /// The account's number for sessions when this one began.
    number: u64,
    begun: Timestamp,
    used: Timestamp,
    address: IpAddr,
    agent: String,
}

/// A live session.
pub struct Session {
    hash: [u8; KEY_BYTES],
    record: SessionRecord,
    used: AtomicI64,
    written: AtomicI64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("username", &self.record.username)
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Whose it is.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.record.username
    }
    /// The keyed hash under which it is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }
    /// How it is named to its owner; it opens nothing.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = hex::encode(self.hash);
        name.truncate(NAME_LENGTH);
        name
    }
    /// When it began.
    #[must_use]
    pub fn begun(&self) -> Timestamp {
        self.record.begun
    }
    /// When it was last used.
    #[must_use]
    pub fn used(&self) -> Timestamp {
        Timestamp::from_millis(self.used.load(Ordering::Relaxed))
    }
    /// From which address it began.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.record.address
    }
    /// The browser in which it began.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.record.agent
    }

    fn key(&self) -> String {
        hex::encode(self.hash)
    }

    pub(super) fn is_current(&self, now: Timestamp) -> bool {
        let age = now.as_millis().saturating_sub(self.record.begun.as_millis());
        let idle = now.as_millis().saturating_sub(self.used.load(Ordering::Relaxed));
        (-MAX_CLOCK_STEP_MS..ABSOLUTE_MS).contains(&age) && idle < IDLE_MS
    }

    /// Whether the account is still the one that it began for, as it was then.
    pub(super) fn belongs_to(&self, user: &UserRecord) -> bool {
        let SessionRecord { username, account, number, .. } = &self.record;
        *username == user.username && *account == user.created_on && *number == user.sessions
    }

    /// Notes a use; true when it is time to write it down.
    fn touch(&self, now: Timestamp) -> bool {
        let now = now.as_millis();
        self.used.fetch_max(now, Ordering::Relaxed);
        let written = self.written.load(Ordering::Relaxed);
        now.saturating_sub(written) >= TOUCH_MS
            && self.written.compare_exchange(written, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn put(&self) -> Result<Change, WriteError> {
        let record = SessionRecord { used: self.used(), ..self.record.clone() };
        put(Table::Sessions, &self.key(), &record)
    }

    fn remove(&self) -> Change {
        (Table::Sessions, self.key().into_bytes(), None)
    }
}

/// A session that has just begun: the id for its cookie.
#[derive(Debug)]
pub struct NewSession {
    /// The cookie's value.
    pub id: Secret,
    /// Seconds until it ends at the latest.
    pub lifetime_s: i64,
    /// The session.
    pub session: Arc<Session>,
}

/// Every live session.
pub(super) struct Sessions {
    ids: MacKey,
    /// Of which the tokens are made that a session's forms carry.
    forms: MacKey,
    live: RwLock<HashMap<[u8; KEY_BYTES], Arc<Session>>>,
}

impl Sessions {
    pub(super) fn load(key: &ServerKey, vault: &dyn Vault) -> Result<Self, RecordError> {
        let mut live = HashMap::new();
        for (key, record) in read_all::<SessionRecord>(vault, Table::Sessions)? {
            let mut hash = [0; KEY_BYTES];
            if let Err(error) = hex::decode_to_slice(&key, &mut hash) {
                return Err(RecordError::Form { table: Table::Sessions, key, reason: error.to_string() });
            }
            let used = record.used.as_millis();
            live.insert(hash, Arc::new(Session { hash, record, used: used.into(), written: used.into() }));
        }
        let (ids, forms) = (key.mac_key("session ids"), key.mac_key("forms of sessions"));
        Ok(Self { ids, forms, live: RwLock::new(live) })
    }

    /// Prepares a session; it counts from [`Self::insert`] on.
    pub(super) fn prepare(
        &self,
        user: &UserRecord,
        visitor: &Visitor,
        now: Timestamp,
    ) -> Result<NewSession, NoRandomness> {
        let id = Secret::random("rcx_")?;
        let record = SessionRecord {
            username: user.username.clone(),
            account: user.created_on,
            number: user.sessions,
            begun: now,
            used: now,
            address: visitor.address.to_canonical(),
            agent: visitor.agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect(),
        };
        let hash = self.ids.tag(id.reveal().as_bytes());
        let used = now.as_millis();
        let session = Arc::new(Session { hash, record, used: used.into(), written: used.into() });
        Ok(NewSession { id, lifetime_s: ABSOLUTE_MS / 1000, session })
    }

    /// What is to be written so that a prepared session lasts, and so that its owner's do not grow without bound.
    pub(super) fn changes_for(&self, session: &Session, now: Timestamp) -> Result<Vec<Change>, WriteError> {
        let mut changes = vec![session.put()?];
        let mut own = self.of(session.username());
        let surplus = (own.len() + 1).saturating_sub(MAX_PER_USER);
        own.sort_by_key(|session| session.used());
        let live = self.live.read();
        let ended = live.values().filter(|session| !session.is_current(now));
        changes.extend(own.iter().take(surplus).chain(ended).map(|session| session.remove()));
        Ok(changes)
    }

    /// Puts a session into memory and takes out those that its changes removed. They must be durable by now.
    pub(super) fn insert(&self, session: Arc<Session>, written: &[Change]) {
        let mut live = self.live.write();
        for (table, key, value) in written {
            let mut hash = [0; KEY_BYTES];
            if *table == Table::Sessions && value.is_none() && hex::decode_to_slice(key, &mut hash).is_ok() {
                live.remove(&hash);
            }
        }
        live.insert(session.hash, session);
    }

    /// The session of this id, if there is one that has not ended by itself.
    pub(super) fn get(&self, id: &str, now: Timestamp) -> Option<Arc<Session>> {
        let hash = self.ids.tag(id.as_bytes());
        let session = self.live.read().get(&hash).cloned()?;
        session.is_current(now).then_some(session)
    }

    /// What a form carries that was made for this session.
    pub(super) fn form_token(&self, session: &Session) -> String {
        hex::encode(self.forms.tag(&session.hash))
    }

    /// Whether a form was made for this session.
    pub(super) fn is_form_token(&self, session: &Session, token: &str) -> bool {
        let mut tag = [0; KEY_BYTES];
        hex::decode_to_slice(token, &mut tag).is_ok() && self.forms.holds(&session.hash, &tag)
    }

    /// Notes that a session was used; answers what is to be written, now and then.
    pub(super) fn touch(&self, session: &Session, now: Timestamp) -> bool {
        session.touch(now)
    }

    /// What writes down when a session was last used, unless it has ended.
    pub(super) fn written_use(&self, session: &Session) -> Result<Option<Change>, WriteError> {
        let live = self.live.read().contains_key(&session.hash);
        live.then(|| session.put()).transpose()
    }

    /// The sessions of one operator, also those that count no more.
    pub(super) fn of(&self, username: &str) -> Vec<Arc<Session>> {
        self.live.read().values().filter(|session| session.username() == username).cloned().collect()
    }

    /// The sessions that a change of their account ends.
    pub(super) fn ended_by(&self, change: &UserChange) -> Vec<Arc<Session>> {
        let mut ended = self.of(change.username());
        if let UserChange::Put(user) = change {
            ended.retain(|session| !session.belongs_to(user));
        }
        ended
    }

    /// What is to be written so that sessions stay ended.
    pub(super) fn removals(sessions: &[Arc<Session>]) -> impl Iterator<Item = Change> {
        sessions.iter().map(|session| session.remove())
    }

    /// Ends sessions in memory, at once; answers what is to be written so that they stay so.
    pub(super) fn end(&self, sessions: &[Arc<Session>]) -> Vec<Change> {
        let mut live = self.live.write();
        for session in sessions {
            live.remove(&session.hash);
        }
        Self::removals(sessions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::users::{Start, first_admin};
    use super::super::vault::memory::MemoryVault;
    use super::*;

    const START: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(START + millis)
    }

    fn user(name: &str) -> UserRecord {
        let hash = super::super::PasswordHash::of_new(&Secret::new("correct horse!".to_owned())).unwrap();
        first_admin(name.to_owned(), format!("{name}@x.example"), Start::Active(hash), at(-1000))
    }

    fn visitor() -> Visitor {
        Visitor { address: [127, 0, 0, 1].into(), agent: "a\nbrowser".repeat(50) }
    }

    fn sessions(vault: &MemoryVault) -> Sessions {
        Sessions::load(&ServerKey::new(&[1; 32]), vault).unwrap()
    }

    fn begin(sessions: &Sessions, vault: &MemoryVault, user: &UserRecord, now: Timestamp) -> NewSession {
        let new = sessions.prepare(user, &visitor(), now).unwrap();
        let changes = sessions.changes_for(&new.session, now).unwrap();
        vault.write(changes.clone()).unwrap();
        sessions.insert(Arc::clone(&new.session), &changes);
        new
    }

    #[test]
    fn a_session_ends_by_idleness_and_by_age() {
        let vault = MemoryVault::default();
        let sessions = sessions(&vault);
        let new = begin(&sessions, &vault, &user("ann"), at(0));
        let get = |now| sessions.get(new.id.reveal(), now);
        assert!(get(at(IDLE_MS - 1)).is_some());
        assert!(get(at(IDLE_MS)).is_none());
        for hour in 0..(ABSOLUTE_MS / HOUR) {
            sessions.touch(&get(at(hour * HOUR)).unwrap(), at(hour * HOUR));
        }
        assert!(get(at(ABSOLUTE_MS - 1)).is_some());
        assert!(get(at(ABSOLUTE_MS)).is_none(), "however busy it is");
        assert!(get(at(-HOUR)).is_some(), "a clock set back by an hour ends none");
        assert!(get(at(-30 * 24 * HOUR)).is_none(), "a session from far ahead would outlive its week");
    }

    #[test]
    fn only_the_id_opens_it_and_the_store_does_not_have_it() {
        let vault = MemoryVault::default();
        let sessions = sessions(&vault);
        let new = begin(&sessions, &vault, &user("ann"), at(0));
        for wrong in [new.session.name(), hex::encode(new.session.hash), String::new(), format!("{}x", new.id.reveal())]
        {
            assert!(sessions.get(&wrong, at(1)).is_none(), "{wrong}");
        }
        for (key, value) in vault.records(Table::Sessions).unwrap() {
            let id = new.id.reveal().as_bytes();
            assert!(![key, value].concat().windows(id.len()).any(|part| part == id));
        }
        assert!(!format!("{new:?}").contains(new.id.reveal()));
        assert_eq!(new.session.agent().chars().count(), MAX_AGENT);
    }

    #[test]
    fn sessions_outlive_a_restart_with_their_last_use_and_ended_ones_do_not() {
        let vault = MemoryVault::default();
        let first = sessions(&vault);
        let (kept, ended) = (begin(&first, &vault, &user("ann"), at(0)), begin(&first, &vault, &user("ann"), at(0)));
        assert!(!first.touch(&kept.session, at(TOUCH_MS - 1)), "a request costs no write");
        assert!(first.touch(&kept.session, at(6 * HOUR)));
        assert!(!first.touch(&kept.session, at(6 * HOUR + 1)), "one writes it down for all");
        vault.write(first.written_use(&kept.session).unwrap().into_iter().collect()).unwrap();
        vault.write(first.end(&[Arc::clone(&ended.session)])).unwrap();
        assert!(first.written_use(&ended.session).unwrap().is_none(), "what has ended is never written again");

        let again = sessions(&vault);
        assert!(again.get(kept.id.reveal(), at(18 * HOUR - 1)).is_some());
        assert!(again.get(ended.id.reveal(), at(1)).is_none());
    }

    #[test]
    fn a_form_is_of_the_session_that_it_was_made_for() {
        let vault = MemoryVault::default();
        let sessions = sessions(&vault);
        let own = begin(&sessions, &vault, &user("ann"), at(0)).session;
        let other = begin(&sessions, &vault, &user("ann"), at(0)).session;
        let token = sessions.form_token(&own);
        assert!(sessions.is_form_token(&own, &token) && !sessions.is_form_token(&other, &token));
        assert!(!token.contains(&own.name()) && !token.contains(&hex::encode(own.hash)));
        for wrong in ["", "00", &token[2..], &format!("{token}00"), &"0".repeat(64)] {
            assert!(!sessions.is_form_token(&own, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_session_ends_with_what_its_account_was() {
        let vault = MemoryVault::default();
        let sessions = sessions(&vault);
        let ann = user("ann");
        let session = begin(&sessions, &vault, &ann, at(0)).session;
        assert!(session.belongs_to(&ann));
        let mut later = ann.clone();
        later.end_sessions().unwrap();
        assert!(!session.belongs_to(&later));
        let anew = UserRecord { created_on: at(5), ..ann.clone() };
        assert!(!session.belongs_to(&anew));
        assert!(!session.belongs_to(&user("bob")));
    }

    #[test]
    fn an_operators_sessions_are_bounded_and_ended_ones_are_swept() {
        let vault = MemoryVault::default();
        let sessions = sessions(&vault);
        let first = begin(&sessions, &vault, &user("ann"), at(0));
        let other = begin(&sessions, &vault, &user("bob"), at(0));
        for n in 1..=MAX_PER_USER as i64 {
            begin(&sessions, &vault, &user("ann"), at(n));
        }
        assert_eq!(sessions.of("ann").len(), MAX_PER_USER);
        assert!(sessions.get(first.id.reveal(), at(100)).is_none());
        assert!(sessions.get(other.id.reveal(), at(100)).is_some());
        begin(&sessions, &vault, &user("eve"), at(2 * ABSOLUTE_MS));
        assert_eq!(vault.records(Table::Sessions).unwrap().len(), 1);
        assert!(sessions.of("ann").is_empty() && sessions.of("bob").is_empty());
    }
}
