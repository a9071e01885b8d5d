//! What must be reached, and what is aimed at, for the published size.
//!
//! Owns the targets and the verdict on each. Knows nothing of how figures are measured or shown.

use serde::Serialize;

use super::metric::{Metric, Question};
use super::report::{CONSTANT, DISK, Figures, OURS, Spread};

/// What a figure has to reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    question: Question,
    metric: Metric,
    /// Compared with this subject's figure; `None`: the figure itself.
    against: Option<&'static str>,
    must: Option<f64>,
    aim: Option<f64>,
    /// Whether less is better.
    low: bool,
}

/// The least that a figure has to be.
const fn least(question: Question, metric: Metric, against: &'static str) -> Target {
    Target { question, metric, against: Some(against), must: None, aim: None, low: false }
}

/// The most that a figure may be.
const fn most(question: Question, metric: Metric, must: f64, aim: f64) -> Target {
    Target { question, metric, against: None, must: Some(must), aim: Some(aim), low: true }
}

/// A time of which `DuckDB` takes three times as much, or better twenty times.
const fn faster(metric: Metric) -> Target {
    Target { against: Some("DuckDB"), ..most(Question::Count, metric, 1.0 / 3.0, 1.0 / 20.0) }
}

/// The targets, for a million end users with 50 segments and 64 connections.
pub(super) const TARGETS: [Target; 40] = {
    use Metric as M;
    use Question as Q;
    [
        Target { must: Some(5.0), ..least(Q::Update, M::Updates, "PostgreSQL") },
        Target { aim: Some(1.0), ..least(Q::Update, M::Updates, "Redis") },
        Target { against: Some(DISK), ..most(Q::Caller, M::P50, 3.0, 1.8) },
        Target { must: Some(0.8), aim: Some(0.95), ..least(Q::PageLoad, M::Answers, CONSTANT) },
        faster(M::A),
        faster(M::B),
        faster(M::C),
        faster(M::D),
        faster(M::E),
        most(Q::FirstPage, M::A, 2.0, 0.5),
        most(Q::FirstPage, M::B, 2.0, 0.5),
        most(Q::FirstPage, M::C, 2.0, 0.5),
        most(Q::FirstPage, M::D, 2.0, 0.5),
        most(Q::FirstPage, M::E, 2.0, 0.5),
        most(Q::SegmentCounts, M::P50, 5.0, 1.0),
        Target { must: Some(6.0), ..least(Q::Import, M::Fresh, "PostgreSQL") },
        Target { aim: Some(1.0), ..least(Q::Import, M::Fresh, "DuckDB") },
        Target { must: Some(6.0), ..least(Q::Import, M::Again, "PostgreSQL") },
        Target { aim: Some(1.0), ..least(Q::Import, M::Again, "DuckDB") },
        most(Q::Start, M::ReadyAfterStop, 1.0, 0.3),
        most(Q::Start, M::ReadyAfterKill, 1.0, 0.3),
        most(Q::Start, M::MemoryReady, 300.0, 200.0),
        most(Q::Start, M::MemoryBusy, 300.0, 200.0),
        most(Q::Rule, M::OneRule, 300.0, 100.0),
        most(Q::Rule, M::AllRules, 300.0, 100.0),
        // As at a million end users: within the noise of either.
        Target { must: Some(0.9), aim: Some(1.0), ..least(Q::Large, M::Answers, SMALL) },
        most(Q::Large, M::A, 30.0, 15.0),
        most(Q::Large, M::B, 30.0, 15.0),
        most(Q::Large, M::C, 30.0, 15.0),
        most(Q::Large, M::D, 30.0, 15.0),
        most(Q::Large, M::E, 30.0, 15.0),
        most(Q::Large, M::MemoryBusy, 2560.0, 1638.0),
        Target { must: Some(0.7), aim: Some(0.9), ..least(Q::Segments, M::Updates, FEW) },
        // Page loads with a slow rule among the segments: as without it.
        Target { must: Some(0.9), aim: Some(1.0), ..least(Q::Script, M::Answers, WITHOUT) },
        Target { against: Some(ALONE), ..most(Q::LogIns, M::P99, 3.0, 1.5) },
        // The difference that an account makes.
        most(Q::Doors, M::LogIn, 5.0, 1.0),
        most(Q::Doors, M::Forgot, 5.0, 1.0),
        most(Q::Doors, M::AccessRequest, 5.0, 1.0),
        most(Q::Doors, M::Activation, 5.0, 1.0),
        // The slowest of the console's pages.
        most(Q::Pages, M::P50, 50.0, 20.0),
    ]
};

/// A server with a tenth of the end users.
pub(super) const SMALL: &str = "a tenth of them";
/// The same server with ten segments.
pub(super) const FEW: &str = "10 segments";
/// The same server while nobody logs in.
pub(super) const ALONE: &str = "while nobody logs in";
/// The same server without the slow rule.
pub(super) const WITHOUT: &str = "without the script";

/// A target and what was reached.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) question: Question,
    pub(super) metric: Metric,
    pub(super) against: Option<&'static str>,
    pub(super) must: Option<f64>,
    pub(super) aim: Option<f64>,
    pub(super) reached: Spread,
    /// `aim`, `must` or `short`.
    pub(super) verdict: &'static str,
}

impl Target {
    /// What these figures reach of it; `None` where it was not measured.
    pub(super) fn verdict(&self, figures: &Figures) -> Option<Verdict> {
        let reached = match self.against {
            Some(subject) => figures.ratio(self.question, subject, self.metric)?,
            None => Spread::of(figures.rounds(self.question, OURS, self.metric)?)?,
        };
        let meets = |bound: f64| if self.low { reached.median <= bound } else { reached.median >= bound };
        Some(Verdict {
            question: self.question,
            metric: self.metric,
            against: self.against,
            must: self.must,
            aim: self.aim,
            reached,
            verdict: match (self.must, self.aim) {
                (_, Some(aim)) if meets(aim) => "aim",
                (Some(must), _) if meets(must) => "must",
                // A target that is an aim alone can't be missed, only not yet reached.
                (None, _) => "below the aim",
                _ => "short",
            },
        })
    }
}
