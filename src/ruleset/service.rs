//! What is live, and how it comes to be replaced.
//!
//! Owns the one swap. States of a system: *unserved* → (a good load) → *live* → (a good load of changed files) → *live*;
//! a broken load leaves a live system as it is and is only reported; an unserved one falls back to the last good version
//! that was kept. A folder that is gone takes its system with it, and its last good version.
//!
//! Invariants: loads happen one after the other; what has not changed keeps its [`RuleSet`] (the same `Arc`); each
//! distinct broken state is logged and counted once, however often it is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use super::files::{Folder, Tree, read_tree, settled};
use super::load::{Loaded, load};
use super::watch::Watcher;
use super::{FileError, Files, RuleSet};
use crate::clock::Clock;
use crate::model::{SystemId, Timestamp};
use crate::segments::Segment;

/// All that is live, as one immutable value: take it once a request.
#[derive(Default)]
pub struct LiveRules {
    /// The systems that are served.
    pub systems: BTreeMap<SystemId, Arc<RuleSet>>,
    /// One for each entry of the rules folder: systems that are live or were tried, and whatever else stands there. One
    /// whose `system` is empty tells what is wrong with the rules folder itself.
    pub reports: Vec<SystemReport>,
}

impl LiveRules {
    /// Whether nothing at all differs.
    fn is(&self, other: &Self) -> bool {
        let mut pairs = self.systems.iter().zip(&other.systems);
        self.reports == other.reports
            && self.systems.len() == other.systems.len()
            && pairs.all(|(old, new)| old.0 == new.0 && Arc::ptr_eq(old.1, new.1))
    }
}

/// What `/admin/v1/config` shows of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemReport {
    /// The name of the folder (or of the stray file).
    pub system: String,
    /// The revision that is served, if one is.
    pub revision: Option<String>,
    /// Since when it is served.
    pub live_since: Option<Timestamp>,
    /// Attributes of the version that is served; of the files on disk where none is.
    pub attributes_used: usize,
    /// What is wrong with the files on disk.
    pub errors: Vec<FileError>,
    /// What is allowed in the files on disk but worth a look.
    pub warnings: Vec<FileError>,
}

impl SystemReport {
    /// Whether an earlier version is served because the files on disk are broken.
    #[must_use]
    pub fn serves_last_good(&self) -> bool {
        self.revision.is_some() && !self.errors.is_empty()
    }
}

/// Where last good versions are kept (the store, behind this trait). Its methods may block.
pub trait LastGood: Send + Sync {
    /// Every system's last good files.
    ///
    /// # Errors
    /// What went wrong, for the log: the server then starts without them.
    fn load(&self) -> Result<BTreeMap<SystemId, Files>, String>;
    /// Keeps a system's files, in place of those kept before.
    ///
    /// # Errors
    /// What went wrong, for the log: the new version is live all the same.
    fn save(&self, system: &SystemId, files: &Files) -> Result<(), String>;
    /// Drops what is kept of a system.
    ///
    /// # Errors
    /// What went wrong, for the log.
    fn forget(&self, system: &SystemId) -> Result<(), String>;
}

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct RulesOptions {
    /// Whether changes on disk are followed.
    pub watch: bool,
    /// Whether writing is refused, as Git is the only writer.
    pub read_only: bool,
    /// Microseconds a row above which a rule that runs as a script is warned of.
    pub script_us: u64,
}

/// There is no system to serve at all; the reports say what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("no system under the rules folder can be served")]
pub struct NothingToServe {
    /// What is wrong, entry by entry.
    pub reports: Vec<SystemReport>,
}

/// Who has to know of rules before they are live. Its methods run under the service's lock: they must not reload or
/// write; they may block.
pub trait Following: Send + Sync {
    /// How long a segment that runs as a script takes for an end user on average, as far as that can be told.
    fn script_time(&self, rules: &RuleSet, segment: &Segment) -> Option<Duration>;
    /// Called with the old and the new rules just before each swap (the first one too, from nothing); what it does is
    /// done when the swap is seen.
    fn before_swap(&self, old: &LiveRules, new: &LiveRules);
}

