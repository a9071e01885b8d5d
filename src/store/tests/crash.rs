//! What a killed process or a power cut leaves, and what someone's hand did to the folder.

use super::*;

/// Opens sled's folder of a closed store past the store.
fn with_sled(folder: &Path, work: impl FnOnce(&sled::Db)) {
    let db = loop {
        // A thread of sled's may still hold the file of the store that was closed.
        match sled::Config::new().path(folder.join("store")).flush_every_ms(None).open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                std::thread::yield_now()
            }
            other => break other.unwrap(),
        }
    };
    work(&db);
}

/// A store of so many entries, closed.
fn filled(entries: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store, entries);
    drop(store);
    folder
}

fn refusal(folder: &Path) -> (String, String) {
    match open(folder).and_then(|store| Live::load(&store).map(drop)) {
        Err(StoreError::Damaged { what, missing, folder: named }) => {
            assert_eq!(named, folder);
            (what, missing)
        }
        Err(other) => panic!("{other}"),
        Ok(()) => panic!("it opened"),
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(6);
    let mut live = Live::default();
    let store = open(&folder.path().join("0")).unwrap();
    for round in 1..6 {
        for _ in 0..dice.below(40) {
            live.commit(&store, &put(dice.below(200) as u32, dice.roll() as i32));
        }
        let killed = folder.path().join(round.to_string());
        copy(&folder.path().join("0"), &killed);
        let found = open(&killed).unwrap();
        assert_eq!(Live::load(&found).unwrap(), live);
        append(&found, &put(0, 0));
    }
}

#[test]
fn a_process_killed_while_it_writes_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(9);
    let mut acknowledged = 0;
    for round in 0..5 {
        let mut writer = apart::start(apart::WRITE, folder.path());
        let enough = acknowledged + 50 + dice.below(200);
        while apart::acknowledged(folder.path()) < enough {
            assert!(writer.try_wait().unwrap().is_none(), "the writer ended");
            std::thread::yield_now();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        acknowledged = apart::acknowledged(folder.path());
        let store = open(folder.path()).unwrap();
        assert!((acknowledged..=acknowledged + 1).contains(&store.last()), "round {round}");
        assert_eq!(Live::load(&store).unwrap(), apart::live_after(store.last()), "round {round}");
    }
}

#[test]
fn a_write_that_fails_ends_the_handle_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    // Files can't grow beyond 1 MiB there.
    let limited = apart::run_limited(apart::WRITE, folder.path());
    assert!(limited.contains("File too large") && limited.contains("takes no more writes"), "{limited}");
    let store = open(folder.path()).unwrap();
    let acknowledged = apart::acknowledged(folder.path());
    assert!(acknowledged > 0);
    assert!((acknowledged..=acknowledged + 1).contains(&store.last()));
    assert_eq!(Live::load(&store).unwrap(), apart::live_after(store.last()));
    append(&store, &put(1, 1));
}

#[test]
fn a_kill_within_a_checkpoint_leaves_the_one_before_and_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(7);
    let mut live = Live::default();
    let mut place = folder.path().join("0");
    for round in 0..8u32 {
        let store = open(&place).unwrap();
        assert_eq!(Live::load(&store).unwrap(), live, "round {round}");
        for _ in 0..30 {
            let row = dice.below(600) as u32;
            let gone = Entry { at: 0, ops: vec![Op::Delete { system: 1, row }] };
            live.commit(&store, &if dice.below(4) == 0 { gone } else { put(row, dice.roll() as i32) });
        }
        let mut checkpoint = store.checkpoint();
        live.write_chunks(&mut checkpoint, 3 * (round % 5));
        if round % 3 == 2 {
            live.write_chunks(&mut checkpoint, 12);
            checkpoint.finish(live.last, &0u64).unwrap();
        } else {
            // Up to here it gets, and no further.
            store.sync().unwrap();
            drop(checkpoint);
        }
        place = folder.path().join((round + 1).to_string());
        copy(&folder.path().join(round.to_string()), &place);
    }
    assert_eq!(Live::load(&open(&place).unwrap()).unwrap(), live);
}

