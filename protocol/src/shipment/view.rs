//! The rendered view of a shipment: what every screen, sheet and script shows, and the same bytes on every node.
//!
//! It carries kinds, edits and numbers, and no sentence: those are made at a node's edge.

use super::clocks::Clocks;
use super::effect::Effects;
use super::exceptions::ExceptionKind;
use super::history::{Event, History, Places};
use super::replay::{self, Register, Replayed, Scalar};
use super::status::{Fact, Status};
use super::time;
use crate::edit::Edit;
use crate::edit::action::{Action, Window};
use crate::id::{DeviceKey, Digest, DocumentId, EditId, FileHash, WorkflowId};
use crate::kind::{KINDS, Kind};
use crate::planted::{self, Bug};
use crate::roster::{Role, Roster};
use crate::workflow::{CREATED, Outcome, Workflow};
use automerge::AutomergeError;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The status of a document without an `Open` that counts.
pub const NO_STATUS: &str = "none";
/// Values of one field that are shown.
pub const VALUES_SHOWN_MAX: usize = 16;
/// Values of one field by one device that are shown.
pub const VALUES_OF_DEVICE_MAX: usize = 2;
/// Void edits of one device that stand in the timeline.
pub const VOID_SHOWN_MAX: usize = 16;

/// One value of a field that several people changed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The value.
    pub value: Scalar,
    /// The edit that set it.
    pub edit: EditId,
    /// Who set it.
    pub author: String,
    /// Their role at the roster entry that the edit names.
    pub role: Role,
}

/// A field that several people changed at once, each without knowing of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The field.
    pub field: String,
    /// Its values in creel's order: the first is shown where there is room for one.
    pub values: Vec<Candidate>,
    /// How many values are left out.
    pub more: u64,
}

/// How a record stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is the status.
    Decides,
    /// A later record that knew of it took its place.
    Superseded,
    /// It stands, and another outranks it.
    Outranked,
    /// It was recorded after the fact, and moves nothing.
    Backfill,
    /// Its author took it back.
    Retracted,
    /// A person settled against it.
    Rejected,
}

/// One edit in the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimelineEntry {
    /// The edit.
    pub edit: EditId,
    /// What kind of action, or `unknown`.
    pub action: &'static str,
    /// The device's name.
    pub author: String,
    /// The device's key.
    pub device: DeviceKey,
    /// The device's role at the roster entry that the edit names.
    pub role: Role,
    /// The person at the device.
    pub by: Option<String>,
    /// The device's claimed time, RFC 3339.
    pub at: String,
    /// Whether what the author knew shows that the claimed time is too early.
    pub clock_behind: bool,
    /// Whether what another knew shows that the claimed time is too late.
    pub clock_ahead: bool,
    /// Its direct predecessors.
    pub after: Vec<EditId>,
    /// Whether it counts.
    pub counted: bool,
    /// If not, why: a code of [`super::Void::code`].
    pub why_not: Option<&'static str>,
    /// The step of a record.
    pub step: Option<String>,
    /// How a record stands.
    pub standing: Option<Standing>,
    /// Steps that were skipped on the way to this one.
    pub skipped: Vec<String>,
    /// What it states. A drawn signature is given by its hash.
    pub detail: Option<Value>,
}

/// Something a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// What kind.
    pub kind: ExceptionKind,
    /// The edits it is about.
    pub edits: Vec<EditId>,
}

/// What everybody who has the same edits sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// The document.
    pub id: DocumentId,
    /// The firm's own number.
    pub number: String,
    /// The status: a step's key, or `none` for a document without an `Open` that counts.
    pub status: String,
    /// When it was signed for, as the device claims whose record says so; RFC 3339.
    pub signed: Option<String>,
    /// The workflow's name.
    pub workflow: String,
    /// The plan.
    pub plan: BTreeMap<String, Value>,
    /// Fields of the plan with several values.
    pub conflicts: Vec<Conflict>,
    /// Every edit that counts, and each device's first void ones, in canonical order.
    pub timeline: Vec<TimelineEntry>,
    /// How many void edits of each device are left out.
    pub void_more: BTreeMap<DeviceKey, u64>,
    /// What a person has to look at.
    pub exceptions: Vec<Exception>,
    /// How many exceptions of each kind are left out.
    pub exceptions_more: BTreeMap<ExceptionKind, u64>,
}

