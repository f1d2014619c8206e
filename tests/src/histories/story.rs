//! Tells a history edit by edit, with everything that an author can choose.

use crate::firm::{Firm, NOON, key_of};
use creel_protocol::edit::action::{Action, Measure, Plan, PlanFields, Record, Resolve, Retract, Say};
use creel_protocol::edit::{Edit, RawAction, Statement};
use creel_protocol::id::{DeviceKey, DocumentId, EditId, Tap};

/// An edit to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    who: String,
    after: Vec<EditId>,
    action: RawAction,
    document: Option<DocumentId>,
    tap: Option<Tap>,
    by: Option<String>,
    at: Option<u64>,
    height: Option<u64>,
}

impl Draft {
    /// An edit by `who` that knows what `after` names.
    pub fn new(who: &str, after: &[EditId], action: &Action) -> Self {
        Self::raw(who, after, action.to_raw())
    }

    /// The same of an action that is bytes.
    pub fn raw(who: &str, after: &[EditId], action: RawAction) -> Self {
        let (who, after) = (who.to_owned(), after.to_vec());
        Self { who, after, action, document: None, tap: None, by: None, at: None, height: None }
    }

    /// Answers a tap of this number.
    pub fn tap(self, tap: u8) -> Self {
        Self { tap: Some(Tap([tap; 16])), ..self }
    }

    /// Answers this tap.
    pub fn tapped(self, tap: Tap) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// Names a person.
    pub fn by(self, by: &str) -> Self {
        Self { by: Some(by.to_owned()), ..self }
    }

    /// Claims a time.
    pub fn at(self, at: u64) -> Self {
        Self { at: Some(at), ..self }
    }

    /// Names the roster's entry of this height.
    pub fn height(self, height: u64) -> Self {
        Self { height: Some(height), ..self }
    }

    /// Is about this document, whatever follows from it.
    pub fn about(self, document: DocumentId) -> Self {
        Self { document: Some(document), ..self }
    }
}

/// A history as it is told.
pub struct Story<'a> {
    /// Whose.
    pub firm: &'a Firm,
    /// Its edits.
    pub edits: Vec<Edit>,
    document: Option<DocumentId>,
}

impl<'a> Story<'a> {
    /// An empty one.
    pub fn empty(firm: &'a Firm) -> Self {
        Self { firm, edits: Vec::new(), document: None }
    }

    /// One that begins with an `Open` by the hub.
    pub fn begin(firm: &'a Firm) -> Self {
        let mut story = Self::empty(firm);
        let open = firm.open("SO-1");
        story.document = Some(open.document);
        story.edits.push(open);
        story
    }

    /// The document; that of the first edit.
    pub fn document(&self) -> Option<DocumentId> {
        self.document
    }

    /// The first edit.
    pub fn opened(&self) -> EditId {
        self.edits[0].id
    }

    /// Makes an edit.
    pub fn add(&mut self, draft: Draft) -> EditId {
        let key = key_of(&draft.who);
        let tap = draft.tap.unwrap_or_else(|| {
            let mut tap = [0xee; 16];
            tap[..8].copy_from_slice(&(self.edits.len() as u64).to_be_bytes());
            Tap(tap)
        });
        let entry = draft.height.and_then(|height| {
            let bytes = self.firm.roster.entries(height).next()?;
            let roster = &self.firm.roster;
            creel_protocol::roster::verify_entry(roster.genesis(), &roster.organisation(), bytes).ok().map(|(id, _)| id)
        });
        let statement = Statement {
            author: DeviceKey(key.verifying_key().to_bytes()),
            by: draft.by,
            after: draft.after,
            roster: entry.unwrap_or_else(|| self.firm.roster.head()),
            tap,
            at: draft.at.unwrap_or(NOON),
            action: draft.action,
        };
        let document = draft.document.or(self.document);
        let edit = Edit::sign(&self.firm.roster.organisation(), document, statement, &key)
            .expect("a test's edits are within the limits");
        self.document.get_or_insert(edit.document);
        let id = edit.id;
        if self.edits.iter().all(|known| known.id != id) {
            self.edits.push(edit);
        }
        id
    }

    /// States an action.
    pub fn act(&mut self, who: &str, after: &[EditId], action: &Action) -> EditId {
        self.add(Draft::new(who, after, action))
    }

    /// Records a step with its evidence.
    pub fn record(&mut self, who: &str, after: &[EditId], step: &str, receiver: &str) -> EditId {
        let step = self.firm.workflow().step(step).expect("the test names a step of the firm's workflow");
        let mut record = crate::firm::with_evidence(step, receiver);
        if !receiver.is_empty() {
            record.receiver = Some(receiver.to_owned());
        }
        self.act(who, after, &Action::Record(record))
    }

    /// Records a step with nothing else.
    pub fn bare(&mut self, who: &str, after: &[EditId], step: &str) -> EditId {
        self.act(who, after, &Action::Record(Record { step: step.to_owned(), ..Record::default() }))
    }

    /// Measures a temperature.
    pub fn measure(&mut self, who: &str, after: &[EditId]) -> EditId {
        self.act(who, after, &measured())
    }

    /// Writes a message.
    pub fn say(&mut self, who: &str, after: &[EditId], text: &str) -> EditId {
        self.act(who, after, &Action::Say(Say::of(text)))
    }

    /// Changes the plan.
    pub fn plan(&mut self, who: &str, after: &[EditId], fields: PlanFields) -> EditId {
        self.act(who, after, &Action::Plan(Plan { fields, import: None }))
    }

    /// Settles.
    pub fn resolve(&mut self, who: &str, after: &[EditId], settle: &[EditId], uphold: Option<EditId>) -> EditId {
        let resolve = Resolve { settle: settle.to_vec(), uphold, note: None };
        self.act(who, after, &Action::Resolve(resolve))
    }

    /// Takes back.
    pub fn retract(&mut self, who: &str, after: &[EditId], edit: EditId) -> EditId {
        self.act(who, after, &Action::Retract(Retract { edit, note: None }))
    }
}

/// A measured temperature.
pub fn measured() -> Action {
    let (quantity, unit) = ("temperature".to_owned(), "°C".to_owned());
    Action::Measure(Measure { quantity, value: 4_000, unit, sensor: None })
}

/// A plan that sets the consignee.
pub fn consignee(name: &str) -> PlanFields {
    PlanFields { consignee: Some(name.to_owned()), ..PlanFields::default() }
}
