//! The fingerprints of what this node shares with its peers, kept up to date with every step that takes effect.

use super::keys::{self, Summary};
use super::{Core, PAGE, Step};
use crate::id::{DeviceKey, Digest, DocumentId, EditId};
use crate::store::{Store, StoreError};
use crate::sync::fingerprint::digest;
use crate::sync::{Scope, Tree};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Peers of which the tree is kept after they have gone.
const TREES_MAX: usize = 4_096;

/// A change of a tree that a step makes when it takes effect.
#[derive(Debug)]
pub(super) enum Move {
    /// A document has other heads.
    Heads(DocumentId, Digest),
    /// A document comes into a party's scope.
    Widen(String, DocumentId, Digest),
    /// A document was let go of here, and its digest kept.
    Part,
    /// Such a document comes back.
    Back,
    /// A device of a party has let go of a document that is none of its party's any more, when it had this digest.
    Release(String, DeviceKey, DocumentId, Digest),
}

/// What is shared with one device.
#[derive(Debug, Default)]
struct Shared {
    tree: Tree,
    /// What it has let go of.
    released: HashMap<DocumentId, Digest>,
}

impl Shared {
    fn put(&mut self, document: &DocumentId, digest: Digest) {
        self.tree.put(document, self.released.get(document).copied().unwrap_or(digest));
    }
}

/// What is shared with whom.
#[derive(Debug, Default)]
pub(super) struct Trees {
    /// All documents: shared with whoever may see all.
    all: Tree,
    /// Those of a party, for each of its devices that connected lately.
    parties: BTreeMap<(String, DeviceKey), Shared>,
    /// Shared with whoever was not loaded.
    none: Tree,
    /// Documents of which only the digest is held.
    gone: u64,
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
                _ => break,
            }
        }
        for (key, value) in super::all(store, b"g")? {
            if let (Some(document), Ok(digest)) = (keys::tail(&key).map(DocumentId), value.try_into().map(Digest)) {
                trees.all.put(&document, digest);
                trees.gone += 1;
            }
        }
        Ok(trees)
    }

    /// How many documents are held.
    pub(super) fn documents(&self) -> u64 {
        (self.all.len() as u64).saturating_sub(self.gone)
    }

    /// What a device that was heard of lately has let go of, if anything.
    pub(super) fn released(&self, party: &str, device: &DeviceKey) -> Option<&HashMap<DocumentId, Digest>> {
        let shared = self.parties.get(&(party.to_owned(), *device))?;
        (!shared.released.is_empty()).then_some(&shared.released)
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
        let mut shared = Shared::default();
        let released = super::all(store, &keys::released_by(peer))?;
        shared
            .released
            .extend(released.filter_map(|(key, digest)| {
                Some((keys::tail(&key).map(DocumentId)?, Digest(digest.try_into().ok()?)))
            }));
        for (key, _) in super::all(store, &keys::party_prefix(party))? {
            let document = DocumentId(keys::tail(&key).unwrap_or_default());
            let heads: Option<Vec<EditId>> = keys::read(store, &keys::heads(&document))?;
            let gone = store.get(&keys::gone(&document))?.and_then(|gone| gone.try_into().ok()).map(Digest);
            let digest = match (heads, gone) {
                (None, Some(gone)) => gone,
                (heads, _) => digest(&document, &heads.unwrap_or_default()),
            };
            shared.put(&document, digest);
        }
        self.parties.insert(key, shared);
        Ok(())
    }

    /// What is shared with a peer that was loaded.
    pub(super) fn shared(&self, scope: &Scope, peer: &DeviceKey) -> &Tree {
        match scope {
            Scope::All => &self.all,
            Scope::Party(party) => self.parties.get(&(party.clone(), *peer)).map_or(&self.none, |shared| &shared.tree),
        }
    }

    fn of_party(&mut self, party: &str) -> impl Iterator<Item = &mut Shared> {
        let (low, high) = (DeviceKey([0; 32]), DeviceKey([0xff; 32]));
        self.parties.range_mut((party.to_owned(), low)..=(party.to_owned(), high)).map(|(_, shared)| shared)
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
                        self.trees.of_party(&party).for_each(|shared| shared.put(&document, digest));
                    }
                }
                Move::Widen(party, document, digest) => {
                    for shared in self.trees.of_party(&party) {
                        shared.released.remove(&document);
                        shared.put(&document, digest);
                    }
                }
                Move::Part => self.trees.gone += 1,
                Move::Back => self.trees.gone = self.trees.gone.saturating_sub(1),
                Move::Release(party, device, document, digest) => {
                    if let Some(shared) = self.trees.parties.get_mut(&(party, device)) {
                        shared.released.insert(document, digest);
                        shared.put(&document, digest);
                    }
                }
            }
        }
        Ok(())
    }
}
