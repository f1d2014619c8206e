//! Where things lie in the store. docs/storage.md specifies the same, with vectors.

use crate::cbor::{Decode, Encode, cbor_map};
use crate::id::{DeviceKey, Digest, DocumentId, EditId, FileHash, Tap, WorkflowId};
use crate::store::{Store, StoreError};

/// Everything under `prefix`: the range to scan.
pub fn under(prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut end = prefix.to_vec();
    // Every prefix begins with an ASCII letter, so there always is a byte to count up.
    while end.pop_if(|last| *last == 0xff).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (prefix.to_vec(), end)
}

/// A key of a letter and parts.
fn key(letter: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![letter];
    parts.iter().for_each(|part| key.extend(*part));
    key
}

/// `r` height: a roster entry; height 0 is the genesis.
pub fn roster(height: u64) -> Vec<u8> {
    key(b'r', &[&height.to_be_bytes()])
}

/// `e` document edit: an edit's bytes.
pub fn edit(document: &DocumentId, edit: &EditId) -> Vec<u8> {
    key(b'e', &[&document.0, &edit.0])
}

/// `e` document: all edits of a document.
pub fn edits(document: &DocumentId) -> Vec<u8> {
    key(b'e', &[&document.0])
}

/// `e` document short: the edits of a document whose ids begin like this.
pub fn edits_from(document: &DocumentId, short: &[u8]) -> Vec<u8> {
    key(b'e', &[&document.0, short])
}

/// Whether it is the key of an edit.
pub fn is_edit(key: &[u8]) -> bool {
    key.first() == Some(&b'e')
}

/// `d` document: its heads.
pub fn heads(document: &DocumentId) -> Vec<u8> {
    key(b'd', &[&document.0])
}

/// `j` sequence number: a journal entry.
pub fn journal(seq: u64) -> Vec<u8> {
    key(b'j', &[&seq.to_be_bytes()])
}

/// `i` edit: where an edit lies and how far it has come.
pub fn arrival(edit: &EditId) -> Vec<u8> {
    key(b'i', &[&edit.0])
}

/// `t` tap: the edit this device made for it.
pub fn tap(tap: &Tap) -> Vec<u8> {
    key(b't', &[&tap.0])
}

/// `q` tap: the edits that a request about several shipments made.
pub fn request(tap: &Tap) -> Vec<u8> {
    key(b'q', &[&tap.0])
}

/// `h` tap: digest of what that request asked for.
pub fn asked(tap: &Tap) -> Vec<u8> {
    key(b'h', &[&tap.0])
}

/// `w` edit: the hub is not known to have this edit.
pub fn waiting(edit: &EditId) -> Vec<u8> {
    key(b'w', &[&edit.0])
}

/// `c` device: the journal's prefix it has acknowledged.
pub fn cursor(peer: &DeviceKey) -> Vec<u8> {
    key(b'c', &[&peer.0])
}

/// `s` document: its summary.
pub fn summary(document: &DocumentId) -> Vec<u8> {
    key(b's', &[&document.0])
}

/// `n` hash-of-number document: the index of numbers.
pub fn number(number: &str, document: &DocumentId) -> Vec<u8> {
    key(b'n', &[&short_hash(number), &document.0])
}

/// `n` hash-of-number: all documents of a number.
pub fn number_prefix(number: &str) -> Vec<u8> {
    key(b'n', &[&short_hash(number)])
}

/// `p` hash-of-party document: the documents of a party.
pub fn party(party: &str, document: &DocumentId) -> Vec<u8> {
    key(b'p', &[&short_hash(party), &document.0])
}

/// `p` hash-of-party: all of them.
pub fn party_prefix(party: &str) -> Vec<u8> {
    key(b'p', &[&short_hash(party)])
}

/// `x` document: its summary is out of date.
pub fn stale(document: &DocumentId) -> Vec<u8> {
    key(b'x', &[&document.0])
}

/// `v` invite: an invite as the hub keeps it.
pub fn invite(invite: &Digest) -> Vec<u8> {
    key(b'v', &[&invite.0])
}

/// `f` photo document: records of the shipment name the photo; the devices that made them.
pub fn named_photo(photo: &FileHash, document: &DocumentId) -> Vec<u8> {
    key(b'f', &[&photo.0, &document.0])
}

/// `f` photo: all shipments that name it.
pub fn naming(photo: &FileHash) -> Vec<u8> {
    key(b'f', &[&photo.0])
}

/// `u` device photo: the device has named the photo, which is not known to be here.
pub fn wanted_photo(author: &DeviceKey, photo: &FileHash) -> Vec<u8> {
    key(b'u', &[&author.0, &photo.0])
}

/// The device and the photo in such a key.
pub fn wanted(key: &[u8]) -> Option<(DeviceKey, FileHash)> {
    let (author, photo) = key.get(1..)?.split_first_chunk()?;
    Some((DeviceKey(*author), FileHash(photo.try_into().ok()?)))
}

