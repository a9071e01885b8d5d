//! The figures, what they are compared with, and how they are shown.
//!
//! Owns the ratios and the targets. Knows nothing of how they came to be. Machines are
//! shared and noisy, so every figure has its spread, and a ratio is taken within each round, never between medians of
//! rounds that ran at different times.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::Settings;
use super::metric::{Metric, Question};

/// Whose figures these are.
pub(super) const OURS: &str = "Rollcall";
/// The disk itself.
pub(super) const DISK: &str = "fdatasync";
/// The same server answering `/healthz`.
pub(super) const CONSTANT: &str = "constant answer";

/// The spread of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    /// The spread; `None` of nothing.
    fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle.checked_sub(1)?)? } else { upper };
        Some(Self { min, median: f64::midpoint(lower, upper), max })
    }
}

/// One figure of one subject over the runs.
#[derive(Debug, Serialize)]
struct Figure {
    question: Question,
    subject: String,
    metric: Metric,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    /// What Rollcall's figure is, as a multiple of this one: of each round.
    ours_to_this: Option<Spread>,
    rounds: Vec<f64>,
}

/// What a figure has to reach.
#[derive(Debug, Clone, Copy)]
struct Target {
    question: Question,
    metric: Metric,
    /// Compared with this subject's figure; `None`: the figure itself.
    against: Option<&'static str>,
    must: Option<f64>,
    aim: Option<f64>,
    /// Whether less is better.
    low: bool,
}

/// The targets, for a million end users with 50 segments and 64 connections.
const TARGETS: [Target; 8] = {
    use Metric as M;
    use Question as Q;
    const fn ratio(question: Question, metric: Metric, against: &'static str, low: bool) -> Target {
        Target { question, metric, against: Some(against), must: None, aim: None, low }
    }
    const fn plain(metric: Metric, must: f64, aim: f64) -> Target {
        Target { question: Q::Start, metric, against: None, must: Some(must), aim: Some(aim), low: true }
    }
    [
        Target { must: Some(5.0), ..ratio(Q::Update, M::Updates, "PostgreSQL", false) },
        Target { aim: Some(1.0), ..ratio(Q::Update, M::Updates, "Redis", false) },
        Target { must: Some(3.0), aim: Some(1.8), ..ratio(Q::Caller, M::P50, DISK, true) },
        Target { must: Some(0.8), aim: Some(0.95), ..ratio(Q::PageLoad, M::Answers, CONSTANT, false) },
        plain(M::ReadyAfterStop, 1.0, 0.3),
        plain(M::ReadyAfterKill, 1.0, 0.3),
        plain(M::MemoryReady, 300.0, 200.0),
        plain(M::MemoryBusy, 300.0, 200.0),
    ]
};

/// A target and what was reached.
#[derive(Debug, Serialize)]
struct Verdict {
    question: Question,
    metric: Metric,
    against: Option<&'static str>,
    must: Option<f64>,
    aim: Option<f64>,
    reached: Spread,
    /// `aim`, `must` or `short`.
    verdict: &'static str,
}

/// The figures as they come in.
#[derive(Debug, Default)]
pub(super) struct Figures {
    rounds: Vec<(Question, String, Metric, Vec<f64>)>,
    /// What a reader must know.
    notes: Vec<String>,
}

impl Figures {
    /// Takes one round's figure.
    pub(super) fn add(&mut self, question: Question, subject: &str, metric: Metric, value: f64) {
        let known = self.rounds.iter_mut().find(|(q, s, m, _)| (*q, s.as_str(), *m) == (question, subject, metric));
        match known {
            Some((.., rounds)) => rounds.push(value),
            None => self.rounds.push((question, subject.to_owned(), metric, vec![value])),
        }
    }

