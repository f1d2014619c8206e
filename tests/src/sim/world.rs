//! What there is in a run, and what happens when.

use super::link::{Link, LinkId};
use super::rng::Rng;
use super::trace::Trace;
use crate::firm::key_of;
use creel_protocol::core::io::{Act, CommitId, RequestId, SessionId};
use creel_protocol::core::{Core, Identity, found};
use creel_protocol::id::{DeviceKey, DocumentId, EditId, FileHash, OrganisationId, Tap};
use creel_protocol::roster::Role;
use creel_protocol::sync::Frame;
use creel_protocol::workflow::{PRESETS, Workflow};
use creel_storage::{Engine, MemoryEngine};
use std::collections::{BTreeMap, BTreeSet};

/// The first moment of a run by a clock that is right: 2026-03-01, in milliseconds since the Unix epoch.
pub(super) const DAWN: u64 = 1_772_323_200_000;
/// Nodes in a run, clones included.
const NODES_MAX: usize = 8;

/// Something that will happen.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// One end of a link hears that it stands.
    Connected { link: LinkId, end: usize },
    /// A frame arrives.
    Deliver { link: LinkId, end: usize, bytes: Vec<u8> },
    /// One end notices that a link is gone.
    Lost { link: LinkId, end: usize },
    /// A disk has written what it was told to.
    Sync { node: usize, life: u64 },
    /// A node has nothing else to do.
    Idle { node: usize, life: u64 },
    /// Somebody does something.
    Work,
    /// Links come and go.
    Network,
    /// Something breaks.
    Fault,
    /// A hostile peer does its worst.
    Attack,
    /// A hostile session ends.
    Leave { node: usize, session: SessionId },
    /// A node comes back after a crash.
    Restart { node: usize },
    /// A device wants to become a member.
    Join { node: usize },
    /// A file arrives by hand.
    Carry { node: usize, frames: Vec<Frame> },
    /// Somebody taps again.
    Again { node: usize, tap: Tap, act: Box<Act> },
}

/// A device.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) identity: Identity,
    pub(super) role: Role,
    pub(super) party: Option<String>,
    pub(super) engine: MemoryEngine,
    /// None while it has no power or is no member yet.
    pub(super) core: Option<Core>,
    /// Counts its starts, so that events of an earlier one are told from those of this one.
    pub(super) life: u64,
    pub(super) commits: Vec<CommitId>,
    /// Keys that were written and would not survive a power cut.
    pub(super) unsynced: BTreeSet<Vec<u8>>,
    pub(super) sync_due: bool,
    pub(super) idle_due: bool,
    /// How far its clock is off, in milliseconds.
    pub(super) clock: i64,
    /// Photos that are files on its disk.
    pub(super) photos: BTreeSet<FileHash>,
    /// What its disk held when it was last backed up.
    pub(super) backup: Option<(MemoryEngine, BTreeSet<FileHash>)>,
    pub(super) sessions: BTreeMap<SessionId, (LinkId, usize)>,
    /// Sessions with a peer that is no node of ours.
    pub(super) hostile: BTreeMap<SessionId, DeviceKey>,
    /// Documents that a hostile peer put here, whether or not they belong here.
    pub(super) planted: BTreeSet<DocumentId>,
    /// Documents that it ever let go of: whose they are it knows, also while they come back piece by piece.
    pub(super) let_go: BTreeSet<DocumentId>,
    /// Its disk was rolled back or copied, so it may have forgotten what it said.
    pub(super) forgetful: bool,
}

impl Node {
    pub(super) fn key(&self) -> DeviceKey {
        self.identity.key()
    }

    pub(super) fn sees_all(&self) -> bool {
        !self.role.is_party()
    }
}

/// What somebody asked of a node and has no answer to yet.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Act { tap: Tap },
    Invite { newcomer: usize },
    Redeem { newcomer: usize, secret: Vec<u8>, exporter: [u8; 32], lost: bool },
    Forged,
    Show,
    Wanted { from: usize },
    MayFetch { to: usize, photo: FileHash },
    Pack { to: usize },
    Unpack,
}

/// An edit that some node has kept.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) document: DocumentId,
    pub(super) author: DeviceKey,
    pub(super) tap: Tap,
}

