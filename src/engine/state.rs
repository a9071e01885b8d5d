//! The writer's own view: a snapshot that it may change, and which rows are free.
//!
//! [`State::apply`] is the only thing that changes columns, live and while the journal is replayed, so that both
//! come to the same columns. It is physical (rows and columns by number) and idempotent in the sense that
//! recovery needs: replaying entries in order over chunks that already hold some of them ends in the same state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::catalogue::{CREATED, Catalogue, IDS, Spec, UPDATED};
use super::column::{CellRef, Column, ROWS};
use super::index::Index;
use super::judge::Before;
use super::mask::Mask;
use super::members::Shift;
use super::sheet::Written;
use super::snapshot::{Chunk, Snapshot, SystemData, locate};
use crate::model::{AttributeId, AttributeName, AttributeType, IntegrationId, SystemId};
use crate::ruleset::RuleSet;
use crate::store::{Cell, ColumnNo, Op, RowNo, SystemNo};

/// When and by which journal entry a change is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// Milliseconds since 1970 UTC.
    pub(crate) at: i64,
    /// The entry's number.
    pub(crate) commit: u64,
}

/// Rows of a system that nobody stands in, lowest last, and the first row never used.
#[derive(Debug, Default)]
struct Room {
    free: Vec<RowNo>,
    next: RowNo,
}

/// The segments that an end user entered and left.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) entered: Vec<Arc<str>>,
    pub(crate) left: Vec<Arc<str>>,
}

impl Moved {
    /// Notes a place of the rules' segments, and whether it was entered.
    pub(crate) fn note(&mut self, rules: &RuleSet, place: usize, entered: bool) {
        if let Some(segment) = rules.segments.order().get(place) {
            let list = if entered { &mut self.entered } else { &mut self.left };
            list.push(segment.id.shared());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entered.len() + self.left.len()
    }
}

/// A snapshot in the making.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) snapshot: Snapshot,
    names: HashMap<SystemNo, SystemId>,
    rooms: HashMap<SystemNo, Room>,
    /// Rows written since somebody began to compute new segments beside the live ones.
    pub(crate) watched: Option<Vec<(SystemId, RowNo)>>,
}

/// The wire code of a type in an [`Op::Column`].
pub(crate) fn code_of(kind: AttributeType) -> u8 {
    match kind {
        AttributeType::String => 0,
        AttributeType::Number => 1,
        AttributeType::Date => 2,
    }
}

fn kind_of(code: u8) -> Option<AttributeType> {
    [AttributeType::String, AttributeType::Number, AttributeType::Date].into_iter().find(|kind| code_of(*kind) == code)
}

/// A journal cell as a column takes it.
pub(crate) fn cell_ref(cell: &Cell) -> CellRef<'_> {
    match cell {
        Cell::S(text) => CellRef::String(text),
        Cell::N(number) => CellRef::Number(*number),
        Cell::D(days) => CellRef::Int(i64::from(*days)),
    }
}

/// The columns of one chunk, to be changed under one stamp.
struct ChunkEditor<'a> {
    chunk: &'a mut Chunk,
    catalogue: &'a Catalogue,
    commit: u64,
}

impl ChunkEditor<'_> {
    /// Changes a column, which comes to be if it is not there.
    fn change(&mut self, no: ColumnNo, change: impl FnOnce(&mut Column)) {
        let Some(spec) = self.catalogue.spec(no) else { return };
        let Some(place) = self.chunk.place(no) else { return };
        let column = Arc::make_mut(place.get_or_insert_with(|| Arc::new(spec.column())));
        change(column);
        column.modified = self.commit;
    }

    fn set(&mut self, no: ColumnNo, at: usize, content: CellRef<'_>) {
        self.change(no, |column| column.set(at, content));
    }

    /// Empties cells of a column, if there are any.
    fn clear(&mut self, no: ColumnNo, rows: impl Iterator<Item = usize> + Clone) {
        if let Some(Some(column)) = self.chunk.place(no)
            && rows.clone().any(|at| column.present().get(at))
        {
            let column = Arc::make_mut(column);
            column.clear_all(rows);
            column.modified = self.commit;
        }
    }
}

impl State {
    /// The state that continues a snapshot.
    pub(crate) fn from_snapshot(snapshot: Snapshot) -> Self {
        let names = snapshot.systems.iter().map(|(id, data)| (data.no, id.clone())).collect();
        let rooms = snapshot.systems.values().map(|data| (data.no, room_in(data))).collect();
        Self { snapshot, names, rooms, watched: None }
    }

    /// After chunks are loaded and the journal is replayed: finds everyone's row.
    pub(crate) fn index_all(mut self) -> Self {
        for data in self.snapshot.systems.values_mut() {
            let data = Arc::make_mut(data);
            data.index = Arc::new(Index::of_all(data));
        }
        Self::from_snapshot(self.snapshot)
    }

    pub(crate) fn system(&self, id: &SystemId) -> Option<&SystemData> {
        self.snapshot.systems.get(id).map(Arc::as_ref)
    }

