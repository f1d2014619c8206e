//! Letting go: a driver's or a shop's device keeps what its people need, and not every shipment they ever had to do with.
//!
//! What has ended, and what is not the party's any more, is let go of some time after the hub was known to have the last of it. The
//! device asks, naming the heads it holds; the hub answers only when it holds all that those heads stand on, durably, and has for that
//! time by its own clock; and the device lets go only if nothing was added meanwhile. The hub lets go of nothing.
//!
//! The device keeps the digest of what it let go of, so that its fingerprint still is its peers', and nothing is sent again. A
//! new edit does not find what it stands on here; by the ordinary repair the whole shipment comes back. But of a shipment that
//! has left the party the hub sends no new edit: it remembers, with the digest, that the device has let go of it, until the plan
//! names the party again or the device speaks of it once more.

use super::io::{Keep, Now, Output, SessionId};
use super::keys::{self, Arrival, Summary};
use super::refresh::numbered;
use super::trees::Move;
use super::{Core, PAGE, Release, Step};
use crate::edit::action::Action;
use crate::id::{DeviceKey, DocumentId, EditId, FileHash};
use crate::planted::{self, Bug};
use crate::store::{Store, StoreError};
use crate::sync::fingerprint::digest;
use crate::sync::frame::{PARTING_MAX, Parting};
use crate::sync::{Frame, Scope};
use std::collections::BTreeSet;

impl Core {
    /// Asks the hub whether what is not needed here any more may be let go of. The hub takes note of how long a device has to keep
    /// it: so long is what a restored hub lacks with the devices.
    pub(super) fn tidy<S: Store>(&mut self, step: &mut Step<'_, S>, now: Now, keep: Keep) -> Result<(), StoreError> {
        if self.is_hub() {
            self.keep = Some(keep);
            return Ok(());
        }
        let Some(session) = self.session_of_hub() else { return Ok(()) };
        // What is stale may have been opened again.
        if self.counters.stale > 0 {
            return Ok(());
        }
        let mut documents = Vec::new();
        let (mut from, to) = keys::under(b"s");
        'pages: loop {
            let page = step.overlay.scan(&from, &to, PAGE)?;
            for (key, _) in &page {
                let document = DocumentId(keys::tail(key).unwrap_or_default());
                if documents.len() == PARTING_MAX {
                    break 'pages;
                }
                if planted::is(Bug::PartsUnasked) {
                    self.forget(step, &document)?;
                } else if self.may_go(step, &document, |left| {
                    now.0.checked_sub(if left { keep.left_ms } else { keep.closed_ms })
                })? {
                    let heads = keys::read(&step.overlay, &keys::heads(&document))?.unwrap_or_default();
                    documents.push(Parting { document, heads });
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
                _ => break,
            }
        }
        if !documents.is_empty() {
            step.outputs.push(Output::Send { session, frame: Frame::Part(documents) });
        }
        Ok(())
    }

