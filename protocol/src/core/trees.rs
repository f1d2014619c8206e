//! The fingerprints of what this node shares with its peers, kept up to date with every step that takes effect.

use super::keys::{self, Summary};
use super::{Core, PAGE, Step};
use crate::id::{DeviceKey, Digest, DocumentId, EditId};
use crate::store::{Store, StoreError};
use crate::sync::fingerprint::digest;
use crate::sync::{Scope, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// Peers of which the tree is kept after they have gone.
const TREES_MAX: usize = 4_096;

/// A change of a tree that a step makes when it takes effect.
#[derive(Debug)]
pub(super) enum Move {
    /// A document has other heads.
    Heads(DocumentId, Digest),
    /// A document comes into a party's scope.
    Widen(String, DocumentId, Digest),
}

/// What is shared with whom.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// All documents: shared with whoever may see all.
    all: Tree,
    /// Those of a party, for each of its devices that connected lately.
    parties: BTreeMap<(String, DeviceKey), Tree>,
    /// Shared with whoever was not loaded.
    none: Tree,
}

impl Trees {
    /// The tree of everything that a store holds.
    pub(super) fn open(store: &impl Store) -> Result<Self, StoreError> {
        let mut trees = Self::default();
        let (mut from, to) = keys::under(b"d");
        loop {
            let page = store.scan(&from, &to, PAGE)?;
            for (key, value) in &page {
                let heads: Vec<EditId> = keys::decode(key, value)?;
                let document = DocumentId(keys::tail(key).unwrap_or_default());
                trees.all.put(&document, digest(&document, &heads));
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
                _ => return Ok(trees),
            }
        }
    }

    /// How many documents are held.
    pub(super) fn documents(&self) -> u64 {
        self.all.len() as u64
    }

    /// Makes sure that there is a tree for a peer.
    pub(super) fn load(
        &mut self,
        store: &impl Store,
        scope: &Scope,
        peer: &DeviceKey,
        is_connected: impl Fn(&DeviceKey) -> bool,
    ) -> Result<(), StoreError> {
        let Scope::Party(party) = scope else { return Ok(()) };
        let key = (party.clone(), *peer);
        if self.parties.contains_key(&key) {
            return Ok(());
        }
        if self.parties.len() >= TREES_MAX {
            self.parties.retain(|(_, device), _| is_connected(device));
        }
        let mut tree = Tree::default();
        for (key, _) in super::all(store, &keys::party_prefix(party))? {
            let document = DocumentId(keys::tail(&key).unwrap_or_default());
            let heads: Vec<EditId> = keys::read(store, &keys::heads(&document))?.unwrap_or_default();
            tree.put(&document, digest(&document, &heads));
        }
        self.parties.insert(key, tree);
        Ok(())
    }

    /// What is shared with a peer that was loaded.
    pub(super) fn shared(&self, scope: &Scope, peer: &DeviceKey) -> &Tree {
        match scope {
            Scope::All => &self.all,
            Scope::Party(party) => self.parties.get(&(party.clone(), *peer)).unwrap_or(&self.none),
        }
    }

    fn of_party(&mut self, party: &str) -> impl Iterator<Item = &mut Tree> {
        let (low, high) = (DeviceKey([0; 32]), DeviceKey([0xff; 32]));
        self.parties.range_mut((party.to_owned(), low)..=(party.to_owned(), high)).map(|(_, tree)| tree)
    }
}

impl Core {
    /// Brings the trees up to date with what a step wrote.
    pub(super) fn move_trees<S: Store>(&mut self, step: &mut Step<'_, S>) -> Result<(), StoreError> {
        for moved in std::mem::take(&mut step.moves) {
            match moved {
                Move::Heads(document, digest) => {
                    self.trees.all.put(&document, digest);
                    if self.trees.parties.is_empty() {
                        continue;
                    }
                    let summary: Option<Summary> = keys::cached(&step.overlay, &keys::summary(&document))?;
                    let parties: BTreeSet<String> =
                        summary.map(|summary| summary.parties.into_iter().collect()).unwrap_or_default();
                    for party in parties {
                        self.trees.of_party(&party).for_each(|tree| tree.put(&document, digest));
                    }
                }
                Move::Widen(party, document, digest) => {
                    self.trees.of_party(&party).for_each(|tree| tree.put(&document, digest));
                }
            }
        }
        Ok(())
    }
}
