//! `rollcall bench`: the whole server over HTTP, under load, on this machine.
//!
//! Owns the command: its arguments, what it prints. Makes a server of its own in a folder of its own (or takes one that
//! runs), loads the data set, checks the answers, asks the questions in rounds, and shows the figures with their spread.
//!
//! - [`dataset`] (by `random`), [`segments`]: what is asked about, the same everywhere
//! - `truth`: what the server must answer
//! - `wire`, `load`, `api`: the load generator
//! - `workspace`, `server`, `machine`: what it runs in and on
//! - `measure`: the questions, in order
//! - `metric`, `beside`, `report`: what the figures are called, compared with, and how they are shown
//!
//! It speaks to the server over HTTP alone and shares no code with it but the model's types, so that a mistake of the
//! server can't hide in its own benchmark.

pub mod dataset;
pub mod segments;

mod api;
mod beside;
mod error;
mod load;
mod machine;
mod measure;
mod metric;
mod random;
mod report;
mod server;
mod truth;
mod wire;
mod workspace;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;

use api::Credentials;
use error::BenchError;
use measure::{Bench, Own};
use report::Figures;
use server::Launcher;
use truth::Truth;
use workspace::Workspace;

/// End users that `members` prints.
const MEMBERS_SHOWN: u64 = 200;

/// Measures this program on this machine: the whole server over HTTP, its answers checked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to measure, or to print.
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// How many end users, with 20 attributes each.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=dataset::MAX_ROWS))]
    end_users: u64,
    /// How many segments.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=segments::MAX_SEGMENTS as u64))]
    segments: u64,
    /// How many connections ask at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    connections: u64,
    /// How long a round of a question lasts.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How many rounds.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Where to make the folder to work in: on the disk to be measured. Default: the folder for temporary files.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Keep the folder: configuration, rules, data, the server's log.
    #[arg(long)]
    keep: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Measure the server at this address. It must have the system `bench` (see `rules`), whose data is overwritten.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
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
    beside: Option<String>,
}

/// What to measure, or to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// All questions.
    All,
    /// P1: durable single-record updates a second.
    Update,
    /// P1b: the latency of a durable update for a caller alone, beside the disk's own.
    Caller,
    /// P2: page loads a second, beside the same server answering a constant.
    PageLoad,
    /// P5: from start to ready, after a clean stop and after kill -9; memory.
    Start,
    /// Print the data set as CSV.
    Data,
    /// Write the rules of the system `bench` into the folder DIR.
    Rules,
    /// Print the segments as one SQL expression.
    Sql,
    /// Print which segments some 200 of the end users are in.
    Members,
}

/// How much of everything.
#[derive(Debug, Clone, Copy, Serialize)]
struct Settings {
    end_users: u64,
    segments: u64,
    connections: u64,
    seconds: u64,
    runs: u64,
}

/// Runs the command: exit status 0, 2 when used wrong, 130 when interrupted.
///
/// Starts a runtime of its own: not to be called from within one.
///
/// # Errors
/// When the server or an answer was wrong, or the output could not be written: there are no figures then.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let result = match args.what {
        What::Data | What::Rules | What::Sql | What::Members => print(args),
        _ => run_measurement(args),
    };
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error @ BenchError::Usage(_)) => {
            say(&format!("error: {error}"));
            Ok(ExitCode::from(2))
        }
        // As shells have it for Ctrl-C.
        Err(BenchError::Interrupted) => Ok(ExitCode::from(130)),
        Err(error) => Err(error.into()),
    }
}

/// The commands that print and measure nothing.
fn print(args: &Args) -> Result<(), BenchError> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let segments = segments::segments(count(args.segments));
    match args.what {
        What::Rules => {
            let missing = || BenchError::Usage("name the folder of the rules with `--folder`".into());
            let folder = args.folder.as_deref().ok_or_else(missing)?;
            segments::write_rules(folder, &segments)
                .map_err(|source| BenchError::File { path: folder.to_path_buf(), source })?;
        }
        What::Sql => writeln!(out, "{}", segments::member_sql(&segments))?,
        What::Members => {
            let step = count((args.end_users / MEMBERS_SHOWN).max(1));
            Truth::new(args.end_users, segments).write_members(step, &mut out)?;
        }
        _ => dataset::write_csv(args.end_users, dataset::SEED, &mut out)?,
    }
    Ok(out.flush()?)
}

