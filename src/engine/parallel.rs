//! Work in pieces on every core, and how far it has come. Knows nothing of what the work is.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How far computing the segments of a system has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) done: AtomicUsize,
    pub(crate) total: AtomicUsize,
}

/// Does each of `count` pieces of work, on as many threads as there are processors; the results in order.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    progress: &Progress,
    work: impl Fn(usize) -> Option<T> + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    progress.total.store(count, Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let run = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    return mine;
                }
                mine.extend(work(at).map(|result| (at, result)));
                progress.done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
