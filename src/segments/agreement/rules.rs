//! Random rules, in the ways in which people write them, and random end users for them.
//!
//! A rule is a text in which each `{name}` is replaced by one of the texts of that name in [`GRAMMAR`].

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::model::{AttributeId, AttributeType, Date, Value};
use crate::segments::Facts;

/// Every attribute of the made-up system, with values that meet the constants of the rules, just miss them, or don't.
pub(super) const ATTRIBUTES: [(&str, AttributeType); 6] = [
    ("crm.Plan", AttributeType::String),
    ("crm.Name", AttributeType::String),
    ("crm.Seats", AttributeType::Number),
    ("web.Score", AttributeType::Number),
    ("crm.Signup", AttributeType::Date),
    ("web.Seen", AttributeType::Date),
];
pub(super) const TODAY: i32 = 20_000;

/// How deep texts are put into each other before conditions become single tests.
const DEPTH: usize = 3;

const TEXTS: [&str; 9] = ["pro", "Pro", "free", "", "prö", "x pro y", "PRO", " pro", "12"];
const NUMBERS: [f64; 12] = [-3.0, 0.0, 0.5, 1.0, 2.5, 3.0, 25.0, 49.0, 50.0, 51.0, 0.1 + 0.2, 1e9];
/// Days from today; the last two are the first and the last day that there are.
const DAYS: [i32; 16] = [-3, -1, 0, 1, 3, -33, -31, -30, -29, 29, 30, 31, 365, -20_000, -739_162, 2_912_896];

