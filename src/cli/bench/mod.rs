//! `rollcall bench`: the whole server over HTTP, under load, on this machine.
//!
//! Owns the command: its arguments, what it prints. Makes a server of its own in a folder of its own (or takes one that
//! runs), loads the data set, checks the answers, asks the questions in rounds, and shows the figures with their spread.
//!
//! - [`dataset`] (by `random`), [`segments`], [`filters`] (both of a [`condition`]): what is asked about, the same
//!   everywhere
//! - `arguments`: what is asked for
//! - `truth`: what the server must answer
//! - `wire`, `load`, `api`: the load generator
//! - `workspace`, `server`, `machine`: what it runs in and on
//! - `measure`: the questions, in order
//! - [`metric`], `beside`, `targets`, [`report`]: what the figures are called, compared with, what they have to reach, and
//!   how they are shown
//!
//! It speaks to the server over HTTP alone and shares no code with it but the model's types, so that a mistake of the
//! server can't hide in its own benchmark.

pub mod condition;
pub mod dataset;
pub mod filters;
pub mod metric;
pub mod report;
pub mod segments;

mod api;
mod arguments;
mod beside;
mod error;
mod load;
mod machine;
mod measure;
mod random;
mod server;
mod targets;
mod truth;
mod wire;
mod workspace;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

pub use arguments::Args;
use arguments::{Print, Settings, What};
use error::BenchError;
use measure::Bench;
use metric::Question;
use report::Figures;
use segments::Source;
use truth::Truth;
use workspace::Workspace;

/// End users that `members` prints.
const MEMBERS_SHOWN: u64 = 200;

/// Runs the command: exit status 0, 2 when used wrong, 130 when interrupted.
///
/// Starts a runtime of its own: not to be called from within one.
///
/// # Errors
/// When the server or an answer was wrong, or the output could not be written: there are no figures then.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let result = match args.what {
        What::Print(print) => self::print(args, print),
        What::All | What::Ask(_) => run_measurement(args),
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
fn print(args: &Args, what: Print) -> Result<(), BenchError> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let segments = segments::segments(count(args.segments));
    match what {
        Print::Rules => {
            let missing = || BenchError::Usage("name the folder of the rules with `--folder`".into());
            let folder = args.folder.as_deref().ok_or_else(missing)?;
            segments::write_rules(folder, Source::Updates, &segments)
                .map_err(|source| BenchError::File { path: folder.to_path_buf(), source })?;
        }
        Print::Filters => {
            for filter in filters::filters() {
                writeln!(out, "{}\t{}", filter.letter, filter.condition.sql())?;
            }
        }
        Print::Sql => writeln!(out, "{}", segments::member_sql(&segments))?,
        Print::Members => {
            let step = count((args.end_users / MEMBERS_SHOWN).max(1));
            Truth::new(args.end_users, segments).write_members(step, &mut out)?;
        }
        Print::Data => dataset::write_csv(args.end_users, args.seed, &mut out)?,
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
    let (settings, machine, command) = (args.settings(), machine::describe(), args.command());
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", figures.json(&settings, &machine, &command))?;
    } else {
        write!(out, "{}", figures.markdown(&settings, &machine, &command))?;
    }
    Ok(())
}

async fn measure(args: &Args) -> Result<Figures, BenchError> {
    let settings = args.settings();
    if settings.connections > settings.end_users {
        return Err(BenchError::Usage("there must be at least as many end users as connections".into()));
    }
    let mut questions = args.what.questions();
    let authority = args.authority()?;
    if authority.is_some() {
        if args.what != What::All && questions.iter().any(|question| question.needs_own_server()) {
            return Err(BenchError::Usage("this needs a server of the benchmark's own: not with `--url`".into()));
        }
        questions.retain(|question| !question.needs_own_server());
    }
    let import = questions.contains(&Question::Import);
    questions.retain(|question| *question != Question::Import);
    let mut figures = Figures::default();
    if !questions.is_empty() {
        let mut bench = match &authority {
            Some(authority) => foreign(args, authority).await?,
            None => Bench::of_its_own(args.parent(), args.keep, settings, args.beside.clone()).await?,
        };
        for question in questions {
            bench.ask(question).await?;
        }
        figures = bench.finish().await?;
    }
    if import {
        let imported = measure::import(args.parent(), args.keep, &settings, args.beside.as_deref()).await?;
        figures.take(Question::Import, imported);
    }
    Ok(figures)
}

/// A server that runs already.
async fn foreign(args: &Args, authority: &str) -> Result<Bench, BenchError> {
    // Where a folder is named, it is taken to be on the server's disk, and that disk is timed for `caller`.
    let workspace = args.parent().map(|folder| Workspace::create(Some(folder), args.keep)).transpose()?;
    let settings = args.settings();
    let truth = Truth::new(settings.end_users, segments::segments(count(settings.segments)));
    Bench::prepare(None, workspace, (authority, args.credentials()?), settings, truth, args.beside.clone()).await
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

    #[test]
    fn a_foreign_server_is_never_restarted_nor_given_rules() {
        for what in ["start", "rule", "import", "restore"] {
            let line = ["bench", what, "--url", "http://127.0.0.1:1"];
            assert_eq!(run(&Cli::try_parse_from(line).unwrap().bench).unwrap(), ExitCode::from(2), "{what}");
        }
    }
}
