//! The rules of a system bound to its columns: how each segment is judged, and which must be judged after a write.
//!
//! Knows segments by their place in the order of judging, in which each comes after those that it asks about. Belongs to
//! one catalogue; a column that comes later is not seen.

use std::collections::HashMap;
use std::sync::Arc;

use super::bound::{Bound, BoundTest, shared_tests};
use super::catalogue::SharedCatalogue;
use super::row::Row;
use crate::model::{AttributeId, Date, SegmentId};
use crate::ruleset::RuleSet;
use crate::store::ColumnNo;

/// The rules bound to a catalogue.
pub(super) struct Judge {
    pub(super) catalogue: SharedCatalogue,
    pub(super) ways: Vec<Way>,
    /// The tests that they share, each with the segments that make it.
    pub(super) tests: Vec<(BoundTest, Places)>,
    /// For each segment, those that ask about it.
    askers: Vec<Vec<usize>>,
    /// Who reads a column.
    readers: HashMap<ColumnNo, Readers>,
}

/// Who reads a column.
#[derive(Default)]
struct Readers {
    /// The tests, by number.
    tests: Vec<usize>,
    /// The segments that are scripts.
    scripts: Vec<usize>,
}

/// What the tests that read some columns answered of a row before these were written.
pub(crate) struct Before {
    judge: Arc<Judge>,
    columns: Vec<ColumnNo>,
    answers: Vec<(usize, bool)>,
}

/// How a segment is judged.
pub(super) enum Way {
    Index(Bound),
    /// By its script, for rows for which the guard holds.
    Script(Bound),
}

impl Way {
    fn bound(&mut self) -> &mut Bound {
        match self {
            Self::Index(bound) | Self::Script(bound) => bound,
        }
    }
}

impl Judge {
    pub(super) fn new(rules: &RuleSet, catalogue: &SharedCatalogue) -> Self {
        let segments = rules.segments.order();
        let ways = segments.iter().map(|segment| match segment.condition() {
            Ok(condition) => Way::Index(bind(condition, rules, catalogue)),
            Err(_) => Way::Script(segment.guard().map_or(Bound::Constant(true), |guard| bind(guard, rules, catalogue))),
        });
        let mut ways: Vec<Way> = ways.collect();
        let mut readers: HashMap<ColumnNo, Readers> = HashMap::new();
        let mut tests = Vec::new();
        for (no, (test, makers)) in shared_tests(ways.iter_mut().map(Way::bound)).into_iter().enumerate() {
            for column in test.columns() {
                readers.entry(column).or_default().tests.push(no);
            }
            let mut places = Places::new(segments.len(), false);
            makers.into_iter().for_each(|place| places.add(place));
            tests.push((test, places));
        }
        let mut askers = vec![Vec::new(); segments.len()];
        for (place, segment) in segments.iter().enumerate() {
            for asked in segment.depends_on().iter().filter_map(|id| rules.segments.place(id)) {
                askers.get_mut(asked).into_iter().for_each(|askers| askers.push(place));
            }
            let is_script = segment.condition().is_err();
            for column in segment
                .reads()
                .iter()
                .filter(|_| is_script)
                .flat_map(|id| catalogue.typed(id).all().collect::<Vec<_>>())
            {
                readers.entry(column).or_default().scripts.push(place);
            }
        }
        Self { catalogue: Arc::clone(catalogue), ways, tests, askers, readers }
    }

    /// What is to be compared with after some columns of a row were written.
    pub(super) fn before(self: &Arc<Self>, row: &mut Row<'_>, columns: &[ColumnNo], today: Date) -> Before {
        let readers = columns.iter().filter_map(|column| self.readers.get(column));
        let tests = readers.flat_map(|readers| &readers.tests);
        let answers = tests.filter_map(|no| Some((*no, self.tests.get(*no)?.0.holds(row, today))));
        Before { answers: answers.collect(), judge: Arc::clone(self), columns: columns.to_vec() }
    }

    /// The segments that have to be judged again as columns of a row were written: those that make a test whose answer
    /// changed, and scripts. All, where it is not known what these rules answered before.
    pub(super) fn due(self: &Arc<Self>, row: &mut Row<'_>, before: Option<&Before>, today: Date) -> Places {
        let Some(before) = before.filter(|before| Arc::ptr_eq(&before.judge, self)) else {
            return Places::new(self.ways.len(), true);
        };
        let mut due = Places::new(self.ways.len(), false);
        for (no, answer) in &before.answers {
            if let Some((test, makers)) = self.tests.get(*no)
                && row.answer(Some(*no), |row| test.holds(row, today)) != *answer
            {
                due.add_all(makers);
            }
        }
        let scripts = before.columns.iter().filter_map(|column| self.readers.get(column));
        scripts.flat_map(|readers| &readers.scripts).for_each(|place| due.add(*place));
        due
    }

    pub(super) fn askers(&self, place: usize) -> &[usize] {
        self.askers.get(place).map_or(&[], Vec::as_slice)
    }
}

/// Binds a condition to a system's columns, as its rules show them.
pub(super) fn bind(condition: &crate::predicate::Condition, rules: &RuleSet, catalogue: &SharedCatalogue) -> Bound {
    let place_of = |id: &SegmentId| rules.segments.place(id);
    let shown = |id: &AttributeId| rules.attribute_type(id).is_some();
    Bound::new(condition, catalogue, &place_of, &shown)
}

/// A set of places, taken out in rising order while others are added further up.
pub(super) struct Places(Vec<u64>);

impl Places {
    pub(super) fn new(places: usize, full: bool) -> Self {
        let mut words = vec![if full { u64::MAX } else { 0 }; places.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| full && !places.is_multiple_of(64)) {
            *last = (1 << (places % 64)) - 1;
        }
        Self(words)
    }

    pub(super) fn add(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word |= other);
    }

    /// The lowest place at or above one.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let first = self.0.get(from / 64)? & (u64::MAX << (from % 64));
        let rest = self.0.iter().copied().enumerate().skip(from / 64 + 1);
        let mut words = std::iter::once((from / 64, first)).chain(rest);
        words.find(|(_, word)| *word != 0).map(|(at, word)| at * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_out_in_rising_order() {
        let mut places = Places::new(130, false);
        [129, 3, 64, 63].into_iter().for_each(|place| places.add(place));
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(place) = places.next(from) {
            found.push(place);
            if place == 63 {
                places.add(100);
            }
            from = place + 1;
        }
        assert_eq!(found, [3, 63, 64, 100, 129]);
        assert_eq!(Places::new(65, true).next(64), Some(64));
        assert_eq!(Places::new(65, true).next(65), None);
        assert_eq!(Places::new(0, true).next(0), None);
    }
}
