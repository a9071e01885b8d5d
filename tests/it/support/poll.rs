//! Waiting for what is asynchronous by contract. The only place among the tests that may sleep.

use std::time::{Duration, Instant};

/// How long a change on disk may take to be live before a test gives up. Generous: speed is measured elsewhere.
const LIVE: Duration = Duration::from_secs(20);

/// Asks until there is an answer, and fails with the last reason when [`LIVE`] has passed.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(reason) if start.elapsed() > LIVE => panic!("{what}: not within {LIVE:?}; last: {reason}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Whether the long forms are run: `ROLLCALL_NIGHTLY=1`, which `tests/run --nightly` sets.
pub fn nightly() -> bool {
    std::env::var("ROLLCALL_NIGHTLY").is_ok_and(|value| value == "1")
}
