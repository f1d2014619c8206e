//! Edits that travel by hand: out of one node into a file, and out of the file into another. A file is no less to be
//! trusted than a connection, because every edit and every roster entry in it is signed, and is looked at as if a peer had sent it.

use super::admit::Admission;
use super::io::{Now, Packed, Refusal, Unpacked};
use super::keys::{self, Arrival};
use super::{Core, Release, Step};
use crate::cbor::Bytes;
use crate::edit::action::Action;
use crate::edit::{Edit, causal};
use crate::id::{DocumentId, EditId};
use crate::store::{Store, StoreError};
use crate::sync::frame::FRAME_BYTES_GOAL;
use crate::sync::{Frame, Scope, roster_frames};
use std::collections::BTreeSet;

/// Documents in one part of a pack.
const PART_DOCUMENTS: usize = 500;
/// A part is closed at so many bytes.
const PART_BYTES_GOAL: usize = 1 << 20;
/// Things that were refused, of which each is told.
const REFUSED_TOLD: usize = 20;

impl Core {
    /// A part of what is held: of all, of what a member may see, or, for the hub, of what it is not known to have. `after`
    /// is where the last part ended.
    pub(super) fn pack<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        peer: Option<&str>,
        after: Option<DocumentId>,
    ) -> Result<Packed, Refusal> {
        if peer.is_some() {
            // Whose a shipment is its summary tells.
            self.refresh_all(step)?;
        }
        let documents = match peer {
            None => Self::documents_after(step, &Scope::All, after)?,
            Some(name) => {
                let members = self.roster.members();
                let Some(member) = members.into_iter().find(|member| member.name == name) else {
                    return Err(Refusal::Invalid(format!(
                        "“{name}” is no member's name: “creel status” lists the members"
                    )));
                };
                if member.key == self.roster.genesis().hub {
                    Self::waiting_after(step, after)?
                } else {
                    let scope = Self::scope(member.role, member.party.as_ref());
                    Self::documents_after(step, &scope, after)?
                }
            }
        };
        let mut packed = Packed::default();
        if after.is_none() {
            packed.frames = roster_frames(self.roster.entries(1).cloned().map(Bytes).collect());
        }
        let (mut page, mut page_bytes, mut bytes) = (Vec::new(), 0, 0);
        for (count, document) in documents.iter().enumerate() {
            if count == PART_DOCUMENTS || bytes >= PART_BYTES_GOAL {
                break;
            }
            for edit in causal::order(self.edits_of(&step.overlay, document)?) {
                page_bytes += edit.bytes.len();
                if let Ok(action) = Action::from_raw(&edit.statement.action) {
                    packed.photos.extend(action.files());
                }
                page.push(edit);
                if page_bytes >= FRAME_BYTES_GOAL {
                    bytes += std::mem::take(&mut page_bytes);
                    packed.frames.push(Frame::Edits(std::mem::take(&mut page)));
                }
            }
            packed.documents += 1;
            packed.next = Some(*document);
        }
        if packed.documents == documents.len() {
            packed.next = None;
        }
        if !page.is_empty() {
            packed.frames.push(Frame::Edits(page));
        }
        Ok(packed)
    }

    /// Documents of a scope after one, ascending; one more than a part can have.
    fn documents_after<S: Store>(
        step: &Step<'_, S>,
        scope: &Scope,
        after: Option<DocumentId>,
    ) -> Result<Vec<DocumentId>, StoreError> {
        let prefix = match scope {
            Scope::All => b"d".to_vec(),
            Scope::Party(party) => keys::party_prefix(party),
        };
        let (mut from, to) = keys::under(&prefix);
        if let Some(after) = after {
            from.extend(after.0);
            from.push(0);
        }
        let pairs = step.overlay.scan(&from, &to, PART_DOCUMENTS + 1)?;
        Ok(pairs.iter().filter_map(|(key, _)| keys::tail(key).map(DocumentId)).collect())
    }

    /// Documents with edits that the hub is not known to have.
    fn waiting_after<S: Store>(step: &Step<'_, S>, after: Option<DocumentId>) -> Result<Vec<DocumentId>, StoreError> {
        let mut documents = BTreeSet::new();
        for (key, _) in super::all(&step.overlay, b"w")? {
            let edit = EditId(keys::tail(&key).unwrap_or_default());
            let arrival: Option<Arrival> = keys::read(&step.overlay, &keys::arrival(&edit))?;
            documents.extend(arrival.map(|arrival| arrival.document));
        }
        Ok(documents.into_iter().filter(|document| after.is_none_or(|after| *document > after)).collect())
    }

    /// Takes roster entries and edits that came by hand, or were saved from this device's damaged store.
    pub(super) fn unpack<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        entries: &[Bytes],
        edits: Vec<Edit>,
    ) -> Result<Unpacked, StoreError> {
        let mut report = Unpacked::default();
        for entry in entries {
            match self.roster.append(&entry.0) {
                Ok(true) => {
                    let (height, head) = (self.roster.height(), self.roster.head());
                    step.overlay.batch.put(keys::roster(height), entry.0.clone());
                    let admitted = self.admit_after_roster(step, now, head)?;
                    report.taken += admitted.len();
                    step.releases.push(Release::Roster(height, head));
                }
                Ok(false) => {}
                Err(error) => {
                    report.refuse(format!("a roster entry: {error}"));
                    break;
                }
            }
        }
        for edit in edits {
            let id = edit.id;
            let (admission, beside) = self.admit_received(step, now, self.key, edit)?;
            report.taken += beside.len();
            match admission {
                Admission::Admitted => report.taken += 1,
                Admission::Held => report.held += 1,
                Admission::Waits => {}
                Admission::Refused(why) => report.refuse(format!("edit {}: {why}", id.short())),
            }
        }
        report.waiting = self.held_back.of(&self.key);
        Ok(report)
    }
}

impl Unpacked {
    fn refuse(&mut self, why: String) {
        self.refused += 1;
        if self.why.len() < REFUSED_TOLD {
            self.why.push(why);
        }
    }
}