    pub(crate) fn next_system(&self) -> SystemNo {
        self.names.keys().max().map_or(0, |highest| highest + 1)
    }

    /// A row that nobody stands in.
    pub(crate) fn take_row(&mut self, system: SystemNo) -> RowNo {
        let room = self.rooms.entry(system).or_default();
        room.free.pop().unwrap_or_else(|| {
            room.next += 1;
            room.next - 1
        })
    }

    /// What judging wants to know of a row whose columns are about to be written.
    pub(crate) fn before(&mut self, system: &SystemId, row: RowNo, columns: &[ColumnNo]) -> Option<Before> {
        let (data, live) = self.snapshot.systems.get(system).zip(self.snapshot.live.get_mut(system))?;
        Arc::make_mut(live).before(data, row, columns)
    }

    /// Judges a row whose values were just changed. Gives the segments entered and left.
    pub(crate) fn judge(&mut self, system: &SystemId, row: RowNo, before: Option<&Before>) -> Moved {
        if let Some(watched) = &mut self.watched {
            watched.push((system.clone(), row));
        }
        let (Some(data), Some(live)) = (self.snapshot.systems.get(system), self.snapshot.live.get_mut(system)) else {
            return Moved::default();
        };
        let live = Arc::make_mut(live);
        let mut moved = Moved::default();
        for (place, entered) in live.judge_row(data, row, before) {
            moved.note(&live.rules, place, entered);
        }
        moved
    }

    /// Judges many rows of one chunk whose values were just changed: for each segment whose answer changed for some,
    /// its place, for whom it changed, and for whom of them it holds now.
    pub(crate) fn judge_chunk(&mut self, system: &SystemId, no: usize, rows: &Mask) -> Vec<Shift> {
        if let Some(watched) = &mut self.watched {
            watched.extend(rows.rows().map(|at| (system.clone(), (no * ROWS + at) as RowNo)));
        }
        match (self.snapshot.systems.get(system), self.snapshot.live.get_mut(system)) {
            (Some(data), Some(live)) => Arc::make_mut(live).judge_chunk(data, no, rows),
            _ => Vec::new(),
        }
    }

    /// Takes a row out of every segment before its end user goes.
    pub(crate) fn forget(&mut self, system: &SystemId, row: RowNo) {
        if let Some(watched) = &mut self.watched {
            watched.push((system.clone(), row));
        }
        if let Some(live) = self.snapshot.live.get_mut(system) {
            Arc::make_mut(live).forget_row(row);
        }
    }

    fn data_mut(&mut self, no: SystemNo) -> Option<&mut SystemData> {
        self.snapshot.systems.get_mut(self.names.get(&no)?).map(Arc::make_mut)
    }

    /// Applies one operation to the columns, and to the index when the end user is new or goes.
    pub(crate) fn apply(&mut self, op: &Op, stamp: Stamp) {
        if let Op::Delete { system, row } = op {
            if let Some(data) = self.data_mut(*system) {
                let id = data.id(*row).to_owned();
                Arc::make_mut(&mut data.index).remove(&id, *row);
            }
            self.rooms.entry(*system).or_default().free.push(*row);
        }
        self.apply_columns(op, stamp);
        if let Op::Put { system, row, id: Some(id), .. } = op
            && let Some(data) = self.data_mut(*system)
        {
            Arc::make_mut(&mut data.index).insert(id, *row);
        }
    }

    /// Applies one operation to catalogue and columns only: what replaying does before everyone is indexed.
    pub(crate) fn apply_columns(&mut self, op: &Op, stamp: Stamp) {
        match op {
            Op::System { no, id } => {
                if let Ok(id) = SystemId::new(id) {
                    self.names.insert(*no, id.clone());
                    let data = self.snapshot.systems.entry(id).or_default();
                    Arc::make_mut(data).no = *no;
                }
            }
            Op::Column { system, no, integration, name, kind } => {
                let (integration, name) = (IntegrationId::new(integration), AttributeName::new(name));
                if let (Ok(integration), Ok(name), Some(kind)) = (integration, name, kind_of(*kind)) {
                    self.enter(*system, *no, Spec::Attribute(AttributeId { integration, name }, kind));
                }
            }
            Op::Integration { system, no, id } => {
                if let Ok(id) = IntegrationId::new(id) {
                    self.enter(*system, *no, Spec::SetAt(id));
                }
            }
            Op::DropColumn { system, no } => self.drop_column(*system, *no, stamp),
            Op::Put { system, row, id, touched, sets, clears } => {
                let (chunk, at) = locate(*row);
                self.edit(*system, chunk, stamp, |editor| {
                    if let Some(id) = id {
                        editor.set(IDS, at, CellRef::String(id));
                        editor.set(CREATED, at, CellRef::Int(stamp.at));
                    }
                    editor.set(UPDATED, at, CellRef::Int(stamp.at));
                    if let Some(touched) = touched {
                        editor.set(*touched, at, CellRef::Int(stamp.at));
                    }
                    clears.iter().for_each(|no| editor.clear(*no, std::iter::once(at)));
                    sets.iter().for_each(|(no, cell)| editor.set(*no, at, cell_ref(cell)));
                });
            }
            Op::Delete { system, row } => {
                let (chunk, at) = locate(*row);
                self.edit(*system, chunk, stamp, |editor| {
                    for no in 0..editor.catalogue.next() {
                        editor.clear(no, std::iter::once(at));
                    }
                });
            }
            // Who reads the journal gives `apply_written` what is in it.
            Op::Sheet { .. } | Op::Record { .. } | Op::Moves { .. } | Op::Forget { .. } => {}
        }
    }

