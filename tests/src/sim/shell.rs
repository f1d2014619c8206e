//! What a node's edge does: feeds the core, applies its batches at once, makes them durable later, and delivers
//! whatever else a step puts out without waiting for that. Whether something may be told yet is the core's to know; here
//! it is checked.

use super::world::{Event, Request, Seen, World};
use creel_protocol::cbor::Encode;
use creel_protocol::core::io::{Input, Now, Output, Refusal, Reply, RequestId, SessionId};
use creel_protocol::core::{Core, keys};
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::Action;
use creel_protocol::id::{DeviceKey, DocumentId, EditId};
use creel_protocol::roster::Role;
use creel_protocol::store::{Batch, Store as _};
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::FRAME_BYTES_MAX;
use creel_storage::Engine;

impl World {
    /// A node gets power, if it is a member.
    pub(super) fn start(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        // Mallory's device runs something else.
        if node.core.is_some() || node.name == "mallory" {
            return;
        }
        node.life += 1;
        match Core::open(&node.engine, node.identity.clone()) {
            Ok((core, batch)) => {
                node.core = Some(core);
                if let Some(batch) = batch {
                    self.apply(at, &batch);
                }
                let words = format!("{} starts", self.nodes[at].name);
                self.note(&words);
                self.afterwards(at);
            }
            Err(creel_protocol::core::OpenCoreError::Empty) => {}
            Err(error) => self.fail(format!("{} does not start: {error}", self.nodes[at].name)),
        }
    }

    /// One step of a node's core.
    pub(super) fn feed(&mut self, at: usize, input: Input) {
        let now = self.clock(at);
        let node = &mut self.nodes[at];
        let Some(core) = &mut node.core else { return };
        for output in core.step(&node.engine, now, input) {
            self.put_out(at, output);
        }
        self.afterwards(at);
    }

    pub(super) fn clock(&self, at: usize) -> Now {
        let right = i64::try_from(super::world::DAWN + self.now).expect("it is this century");
        Now(u64::try_from(right + self.nodes[at].clock).unwrap_or(0))
    }

    /// Plans what a node does on its own: its disk writes, its background work goes on.
    fn afterwards(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(core) = &node.core else { return };
        let (life, busy) = (node.life, core.has_background_work());
        if (!node.commits.is_empty() || !node.unsynced.is_empty()) && !std::mem::replace(&mut node.sync_due, true) {
            let after = self.rng.between(0, self.disk_ms);
            self.plan(after, Event::Sync { node: at, life });
        }
        if busy && !std::mem::replace(&mut self.nodes[at].idle_due, true) {
            let after = self.rng.between(0, 30);
            self.plan(after, Event::Idle { node: at, life });
        }
    }

    pub(super) fn idle(&mut self, at: usize) {
        self.nodes[at].idle_due = false;
        self.feed(at, Input::Idle);
    }

    /// The disk has written everything so far; the core is told, commit by commit.
    pub(super) fn synced(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.sync_due = false;
        node.engine.sync().expect("memory does not fail");
        node.unsynced.clear();
        let commits = std::mem::take(&mut node.commits);
        let words = format!("{} has written {} commits", node.name, commits.len());
        self.note(&words);
        // The power may go when all is written and nobody was told.
        if !self.healing && self.rng.percent(1) {
            return self.crash(at);
        }
        let life = self.nodes[at].life;
        for commit in commits {
            if self.nodes[at].life == life {
                self.feed(at, Input::Committed { commit });
            }
        }
        self.afterwards(at);
    }

    fn apply(&mut self, at: usize, batch: &Batch) {
        self.observe(batch);
        let node = &mut self.nodes[at];
        if let Err(error) = node.engine.apply(batch) {
            return self.fail(format!("a batch was refused: {error}"));
        }
        node.unsynced.extend(batch.writes().map(|(key, _)| key.to_vec()));
        let gone = batch.writes().filter(|(key, value)| key.first() == Some(&b'g') && value.is_some());
        node.let_go.extend(gone.filter_map(|(key, _)| keys::tail(key).map(DocumentId)));
    }

    /// Takes note of every edit and roster entry that a node keeps.
    pub(super) fn observe(&mut self, batch: &Batch) {
        for (key, value) in batch.writes() {
            let (Some(letter), Some(value)) = (key.first(), value) else { continue };
            if *letter == b'r' {
                let height = keys::tail(key).map(u64::from_be_bytes).unwrap_or_default();
                self.entries.insert(*blake3::hash(value).as_bytes(), height);
            }
            if *letter == b'e' {
                match Edit::stored(&self.organisation, value.to_vec()) {
                    Ok(edit) => self.kept(&edit),
                    Err(error) => self.fail(format!("a node keeps what is no edit: {error}")),
                }
            }
        }
    }

