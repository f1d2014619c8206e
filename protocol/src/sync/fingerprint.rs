//! A fingerprint of the documents that two nodes share: equal fingerprints, equal documents.
//!
//! A document's digest covers its id and its heads, and heads name all that came before them. The fingerprint of a set is
//! the number of its documents and the sum of their digests modulo 2^256, so that a change costs one subtraction and one
//! addition, and any part of the set has a fingerprint of its own. Parts are ranges of [`Place`]s, hashes of the documents'
//! ids: documents spread over them evenly, whenever and by whomever they were made. Ranges halve, so the set is a tree; only the
//! fingerprint of the whole is kept, because the others are needed only when it differs, and then summed up once.
//!
//! Kept in memory, never stored: it is made from the documents' heads at start.

use crate::id::{Digest, DocumentId, EditId};
use std::collections::BTreeMap;

/// Digests of parts and of documents are told by so many bytes. Two that differ look the same once in 2^40 times; then
/// a document is not repaired on this connection, and the next one has another salt if anything changed.
pub const SHORT_BYTES: usize = 5;
/// Ranges may be halved so often: nobody can find documents whose places agree in so many bits.
pub const DEPTH_MAX: u8 = 56;
/// A range is split into at most two to the power of so many parts at a time.
pub const SPLIT_BITS_MAX: u8 = 10;

/// The fingerprint of a set of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many documents.
    pub count: u64,
    /// The sum of their digests modulo 2^256, little-endian.
    pub sum: [u8; 32],
}

/// A digest as it is told: the first [`SHORT_BYTES`] of it, salted.
pub type Short = [u8; SHORT_BYTES];

