//! What every engine promises, asked of each in turn.
//!
//! A history of random steps runs against the engine and against a `BTreeMap`; after each step that could tell them apart
//! they must answer alike.

use std::collections::BTreeMap;
use std::path::Path;

use creel_protocol::store::{Batch, Store, StoreError};
use creel_storage::{Engine, KEY_BYTES_MAX, MemoryEngine, Options, SledEngine};
use proptest::prelude::*;

/// One thing that happens to an engine.
#[derive(Debug, Clone)]
enum Step {
    /// Writes under the numbered keys: a value of that many bytes, or a removal.
    Apply(Vec<(u8, Option<usize>)>),
    Sync,
    /// Scans between two numbered keys, at most so many.
    Scan(u8, u8, usize),
    /// Ends the run and opens the store again, where the engine can.
    Reopen,
}

/// Keys of which some are prefixes of others, and that hold the bytes chunk numbers and tags are made of.
fn key(number: u8) -> Vec<u8> {
    match number % 4 {
        0 => vec![b'k', number / 4],
        1 => [&[b'k', number / 4][..], &[0, 0, 0, number % 3]].concat(),
        2 => vec![number; 1 + usize::from(number)],
        _ => [&b"d"[..], &[0xff; 3][..usize::from(number % 3)]].concat(),
    }
}

/// Bytes that differ from place to place, so that two chunks in the wrong order are noticed.
fn value(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at / 7 + at / 4096 * 13 + seed) % 251).expect("below 251")).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Around the lengths at which a value gets its first chunk and its next.
    let length = prop_oneof![0..100_usize, 4_090..4_100_usize, 8_190..8_195_usize, 0..20_480_usize];
    let write = (any::<u8>(), proptest::option::weighted(0.8, length)).prop_map(|(key, length)| (key % 24, length));
    let step = prop_oneof![
        6 => proptest::collection::vec(write, 0..6).prop_map(Step::Apply),
        1 => Just(Step::Sync),
        3 => (0..24_u8, 0..24_u8, prop_oneof![0..5_usize, Just(usize::MAX)])
            .prop_map(|(from, to, limit)| Step::Scan(from, to, limit)),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Runs `steps` on `engine` and on a model. `reopen` ends the engine's run and gives the next.
fn check<E: Engine>(mut engine: E, mut reopen: impl FnMut(E) -> E, steps: &[Step]) {
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Apply(writes) => {
                let mut batch = Batch::default();
                for (at, length) in writes {
                    match length {
                        Some(length) => batch.put(key(*at), value(number, *length)),
                        None => batch.remove(key(*at)),
                    }
                }
                engine.apply(&batch).expect("applied");
                for (key, value) in batch.writes() {
                    match value {
                        Some(value) => model.insert(key.to_vec(), value.to_vec()),
                        None => model.remove(key),
                    };
                    assert_eq!(engine.get(key).expect("read"), model.get(key).cloned(), "visible at once");
                }
            }
            Step::Sync => engine.sync().expect("synced"),
            Step::Scan(from, to, limit) => {
                let (from, to) = (key(*from), key(*to));
                let between = |pair: &(&Vec<u8>, &Vec<u8>)| from <= *pair.0 && *pair.0 < to;
                let expected: Vec<_> = model
                    .iter()
                    .filter(between)
                    .take(*limit)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert!(engine.scan(&from, &to, *limit).expect("scanned") == expected, "{step:?}");
            }
            Step::Reopen => {
                engine.sync().expect("synced");
                engine = reopen(engine);
            }
        }
    }
    let all = engine.scan(b"", &[0xff; KEY_BYTES_MAX + 1], usize::MAX).expect("scanned");
    assert!(all == model.into_iter().collect::<Vec<_>>(), "everything, and nothing else, is there");
}

fn open(dir: &Path) -> SledEngine {
    // A checkpoint every few batches, so that reads find a part in sled and a part over it.
    let options = Options { checkpoint_bytes: 30_000, ..Options::device() };
    let opened = SledEngine::open(dir, options).expect("opened");
    assert_eq!(opened.set_aside, None, "nothing is damaged");
    opened.engine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The simulator's engine answers as a map does, and a crash right after a sync changes nothing.
    #[test]
    fn memory_answers_as_a_map_does(steps in steps()) {
        let crash = |mut engine: MemoryEngine| {
            engine.crash();
            engine
        };
        check(MemoryEngine::default(), crash, &steps);
    }

    /// sled, with its chunks and over restarts, answers as a map does, and keeps nothing in files it never syncs.
    #[test]
    fn sled_answers_as_a_map_does(steps in steps()) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let dir = home.path().join("store");
        let reopen = |engine: SledEngine| {
            assert_eq!(engine.blobs_in_use(), Ok(0), "every value is chunked small enough");
            drop(engine);
            open(&dir)
        };
        check(open(&dir), reopen, &steps);
    }
}

/// A batch with a key that is too long is refused, whole and alone, by both engines alike.
fn check_long_key(mut engine: impl Engine) {
    let mut batch = Batch::default();
    batch.put(b"a".to_vec(), b"1".to_vec());
    batch.put(vec![b'k'; KEY_BYTES_MAX + 1], b"2".to_vec());
    assert!(matches!(engine.apply(&batch), Err(StoreError::Failed(_))));
    assert_eq!(engine.get(b"a"), Ok(None));
    let mut batch = Batch::default();
    batch.put(vec![b'k'; KEY_BYTES_MAX], vec![7; 20_000]);
    assert_eq!(engine.apply(&batch), Ok(()));
    assert_eq!(engine.get(&[b'k'; KEY_BYTES_MAX]), Ok(Some(vec![7; 20_000])));
    assert_eq!(engine.sync(), Ok(()));
}

/// No key is cut short: what the engine cannot hold it refuses.
#[test]
fn a_key_that_is_too_long_is_refused() {
    let home = tempfile::tempdir().expect("a temporary directory");
    check_long_key(MemoryEngine::default());
    check_long_key(open(&home.path().join("store")));
}

/// Many entries of the greatest size, with the longest keys, stay out of sled's blob files.
#[test]
fn the_largest_entries_make_no_blobs() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut engine = open(&home.path().join("store"));
    for number in 0..300_u32 {
        let mut batch = Batch::default();
        let mut key = vec![b'k'; KEY_BYTES_MAX - 4];
        key.extend_from_slice(&number.to_be_bytes());
        batch.put(key, vec![1; 4_095]);
        engine.apply(&batch).expect("applied");
    }
    drop(engine);
    assert_eq!(open(&home.path().join("store")).blobs_in_use(), Ok(0));
}

/// In the simulator a power cut takes what was not synced, all of it and nothing else, and a clone is a device of its own.
#[test]
fn a_crash_of_memory_drops_what_was_not_synced() {
    let put = |engine: &mut MemoryEngine, key: &[u8], value: &[u8]| {
        let mut batch = Batch::default();
        batch.put(key.to_vec(), value.to_vec());
        engine.apply(&batch).expect("applied");
    };
    let mut engine = MemoryEngine::default();
    put(&mut engine, b"a", b"1");
    engine.sync().expect("synced");
    put(&mut engine, b"a", b"2");
    put(&mut engine, b"a", b"3");
    put(&mut engine, b"b", b"4");
    let mut clone = engine.clone();
    engine.crash();
    assert_eq!((engine.get(b"a"), engine.get(b"b")), (Ok(Some(b"1".to_vec())), Ok(None)));
    assert_eq!(clone.get(b"a"), Ok(Some(b"3".to_vec())));
    clone.crash();
    assert_eq!(clone.get(b"a"), Ok(Some(b"1".to_vec())));
}
