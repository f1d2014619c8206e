//! Finding what differs between two sets of documents, by telling each other about ever smaller ranges of them.
//!
//! One side tells the fingerprints of a range's parts; the other answers for each part that differs: with the fingerprints
//! of its parts in turn, or, where only a few documents are left, with the digest of each. Whoever is told single digests
//! knows what to send and what to ask for. Remembered between two tellings is only which document a digest was told of
//! ([`Spoken`]), because what is asked for by it may have changed meanwhile: at worst something is sent twice.

use super::fingerprint::{DEPTH_MAX, Range, SHORT_BYTES, SPLIT_BITS_MAX, Short, Tree, short};
use crate::cbor::{Bytes, cbor_map};
use crate::id::{Digest, DocumentId};
use crate::planted::{self, Bug};
use std::collections::{BTreeSet, HashSet};

/// A range with at most so many documents is told document by document.
const FEW: usize = 16;
/// Documents told one by one at the deepest, where nobody can make so many stand: a frame must hold them.
const TOLD_MAX: usize = 8_192;
/// Documents that a part should be left with by a split.
const PART_DOCUMENTS_GOAL: usize = 6;
/// A part is split into at most two to the power of so many; the whole into more, because all of it is told in one flight.
const PART_BITS_MAX: u8 = 4;

cbor_map! {
    /// What one side has in a range.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Told {
        /// How often the whole was halved to come to the range.
        1 => depth: u8,
        /// Which of the 2^depth ranges it is.
        2 => index: u64,
        /// 0 if documents are told, one by one; else the parts that the range was split into, as a power of two.
        3 => bits: u8,
        /// The digests of the documents, or the fingerprints of the parts, [`SHORT_BYTES`] bytes each.
        4 => digests: Bytes,
    }
}

/// What follows from what was told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// To be told in turn.
    pub tell: Vec<Told>,
    /// Documents of ours that the other does not have like this: their heads are to be told.
    pub differ: Vec<DocumentId>,
    /// Documents that the other does not have at all.
    pub lacking: Vec<DocumentId>,
    /// What the other told of documents that we do not have like this.
    pub wanted: Vec<Told>,
}

impl Told {
    fn range(&self) -> Range {
        Range { depth: self.depth, index: self.index }
    }

    /// The range, if what was told makes sense.
    fn checked(&self) -> Option<Range> {
        let range = self.range();
        let whole = self.digests.0.len().is_multiple_of(SHORT_BYTES);
        // In this order, so that no sum or shift is made of numbers that were not looked at.
        let fits = || {
            self.bits == 0
                || self.bits <= SPLIT_BITS_MAX
                    && self.depth + self.bits <= DEPTH_MAX
                    && self.digests.0.len() == SHORT_BYTES << self.bits
        };
        (range.is_valid() && whole && fits()).then_some(range)
    }

    fn shorts(&self) -> impl Iterator<Item = Short> {
        self.digests.0.chunks_exact(SHORT_BYTES).map(|chunk| {
            let mut short = [0; SHORT_BYTES];
            short.copy_from_slice(chunk);
            short
        })
    }

    fn of(range: Range, bits: u8, shorts: impl Iterator<Item = Short>) -> Self {
        Self { depth: range.depth, index: range.index, bits, digests: Bytes(shorts.flatten().collect()) }
    }
}

/// The documents that were told one by one, by the digest that was told of each.
#[derive(Debug, Clone, Default)]
pub struct Spoken(BTreeSet<(Short, DocumentId)>);

impl Spoken {
    /// The documents that the other wants. `effort` as for [`compare`].
    pub fn wanted(&self, told: &Told, effort: &mut u64) -> Vec<DocumentId> {
        if told.checked().is_none() || !spend(told, 0, effort) {
            return Vec::new();
        }
        let of = |short| self.0.range((short, DocumentId([0; 24]))..=(short, DocumentId([0xff; 24])));
        told.shorts().flat_map(of).map(|(_, document)| *document).collect()
    }
}