    /// Applies rows that were written together to the columns. `touched` holds when their integration last wrote.
    pub(crate) fn apply_written(&mut self, system: SystemNo, touched: ColumnNo, written: &Written, stamp: Stamp) {
        let mut chunks: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (from, row) in written.rows.iter().enumerate() {
            let (chunk, at) = locate(*row);
            chunks.entry(chunk).or_default().push((from, at));
        }
        for (chunk, moves) in chunks {
            self.edit(system, chunk, stamp, |editor| {
                let created: Vec<(usize, usize)> =
                    moves.iter().copied().filter(|(from, _)| written.created.get(*from)).collect();
                if !created.is_empty() {
                    editor.change(IDS, |ids| {
                        created.iter().for_each(|(from, at)| ids.set(*at, CellRef::String(written.ids.get(*from))));
                    });
                    editor.change(CREATED, |times| set_time(times, &created, stamp));
                }
                editor.change(UPDATED, |times| set_time(times, &moves, stamp));
                editor.change(touched, |times| set_time(times, &moves, stamp));
                for (no, gone) in &written.clears {
                    editor.clear(*no, moves.iter().filter(|(from, _)| gone.get(*from)).map(|(_, at)| *at));
                }
                for (no, values) in &written.sets {
                    editor.change(*no, |column| column.take(values, &moves));
                }
            });
        }
    }

    /// Enters those who came to be with rows that were written together into the index.
    pub(crate) fn index_written(&mut self, system: SystemNo, written: &Written) {
        let Some(data) = self.data_mut(system) else { return };
        let index = Arc::make_mut(&mut data.index);
        for (from, row) in written.rows.iter().enumerate().filter(|(from, _)| written.created.get(*from)) {
            index.insert(written.ids.get(from), *row);
        }
    }

    /// Gives a system that the journal made the chunks that an unfinished checkpoint already wrote of it.
    pub(crate) fn adopt(&mut self, system: SystemNo, chunks: Vec<Chunk>) {
        if let Some(data) = self.data_mut(system) {
            data.chunks = chunks;
        }
    }

    fn enter(&mut self, system: SystemNo, no: ColumnNo, spec: Spec) {
        if let Some(data) = self.data_mut(system) {
            Arc::make_mut(&mut data.catalogue).enter(no, spec);
        }
    }

    fn drop_column(&mut self, system: SystemNo, no: ColumnNo, stamp: Stamp) {
        let Some(data) = self.data_mut(system) else { return };
        Arc::make_mut(&mut data.catalogue).drop_column(no);
        for chunk in &mut data.chunks {
            if chunk.column(no).is_none() {
                continue;
            }
            if let Some(place) = chunk.place(no) {
                let mut empty = Spec::Dropped.column();
                empty.modified = stamp.commit;
                *place = Some(Arc::new(empty));
            }
        }
    }

    fn edit(&mut self, system: SystemNo, chunk: usize, stamp: Stamp, change: impl FnOnce(&mut ChunkEditor<'_>)) {
        let Some(data) = self.data_mut(system) else { return };
        if data.chunks.len() <= chunk {
            data.chunks.resize_with(chunk + 1, Chunk::default);
        }
        if let Some(chunk) = data.chunks.get_mut(chunk) {
            let catalogue = &data.catalogue;
            change(&mut ChunkEditor { chunk, catalogue, commit: stamp.commit });
        }
    }
}

/// Notes a time in the rows here of some pairs.
fn set_time(times: &mut Column, rows: &[(usize, usize)], stamp: Stamp) {
    rows.iter().for_each(|(_, at)| times.set(*at, CellRef::Int(stamp.at)));
}

/// Every row in which somebody stands.
pub(crate) fn used_rows(data: &SystemData) -> impl Iterator<Item = RowNo> {
    data.chunks.iter().enumerate().flat_map(|(no, chunk)| {
        let ids = chunk.column(IDS);
        let end = ids.map_or(0, |ids| ids.present().end());
        (0..end)
            .filter(move |at| ids.is_some_and(|ids| ids.present().get(*at)))
            .map(move |at| (no * ROWS + at) as RowNo)
    })
}

fn room_in(data: &SystemData) -> Room {
    let mut room = Room::default();
    for row in used_rows(data) {
        room.free.extend(room.next..row);
        room.next = row + 1;
    }
    room.free.reverse();
    room
}