/// Serves the rules: what is live, reloading, writing.
pub struct RulesService {
    pub(super) root: PathBuf,
    pub(super) clock: Clock,
    pub(super) options: RulesOptions,
    last_good: Arc<dyn LastGood>,
    following: Box<dyn Following>,
    live: ArcSwap<LiveRules>,
    tried: Mutex<Tried>,
    _watcher: Option<Watcher>,
}

/// What came of each entry of the rules folder when it was last read.
#[derive(Default)]
pub(super) struct Tried {
    outcomes: BTreeMap<String, Outcome>,
    root_error: Option<FileError>,
    /// Versions kept by an earlier run, for systems whose files on disk are broken at the start.
    kept: BTreeMap<SystemId, Files>,
}

/// What came of one entry.
struct Outcome {
    folder: Folder,
    errors: Vec<FileError>,
    warnings: Vec<FileError>,
    attributes_used: usize,
}

impl RulesService {
    /// Loads the tree (last good versions where it is broken) and, with `watch`, follows it on a thread of its own,
    /// which ends with the service. Blocks.
    ///
    /// # Errors
    /// [`NothingToServe`] when no system is good, now or kept from before.
    pub fn start(
        root: PathBuf,
        last_good: Arc<dyn LastGood>,
        clock: Clock,
        options: RulesOptions,
        following: Box<dyn Following>,
    ) -> Result<Arc<Self>, NothingToServe> {
        let root = std::path::absolute(&root).unwrap_or(root);
        let kept = last_good.load().unwrap_or_else(|error| {
            tracing::error!(error, "the last good rules could not be read from the store");
            BTreeMap::new()
        });
        let watch = options.watch;
        let service = Arc::new_cyclic(|this| Self {
            _watcher: watch.then(|| Watcher::start(root.clone(), this.clone())),
            root,
            clock,
            options,
            last_good,
            following,
            live: ArcSwap::default(),
            tried: Mutex::new(Tried { kept, ..Tried::default() }),
        });
        let live = service.reload();
        if live.systems.is_empty() {
            return Err(NothingToServe { reports: live.reports.clone() });
        }
        Ok(service)
    }

    /// What is live now.
    #[must_use]
    pub fn live(&self) -> Arc<LiveRules> {
        self.live.load_full()
    }

    /// Re-reads the disk now; returns when what is there has gone live or been refused. Blocks.
    pub fn reload(&self) -> Arc<LiveRules> {
        let mut tried = self.lock();
        self.refresh(&mut tried);
        self.live()
    }

