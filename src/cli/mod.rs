//! The command line: one file per command.
//!
//! Owns the commands' names, flags and output. Knows nothing of how the work is done: each command reads its
//! arguments, calls one room, and prints. Invariant: results go to stdout, everything else to stderr; the exit status
//! is 0, 1 when something was found wrong, or 2 when the command was used wrong.
//!
//! To add a command: a file with `Args` and `run(…) -> anyhow::Result<ExitCode>`, a line in `Command`, and one in
//! `dispatch`.

mod api;
mod backup;
pub mod bench;
mod check;
mod clients;
mod completions;
mod diff;
mod doctor;
mod export;
mod import;
mod purge;
mod query;
mod recover;
mod remote;
mod restore;
mod rotate_key;
mod serve;
mod token;
mod users;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::app::BrokenRules;
use crate::config::{self, Config, ConfigErrors, Flags};

/// Holds what a company knows about its end users, and says which segments each belongs to.
///
/// Without a command, the server runs.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, subcommand_value_name = "COMMAND")]
struct Cli {
    /// The configuration [default: ./config.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    serve: serve::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (as without a command)
    Serve(serve::Args),
    /// Check the rule files without a server; exit status 1 if anything is wrong in them
    Check(check::Args),
    /// Show what a rules folder would change on a running server: who would enter and leave each segment
    Diff(Box<diff::Args>),
    /// Ask a running server who fulfils a rule
    Query(Box<query::Args>),
    /// Write end users of a running server to a file
    Export(Box<export::Args>),
    /// Upload a CSV file to a running server and follow its import; exit status 1 if anything in it is refused
    Import(import::Args),
    /// Get an access token from a running server and print it
    Token(token::Args),
    /// Operators' accounts on a running server; `recover` with the server stopped
    Users(Box<users::Args>),
    /// OAuth clients on a running server: the machines that call its API
    Clients(Box<clients::Args>),
    /// Delete the values that no integration of a running server declares any more
    Purge(purge::Args),
    /// Write everything that a running server holds to a file
    Backup(Box<backup::Args>),
    /// Make a backup the store, with the server stopped
    Restore(restore::Args),
    /// Write the store anew, with the server stopped: smaller, and without the bytes of whoever was deleted
    Compact(restore::CompactArgs),
    /// Give the store another secret key, with the server stopped
    RotateKey(rotate_key::Args),
    /// Look for what is wrong with this installation, and say how to mend it; exit status 1 if anything is
    Doctor(doctor::Args),
    /// Measure this program on this machine: the whole server over HTTP, its answers checked
    Bench(Box<bench::Args>),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// Parses the command line, runs the command, and gives its exit status: 0, 1 (found wrong) or 2 (used wrong).
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return used_wrong(&error),
    };
    match dispatch(cli) {
        Ok(status) => status,
        Err(error) => failed(&error),
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config.as_deref();
    if cli.command.is_some() && cli.serve != serve::Args::default() {
        let what = "--listen, --data and --rules are flags of `serve`: write them after it, and leave them out with other commands";
        return Ok(used_wrong(&Cli::command().error(ErrorKind::ArgumentConflict, what)));
    }
    match cli.command {
        None => serve::run(cli.serve, file),
        Some(Command::Serve(args)) => serve::run(args, file),
        Some(Command::Check(args)) => check::run(args, file),
        Some(Command::Diff(args)) => diff::run(*args, file),
        Some(Command::Query(args)) => query::run(*args),
        Some(Command::Export(args)) => export::run(*args),
        Some(Command::Import(args)) => import::run(args),
        Some(Command::Token(args)) => token::run(args),
        Some(Command::Users(args)) => users::run(*args, file),
        Some(Command::Clients(args)) => clients::run(*args),
        Some(Command::Purge(args)) => purge::run(&args),
        Some(Command::Backup(args)) => backup::run(&args),
        Some(Command::Restore(args)) => restore::run(&args, file),
        Some(Command::Compact(args)) => restore::run_compact(&args, file),
        Some(Command::RotateKey(args)) => rotate_key::run(&args, file),
        Some(Command::Doctor(args)) => doctor::run(&args, file),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Completions(args)) => completions::run(&args, &mut Cli::command()),
    }
}

/// Prints clap's own answer: help and version are no mistake, the rest is.
fn used_wrong(error: &clap::Error) -> ExitCode {
    // Nothing is left to tell it to if this can't be written.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// The command can't be followed as it was given, though clap took it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsedWrong(String);

fn failed(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if error.is::<UsedWrong>() {
        let _ = writeln!(io::stderr(), "error: {error}");
        return ExitCode::from(2);
    }
    // Mistakes in files begin with their own place, for editors to jump to.
    let in_files = error.is::<ConfigErrors>() || error.is::<BrokenRules>();
    let text = if in_files { error.to_string() } else { format!("error: {error:#}") };
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}

/// Whoever read our output has enough of it (`rollcall … | head`), which is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

/// The configuration from file, environment and flags.
fn load_config(file: Option<&Path>, flags: Flags) -> anyhow::Result<Config> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|n| n.starts_with("ROLLCALL_")) else { continue };
        let value = value.into_string().map_err(|_| anyhow!("{name}: the variable's value is not UTF-8"))?;
        variables.push((name.to_owned(), value));
    }
    Ok(config::load(file, variables, flags)?)
}

/// Attributes' ids with commas between them, as one argument.
#[derive(Debug, Clone)]
struct Attributes(Vec<String>);

impl From<&str> for Attributes {
    fn from(list: &str) -> Self {
        Self(list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect())
    }
}

/// An argument that is JSON.
fn json_value(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))
}

/// Writes a command's result to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("can't write to stdout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn server_runs_without_a_command() {
        let cli = Cli::try_parse_from(["rollcall", "--listen", "127.0.0.1:0", "--config", "c.toml"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.config.as_deref(), Some(Path::new("c.toml")));
        assert_eq!(cli.serve.listen.map(|l| l.port()), Some(0));
    }

    #[test]
    fn configuration_can_be_named_before_and_after_the_command() {
        for line in [["rollcall", "--config", "c.toml", "check"], ["rollcall", "check", "--config", "c.toml"]] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.config.as_deref(), Some(Path::new("c.toml")));
        }
    }

    #[test]
    fn flags_of_the_server_before_another_command_are_used_wrong() {
        let cli = Cli::try_parse_from(["rollcall", "--data", "d", "check"]).unwrap();
        assert_eq!(format!("{:?}", dispatch(cli).unwrap()), format!("{:?}", ExitCode::from(2)));
    }

    #[test]
    fn bad_address_is_used_wrong() {
        assert!(Cli::try_parse_from(["rollcall", "serve", "--listen", "localhost"]).unwrap_err().use_stderr());
    }
}
