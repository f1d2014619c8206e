//! Frames on a QUIC stream: four bytes of length, big-endian, then the packed frame.

use creel_protocol::cbor::Encode;
use creel_protocol::edit::EditError;
use creel_protocol::id::OrganisationId;
use creel_protocol::sync::frame::FRAME_BYTES_MAX;
use creel_protocol::sync::packed::{pack, unpack};
use creel_protocol::sync::{Frame, FrameError};

/// Why no frame came, or none could be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramingError {
    /// The stream ended between two frames.
    #[error("the peer closed the stream")]
    Ended,
    /// The connection broke, or the stream ended inside a frame.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came is not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Reads a frame. Edits that are not ones are returned beside it.
pub(crate) async fn read(
    stream: &mut quinn::RecvStream,
    organisation: &OrganisationId,
) -> Result<(Frame, Vec<EditError>), FramingError> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::FinishedEarly(0)) => return Err(FramingError::Ended),
        Err(error) => return Err(FramingError::Broken(error.to_string())),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    // Checked before anything is reserved: nobody makes us hold more than one frame of theirs.
    if length > FRAME_BYTES_MAX + 1 {
        return Err(FrameError::TooLarge(length).into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.map_err(|error| FramingError::Broken(error.to_string()))?;
    Ok(Frame::decode(&unpack(&bytes)?, organisation)?)
}

/// A frame as it stands on a stream or in a file. The core makes none that is too large.
pub(crate) fn framed(frame: &Frame) -> Vec<u8> {
    let body = pack(&frame.to_cbor());
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.as_slice(), &body].concat()
}

/// A frame, and why some of its edits are none.
type Framed = Result<(Frame, Vec<EditError>), FramingError>;

/// The frames that stand one after the other in a file; ends after the first that is none.
pub(crate) fn frames(mut bytes: &[u8], organisation: &OrganisationId) -> impl Iterator<Item = Framed> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let taken = bytes.split_first_chunk().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            rest.split_at_checked(length)
        });
        let Some((body, rest)) = taken else {
            bytes = &[];
            return Some(Err(FramingError::Broken("it ends in the middle of a frame".to_owned())));
        };
        bytes = rest;
        let frame = unpack(body).and_then(|body| Frame::decode(&body, organisation));
        if frame.is_err() {
            bytes = &[];
        }
        Some(frame.map_err(FramingError::from))
    })
}

/// Writes a frame.
pub(crate) async fn write(stream: &mut quinn::SendStream, frame: &Frame) -> Result<(), FramingError> {
    stream.write_all(&framed(frame)).await.map_err(|error| FramingError::Broken(error.to_string()))
}