fn run_measurement(args: &Args) -> Result<(), BenchError> {
    // One thread: the load generator must leave the other cores to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        tokio::select! {
            figures = measure(args) => figures,
            // Dropping the measurement ends the server and removes the folder.
            _ = tokio::signal::ctrl_c() => Err(BenchError::Interrupted),
        }
    })?;
    let (settings, machine, command) = (settings(args), machine::describe(), command(args));
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", figures.json(&settings, &machine, &command))?;
    } else {
        write!(out, "{}", figures.markdown(&settings, &machine, &command))?;
    }
    Ok(())
}

async fn measure(args: &Args) -> Result<Figures, BenchError> {
    let settings = settings(args);
    if settings.connections > settings.end_users {
        return Err(BenchError::Usage("there must be at least as many end users as connections".into()));
    }
    let segments = segments::segments(count(settings.segments));
    let truth = Truth::new(settings.end_users, segments.clone());
    let (own, workspace, authority, credentials) = match &args.url {
        Some(url) => {
            if args.what == What::Start {
                return Err(BenchError::Usage("`start` stops and starts the server: not with `--url`".into()));
            }
            // Where a folder is named, it is taken to be on the server's disk, and that disk is timed for `caller`.
            let workspace = args.folder.as_deref().map(|folder| Workspace::create(Some(folder), args.keep));
            (None, workspace.transpose()?, authority(url)?, credentials(args)?)
        }
        None => {
            let workspace = Workspace::create(args.folder.as_deref(), args.keep)?;
            say(&format!("working in {}", workspace.path().display()));
            workspace.furnish(&segments)?;
            let launcher = Launcher::new(&workspace)?;
            let (server, _) = launcher.start().await?;
            let (authority, credentials) = (server.authority.clone(), launcher.credentials());
            (Some(Own { launcher, server }), Some(workspace), authority, credentials)
        }
    };
    let own_server = own.is_some();
    let access = (authority.as_str(), &credentials);
    let mut bench = Bench::prepare(own, workspace, access, settings, truth, args.beside.clone()).await?;
    let wanted = |what| args.what == What::All || args.what == what;
    if wanted(What::Update) {
        bench.update().await?;
    }
    if wanted(What::Caller) {
        bench.caller().await?;
    }
    if wanted(What::PageLoad) {
        bench.page_load().await?;
    }
    if wanted(What::Start) && own_server {
        bench.start().await?;
    }
    bench.finish().await
}

fn settings(args: &Args) -> Settings {
    let Args { end_users, segments, connections, seconds, runs, .. } = *args;
    Settings { end_users, segments, connections, seconds, runs }
}

/// The command as it can be run again; without secrets.
fn command(args: &Args) -> String {
    let Settings { end_users, segments, connections, seconds, runs } = settings(args);
    let what = args.what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let mut command = format!(
        "rollcall bench {what} --end-users {end_users} --segments {segments} --connections {connections} \
         --seconds {seconds} --runs {runs}"
    );
    for (flag, value) in [("--url", &args.url), ("--beside", &args.beside)] {
        if let Some(value) = value {
            command.push_str(&format!(" {flag} '{value}'"));
        }
    }
    command
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

fn credentials(args: &Args) -> Result<Credentials, BenchError> {
    match (&args.token, &args.client_id, &args.client_secret) {
        (Some(token), ..) => Ok(Credentials::Token(token.clone())),
        (None, Some(id), Some(secret)) => Ok(Credentials::Client(id.clone(), secret.clone())),
        _ => Err(BenchError::Usage(
            "`--url` needs ROLLCALL_TOKEN, or ROLLCALL_CLIENT_ID and ROLLCALL_CLIENT_SECRET, in the environment".into(),
        )),
    }
}

/// A number from the command line as a count; its range is checked there.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Says how far it is, on standard error: standard output is for the figures.
fn say(line: &str) {
    // Nobody may be listening; the figures count.
    let _ = writeln!(io::stderr().lock(), "{line}");
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
            command(&args),
            "rollcall bench all --end-users 1000000 --segments 50 --connections 64 --seconds 10 --runs 3"
        );
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for bad in ["--end-users 0", "--end-users 10000001", "--segments 51", "--connections 0", "--runs 0", "fly"] {
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
    fn a_foreign_server_is_never_restarted() {
        let status = run(&args("start --url http://127.0.0.1:1").unwrap()).unwrap();
        assert_eq!(status, ExitCode::from(2));
    }
}
