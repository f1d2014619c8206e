//! Frames: what two nodes say to each other on a stream, as bytes and as types.

use super::ranges::Told;
use crate::cbor::{Bytes, CborError, Decode, Encode, Reader, Writer, cbor_map, growing_map};
use crate::edit::{Edit, EditError};
use crate::id::{DeviceKey, Digest, DocumentId, EditId, EntryId, OrganisationId};

/// Bytes of a frame, its length not counted. A sender fills frames to [`FRAME_BYTES_GOAL`].
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// At this many bytes a sender closes a frame.
pub const FRAME_BYTES_GOAL: usize = 64 * 1024;
/// Edits of a frame that may be refused before the frame is.
pub const REFUSED_MAX: usize = 16;
/// Edits of a document that are told to be held; where there are more, the others only cost edits that are sent twice.
pub const HELD_MAX: usize = 4_096;
/// So much of an edit's id is enough to know it among those of its document.
pub const SHORT_ID_BYTES: usize = 16;
/// The version of this protocol; part of the ALPN name too.
pub const VERSION: u64 = 1;

/// Features that a peer may name; what it names beyond is passed over.
pub const FEATURES_MAX: usize = 64;

growing_map! {
    /// The first frame of each side. Keys that are not known are passed over and counted.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct Hello {
        /// [`VERSION`].
        1 => version: u64,
        /// The organisation both must belong to.
        2 => organisation: OrganisationId,
        /// The height of the newest roster entry held.
        3 => height: u64,
        /// That entry.
        4 => head: EntryId,
        /// What the sender can do beyond this version, by names that later versions give. This one names nothing.
        5 => features: Vec<String>,
        ;
        /// How many keys were passed over.
        unknown => unknown,
    }
}

impl Hello {
    /// The greeting of a side that holds a roster up to this entry.
    pub fn of(organisation: OrganisationId, height: u64, head: EntryId) -> Self {
        Self { version: VERSION, organisation, height, head, ..Self::default() }
    }
}

cbor_map! {
    /// The documents both may see, summed up.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Summed {
        /// How many.
        1 => count: u64,
        /// The sum of their digests modulo 2^256, little-endian.
        2 => sum: Digest,
    }
}

cbor_map! {
    /// What the sender holds of a document of which the other holds something else.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Holds {
        /// The document.
        1 => document: DocumentId,
        /// The first [`SHORT_ID_BYTES`] of the ids of its heads, and of some of the edits before them; none if the sender
        /// holds nothing of it. Whoever holds an edit holds all that it stands on.
        2 => edits: Bytes,
        /// Whether the other is asked what it holds, should it lack one of them.
        3 => ask: bool,
    }
}

impl Holds {
    /// What is told of a document of which these edits are held.
    pub fn of(document: DocumentId, held: &[EditId], ask: bool) -> Self {
        let shorts = held.iter().take(HELD_MAX).flat_map(|edit| edit.0.into_iter().take(SHORT_ID_BYTES));
        Self { document, edits: Bytes(shorts.collect()), ask }
    }

    /// The beginnings of the edits' ids.
    pub fn shorts(&self) -> impl Iterator<Item = &[u8]> {
        self.edits.0.chunks_exact(SHORT_ID_BYTES).take(HELD_MAX)
    }
}

cbor_map! {
    /// A document that a device would let go of; and in the answer, that it may.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Parting {
        /// The document.
        1 => document: DocumentId,
        /// Its heads at the device, ascending.
        2 => heads: Vec<EditId>,
    }
}

/// Documents that are let go of in one frame.
pub const PARTING_MAX: usize = 256;

cbor_map! {
    /// A device asks to become a member.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Redeem {
        /// Which invite.
        1 => invite: Digest,
        /// That the device holds its secret.
        2 => proof: Digest,
    }
}

cbor_map! {
    /// The hub's answer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Welcome {
        /// That the hub holds the invite's secret.
        1 => proof: Digest,
        /// The roster, genesis first.
        2 => entries: Vec<Bytes>,
    }
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The first frame of each side.
    Hello(Hello),
    /// Roster entries that the other lacks, in order.
    Roster(Vec<Bytes>),
    /// Edits, in causal order within each document. Verified.
    Edits(Vec<Edit>),
    /// Edits that are admitted and durable at the sender.
    Ack(Vec<EditId>),
    /// The sender's documents that both may see, summed up: does the other hold the same?
    Prove(Summed),
    /// What the sender has in some ranges, where both do not have the same.
    Ranges(Vec<Told>),
    /// Documents of the other that the sender does not have like that, by the digests it was told.
    Wants(Vec<Told>),
    /// What is held of some documents.
    Holds(Vec<Holds>),
    /// A device asks to become a member.
    Redeem(Redeem),
    /// The hub's answer.
    Welcome(Welcome),
    /// Why the sender will not go on, in words for a person.
    Refuse(String),
    /// A device would let go of some documents.
    Part(Vec<Parting>),
    /// The hub lets it.
    Parted(Vec<Parting>),
    /// A frame of a kind that this version does not know: passed over and counted.
    Unknown(u64),
}

