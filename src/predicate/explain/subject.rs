//! What a condition reads of an end user, what each of it could be, and the condition as a goal over that.
//!
//! To a condition a value is no more than which of its tests it passes, so each attribute has finitely many states; each
//! comes with a value that is in it. Of numbers and dates every state is found. Of strings those are found that can be put
//! together from what the tests look for, which is all that people ask; what is missed is only a change not told.

use std::collections::HashSet;
use std::sync::Arc;

use super::ranges::{Cut, Ranges, dates};
use super::sample::samples;
use super::{Alteration, Facts};
use crate::model::{AttributeId, AttributeType, Date, SegmentId, Value};
use crate::predicate::{Condition, Test, TextMatch};

/// Most texts that are tried for one attribute.
const TEXTS: usize = 20_000;
/// Most parts of texts of which every two are put together.
const PARTS: usize = 40;
/// The largest number that can be stored: 2^53.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// Everything that a condition reads.
pub(super) struct Subjects(Vec<Subject>);

/// An attribute or a segment that a condition reads.
pub(super) struct Subject {
    pub(super) what: What,
    /// What it could be: first what it is, no value last. No two pass the same tests.
    pub(super) states: Vec<State>,
}

pub(super) enum What {
    Attribute { id: AttributeId, kind: AttributeType, tests: Vec<Test>, today: Date },
    Segment(SegmentId),
}

/// What an attribute or a segment could be.
pub(super) struct State {
    pub(super) example: Alteration,
    /// Which of the tests it passes; of a segment, whether the end user is in it.
    pub(super) passes: Vec<bool>,
}

/// A condition to be made true, without negations.
pub(super) enum Goal {
    All(Vec<Goal>),
    Any(Vec<Goal>),
    /// A subject passes a test, or does not.
    Test {
        subject: usize,
        test: usize,
        wanted: bool,
    },
}

impl Subjects {
    pub(super) fn of(condition: &Condition, facts: &Facts<'_>) -> Self {
        let mut attributes: Vec<(&AttributeId, AttributeType, Vec<Test>)> = Vec::new();
        for test in condition.tests() {
            match attributes.iter_mut().find(|(id, ..)| **id == test.attribute) {
                Some((_, _, tests)) if tests.contains(&test.test) => {}
                Some((_, _, tests)) => tests.push(test.test.clone()),
                None => attributes.push((&test.attribute, test.kind, vec![test.test.clone()])),
            }
        }
        let attributes = attributes.into_iter().map(|(id, kind, tests)| {
            let what = What::Attribute { id: id.clone(), kind, tests, today: facts.today };
            Subject::new(what, (facts.values)(id))
        });
        let mut subjects: Vec<Subject> = attributes.collect();
        let mut seen = HashSet::new();
        for segment in condition.segments().filter(|segment| seen.insert(*segment)) {
            let held = (facts.member_of)(segment);
            let state = |member| State { example: Alteration::Segment(segment.clone(), member), passes: vec![member] };
            subjects.push(Subject { what: What::Segment(segment.clone()), states: vec![state(held), state(!held)] });
        }
        Self(subjects)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, subject: usize) -> Option<&Subject> {
        self.0.get(subject)
    }

    pub(super) fn states(&self, subject: usize) -> &[State] {
        self.0.get(subject).map_or(&[], |subject| &subject.states)
    }

    /// Whether a subject passes a test in a state.
    pub(super) fn passes(&self, subject: usize, state: usize, test: usize) -> bool {
        self.states(subject).get(state).and_then(|state| state.passes.get(test)).copied().unwrap_or_default()
    }

    /// The place of a test: its subject, and its place among the subject's tests.
    fn place(&self, condition: &Condition) -> Option<(usize, usize)> {
        match condition {
            Condition::Attribute(wanted) => {
                let is_it =
                    |subject: &Subject| matches!(&subject.what, What::Attribute { id, .. } if *id == wanted.attribute);
                let subject = self.0.iter().position(is_it)?;
                let What::Attribute { tests, .. } = &self.0.get(subject)?.what else { return None };
                Some((subject, tests.iter().position(|test| *test == wanted.test)?))
            }
            Condition::Segment(wanted) => {
                let is_it = |subject: &Subject| matches!(&subject.what, What::Segment(id) if id == wanted);
                Some((self.0.iter().position(is_it)?, 0))
            }
            _ => None,
        }
    }
}

impl Goal {
    /// That a condition is true (`wanted`) or false.
    pub(super) fn new(condition: &Condition, wanted: bool, subjects: &Subjects) -> Self {
        let each = |parts: &[Condition]| parts.iter().map(|part| Self::new(part, wanted, subjects)).collect();
        match condition {
            Condition::Constant(flag) if *flag == wanted => Self::All(Vec::new()),
            Condition::Constant(_) => Self::Any(Vec::new()),
            Condition::Not(part) => Self::new(part, !wanted, subjects),
            Condition::All(parts) if wanted => Self::All(each(parts)),
            Condition::All(parts) => Self::Any(each(parts)),
            Condition::Any(parts) if wanted => Self::Any(each(parts)),
            Condition::Any(parts) => Self::All(each(parts)),
            Condition::Attribute(_) | Condition::Segment(_) => match subjects.place(condition) {
                Some((subject, test)) => Self::Test { subject, test, wanted },
                None => Self::Any(Vec::new()),
            },
        }
    }

    /// Whether it is reached when the tests are passed as told.
    pub(super) fn is_met(&self, passes: &dyn Fn(usize, usize, bool) -> bool) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.is_met(passes)),
            Self::Any(parts) => parts.iter().any(|part| part.is_met(passes)),
            Self::Test { subject, test, wanted } => passes(*subject, *test, *wanted),
        }
    }
}

