//! docs/storage.md and the code say the same: every vector that stands there is what the code writes, and reads back.

#[path = "../interop/vectors.rs"]
mod vectors;

use creel_protocol::cbor::{Bytes, Decode, Encode};
use creel_protocol::core::keys::{self, Arrival, Summary};
use creel_protocol::id::{DeviceKey, Digest, DocumentId, EditId, Tap, WorkflowId};
use creel_protocol::roster::Role;
use creel_protocol::roster::invite::Issued;
use creel_protocol::shipment::RULES;
use creel_protocol::store::{Batch, Store as _};
use creel_protocol::sync::JournalEntry;
use creel_storage::{Engine as _, Options, SledEngine};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use vectors::{Document, Vector};

const DOCUMENT: DocumentId = DocumentId([0x11; 24]);
const EDIT: EditId = EditId([0x22; 32]);
const DEVICE: DeviceKey = DeviceKey([0x33; 32]);
const AT: u64 = 1_772_366_400_000;
/// Bytes of the log's header, and of a record's head.
const LOG_HEADER: usize = 64;
const LOG_RECORD_HEAD: usize = 28;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

fn keys_vector() -> Vector {
    vec![
        ("r", hex(keys::roster(258))),
        ("e", hex(keys::edit(&DOCUMENT, &EDIT))),
        ("j", hex(keys::journal(258))),
        ("i", hex(keys::arrival(&EDIT))),
        ("t", hex(keys::tap(&Tap([0x44; 16])))),
        ("v", hex(keys::invite(&Digest([0x55; 32])))),
        ("d", hex(keys::heads(&DOCUMENT))),
        ("w", hex(keys::waiting(&EDIT))),
        ("c", hex(keys::cursor(&DEVICE))),
        ("s", hex(keys::summary(&DOCUMENT))),
        ("n", hex(keys::number("SO-1001", &DOCUMENT))),
        ("p", hex(keys::party("driver:li-wei", &DOCUMENT))),
        ("x", hex(keys::stale(&DOCUMENT))),
        ("o", hex(keys::photo_from(&creel_protocol::id::FileHash([0x66; 32]), &DEVICE))),
        ("g", hex(keys::gone(&DOCUMENT))),
        ("l", hex(keys::released(&DEVICE, &DOCUMENT))),
        ("m-rules", hex(keys::rules())),
    ]
}

fn heads() -> Vec<EditId> {
    vec![EDIT, EditId([0x23; 32])]
}

