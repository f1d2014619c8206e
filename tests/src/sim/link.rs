//! Connections: ordered within, nothing promised between two of them, and never longer-lived than they please.

use super::world::{Event, World};
use creel_protocol::core::io::{Input, SessionId};
use creel_protocol::sync::Frame;

/// A link, numbered.
pub(super) type LinkId = u64;

/// A connection between two nodes. End 0 has dialled.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) nodes: [usize; 2],
    pub(super) sessions: [SessionId; 2],
    /// Whether each end believes that it stands.
    pub(super) open: [bool; 2],
    /// Whether frames still pass.
    pub(super) passes: bool,
    /// When the latest frame to each end arrives: a stream never overtakes itself.
    latest: [u64; 2],
    delay_ms: u64,
}

impl World {
    /// One node dials another.
    pub(super) fn dial(&mut self, from: usize, to: usize) {
        if self.nodes[from].core.is_none()
            || self.nodes[to].core.is_none()
            || self.nodes[from].key() == self.nodes[to].key()
        {
            return;
        }
        let delay_ms = self.rng.between(1, self.link_ms);
        let id = self.next_link;
        self.next_link += 1;
        let sessions = [self.next_session, self.next_session + 1];
        self.next_session += 2;
        let latest = [self.now + 2 * delay_ms, self.now + delay_ms];
        self.links.insert(id, Link { nodes: [from, to], sessions, open: [false; 2], passes: true, latest, delay_ms });
        self.plan(delay_ms, Event::Connected { link: id, end: 1 });
        self.plan(2 * delay_ms, Event::Connected { link: id, end: 0 });
        let (from, to) = (&self.nodes[from].name, &self.nodes[to].name);
        let words = format!("link {id}: {from} dials {to}");
        self.note(&words);
    }

    pub(super) fn hear(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.passes) else { return };
        let (node, peer) = (link.nodes[end], link.nodes[1 - end]);
        if self.nodes[node].core.is_none() || self.nodes[peer].core.is_none() {
            return self.cut(id);
        }
        link.open[end] = true;
        let session = link.sessions[end];
        let peer = self.nodes[peer].key();
        self.nodes[node].sessions.insert(session, (id, end));
        self.feed(node, Input::Connected { session, peer, dialled: end == 0 });
    }

    pub(super) fn send(&mut self, id: LinkId, from: usize, bytes: Vec<u8>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.passes {
            return;
        }
        self.frames += 1;
        let jitter = self.rng.between(0, link.delay_ms / 2);
        let at = (self.now + link.delay_ms + jitter).max(link.latest[1 - from]);
        link.latest[1 - from] = at;
        let after = at - self.now;
        self.plan(after, Event::Deliver { link: id, end: 1 - from, bytes });
    }

    pub(super) fn deliver(&mut self, id: LinkId, end: usize, bytes: &[u8]) {
        let Some(link) = self.links.get(&id).filter(|link| link.passes && link.open[end]) else { return };
        let (node, session) = (link.nodes[end], link.sessions[end]);
        let words =
            format!("link {id}: {} hears {}", self.nodes[node].name, blake3::hash(bytes).to_hex().split_at(12).0);
        self.note(&words);
        match Frame::decode(bytes, &self.organisation) {
            Ok((frame, refused)) if refused.is_empty() => {
                self.feed(node, Input::Received { session, frame, refused: Vec::new() });
            }
            other => self.fail(format!("an honest frame did not decode: {other:?}")),
        }
    }

    /// The link is gone: what is under way on it is lost, and each end notices in its own time.
    pub(super) fn cut(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.passes) else { return };
        link.passes = false;
        let words = format!("link {id} is cut");
        self.note(&words);
        for end in [0, 1] {
            let after = if self.rng.percent(30) { self.rng.between(0, 3_000) } else { self.rng.between(0, 100) };
            self.plan(after, Event::Lost { link: id, end });
        }
    }

    /// One end notices.
    pub(super) fn lose(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let was_open = std::mem::replace(&mut link.open[end], false);
        let (node, session) = (link.nodes[end], link.sessions[end]);
        if was_open && self.nodes[node].sessions.remove(&session).is_some() {
            self.feed(node, Input::Disconnected { session });
        }
    }

    /// Links come and go: mostly to the hub, sometimes twice at once, sometimes between two others.
    pub(super) fn network(&mut self) {
        let after = self.rng.between(20, 600);
        self.plan(after, Event::Network);
        if self.rng.percent(25) {
            let open: Vec<LinkId> = self.links.iter().filter(|(_, link)| link.passes).map(|(id, _)| *id).collect();
            if let Some(id) = self.rng.pick(&open).copied() {
                return self.cut(id);
            }
        }
        let from = self.rng.below(self.nodes.len());
        let to = if self.rng.percent(70) { 0 } else { self.rng.below(self.nodes.len()) };
        let twice = self.rng.percent(15);
        if from != to && (twice || !self.linked(from, to)) {
            let (from, to) = if self.rng.percent(15) { (to, from) } else { (from, to) };
            self.dial(from, to);
        }
    }

    pub(super) fn linked(&self, a: usize, b: usize) -> bool {
        self.links.values().any(|link| link.passes && (link.nodes == [a, b] || link.nodes == [b, a]))
    }

    /// Every member dials the hub and the dispatchers it has no link to. Tells whether there was anything to do.
    pub(super) fn dial_all(&mut self) -> bool {
        let mut dialled = false;
        for from in 1..self.nodes.len() {
            for to in 0..from {
                let central = |node: usize| node == 0 || self.nodes[node].name == "dora";
                let apart = (central(to) || central(from)) && !self.linked(from, to);
                let up = self.nodes[from].core.is_some() && self.nodes[to].core.is_some();
                if apart && up && self.nodes[from].key() != self.nodes[to].key() {
                    self.dial(from, to);
                    dialled = true;
                }
            }
        }
        dialled
    }
}
