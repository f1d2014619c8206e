//! Peers that mean harm: a stranger, and Mallory, who was enrolled and whose device says what it likes.

use super::world::{Event, World};
use crate::firm::key_of;
use creel_protocol::cbor::{Bytes, Encode as _};
use creel_protocol::core::io::Input;
use creel_protocol::core::keys;
use creel_protocol::edit::action::{Action, Open, Plan, PlanFields, Record, Resolve, Retract, Say};
use creel_protocol::edit::{Edit, RawAction, Statement};
use creel_protocol::id::{DeviceKey, Digest, DocumentId, EditId, EntryId, OrganisationId, Tap};
use creel_protocol::roster::{Change, Enrol, Role, Roster};
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::{Hello, Holds, Summed};
use creel_protocol::sync::ranges::Told;
use ed25519_dalek::SigningKey;

impl World {
    /// A hostile peer connects to some node, says a few bad things and stays a while.
    pub(super) fn attack(&mut self) {
        let after = self.rng.between(300, 4_000);
        self.plan(after, Event::Attack);
        let up: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_some()).collect();
        let Some(at) = self.rng.pick(&up).copied() else { return };
        let stranger = self.rng.percent(10);
        let peer = key_of(if stranger { "stranger" } else { "mallory" });
        let peer = DeviceKey(peer.verifying_key().to_bytes());
        let session = self.next_session;
        self.next_session += 1;
        self.nodes[at].hostile.insert(session, peer);
        let dialled = self.rng.percent(50);
        self.feed(at, Input::Connected { session, peer, dialled });
        let known = self.nodes[at].core.as_ref().is_some_and(|core| core.roster().member(&peer).is_some());
        if !known {
            if self.nodes[at].hostile.contains_key(&session) {
                self.fail("a stranger was let in".to_owned());
            }
            return;
        }
        let roster = self.nodes[at].core.as_ref().map(|core| core.roster().clone());
        let Some(roster) = roster else { return };
        let words = format!("mallory attacks {}", self.nodes[at].name);
        self.note(&words);
        let hello = Hello::of(roster.organisation(), roster.height(), roster.head());
        self.hear_hostile(at, session, &Frame::Hello(hello).to_cbor());
        for _ in 0..self.rng.between(1, 6) {
            let bytes = self.bad_frame(at, &roster);
            self.hear_hostile(at, session, &bytes);
        }
        let after = self.rng.between(0, 3_000);
        self.plan(after, Event::Leave { node: at, session });
    }

    /// What the node's edge does with a hostile peer's bytes: what is no frame ends the connection.
    fn hear_hostile(&mut self, at: usize, session: u64, bytes: &[u8]) {
        if !self.nodes[at].hostile.contains_key(&session) {
            return;
        }
        match Frame::decode(bytes, &self.organisation) {
            Ok((frame, refused)) => {
                let refused = refused.iter().map(ToString::to_string).collect();
                self.feed(at, Input::Received { session, frame, refused });
            }
            Err(_) => self.hostile_leaves(at, session),
        }
    }

    pub(super) fn hostile_leaves(&mut self, at: usize, session: u64) {
        if self.nodes[at].hostile.remove(&session).is_some() {
            self.feed(at, Input::Disconnected { session });
        }
    }

    fn bad_frame(&mut self, at: usize, roster: &Roster) -> Vec<u8> {
        let documents = self.documents(at);
        let document = self.rng.pick(&documents).copied().unwrap_or_default();
        let random = EditId(self.rng.bytes());
        match self.rng.between(0, 14) {
            0 => (0..self.rng.between(0, 400)).map(|_| self.rng.bytes::<1>()[0]).collect(),
            1 => {
                let mut bytes = Frame::Ack(vec![random]).to_cbor();
                let place = self.rng.below(bytes.len());
                bytes[place] ^= 1 << self.rng.below(8);
                bytes
            }
            2 => {
                // Acknowledges what it never had.
                let ids: Vec<EditId> = self.seen.keys().take(3).copied().chain([random]).collect();
                Frame::Ack(ids).to_cbor()
            }
            3 => Frame::Holds(vec![Holds::of(document, &[random], true)]).to_cbor(),
            4 => {
                // What it has, or wants, in ranges that may not exist.
                let bits = self.rng.below(4);
                let digests = (0..self.rng.between(0, 20)).map(|_| self.rng.bytes::<1>()[0]).collect();
                let told = Told {
                    depth: self.rng.bytes::<1>()[0] % 8,
                    index: self.rng.below(20) as u64,
                    bits: u8::try_from(bits).unwrap_or_default(),
                    digests: Bytes(digests),
                };
                let frame = if self.rng.percent(50) { Frame::Ranges } else { Frame::Wants };
                frame(vec![told]).to_cbor()
            }
            5 => Frame::Prove(Summed { count: self.rng.any() % 9, sum: Digest(self.rng.bytes()) }).to_cbor(),
            6 => {
                // A roster entry by somebody who is not the issuer.
                let key = DeviceKey(key_of("stranger").verifying_key().to_bytes());
                let enrol = Enrol { key, role: Role::Admin, party: None, name: "boss".to_owned() };
                let forged = forged_entry(roster, Change::Enrol(enrol));
                Frame::Roster(vec![Bytes(forged)]).to_cbor()
            }
            7 => {
                // A flood of edits that stand on what nobody has.
                let author = key_of("mallory");
                let flood = (0..self.rng.between(1, 40)).map(|_| {
                    let after = vec![EditId(self.rng.bytes())];
                    let say = Action::Say(Say::of("flood")).to_raw();
                    let statement = self.statement(&author, roster.head(), after, say);
                    self.sign_poison(Some(document), statement, &author)
                });
                let flood: Vec<Edit> = flood.collect();
                Frame::Edits(flood).to_cbor()
            }
            8 => {
                let edits = self.forged_edits(document, roster);
                Frame::Edits(edits).to_cbor()
            }
            9..=11 => {
                let edits = self.hostile_edits(at, document, roster);
                self.nodes[at].planted.insert(document);
                Frame::Edits(edits).to_cbor()
            }
            _ => {
                let edit = self.void_edit(at, document, roster);
                self.nodes[at].planted.insert(edit.document);
                Frame::Edits(vec![edit]).to_cbor()
            }
        }
    }

    fn statement(&mut self, key: &SigningKey, roster: EntryId, after: Vec<EditId>, action: RawAction) -> Statement {
        Statement {
            author: DeviceKey(key.verifying_key().to_bytes()),
            by: None,
            after,
            roster,
            tap: Tap(self.rng.bytes()),
            at: self.rng.any() >> 20,
            action,
        }
    }

    fn sign_poison(&mut self, document: Option<DocumentId>, statement: Statement, key: &SigningKey) -> Edit {
        let edit = Edit::sign(&self.organisation, document, statement, key).expect("it is within the limits");
        self.poison.insert(edit.id);
        edit
    }

    /// Edits that no node may keep: by a stranger, by another than they name, for another organisation, or standing on a
    /// roster entry that there is not.
    fn forged_edits(&mut self, document: DocumentId, roster: &Roster) -> Vec<Edit> {
        let (stranger, mallory) = (key_of("stranger"), key_of("mallory"));
        let say = Action::Say(Say::of("forged")).to_raw();
        let mut edits = Vec::new();
        let statement = self.statement(&stranger, roster.head(), Vec::new(), say.clone());
        edits.push(self.sign_poison(Some(document), statement, &stranger));
        let mut statement = self.statement(&mallory, roster.head(), Vec::new(), say.clone());
        statement.author = self.nodes[0].key();
        edits.push(self.sign_poison(Some(document), statement, &mallory));
        let nowhere = EntryId(self.rng.bytes());
        let statement = self.statement(&mallory, nowhere, Vec::new(), say.clone());
        edits.push(self.sign_poison(Some(document), statement, &mallory));
        let statement = self.statement(&mallory, roster.head(), Vec::new(), say);
        let other = OrganisationId([9; 32]);
        edits.push(Edit::sign(&other, Some(document), statement, &mallory).expect("it is within the limits"));
        edits
    }

    /// Edits by which a member tries to bend what others stated: floods, taps used again, keys of a later version.
    fn hostile_edits(&mut self, at: usize, document: DocumentId, roster: &Roster) -> Vec<Edit> {
        let key = key_of("mallory");
        let held = self.edits_at(at, &document);
        let heads: Vec<EditId> =
            keys::read(&self.nodes[at].engine, &keys::heads(&document)).ok().flatten().unwrap_or_default();
        let heads = heads.into_iter().take(64).collect::<Vec<_>>();
        let some =
            held.iter().map(|edit| edit.id).nth(self.rng.below(held.len().max(1))).into_iter().collect::<Vec<_>>();
        let mut edits = Vec::new();
        let mut make = |world: &mut Self, after: &[EditId], tap: Option<Tap>, action: RawAction| {
            let mut statement = world.statement(&key, roster.head(), after.to_vec(), action);
            statement.tap = tap.unwrap_or(statement.tap);
            let edit =
                Edit::sign(&world.organisation, Some(document), statement, &key).expect("it is within the limits");
            let id = edit.id;
            world.crafted.insert(id);
            edits.push(edit);
            id
        };
        let signed = |receiver: String| {
            Action::Record(Record { step: "signed".to_owned(), receiver: Some(receiver), ..Record::default() }).to_raw()
        };
        match self.rng.between(0, 4) {
            0 => {
                // Signatures by many receivers contradict each other and everybody else's.
                for number in 0..30 {
                    make(self, &heads, None, signed(format!("R{number}")));
                }
            }
            1 => {
                // More heads than an edit can name, that know nothing.
                for number in 0..70 {
                    let say = Action::Say(Say::of(&format!("nothing {number}"))).to_raw();
                    make(self, &[], None, say);
                }
            }
            2 => {
                // One tap for several actions, and one action by one tap several times, knowing each other or not.
                let tap = Some(Tap(self.rng.bytes()));
                let first = make(self, &heads, tap, signed("Wang".to_owned()));
                make(self, &some, tap, signed("Wang".to_owned()));
                make(self, &some, tap, Action::Say(Say::of("by the same tap")).to_raw());
                make(self, &[first], tap, Action::Say(Say::of("by the same tap")).to_raw());
                make(self, &[first], tap, signed("Wang".to_owned()));
            }
            3 => {
                // Keys of a later version, of which one must be known.
                for (key, passed_over) in [(40_u8, true), (100, true), (127, true), (128, false)] {
                    let body = [&b"\xa2\x01\x65grown\x18"[..], &[key], b"\xa1\x01\x02"].concat();
                    let id = make(self, &heads, None, RawAction { kind: 5, version: 1, body: Bytes(body) });
                    if passed_over {
                        self.grown.insert(id);
                    }
                }
            }
            _ => {
                let tap = Some(Tap(self.rng.bytes()));
                make(self, &some, tap, signed("Chen".to_owned()));
                make(self, &heads, None, Action::Say(Say::of("between")).to_raw());
            }
        }
        edits
    }

    /// An edit that every node keeps and none counts, signed with a real member's key.
    fn void_edit(&mut self, at: usize, document: DocumentId, roster: &Roster) -> Edit {
        let mut heads: Vec<EditId> =
            keys::read(&self.nodes[at].engine, &keys::heads(&document)).ok().flatten().unwrap_or_default();
        heads.truncate(64);
        let records = self.edits_at(at, &document);
        let others = records.iter().find(|edit| {
            // What is her own she may take back.
            let own = edit.statement.author.0 == key_of("mallory").verifying_key().to_bytes();
            !own && matches!(Action::from_raw(&edit.statement.action), Ok(Action::Record(_)))
        });
        let others = others.map_or(EditId([1; 32]), |edit| edit.id);
        let mallorys = PlanFields { driver: Some("driver:mallory".to_owned()), ..PlanFields::default() };
        let record = |step: &str| Action::Record(Record { step: step.to_owned(), ..Record::default() }).to_raw();
        let workflow = roster.newest_workflow().map(|(id, _)| id).unwrap_or_default();
        let (who, action) = match self.rng.between(0, 8) {
            0 => ("mallory", RawAction { kind: 99, version: 1, body: Bytes(vec![0xa0]) }),
            1 => ("mallory", RawAction { kind: 3, version: 1, body: Bytes(vec![0xa1, 0x18, 0x63, 0x00]) }),
            2 => ("mallory", Action::Plan(Plan { fields: mallorys, import: None }).to_raw()),
            3 => ("mallory", record("signed")),
            4 => ("mallory", record("no_such_step")),
            5 => ("mallory", Action::Retract(Retract { edit: others, note: None }).to_raw()),
            6 => {
                let resolve = Resolve { settle: vec![others], uphold: None, note: None };
                ("mallory", Action::Resolve(resolve).to_raw())
            }
            7 => {
                // An `Open` by one who may open, under an id that is not its own.
                let open = Open { kind: "shipment".to_owned(), workflow: Some(workflow), plan: mallorys, import: None };
                ("hub", Action::Open(open).to_raw())
            }
            _ => ("mallory", Action::Say(Say::of("knows nothing")).to_raw()),
        };
        let knows_nothing = matches!(&Action::from_raw(&action), Ok(Action::Say(_) | Action::Open(_)));
        let after = if knows_nothing || self.rng.percent(20) { Vec::new() } else { heads };
        let key = key_of(who);
        let statement = self.statement(&key, roster.head(), after, action);
        let edit = Edit::sign(&self.organisation, Some(document), statement, &key).expect("it is within the limits");
        self.void.insert(edit.id);
        edit
    }
}

/// An entry that follows the roster's last in everything but its signature.
fn forged_entry(roster: &Roster, change: Change) -> Vec<u8> {
    let entry =
        creel_protocol::roster::Entry { term: 0, height: roster.height() + 1, previous: roster.head(), at: 0, change };
    let key = key_of("mallory");
    creel_protocol::cose::sign(creel_protocol::cose::Purpose::Roster, &roster.organisation().0, &entry.to_cbor(), &key)
        .0
}
