//! Live memberships against judging everyone anew: random writes, rules, days, restarts and crashes.

use proptest::prelude::*;

use super::*;
use crate::engine::live::Live;
use crate::engine::mask::Mask;
use crate::engine::parallel::Progress;
use crate::model::{Date, SegmentId};
use crate::predicate::Condition;
use crate::ruleset::{Files, compile};

/// A day in milliseconds; and the first moment of a day.
const DAY: i64 = 86_400_000;
const START: i64 = 20_000 * DAY + 3_600_000;

const CRM: &str = "user_identifier = \"id\"\n\
    [[properties]]\nfield = \"a\"\ntype = \"string\"\n\
    [[properties]]\nfield = \"b\"\ntype = \"number\"\n\
    [[properties]]\nfield = \"c\"\ntype = \"date\"\n";

/// Four versions of the rules: others have segments that change, come and go, ask about each other, follow the day, and
/// run as scripts; the third reads `a` as a Number; in the fourth the integration is disabled.
fn rules(version: usize) -> Arc<RuleSet> {
    let integration = match version {
        2 => CRM.replacen("string", "number", 1),
        3 => format!("enabled = false\n{CRM}"),
        _ => CRM.to_owned(),
    };
    let mut files: Vec<(&str, &str)> = vec![
        ("integrations/crm.toml", &integration),
        ("segments/recent.rhai", "days_since(crm.c) <= 2"),
        ("segments/old.rhai", "is_set(crm.c) && !in_segment(\"recent\")"),
        ("segments/sum.rhai", "let sum = 0.0; for x in [crm.b, 1.0] { if is_set(x) { sum += x; } } sum > 5.0"),
        ("segments/soon.rhai", "let days = 0; while days < 2 { days += 1; } crm.c > today() - 1 && days == 2"),
        ("segments/asks.rhai", "let n = 0; for i in 0..2 { n += 1; } in_segment(\"sum\") && n == 2"),
    ];
    files.extend(match version {
        0 => vec![
            ("segments/gold.rhai", "crm.a == \"gold\""),
            ("segments/both.rhai", "in_segment(\"gold\") && crm.b >= 9"),
        ],
        1 => vec![
            ("segments/gold.rhai", "crm.a != \"gold\""),
            ("segments/both.rhai", "in_segment(\"gold\") && crm.b >= 9"),
        ],
        2 => {
            vec![("segments/none.rhai", "crm.a == ()"), ("segments/nine.rhai", "crm.a == 9.99 || in_segment(\"none\")")]
        }
        _ => vec![("segments/none.rhai", "crm.a == ()")],
    });
    let files: Files = files.into_iter().map(|(path, text)| (path.to_owned(), Arc::from(text))).collect();
    Arc::new(compile(&system(), &files, None, Timestamp::from_millis(START)).unwrap())
}

fn open_at(folder: &Path, clock: &Clock) -> Engine {
    let store = Store::open(folder, &Options { cache_mib: 8 }).unwrap();
    Engine::start(store, clock.clone(), &EngineOptions { min_free_mib: 0 }).unwrap()
}

fn adopt(engine: &Engine, rules: &Arc<RuleSet>) {
    engine.adopt(&BTreeMap::from([(system(), Arc::clone(rules))])).unwrap();
}

/// Who is in which segment, as a follower of the events has it.
#[derive(Default)]
struct Follower {
    after: u64,
    members: BTreeSet<(String, String)>,
}

impl Follower {
    fn read_anew(&mut self, engine: &Engine) {
        let reader = engine.reader(&system(), &Sight::All).unwrap();
        self.members.clear();
        for (segment, _) in reader.rules().segments.alphabetical() {
            let page = reader.members(segment, None, 1000);
            let ids = page.rows.iter().map(|row| (segment.to_string(), reader.at(*row).id().to_owned()));
            self.members.extend(ids);
        }
    }

