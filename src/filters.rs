//! Saved filters: a question about end users under a name, for whoever saved it or for everyone.
//!
//! Owns who may see and change one. Refuses to know what a filter says: it is kept as it was sent, so that one whose
//! attribute is gone today is whole again when the attribute comes back; whether it is good is asked of `predicate`, by
//! whoever saves or shows it. Who somebody is, is told by an id that two people never share. Invariant: memory never says more than the store: a change counts when it is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::engine::{Engine, WriteError};
use crate::model::{FilterId, SystemId, Timestamp};
use crate::store::{self, StoreError, Table};

/// Most filters of a system: far above what people keep apart.
const MOST: usize = 1_000;

/// A saved filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Its id within its system.
    pub id: FilterId,
    /// What is kept of it.
    pub content: FilterContent,
    /// The id of who saved it first: the only one to change it.
    pub owner: String,
    /// When it was saved last.
    pub updated_at: Timestamp,
}

/// What is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterContent {
    /// Its name for people.
    pub name: String,
    /// What it asks: a `where` as it was sent.
    pub condition: String,
    /// Whether others see it.
    pub shared: bool,
}

/// A filter as it is stored, under `system/id`.
#[derive(Debug, Serialize, Deserialize)]
struct FilterRecord {
    name: String,
    condition: String,
    shared: bool,
    owner: String,
    updated_at: Timestamp,
}

/// Why a filter is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// There is none, or none to be seen.
    #[error("there is no filter `{0}`")]
    Unknown(FilterId),
    /// It is somebody else's.
    #[error("the filter `{0}` belongs to somebody else, who alone can change it: save it under another id")]
    NotYours(FilterId),
    /// Somebody keeps one of that id for themselves.
    #[error("the id `{0}` is taken: save the filter under another one")]
    Taken(FilterId),
    /// The system has as many as it may.
    #[error("the system has {MOST} filters, which is the most: delete some first")]
    TooMany,
    /// The store did not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

type Key = (SystemId, FilterId);

/// Every saved filter.
pub struct Filters {
    engine: Engine,
    clock: Clock,
    kept: RwLock<BTreeMap<Key, Arc<Filter>>>,
    /// Held from looking who may change a filter until the change counts.
    changing: Mutex<()>,
}

impl Filters {
    /// Reads what the store keeps. One that can't be read is left out and told of.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn open(engine: Engine, clock: Clock) -> Result<Self, StoreError> {
        let records = engine.store().records(Table::Filters)?;
        let mut kept = BTreeMap::new();
        for (key, value) in records {
            let name = String::from_utf8_lossy(&key).into_owned();
            match (parsed_key(&name), store::decode::<FilterRecord>(&value)) {
                (Some(key), Ok(record)) => {
                    kept.insert(key.clone(), Arc::new(record.into_filter(key.1)));
                }
                (_, Err(error)) => tracing::warn!(filter = name, %error, "a saved filter can't be read; left out"),
                (None, _) => tracing::warn!(filter = name, "a saved filter has no proper key; left out"),
            }
        }
        Ok(Self { engine, clock, kept: RwLock::new(kept), changing: Mutex::new(()) })
    }

    /// The filters of a system that somebody sees, by id.
    #[must_use]
    pub fn list(&self, system: &SystemId, who: &str) -> Vec<Arc<Filter>> {
        let kept = self.kept.read();
        let of_system = kept.iter().filter(|((of, _), filter)| of == system && filter.is_seen_by(who));
        of_system.map(|(_, filter)| Arc::clone(filter)).collect()
    }

    /// A filter, if somebody sees it.
    #[must_use]
    pub fn get(&self, system: &SystemId, id: &FilterId, who: &str) -> Option<Arc<Filter>> {
        self.any(system, id).filter(|filter| filter.is_seen_by(who))
    }

    fn any(&self, system: &SystemId, id: &FilterId) -> Option<Arc<Filter>> {
        self.kept.read().get(&(system.clone(), id.clone())).cloned()
    }

    /// Saves a filter; with whether it is new. Blocks.
    ///
    /// # Errors
    /// [`FilterError`]; then nothing has changed.
    pub fn save(
        &self,
        system: &SystemId,
        id: &FilterId,
        content: FilterContent,
        who: &str,
    ) -> Result<(Arc<Filter>, bool), FilterError> {
        let _changing = self.changing.lock();
        let old = self.any(system, id);
        match &old {
            Some(filter) if filter.owner == who => {}
            Some(filter) if filter.content.shared => return Err(filter.not_yours()),
            Some(_) => return Err(FilterError::Taken(id.clone())),
            None if self.kept.read().keys().filter(|(of, _)| of == system).count() >= MOST => {
                return Err(FilterError::TooMany);
            }
            None => {}
        }
        let updated_at = self.clock.now();
        let filter = Arc::new(Filter { id: id.clone(), content, owner: who.to_owned(), updated_at });
        self.write(system, id, Some(&filter))?;
        self.kept.write().insert((system.clone(), id.clone()), Arc::clone(&filter));
        Ok((filter, old.is_none()))
    }

    /// Deletes a filter: its owner may, and whoever tidies up. Blocks.
    ///
    /// # Errors
    /// [`FilterError`]; then nothing has changed.
    pub fn delete(&self, system: &SystemId, id: &FilterId, who: &str, tidies: bool) -> Result<(), FilterError> {
        let _changing = self.changing.lock();
        match self.any(system, id) {
            Some(filter) if filter.owner == who || tidies => {}
            Some(filter) if filter.content.shared => return Err(filter.not_yours()),
            _ => return Err(FilterError::Unknown(id.clone())),
        }
        self.write(system, id, None)?;
        self.kept.write().remove(&(system.clone(), id.clone()));
        Ok(())
    }

    fn write(&self, system: &SystemId, id: &FilterId, filter: Option<&Filter>) -> Result<(), FilterError> {
        let record = filter.map(|filter| store::encode(&FilterRecord::of(filter))).transpose();
        let value = record.map_err(|error| WriteError::Failed(error.to_string()))?;
        Ok(self.engine.write_records_blocking(vec![(Table::Filters, format!("{system}/{id}").into_bytes(), value)])?)
    }
}

