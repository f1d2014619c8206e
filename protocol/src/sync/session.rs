//! One session with one peer: what it has, what it was sent, what it acknowledged.

use super::fingerprint::{Range, Tree};
use super::frame::{FRAME_BYTES_GOAL, Frame, Hello, Holds, Summed};
use super::journal::JournalEntry;
use super::ranges::{self, Spoken, Told};
use crate::cbor::Bytes;
use crate::edit::{Edit, causal};
use crate::id::{DeviceKey, Digest, DocumentId, EditId};
use crate::planted::{self, Bug};
use crate::store::StoreError;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Edits a peer may be sent before it has acknowledged the first of them.
const UNACKED_MAX: usize = 4_096;
/// Bytes of them.
const UNACKED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Journal entries looked at in one step.
const JOURNAL_PAGE: usize = 512;
/// The acknowledged prefix is stored when it has moved by so much without an acknowledgement: past what is not for the peer.
const PREFIX_STEP: u64 = 256;
/// What a thing in a frame takes beside its bytes, at most.
const THING_BYTES: usize = 32;
/// How often each document may be looked at while what differs is found, and how many may be beside that.
const LOOKS_MAX: u64 = 16;
const LOOKS_MIN: u64 = 65_536;

/// Which documents a member may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of them.
    All,
    /// Those that its party has to do with.
    Party(String),
}

/// What a session asks of the node it runs in.
pub trait Holding {
    /// Journal entries from `from` on, no later than what is durable.
    fn journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, JournalEntry)>, StoreError>;
    /// Whether a document is in a scope.
    fn in_scope(&self, document: &DocumentId, scope: &Scope) -> Result<bool, StoreError>;
    /// An edit, if it is held.
    fn edit(&self, document: &DocumentId, edit: &EditId) -> Result<Option<Edit>, StoreError>;
    /// All edits of a document.
    fn edits(&self, document: &DocumentId) -> Result<Vec<Edit>, StoreError>;
    /// The edits of a document, its heads first, then as many others as are worth telling; none if it is not held.
    fn held(&self, document: &DocumentId) -> Result<Vec<EditId>, StoreError>;
    /// The edit of a document whose id begins like this, if it is held.
    fn find(&self, document: &DocumentId, short: &[u8]) -> Result<Option<EditId>, StoreError>;
    /// The documents that are shared with the peer.
    fn tree(&self) -> &Tree;
    /// Roster entries from a height on.
    fn roster_entries(&self, from: u64) -> Vec<Bytes>;
    /// The height of the newest roster entry.
    fn roster_height(&self) -> u64;
}

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// The peer.
    pub peer: DeviceKey,
    /// What the peer may see.
    pub scope: Scope,
    dialled: bool,
    greeted: bool,
    /// The height of the newest roster entry the peer is known to have or to be on its way to.
    roster_height: u64,
    /// The next journal entry to look at.
    cursor: u64,
    /// The acknowledged prefix that was last stored.
    stored: u64,
    /// What was durable of the journal when the session began. What the peer gave us earlier it has, or the proof will show
    /// that it lacks it; of what is not durable the proof does not speak.
    began: u64,
    /// What the peer gave us since, on this session: it need not be sent back. What came from a device of the same key
    /// on another session must be: it may be a copy of the device.
    received: HashSet<EditId>,
    /// Journal entries that wait for acknowledgements, with how many.
    pending: BTreeMap<u64, usize>,
    /// Edits on their way: their size, and the journal entries that wait for them.
    unacked: HashMap<EditId, (usize, Vec<u64>)>,
    unacked_bytes: usize,
    /// Edits of one document that go next, as there is room: a document may be larger than a frame and than what may be on
    /// its way. Each with the journal entry that waits for it.
    owed: VecDeque<(Edit, Option<u64>)>,
    /// Documents to be repaired, and edits the peer is known to have.
    repairs: VecDeque<(DocumentId, Vec<EditId>)>,
    /// The documents among them.
    repairing: HashSet<DocumentId>,
    /// Documents of which the peer has told what it holds.
    told: HashSet<DocumentId>,
    /// Documents of which the peer was told, each by a digest.
    spoken: Spoken,
    /// The sum that was proven, by whichever side dialled: once in a session, because finding out what differs costs a
    /// look at every document. It salts the digests that are told.
    proven: Option<Digest>,
    /// The peer's proof, to be answered when nothing is left to push.
    asked: Option<Summed>,
    /// Documents of which the peer was told what is held here, because it asked.
    answered: HashSet<DocumentId>,
    /// How many documents were looked at for the peer.
    spent: u64,
}

