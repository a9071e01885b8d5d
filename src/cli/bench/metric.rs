//! What can be measured: the questions, the kinds of figure, their names and units.
//!
//! Owns the names that `--json`, the command line and a command beside share.

use serde::Serialize;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Question {
    /// The data set through the update API, before all else.
    Load,
    /// P1.
    Update,
    /// P1b.
    Caller,
    /// P2.
    PageLoad,
    /// P5.
    Start,
}

impl Question {
    /// The name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Update => "update",
            Self::Caller => "caller",
            Self::PageLoad => "page-load",
            Self::Start => "start",
        }
    }

    /// The question, for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Load => "load the data set",
            Self::Update => "P1 durable updates",
            Self::Caller => "P1b one caller alone",
            Self::PageLoad => "P2 page loads",
            Self::Start => "P5 start",
        }
    }
}

/// A kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// Records taken a second, in large calls.
    Records,
    /// Updates acknowledged a second.
    Updates,
    /// Page loads answered a second.
    Answers,
    /// Half of the answers took at most this.
    P50,
    /// 99 % of the answers took at most this.
    P99,
    /// The server's processor time for one answer.
    ServerCpu,
    /// The load generator's processor time for one answer.
    ClientCpu,
    /// From asking it to stop until the server has ended.
    Stop,
    /// From the start until ready, after a clean stop.
    ReadyAfterStop,
    /// From the start until ready, after kill -9.
    ReadyAfterKill,
    /// Resident memory when ready.
    MemoryReady,
    /// Resident memory after a burst of page loads.
    MemoryBusy,
}

impl Metric {
    /// All.
    pub(super) const ALL: [Self; 12] = [
        Self::Records,
        Self::Updates,
        Self::Answers,
        Self::P50,
        Self::P99,
        Self::ServerCpu,
        Self::ClientCpu,
        Self::Stop,
        Self::ReadyAfterStop,
        Self::ReadyAfterKill,
        Self::MemoryReady,
        Self::MemoryBusy,
    ];

    /// The name for machines, the words for people, the unit.
    pub(super) fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Records => ("records", "records", "/s"),
            Self::Updates => ("updates", "updates", "/s"),
            Self::Answers => ("answers", "answers", "/s"),
            Self::P50 => ("p50", "p50", "ms"),
            Self::P99 => ("p99", "p99", "ms"),
            Self::ServerCpu => ("server_cpu", "server's processor time an answer", "µs"),
            Self::ClientCpu => ("client_cpu", "generator's processor time an answer", "µs"),
            Self::Stop => ("stop", "clean stop", "s"),
            Self::ReadyAfterStop => ("ready_after_stop", "ready after a clean stop", "s"),
            Self::ReadyAfterKill => ("ready_after_kill", "ready after kill -9", "s"),
            Self::MemoryReady => ("memory_ready", "resident when ready", "MiB"),
            Self::MemoryBusy => ("memory_busy", "resident after page loads", "MiB"),
        }
    }

    /// The name in `--json` and in the lines of a command beside.
    pub(super) fn name(self) -> &'static str {
        self.words().0
    }

    /// The metric of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_found_by_the_name_that_json_gives_it() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
        assert_eq!(Metric::named("speed"), None);
    }
}
