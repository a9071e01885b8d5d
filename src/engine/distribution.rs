//! How many end users have which value of an attribute: the commonest texts, or numbers and dates in buckets.
//!
//! Memory stays small whatever is stored. Texts are counted in shares by their hash, one share after the other, so that
//! no more than a million different ones are held at once. Numbers and dates are looked through twice: once for their
//! ends, from which the buckets follow, and once to count. Invariant: every end user that was found is counted once.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::buckets::Edges;
use super::column::{CellRef, Cells, Column};
use super::found::Found;
use super::mask::Mask;
use super::parallel::Helpers;
use super::reader::Reader;
use super::snapshot::{Chunk, value_of};
use crate::model::{AttributeId, AttributeType, Value};
use crate::store::ColumnNo;

/// End users from which on texts are counted in one more share.
const SHARE: u64 = 1_000_000;

/// How often each text occurs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopTexts {
    /// The commonest and how many have them, the commonest first.
    pub top: Vec<(String, u64)>,
    /// How many have another text.
    pub other: u64,
    /// How many different texts there are.
    pub distinct: u64,
    /// How many have none.
    pub none: u64,
}

/// How many numbers or days lie in each of some buckets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Buckets {
    /// From (in), to (out), how many; rising, without gaps. Days count from 1970-01-01.
    pub buckets: Vec<(f64, f64, u64)>,
    /// How many have no value.
    pub none: u64,
}

/// Where an attribute's values stand.
struct Place {
    kind: AttributeType,
    own: Option<ColumnNo>,
    /// Columns of types that it had before.
    others: Vec<(ColumnNo, AttributeType)>,
}

impl Place {
    fn own<'c>(&self, chunk: &'c Chunk) -> Option<&'c Column> {
        chunk.column(self.own?)
    }

    /// The value of a row that has none of the present type: one of another type, read as the present one.
    fn earlier(&self, chunk: &Chunk, at: usize) -> Option<Value> {
        let stored = self.others.iter().find_map(|(no, kind)| value_of(chunk.get(at, *no)?, *kind));
        stored.and_then(|value| value.read_as(self.kind))
    }

    /// The rows that have a value of the present type, and the others.
    fn split(&self, chunk: &Chunk, found: &Mask) -> (Mask, Mask) {
        let present = self.own(chunk).map_or(Mask::NONE, |column| Mask::of(column.present()));
        (found.and(&present), found.without(&present))
    }

    /// Hands over the number (or day) of each row that was found; how many have none.
    fn each_number(&self, chunk: &Chunk, found: &Mask, mut each: impl FnMut(f64)) -> u64 {
        let (own, rest) = self.split(chunk, found);
        let mut none = 0;
        for cell in own.rows().filter_map(|at| self.own(chunk)?.get(at)) {
            match cell {
                CellRef::Number(number) => each(number),
                CellRef::Int(day) => each(day as f64),
                CellRef::String(_) => none += 1,
            }
        }
        for at in rest.rows() {
            match self.earlier(chunk, at) {
                Some(Value::Number(number)) => each(number),
                Some(Value::Date(day)) => each(f64::from(day.days())),
                _ => none += 1,
            }
        }
        none
    }

    /// Hands over each text of the rows that were found, with for how many; how many have none.
    fn each_text(&self, chunk: &Chunk, found: &Mask, mut each: impl FnMut(&str, u64)) -> u64 {
        let (own, rest) = self.split(chunk, found);
        match self.own(chunk).map(Column::cells) {
            Some(Cells::Dictionary { texts, codes }) => {
                let mut counts = [0_u64; 256];
                for code in own.rows().filter_map(|at| codes.get(at)) {
                    if let Some(count) = counts.get_mut(usize::from(*code)) {
                        *count += 1;
                    }
                }
                texts.iter().zip(counts).filter(|(_, count)| *count > 0).for_each(|(text, count)| each(text, count));
            }
            Some(_) => own.rows().filter_map(|at| self.own(chunk)?.text(at)).for_each(|text| each(text, 1)),
            None => {}
        }
        let mut none = 0;
        for at in rest.rows() {
            match self.earlier(chunk, at) {
                Some(Value::String(text)) => each(&text, 1),
                _ => none += 1,
            }
        }
        none
    }
}

