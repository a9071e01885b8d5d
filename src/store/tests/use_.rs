//! Appends, replays, checkpoints and records without mishap.

use super::*;

#[test]
fn the_store_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Store>();
}

#[test]
fn a_new_store_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("a/b")).unwrap();
    assert!(store.is_new());
    assert_eq!(store.last(), 0);
    assert!(store.manifest::<u8>().unwrap().is_none());
    assert!(entries(&store, 0).is_empty());
    store.pieces(|_, (): ()| panic!("a piece")).unwrap();
    assert_eq!(store.record(Table::Users, b"ann").unwrap(), None);
    assert!(store.records(Table::Users).unwrap().is_empty());
    assert!(store.failed().is_none());
    assert!(store.free_mib().unwrap() > 0);
}

#[test]
fn entries_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(1);
    let mut written = Vec::new();
    for _ in 0..3 {
        let store = open(folder.path()).unwrap();
        assert_eq!(entries(&store, 0), written);
        for _ in 0..20 {
            let entry = if dice.below(3) == 0 {
                let len = dice.below(20_000) as usize;
                record(Table::Server, b"blob", Some(&dice.bytes(len)))
            } else {
                put(dice.below(100) as u32, dice.roll() as i32)
            };
            written.push((append(&store, &entry), entry));
        }
    }
    let store = open(folder.path()).unwrap();
    assert_eq!(store.last(), 60);
    assert!(!store.is_new());
    assert_eq!(entries(&store, 0), written);
    assert_eq!(entries(&store, 50), written[50..]);
    assert!(matches!(store.replay(61, |_, _| Ok(())), Err(StoreError::NotHeld { after: 61, first: 1, last: 60 })));
    assert!(store.size_on_disk() > 10_000);
}

#[test]
fn an_append_that_another_preceded_is_refused_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    append(&store, &put(1, 1));
    append(&store, &put(2, 2));
    assert!(matches!(store.append(1, &put(3, 3)), Err(StoreError::Superseded { after: 1, last: 2 })));
    assert!(matches!(store.append(3, &put(3, 3)), Err(StoreError::Superseded { after: 3, last: 2 })));
    assert!(store.failed().is_none());
    append(&store, &put(4, 4));
    assert_eq!(entries(&store, 0).len(), 3);
}

#[test]
fn a_folder_is_open_in_one_place_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let refused = open(folder.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Locked { holder: Some(pid), .. } if pid == std::process::id()), "{refused}");
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn records_are_put_replaced_and_removed_with_their_entry() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let large = Dice(2).bytes(40_000);
    append(&store, &record(Table::Users, b"bob", Some(b"1")));
    append(&store, &record(Table::Users, b"al", Some(b"2")));
    append(&store, &record(Table::Users, b"", Some(&large)));
    append(&store, &record(Table::Clients, b"bob", Some(b"3")));
    let mut both = record(Table::Users, b"bob", Some(b"lost"));
    both.ops.extend(record(Table::Users, b"bob", Some(b"4")).ops);
    both.ops.extend(record(Table::Clients, b"nobody", None).ops);
    append(&store, &both);
    let check = |store: &Store, users: &[(&[u8], &[u8])]| {
        let users: Vec<_> = users.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(store.records(Table::Users).unwrap(), users);
        assert_eq!(store.record(Table::Clients, b"bob").unwrap().as_deref(), Some(&b"3"[..]));
        assert_eq!(store.record(Table::Clients, b"bo").unwrap(), None);
    };
    check(&store, &[(b"", &large), (b"al", b"2"), (b"bob", b"4")]);
    append(&store, &record(Table::Users, b"", Some(b"small")));
    append(&store, &record(Table::Users, b"al", None));
    check(&store, &[(b"", b"small"), (b"bob", b"4")]);
    drop(store);
    check(&open(folder.path()).unwrap(), &[(b"", b"small"), (b"bob", b"4")]);
    let store = open(folder.path()).unwrap();
    store.checkpoint().finish(store.last(), &()).unwrap();
    drop(store);
    check(&open(folder.path()).unwrap(), &[(b"", b"small"), (b"bob", b"4")]);
}

