//! Runs the tables in `tests/cases`: rules over end users, wrong rules, hostile rules; and what no table shows.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::model::Date;

type EndUser = BTreeMap<String, toml::Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    #[serde(default)]
    same: Vec<String>,
    /// `index` or `script`, where that matters.
    mode: Option<String>,
    #[serde(default, rename = "in")]
    members: Vec<EndUser>,
    #[serde(default)]
    out: Vec<EndUser>,
    #[serde(default)]
    fails: Vec<EndUser>,
}

#[derive(Deserialize)]
struct Cases<T> {
    case: Vec<T>,
}

fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    toml::from_str::<Cases<T>>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).case
}

fn id(text: &str) -> SegmentId {
    SegmentId::new(text).unwrap()
}

fn schema() -> Schema {
    use AttributeType::{Date, Number, String};
    let attributes = [
        ("crm.Type", String),
        ("crm.Name", String),
        ("crm.default", String),
        ("crm.Seats", Number),
        ("crm.Spend", Number),
        ("crm.Signup", Date),
        ("crm.Renewal", Date),
        ("csv_upload.Type", String),
    ];
    let mut schema = Schema::default();
    for (name, kind) in attributes {
        let attribute: AttributeId = name.parse().unwrap();
        schema.integrations.entry(attribute.integration).or_default().insert(attribute.name, kind);
    }
    schema.segments = ["elsewhere", "premium", "rule", "a", "b", "c"].into_iter().map(id).collect();
    schema
}

fn today() -> Date {
    "2024-06-15".parse().unwrap()
}

struct Person<'a>(&'a EndUser);

impl Facts for Person<'_> {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.0.get(&attribute.to_string()).map(|value| match value {
            toml::Value::String(text) => Value::String(text.as_str().into()),
            toml::Value::Integer(number) => Value::Number(*number as f64),
            toml::Value::Float(number) => Value::Number(*number),
            toml::Value::Datetime(date) => Value::Date(date.to_string().parse().unwrap()),
            other => panic!("{other}"),
        })
    }
}

fn compile(rule: &str) -> Result<Segment, Vec<RuleError>> {
    Segment::compile(id("rule"), rule, &schema())
}

fn good(name: &str, rule: &str) -> Segment {
    Segment::compile(id(name), rule, &schema()).unwrap_or_else(|errors| panic!("{rule}\n{errors:#?}"))
}

fn set(rules: &[(&str, &str)]) -> SegmentSet {
    SegmentSet::new(rules.iter().map(|(name, rule)| good(name, rule)).collect()).unwrap()
}

