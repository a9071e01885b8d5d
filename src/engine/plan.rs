//! From what a caller wants to the physical operations that do it, against the state as it is at that point.
//!
//! Every operation is applied to the state as soon as it is planned, so that a later call of the same commit sees
//! it. Refuses to know of durability: the writer throws the state away when the commit fails.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::catalogue::Typed;
use super::events::EventLog;
use super::snapshot::locate;
use super::state::{Stamp, State, cell_ref, code_of};
use super::tell::MAX_TOLD;
use super::write::{Mode, Outcome, Record, RecordWrite, Records, Update, WriteError};
use crate::model::{AttributeId, AttributeName, AttributeType, EndUserId, IntegrationId, SystemId, Value};
use crate::store::{Cell, ColumnNo, Op, RowNo, SystemNo};

/// Plans one commit.
pub(crate) struct Plan<'a> {
    pub(super) state: &'a mut State,
    pub(super) stamp: Stamp,
    pub(super) ops: Vec<Op>,
    pub(super) events: &'a EventLog,
    /// By system: the number of the next move, and how many were planned.
    pub(super) numbers: BTreeMap<SystemNo, (u64, u64)>,
}

/// Where a write goes.
pub(super) struct Target {
    pub(super) system: SystemId,
    pub(super) integration: IntegrationId,
}

/// What became of one end user.
enum Fate {
    Created,
    Updated,
    Unchanged,
}

/// An update while it is planned.
pub(super) struct Call {
    pub(super) target: Target,
    pub(super) mode: Mode,
    /// The declared attributes, by place.
    pub(super) declared: Arc<[AttributeName]>,
    pub(super) system: SystemNo,
    /// Each declared attribute's columns, once they were looked up.
    columns: Vec<Option<Typed>>,
    /// Which declared attributes the record at hand names.
    named: Vec<bool>,
    set_at: Option<ColumnNo>,
}

impl Call {
    pub(super) fn new(update: Update, system: SystemNo) -> Self {
        let places = update.declared.len();
        Self {
            target: Target { system: update.system, integration: update.integration },
            mode: update.mode,
            declared: update.declared,
            system,
            columns: vec![None; places],
            named: vec![false; places],
            set_at: None,
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
    ///
    /// # Errors
    /// [`WriteError::Failed`] when the journal can't say it.
    pub(crate) fn update(&mut self, mut update: Update) -> Result<Outcome, WriteError> {
        match std::mem::take(&mut update.records) {
            Records::Each(records) => Ok(self.each(update, records)),
            Records::Sheet(sheet) => self.sheet(update, sheet),
        }
    }

    /// An update of few end users, each judged as soon as it is written.
    fn each(&mut self, update: Update, mut records: Vec<Record>) -> Outcome {
        let mut outcome = Outcome { received: records.len() as u64, created: 0, updated: 0, unchanged: 0 };
        // Most calls have one record, and are not to pay for those that have several.
        if records.len() > 1 {
            let last = last_of_each(records.iter().map(|record| record.id.as_str()));
            let mut at = 0..;
            records.retain(|_| at.next().is_some_and(|at| last.binary_search(&at).is_ok()));
        }
        let adds = update.mode == Mode::Merge;
        let idle = |record: &Record| record.sets.is_empty() && (adds || self.row_of(&update.system, record).is_none());
        if records.iter().all(idle) {
            // Nothing comes to be by it, the system neither.
            outcome.unchanged = records.len() as u64;
            return outcome;
        }
        let system = self.system_no(&update.system);
        let mut call = Call::new(update, system);
        for record in records {
            match self.one(&mut call, record) {
                Fate::Created => outcome.created += 1,
                Fate::Updated => outcome.updated += 1,
                Fate::Unchanged => outcome.unchanged += 1,
            }
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
        let columns: Vec<ColumnNo> = columns.collect();
        let before = if is_new { None } else { self.state.before(&call.target.system, row, &columns) };
        self.does(Op::Put { system: call.system, row, id, touched, sets, clears });
        self.judge(&call.target, row, &columns, before.as_ref());
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

    pub(super) fn system_no(&mut self, system: &SystemId) -> SystemNo {
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
    pub(super) fn typed(&self, call: &mut Call, place: usize) -> Typed {
        let Call { target, declared, columns, .. } = call;
        let Some(known) = columns.get_mut(place) else { return Typed::default() };
        *known.get_or_insert_with(|| {
            let data = self.state.system(&target.system).zip(declared.get(place));
            data.map_or_else(Typed::default, |(data, name)| data.catalogue.typed_of(&target.integration, name))
        })
    }

    /// The column of a declared attribute's values of a type; `None` when the update declares no such attribute.
    pub(super) fn column_no(&mut self, call: &mut Call, place: usize, kind: AttributeType) -> Option<ColumnNo> {
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

    pub(super) fn set_at_no(&mut self, call: &mut Call) -> ColumnNo {
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

/// The places, in order, of those who are not named again behind.
pub(super) fn last_of_each<'a>(ids: impl ExactSizeIterator<Item = &'a str> + DoubleEndedIterator) -> Vec<usize> {
    let mut seen: HashSet<&str, RandomState> = HashSet::with_capacity_and_hasher(ids.len(), RandomState::default());
    let mut last: Vec<usize> = ids.enumerate().rev().filter_map(|(at, id)| seen.insert(id).then_some(at)).collect();
    last.reverse();
    last
}