/// A view with what goes along with it.
#[derive(Debug, Clone)]
pub struct Render {
    /// The view.
    pub view: View,
    /// Digest of the edits and the roster head it was made from.
    pub edits_hash: Digest,
    /// Digest of the view.
    pub view_hash: Digest,
    /// Every party that a plan ever named or goods were ever handed to: who has had to do with the shipment.
    pub parties: BTreeSet<String>,
    /// The parties that have to do with it now, by any of the values of a field that has several.
    pub named: BTreeSet<String>,
    /// How the shipment has ended, if its status ends it.
    pub outcome: Option<Outcome>,
    /// How far along it is: the rank of its status.
    pub rank: u32,
    /// The workflow it was opened with.
    pub workflow: Option<WorkflowId>,
    /// The photos and files that its records and messages name, with the devices that made them.
    pub photos: BTreeMap<FileHash, BTreeSet<DeviceKey>>,
    /// Each register of the plan with its values and who set them.
    pub registers: BTreeMap<String, Register>,
}

/// Why a document can't be rendered. Never the edits' fault: they are checked before.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the shipment can't be rendered: {0}; please report this")]
pub struct RenderError(String);

impl Render {
    /// Renders a document from its edits.
    pub fn of(document: DocumentId, edits: Vec<Edit>, roster: &Roster) -> Result<Self, RenderError> {
        Self::among(document, edits, roster, KINDS)
    }

    /// Renders a document whose kind is one of a table.
    pub fn among(document: DocumentId, edits: Vec<Edit>, roster: &Roster, kinds: &[Kind]) -> Result<Self, RenderError> {
        let arrival: Vec<EditId> = edits.iter().map(|edit| edit.id).collect();
        let history = History::new(edits);
        let effects = Effects::among(&history, roster, kinds);
        Self::judged(document, &history, &effects, roster, &arrival)
    }

    /// Renders a document whose edits were judged already.
    pub fn judged(
        document: DocumentId,
        history: &History,
        effects: &Effects,
        roster: &Roster,
        arrival: &[EditId],
    ) -> Result<Self, RenderError> {
        let mut registers = registers_of(history, effects).map_err(|error| RenderError(error.to_string()))?;
        registers.values_mut().for_each(|values| put_in_order(values, history, roster));
        let status = effects.workflow.as_deref().map(|workflow| Status::of(history, effects, workflow, roster));
        let view = view(document, history, effects, roster, &registers, status.as_ref(), arrival);
        let step = effects.workflow.as_ref().and_then(|workflow| workflow.step(&view.status));
        let opening = effects.open.map(|place| &history.events()[place].action);
        let workflow = opening.and_then(|action| action.as_ref().ok()).and_then(|action| match action {
            Action::Open(open) => open.workflow,
            _ => None,
        });
        let parties = parties(history, effects, roster);
        let named = named(&registers, status.as_ref(), &parties);
        Ok(Self {
            workflow,
            edits_hash: edits_hash(history.events().iter().map(|event| event.edit.id), roster),
            view_hash: view_hash(&view),
            parties,
            named,
            outcome: step.and_then(|step| step.outcome),
            rank: step.map_or(0, |step| step.rank),
            photos: photos(history, effects),
            view,
            registers,
        })
    }
}

/// Automerge has dropped what was overwritten with knowledge; what is left is concurrent. An author could grind Automerge's
/// winner, so ours is by role and enrolment, and then by edit id.
fn put_in_order(values: &mut Register, history: &History, roster: &Roster) {
    values.sort_by_cached_key(|(_, edit)| {
        let place = history.place(edit);
        let standing = place.map(|place| super::standing_of(&history.events()[place].edit, roster));
        (standing.unwrap_or((Role::Unknown, u64::MAX)), *edit)
    });
}

