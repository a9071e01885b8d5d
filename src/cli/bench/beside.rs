//! What else is measured in the same run: a command of the user's own (`--beside`), such as a database on the same data.
//!
//! Owns how the command is told what to measure, and the form of what it prints: lines `<who> TAB <figure> TAB <value>`,
//! the figure by the name that `--json` gives it, in its unit. Knows nothing of what the command does.

use std::process::{Command, Stdio};

use super::Settings;
use super::error::BenchError;
use super::metric::{Metric, Question};

/// A figure that the command printed.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// Whose it is.
    pub(super) subject: String,
    /// Which.
    pub(super) metric: Metric,
    /// In the unit of the metric.
    pub(super) value: f64,
}

/// Runs the command through the shell for one round of a question.
pub(super) fn run(command: &str, question: Question, settings: &Settings) -> Result<Vec<Line>, BenchError> {
    let output = Command::new("sh")
        .args(["-c", command])
        .env("BENCH_QUESTION", question.name())
        .env("BENCH_END_USERS", settings.end_users.to_string())
        .env("BENCH_SEGMENTS", settings.segments.to_string())
        .env("BENCH_CONNECTIONS", settings.connections.to_string())
        .env("BENCH_SECONDS", settings.seconds.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| BenchError::Beside(format!("`{command}` could not be run: {error}")))?;
    if !output.status.success() {
        return Err(BenchError::Beside(format!("`{command}` ended with {}", output.status)));
    }
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

/// Reads one line.
fn parse(line: &str) -> Result<Line, BenchError> {
    let mut fields = line.split('\t');
    let parsed = match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(subject), Some(metric), Some(value), None) => Metric::named(metric)
            .zip(value.trim().parse().ok())
            .map(|(metric, value)| Line { subject: subject.to_owned(), metric, value }),
        _ => None,
    };
    parsed.filter(|line| line.value.is_finite() && !line.subject.is_empty()).ok_or_else(|| {
        let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        let names = names.join(", ");
        BenchError::Beside(format!(
            "`{line}` is no figure: print `<who> TAB <figure> TAB <number>`, a figure of {names}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { end_users: 10, segments: 5, connections: 2, seconds: 1, runs: 1 };

    #[test]
    fn the_command_is_told_the_question_and_its_figures_are_read() {
        let command =
            r#"printf 'SQL\tupdates\t%s\n\nSQL\tp50\t1.5\n' $BENCH_CONNECTIONS; [ "$BENCH_QUESTION" = page-load ]"#;
        let lines = run(command, Question::PageLoad, &SETTINGS).unwrap();
        let line = |metric, value| Line { subject: "SQL".into(), metric, value };
        assert_eq!(lines, [line(Metric::Updates, 2.0), line(Metric::P50, 1.5)]);
        let error = run(command, Question::Update, &SETTINGS).unwrap_err();
        assert!(error.to_string().contains("ended with"), "{error}");
    }

    #[test]
    fn what_is_no_figure_is_an_error_that_says_how() {
        for bad in ["SQL updates 5", "SQL\tupdates", "SQL\tspeed\t5", "SQL\tupdates\tfast", "SQL\tp50\tinf", "\tp50\t1"]
        {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains("<who> TAB <figure> TAB <number>"), "{error}");
        }
    }
}
