//! Files cut short, flipped, zeroed, stale: a damaged store is refused in words, or nothing of it is missing.
//!
//! Each case is opened in a process of its own, as a server would, because sled's threads are the process's.

use std::fmt::Write as _;
use std::io::{Seek, SeekFrom, Write as _};

use xxhash_rust::xxh3::xxh3_64;

use super::*;

/// Cases of each kind; `ROLLCALL_TEST_DAMAGE_ROUNDS` sets another number.
const ROUNDS: u64 = 8;

/// Everything in the store, as one number.
pub(super) fn everything(folder: &Path) -> Result<u64, StoreError> {
    let store = open(folder)?;
    let mut all = String::new();
    let live = Live::load(&store)?;
    let _ = write!(all, "{} {live:?}", store.last());
    for table in [Table::Users, Table::Calls] {
        let _ = write!(all, "{:?}", store.records(table)?);
    }
    Ok(xxh3_64(all.as_bytes()))
}

/// A store with a past: entries, records and checkpoints over several openings, and a snapshot of an earlier one.
struct Base {
    folder: tempfile::TempDir,
    stale: Vec<(String, Vec<u8>)>,
    hash: u64,
}

fn snapshots(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(folder.join("store"))
        .unwrap()
        .map(|item| item.unwrap())
        .filter(|item| item.file_name().to_string_lossy().starts_with("snap."))
        .map(|item| (item.file_name().to_string_lossy().into_owned(), fs::read(item.path()).unwrap()))
        .collect()
}

fn base() -> Base {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(8);
    let mut live = Live::default();
    let mut stale = Vec::new();
    for round in 0..3u64 {
        let store = open(folder.path()).unwrap();
        if round == 1 {
            stale = snapshots(folder.path());
        }
        for _ in 0..1000 {
            let mut entry = put(dice.below(40_000) as u32, dice.roll() as i32);
            if dice.below(10) == 0 {
                let size = dice.below(3_000) as usize;
                let key = dice.below(60).to_string();
                entry.ops.extend(record(Table::Calls, key.as_bytes(), Some(&dice.bytes(size))).ops);
            }
            live.commit(&store, &entry);
        }
        live.commit(&store, &record(Table::Users, b"ann", Some(&dice.bytes(200))));
        let mut checkpoint = store.checkpoint();
        live.write_chunks(&mut checkpoint, 800);
        checkpoint.finish(live.last - 300, &round).unwrap();
    }
    assert!(!stale.is_empty());
    let whole = tempfile::tempdir().unwrap();
    copy(folder.path(), whole.path());
    let hash = everything(whole.path()).unwrap();
    Base { folder, stale, hash }
}

/// What each kind does to a folder.
type Damage = fn(&Base, &mut Dice, &Path);

fn data(folder: &Path) -> (fs::File, u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(folder.join("store/db")).unwrap();
    let len = file.metadata().unwrap().len();
    (file, len)
}

fn truncate(_: &Base, dice: &mut Dice, folder: &Path) {
    let (file, len) = data(folder);
    file.set_len(dice.below(len)).unwrap();
}

fn flip(path: &Path, dice: &mut Dice) {
    let mut bytes = fs::read(path).unwrap();
    let at = dice.below(bytes.len() as u64) as usize;
    bytes[at] ^= 1 << dice.below(8);
    fs::write(path, bytes).unwrap();
}

fn zero(_: &Base, dice: &mut Dice, folder: &Path) {
    let (mut file, len) = data(folder);
    file.seek(SeekFrom::Start(dice.below(len / 4096) * 4096)).unwrap();
    file.write_all(&[0; 4096]).unwrap();
}

fn go_stale(base: &Base, _: &mut Dice, folder: &Path) {
    for (name, _) in snapshots(folder) {
        fs::remove_file(folder.join("store").join(name)).unwrap();
    }
    for (name, bytes) in &base.stale {
        fs::write(folder.join("store").join(name), bytes).unwrap();
    }
}

fn leave_generating(_: &Base, dice: &mut Dice, folder: &Path) {
    let bytes = dice.bytes(1000);
    let len = dice.below(1000) as usize;
    fs::write(folder.join("store/snap.00000000FFFFFFFF.generating"), &bytes[..len]).unwrap();
}

fn flip_snapshot(_: &Base, dice: &mut Dice, folder: &Path) {
    let (name, _) = snapshots(folder).remove(0);
    flip(&folder.join("store").join(name), dice);
}

/// Opens `rounds` damaged copies; how many came up intact.
fn intact_of(base: &Base, seed: u64, rounds: u64, damage: Damage) -> u64 {
    let mut dice = Dice(seed);
    let mut intact = 0;
    for round in 0..rounds {
        let folder = tempfile::tempdir().unwrap();
        copy(base.folder.path(), folder.path());
        damage(base, &mut dice, folder.path());
        let said = apart::run(apart::READ, folder.path());
        match said.split_once(' ') {
            Some(("intact", hash)) => {
                assert_eq!(hash, base.hash.to_string(), "round {round}: it opened and something is missing");
                intact += 1;
            }
            Some(("refused", text)) => {
                assert!(text.contains("damaged") && text.contains("last backup"), "round {round}: {text}");
                assert_eq!(
                    apart::run(apart::READ, folder.path()).split_once(' ').unwrap().0,
                    "refused",
                    "round {round}: only once"
                );
            }
            _ => panic!("{said}"),
        }
    }
    intact
}

#[test]
fn a_damaged_store_is_refused_or_whole() {
    let rounds = std::env::var("ROLLCALL_TEST_DAMAGE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let base = base();
    let kinds: [(&str, Damage); 8] = [
        ("truncated", truncate),
        ("flipped", |_, dice, folder| flip(&folder.join("store/db"), dice)),
        ("zeroed", zero),
        ("stale snapshot", go_stale),
        ("left-over snapshot", leave_generating),
        ("flipped snapshot", flip_snapshot),
        ("flipped seal", |_, dice, folder| flip(&folder.join("seal"), dice)),
        ("flipped conf", |_, dice, folder| flip(&folder.join("store/conf"), dice)),
    ];
    let mut intact = BTreeMap::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (1..)
            .zip(kinds)
            .map(|(seed, (name, damage))| {
                (
                    name,
                    scope.spawn({
                        let base = &base;
                        move || intact_of(base, seed, rounds, damage)
                    }),
                )
            })
            .collect();
        for (name, run) in runs {
            intact.insert(name, run.join().unwrap());
        }
    });
    // What is only a short cut must not cost the store.
    assert_eq!(intact["left-over snapshot"], rounds);
    assert_eq!(intact["flipped snapshot"], rounds);
    assert_eq!(intact["flipped conf"], rounds);
    assert_eq!(intact["flipped seal"], rounds);
    assert!(intact["truncated"] < rounds, "{intact:?}");
}
