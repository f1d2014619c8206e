//! An edit: one signed, immutable statement by one device about one document.
//!
//! What is frozen for ever is here: the encoding, the limits and the signature. What an action means is not (see
//! `shipment`): an edit whose action this version does not understand is kept and passed on all the same.

pub mod action;
pub mod causal;

use crate::cbor::{Bytes, CborError, Decode, Encode, MapReader, Reader, Writer, cbor_map};
use crate::cose::{self, CoseError, Purpose, Sign1};
use crate::id::{DeviceKey, DocumentId, EditId, EntryId, OrganisationId, Tap};
use ed25519_dalek::SigningKey;

/// Bytes of a whole edit, signature included.
pub const EDIT_BYTES_MAX: usize = 16 * 1024;
/// Predecessors an edit may name.
pub const AFTER_MAX: usize = 64;
/// Bytes of the name under `by`.
pub const BY_BYTES_MAX: usize = 128;
/// Edits of one author about one document that count; one that knows so many is void.
pub const EDITS_PER_AUTHOR_MAX: usize = 2_000;
/// The same of one person at a device that others use too, so that one can't use up the others' share.
pub const EDITS_PER_PERSON_MAX: usize = 500;

/// An action whose meaning is not looked at: admission knows that it is well encoded, and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAction {
    /// Which kind of action (`Open`, `Record`, ...).
    pub kind: u64,
    /// The version of that kind's body.
    pub version: u64,
    /// The body's encoding, a map.
    pub body: Bytes,
}

impl RawAction {
    /// The kinds that other edits can name. The number alone decides: an edit of a later version is of its kind too.
    pub const RECORD: u64 = 3;
    /// A measured value.
    pub const MEASURE: u64 = 4;
    /// A message.
    pub const SAY: u64 = 5;
}

impl Encode for RawAction {
    fn encode(&self, writer: &mut Writer) {
        writer.array(3);
        writer.unsigned(self.kind);
        writer.unsigned(self.version);
        writer.raw(&self.body.0);
    }
}

impl Decode for RawAction {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.array()? != 3 {
            return Err(CborError::Type);
        }
        let (kind, version) = (reader.unsigned()?, reader.unsigned()?);
        let body = reader.any()?;
        // A map, whatever is in it: later versions may add keys, not change the shape.
        if body.first().is_none_or(|first| first >> 5 != 5) {
            return Err(CborError::Type);
        }
        Ok(Self { kind, version, body: Bytes(body.to_vec()) })
    }
}

cbor_map! {
    /// What an edit states, without the document's id.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Statement {
        /// The device that makes the statement.
        2 => author: DeviceKey,
        /// The person, where a device is shared: shown beside the device, never claimed as that person's signature.
        3 => by: Option<String>,
        /// The heads the author's screen was drawn from and the author's own latest edit; sorted, unique.
        4 => after: Vec<EditId>,
        /// The newest roster entry the author had seen.
        5 => roster: EntryId,
        /// The tap this edit answers.
        6 => tap: Tap,
        /// The device's claimed time, in milliseconds since the Unix epoch. Shown, never trusted.
        7 => at: u64,
        /// What is stated.
        8 => action: RawAction,
    }
}

impl Statement {
    /// The only document id that this statement can open: 48 bits of its claimed time, by which ids sort, and 144 bits of
    /// BLAKE3 of the statement, so that nobody can choose another's id.
    pub fn document_opened(&self) -> DocumentId {
        let mut id = [0; 24];
        id[..6].copy_from_slice(&self.at.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&blake3::derive_key("creel/document/1", &self.to_cbor())[..18]);
        DocumentId(id)
    }
}