/// The candidates of a field that are shown: each value once, by the first in order whose device has a place left. So nobody
/// can take another's value out of sight by setting it too. Also how many values are left out.
fn shown_of(values: &Register, author: impl Fn(&EditId) -> Option<DeviceKey>) -> (Vec<&(Scalar, EditId)>, usize) {
    let mut of_device: BTreeMap<DeviceKey, usize> = BTreeMap::new();
    let mut shown: Vec<&(Scalar, EditId)> = Vec::new();
    let mut told: BTreeSet<&Scalar> = BTreeSet::new();
    for candidate in values {
        let Some(device) = author(&candidate.1).filter(|_| !told.contains(&candidate.0)) else { continue };
        let count = of_device.entry(device).or_default();
        if *count < VALUES_OF_DEVICE_MAX && shown.len() < VALUES_SHOWN_MAX {
            *count += 1;
            told.insert(&candidate.0);
            shown.push(candidate);
        }
    }
    let all: BTreeSet<&Scalar> = values.iter().map(|(value, _)| value).collect();
    let left_out = all.len() - shown.len();
    (shown, left_out)
}

/// The plan's registers. A document that was only opened, as an import makes them by the ten thousand, needs no merging:
/// its registers are what its `Open` says, which a test holds equal to the replay.
fn registers_of(history: &History, effects: &Effects) -> Result<BTreeMap<String, Register>, AutomergeError> {
    if let ([event], Some(0)) = (history.events(), effects.open)
        && let Ok(Action::Open(open)) = &event.action
    {
        let registers = replay::registers(&open.plan).into_iter();
        return Ok(registers.map(|(key, value)| (key, vec![(value, event.edit.id)])).collect());
    }
    Replayed::of(history, effects)?.plan()
}