impl Subject {
    fn new(what: What, value: Option<Value>) -> Self {
        let What::Attribute { id, kind, tests, today } = &what else { return Self { what, states: Vec::new() } };
        let candidates = match kind {
            AttributeType::String => texts(tests).into_iter().map(Value::String).collect(),
            AttributeType::Number => nearest_first(numbers(tests, *today), value.as_ref()),
            AttributeType::Date => nearest_first(days(tests, *today), value.as_ref()),
        };
        let (mut seen, mut states) = (HashSet::new(), Vec::new());
        for value in std::iter::once(value).chain(candidates.into_iter().map(Some)).chain([None]) {
            let pass = |test: &Test| value.as_ref().is_some_and(|value| test.passes(value, *today));
            let passes: Vec<bool> = tests.iter().map(pass).collect();
            if seen.insert(passes.clone()) {
                states.push(State { example: Alteration::Attribute(id.clone(), value), passes });
            }
        }
        Self { what, states }
    }
}

/// The cuts between which all numbers pass the same tests, in order.
fn cuts(tests: &[Test], today: Date) -> Vec<Cut> {
    let ranges = tests.iter().map(|test| Ranges::of(test, today));
    let mut cuts: Vec<Cut> =
        ranges.flat_map(|ranges| ranges.each().to_vec()).flat_map(|(from, to)| [from, to]).collect();
    cuts.extend([Cut::START, Cut::END]);
    cuts.sort_by(Cut::order);
    cuts.dedup();
    cuts
}

/// One number for each way to pass the tests.
fn numbers(tests: &[Test], today: Date) -> Vec<Value> {
    let cuts = cuts(tests, today);
    let between = cuts.iter().zip(cuts.iter().skip(1)).filter_map(|(from, to)| number_between(*from, *to));
    between.map(Value::Number).collect()
}

/// A plain number between two cuts that can be stored.
fn number_between(from: Cut, to: Cut) -> Option<f64> {
    let is_between = |number: &f64| {
        let (before, after) = (Cut { at: *number, after: false }, Cut { at: *number, after: true });
        from <= before && after <= to && number.abs() <= LARGEST
    };
    let (low, high) = (from.at.max(-LARGEST), to.at.min(LARGEST));
    let wholes = if low == -LARGEST { [high.ceil() - 1.0, high.floor()] } else { [low.ceil(), low.floor() + 1.0] };
    let others = [low, high, low / 2.0 + high / 2.0];
    // Adding 0 makes -0 the 0 that is stored.
    let any = if low == -LARGEST && high == LARGEST { Some(0.0) } else { None };
    any.into_iter().chain(wholes).chain(others).map(|number| number + 0.0).find(is_between)
}

/// One day for each way to pass the tests.
fn days(tests: &[Test], today: Date) -> Vec<Value> {
    let (first, last) = dates();
    let cuts = cuts(tests, today);
    let between = cuts.iter().zip(cuts.iter().skip(1)).filter_map(|(from, to)| {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and clamped to the days of dates")]
        let day = |cut: &Cut| cut.at.clamp(first as f64, (last + 1) as f64) as i32;
        // The day next to the end that there is: the nearest to what is asked.
        let day = if *from == Cut::START && *to != Cut::END { day(to) - 1 } else { day(from) };
        Date::from_days(if *from == Cut::START && *to == Cut::END { today.days() } else { day })
    });
    between.map(Value::Date).collect()
}

/// The values in the order of their distance from one; in their own order when there is none.
fn nearest_first(mut values: Vec<Value>, from: Option<&Value>) -> Vec<Value> {
    let number = |value: &Value| match value {
        Value::Number(number) => *number,
        Value::Date(date) => f64::from(date.days()),
        Value::String(_) => 0.0,
    };
    if let Some(from) = from.map(number) {
        values.sort_by(|a, b| (number(a) - from).abs().total_cmp(&(number(b) - from).abs()));
    }
    values
}

/// Texts that pass the tests in as many ways as there may be: nothing in particular, what is looked for, and that put
/// together.
fn texts(tests: &[Test]) -> Vec<Arc<str>> {
    let (mut found, mut parts): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut begin, mut middle, mut end) = (String::new(), String::new(), String::new());
    let mut lowered = false;
    for test in tests {
        let Test::Text(test) = test else { continue };
        lowered |= test.lowered;
        match &test.found {
            TextMatch::OneOf(texts) => found.extend(texts.iter().map(|text| text.as_ref().to_owned())),
            TextMatch::Contains(text) => {
                middle.push_str(text);
                parts.push(text.as_ref().to_owned());
            }
            TextMatch::StartsWith(text) => {
                if text.len() > begin.len() {
                    begin = text.as_ref().to_owned();
                }
                parts.push(text.as_ref().to_owned());
            }
            TextMatch::EndsWith(text) => {
                if text.len() > end.len() {
                    end = text.as_ref().to_owned();
                }
                parts.push(text.as_ref().to_owned());
            }
            TextMatch::Matches(pattern) => parts.extend(samples(pattern)),
        }
    }
    found.extend(parts.iter().cloned());
    parts.truncate(PARTS);
    for left in &parts {
        found.push(format!("{left}-"));
        found.push(format!("-{left}"));
        found.extend(parts.iter().map(|right| format!("{left}{right}")));
    }
    found.push(format!("{begin}{middle}{end}"));
    if lowered {
        let upper: Vec<String> = found.iter().map(|text| text.to_uppercase()).collect();
        found.extend(upper);
    }
    let nothing = ["other", "~", "0", "Z", ""].map(str::to_owned);
    nothing.into_iter().chain(found).take(TEXTS).map(Arc::from).collect()
}
