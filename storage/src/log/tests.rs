//! The log's file format, and what a cut leaves of it.

use super::{Log, Mark, Read, encode};
use crate::guards::Guards;
use creel_protocol::store::Batch;
use std::fs;
use std::path::Path;

fn batch(key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::default();
    batch.put(key.to_vec(), value.to_vec());
    batch
}

fn append(log: &mut Log, batch: &Batch) {
    let mut writes = Vec::new();
    encode(batch, &mut writes);
    log.append(&writes).expect("appended");
}

fn open(dir: &Path, mark: &Mark) -> (Log, Vec<Batch>) {
    match Log::open(dir, mark, Guards::default()).expect("readable") {
        Read::Whole(log, batches) => (log, batches),
        Read::Gap(..) => panic!("nothing is missing"),
    }
}

/// The bytes on the disk are those that the module's documentation promises.
#[test]
fn a_file_is_laid_out_as_specified() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut log, _) = open(dir.path(), &Mark::first());
    let mut batch = batch(b"a", b"xyz");
    batch.remove(b"b".to_vec());
    append(&mut log, &batch);
    let writes = b"\x01a\0\0\0\x03xyz\x01b\xff\xff\xff\xff";
    let start = blake3::hash(b"creel log 1");
    let header = [&b"creellog\0\0\0\0\0\0\0\0"[..], start.as_bytes()].concat();
    let record = b"\0\0\0\x0f\0\0\0\0\0\0\0\x01";
    // The file's first record, so the check's key and the chain before are the same.
    let chain = blake3::keyed_hash(start.as_bytes(), &[&record[..], writes].concat());
    let check = blake3::hash(&header);
    let expected = [&header, &check.as_bytes()[..16], record, &chain.as_bytes()[..16], writes].concat();
    let found = fs::read(dir.path().join("log.0")).expect("read");
    assert_eq!(found[..expected.len()], expected);
    assert_eq!(found.len(), 256 * 1024);
    assert!(found[expected.len()..].iter().all(|byte| *byte == 0));
}

/// A bit that flipped in the middle is damage, not the end: what lies behind it was acknowledged, and can be saved.
#[test]
fn rot_in_the_middle_is_damage() {
    for spoilt in [8, 70, 64 + 2, 64 + 9, 64 + 20, 64 + 30] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (mut log, _) = open(dir.path(), &Mark::first());
        (0..9).for_each(|number| append(&mut log, &batch(b"key", &[number; 40])));
        let path = dir.path().join("log.0");
        let mut bytes = fs::read(&path).expect("read");
        // Somewhere in the fourth record, or in the file's own header.
        let at = if spoilt < 64 { spoilt } else { spoilt + 3 * (28 + 1 + 3 + 4 + 40) };
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).expect("written");
        let read = Log::open(dir.path(), &Mark::first(), Guards::default()).expect("readable");
        if spoilt < 64 {
            continue;
        }
        assert!(matches!(read, Read::Gap(3, 5)), "byte {at}: {read:?}");
        let (saved, complete) = super::salvage(dir.path()).expect("readable");
        assert!(!complete);
        assert_eq!(saved.len(), 8, "byte {at}: all but the one that rotted");
    }
}

/// What is left of an earlier round is not read again, though whole records of it lie right behind the new ones.
#[test]
fn an_earlier_round_is_not_read_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut log, _) = open(dir.path(), &Mark::first());
    (0..3).for_each(|number| append(&mut log, &batch(b"old", &[number])));
    log.switch().expect("switched");
    append(&mut log, &batch(b"between", b"1"));
    let mark = log.next_mark();
    log.switch().expect("switched");
    append(&mut log, &batch(b"new", b"2"));
    assert_eq!(open(dir.path(), &mark).1, [batch(b"new", b"2")]);
}

/// A record of which the end is missing is not there at all, and the next one takes its place.
#[test]
fn a_torn_record_ends_the_log() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut log, _) = open(dir.path(), &Mark::first());
    append(&mut log, &batch(b"a", &[1; 600]));
    append(&mut log, &batch(b"b", &[2; 600]));
    let path = dir.path().join("log.0");
    let mut bytes = fs::read(&path).expect("read");
    bytes[1_024..1_536].fill(0);
    fs::write(&path, bytes).expect("written");
    let (mut log, batches) = open(dir.path(), &Mark::first());
    assert_eq!(batches, [batch(b"a", &[1; 600])]);
    let unchecked = Guards { check_records: false, ..Guards::default() };
    let Read::Whole(_, batches) = Log::open(dir.path(), &Mark::first(), unchecked).expect("readable") else {
        panic!("nothing is missing")
    };
    assert_eq!(batches.len(), 2, "without the check half a record would be taken");
    append(&mut log, &batch(b"c", b"3"));
    assert_eq!(open(dir.path(), &Mark::first()).1, [batch(b"a", &[1; 600]), batch(b"c", b"3")]);
}