fn journal() -> [(&'static str, JournalEntry); 3] {
    let edit = |source| JournalEntry::Edit { document: DOCUMENT, edit: EDIT, source };
    [
        ("j-made-here", edit(None)),
        ("j-from-a-peer", edit(Some(DEVICE))),
        ("j-widen", JournalEntry::Widen { document: DOCUMENT, party: "shop:西湖".to_owned() }),
    ]
}

fn arrivals() -> [(&'static str, Arrival); 2] {
    let arrival = |at_hub| Arrival { document: DOCUMENT, seq: 258, at: AT, at_hub };
    [("i", arrival(None)), ("i-at-hub", arrival(Some(AT + 1_000)))]
}

fn summary() -> Summary {
    Summary {
        number: "SO-1001".to_owned(),
        status: "signed".to_owned(),
        exceptions: 1,
        consignee: "西湖渔具店".to_owned(),
        driver: "driver:li-wei".to_owned(),
        run: String::new(),
        window: String::new(),
        parties: vec!["driver:li-wei".to_owned()],
        twins: vec![DocumentId([0x12; 24])],
        outcome: "signed".to_owned(),
        named: vec!["driver:li-wei".to_owned()],
        rank: 80,
        address: "龙井路 1 号".to_owned(),
        place: "30.2500000,120.1500000".to_owned(),
        stop: Some(3),
        opened: "2026-03-01T08:00:00.000Z".to_owned(),
        since: "2026-03-01T12:00:00.000Z".to_owned(),
        messages: 2,
        lines: 1,
        kinds: vec!["number_twice".to_owned()],
        workflow: "standard".to_owned(),
        due: Some(12_800),
        workflow_id: Some(WorkflowId([0x13; 32])),
        signed: Some("2026-03-01T12:00:00.000Z".to_owned()),
    }
}

fn invites() -> [(&'static str, Issued); 2] {
    let invite = |redeemed| Issued {
        role: Role::Shop,
        party: Some("shop:西湖".to_owned()),
        name: "West Lake".to_owned(),
        expires: AT + 86_400_000,
        redeemed,
        secret: Bytes(vec![0x0a; 16]),
    };
    [("v", invite(None)), ("v-redeemed", invite(Some(DEVICE)))]
}

fn values_vector() -> Vector {
    let mut values = vec![("d", hex(heads().to_cbor()))];
    values.extend(journal().map(|(name, entry)| (name, hex(entry.to_cbor()))));
    values.extend(arrivals().map(|(name, arrival)| (name, hex(arrival.to_cbor()))));
    values.push(("t", hex((EDIT, DOCUMENT).to_cbor())));
    values.push(("c", hex(259_u64.to_cbor())));
    values.push(("s", hex(summary().to_cbor())));
    values.extend(invites().map(|(name, invite)| (name, hex(invite.to_cbor()))));
    values.push(("m-rules", hex(RULES.to_cbor())));
    values
}

fn roster_copy() -> Vec<Bytes> {
    let wire = Document::open("wire.md");
    ["genesis", "entry-enrol-hub"].map(|name| Bytes(wire.bytes(name, "bytes"))).to_vec()
}

/// The two batches of the log's vector.
fn batches() -> [Batch; 2] {
    let (mut first, mut second) = (Batch::default(), Batch::default());
    first.put(b"ab".to_vec(), b"one".to_vec());
    first.put(b"cd".to_vec(), Vec::new());
    second.put(b"ab".to_vec(), b"two".to_vec());
    second.remove(b"cd".to_vec());
    [first, second]
}

/// The log that the engine itself writes, cut into its parts.
fn log_vector() -> Vector {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut engine = SledEngine::open(folder.path(), Options::device()).expect("an empty store opens").engine;
    for batch in batches() {
        engine.apply(&batch).expect("it is applied");
        engine.sync().expect("it is synced");
    }
    let log = fs::read(folder.path().join("log.0")).expect("the log is there");
    let (header, rest) = log.split_at(LOG_HEADER);
    let length = |record: &[u8]| u32::from_be_bytes([record[0], record[1], record[2], record[3]]) as usize;
    let (first, rest) = rest.split_at(LOG_RECORD_HEAD + length(rest));
    let (second, rest) = rest.split_at(LOG_RECORD_HEAD + length(rest));
    assert!(rest.iter().all(|byte| *byte == 0), "zeros follow the last record");
    vec![("header", hex(header)), ("record-1", hex(first)), ("record-2", hex(second))]
}

/// What docs/storage.md shows is what this code writes, byte for byte.
#[test]
fn the_code_writes_the_vectors() {
    let expected: BTreeMap<&'static str, Vector> = BTreeMap::from([
        ("roster-copy", vec![("bytes", hex(roster_copy().to_cbor()))]),
        ("keys", keys_vector()),
        ("values", values_vector()),
        ("log", log_vector()),
    ]);
    Document::open("storage.md").check(&expected);
}

fn read_back<T: Decode + PartialEq + Debug>(document: &Document, key: &str, value: &T) {
    assert_eq!(T::from_cbor(&document.bytes("values", key)).as_ref(), Ok(value), "{key}");
}

/// What an older creel of this format stored, this one reads as the same values.
#[test]
fn the_values_read_back() {
    let document = Document::open("storage.md");
    read_back(&document, "d", &heads());
    journal().iter().for_each(|(name, entry)| read_back(&document, name, entry));
    arrivals().iter().for_each(|(name, arrival)| read_back(&document, name, arrival));
    read_back(&document, "t", &(EDIT, DOCUMENT));
    read_back(&document, "c", &259_u64);
    read_back(&document, "s", &summary());
    invites().iter().for_each(|(name, invite)| read_back(&document, name, invite));
    read_back(&document, "m-rules", &RULES);
    assert_eq!(Vec::from_cbor(&document.bytes("roster-copy", "bytes")), Ok(roster_copy()));
}

/// What a log ends with on opening: the values under `ab` and `cd`.
fn opened_with(log: &[u8]) -> [Option<Vec<u8>>; 2] {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("log.0"), log).expect("the log is written");
    let engine = SledEngine::open(folder.path(), Options::device()).expect("the store opens").engine;
    [b"ab", b"cd"].map(|key| engine.get(key).expect("it is read"))
}

/// A store whose log was written as docs/storage.md says holds every whole record of it, and of a torn one nothing.
#[test]
fn the_log_reads_back() {
    let document = Document::open("storage.md");
    let [header, first, second] = ["header", "record-1", "record-2"].map(|part| document.bytes("log", part));
    let after_one = [Some(b"one".to_vec()), Some(Vec::new())];
    let after_two = [Some(b"two".to_vec()), None];
    assert_eq!(opened_with(&[&header[..], &first, &[0; 512]].concat()), after_one);
    assert_eq!(opened_with(&[&header[..], &first, &second].concat()), after_two);
    assert_eq!(opened_with(&[&header[..], &first, &second[..second.len() - 1]].concat()), after_one);
    assert_eq!(opened_with(&[&header[..], &second, &first].concat()), [None, None]);
}
