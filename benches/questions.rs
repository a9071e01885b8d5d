//! P3: how fast the engine counts who fulfils the five filters, over a million end users, in this process.
//!
//! `cargo bench --bench questions -- [--end-users N] [--rounds N] [--beside COMMAND]`
//!
//! The engine stands on a store in a temporary folder, loaded with the data set; the counts are compared with the plain
//! evaluation first (at a million: with the published ones), and then timed. COMMAND is run once with the data set's CSV as
//! its argument; it gets lines `letter TAB condition as SQL` and a line `ready`, answers `ready`, and then answers every line
//! `letter` with `who TAB median milliseconds TAB count`: in turn with ours, round by round. `benches/peers/duckdb` is one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rollcall::cli::bench::dataset::{self, Column, EndUser, SEED};
use rollcall::cli::bench::filters::{Filter, filters};
use rollcall::cli::bench::metric::{Metric, Question};
use rollcall::cli::bench::report::{Figures, OURS};
use rollcall::cli::bench::segments::{self, INTEGRATION, SYSTEM, Segment, Source};
use rollcall::clock::Clock;
use rollcall::engine::{Engine, EngineOptions, Mode, Reader, Record, Sight, Update};
use rollcall::model::{AttributeName, EndUserId, IntegrationId, SegmentId, SystemId, Timestamp};
use rollcall::ruleset::{Files, RuleSet, compile};
use rollcall::store::{Options, Store};

/// 2026-01-01: the data set's now.
const NOW: i64 = 1_767_225_600_000;
/// End users in one call of the load.
const CALL: u64 = 10_000;
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
    let engine = load(folder.path(), arguments.end_users)?;
    let system = SystemId::new(SYSTEM)?;
    let reader = engine.reader(&system, &Sight::All).context("the rules are live")?;
    let rules = rules(
        &filters
            .each_ref()
            .map(|filter| Segment { id: format!("filter_{}", filter.letter), condition: filter.condition.clone() }),
    )?;
    for filter in &filters {
        check(&reader, &rules, filter, arguments.end_users)?;
    }
    let mut beside = match &arguments.beside {
        Some(command) => Some(Beside::start(command, folder.path(), arguments.end_users, &filters)?),
        None => None,
    };
    let mut figures = Figures::default();
    for round in 1..=arguments.rounds {
        say(&format!("round {round} of {}", arguments.rounds))?;
        for (filter, metric) in filters.iter().zip(Metric::FILTERS) {
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

/// The rules of the system `bench` with these segments.
fn rules(segments: &[Segment]) -> Result<Arc<RuleSet>> {
    let files: Files =
        segments::rule_files(Source::Updates, segments).into_iter().map(|(path, text)| (path, text.into())).collect();
    let rules = compile(&SystemId::new(SYSTEM)?, &files, None, Timestamp::from_millis(NOW));
    rules.map(Arc::new).map_err(|errors| anyhow::anyhow!("the rules have mistakes: {errors:?}"))
}

/// An engine with the first so many end users, and no segment to be kept live meanwhile.
fn load(folder: &Path, end_users: u64) -> Result<Engine> {
    let store = Store::open(folder, &Options { cache_mib: 64 })?;
    let clock = Clock::manual(Timestamp::from_millis(NOW));
    let engine = Engine::start(store, clock, &EngineOptions { min_free_mib: 0 })?;
    engine.adopt(&BTreeMap::from([(SystemId::new(SYSTEM)?, rules(&[])?)]))?;
    let names = Column::ALL.map(|column| AttributeName::new(&column.attribute()));
    let declared: Vec<AttributeName> = names.into_iter().collect::<Result<_, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for first in (0..end_users).step_by(CALL as usize) {
        let record = |row| {
            let end_user = EndUser::new(SEED, row);
            let values = Column::ALL.iter().map(|column| end_user.cell(*column).value());
            let sets = declared.iter().zip(values).filter_map(|(name, value)| Some((name.clone(), value?))).collect();
            Ok(Record { id: EndUserId::new(&end_user.id())?, sets })
        };
        let update = Update {
            system: SystemId::new(SYSTEM)?,
            integration: IntegrationId::new(INTEGRATION)?,
            mode: Mode::Replace,
            declared: declared.clone(),
            records: (first..end_users.min(first + CALL)).map(record).collect::<Result<_>>()?,
            idempotency: None,
            beside: Vec::new(),
        };
        runtime.block_on(engine.update(update))?;
    }
    Ok(engine)
}

/// Asks from the rule's compiled form on: binding it to the columns is part of the question, parsing its text is not.
fn count(reader: &Reader, rules: &RuleSet, filter: &Filter) -> Result<u64> {
    let id = SegmentId::new(&format!("filter_{}", filter.letter))?;
    let segment = rules.segments.get(&id).context("the filter is a segment of these rules")?;
    Ok(reader.count(&reader.draft(segment)))
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
