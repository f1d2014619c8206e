//! Photos: files that devices have, fetched whole or cut off, by what their cores want and allow.

use super::world::{Request, World};
use creel_protocol::core::io::{Act, Input, PhotoNews, Query};
use creel_protocol::core::keys;
use creel_protocol::edit::action::Action;
use creel_protocol::id::FileHash;
use creel_protocol::store::Store as _;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// The photos of a record are files on the device before it is recorded.
    pub(super) fn take_photos(&mut self, at: usize, act: &Act) {
        if let Act::Record { record, .. } = act {
            self.nodes[at].photos.extend(&record.photos);
        }
    }

    /// Some device asks what it lacks that another has.
    pub(super) fn fetch_some(&mut self) {
        let links: Vec<_> =
            self.links.values().filter(|link| link.open == [true, true]).map(|link| link.nodes).collect();
        let Some([one, other]) = self.rng.pick(&links).copied() else { return };
        self.fetch(one, other);
        self.fetch(other, one);
    }

    fn fetch(&mut self, to: usize, from: usize) {
        // Only the hub has what it did not name itself.
        let named_by = (from != 0).then(|| self.nodes[from].key());
        let request = self.request(Request::Wanted { from });
        self.feed(to, Input::Ask { request, query: Query::WantedPhotos { from: named_by, after: None } });
    }

    pub(super) fn wanted(&mut self, to: usize, from: usize, photos: Vec<FileHash>) {
        for photo in photos {
            if self.nodes[to].photos.contains(&photo) {
                // The file is here, and the store was set back.
                self.kept_photo(to, from, photo);
            } else {
                let peer = self.nodes[to].key();
                let request = self.request(Request::MayFetch { to, photo });
                self.feed(from, Input::Ask { request, query: Query::MayFetch { peer, photo } });
            }
        }
    }

    /// A device may have a photo, or may not.
    pub(super) fn may_fetch(&mut self, from: usize, to: usize, photo: FileHash, may: bool) {
        if !may || self.nodes[to].core.is_none() || !self.linked(from, to) {
            return;
        }
        let party = self.nodes[to].party.clone();
        let came_from = keys::photo_from(&photo, &self.nodes[to].key());
        let gave = self.nodes[from].engine.get(&came_from).is_ok_and(|found| found.is_some());
        if !gave && !self.shows(from, to, &photo, party.as_deref()) {
            let what = format!("{} lets {party:?} have a photo of what is none of its business", self.nodes[from].name);
            return self.fail(what);
        }
        // A cut link leaves a part of a file, which is no photo yet.
        if self.nodes[from].photos.contains(&photo) && (self.healing || self.rng.percent(70)) {
            self.nodes[to].photos.insert(photo);
            self.kept_photo(to, from, photo);
        }
    }

    fn kept_photo(&mut self, to: usize, from: usize, photo: FileHash) {
        self.feed(to, Input::Photo { photo, news: PhotoNews::Kept { from: Some(self.nodes[from].key()) } });
        if to == 0 {
            self.feed(from, Input::Photo { photo, news: PhotoNews::AtHub });
        }
    }

    /// Whether another device's record names the photo, in a shipment, as the device holds it, that was ever the party's.
    fn shows(&self, at: usize, to: usize, photo: &FileHash, party: Option<&str>) -> bool {
        let asker = self.nodes[to].key();
        let names = |document| {
            let naming = self.naming(at, &document);
            naming.get(photo).is_some_and(|authors| authors.iter().any(|author| *author != asker))
        };
        let theirs = |document| {
            if self.nodes[to].sees_all() {
                return true;
            }
            self.named
                .get(&document)
                .is_some_and(|edits| edits.values().any(|named| party.is_some_and(|party| named.contains(party))))
        };
        self.documents(at).into_iter().any(|document| names(document) && theirs(document))
    }

    /// The photos that records of a document name, with their authors.
    fn naming(
        &self,
        at: usize,
        document: &creel_protocol::id::DocumentId,
    ) -> BTreeMap<FileHash, BTreeSet<creel_protocol::id::DeviceKey>> {
        let mut naming: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for edit in self.edits_at(at, document) {
            if let Ok(Action::Record(record)) = Action::from_raw(&edit.statement.action) {
                for photo in record.photos {
                    naming.entry(photo).or_default().insert(edit.statement.author);
                }
            }
        }
        naming
    }

    /// Everybody is in contact with the hub: it fetches what it lacks.
    pub(super) fn fetch_all(&mut self) -> Result<(), String> {
        for from in 1..self.nodes.len() {
            self.fetch(0, from);
            self.quiet("while the hub fetches photos")?;
        }
        Ok(())
    }

    /// The hub has every photo that a record at the hub names and that its author's device has.
    pub(super) fn judge_photos(&self) -> Result<(), String> {
        for document in self.documents(0) {
            for (photo, authors) in self.naming(0, &document) {
                if self.nodes[0].photos.contains(&photo) || self.is_void_naming(&document, &photo) {
                    continue;
                }
                let has = |node: &&super::world::Node| {
                    node.core.is_some()
                        && authors.contains(&node.key())
                        && node.photos.contains(&photo)
                        && node.engine.get(&keys::named_photo(&photo, &document)).is_ok_and(|found| found.is_some())
                };
                if let Some(node) = self.nodes.iter().skip(1).find(has) {
                    return Err(format!("the hub lacks a photo that {} has and named in {document}", node.name));
                }
            }
        }
        Ok(())
    }

    /// Whether only records that do not count name the photo.
    fn is_void_naming(&self, document: &creel_protocol::id::DocumentId, photo: &FileHash) -> bool {
        self.nodes[0].engine.get(&keys::named_photo(photo, document)).is_ok_and(|found| found.is_none())
    }
}
