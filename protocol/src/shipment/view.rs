//! The rendered view of a shipment: what every screen, sheet and script shows, and the same bytes on every node.

use super::effect::Effects;
use super::explain;
use super::history::{Event, History};
use super::replay::{self, Register, Replayed, Scalar};
use super::status::{ExceptionKind, Fact, Status};
use super::time;
use crate::edit::Edit;
use crate::edit::action::{Action, Window};
use crate::id::{DeviceKey, Digest, DocumentId, EditId, FileHash, WorkflowId};
use crate::planted::{self, Bug};
use crate::roster::{Role, Roster};
use crate::workflow::{CREATED, Label, Outcome, Workflow};
use automerge::AutomergeError;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One value of a field that several people changed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The value.
    pub value: Scalar,
    /// The edit that set it.
    pub edit: EditId,
    /// Who set it.
    pub author: String,
    /// Their role.
    pub role: Option<Role>,
}

/// A field that several people changed at once, each without knowing of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The field.
    pub field: String,
    /// Its values in creel's order: the first is shown where there is room for one.
    pub values: Vec<Candidate>,
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
    /// The device's role.
    pub role: Option<Role>,
    /// The person at the device.
    pub by: Option<String>,
    /// The device's claimed time, RFC 3339.
    pub at: String,
    /// Whether the claimed time is before that of something its author knew: that clock, or the other, is wrong.
    pub clock_behind: bool,
    /// Its direct predecessors.
    pub after: Vec<EditId>,
    /// Whether it counts.
    pub counted: bool,
    /// If not, why.
    pub why_not: Option<String>,
    /// The step of a record.
    pub step: Option<String>,
    /// The step's name for people.
    pub label: Option<Label>,
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
    /// In words.
    pub text: String,
    /// 用中文说。
    pub text_zh: String,
}

/// What everybody who has the same edits sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// The document.
    pub id: DocumentId,
    /// The firm's own number.
    pub number: String,
    /// The status: a step's key.
    pub status: String,
    /// The status for people.
    pub status_label: Label,
    /// The status' colour.
    pub colour: String,
    /// The workflow's name.
    pub workflow: String,
    /// The plan.
    pub plan: BTreeMap<String, Value>,
    /// Fields of the plan with several values.
    pub conflicts: Vec<Conflict>,
    /// Every edit in canonical order.
    pub timeline: Vec<TimelineEntry>,
    /// What a person has to look at.
    pub exceptions: Vec<Exception>,
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
    /// Every party the plan names or ever named: who has had to do with the shipment.
    pub parties: BTreeSet<String>,
    /// The parties that the plan names now, by any of the values of a field that has several.
    pub named: BTreeSet<String>,
    /// How the shipment has ended, if its status ends it.
    pub outcome: Option<Outcome>,
    /// How far along it is: the rank of its status.
    pub rank: u32,
    /// The workflow it was opened with.
    pub workflow: Option<WorkflowId>,
    /// When it was signed for, as the first record of that which stands claims; RFC 3339.
    pub signed: Option<String>,
    /// The photos that its records name, with the devices that made them.
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
        let arrival: Vec<EditId> = edits.iter().map(|edit| edit.id).collect();
        let history = History::new(edits);
        let effects = Effects::of(&history, roster);
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
        let role_of = |edit: &EditId| {
            let event = &history.events()[history.place(edit)?];
            roster.member(&event.edit.statement.author).map(|member| member.role)
        };
        for values in registers.values_mut() {
            // Automerge has dropped what was overwritten with knowledge; what is left is concurrent. An author could
            // grind Automerge's winner, so ours is by role, and then by edit id.
            values.sort_by_key(|(_, edit)| (role_of(edit).map_or(usize::MAX, |role| role as usize), *edit));
        }
        let view = view(document, history, effects, roster, &registers, arrival);
        let step = effects.workflow.as_ref().and_then(|workflow| workflow.step(&view.status));
        let opening = effects.open.map(|place| &history.events()[place].action);
        let workflow = opening.and_then(|action| action.as_ref().ok()).and_then(|action| match action {
            Action::Open(open) => Some(open.workflow),
            _ => None,
        });
        Ok(Self {
            workflow,
            signed: signed(&view, effects),
            edits_hash: edits_hash(history.events().iter().map(|event| event.edit.id), roster),
            view_hash: view_hash(&view),
            parties: parties(history, effects),
            named: named(&registers),
            outcome: step.and_then(|step| step.outcome),
            rank: step.map_or(0, |step| step.rank),
            photos: photos(history, effects),
            view,
            registers,
        })
    }
}

