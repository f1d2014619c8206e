//! A firm made up for tests: its members sign what a test tells them to, allowed or not.

use creel_protocol::core::{Identity, found};
use creel_protocol::edit::action::{Action, Open, Plan, PlanFields, Record, Resolve, Retract};
use creel_protocol::edit::{Edit, Statement};
use creel_protocol::id::{DeviceKey, DocumentId, EditId, FileHash, Tap};
use creel_protocol::roster::{Change, Enrol, Role, Roster};
use creel_protocol::shipment::effect::Effects;
use creel_protocol::shipment::status::Status;
use creel_protocol::shipment::{History, Render, View};
use creel_protocol::workflow::{CREATED, Evidence, Step, Workflow};
use ed25519_dalek::SigningKey;
use std::cell::Cell;

/// The members every made-up firm has: name, role, party.
const MEMBERS: [(&str, Role, Option<&str>); 9] = [
    ("dora", Role::Dispatcher, None),
    ("dirk", Role::Dispatcher, None),
    ("pia", Role::Picker, None),
    ("li-wei", Role::Driver, Some("driver:li-wei")),
    ("zhang", Role::Driver, Some("driver:zhang")),
    ("west-lake", Role::Shop, Some("shop:west-lake")),
    ("east-gate", Role::Shop, Some("shop:east-gate")),
    ("vera", Role::Viewer, None),
    // A role of a later version.
    ("una", Role::Unknown, Some("driver:una")),
];

/// When everything happens, unless a test says otherwise: 2026-03-01, in milliseconds since the Unix epoch.
pub const NOON: u64 = 1_772_366_400_000;

/// A key that is the same in every run.
pub fn key_of(name: &str) -> SigningKey {
    SigningKey::from_bytes(&blake3::derive_key("creel tests: a made-up key", name.as_bytes()))
}

/// The firm.
#[derive(Debug)]
pub struct Firm {
    /// Who belongs.
    pub roster: Roster,
    taps: Cell<u64>,
}

impl Firm {
    /// A firm that follows a preset.
    pub fn following(preset: &str) -> Self {
        Self::with_workflow(Workflow::preset(preset).expect("the test names a preset"))
    }

    /// A firm that follows a workflow of its own.
    pub fn with_workflow(toml: &str) -> Self {
        let toml = toml.to_owned();
        let (root, issuer) = (key_of("root"), key_of("issuer"));
        let hub = Identity { device: key_of("hub"), issuer: Some(issuer.clone()) };
        let (mut roster, _) = found("Made-up Tackle", &root, &hub, toml, NOON).expect("a preset can be published");
        for (name, role, party) in MEMBERS {
            let key = DeviceKey(key_of(name).verifying_key().to_bytes());
            let enrol = Enrol { key, role, party: party.map(str::to_owned), name: name.to_owned() };
            let entry = roster.write(Change::Enrol(enrol), NOON, &issuer).expect("the issuer writes");
            roster.append(&entry).expect("what was just written follows");
        }
        Self { roster, taps: Cell::new(0) }
    }