/// What we have in a range.
pub fn tell(tree: &Tree, salt: &Digest, range: Range, spoken: &mut Spoken) -> Told {
    let count = tree.count(range, usize::MAX);
    if count <= FEW || range.depth == DEPTH_MAX {
        let shorts = tree.range(range).take(TOLD_MAX).map(|(document, digest)| (short(digest, salt), document));
        let told = shorts.map(|one| {
            spoken.0.insert(one);
            one.0
        });
        return Told::of(range, 0, told);
    }
    let bits_max = if range.depth == 0 { SPLIT_BITS_MAX } else { PART_BITS_MAX };
    let parts = (count / PART_DOCUMENTS_GOAL).next_power_of_two();
    let bits = u8::try_from(parts.ilog2()).unwrap_or(bits_max).clamp(1, bits_max).min(DEPTH_MAX - range.depth);
    Told::of(range, bits, tree.parts(range, bits).iter().map(|part| part.short(salt)))
}

/// Compares what the other has in a range with what we have. `effort` is how many documents may still be looked at, and
/// goes down; when it does not suffice, or what was told makes no sense, nothing is found.
pub fn compare(tree: &Tree, salt: &Digest, told: &Told, effort: &mut u64, spoken: &mut Spoken) -> Found {
    let mut found = Found::default();
    let Some(range) = told.checked() else { return found };
    let enough = usize::try_from(*effort).unwrap_or(usize::MAX);
    if !spend(told, tree.count(range, enough), effort) {
        return found;
    }
    if planted::is(Bug::BlindRanges) && told.digests.0.len() < 4 * SHORT_BYTES {
        return found;
    }
    if told.bits == 0 {
        let mut theirs: HashSet<Short> = told.shorts().collect();
        let has_none = theirs.is_empty();
        for (document, digest) in tree.range(range) {
            if has_none {
                found.lacking.push(document);
            } else if !theirs.remove(&short(digest, salt)) {
                found.differ.push(document);
            }
        }
        if !theirs.is_empty() {
            let wanted = told.shorts().filter(|short| theirs.contains(short));
            found.wanted.push(Told::of(range, 0, wanted));
        }
        return found;
    }
    for (part, (ours, theirs)) in (0..).zip(tree.parts(range, told.bits).iter().zip(told.shorts())) {
        if ours.short(salt) == theirs {
            continue;
        }
        let part = range.part(told.bits, part);
        if theirs == [0; SHORT_BYTES] {
            found.lacking.extend(tree.range(part).map(|(document, _)| document));
        } else {
            found.tell.push(tell(tree, salt, part, spoken));
        }
    }
    found
}

