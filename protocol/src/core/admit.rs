//! Admission: which edits are kept. It tests what is frozen in edit version 1, and no more: encoding, limits and
//! signature (done when the bytes became an [`Edit`]), an author enrolled at the roster entry the edit names, and that all it
//! stands on is held. Whatever else may be wrong with it is for the view to say.

use super::io::{Now, Output};
use super::keys::{self, Arrival};
use super::trees::Move;
use super::{Core, Release, Step};
use crate::edit::Edit;
use crate::id::{DeviceKey, DocumentId, EditId, EntryId};
use crate::planted::{self, Bug};
use crate::store::{Store, StoreError};
use crate::sync::fingerprint::digest;
use crate::sync::frame::Holds;
use crate::sync::{Frame, JournalEntry};
use std::collections::{BTreeMap, HashMap};

/// Edits of one peer about one document that may wait for what they stand on.
const HELD_BACK_MAX: usize = 256;

/// Bytes of one peer's that may wait, in all.
const HELD_BACK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What became of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// It was held already.
    Held,
    /// It is kept from now on.
    Admitted,
    /// It waits for what it stands on.
    Waits,
    /// It is not kept, and why.
    Refused(String),
}

/// What an edit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Missing {
    Edit(EditId),
    Entry(EntryId),
}

/// Edits that wait for what they stand on. Not durable and not acknowledged: their sender has them.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    /// Of each peer that sent one: each is owed an acknowledgement.
    waiting: HashMap<Missing, BTreeMap<(DeviceKey, EditId), Edit>>,
    counts: HashMap<(DeviceKey, DocumentId), usize>,
    /// Bytes of a peer's.
    totals: HashMap<DeviceKey, usize>,
}

impl HeldBack {
    fn hold(&mut self, missing: Missing, source: DeviceKey, edit: Edit) -> bool {
        let key = (source, edit.id);
        if self.waiting.get(&missing).is_some_and(|waiting| waiting.contains_key(&key)) {
            return true;
        }
        // What is refused leaves nothing behind, however much of it comes.
        let count = self.counts.get(&(source, edit.document)).copied().unwrap_or_default();
        let all = self.totals.get(&source).copied().unwrap_or_default();
        if count >= HELD_BACK_MAX || all >= HELD_BACK_BYTES_MAX {
            return false;
        }
        self.counts.insert((source, edit.document), count + 1);
        self.totals.insert(source, all + edit.bytes.len());
        self.waiting.entry(missing).or_default().insert(key, edit);
        true
    }

    fn release(&mut self, missing: Missing) -> Vec<(DeviceKey, Edit)> {
        let released = self.waiting.remove(&missing).unwrap_or_default();
        let released: Vec<_> = released.into_iter().map(|((source, _), edit)| (source, edit)).collect();
        for (source, edit) in &released {
            if let Some(all) = self.totals.get_mut(source) {
                *all -= edit.bytes.len();
            }
            if let Some(count) = self.counts.get_mut(&(*source, edit.document)) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&(*source, edit.document));
                }
            }
        }
        released
    }

    /// Forgets what a peer sent: it will send it again.
    pub(super) fn forget(&mut self, peer: &DeviceKey) {
        self.waiting.retain(|_, waiting| {
            waiting.retain(|(source, _), _| source != peer);
            !waiting.is_empty()
        });
        self.counts.retain(|(source, _), _| source != peer);
        self.totals.remove(peer);
    }

    /// How many of a peer's wait.
    pub(super) fn of(&self, peer: &DeviceKey) -> usize {
        self.counts.iter().filter(|((source, _), _)| source == peer).map(|(_, count)| count).sum()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.counts.values().sum()
    }
}