    /// Follows the events; who is gone, and segments that are gone, are told of by nothing.
    fn follow(&mut self, engine: &Engine) {
        let following = engine.events_after(&system(), self.after, 10_000);
        self.after = following.next;
        if following.gap {
            return self.read_anew(engine);
        }
        for event in following.events {
            let member = (event.segment.to_string(), event.id.to_string());
            let changed = if event.entered { self.members.insert(member) } else { self.members.remove(&member) };
            assert!(changed, "a move that is none: {event:?}");
        }
        let reader = engine.reader(&system(), &Sight::All).unwrap();
        self.members.retain(|(segment, id)| {
            reader.rules().segments.place(&SegmentId::new(segment).unwrap()).is_some()
                && reader.end_user(&EndUserId::new(id).unwrap()).is_some()
        });
        let mut now = Self::default();
        now.read_anew(engine);
        assert_eq!(self.members, now.members, "what events told is what is so");
    }
}

fn check_members(engine: &Engine, now: Timestamp) {
    let snapshot = engine.snapshot();
    let live = snapshot.live.get(&system()).unwrap();
    assert!(live.is_for(now));
    let data = crate::engine::adopt::data_of(&snapshot, &system());
    let fresh = Live::renewed(None, data, &live.rules, now, &Progress::default());
    let reader = engine.reader(&system(), &Sight::All).unwrap();
    let counts: BTreeMap<_, _> = reader.segment_counts().into_iter().collect();
    for (place, segment) in live.rules.segments.order().iter().enumerate() {
        let mask = live.members.mask(0, place);
        assert_eq!(mask, fresh.members.mask(0, place), "{} at each write and by scanning", segment.id);
        assert_eq!(counts[&segment.id], mask.count());
        let everyone = if let Ok(condition) = segment.condition() {
            reader.count(&reader.question(condition))
        } else {
            reader.count(&reader.draft(segment))
        };
        assert_eq!(everyone, mask.count(), "{} by a question", segment.id);
    }
    for row in crate::engine::state::used_rows(data) {
        let scripts = live.judge_by_script(data, row);
        let bits = live.members.row(row).flags();
        assert!(bits.is_empty() && scripts.iter().all(|script| !script) || bits == scripts, "bits are scripts");
    }
    let nobody = reader.segments_of(&EndUserId::new("nobody").unwrap());
    assert!(!nobody.known);
    assert_eq!(live.members.mask(7, 0), Mask::NONE);
}

#[derive(Debug, Clone)]
enum Happening {
    Step(Step),
    Rules(usize),
    Days(i64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => step().prop_map(Happening::Step),
        1 => (0_usize..4).prop_map(Happening::Rules),
        1 => prop_oneof![Just(1), Just(2), Just(-1), Just(400)].prop_map(Happening::Days),
    ]
}