/// Everything.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    order: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) links: BTreeMap<LinkId, Link>,
    pub(super) next_link: LinkId,
    pub(super) next_session: SessionId,
    next_request: RequestId,
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) answers: BTreeMap<RequestId, creel_protocol::core::io::Reply>,
    pub(super) trace: Trace,
    pub(super) failure: Option<String>,
    pub(super) organisation: OrganisationId,
    pub(super) workflow: Workflow,
    /// The faults have ended.
    pub(super) healing: bool,
    /// Slowest disk, slowest link, in milliseconds.
    pub(super) disk_ms: u64,
    pub(super) link_ms: u64,
    /// Some device was cloned or rolled back.
    pub(super) forked: bool,
    pub(super) seen: BTreeMap<EditId, Seen>,
    /// Where roster entries stand, by their bytes' hash.
    pub(super) entries: BTreeMap<[u8; 32], u64>,
    /// Parties that somebody who may plan has named, by document and edit.
    pub(super) named: BTreeMap<DocumentId, BTreeMap<EditId, BTreeSet<String>>>,
    /// Edits that a person or a peer was told are durable.
    pub(super) acknowledged: BTreeSet<EditId>,
    /// Those of them whose every copy was destroyed since.
    pub(super) destroyed: BTreeSet<EditId>,
    /// What a tap made, by device and tap; and taps that were refused.
    pub(super) made: BTreeMap<(usize, Tap), Vec<EditId>>,
    pub(super) refused_taps: BTreeSet<Tap>,
    /// Taps that ever made an edit, also on a device that was set back and forgot.
    pub(super) tapped: BTreeSet<Tap>,
    /// Edits that were crafted to be void; and such as no node may ever keep.
    pub(super) void: BTreeSet<EditId>,
    /// Edits that were crafted and may count.
    pub(super) crafted: BTreeSet<EditId>,
    /// Those of them with keys that a reader passes over.
    pub(super) grown: BTreeSet<EditId>,
    pub(super) poison: BTreeSet<EditId>,
    pub(super) secrets: BTreeMap<usize, Vec<u8>>,
    pub(super) frames: usize,
    pub(super) faults: usize,
    pub(super) refused: usize,
    pub(super) edits_sent: usize,
    pub(super) exceptions: usize,
    pub(super) edits: usize,
    until: u64,
}

impl World {
    pub(super) fn new(seed: u64, print: bool) -> Self {
        let mut rng = Rng::new(seed);
        let (_, toml) = PRESETS[rng.below(PRESETS.len())];
        let (root, issuer) = (key_of("root"), key_of("issuer"));
        let hub = Identity { device: key_of("hub"), issuer: Some(issuer) };
        let (roster, batch) =
            found("Made-up Tackle", &root, &hub, toml.to_owned(), DAWN).expect("a preset can be published");
        let mut engine = MemoryEngine::default();
        engine.apply(&batch).and_then(|()| engine.sync()).expect("memory takes a batch");
        let disk_ms = [2, 20, 200, 2_000][rng.below(4)];
        let link_ms = [5, 50, 500][rng.below(3)];
        let mut world = Self {
            now: 0,
            queue: BTreeMap::new(),
            order: 0,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            next_link: 1,
            next_session: 1,
            next_request: 1,
            requests: BTreeMap::new(),
            answers: BTreeMap::new(),
            trace: Trace::new(print),
            failure: None,
            organisation: roster.organisation(),
            workflow: Workflow::parse(toml).expect("a preset is a workflow"),
            healing: false,
            disk_ms,
            link_ms,
            forked: false,
            seen: BTreeMap::new(),
            entries: BTreeMap::new(),
            named: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            made: BTreeMap::new(),
            refused_taps: BTreeSet::new(),
            tapped: BTreeSet::new(),
            void: BTreeSet::new(),
            crafted: BTreeSet::new(),
            grown: BTreeSet::new(),
            poison: BTreeSet::new(),
            secrets: BTreeMap::new(),
            frames: 0,
            faults: 0,
            refused: 0,
            edits_sent: 0,
            exceptions: 0,
            edits: 0,
            until: rng.between(4_000, 20_000),
            rng,
        };
        world.observe(&batch);
        world.add("hub", hub, Role::Admin, None, engine);
        world.start(0);
        world.people();
        world
    }

