//! The core: one state machine that makes, admits, keeps and passes on edits.
//!
//! `step(now, input) -> outputs`, with closed enums on both sides (`io`). It reads through [`Store`] with bounded work a
//! step. Writes leave as [`Output::Commit`]; what depends on them (replies, acknowledgements, sends) is released by
//! [`Input::Committed`] and by nothing else, so that nobody can be told “recorded” before it is durable.

mod act;
mod admit;
mod after;
mod enrol;
mod import;
pub mod io;
pub mod keys;
mod pack;
mod parting;
mod peers;
mod photos;
mod query;
mod refresh;
mod sheet;
mod trees;

use crate::id::{DeviceKey, DocumentId, EditId, EntryId};
use crate::roster::{Role, Roster, RosterError};
use crate::shipment::{RULES, Render};
use crate::store::{Batch, Overlay, Store, StoreError};
use crate::sync::frame::Parting;
use crate::sync::{Scope, Session};
use admit::HeldBack;
use ed25519_dalek::SigningKey;
use io::{Act, CommitId, Input, Keep, Now, Output, Query, Refusal, Reply, RequestId, SessionId, Targets};
use lru::LruCache;
use query::find_at_once;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use trees::{Move, Trees};

pub use enrol::{edits_in, found, joined};

/// Stale summaries that a request makes itself; with more it waits for the background.
const STALE_MAX: u64 = 256;
/// Rendered shipments kept in memory.
const RENDERED_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The keys of this device.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Signs edits and opens connections.
    pub device: SigningKey,
    /// Signs roster entries: the hub has it.
    pub issuer: Option<SigningKey>,
}

impl Identity {
    /// The device's public key.
    pub fn key(&self) -> DeviceKey {
        DeviceKey(self.device.verifying_key().to_bytes())
    }
}

/// What a commit releases once it is durable.
#[derive(Debug)]
enum Release {
    Reply(RequestId, Result<Reply, Refusal>),
    Ack(SessionId, Vec<EditId>),
    /// The device may let go of these.
    Parted(SessionId, Vec<Parting>),
    Changed(DocumentId),
    /// The journal may be read up to here.
    Journal(u64),
    /// An edit of ours waits for the hub.
    Waiting,
    /// The roster may be told up to this entry.
    Roster(u64, EntryId),
}

/// Why a core can't be opened on a store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenCoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The roster kept there does not verify.
    #[error("the roster kept here is damaged: {0}")]
    Roster(#[from] RosterError),
    /// No organisation.
    #[error("this folder belongs to no organisation yet: run “creel init” or “creel join”")]
    Empty,
}

/// The core.
#[derive(Debug)]
pub struct Core {
    identity: Identity,
    key: DeviceKey,
    roster: Roster,
    sessions: BTreeMap<SessionId, Session>,
    held_back: HeldBack,
    counters: Counters,
    /// Journal entries before this one are durable.
    journal_durable: u64,
    /// The newest roster entry that is durable, and its height: peers are told of no later one.
    roster_durable: (u64, EntryId),
    /// The parties into whose scope a document comes by what is not durable yet, with the number of the journal entry that
    /// says so: nobody is shown a document on the strength of an edit that a power cut takes.
    widening: HashMap<DocumentId, Vec<(u64, String)>>,
    next_commit: CommitId,
    releases: HashMap<CommitId, Vec<Release>>,
    refused: u64,
    /// Frames and keys of newer versions that were passed over since the start.
    passed_over: u64,
    /// Requests that wait until summaries are up to date.
    deferred: VecDeque<Input>,
    trees: Trees,
    /// At the hub: how long devices keep what it has. Nothing is let go of before it is said.
    keep: Option<Keep>,
    rendered: LruCache<DocumentId, (Vec<EditId>, Arc<Render>)>,
}

