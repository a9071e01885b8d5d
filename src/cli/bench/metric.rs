//! What can be measured: the questions, the kinds of figure, their names and units.
//!
//! Owns the names that `--json`, the command line and a command beside share.

use serde::Serialize;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// The data set through the update API, before all else.
    Load,
    /// P1.
    Update,
    /// P1b.
    Caller,
    /// P2.
    PageLoad,
    /// P3, in one process.
    Count,
    /// P3b.
    FirstPage,
    /// P3c.
    SegmentCounts,
    /// P4.
    Import,
    /// P5.
    Start,
    /// P6.
    Rule,
    /// P7.
    Large,
    /// P8.
    Segments,
    /// P9, of machines.
    Tokens,
    /// P2 beside a rule that runs as a script.
    Script,
    /// P9, of people: P2 beside log-ins.
    LogIns,
    /// S5: whether a door's time tells that there is an account.
    Doors,
    /// A backup, and what becomes of it on an empty machine.
    Restore,
    /// R9.
    Soak,
}

impl Question {
    /// The name on the command line, and the title for people.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Load => ("load", "load the data set"),
            Self::Update => ("update", "P1 durable updates"),
            Self::Caller => ("caller", "P1b one caller alone"),
            Self::PageLoad => ("page-load", "P2 page loads"),
            Self::Count => ("count", "P3 counts in-process"),
            Self::FirstPage => ("first-page", "P3b first page of 50"),
            Self::SegmentCounts => ("segment-counts", "P3c all segments' counts"),
            Self::Import => ("import", "P4 CSV import"),
            Self::Start => ("start", "P5 start"),
            Self::Rule => ("rule", "P6 rules saved"),
            Self::Large => ("large", "P7 ten times as many"),
            Self::Segments => ("segments", "P8 updates, 500 segments"),
            Self::Tokens => ("tokens", "P9 tokens"),
            Self::Script => ("script", "page loads, a slow script"),
            Self::LogIns => ("log-ins", "P9 page loads, 8 log-ins"),
            Self::Doors => ("doors", "S5 is there an account"),
            Self::Restore => ("restore", "back up and restore"),
            Self::Soak => ("soak", "R9 a long while"),
        }
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// Whether it starts and stops servers, or writes the files of rules.
    pub(super) fn needs_own_server(self) -> bool {
        matches!(
            self,
            Self::Import
                | Self::Start
                | Self::Rule
                | Self::Large
                | Self::Segments
                | Self::Script
                | Self::LogIns
                | Self::Doors
                | Self::Restore
                | Self::Soak
        )
    }

    /// The question, for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.words().1
    }
}

/// A kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Records taken a second, in large calls.
    Records,
    /// Updates acknowledged a second.
    Updates,
    /// Answers a second.
    Answers,
    /// The latency that half of the answers did not exceed.
    P50,
    /// The latency that 99 of 100 answers did not exceed.
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
    /// Median latency of the filter `a`; and so on.
    A,
    /// Of `b`.
    B,
    /// Of `c`.
    C,
    /// Of `d`.
    D,
    /// Of `e`.
    E,
    /// Rows of a file taken into an empty system, a second.
    Fresh,
    /// Rows of a file taken over values that are there, a second.
    Again,
    /// The most memory resident at any time.
    MemoryPeak,
    /// From the last write until live, of one rule.
    OneRule,
    /// From the last write until live, of every rule.
    AllRules,
    /// From the last write until live, of a rule that runs as a script.
    ScriptRule,
    /// What that rule takes for one end user.
    ScriptTime,
    /// Log-ins a second.
    LogIns,
    /// Median latency of a log-in with a wrong password.
    LogIn,
    /// Of asking for a mail to reset the password.
    Forgot,
    /// Of asking for access.
    AccessRequest,
    /// Of an activation link that does not work.
    Activation,
    /// The store's file.
    StoreSize,
    /// From asking a running server for a backup until it is written and proven whole.
    Backup,
    /// The backup's file.
    BackupSize,
    /// From the backup to a store that is proven and in its place.
    Restore,
    /// From the start on that store until ready.
    ReadyRestored,
}

impl Metric {
    /// All.
    pub const ALL: [Self; 34] = [
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
        Self::A,
        Self::B,
        Self::C,
        Self::D,
        Self::E,
        Self::Fresh,
        Self::Again,
        Self::MemoryPeak,
        Self::OneRule,
        Self::AllRules,
        Self::ScriptRule,
        Self::ScriptTime,
        Self::LogIns,
        Self::LogIn,
        Self::Forgot,
        Self::AccessRequest,
        Self::Activation,
        Self::StoreSize,
        Self::Backup,
        Self::BackupSize,
        Self::Restore,
        Self::ReadyRestored,
    ];
    /// The median latencies of the filters `a` to `e`.
    pub const FILTERS: [Self; 5] = [Self::A, Self::B, Self::C, Self::D, Self::E];

    /// The name for machines, the words for people, the unit.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
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
            Self::A => ("a", "a: a text", "ms"),
            Self::B => ("b", "b: a range of numbers", "ms"),
            Self::C => ("c", "c: a date", "ms"),
            Self::D => ("d", "d: text, number and date", "ms"),
            Self::E => ("e", "e: a tree", "ms"),
            Self::Fresh => ("fresh", "rows into an empty system", "/s"),
            Self::Again => ("again", "rows over others", "/s"),
            Self::MemoryPeak => ("memory_peak", "most resident", "MiB"),
            Self::OneRule => ("one_rule", "one rule live", "ms"),
            Self::AllRules => ("all_rules", "all rules live", "ms"),
            Self::ScriptRule => ("script_rule", "the script live", "s"),
            Self::ScriptTime => ("script_time", "the script, an end user", "µs"),
            Self::LogIns => ("log_ins", "log-ins", "/s"),
            Self::LogIn => ("log_in", "log-in", "ms"),
            Self::Forgot => ("forgot", "forgotten password", "ms"),
            Self::AccessRequest => ("access_request", "access request", "ms"),
            Self::Activation => ("activation", "activation", "ms"),
            Self::StoreSize => ("store_size", "the store on disk", "MiB"),
            Self::Backup => ("backup", "back up a running server", "s"),
            Self::BackupSize => ("backup_size", "the backup", "MiB"),
            Self::Restore => ("restore", "restore onto an empty folder", "s"),
            Self::ReadyRestored => ("ready_restored", "ready after that", "s"),
        }
    }

    /// The name in `--json` and in the lines of a command beside.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// The metric of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
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

    #[test]
    fn json_names_a_question_as_the_command_line_does() {
        for question in [Question::PageLoad, Question::SegmentCounts, Question::Tokens, Question::Restore] {
            assert_eq!(serde_json::to_value(question).unwrap(), question.name());
        }
    }
}
