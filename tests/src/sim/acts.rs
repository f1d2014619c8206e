//! What people do at their devices, allowed or not.

use super::world::{DAWN, Event, Request, World};
use crate::firm::with_evidence;
use creel_protocol::core::io::{Act, Input, Keep, Order, Packed, Query, Targets};
use creel_protocol::core::keys;
use creel_protocol::edit::Edit;
use creel_protocol::edit::action::{Action, Line, Measure, PlanFields, Record, Window};
use creel_protocol::id::{DocumentId, EditId, FileHash, Tap};
use creel_protocol::roster::Role;
use creel_protocol::store::Store as _;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::FRAME_BYTES_MAX;

/// Shipments in a run.
const SHIPMENTS_MAX: usize = 6;
const RECEIVERS: [&str; 3] = ["Wang", "Chen", "Wang "];
const PARTIES: [&str; 4] = ["driver:li-wei", "driver:zhang", "shop:west-lake", "shop:east-gate"];

impl World {
    /// Somebody does something, and somebody will again.
    #[expect(clippy::same_functions_in_if_condition, reason = "each is another throw of the dice")]
    pub(super) fn work(&mut self) {
        let after = self.rng.between(20, 500);
        self.plan(after, Event::Work);
        let up: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_some()).collect();
        let Some(at) = self.rng.pick(&up).copied() else { return };
        if self.rng.between(0, 999) < 3 {
            self.talk(at);
        } else if self.rng.percent(3) {
            self.pack(at, &up);
        } else if self.rng.percent(3) {
            // As after a silence.
            let sessions: Vec<_> = self.nodes[at].sessions.keys().copied().collect();
            if let Some(session) = self.rng.pick(&sessions).copied() {
                self.feed(at, Input::Repeat { session });
            }
        } else if self.rng.percent(4) {
            self.tidy(at);
        } else if self.rng.percent(8) {
            self.fetch_some();
        } else if let Some(act) = self.invent(at) {
            let tap = Tap(self.rng.bytes());
            if self.rng.percent(20) {
                let after = self.rng.between(0, 3_000);
                self.plan(after, Event::Again { node: at, tap, act: Box::new(act.clone()) });
            }
            self.act(at, tap, act);
        }
    }

    /// A device lets go of what it needs no more; its clock may lie about how long it had it.
    pub(super) fn tidy(&mut self, at: usize) {
        let keep = if self.rng.percent(70) { 0 } else { self.rng.between(0, 5_000) };
        self.feed(at, Input::Tidy { keep: Keep { closed_ms: keep, left_ms: keep / 2 } });
    }

    /// Somebody takes a file for another device along.
    fn pack(&mut self, at: usize, up: &[usize]) {
        let Some(to) = self.rng.pick(up).copied().filter(|to| *to != at) else { return };
        let key = self.nodes[to].key();
        let member = self.nodes[at].core.as_ref().and_then(|core| core.roster().member(&key));
        if let Some(name) = member.map(|member| member.name.clone()) {
            let words = format!("{} packs for {name}", self.nodes[at].name);
            self.note(&words);
            let request = self.request(Request::Pack { to });
            self.feed(at, Input::Ask { request, query: Query::Pack { peer: Some(name), after: None } });
        }
    }

    /// The file is there, and some hours may have passed.
    pub(super) fn packed(&mut self, at: usize, to: usize, packed: Packed) {
        let peer = self.nodes[to].key();
        packed.frames.iter().for_each(|frame| self.check_frame(at, peer, frame));
        let after = self.rng.between(0, 5_000);
        self.plan(after, Event::Carry { node: to, frames: packed.frames });
    }

    pub(super) fn unpack(&mut self, at: usize, frames: Vec<Frame>) {
        if self.nodes[at].core.is_none() {
            return;
        }
        let (mut entries, mut edits) = (Vec::new(), Vec::new());
        for frame in frames {
            match frame {
                Frame::Roster(more) => entries.extend(more),
                Frame::Edits(more) => edits.extend(more),
                other => self.fail(format!("a pack holds {other:?}")),
            }
        }
        let words = format!("{} unpacks {} edits", self.nodes[at].name, edits.len());
        self.note(&words);
        let request = self.request(Request::Unpack);
        self.feed(at, Input::Unpack { request, entries, edits });
    }

    /// Somebody says more about a shipment than fits into a frame.
    fn talk(&mut self, at: usize) {
        let documents = self.documents(at);
        let Some(shipment) = self.rng.pick(&documents).map(ToString::to_string) else { return };
        let text = "鱼".repeat(4_000);
        for _ in 0..=FRAME_BYTES_MAX / text.len() {
            let tap = Tap(self.rng.bytes());
            self.act(at, tap, Act::Say { shipment: shipment.clone(), text: text.clone() });
        }
    }

    pub(super) fn act(&mut self, at: usize, tap: Tap, act: Act) {
        if self.nodes[at].core.is_none() {
            return;
        }
        let words = format!("{} taps {}: {act:?}", self.nodes[at].name, tap.short());
        self.note(&words.chars().take(200).collect::<String>());
        self.take_photos(at, &act);
        let request = self.request(Request::Act { tap });
        // Who tries again is the same person, and may be done this time: whether the answer comes or not (seed 4401).
        let by = tap.0[0].is_multiple_of(5).then(|| "Xiao Ming".to_owned());
        self.refused_taps.remove(&tap);
        self.feed(at, Input::Act { request, tap, by, act });
    }

    /// The documents that a node holds.
    pub(super) fn documents(&self, at: usize) -> Vec<DocumentId> {
        let (from, to) = keys::under(b"d");
        let pairs = self.nodes[at].engine.scan(&from, &to, usize::MAX).unwrap_or_default();
        pairs.iter().filter_map(|(key, _)| keys::tail(key).map(DocumentId)).collect()
    }

    /// The edits that a node holds of a document.
    pub(super) fn edits_at(&self, at: usize, document: &DocumentId) -> Vec<Edit> {
        let (from, to) = keys::under(&keys::edits(document));
        let pairs = self.nodes[at].engine.scan(&from, &to, usize::MAX).unwrap_or_default();
        pairs.into_iter().filter_map(|(_, bytes)| Edit::stored(&self.organisation, bytes).ok()).collect()
    }

    /// The records among them, which a resolve or a retraction could name; in the order of a random walk.
    fn records_at(&mut self, at: usize, document: &DocumentId) -> Vec<EditId> {
        let edits = self.edits_at(at, document);
        let records =
            edits.iter().filter(|edit| matches!(Action::from_raw(&edit.statement.action), Ok(Action::Record(_))));
        let mut records: Vec<EditId> = records.map(|edit| edit.id).collect();
        for place in (1..records.len()).rev() {
            let other = self.rng.below(place + 1);
            records.swap(place, other);
        }
        records
    }

    fn invent(&mut self, at: usize) -> Option<Act> {
        let documents = self.documents(at);
        let planner = matches!(self.nodes[at].role, Role::Admin | Role::Dispatcher);
        if planner && (documents.is_empty() || documents.len() < SHIPMENTS_MAX && self.rng.percent(20)) {
            return Some(self.import());
        }
        let document = self.rng.pick(&documents).copied()?;
        let shipment = document.to_string();
        let dice = self.rng.between(0, 99);
        Some(match dice {
            0..=24 if planner || dice < 2 => {
                let fields = self.fields();
                Act::Plan { targets: Targets::Named(vec![shipment]), fields }
            }
            25..=31 => Act::Say { shipment, text: format!("message {}", self.rng.any() % 1_000) },
            32..=38 => {
                let value = i64::try_from(self.rng.between(0, 9_000)).unwrap_or_default();
                let measure =
                    Measure { quantity: "temperature".to_owned(), value, unit: "°C".to_owned(), sensor: None };
                Act::Measure { shipments: vec![shipment], measure }
            }
            39..=48 if planner || dice < 41 => {
                let records = self.records_at(at, &document);
                let settle: Vec<EditId> = records.into_iter().take(2).collect();
                let uphold = if self.rng.percent(70) { self.rng.pick(&settle).copied() } else { None };
                let settle = settle.iter().map(ToString::to_string).collect();
                Act::Resolve { shipment, settle, uphold: uphold.map(|edit| edit.to_string()), note: None }
            }
            49..=54 => {
                let own = self.nodes[at].key();
                let records = self.records_at(at, &document);
                let wanted = |id: &&EditId| self.seen.get(id).is_some_and(|seen| seen.author == own);
                let edit = records.iter().find(wanted).or(records.first())?;
                Act::Retract { edit: edit.to_string(), note: Some("a slip".to_owned()), own: false }
            }
            55..=57 => Act::Say { shipment: "no such number".to_owned(), text: "hello".to_owned() },
            _ => {
                let mut shipments = vec![shipment];
                if self.rng.percent(10) {
                    shipments.extend(self.rng.pick(&documents).map(ToString::to_string));
                }
                let record = self.step(at);
                Act::Record { shipments, record, role: None }
            }
        })
    }

    /// An order; sometimes one whose number another node uses too.
    fn import(&mut self) -> Act {
        let number = format!("SO-{}", self.rng.between(1, 9));
        let mut fields = self.fields();
        fields.number = None;
        let line =
            Line { line: "1".to_owned(), quantity: Some(12_000), name: Some("float".to_owned()), ..Line::default() };
        let order = Order { number, row: 1, fields, lines: vec![line] };
        Act::Import { orders: vec![order], dry_run: self.rng.percent(5) }
    }

    fn fields(&mut self) -> PlanFields {
        let mut fields = PlanFields::default();
        if self.rng.percent(50) {
            fields.driver = self.rng.pick(&PARTIES[..2]).map(|party| (*party).to_owned());
        }
        if self.rng.percent(40) {
            let shop = self.rng.pick(&PARTIES[2..]).map_or_else(String::new, |party| (*party).to_owned());
            fields.parties.insert("shop".to_owned(), shop);
        }
        if self.rng.percent(50) {
            let from = DAWN + 3_600_000 * self.rng.between(0, 12);
            fields.window = Some(Window(from, from + 7_200_000));
        }
        if self.rng.percent(5) {
            fields.number = Some(format!("SO-{}", self.rng.between(1, 9)));
        }
        if self.rng.percent(5) {
            // Not a party: refused here, and void wherever it came from.
            fields.driver = Some("Li Wei".to_owned());
        }
        fields.note = Some(format!("note {}", self.rng.any() % 100));
        fields
    }

    /// A step that this node's role may record, mostly; with the evidence it needs, mostly.
    fn step(&mut self, at: usize) -> Record {
        let role = self.nodes[at].role;
        let anything = self.rng.percent(10);
        let late = self.rng.percent(40);
        let steps: Vec<_> = self
            .workflow
            .steps
            .iter()
            .filter(|step| anything || step.by.contains(&role))
            .filter(|step| !late || step.rank >= 60)
            .cloned()
            .collect();
        let receiver = self.rng.pick(&RECEIVERS).copied().unwrap_or("Wang");
        let Some(step) = self.rng.pick(&steps) else {
            return Record { step: "no_such_step".to_owned(), ..Record::default() };
        };
        let mut record = with_evidence(step, receiver);
        if self.rng.percent(5) {
            (record.receiver, record.reason) = (None, None);
        }
        if self.rng.percent(20) {
            record.scan = Some("LOT-9".to_owned());
        }
        if self.rng.percent(15) {
            record.photos.push(FileHash(self.rng.bytes()));
        }
        record
    }
}