impl Core {
    /// A core over a store that holds an organisation.
    pub fn open(store: &impl Store, identity: Identity) -> Result<(Self, Option<Batch>), OpenCoreError> {
        let genesis = store.get(&keys::roster(0))?.ok_or(OpenCoreError::Empty)?;
        let mut roster = Roster::begin(&genesis)?;
        while let Some(entry) = store.get(&keys::roster(roster.height() + 1))? {
            roster.append(&entry)?;
        }
        let roster_durable = (roster.height(), roster.head());
        let key = identity.key();
        let journal_end = last_journal(store)?;
        let trees = Trees::open(store)?;
        let mut core = Self {
            key,
            identity,
            roster,
            sessions: BTreeMap::new(),
            held_back: HeldBack::default(),
            counters: Counters { journal_end, waiting: count(store, b"w")?, stale: count(store, b"x")? },
            journal_durable: journal_end,
            roster_durable,
            widening: HashMap::new(),
            next_commit: 0,
            releases: HashMap::new(),
            refused: 0,
            passed_over: 0,
            deferred: VecDeque::new(),
            trees,
            keep: None,
            rendered: LruCache::new(RENDERED_MAX),
        };
        let batch = core.renew_summaries(store)?;
        Ok((core, batch))
    }

    /// Summaries made under other rules are made again.
    fn renew_summaries(&mut self, store: &impl Store) -> Result<Option<Batch>, StoreError> {
        let rules = keys::encode(&RULES);
        if store.get(&keys::rules())?.as_ref() == Some(&rules) {
            return Ok(None);
        }
        let mut batch = Batch::default();
        for (key, _) in all(store, b"d")? {
            batch.put(keys::stale(&DocumentId(keys::tail(&key).unwrap_or_default())), Vec::new());
        }
        self.counters.stale = batch.writes().len() as u64;
        batch.put(keys::rules(), rules);
        Ok(Some(batch))
    }

    /// The roster.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// This device's key.
    pub fn key(&self) -> DeviceKey {
        self.key
    }

    /// Whether this device is the hub.
    pub fn is_hub(&self) -> bool {
        self.roster.genesis().hub == self.key
    }

    /// Whether [`Input::Idle`] has something to do.
    pub fn has_background_work(&self) -> bool {
        self.counters.stale > 0 || !self.deferred.is_empty()
    }

    /// Edits held here that the hub is not known to have.
    pub fn waiting(&self) -> u64 {
        self.counters.waiting
    }

    /// One step. `store` shows every batch that was handed out before.
    pub fn step<S: Store>(&mut self, store: &S, now: Now, input: Input) -> Vec<Output> {
        let mut step = Step {
            overlay: Overlay::new(store),
            outputs: Vec::new(),
            releases: Vec::new(),
            moves: Vec::new(),
            before: self.counters,
        };
        match self.take(&mut step, now, input).and_then(|()| self.finish(&mut step)) {
            Ok(()) => step.outputs,
            Err(error) => vec![Output::Failed(error)],
        }
    }