    /// The devices of a run, and when each joins.
    fn people(&mut self) {
        let cast = [
            ("dora", Role::Dispatcher, None),
            ("li-wei", Role::Driver, Some("driver:li-wei")),
            ("west-lake", Role::Shop, Some("shop:west-lake")),
            ("zhang", Role::Driver, Some("driver:zhang")),
            ("east-gate", Role::Shop, Some("shop:east-gate")),
            ("pia", Role::Picker, None),
            ("vera", Role::Viewer, None),
        ];
        let count = 2 + self.rng.below(5);
        let mut hands: Vec<_> = cast.to_vec();
        // The dispatcher and one driver and shop come first most often; the others are drawn.
        while hands.len() > count {
            let leave = if self.rng.percent(80) && hands.len() > 3 {
                3 + self.rng.below(hands.len() - 3)
            } else {
                self.rng.below(hands.len())
            };
            hands.remove(leave);
        }
        hands.push(("mallory", Role::Driver, Some("driver:mallory")));
        for (name, role, party) in hands {
            let device = key_of(name);
            let node = self.add(
                name,
                Identity { device, issuer: None },
                role,
                party.map(str::to_owned),
                MemoryEngine::default(),
            );
            let late = if self.rng.percent(25) { self.until / 2 } else { 50 };
            let at = self.rng.between(0, late);
            self.plan(at, Event::Join { node });
        }
        let (work, network) = (self.rng.between(50, 400), self.rng.between(0, 100));
        self.plan(work, Event::Work);
        self.plan(network, Event::Network);
        let (fault, attack) = (self.rng.between(500, 5_000), self.rng.between(500, 5_000));
        self.plan(fault, Event::Fault);
        self.plan(attack, Event::Attack);
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        identity: Identity,
        role: Role,
        party: Option<String>,
        engine: MemoryEngine,
    ) -> usize {
        let years = i64::try_from(self.rng.between(0, 60)).expect("it is small") - 30;
        let lies = self.rng.percent(40);
        self.nodes.push(Node {
            name: name.to_owned(),
            identity,
            role,
            party,
            engine,
            core: None,
            life: 0,
            commits: Vec::new(),
            unsynced: BTreeSet::new(),
            sync_due: false,
            idle_due: false,
            clock: if lies { years * 31_557_600_000 } else { 0 },
            photos: BTreeSet::new(),
            backup: None,
            sessions: BTreeMap::new(),
            hostile: BTreeMap::new(),
            planted: BTreeSet::new(),
            let_go: BTreeSet::new(),
            forgetful: false,
        });
        self.nodes.len() - 1
    }

    pub(super) fn room_for_a_node(&self) -> bool {
        // Mallory is enrolled and has no node of its own.
        self.nodes.len() - 1 < NODES_MAX
    }

    /// Something will happen after so many milliseconds.
    pub(super) fn plan(&mut self, after: u64, event: Event) -> u64 {
        let at = self.now + after;
        self.order += 1;
        self.queue.insert((at, self.order), event);
        at
    }

    pub(super) fn note(&mut self, what: &str) {
        self.trace.note(self.now, what);
    }

    pub(super) fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }

    pub(super) fn request(&mut self, request: Request) -> RequestId {
        self.next_request += 1;
        self.requests.insert(self.next_request, request);
        self.next_request
    }

    /// Runs until nothing more happens, heals, and judges.
    pub(super) fn run(&mut self) -> Result<(), String> {
        while self.now < self.until {
            if !self.next_event()? {
                break;
            }
        }
        self.heal()?;
        self.quiet("after the faults ended")?;
        // Once more with everybody at peace: what is let go of now must not be missed, nor sent again.
        (0..self.nodes.len()).for_each(|at| self.tidy(at));
        self.quiet("after devices have let go of what they need no more")?;
        self.fetch_all()?;
        self.judge()?;
        self.judge_photos()?;
        self.reconnect_in_peace()?;
        self.judge_acts()
    }

    fn next_event(&mut self) -> Result<bool, String> {
        let Some(((at, _), event)) = self.queue.pop_first() else { return Ok(false) };
        self.now = at;
        self.happen(event);
        self.failure.take().map_or(Ok(true), Err)
    }

    /// Runs until the queue is empty, within a bound.
    pub(super) fn quiet(&mut self, when: &str) -> Result<(), String> {
        let mut left = 200_000;
        for _round in 0..60 {
            while self.next_event()? {
                left -= 1;
                if left == 0 {
                    return Err(format!("{when}, the nodes never fell silent"));
                }
            }
            if !self.dial_all() {
                return Ok(());
            }
        }
        Err(format!("{when}, the nodes never all stayed connected"))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Connected { link, end } => self.hear(link, end),
            Event::Deliver { link, end, bytes } => self.deliver(link, end, &bytes),
            Event::Lost { link, end } => self.lose(link, end),
            Event::Sync { node, life } if self.nodes[node].life == life => self.synced(node),
            Event::Idle { node, life } if self.nodes[node].life == life => self.idle(node),
            Event::Sync { .. } | Event::Idle { .. } => {}
            Event::Carry { node, frames } => self.unpack(node, frames),
            Event::Leave { node, session } => self.hostile_leaves(node, session),
            Event::Restart { node } => self.start(node),
            Event::Join { node } => self.join(node),
            Event::Again { node, tap, act } => self.act(node, tap, *act),
            _ if self.healing => {}
            Event::Work => self.work(),
            Event::Network => self.network(),
            Event::Fault => self.fault(),
            Event::Attack => self.attack(),
        }
    }

    pub(super) fn report(&self) -> super::Report {
        super::Report {
            trace: self.trace.digest(),
            nodes: self.nodes.iter().filter(|node| node.core.is_some()).count(),
            edits: self.edits,
            acknowledged: self.acknowledged.len(),
            frames: self.frames,
            faults: self.faults,
            refused: self.refused,
            exceptions: self.exceptions,
        }
    }
}