    fn kept(&mut self, edit: &Edit) {
        if self.poison.contains(&edit.id) {
            self.fail(format!("a node keeps edit {}, which it must refuse", edit.id.short()));
        }
        let statement = &edit.statement;
        let planner = self
            .nodes
            .iter()
            .any(|node| node.key() == statement.author && matches!(node.role, Role::Admin | Role::Dispatcher));
        let fields = match Action::from_raw(&statement.action) {
            Ok(Action::Open(open)) => Some(open.plan),
            Ok(Action::Plan(plan)) => Some(plan.fields),
            _ => None,
        };
        if let Some(fields) = fields.filter(|_| planner && !self.void.contains(&edit.id)) {
            let parties = fields.driver.into_iter().chain(fields.parties.into_values()).collect();
            self.named.entry(edit.document).or_default().insert(edit.id, parties);
        }
        let seen = Seen { document: edit.document, author: statement.author, tap: statement.tap };
        self.seen.insert(edit.id, seen);
    }

    fn put_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Commit { commit, batch } => {
                self.apply(at, &batch);
                self.nodes[at].commits.push(commit);
            }
            Output::Reply { request, reply } => self.answer(at, request, reply),
            Output::Send { session, frame } | Output::Repeat { session, frame } => {
                self.put_on_wire(at, session, &frame);
            }
            Output::Close { session, why } => self.hang_up(at, session, &why),
            Output::Refused { peer, why } => {
                self.refused += 1;
                let honest = self.nodes.iter().any(|node| node.key() == peer && node.core.is_some());
                // A member that is behind does not know the newest members yet.
                if honest && !why.contains("is not a member of this organisation") {
                    self.fail(format!("{} refuses what an honest peer sent: {why}", self.nodes[at].name));
                }
            }
            Output::Failed(error) => self.fail(format!("{} failed: {error}", self.nodes[at].name)),
            Output::Changed(_) | Output::Waiting => {}
        }
    }

    fn put_on_wire(&mut self, at: usize, session: SessionId, frame: &Frame) {
        let peer = self.nodes[at].hostile.get(&session).copied().or_else(|| {
            let (link, end) = self.nodes[at].sessions.get(&session)?;
            Some(self.nodes[self.links[link].nodes[1 - end]].key())
        });
        if let Some(peer) = peer {
            self.check_frame(at, peer, frame);
        }
        let bytes = frame.to_cbor();
        if bytes.len() > FRAME_BYTES_MAX {
            self.fail(format!("{} sends a frame of {} bytes", self.nodes[at].name, bytes.len()));
        }
        if let Some((link, end)) = self.nodes[at].sessions.get(&session).copied() {
            let kind = match frame {
                Frame::Hello(hello) => format!("hello at height {}", hello.height),
                Frame::Roster(entries) => format!("{} roster entries", entries.len()),
                Frame::Edits(edits) => {
                    self.edits_sent += edits.len();
                    let ids: Vec<_> = edits.iter().map(|edit| edit.id.short()).collect();
                    format!("edits {}", ids.join(" "))
                }
                Frame::Ack(ids) => {
                    let ids: Vec<_> = ids.iter().map(EditId::short).collect();
                    format!("ack {}", ids.join(" "))
                }
                Frame::Holds(holds) => {
                    let documents: Vec<_> = holds.iter().map(|holds| holds.document.short()).collect();
                    format!("what it holds of {}", documents.join(" "))
                }
                other => format!("{other:?}").chars().take(60).collect(),
            };
            let words = format!("link {link}: {} says {kind}", self.nodes[at].name);
            self.note(&words);
            self.send(link, end, bytes);
        }
    }

    /// Promise 1 and the scope: nothing is said before it is durable, and nobody is shown what is not theirs.
    pub(super) fn check_frame(&mut self, at: usize, peer: DeviceKey, frame: &Frame) {
        let name = self.nodes[at].name.clone();
        match frame {
            Frame::Edits(edits) => {
                for edit in edits {
                    if self.nodes[at].unsynced.contains(&keys::edit(&edit.document, &edit.id)) {
                        self.fail(format!("{name} sends edit {} before it is durable", edit.id.short()));
                    }
                    self.check_scope(at, peer, edit.document);
                }
            }
            Frame::Ack(ids) => {
                for id in ids {
                    if self.volatile(at, id) {
                        self.fail(format!("{name} acknowledges edit {} before it is durable", id.short()));
                    }
                }
                self.acknowledged.extend(ids);
            }
            Frame::Roster(entries) => {
                for entry in entries {
                    let height = self.entries.get(blake3::hash(&entry.0).as_bytes()).copied().unwrap_or_default();
                    self.check_roster(at, height, "sends");
                }
            }
            Frame::Hello(hello) => self.check_roster(at, hello.height, "greets with"),
            _ => {}
        }
    }

    fn check_roster(&mut self, at: usize, height: u64, does: &str) {
        if self.nodes[at].unsynced.contains(&keys::roster(height)) {
            let name = &self.nodes[at].name;
            let what = format!("{name} {does} roster entry {height} before it is durable");
            self.fail(what);
        }
    }

    fn check_scope(&mut self, at: usize, peer: DeviceKey, document: DocumentId) {
        let Some(node) = self.nodes.iter().find(|node| node.key() == peer && !node.sees_all()) else { return };
        let party = node.party.clone().unwrap_or_default();
        let sender = &self.nodes[at];
        let durable = |id: &EditId| {
            let key = keys::edit(&document, id);
            sender.let_go.contains(&document)
                || !sender.unsynced.contains(&key) && sender.engine.get(&key).is_ok_and(|found| found.is_some())
        };
        let named = self.named.get(&document);
        let named = named.is_some_and(|edits| edits.iter().any(|(id, named)| named.contains(&party) && durable(id)));
        if !named {
            let name = &sender.name;
            let what = format!("{name} sends shipment {document} to {party}, which has nothing to do with it");
            self.fail(what);
        }
    }

    /// Whether an edit would be lost with the power.
    fn volatile(&self, at: usize, id: &EditId) -> bool {
        let document = self.seen.get(id).map(|seen| seen.document).unwrap_or_default();
        self.nodes[at].unsynced.contains(&keys::edit(&document, id))
    }

    fn hang_up(&mut self, at: usize, session: SessionId, why: &str) {
        if self.nodes[at].hostile.remove(&session).is_some() {
            return;
        }
        let Some((link, end)) = self.nodes[at].sessions.remove(&session) else { return };
        let words = format!("link {link}: {} hangs up: {why}", self.nodes[at].name);
        self.note(&words);
        if !why.contains("is not a member of this organisation") {
            self.fail(format!("{} hangs up on an honest peer: {why}", self.nodes[at].name));
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.open[end] = false;
        }
        self.cut(link);
    }

    fn answer(&mut self, at: usize, request: RequestId, reply: Result<Reply, Refusal>) {
        let Some(asked) = self.requests.remove(&request) else {
            return self.fail(format!("{} answers twice", self.nodes[at].name));
        };
        match (asked, reply) {
            (Request::Act { tap }, reply) => self.acted(at, tap, reply),
            (Request::Invite { newcomer }, Ok(Reply::Invited(text))) => self.invited(newcomer, &text),
            (Request::Redeem { newcomer, secret, exporter, lost }, Ok(Reply::Welcome(welcome))) => {
                self.welcomed(newcomer, &secret, &exporter, &welcome, lost);
            }
            (Request::Forged, Ok(_)) => self.fail("the hub admits a device with a forged proof".to_owned()),
            (Request::Forged, Err(_)) => {}
            (Request::Pack { to }, Ok(Reply::Packed(packed))) => self.packed(at, to, packed),
            (Request::Unpack, Ok(Reply::Unpacked(report))) => {
                if report.refused > 0 {
                    self.fail(format!("{} refuses what an honest peer packed: {:?}", self.nodes[at].name, report.why));
                }
            }
            (Request::Wanted { from }, Ok(Reply::Photos(photos))) => {
                self.wanted(at, from, photos.into_iter().map(|(_, photo)| photo).collect());
            }
            (Request::MayFetch { to, photo }, Ok(Reply::Is(may))) => self.may_fetch(at, to, photo, may),
            (Request::Show, Ok(reply)) => drop(self.answers.insert(request, reply)),
            (asked, Err(why)) => self.fail(format!("{} refuses {asked:?}: {why}", self.nodes[at].name)),
            (asked, Ok(reply)) => self.fail(format!("{asked:?} was answered by {reply:?}")),
        }
    }

    fn acted(&mut self, at: usize, tap: creel_protocol::id::Tap, reply: Result<Reply, Refusal>) {
        let name = self.nodes[at].name.clone();
        match reply {
            Ok(Reply::Made(made)) => {
                let edits: Vec<EditId> = made.iter().map(|made| made.edit).collect();
                let words =
                    format!("{name} is told ✓ {}", edits.iter().map(EditId::short).collect::<Vec<_>>().join(" "));
                self.note(&words);
                for edit in &edits {
                    if self.volatile(at, edit) {
                        self.fail(format!("{name} is told ✓ for edit {} before it is durable", edit.short()));
                    }
                    self.acknowledged.insert(*edit);
                }
                self.refused_taps.remove(&tap);
                self.tapped.insert(tap);
                let before = self.made.insert((at, tap), edits.clone());
                if before.is_some_and(|before| before != edits) {
                    self.fail(format!("{name}: one tap made two edits"));
                }
            }
            Ok(Reply::Imported(_)) => {}
            Ok(other) => self.fail(format!("an act was answered by {other:?}")),
            Err(why) => {
                let words = format!("{name} is refused: {why}");
                self.note(&words);
                if !self.tapped.contains(&tap) {
                    self.refused_taps.insert(tap);
                }
            }
        }
    }
}
