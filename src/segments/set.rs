//! A system's segments together: an order in which each comes after those that it asks about, and judging an end
//! user by all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::evaluation::{Membership, Session};
use super::limits::RUN_TIME;
use super::script::{Inputs, ScriptRun};
use super::{Facts, RuleError, Segment};
use crate::model::{AttributeId, Date, SegmentId, Value};
use crate::predicate::Slotted;

/// A system's segments in an order in which each comes after those that it asks about.
#[derive(Default)]
pub struct SegmentSet {
    /// In the order of judging.
    segments: Vec<Segment>,
    /// Where each id stands in that order; also the ids in alphabetical order.
    places: Arc<BTreeMap<SegmentId, usize>>,
    /// Each segment's condition, over the slots of `reads`; none for one that runs as a script.
    conditions: Vec<Option<Slotted>>,
    inputs: Inputs,
    reads: Vec<AttributeId>,
}

/// The segments that an end user is in, and the rules that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// In alphabetical order.
    pub members: Vec<SegmentId>,
    /// Segments whose rule failed for this end user (who is then not in them), with why and where.
    pub failures: Vec<(SegmentId, String)>,
}

impl SegmentSet {
    /// Orders the segments.
    ///
    /// # Errors
    /// One for each segment on a cycle, which it names, and for each that asks about a segment that is not there; at
    /// the place of the `in_segment` that does it.
    pub fn new(segments: Vec<Segment>) -> Result<Self, Vec<(SegmentId, RuleError)>> {
        let by_id: BTreeMap<SegmentId, Segment> =
            segments.into_iter().map(|segment| (segment.id.clone(), segment)).collect();
        let errors: Vec<(SegmentId, RuleError)> =
            by_id.values().flat_map(|segment| mistakes(segment, &by_id, true)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut order = Vec::with_capacity(by_id.len());
        let mut placed = BTreeSet::new();
        for id in by_id.keys() {
            place(id, &by_id, &mut placed, &mut order);
        }
        let reads: BTreeSet<AttributeId> = order.iter().flat_map(|segment| segment.reads().iter().cloned()).collect();
        let integrations = order.iter().flat_map(|segment| segment.integrations.iter().cloned()).collect();
        let places: BTreeMap<SegmentId, usize> =
            order.iter().enumerate().map(|(place, segment)| (segment.id.clone(), place)).collect();
        let inputs = Inputs::new(&integrations, &reads);
        let reads: Vec<AttributeId> = reads.into_iter().collect();
        let slot_of = |id: &AttributeId| reads.binary_search(id).unwrap_or(usize::MAX);
        let place_of = |id: &SegmentId| places.get(id).copied().unwrap_or(usize::MAX);
        let slotted = |segment: &Segment| Some(Slotted::new(segment.condition().ok()?, &slot_of, &place_of));
        let conditions = order.iter().map(slotted).collect();
        Ok(Self { conditions, inputs, places: Arc::new(places), reads, segments: order })
    }

    /// The cycles among some of a system's segments, while others are not known; told as by [`SegmentSet::new`].
    #[must_use]
    pub fn cycles(segments: Vec<Segment>) -> Vec<(SegmentId, RuleError)> {
        let by_id: BTreeMap<SegmentId, Segment> =
            segments.into_iter().map(|segment| (segment.id.clone(), segment)).collect();
        by_id.values().flat_map(|segment| mistakes(segment, &by_id, false)).collect()
    }

    /// The segments, each after those that it asks about.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The segments in the order of judging, each after those that it asks about. Where one stands here is its place.
    #[must_use]
    pub fn order(&self) -> &[Segment] {
        &self.segments
    }

    /// The place of a segment in the order of judging.
    #[must_use]
    pub fn place(&self, id: &SegmentId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// The rule at a place as a script, to be run for end user after end user; also that of a rule that is a
    /// condition, so that the two can be compared. Nothing when there is no such place.
    #[must_use]
    pub fn script(&self, place: usize, today: Date) -> Option<ScriptRun<'_>> {
        let segment = self.segments.get(place)?;
        let places = (!segment.depends_on().is_empty()).then_some(&self.places);
        Some(ScriptRun::new(&segment.script, &segment.inputs, places, today))
    }

    /// Runs the rule at a place as a script for one end user; `members` says, by place, which segments before it the
    /// end user is in. For many end users, [`SegmentSet::script`] keeps what can be kept.
    ///
    /// # Errors
    /// Why the rule failed (the end user is not in the segment then), or that there is no such place.
    pub fn run_script(&self, place: usize, facts: &dyn Facts, members: &[bool], today: Date) -> Result<bool, String> {
        match self.script(place, today) {
            Some(mut script) => script.judge(facts, members),
            None => Err(format!("there is no segment at place {place}")),
        }
    }

    /// The segment of that id.
    #[must_use]
    pub fn get(&self, id: &SegmentId) -> Option<&Segment> {
        self.places.get(id).and_then(|place| self.segments.get(*place))
    }

    /// Every segment with its place, in alphabetical order.
    pub fn alphabetical(&self) -> impl Iterator<Item = (&SegmentId, usize)> {
        self.places.iter().map(|(id, place)| (id, *place))
    }

    /// The segments in the order of their ids.
    pub fn by_id(&self) -> impl Iterator<Item = &Segment> {
        self.alphabetical().filter_map(|(_, place)| self.order().get(place))
    }

    /// The rule of a segment that is not of the set, and may ask about those that are, as a script.
    #[must_use]
    pub fn draft<'a>(&'a self, segment: &'a Segment, today: Date) -> ScriptRun<'a> {
        let places = (!segment.depends_on().is_empty()).then_some(&self.places);
        ScriptRun::new(&segment.script, &segment.inputs, places, today)
    }

    /// How many segments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Every attribute that some segment reads, without repeats.
    #[must_use]
    pub fn reads(&self) -> &[AttributeId] {
        &self.reads
    }

    /// Judges every segment for one end user. `today` is the day in the system's time zone. Takes about a microsecond
    /// an ordinary rule, and some 40 ms at most for one that hits its limits (100 ms if it makes Rhai wait for a lock).
    #[must_use]
    pub fn judge(&self, facts: &dyn Facts, today: Date) -> Judged {
        if self.segments.is_empty() {
            return Judged::default();
        }
        let values: Vec<Option<Value>> = self.reads.iter().map(|id| facts.value(id)).collect();
        let mut members = vec![false; self.segments.len()];
        let mut scripts = None;
        let mut failures = Vec::new();
        for (place, (segment, condition)) in self.segments.iter().zip(&self.conditions).enumerate() {
            let verdict = match condition {
                Some(condition) => {
                    let member = condition.holds(&values, &members, today);
                    #[cfg(test)]
                    assert_eq!(
                        member,
                        self.run_script(place, facts, &members, today).unwrap_or(false),
                        "as a condition and as a script: {}\n{:?}",
                        segment.text,
                        segment.condition()
                    );
                    Ok(member)
                }
                None => {
                    let (scope, session) = scripts.get_or_insert_with(|| {
                        let known = Membership::Known(Arc::clone(&self.places), members.clone());
                        (self.inputs.scope(facts), Session::begin(today, known))
                    });
                    let verdict = segment.script.run(scope, session, RUN_TIME);
                    #[cfg(test)]
                    assert!(
                        verdict != Ok(true) || self.guard_holds(segment, &values, &members, today),
                        "the guard of {}\n{:?}",
                        segment.text,
                        segment.guard()
                    );
                    verdict
                }
            };
            let member = verdict.unwrap_or_else(|failure| {
                failures.push((segment.id.clone(), failure.to_string()));
                false
            });
            if let Some(known) = members.get_mut(place) {
                *known = member;
            }
            if let Some((_, session)) = &scripts {
                session.set_member(place, member);
            }
        }
        if let Some((_, session)) = scripts {
            session.end();
        }
        let is_member = |place: &usize| members.get(*place).copied().unwrap_or(false);
        failures.sort();
        Judged {
            members: self.places.iter().filter(|(_, place)| is_member(place)).map(|(id, _)| id.clone()).collect(),
            failures,
        }
    }
}

#[cfg(test)]
impl SegmentSet {
    fn guard_holds(&self, segment: &Segment, values: &[Option<Value>], members: &[bool], today: Date) -> bool {
        let slot_of = |id: &AttributeId| self.reads.binary_search(id).unwrap_or(usize::MAX);
        let place_of = |id: &SegmentId| self.place(id).unwrap_or(usize::MAX);
        segment.guard().is_none_or(|guard| Slotted::new(guard, &slot_of, &place_of).holds(values, members, today))
    }
}

/// Places a segment behind those that it asks about. There is no cycle any more.
fn place(
    id: &SegmentId,
    by_id: &BTreeMap<SegmentId, Segment>,
    placed: &mut BTreeSet<SegmentId>,
    order: &mut Vec<Segment>,
) {
    // A list of what is still to be placed instead of recursion: chains may be as long as there are segments.
    let mut waiting = vec![id];
    while let Some(id) = waiting.last().copied() {
        let Some(segment) = by_id.get(id).filter(|_| !placed.contains(id)) else {
            waiting.pop();
            continue;
        };
        let before = waiting.len();
        waiting.extend(segment.depends_on().iter().filter(|other| !placed.contains(*other)));
        if waiting.len() == before {
            placed.insert(id.clone());
            order.push(segment.clone());
            waiting.pop();
        }
    }
}

/// What is wrong with what a segment asks about; `complete`: a segment that is not among them does not exist.
fn mistakes(segment: &Segment, by_id: &BTreeMap<SegmentId, Segment>, complete: bool) -> Vec<(SegmentId, RuleError)> {
    let mut errors = Vec::new();
    for ask in segment.asks.iter() {
        let message = if complete && !by_id.contains_key(&ask.id) {
            format!("there is no segment `{}` in this system", ask.id)
        } else if let Some(path) = path_back(segment, &ask.id, by_id) {
            let path: Vec<&str> = path.iter().map(|id| id.as_str()).collect();
            format!("segments ask about each other in a cycle: {}", path.join(" -> "))
        } else {
            continue;
        };
        errors.push((segment.id.clone(), RuleError { line: ask.line, column: ask.column, message, hint: None }));
    }
    errors
}

/// The shortest way from the segment over the one that it asks about back to itself.
fn path_back<'a>(
    segment: &'a Segment,
    asked: &'a SegmentId,
    by_id: &'a BTreeMap<SegmentId, Segment>,
) -> Option<Vec<&'a SegmentId>> {
    let mut came_from: BTreeMap<&SegmentId, &SegmentId> = BTreeMap::from([(asked, &segment.id)]);
    let mut queue = std::collections::VecDeque::from([asked]);
    while let Some(id) = queue.pop_front() {
        if *id == segment.id {
            let mut path = vec![id];
            let mut step = *came_from.get(id)?;
            while *step != segment.id {
                path.push(step);
                step = came_from.get(step)?;
            }
            path.push(step);
            path.reverse();
            return Some(path);
        }
        for next in by_id.get(id).into_iter().flat_map(|segment| segment.depends_on()) {
            if !came_from.contains_key(next) {
                came_from.insert(next, id);
                queue.push_back(next);
            }
        }
    }
    None
}
