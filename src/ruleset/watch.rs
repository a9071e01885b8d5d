//! When to read the rules folder again.
//!
//! Owns which folders are watched, how a wave of events is waited out, and the slow poll. Reads no rule: whatever
//! happens, it calls the service, which compares contents and never times. Watches folders, not files, as editors,
//! `git checkout` and Kubernetes replace files rather than write them.
//!
//! Invariant: watches stand before the folder is read, so that a change falls either into the reading or into the next
//! wave; after each wave they are set anew, since a folder that was replaced takes its watch with it.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::RulesService;
use super::files::is_ignored;

/// How long it must be quiet before the folder is read: longer than the pauses within a checkout, and a small part of
/// the 300 ms in which a change must be live.
const QUIET: Duration = Duration::from_millis(40);
/// How long a wave of events may hold up the reading. A change counts from the last write, so this only bounds what a
/// never-ending stream of writes can do.
const LONGEST_WAVE: Duration = Duration::from_secs(1);
/// How often the folder is read without any event: network mounts send none.
const POLL: Duration = Duration::from_secs(10);
/// How often the watches are set again when folders come to be while they are set.
const ROUNDS: usize = 5;
/// How many links a path may go through, as in the kernel.
const MAX_LINKS: usize = 40;

/// Follows the rules folder on a thread of its own, which ends when this is dropped.
pub(super) struct Watcher {
    stopped: Arc<AtomicBool>,
    signal: SyncSender<()>,
}

impl Watcher {
    /// Sets the watches, and from then on calls `service.reload()` after each change.
    pub(super) fn start(root: PathBuf, service: Weak<RulesService>) -> Self {
        // Room for one: whether one event waits or a thousand, the folder is read once.
        let (signal, signals) = sync_channel(1);
        let stopped = Arc::new(AtomicBool::new(false));
        let mut following = Following {
            plan: Plan::of(&root),
            root,
            service,
            signal: signal.clone(),
            signals,
            stopped: Arc::clone(&stopped),
            watches: None,
            told: false,
        };
        following.arm();
        let thread = std::thread::Builder::new().name("rules-watch".to_owned());
        if let Err(error) = thread.spawn(move || following.run()) {
            tracing::error!(%error, "the rules folder can't be followed: changes need a reload");
        }
        Self { stopped, signal }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Full means that the thread is about to wake anyway.
        let _ = self.signal.try_send(());
    }
}

struct Following {
    root: PathBuf,
    service: Weak<RulesService>,
    signal: SyncSender<()>,
    signals: Receiver<()>,
    stopped: Arc<AtomicBool>,
    plan: Plan,
    watches: Option<RecommendedWatcher>,
    /// Whether it was logged that watches can't be set.
    told: bool,
}

impl Following {
    fn run(mut self) {
        loop {
            let changed = match self.signals.recv_timeout(POLL) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if changed {
                self.wait_for_quiet();
            }
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            self.follow(changed);
        }
    }

    fn wait_for_quiet(&self) {
        let end = Instant::now() + LONGEST_WAVE;
        while !self.stopped.load(Ordering::SeqCst) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.signals.recv_timeout(QUIET.min(left)).is_err() {
                return;
            }
        }
    }

    /// Sets the watches where they may be lost or missing, then has the folder read; again while new folders turn up.
    fn follow(&mut self, changed: bool) {
        let plan = Plan::of(&self.root);
        if changed || self.watches.is_none() || plan != self.plan {
            self.plan = plan;
            self.arm();
        }
        for _ in 0..ROUNDS {
            if let Some(service) = self.service.upgrade() {
                // Whatever a file brings to light, the files that come after it must be followed.
                if catch_unwind(AssertUnwindSafe(|| service.reload())).is_err() {
                    tracing::error!("reading the rules failed within the server; they are read again when they change");
                }
            }
            let plan = Plan::of(&self.root);
            if plan == self.plan {
                return;
            }
            self.plan = plan;
            self.arm();
        }
    }

    /// Sets new watches, and only then drops the old ones.
    fn arm(&mut self) {
        let (plan, signal) = (self.plan.clone(), self.signal.clone());
        let watches = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| plan.concerns(&event)) {
                // Full: a signal is waiting already.
                let _ = signal.try_send(());
            }
        });
        let armed = watches.and_then(|mut watches| {
            for folder in self.plan.watched() {
                match watches.watch(&folder, RecursiveMode::NonRecursive) {
                    // It went away meanwhile, which the watch on the folder above it tells.
                    Err(error) if is_gone(&error) => {}
                    result => result?,
                }
            }
            Ok(watches)
        });
        match armed {
            Ok(watches) => (self.watches, self.told) = (Some(watches), false),
            Err(error) => {
                self.watches = None;
                if !std::mem::replace(&mut self.told, true) {
                    let every = POLL.as_secs();
                    tracing::warn!(%error, "the rules folder can't be watched; it is read every {every} s instead");
                }
            }
        }
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// What is watched, all by real paths (no link in them but the last step).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Plan {
    /// Folders in which whatever happens counts.
    folders: BTreeSet<PathBuf>,
    /// Single paths that count: links on the way to the rules, and what they lead to.
    paths: BTreeSet<PathBuf>,
}

