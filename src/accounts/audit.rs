//! The audit: who did what, from where, and what it was before and after.
//!
//! Owns the entries' form and their keys; an entry goes into the commit of the change that it tells of. Knows nothing of
//! what is done with what. Invariants: an entry holds no secret and no end user's identifier (a keyed hash stands for it);
//! nothing changes an entry, and it goes when it is older than `audit.keep_days`.
//!
//! ```text
//! key   !milliseconds u64, !count u32, chance u32 (BE)     so that the newest comes first
//! ```

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::principal::{Asker, Principal};
use super::secret::random;
use super::vault::{Change, RecordError, StoredRecord, Vault};
use crate::engine::{RecordWrite, WriteError};
use crate::model::Timestamp;
use crate::store::{self, Table};

/// Bytes of a key.
const KEY_BYTES: usize = 16;
/// Entries read at once.
const READ_AT_ONCE: usize = 256;
/// Most entries looked at for one page. A filter that few of them pass gives a shorter page, and the list goes on behind
/// it, rather than a request that reads years.
const MOST_LOOKED_AT: usize = 20_000;
/// Most entries dropped in one commit.
const DROPPED_AT_ONCE: usize = 5_000;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// What kind of actor it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// An operator.
    User,
    /// An OAuth client.
    Client,
    /// A command on the server's machine.
    Command,
    /// Nobody who could be told.
    Anonymous,
}

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The principal.
    pub principal: Arc<Principal>,
    /// The address that it calls from, as far as it is known.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// Its name in `modified_by` and in the audit.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.principal.name
    }
}

/// Who is put down as having done something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// What kind of actor it is.
    pub kind: ActorKind,
    /// Its name.
    pub name: String,
    /// Where it called from.
    pub address: Option<IpAddr>,
}

impl From<&Actor> for By {
    fn from(actor: &Actor) -> Self {
        let kind = match actor.principal.asker {
            Asker::Client => ActorKind::Client,
            Asker::User { .. } => ActorKind::User,
        };
        Self { kind, name: actor.name().to_owned(), address: actor.address }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    action: &'static str,
    object: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl Act {
    /// An action (`user.disable`) on an object (`users/ann`), both as the paths of the API have them.
    #[must_use]
    pub fn new(action: &'static str, object: impl Into<String>) -> Self {
        Self { action, object: object.into(), before: None, after: None }
    }
    /// How the object was.
    #[must_use]
    pub fn before(self, value: Value) -> Self {
        Self { before: Some(value), ..self }
    }
    /// How it is now.
    #[must_use]
    pub fn after(self, value: Value) -> Self {
        Self { after: Some(value), ..self }
    }
}

/// An entry, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it was done.
    pub at: Timestamp,
    /// What kind of actor did it.
    pub actor_kind: ActorKind,
    /// The actor's name.
    pub actor: String,
    /// The address that the actor called from.
    pub address: Option<String>,
    /// What was done: `user.disable`.
    pub action: String,
    /// With what: `users/ann`.
    pub object: String,
    /// How it was.
    pub before: Option<Value>,
    /// How it is since.
    pub after: Option<Value>,
}

/// Which entries are asked for. An empty text asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The actor's name.
    pub actor: String,
    /// The action, or the part of it before a dot.
    pub action: String,
    /// The object, or a path above it.
    pub object: String,
    /// Entries of this time and later ones.
    pub from: Option<Timestamp>,
    /// Entries before this time.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    fn passes(&self, entry: &AuditEntry) -> bool {
        (self.actor.is_empty() || self.actor == entry.actor)
            && is_at_or_below(&entry.action, &self.action, '.')
            && is_at_or_below(&entry.object, &self.object, '/')
            && self.from.is_none_or(|from| from <= entry.at)
            && self.to.is_none_or(|to| entry.at < to)
    }
}

fn is_at_or_below(text: &str, asked: &str, separator: char) -> bool {
    asked.is_empty() || text.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Some entries, and where to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries, newest first, each with its key in hex.
    pub entries: Vec<(String, AuditEntry)>,
    /// The key of the last entry that was looked at, if there are more behind it.
    pub next: Option<String>,
}

