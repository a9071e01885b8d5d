//! The smallest sets of subjects that have to change for a goal to be met.
//!
//! A search tree of bounded depth: something that is not met has to be, so one of the tests on which it depends has to
//! come out otherwise, so one of a few subjects has to change to one of a few states; each is tried, to the depth of
//! one more change at a time. What is tried is complete: every set that meets the goal holds one of the options at every
//! step, so the first depth at which something is found is the smallest number of changes. A lower bound cuts short what
//! can't be met within the depth. Invariant: what is found meets the goal.

use std::collections::BTreeSet;

use super::subject::{Goal, Subjects};

/// Most tests that are looked at: some tens of milliseconds.
const WORK: usize = 500_000;
/// Most sets that are found: enough that a few remain when those that read the same are dropped.
const SETS: usize = 24;

/// The state of every subject; 0 is that it stays as it is.
pub(super) type States = Vec<usize>;

/// What was found.
pub(super) enum Found {
    /// Nothing meets the goal.
    Nothing,
    /// The smallest sets, at least one.
    Smallest(Vec<States>),
    /// A set of which nothing can be left out; there may be smaller ones.
    Some(States),
    /// It took too long.
    TooMuch,
}

/// The smallest sets of changes that meet a goal which is not met.
pub(super) fn smallest(goal: &Goal, subjects: &Subjects) -> Found {
    let mut search = Search::new(subjects, SETS);
    let Some(need) = search.need(goal) else { return Found::Nothing };
    for changes in need.changes..=subjects.len() {
        search.is_cut = false;
        search.go(goal, changes);
        if !search.found.is_empty() {
            return Found::Smallest(search.found);
        }
        if search.is_spent() {
            break;
        }
        if !search.is_cut {
            return Found::Nothing;
        }
    }
    if !search.is_spent() {
        return Found::Nothing;
    }
    // Any set will do, less what it does not need.
    let mut search = Search::new(subjects, 1);
    search.go(goal, usize::MAX);
    search.found.into_iter().next().map_or(Found::TooMuch, |states| Found::Some(lessened(goal, subjects, states)))
}

/// The set without the changes that it does not need.
fn lessened(goal: &Goal, subjects: &Subjects, mut states: States) -> States {
    for subject in 0..states.len() {
        let Some(state) = states.get_mut(subject) else { continue };
        let changed = std::mem::replace(state, 0);
        if !is_met(goal, subjects, &states)
            && let Some(state) = states.get_mut(subject)
        {
            *state = changed;
        }
    }
    states
}

/// Whether the goal is met in these states.
pub(super) fn is_met(goal: &Goal, subjects: &Subjects, states: &States) -> bool {
    goal.is_met(&|subject, test, wanted| {
        let state = states.get(subject).copied().unwrap_or_default();
        subjects.passes(subject, state, test) == wanted
    })
}

/// What it takes at least to meet a goal.
struct Need {
    changes: usize,
    /// The subjects of which some have to change; no others would help.
    subjects: BTreeSet<usize>,
}

struct Search<'a> {
    subjects: &'a Subjects,
    states: States,
    /// Sets found, each once, in the order in which the condition names what they change.
    found: Vec<States>,
    wanted: usize,
    work: usize,
    /// Whether the depth has cut anything off.
    is_cut: bool,
}

impl<'a> Search<'a> {
    fn new(subjects: &'a Subjects, wanted: usize) -> Self {
        let states = vec![0; subjects.len()];
        Self { subjects, states, found: Vec::new(), wanted, work: 0, is_cut: false }
    }

    fn is_spent(&self) -> bool {
        self.work > WORK
    }

    fn state(&self, subject: usize) -> usize {
        self.states.get(subject).copied().unwrap_or_default()
    }

    fn set(&mut self, subject: usize, to: usize) {
        if let Some(state) = self.states.get_mut(subject) {
            *state = to;
        }
    }

    /// Tries everything from here on with at most so many changes more.
    fn go(&mut self, goal: &Goal, left: usize) {
        if self.is_spent() || self.found.len() >= self.wanted {
            return;
        }
        match self.need(goal) {
            None => {}
            // Found before, with its changes in another order.
            Some(Need { changes: 0, .. }) if self.found.contains(&self.states) => {}
            Some(Need { changes: 0, .. }) => self.found.push(self.states.clone()),
            Some(need) if need.changes > left => self.is_cut = true,
            Some(_) => {
                for (subject, state) in self.options(goal).unwrap_or_default() {
                    self.set(subject, state);
                    self.go(goal, left - 1);
                    self.set(subject, 0);
                }
            }
        }
    }

    /// What it takes at least to meet a goal with subjects that have not changed yet; `None` when that can't be.
    fn need(&mut self, goal: &Goal) -> Option<Need> {
        let nothing = || Need { changes: 0, subjects: BTreeSet::new() };
        match goal {
            Goal::Test { subject, test, wanted } => {
                self.work += 1;
                let state = self.state(*subject);
                if self.subjects.passes(*subject, state, *test) == *wanted {
                    return Some(nothing());
                }
                let can = state == 0
                    && self.subjects.states(*subject).iter().any(|state| state.passes.get(*test) == Some(wanted));
                can.then(|| Need { changes: 1, subjects: BTreeSet::from([*subject]) })
            }
            Goal::All(parts) => {
                let mut all = nothing();
                for part in parts {
                    let mut need = self.need(part)?;
                    // Parts that share no subject add up; of others the one that needs most counts.
                    all.changes = if all.subjects.is_disjoint(&need.subjects) {
                        all.changes + need.changes
                    } else {
                        all.changes.max(need.changes)
                    };
                    all.subjects.append(&mut need.subjects);
                }
                Some(all)
            }
            Goal::Any(parts) => {
                let mut any: Option<Need> = None;
                for part in parts {
                    let Some(mut need) = self.need(part) else { continue };
                    if need.changes == 0 {
                        return Some(nothing());
                    }
                    any = Some(match any {
                        None => need,
                        Some(mut any) => {
                            any.changes = any.changes.min(need.changes);
                            any.subjects.append(&mut need.subjects);
                            any
                        }
                    });
                }
                any
            }
        }
    }

    /// Changes of which every way to meet the goal makes one; `None` when it is met.
    fn options(&self, goal: &Goal) -> Option<Vec<(usize, usize)>> {
        match goal {
            Goal::Test { subject, test, wanted } => {
                let state = self.state(*subject);
                if self.subjects.passes(*subject, state, *test) == *wanted {
                    return None;
                }
                // What has changed once stays.
                let states = if state == 0 { self.subjects.states(*subject) } else { &[] };
                let fit = states.iter().enumerate().filter(|(_, state)| state.passes.get(*test) == Some(wanted));
                Some(fit.map(|(state, _)| (*subject, state)).collect())
            }
            // Each part that is not met has to be: the one with the fewest ways.
            Goal::All(parts) => parts.iter().filter_map(|part| self.options(part)).min_by_key(Vec::len),
            Goal::Any(parts) => {
                let mut any: Vec<(usize, usize)> = Vec::new();
                let mut seen = BTreeSet::new();
                for part in parts {
                    any.extend(self.options(part)?.into_iter().filter(|option| seen.insert(*option)));
                }
                Some(any)
            }
        }
    }
}
