//! The data set in an engine of this process, for benchmarks and tests alike; and rules as the server would read them.
//!
//! Knows no question and no right answer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rollcall::cli::bench::dataset::{Column, EndUser, SEED};
use rollcall::cli::bench::segments::{INTEGRATION, SYSTEM, Segment, Source, rule_files};
use rollcall::clock::Clock;
use rollcall::engine::{Engine, EngineOptions, Mode, Reader, Record, Sight, Update};
use rollcall::model::{AttributeName, EndUserId, IntegrationId, SegmentId, SystemId, Timestamp};
use rollcall::ruleset::{Files, RuleSet, compile};
use rollcall::store::{Options, Store};

/// 2026-01-01: the data set's now.
const NOW: i64 = 1_767_225_600_000;
/// End users in one call.
const CALL: u64 = 10_000;

/// An engine on a store in that folder, at the data set's now.
pub(crate) fn start(folder: &Path) -> Result<Engine> {
    let store = Store::open(folder, &Options { cache_mib: 64 })?;
    let clock = Clock::manual(Timestamp::from_millis(NOW));
    Ok(Engine::start(store, clock, &EngineOptions { min_free_mib: 0 })?)
}

/// The rules of the system `bench` with these segments.
pub(crate) fn rules(segments: &[Segment]) -> Result<Arc<RuleSet>> {
    let files: Files =
        rule_files(Source::Updates, segments).into_iter().map(|(path, text)| (path, text.into())).collect();
    let rules = compile(&SystemId::new(SYSTEM)?, &files, None, Timestamp::from_millis(NOW));
    rules.map(Arc::new).map_err(|errors| anyhow!("the rules have mistakes: {errors:?}"))
}

/// Makes rules live.
pub(crate) fn adopt(engine: &Engine, rules: &Arc<RuleSet>) -> Result<()> {
    Ok(engine.adopt(&BTreeMap::from([(SystemId::new(SYSTEM)?, Arc::clone(rules))]))?)
}

/// Stores the end users of these rows.
pub(crate) fn load(engine: &Engine, rows: Range<u64>) -> Result<()> {
    let names = Column::ALL.map(|column| AttributeName::new(&column.attribute()));
    let declared: Arc<[AttributeName]> = names.into_iter().collect::<Result<_, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for first in rows.clone().step_by(CALL as usize) {
        let record = |row| {
            let end_user = EndUser::new(SEED, row);
            let values = Column::ALL.iter().map(|column| end_user.cell(*column).value());
            let sets = values.enumerate().filter_map(|(place, value)| Some((place, value?))).collect();
            Ok(Record { id: EndUserId::new(&end_user.id())?, sets })
        };
        let update = Update {
            system: SystemId::new(SYSTEM)?,
            integration: IntegrationId::new(INTEGRATION)?,
            mode: Mode::Replace,
            declared: Arc::clone(&declared),
            records: (first..rows.end.min(first + CALL)).map(record).collect::<Result<_>>()?,
            idempotency: None,
            beside: Vec::new(),
        };
        runtime.block_on(engine.update(update))?;
    }
    Ok(())
}

/// A view of the system `bench` as it is now.
pub(crate) fn reader(engine: &Engine) -> Result<Reader> {
    engine.reader(&SystemId::new(SYSTEM)?, &Sight::All).context("the rules are live")
}

/// How many would be in a segment of rules that need not be live: from the rule's compiled form on, so binding it to the
/// columns is part of the question, and parsing its text is not.
pub(crate) fn count(reader: &Reader, rules: &RuleSet, segment: &str) -> Result<u64> {
    let segment = rules.segments.get(&SegmentId::new(segment)?).context("a segment of these rules")?;
    Ok(reader.count(&reader.draft(segment)))
}