impl Reader {
    fn place(&self, attribute: &AttributeId) -> Option<Place> {
        let kind = self.rules().attribute_type(attribute)?;
        let typed = self.data().catalogue.typed(attribute);
        let others = AttributeType::ALL.into_iter().filter(|other| *other != kind);
        Some(Place {
            kind,
            own: typed.of(kind),
            others: others.filter_map(|other| Some((typed.of(other)?, other))).collect(),
        })
    }

    /// The commonest texts of a String attribute among those who were found, at most `limit`.
    #[must_use]
    pub fn top_texts(&self, attribute: &AttributeId, found: &Found, limit: usize) -> TopTexts {
        let Some(place) = self.place(attribute) else { return TopTexts { none: found.total(), ..TopTexts::default() } };
        let shares = found.total().div_ceil(SHARE).max(1);
        let mut all = TopTexts::default();
        for share in 0..shares {
            let (counts, none) = self.count_texts(&place, found, |text| hash(text) % shares == share);
            all.distinct += counts.len() as u64;
            all.none = none;
            all.top.extend(counts);
            all.top.sort_unstable_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
            all.other += all.top.iter().skip(limit).map(|(_, count)| count).sum::<u64>();
            all.top.truncate(limit);
        }
        all
    }

    /// How many have each text of a share, and how many have none.
    fn count_texts(
        &self,
        place: &Place,
        found: &Found,
        is_of_share: impl Fn(&str) -> bool + Sync,
    ) -> (HashMap<String, u64>, u64) {
        let parts = self.each_chunk(Helpers::New, |no, chunk| {
            let mut counts: Vec<(String, u64)> = Vec::new();
            let none = place.each_text(chunk, &found.in_chunk(no), |text, count| {
                if is_of_share(text) {
                    counts.push((text.to_owned(), count));
                }
            });
            (counts, none)
        });
        let mut all: HashMap<String, u64> = HashMap::new();
        let mut nobody = 0;
        for (counts, none) in parts {
            nobody += none;
            counts.into_iter().for_each(|(text, count)| *all.entry(text).or_default() += count);
        }
        (all, nobody)
    }

    /// The numbers or days of an attribute among those who were found, in buckets with edges for people.
    #[must_use]
    pub fn buckets(&self, attribute: &AttributeId, found: &Found) -> Buckets {
        let Some(place) = self.place(attribute) else { return Buckets { none: found.total(), ..Buckets::default() } };
        let ends = self.each_chunk(Helpers::New, |no, chunk| {
            let mut ends = Ends::default();
            let none = place.each_number(chunk, &found.in_chunk(no), |number| {
                ends = ends.with(Ends { low: number, high: number, whole: number.fract() == 0.0 });
            });
            (ends, none)
        });
        let none = ends.iter().map(|(_, none)| none).sum();
        let Ends { low, high, whole } = ends.into_iter().fold(Ends::default(), |all, (ends, _)| all.with(ends));
        if low > high {
            return Buckets { none, ..Buckets::default() };
        }
        let edges = match place.kind {
            AttributeType::Date => Edges::of_days(low, high),
            _ => Edges::of_numbers(low, high, whole),
        };
        let mut counts = vec![0_u64; edges.buckets()];
        for part in self.each_chunk(Helpers::New, |no, chunk| {
            let mut counts = vec![0_u64; edges.buckets()];
            place.each_number(chunk, &found.in_chunk(no), |number| {
                if let Some(count) = counts.get_mut(edges.bucket_of(number)) {
                    *count += 1;
                }
            });
            counts
        }) {
            counts.iter_mut().zip(part).for_each(|(count, more)| *count += more);
        }
        Buckets { buckets: edges.spans().zip(counts).map(|((from, to), count)| (from, to, count)).collect(), none }
    }
}

/// The lowest and the highest of some numbers, and whether all are whole.
#[derive(Debug, Clone, Copy)]
struct Ends {
    low: f64,
    high: f64,
    whole: bool,
}

impl Default for Ends {
    fn default() -> Self {
        Self { low: f64::INFINITY, high: f64::NEG_INFINITY, whole: true }
    }
}

impl Ends {
    fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high), whole: self.whole && other.whole }
    }
}

fn hash(text: &str) -> u64 {
    FixedState::with_seed(0).hash_one(text)
}
