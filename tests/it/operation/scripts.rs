//! Hostile rules on a running server: refused, or ended in time, with little memory, and nobody waits for them.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::support::{Server, System, crm, nightly, segment};

/// What a rule may take for an end user, and how long it may be until it has ended then.
const DEADLINE: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_millis(50);
/// Memory that one of them may cost, in MiB.
const MEMORY: u64 = 32;

#[derive(Deserialize)]
struct Case {
    rule: String,
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// The rules of the list, each behind a guard that only one end user passes and no trial finds; then again within what
/// may keep a limit from ending them.
fn traps() -> Vec<String> {
    let Cases { case } = toml::from_str(include_str!("../../cases/hostile_rules.toml")).expect("the list");
    let written: Vec<String> = case.into_iter().map(|case| case.rule).collect();
    // Functions may stand at the top alone.
    let inner: Vec<&String> = written.iter().filter(|rule| !rule.contains("fn ")).collect();
    let mut rules = written.clone();
    rules.extend(inner.iter().map(|rule| format!("try {{ {rule} }} catch {{ }} true")));
    rules.extend(inner.iter().map(|rule| format!("let hidden = || {{ {rule} }}; hidden.call(); true")));
    rules.extend(
        inner.iter().map(|rule| format!("for again in 0..3 {{ try {{ {rule} }} catch {{ continue; }} }} true")),
    );
    rules.into_iter().map(|rule| format!("if crm.Seats != 12300 + 45 {{ return false; }}\n{rule}")).collect()
}

/// How long it takes until a rule has run for the end user that it is a trap for: the first time that is within a bound,
/// or the best of ten. The machine may be busy with other things, a rule always does the same.
fn time_of_trap(system: &System<'_>, token: &str, bound: Duration) -> Duration {
    let attempt = |number: u32| {
        let begun = Instant::now();
        system
            .client
            .update(token, &json!([{ "Email": "trap", "Seats": 12_345, "Type": format!("{number}") }]))
            .counts();
        // Some come to an end, and to a yes.
        let segments = system.segments("trap");
        assert!(
            segments.iter().any(|segment| segment == "sound"),
            "the others are answered all the same: {segments:?}"
        );
        begun.elapsed()
    };
    let mut best = Duration::MAX;
    for number in 0..10 {
        best = best.min(attempt(number));
        if best < bound {
            break;
        }
    }
    best
}

#[test]
fn hostile_rules_end_in_time_with_little_memory_and_nobody_waits() {
    let files = [("s/integrations/crm.toml", crm()), ("s/segments/sound.rhai", segment("crm.Seats > 5"))];
    let server = Server::with(&files).config("[limits]\nscript_us = 10000\n").start();
    let system = server.system("s");
    let token = system.token("crm");
    system.client.update(&token, &json!([{ "Email": "good", "Seats": 60 }, { "Email": "trap", "Seats": 60 }])).counts();
    let put =
        |rule: &str| system.client.put(&system.admin("segments/hostile"), &json!({ "text": segment(rule) })).status;
    assert_eq!(put("crm.Customer_Type.split(\",\").len() > 1"), 201);
    let before = time_of_trap(&system, &token, Duration::from_millis(5));
    let traps = traps();
    let step = if nightly() { 1 } else { traps.len() / 40 };
    let (alone, resident) =
        (super::hostile::p99(&server, &system.public("end-users/good/segments")), server.peak_mib());

    let hostile = || {
        let (mut live, mut refused, mut slowest, mut largest) = (0, 0, Duration::ZERO, 0);
        for trap in traps.iter().step_by(step) {
            let peak = server.peak_mib();
            match put(trap) {
                200 | 201 => live += 1,
                422 => {
                    refused += 1;
                    continue;
                }
                other => panic!("{other} for {trap}"),
            }
            let bound = before + DEADLINE + GRACE;
            let time = time_of_trap(&system, &token, bound);
            assert!(time < bound, "{time:?}, and {before:?} without, for {trap}");
            slowest = slowest.max(time);
            largest = largest.max(server.peak_mib() - peak);
            assert!(largest <= MEMORY, "{largest} MiB more with {trap}");
            system.client.update(&token, &json!([{ "Email": "trap", "Seats": 60 }])).counts();
        }
        (live, refused, slowest, largest)
    };
    let ((live, refused, slowest, largest), beside) = std::thread::scope(|scope| {
        let hostile = scope.spawn(hostile);
        let mut times = Vec::new();
        while !hostile.is_finished() {
            let begun = Instant::now();
            assert_eq!(system.segments("good"), ["sound"]);
            times.push(begun.elapsed());
        }
        times.sort();
        (hostile.join().expect("the hostile rules"), times[times.len() * 99 / 100])
    });
    let more = server.peak_mib().saturating_sub(resident);
    eprintln!(
        "{live} hostile rules were live and {refused} refused; the slowest {slowest:?}, {before:?} without any; \
         a good caller's p99 {alone:?} alone, {beside:?} beside; one took {largest} MiB at most, all changes together {more}"
    );
    assert!(live + refused >= if nightly() { 200 } else { 40 } && live > refused / 4, "{live}, {refused}");
    assert!(more <= 4 * MEMORY, "{more} MiB more");
    let metrics = server.client().get("/metrics").body;
    let failures = metrics.lines().find_map(|line| line.strip_prefix("rollcall_rule_failures_total{system=\"s\"} "));
    let failures: u64 = failures.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(failures >= live / 2, "they ran, and were ended: {failures} of {live}");
}
