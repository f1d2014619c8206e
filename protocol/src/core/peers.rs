//! Peers: who is let in, what they are sent, what is acknowledged.

use super::admit::Admission;
use super::io::{Now, Output, SessionId};
use super::keys::{self, Arrival, Summary};
use super::{Core, Release, Step};
use crate::cbor::{Bytes, Decode};
use crate::edit::Edit;
use crate::id::{DeviceKey, DocumentId, EditId};
use crate::planted::{self, Bug};
use crate::roster::{Role, Roster, RosterError};
use crate::store::{Store, StoreError};
use crate::sync::frame::{Hello, Holds, VERSION};
use crate::sync::{Frame, Holding, JournalEntry, Scope, Session, Tree};
use std::collections::{BTreeSet, HashMap};

/// Journal entries of which it is told whom they concern; with more, every session looks for itself.
const CONCERNED_MAX: usize = 512;
/// Bytes of edits that are repeated at once: a few datagrams.
const REPEAT_BYTES_MAX: usize = 3_000;

/// Edits that are told to be held, beside a document's heads: more than nearly every shipment has.
const HELD_BESIDE_MAX: usize = 64;

/// What a session sees of the node: what is durable, and the roster.
struct Held<'a, S> {
    peer: DeviceKey,
    tree: &'a Tree,
    core_roster: &'a Roster,
    store: &'a S,
    journal_durable: u64,
    roster_durable: u64,
    widening: &'a HashMap<DocumentId, Vec<(u64, String)>>,
}

impl<S: Store> Holding for Held<'_, S> {
    fn journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, JournalEntry)>, StoreError> {
        if from >= self.journal_durable {
            return Ok(Vec::new());
        }
        let pairs = self.store.scan(&keys::journal(from), &keys::journal(self.journal_durable), limit)?;
        pairs
            .iter()
            .map(|(key, value)| {
                let seq = keys::tail(key).map(u64::from_be_bytes).unwrap_or_default();
                Ok((seq, keys::decode(key, value)?))
            })
            .collect()
    }

    fn in_scope(&self, document: &DocumentId, scope: &Scope) -> Result<bool, StoreError> {
        match scope {
            Scope::All => Ok(true),
            Scope::Party(party) => {
                let widening = self.widening.get(document);
                let durable = widening.is_none_or(|parties| parties.iter().all(|(_, other)| other != party));
                Ok(durable
                    && self.store.get(&keys::party(party, document))?.is_some()
                    && self.store.get(&keys::released(&self.peer, document))?.is_none())
            }
        }
    }

    fn edit(&self, document: &DocumentId, edit: &EditId) -> Result<Option<Edit>, StoreError> {
        // An edit that was let go of and has come back may not be durable again, whatever the journal says of its first coming.
        let arrival = keys::read::<Arrival>(self.store, &keys::arrival(edit))?;
        if arrival.is_none_or(|arrival| arrival.seq >= self.journal_durable) {
            return Ok(None);
        }
        let bytes = self.store.get(&keys::edit(document, edit))?;
        bytes.map(|bytes| self.stored(bytes)).transpose()
    }

    fn edits(&self, document: &DocumentId) -> Result<Vec<Edit>, StoreError> {
        let mut edits = Vec::new();
        for (_, bytes) in super::all(self.store, &keys::edits(document))? {
            let edit = self.stored(bytes)?;
            // What is not durable yet is pushed from the journal when it is.
            let arrival = keys::read::<Arrival>(self.store, &keys::arrival(&edit.id))?;
            if arrival.is_some_and(|arrival| arrival.seq < self.journal_durable) {
                edits.push(edit);
            }
        }
        Ok(edits)
    }

    fn held(&self, document: &DocumentId) -> Result<Vec<EditId>, StoreError> {
        held(self.store, document)
    }

    fn find(&self, document: &DocumentId, short: &[u8]) -> Result<Option<EditId>, StoreError> {
        let (from, to) = keys::under(&keys::edits_from(document, short));
        Ok(self.store.scan(&from, &to, 1)?.first().and_then(|(key, _)| keys::tail(key)).map(EditId))
    }

    fn tree(&self) -> &Tree {
        self.tree
    }

    fn roster_entries(&self, from: u64) -> Vec<Bytes> {
        let durable = usize::try_from((self.roster_durable + 1).saturating_sub(from)).unwrap_or(usize::MAX);
        self.core_roster.entries(from).take(durable).cloned().map(Bytes).collect()
    }

    fn roster_height(&self) -> u64 {
        self.roster_durable
    }
}

