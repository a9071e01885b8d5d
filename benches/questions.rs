//! P3: how fast the engine counts who fulfils the five filters, over a million end users, in this process.
//!
//! `cargo bench --bench questions -- [--end-users N] [--rounds N] [--beside COMMAND]`
//!
//! The engine stands on a store in a temporary folder, loaded with the data set; the counts are compared with the plain
//! evaluation first (at a million: with the published ones), and then timed. COMMAND is run once with the data set's CSV as
//! its argument; it gets lines `letter TAB condition as SQL` and a line `ready`, answers `ready`, and then answers every line
//! `letter` with `who TAB median milliseconds TAB count`: in turn with ours, round by round. `benches/peers/duckdb` is one.

mod loading;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rollcall::cli::bench::dataset::{self, EndUser, SEED};
use rollcall::cli::bench::filters::{Filter, filters};
use rollcall::cli::bench::metric::{Metric, Question};
use rollcall::cli::bench::report::{Figures, OURS};
use rollcall::engine::Reader;
use rollcall::ruleset::RuleSet;

/// Bytes an end user that each filter has to read: the cells of its attributes, and a bit each that tells whether they, and
/// the end user, are there. As long as memory takes to give these, so long takes a count at least.
const BYTES: [f64; 5] = [1.25, 2.25, 2.25, 5.5, 3.5];
/// Memory that is read to see how fast it is: more than the caches nearby hold.
const MEMORY: usize = 256 << 20;
/// Counts timed one after the other; their median is a round's figure.
const COUNTS: usize = 31;

struct Arguments {
    end_users: u64,
    rounds: u64,
    beside: Option<String>,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let folder = tempfile::tempdir()?;
    let filters = filters();
    say(&format!("loading {} end users", arguments.end_users))?;
    let engine = loading::start(folder.path())?;
    // No segment is to be kept live meanwhile.
    loading::adopt(&engine, &loading::rules(&[])?)?;
    loading::load(&engine, 0..arguments.end_users)?;
    let reader = loading::reader(&engine)?;
    let rules = loading::rules(&filters.each_ref().map(Filter::segment))?;
    for filter in &filters {
        check(&reader, &rules, filter, arguments.end_users)?;
    }
    let mut beside = match &arguments.beside {
        Some(command) => Some(Beside::start(command, folder.path(), arguments.end_users, &filters)?),
        None => None,
    };
    let mut figures = Figures::default();
    let memory = vec![1_u64; MEMORY / size_of::<u64>()];
    for round in 1..=arguments.rounds {
        say(&format!("round {round} of {}", arguments.rounds))?;
        let bandwidth = bandwidth(&memory);
        for ((filter, metric), bytes) in filters.iter().zip(Metric::FILTERS).zip(BYTES) {
            figures.add(Question::Count, "memory", metric, arguments.end_users as f64 * bytes / bandwidth * 1e3);
            figures.add(Question::Count, OURS, metric, time(&reader, &rules, filter)?);
            if let Some(beside) = &mut beside {
                let (who, milliseconds) = beside.count(filter, arguments.end_users)?;
                figures.add(Question::Count, &who, metric, milliseconds);
            }
        }
    }
    engine.stop();
    Ok(write!(io::stdout(), "{}", figures.tables())?)
}

fn arguments() -> Result<Arguments> {
    let mut arguments = Arguments { end_users: 1_000_000, rounds: 5, beside: None };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut value = || given.next().with_context(|| format!("`{name}` needs a value"));
        match name.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--end-users" => arguments.end_users = value()?.parse()?,
            "--rounds" => arguments.rounds = value()?.parse()?,
            "--beside" => arguments.beside = Some(value()?),
            _ => anyhow::bail!("unknown argument `{name}`"),
        }
    }
    Ok(arguments)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{line}")
}

fn count(reader: &Reader, rules: &RuleSet, filter: &Filter) -> Result<u64> {
    loading::count(reader, rules, &filter.segment().id)
}

fn check(reader: &Reader, rules: &RuleSet, filter: &Filter, end_users: u64) -> Result<()> {
    let found = count(reader, rules, filter)?;
    let right = right(filter, end_users);
    ensure!(found == right, "filter {}: {found} end users, and {right} are right", filter.letter);
    ensure!(
        end_users != 1_000_000 || right == filter.of_a_million,
        "filter {}: the plain evaluation itself is wrong",
        filter.letter
    );
    Ok(())
}

/// By the plain evaluation.
fn right(filter: &Filter, end_users: u64) -> u64 {
    (0..end_users).filter(|row| filter.condition.holds(&EndUser::new(SEED, *row))).count() as u64
}

/// The median of many counts, in milliseconds.
fn time(reader: &Reader, rules: &RuleSet, filter: &Filter) -> Result<f64> {
    let mut times = Vec::with_capacity(COUNTS);
    for _ in 0..COUNTS {
        let start = Instant::now();
        std::hint::black_box(count(reader, rules, filter)?);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(COUNTS / 2).copied().unwrap_or_default())
}

/// Bytes a second that all processors together read.
fn bandwidth(memory: &[u64]) -> f64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for part in memory.chunks(memory.len().div_ceil(threads)) {
            scope.spawn(|| std::hint::black_box(part.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word))));
        }
    });
    size_of_val(memory) as f64 / start.elapsed().as_secs_f64()
}

/// The command beside, ended when dropped.
struct Beside {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Beside {
    /// Starts the command and waits until it has loaded the data.
    fn start(command: &str, folder: &Path, end_users: u64, filters: &[Filter]) -> Result<Self> {
        let csv = folder.join("users.csv");
        let mut out = BufWriter::new(File::create(&csv)?);
        dataset::write_csv(end_users, SEED, &mut out)?;
        out.flush()?;
        say(&format!("loading beside: {command}"))?;
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command} \"$0\"")])
            .arg(&csv)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = child.stdin.take().context("its standard input")?;
        let answers = BufReader::new(child.stdout.take().context("its standard output")?).lines();
        let mut beside = Self { child, questions, answers };
        for filter in filters {
            writeln!(beside.questions, "{}\t{}", filter.letter, filter.condition.sql())?;
        }
        ensure!(beside.ask("ready")? == "ready", "`{command}` does not say that it is ready");
        std::fs::remove_file(csv)?;
        Ok(beside)
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.questions, "{line}")?;
        self.answers.next().context("the command beside has ended")?.context("the command beside")
    }

    /// Whose, and its median in milliseconds.
    fn count(&mut self, filter: &Filter, end_users: u64) -> Result<(String, f64)> {
        let answer = self.ask(&filter.letter.to_string())?;
        let fields: Vec<&str> = answer.split('\t').collect();
        let [who, milliseconds, found] = fields[..] else { anyhow::bail!("`{answer}` from the command beside") };
        let right = if end_users == 1_000_000 { filter.of_a_million } else { right(filter, end_users) };
        ensure!(found.parse() == Ok(right), "filter {}: {who} finds {found}, and {right} are right", filter.letter);
        Ok((who.to_owned(), milliseconds.parse()?))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // One that has ended already can't be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