    /// Whoever holds this is the only one to load or write.
    pub(super) fn lock(&self) -> MutexGuard<'_, Tried> {
        self.tried.lock()
    }

    /// Reads the disk and makes live what is good and has changed.
    pub(super) fn refresh(&self, tried: &mut Tried) {
        let old = self.live();
        self.finish_changes();
        let mut next = LiveRules::default();
        match settled(|| read_tree(&self.root)) {
            Ok(tree) => {
                tried.root_error = None;
                self.adopt(&old, tree, tried, &mut next);
            }
            Err(error) => self.without_root(&old, error, tried, &mut next),
        }
        if !next.is(&old) {
            let next = Arc::new(next);
            self.following.before_swap(&old, &next);
            self.live.store(Arc::clone(&next));
            log_swaps(&old, &next);
            self.keep(&old, &next, tried);
        }
    }

    /// Judges every entry of the rules folder; those that have not changed keep their outcome.
    fn adopt(&self, old: &LiveRules, tree: Tree, tried: &mut Tried, next: &mut LiveRules) {
        tried.outcomes.retain(|name, _| tree.contains_key(name));
        if tree.is_empty() {
            next.reports.push(report("", None, &Outcome::of_root(no_system(&self.root))));
        }
        for (name, folder) in tree {
            let id = folder.id.clone();
            let mut live = id.as_ref().and_then(|id| old.systems.get(id)).cloned();
            if tried.outcomes.get(&name).is_none_or(|outcome| outcome.folder != folder) {
                let (fresh, outcome) = self.judge(folder, live.as_deref());
                tell_failure(&name, &outcome.errors);
                live = fresh.map(Arc::new).or(live);
                tried.outcomes.insert(name.clone(), outcome);
            }
            if let (None, Some(id)) = (&live, &id) {
                live = self.kept(id, tried).map(Arc::new);
            }
            if let Some(outcome) = tried.outcomes.get(&name) {
                next.reports.push(report(&name, live.as_deref(), outcome));
            }
            next.systems.extend(id.zip(live));
        }
    }

    /// Loads one system's folder. No rule set comes out when it is broken, or when it is what is live already.
    fn judge(&self, folder: Folder, live: Option<&RuleSet>) -> (Option<RuleSet>, Outcome) {
        let Some(id) = &folder.id else {
            let errors = folder.errors.clone();
            return (None, Outcome { folder, errors, warnings: Vec::new(), attributes_used: 0 });
        };
        if let Some(live) = live.filter(|live| folder.errors.is_empty() && live.files == folder.files) {
            let (warnings, attributes_used) = (live.warnings.clone(), live.attributes_used());
            return (None, Outcome { folder, errors: Vec::new(), warnings, attributes_used });
        }
        let Loaded { result, warnings, attributes_used, .. } = self.load(id, &folder.files, live);
        let (rules, mut errors) = match result {
            Ok(rules) => (Some(rules).filter(|_| folder.errors.is_empty()), Vec::new()),
            Err(errors) => (None, errors),
        };
        errors.extend(folder.errors.iter().cloned());
        errors.sort();
        (rules, Outcome { folder, errors, warnings, attributes_used })
    }

    /// Loads a system's files, and times its scripts over the end users that are there.
    pub(super) fn load(&self, id: &SystemId, files: &Files, live: Option<&RuleSet>) -> Loaded {
        let mut loaded = self.load_untimed(id, files, live);
        let Ok(rules) = &loaded.result else { return loaded };
        let mut errors = Vec::new();
        for segment in rules.segments.iter().filter(|segment| segment.condition().is_err()) {
            let Some(time) = self.following.script_time(rules, segment) else { continue };
            let most = Duration::from_micros(self.options.script_us);
            if time <= most {
                continue;
            }
            let message = format!(
                "the rule runs as a script and takes {} µs an end user on average; `limits.script_us` allows {}",
                time.as_micros(),
                self.options.script_us
            );
            let hint = "write it as one boolean expression over attributes (`rollcall check` says what keeps it from that), or put what can be written so in front with `&&`";
            let slow = FileError::whole(format!("{id}/segments/{}.rhai", segment.id), message, Some(hint.to_owned()));
            // What is live already, or was before a restart, is not taken away.
            let is_new =
                live.is_some_and(|live| live.segments.get(&segment.id).is_none_or(|old| old.text != segment.text));
            if is_new { errors.push(slow) } else { loaded.warnings.push(slow) }
        }
        if !errors.is_empty() {
            loaded.result = Err(errors);
        }
        loaded
    }

    /// Loads a system's files.
    pub(super) fn load_untimed(&self, id: &SystemId, files: &Files, live: Option<&RuleSet>) -> Loaded {
        load(id, files, live, self.clock.now())
    }

    /// The version kept by an earlier run, compiled. It is tried once.
    fn kept(&self, id: &SystemId, tried: &mut Tried) -> Option<RuleSet> {
        let files = tried.kept.get(id)?;
        match load(id, files, None, self.clock.now()).result {
            Ok(rules) => {
                let revision = &rules.revision;
                tracing::warn!(system = %id, revision, "the rules on disk are broken: serving the last good version");
                Some(rules)
            }
            Err(errors) => {
                tracing::error!(system = %id, "the last good version of the rules does not load any more");
                log_errors(id.as_str(), &errors);
                tried.kept.remove(id);
                None
            }
        }
    }

    /// The rules folder can't be read: everything stays as it is, and at the start everything kept is served.
    fn without_root(&self, old: &LiveRules, error: FileError, tried: &mut Tried, next: &mut LiveRules) {
        if tried.root_error.as_ref() != Some(&error) {
            tell_failure("", std::slice::from_ref(&error));
        }
        next.systems.clone_from(&old.systems);
        let kept: Vec<SystemId> = tried.kept.keys().filter(|id| !old.systems.contains_key(*id)).cloned().collect();
        for id in kept {
            if let Some(rules) = self.kept(&id, tried) {
                next.systems.insert(id, Arc::new(rules));
            }
        }
        let outcome = Outcome::of_root(error.clone());
        next.reports.extend(next.systems.iter().map(|(id, rules)| report(id.as_str(), Some(rules), &outcome)));
        if next.systems.is_empty() {
            next.reports.push(report("", None, &outcome));
        }
        tried.root_error = Some(error);
    }

    /// Keeps the new versions as last good, and forgets the systems that are gone.
    fn keep(&self, old: &LiveRules, next: &LiveRules, tried: &mut Tried) {
        for (id, rules) in &next.systems {
            let known = old.systems.get(id).is_some_and(|old| old.files == rules.files);
            if !known && tried.kept.get(id) != Some(&rules.files) {
                self.last_good.save(id, &rules.files).unwrap_or_else(|error| {
                    tracing::error!(system = %id, error, "the last good rules could not be kept");
                });
            }
        }
        // Where nothing is served, the server ends: perhaps it was only started on a wrong folder.
        if !next.systems.is_empty() || !old.systems.is_empty() {
            self.forget(old, tried);
        }
    }

    fn forget(&self, old: &LiveRules, tried: &mut Tried) {
        // After the first load the store holds what this process has put there.
        let kept = std::mem::take(&mut tried.kept);
        if tried.root_error.is_some() {
            return;
        }
        let ids = kept.keys().chain(old.systems.keys());
        let gone: std::collections::BTreeSet<_> = ids.filter(|id| !tried.outcomes.contains_key(id.as_str())).collect();
        for id in gone {
            tracing::info!(system = %id, "the system's folder is gone, and the system with it");
            self.last_good.forget(id).unwrap_or_else(|error| {
                tracing::error!(system = %id, error, "the last good rules could not be dropped");
            });
        }
    }
}

