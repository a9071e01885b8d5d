//! Checkpoints: writes the columns that changed since the one before, beside the running writer, and loads them.
//!
//! A snapshot is immutable, so a checkpoint takes one and writes it in its own time; the journal keeps what comes
//! after. Pieces are rewritten in place while the former manifest still stands: replaying from its number over
//! newer pieces ends in the same state (see [`super::state`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Spec};
use super::column::Column;
use super::events::EventLog;
use super::snapshot::{Chunk, Snapshot, SystemData};
use super::state::{Stamp, State};
use crate::model::{SystemId, Timestamp};
use crate::store::{Op, PieceKey, Store, StoreError, SystemNo, decode};

/// What a checkpoint keeps beside the columns.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    systems: Vec<SystemRecord>,
}

impl Manifest {
    /// What a snapshot's columns are.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let systems = snapshot.systems.iter().map(|(id, data)| SystemRecord {
            no: data.no,
            id: id.clone(),
            columns: data.catalogue.specs().to_vec(),
        });
        Self { systems: systems.collect() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct SystemRecord {
    no: SystemNo,
    id: SystemId,
    columns: Vec<Spec>,
}

/// Writes what changed after entry `since`; gives the entry up to which the checkpoint stands.
pub(super) fn write(store: &Store, snapshot: &Snapshot, since: u64) -> Result<u64, StoreError> {
    let mut checkpoint = store.checkpoint();
    for (key, column) in columns(snapshot).filter(|(_, column)| column.modified > since) {
        checkpoint.put(key, column)?;
    }
    checkpoint.finish(snapshot.commit, &Manifest::of(snapshot))?;
    Ok(snapshot.commit)
}

/// Every column of every chunk, with the key of its piece.
pub(super) fn columns(snapshot: &Snapshot) -> impl Iterator<Item = (PieceKey, &Column)> {
    snapshot.systems.values().flat_map(|data| {
        data.chunks.iter().enumerate().flat_map(move |(no, chunk)| {
            chunk.columns().map(move |(column_no, column)| {
                (PieceKey { system: data.no, chunk: no as u32, column: column_no }, column.as_ref())
            })
        })
    })
}

/// Loads the last checkpoint and replays the journal after it. Gives the state, and the checkpoint's number.
pub(super) fn load(store: &Store, events: &EventLog) -> Result<(State, u64), StoreError> {
    events.load(store)?;
    let (stands_for, manifest) = match store.manifest::<Manifest>()? {
        Some((number, manifest)) => (number, manifest),
        None => (0, Manifest { systems: Vec::new() }),
    };
    let mut systems: BTreeMap<SystemId, SystemData> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for record in manifest.systems {
        names.insert(record.no, record.id.clone());
        let catalogue = Arc::new(Catalogue::from_specs(record.columns));
        systems.insert(record.id, SystemData { no: record.no, catalogue, ..SystemData::default() });
    }
    // Pieces of a system that only the journal knows yet: its checkpoint was not finished.
    let mut early: BTreeMap<SystemNo, Vec<Chunk>> = BTreeMap::new();
    store.pieces(|key, mut column: Column| {
        if !column.is_sound() {
            return Err(StoreError::damaged(format!("{key:?} does not hold together"), "the values of some end users"));
        }
        column.modified = 0;
        let chunks = match names.get(&key.system).and_then(|id| systems.get_mut(id)) {
            Some(data) => &mut data.chunks,
            None => early.entry(key.system).or_default(),
        };
        let no = key.chunk as usize;
        if chunks.len() <= no {
            chunks.resize_with(no + 1, Chunk::default);
        }
        if let Some(place) = chunks.get_mut(no).and_then(|chunk| chunk.place(key.column)) {
            *place = Some(Arc::new(column));
        }
        Ok(())
    })?;
    let systems = systems.into_iter().map(|(id, data)| (id, Arc::new(data))).collect();
    let mut state = State::from_snapshot(Snapshot { commit: stands_for, systems, live: BTreeMap::new() });
    store.replay(stands_for, |commit, entry| {
        for op in &entry.ops {
            let stamp = Stamp { at: entry.at, commit };
            match op {
                Op::Sheet { system, touched, written } => {
                    state.apply_written(*system, *touched, &decode(written)?, stamp);
                }
                op => state.apply_columns(op, stamp),
            }
            if let Op::System { no, .. } = op
                && let Some(chunks) = early.remove(no)
            {
                state.adopt(*no, chunks);
            }
        }
        state.snapshot.commit = commit;
        events.take(&entry.ops, Timestamp::from_millis(entry.at));
        Ok(())
    })?;
    Ok((state.index_all(), stands_for))
}