const GRAMMAR: &[(&str, &[&str])] = &[
    ("text", &["crm.Plan", "crm.Name", "crm[\"Plan\"]", "lower(crm.Name)", "crm.Plan.lower()", "crm?.Name.to_lower()"]),
    ("string", &["\"pro\"", "\"Pro\"", "\"\"", "\"r\"", "\"prö\"", "\"p\" + \"ro\""]),
    (
        "number",
        &[
            "crm.Seats",
            "web.Score",
            "crm.Seats * 2",
            "(web.Score + 0.1)",
            "-crm.Seats",
            "(100 - web.Score) / 3",
            "crm.Seats.round()",
            "to_int(web.Score)",
            "abs(crm.Seats)",
            "(crm.Seats ?? 3)",
            "(crm.Seats ?? web.Score)",
        ],
    ),
    ("constant", &["50", "50.0", "0", "-3", "2.5", "0.5", "3", "1e9", "0.3", "5 * 10", "7 / 2", "100"]),
    ("date", &["crm.Signup", "web.Seen", "(crm.Signup + 30)", "(web.Seen - 1)", "(crm.Signup ?? web.Seen)"]),
    (
        "day",
        &[
            "today()",
            "today() - 30",
            "today() + 30",
            "date(\"2024-10-04\")",
            "\"2024-10-04\"",
            "\"2024-09-04\"",
            "date(\"2024-10-04\") - 1",
            "\"1970-01-01\"",
        ],
    ),
    ("days", &["30", "29.5", "0", "-1", "3", "1e5", "1e9"]),
    ("since", &["days_since({date})", "days_until({date})", "(today() - {date})", "({date} - today()) / 7"]),
    ("order", &["==", "!=", "<", "<=", ">", ">="]),
    ("equal", &["==", "!="]),
    (
        // One test, in one of the ways in which a person writes it.
        "test",
        &[
            "{text} {equal} {string}",
            "{string} {equal} {text}",
            "{number} {order} {constant}",
            "{constant} {order} {number}",
            "{date} {order} {day}",
            "{day} {order} {date}",
            "{since} {order} {days}",
            "{text} {equal} ()",
            "{number} {equal} ()",
            "is_set({date})",
            "is_set({text})",
            "{text} in [{string}, {string}]",
            "{number} in [{constant}, (), {constant}]",
            "{date} in [{day}, {day}]",
            "{string} in [{text}, crm.Name]",
            "{number} in 0..50",
            "between({number}, {constant}, {constant})",
            "{date}.between({day}, {day})",
            "between({since}, {days}, {days})",
            "contains({text}, {string})",
            "{text}.starts_with({string})",
            "ends_with({text}, {string})",
            "{string} in {text}",
            "crm.Plan.len() {order} 3",
            "len(crm.Name) {order} 0",
            "crm.Plan.is_empty()",
            "matches({text}, \"^[pP]r\")",
            "in_segment(\"base\")",
            "between(today(), crm.Signup, web.Seen)",
            "crm.Seats > #{ pro: 1, free: 50 }[crm.Plan ?? \"free\"]",
            "[{number}, {constant}].some(|x| x == {constant} || x > 2)",
            "[{number}, {number}].all(|x| x != {constant})",
            "[{string}, {string}].some(|x| crm.Name.contains(x))",
            "{text} in #{ pro: 1, free: 2 }",
            "[crm.Seats > 2, is_set(crm.Name), {text} == \"pro\"].filter(|x| x).len() >= 2",
            "true",
        ],
    ),
    (
        // A test that is none of the index.
        "script test",
        &[
            "crm.Seats < web.Score",
            "crm.Plan == crm.Name",
            "crm.Plan > \"f\"",
            "crm.Seats % 2 == 1",
            "crm.Name.split(\" \").len() > 1",
            "`${crm.Plan}` == \"pro\"",
            "crm.Plan.contains(crm.Name)",
            "web.Seen - crm.Signup > 3",
            "today() > \"2024-01-01\"",
            "parse_int(crm.Name) > 3",
            "crm.Plan in [crm.Name, \"free\"]",
            "crm.Seats + web.Score > {constant}",
            "max(crm.Seats ?? 0, 5) > {constant}",
            "sqrt(crm.Seats) > 1",
            "crm.Name.to_upper() {equal} \"PRO\"",
            "crm.Name.sub_string(0, 1) == \"p\"",
            "crm.Plan.index_of(\"r\") {order} 1",
            "crm.Name.split(\"r\").some(|part| part == crm.Plan || part == \"p\")",
            "(crm.Name.split(\" \").len() ?? 5) > 1",
            "crm.Seats.to_string() == \"50.0\"",
            "[crm.Seats, web.Score].filter(|x| x != () && x % 2 == 1).len() > 1",
            "[crm.Seats, web.Score].reduce(|sum, x| (sum ?? 0) + (x ?? 0)) > 3",
        ],
    ),
    ("any test", &["{test}", "{test}", "{test}", "{script test}"]),
    (
        "condition",
        &[
            "{leaf}",
            "{leaf}",
            "{leaf}",
            "({condition} && {condition})",
            "({condition} && {condition} && {condition})",
            "({condition} || {condition})",
            "!({condition})",
            "({condition}) == ({condition})",
            "(if {condition} { {condition} } else { {condition} })",
            "(switch crm.Plan { \"pro\" | \"PRO\" => {condition}, \"free\" if {condition} => {condition}, () => true, _ => {condition} })",
            "(switch web.Score { 0..3 | 49..=50 => {condition}, _ => {condition} })",
        ],
    ),
    (
        // A statement of a program, whose variables are `a` (a yes or no), `n` (a number) and `w` (a text).
        "statement",
        &[
            "if {condition} { return {condition}; }",
            "if {condition} { a = {leaf}; } else { n += 1; }",
            "if {condition} { n += 2; if {leaf} { n -= 1; } }",
            "if {condition} { if {leaf} { return a; } n = 7; } else if {leaf} { return !a; }",
            "a = a && {condition};",
            "let a = !a || {condition};",
            "w = if {condition} { crm.Plan } else { \"pro\" };",
            "switch w { \"pro\" => n += 1, \"free\" => { a = {leaf}; } _ => {} }",
            "n += switch n { 0 => 1, 1..=3 => 5, _ => { if {leaf} { 2 } else { 3 } } };",
            "n = helper(w, {condition});",
            "for x in [crm.Seats, web.Score, 3] { if x > 2 || {leaf} { n += 1; } }",
            "for x in [crm.Plan, \"pro\", w] { if x == () { continue; } if x == \"Pro\" || {leaf} { a = {leaf}; break; } n += 1; }",
            "for i in 0..4 { if {leaf} { if {leaf} { break; } else { continue; } } n += 1; if n > 2 { return {leaf}; } }",
            "for i in 0..2 { for x in [1, 5] { if crm.Seats > x { break; } n += x; } if n == 6 { break; } n += 10; }",
            "n = [crm.Seats, web.Score, 2].filter(|x| x > 1).len();",
            "a = a || 6 in [crm.Seats, 3].map(|x| x * 2);",
            "for (x, i) in [\"pro\", \"Pro\"] { if w == x { n += i; return {leaf}; } }",
            "for i in 0..3 { if crm.Seats == i { return {condition}; } }",
            "n += crm.Seats;",
            "n = n * 2 - 1;",
            "let big = |x| x > 2; a = big.call(crm.Seats);",
            "let w = lower(w);",
            "if {leaf} { return false; } if {leaf} { return false; }",
            "let plans = #{ pro: 1, free: 60 }; a = a || crm.Seats > (plans[w ?? \"pro\"] ?? 3);",
            "w = w ?? crm.Plan ?? \"pro\";",
        ],
    ),
    (
        "script statement",
        &[
            "let i = 0; while i < 2 { i += 1; if {leaf} { n += i; } }",
            "for i in 0..2 { if {leaf} { a = true; } n += (if a { break; } else { 1 }) ?? 0; }",
            "let seen = false; [1].for_each(|| seen = {leaf}); a = a || seen;",
            "let seen = 1; let more = |x| { seen += x; seen > 2 }; a = more.call(n ?? 0) && seen > 2;",
            "try { if {leaf} { throw 1; } n += 1; } catch { a = !a; }",
            "if {leaf} { throw \"x\"; }",
            "a = a && { n += 1; {leaf} };",
            "if a && (n ?? { return {leaf}; 1 }) == 1 { n = 4; }",
            "let limit = 2; let big = |x| x > limit; limit = 50; a = big.call(crm.Seats);",
            "w.trim();",
            "let l = [1]; l.push(2); n += l.len();",
            "n += l(w);",
            "loop { if n != 1 { return a; } n += 1; }",
            "if {leaf} { exit({leaf}); }",
        ],
    ),
    ("any statement", &["{statement}", "{statement}", "{script statement}"]),
    (
        "end",
        &["a", "a && n >= 1", "w == \"pro\" || a", "n in [0, 1, 5]", "(n ?? 0) < 3", "if a { n > 1 } else { w != () }"],
    ),
    (
        "program",
        &[
            "fn helper(p, q) { if p == \"pro\" { return 3; } if q { 1 } else { 0 } }\nfn l(t) { t.split(\"r\").len() ?? 0 }\n\
           let a = {leaf};\nlet n = 0;\nlet w = crm.Name;\n{some statements}\n{end}",
        ],
    ),
    (
        "some statements",
        &["{a statement}", "{a statement}\n{a statement}", "{a statement}\n{a statement}\n{a statement}"],
    ),
    ("rule", &["{condition}", "{program}"]),
];