/// Makes and finds entries.
pub(super) struct Audit {
    keep_ms: i64,
    count: AtomicU32,
}

impl Audit {
    pub(super) fn new(keep_days: u32) -> Self {
        Self { keep_ms: i64::from(keep_days) * DAY_MS, count: AtomicU32::new(0) }
    }

    /// The record that puts something down; to be written with the change that it tells of.
    pub(super) fn record(&self, by: &By, act: Act, at: Timestamp) -> Result<RecordWrite, WriteError> {
        let failed = |reason: String| WriteError::Failed(reason);
        let Act { action, object, before, after } = act;
        let entry = AuditEntry {
            at,
            actor_kind: by.kind,
            actor: by.name.clone(),
            address: by.address.map(|address| address.to_string()),
            action: action.to_owned(),
            object,
            before,
            after,
        };
        let value = store::encode(&entry).map_err(|error| failed(error.to_string()))?;
        let chance: [u8; 4] = random().map_err(|error| failed(error.to_string()))?;
        let mut key = first_key(at).to_vec();
        key.truncate(8);
        key.extend((!self.count.fetch_add(1, Ordering::Relaxed)).to_be_bytes());
        key.extend(chance);
        Ok((Table::Audit, key, Some(value)))
    }

    /// At most `limit` entries that pass the filter, newest first, from behind the key `after` on (`None`: from the newest).
    /// `None` when `after` is no key.
    pub(super) fn page(
        &self,
        vault: &dyn Vault,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Option<AuditPage>, RecordError> {
        let Some(mut from) = start(filter, after) else { return Ok(None) };
        let mut page = AuditPage { entries: Vec::new(), next: None };
        for _ in 0..MOST_LOOKED_AT / READ_AT_ONCE {
            let records = vault.records_from(Table::Audit, &from, READ_AT_ONCE)?;
            let whole = records.len() == READ_AT_ONCE;
            for (key, value) in records {
                let entry = read(&key, &value)?;
                if filter.from.is_some_and(|from| entry.at < from) {
                    page.next = None;
                    return Ok(Some(page));
                }
                if page.entries.len() == limit {
                    return Ok(Some(page));
                }
                page.next = Some(hex::encode(&key));
                if filter.passes(&entry) {
                    page.entries.push((hex::encode(&key), entry));
                }
                from = key;
            }
            if !whole {
                page.next = None;
                return Ok(Some(page));
            }
            from = behind(from);
        }
        Ok(Some(page))
    }

    /// What drops entries that are older than they are kept: some of them, and none when all are gone.
    pub(super) fn expired(&self, vault: &dyn Vault, now: Timestamp) -> Result<Vec<Change>, RecordError> {
        let limit = Timestamp::from_millis(now.as_millis().saturating_sub(self.keep_ms));
        let old = vault.records_from(Table::Audit, &first_key(limit), DROPPED_AT_ONCE)?;
        Ok(old.into_iter().map(|(key, _): StoredRecord| (Table::Audit, key, None)).collect())
    }
}

/// The first key that an entry of that time, or an older one, can have.
fn first_key(at: Timestamp) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let time = (!u64::try_from(at.as_millis()).unwrap_or(0)).to_be_bytes();
    key.iter_mut().zip(time).for_each(|(to, from)| *to = from);
    key
}

/// Where a page begins. `to` is not part of what is asked for, so it begins a millisecond before.
fn start(filter: &AuditFilter, after: Option<&str>) -> Option<Vec<u8>> {
    if let Some(after) = after {
        return hex::decode(after).ok().filter(|key| key.len() == KEY_BYTES).map(behind);
    }
    let newest = filter.to.map(|to| Timestamp::from_millis(to.as_millis().saturating_sub(1)));
    Some(newest.map_or_else(|| vec![0; KEY_BYTES], |newest| first_key(newest).to_vec()))
}

