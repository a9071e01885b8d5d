//! A set of changes in words: for each subject no more than what it takes.
//!
//! Of the tests that a changed value passes and fails only those are told on which the goal depends, and together they say
//! what the value has to be. Invariant: whatever the words allow for each subject, all together meet the goal.

use std::collections::BTreeSet;

use super::ranges::{Cut, Ranges};
use super::search::States;
use super::subject::{Goal, Subject, Subjects, What};
use super::{Alteration, Change};
use crate::model::{AttributeType, Date, number_text};
use crate::predicate::rule_text::quoted;
use crate::predicate::{Test, TextMatch, TextTest};

/// Most values that a list shows.
const SHOWN: usize = 10;
/// Longest text that is shown, in characters.
const LONG: usize = 60;

/// The changes of a set that meets the goal, in the order in which the condition names their subjects.
pub(super) fn changes(goal: &Goal, subjects: &Subjects, states: &States) -> Vec<Change> {
    let needed = needed(goal, subjects, states);
    let changed = states.iter().enumerate().filter(|(_, state)| **state != 0);
    changed
        .filter_map(|(place, state)| {
            let subject = subjects.get(place)?;
            let state = subject.states.get(*state)?;
            let tests: Vec<(usize, bool)> = needed
                .iter()
                .filter(|(of, _)| *of == place)
                .map(|(_, test)| (*test, state.passes.get(*test).copied().unwrap_or_default()))
                .collect();
            Some(Change { text: text(subject, &state.example, &tests), example: state.example.clone() })
        })
        .collect()
}

/// The tests of changed subjects, as subject and place, on whose outcome it depends that the goal is met. A test that is
/// not among them may come out either way.
pub(super) fn needed(goal: &Goal, subjects: &Subjects, states: &States) -> BTreeSet<(usize, usize)> {
    let state_of = |subject: usize| states.get(subject).copied().unwrap_or_default();
    let mut needed: Vec<(usize, usize)> = Vec::new();
    for subject in (0..states.len()).filter(|subject| state_of(*subject) != 0) {
        let tests = subjects.states(subject).first().map_or(0, |state| state.passes.len());
        needed.extend((0..tests).map(|test| (subject, test)));
    }
    // What few states share says more than it need: such a test is the first to go.
    let shared = |&(subject, test): &(usize, usize)| {
        let outcome = subjects.passes(subject, state_of(subject), test);
        subjects.states(subject).iter().filter(|state| state.passes.get(test) == Some(&outcome)).count()
    };
    needed.sort_by_key(shared);
    let mut kept: BTreeSet<(usize, usize)> = needed.iter().copied().collect();
    for test in needed {
        kept.remove(&test);
        let still = goal.is_met(&|subject, test, wanted| {
            let state = state_of(subject);
            (state == 0 || kept.contains(&(subject, test))) && subjects.passes(subject, state, test) == wanted
        });
        if !still {
            kept.insert(test);
        }
    }
    kept
}

fn text(subject: &Subject, example: &Alteration, outcomes: &[(usize, bool)]) -> String {
    match (&subject.what, example) {
        (What::Segment(segment), Alteration::Segment(_, true)) => format!("in segment `{segment}`"),
        (What::Segment(segment), _) => format!("not in segment `{segment}`"),
        (What::Attribute { id, kind, tests, today }, _) => {
            let outcomes: Vec<(&Test, bool)> =
                outcomes.iter().filter_map(|(test, passes)| Some((tests.get(*test)?, *passes))).collect();
            format!("`{id}` {}", value_words(*kind, &outcomes, *today))
        }
    }
}

/// What a value has to be that passes and fails the tests so.
fn value_words(kind: AttributeType, outcomes: &[(&Test, bool)], today: Date) -> String {
    if outcomes.contains(&(&Test::IsSet, false)) {
        return "not set".to_owned();
    }
    let words = match kind {
        AttributeType::String => text_words(outcomes),
        AttributeType::Number | AttributeType::Date => {
            let ranges = outcomes.iter().fold(Ranges::everything(), |all, (test, passes)| {
                let one = Ranges::of(test, today);
                all.intersect(&if *passes { one } else { one.complement() })
            });
            range_words(&ranges, kind == AttributeType::Date)
        }
    };
    // No value fails every test, too.
    let may_be_missing = outcomes.iter().all(|(_, passes)| !passes);
    if may_be_missing { format!("{words}, or not set") } else { words }
}

// ---- numbers and dates ----