#[test]
fn records_that_a_crash_left_out_are_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    append(&store, &record(Table::Users, b"ann", Some(b"1")));
    append(&store, &record(Table::Users, b"bob", Some(b"2")));
    append(&store, &record(Table::Users, b"bob", Some(b"3")));
    drop(store);
    with_sled(folder.path(), |db| db.open_tree("records").unwrap().clear().unwrap());
    let store = open(folder.path()).unwrap();
    assert_eq!(store.record(Table::Users, b"ann").unwrap().unwrap(), b"1");
    assert_eq!(store.record(Table::Users, b"bob").unwrap().unwrap(), b"3");
    store.checkpoint().finish(3, &()).unwrap();
    append(&store, &record(Table::Users, b"bob", Some(b"4")));
    drop(store);
    with_sled(folder.path(), |db| db.open_tree("records").unwrap().clear().unwrap());
    // Now the journal alone can't tell ann's.
    assert!(refusal(folder.path()).0.contains("records"));
}

#[test]
fn a_torn_tail_that_was_never_acknowledged_is_dropped() {
    let folder = filled(5);
    with_sled(folder.path(), |db| {
        let journal = db.open_tree("journal").unwrap();
        journal.insert(parcel::key(&6u64.to_be_bytes(), 1), vec![1; 90]).unwrap();
        journal.insert(parcel::key(&8u64.to_be_bytes(), 0), vec![1; 90]).unwrap();
    });
    let store = open(folder.path()).unwrap();
    assert_eq!(store.last(), 5);
    assert_eq!(append(&store, &put(9, 9)), 6);
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(entries(&store, 5), [(6, put(9, 9))]);
}

#[test]
fn an_entry_of_which_a_crash_left_some_parts_only_is_dropped() {
    let long = Entry {
        at: 0,
        ops: vec![Op::Put {
            system: 1,
            row: 1,
            id: None,
            touched: None,
            sets: vec![(1, Cell::S("x".repeat(20_000).into()))],
            clears: vec![],
        }],
    };
    for lost in 0..4 {
        let folder = filled(5);
        let seal = fs::read(folder.path().join("seal")).unwrap();
        append(&open(folder.path()).unwrap(), &long);
        fs::write(folder.path().join("seal"), seal).unwrap();
        with_sled(folder.path(), |db| {
            let journal = db.open_tree("journal").unwrap();
            for part in lost..4 {
                assert!(journal.remove(parcel::key(&6u64.to_be_bytes(), part)).unwrap().is_some());
            }
        });
        let store = open(folder.path()).unwrap();
        assert_eq!(store.last(), 5, "{lost} of 4 parts");
        append(&store, &put(9, 9));
        drop(store);
        assert_eq!(entries(&open(folder.path()).unwrap(), 5), [(6, put(9, 9))]);
    }
}

#[test]
fn a_seal_that_a_power_cut_left_behind_the_store_is_good() {
    let folder = filled(5);
    let seal = fs::read(folder.path().join("seal")).unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store, 5);
    store.checkpoint().finish(5, &()).unwrap();
    drop(store);
    fs::write(folder.path().join("seal"), seal).unwrap();
    assert_eq!(open(folder.path()).unwrap().last(), 10);
}

#[test]
fn a_store_shorter_than_its_seal_is_refused_with_what_is_missing() {
    let folder = filled(5);
    let short = tempfile::tempdir().unwrap();
    copy(folder.path(), short.path());
    let store = open(folder.path()).unwrap();
    fill(&store, 5);
    drop(store);
    fs::copy(folder.path().join("seal"), short.path().join("seal")).unwrap();
    let (what, missing) = refusal(short.path());
    assert_eq!(missing, "the journal entries 6 to 10", "{what}");
    // Refused once, it stays refused.
    assert_eq!(refusal(short.path()).1, missing);
    let text = open(short.path()).err().unwrap().to_string();
    assert!(text.contains("last backup") && text.contains(&*short.path().to_string_lossy()), "{text}");
}

