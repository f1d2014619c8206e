//! Photos as the core knows them: which shipments name them, who may have them, and how far they have come. Their bytes are
//! files, and the node's affair.

use super::io::{Named, Now, PhotoNews};
use super::keys;
use super::{Core, Release, Step};
use crate::id::{DeviceKey, DocumentId, FileHash};
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// Wanted photos named in one answer.
const WANTED_MAX: usize = 4_096;
/// Shipments looked at to find one that lets a peer have a photo.
const NAMING_LOOKED_AT: usize = 4_096;

impl Core {
    /// A shipment's records name these photos, by these devices.
    pub(super) fn name_photos<S: Store>(
        &self,
        step: &mut Step<'_, S>,
        document: &DocumentId,
        photos: &BTreeMap<FileHash, BTreeSet<DeviceKey>>,
    ) -> Result<(), StoreError> {
        for (photo, authors) in photos {
            let key = keys::named_photo(photo, document);
            let known: Vec<DeviceKey> = keys::cached(&step.overlay, &key)?.unwrap_or_default();
            let named: Vec<DeviceKey> = authors.iter().copied().collect();
            if known == named {
                continue;
            }
            step.overlay.batch.put(key, keys::encode(&named));
            // Whoever names a photo has it, if anybody has.
            for author in named.iter().filter(|author| **author != self.key && !known.contains(author)) {
                step.overlay.batch.put(keys::wanted_photo(author, photo), Vec::new());
            }
        }
        Ok(())
    }

    /// Photos that are named and not known to be here, a page of them; those that a device named, if it is asked for them.
    pub(super) fn wanted_photos<S: Store>(
        step: &Step<'_, S>,
        from: Option<DeviceKey>,
        after: Option<Named>,
    ) -> Result<Vec<Named>, StoreError> {
        let (mut low, high) = keys::under(&from.map_or_else(|| b"u".to_vec(), |from| keys::wanted_of(&from)));
        if let Some((author, photo)) = after {
            low = low.max([keys::wanted_photo(&author, &photo).as_slice(), &[0]].concat());
        }
        let wanted = step.overlay.scan(&low, &high, WANTED_MAX)?;
        Ok(wanted.iter().filter_map(|(key, _)| keys::wanted(key)).collect())
    }

    /// Whether a peer may have a photo: it came from that peer, or an edit that counts names it which is another device's and which
    /// the peer may see. An own edit gives no right: anybody could name what they have only heard the hash of.
    pub(super) fn may_fetch<S: Store>(
        &self,
        step: &Step<'_, S>,
        peer: &DeviceKey,
        photo: &FileHash,
    ) -> Result<bool, StoreError> {
        let Some(member) = self.roster.member(peer) else { return Ok(false) };
        if step.overlay.get(&keys::photo_from(photo, peer))?.is_some() {
            return Ok(true);
        }
        let scope = Self::scope(member.role, member.party.as_ref());
        let (low, high) = keys::under(&keys::naming(photo));
        for (key, authors) in step.overlay.scan(&low, &high, NAMING_LOOKED_AT)? {
            let authors: Vec<DeviceKey> = keys::decode(&key, &authors).unwrap_or_default();
            if authors.iter().all(|author| author == peer) {
                continue;
            }
            let document = DocumentId(keys::tail(&key).unwrap_or_default());
            let shown = match &scope {
                crate::sync::Scope::All => true,
                crate::sync::Scope::Party(party) => {
                    step.overlay.get(&keys::party(party, &document))?.is_some()
                        && step.overlay.get(&keys::released(peer, &document))?.is_none()
                }
            };
            if shown {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes note of how far a photo has come.
    pub(super) fn photo_news<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        photo: &FileHash,
        news: PhotoNews,
    ) -> Result<(), StoreError> {
        if let PhotoNews::Kept { from } = news {
            if let Some(from) = from {
                step.overlay.batch.put(keys::photo_from(photo, &from), Vec::new());
            }
            let (low, high) = keys::under(&keys::naming(photo));
            for (key, _) in step.overlay.scan(&low, &high, NAMING_LOOKED_AT)? {
                for author in keys::cached::<Vec<DeviceKey>>(&step.overlay, &key)?.unwrap_or_default() {
                    step.overlay.batch.remove(keys::wanted_photo(&author, photo));
                }
            }
        }
        if (news == PhotoNews::AtHub || self.is_hub()) && !Self::photo_at_hub(step, photo)? {
            step.overlay.batch.put(keys::photo_at_hub(photo), keys::encode(&now.0));
            let (low, high) = keys::under(&keys::naming(photo));
            for (key, _) in step.overlay.scan(&low, &high, NAMING_LOOKED_AT)? {
                step.releases.push(Release::Changed(DocumentId(keys::tail(&key).unwrap_or_default())));
            }
        }
        Ok(())
    }

    /// Whether the hub is known to have a photo.
    pub(super) fn photo_at_hub<S: Store>(step: &Step<'_, S>, photo: &FileHash) -> Result<bool, StoreError> {
        Ok(step.overlay.get(&keys::photo_at_hub(photo))?.is_some())
    }
}
