//! The folder that a benchmark works in, and the disk under it.
//!
//! Owns the folder's life: made new, removed at the end unless it is to be kept. Knows the files that a server needs, and
//! what one sync of this disk costs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::dataset;
use super::error::BenchError;
use super::load::Latencies;
use super::segments::{self, Segment, Source};

/// The server's configuration. No script is too slow: how a slow one does is one of the questions. Callers may say where
/// they are, so that those who try a door are many.
const CONFIG: &str = "\
[server]
listen = \"127.0.0.1:0\"
trusted_proxies = [\"127.0.0.1\"]
[storage]
path = \"data\"
[rules]
path = \"rules\"
[limits]
script_us = 10000
";
/// One append of the disk's own figure: a page.
const PAGE: usize = 4096;

/// The folder; removed when dropped, unless kept.
#[derive(Debug)]
pub(super) struct Workspace {
    path: PathBuf,
    keep: bool,
}

impl Workspace {
    /// Makes a new folder in `parent` (absent: the system's folder for temporary files).
    pub(super) fn create(parent: Option<&Path>, keep: bool) -> Result<Self, BenchError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        // Of several of one benchmark each has a folder of its own.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("rollcall-bench-{}-{number}", std::process::id()));
        let made = fs::create_dir_all(&parent).and_then(|()| fs::create_dir(&path));
        // The server runs in the folder, so a relative path would mean another place to it.
        let path = made.and_then(|()| fs::canonicalize(&path)).map_err(|source| BenchError::File { path, source })?;
        Ok(Self { path, keep })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Where the server puts mails.
    pub(super) fn outbox(&self) -> PathBuf {
        self.path.join("data/outbox")
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// The folder of the rules.
    pub(super) fn rules(&self) -> PathBuf {
        self.path.join("rules")
    }

    /// Writes the configuration and the rules of the system `bench`, filled by updates or by CSV files.
    pub(super) fn furnish(&self, source: Source, segments: &[Segment]) -> Result<(), BenchError> {
        fs::write(self.config(), CONFIG)
            .and_then(|()| segments::write_rules(&self.rules(), source, segments))
            .map_err(|source| BenchError::File { path: self.path.clone(), source })
    }

    /// Writes a rule's file, or removes it, in one step.
    pub(super) fn write_rule(&self, segment: &Segment, there: bool) -> Result<(), BenchError> {
        let path = self.rules().join(segments::SYSTEM).join(segment.path());
        let draft = self.path.join("draft");
        let written = if there {
            fs::write(&draft, segment.text()).and_then(|()| fs::rename(&draft, &path))
        } else {
            fs::remove_file(&path)
        };
        written.map_err(|source| BenchError::File { path, source })
    }

    /// Writes the first `rows` end users as a CSV file.
    pub(super) fn write_csv(&self, name: &str, rows: u64, seed: u64) -> Result<PathBuf, BenchError> {
        let path = self.path.join(name);
        let write = || {
            let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            dataset::write_csv(rows, seed, &mut out)?;
            out.flush()
        };
        write().map_err(|source| BenchError::File { path: path.clone(), source })?;
        Ok(path)
    }

    /// How long copying a file takes until the copy is on the disk: the least that anything durable can cost here.
    pub(super) fn copy_time(&self, file: &Path) -> Result<Duration, BenchError> {
        let path = self.path.join("copy.tmp");
        let before = Instant::now();
        let copied = fs::copy(file, &path).and_then(|_| File::open(&path)?.sync_all());
        let time = before.elapsed();
        // A leftover goes with the folder.
        let _ = fs::remove_file(&path);
        copied.map(|()| time).map_err(|source| BenchError::File { path, source })
    }

    /// Whether the folder is in memory, where nothing is durable and a sync costs nothing.
    #[cfg(target_os = "linux")]
    pub(super) fn is_in_memory(&self) -> bool {
        const TMPFS: u32 = 0x0102_1994;
        const RAMFS: u32 = 0x8584_58f6;
        rustix::fs::statfs(&self.path).is_ok_and(|about| {
            [TMPFS, RAMFS].iter().any(|&magic| about.f_type as u64 & 0xffff_ffff == u64::from(magic))
        })
    }

    /// Whether the folder is in memory; not known on this system.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_in_memory(&self) -> bool {
        false
    }

    /// Appends 4 KiB and syncs the data, one after another for that long: the least that anything durable can cost here.
    pub(super) fn sync_times(&self, duration: Duration) -> Result<Latencies, BenchError> {
        let path = self.path.join("fdatasync.tmp");
        let times = append_and_sync(&path, duration).map_err(|source| BenchError::File { path: path.clone(), source });
        // A leftover goes with the folder.
        let _ = fs::remove_file(&path);
        times
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.keep {
            // What can't be removed is left; the figures stand.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn append_and_sync(path: &Path, duration: Duration) -> io::Result<Latencies> {
    let mut file: File = OpenOptions::new().create_new(true).write(true).open(path)?;
    let page = [7_u8; PAGE];
    let mut nanos = Vec::new();
    let start = Instant::now();
    while start.elapsed() < duration {
        let before = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        nanos.push(u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok(Latencies::new(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_new_furnished_and_gone_at_the_end() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(Some(&parent.path().join("deeper")), false).unwrap();
        workspace.furnish(Source::Updates, &segments::segments(2)).unwrap();
        assert!(workspace.config().is_file());
        assert!(workspace.path().join("rules/bench/segments/seg_01.rhai").is_file());
        let second = Workspace::create(Some(&parent.path().join("deeper")), false).unwrap();
        assert_ne!(second.path(), workspace.path(), "each has a folder of its own");
        let path = workspace.path().to_path_buf();
        drop(workspace);
        assert!(!path.exists());
    }

    #[test]
    fn a_kept_folder_stays() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(Some(parent.path()), true).unwrap();
        let path = workspace.path().to_path_buf();
        drop(workspace);
        assert!(path.is_dir());
    }

    #[test]
    fn syncs_are_timed_and_leave_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(Some(parent.path()), false).unwrap();
        let times = workspace.sync_times(Duration::from_millis(20)).unwrap();
        assert!(times.count() > 0 && times.percentile(0.5) > 0.0);
        assert_eq!(fs::read_dir(workspace.path()).unwrap().count(), 0);
    }
}
