//! Planning a large update by columns: its rows are found, compared, written and judged together.
//!
//! Does what planning its records one by one would do; only the order in which moves are told may differ, and their
//! cause is one for all. Refuses to know how a row's values are kept.

use std::collections::BTreeMap;

use super::column::Bits;
use super::plan::{Call, Plan, last_of_each};
use super::sheet::{Sheet, Written};
use super::snapshot::SystemData;
use super::write::{Mode, Outcome, Update, WriteError};
use crate::model::AttributeType;
use crate::store::{ColumnNo, Op, RowNo, encode};

/// What a sheet changes.
struct Change {
    /// Who changes or comes to be: the place in the sheet, and the row of whoever is there already. Of an end user who is
    /// named twice the later place.
    kept: Vec<(usize, Option<RowNo>)>,
    /// How many end users the sheet names.
    named: u64,
    /// The declared attributes, and their types, that change for somebody who is there already.
    attributes: Vec<(usize, AttributeType)>,
    /// Whose value goes: places in the sheet by column.
    clears: BTreeMap<ColumnNo, Vec<usize>>,
}

impl Plan<'_> {
    /// An update of many end users. An end user named twice: the later place stands.
    pub(super) fn sheet(&mut self, update: Update, sheet: Sheet) -> Result<Outcome, WriteError> {
        let Change { kept, named, attributes, clears } = self.change(&update, &sheet);
        let received = sheet.len() as u64;
        if kept.is_empty() {
            return Ok(Outcome { received, created: 0, updated: 0, unchanged: named });
        }
        let system = self.system_no(&update.system);
        let mut call = Call::new(update, system);
        let touched = self.set_at_no(&mut call);
        let mut written = Written::default();
        for (_, row) in &kept {
            written.created.set(written.rows.len(), row.is_none());
            written.rows.push(row.unwrap_or_else(|| self.state.take_row(system)));
        }
        let kept: Vec<usize> = kept.into_iter().map(|(at, _)| at).collect();
        written.clears = moved_up(clears, &kept);
        let sheet = if kept.len() < sheet.len() { sheet.select(&kept) } else { sheet };
        let (ids, values) = sheet.into_parts();
        written.ids = ids;
        for (place, kind, values) in values {
            if let Some(column) = self.column_no(&mut call, place, kind) {
                written.sets.push((column, values));
            }
        }
        let created = written.created.count();
        let mut columns: Vec<ColumnNo> =
            attributes.into_iter().filter_map(|(place, kind)| self.typed(&mut call, place).of(kind)).collect();
        if created > 0 {
            columns.extend(written.sets.iter().map(|(no, _)| *no));
            columns.sort_unstable();
            columns.dedup();
        }
        self.write(&call, touched, &written)?;
        self.judge_written(system, &call.target, &written.rows, &columns);
        let changed = kept.len() as u64;
        Ok(Outcome { received, created, updated: changed - created, unchanged: named - changed })
    }

    fn write(&mut self, call: &Call, touched: ColumnNo, written: &Written) -> Result<(), WriteError> {
        let bytes = encode(written).map_err(|error| WriteError::Failed(error.to_string()))?;
        self.state.apply_written(call.system, touched, written, self.stamp);
        self.state.index_written(call.system, written);
        self.ops.push(Op::Sheet { system: call.system, touched, written: bytes });
        Ok(())
    }

    /// What a sheet changes, against the state as it is.
    fn change(&self, update: &Update, sheet: &Sheet) -> Change {
        let data = self.state.system(&update.system);
        let places = last_of_each((0..sheet.len()).map(|at| sheet.id(at)));
        let row_of = |at: usize| data.and_then(|data| data.find_row(sheet.id(at)));
        let rows: Vec<(usize, Option<RowNo>)> = places.into_iter().map(|at| (at, row_of(at))).collect();
        let known: Vec<(usize, RowNo)> = rows.iter().filter_map(|(at, row)| Some((*at, (*row)?))).collect();
        let mut change =
            Change { kept: Vec::new(), named: rows.len() as u64, attributes: Vec::new(), clears: BTreeMap::new() };
        let mut changed = vec![false; sheet.len()];
        if let Some(data) = data.filter(|_| !known.is_empty()) {
            let comparison = Comparison { data, update, sheet, known: &known };
            for place in 0..update.declared.len() {
                comparison.attribute(place, &mut changed, &mut change);
            }
        }
        let changes = |at: usize, row: Option<RowNo>| match row {
            Some(_) => changed.get(at) == Some(&true),
            None => sheet.has_values(at),
        };
        change.kept = rows.into_iter().filter(|(at, row)| changes(*at, *row)).collect();
        change
    }
}

/// A sheet beside the values of those who are there already.
struct Comparison<'a> {
    data: &'a SystemData,
    update: &'a Update,
    sheet: &'a Sheet,
    /// Their places in the sheet, and their rows.
    known: &'a [(usize, RowNo)],
}

impl Comparison<'_> {
    /// Notes for whom a declared attribute changes, and whose value of it goes.
    fn attribute(&self, place: usize, changed: &mut [bool], change: &mut Change) {
        let Some(name) = self.update.declared.get(place) else { return };
        let typed = self.data.catalogue.typed_of(&self.update.integration, name);
        let given = AttributeType::ALL.map(|kind| self.sheet.values(place, kind));
        let is_given = |at: usize| given.iter().flatten().any(|values| values.present().get(at));
        for (kind, values) in AttributeType::ALL.into_iter().zip(given) {
            let column = typed.of(kind);
            if values.is_none() && column.is_none() {
                continue;
            }
            let mut noted = false;
            for (at, row) in self.known {
                let Some(changed) = changed.get_mut(*at) else { continue };
                if noted && *changed && values.is_some_and(|values| values.present().get(*at)) {
                    continue;
                }
                let new = values.and_then(|values| values.get(*at));
                let old = column.and_then(|column| self.data.cell(*row, column));
                let goes = old.is_some() && new.is_none() && (self.update.mode == Mode::Replace || is_given(*at));
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