impl Fingerprint {
    fn add(&mut self, digest: &Digest) {
        self.count += 1;
        let mut carry = 0_u16;
        for (sum, byte) in self.sum.iter_mut().zip(digest.0) {
            carry += u16::from(*sum) + u16::from(byte);
            *sum = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }

    fn subtract(&mut self, digest: &Digest) {
        self.count -= 1;
        let mut borrow = 0_i16;
        for (sum, byte) in self.sum.iter_mut().zip(digest.0) {
            let difference = i16::from(*sum) - i16::from(byte) - borrow;
            *sum = difference.to_le_bytes()[0];
            borrow = i16::from(difference < 0);
        }
    }

    /// As it is told under a salt. The fingerprint of no documents is all zero, so that it is known for what it is.
    pub fn short(&self, salt: &Digest) -> Short {
        if self.count == 0 {
            return [0; SHORT_BYTES];
        }
        let mut hasher = blake3::Hasher::new_keyed(&salt.0);
        hasher.update(&self.count.to_le_bytes()).update(&self.sum);
        shortened(&hasher)
    }
}

/// A document's digest as it is told under a salt.
pub fn short(digest: &Digest, salt: &Digest) -> Short {
    let mut hasher = blake3::Hasher::new_keyed(&salt.0);
    hasher.update(&digest.0);
    shortened(&hasher)
}

fn shortened(hasher: &blake3::Hasher) -> Short {
    let mut short = [0; SHORT_BYTES];
    hasher.finalize_xof().fill(&mut short);
    // All zero means that there is nothing.
    if short == [0; SHORT_BYTES] {
        short[0] = 1;
    }
    short
}

/// The digest of a document with its heads, which must be sorted.
pub fn digest(document: &DocumentId, heads: &[EditId]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key("creel/fingerprint/1");
    hasher.update(&document.0);
    for head in heads {
        hasher.update(&head.0);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// Where a document stands: a hash of its id. (An id itself could be chosen, by an edit that opens nothing.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place([u8; 16]);

impl Place {
    fn of(document: &DocumentId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("creel/place/1");
        hasher.update(&document.0);
        let mut place = [0; 16];
        hasher.finalize_xof().fill(&mut place);
        Self(place)
    }
}

/// A range of places: those whose first `depth` bits are `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Range {
    /// How often the whole was halved, at most [`DEPTH_MAX`].
    pub depth: u8,
    /// Which of the 2^depth ranges.
    pub index: u64,
}

impl Range {
    /// All places.
    pub const WHOLE: Self = Self { depth: 0, index: 0 };

    /// Whether there is such a range.
    pub fn is_valid(&self) -> bool {
        self.depth <= DEPTH_MAX && self.index >> self.depth == 0
    }

    /// One of its 2^bits parts.
    pub fn part(&self, bits: u8, part: u64) -> Self {
        Self { depth: self.depth + bits, index: (self.index << bits) | part }
    }

    fn bounds(self) -> (Place, Place) {
        let low = if self.depth == 0 { 0 } else { u128::from(self.index) << (128 - u32::from(self.depth)) };
        let high = low | u128::MAX.checked_shr(u32::from(self.depth)).unwrap_or_default();
        (Place(low.to_be_bytes()), Place(high.to_be_bytes()))
    }
}

/// The documents that are shared, with their digests.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    whole: Fingerprint,
    documents: BTreeMap<Place, (DocumentId, Digest)>,
}

impl Tree {
    /// The fingerprint of all.
    pub fn whole(&self) -> Fingerprint {
        self.whole
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// A document is in the set, with this digest.
    pub fn put(&mut self, document: &DocumentId, digest: Digest) {
        let before = self.documents.insert(Place::of(document), (*document, digest));
        if let Some((_, before)) = before {
            self.whole.subtract(&before);
        }
        self.whole.add(&digest);
    }

    /// A document is not in the set.
    pub fn remove(&mut self, document: &DocumentId) {
        if let Some((_, before)) = self.documents.remove(&Place::of(document)) {
            self.whole.subtract(&before);
        }
    }

    /// The documents of a range with their digests.
    pub fn range(&self, range: Range) -> impl Iterator<Item = (DocumentId, &Digest)> {
        let (low, high) = range.bounds();
        self.documents.range(low..=high).map(|(_, (document, digest))| (*document, digest))
    }

    /// How many documents a range has, counted up to `enough`.
    pub fn count(&self, range: Range, enough: usize) -> usize {
        self.range(range).take(enough).count()
    }

    /// The fingerprints of a range's 2^bits parts.
    pub fn parts(&self, range: Range, bits: u8) -> Vec<Fingerprint> {
        let mut parts = vec![Fingerprint::default(); 1 << bits];
        let (low, high) = range.bounds();
        let below = 128 - u32::from(range.depth) - u32::from(bits);
        for (place, (_, digest)) in self.documents.range(low..=high) {
            let index = u128::from_be_bytes(place.0).checked_shr(below).unwrap_or_default() & ((1 << bits) - 1);
            if let Some(part) = usize::try_from(index).ok().and_then(|index| parts.get_mut(index)) {
                part.add(digest);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(number: u64) -> DocumentId {
        let hash = blake3::hash(&number.to_le_bytes());
        let mut id = [0; 24];
        id.copy_from_slice(&hash.as_bytes()[..24]);
        DocumentId(id)
    }

    /// Equal sets have equal fingerprints, whatever was put in and taken out on the way.
    #[test]
    fn the_fingerprint_is_of_the_set_alone() {
        let (mut straight, mut winding) = (Tree::default(), Tree::default());
        for number in 0..100 {
            straight.put(&document(number), digest(&document(number), &[EditId([1; 32])]));
        }
        for number in (0..150).rev() {
            winding.put(&document(number), digest(&document(number), &[EditId([2; 32])]));
            winding.put(&document(number), digest(&document(number), &[EditId([1; 32])]));
        }
        assert_ne!(straight.whole(), winding.whole());
        for number in 100..200 {
            winding.remove(&document(number));
        }
        assert_eq!(straight.whole(), winding.whole());
    }

    /// The parts of a range are its halves' halves, and together they hold all of it.
    #[test]
    fn parts_add_up() {
        let mut tree = Tree::default();
        for number in 0..1_000 {
            tree.put(&document(number), digest(&document(number), &[]));
        }
        for range in [Range::WHOLE, Range { depth: 3, index: 5 }] {
            for bits in 0..=SPLIT_BITS_MAX {
                for (index, part) in tree.parts(range, bits).iter().enumerate() {
                    let mut sum = Fingerprint::default();
                    tree.range(range.part(bits, index as u64)).for_each(|(_, digest)| sum.add(digest));
                    assert_eq!(*part, sum);
                }
            }
        }
        let deepest = Range::WHOLE.part(DEPTH_MAX, (1 << DEPTH_MAX) - 1);
        assert!(deepest.is_valid() && !Range { depth: 3, index: 8 }.is_valid());
        assert!(tree.count(deepest, 2) <= 1);
    }
}
