//! From what a caller wants to the physical operations that do it, against the state as it is at that point.
//!
//! Every operation is applied to the state as soon as it is planned, so that a later call of the same commit sees
//! it. Refuses to know of durability: the writer throws the state away when the commit fails.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::catalogue::{Spec, Typed};
use super::column::ROWS;
use super::events::EventLog;
use super::judge::Before;
use super::mask::Mask;
use super::members::Shift;
use super::snapshot::locate;
use super::state::{Moved, Stamp, State, cell_ref, code_of};
use super::writer::{Mode, Outcome, Record, RecordWrite, Update};
use crate::model::{AttributeId, AttributeName, AttributeType, EndUserId, IntegrationId, SystemId, Value};
use crate::store::{Cause, Cell, ColumnNo, Op, RowNo, SystemNo};

/// Most moves that one commit tells of. A larger change leaves a gap, which followers are told of: they read anew who
/// is in a segment.
pub(super) const MAX_TOLD: u64 = 32_768;
/// Records from which an update's rows are judged together, chunk by chunk, when all are written. Tests are small.
const MANY: usize = if cfg!(test) { 3 } else { 256 };
/// Rows of a chunk from which judging them together is cheaper than one by one.
const DENSE: u64 = if cfg!(test) { 2 } else { 32 };

/// Plans one commit.
pub(crate) struct Plan<'a> {
    pub(super) state: &'a mut State,
    stamp: Stamp,
    ops: Vec<Op>,
    events: &'a EventLog,
    /// By system: the number of the next move, and how many were planned.
    numbers: BTreeMap<SystemNo, (u64, u64)>,
}

/// Where a write goes.
struct Target {
    system: SystemId,
    integration: IntegrationId,
}

/// What became of one end user.
enum Fate {
    Created,
    Updated,
    Unchanged,
}

/// An update while it is planned.
struct Call {
    target: Target,
    mode: Mode,
    /// The declared attributes, by place.
    declared: Arc<[AttributeName]>,
    system: SystemNo,
    /// Each declared attribute's columns, once they were looked up.
    columns: Vec<Option<Typed>>,
    /// Which declared attributes the record at hand names.
    named: Vec<bool>,
    set_at: Option<ColumnNo>,
    /// Whether rows are judged when all are written.
    many: bool,
    /// Those rows, by chunk.
    written: BTreeMap<usize, Mask>,
    /// The columns that were changed in them.
    changed: Vec<ColumnNo>,
}

impl Call {
    fn new(update: Update, system: SystemNo, many: bool) -> Self {
        let places = update.declared.len();
        Self {
            target: Target { system: update.system, integration: update.integration },
            mode: update.mode,
            declared: update.declared,
            system,
            columns: vec![None; places],
            named: vec![false; places],
            set_at: None,
            many,
            written: BTreeMap::new(),
            changed: Vec::new(),
        }
    }

    /// Notes a row that is to be judged with the others.
    fn note(&mut self, row: RowNo, columns: impl Iterator<Item = ColumnNo>) {
        let (chunk, at) = locate(row);
        self.written.entry(chunk).or_insert(Mask::NONE).set(at);
        for column in columns {
            if !self.changed.contains(&column) {
                self.changed.push(column);
            }
        }
    }
}

