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

/// Writes a frame.
pub(crate) async fn write(stream: &mut quinn::SendStream, frame: &Frame) -> Result<(), FramingError> {
    let body = frame.to_cbor();
    if body.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge(body.len()).into());
    }
    let body = pack(&body);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let bytes = [length.as_slice(), &body].concat();
    stream.write_all(&bytes).await.map_err(|error| FramingError::Broken(error.to_string()))
}
