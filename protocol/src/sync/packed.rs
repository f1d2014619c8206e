//! Frames as they travel: compressed where that helps.
//!
//! The author, the document and most of an edit's frame repeat within a batch, so a batch of edits shrinks to little more
//! than its signatures and hashes. Each frame is compressed by itself: a frame that is lost, repeated or cut off leaves
//! nothing behind that others depend on.

use super::frame::{FRAME_BYTES_MAX, FrameError};
use std::borrow::Cow;

/// The bytes follow as they are.
const PLAIN: u8 = 0;
/// The bytes follow as a DEFLATE stream (RFC 1951).
const DEFLATED: u8 = 1;
/// Shorter frames gain nothing.
const WORTH_IT_BYTES: usize = 160;
/// Levels go from 0 to 10; beyond this one batches of edits hardly shrink any more.
const LEVEL: u8 = 6;

/// A frame's bytes for the wire: a byte that tells how, and the bytes.
pub fn pack(frame: &[u8]) -> Vec<u8> {
    if frame.len() >= WORTH_IT_BYTES {
        let deflated = miniz_oxide::deflate::compress_to_vec(frame, LEVEL);
        if deflated.len() < frame.len() {
            return [&[DEFLATED], deflated.as_slice()].concat();
        }
    }
    [&[PLAIN], frame].concat()
}

/// A frame's bytes from the wire. Never makes more than [`FRAME_BYTES_MAX`] bytes, whatever the stream claims.
pub fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, FrameError> {
    match bytes.split_first() {
        Some((&PLAIN, frame)) if frame.len() <= FRAME_BYTES_MAX => Ok(Cow::Borrowed(frame)),
        Some((&PLAIN, frame)) => Err(FrameError::TooLarge(frame.len())),
        Some((&DEFLATED, stream)) => miniz_oxide::inflate::decompress_to_vec_with_limit(stream, FRAME_BYTES_MAX)
            .map(Cow::Owned)
            .map_err(|_| FrameError::Packing),
        _ => Err(FrameError::Packing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was packed is unpacked to the same bytes, and what repeats gets smaller.
    #[test]
    fn what_is_packed_is_unpacked() {
        let frames = [Vec::new(), vec![7; 10], vec![7; 10_000], (0..=255).cycle().take(70_000).collect()];
        for frame in frames {
            let packed = pack(&frame);
            assert_eq!(unpack(&packed).as_deref(), Ok(frame.as_slice()));
            assert!(packed.len() <= frame.len() + 1);
        }
        assert!(pack(&[7; 10_000]).len() < 100);
    }

    /// A few bytes can't be made to fill the memory, and what is no packed frame is refused.
    #[test]
    fn the_unpacked_is_bounded() {
        let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; FRAME_BYTES_MAX + 1], LEVEL);
        assert_eq!(unpack(&[&[DEFLATED], bomb.as_slice()].concat()), Err(FrameError::Packing));
        assert_eq!(unpack(&[]), Err(FrameError::Packing));
        assert_eq!(unpack(&[2, 0]), Err(FrameError::Packing));
        assert_eq!(unpack(&[DEFLATED, 0xff, 0xff]), Err(FrameError::Packing));
        assert!(matches!(unpack(&vec![PLAIN; FRAME_BYTES_MAX + 2]), Err(FrameError::TooLarge(_))));
    }
}