/// Whether there was enough effort left to look at what was told and at so many documents.
fn spend(told: &Told, documents: usize, effort: &mut u64) -> bool {
    let cost = documents as u64 + 1 + (told.digests.0.len() / SHORT_BYTES) as u64;
    *effort = effort.saturating_sub(cost);
    *effort > 0
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::digest;
    use super::*;
    use crate::cbor::Encode;
    use crate::id::EditId;
    use std::collections::BTreeSet;

    fn document(number: u64) -> DocumentId {
        let mut id = [0; 24];
        id.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..24]);
        DocumentId(id)
    }

    /// Two sides talk until nothing is left to tell. Returns what each should send and tell the heads of, the bytes both
    /// said, and how many tellings went back and forth.
    fn talk(one: &Tree, other: &Tree) -> (BTreeSet<DocumentId>, usize, usize) {
        let salt = Digest(one.whole().sum);
        let (mut sides, mut effort) = ([other, one], 1_u64 << 40);
        let mut spoken = [Spoken::default(), Spoken::default()];
        let mut said = vec![tell(other, &salt, Range::WHOLE, &mut spoken[0])];
        let (mut found, mut bytes, mut turns) = (BTreeSet::new(), 0, 0);
        while !said.is_empty() {
            sides.swap(0, 1);
            spoken.swap(0, 1);
            turns += 1;
            bytes += said.to_cbor().len();
            let mut answer = Vec::new();
            for told in &said {
                let compared = compare(sides[0], &salt, told, &mut effort, &mut spoken[0]);
                answer.extend(compared.tell);
                found.extend(compared.differ.into_iter().chain(compared.lacking));
                for told in compared.wanted {
                    bytes += told.to_cbor().len();
                    found.extend(spoken[1].wanted(&told, &mut effort));
                }
            }
            said = answer;
        }
        (found, bytes, turns)
    }

    /// Exactly what differs is found, at any size and any number of differences, on either side or on both.
    #[test]
    fn what_differs_is_found() {
        for (size, step) in [(0, 1), (1, 1), (10, 1), (40, 3), (300, 7), (5_000, 50), (5_000, 1)] {
            let (mut one, mut other, mut differ) = (Tree::default(), Tree::default(), BTreeSet::new());
            for number in 0..size {
                let (document, kind) = (document(number), number / step % 4);
                let old = digest(&document, &[EditId([1; 32])]);
                let new = digest(&document, &[EditId([2; 32])]);
                let odd = number % step == 0 && kind > 0;
                if odd {
                    differ.insert(document);
                }
                if !odd || kind != 2 {
                    one.put(&document, if odd && kind == 1 { new } else { old });
                }
                if !odd || kind != 3 {
                    other.put(&document, old);
                }
            }
            assert_eq!(talk(&one, &other).0, differ, "{size} documents, every {step}th");
            assert_eq!(talk(&other, &one).0, differ, "{size} documents, every {step}th, the other way");
        }
    }

    /// The bytes grow with what differs, and only a little with what is held.
    #[test]
    fn the_bytes_are_of_what_differs() {
        let bytes = |size: u64, differences: u64| {
            let (mut one, mut other) = (Tree::default(), Tree::default());
            for number in 0..size {
                let document = document(number);
                let old = digest(&document, &[EditId([1; 32])]);
                let new = digest(&document, &[EditId([2; 32])]);
                let odd = number % (size / differences) == 0;
                one.put(&document, if odd { new } else { old });
                other.put(&document, old);
            }
            let (_, bytes, turns) = talk(&one, &other);
            assert!(turns <= 4, "{size} documents took {turns} tellings");
            bytes
        };
        assert!(bytes(20_000, 200) < 30_000);
        assert!(bytes(20_000, 10) < 10_000);
        assert!(bytes(200, 1) < 500);
    }

    /// A document that changes after it was told of is still the one that is asked for.
    #[test]
    fn what_changes_meanwhile_is_found() {
        let (mut ours, theirs, mut effort) = (Tree::default(), Tree::default(), 1_000);
        let (mut spoken, mut other) = (Spoken::default(), Spoken::default());
        let document = document(1);
        ours.put(&document, digest(&document, &[EditId([1; 32])]));
        let salt = Digest(theirs.whole().sum);
        let told = tell(&ours, &salt, Range::WHOLE, &mut spoken);
        let found = compare(&theirs, &salt, &told, &mut effort, &mut other);
        ours.put(&document, digest(&document, &[EditId([1; 32]), EditId([2; 32])]));
        assert_eq!(spoken.wanted(&found.wanted[0], &mut effort), [document]);
        assert!(other.wanted(&found.wanted[0], &mut effort).is_empty(), "who told of nothing");
    }

    /// What makes no sense finds nothing and costs nothing, and a peer that asks too much is not answered.
    #[test]
    fn nonsense_is_passed_over() {
        let mut tree = Tree::default();
        (0..100).for_each(|number| tree.put(&document(number), digest(&document(number), &[])));
        let (salt, mut spoken) = (Digest::default(), Spoken::default());
        let told = |depth, index, bits, digests| Told { depth, index, bits, digests: Bytes(digests) };
        let nonsense = [
            told(57, 0, 0, Vec::new()),
            told(3, 8, 0, Vec::new()),
            told(0, 0, 11, vec![0; SHORT_BYTES << 11]),
            told(0, 0, 2, vec![0; SHORT_BYTES]),
            told(0, 0, 0, vec![0; SHORT_BYTES + 1]),
            told(56, 0, 1, vec![0; 2 * SHORT_BYTES]),
            told(255, u64::MAX, 255, vec![0; SHORT_BYTES]),
            told(250, 0, 10, vec![0; SHORT_BYTES << 10]),
        ];
        let mut effort = 1_000;
        for told in nonsense {
            assert_eq!(compare(&tree, &salt, &told, &mut effort, &mut spoken), Found::default());
        }
        assert_eq!(effort, 1_000);
        let mut answers = 0;
        while !compare(&tree, &salt, &told(0, 0, 0, Vec::new()), &mut effort, &mut spoken).lacking.is_empty() {
            answers += 1;
        }
        assert_eq!(answers, 9, "a look at a hundred documents costs as much");
    }
}
