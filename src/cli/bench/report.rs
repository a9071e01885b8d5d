//! The figures, what they are compared with, and how they are shown.
//!
//! Owns the ratios. Knows nothing of how the figures came to be. Machines are shared and noisy, so every figure has its
//! spread, and a ratio is taken within each round, never between medians of rounds that ran at different times.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::Settings;
use super::metric::{Metric, Question};
use super::targets::{TARGETS, Target, Verdict};

/// Whose figures these are.
pub const OURS: &str = "Rollcall";
/// The disk itself.
pub(super) const DISK: &str = "fdatasync";
/// The same server answering `/healthz`.
pub(super) const CONSTANT: &str = "constant answer";

/// The spread of some values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    min: f64,
    pub(super) median: f64,
    max: f64,
}

impl Spread {
    /// The spread; `None` of nothing.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
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

/// The figures as they come in.
#[derive(Debug, Default)]
pub struct Figures {
    rounds: Vec<(Question, String, Metric, Vec<f64>)>,
    /// What a reader must know.
    notes: Vec<String>,
}

impl Figures {
    /// Takes one round's figure.
    pub fn add(&mut self, question: Question, subject: &str, metric: Metric, value: f64) {
        let known = self.rounds.iter_mut().find(|(q, s, m, _)| (*q, s.as_str(), *m) == (question, subject, metric));
        match known {
            Some((.., rounds)) => rounds.push(value),
            None => self.rounds.push((question, subject.to_owned(), metric, vec![value])),
        }
    }

    /// Takes another's figures of one question.
    pub(super) fn take(&mut self, question: Question, other: Self) {
        for (of, subject, metric, values) in other.rounds {
            if of == question {
                values.into_iter().for_each(|value| self.add(question, &subject, metric, value));
            }
        }
    }

    /// Takes a remark.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A figure's values, round by round.
    pub(super) fn rounds(&self, question: Question, subject: &str, metric: Metric) -> Option<&[f64]> {
        let found = self.rounds.iter().find(|(q, s, m, _)| (*q, s.as_str(), *m) == (question, subject, metric));
        found.map(|(.., rounds)| rounds.as_slice())
    }

    /// Ours as a multiple of theirs, round by round.
    pub(super) fn ratio(&self, question: Question, subject: &str, metric: Metric) -> Option<Spread> {
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
        TARGETS.iter().filter_map(|target: &Target| target.verdict(self)).collect()
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
        format!(
            "Machine: {machine}  \nCommand: `{command}`  \n{end_users} end users × 20 attributes, {segments} segments, \
             {connections} connections, {runs} rounds of {seconds} s.\n\n{}",
            self.tables()
        )
    }

    /// The figures and what of the targets was reached, as Markdown, with the remarks below.
    #[must_use]
    pub fn tables(&self) -> String {
        let mut text = format!("{}\n", self.figure_table());
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
        let bound = |bound: Option<f64>| right(bound.map_or_else(|| "–".into(), |bound| bound_text(bound, unit)));
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

/// A bound without needless digits.
fn bound_text(bound: f64, unit: &str) -> String {
    format!("{} {unit}", (bound * 1000.0).round() / 1000.0)
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
