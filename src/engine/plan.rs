//! From what a caller wants to the physical operations that do it, against the state as it is at that point.
//!
//! Every operation is applied to the state as soon as it is planned, so that a later call of the same commit sees
//! it. Refuses to know of durability: the writer throws the state away when the commit fails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::catalogue::Spec;
use super::events::EventLog;
use super::state::{Moved, Stamp, State, cell_ref, code_of};
use super::writer::{Mode, Outcome, Record, RecordWrite, Update};
use crate::model::{AttributeId, AttributeName, AttributeType, EndUserId, IntegrationId, SystemId, Value};
use crate::store::{Cause, Cell, ColumnNo, Op, RowNo, SystemNo};

/// Most moves that one commit tells of. A larger change leaves a gap, which followers are told of: they read anew who
/// is in a segment.
pub(super) const MAX_TOLD: u64 = 32_768;

/// Plans one commit.
pub(crate) struct Plan<'a> {
    pub(super) state: &'a mut State,
    stamp: Stamp,
    ops: Vec<Op>,
    events: &'a EventLog,
    /// By system: the number of the next move, and how many were planned.
    numbers: BTreeMap<SystemNo, (u64, u64)>,
}

/// Where a write went.
struct Written<'a> {
    system: &'a SystemId,
    integration: &'a IntegrationId,
}

/// What became of one end user.
enum Fate {
    Created,
    Updated,
    Unchanged,
}

fn cell_of(value: &Value) -> Cell {
    match value {
        Value::String(text) => Cell::S(Arc::clone(text)),
        Value::Number(number) => Cell::N(*number),
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
        if count > 0 && *told <= MAX_TOLD {
            let Moved { entered, left } = moved;
            self.ops.push(Op::Moves { system, first, id: Arc::from(id), entered, left, cause: Arc::clone(cause) });
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
    fn judge(&mut self, update: &Written<'_>, row: RowNo, columns: Option<&[ColumnNo]>) {
        let moved = self.state.judge(update.system, row, columns);
        let Some(data) = self.state.system(update.system).filter(|_| moved.len() > 0) else { return };
        let all = 0..data.catalogue.next();
        let written: Vec<ColumnNo> = columns.map_or_else(|| all.collect(), <[ColumnNo]>::to_vec);
        let mut attributes: Vec<Arc<str>> = written
            .into_iter()
            .filter_map(|column| match data.catalogue.spec(column)? {
                Spec::Attribute(id, _) if id.integration == *update.integration => Some(id.name.shared()),
                _ => None,
            })
            .collect();
        attributes.dedup();
        let cause = Cause::Update { integration: update.integration.shared(), attributes };
        let (no, id) = (data.no, data.id(row).to_owned());
        self.tell(no, &id, moved, &Arc::new(cause));
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
    pub(crate) fn update(&mut self, update: &Update) -> Outcome {
        let mut outcome = Outcome { received: update.records.len() as u64, created: 0, updated: 0, unchanged: 0 };
        for record in last_of_each(&update.records) {
            match self.one(update, record) {
                Fate::Created => outcome.created += 1,
                Fate::Updated => outcome.updated += 1,
                Fate::Unchanged => outcome.unchanged += 1,
            }
        }
        outcome
    }

    fn one(&mut self, update: &Update, record: &Record) -> Fate {
        let row = self.state.system(&update.system).and_then(|data| data.find_row(record.id.as_str()));
        if record.sets.is_empty() && (row.is_none() || update.mode == Mode::Merge) {
            return Fate::Unchanged;
        }
        let system = self.system_no(&update.system);
        let mut sets = Vec::with_capacity(record.sets.len());
        let mut clears = Vec::new();
        for (name, value) in &record.sets {
            let attribute = AttributeId { integration: update.integration.clone(), name: name.clone() };
            let column = self.column_no(system, &update.system, &attribute, value.kind());
            let cell = cell_of(value);
            if let (Some(data), Some(row)) = (self.state.system(&update.system), row) {
                let typed = data.catalogue.typed(&attribute);
                clears.extend(typed.others(value.kind()).filter(|other| data.cell(row, *other).is_some()));
                if data.cell(row, column) == Some(cell_ref(&cell)) {
                    continue;
                }
            }
            sets.push((column, cell));
        }
        if update.mode == Mode::Replace
            && let Some(row) = row
        {
            clears.extend(self.missing(update, record, row));
        }
        if sets.is_empty() && clears.is_empty() {
            return Fate::Unchanged;
        }
        let touched = Some(self.set_at_no(system, &update.system, &update.integration));
        let (id, fate) = match row {
            Some(_) => (None, Fate::Updated),
            None => (Some(record.id.as_str().to_owned()), Fate::Created),
        };
        let columns: Option<Vec<ColumnNo>> =
            row.map(|_| sets.iter().map(|(column, _)| *column).chain(clears.iter().copied()).collect());
        let row = row.unwrap_or_else(|| self.state.take_row(system));
        self.does(Op::Put { system, row, id, touched, sets, clears });
        let written = Written { system: &update.system, integration: &update.integration };
        self.judge(&written, row, columns.as_deref());
        fate
    }

    /// The cells that a replacing record leaves out: declared attributes that have a value and get none.
    fn missing(&self, update: &Update, record: &Record, row: u32) -> Vec<ColumnNo> {
        let Some(data) = self.state.system(&update.system) else { return Vec::new() };
        let named: HashSet<&AttributeName> = record.sets.iter().map(|(name, _)| name).collect();
        let left_out = update.declared.iter().filter(|name| !named.contains(name));
        left_out
            .flat_map(|name| {
                let attribute = AttributeId { integration: update.integration.clone(), name: name.clone() };
                data.catalogue.typed(&attribute).all().collect::<Vec<_>>()
            })
            .filter(|column| data.cell(row, *column).is_some())
            .collect()
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
        self.does(Op::Put { system: no, row, id: None, touched, sets: Vec::new(), clears: clears.clone() });
        self.judge(&Written { system, integration: &attribute.integration }, row, Some(&clears));
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

    fn column_no(&mut self, no: SystemNo, system: &SystemId, attribute: &AttributeId, kind: AttributeType) -> ColumnNo {
        let known = self.state.system(system).and_then(|data| data.catalogue.typed(attribute).of(kind));
        known.unwrap_or_else(|| {
            let column = self.next_column(system);
            let (integration, name) = (attribute.integration.to_string(), attribute.name.to_string());
            self.does(Op::Column { system: no, no: column, integration, name, kind: code_of(kind) });
            column
        })
    }

    fn set_at_no(&mut self, no: SystemNo, system: &SystemId, integration: &IntegrationId) -> ColumnNo {
        let known = self.state.system(system).and_then(|data| data.catalogue.set_at(integration));
        known.unwrap_or_else(|| {
            let column = self.next_column(system);
            self.does(Op::Integration { system: no, no: column, id: integration.to_string() });
            column
        })
    }
}

/// The records without those that a later one of the same end user overrides, in their order.
fn last_of_each(records: &[Record]) -> Vec<&Record> {
    if let [only] = records {
        return vec![only];
    }
    let last: HashMap<&EndUserId, usize> = records.iter().enumerate().map(|(at, record)| (&record.id, at)).collect();
    let standing = records.iter().enumerate().filter(|(at, record)| last.get(&record.id) == Some(at));
    standing.map(|(_, record)| record).collect()
}