/// When the first record of an outcome `signed` that stands was made, by its device's clock.
fn signed(view: &View, effects: &Effects) -> Option<String> {
    let workflow = effects.workflow.as_ref()?;
    let is_signed = |entry: &&TimelineEntry| {
        let step = entry.step.as_ref().and_then(|step| workflow.step(step));
        entry.counted
            && !matches!(entry.standing, None | Some(Standing::Retracted | Standing::Rejected))
            && step.and_then(|step| step.outcome) == Some(Outcome::Signed)
    };
    view.timeline.iter().find(is_signed).map(|entry| entry.at.clone())
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

/// Keys sorted, whatever order the JSON library was built to keep.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(pairs) => {
            let sorted: BTreeMap<_, _> = pairs.iter().collect();
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

fn parties(history: &History, effects: &Effects) -> BTreeSet<String> {
    let counting = history.events().iter().enumerate().filter(|(place, _)| effects.counts(*place));
    let plans = counting.filter_map(|(_, event)| match &event.action {
        Ok(Action::Open(open)) => Some(&open.plan),
        Ok(Action::Plan(plan)) => Some(&plan.fields),
        _ => None,
    });
    plans
        .flat_map(|plan| plan.driver.iter().chain(plan.parties.values()))
        .filter(|party| !party.is_empty())
        .cloned()
        .collect()
}

fn named(registers: &BTreeMap<String, Register>) -> BTreeSet<String> {
    registers
        .iter()
        .filter(|(key, _)| *key == "driver" || key.starts_with("parties/"))
        .flat_map(|(_, values)| values)
        .filter_map(|(value, _)| match value {
            Scalar::Text(party) if !party.is_empty() => Some(party.clone()),
            _ => None,
        })
        .collect()
}

fn photos(history: &History, effects: &Effects) -> BTreeMap<FileHash, BTreeSet<DeviceKey>> {
    let counting = history.events().iter().enumerate().filter(|(place, _)| effects.counts(*place));
    let named = counting.filter_map(|(_, event)| match &event.action {
        Ok(Action::Record(record)) => Some((event.edit.statement.author, &record.photos)),
        _ => None,
    });
    let mut all: BTreeMap<FileHash, BTreeSet<DeviceKey>> = BTreeMap::new();
    for (author, photos) in named {
        for photo in photos {
            all.entry(*photo).or_default().insert(author);
        }
    }
    all
}

/// The workflow of a shipment whose `Open` is void: it has no step but the first.
fn nowhere() -> Label {
    Label { zh: "无效".to_owned(), en: "Not valid".to_owned() }
}

fn view(
    document: DocumentId,
    history: &History,
    effects: &Effects,
    roster: &Roster,
    registers: &BTreeMap<String, Register>,
    arrival: &[EditId],
) -> View {
    let plan = plan(registers);
    let number = plan.get("number").and_then(Value::as_str).unwrap_or_default().to_owned();
    let conflicts = conflicts(history, roster, registers);
    let entries = |status: Option<&Status<'_>>| {
        let mut timeline: Vec<_> =
            (0..history.events().len()).map(|place| entry(place, history, effects, roster, status)).collect();
        if planted::is(Bug::ViewByArrival) {
            timeline.sort_by_key(|entry| arrival.iter().position(|id| *id == entry.edit));
        }
        timeline
    };
    let Some(workflow) = &effects.workflow else {
        return View {
            id: document,
            number,
            status: CREATED.to_owned(),
            status_label: nowhere(),
            colour: "#6e7781".to_owned(),
            workflow: String::new(),
            plan,
            conflicts,
            timeline: entries(None),
            exceptions: Vec::new(),
        };
    };
    let status = Status::of(history, effects, workflow);
    let key = status.decided_by.map_or(CREATED, |fact| status.facts[fact].step.key.as_str());
    let (status_label, colour) =
        workflow.step(key).map_or_else(|| (nowhere(), String::new()), |step| (step.label.clone(), step.colour.clone()));
    let exceptions = status
        .exceptions
        .iter()
        .map(|(kind, places)| explain::exception(*kind, places, history, roster, workflow))
        .collect();
    View {
        id: document,
        number,
        status: key.to_owned(),
        status_label,
        colour,
        workflow: workflow.name.clone(),
        plan,
        conflicts,
        timeline: entries(Some(&status)),
        exceptions,
    }
}