impl Session {
    /// A session with a peer whose membership was checked. `acknowledged` is the journal's prefix that the peer has
    /// acknowledged in earlier sessions, `durable` where what is durable of the journal ends now.
    pub fn new(peer: DeviceKey, scope: Scope, dialled: bool, acknowledged: u64, durable: u64) -> Self {
        Self {
            peer,
            scope,
            dialled,
            greeted: false,
            roster_height: 0,
            cursor: acknowledged,
            stored: acknowledged,
            began: durable,
            received: HashSet::new(),
            pending: BTreeMap::new(),
            unacked: HashMap::new(),
            unacked_bytes: 0,
            owed: VecDeque::new(),
            repairs: VecDeque::new(),
            repairing: HashSet::new(),
            told: HashSet::new(),
            spoken: Spoken::default(),
            proven: None,
            asked: None,
            answered: HashSet::new(),
            spent: 0,
        }
    }

    /// Takes the peer's greeting.
    pub fn greeted(&mut self, hello: &Hello) {
        self.greeted = true;
        self.roster_height = hello.height;
    }

    /// The peer sent us an edit that was new to us.
    pub fn received(&mut self, edit: EditId) {
        self.received.insert(edit);
    }

    /// Whether the peer has greeted.
    pub fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// The peer sent us roster entries: it has them itself.
    pub fn peer_has_roster(&mut self, height: u64) {
        self.roster_height = self.roster_height.max(height);
    }