    fn take<S: Store>(&mut self, step: &mut Step<'_, S>, now: Now, input: Input) -> Result<(), StoreError> {
        match input {
            // What depends on many stale summaries waits until they are made, in portions that fit into memory.
            Input::Act { .. } | Input::Ask { .. }
                if self.counters.stale > STALE_MAX && Self::needs_summaries(step, &input)? =>
            {
                self.deferred.push_back(input);
                Ok(())
            }
            Input::Act { request, tap, by, act } => {
                match self.act(step, now, tap, by.as_ref(), act) {
                    Ok(reply) => step.releases.push(Release::Reply(request, Ok(reply))),
                    Err(Refusal::Store(error)) => return Err(error),
                    Err(refusal) => {
                        // Nothing of a refused act takes effect: what it had written so far is dropped.
                        self.abandon(step);
                        step.outputs.push(Output::Reply { request, reply: Err(refusal) });
                    }
                }
                Ok(())
            }
            Input::Ask { request, query } => {
                let reply = match self.ask(step, query) {
                    Err(Refusal::Store(error)) => return Err(error),
                    reply => reply,
                };
                // A reply waits for what was applied and is not durable yet: nobody is shown what a power cut takes.
                step.releases.push(Release::Reply(request, reply));
                Ok(())
            }
            Input::Connected { session, peer, dialled } => self.connected(step, session, peer, dialled),
            Input::Received { session, frame, refused } => self.received(step, now, session, frame, refused),
            Input::Repeat { session } => self.repeat(step, session),
            Input::Disconnected { session } => {
                self.end(session);
                Ok(())
            }
            Input::Redeem { request, device, exporter, redeem } => {
                let reply = self.redeem(step, now, device, exporter, &redeem)?;
                step.releases.push(Release::Reply(request, reply));
                Ok(())
            }
            Input::Unpack { request, entries, edits } => {
                let report = self.unpack(step, now, &entries, edits)?;
                step.releases.push(Release::Reply(request, Ok(Reply::Unpacked(report))));
                Ok(())
            }
            Input::Photo { photo, news } => self.photo_news(step, now, &photo, news),
            Input::Tidy { keep } => self.tidy(step, now, keep),
            Input::Committed { commit } => self.committed(step, commit),
            Input::Idle => {
                self.refresh_some(step)?;
                if self.counters.stale > STALE_MAX {
                    return Ok(());
                }
                self.deferred.pop_front().map_or(Ok(()), |input| self.take(step, now, input))
            }
        }
    }

    /// Whether a request has to wait until summaries and indexes are up to date. One about shipments that are found without
    /// them does not.
    fn needs_summaries<S: Store>(step: &Step<'_, S>, input: &Input) -> Result<bool, StoreError> {
        let one = std::slice::from_ref;
        let names = match input {
            Input::Act { act, .. } => match act {
                Act::Invite { .. } | Act::Publish { .. } | Act::Retract { .. } => &[],
                Act::Record { shipments, .. }
                | Act::Measure { shipments, .. }
                | Act::Plan { targets: Targets::Named(shipments), .. } => shipments.as_slice(),
                Act::Say { shipment, .. } | Act::Resolve { shipment, .. } => one(shipment),
                Act::Plan { .. } | Act::Import { .. } => return Ok(true),
            },
            Input::Ask { query, .. } => match query {
                Query::Status
                | Query::Workflows
                | Query::Signature { .. }
                | Query::Pack { peer: None, .. }
                | Query::WantedPhotos { .. }
                | Query::MayFetch { .. }
                | Query::PhotoAtHub { .. } => &[],
                Query::Show { shipment }
                | Query::History { shipment }
                | Query::Proof { shipment, .. }
                | Query::Automerge { shipment } => one(shipment),
                Query::List { .. } | Query::Sheet { .. } | Query::Pack { .. } => return Ok(true),
            },
            _ => return Ok(false),
        };
        for name in names {
            if find_at_once(step, name)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn abandon<S: Store>(&mut self, step: &mut Step<'_, S>) {
        step.overlay.batch = Batch::default();
        step.releases.clear();
        step.moves.clear();
        self.counters = step.before;
        let end = self.counters.journal_end;
        self.forget_widening(|seq| seq >= end);
    }

    fn forget_widening(&mut self, gone: impl Fn(u64) -> bool) {
        self.widening.retain(|_, parties| {
            parties.retain(|(seq, _)| !gone(*seq));
            !parties.is_empty()
        });
    }

    /// Hands out what the step wrote, and remembers what it releases.
    fn finish<S: Store>(&mut self, step: &mut Step<'_, S>) -> Result<(), StoreError> {
        if step.overlay.batch.is_empty() && step.releases.is_empty() {
            return Ok(());
        }
        self.move_trees(step)?;
        let mut batch = std::mem::take(&mut step.overlay.batch);
        batch.must_be_durable = !step.releases.is_empty() || self.counters.journal_end != step.before.journal_end;
        if self.counters.journal_end != step.before.journal_end {
            step.releases.push(Release::Journal(self.counters.journal_end));
        }
        let commit = self.next_commit;
        self.next_commit += 1;
        self.releases.insert(commit, std::mem::take(&mut step.releases));
        // The commit comes first: the shell applies it before it looks at anything else the step put out.
        step.outputs.insert(0, Output::Commit { commit, batch });
        Ok(())
    }

    fn committed<S: Store>(&mut self, step: &mut Step<'_, S>, commit: CommitId) -> Result<(), StoreError> {
        let (mut pump, before) = (false, self.journal_durable);
        for release in self.releases.remove(&commit).unwrap_or_default() {
            match release {
                Release::Reply(request, reply) => step.outputs.push(Output::Reply { request, reply }),
                Release::Ack(session, ids) => self.acknowledge(step, session, ids),
                Release::Parted(session, documents) => self.tell_parted(step, session, documents),
                Release::Changed(document) => step.outputs.push(Output::Changed(document)),
                Release::Journal(end) => {
                    self.journal_durable = self.journal_durable.max(end);
                    let durable = self.journal_durable;
                    self.forget_widening(|seq| seq < durable);
                }
                Release::Waiting => step.outputs.push(Output::Waiting),
                Release::Roster(height, head) => {
                    self.roster_durable = self.roster_durable.max((height, head));
                    pump = true;
                }
            }
        }
        if pump { self.pump_all(step) } else { self.pump_new(step, before) }
    }

    /// A session is over. What its peer had sent and waits for other edits is forgotten with the peer's last session: on
    /// another one the peer still counts on it.
    fn end(&mut self, session: SessionId) {
        if let Some(ended) = self.sessions.remove(&session)
            && self.sessions.values().all(|other| other.peer != ended.peer)
        {
            self.held_back.forget(&ended.peer);
        }
    }

    /// What a member may see.
    fn scope(role: Role, party: Option<&String>) -> Scope {
        match party {
            // A role of a newer creel may do nothing here, and sees no more than its party.
            _ if role == Role::Unknown => Scope::Party(party.cloned().unwrap_or_default()),
            Some(party) if role.is_party() => Scope::Party(party.clone()),
            _ => Scope::All,
        }
    }
}

/// What one step gathers.
#[derive(Debug)]
struct Step<'a, S> {
    overlay: Overlay<'a, S>,
    outputs: Vec<Output>,
    releases: Vec<Release>,
    /// What the step changes in the trees.
    moves: Vec<Move>,
    /// What was counted before this step, to return to if its act is refused.
    before: Counters,
}

/// What the core counts, so that it need not read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counters {
    /// The next journal entry's number.
    journal_end: u64,
    /// Edits that the hub is not known to have.
    waiting: u64,
    /// Documents whose summary is out of date.
    stale: u64,
}

