//! Cuts: up to where a revoked or demoted device's edits count.
//!
//! A cut lists, for one document the device touched, the heads the hub had accepted. The entry carries a Merkle root
//! (RFC 9162, section 2.1, with BLAKE3) over the list sorted by document, so that a phone can be shown the few cuts of its own
//! shipments with a proof, and need not carry them all.

use crate::cbor::{Encode, cbor_map};
use crate::id::{Digest, DocumentId, EditId};

cbor_map! {
    /// One document's cut.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Cut {
        /// The document.
        1 => document: DocumentId,
        /// The heads the hub had accepted; sorted, unique.
        2 => heads: Vec<EditId>,
    }
}

cbor_map! {
    /// All cuts of an entry, as the entry carries them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Cuts {
        /// How many there are.
        1 => count: u64,
        /// The root over them.
        2 => root: Digest,
    }
}

impl Cuts {
    /// The cuts of a list, which must be sorted by document.
    pub fn over(cuts: &[Cut]) -> Self {
        let leaves: Vec<_> = cuts.iter().map(|cut| hash(&[&[0], &cut.to_cbor()])).collect();
        Self { count: cuts.len() as u64, root: Digest(root(&leaves)) }
    }
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [leaf] => *leaf,
        _ => {
            // The left subtree takes the largest power of two smaller than the number of leaves.
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1], &root(left), &root(right)])
        }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