fn cell_of(value: Value) -> Cell {
    match value {
        Value::String(text) => Cell::S(text),
        Value::Number(number) => Cell::N(number),
        Value::Date(date) => Cell::D(date.days()),
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn new(state: &'a mut State, stamp: Stamp, events: &'a EventLog) -> Self {
        Self { state, stamp, ops: Vec::new(), events, numbers: BTreeMap::new() }
    }

    pub(crate) fn into_ops(mut self) -> Vec<Op> {
        for (system, (before, told)) in std::mem::take(&mut self.numbers) {
            if told > MAX_TOLD {
                self.ops.push(Op::Forget { system, id: None, before });
            }
        }
        self.ops
    }

    /// Notes what followers are told: that somebody entered and left segments.
    pub(super) fn tell(&mut self, system: SystemNo, id: &str, moved: Moved, cause: &Arc<Cause>) {
        let (next, told) = self.number(system);
        let first = *next;
        let count = moved.len() as u64;
        (*next, *told) = (first + count, *told + count);
        if count == 0 || *told > MAX_TOLD {
            return;
        }
        let goes_on = matches!(self.ops.last(), Some(Op::Moves { system: no, cause: last, .. })
            if *no == system && Arc::ptr_eq(last, cause));
        if !goes_on {
            let cause = Arc::clone(cause);
            self.ops.push(Op::Moves { system, first, segments: Vec::new(), moved: Vec::new(), cause });
        }
        if let Some(Op::Moves { segments, moved: all, .. }) = self.ops.last_mut() {
            let mut places = |ids: Vec<Arc<str>>| ids.into_iter().filter_map(|id| place_of(segments, id)).collect();
            all.push((Arc::from(id), places(moved.entered), places(moved.left)));
        }
    }

    /// Notes that followers can't be told what came before now.
    pub(super) fn leave_gap(&mut self, system: SystemNo, moves: u64) {
        let (next, told) = self.number(system);
        (*next, *told) = (*next + moves, MAX_TOLD + 1);
    }

    fn number(&mut self, system: SystemNo) -> &mut (u64, u64) {
        let events = self.events;
        self.numbers.entry(system).or_insert_with(|| (events.of(system).next(), 0))
    }

    /// Judges a row that was just written, and notes what that changed.
    fn judge(&mut self, target: &Target, row: RowNo, columns: &[ColumnNo], before: Option<&Before>) {
        let moved = self.state.judge(&target.system, row, before);
        if moved.len() > 0 {
            let cause = self.cause(target, columns);
            self.tell_of_row(&target.system, row, moved, &cause);
        }
    }

    /// Judges the rows of an update that left that for its end, chunk by chunk, and notes what that changed. The cause of
    /// all is the columns that were changed in any.
    fn judge_written(&mut self, call: Call) {
        let system = &call.target.system;
        let cause = self.cause(&call.target, &call.changed);
        let mut changes = Vec::new();
        for (no, rows) in call.written {
            if rows.count() >= DENSE {
                changes.push((no, self.state.judge_chunk(system, no, &rows)));
                continue;
            }
            for row in rows.rows().map(|at| (no * ROWS + at) as RowNo) {
                let moved = self.state.judge(system, row, None);
                self.tell_of_row(system, row, moved, &cause);
            }
        }
        self.tell_of_chunks(call.system, system, changes, cause);
    }

    /// Notes what judging whole chunks has changed.
    fn tell_of_chunks(
        &mut self,
        no: SystemNo,
        system: &SystemId,
        changes: Vec<(usize, Vec<Shift>)>,
        cause: Arc<Cause>,
    ) {
        let moves = changes.iter().flat_map(|(_, changes)| changes).map(|shift| shift.changed.count()).sum();
        let (next, told) = self.number(no);
        let first = *next;
        if *told + moves > MAX_TOLD {
            return self.leave_gap(no, moves);
        }
        (*next, *told) = (first + moves, *told + moves);
        let (Some(data), Some(live)) = (self.state.system(system), self.state.snapshot.live.get(system)) else {
            return;
        };
        let segments = live.rules.segments.order().iter().map(|segment| segment.id.shared()).collect();
        let mut moved = Vec::new();
        for (chunk, changes) in changes {
            let mut rows: BTreeMap<usize, (Vec<u16>, Vec<u16>)> = BTreeMap::new();
            for Shift { place, changed, now } in &changes {
                let Ok(place) = u16::try_from(*place) else { continue };
                for at in changed.rows() {
                    let (entered, left) = rows.entry(at).or_default();
                    if now.get(at) { entered.push(place) } else { left.push(place) }
                }
            }
            let told = rows
                .into_iter()
                .map(|(at, (entered, left))| (Arc::from(data.id((chunk * ROWS + at) as RowNo)), entered, left));
            moved.extend(told);
        }
        if !moved.is_empty() {
            self.ops.push(Op::Moves { system: no, first, segments, moved, cause });
        }
    }

    fn tell_of_row(&mut self, system: &SystemId, row: RowNo, moved: Moved, cause: &Arc<Cause>) {
        if moved.len() > 0
            && let Some((no, id)) = self.state.system(system).map(|data| (data.no, data.id(row).to_owned()))
        {
            self.tell(no, &id, moved, cause);
        }
    }

    /// That an integration changed these columns.
    fn cause(&self, target: &Target, columns: &[ColumnNo]) -> Arc<Cause> {
        let catalogue = self.state.system(&target.system).map(|data| &data.catalogue);
        let mut attributes: Vec<Arc<str>> = columns
            .iter()
            .filter_map(|column| match catalogue?.spec(*column)? {
                Spec::Attribute(id, _) if id.integration == target.integration => Some(id.name.shared()),
                _ => None,
            })
            .collect();
        attributes.dedup();
        Arc::new(Cause::Update { integration: target.integration.shared(), attributes })
    }

    fn does(&mut self, op: Op) {
        self.state.apply(&op, self.stamp);
        self.ops.push(op);
    }

    /// A small record, in the same commit.
    pub(crate) fn record(&mut self, (table, key, value): RecordWrite) {
        self.ops.push(Op::Record { table, key, value });
    }

    /// The records that belong to a change, if it was one; answers whether it was.
    pub(crate) fn beside(&mut self, done: bool, records: Vec<RecordWrite>) -> bool {
        if done {
            records.into_iter().for_each(|record| self.record(record));
        }
        done
    }

    /// An update call. An end user named twice: the later record stands.
    pub(crate) fn update(&mut self, mut update: Update) -> Outcome {
        let records = std::mem::take(&mut update.records);
        let mut outcome = Outcome { received: records.len() as u64, created: 0, updated: 0, unchanged: 0 };
        let records = last_of_each(records);
        let many = records.len() >= MANY;
        let adds = update.mode == Mode::Merge;
        let idle = |record: &Record| record.sets.is_empty() && (adds || self.row_of(&update.system, record).is_none());
        if records.iter().all(idle) {
            // Nothing comes to be by it, the system neither.
            outcome.unchanged = records.len() as u64;
            return outcome;
        }
        let system = self.system_no(&update.system);
        let mut call = Call::new(update, system, many);
        self.ops.reserve(records.len());
        for record in records {
            match self.one(&mut call, record) {
                Fate::Created => outcome.created += 1,
                Fate::Updated => outcome.updated += 1,
                Fate::Unchanged => outcome.unchanged += 1,
            }
        }
        if many {
            self.judge_written(call);
        }
        outcome
    }

    fn row_of(&self, system: &SystemId, record: &Record) -> Option<RowNo> {
        self.state.system(system)?.find_row(record.id.as_str())
    }

    fn one(&mut self, call: &mut Call, record: Record) -> Fate {
        let row = self.row_of(&call.target.system, &record);
        if record.sets.is_empty() && (row.is_none() || call.mode == Mode::Merge) {
            return Fate::Unchanged;
        }
        let clears = row.map_or_else(Vec::new, |row| self.clears(call, &record, row));
        let cells = record.sets.into_iter().filter_map(|(place, value)| {
            let column = self.column_no(call, place, value.kind())?;
            Some((column, cell_of(value)))
        });
        let mut sets: Vec<(ColumnNo, Cell)> = cells.collect();
        if let Some((data, row)) = self.state.system(&call.target.system).zip(row) {
            let (chunk, at) = locate(row);
            let chunk = data.chunks.get(chunk);
            sets.retain(|(column, cell)| chunk.and_then(|chunk| chunk.get(at, *column)) != Some(cell_ref(cell)));
        }
        if sets.is_empty() && clears.is_empty() {
            return Fate::Unchanged;
        }
        let touched = Some(self.set_at_no(call));
        let (id, fate) = match row {
            Some(_) => (None, Fate::Updated),
            None => (Some(record.id.shared()), Fate::Created),
        };
        let is_new = row.is_none();
        let row = row.unwrap_or_else(|| self.state.take_row(call.system));
        let columns = sets.iter().map(|(column, _)| *column).chain(clears.iter().copied());
        if call.many {
            call.note(row, columns);
            self.does(Op::Put { system: call.system, row, id, touched, sets, clears });
        } else {
            let columns: Vec<ColumnNo> = columns.collect();
            let before = if is_new { None } else { self.state.before(&call.target.system, row, &columns) };
            self.does(Op::Put { system: call.system, row, id, touched, sets, clears });
            self.judge(&call.target, row, &columns, before.as_ref());
        }
        fate
    }

    /// The cells of a row that go: a set attribute's values under another type, and what a replacing record leaves out.
    fn clears(&self, call: &mut Call, record: &Record, row: RowNo) -> Vec<ColumnNo> {
        let Some(data) = self.state.system(&call.target.system) else { return Vec::new() };
        let (chunk, at) = locate(row);
        let Some(chunk) = data.chunks.get(chunk) else { return Vec::new() };
        let mut clears = Vec::new();
        call.named.fill(false);
        for (place, value) in &record.sets {
            if let Some(named) = call.named.get_mut(*place) {
                *named = true;
            }
            let others = self.typed(call, *place);
            clears.extend(others.others(value.kind()).filter(|other| chunk.get(at, *other).is_some()));
        }
        if call.mode == Mode::Replace {
            for place in 0..call.named.len() {
                if call.named.get(place) == Some(&false) {
                    clears.extend(self.typed(call, place).all().filter(|column| chunk.get(at, *column).is_some()));
                }
            }
        }
        clears
    }

    /// Deletes an end user; false when unknown.
    pub(crate) fn delete(&mut self, system: &SystemId, id: &EndUserId) -> bool {
        let Some(data) = self.state.system(system) else { return false };
        let Some(row) = data.find_row(id.as_str()) else { return false };
        let no = data.no;
        self.state.forget(system, row);
        self.does(Op::Delete { system: no, row });
        let before = self.number(no).0;
        self.ops.push(Op::Forget { system: no, id: Some(id.shared()), before });
        true
    }

    /// Unsets one attribute of an end user; false when it has no value.
    pub(crate) fn unset(&mut self, system: &SystemId, id: &EndUserId, attribute: &AttributeId) -> bool {
        let Some(data) = self.state.system(system) else { return false };
        let Some(row) = data.find_row(id.as_str()) else { return false };
        let typed = data.catalogue.typed(attribute);
        let clears: Vec<ColumnNo> = typed.all().filter(|column| data.cell(row, *column).is_some()).collect();
        if clears.is_empty() {
            return false;
        }
        let (touched, no) = (data.catalogue.set_at(&attribute.integration), data.no);
        let before = self.state.before(system, row, &clears);
        self.does(Op::Put { system: no, row, id: None, touched, sets: Vec::new(), clears: clears.clone() });
        let target = Target { system: system.clone(), integration: attribute.integration.clone() };
        self.judge(&target, row, &clears, before.as_ref());
        true
    }

    /// Drops every column whose attribute is not kept; how many values went.
    pub(crate) fn purge(&mut self, keep: &dyn Fn(&SystemId, &AttributeId) -> bool) -> u64 {
        let mut doomed: Vec<(SystemNo, ColumnNo, u64)> = Vec::new();
        for (id, data) in &self.state.snapshot.systems {
            for (attribute, typed) in data.catalogue.attributes().filter(|(attribute, _)| !keep(id, attribute)) {
                tracing::info!(system = %id, attribute = %attribute, "purging hidden values");
                doomed.extend(typed.all().map(|column| {
                    let values = data.chunks.iter().filter_map(|chunk| chunk.column(column));
                    (data.no, column, values.map(|column| column.present().count()).sum())
                }));
            }
        }
        for (system, no, _) in &doomed {
            self.does(Op::DropColumn { system: *system, no: *no });
        }
        doomed.iter().map(|(_, _, values)| values).sum()
    }

    fn system_no(&mut self, system: &SystemId) -> SystemNo {
        if let Some(data) = self.state.system(system) {
            return data.no;
        }
        let no = self.state.next_system();
        self.does(Op::System { no, id: system.to_string() });
        no
    }

    fn next_column(&self, system: &SystemId) -> ColumnNo {
        self.state.system(system).map_or(0, |data| data.catalogue.next())
    }

    /// The columns of a declared attribute.
    fn typed(&self, call: &mut Call, place: usize) -> Typed {
        let Call { target, declared, columns, .. } = call;
        let Some(known) = columns.get_mut(place) else { return Typed::default() };
        *known.get_or_insert_with(|| {
            let data = self.state.system(&target.system).zip(declared.get(place));
            data.map_or_else(Typed::default, |(data, name)| data.catalogue.typed_of(&target.integration, name))
        })
    }

    /// The column of a declared attribute's values of a type; `None` when the update declares no such attribute.
    fn column_no(&mut self, call: &mut Call, place: usize, kind: AttributeType) -> Option<ColumnNo> {
        if let Some(known) = self.typed(call, place).of(kind) {
            return Some(known);
        }
        let name = call.declared.get(place)?.to_string();
        let column = self.next_column(&call.target.system);
        let integration = call.target.integration.to_string();
        self.does(Op::Column { system: call.system, no: column, integration, name, kind: code_of(kind) });
        *call.columns.get_mut(place)? = None;
        Some(column)
    }

    fn set_at_no(&mut self, call: &mut Call) -> ColumnNo {
        let Call { target, system, set_at, .. } = call;
        *set_at.get_or_insert_with(|| {
            let known = self.state.system(&target.system).and_then(|data| data.catalogue.set_at(&target.integration));
            known.unwrap_or_else(|| {
                let column = self.next_column(&target.system);
                self.does(Op::Integration { system: *system, no: column, id: target.integration.to_string() });
                column
            })
        })
    }
}

/// The place of a segment in a list that grows with it.
fn place_of(segments: &mut Vec<Arc<str>>, id: Arc<str>) -> Option<u16> {
    let place = segments.iter().position(|known| *known == id).unwrap_or_else(|| {
        segments.push(id);
        segments.len() - 1
    });
    u16::try_from(place).ok()
}

/// The records without those that a later one of the same end user overrides, in their order.
fn last_of_each(mut records: Vec<Record>) -> Vec<Record> {
    if records.len() == 1 {
        return records;
    }
    let mut last: HashMap<&EndUserId, usize, RandomState> =
        HashMap::with_capacity_and_hasher(records.len(), RandomState::default());
    last.extend(records.iter().enumerate().map(|(at, record)| (&record.id, at)));
    if last.len() < records.len() {
        let stands: Vec<bool> =
            records.iter().enumerate().map(|(at, record)| last.get(&record.id) == Some(&at)).collect();
        let mut stands = stands.into_iter();
        records.retain(|_| stands.next() == Some(true));
    }
    records
}
