//! What the tests of this room share: rule trees in a folder of their own, and a last good store in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Files, Following, LastGood, LiveRules, RuleSet};
use crate::model::SystemId;
use crate::segments::Segment;

/// A good integration of three attributes, the second a number.
pub(super) const CRM: &str = "user_identifier = \"Email\"\n\
    [[properties]]\nfield = \"Customer_Type\"\ntype = \"string\"\n\
    [[properties]]\nfield = \"Seats\"\ntype = \"number\"\n\
    [[properties]]\nfield = \"Signup\"\ntype = \"date\"\n";

/// A good integration of so many attributes: the first line, then three lines each.
pub(super) fn integration(count: usize) -> String {
    let property = |i: usize| format!("[[properties]]\nfield = \"f{i}\"\ntype = \"string\"\n");
    std::iter::once("user_identifier = \"id\"\n".to_owned()).chain((0..count).map(property)).collect()
}

pub(super) fn system(id: &str) -> SystemId {
    SystemId::new(id).unwrap()
}

pub(super) fn files(given: &[(&str, &str)]) -> Files {
    given.iter().map(|(path, text)| ((*path).to_owned(), Arc::from(*text))).collect()
}

/// A rules folder that goes away with the test.
pub(super) struct Rules(tempfile::TempDir);

impl Rules {
    pub(super) fn new(given: &[(&str, &str)]) -> Self {
        let rules = Self(tempfile::tempdir().unwrap());
        fs::create_dir(rules.root()).unwrap();
        given.iter().for_each(|(path, text)| rules.put(path, text));
        rules
    }
    pub(super) fn root(&self) -> PathBuf {
        self.0.path().join("rules")
    }
    /// The folder that holds the rules folder.
    pub(super) fn outside(&self) -> &Path {
        self.0.path()
    }
    pub(super) fn put(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Nobody has to know of new rules.
pub(super) struct Nobody;

impl Following for Nobody {
    fn script_time(&self, _: &RuleSet, _: &Segment) -> Option<Duration> {
        None
    }
    fn before_swap(&self, _: &LiveRules, _: &LiveRules) {}
}

/// Calls a function before each swap.
pub(super) struct Hook<F>(pub(super) F);

impl<F: Fn(&LiveRules, &LiveRules) + Send + Sync> Following for Hook<F> {
    fn script_time(&self, _: &RuleSet, _: &Segment) -> Option<Duration> {
        Some(Duration::from_micros(250))
    }
    fn before_swap(&self, old: &LiveRules, new: &LiveRules) {
        (self.0)(old, new);
    }
}

/// Last good versions in memory.
#[derive(Default)]
pub(super) struct Kept(pub(super) Mutex<BTreeMap<SystemId, Files>>);

impl Kept {
    pub(super) fn with(system_id: &str, given: &[(&str, &str)]) -> Arc<Self> {
        let kept = Self::default();
        kept.0.lock().insert(system(system_id), files(given));
        Arc::new(kept)
    }
    pub(super) fn text(&self, system_id: &str, path: &str) -> Option<Arc<str>> {
        self.0.lock().get(&system(system_id))?.get(path).cloned()
    }
}

impl LastGood for Kept {
    fn load(&self) -> Result<BTreeMap<SystemId, Files>, String> {
        Ok(self.0.lock().clone())
    }
    fn save(&self, system: &SystemId, files: &Files) -> Result<(), String> {
        self.0.lock().insert(system.clone(), files.clone());
        Ok(())
    }
    fn forget(&self, system: &SystemId) -> Result<(), String> {
        self.0.lock().remove(system);
        Ok(())
    }
}