impl Outcome {
    /// What is wrong with the rules folder itself.
    fn of_root(error: FileError) -> Self {
        Self { folder: Folder::default(), errors: vec![error], warnings: Vec::new(), attributes_used: 0 }
    }
}

fn report(system: &str, live: Option<&RuleSet>, outcome: &Outcome) -> SystemReport {
    SystemReport {
        system: system.to_owned(),
        revision: live.map(|live| live.revision.clone()),
        live_since: live.map(|live| live.live_since),
        attributes_used: live.map_or(outcome.attributes_used, RuleSet::attributes_used),
        errors: outcome.errors.clone(),
        warnings: outcome.warnings.clone(),
    }
}

/// The mistake of a rules folder in which there is nothing.
pub(super) fn no_system(root: &Path) -> FileError {
    let hint = "make a folder for a system, such as `default/integrations/crm.toml` in it".to_owned();
    FileError::whole(".", format!("the rules folder `{}` holds no system", root.display()), Some(hint))
}

/// Logs and counts one load that failed; no mistakes, no failure.
fn tell_failure(system: &str, errors: &[FileError]) {
    if errors.is_empty() {
        return;
    }
    metrics::counter!("rollcall_rules_load_failures_total").increment(1);
    log_errors(system, errors);
}

fn log_errors(system: &str, errors: &[FileError]) {
    for FileError { file, line, column, message, hint } in errors {
        let hint = hint.as_deref();
        tracing::error!(system, file, line, column, hint, "the rules do not load: {message}");
    }
}

fn is_broken(rules: &LiveRules, id: &SystemId) -> bool {
    rules.reports.iter().any(|report| report.system == id.as_str() && !report.errors.is_empty())
}

fn log_swaps(old: &LiveRules, next: &LiveRules) {
    #[expect(clippy::cast_precision_loss, reason = "a count of folders is far below 2^53")]
    let broken = next.reports.iter().filter(|report| !report.errors.is_empty()).count() as f64;
    metrics::gauge!("rollcall_rules_systems_with_errors").set(broken);
    for (id, rules) in &next.systems {
        if old.systems.get(id).is_some_and(|old| Arc::ptr_eq(old, rules)) {
            if is_broken(old, id) && !is_broken(next, id) {
                tracing::info!(system = %id, revision = rules.revision, "the rules on disk are mended: they are what is live");
            }
            continue;
        }
        let (attributes, segments) = (rules.attributes_used(), rules.segments.iter().count());
        tracing::info!(system = %id, revision = rules.revision, attributes, segments, "the rules are live");
        for FileError { file, message, .. } in &rules.warnings {
            tracing::warn!(system = %id, file, "{message}");
        }
    }
}

#[cfg(test)]
mod tests;
