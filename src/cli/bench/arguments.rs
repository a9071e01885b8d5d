//! What the command line asks for.
//!
//! Owns the arguments' names, ranges and defaults, and what follows from them alone. Measures nothing.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Serialize;

use super::api::Credentials;
use super::error::BenchError;
use super::metric::Question;
use super::{dataset, segments};

/// Measures this program on this machine: the whole server over HTTP, its answers checked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to measure, or to print.
    #[arg(value_enum, default_value_t = What::All)]
    pub(super) what: What,
    /// How many end users, with 20 attributes each.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=dataset::MAX_ROWS))]
    pub(super) end_users: u64,
    /// How many segments.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=segments::MAX_SEGMENTS as u64))]
    pub(super) segments: u64,
    /// How many connections ask at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) connections: u64,
    /// How long a round of a question lasts.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(super) seconds: u64,
    /// How many rounds.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) runs: u64,
    /// With `data`: the seed of its values.
    #[arg(long, value_name = "N", default_value_t = dataset::SEED)]
    pub(super) seed: u64,
    /// Where to make the folder to work in: on the disk to be measured. Default: the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// Keep the folder: configuration, rules, data, the server's log.
    #[arg(long)]
    pub(super) keep: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Measure the server at this address. It must have the system `bench` (see `rules`), whose data is overwritten.
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// With --url: an access token.
    #[arg(long, env = "ROLLCALL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// With --url: a client's id, with --client-secret.
    #[arg(long, env = "ROLLCALL_CLIENT_ID")]
    client_id: Option<String>,
    /// With --url: the client's secret.
    #[arg(long, env = "ROLLCALL_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// After each round run this command through the shell, and show the figures that it prints beside ours: lines of
    /// who, figure (its name in --json) and number, tabs between. It finds BENCH_QUESTION, BENCH_END_USERS,
    /// BENCH_SEGMENTS, BENCH_CONNECTIONS and BENCH_SECONDS in its environment.
    #[arg(long, value_name = "COMMAND")]
    pub(super) beside: Option<String>,
}

/// What to measure, or to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    All,
    Ask(Question),
    Print(Print),
}

/// What is printed, and measures nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Print {
    /// Print the data set as CSV.
    Data,
    /// Write the rules of the system `bench` into the folder DIR.
    Rules,
    /// Print the segments as one SQL expression.
    Sql,
    /// Print the five filters: a letter and an SQL condition a line.
    Filters,
    /// Print which segments some 200 of the end users are in.
    Members,
}

impl ValueEnum for What {
    fn value_variants<'a>() -> &'a [Self] {
        static EVERY: LazyLock<Vec<What>> = LazyLock::new(|| {
            let questions = Question::value_variants().iter().copied().map(What::Ask);
            let prints = Print::value_variants().iter().copied().map(What::Print);
            std::iter::once(What::All).chain(questions).chain(prints).collect()
        });
        &EVERY
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::All => Some(PossibleValue::new("all").help("All questions")),
            Self::Ask(question) => question.to_possible_value(),
            Self::Print(print) => print.to_possible_value(),
        }
    }
}

impl What {
    /// The questions that are meant, in the order in which they are asked.
    pub(super) fn questions(self) -> Vec<Question> {
        match self {
            Self::All => Question::ALL.to_vec(),
            Self::Ask(question) => vec![question],
            Self::Print(_) => Vec::new(),
        }
    }
}

/// How much of everything.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Settings {
    pub(super) end_users: u64,
    pub(super) segments: u64,
    pub(super) connections: u64,
    pub(super) seconds: u64,
    pub(super) runs: u64,
}

impl Args {
    /// How much of everything.
    pub(super) fn settings(&self) -> Settings {
        let Self { end_users, segments, connections, seconds, runs, .. } = *self;
        Settings { end_users, segments, connections, seconds, runs }
    }

    /// The command as it can be run again; without secrets.
    pub(super) fn command(&self) -> String {
        let Settings { end_users, segments, connections, seconds, runs } = self.settings();
        let what = self.what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let mut command = format!(
            "rollcall bench {what} --end-users {end_users} --segments {segments} --connections {connections} \
             --seconds {seconds} --runs {runs}"
        );
        for (flag, value) in [("--url", &self.url), ("--beside", &self.beside)] {
            if let Some(value) = value {
                command.push_str(&format!(" {flag} '{value}'"));
            }
        }
        command
    }

    /// Where to make folders.
    pub(super) fn parent(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// With `--url`: `host:port` of an address such as `http://127.0.0.1:8080`.
    pub(super) fn authority(&self) -> Result<Option<String>, BenchError> {
        self.url.as_deref().map(authority).transpose()
    }

    /// With `--url`: who calls.
    pub(super) fn credentials(&self) -> Result<Credentials, BenchError> {
        match (&self.token, &self.client_id, &self.client_secret) {
            (Some(token), ..) => Ok(Credentials::Token(token.clone())),
            (None, Some(id), Some(secret)) => Ok(Credentials::Client(id.clone(), secret.clone())),
            _ => Err(BenchError::Usage(
                "`--url` needs ROLLCALL_TOKEN, or ROLLCALL_CLIENT_ID and ROLLCALL_CLIENT_SECRET, in the environment"
                    .into(),
            )),
        }
    }
}

/// `host:port` of an address such as `http://127.0.0.1:8080`.
fn authority(url: &str) -> Result<String, BenchError> {
    let authority = url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    match authority {
        Some(authority) if !authority.is_empty() && !authority.contains(['/', '@', '?', '#', ' ']) => {
            let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            Ok(if has_port { authority.to_owned() } else { format!("{authority}:80") })
        }
        _ => Err(BenchError::Usage(format!(
            "`{url}`: give `--url` as http://HOST:PORT, without TLS and path: it is the server that is measured"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        bench: Args,
    }

    fn args(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).map(|cli| cli.bench)
    }

    #[test]
    fn the_defaults_are_the_published_figures() {
        let args = args("").unwrap();
        assert_eq!(args.what, What::All);
        assert_eq!(
            args.command(),
            "rollcall bench all --end-users 1000000 --segments 50 --connections 64 --seconds 10 --runs 3"
        );
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for bad in ["--end-users 0", "--end-users 10000001", "--segments 501", "--connections 0", "--runs 0", "fly"] {
            assert!(args(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_host_and_port() {
        assert_eq!(authority("http://127.0.0.1:8080/").unwrap(), "127.0.0.1:8080");
        assert_eq!(authority("http://rollcall.example").unwrap(), "rollcall.example:80");
        assert_eq!(authority("http://[::1]:99").unwrap(), "[::1]:99");
        for bad in ["https://x", "127.0.0.1:80", "http://", "http://x/y", "http://u@x"] {
            assert!(matches!(authority(bad), Err(BenchError::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn a_question_alone_is_asked_alone() {
        assert_eq!(args("page-load").unwrap().what.questions(), [Question::PageLoad]);
        assert_eq!(What::All.questions().len(), 15);
        assert_eq!(args("restore").unwrap().what.questions(), [Question::Restore]);
        assert_eq!(args("data").unwrap().what.questions(), []);
        assert!(args("load").is_err() && args("count").is_err(), "no questions of the command line");
    }
}