/// The first key of that length behind a key.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    for byte in key.iter_mut().rev() {
        let (next, carried) = byte.overflowing_add(1);
        *byte = next;
        if !carried {
            break;
        }
    }
    key
}

fn read(key: &[u8], value: &[u8]) -> Result<AuditEntry, RecordError> {
    store::decode(value).map_err(|error| RecordError::Form {
        table: Table::Audit,
        key: hex::encode(key),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::vault::memory::MemoryVault;
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS)
    }

    /// Entries of `ann` and `bob` in turn, one a day.
    fn filled(days: i64) -> (MemoryVault, Audit) {
        let (vault, audit) = (MemoryVault::default(), Audit::new(10));
        for day in 0..days {
            let name = if day % 2 == 0 { "ann" } else { "bob" };
            let by = By { kind: ActorKind::User, name: name.to_owned(), address: None };
            let act = Act::new("user.disable", format!("users/u{day}")).after(json!({ "status": "INACTIVE" }));
            vault.write(vec![audit.record(&by, act, at(day)).unwrap()]).unwrap();
        }
        (vault, audit)
    }

    fn objects(page: &AuditPage) -> Vec<&str> {
        page.entries.iter().map(|(_, entry)| entry.object.as_str()).collect()
    }

    #[test]
    fn entries_come_newest_first_and_every_one_once() {
        let (vault, audit) = filled(600);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = audit.page(&vault, &AuditFilter::default(), after.as_deref(), 7).unwrap().unwrap();
            seen.extend(objects(&page).into_iter().map(str::to_owned));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..600).rev().map(|day| format!("users/u{day}")).collect();
        assert_eq!(seen, expected);
        assert_eq!(audit.page(&vault, &AuditFilter::default(), Some("zz"), 7).unwrap(), None);
    }

    #[test]
    fn entries_of_one_millisecond_keep_their_order() {
        let (vault, audit) = (MemoryVault::default(), Audit::new(1));
        let by = By { kind: ActorKind::Command, name: "x".to_owned(), address: None };
        for number in 0..300 {
            let act = Act::new("a", number.to_string());
            vault.write(vec![audit.record(&by, act, at(1)).unwrap()]).unwrap();
        }
        let page = audit.page(&vault, &AuditFilter::default(), None, 1000).unwrap().unwrap();
        assert_eq!(objects(&page), (0..300).rev().map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn filters_name_actor_action_object_and_time() {
        let (vault, audit) = filled(6);
        let found = |filter: AuditFilter| {
            let page = audit.page(&vault, &filter, None, 50).unwrap().unwrap();
            objects(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let filter = AuditFilter::default;
        assert_eq!(found(AuditFilter { actor: "bob".to_owned(), ..filter() }), ["users/u5", "users/u3", "users/u1"]);
        for (action, count) in [("user", 6), ("user.disable", 6), ("use", 0), ("user.dis", 0), ("user.disable.x", 0)] {
            assert_eq!(found(AuditFilter { action: action.to_owned(), ..filter() }).len(), count, "{action}");
        }
        for (object, count) in [("users", 6), ("users/u1", 1), ("users/u", 0)] {
            assert_eq!(found(AuditFilter { object: object.to_owned(), ..filter() }).len(), count, "{object}");
        }
        let between = AuditFilter { from: Some(at(2)), to: Some(at(4)), ..filter() };
        assert_eq!(found(between), ["users/u3", "users/u2"], "from is in, to is not");
    }

    #[test]
    fn old_entries_go_and_the_rest_stays() {
        let (vault, audit) = filled(30);
        let gone = audit.expired(&vault, at(30)).unwrap();
        assert_eq!(gone.len(), 21, "older than ten days, and the one that is just ten");
        vault.write(gone).unwrap();
        let page = audit.page(&vault, &AuditFilter::default(), None, 100).unwrap().unwrap();
        assert_eq!((page.entries.len(), objects(&page).last().copied()), (9, Some("users/u21")));
        assert!(audit.expired(&vault, at(30)).unwrap().is_empty());
    }
}