    /// The prefix of the journal that the peer has acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.pending.first_key_value().map_or(self.cursor, |(seq, _)| *seq)
    }

    /// Edits on their way, those first that came first into the journal.
    pub fn oldest_unacked(&self) -> Vec<EditId> {
        let mut waiting: Vec<_> =
            self.unacked.iter().map(|(id, (_, entries))| (entries.first().copied().unwrap_or(u64::MAX), *id)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// The acknowledged prefix, if it has moved far since it was last taken to be stored.
    pub fn prefix_to_store(&mut self) -> Option<u64> {
        let prefix = self.acknowledged();
        (prefix >= self.stored + PREFIX_STEP).then(|| {
            self.stored = prefix;
            prefix
        })
    }

    /// Passes by what the journal has from `from` until before `to`, which is not for the peer. False if there is something
    /// else to do before.
    pub fn pass(&mut self, from: u64, to: u64) -> bool {
        let idle = self.greeted && self.owed.is_empty() && self.repairs.is_empty() && self.cursor == from;
        // Who dialled still has to prove.
        let passes = idle && (!self.dialled || self.proven.is_some());
        if passes {
            self.cursor = to;
        }
        passes
    }

    /// How many edits are on their way.
    pub fn unacked(&self) -> usize {
        self.unacked.len()
    }

    /// Takes acknowledgements.
    pub fn acked(&mut self, ids: &[EditId]) {
        for id in ids {
            let Some((bytes, entries)) = self.unacked.remove(id) else { continue };
            self.unacked_bytes -= bytes;
            for seq in entries {
                if let Some(left) = self.pending.get_mut(&seq) {
                    *left -= 1;
                    if *left == 0 {
                        self.pending.remove(&seq);
                    }
                }
            }
        }
    }

    fn room(&self) -> bool {
        self.unacked.len() < UNACKED_MAX && self.unacked_bytes < UNACKED_BYTES_MAX
    }

    /// What can be sent now. Empty when there is nothing to say or the peer must acknowledge first. To be called again
    /// until it is empty.
    pub fn pump<H: Holding>(&mut self, holding: &H) -> Result<Vec<Frame>, StoreError> {
        let mut frames = Vec::new();
        // The dialling side knows whom it dialled, and need not be greeted to tell what it has.
        if !self.greeted && !self.dialled {
            return Ok(frames);
        }
        if self.greeted && self.roster_height < holding.roster_height() {
            frames.extend(roster_frames(holding.roster_entries(self.roster_height + 1)));
            self.roster_height = holding.roster_height();
        }
        let mut edits = Outbox::default();
        let mut drained = false;
        while self.room() && edits.bytes < FRAME_BYTES_GOAL {
            if let Some((edit, seq)) = self.owed.pop_front() {
                self.send(edit, seq, &mut edits);
                continue;
            }
            let page = holding.journal(self.cursor, JOURNAL_PAGE)?;
            if page.is_empty() {
                let Some((document, known)) = self.repairs.pop_front() else {
                    drained = true;
                    break;
                };
                self.repairing.remove(&document);
                // A list may name what comes into the scope just now; when it has come, all of it is sent.
                if holding.in_scope(&document, &self.scope)? {
                    let lacking = causal::beyond(causal::order(holding.edits(&document)?), &known);
                    self.owed.extend(lacking.into_iter().map(|edit| (edit, None)));
                }
            }
            for (seq, entry) in page {
                if !self.room() || edits.bytes >= FRAME_BYTES_GOAL || !self.owed.is_empty() {
                    break;
                }
                self.push(holding, seq, entry, &mut edits)?;
                self.cursor = seq + 1;
            }
        }
        if !edits.edits.is_empty() {
            frames.push(Frame::Edits(edits.edits));
        } else if drained && self.greeted {
            frames.extend(self.prove(holding));
            frames.extend(self.answer_proof(holding));
        }
        Ok(frames)
    }

    fn push<H: Holding>(
        &mut self,
        holding: &H,
        seq: u64,
        entry: JournalEntry,
        edits: &mut Outbox,
    ) -> Result<(), StoreError> {
        match entry {
            JournalEntry::Edit { document, edit, source } => {
                let shown = planted::is(Bug::ScopeLeaks) || holding.in_scope(&document, &self.scope)?;
                let theirs = source == Some(self.peer) && (seq < self.began || self.received.remove(&edit));
                if !theirs
                    && shown
                    && let Some(edit) = holding.edit(&document, &edit)?
                {
                    self.pending.insert(seq, 1);
                    self.send(edit, Some(seq), edits);
                }
            }
            JournalEntry::Widen { document, party } => {
                if self.scope == Scope::Party(party) {
                    self.owed
                        .extend(causal::order(holding.edits(&document)?).into_iter().map(|edit| (edit, Some(seq))));
                    if !self.owed.is_empty() {
                        self.pending.insert(seq, self.owed.len());
                    }
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, edit: Edit, seq: Option<u64>, edits: &mut Outbox) {
        let size = edit.bytes.len();
        let on_its_way = self.unacked.contains_key(&edit.id);
        let (_, entries) = self.unacked.entry(edit.id).or_insert((size, Vec::new()));
        entries.extend(seq);
        // What is on its way on this ordered stream need not be sent twice.
        if !on_its_way {
            self.unacked_bytes += size;
            edits.bytes += size;
            edits.edits.push(edit);
        }
    }

    /// Once the journal is drained and acknowledged, the dialling side proves that both hold the same.
    fn prove<H: Holding>(&mut self, holding: &H) -> Option<Frame> {
        if !self.dialled || !self.unacked.is_empty() || self.proven.is_some() {
            return None;
        }
        let whole = holding.tree().whole();
        self.proven = Some(Digest(whole.sum));
        Some(Frame::Prove(Summed { count: whole.count, sum: Digest(whole.sum) }))
    }

    /// The peer's proof: answered only if it fails, only once, and not before all that is here was pushed, because what is
    /// still on its way would look like a difference.
    pub fn proven(&mut self, theirs: Summed) {
        if self.proven.is_none() && !self.dialled {
            self.proven = Some(theirs.sum);
            self.asked = Some(theirs);
        }
    }

    fn answer_proof<H: Holding>(&mut self, holding: &H) -> Option<Frame> {
        let theirs = self.asked.take_if(|_| self.unacked.is_empty())?;
        let ours = holding.tree().whole();
        let differs = ours.count != theirs.count || ours.sum != theirs.sum.0;
        differs.then(|| Frame::Ranges(vec![ranges::tell(holding.tree(), &theirs.sum, Range::WHOLE, &mut self.spoken)]))
    }

    /// How many documents may still be looked at for the peer.
    fn effort<H: Holding>(&self, holding: &H) -> u64 {
        (LOOKS_MIN + LOOKS_MAX * holding.tree().len() as u64).saturating_sub(self.spent)
    }

    /// Compares what the peer has in some ranges with what is here: what the peer lacks is sent, and where both hold
    /// something, both tell of which edits.
    pub fn compare<H: Holding>(&mut self, holding: &H, theirs: &[Told]) -> Result<Vec<Frame>, StoreError> {
        let Some(salt) = self.proven else { return Ok(Vec::new()) };
        let (mut holds, mut tell, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for told in theirs {
            let mut effort = self.effort(holding);
            let before = effort;
            let found = ranges::compare(holding.tree(), &salt, told, &mut effort, &mut self.spoken);
            self.spent += before - effort;
            tell.extend(found.tell);
            wanted.extend(found.wanted);
            for document in found.differ {
                holds.push(Holds::of(document, &holding.held(&document)?, true));
            }
            self.lacking(found.lacking);
        }
        // What is wanted comes after what is held: a document that both have at other heads is among both.
        let mut frames = paged(holds, |holds| holds.edits.0.len(), Frame::Holds);
        frames.extend(paged(wanted, |told| told.digests.0.len(), Frame::Wants));
        frames.extend(paged(tell, |told| told.digests.0.len(), Frame::Ranges));
        Ok(frames)
    }

    /// The peer wants documents that it does not have like this: those of which it told nothing it does not have at all.
    pub fn wants<H: Holding>(&mut self, holding: &H, theirs: &[Told]) {
        for told in theirs {
            let mut effort = self.effort(holding);
            let before = effort;
            let mut wanted = self.spoken.wanted(told, &mut effort);
            self.spent += before - effort;
            wanted.retain(|document| !self.told.contains(document));
            self.lacking(wanted);
        }
    }

    /// Documents that are to be repaired.
    pub fn to_repair(&self) -> impl Iterator<Item = &DocumentId> {
        self.repairs.iter().map(|(document, _)| document)
    }

    /// The peer has nothing of these.
    fn lacking(&mut self, documents: Vec<DocumentId>) {
        for document in documents {
            if self.repairing.insert(document) {
                self.repairs.push_back((document, Vec::new()));
            }
        }
    }

    /// What the peer holds of documents that differ.
    pub fn repair<H: Holding>(&mut self, holding: &H, theirs: &[Holds]) -> Result<Vec<Frame>, StoreError> {
        let mut answers = Vec::new();
        for theirs in theirs {
            answers.extend(self.repair_one(holding, theirs)?);
        }
        Ok(paged(answers, |holds| holds.edits.0.len(), Frame::Holds))
    }

    fn repair_one<H: Holding>(&mut self, holding: &H, theirs: &Holds) -> Result<Option<Holds>, StoreError> {
        let document = theirs.document;
        self.spent += 1 + theirs.shorts().count() as u64;
        if self.effort(holding) == 0 || (theirs.ask && !self.answered.insert(document)) {
            return Ok(None);
        }
        let ours = holding.held(&document)?;
        if !ours.is_empty() && !holding.in_scope(&document, &self.scope)? {
            // It is told nothing of what is here, as if nothing were; what it holds it may send all the same. That it has to do
            // with the document may be just what a restored backup does not know any more.
            return Ok(theirs.ask.then(|| Holds::of(document, &[], false)));
        }
        let (mut known, mut behind) = (Vec::new(), ours.is_empty());
        for short in theirs.shorts() {
            match holding.find(&document, short)? {
                Some(edit) => known.push(edit),
                None => behind = true,
            }
        }
        // Only of what is held, so that a peer can't make the queue longer than the store.
        if !ours.is_empty() {
            self.told.insert(document);
            if self.repairing.insert(document) {
                self.repairs.push_back((document, known));
            }
        }
        // Who knows all that the peer has needs nothing of it.
        Ok((theirs.ask && behind).then(|| Holds::of(document, &ours, false)))
    }
}

/// Things in frames of a good size.
fn paged<T>(things: Vec<T>, bytes_of: fn(&T) -> usize, frame: fn(Vec<T>) -> Frame) -> Vec<Frame> {
    let (mut frames, mut page, mut bytes) = (Vec::new(), Vec::new(), 0);
    for thing in things {
        bytes += bytes_of(&thing) + THING_BYTES;
        page.push(thing);
        if bytes >= FRAME_BYTES_GOAL {
            frames.push(frame(std::mem::take(&mut page)));
            bytes = 0;
        }
    }
    if !page.is_empty() {
        frames.push(frame(page));
    }
    frames
}

#[derive(Debug, Default)]
struct Outbox {
    edits: Vec<Edit>,
    bytes: usize,
}

/// Roster entries in frames of a good size.
pub fn roster_frames(entries: Vec<Bytes>) -> Vec<Frame> {
    paged(entries, |entry| entry.0.len(), Frame::Roster)
}
