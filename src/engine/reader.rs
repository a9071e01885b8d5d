//! Reading a system: one consistent view of its values, its rules and who is in which segment, for whoever may see it.
//!
//! Every question about end users goes through a [`Reader`], and none comes to be without a [`Sight`]: who lies outside
//! of it is in no answer, no count and no sample. Refuses to know who asks. What it says is of the day on which it was
//! made, also in the moments after midnight in which the engine has not made that day's memberships live. Invariants: a reader sees one commit, one
//! version of the rules and one day from its beginning to its end, and waits for nobody; rows rise in every list, and an
//! end user keeps its row for life, so going on after a row neither skips nor repeats who was there throughout.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Engine;
use super::bound::{Around, Bound};
use super::catalogue::IDS;
use super::column::ROWS;
use super::found::{OutOfTime, Run};
use super::judge::bind;
use super::live::Live;
use super::mask::Mask;
use super::midnight::Midnight;
use super::parallel::{Helpers, Progress, in_parallel};
use super::row::Row;
use super::snapshot::{Chunk, EndUser, Snapshot, SystemData, locate};
use crate::model::{AttributeId, Date, EndUserId, SegmentId, SystemId, Timestamp, Value};
use crate::predicate::{AttributeTest, Condition, Test};
use crate::ruleset::RuleSet;
use crate::segments::{Facts, Segment};
use crate::store::RowNo;

/// Chunks from which on a question is asked on several threads.
const WORTH_THREADS: usize = 128;
/// End users named in a sample.
const SAMPLE: usize = 10;

/// Which end users of a system somebody may see.
#[derive(Debug, Clone, PartialEq)]
pub enum Sight {
    /// All of them.
    All,
    /// Those for whom it holds.
    Within(Condition),
}

/// A view of one system. Cheap to make and to keep; it holds its snapshot's memory.
pub struct Reader {
    snapshot: Arc<Snapshot>,
    system: SystemId,
    live: Arc<Live>,
    /// What takes the place of `live` from midnight until the new day's is there.
    of_today: OnceLock<Arc<Live>>,
    midnight: Arc<Midnight>,
    sight: Option<Bound>,
    now: Timestamp,
}

/// What is asked of end users: a condition, and for what is none a script on top.
#[derive(Debug, Clone)]
pub struct Question {
    bound: Bound,
    script: Option<Arc<Segment>>,
}

/// Some of the end users that a question finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Their rows, rising.
    pub rows: Vec<RowNo>,
    /// The row to go on after; `None`: there are no more.
    pub next: Option<RowNo>,
}

/// The segments that an end user is in.
#[derive(Debug, Clone)]
pub struct Members {
    /// Whether anything is stored of the end user.
    pub known: bool,
    /// The segments, in alphabetical order.
    pub segments: Vec<SegmentId>,
}

/// What other rules would change of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentChange {
    /// The segment.
    pub id: SegmentId,
    /// Its count now; `None`: there is no such segment.
    pub before: Option<u64>,
    /// Its count by the other rules; `None`: they have no such segment.
    pub after: Option<u64>,
    /// How many would enter.
    pub enters: u64,
    /// How many would leave.
    pub leaves: u64,
    /// Some who would enter.
    pub sample_enters: Vec<String>,
    /// Some who would leave.
    pub sample_leaves: Vec<String>,
    /// For how many end users the other rule failed, of those who were judged by it; unknown to who does not see all.
    pub failures: Option<u64>,
}

impl Question {
    /// A script may take long.
    pub(super) fn helpers(&self) -> Helpers {
        if self.script.is_some() { Helpers::New } else { Helpers::Waiting }
    }
}

impl Engine {
    /// A view of a system as it is now, for somebody with that sight; `None` while no rules are live in it.
    #[must_use]
    pub fn reader(&self, system: &SystemId, sight: &Sight) -> Option<Reader> {
        let snapshot = self.snapshot();
        let live = Arc::clone(snapshot.live.get(system)?);
        let now = self.0.clock.now();
        let (midnight, of_today) = (Arc::clone(&self.0.midnight), OnceLock::new());
        let reader = Reader { snapshot, system: system.clone(), live, of_today, midnight, sight: None, now };
        Some(reader.within(sight))
    }
}