impl Filter {
    fn is_seen_by(&self, who: &str) -> bool {
        self.content.shared || self.owner == who
    }

    fn not_yours(&self) -> FilterError {
        FilterError::NotYours(self.id.clone())
    }
}

impl FilterRecord {
    fn of(filter: &Filter) -> Self {
        let FilterContent { name, condition, shared } = filter.content.clone();
        Self { name, condition, shared, owner: filter.owner.clone(), updated_at: filter.updated_at }
    }

    fn into_filter(self, id: FilterId) -> Filter {
        let Self { name, condition, shared, owner, updated_at } = self;
        Filter { id, content: FilterContent { name, condition, shared }, owner, updated_at }
    }
}

fn parsed_key(key: &str) -> Option<Key> {
    let (system, id) = key.split_once('/')?;
    Some((SystemId::new(system).ok()?, FilterId::new(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineOptions;
    use crate::store::{Options, Store};

    fn open(folder: &std::path::Path) -> (Engine, Filters) {
        let store = Store::open(folder, &Options { cache_mib: 8 }).unwrap();
        let clock = Clock::manual(Timestamp::from_millis(7));
        let engine = Engine::start(store, clock.clone(), &EngineOptions { min_free_mib: 0 }).unwrap();
        (engine.clone(), Filters::open(engine, clock).unwrap())
    }

    fn content(name: &str, shared: bool) -> FilterContent {
        FilterContent { name: name.to_owned(), condition: r#"{"all": []}"#.to_owned(), shared }
    }

    #[test]
    fn a_filter_is_changed_by_its_owner_alone_and_seen_by_others_when_shared() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, filters) = open(folder.path());
        let (system, id) = (SystemId::new("s").unwrap(), FilterId::new("f").unwrap());
        let save = |name: &str, shared, who: &str| filters.save(&system, &id, content(name, shared), who);
        assert!(save("mine", false, "ann").unwrap().1);
        assert!(filters.get(&system, &id, "bob").is_none() && filters.list(&system, "bob").is_empty());
        assert_eq!(save("his", true, "bob"), Err(FilterError::Taken(id.clone())), "it is not told whose it is");
        assert_eq!(filters.delete(&system, &id, "bob", false), Err(FilterError::Unknown(id.clone())));

        assert!(!save("ours", true, "ann").unwrap().1);
        assert_eq!(filters.get(&system, &id, "bob").unwrap().content.name, "ours");
        assert!(filters.get(&SystemId::new("t").unwrap(), &id, "ann").is_none());
        let not_yours = FilterError::NotYours(id.clone());
        assert_eq!(save("his", true, "bob"), Err(not_yours.clone()));
        assert_eq!(filters.delete(&system, &id, "bob", false), Err(not_yours));

        engine.stop();
        drop((engine, filters));
        let (engine, filters) = open(folder.path());
        assert_eq!(filters.list(&system, "bob")[0].content, content("ours", true), "it survives a restart");
        filters.delete(&system, &id, "bob", true).unwrap();
        assert!(filters.list(&system, "ann").is_empty());
        engine.stop();
        drop((engine, filters));
        let (engine, filters) = open(folder.path());
        assert!(filters.list(&system, "ann").is_empty());
        engine.stop();
    }

    #[test]
    fn a_system_has_only_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, filters) = open(folder.path());
        let system = SystemId::new("s").unwrap();
        let filter = |n: usize| FilterId::new(&format!("f{n}")).unwrap();
        for n in 0..MOST {
            let key = (system.clone(), filter(n));
            let owner = "ann".to_owned();
            let kept = Filter { id: filter(n), content: content("x", true), owner, updated_at: Timestamp::default() };
            filters.kept.write().insert(key, Arc::new(kept));
        }
        assert_eq!(filters.save(&system, &filter(MOST), content("x", true), "ann"), Err(FilterError::TooMany));
        assert!(filters.save(&system, &filter(0), content("y", true), "ann").is_ok(), "those there are may change");
        assert!(filters.save(&SystemId::new("t").unwrap(), &filter(0), content("x", true), "ann").is_ok());
        engine.stop();
    }
}
