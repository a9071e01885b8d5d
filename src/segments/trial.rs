//! The trial of a rule before it goes live: it runs for made-up end users, so that an endless loop or a value that is
//! no boolean is found now and not at the first page load.
//!
//! The end users: one with no attributes, and some whose attributes go through ordinary and odd values and through
//! the texts and numbers that stand in the rule, so that its branches are reached. Invariant: a failure that comes
//! from the made-up values themselves (an index out of bounds, a `throw`) refuses nothing, as it may never happen.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Findings;
use super::evaluation::{Membership, Session};
use super::limits::TRIAL_TIME;
use super::messages::FailureKind;
use super::script::{Inputs, Script};
use super::typing::Wrong;
use super::{Facts, Schema};
use crate::model::{AttributeId, AttributeType, Date, Value};

/// Most made-up end users.
const ROWS: usize = 12;

struct Row(BTreeMap<AttributeId, Value>);

impl Facts for Row {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.0.get(attribute).cloned()
    }
}

/// Tries the rule; the first thing that is wrong, if anything is.
pub(super) fn run(script: &Script, inputs: &Inputs, findings: &Findings, schema: &Schema) -> Result<(), Wrong> {
    let today = Date::from_days(20_000).or(Date::from_days(0)).ok_or_else(no_day)?;
    for (number, row) in rows(findings, schema, today).iter().enumerate() {
        let attempt = || {
            let session = Session::begin(today, Membership::All(number % 2 == 1));
            script.run(&mut inputs.scope(row), &session, TRIAL_TIME)
        };
        let result = match attempt() {
            Err(failure) if failure.kind == FailureKind::Time => attempt(),
            result => result,
        };
        match result {
            Err(failure) if failure.kind != FailureKind::Values => {
                let message = match failure.kind {
                    FailureKind::Limit | FailureKind::Time => failure.message,
                    _ => format!("{} (for an end user with {})", failure.message, in_words(row)),
                };
                return Err(Wrong::new(failure.at, message));
            }
            _ => (),
        }
    }
    Ok(())
}

fn no_day() -> Wrong {
    Wrong::new(rhai::Position::NONE, "there is no day to try the rule on")
}

fn rows(findings: &Findings, schema: &Schema, today: Date) -> Vec<Row> {
    let samples = Samples::new(findings, today);
    let mut rows = vec![Row(BTreeMap::new())];
    if findings.reads.is_empty() {
        // Only the membership in other segments can differ.
        rows.push(Row(BTreeMap::new()));
        return rows;
    }
    for turn in 0..samples.most().min(ROWS) {
        let values = findings.reads.iter().enumerate().filter_map(|(place, id)| {
            let kind = schema.integrations.get(&id.integration)?.get(&id.name)?;
            Some((id.clone(), samples.pick(*kind, turn + place)?))
        });
        rows.push(Row(values.collect()));
    }
    rows
}

/// Values of each type to try.
struct Samples {
    texts: Vec<Value>,
    numbers: Vec<Value>,
    dates: Vec<Value>,
}

impl Samples {
    fn new(findings: &Findings, today: Date) -> Self {
        let written: BTreeSet<&str> = findings.texts.iter().map(|text| text.as_str()).collect();
        let long = "word ".repeat(40);
        let texts = written.iter().copied().chain(["", "a", "Ünï çødé 12", long.as_str()]);
        let numbers = findings.numbers.iter().copied().chain([1.0, 0.0, -1.0, 0.5, 100.0]);
        let odd = ["0001-01-01", "9999-12-31", "2024-02-29"];
        let dates = written.iter().copied().chain(odd).filter_map(|text| text.parse().ok());
        Self {
            texts: texts.map(|text| Value::String(text.into())).collect(),
            numbers: numbers.filter(|number| number.is_finite()).map(Value::Number).collect(),
            dates: std::iter::once(today).chain(dates).map(Value::Date).collect(),
        }
    }

    fn most(&self) -> usize {
        self.texts.len().max(self.numbers.len()).max(self.dates.len())
    }

    fn pick(&self, kind: AttributeType, turn: usize) -> Option<Value> {
        let values = match kind {
            AttributeType::String => &self.texts,
            AttributeType::Number => &self.numbers,
            AttributeType::Date => &self.dates,
        };
        values.get(turn % values.len().max(1)).cloned()
    }
}

fn in_words(row: &Row) -> String {
    const SHOWN: usize = 3;
    if row.0.is_empty() {
        return "no attributes".to_owned();
    }
    let shown = row.0.iter().take(SHOWN).map(|(id, value)| {
        let text: String = value.to_json().to_string().chars().take(30).collect();
        format!("{id} = {text}")
    });
    shown.collect::<Vec<_>>().join(", ")
}
