//! Names of things, as types: an edit's id is not a document's id is not a device's key.

use crate::cbor::{CborError, Decode, Encode, Reader, Writer};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A text that is not the name of the thing asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not {what}")]
pub struct NotAnId {
    text: String,
    what: &'static str,
}

macro_rules! identifier {
    ($(#[$meta:meta])* $name:ident, $length:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// The name from its lower-case hexadecimal form.
            pub fn parse(text: &str) -> Result<Self, NotAnId> {
                HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| NotAnId { text: text.chars().take(80).collect(), what: $what })
            }

            /// The first eight hexadecimal digits, which are enough for a person and a log.
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.short())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl Encode for $name {
            fn encode(&self, writer: &mut Writer) {
                writer.byte_string(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
                reader.byte_string()?.try_into().map(Self).map_err(|_| CborError::Range)
            }
        }
    };
}

identifier!(/// An edit: BLAKE3 of its `Sig_structure`.
    EditId, 32, "an edit's id (64 hexadecimal digits)");
identifier!(/// A document: its `Open`'s claimed time, then 144 bits of a hash of its `Open`.
    DocumentId, 24, "a shipment's id (48 hexadecimal digits)");
identifier!(/// A device: its Ed25519 public key, with which it signs edits and opens connections.
    DeviceKey, 32, "a device's key (64 hexadecimal digits)");
identifier!(/// An organisation: BLAKE3 of its genesis' `Sig_structure`.
    OrganisationId, 32, "an organisation's id (64 hexadecimal digits)");
identifier!(/// A roster entry: BLAKE3 of its `Sig_structure`. The genesis is the entry of height 0.
    EntryId, 32, "a roster entry's id (64 hexadecimal digits)");
identifier!(/// A workflow: BLAKE3 of its TOML text.
    WorkflowId, 32, "a workflow's id (64 hexadecimal digits)");
identifier!(/// A file such as a photo: BLAKE3 of its bytes.
    FileHash, 32, "a file's hash (64 hexadecimal digits)");
identifier!(/// Any other BLAKE3 digest.
    Digest, 32, "a digest (64 hexadecimal digits)");
identifier!(/// One tap of a person or one call of a script: the same tap twice is one edit.
    Tap, 16, "a tap (32 hexadecimal digits)");

impl Tap {
    /// A tap of its own for each part of what one tap did, such as the shipments of a bulk record.
    pub fn of(self, part: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("creel/tap/1");
        hasher.update(&self.0).update(part);
        let mut tap = [0; 16];
        hasher.finalize_xof().fill(&mut tap);
        Self(tap)
    }
}
