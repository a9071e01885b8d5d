//! What can be measured: the questions, the kinds of figure, their names and units.
//!
//! Owns the names that `--json`, the command line and a command beside share.

use clap::ValueEnum;
use serde::Serialize;

/// What is measured. Its descriptions are those of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// The data set through the update API, before all else.
    #[value(skip)]
    Load,
    /// P3, in one process.
    #[value(skip)]
    Count,
    /// P1: durable single-record updates a second.
    Update,
    /// P1b: the latency of a durable update for a caller alone, beside the disk's own.
    Caller,
    /// P2: page loads a second, beside the same server answering a constant.
    PageLoad,
    /// P3b: the first page of 50 of who fulfils a filter, and how many they are.
    FirstPage,
    /// P3c: the counts of all segments.
    SegmentCounts,
    /// P4: a CSV file, from its first byte until it is durable and live.
    Import,
    /// P5: from start to ready, after a clean stop and after kill -9; memory.
    Start,
    /// P6: from a rule's file saved until it is live, of 200 rules.
    Rule,
    /// P7: page loads, counts and memory with ten times as many end users.
    Large,
    /// P8: updates with 10, 50 and 500 segments.
    Segments,
    /// P9: access tokens a second.
    Tokens,
    /// Page loads beside a rule that runs as a slow script.
    Script,
    /// P9: page loads while operators log in on 8 connections.
    LogIns,
    /// S5: whether the time of a log-in, a forgotten password, an access request or an activation tells that there is an
    /// account.
    Doors,
    /// The HTML of every page of the console, for an Admin alone.
    Pages,
    /// A backup of the running server, restored onto an empty folder, with the same counts before and after.
    Restore,
    /// R9: updates and page loads by turns for a long while (`--seconds 20 --runs 90`: half an hour).
    Soak,
}

impl Question {
    /// Those that a server is asked when none is named, in this order: those that fill or empty it come last.
    pub(super) const ALL: [Self; 15] = [
        Self::Update,
        Self::Caller,
        Self::PageLoad,
        Self::FirstPage,
        Self::SegmentCounts,
        Self::Start,
        Self::Rule,
        Self::Segments,
        Self::Script,
        Self::Tokens,
        Self::LogIns,
        Self::Doors,
        Self::Pages,
        Self::Large,
        Self::Import,
    ];

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
            Self::Pages => ("pages", "console pages"),
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
                | Self::Pages
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