#[test]
fn a_key_that_is_too_long_is_refused_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let refused = store.append(0, &record(Table::Users, &[7; 513], Some(b"1")));
    assert!(matches!(refused, Err(StoreError::TooLarge { bytes: 513, most: 512 })));
    append(&store, &record(Table::Users, &[7; 512], Some(b"1")));
    assert_eq!(store.record(Table::Users, &[7; 512]).unwrap().unwrap(), b"1");
}

#[test]
fn a_checkpoint_and_the_entries_after_it_give_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(3);
    let mut live = Live::default();
    let mut store = open(folder.path()).unwrap();
    for round in 0..4u64 {
        for _ in 0..40 {
            live.commit(&store, &put(dice.below(400) as u32, dice.roll() as i32));
        }
        let mut checkpoint = store.checkpoint();
        live.write_chunks(&mut checkpoint, 8);
        checkpoint.finish(live.last, &round).unwrap();
        for _ in 0..10 {
            live.commit(&store, &put(dice.below(400) as u32, dice.roll() as i32));
        }
        assert_eq!(store.manifest::<u64>().unwrap(), Some((live.last - 10, round)));
        assert_eq!(Live::load(&store).unwrap(), live);
        drop(store);
        store = open(folder.path()).unwrap();
        assert_eq!(store.manifest::<u64>().unwrap(), Some((live.last - 10, round)));
        assert_eq!(Live::load(&store).unwrap(), live);
    }
}

#[test]
fn pieces_come_in_key_order_and_removed_ones_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let key = |system, chunk, column| PieceKey { system, chunk, column };
    let keys = [key(1, 0, 300), key(1, 2, 0), key(1, 256, 0), key(2, 0, 1)];
    let mut checkpoint = store.checkpoint();
    for key in keys.iter().rev() {
        checkpoint.put(*key, &vec![key.column; 9000]).unwrap();
    }
    checkpoint.put(key(9, 9, 9), &vec![1u32]).unwrap();
    checkpoint.remove(key(9, 9, 9)).unwrap();
    checkpoint.finish(0, &()).unwrap();
    let read = |store: &Store| {
        let mut read = Vec::new();
        store
            .pieces(|key, piece: Vec<u32>| {
                read.push((key, piece.len()));
                Ok(())
            })
            .unwrap();
        read
    };
    assert_eq!(read(&store), keys.map(|key| (key, 9000)));
    let mut checkpoint = store.checkpoint();
    checkpoint.remove(keys[0]).unwrap();
    checkpoint.put(keys[1], &vec![5u32]).unwrap();
    checkpoint.finish(0, &()).unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(read(&store), [(keys[1], 1), (keys[2], 9000), (keys[3], 9000)]);
    // 20 parts of the large ones, one of the small one, and nothing left of the removed ones.
    let parts = |len: usize| len.div_ceil(5_500);
    let packed = |n: usize| codec::encode(&vec![0u32; n]).unwrap().len() + parcel::HEADER;
    assert!(store.tables.pieces.len() <= 1 + 2 * parts(packed(9000)) + 4);
}

#[test]
fn a_checkpoint_drops_the_entries_behind_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let last = journal::WINDOW + 50;
    for number in 1..=last {
        append(&store, &put(number as u32, 0));
    }
    store.checkpoint().finish(last - 10, &()).unwrap();
    assert!(matches!(store.replay(39, |_, _| Ok(())), Err(StoreError::NotHeld { after: 39, first: 41, .. })));
    assert_eq!(entries(&store, 40).len() as u64, last - 40);
    let refused = store.checkpoint().finish(last - 11, &());
    assert!(matches!(refused, Err(StoreError::NotHeld { .. })), "a checkpoint never goes back");
    assert!(matches!(store.checkpoint().finish(last + 1, &()), Err(StoreError::NotHeld { .. })));
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(entries(&store, 40).len() as u64, last - 40);
    assert_eq!(append(&store, &put(1, 1)), last + 1);
}

#[test]
fn appends_go_on_beside_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let piece = Dice(4).bytes(60_000);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| fill(&store, 60));
        let mut checkpoint = store.checkpoint();
        let mut chunk = 0;
        while !writer.is_finished() || chunk < 20 {
            checkpoint.put(PieceKey { system: 1, chunk: chunk % 40, column: 0 }, &piece).unwrap();
            chunk += 1;
        }
        checkpoint.finish(0, &()).unwrap();
    });
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(entries(&store, 0).len(), 60);
    let mut pieces = 0;
    store
        .pieces(|_, read: Vec<u8>| {
            assert_eq!(read, piece);
            pieces += 1;
            Ok(())
        })
        .unwrap();
    assert!(pieces >= 20);
}

