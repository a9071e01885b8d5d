//! The real binary over HTTP: the counts of filters and segments, and page loads whose checksum other programs agree on.
//! 20,000 end users by day; by night a million.

use std::io::Write as _;
use std::process::{Command, Stdio};

use rollcall::cli::bench::dataset::{EndUser, SEED};
use rollcall::cli::bench::filters::filters;
use rollcall::cli::bench::segments::{INTEGRATION, PUBLISHED, SYSTEM, Source, rule_files, segments};
use serde_json::{Value, json};

use super::nightly;
use crate::support::Server;

/// Of `{"segments":["seg-00",…]}` of 200 end users, every hundredth from the first on: so answer `PostgreSQL`, two rule
/// engines and a plain evaluation.
const PAGE_LOADS: &str = "287e094b8779";
/// End users in one call.
const CALL: u64 = 10_000;

fn md5(text: &str) -> String {
    let mut sum = Command::new("md5sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    String::from_utf8(sum.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn filters_segments_and_page_loads_answer_as_other_programs_do() {
    let rows = if nightly() { 1_000_000 } else { 20_000 };
    let segments = segments(PUBLISHED);
    let files: Vec<(String, String)> = rule_files(Source::Updates, &segments)
        .into_iter()
        .map(|(path, text)| (format!("{SYSTEM}/{path}"), text))
        .collect();
    let server = Server::with(&files).start();
    let system = server.system(SYSTEM);
    let token = system.token(INTEGRATION);
    for first in (0..rows).step_by(CALL as usize) {
        let mut call = format!("{{\"token\":\"{token}\",\"data\":[").into_bytes();
        for row in first..first + CALL {
            if row > first {
                call.push(b',');
            }
            EndUser::new(SEED, row).write_json(&mut call).unwrap();
        }
        call.extend_from_slice(b"]}");
        let counts = system.client.update_body(call).counts();
        assert_eq!(counts.created, CALL);
    }

    let mut answers = String::new();
    for row in (0..20_000).step_by(100) {
        let members = system.segments(&EndUser::new(SEED, row).id());
        let names: Vec<String> = members.iter().map(|id| id.replace('_', "-")).collect();
        answers.push_str(&json!({ "segments": names }).to_string());
    }
    assert!(md5(&answers).starts_with(PAGE_LOADS), "{}", &answers[..500]);

    let plain = |holds: &dyn Fn(&EndUser) -> bool| (0..rows).filter(|row| holds(&EndUser::new(SEED, *row))).count();
    for filter in filters() {
        let question = json!({ "rule": filter.condition.rhai(), "count_only": true });
        let answer = system.client.post(&system.public("end-users/query"), &question).is(200);
        let right = plain(&|end_user| filter.condition.holds(end_user)) as u64;
        assert_eq!(answer["total"], right, "filter {}", filter.letter);
        assert!(rows != 1_000_000 || right == filter.of_a_million);
    }
    let listed = system.client.get(&system.public("segments?limit=1000")).is(200);
    let counts: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|item| &item["count"]).collect();
    let right: Vec<usize> = segments.iter().map(|s| plain(&|end_user| s.condition.holds(end_user))).collect();
    assert_eq!(json!(counts), json!(right));
}