/// The three dates are today's neighbours, so that days matter.
fn dated(pick: usize, now: i64) -> Value {
    match pick {
        6.. => Value::Date(Date::from_days((now / DAY) as i32 - 2 + (pick as i32 - 6)).unwrap()),
        other => value(other),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn memberships_are_what_judging_everyone_anew_gives(happenings in prop::collection::vec(happening(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut now = START;
        let clock = Clock::manual(Timestamp::from_millis(now));
        let mut engine = open_at(folder.path(), &clock);
        let mut live = rules(0);
        adopt(&engine, &live);
        let mut follower = Follower::default();
        for happening in happenings {
            match happening {
                Happening::Step(Step::Update(i, merge, records)) => {
                    let mut call = update(INTEGRATIONS[i], if merge { Mode::Merge } else { Mode::Replace }, &[]);
                    call.records = records.iter().map(|(id, sets)| Record {
                        id: EndUserId::new(&format!("user{id}")).unwrap(),
                        sets: sets.iter().map(|(a, v)| (*a, *v)).collect::<BTreeMap<_, _>>().into_iter()
                            .map(|(a, v)| (a, dated(v, now))).collect(),
                    }).collect();
                    block(engine.update(call)).unwrap();
                }
                Happening::Step(Step::Delete(id)) => {
                    let id = EndUserId::new(&format!("user{id}")).unwrap();
                    block(engine.delete(system(), id.clone(), Vec::new())).unwrap();
                    prop_assert!(engine.events_after(&system(), 0, 10_000).events.iter().all(|event| *event.id != *id.as_str()));
                }
                Happening::Step(Step::Unset(id, i, a)) => {
                    let id = EndUserId::new(&format!("user{id}")).unwrap();
                    block(engine.unset(system(), id, attribute(INTEGRATIONS[i], NAMES[a]), Vec::new())).unwrap();
                }
                Happening::Step(Step::Checkpoint) => block(engine.checkpoint()).unwrap(),
                Happening::Step(stop @ (Step::Restart | Step::Crash)) => {
                    if matches!(stop, Step::Restart) { engine.stop() } else { engine.abandon() }
                    drop(engine);
                    engine = open_at(folder.path(), &clock);
                    adopt(&engine, &live);
                }
                Happening::Rules(version) => {
                    live = rules(version);
                    adopt(&engine, &live);
                }
                Happening::Days(days) => {
                    now += days * DAY;
                    clock.set(Timestamp::from_millis(now));
                    engine.roll_over().unwrap();
                }
            }
            check_members(&engine, Timestamp::from_millis(now));
            follower.follow(&engine);
        }
        engine.stop();
    }
}

#[test]
fn after_midnight_every_answer_is_of_the_new_day_also_before_its_memberships_are_live() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(START));
    let engine = open_at(folder.path(), &clock);
    adopt(&engine, &rules(0));
    let day = |offset: i32| Value::Date(Date::from_days((START / DAY) as i32 + offset).unwrap());
    let put = |id: &str, offset: i32| {
        let mut call = update(INTEGRATIONS[0], Mode::Merge, &[]);
        let sets = vec![(1, Value::Number(9.0)), (2, day(offset))];
        call.records = vec![Record { id: EndUserId::new(id).unwrap(), sets }].into();
        block(engine.update(call)).unwrap();
    };
    for (id, offset) in [("u0", 0), ("u1", -1), ("u2", -2), ("u3", -3), ("u4", 1)] {
        put(id, offset);
    }
    let reader = || engine.reader(&system(), &Sight::All).unwrap();
    let check = |recent: u64, old: u64, soon: u64| {
        let reader = reader();
        let counts: BTreeMap<String, u64> =
            reader.segment_counts().into_iter().map(|(id, count)| (id.to_string(), count)).collect();
        assert_eq!([counts["recent"], counts["old"], counts["soon"]], [recent, old, soon]);
        for (id, count) in &counts {
            let id = SegmentId::new(id).unwrap();
            assert_eq!(reader.segment_count(&id), *count, "{id}");
            let members = reader.members(&id, None, 100).rows;
            assert_eq!(members.len() as u64, *count, "{id}");
            for row in 0..5 {
                let end_user = reader.at(row).id().to_owned();
                let page_load = reader.segments_of(&EndUserId::new(&end_user).unwrap());
                assert_eq!(page_load.segments.contains(&id), members.contains(&row), "{end_user} in {id}");
            }
            // Asked about by a filter, a rule, and as the bound of what somebody sees.
            let asked = Condition::Segment(id.clone());
            assert_eq!(reader.count(&reader.question(&asked)), *count, "{id}");
            let within = engine.reader(&system(), &Sight::Within(asked)).unwrap();
            assert_eq!((within.len(), within.segment_count(&id)), (*count, *count), "{id}");
        }
        let same = reader.preview(&rules(0), std::time::Duration::from_secs(60)).unwrap();
        assert_eq!(same, [], "a new day is no change of rules");
    };
    check(4, 1, 2);
    // While this is held, no new day goes live.
    let held = engine.0.adopting.lock();
    clock.set(Timestamp::from_millis(START + DAY));
    assert!(!engine.snapshot().live[&system()].is_for(clock.now()));
    check(3, 2, 1);
    put("u3", 0);
    check(4, 1, 1);
    assert!(!engine.snapshot().live[&system()].is_for(clock.now()));
    drop(held);
    engine.roll_over().unwrap();
    assert!(engine.snapshot().live[&system()].is_for(clock.now()));
    check(4, 1, 1);
    engine.stop();
}
