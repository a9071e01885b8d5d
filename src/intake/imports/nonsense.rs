//! A file from nowhere, read and judged as an upload is: for `fuzzing`.

use super::judge::Judge;
use super::layout::Layout;
use super::rows::{Block, Rows};
use crate::model::{self, IdentifierCase};
use crate::ruleset::Integration;

/// Reads a file to its end, or up to what can't be read. Both passes must take the same rows.
pub(crate) fn read_nonsense(file: &[u8], integration: &Integration) {
    let (Ok(mut rows), mut block) = (Rows::from_start(file), Block::default()) else { return };
    let Ok(true) = rows.only_next(&mut block) else { return };
    let Some(header) = block.rows().next() else { return };
    let Ok(layout) = Layout::read(header.bytes, integration) else { return };
    let limits = model::Limits { string_bytes: 1024 };
    let judge = Judge { layout, case: IdentifierCase::Sensitive, limits };
    while let Ok(true) = rows.fill(&mut block) {
        let verdict = judge.check(&block);
        let good = verdict.rows.saturating_sub(verdict.rejected);
        assert_eq!(judge.sheet(&block).len() as u64, good, "what the first pass takes the second stores");
        verdict.errors.into_iter().for_each(|bad| assert!(!judge.told(bad).detail.is_empty()));
    }
}