#[test]
fn rules_judge_end_users_as_the_table_says() {
    for case in cases::<Case>("segment_rules.toml") {
        for rule in std::iter::once(&case.rule).chain(&case.same) {
            let set = set(&[("rule", rule), ("elsewhere", "crm.Type == \"elsewhere\"")]);
            if let Some(mode) = &case.mode {
                let condition = set.get(&id("rule")).unwrap().condition();
                assert_eq!(mode, if condition.is_ok() { "index" } else { "script" }, "{rule}: {condition:?}");
            }
            let judge = |end_user| {
                let judged = set.judge(&Person(end_user), today());
                (judged.members.contains(&id("rule")), judged.failures)
            };
            for end_user in &case.members {
                assert_eq!(judge(end_user), (true, vec![]), "in: {rule} for {end_user:?}");
            }
            for end_user in &case.out {
                assert_eq!(judge(end_user), (false, vec![]), "out: {rule} for {end_user:?}");
            }
            for end_user in &case.fails {
                let (member, failures) = judge(end_user);
                assert!(!member && failures.len() == 1, "fails: {rule} for {end_user:?}: {failures:?}");
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrongCase {
    rule: String,
    errors: Vec<WrongAt>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrongAt {
    at: String,
    message: String,
    hint: Option<String>,
}

#[test]
fn wrong_rules_are_refused_with_every_error_at_its_place() {
    let cases = cases::<WrongCase>("wrong_rules.toml");
    assert!(cases.len() >= 25);
    for case in cases {
        let errors = compile(&case.rule).err().unwrap_or_default().into_iter().map(|error| WrongAt {
            at: format!("{}:{}", error.line, error.column),
            message: error.message,
            hint: error.hint,
        });
        assert_eq!(errors.collect::<Vec<_>>(), case.errors, "{}", case.rule);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostileCase {
    rule: String,
}

#[test]
fn hostile_rules_are_stopped_soon() {
    let written = cases::<HostileCase>("hostile_rules.toml").into_iter().map(|case| case.rule);
    let long = [
        format!("{}true{}", "(".repeat(500), ")".repeat(500)),
        format!("{}1{}", "-(".repeat(500), ")".repeat(500)),
        format!("{}true", "!".repeat(500)),
        vec!["crm.Seats == 1"; 300].join(" || "),
        vec!["1"; 5000].join(" + "),
        format!("crm{}", ".a".repeat(1000)),
        format!("{}{}", "[".repeat(500), "]".repeat(500)),
        format!("{}{}", "{".repeat(500), "}".repeat(500)),
        format!("{}true", "if true { true } else ".repeat(500)),
        format!("crm.Seats in [{}]", (0..1001).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")),
        format!("crm.Name == \"{}\"", "x".repeat(65_537)),
        format!("true // {}", "x".repeat(limits::TEXT_BYTES)),
        (0..17).map(|n| format!("matches(crm.Name, \"{n}\")")).collect::<Vec<_>>().join(" || "),
        (0..200).map(|n| format!("fn f{n}() {{}} ")).collect::<String>() + "true",
        (0..500).map(|n| format!("let v{n} = {n}; ")).collect::<String>() + "true",
    ];
    let mut count = 0;
    for rule in written.chain(long) {
        let shown: String = rule.chars().take(120).collect();
        let begun = Instant::now();
        assert!(compile(&rule).is_err(), "{shown}");
        // The limits are some 20 ms; the rest is for a busy machine and a debug build.
        assert!(begun.elapsed() < Duration::from_secs(2), "{shown}: {:?}", begun.elapsed());
        count += 1;
    }
    assert!(count >= 40);
}

#[test]
fn a_rule_that_multiplies_when_it_is_followed_is_left_to_the_script_soon() {
    let ifs = |count: usize, body: &str| -> String {
        (0..count).map(|n| format!("if crm.Seats > {n} {{ {} }}\n", body.replace('N', &n.to_string()))).collect()
    };
    let doubling =
        (1..20).map(|n| format!("fn f{n}(x) {{ f{}(x) && f{}(x + 1) }}\n", n - 1, n - 1)).collect::<String>();
    let followed = |rule: &str| {
        let begun = Instant::now();
        let segment = compile(rule).unwrap_or_else(|errors| panic!("{rule}\n{errors:?}"));
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}: {}", begun.elapsed(), &rule[..rule.len().min(200)]);
        segment.condition().is_ok()
    };
    // Long, but not hard.
    assert!(followed(&(ifs(200, "return true;") + "false")));
    assert!(followed(&(ifs(40, "return crm.Type == \"N\";") + "false")));
    assert!(followed(&format!("let a = false; {} a", ifs(60, "a = true;"))));
    assert!(followed(&vec!["crm.Type == \"x\""; 60].join(" || ")));
    // Every point doubles what the sum can be, every function its calls, and loops within each other.
    let points = ifs(40, "n += 1;").replace("crm.Seats > ", "crm.Name.len() % 2 == 0 || crm.Seats == ");
    assert!(!followed(&format!("let n = 0; {points} n > 20")));
    let points: String = (0..40).map(|n| format!("if crm.Name.contains(\"{n}\") {{ n += 1; }}\n")).collect();
    assert!(!followed(&format!("let n = 0; {points} n > 20")));
    assert!(!followed(&format!("fn f0(x) {{ x > 0 }}\n{doubling}crm.Type == \"a\" + \"b\" && f19(crm.Seats)")));
    let list = "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]";
    let loops = format!("for v in {list} {{ for w in {list} {{ if crm.Name.contains(v + w) {{ n += 1; }} }} }}");
    assert!(!followed(&format!("let n = 0; {loops} n > 5")));
    // About as deep as the language allows.
    followed(&format!("{}crm.Seats > 5{}", "!(true && ".repeat(40), ")".repeat(40)));
    followed(&format!("{}crm.Seats > 5{}", "if crm.Seats > 1 { ".repeat(30), " } else { false }".repeat(30)));
    let chain: String = (0..25).map(|n| format!("if crm.Seats == {n} {{ crm.Type == \"{n}\" }} else ")).collect();
    assert!(followed(&format!("{chain} {{ false }}")));
}

#[test]
fn a_trap_that_no_trial_finds_fails_alone_and_soon() {
    let set = set(&[
        ("a", "crm.Seats > 5"),
        ("b", "if crm.Seats == 12300 + 45 { loop {} } else { false }"),
        ("c", "if crm.Seats == 12300 + 45 { let s = \"x\"; loop { s += s; } } else { false }"),
        ("premium", "!in_segment(\"b\") && !in_segment(\"c\")"),
    ]);
    let judge = |seats: i64| {
        let end_user = EndUser::from([("crm.Seats".to_owned(), toml::Value::Integer(seats))]);
        set.judge(&Person(&end_user), today())
    };
    assert_eq!(judge(6), Judged { members: vec![id("a"), id("premium")], failures: vec![] });
    let begun = Instant::now();
    let trapped = judge(12_345);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(trapped.members, [id("a"), id("premium")]);
    let failures: Vec<_> = trapped.failures.iter().map(|(segment, why)| (segment.as_str(), why.as_str())).collect();
    assert!(
        matches!(failures.as_slice(), [("b", loops), ("c", grows)]
            if loops.starts_with("line 1, column ") && loops.contains("endless loop") && grows.contains("at most 64 KiB")),
        "{failures:?}"
    );
    // Nothing of it is left behind.
    assert_eq!(judge(6).failures, []);
}

#[test]
fn a_script_cannot_change_what_the_next_one_sees() {
    // Through copies, closures and functions; what the check can see of this it refuses.
    let meddling = [
        "let c = crm; c.Seats = 99; c.Type = \"x\"; c.Seats == 99",
        "let f = |c| { c.Seats = 99; c.Seats == 99 }; f.call(crm)",
        "fn f(c) { c.Seats = 99; c.clear(); c.len() == 0 } f(crm)",
        "let c = [crm]; c[0].Seats = 99; c[0].Seats == 99",
        "let crm = #{ Seats: 99 }; crm.Seats = 98; crm.Seats == 98",
    ];
    let end_user = EndUser::from([("crm.Seats".to_owned(), toml::Value::Integer(5))]);
    for rule in meddling {
        let set = set(&[("a", rule), ("b", "in_segment(\"a\") && crm.Seats == 5 && crm.Type == ()")]);
        let judged = set.judge(&Person(&end_user), today());
        assert_eq!(judged, Judged { members: vec![id("a"), id("b")], failures: vec![] }, "{rule}");
    }
}

#[test]
fn segments_are_judged_after_those_they_ask_about() {
    let set = set(&[
        ("a", "in_segment(\"b\") && in_segment(\"c\")"),
        ("b", "in_segment(\"c\") || crm.Seats == 1"),
        ("c", "crm.Seats == 2"),
    ]);
    let order: Vec<&str> = set.iter().map(|segment| segment.id.as_str()).collect();
    assert_eq!(order, ["c", "b", "a"]);
    let members = |seats: i64| {
        let end_user = EndUser::from([("crm.Seats".to_owned(), toml::Value::Integer(seats))]);
        set.judge(&Person(&end_user), today()).members
    };
    assert_eq!(members(2), [id("a"), id("b"), id("c")]);
    assert_eq!(members(1), [id("b")]);
    assert_eq!(members(3), []);
    assert_eq!(set.reads(), ["crm.Seats".parse().unwrap()]);
    assert_eq!(set.get(&id("a")).unwrap().depends_on(), [id("b"), id("c")]);
    assert!(set.get(&id("premium")).is_none());
}

#[test]
fn cycles_are_named_at_each_of_their_questions() {
    let segments = vec![
        good("a", "in_segment(\"b\")"),
        good("b", "crm.Seats > 5 &&\n  in_segment(\"c\")"),
        good("c", "in_segment(\"a\") || in_segment(\"premium\")"),
        good("premium", "in_segment(\"premium\")"),
        good("rule", "in_segment(\"a\")"),
    ];
    let errors = SegmentSet::new(segments).err().unwrap();
    let told: Vec<(&str, String)> = errors.iter().map(|(id, error)| (id.as_str(), error.to_string())).collect();
    let circle = |at: &str, path: &str| format!("{at}: segments ask about each other in a cycle: {path}");
    assert_eq!(
        told,
        [
            ("a", circle("1:12", "a -> b -> c -> a")),
            ("b", circle("2:14", "b -> c -> a -> b")),
            ("c", circle("1:12", "c -> a -> b -> c")),
            ("premium", circle("1:12", "premium -> premium")),
        ]
    );
}

#[test]
fn a_script_is_run_by_its_place_over_many_end_users() {
    let set = set(&[
        ("a", "crm.Name.split(\",\").len() > 1 && in_segment(\"b\")"),
        ("b", "crm.Seats > 5"),
        ("c", "crm.Name[2] == 'x' && !(\"Seats\" in crm)"),
    ]);
    let place = |name: &str| set.place(&id(name)).unwrap();
    assert!(set.order()[place("a")].id == id("a") && place("a") > place("b"));
    let end_user = |name: Option<&str>, seats: Option<i64>| {
        let name = name.map(|name| ("crm.Name".to_owned(), toml::Value::String(name.to_owned())));
        let seats = seats.map(|seats| ("crm.Seats".to_owned(), toml::Value::Integer(seats)));
        name.into_iter().chain(seats).collect::<EndUser>()
    };
    let mut members = vec![false; set.len()];
    let mut a = set.script(place("a"), today()).unwrap();
    let mut c = set.script(place("c"), today()).unwrap();
    for (name, seats, in_b, in_a, in_c) in [
        (Some("x,y"), Some(6), true, Ok(true), Ok(false)),
        (Some("x,y"), None, false, Ok(false), Ok(false)),
        // Nothing is left of the one before.
        (None, None, true, Ok(false), Ok(false)),
        (Some("abx"), None, true, Ok(false), Ok(true)),
        (
            Some("a"),
            None,
            true,
            Ok(false),
            Err("line 1, column 10: string index 2 out of bounds: only 1 character in string"),
        ),
    ] {
        members[place("b")] = in_b;
        let end_user = end_user(name, seats);
        assert_eq!(a.judge(&Person(&end_user), &members), in_a.map_err(str::to_owned), "{end_user:?}");
        assert_eq!(set.run_script(place("a"), &Person(&end_user), &members, today()), in_a.map_err(str::to_owned));
        assert_eq!(
            c.judge(&Person(&end_user), &members).map_err(|why| why.to_lowercase()),
            in_c.map_err(str::to_owned)
        );
    }
    assert!(set.script(3, today()).is_none() && set.run_script(3, &Person(&EndUser::new()), &[], today()).is_err());
}

#[test]
fn a_segment_knows_what_its_answer_depends_on() {
    let segment = good("rule", "// Big ones\n// with many seats\ncrm.Seats > 5 && csv_upload[\"Type\"] == \"x\"");
    assert_eq!((segment.name.as_str(), segment.description.as_str()), ("Big ones", "with many seats"));
    let reads: Vec<String> = segment.reads().iter().map(ToString::to_string).collect();
    assert_eq!(reads, ["crm.Seats", "csv_upload.Type"]);
    assert!(!segment.uses_today());
    assert_eq!(good("rule", "true").name, "rule");
    for rule in ["days_since(crm.Signup) > 5", "crm.Signup > today()", "crm.Renewal.days_until() > 5"] {
        assert!(good("rule", rule).uses_today(), "{rule}");
    }
    // Used as a whole, an integration is read as a whole.
    for rule in ["crm.len() > 3", "fn f(c, n) { c[n] == 1 } f(crm, \"Seats\")", "[crm].len() == 1", "crm == #{}"] {
        assert_eq!(good("rule", rule).reads().len(), 7, "{rule}");
    }
    assert_eq!(good("rule", "fn f(c) { c.Seats > 1 } f(crm)").reads().len(), 1);
    // A segment that asks about nothing set may still be set by today: the day is that of the caller.
    let set = set(&[("a", "today() == \"2024-06-15\"")]);
    assert_eq!(set.judge(&Person(&EndUser::new()), today()).members, [id("a")]);
    assert_eq!(set.judge(&Person(&EndUser::new()), "2024-06-16".parse().unwrap()).members, []);
}
