//! Timing of work in this process: rounds, their median and spread.
//!
//! A plain loop instead of a framework: what is measured here takes long enough that a clock read is nothing beside it,
//! and nothing has to be built besides.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

/// Rounds of each measurement, after one that is not counted.
const ROUNDS: usize = 11;

/// Does the work in rounds and prints what one of its `items` takes, in nanoseconds.
///
/// # Errors
/// When standard output can't be written.
pub(crate) fn measure<T>(name: &str, items: u32, mut work: impl FnMut() -> T) -> io::Result<()> {
    let mut nanos = Vec::with_capacity(ROUNDS);
    black_box(work());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(work());
        nanos.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(items));
    }
    nanos.sort_by(f64::total_cmp);
    let at = |place: usize| nanos.get(place).copied().unwrap_or_default();
    let (min, median, max) = (at(0), at(ROUNDS / 2), at(ROUNDS - 1));
    writeln!(io::stdout(), "{name:<40} {median:>9.1} ns ({min:.1}–{max:.1})")
}
