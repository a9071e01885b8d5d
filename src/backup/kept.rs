//! The backups that are kept in a folder: their names, how many, and when the next one is due.
//!
//! A backup is called by the moment at which it was made, `rollcall-20261122T065200Z.backup`, so that names in order are
//! backups in order, and none is opened to know when it was made. Other files in the folder are left alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::Timestamp;

const BEFORE: &str = "rollcall-";
const AFTER: &str = ".backup";
/// What a backup's name ends with while it is being written.
const DRAFT: &str = ".part";
const MOMENT: &str = "%Y%m%dT%H%M%SZ";
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// The name of a backup made at that moment.
pub(super) fn name_at(now: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
    format!("{BEFORE}{}{AFTER}", moment.strftime(MOMENT))
}

/// When the backup of that name was made; `None` for what is no backup's name.
fn made_at(name: &str) -> Option<Timestamp> {
    let moment = name.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let moment = jiff::civil::DateTime::strptime(MOMENT, moment).ok()?;
    let stamp = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let stamp = Timestamp::from_millis(stamp.as_millisecond());
    (name == name_at(stamp)).then_some(stamp)
}

/// Where that backup is written before it gets its name.
pub(super) fn draft_of(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT);
    draft.into()
}

/// The backups in a folder, oldest first.
fn list(folder: &Path) -> Vec<(Timestamp, PathBuf)> {
    let mut found: Vec<_> = names(folder).filter_map(|(name, path)| Some((made_at(&name)?, path))).collect();
    found.sort();
    found
}

fn names(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

/// When the newest was made.
pub(super) fn last(folder: &Path) -> Option<Timestamp> {
    list(folder).last().map(|(at, _)| *at)
}

/// Whether it is time for the next one: so long after the last, whichever way the clock was set meanwhile.
pub(super) fn is_due(folder: &Path, every_hours: u64, now: Timestamp) -> bool {
    let every = i64::try_from(every_hours).unwrap_or(i64::MAX / HOUR).saturating_mul(HOUR);
    last(folder).is_none_or(|last| (now.as_millis() - last.as_millis()).abs() >= every)
}

/// Removes the oldest, as long as there are more than `keep`.
pub(super) fn drop_surplus(folder: &Path, keep: usize) {
    let backups = list(folder);
    for (_, path) in backups.iter().take(backups.len().saturating_sub(keep)) {
        match fs::remove_file(path) {
            Ok(()) => tracing::info!(file = %path.display(), "dropped an old backup"),
            Err(error) => tracing::warn!(file = %path.display(), %error, "an old backup could not be dropped"),
        }
    }
}

/// Removes what a crash left of backups that were being written.
pub(super) fn drop_drafts(folder: &Path) {
    for (name, path) in names(folder) {
        if name.strip_suffix(DRAFT).is_some_and(|name| made_at(name).is_some()) {
            // Whatever stays will be tried again.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * HOUR;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
        folder
    }

    fn left(folder: &Path) -> Vec<String> {
        let mut left: Vec<String> = names(folder).map(|(name, _)| name).collect();
        left.sort();
        left
    }

    #[test]
    fn a_name_says_when() {
        let at = Timestamp::from_millis(1_559_687_258_000);
        assert_eq!(name_at(at), "rollcall-20190604T222738Z.backup");
        assert_eq!(made_at(&name_at(at)), Some(at));
        for none in
            ["rollcall-.backup", "rollcall-20190604T222738Z.backup.part", "notes", "rollcall-20191304T222738Z.backup"]
        {
            assert_eq!(made_at(none), None, "{none}");
        }
    }

    #[test]
    fn the_newest_are_kept_and_what_is_no_backup_is_left_alone() {
        let of = |day: i64| name_at(Timestamp::from_millis(day * DAY));
        let folder = folder_with(&[&of(1), &of(3), &of(2), &of(4), "notes.txt", "rollcall-x.backup"]);
        drop_surplus(folder.path(), 2);
        assert_eq!(left(folder.path()), ["notes.txt".to_owned(), of(3), of(4), "rollcall-x.backup".to_owned()]);
    }

    #[test]
    fn a_half_written_one_is_removed() {
        let folder = folder_with(&["rollcall-20190604T222738Z.backup.part", "other.part"]);
        drop_drafts(folder.path());
        assert_eq!(left(folder.path()), ["other.part"]);
    }

    #[test]
    fn the_next_is_due_after_its_hours_and_when_the_clock_was_set_back() {
        let at = |hours: i64| Timestamp::from_millis(1_000 * DAY + hours * HOUR);
        assert!(is_due(Path::new("/nowhere/at/all"), 24, at(0)));
        let folder = folder_with(&[&name_at(at(0))]);
        assert!(!is_due(folder.path(), 24, at(23)));
        assert!(is_due(folder.path(), 24, at(24)));
        assert!(!is_due(folder.path(), 24, at(-23)));
        assert!(is_due(folder.path(), 24, at(-24 * 400)));
    }
}
