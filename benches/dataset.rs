//! What the benchmark's own side costs: making end users, and judging them plainly. The load generator shares the
//! machine with the server, so this is time that a server under load does not have.
//!
//! `cargo bench --bench dataset`

mod timing;

use std::io;

use rollcall::cli::bench::dataset::{EndUser, SEED, write_csv};
use rollcall::cli::bench::segments::{MAX_SEGMENTS, segments};

/// End users in a round.
const ROWS: u32 = 2000;

fn main() -> io::Result<()> {
    let mut out = Vec::new();
    timing::measure("an end user as CSV", ROWS, || {
        out.clear();
        write_csv(u64::from(ROWS), SEED, &mut out)
    })?;
    let mut first = Vec::new();
    EndUser::new(SEED, 0).write_csv(&mut first)?;
    let first_line = out.split_inclusive(|&byte| byte == b'\n').nth(1);
    assert_eq!(first_line, Some(first.as_slice()), "the first line after the header is the first end user");
    let mut records = Vec::new();
    timing::measure("an end user as a JSON record", ROWS, || {
        records.clear();
        (0..u64::from(ROWS)).try_for_each(|row| EndUser::new(SEED, row).write_json(&mut records))
    })?;
    let segments = segments(MAX_SEGMENTS);
    let members = || {
        let judged = (0..u64::from(ROWS)).map(|row| {
            let user = EndUser::new(SEED, row);
            segments.iter().filter(|segment| segment.condition.holds(&user)).count()
        });
        judged.sum::<usize>()
    };
    assert_eq!(members(), MEMBERS, "the members of 50 segments among the first end users");
    timing::measure("50 segments of an end user, plainly", ROWS, members)
}

/// Memberships of the first [`ROWS`] end users in the 50 segments, by another implementation.
const MEMBERS: usize = 9781;