#[test]
fn a_gap_a_changed_entry_and_another_history_are_refused() {
    let gap = filled(9);
    with_sled(gap.path(), |db| {
        let _ = db.open_tree("journal").unwrap().remove(parcel::key(&4u64.to_be_bytes(), 0)).unwrap();
    });
    assert_eq!(refusal(gap.path()).1, "the journal entries 4 to 9");

    let changed = filled(9);
    with_sled(changed.path(), |db| {
        let journal = db.open_tree("journal").unwrap();
        let key = parcel::key(&9u64.to_be_bytes(), 0);
        let mut value = journal.get(&key).unwrap().unwrap().to_vec();
        *value.last_mut().unwrap() ^= 1;
        journal.insert(key, value).unwrap();
    });
    assert_eq!(refusal(changed.path()).1, "journal entry 9");

    let other = tempfile::tempdir().unwrap();
    let store = open(other.path()).unwrap();
    for row in 0..9 {
        append(&store, &put(row, 77));
    }
    drop(store);
    fs::copy(filled(9).path().join("seal"), other.path().join("seal")).unwrap();
    assert!(refusal(other.path()).0.contains("not the one that was acknowledged"));
}

#[test]
fn a_missing_seal_store_or_checkpoint_is_refused() {
    let folder = filled(3);
    fs::remove_file(folder.path().join("seal")).unwrap();
    assert!(refusal(folder.path()).0.contains("`seal`"));

    let folder = filled(3);
    fs::remove_dir_all(folder.path().join("store")).unwrap();
    assert_eq!(refusal(folder.path()).1, "all journal entries, 1 to 3");

    let folder = filled(3);
    let store = open(folder.path()).unwrap();
    store.checkpoint().finish(3, &()).unwrap();
    drop(store);
    with_sled(folder.path(), |db| assert!(db.drop_tree("meta").unwrap()));
    assert!(refusal(folder.path()).1.contains("checkpoint 1"));
}

#[test]
fn a_missing_or_older_piece_is_refused() {
    let key = PieceKey { system: 1, chunk: 0, column: 0 };
    let twice = || {
        let folder = filled(3);
        let store = open(folder.path()).unwrap();
        let live = Live::load(&store).unwrap();
        for _ in 0..2 {
            let mut checkpoint = store.checkpoint();
            live.write_chunks(&mut checkpoint, 1);
            checkpoint.finish(3, &0u64).unwrap();
        }
        drop(store);
        folder
    };
    let folder = twice();
    with_sled(folder.path(), |db| db.open_tree("pieces").unwrap().clear().unwrap());
    assert_eq!(refusal(folder.path()).1, "1 of its 1 pieces");

    let folder = twice();
    let bytes = codec::encode(&BTreeMap::from([(1u32, 1i32)])).unwrap();
    with_sled(folder.path(), |db| {
        let prefix: Vec<u8> =
            [key.system, key.chunk, key.column].iter().flat_map(|number| number.to_be_bytes()).collect();
        let mut buffer = parcel::buffer();
        buffer.extend_from_slice(&bytes);
        let mut batch = sled::Batch::default();
        parcel::pack(&prefix, 1, buffer).unwrap().put(&mut batch, &prefix, 0);
        db.open_tree("pieces").unwrap().apply_batch(batch).unwrap();
    });
    assert!(refusal(folder.path()).0.contains("not the version"));
}

#[test]
fn a_store_of_a_newer_format_is_refused_as_such() {
    let folder = filled(1);
    with_sled(folder.path(), |db| drop(db.open_tree("meta").unwrap().insert("format", &9u32.to_be_bytes()).unwrap()));
    assert!(matches!(open(folder.path()), Err(StoreError::TooNew { found: 9, known: 1 })));
}

#[test]
fn a_half_made_store_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    fs::remove_dir_all(folder.path().join("store")).unwrap();
    fs::write(folder.path().join("seal.new"), "half").unwrap();
    append(&open(folder.path()).unwrap(), &put(1, 1));
    assert_eq!(open(folder.path()).unwrap().last(), 1);
}