/// `u` device: all such photos of a device.
pub fn wanted_of(author: &DeviceKey) -> Vec<u8> {
    key(b'u', &[&author.0])
}

/// `a` photo: the hub is known to have it; since when.
pub fn photo_at_hub(photo: &FileHash) -> Vec<u8> {
    key(b'a', &[&photo.0])
}

/// `o` photo device: the photo came from that device.
pub fn photo_from(photo: &FileHash, device: &DeviceKey) -> Vec<u8> {
    key(b'o', &[&photo.0, &device.0])
}

/// `g` document: the digest of a document whose edits were let go of.
pub fn gone(document: &DocumentId) -> Vec<u8> {
    key(b'g', &[&document.0])
}

/// `l` device document: the device has let go of the document and is sent nothing more of it.
pub fn released(device: &DeviceKey, document: &DocumentId) -> Vec<u8> {
    key(b'l', &[&device.0, &document.0])
}

/// `l` device: all of a device.
pub fn released_by(device: &DeviceKey) -> Vec<u8> {
    key(b'l', &[&device.0])
}

/// `m` rules: the version of the rules that summaries were made under.
pub fn rules() -> Vec<u8> {
    key(b'm', &[b"rules"])
}

/// Texts of any length become keys of one length.
fn short_hash(text: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::derive_key("creel/index/1", text.as_bytes())[..16]);
    short
}

cbor_map! {
    /// Where an edit lies and how far it has come.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Arrival {
        /// Its document.
        1 => document: DocumentId,
        /// Its place in the journal.
        2 => seq: u64,
        /// When it arrived here, in milliseconds since the Unix epoch by this device's clock.
        3 => at: u64,
        /// When the hub was known to have it.
        4 => at_hub: Option<u64>,
    }
}

cbor_map! {
    /// What lists and scopes need of a document: a cache, made anew when it is stale.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Summary {
        /// The firm's own number.
        1 => number: String,
        /// The status: a step's key.
        2 => status: String,
        /// Exceptions of the view.
        6 => exceptions: u64,
        /// Who it goes to.
        7 => consignee: String,
        /// The driver's party.
        8 => driver: String,
        /// The run.
        9 => run: String,
        /// When it should arrive.
        10 => window: String,
        /// Every party the plan names or ever named.
        11 => parties: Vec<String>,
        /// Other documents with the same number.
        12 => twins: Vec<DocumentId>,
        /// How it has ended; empty while it has not.
        13 => outcome: String,
        /// The parties that the plan names now.
        14 => named: Vec<String>,
        /// How far along it is: the rank of its status.
        15 => rank: u64,
        /// Where it goes to.
        16 => address: String,
        /// The same on a map: `LAT,LON` in decimal degrees (WGS 84).
        17 => place: String,
        /// Which stop of its run.
        18 => stop: Option<i64>,
        /// When it was opened, by that device's clock; RFC 3339.
        19 => opened: String,
        /// When what is its status was recorded, by that device's clock; RFC 3339. Empty before the first record.
        20 => since: String,
        /// Messages in its thread that stand.
        21 => messages: u64,
        /// Lines of goods.
        22 => lines: u64,
        /// Kinds of its exceptions, each once; and `short`, `damaged`, `not_counted` where there is such a record.
        23 => kinds: Vec<String>,
        /// The name of its workflow.
        24 => workflow: String,
        /// The money due, in the currency's minor unit.
        25 => due: Option<i64>,
        /// The id of its workflow: of those with one name, it follows the one it was opened with.
        26 => workflow_id: Option<WorkflowId>,
        /// When it was signed for, as the first record of that which stands claims; RFC 3339.
        27 => signed: Option<String>,
    }
}

/// The last `N` bytes of a key, such as the document in an index.
pub fn tail<const N: usize>(key: &[u8]) -> Option<[u8; N]> {
    key.last_chunk().copied()
}

/// A value under a key, decoded. Damage shows as an error that names the key.
pub fn read<T: Decode>(store: &impl Store, key: &[u8]) -> Result<Option<T>, StoreError> {
    store.get(key)?.map(|bytes| decode(key, &bytes)).transpose()
}

/// What is only kept to save work, decoded: what can't be read is as good as absent, and made again.
pub fn cached<T: Decode>(store: &impl Store, key: &[u8]) -> Result<Option<T>, StoreError> {
    Ok(store.get(key)?.and_then(|bytes| T::from_cbor(&bytes).ok()))
}

/// Decodes a stored value.
pub fn decode<T: Decode>(key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    T::from_cbor(bytes).map_err(|error| {
        let letter = key.first().map_or('?', |letter| char::from(*letter));
        StoreError::Failed(format!("reading a stored “{letter}” record: {error}; run “creel doctor”"))
    })
}

/// Encodes for the store.
pub fn encode(value: &impl Encode) -> Vec<u8> {
    value.to_cbor()
}