    /// Takes a remark.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn rounds(&self, question: Question, subject: &str, metric: Metric) -> Option<&[f64]> {
        let found = self.rounds.iter().find(|(q, s, m, _)| (*q, s.as_str(), *m) == (question, subject, metric));
        found.map(|(.., rounds)| rounds.as_slice())
    }

    /// Ours as a multiple of theirs, round by round.
    fn ratio(&self, question: Question, subject: &str, metric: Metric) -> Option<Spread> {
        let ours = self.rounds(question, OURS, metric)?;
        let theirs = self.rounds(question, subject, metric)?;
        let ratios: Vec<f64> = ours.iter().zip(theirs).filter(|(_, t)| **t > 0.0).map(|(o, t)| o / t).collect();
        Spread::of(&ratios)
    }

    fn figures(&self) -> Vec<Figure> {
        let figure = |(question, subject, metric, rounds): &(Question, String, Metric, Vec<f64>)| {
            Some(Figure {
                question: *question,
                subject: subject.clone(),
                metric: *metric,
                unit: metric.words().2,
                spread: Spread::of(rounds)?,
                ours_to_this: if subject == OURS { None } else { self.ratio(*question, subject, *metric) },
                rounds: rounds.clone(),
            })
        };
        self.rounds.iter().filter_map(figure).collect()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |target: &Target| {
            let reached = match target.against {
                Some(subject) => self.ratio(target.question, subject, target.metric)?,
                None => Spread::of(self.rounds(target.question, OURS, target.metric)?)?,
            };
            let meets = |bound: f64| if target.low { reached.median <= bound } else { reached.median >= bound };
            Some(Verdict {
                question: target.question,
                metric: target.metric,
                against: target.against,
                must: target.must,
                aim: target.aim,
                reached,
                verdict: match (target.must, target.aim) {
                    (_, Some(aim)) if meets(aim) => "aim",
                    (Some(must), _) if meets(must) => "must",
                    // A target that is an aim alone can't be missed, only not yet reached.
                    (None, _) => "below the aim",
                    _ => "short",
                },
            })
        };
        TARGETS.iter().filter_map(verdict).collect()
    }

    /// The report for machines.
    pub(super) fn json(&self, settings: &Settings, machine: &str, command: &str) -> serde_json::Value {
        serde_json::json!({
            "rollcall": env!("CARGO_PKG_VERSION"),
            "machine": machine,
            "command": command,
            "settings": settings,
            "figures": self.figures(),
            "targets": self.verdicts(),
            "notes": self.notes,
        })
    }

    /// The report for people: Markdown, so that it can be kept as it is.
    pub(super) fn markdown(&self, settings: &Settings, machine: &str, command: &str) -> String {
        let Settings { end_users, segments, connections, seconds, runs } = settings;
        let mut text = format!(
            "Machine: {machine}  \nCommand: `{command}`  \n{end_users} end users × 20 attributes, {segments} segments, \
             {connections} connections, {runs} rounds of {seconds} s.\n\n{}\n",
            self.figure_table()
        );
        let verdicts = self.verdicts();
        if !verdicts.is_empty() {
            text.push_str(&format!("\n{}\n", verdict_table(&verdicts)));
        }
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }

    fn figure_table(&self) -> Table {
        let mut table = markdown_table(&["question", "who", "figure", "", "min", "median", "max", "Rollcall ÷ this"]);
        for figure in self.figures() {
            let (_, words, unit) = figure.metric.words();
            let numbers = [figure.spread.min, figure.spread.median, figure.spread.max].map(short);
            let ratio = figure.ours_to_this.map_or_else(String::new, spread_text);
            let mut row = vec![Cell::new(figure.question.title()), Cell::new(figure.subject), Cell::new(words)];
            row.push(Cell::new(unit));
            row.extend(numbers.map(right));
            row.push(right(ratio));
            table.add_row(row);
        }
        table
    }
}

fn verdict_table(verdicts: &[Verdict]) -> Table {
    let mut table = markdown_table(&["target", "must reach", "aim", "reached", ""]);
    for verdict in verdicts {
        let (_, words, unit) = verdict.metric.words();
        let unit = if verdict.against.is_some() { "×" } else { unit };
        let against = verdict.against.map(|subject| format!(", against {subject}")).unwrap_or_default();
        let bound = |bound: Option<f64>| right(bound.map_or_else(|| "–".into(), |bound| format!("{bound} {unit}")));
        table.add_row(vec![
            Cell::new(format!("{}: {words}{against}", verdict.question.title())),
            bound(verdict.must),
            bound(verdict.aim),
            right(spread_text(verdict.reached)),
            Cell::new(verdict.verdict),
        ]);
    }
    table
}

fn markdown_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Median, and from where to where.
fn spread_text(spread: Spread) -> String {
    format!("{} ({}–{})", short(spread.median), short(spread.min), short(spread.max))
}

/// Three digits that mean something; thousands apart.
fn short(value: f64) -> String {
    match value.abs() {
        1000.0.. => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && digit.is_ascii_digit() && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { end_users: 10, segments: 5, connections: 2, seconds: 1, runs: 3 };

    fn sample() -> Figures {
        let mut figures = Figures::default();
        for (ours, theirs) in [(100.0, 10.0), (300.0, 100.0), (200.0, 40.0)] {
            figures.add(Question::Update, OURS, Metric::Updates, ours);
            figures.add(Question::Update, "PostgreSQL", Metric::Updates, theirs);
        }
        figures.add(Question::Start, OURS, Metric::ReadyAfterStop, 0.2);
        figures.add(Question::Start, OURS, Metric::ReadyAfterKill, 0.9);
        figures.add(Question::Start, OURS, Metric::MemoryReady, 301.0);
        figures
    }

    #[test]
    fn a_spread_is_least_middle_and_most() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // 10, 3 and 5: not 200 ÷ 40 of the medians' rounds by chance, nor 300 ÷ 10.
        let ratio = sample().ratio(Question::Update, "PostgreSQL", Metric::Updates);
        assert_eq!(ratio, Some(Spread { min: 3.0, median: 5.0, max: 10.0 }));
        assert_eq!(sample().ratio(Question::Update, "Redis", Metric::Updates), None);
    }

    #[test]
    fn verdicts_follow_the_targets() {
        let verdicts: Vec<_> = sample().verdicts().iter().map(|v| (v.metric.name(), v.verdict)).collect();
        assert_eq!(
            verdicts,
            [("updates", "must"), ("ready_after_stop", "aim"), ("ready_after_kill", "must"), ("memory_ready", "short")]
        );
    }

    #[test]
    fn people_and_machines_get_the_same_figures() {
        let text = sample().markdown(&SETTINGS, "a machine", "rollcall bench");
        for part in ["| P1 durable updates |", "PostgreSQL", "5.00 (3.00–10.0)", "10 end users", "a machine"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json = sample().json(&SETTINGS, "a machine", "rollcall bench");
        assert_eq!(json["figures"][1]["ours_to_this"]["median"], 5.0);
        assert_eq!(json["figures"][0]["rounds"], serde_json::json!([100.0, 300.0, 200.0]));
        assert_eq!(json["targets"][3]["verdict"], "short");
        assert_eq!(json["settings"]["end_users"], 10);
    }

    #[test]
    fn numbers_are_short() {
        let cases = [(1_234_567.8, "1,234,568"), (1000.0, "1,000"), (999.4, "999"), (46.26, "46.3"), (3.046, "3.05")];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(0.3712), "0.371");
    }
}