/// One end user's values.
#[derive(Debug)]
pub(super) struct EndUser(pub(super) BTreeMap<AttributeId, Value>);

impl Facts for EndUser {
    fn value(&self, attribute: &AttributeId) -> Option<Value> {
        self.0.get(attribute).cloned()
    }
}

/// The seed of this run: another one each time, or that of `ROLLCALL_TEST_SEED`.
pub(super) fn seed() -> u64 {
    let given = std::env::var("ROLLCALL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
}

/// A source of chance.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `count`, by splitmix64.
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count as u64) as usize
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub(super) fn end_user(&mut self) -> EndUser {
        let mut values = BTreeMap::new();
        for (id, kind) in ATTRIBUTES {
            let value = match kind {
                AttributeType::String => Value::String(self.pick(&TEXTS).into()),
                AttributeType::Number => Value::Number(self.pick(&NUMBERS)),
                AttributeType::Date => Value::Date(Date::from_days(TODAY + self.pick(&DAYS)).unwrap()),
            };
            if self.below(5) > 0 {
                values.insert(id.parse().unwrap(), value);
            }
        }
        EndUser(values)
    }

    /// A rule of tests and statements that can be `followed`, or of `any`.
    pub(super) fn rule(&mut self, kind: &str) -> String {
        let mut text = String::new();
        self.write("rule", kind, 0, &mut text);
        text
    }

    fn write(&mut self, name: &str, kind: &str, depth: usize, text: &mut String) {
        let name = match (name, kind) {
            ("condition", _) if depth > DEPTH => "leaf",
            (name, _) => name,
        };
        let name = match (name, kind) {
            ("leaf", "any") => "any test",
            ("leaf", _) => "test",
            ("a statement", "any") => "any statement",
            ("a statement", _) => "statement",
            (name, _) => name,
        };
        let (_, texts) = GRAMMAR.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        let mut rest = self.pick(texts);
        while let Some((before, hole)) = rest.split_once('{') {
            text.push_str(before);
            match hole.split_once('}').filter(|(name, _)| is_name(name)) {
                Some((name, after)) => {
                    self.write(name, kind, depth + 1, text);
                    rest = after;
                }
                None => {
                    text.push('{');
                    rest = hole;
                }
            }
        }
        text.push_str(rest);
    }
}

/// Whether what stands in braces is a name here, and not a block of the rule.
fn is_name(text: &str) -> bool {
    !text.is_empty() && GRAMMAR.iter().any(|(name, _)| *name == text) || ["leaf", "a statement"].contains(&text)
}
