//! Work in pieces on every core, and how far it has come. Knows nothing of what the work is.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rayon_core::{ThreadPool, ThreadPoolBuilder};

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

/// Who helps the calling thread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Helpers {
    /// Threads that wait for work, which is a tenth of a millisecond quicker than new ones. Only for what takes
    /// milliseconds: who comes next waits until they are free.
    Waiting,
    /// New threads.
    New,
}

/// The threads that wait for work; none where there is one processor.
static WAITING: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let threads = processors().checked_sub(1).filter(|threads| *threads > 0)?;
    ThreadPoolBuilder::new().num_threads(threads).thread_name(|no| format!("scan-{no}")).build().ok()
});

/// Does each of `count` pieces of work, on as many threads as there are processors; the results in order.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    helpers: Helpers,
    progress: &Progress,
    work: impl Fn(usize) -> Option<T> + Sync,
) -> Vec<T> {
    let threads = processors().min(count.max(1));
    let run = (count / (threads * RUNS)).max(1);
    progress.total.store(count, Ordering::Relaxed);
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let take_part = || {
        let mut mine = Vec::new();
        loop {
            let first = next.fetch_add(run, Ordering::Relaxed);
            if first >= count {
                break;
            }
            let done = (first..count.min(first + run)).filter_map(|piece| {
                let result = work(piece);
                progress.done.fetch_add(1, Ordering::Relaxed);
                result
            });
            mine.push((first, done.collect::<Vec<T>>()));
        }
        results.lock().append(&mut mine);
    };
    match (helpers, &*WAITING) {
        (Helpers::Waiting, Some(waiting)) => waiting.in_place_scope(|scope| {
            (1..threads).for_each(|_| scope.spawn(|_| take_part()));
            take_part();
        }),
        _ => std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(take_part)));
            take_part();
        }),
    }
    let mut results = results.into_inner();
    results.sort_unstable_by_key(|(first, _)| *first);
    results.into_iter().flat_map(|(_, results)| results).collect()
}
