//! The fence around sled: an error or a panic inside it comes out as a [`StoreError`].
//!
//! sled panics on what it does not expect to find on disk. Owns the process's panic hook as far as sled is concerned:
//! inside the fence, and in sled's own threads, a panic is one log line. It knows nothing of what is stored.

use std::cell::Cell;
use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;
use super::error::UNKNOWN;

thread_local! {
    /// Whether this thread is inside the fence.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}
/// Whether a thread of sled's own has died: whoever waits for what it had to write would wait for ever.
static BROKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Whether one of sled's own threads has died in this process, so that no write may begin any more.
pub(super) fn broken() -> bool {
    BROKEN.load(Ordering::Relaxed)
}

/// Puts the fence's panic hook before the one that is there. The first call counts.
pub(super) fn raise() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let sleds_own = std::thread::current().name().is_some_and(|name| name.starts_with("sled-io"));
            if sleds_own {
                BROKEN.store(true, Ordering::Relaxed);
            }
            if sleds_own || INSIDE.get() {
                tracing::error!(panic = %info, "sled failed");
            } else {
                before(info);
            }
        }));
    });
}

/// Does something with sled.
pub(super) fn fenced<T>(what: &str, work: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let outer = INSIDE.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(of_sled(what, error)),
        // What sled said stands in the log, by the hook.
        Err(_) => Err(StoreError::damaged(format!("{what}: sled can't make sense of its file `store/db`"), UNKNOWN)),
    }
}

fn of_sled(what: &str, error: sled::Error) -> StoreError {
    match error {
        // What sled says when it finds less than it wrote; the disk's own errors have other kinds.
        sled::Error::Io(source)
            if matches!(source.kind(), UnexpectedEof | InvalidData | InvalidInput | NotFound | Other) =>
        {
            StoreError::damaged(format!("{what}: {source}"), UNKNOWN)
        }
        sled::Error::Io(source) => StoreError::io(what, source),
        sled::Error::Corruption { .. } => {
            StoreError::damaged(format!("{what}: a part of `store/db` is spoilt"), UNKNOWN)
        }
        other => StoreError::damaged(format!("{what}: {other}"), UNKNOWN),
    }
}