/// The edits of a document that are worth telling: its heads, and others in no order. A few are enough, because whoever
/// holds an edit holds all that it stands on.
fn held(store: &impl Store, document: &DocumentId) -> Result<Vec<EditId>, StoreError> {
    let mut held: Vec<EditId> = keys::read(store, &keys::heads(document))?.unwrap_or_default();
    let (from, to) = keys::under(&keys::edits(document));
    for (key, _) in store.scan(&from, &to, HELD_BESIDE_MAX)? {
        if let Some(edit) = keys::tail(&key).map(EditId)
            && !held.contains(&edit)
        {
            held.push(edit);
        }
    }
    Ok(held)
}

impl<S: Store> Held<'_, S> {
    fn stored(&self, bytes: Vec<u8>) -> Result<Edit, StoreError> {
        Edit::stored(&self.core_roster.organisation(), bytes)
            .map_err(|error| StoreError::Failed(format!("a stored edit is damaged: {error}")))
    }
}

impl Core {
    pub(super) fn connected<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        session: SessionId,
        peer: DeviceKey,
        dialled: bool,
    ) -> Result<(), StoreError> {
        let Some(member) = self.roster.member(&peer) else {
            let why =
                format!("device {} is not a member of this organisation: ask its hub for an invite", peer.short());
            self.refuse(step, peer, why.clone());
            step.outputs.push(Output::Close { session, why });
            return Ok(());
        };
        if member.role == Role::Unknown {
            let why = format!("device {} has a role that this device does not know: update this one", peer.short());
            self.refuse(step, peer, why.clone());
            step.outputs.push(Output::Close { session, why });
            return Ok(());
        }
        let scope = Self::scope(member.role, member.party.as_ref());
        let sessions = &self.sessions;
        let connected = |device: &DeviceKey| sessions.values().any(|session| session.peer == *device);
        self.trees.load(step.overlay.store, &scope, &peer, connected)?;
        let acknowledged =
            keys::cached(&step.overlay, &keys::cursor(&peer))?.unwrap_or(0_u64).min(self.counters.journal_end);
        self.sessions.insert(session, Session::new(peer, scope, dialled, acknowledged, self.journal_durable));
        let hello = Hello::of(self.roster.organisation(), self.roster_durable.0, self.roster_durable.1);
        step.outputs.push(Output::Send { session, frame: Frame::Hello(hello) });
        // The dialling side does not wait for an answer: what it has to tell goes in the same flight.
        self.pump(step, session)
    }

    /// The oldest edits that a silent peer has not acknowledged, one to a frame.
    pub(super) fn repeat<S: Store>(&self, step: &mut Step<'_, S>, id: SessionId) -> Result<(), StoreError> {
        let Some(session) = self.sessions.get(&id) else { return Ok(()) };
        let mut bytes = 0;
        for edit in session.oldest_unacked() {
            let Some(arrival) = keys::read::<Arrival>(&step.overlay, &keys::arrival(&edit))? else { continue };
            let Some(stored) = step.overlay.get(&keys::edit(&arrival.document, &edit))? else { continue };
            bytes += stored.len();
            if bytes > REPEAT_BYTES_MAX {
                break;
            }
            let edit = Edit::stored(&self.roster.organisation(), stored)
                .map_err(|error| StoreError::Failed(format!("a stored edit is damaged: {error}")))?;
            step.outputs.push(Output::Repeat { session: id, frame: Frame::Edits(vec![edit]) });
        }
        Ok(())
    }

    pub(super) fn received<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        session: SessionId,
        frame: Frame,
        refused: Vec<String>,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.sessions.get(&session).map(|held| held.peer) else { return Ok(()) };
        for why in refused {
            self.refuse(step, peer, why);
        }
        if let Err(why) = self.take_frame(step, now, session, peer, frame)? {
            self.refuse(step, peer, why.clone());
            self.end(session);
            step.outputs.push(Output::Close { session, why });
        }
        self.pump(step, session)
    }

    /// Takes a frame. The inner error closes the session.
    fn take_frame<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        id: SessionId,
        peer: DeviceKey,
        frame: Frame,
    ) -> Result<Result<(), String>, StoreError> {
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(Ok(())) };
        if !session.is_greeted() && !matches!(frame, Frame::Hello(_)) {
            return Ok(Err("the peer spoke before it greeted".to_owned()));
        }
        let held = Held {
            peer: session.peer,
            tree: self.trees.shared(&session.scope, &session.peer),
            core_roster: &self.roster,
            store: step.overlay.store,
            journal_durable: self.journal_durable,
            roster_durable: self.roster_durable.0,
            widening: &self.widening,
        };
        let (mut answers, mut spoken_of) = (Vec::new(), Vec::new());
        match frame {
            Frame::Hello(_) if session.is_greeted() => return Ok(Err("the peer greeted twice".to_owned())),
            Frame::Hello(hello) => {
                if let Err(why) = check_hello(&self.roster, &hello) {
                    return Ok(Err(why));
                }
                session.greeted(&hello);
                self.passed_over += hello.unknown;
            }
            Frame::Roster(entries) => return self.take_roster(step, now, id, &entries),
            Frame::Edits(edits) => self.take_edits(step, now, id, peer, edits)?,
            Frame::Ack(ids) => {
                session.acked(&ids);
                self.acknowledged(step, now, id, peer, &ids)?;
            }
            Frame::Prove(theirs) => session.proven(theirs),
            Frame::Ranges(theirs) => answers = session.compare(&held, &theirs)?,
            Frame::Wants(theirs) => session.wants(&held, &theirs),
            Frame::Holds(theirs) => {
                spoken_of.extend(theirs.iter().map(|holds| holds.document));
                answers = session.repair(&held, &theirs)?;
            }
            Frame::Part(documents) => self.part(step, now, id, peer, documents)?,
            Frame::Parted(documents) => self.parted(step, peer, documents)?,
            Frame::Unknown(_) => self.passed_over += 1,
            Frame::Refuse(why) => return Ok(Err(format!("the peer will not go on: {why}"))),
            Frame::Redeem(_) | Frame::Welcome(_) => {
                return Ok(Err("the peer speaks of enrolment on a connection of members".to_owned()));
            }
        }
        step.outputs.extend(answers.into_iter().map(|frame| Output::Send { session: id, frame }));
        self.come_back(step, id, &spoken_of)?;
        Ok(Ok(()))
    }

    fn take_roster<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        id: SessionId,
        entries: &[Bytes],
    ) -> Result<Result<(), String>, StoreError> {
        let mut peer_has = 0;
        for entry in entries {
            match self.roster.append(&entry.0) {
                Ok(true) => {
                    let (height, head) = (self.roster.height(), self.roster.head());
                    peer_has = height;
                    step.overlay.batch.put(keys::roster(height), entry.0.clone());
                    let admitted = self.admit_after_roster(step, now, head)?;
                    self.release_acks(step, &admitted);
                    step.releases.push(Release::Roster(height, head));
                }
                Ok(false) => {}
                Err(error @ RosterError::NotNext { .. }) => return Ok(Err(error.to_string())),
                Err(error) => return Ok(Err(format!("the peer sent a roster entry that does not verify: {error}"))),
            }
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.peer_has_roster(peer_has);
        }
        Ok(Ok(()))
    }

    fn take_edits<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        session: SessionId,
        peer: DeviceKey,
        edits: Vec<Edit>,
    ) -> Result<(), StoreError> {
        let mut ids = Vec::with_capacity(edits.len());
        let (mut lacking, mut spoken_of) = (BTreeSet::new(), Vec::new());
        for edit in edits {
            let (id, document) = (edit.id, edit.document);
            let admission = self.admit_received(step, now, peer, edit)?;
            spoken_of.push(document);
            if admission.0 == Admission::Admitted
                && let Some(session) = self.sessions.get_mut(&session)
            {
                session.received(id);
            }
            match admission {
                (Admission::Held | Admission::Admitted, beside) => {
                    ids.push(id);
                    self.release_acks(step, &beside);
                }
                (Admission::Waits, _) => drop(lacking.insert(document)),
                (Admission::Refused(why), _) => self.refuse(step, peer, format!("edit {}: {why}", id.short())),
            }
        }
        self.ask_for(step, session, lacking)?;
        self.come_back(step, session, &spoken_of)?;
        if planted::is(Bug::SkippedAck) {
            ids.retain(|id| !id.0[0].is_multiple_of(4));
        }
        if planted::is(Bug::AckBeforeCommit) {
            self.acknowledge(step, session, ids);
        } else if !ids.is_empty() {
            // The acknowledgement waits for the commit, also of edits that were held: they may not be durable yet.
            step.releases.push(Release::Ack(session, ids));
        }
        Ok(())
    }

    /// The peer sent edits that stand on others it takes us to have, as we had told it before we were restored from a backup:
    /// by what we hold it finds what to send again.
    fn ask_for<S: Store>(
        &self,
        step: &mut Step<'_, S>,
        id: SessionId,
        lacking: BTreeSet<DocumentId>,
    ) -> Result<(), StoreError> {
        let Some(session) = self.sessions.get(&id) else { return Ok(()) };
        for document in lacking {
            let shown = match &session.scope {
                Scope::All => true,
                Scope::Party(party) => step.overlay.get(&keys::party(party, &document))?.is_some(),
            };
            let held = if shown { held(&step.overlay, &document)? } else { Vec::new() };
            step.outputs
                .push(Output::Send { session: id, frame: Frame::Holds(vec![Holds::of(document, &held, false)]) });
        }
        Ok(())
    }

    fn release_acks<S: Store>(&self, step: &mut Step<'_, S>, admitted: &[(DeviceKey, EditId)]) {
        for (peer, edit) in admitted {
            let sessions = self.sessions.iter().filter(|(_, session)| session.peer == *peer);
            step.releases.extend(sessions.map(|(id, _)| Release::Ack(*id, vec![*edit])));
        }
    }

    /// Tells a peer that edits are admitted and durable here.
    pub(super) fn acknowledge<S: Store>(&self, step: &mut Step<'_, S>, session: SessionId, ids: Vec<EditId>) {
        if self.sessions.contains_key(&session) {
            step.outputs.push(Output::Send { session, frame: Frame::Ack(ids) });
        }
    }

    /// A peer has edits durable: the cursor moves, and what the hub has is marked ✓✓.
    fn acknowledged<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        session: SessionId,
        peer: DeviceKey,
        ids: &[EditId],
    ) -> Result<(), StoreError> {
        if let Some(session) = self.sessions.get(&session) {
            step.overlay.batch.put(keys::cursor(&peer), keys::encode(&session.acknowledged()));
        }
        if peer != self.roster.genesis().hub {
            return Ok(());
        }
        for id in ids {
            let key = keys::arrival(id);
            let Some(arrival) = keys::read::<Arrival>(&step.overlay, &key)? else { continue };
            if arrival.at_hub.is_none() {
                let document = arrival.document;
                step.overlay.batch.put(key, keys::encode(&Arrival { at_hub: Some(now.0), ..arrival }));
                step.overlay.batch.remove(keys::waiting(id));
                self.counters.waiting = self.counters.waiting.saturating_sub(1);
                step.outputs.push(Output::Changed(document));
            }
        }
        Ok(())
    }

    /// A session in which the hub listens.
    pub(super) fn session_of_hub(&self) -> Option<SessionId> {
        let hub = self.roster.genesis().hub;
        self.sessions.iter().find(|(_, session)| session.peer == hub && session.is_greeted()).map(|(id, _)| *id)
    }

    pub(super) fn refuse<S: Store>(&mut self, step: &mut Step<'_, S>, peer: DeviceKey, why: String) {
        self.refused += 1;
        step.outputs.push(Output::Refused { peer, why });
    }

    /// Sends every peer what it can be sent now.
    pub(super) fn pump_all<S: Store>(&mut self, step: &mut Step<'_, S>) -> Result<(), StoreError> {
        let sessions: Vec<_> = self.sessions.keys().copied().collect();
        sessions.into_iter().try_for_each(|session| self.pump(step, session))
    }

    /// Sends what has become durable since the journal ended at `before`. Of a thousand drivers it concerns one or two: the
    /// others' sessions pass it by without a look at the store.
    pub(super) fn pump_new<S: Store>(&mut self, step: &mut Step<'_, S>, before: u64) -> Result<(), StoreError> {
        let end = self.journal_durable;
        if before == end || self.sessions.is_empty() {
            return Ok(());
        }
        let Some(parties) = self.concerned(step, before)? else { return self.pump_all(step) };
        let mut concerned = Vec::new();
        for (id, session) in &mut self.sessions {
            let passes = match &session.scope {
                Scope::All => false,
                Scope::Party(party) => {
                    let concerns = parties.contains(party) && !planted::is(Bug::PassedBy);
                    !concerns && session.pass(before, end)
                }
            };
            if !passes {
                concerned.push(*id);
            } else if let Some(prefix) = session.prefix_to_store() {
                step.overlay.batch.put(keys::cursor(&session.peer), keys::encode(&prefix));
            }
        }
        concerned.into_iter().try_for_each(|session| self.pump(step, session))
    }

    /// The parties that what is in the journal from `before` on concerns; none if there is too much of it to tell.
    fn concerned<S: Store>(&self, step: &Step<'_, S>, before: u64) -> Result<Option<BTreeSet<String>>, StoreError> {
        let entries =
            step.overlay.store.scan(&keys::journal(before), &keys::journal(self.journal_durable), CONCERNED_MAX + 1)?;
        if entries.len() > CONCERNED_MAX {
            return Ok(None);
        }
        let (mut parties, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for (key, value) in entries {
            match keys::decode::<JournalEntry>(&key, &value)? {
                JournalEntry::Widen { party, .. } => drop(parties.insert(party)),
                JournalEntry::Edit { document, .. } if seen.insert(document) => {
                    // A document without a summary is in nobody's scope yet.
                    let summary = step.overlay.store.get(&keys::summary(&document))?;
                    let Some(summary) = summary else { continue };
                    let Ok(summary) = Summary::from_cbor(&summary) else { return Ok(None) };
                    parties.extend(summary.parties);
                }
                JournalEntry::Edit { .. } => {}
            }
        }
        Ok(Some(parties))
    }

    fn pump<S: Store>(&mut self, step: &mut Step<'_, S>, id: SessionId) -> Result<(), StoreError> {
        // Sends read what lies beneath this step's own writes, which are not durable yet.
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let held = Held {
            peer: session.peer,
            tree: self.trees.shared(&session.scope, &session.peer),
            core_roster: &self.roster,
            store: step.overlay.store,
            journal_durable: self.journal_durable,
            roster_durable: self.roster_durable.0,
            widening: &self.widening,
        };
        loop {
            let frames = session.pump(&held)?;
            if frames.is_empty() {
                if let Some(prefix) = session.prefix_to_store() {
                    step.overlay.batch.put(keys::cursor(&session.peer), keys::encode(&prefix));
                }
                return Ok(());
            }
            step.outputs.extend(frames.into_iter().map(|frame| Output::Send { session: id, frame }));
        }
    }
}

fn check_hello(roster: &Roster, hello: &Hello) -> Result<(), String> {
    if hello.version != VERSION {
        return Err(format!("the peer speaks version {} of the protocol, this creel version {VERSION}", hello.version));
    }
    if hello.organisation != roster.organisation() {
        return Err("the peer belongs to another organisation".to_owned());
    }
    // A head at a height that we hold too must be ours: else two hubs have written one roster.
    match roster.height_of(&hello.head) {
        Some(height) if height == hello.height => Ok(()),
        None if hello.height > roster.height() => Ok(()),
        _ => Err(format!("the peer's roster has another entry at height {}: two hubs write one roster", hello.height)),
    }
}
