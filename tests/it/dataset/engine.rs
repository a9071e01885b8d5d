//! Counts of the engine in this process, against a plain scan and against a database's.

use rollcall::cli::bench::condition::Condition;
use rollcall::cli::bench::dataset::{EndUser, SEED};
use rollcall::cli::bench::filters::{Filter, filters};
use rollcall::cli::bench::segments::{PUBLISHED, segments};

use super::loading;

const ROWS: u64 = 100_000;
/// Stored once the segments are live, so that these end users' memberships are judged at each write, the others' by scanning.
const LATE: u64 = 10_000;
/// What `DuckDB` counts among the first 100,000 end users: by the filters `a` to `e`, and by the 50 segments.
const OF_FILTERS: [u64; 5] = [9960, 10_055, 8079, 391, 30_200];
const OF_SEGMENTS: [u64; PUBLISHED] = [
    62673, 41617, 10255, 1716, 2795, 52558, 36811, 7949, 1169, 967, 27710, 19132, 5709, 913, 1745, 28155, 20470, 4422,
    652, 777, 17607, 12338, 2492, 350, 1279, 16974, 12424, 2694, 477, 621, 21720, 15368, 3088, 417, 227, 15634, 14093,
    2959, 481, 801, 9035, 6318, 1249, 186, 152, 5372, 3503, 608, 138, 212,
];

/// How many fulfil each condition, end user by end user, by the values as they were made.
fn plain_scan(conditions: &[&Condition]) -> Vec<u64> {
    let mut counts = vec![0; conditions.len()];
    for end_user in (0..ROWS).map(|row| EndUser::new(SEED, row)) {
        for (count, condition) in counts.iter_mut().zip(conditions) {
            *count += u64::from(condition.holds(&end_user));
        }
    }
    counts
}

#[test]
fn a_hundred_thousand_end_users_are_counted_as_a_plain_scan_and_a_database_do() {
    let (filters, segments) = (filters(), segments(PUBLISHED));
    let scanned = plain_scan(
        &filters.iter().map(|f| &f.condition).chain(segments.iter().map(|s| &s.condition)).collect::<Vec<_>>(),
    );
    assert_eq!(scanned, [OF_FILTERS.as_slice(), &OF_SEGMENTS].concat(), "the plain scan and the database agree");

    let folder = tempfile::tempdir().unwrap();
    let engine = loading::start(folder.path()).unwrap();
    let live = loading::rules(&segments).unwrap();
    loading::adopt(&engine, &loading::rules(&[]).unwrap()).unwrap();
    loading::load(&engine, 0..ROWS - LATE).unwrap();
    loading::adopt(&engine, &live).unwrap();
    loading::load(&engine, ROWS - LATE..ROWS).unwrap();

    let reader = loading::reader(&engine).unwrap();
    let drafts = loading::rules(&filters.each_ref().map(Filter::segment)).unwrap();
    let counted = filters.each_ref().map(|filter| loading::count(&reader, &drafts, &filter.segment().id).unwrap());
    assert_eq!(counted, OF_FILTERS, "by the five filters");
    let asked: Vec<u64> = segments.iter().map(|segment| loading::count(&reader, &live, &segment.id).unwrap()).collect();
    assert_eq!(asked, OF_SEGMENTS, "by the segments' rules, asked as questions");
    // The segments' ids rise as their numbers do.
    let members: Vec<u64> = reader.segment_counts().into_iter().map(|(_, count)| count).collect();
    assert_eq!(members, OF_SEGMENTS, "in the live segments");
    engine.stop();
}
