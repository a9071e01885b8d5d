//! Rotation numbers: how often what is derived from the server's key was given anew, by the name of whose it is.
//!
//! Owns the records, and the grace for which an earlier number lives on. A name is `system/integration` for an integration's
//! token, `system` for a system's browser keys. Knows nothing of what is derived. Invariant: a number never goes down, also
//! when what it is for was deleted, so that nothing that was ended works again.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use serde::{Deserialize, Serialize};

use super::vault::{Change, RecordError, Vault, put, read_all};
use crate::engine::WriteError;
use crate::model::{IntegrationId, SystemId, Timestamp};
use crate::store::Table;

/// Most numbers of one name that live on beside its newest, so that a script that rotates in a loop fills nothing.
const MAX_EARLIER: usize = 8;

/// The newest number of a name, and those that live on for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rotation {
    number: u32,
    #[serde(default)]
    earlier: Vec<Earlier>,
}

/// An earlier number that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    number: u32,
    until: Timestamp,
}

impl Rotation {
    /// The newest number.
    pub(super) fn newest(&self) -> u32 {
        self.number
    }

    /// Every number that may count, with the end of its grace; the newest has none.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (u32, Option<Timestamp>)> {
        let earlier = self.earlier.iter().map(|earlier| (earlier.number, Some(earlier.until)));
        earlier.chain([(self.number, None)])
    }

    /// Every number that counts at that time.
    pub(super) fn live(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        self.numbers().filter(move |(_, until)| until.is_none_or(|until| now < until)).map(|(number, _)| number)
    }

    /// The rotation after this one. With a grace the number of today, and those whose grace lasts, live on; without one, all
    /// end: who rotates because something leaked wants no other to work.
    fn raised(&self, grace_until: Option<Timestamp>, now: Timestamp) -> Self {
        let mut earlier = Vec::new();
        if let Some(until) = grace_until {
            earlier.push(Earlier { number: self.number, until });
            earlier.extend(self.earlier.iter().filter(|earlier| now < earlier.until));
            earlier.truncate(MAX_EARLIER);
        }
        Self { number: self.number.saturating_add(1), earlier }
    }
}

/// The name of an integration's rotation.
pub(super) fn integration_name(system: &SystemId, integration: &IntegrationId) -> String {
    format!("{system}/{integration}")
}

/// Rotations by name; a name that is not there was never rotated.
pub(super) type ByName = HashMap<String, Rotation>;

/// Every rotation, live.
pub(super) struct Rotations(ArcSwap<ByName>);

impl Rotations {
    pub(super) fn load(vault: &dyn Vault) -> Result<Self, RecordError> {
        let mut rotations = ByName::new();
        for (name, rotation) in read_all::<Rotation>(vault, Table::Rotations)? {
            if !is_name(&name) {
                let reason = "its key is neither `system` nor `system/integration`".to_owned();
                return Err(RecordError::Form { table: Table::Rotations, key: name, reason });
            }
            rotations.insert(name, rotation);
        }
        Ok(Self(ArcSwap::from_pointee(rotations)))
    }

    /// All of them, as they are now.
    pub(super) fn all(&self) -> Guard<Arc<ByName>> {
        self.0.load()
    }

    /// One of them.
    pub(super) fn of(&self, name: &str) -> Rotation {
        self.0.load().get(name).cloned().unwrap_or_default()
    }

    /// The next rotation of a name, and what is to be written before [`Self::set`] makes it count. The caller sees to it that
    /// one name is not raised twice at once.
    pub(super) fn raise(
        &self,
        name: &str,
        grace_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Rotation, Change), WriteError> {
        let rotation = self.of(name).raised(grace_until, now);
        let change = put(Table::Rotations, name, &rotation)?;
        Ok((rotation, change))
    }

    /// Makes a rotation count.
    pub(super) fn set(&self, name: &str, rotation: &Rotation) {
        self.0.rcu(|rotations| {
            let mut rotations = ByName::clone(rotations);
            rotations.insert(name.to_owned(), rotation.clone());
            rotations
        });
    }
}

fn is_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((system, integration)) => SystemId::new(system).is_ok() && IntegrationId::new(integration).is_ok(),
        None => SystemId::new(text).is_ok(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::accounts::vault::memory::MemoryVault;

    pub(in crate::accounts) fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Raises a name, durably.
    pub(in crate::accounts) fn raise(
        rotations: &Rotations,
        vault: &MemoryVault,
        name: &str,
        until: Option<i64>,
        now: i64,
    ) {
        let (rotation, change) = rotations.raise(name, until.map(at), at(now)).unwrap();
        vault.write(vec![change]).unwrap();
        rotations.set(name, &rotation);
    }

    #[test]
    fn rotating_in_a_loop_keeps_few() {
        let rotation = (0..100).fold(Rotation::default(), |rotation, now| rotation.raised(Some(at(1000)), at(now)));
        assert_eq!((rotation.newest(), rotation.numbers().count()), (100, MAX_EARLIER + 1));
        assert_eq!(rotation.numbers().next(), Some((99, Some(at(1000)))));
    }

    #[test]
    fn numbers_are_kept_by_name_over_a_restart() {
        let vault = MemoryVault::default();
        let rotations = Rotations::load(&vault).unwrap();
        raise(&rotations, &vault, "a", None, 0);
        raise(&rotations, &vault, "a/crm", Some(10), 0);
        raise(&rotations, &vault, "a/crm", None, 1);
        for rotations in [rotations, Rotations::load(&vault).unwrap()] {
            let newest = |name| rotations.of(name).newest();
            assert_eq!([newest("a"), newest("a/crm"), newest("a/other"), newest("b")], [1, 2, 0, 0]);
        }
    }

    #[test]
    fn a_record_of_another_name_is_not_passed_over() {
        let vault = MemoryVault::default();
        vault.put(Table::Rotations, "a/b/c", &Rotation::default());
        assert!(matches!(Rotations::load(&vault), Err(RecordError::Form { key, .. }) if key == "a/b/c"));
    }
}
