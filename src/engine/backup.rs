//! The engine's part of a backup: every column of one snapshot, and what a store holds in figures.
//!
//! Knows nothing of where backups go. Invariant: the columns are those of one commit, and what the journal did after it
//! goes along, so that a backup is everything up to its last commit.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::checkpoint::{self, Manifest};
use super::events::EventLog;
use super::snapshot::Snapshot;
use super::{Engine, StoreError};
use crate::model::SystemId;
use crate::store::{Entry, PieceKey, Store};

/// What a store holds, in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The last commit.
    pub commit: u64,
    /// End users of each system.
    pub end_users: Vec<(SystemId, u64)>,
}

impl Contents {
    fn of(snapshot: &Snapshot, commit: u64) -> Self {
        let end_users = snapshot.systems.iter().map(|(id, data)| (id.clone(), data.len()));
        Self { commit, end_users: end_users.collect() }
    }

    /// End users of all systems.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.end_users.iter().map(|(_, count)| count).sum()
    }
}

/// Loads everything in a store, which proves it, and says what is in it.
///
/// # Errors
/// [`StoreError`] when it can't be read whole.
pub fn inspect(store: &Store) -> Result<Contents, StoreError> {
    let (state, _) = checkpoint::load(store, &EventLog::default())?;
    Ok(Contents::of(&state.snapshot, store.last()))
}

impl Engine {
    /// Writes a backup, with small files of the data folder beside the store; gives back what it was written to. Writers go
    /// on meanwhile, checkpoints wait. Blocks.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be written, or the store has failed.
    pub fn backup<W: Write>(&self, out: W, files: &[(String, Vec<u8>)]) -> Result<(W, Contents), StoreError> {
        let now = self.0.clock.now().as_millis();
        let mut backup = self.0.store.backup(out, now)?;
        for (name, bytes) in files {
            backup.file(name, bytes)?;
        }
        // Only now, as no checkpoint drops the journal after it any more.
        let snapshot = self.snapshot();
        let stands_for = snapshot.commit;
        write_columns(&snapshot, |key, column| {
            if self.0.shared.stopping.load(Ordering::Relaxed) {
                // The last checkpoint waits for us.
                return Err(StoreError::Failed("the server is stopping".to_owned()));
            }
            backup.piece(key, column)
        })?;
        let (out, commit) = backup.finish(stands_for, &Manifest::of(&snapshot))?;
        Ok((out, Contents::of(&snapshot, commit)))
    }

    /// Writes what is live of a stopped engine as a backup whose journal says nothing of what was.
    ///
    /// # Errors
    /// As [`Engine::backup`].
    pub fn backup_without_past<W: Write>(&self, out: W) -> Result<(W, Contents), StoreError> {
        let store = &self.0.store;
        let now = self.0.clock.now().as_millis();
        let snapshot = self.snapshot();
        // The last entry goes along, as it carries on the chain: one that says nothing.
        let last = store.append(store.last(), &Entry { at: now, ops: Vec::new() })?;
        let mut backup = store.backup(out, now)?;
        write_columns(&snapshot, |key, column| backup.piece(key, column))?;
        let (out, commit) = backup.finish(last, &Manifest::of(&snapshot))?;
        Ok((out, Contents::of(&snapshot, commit)))
    }
}

fn write_columns(
    snapshot: &Snapshot,
    mut each: impl FnMut(PieceKey, &super::column::Column) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    checkpoint::columns(snapshot).try_for_each(|(key, column)| each(key, column))
}
