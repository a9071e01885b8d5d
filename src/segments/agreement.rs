//! Condition and script give the same answer, and no guard keeps anyone out: random rules over random end users,
//! missing values among them.
//!
//! [`super::SegmentSet::judge`] itself compares the two ways in test builds, so every other test of rules holds this,
//! too; here rules are made for it (`rules`). A failure names its seed; the same seed makes the same rules.

mod rules;

use super::{Schema, Segment, SegmentSet};
use crate::model::{AttributeId, Date, SegmentId, Value};
use crate::predicate::Slotted;
use rules::{ATTRIBUTES, Dice, EndUser, TODAY};

/// Rules of each kind, and how many end users each is held against: 100,000 comparisons together.
const RULES: usize = 700;
const END_USERS: usize = 75;
/// Different end users.
const POPULATION: usize = 1_000;

fn schema() -> Schema {
    let mut schema = Schema::default();
    for (id, kind) in ATTRIBUTES {
        let id: AttributeId = id.parse().unwrap();
        schema.integrations.entry(id.integration).or_default().insert(id.name, kind);
    }
    schema.segments = ["base", "rule"].map(|id| SegmentId::new(id).unwrap()).into();
    schema
}

fn compile(id: &str, text: &str) -> Result<Segment, String> {
    let compiled = Segment::compile(SegmentId::new(id).unwrap(), text, &schema());
    compiled.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// What came of the rules.
#[derive(Debug, Default)]
struct Tally {
    conditions: usize,
    scripts: usize,
    guards: usize,
    comparisons: usize,
}

/// Holds a rule's two ways, or its guard, against each other.
fn compare<'a>(rule: &str, end_users: impl Iterator<Item = &'a EndUser>, seed: u64, tally: &mut Tally) {
    let today = Date::from_days(TODAY).unwrap();
    let segment = match compile("rule", rule) {
        Ok(segment) => segment,
        // Whether a made-up rule asks for this is not worth working out when it is made.
        Err(errors) if errors.contains("that a method is at work on") => return,
        Err(errors) => panic!("seed {seed}, refused: {errors}\n{rule}"),
    };
    let set = SegmentSet::new(vec![segment, compile("base", "crm.Seats > 2").unwrap()]).unwrap();
    let place = |id: &str| set.place(&SegmentId::new(id).unwrap()).unwrap();
    let slotted =
        |condition| Slotted::new(condition, &|id| set.reads().binary_search(id).unwrap(), &|id| set.place(id).unwrap());
    let segment = &set.order()[place("rule")];
    let (condition, guard) = (segment.condition().ok().map(slotted), segment.guard().map(slotted));
    let base = slotted(set.order()[place("base")].condition().unwrap());
    tally.conditions += usize::from(condition.is_some());
    tally.scripts += usize::from(condition.is_none());
    tally.guards += usize::from(guard.is_some());
    let mut script = set.script(place("rule"), today).unwrap();
    for end_user in end_users {
        let values: Vec<Option<Value>> = set.reads().iter().map(|id| end_user.0.get(id).cloned()).collect();
        let mut members = vec![false; set.len()];
        members[place("base")] = base.holds(&values, &members, today);
        let verdict = script.judge(end_user, &members);
        let member = verdict.clone().unwrap_or(false);
        tally.comparisons += 1;
        if let Some(condition) = &condition {
            let says = condition.holds(&values, &members, today);
            let condition = segment.condition();
            assert_eq!(
                says, member,
                "seed {seed}, as a condition and as a script:\n{rule}\n{end_user:?}\n{condition:?}"
            );
        }
        if let Some(guard) = guard.as_ref().filter(|_| member) {
            let says = guard.holds(&values, &members, today);
            assert!(says, "seed {seed}, the guard of\n{rule}\n{end_user:?}\n{:?}", segment.guard());
        }
    }
}

fn compare_many(kind: &str) -> Tally {
    let seed = rules::seed();
    let mut dice = Dice::new(seed);
    let population: Vec<EndUser> = (0..POPULATION).map(|_| dice.end_user()).collect();
    let mut tally = Tally::default();
    for number in 0..RULES {
        let rule = dice.rule(kind);
        let some = population.iter().cycle().skip(number * END_USERS % POPULATION).take(END_USERS);
        compare(&rule, some, seed, &mut tally);
    }
    tally
}

#[test]
fn a_condition_says_what_the_script_says() {
    let tally = compare_many("followed");
    assert!(tally.comparisons >= 50_000, "{tally:?}");
    // The few others are too large.
    assert!(tally.conditions > RULES * 9 / 10, "{tally:?}");
}

#[test]
fn a_guard_keeps_nobody_out_whom_the_script_lets_in() {
    let tally = compare_many("any");
    assert!(tally.comparisons >= 50_000, "{tally:?}");
    // Enough of each kind, so that something is tested.
    assert!(tally.scripts > RULES / 3 && tally.conditions > RULES / 10 && tally.guards > RULES / 4, "{tally:?}");
}

#[test]
fn what_is_no_condition_says_why_and_where() {
    let why = |rule: &str| {
        let segment = Segment::compile(SegmentId::new("rule").unwrap(), rule, &schema()).unwrap();
        segment.condition().err().map(str::to_owned)
    };
    assert_eq!(why("// Name\ncrm.Seats > 3"), None);
    assert_eq!(why("fn is_set(x) { x == 3 }\nis_set(crm.Seats)"), None, "a rule's own function goes before ours");
    for (rule, reason) in [
        ("let n = 0;\nwhile n < 3 { n += 1; }\nn > crm.Seats", "a loop (line 2, column 1)"),
        ("crm.Seats % 2 > 3", "the operator `%` (line 1, column 11)"),
        ("crm.Plan > \"m\"", "texts in an order (line 1, column 10)"),
        ("crm.Seats > web.Score", "a comparison of two values of the end user (line 1, column 11)"),
        (
            "fn is_set() { false }\ncrm.Seats.is_set()",
            "the rule's own function `is_set` as a method (line 2, column 11)",
        ),
        ("crm.Plan.to_upper() == \"PRO\"", "the function `to_upper` (line 1, column 10)"),
        ("switch crm.Plan { 'p' => true, _ => false }", "a case of this kind (line 1, column 26)"),
    ] {
        assert_eq!(why(rule).as_deref(), Some(reason), "{rule}");
    }
}