fn entry(
    place: usize,
    history: &History,
    effects: &Effects,
    roster: &Roster,
    status: Option<&Status<'_>>,
) -> TimelineEntry {
    let event = &history.events()[place];
    let statement = &event.edit.statement;
    let member = roster.member(&statement.author);
    let fact = status.and_then(|status| {
        let index = status.facts.iter().position(|fact| fact.place == place)?;
        Some((status, index))
    });
    let action = event.action.as_ref().ok();
    let step = match action {
        Some(Action::Record(record)) => Some(record.step.clone()),
        _ => None,
    };
    TimelineEntry {
        edit: event.edit.id,
        action: action.map_or("unknown", Action::name),
        author: member.map_or_else(|| statement.author.short(), |member| member.name.clone()),
        role: member.map(|member| member.role),
        by: statement.by.clone(),
        at: time::rfc3339_at(statement.at),
        clock_behind: event.after.iter().any(|before| history.events()[*before].edit.statement.at > statement.at),
        after: statement.after.clone(),
        counted: effects.counts(place),
        why_not: effects.verdicts[place].as_ref().err().map(ToString::to_string),
        step,
        label: fact.map(|(status, index)| status.facts[index].step.label.clone()),
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
    } else if status.superseded(index) {
        Standing::Superseded
    } else if status.facts.iter().any(knew_higher) && fact.supersedes == super::history::Places::default() {
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
    let known = || status.facts.iter().filter(|other| other.live() && history.knew(fact.place, other.place));
    let from = known().map(|other| other.step.rank).max().unwrap_or(0);
    workflow
        .steps
        .iter()
        .filter(|step| step.rank > from && step.rank < fact.step.rank)
        .filter(|step| step.outcome.is_none() && step.ways.is_empty() && step.key != CREATED)
        .map(|step| step.key.clone())
        .collect()
}

fn conflicts(history: &History, roster: &Roster, registers: &BTreeMap<String, Register>) -> Vec<Conflict> {
    let candidate = |(value, edit): &(Scalar, EditId)| {
        let author = history.place(edit).map(|place| &history.events()[place].edit.statement.author);
        let member = author.and_then(|author| roster.member(author));
        Candidate {
            value: value.clone(),
            edit: *edit,
            author: member.map_or_else(String::new, |member| member.name.clone()),
            role: member.map(|member| member.role),
        }
    };
    registers
        .iter()
        // Two people who set the same value agree.
        .filter(|(_, values)| values.iter().any(|(value, _)| *value != values[0].0))
        .map(|(field, values)| Conflict { field: field.clone(), values: values.iter().map(candidate).collect() })
        .collect()
}

fn plan(registers: &BTreeMap<String, Register>) -> BTreeMap<String, Value> {
    let mut plan = BTreeMap::new();
    let mut parties = BTreeMap::new();
    let mut lines: BTreeMap<(u64, String), BTreeMap<String, Value>> = BTreeMap::new();
    for (key, values) in registers {
        let Some((scalar, _)) = values.first() else { continue };
        let value = match scalar {
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
    let ms = |text: &str| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    Some(Window(ms(from)?, ms(to)?))
}

/// Who wrote an event, for people: the person's name where one is given, else the device's.
pub fn who(event: &Event, roster: &Roster) -> String {
    let statement = &event.edit.statement;
    let device =
        roster.member(&statement.author).map_or_else(|| statement.author.short(), |member| member.name.clone());
    match &statement.by {
        Some(by) => format!("{by} ({device})"),
        None => device,
    }
}
