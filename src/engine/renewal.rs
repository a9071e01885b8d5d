//! A new [`Live`] beside the old one: what can't have changed is taken over, the rest is asked of every chunk.
//!
//! | of a segment | is judged again for |
//! | --- | --- |
//! | whose text, attributes' types and asked segments are the same | who is in or out of an asked segment anew |
//! | the same, on another day | also for whom a date came into or out of reach |
//! | that is new or different, or a script that asks for the day, on another day | everybody |

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bound::{Around, Bound};
use super::catalogue::IDS;
use super::column::ROWS;
use super::judge::{Judge, Way, bind};
use super::live::{Failures, Live, Visible};
use super::mask::Mask;
use super::members::{ChunkMembers, Members};
use super::parallel::{Helpers, Progress, in_parallel};
use super::snapshot::{Chunk, EndUser, SystemData};
use crate::model::{SegmentId, Timestamp};
use crate::ruleset::RuleSet;
use crate::segments::Segment;
use crate::store::RowNo;

/// What has to be judged again of a segment in a new [`Live`].
enum Stale {
    /// Nobody but who is in or out of a segment that it asks about anew.
    Nothing,
    /// Those for whom this holds, too.
    Due(Bound),
    Everybody,
}

/// How a segment's bits come into a new [`Live`].
struct Renewal {
    /// Its place in the old one, if what is there is to be kept.
    old: Option<usize>,
    stale: Stale,
}

impl Live {
    /// The rules over a system's end users, everything judged that an old `Live` over the same data does not know.
    pub(crate) fn renewed(
        old: Option<&Self>,
        data: &SystemData,
        rules: &Arc<RuleSet>,
        now: Timestamp,
        progress: &Progress,
    ) -> Self {
        Self::renewed_among(old, data, rules, now, progress, None)
    }

    /// The same where nobody is judged but some rows, chunk by chunk; of all others it knows nothing new.
    pub(crate) fn renewed_among(
        old: Option<&Self>,
        data: &SystemData,
        rules: &Arc<RuleSet>,
        now: Timestamp,
        progress: &Progress,
        some: Option<&[Mask]>,
    ) -> Self {
        let today = rules.today(now);
        let judge = match old {
            Some(old) if Arc::ptr_eq(&old.rules, rules) => old.judge_for(&data.catalogue),
            _ => Arc::new(Judge::new(rules, &data.catalogue)),
        };
        let segments = rules.segments.order().len();
        let mut live = Self {
            rules: Arc::clone(rules),
            today,
            day: today.span(&rules.settings.timezone),
            judge,
            members: Members::default(),
            nobody: Arc::from([]),
            failures: Arc::new(Failures::of(segments)),
        };
        live.nobody = live.judge_nobody();
        let renewals = live.renewals(old, data);
        let chunks = in_parallel(data.chunks.len(), Helpers::New, progress, |no| {
            let chunk = data.chunks.get(no)?;
            let present = chunk.column(IDS).map_or(Mask::NONE, |ids| Mask::of(ids.present()));
            let judged = some.map_or(present, |some| some.get(no).map_or(Mask::NONE, |some| present.and(some)));
            Some(live.renew_chunk(old, &renewals, data, (no, chunk), &judged, progress))
        });
        live.members = Members::new(segments, chunks);
        live
    }

    /// What has to be judged again, segment by segment.
    fn renewals(&self, old: Option<&Self>, data: &SystemData) -> Vec<Renewal> {
        let fingerprints = fingerprints(&self.rules);
        let old_fingerprints = old.map(|old| fingerprints_by_id(&old.rules)).unwrap_or_default();
        let segments = self.rules.segments.order().iter().zip(fingerprints);
        segments
            .map(|(segment, fingerprint)| {
                let known = old.filter(|_| old_fingerprints.get(&segment.id) == Some(&fingerprint));
                let Some(old) = known else {
                    return Renewal { old: self.old_place(old, segment), stale: Stale::Everybody };
                };
                Renewal { old: old.rules.segments.place(&segment.id), stale: self.stale_by_day(old, segment, data) }
            })
            .collect()
    }

    fn old_place(&self, old: Option<&Self>, segment: &Segment) -> Option<usize> {
        old?.rules.segments.place(&segment.id)
    }