fn last_journal(store: &impl Store) -> Result<u64, StoreError> {
    // The journal has no gaps, so its end is found by halving.
    let there = |seq: u64| store.get(&keys::journal(seq)).map(|entry| entry.is_some());
    let mut above = 1;
    while there(above - 1)? {
        above *= 2;
    }
    let mut below = above / 2;
    while below < above {
        let middle = below + (above - below) / 2;
        if there(middle)? { below = middle + 1 } else { above = middle }
    }
    Ok(below)
}

/// Pairs read in one go where all under a prefix are wanted.
const PAGE: usize = 4_096;

fn all<'a, S: Store>(
    store: &'a S,
    prefix: &[u8],
) -> Result<impl Iterator<Item = crate::store::Pair> + use<'a, S>, StoreError> {
    let (mut from, to) = keys::under(prefix);
    let mut pairs = Vec::new();
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        let full = page.len() == PAGE;
        if let Some((last, _)) = page.last() {
            from = [last.as_slice(), &[0]].concat();
        }
        pairs.extend(page);
        if !full {
            return Ok(pairs.into_iter());
        }
    }
}

fn count(store: &impl Store, prefix: &[u8]) -> Result<u64, StoreError> {
    let (mut from, to) = keys::under(prefix);
    let mut count = 0;
    loop {
        let page = store.scan(&from, &to, PAGE)?;
        count += page.len() as u64;
        match page.last() {
            Some((last, _)) if page.len() == PAGE => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(count),
        }
    }
}