impl Reader {
    /// The rules that everything in this view follows.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.live.rules
    }

    /// When the view was taken.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The day that it is in the system.
    #[must_use]
    pub fn today(&self) -> Date {
        if self.live.is_for(self.now) { self.live.today } else { self.live.rules.today(self.now) }
    }

    /// Whether everybody is in sight.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.sight.is_none()
    }

    /// The number of the last commit that it sees.
    #[must_use]
    pub fn commit(&self) -> u64 {
        self.snapshot.commit
    }

    pub(super) fn data(&self) -> &SystemData {
        super::adopt::data_of(&self.snapshot, &self.system)
    }

    /// The same view for somebody who sees only those of it that are in another sight, too.
    #[must_use]
    pub fn within(mut self, sight: &Sight) -> Self {
        if let Sight::Within(condition) = sight {
            let bound = self.bind(condition);
            self.sight = Some(match self.sight.take() {
                Some(own) => Bound::All(vec![own, bound]),
                None => bound,
            });
        }
        self
    }

    /// The rules with who is in which segment today. Between midnight and the moment when the engine has the new day's
    /// memberships they are computed here: for whom a date has come within, or gone out of, reach.
    fn current(&self) -> &Arc<Live> {
        if self.live.is_for(self.now) {
            return &self.live;
        }
        self.of_today.get_or_init(|| self.midnight.pass(&self.live, &self.snapshot, &self.system, self.now))
    }

    fn bind(&self, condition: &Condition) -> Bound {
        bind(condition, &self.live.rules, &self.data().catalogue)
    }

    // ---- one end user ----

    /// The end user of that identifier, if in sight.
    #[must_use]
    pub fn end_user(&self, id: &EndUserId) -> Option<EndUser<'_>> {
        self.data().find(id).filter(|end_user| self.sees(end_user.row()))
    }

    /// Whether there is an end user with this identifier who may be seen.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.data().find_row(id).is_some_and(|row| self.sees(row))
    }

    /// The end user in a row that an answer of this view named.
    #[must_use]
    pub fn at(&self, row: RowNo) -> EndUser<'_> {
        EndUser::at(self.data(), row)
    }

    /// The value of an attribute as the rules show it: none of a disabled integration or an undeclared property.
    #[must_use]
    pub fn value(&self, end_user: &EndUser<'_>, attribute: &AttributeId) -> Option<Value> {
        end_user.value(attribute, self.live.rules.attribute_type(attribute)?)
    }

    /// Whether a row is in sight.
    fn sees(&self, row: RowNo) -> bool {
        let Some(sight) = &self.sight else { return true };
        let (chunk, at) = locate(row);
        let around = Around { today: self.today(), members: &|place| self.current().members.row(row).contains(place) };
        self.data().chunks.get(chunk).is_some_and(|chunk| sight.holds(&mut Row::new(chunk, at), &around))
    }

    /// The segments that an end user is in; one who is unknown, or out of sight, is judged as one with no attributes.
    #[must_use]
    pub fn segments_of(&self, id: &EndUserId) -> Members {
        let segments = &self.live.rules.segments;
        if !self.live.is_for(self.now) {
            // A new day has begun and its memberships are still being computed.
            let end_user = self.end_user(id);
            let facts = Seen { reader: self, end_user };
            let today = self.live.rules.today(self.now);
            return Members { known: end_user.is_some(), segments: segments.judge(&facts, today).members };
        }
        let members = &self.live.members;
        // Where there are many end users, most of the time goes by in waiting for memory. So the bits are waited for together
        // with the identifier that is compared, and then read in one go, not at each segment that is asked about.
        let row = self.data().find_row_and(id.as_str(), |row| members.row(row).fetch()).filter(|row| self.sees(*row));
        let flags = row.map(|row| members.row(row).flags());
        let flags = flags.as_deref().unwrap_or_else(|| self.live.nobody());
        let members = segments.alphabetical().filter(|(_, place)| flags.get(*place) == Some(&true));
        Members { known: row.is_some(), segments: members.map(|(id, _)| id.clone()).collect() }
    }

    /// How a segment's script fails for an end user (one out of sight has no attributes); `None`: it does not.
    #[must_use]
    pub fn failure(&self, id: &EndUserId, segment: &SegmentId) -> Option<String> {
        let segments = &self.live.rules.segments;
        let place = segments.place(segment)?;
        let end_user = self.end_user(id);
        let members = match &end_user {
            Some(end_user) => self.current().members.row(end_user.row()).flags(),
            None => self.current().nobody().to_vec(),
        };
        segments.run_script(place, &Seen { reader: self, end_user }, &members, self.today()).err()
    }

    // ---- questions ----

    /// A condition as a question.
    #[must_use]
    pub fn question(&self, condition: &Condition) -> Question {
        Question { bound: self.bind(condition), script: None }
    }

    /// The question who would be in a segment that is not live.
    #[must_use]
    pub fn draft(&self, segment: &Segment) -> Question {
        match segment.condition() {
            Ok(condition) => self.question(condition),
            Err(_) => {
                let bound = segment.guard().map_or(Bound::Constant(true), |guard| self.bind(guard));
                Question { bound, script: Some(Arc::new(segment.clone())) }
            }
        }
    }

    /// The question who of those that another finds also fulfils a condition.
    #[must_use]
    pub fn narrowed(&self, question: Question, condition: &Condition) -> Question {
        Question { bound: Bound::All(vec![self.bind(condition), question.bound]), ..question }
    }

    /// How many the question finds.
    #[must_use]
    pub fn count(&self, question: &Question) -> u64 {
        self.each_chunk(question.helpers(), |no, chunk| self.ask(question, no, chunk, &Run::default()).count())
            .into_iter()
            .sum()
    }

    /// The first members of a segment, of rows after one; none when there is no such segment.
    #[must_use]
    pub fn members(&self, segment: &SegmentId, after: Option<RowNo>, limit: usize) -> Page {
        let place = self.live.rules.segments.place(segment);
        let members = &self.current().members;
        self.page_of(after, limit, |no, chunk| {
            place.map_or(Mask::NONE, |place| self.in_sight(no, chunk).and(&members.mask(no, place)))
        })
    }

    /// How many are in a segment; 0 when there is no such segment.
    #[must_use]
    pub fn segment_count(&self, segment: &SegmentId) -> u64 {
        let Some(place) = self.live.rules.segments.place(segment) else { return 0 };
        if self.sees_all() {
            return self.current().members.count(place);
        }
        let members = &self.current().members;
        let seen = |no, chunk: &Chunk| self.in_sight(no, chunk).and(&members.mask(no, place)).count();
        self.each_chunk(Helpers::Waiting, seen).into_iter().sum()
    }

    /// How many are in each segment, in alphabetical order.
    #[must_use]
    pub fn segment_counts(&self) -> Vec<(SegmentId, u64)> {
        let segments = self.live.rules.segments.alphabetical();
        let Some(sight) = &self.sight else {
            let members = &self.current().members;
            return segments.map(|(id, place)| (id.clone(), members.count(place))).collect();
        };
        let seen = self.each_chunk(Helpers::Waiting, |no, chunk| self.ask_bound(sight, no, chunk, &present(chunk)));
        let members = &self.current().members;
        let count = |place| seen.iter().enumerate().map(|(no, seen)| members.mask(no, place).and(seen).count()).sum();
        segments.map(|(id, place)| (id.clone(), count(place))).collect()
    }

    /// How often a segment's rule has failed since it went live, and how it did last.
    #[must_use]
    pub fn failures(&self, segment: &SegmentId) -> (u64, Option<String>) {
        self.live.rules.segments.place(segment).map_or((0, None), |place| self.live.failures.of_place(place))
    }

    /// The condition that an attribute has a value; that never holds of one that the rules do not show.
    #[must_use]
    pub fn is_set(&self, attribute: &AttributeId) -> Condition {
        let Some(kind) = self.live.rules.attribute_type(attribute) else { return Condition::Constant(false) };
        Condition::Attribute(AttributeTest { attribute: attribute.clone(), kind, test: Test::IsSet })
    }

    /// How many have a value of each of these attributes, in their order.
    #[must_use]
    pub fn attribute_counts(&self, attributes: &[AttributeId]) -> Vec<u64> {
        let set: Vec<Bound> = attributes.iter().map(|attribute| self.bind(&self.is_set(attribute))).collect();
        let parts = self.each_chunk(Helpers::Waiting, |no, chunk| {
            let seen = self.in_sight(no, chunk);
            set.iter().map(|set| self.ask_bound(set, no, chunk, &seen).count()).collect::<Vec<u64>>()
        });
        (0..set.len()).map(|at| parts.iter().filter_map(|part| part.get(at)).sum()).collect()
    }

    /// How many end users there are in sight.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.sight {
            None => self.data().len(),
            Some(_) => self.count(&Question { bound: Bound::Constant(true), script: None }),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // ---- other rules ----

    /// What other rules would change, segment by segment, by id; those that would stay as they are are left out. `time`
    /// is what scripts may take for everybody together.
    ///
    /// # Errors
    /// [`OutOfTime`]: they take longer.
    pub fn preview(&self, rules: &Arc<RuleSet>, time: Duration) -> Result<Vec<SegmentChange>, OutOfTime> {
        let progress = Progress::within(time);
        let seen = self.each_chunk(Helpers::Waiting, |no, chunk| self.in_sight(no, chunk));
        // Not even how long others take is to be told.
        let some = (!self.sees_all()).then_some(seen.as_slice());
        let other = Live::renewed_among(Some(self.current()), self.data(), rules, self.now, &progress, some);
        if progress.ran_out() {
            return Err(OutOfTime { time, end_users: self.len() });
        }
        let mut ids: Vec<&SegmentId> = [&self.live.rules, rules]
            .into_iter()
            .flat_map(|rules| rules.segments.alphabetical().map(|(id, _)| id))
            .collect();
        ids.sort();
        ids.dedup();
        let changes = ids.into_iter().map(|id| self.change(id, &other, &seen));
        Ok(changes
            .filter(|change| change.enters + change.leaves > 0 || change.before.is_some() != change.after.is_some())
            .collect())
    }

    fn change(&self, id: &SegmentId, other: &Live, seen: &[Mask]) -> SegmentChange {
        let old = self.live.rules.segments.place(id);
        let new = other.rules.segments.place(id);
        let mut change = SegmentChange {
            id: id.clone(),
            before: old.map(|_| 0),
            after: new.map(|_| 0),
            enters: 0,
            leaves: 0,
            sample_enters: Vec::new(),
            sample_leaves: Vec::new(),
            failures: new.filter(|_| self.sees_all()).map(|place| other.failures.of_place(place).0),
        };
        for (no, seen) in seen.iter().enumerate() {
            let before = old.map_or(Mask::NONE, |place| self.current().members.mask(no, place)).and(seen);
            let after = new.map_or(Mask::NONE, |place| other.members.mask(no, place)).and(seen);
            let (enters, leaves) = (after.without(&before), before.without(&after));
            change.before = change.before.map(|count| count + before.count());
            change.after = change.after.map(|count| count + after.count());
            change.enters += enters.count();
            change.leaves += leaves.count();
            for (sample, rows) in [(&mut change.sample_enters, enters), (&mut change.sample_leaves, leaves)] {
                let room = SAMPLE - sample.len().min(SAMPLE);
                sample.extend(rows.rows().take(room).map(|at| self.at((no * ROWS + at) as RowNo).id().to_owned()));
            }
        }
        change
    }

    // ---- chunks ----

    /// The rows of a chunk that the question finds, in sight.
    pub(super) fn ask(&self, question: &Question, no: usize, chunk: &Chunk, run: &Run) -> Mask {
        let asked = self.ask_bound(&question.bound, no, chunk, &self.in_sight(no, chunk));
        let Some(segment) = &question.script else { return asked };
        let mut script = self.live.rules.segments.draft(segment, self.today());
        let mut found = Mask::NONE;
        for at in asked.rows().take_while(|_| run.progress.goes_on()) {
            let row = (no * ROWS + at) as RowNo;
            let facts = Seen { reader: self, end_user: Some(self.at(row)) };
            let members = self.current().members.row(row).flags();
            match script.judge(&facts, &members) {
                Ok(true) => found.set(at),
                Ok(false) => {}
                Err(message) => run.note(message),
            }
        }
        found
    }

    fn ask_bound(&self, bound: &Bound, no: usize, chunk: &Chunk, within: &Mask) -> Mask {
        let around = Around { today: self.today(), members: &|place| self.current().members.mask(no, place) };
        bound.ask(chunk, within, &around)
    }

    /// The rows of a chunk in which somebody stands whom the asker may see.
    fn in_sight(&self, no: usize, chunk: &Chunk) -> Mask {
        match &self.sight {
            None => present(chunk),
            Some(sight) => self.ask_bound(sight, no, chunk, &present(chunk)),
        }
    }

    fn page_of(&self, after: Option<RowNo>, limit: usize, rows: impl Fn(usize, &Chunk) -> Mask) -> Page {
        let first = after.map_or(0, |row| row as usize + 1);
        let mut page = Page { rows: Vec::with_capacity(limit.min(1000)), next: None };
        for (no, chunk) in self.data().chunks.iter().enumerate().skip(first / ROWS) {
            let mut found = rows(no, chunk);
            if no == first / ROWS {
                found = found.and(&Mask::from_row(first % ROWS));
            }
            for at in found.rows() {
                if page.rows.len() == limit {
                    page.next = page.rows.last().copied();
                    return page;
                }
                page.rows.push((no * ROWS + at) as RowNo);
            }
        }
        page
    }

    /// Asks something of every chunk, on several threads where that pays; the answers in order.
    pub(super) fn each_chunk<T: Send>(&self, helpers: Helpers, ask: impl Fn(usize, &Chunk) -> T + Sync) -> Vec<T> {
        let chunks = &self.data().chunks;
        if chunks.len() < WORTH_THREADS {
            return chunks.iter().enumerate().map(|(no, chunk)| ask(no, chunk)).collect();
        }
        in_parallel(chunks.len(), helpers, &Progress::default(), |no| chunks.get(no).map(|chunk| ask(no, chunk)))
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("system", &self.system)
            .field("commit", &self.snapshot.commit)
            .finish_non_exhaustive()
    }
}

fn present(chunk: &Chunk) -> Mask {
    chunk.column(IDS).map_or(Mask::NONE, |ids| Mask::of(ids.present()))
}

/// What a rule sees of an end user in a view.
struct Seen<'a> {
    reader: &'a Reader,
    end_user: Option<EndUser<'a>>,
}

impl Facts for Seen<'_> {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.reader.value(self.end_user.as_ref()?, attribute)
    }
}