    /// The member whose key that is.
    pub fn name_of(key: &DeviceKey) -> Option<&'static str> {
        let names = MEMBERS.iter().map(|(name, ..)| *name).chain(["hub"]);
        names.into_iter().find(|name| key_of(name).verifying_key().to_bytes() == key.0)
    }

    /// Counts taps from the beginning, so that the same story is the same edits.
    pub fn begin_again(&self) {
        self.taps.set(0);
    }

    /// The firm's workflow.
    pub fn workflow(&self) -> &Workflow {
        self.roster.newest_workflow().expect("a firm publishes one").1
    }

    /// An edit by `who`; with no document, one that opens its own.
    pub fn sign(&self, who: &str, document: Option<DocumentId>, after: &[EditId], action: &Action) -> Edit {
        self.sign_at(who, document, after, action, NOON)
    }

    /// An edit by `who`, whose clock shows `at`.
    pub fn sign_at(&self, who: &str, document: Option<DocumentId>, after: &[EditId], action: &Action, at: u64) -> Edit {
        self.taps.set(self.taps.get() + 1);
        let mut tap = [0; 16];
        tap[..8].copy_from_slice(&self.taps.get().to_be_bytes());
        let key = key_of(who);
        let statement = Statement {
            author: DeviceKey(key.verifying_key().to_bytes()),
            by: None,
            after: after.to_vec(),
            roster: self.roster.head(),
            tap: Tap(tap),
            at,
            action: action.to_raw(),
        };
        Edit::sign(&self.roster.organisation(), document, statement, &key)
            .expect("a test's edits are within the limits")
    }

    /// An `Open` by the hub.
    pub fn open(&self, number: &str) -> Edit {
        let workflow = self.roster.newest_workflow().expect("a firm publishes one").0;
        let plan = PlanFields {
            number: Some(number.to_owned()),
            driver: Some("driver:li-wei".to_owned()),
            parties: [("shop".to_owned(), "shop:west-lake".to_owned())].into(),
            ..PlanFields::default()
        };
        self.sign(
            "hub",
            None,
            &[],
            &Action::Open(Open { kind: "shipment".to_owned(), workflow: Some(workflow), plan, import: None }),
        )
    }

    /// A record of a step by `who`, with all the evidence that the step needs.
    pub fn record(
        &self,
        who: &str,
        document: DocumentId,
        after: &[EditId],
        step: &str,
        receiver: Option<&str>,
    ) -> Edit {
        let step = self.workflow().step(step).expect("the test names a step of the firm's workflow");
        let record = with_evidence(step, receiver.unwrap_or("Wang"));
        self.sign(who, Some(document), after, &Action::Record(record))
    }

    /// A change of plan by `who`.
    pub fn plan(&self, who: &str, document: DocumentId, after: &[EditId], fields: PlanFields) -> Edit {
        self.sign(who, Some(document), after, &Action::Plan(Plan { fields, import: None }))
    }

    /// A resolve by `who`.
    pub fn resolve(
        &self,
        who: &str,
        document: DocumentId,
        after: &[EditId],
        settle: &[EditId],
        uphold: Option<EditId>,
    ) -> Edit {
        let action = Action::Resolve(Resolve { settle: settle.to_vec(), uphold, note: None });
        self.sign(who, Some(document), after, &action)
    }

    /// A retraction by `who`.
    pub fn retract(&self, who: &str, document: DocumentId, after: &[EditId], edit: EditId) -> Edit {
        self.sign(who, Some(document), after, &Action::Retract(Retract { edit, note: None }))
    }

    /// What everybody who holds these edits sees.
    pub fn render(&self, edits: &[Edit]) -> Render {
        Render::of(edits[0].document, edits.to_vec(), &self.roster).expect("what is admitted can be rendered")
    }

    /// The status and the number of exceptions, without the plan, which takes longer.
    pub fn status(&self, edits: &[Edit]) -> (String, usize) {
        let history = History::new(edits.to_vec());
        let effects = Effects::of(&history, &self.roster);
        let status = Status::of(&history, &effects, self.workflow(), &self.roster);
        let key = status.decided_by.map_or(CREATED, |fact| &status.facts[fact].step.key);
        (key.to_owned(), status.exceptions.shown.len())
    }

    /// The view that the oracle makes of these edits.
    pub fn oracle(&self, edits: &[Edit]) -> serde_json::Value {
        crate::oracle::view(edits, &self.roster)
    }

    /// The view of these edits, the same from either end and the same as the oracle's.
    pub fn judged(&self, edits: &[Edit]) -> View {
        let render = self.render(edits);
        let backwards: Vec<Edit> = edits.iter().rev().cloned().collect();
        assert_eq!(render.view_hash, self.render(&backwards).view_hash, "the order of arrival shows");
        let view = serde_json::to_value(&render.view).expect("a view is JSON");
        assert_eq!(view, self.oracle(edits), "by the oracle");
        render.view
    }
}

/// A record of a step with all the evidence it needs, and a receiver wherever the step ends at one.
pub fn with_evidence(step: &Step, receiver: &str) -> Record {
    let mut record = Record { step: step.key.clone(), ..Record::default() };
    for evidence in &step.needs {
        match evidence {
            Evidence::Receiver => record.receiver = Some(receiver.to_owned()),
            Evidence::Signature => record.signature = Some(creel_protocol::cbor::Bytes(b"<svg/>".to_vec())),
            Evidence::Photos => record.photos = vec![FileHash([7; 32])],
            Evidence::Reason => record.reason = Some("nobody there".to_owned()),
            Evidence::Place => record.place = Some(creel_protocol::edit::action::Place(302_500_000, 1_201_500_000)),
            Evidence::Scan => record.scan = Some("LOT-7".to_owned()),
            Evidence::Pin => record.pin = Some("4711".to_owned()),
            Evidence::Lines => {
                let count = creel_protocol::edit::action::LineCount { line: "1".to_owned(), ..Default::default() };
                record.lines = vec![count];
            }
            Evidence::Collected => record.collected = Some(1_000),
            // A measured value is an edit of its own, made before.
            Evidence::Measure => {}
        }
    }
    record
}