    /// Whether a document is not needed here any more, and all of it was at the hub by a time: which, depends on whether it has left
    /// the party or has only ended.
    fn may_go<S: Store>(
        &self,
        step: &Step<'_, S>,
        document: &DocumentId,
        before: impl Fn(bool) -> Option<u64>,
    ) -> Result<bool, StoreError> {
        let Some(member) = self.roster.member(&self.key) else { return Ok(false) };
        let Scope::Party(party) = Self::scope(member.role, member.party.as_ref()) else { return Ok(false) };
        let Some(summary) = keys::cached::<Summary>(&step.overlay, &keys::summary(document))? else { return Ok(false) };
        let left = !summary.named.contains(&party);
        let closed = !summary.outcome.is_empty() && summary.exceptions == 0;
        if !left && !closed {
            return Ok(false);
        }
        let Some(before) = before(left) else { return Ok(false) };
        for edit in self.edits_of(&step.overlay, document)? {
            let arrival: Option<Arrival> = keys::read(&step.overlay, &keys::arrival(&edit.id))?;
            if arrival.and_then(|arrival| arrival.at_hub).is_none_or(|at| at > before) {
                return Ok(false);
            }
            if edit.statement.author != self.key {
                continue;
            }
            // Who took a photo has it, and perhaps nobody else yet.
            if let Ok(action) = Action::from_raw(&edit.statement.action) {
                for photo in action.files() {
                    if !Self::photo_at_hub(step, photo)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// A device would let go of some documents: it may, of those of which everything it holds is durable here.
    pub(super) fn part<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        id: SessionId,
        peer: DeviceKey,
        documents: Vec<Parting>,
    ) -> Result<(), StoreError> {
        let Some(Scope::Party(party)) = self.sessions.get(&id).map(|session| session.scope.clone()) else {
            return Ok(());
        };
        let Some(keep) = self.keep.filter(|_| self.is_hub()) else { return Ok(()) };
        let mut parted = Vec::new();
        for Parting { document, heads } in documents.into_iter().take(PARTING_MAX) {
            // When the last of them came; none unless all of them are held, before any work is done for what is not.
            let mut held = (!heads.is_empty()).then_some(0);
            for head in &heads {
                let arrival: Option<Arrival> = keys::read(step.overlay.store, &keys::arrival(head))?;
                let arrival =
                    arrival.filter(|arrival| arrival.document == document && arrival.seq < self.journal_durable);
                held = held.zip(arrival).map(|(last, arrival)| arrival.at.max(last));
            }
            let Some(last) = held else { continue };
            // What an edit that was not looked at yet says of the parties is in force.
            if step.overlay.get(&keys::stale(&document))?.is_some() {
                self.refresh(step, document)?;
            }
            let left = !self.render(step, document)?.named.contains(&party);
            let since = now.0.checked_sub(if left { keep.left_ms } else { keep.closed_ms });
            if since.is_none_or(|since| last > since) {
                continue;
            }
            if left && step.overlay.get(&keys::party(&party, &document))?.is_some() {
                let digest = digest(&document, &heads);
                step.overlay.batch.put(keys::released(&peer, &document), digest.0.to_vec());
                step.moves.push(Move::Release(party.clone(), peer, document, digest));
            }
            parted.push(Parting { document, heads });
        }
        if !parted.is_empty() {
            step.releases.push(Release::Parted(id, parted));
        }
        Ok(())
    }

    /// Tells a device that it may let go: what the hub has to remember of that is durable.
    pub(super) fn tell_parted<S: Store>(&self, step: &mut Step<'_, S>, session: SessionId, documents: Vec<Parting>) {
        if self.sessions.contains_key(&session) {
            step.outputs.push(Output::Send { session, frame: Frame::Parted(documents) });
        }
    }

    /// The hub holds all that was asked about. What was added since, or is open after all, stays.
    pub(super) fn parted<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        peer: DeviceKey,
        documents: Vec<Parting>,
    ) -> Result<(), StoreError> {
        if peer != self.roster.genesis().hub {
            return Ok(());
        }
        for Parting { document, heads } in documents {
            let now: Vec<EditId> = keys::read(&step.overlay, &keys::heads(&document))?.unwrap_or_default();
            let fresh = step.overlay.get(&keys::stale(&document))?.is_none();
            if fresh && !now.is_empty() && now == heads && self.may_go(step, &document, |_| Some(u64::MAX))? {
                self.forget(step, &document)?;
            }
        }
        Ok(())
    }

    /// Lets go of a document: all of it goes in one batch.
    fn forget<S: Store>(&mut self, step: &mut Step<'_, S>, document: &DocumentId) -> Result<(), StoreError> {
        let heads: Vec<EditId> = keys::read(&step.overlay, &keys::heads(document))?.unwrap_or_default();
        let summary: Summary = keys::cached(&step.overlay, &keys::summary(document))?.unwrap_or_default();
        let mut photos: BTreeSet<(DeviceKey, FileHash)> = BTreeSet::new();
        for edit in self.edits_of(&step.overlay, document)? {
            if let Ok(action) = Action::from_raw(&edit.statement.action) {
                photos.extend(action.files().iter().map(|photo| (edit.statement.author, *photo)));
            }
            step.overlay.batch.remove(keys::edit(document, &edit.id));
            step.overlay.batch.remove(keys::arrival(&edit.id));
        }
        for (author, photo) in photos {
            step.overlay.batch.remove(keys::named_photo(&photo, document));
            let (from, to) = keys::under(&keys::naming(&photo));
            if step.overlay.scan(&from, &to, 1)?.is_empty() {
                step.overlay.batch.remove(keys::wanted_photo(&author, &photo));
            }
        }
        step.overlay.batch.remove(keys::heads(document));
        step.overlay.batch.remove(keys::summary(document));
        step.overlay.batch.remove(keys::number(&summary.number, document));
        for twin in numbered(step, &summary.number)? {
            self.mark_stale(step, &twin)?;
        }
        step.overlay.batch.put(keys::gone(document), digest(document, &heads).0.to_vec());
        step.moves.push(Move::Part);
        self.rendered.pop(document);
        step.releases.push(Release::Changed(*document));
        Ok(())
    }

    /// A device speaks of documents that it had let go of, or asks for them: it was set back, or has them from somebody else. It
    /// is sent all of them, and will let go again.
    pub(super) fn come_back<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        id: SessionId,
        spoken_of: &[DocumentId],
    ) -> Result<(), StoreError> {
        let Some(session) = self.sessions.get(&id) else { return Ok(()) };
        let Scope::Party(party) = session.scope.clone() else { return Ok(()) };
        let peer = session.peer;
        let Some(released) = self.trees.released(&party, &peer) else { return Ok(()) };
        let asked_for = session.to_repair().chain(spoken_of);
        let back: BTreeSet<DocumentId> =
            asked_for.filter(|document| released.contains_key(document)).copied().collect();
        for document in back {
            // All devices of the party are sent it, so that all of them have let go of it no more.
            if self.named_again(step, &party, &document)? {
                self.widen(step, &document, &party)?;
            }
        }
        Ok(())
    }

    /// A document is a party's again, of which devices of it had let go.
    pub(super) fn named_again<S: Store>(
        &self,
        step: &mut Step<'_, S>,
        party: &str,
        document: &DocumentId,
    ) -> Result<bool, StoreError> {
        let mut again = false;
        for member in self.roster.members() {
            if member.party.as_deref() != Some(party) {
                continue;
            }
            let key = keys::released(&member.key, document);
            if step.overlay.get(&key)?.is_some() {
                again = true;
                step.overlay.batch.remove(key);
            }
        }
        Ok(again)
    }
}
