//! Work in pieces on every core, and how far it has come. Knows nothing of what the work is.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How far computing has come, and how long it may go on. Once its time is over, what it computed is of no use.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) done: AtomicUsize,
    pub(crate) total: AtomicUsize,
    until: Option<Instant>,
    over: AtomicBool,
}

impl Progress {
    /// Computing that may take no longer.
    pub(crate) fn within(time: Duration) -> Self {
        Self { until: Some(Instant::now() + time), ..Self::default() }
    }

    /// Whether to go on: asked wherever much may be left to do.
    pub(crate) fn goes_on(&self) -> bool {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            self.over.store(true, Ordering::Relaxed);
        }
        !self.ran_out()
    }

    /// Whether something was left undone.
    pub(crate) fn ran_out(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Runs of pieces that each thread takes, where there are enough: few enough to be taken quickly, many enough that the
/// threads end together.
const RUNS: usize = 16;

/// The processors; asking the system anew reads files.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// How many threads work at once.
pub(crate) fn processors() -> usize {
    *PROCESSORS
}

/// Does each of `count` pieces of work, on as many threads as there are processors; the results in order.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    progress: &Progress,
    work: impl Fn(usize) -> Option<T> + Sync,
) -> Vec<T> {
    let threads = (*PROCESSORS).min(count.max(1));
    let run = (count / (threads * RUNS)).max(1);
    progress.total.store(count, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, Vec<T>)> = std::thread::scope(|scope| {
        let run = || {
            let mut mine = Vec::new();
            loop {
                let first = next.fetch_add(run, Ordering::Relaxed);
                if first >= count {
                    return mine;
                }
                let pieces = first..count.min(first + run);
                let done = pieces.filter_map(|piece| {
                    let result = work(piece);
                    progress.done.fetch_add(1, Ordering::Relaxed);
                    result
                });
                mine.push((first, done.collect()));
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    results.sort_unstable_by_key(|(first, _)| *first);
    results.into_iter().flat_map(|(_, results)| results).collect()
}