impl Plan {
    fn of(root: &Path) -> Self {
        let mut plan = Self::default();
        // The rules folder itself may be renamed over or be (below) a link that is switched.
        plan.folder(root, 0);
        plan
    }

    /// Adds a folder and what is in it; `depth` 0: the rules folder, 1: a system's, 2: a folder in it.
    fn folder(&mut self, path: &Path, depth: usize) {
        let real = self.resolve(path);
        let entries = fs::read_dir(&real);
        self.folders.insert(real);
        for entry in entries.into_iter().flatten().flatten() {
            if is_ignored(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            if depth < 2 && path.is_dir() {
                self.folder(&path, depth + 1);
            } else if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                self.resolve(&path);
            }
        }
    }

    /// Goes through every link of a path, adds each and what it leads to, and gives the real path (also of what does
    /// not exist).
    fn resolve(&mut self, path: &Path) -> PathBuf {
        let steps = |path: &Path| -> Vec<PathBuf> {
            path.components().rev().map(|step| PathBuf::from(step.as_os_str())).collect()
        };
        let (mut left, mut real, mut links) = (steps(path), PathBuf::new(), 0);
        while let Some(step) = left.pop() {
            match step.components().next() {
                Some(Component::ParentDir) => {
                    real.pop();
                }
                Some(Component::Normal(name)) => match fs::read_link(real.join(name)) {
                    Ok(target) if links < MAX_LINKS => {
                        links += 1;
                        self.paths.insert(real.join(name));
                        left.extend(steps(&target));
                    }
                    _ => real.push(name),
                },
                // The root of the file system begins anew; `.` stays.
                _ => real.push(step),
            }
        }
        self.paths.insert(real.clone());
        real
    }

    /// The folders to watch.
    fn watched(&self) -> HashSet<PathBuf> {
        let around = self.paths.iter().filter_map(|path| path.parent()).map(Path::to_path_buf);
        around.chain(self.folders.iter().cloned()).collect()
    }

    /// Whether an event may have changed the rules. Reading them is an event, too, and must not.
    fn concerns(&self, event: &Event) -> bool {
        let only_read = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            EventKind::Access(_) => true,
            _ => false,
        };
        // An editor's swap files and notes must not hold up the reading; but a path that a link leads through counts,
        // be its name as that of `..data`.
        let ignored = |path: &PathBuf| path.file_name().is_some_and(|name| is_ignored(&name.to_string_lossy()));
        let in_folder = |path: &PathBuf| path.parent().is_some_and(|folder| self.folders.contains(folder));
        let on_the_way = |path: &PathBuf| self.paths.iter().any(|wanted| wanted.starts_with(path));
        let here =
            |path: &PathBuf| self.folders.contains(path) || (in_folder(path) && !ignored(path)) || on_the_way(path);
        event.need_rescan() || (!only_read && (event.paths.is_empty() || event.paths.iter().any(here)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::fixtures::{CRM, Rules};

    #[test]
    fn what_is_ignored_does_not_hold_up_the_reading_unless_a_link_leads_through_it() {
        let rules = Rules::new(&[("default/integrations/crm.toml", CRM), ("default/segments/..1/a.rhai", "true")]);
        let segments = rules.root().join("default/segments");
        std::os::unix::fs::symlink("..data/a.rhai", segments.join("a.rhai")).unwrap();
        let concerns = |plan: &Plan, name: &str| {
            let event = Event::new(EventKind::Create(notify::event::CreateKind::Any)).add_path(segments.join(name));
            plan.concerns(&event)
        };
        let dangling = Plan::of(&rules.root());
        assert!(concerns(&dangling, "..data"), "what the link waits for");
        std::os::unix::fs::symlink("..1", segments.join("..data")).unwrap();
        let plan = Plan::of(&rules.root());
        for name in ["a.rhai", "b.rhai", "stray.txt", "..data", "..1"] {
            assert!(concerns(&plan, name), "{name}");
        }
        for name in [".a.rhai.swp", ".#a.rhai", "NOTES.md", "..2", ".git"] {
            assert!(!concerns(&plan, name), "{name}");
        }
    }
}
