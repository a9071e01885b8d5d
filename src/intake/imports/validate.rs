//! The first pass over a file: every row judged, everything bad listed, and what follows from it.
//!
//! Blocks of rows are shared among the processors; what they find is listed in the order of the file.

use std::fs::File;
use std::io;

use super::errors::{ErrorLog, SHOWN};
use super::faults::RowError;
use super::import::OnError;
use super::job::{Halt, Job, Meaning};
use super::judge::{Judge, Verdict};
use super::rows::{Block, ReadError, Rows};

/// Most threads that validate: enough for disks of today, and some processors stay for callers.
const MOST_THREADS: usize = 4;

impl Job<'_> {
    /// The first pass: judges every row, and lists what is bad.
    pub(super) fn validate(&self, meaning: &Meaning) -> Result<(), Halt> {
        let mut log = ErrorLog::begin(self.inner.spool.errors(self.import.id.as_str())).map_err(unlisted)?;
        self.inner.note(&self.import.id, |import| {
            (import.rows_read, import.rejected, import.rows_total, import.columns) = (0, 0, None, None);
            import.errors.clear();
        });
        let ended = match self.open(meaning) {
            Ok((rows, judge)) => self.judge_all(rows, &judge, &mut log)?,
            Err(error) => Some(error),
        };
        let reason = ended.as_ref().map(|error| format!("{}; nothing was stored", error.detail));
        self.list(&mut log, ended.into_iter())?;
        log.finish().map_err(unlisted)?;
        reason.map_or(Ok(()), |reason| Err(Halt::Failed(reason)))
    }

    /// Judges the rows to the file's end, or to the error behind which nothing can be read.
    fn judge_all(&self, mut rows: Rows<File>, judge: &Judge, log: &mut ErrorLog) -> Result<Option<RowError>, Halt> {
        let start = rows.position();
        self.inner.note(&self.import.id, |import| {
            import.columns = Some(judge.layout.columns.clone());
            import.next = start;
        });
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let mut blocks: Vec<Block> = std::iter::repeat_with(Block::default).take(threads).collect();
        loop {
            if self.inner.is_stopping() {
                return Err(Halt::Stopping);
            }
            let (filled, end) = fill(&mut rows, &mut blocks);
            for verdict in check_all(judge, blocks.get(..filled).unwrap_or_default()) {
                let Verdict { rows, rejected, errors } = verdict;
                self.list(log, errors.into_iter().map(|bad| judge.told(bad)))?;
                self.inner.note(&self.import.id, |import| {
                    import.rows_read += rows;
                    import.rejected += rejected;
                });
            }
            match end {
                None => {}
                Some(Ok(())) => return Ok(None),
                Some(Err(error)) => return Ok(Some(unreadable(rows.position().row, &error))),
            }
        }
    }

    /// Lists bad places, and shows the first.
    fn list(&self, log: &mut ErrorLog, errors: impl Iterator<Item = RowError>) -> Result<(), Halt> {
        for error in errors {
            if log.listed() < SHOWN {
                self.inner.note(&self.import.id, |import| import.errors.push(error.clone()));
            }
            log.add(error).map_err(unlisted)?;
        }
        Ok(())
    }

    /// Between the passes: whether the good rows are stored.
    pub(super) fn decide(&self) -> Result<(), Halt> {
        self.inner.note(&self.import.id, |import| import.rows_total = Some(import.rows_read));
        let rejected = self.inner.known(&self.import.id).map_or(0, |import| import.rejected);
        if rejected == 0 || self.import.on_error == OnError::Skip {
            return Ok(());
        }
        let rows = if rejected == 1 { "1 row is bad".to_owned() } else { format!("{rejected} rows are bad") };
        Err(Halt::Failed(format!(
            "{rows}, so nothing was stored: mend the file, or store the others alone (`on_error=skip`)"
        )))
    }
}

/// The list of bad places can't be written.
fn unlisted(error: io::Error) -> Halt {
    Halt::Failed(format!("the bad rows can't be listed: {error}; nothing was stored"))
}

/// A file that can't be read on at a row.
pub(super) fn unreadable(row: u64, error: &ReadError) -> RowError {
    let code = match error {
        ReadError::Io(_) => "unreadable",
        ReadError::Unclosed(_) => "quote_not_closed",
        ReadError::Utf16 => "not_utf8",
    };
    RowError { row, column: None, code: code.to_owned(), detail: error.to_string() }
}

/// Fills blocks one after the other: how many, and whether the file ended behind them.
fn fill(rows: &mut Rows<File>, blocks: &mut [Block]) -> (usize, Option<Result<(), ReadError>>) {
    for (filled, block) in blocks.iter_mut().enumerate() {
        match rows.fill(block) {
            Ok(true) => {}
            Ok(false) => return (filled, Some(Ok(()))),
            Err(error) => return (filled, Some(Err(error))),
        }
    }
    (blocks.len(), None)
}

/// Judges blocks side by side; the verdicts are in their order.
fn check_all(judge: &Judge, blocks: &[Block]) -> Vec<Verdict> {
    let Some((first, others)) = blocks.split_first() else { return Vec::new() };
    std::thread::scope(|scope| {
        let others: Vec<_> = others.iter().map(|block| scope.spawn(|| judge.check(block))).collect();
        let mut verdicts = vec![judge.check(first)];
        for other in others {
            verdicts.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        verdicts
    })
}