/// Why bytes are not a frame. The connection is closed; nothing of the frame takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not in its encoding.
    #[error("a frame's encoding is wrong: {0}")]
    Encoding(#[from] CborError),
    /// Longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes is larger than the 256 KiB allowed")]
    TooLarge(usize),
    /// More than [`REFUSED_MAX`] of its edits are none.
    #[error("more than {REFUSED_MAX} things in a frame of edits are not edits")]
    Spoilt,
    /// A frame where only another kind may stand.
    #[error("a frame stands where only edits may")]
    Misplaced,
    /// Not packed as frames are, or more than [`FRAME_BYTES_MAX`] when unpacked.
    #[error("a frame is not packed as frames are")]
    Packing,
}

impl Encode for Frame {
    fn encode(&self, writer: &mut Writer) {
        writer.array(2);
        let mut kind = |kind: u64, body: &dyn Fn(&mut Writer)| {
            writer.unsigned(kind);
            body(writer);
        };
        match self {
            Self::Hello(body) => kind(1, &|w| body.encode(w)),
            Self::Roster(entries) => kind(2, &|w| entries.encode(w)),
            Self::Edits(edits) => kind(3, &|w| {
                w.array(edits.len());
                edits.iter().for_each(|edit| w.byte_string(&edit.bytes));
            }),
            Self::Ack(ids) => kind(4, &|w| ids.encode(w)),
            Self::Prove(body) => kind(5, &|w| body.encode(w)),
            Self::Ranges(ranges) => kind(6, &|w| ranges.encode(w)),
            Self::Wants(ranges) => kind(7, &|w| ranges.encode(w)),
            Self::Holds(body) => kind(8, &|w| body.encode(w)),
            Self::Redeem(body) => kind(9, &|w| body.encode(w)),
            Self::Welcome(body) => kind(10, &|w| body.encode(w)),
            Self::Refuse(why) => kind(11, &|w| w.text(why)),
            Self::Part(documents) => kind(12, &|w| documents.encode(w)),
            Self::Parted(documents) => kind(13, &|w| documents.encode(w)),
            // Nobody sends one: its body was not kept.
            Self::Unknown(unknown) => kind(*unknown, &|w| w.map(0)),
        }
    }
}

impl Frame {
    /// A frame from a peer's bytes. Edits that are not ones (encoding, limits, signature) are left out and returned
    /// beside the frame, to be counted and logged; they spoil nothing for the others.
    pub fn decode(bytes: &[u8], organisation: &OrganisationId) -> Result<(Self, Vec<EditError>), FrameError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge(bytes.len()));
        }
        let mut reader = Reader::new(bytes);
        if reader.array()? != 2 {
            return Err(CborError::Type.into());
        }
        let mut refused = Vec::new();
        let frame = match reader.unsigned()? {
            1 => {
                let mut hello = Hello::decode(&mut reader)?;
                hello.features.truncate(FEATURES_MAX);
                Self::Hello(hello)
            }
            2 => Self::Roster(Vec::decode(&mut reader)?),
            3 => {
                let mut edits = Vec::new();
                for _ in 0..reader.array()? {
                    match Edit::verify(organisation, reader.byte_string()?) {
                        Ok(edit) => edits.push(edit),
                        Err(_) if refused.len() >= REFUSED_MAX => return Err(FrameError::Spoilt),
                        Err(error) => refused.push(error),
                    }
                }
                Self::Edits(edits)
            }
            4 => Self::Ack(Vec::decode(&mut reader)?),
            5 => Self::Prove(Summed::decode(&mut reader)?),
            6 => Self::Ranges(Vec::decode(&mut reader)?),
            7 => Self::Wants(Vec::decode(&mut reader)?),
            8 => Self::Holds(Vec::decode(&mut reader)?),
            9 => Self::Redeem(Redeem::decode(&mut reader)?),
            10 => Self::Welcome(Welcome::decode(&mut reader)?),
            11 => Self::Refuse(String::decode(&mut reader)?.chars().take(500).collect()),
            12 => Self::Part(Vec::decode(&mut reader)?),
            13 => Self::Parted(Vec::decode(&mut reader)?),
            kind => {
                reader.any()?;
                Self::Unknown(kind)
            }
        };
        reader.end()?;
        Ok((frame, refused))
    }
}

/// The devices that a session is between are told apart by key.
pub type Peer = DeviceKey;