impl Core {
    /// Admits an edit of a peer, and whatever waited for it. Tells what became of the edit and the ids that were admitted
    /// beside it, each with the peer that sent it.
    pub(super) fn admit_received<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        source: DeviceKey,
        edit: Edit,
    ) -> Result<(Admission, Vec<(DeviceKey, EditId)>), StoreError> {
        let id = edit.id;
        let admission = self.admit(step, now, Some(source), edit)?;
        let mut beside = Vec::new();
        if admission == Admission::Admitted {
            self.admit_waiting(step, now, Missing::Edit(id), &mut beside)?;
        }
        Ok((admission, beside))
    }

    /// Admits what waited for a roster entry.
    pub(super) fn admit_after_roster<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        entry: EntryId,
    ) -> Result<Vec<(DeviceKey, EditId)>, StoreError> {
        let mut admitted = Vec::new();
        self.admit_waiting(step, now, Missing::Entry(entry), &mut admitted)?;
        Ok(admitted)
    }

    fn admit_waiting<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        missing: Missing,
        admitted: &mut Vec<(DeviceKey, EditId)>,
    ) -> Result<(), StoreError> {
        let mut ready = vec![missing];
        while let Some(missing) = ready.pop() {
            for (source, edit) in self.held_back.release(missing) {
                let id = edit.id;
                match self.admit(step, now, Some(source), edit)? {
                    Admission::Admitted => {
                        admitted.push((source, id));
                        ready.push(Missing::Edit(id));
                    }
                    Admission::Held => admitted.push((source, id)),
                    Admission::Waits | Admission::Refused(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Admits one edit: a peer's, or one just made here (`source` is none).
    pub(super) fn admit<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        source: Option<DeviceKey>,
        edit: Edit,
    ) -> Result<Admission, StoreError> {
        if step.overlay.get(&keys::arrival(&edit.id))?.is_some() {
            return Ok(Admission::Held);
        }
        let statement = &edit.statement;
        let Some(height) = self.roster.height_of(&statement.roster) else {
            return Ok(self.hold(Missing::Entry(statement.roster), source, edit));
        };
        if self.roster.member_at(&statement.author, height).is_none() {
            let author = statement.author.short();
            return Ok(Admission::Refused(format!("its author {author} was not a member at roster entry {height}")));
        }
        for before in &statement.after {
            if planted::is(Bug::IgnoredAfter) {
                break;
            }
            match keys::read::<Arrival>(&step.overlay, &keys::arrival(before))? {
                Some(held) if held.document == edit.document => {}
                Some(_) => return Ok(Admission::Refused("it stands on an edit about another document".to_owned())),
                None => {
                    let before = *before;
                    return Ok(self.hold(Missing::Edit(before), source, edit));
                }
            }
        }
        self.keep(step, now, source, &edit)?;
        Ok(Admission::Admitted)
    }

    fn hold(&mut self, missing: Missing, source: Option<DeviceKey>, edit: Edit) -> Admission {
        match source {
            Some(source) if self.held_back.hold(missing, source, edit) => Admission::Waits,
            Some(_) => Admission::Refused("more edits wait for others than a peer may make wait".to_owned()),
            None => Admission::Refused("it stands on an edit that is not here".to_owned()),
        }
    }

    fn keep<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        source: Option<DeviceKey>,
        edit: &Edit,
    ) -> Result<(), StoreError> {
        let heads: Option<Vec<EditId>> = keys::read(&step.overlay, &keys::heads(&edit.document))?;
        if heads.is_none() && step.overlay.get(&keys::gone(&edit.document))?.is_some() {
            // It was let go of, and comes back.
            step.overlay.batch.remove(keys::gone(&edit.document));
            step.moves.push(Move::Back);
            self.ask_hub_for(step, source, &edit.document);
        }
        let mut heads = heads.unwrap_or_default();
        heads.retain(|head| edit.statement.after.binary_search(head).is_err());
        let place = heads.partition_point(|head| *head < edit.id);
        heads.insert(place, edit.id);
        step.moves.push(Move::Heads(edit.document, digest(&edit.document, &heads)));

        let from_hub = source.is_some_and(|source| source == self.roster.genesis().hub);
        let at_hub = (from_hub || self.is_hub()).then_some(now.0);
        let seq = self.counters.journal_end;
        let arrival = Arrival { document: edit.document, seq, at: now.0, at_hub };
        let entry = JournalEntry::Edit { document: edit.document, edit: edit.id, source };
        let batch = &mut step.overlay.batch;
        batch.put(keys::edit(&edit.document, &edit.id), edit.bytes.clone());
        batch.put(keys::heads(&edit.document), keys::encode(&heads));
        batch.put(keys::arrival(&edit.id), keys::encode(&arrival));
        if edit.statement.author == self.key {
            // Also when it comes from a peer, to a store that lost it: the tap is still that edit.
            batch.put(keys::tap(&edit.statement.tap), keys::encode(&(edit.id, edit.document)));
        }
        if at_hub.is_none() {
            batch.put(keys::waiting(&edit.id), Vec::new());
            self.counters.waiting += 1;
            step.releases.push(Release::Waiting);
        }
        self.journal(step, &entry);
        self.mark_stale(step, &edit.document)?;
        step.releases.push(Release::Changed(edit.document));
        Ok(())
    }

    /// Who brings back what was let go of may not have all of it. The hub has, and takes it to be gone from here.
    fn ask_hub_for<S: Store>(&self, step: &mut Step<'_, S>, source: Option<DeviceKey>, document: &DocumentId) {
        if source == Some(self.roster.genesis().hub) {
            return;
        }
        if let Some(session) = self.session_of_hub() {
            let frame = Frame::Holds(vec![Holds::of(*document, &[], false)]);
            step.outputs.push(Output::Send { session, frame });
        }
    }

    /// Appends to the journal.
    pub(super) fn journal<S: Store>(&mut self, step: &mut Step<'_, S>, entry: &JournalEntry) {
        step.overlay.batch.put(keys::journal(self.counters.journal_end), keys::encode(entry));
        self.counters.journal_end += 1;
    }

    /// Remembers that a document's summary is out of date.
    pub(super) fn mark_stale<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        document: &DocumentId,
    ) -> Result<(), StoreError> {
        let key = keys::stale(document);
        if step.overlay.get(&key)?.is_none() {
            step.overlay.batch.put(key, Vec::new());
            self.counters.stale += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Statement;
    use crate::edit::action::{Action, Say};
    use crate::id::{OrganisationId, Tap};
    use ed25519_dalek::SigningKey;

    fn edit(document: u8, text: &str) -> Edit {
        let key = SigningKey::from_bytes(&[1; 32]);
        let statement = Statement {
            author: DeviceKey(key.verifying_key().to_bytes()),
            by: None,
            after: vec![EditId([9; 32])],
            roster: EntryId([2; 32]),
            tap: Tap([3; 16]),
            at: 0,
            action: Action::Say(Say::of(text)).to_raw(),
        };
        let document = DocumentId([document; 24]);
        Edit::sign(&OrganisationId([4; 32]), Some(document), statement, &key).expect("it is within the limits")
    }

    /// Of one peer so much may wait and no more; what is refused leaves nothing behind, of however many documents it is, and one
    /// that waits already waits on.
    #[test]
    fn what_waits_is_bounded() {
        let (peer, other) = (DeviceKey([1; 32]), DeviceKey([2; 32]));
        let missing = Missing::Edit(EditId([9; 32]));
        let mut held = HeldBack::default();
        let first = edit(0, "0");
        for nth in 0..HELD_BACK_MAX {
            assert!(held.hold(missing, peer, edit(0, &nth.to_string())));
        }
        assert!(!held.hold(missing, peer, edit(0, "one more")));
        assert!(held.hold(missing, peer, first.clone()) && held.hold(missing, other, first));
        assert_eq!((held.of(&peer), held.of(&other), held.len()), (HELD_BACK_MAX, 1, HELD_BACK_MAX + 1));

        let long = "x".repeat(8_000);
        let mut waiting = 0;
        for document in 1..=100 {
            for nth in 0..20 {
                waiting += usize::from(held.hold(missing, peer, edit(document, &format!("{nth} {long}"))));
            }
        }
        assert!(waiting < 1_100, "{waiting} edits of 8 kB wait");
        assert!(held.counts.values().all(|count| *count > 0), "what was refused is remembered");
        assert_eq!(held.release(missing).len(), HELD_BACK_MAX + 1 + waiting);
        assert_eq!((held.len(), held.counts.len()), (0, 0));
    }
}
