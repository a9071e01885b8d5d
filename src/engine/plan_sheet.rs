//! Planning a large update by columns: its rows are found, compared, written and judged together.
//!
//! Does what planning its records one by one would do; only the order in which moves are told may differ, and their
//! cause is one for all. Refuses to know how a row's values are kept.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;

use super::column::Bits;
use super::plan::{Call, Plan};
use super::sheet::{Sheet, Written};
use super::writer::{Mode, Outcome, Update, WriteError};
use crate::model::AttributeType;
use crate::store::{ColumnNo, Op, RowNo, encode};

/// What a sheet does to the end users who are there already.
struct Change {
    /// Whose values change, by place.
    changed: Vec<bool>,
    /// The declared attributes, and their types, in which that is so.
    attributes: Vec<(usize, AttributeType)>,
    /// Whose value goes, by column.
    clears: BTreeMap<ColumnNo, Vec<usize>>,
}

impl Plan<'_> {
    /// An update of many end users. An end user named twice: the later place stands.
    pub(super) fn sheet(&mut self, update: Update, sheet: Sheet) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome { received: sheet.len() as u64, created: 0, updated: 0, unchanged: 0 };
        let last = last_of_each(&sheet);
        let data = self.state.system(&update.system);
        let rows: Vec<Option<RowNo>> =
            (0..sheet.len()).map(|at| data.and_then(|data| data.find_row(sheet.id(at)))).collect();
        let stands = last.iter().enumerate().filter(|(_, last)| **last).map(|(at, _)| at);
        let (known, new): (Vec<usize>, Vec<usize>) = stands.partition(|at| rows.get(*at).is_some_and(Option::is_some));
        let known: Vec<(usize, RowNo)> = known.into_iter().filter_map(|at| Some((at, (*rows.get(at)?)?))).collect();
        let change = self.change(&update, &sheet, &known);
        let changes = |at: usize| match rows.get(at) {
            Some(Some(_)) => change.changed.get(at) == Some(&true),
            _ => sheet.has_values(at),
        };
        let kept: Vec<usize> = (0..sheet.len()).filter(|at| last.get(*at) == Some(&true) && changes(*at)).collect();
        let distinct = (known.len() + new.len()) as u64;
        outcome.unchanged = distinct - kept.len() as u64;
        if kept.is_empty() {
            return Ok(outcome);
        }
        let system = self.system_no(&update.system);
        let mut call = Call::new(update, system);
        let touched = self.set_at_no(&mut call);
        let mut written = Written::default();
        for at in &kept {
            let known = rows.get(*at).copied().flatten();
            written.created.set(written.rows.len(), known.is_none());
            written.rows.push(known.unwrap_or_else(|| self.state.take_row(system)));
        }
        outcome.created = written.created.count();
        outcome.updated = kept.len() as u64 - outcome.created;
        written.clears = moved_up(change.clears, &kept);
        let sheet = if kept.len() < sheet.len() { sheet.select(&kept) } else { sheet };
        let (ids, values) = sheet.into_parts();
        written.ids = ids;
        for (place, kind, values) in values {
            if let Some(column) = self.column_no(&mut call, place, kind) {
                written.sets.push((column, values));
            }
        }
        let mut columns: Vec<ColumnNo> = Vec::new();
        for (place, kind) in change.attributes {
            columns.extend(self.typed(&mut call, place).of(kind));
        }
        if outcome.created > 0 {
            columns.extend(written.sets.iter().map(|(no, _)| *no));
            columns.sort_unstable();
            columns.dedup();
        }
        self.write(&call, touched, &written)?;
        self.judge_written(system, &call.target, &written.rows, &columns);
        Ok(outcome)
    }

    fn write(&mut self, call: &Call, touched: ColumnNo, written: &Written) -> Result<(), WriteError> {
        let bytes = encode(written).map_err(|error| WriteError::Failed(error.to_string()))?;
        self.state.apply_written(call.system, touched, written, self.stamp);
        self.state.index_written(call.system, written);
        self.ops.push(Op::Sheet { system: call.system, touched, written: bytes });
        Ok(())
    }

    /// What a sheet does to the rows of those who are there already.
    fn change(&self, update: &Update, sheet: &Sheet, known: &[(usize, RowNo)]) -> Change {
        let mut change = Change { changed: vec![false; sheet.len()], attributes: Vec::new(), clears: BTreeMap::new() };
        let Some(data) = self.state.system(&update.system).filter(|_| !known.is_empty()) else { return change };
        for (place, name) in update.declared.iter().enumerate() {
            let typed = data.catalogue.typed_of(&update.integration, name);
            let given = AttributeType::ALL.map(|kind| sheet.values(place, kind));
            let is_given = |at: usize| given.iter().flatten().any(|values| values.present().get(at));
            for (kind, values) in AttributeType::ALL.into_iter().zip(given) {
                let column = typed.of(kind);
                if values.is_none() && column.is_none() {
                    continue;
                }
                let mut noted = false;
                for (at, row) in known {
                    let Some(changed) = change.changed.get_mut(*at) else { continue };
                    if noted && *changed && values.is_some_and(|values| values.present().get(*at)) {
                        continue;
                    }
                    let new = values.and_then(|values| values.get(*at));
                    let old = column.and_then(|column| data.cell(*row, column));
                    let goes = old.is_some() && new.is_none() && (update.mode == Mode::Replace || is_given(*at));
                    if !goes && (new.is_none() || new == old) {
                        continue;
                    }
                    *changed = true;
                    if !noted {
                        change.attributes.push((place, kind));
                        noted = true;
                    }
                    if let Some(column) = column.filter(|_| goes) {
                        change.clears.entry(column).or_default().push(*at);
                    }
                }
            }
        }
        change
    }
}

/// By place: whether no later one names the same end user.
fn last_of_each(sheet: &Sheet) -> Vec<bool> {
    let mut seen: HashSet<&str, RandomState> = HashSet::with_capacity_and_hasher(sheet.len(), RandomState::default());
    let mut last: Vec<bool> = (0..sheet.len()).rev().map(|at| seen.insert(sheet.id(at))).collect();
    last.reverse();
    last
}

/// Places by column, once only those of `kept` are left.
fn moved_up(places: BTreeMap<ColumnNo, Vec<usize>>, kept: &[usize]) -> Vec<(ColumnNo, Bits)> {
    let bits = |places: Vec<usize>| {
        let mut bits = Bits::default();
        places.iter().filter_map(|place| kept.binary_search(place).ok()).for_each(|at| bits.set(at, true));
        bits
    };
    places.into_iter().map(|(column, places)| (column, bits(places))).collect()
}