/// Why bytes are not an edit. Such bytes are refused and counted; they have no effect on anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Longer than [`EDIT_BYTES_MAX`].
    #[error(
        "an edit of {0} bytes is larger than the 16 KiB allowed: shorten texts or leave the signature's drawing out"
    )]
    TooLarge(usize),
    /// Not in the one encoding.
    #[error("an edit's encoding is wrong: {0}")]
    Encoding(#[from] CborError),
    /// The envelope or its signature.
    #[error("an edit's envelope is wrong: {0}")]
    Envelope(#[from] CoseError),
    /// A field is over its limit.
    #[error("an edit's {0} is over its limit")]
    Limit(&'static str),
}

/// An edit whose encoding, limits and signature were checked: there is no other way to have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// BLAKE3 of its `Sig_structure`.
    pub id: EditId,
    /// What it is about.
    pub document: DocumentId,
    /// What it states.
    pub statement: Statement,
    /// The bytes exactly as they were made.
    pub bytes: Vec<u8>,
}

impl Edit {
    /// Signs a statement. `document` is `None` for a statement that opens a document.
    pub fn sign(
        organisation: &OrganisationId,
        document: Option<DocumentId>,
        mut statement: Statement,
        key: &SigningKey,
    ) -> Result<Self, EditError> {
        statement.after.sort_unstable();
        statement.after.dedup();
        let document = document.unwrap_or_else(|| statement.document_opened());
        let payload = payload(document, &statement);
        limits(&statement)?;
        let (bytes, id) = cose::sign(Purpose::Edit, &organisation.0, &payload, key);
        if bytes.len() > EDIT_BYTES_MAX {
            return Err(EditError::TooLarge(bytes.len()));
        }
        Ok(Self { id: EditId(id), document, statement, bytes })
    }

    /// An edit from a peer's or a file's bytes.
    pub fn verify(organisation: &OrganisationId, bytes: &[u8]) -> Result<Self, EditError> {
        let (document, statement, sign1) = parse(bytes)?;
        let id = sign1.verify(Purpose::Edit, &organisation.0, &statement.author.0)?;
        Ok(Self { id: EditId(id), document, statement, bytes: bytes.to_vec() })
    }

    /// An edit that this node verified before it stored it: the signature is not checked again. A damaged byte still
    /// shows, because the id no longer is the one it was stored under.
    pub fn stored(organisation: &OrganisationId, bytes: Vec<u8>) -> Result<Self, EditError> {
        let (document, statement, sign1) = parse(&bytes)?;
        let id = *blake3::hash(&cose::sig_structure(Purpose::Edit, &organisation.0, sign1.payload)).as_bytes();
        Ok(Self { id: EditId(id), document, statement, bytes })
    }
}

fn parse(bytes: &[u8]) -> Result<(DocumentId, Statement, Sign1<'_>), EditError> {
    if bytes.len() > EDIT_BYTES_MAX {
        return Err(EditError::TooLarge(bytes.len()));
    }
    let sign1 = Sign1::parse(bytes, Purpose::Edit)?;
    // The payload is the statement's map with the document under key 1 before it.
    let mut reader = Reader::new(sign1.payload);
    let mut map = MapReader::new(&mut reader)?;
    let document = map.field(1, &mut reader)?;
    let statement = Statement {
        author: map.field(2, &mut reader)?,
        by: map.field(3, &mut reader)?,
        after: map.field(4, &mut reader)?,
        roster: map.field(5, &mut reader)?,
        tap: map.field(6, &mut reader)?,
        at: map.field(7, &mut reader)?,
        action: map.field(8, &mut reader)?,
    };
    map.end()?;
    reader.end()?;
    limits(&statement)?;
    Ok((document, statement, sign1))
}

fn payload(document: DocumentId, statement: &Statement) -> Vec<u8> {
    let rest = statement.to_cbor();
    let mut writer = Writer::default();
    // The statement has at most 7 keys, so its head is one byte and one more key keeps it so.
    writer.map(usize::from(rest[0] & 31) + 1);
    writer.unsigned(1);
    document.encode(&mut writer);
    writer.raw(&rest[1..]);
    writer.bytes
}

fn limits(statement: &Statement) -> Result<(), EditError> {
    if statement.after.len() > AFTER_MAX {
        return Err(EditError::Limit("list of predecessors"));
    }
    if !statement.after.is_sorted_by(|a, b| a < b) {
        return Err(EditError::Encoding(CborError::Unsorted));
    }
    if statement.by.as_ref().is_some_and(|by| by.is_empty() || by.len() > BY_BYTES_MAX) {
        return Err(EditError::Limit("name of a person"));
    }
    // 48 bits: what a document id holds, which ends in the year 10889.
    if statement.at >> 48 != 0 {
        return Err(EditError::Limit("time"));
    }
    Ok(())
}