#[test]
fn a_record_is_read_whole_while_it_is_being_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let value = |round: u8| vec![round; 100_000 + usize::from(round) * 997];
    append(&store, &record(Table::Users, b"ann", Some(&value(0))));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..60 {
                append(&store, &record(Table::Users, b"ann", Some(&value(round))));
            }
        });
        while !writer.is_finished() {
            let read = store.record(Table::Users, b"ann").unwrap().unwrap();
            assert!(read == value(read[0]));
            assert_eq!(store.records(Table::Users).unwrap().len(), 1);
        }
    });
}

#[test]
fn sleds_blob_files_are_never_used() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let mut dice = Dice(5);
    for _ in 0..2 {
        append(&store, &record(Table::LastGood, b"shop", Some(&dice.bytes(5 << 20))));
    }
    for row in 0..300 {
        let size = dice.below(20_000) as usize;
        append(&store, &record(Table::Calls, &row.to_string().repeat(40).into_bytes(), Some(&dice.bytes(size))));
    }
    assert_eq!(blobs(folder.path()), 0);
    // 50 MiB in pieces of some 200 KB, most of it rewritten, some removed.
    for round in 0..2 {
        let mut checkpoint = store.checkpoint();
        for chunk in (0..256).filter(|chunk| round == 0 || chunk % 3 != 0) {
            let piece = serde_bytes::ByteBuf::from(dice.bytes(200 << 10));
            checkpoint.put(PieceKey { system: 1, chunk, column: 0 }, &piece).unwrap();
        }
        for chunk in 0..round * 40 {
            checkpoint.remove(PieceKey { system: 1, chunk, column: 0 }).unwrap();
        }
        checkpoint.finish(store.last(), &()).unwrap();
        assert_eq!(blobs(folder.path()), 0);
    }
    drop(store);
    assert_eq!(blobs(folder.path()), 0);
}

#[test]
fn a_full_disk_is_told_apart() {
    let full = StoreError::io("writing", std::io::Error::from_raw_os_error(28));
    assert!(matches!(full, StoreError::DiskFull { .. }));
    let broken = StoreError::io("writing", std::io::Error::from_raw_os_error(5));
    assert!(matches!(broken, StoreError::Io { .. }));
}

#[test]
fn nothing_is_acknowledged_after_a_failure_and_reading_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    append(&store, &record(Table::Users, b"ann", Some(b"1")));
    let _ = store.fail(StoreError::io("syncing the store", std::io::Error::from_raw_os_error(5)));
    assert!(store.failed().unwrap().contains("syncing the store"));
    assert!(matches!(store.append(1, &put(1, 1)), Err(StoreError::Failed(_))));
    assert!(matches!(store.checkpoint().finish(1, &()), Err(StoreError::Failed(_))));
    assert_eq!(store.record(Table::Users, b"ann").unwrap().unwrap(), b"1");
    assert_eq!(entries(&store, 0).len(), 1);
}

#[test]
fn a_table_is_read_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for (key, len) in [(b"b1", 1), (b"b2", 12_000), (b"b3", 1)] {
        append(&store, &record(Table::Audit, key, Some(&vec![7; len])));
    }
    append(&store, &record(Table::AccessRequests, b"c1", Some(b"other")));
    append(&store, &record(Table::Mail, b"a1", Some(b"other")));
    let keys = |from: &[u8], most| -> Vec<Vec<u8>> {
        store.records_from(Table::Audit, from, most).unwrap().into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys(b"", 9), [b"b1", b"b2", b"b3"]);
    assert_eq!(keys(b"b1", 2), [b"b1", b"b2"]);
    assert_eq!(keys(b"b2", 9), [b"b2", b"b3"]);
    assert_eq!(store.records_from(Table::Audit, b"b2", 1).unwrap()[0].1.len(), 12_000, "a record of several parts");
    assert!(keys(b"b4", 9).is_empty());
}
