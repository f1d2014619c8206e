//! The journal: what was admitted here, in the order in which it was.

use crate::cbor::{CborError, Decode, Encode, Reader, Writer};
use crate::id::{DeviceKey, DocumentId, EditId};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEntry {
    /// An edit was admitted.
    Edit {
        /// Its document.
        document: DocumentId,
        /// The edit.
        edit: EditId,
        /// The peer it came from; none if it was made here.
        source: Option<DeviceKey>,
    },
    /// A document came into a party's scope: that party's devices are sent all of it.
    Widen {
        /// The document.
        document: DocumentId,
        /// The party.
        party: String,
    },
}

impl Encode for JournalEntry {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Edit { document, edit, source } => {
                writer.array(2 + usize::from(source.is_some()));
                document.encode(writer);
                edit.encode(writer);
                source.encode(writer);
            }
            Self::Widen { document, party } => {
                writer.array(2);
                document.encode(writer);
                writer.text(party);
            }
        }
    }
}

impl Decode for JournalEntry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let items = reader.array()?;
        if items != 2 && items != 3 {
            return Err(CborError::Type);
        }
        let document = DocumentId::decode(reader)?;
        if items == 2
            && let Ok(party) = reader.clone().text()
        {
            reader.text()?;
            return Ok(Self::Widen { document, party: party.to_owned() });
        }
        let edit = EditId::decode(reader)?;
        let source = if items == 3 { Some(DeviceKey::decode(reader)?) } else { None };
        Ok(Self::Edit { document, edit, source })
    }
}