fn range_words(ranges: &Ranges, dates: bool) -> String {
    let point = |(from, to): &(Cut, Cut)| {
        let is_point = if dates { to.at - from.at == 1.0 } else { from.at == to.at };
        (is_point && from.at.is_finite()).then(|| shown(from.at, dates))
    };
    let points = |ranges: &Ranges| ranges.each().iter().map(point).collect::<Option<Vec<String>>>();
    if *ranges == Ranges::everything() {
        return "set".to_owned();
    }
    match (points(ranges), points(&ranges.complement())) {
        (Some(points), _) => match points.as_slice() {
            [one] if dates => format!("on {one}"),
            [one] => format!("equal to {one}"),
            points => format!("one of {}", listed(points)),
        },
        (_, Some(points)) => format!("other than {}", listed(&points)),
        _ => {
            let spans = ranges.each().iter().map(|(from, to)| span_words(*from, *to, dates));
            let more = if ranges.each().len() > SHOWN { ", or …" } else { "" };
            format!("{}{more}", spans.take(SHOWN).collect::<Vec<String>>().join(", or "))
        }
    }
}

fn span_words(from: Cut, to: Cut, dates: bool) -> String {
    if dates {
        // Cuts lie before days, so the last day is the one before the cut.
        let (first, last) = (shown(from.at, true), shown(to.at - 1.0, true));
        return match (from == Cut::START, to == Cut::END) {
            (true, _) => format!("on or before {last}"),
            (_, true) => format!("on or after {first}"),
            _ if to.at - from.at == 1.0 => format!("on {first}"),
            _ => format!("from {first} to {last}"),
        };
    }
    if from.at == to.at {
        return format!("equal to {}", shown(from.at, false));
    }
    let low = format!("{} {}", if from.after { "more than" } else { "at least" }, shown(from.at, false));
    let high = format!("{} {}", if to.after { "at most" } else { "less than" }, shown(to.at, false));
    match (from == Cut::START, to == Cut::END) {
        (true, _) => high,
        (_, true) => low,
        _ => format!("{low} and {high}"),
    }
}

/// A number, or the date that it is the day of.
fn shown(number: f64, is_day: bool) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "days are whole and within those of dates")]
    let date = || Date::from_days(number as i32).map(|date| date.to_string());
    if is_day { date().unwrap_or_default() } else { number_text(number) }
}

// ---- strings ----

fn text_words(outcomes: &[(&Test, bool)]) -> String {
    let texts: Vec<(&TextTest, bool)> = outcomes
        .iter()
        .filter_map(|(test, passes)| if let Test::Text(text) = test { Some((text, *passes)) } else { None })
        .collect();
    if texts.is_empty() {
        return "set".to_owned();
    }
    if let Some(words) = exact_words(&texts) {
        return words;
    }
    let mut words: Vec<String> = Vec::new();
    for (test, passes) in texts {
        let any_case = if test.lowered { " in any case" } else { "" };
        let not = if passes { "" } else { "not " };
        words.push(match &test.found {
            TextMatch::OneOf(texts) if passes => format!("{}{any_case}", one_of(texts)),
            TextMatch::OneOf(texts) => format!("other than {}{any_case}", listed(&quoted_all(texts))),
            TextMatch::Contains(text) => format!("{not}containing {}{any_case}", short(text)),
            TextMatch::StartsWith(text) => format!("{not}beginning with {}{any_case}", short(text)),
            TextMatch::EndsWith(text) => format!("{not}ending with {}{any_case}", short(text)),
            TextMatch::Matches(pattern) => format!("{not}matching {}{any_case}", short(pattern.as_str())),
        });
    }
    words.join(" and ")
}

/// Where the text has to be one of some: those of them that come out right in the other tests.
fn exact_words(outcomes: &[(&TextTest, bool)]) -> Option<String> {
    let listed = |test: &TextTest| if let TextMatch::OneOf(texts) = &test.found { Some(texts.clone()) } else { None };
    let (test, texts) =
        outcomes.iter().find_map(|(test, passes)| passes.then(|| Some((test, listed(test)?))).flatten())?;
    let fits = |text: &str| outcomes.iter().all(|(test, passes)| test.passes(text) == *passes);
    let fit: Vec<_> = texts.into_iter().filter(|text| fits(text)).collect();
    let any_case = if test.lowered { " in any case" } else { "" };
    (!fit.is_empty()).then(|| format!("{}{any_case}", one_of(&fit)))
}

fn one_of(texts: &[std::sync::Arc<str>]) -> String {
    match texts {
        [text] => format!("equal to {}", short(text)),
        texts => format!("one of {}", listed(&quoted_all(texts))),
    }
}

fn quoted_all(texts: &[std::sync::Arc<str>]) -> Vec<String> {
    texts.iter().map(|text| short(text)).collect()
}

/// A text in quotes, its end left out when it is long.
fn short(text: &str) -> String {
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", quoted(text.get(..end).unwrap_or_default())),
        None => quoted(text),
    }
}

/// Values in a row, the first of them when there are many.
fn listed(values: &[String]) -> String {
    let shown = values.get(..SHOWN).unwrap_or(values).join(", ");
    match values.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