/// Digest of a set of admitted edits and of the roster they are judged by.
pub fn edits_hash(edits: impl Iterator<Item = EditId>, roster: &Roster) -> Digest {
    let mut ids: Vec<_> = edits.collect();
    ids.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key("creel/edits/1");
    hasher.update(&roster.head().0);
    for id in &ids {
        hasher.update(&id.0);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// Digest of the view in canonical JSON (RFC 8785; a view holds no floats).
pub fn view_hash(view: &View) -> Digest {
    let mut text = String::new();
    canonical(&serde_json::to_value(view).unwrap_or_default(), &mut text);
    Digest(blake3::derive_key("creel/view/1", text.as_bytes()))
}

/// Keys sorted by their UTF-16, as RFC 8785 has it, whatever order the JSON library was built to keep.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(pairs) => {
            let mut sorted: Vec<_> = pairs.iter().collect();
            sorted.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
            text.push('{');
            for (place, (key, value)) in sorted.into_iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                canonical(&Value::String(key.clone()), text);
                text.push(':');
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { "," });
                canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// What an action states, as JSON; a drawn signature by its hash.
pub fn detail(action: &Action) -> Option<Value> {
    let mut detail = match action {
        Action::Open(open) => serde_json::to_value(&open.plan),
        Action::Plan(plan) => serde_json::to_value(&plan.fields),
        Action::Record(record) => serde_json::to_value(record),
        Action::Measure(measure) => serde_json::to_value(measure),
        Action::Say(say) => serde_json::to_value(say),
        Action::Resolve(resolve) => serde_json::to_value(resolve),
        Action::Retract(retract) => serde_json::to_value(retract),
    }
    .ok()?;
    strip_absent(&mut detail);
    if let (Action::Record(record), Value::Object(pairs)) = (action, &mut detail)
        && let Some(signature) = &record.signature
    {
        pairs.insert("signature".to_owned(), Digest(*blake3::hash(&signature.0).as_bytes()).to_string().into());
    }
    Some(detail)
}

fn strip_absent(value: &mut Value) {
    match value {
        Value::Object(pairs) => {
            pairs.retain(|_, value| {
                !value.is_null()
                    && value.as_array().is_none_or(|items| !items.is_empty())
                    && value.as_object().is_none_or(|pairs| !pairs.is_empty())
            });
            pairs.values_mut().for_each(strip_absent);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_absent),
        _ => {}
    }
}

/// Who has had to do with the shipment: parties that a plan named, or that goods were handed to. A driver or a shop hands
/// over only what is its own affair by what it knows: nobody brings themselves into a scope.
fn parties(history: &History, effects: &Effects, roster: &Roster) -> BTreeSet<String> {
    // The edits that brought each party in.
    let mut found: BTreeMap<&String, Places> = BTreeMap::new();
    for (place, action) in effects.counting(history) {
        if let Some(plan) = action.fields() {
            let named = plan.driver.iter().chain(plan.parties.values()).filter(|party| !party.is_empty());
            named.for_each(|party| found.entry(party).or_default().insert(place));
        }
        if let Action::Record(record) = action
            && let Some(party) = &record.handed_to
            && may_hand_over(&history.events()[place], &found, roster)
        {
            found.entry(party).or_default().insert(place);
        }
    }
    found.into_keys().cloned().collect()
}

/// Whether a record's author brings the party into the scope that they hand the goods to.
fn may_hand_over(record: &Event, found: &BTreeMap<&String, Places>, roster: &Roster) -> bool {
    let statement = &record.edit.statement;
    let height = roster.height_of(&statement.roster);
    let Some(author) = height.and_then(|height| roster.member_at(&statement.author, height)) else { return false };
    let own = author.party.as_ref().and_then(|party| found.get(party));
    !author.role.is_party() || own.is_some_and(|places| record.past.meets(places))
}

/// Who has to do with it now.
fn named(
    registers: &BTreeMap<String, Register>,
    status: Option<&Status<'_>>,
    ever: &BTreeSet<String>,
) -> BTreeSet<String> {
    let planned = registers
        .iter()
        .filter(|(key, _)| *key == "driver" || key.starts_with("parties/"))
        .flat_map(|(_, values)| values)
        .filter_map(|(value, _)| match value {
            Scalar::Text(party) if !party.is_empty() => Some(party.clone()),
            _ => None,
        });
    let facts = status.into_iter().flat_map(|status| status.facts.iter().filter(|fact| fact.live()));
    let handed = facts.filter_map(|fact| fact.record.handed_to.clone()).filter(|party| ever.contains(party));
    planned.chain(handed).collect()
}

fn photos(history: &History, effects: &Effects) -> BTreeMap<FileHash, BTreeSet<DeviceKey>> {
    let mut all: BTreeMap<FileHash, BTreeSet<DeviceKey>> = BTreeMap::new();
    for (place, action) in effects.counting(history) {
        let author = history.events()[place].edit.statement.author;
        for file in action.files() {
            all.entry(*file).or_default().insert(author);
        }
    }
    all
}

fn view(
    document: DocumentId,
    history: &History,
    effects: &Effects,
    roster: &Roster,
    registers: &BTreeMap<String, Register>,
    status: Option<&Status<'_>>,
    arrival: &[EditId],
) -> View {
    let plan = plan(registers);
    let clocks = Clocks::of(history, effects, roster);
    let mut void_of: BTreeMap<DeviceKey, usize> = BTreeMap::new();
    let mut timeline = Vec::new();
    for place in 0..history.events().len() {
        if !effects.counts(place) {
            let count = void_of.entry(history.events()[place].edit.statement.author).or_default();
            *count += 1;
            if *count > VOID_SHOWN_MAX {
                continue;
            }
        }
        timeline.push(entry(place, history, effects, roster, status, &clocks));
    }
    if planted::is(Bug::ViewByArrival) {
        timeline.sort_by_key(|entry| arrival.iter().position(|id| *id == entry.edit));
    }
    let left_out = void_of.into_iter().filter(|(_, count)| *count > VOID_SHOWN_MAX);
    let decided_by = status.and_then(|status| Some(&status.facts[status.decided_by?]));
    let opened = if effects.open.is_some() { CREATED } else { NO_STATUS };
    let signed = status.and_then(|status| Some(&history.events()[status.facts[status.signed_by()?].place]));
    let exceptions = status.map(|status| status.exceptions.clone()).unwrap_or_default();
    View {
        id: document,
        number: plan.get("number").and_then(Value::as_str).unwrap_or_default().to_owned(),
        status: decided_by.map_or(opened, |fact| fact.step.key.as_str()).to_owned(),
        signed: signed.map(|event| time::rfc3339(event.edit.statement.at)),
        workflow: effects.workflow.as_ref().map_or_else(String::new, |workflow| workflow.name.clone()),
        plan,
        conflicts: conflicts(history, roster, registers),
        timeline,
        void_more: left_out.map(|(device, count)| (device, (count - VOID_SHOWN_MAX) as u64)).collect(),
        exceptions: exceptions.shown.into_iter().map(|(kind, edits)| Exception { kind, edits }).collect(),
        exceptions_more: exceptions.more,
    }
}

fn entry(
    place: usize,
    history: &History,
    effects: &Effects,
    roster: &Roster,
    status: Option<&Status<'_>>,
    clocks: &Clocks,
) -> TimelineEntry {
    let event = &history.events()[place];
    let statement = &event.edit.statement;
    let fact = status.and_then(|status| {
        let index = status.facts.binary_search_by_key(&place, |fact| fact.place).ok()?;
        Some((status, index))
    });
    let action = event.action.as_ref().ok();
    TimelineEntry {
        edit: event.edit.id,
        action: action.map_or("unknown", Action::name),
        author: device_name(&event.edit, roster),
        device: statement.author,
        role: super::standing_of(&event.edit, roster).0,
        by: statement.by.clone(),
        at: time::rfc3339(statement.at),
        clock_behind: clocks.behind.contains(place),
        clock_ahead: clocks.ahead.contains(place),
        after: statement.after.clone(),
        counted: effects.counts(place),
        why_not: effects.verdicts[place].as_ref().err().map(super::Void::code),
        step: match action {
            Some(Action::Record(record)) => Some(record.step.clone()),
            _ => None,
        },
        standing: fact.map(|(status, index)| standing(history, status, index)),
        skipped: fact
            .zip(effects.workflow.as_ref())
            .map_or_else(Vec::new, |((status, index), workflow)| skipped(history, workflow, status, index)),
        detail: action.and_then(detail),
    }
}

fn standing(history: &History, status: &Status<'_>, index: usize) -> Standing {
    let fact = &status.facts[index];
    let knew_higher =
        |other: &Fact<'_>| other.live() && other.step.rank > fact.step.rank && history.knew(fact.place, other.place);
    if fact.retracted {
        Standing::Retracted
    } else if fact.rejected {
        Standing::Rejected
    } else if status.decided_by == Some(index) {
        Standing::Decides
    } else if status.superseded.contains(index) {
        Standing::Superseded
    } else if fact.supersedes.is_empty() && status.facts.iter().any(knew_higher) {
        Standing::Backfill
    } else {
        Standing::Outranked
    }
}

/// The ordinary steps (no outcome, no way back) between what the author knew and what they recorded.
fn skipped(history: &History, workflow: &Workflow, status: &Status<'_>, index: usize) -> Vec<String> {
    let fact = &status.facts[index];
    if matches!(fact.step.outcome, Some(Outcome::Cancelled | Outcome::Returned)) {
        // Calling off is not arriving: nothing was skipped on the way.
        return Vec::new();
    }
    let known = status.facts.iter().filter(|other| other.live() && history.knew(fact.place, other.place));
    let from = known.map(|other| other.step.rank).max().unwrap_or(0);
    workflow
        .steps
        .iter()
        .filter(|step| step.rank > from && step.rank < fact.step.rank)
        .filter(|step| step.outcome.is_none() && step.ways.is_empty() && step.key != CREATED)
        .map(|step| step.key.clone())
        .collect()
}

fn conflicts(history: &History, roster: &Roster, registers: &BTreeMap<String, Register>) -> Vec<Conflict> {
    let author = |edit: &EditId| Some(history.events()[history.place(edit)?].edit.statement.author);
    let candidate = |(value, edit): &(Scalar, EditId)| {
        let made = &history.events()[history.place(edit)?].edit;
        let (author, role) = (device_name(made, roster), super::standing_of(made, roster).0);
        Some(Candidate { value: value.clone(), edit: *edit, author, role })
    };
    let conflict = |(field, values): (&String, &Register)| {
        let (shown, left_out) = shown_of(values, author);
        let values = shown.into_iter().filter_map(candidate).collect();
        Conflict { field: field.clone(), values, more: left_out as u64 }
    };
    let several = |values: &Register| values.iter().any(|(value, _)| *value != values[0].0);
    registers.iter().filter(|(_, values)| several(values)).map(conflict).collect()
}

/// The edits that set the values of a field that are shown: whoever changes the field has seen them.
pub fn values_shown(values: &Register, author: impl Fn(&EditId) -> Option<DeviceKey>) -> Vec<EditId> {
    let (shown, _) = shown_of(values, author);
    let told: BTreeSet<&Scalar> = shown.into_iter().map(|(value, _)| value).collect();
    values.iter().filter(|(value, _)| told.contains(value)).map(|(_, edit)| *edit).collect()
}

fn plan(registers: &BTreeMap<String, Register>) -> BTreeMap<String, Value> {
    let mut plan = BTreeMap::new();
    let mut parties = BTreeMap::new();
    let mut lines: BTreeMap<(u64, String), BTreeMap<String, Value>> = BTreeMap::new();
    for (key, values) in registers {
        let Some((scalar, _)) = values.first() else { continue };
        let value = match scalar {
            Scalar::Bool(truth) => Value::from(*truth),
            Scalar::Int(number) => Value::from(*number),
            // An empty text takes a value back.
            Scalar::Text(text) if text.is_empty() => continue,
            Scalar::Text(text) => Value::from(text.clone()),
        };
        match key.split('/').collect::<Vec<_>>()[..] {
            ["parties", kind] => drop(parties.insert(kind.to_owned(), value)),
            ["lines", line, field] => {
                // Lines named by numbers stand in the order of the numbers.
                let order = (line.parse().unwrap_or(u64::MAX), line.to_owned());
                lines.entry(order).or_default().insert(field.to_owned(), value);
            }
            _ => drop(plan.insert(key.clone(), value)),
        }
    }
    if !parties.is_empty() {
        plan.insert("parties".to_owned(), serde_json::json!(parties));
    }
    if !lines.is_empty() {
        plan.insert("lines".to_owned(), serde_json::json!(lines.into_values().collect::<Vec<_>>()));
    }
    plan
}

/// When the shipment should arrive, read back from the plan's register.
pub fn planned_window(registers: &BTreeMap<String, Register>) -> Option<Window> {
    let Scalar::Text(text) = &registers.get("window")?.first()?.0 else { return None };
    let (from, to) = text.split_once('/')?;
    Some(Window(time::parse(from)?, time::parse(to)?))
}

/// Who wrote an event, for people: the person's name where one is given, else the device's.
pub fn who(event: &Event, roster: &Roster) -> String {
    let device = device_name(&event.edit, roster);
    match &event.edit.statement.by {
        Some(by) => format!("{by} ({device})"),
        None => device,
    }
}

/// The name of the device that made an edit.
fn device_name(edit: &Edit, roster: &Roster) -> String {
    let author = &edit.statement.author;
    roster.member(author).map_or_else(|| author.short(), |member| member.name.clone())
}