    /// What a new day makes due of a segment whose rule is the same.
    fn stale_by_day(&self, old: &Self, segment: &Segment, data: &SystemData) -> Stale {
        if old.today == self.today || !segment.uses_today() {
            return Stale::Nothing;
        }
        match segment.condition() {
            Ok(condition) => condition
                .due(old.today, self.today)
                .map_or(Stale::Nothing, |due| Stale::Due(bind(&due, &self.rules, &data.catalogue))),
            Err(_) => Stale::Everybody,
        }
    }

    /// The bits of one chunk, of which only some rows are judged.
    fn renew_chunk(
        &self,
        old: Option<&Self>,
        renewals: &[Renewal],
        data: &SystemData,
        (no, chunk): (usize, &Chunk),
        judged: &Mask,
        progress: &Progress,
    ) -> ChunkMembers {
        let mut masks: Vec<Mask> = Vec::with_capacity(renewals.len());
        let mut changed: Vec<Mask> = Vec::with_capacity(renewals.len());
        for (place, (renewal, segment)) in renewals.iter().zip(self.rules.segments.order()).enumerate() {
            let before = old.zip(renewal.old).map_or(Mask::NONE, |(old, place)| old.members.mask(no, place));
            let mask_of = |place: usize| masks.get(place).copied().unwrap_or(Mask::NONE);
            let around = Around { today: self.today, members: &mask_of };
            let mut stale = match &renewal.stale {
                Stale::Nothing => Mask::NONE,
                Stale::Due(due) => due.ask(chunk, judged, &around),
                Stale::Everybody => *judged,
            };
            for asked in segment.depends_on().iter().filter_map(|id| self.rules.segments.place(id)) {
                stale = stale.or(&changed.get(asked).copied().unwrap_or(Mask::NONE));
            }
            stale = stale.and(judged);
            let mask = if stale.is_empty() {
                before
            } else {
                before.without(&stale).or(&self.ask(data, no, place, &stale, &around, progress))
            };
            changed.push(mask.xor(&before));
            masks.push(mask);
        }
        ChunkMembers::of(&masks)
    }

    /// The rows of a chunk, out of some, that are in a segment.
    pub(super) fn ask(
        &self,
        data: &SystemData,
        no: usize,
        place: usize,
        within: &Mask,
        around: &Around<'_, Mask>,
        progress: &Progress,
    ) -> Mask {
        let Some(chunk) = data.chunks.get(no) else { return Mask::NONE };
        match self.judge.ways.get(place) {
            Some(Way::Index(condition)) => condition.ask(chunk, within, around),
            Some(Way::Script(guard)) => {
                let Some(mut script) = self.rules.segments.script(place, self.today) else { return Mask::NONE };
                let mut found = Mask::NONE;
                for at in guard.ask(chunk, within, around).rows().take_while(|_| progress.goes_on()) {
                    let members: Vec<bool> = (0..place).map(|place| (around.members)(place).get(at)).collect();
                    let end_user = EndUser::at(data, (no * ROWS + at) as RowNo);
                    match script.judge(&Visible { end_user: Some(end_user), rules: &self.rules }, &members) {
                        Ok(true) => found.set(at),
                        Ok(false) => {}
                        Err(message) => self.note_failure(place, message),
                    }
                }
                found
            }
            None => Mask::NONE,
        }
    }
}

/// For each segment in order: a hash of all that its answer follows from but for values and the day. Those of the
/// segments that it asks about are in it.
fn fingerprints(rules: &RuleSet) -> Vec<u64> {
    let mut known: Vec<u64> = Vec::new();
    for segment in rules.segments.order() {
        let mut text = segment.text.as_bytes().to_vec();
        for attribute in segment.reads() {
            let kind = rules.attribute_type(attribute).map_or("none", |kind| kind.as_str());
            text.extend_from_slice(format!("\0{attribute}:{kind}").as_bytes());
        }
        for asked in segment.depends_on() {
            let asked = rules.segments.place(asked).and_then(|place| known.get(place)).copied();
            text.extend_from_slice(&asked.unwrap_or_default().to_le_bytes());
        }
        known.push(xxhash_rust::xxh3::xxh3_64(&text));
    }
    known
}

fn fingerprints_by_id(rules: &RuleSet) -> BTreeMap<SegmentId, u64> {
    rules.segments.order().iter().map(|segment| segment.id.clone()).zip(fingerprints(rules)).collect()
}
