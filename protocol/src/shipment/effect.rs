//! Which edits count. An admitted edit that is not allowed is void: kept, relayed, shown with the reason, without effect.
//!
//! Whether an edit counts depends on itself, on what it knew and on the roster up to the entry it names; only the lowest of
//! several `Open`s, a tap used twice and the limit per author look at the whole set, in canonical order.

use super::history::{Event, History};
use crate::edit::EDITS_PER_AUTHOR_MAX;
use crate::edit::action::{Action, ActionError, Line, LineCount, PlanFields, Record};
use crate::id::{DeviceKey, Tap};
use crate::roster::{Member, Role, Roster, is_party_name};
use crate::workflow::{CREATED, Evidence, Workflow};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Characters of a shipment's number.
pub const NUMBER_CHARS_MAX: usize = 64;
/// Characters of a name, a reason and the like.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a message or a note.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Photos of one record.
pub const PHOTOS_MAX: usize = 20;
/// Bytes of a drawn signature: what leaves room for the rest of an edit.
pub const SIGNATURE_BYTES_MAX: usize = 12 * 1024;

/// Why an edit does not count; told to the person whose edit it is before the ✓, and shown wherever it arrives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// Not understood.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// An `Open` whose document's id is not its own, or that stands after something.
    #[error("it opens a shipment under an id that is not its own")]
    NotItsId,
    /// Another `Open` of the same document counts.
    #[error("the shipment was opened already")]
    OpenedAlready,
    /// Stands on no `Open` that counts.
    #[error("it does not know the shipment it speaks of")]
    NoOpen,
    /// The same tap as another edit of the same device.
    #[error("it repeats a tap that was recorded already")]
    SameTap,
    /// Over the limit per author.
    #[error("its device has made more than 2,000 edits to this shipment")]
    TooMany,
    /// Not this role's to do.
    #[error("a {role} may not {what}")]
    Role {
        /// The author's role.
        role: Role,
        /// What it tried.
        what: String,
    },
    /// Not a kind of document of this version.
    #[error("it opens a kind of document that this device does not know")]
    Kind,
    /// The workflow is not published.
    #[error("its workflow was not published when it was made")]
    NoWorkflow,
    /// Not a step of the shipment's workflow.
    #[error("“{step}” is not a step of the workflow “{workflow}”; its steps are: {steps}")]
    NoStep {
        /// What was recorded.
        step: String,
        /// The workflow's name.
        workflow: String,
        /// The steps there are.
        steps: String,
    },
    /// Evidence is missing.
    #[error("“{step}” needs {evidence}")]
    Evidence {
        /// The step.
        step: String,
        /// What it needs, and how to give it.
        evidence: &'static str,
    },
    /// A field is empty, too long or not of its form.
    #[error("{0}")]
    Field(String),
    /// Names an edit that its author did not know or that is not of the right kind.
    #[error("it names an edit that is not {0} known to its author")]
    Target(&'static str),
    /// Takes back what another wrote.
    #[error("only the device that wrote something can take it back")]
    NotOwn,
}

/// What counts of a history.
#[derive(Debug, Clone)]
pub struct Effects {
    /// For each event, whether it counts and if not, why.
    pub verdicts: Vec<Result<(), Void>>,
    /// The `Open` that counts.
    pub open: Option<usize>,
    /// The workflow the shipment follows.
    pub workflow: Option<Arc<Workflow>>,
}

impl Effects {
    /// Judges every event.
    pub fn of(history: &History, roster: &Roster) -> Self {
        let events = history.events();
        let mut verdicts = vec![Ok(()); events.len()];
        let open = (0..events.len()).filter(|place| check_open(&events[*place], roster).is_ok()).min_by_key(|place| {
            // Events of depth 0 stand in the order of their ids, so the lowest place is the lowest id.
            *place
        });
        let workflow = open.and_then(|place| match &events[place].action {
            Ok(Action::Open(open)) => roster.workflow_at(&open.workflow, height(&events[place], roster)?).cloned(),
            _ => None,
        });
        let mut taps: HashSet<(DeviceKey, Tap)> = HashSet::new();
        let mut counts: HashMap<DeviceKey, usize> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            let author = event.edit.statement.author;
            let verdict = if !taps.insert((author, event.edit.statement.tap)) {
                Err(Void::SameTap)
            } else if open == Some(place) {
                Ok(())
            } else {
                match (open, &workflow) {
                    (_, _) if matches!(event.action, Ok(Action::Open(_))) => {
                        check_open(event, roster).and(Err(Void::OpenedAlready))
                    }
                    (Some(open), Some(workflow)) if event.past.contains(open) => {
                        Judge { history, roster, workflow, verdicts: &verdicts }.check(event)
                    }
                    _ => Err(event.action.as_ref().err().map_or(Void::NoOpen, |error| Void::Action(*error))),
                }
            };
            let count = counts.entry(author).or_default();
            *count += usize::from(verdict.is_ok());
            verdicts[place] = if *count > EDITS_PER_AUTHOR_MAX { Err(Void::TooMany) } else { verdict };
        }
        Self { verdicts, open, workflow }
    }

    /// Whether the event at `place` counts.
    pub fn counts(&self, place: usize) -> bool {
        self.verdicts[place].is_ok()
    }
}

fn height(event: &Event, roster: &Roster) -> Option<u64> {
    roster.height_of(&event.edit.statement.roster)
}

fn author<'a>(event: &Event, roster: &'a Roster) -> Result<(&'a Member, u64), Void> {
    // Admission lets no edit in whose author is not enrolled at the entry it names; a damaged store might.
    let height = height(event, roster).ok_or(Void::NoOpen)?;
    let member = roster.member_at(&event.edit.statement.author, height).ok_or(Void::NoOpen)?;
    Ok((member, height))
}

fn may(member: &Member, roles: &[Role], what: &str) -> Result<(), Void> {
    if roles.contains(&member.role) { Ok(()) } else { Err(Void::Role { role: member.role, what: what.to_owned() }) }
}

fn check_open(event: &Event, roster: &Roster) -> Result<(), Void> {
    let Action::Open(open) = event.action.as_ref().map_err(|error| *error)? else { return Err(Void::NoOpen) };
    let statement = &event.edit.statement;
    if !statement.after.is_empty() || statement.document_opened() != event.edit.document {
        return Err(Void::NotItsId);
    }
    let (member, height) = author(event, roster)?;
    may(member, &[Role::Admin, Role::Dispatcher], "open a shipment")?;
    if open.kind != "shipment" {
        return Err(Void::Kind);
    }
    if roster.workflow_at(&open.workflow, height).is_none() {
        return Err(Void::NoWorkflow);
    }
    if open.plan.number.as_ref().is_none_or(String::is_empty) {
        return Err(Void::Field("a shipment needs a number".to_owned()));
    }
    check_plan(&open.plan)
}

/// Judges the events that stand on the `Open`.
struct Judge<'a> {
    history: &'a History,
    roster: &'a Roster,
    workflow: &'a Workflow,
    verdicts: &'a [Result<(), Void>],
}

impl Judge<'_> {
    fn check(&self, event: &Event) -> Result<(), Void> {
        let action = event.action.as_ref().map_err(|error| *error)?;
        let (member, _) = author(event, self.roster)?;
        let everybody_but_viewers = [Role::Admin, Role::Dispatcher, Role::Picker, Role::Driver, Role::Shop];
        match action {
            Action::Open(_) => Err(Void::OpenedAlready),
            Action::Plan(plan) => {
                may(member, &[Role::Admin, Role::Dispatcher], "change the plan")?;
                if plan.fields == PlanFields::default() {
                    return Err(Void::Field("a change of plan must set at least one field".to_owned()));
                }
                if plan.fields.number.as_ref().is_some_and(String::is_empty) {
                    return Err(Void::Field("a shipment needs a number".to_owned()));
                }
                check_plan(&plan.fields)
            }
            Action::Record(record) => self.check_record(event, record, member),
            Action::Measure(measure) => {
                may(member, &everybody_but_viewers, "record measurements")?;
                text("the measured quantity", &measure.quantity, NAME_CHARS_MAX)?;
                text("the unit", &measure.unit, NAME_CHARS_MAX)?;
                optional("the sensor", measure.sensor.as_ref(), NAME_CHARS_MAX)
            }
            Action::Say(say) => {
                may(member, &everybody_but_viewers, "write messages")?;
                text("the message", &say.text, TEXT_CHARS_MAX)
            }
            Action::Resolve(resolve) => {
                may(member, &[Role::Admin, Role::Dispatcher], "settle contradictions")?;
                optional("the note", resolve.note.as_ref(), TEXT_CHARS_MAX)?;
                let facts: BTreeSet<_> = resolve.settle.iter().chain(&resolve.uphold).collect();
                if resolve.settle.is_empty() || facts.len() < resolve.settle.len() {
                    return Err(Void::Field("name each record to settle once (--settle EDIT)".to_owned()));
                }
                let known = |id| self.known(event, id, |action| matches!(action, Action::Record(_)));
                if facts.into_iter().all(known) { Ok(()) } else { Err(Void::Target("a record")) }
            }
            Action::Retract(retract) => {
                optional("the note", retract.note.as_ref(), TEXT_CHARS_MAX)?;
                let kind = |action: &Action| matches!(action, Action::Record(_) | Action::Measure(_) | Action::Say(_));
                if !self.known(event, &retract.edit, kind) {
                    return Err(Void::Target("a record, a measurement or a message"));
                }
                let place = self.history.place(&retract.edit).ok_or(Void::NotOwn)?;
                let own = self.history.events()[place].edit.statement.author == event.edit.statement.author;
                if own { Ok(()) } else { Err(Void::NotOwn) }
            }
        }
    }

    /// Whether `id` is an edit that counts, of the right kind, that the event's author knew.
    fn known(&self, event: &Event, id: &crate::id::EditId, kind: impl Fn(&Action) -> bool) -> bool {
        self.history.place(id).is_some_and(|place| {
            event.past.contains(place)
                && self.verdicts[place].is_ok()
                && self.history.events()[place].action.as_ref().is_ok_and(kind)
        })
    }

    fn check_record(&self, event: &Event, record: &Record, member: &Member) -> Result<(), Void> {
        let Some(step) = self.workflow.step(&record.step).filter(|step| step.key != CREATED) else {
            let steps = self.workflow.steps.iter().map(|step| step.key.as_str()).filter(|key| *key != CREATED);
            return Err(Void::NoStep {
                step: record.step.chars().take(NAME_CHARS_MAX).collect(),
                workflow: self.workflow.name.clone(),
                steps: steps.collect::<Vec<_>>().join(", "),
            });
        };
        if !step.by.contains(&member.role) {
            return Err(Void::Role { role: member.role, what: format!("record “{}”", step.key) });
        }
        for (name, value) in [
            ("the reason", &record.reason),
            ("the receiver", &record.receiver),
            ("the relation", &record.relation),
            ("the scanned code", &record.scan),
            ("the PIN", &record.pin),
        ] {
            optional(name, value.as_ref(), NAME_CHARS_MAX)?;
        }
        optional("the note", record.note.as_ref(), TEXT_CHARS_MAX)?;
        if record.signed_as.as_ref().is_some_and(|signed_as| signed_as != "recipient" && signed_as != "proxy") {
            return Err(Void::Field("who signed is either recipient or proxy (--as recipient|proxy)".to_owned()));
        }
        if record.photos.len() > PHOTOS_MAX {
            return Err(Void::Field(format!("at most {PHOTOS_MAX} photos go with one record")));
        }
        if record.signature.as_ref().is_some_and(|signature| signature.0.len() > SIGNATURE_BYTES_MAX) {
            return Err(Void::Field(format!("a signature may have at most {SIGNATURE_BYTES_MAX} bytes: simplify it")));
        }
        check_counts(&record.lines)?;
        for evidence in &step.needs {
            let there = match evidence {
                Evidence::Receiver => record.receiver.is_some(),
                Evidence::Signature => record.signature.is_some(),
                Evidence::Photos => !record.photos.is_empty(),
                Evidence::Reason => record.reason.is_some(),
                Evidence::Place => record.place.is_some(),
                Evidence::Scan => record.scan.is_some(),
                Evidence::Pin => record.pin.is_some(),
                Evidence::Lines => !record.lines.is_empty(),
                Evidence::Collected => record.collected.is_some(),
                Evidence::Measure => self.history.events().iter().enumerate().any(|(place, before)| {
                    event.past.contains(place)
                        && self.verdicts[place].is_ok()
                        && matches!(before.action, Ok(Action::Measure(_)))
                }),
            };
            if !there {
                return Err(Void::Evidence { step: step.key.clone(), evidence: evidence.how() });
            }
        }
        Ok(())
    }
}

fn check_counts(lines: &[LineCount]) -> Result<(), Void> {
    let mut seen = BTreeSet::new();
    for count in lines {
        text("a line's name", &count.line, NUMBER_CHARS_MAX)?;
        if !seen.insert(&count.line) {
            return Err(Void::Field(format!("line {} is counted twice in one record", count.line)));
        }
        if [count.received, count.short, count.damaged, count.returned].iter().flatten().any(|quantity| *quantity < 0) {
            return Err(Void::Field(format!("line {}: a quantity is below zero", count.line)));
        }
    }
    Ok(())
}

fn check_plan(plan: &PlanFields) -> Result<(), Void> {
    for (name, value, max) in [
        ("the number", &plan.number, NUMBER_CHARS_MAX),
        ("the consignee", &plan.consignee, NAME_CHARS_MAX),
        ("the address", &plan.address, TEXT_CHARS_MAX),
        ("the run", &plan.run, NAME_CHARS_MAX),
        ("the handling", &plan.handling, TEXT_CHARS_MAX),
        ("the note", &plan.note, TEXT_CHARS_MAX),
    ] {
        if let Some(value) = value {
            within(name, value, max)?;
        }
    }
    if plan.number.as_ref().is_some_and(|number| number.trim() != number) {
        return Err(Void::Field("a shipment's number must not begin or end with a space".to_owned()));
    }
    let kinds = plan.parties.iter().map(|(kind, party)| (Some(kind.as_str()), party));
    for (kind, party) in kinds.chain(plan.driver.iter().map(|driver| (None, driver))) {
        let fits = kind.is_none_or(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()));
        if !fits || !party.is_empty() && !is_party_name(party) {
            return Err(Void::Field(format!(
                "“{party}” is not a party: write kind:name in lower case, such as driver:li-wei or shop:west-lake"
            )));
        }
    }
    plan.lines.iter().try_for_each(check_line)
}

fn check_line(line: &Line) -> Result<(), Void> {
    text("a line's name", &line.line, NUMBER_CHARS_MAX)?;
    // The name becomes part of a register's key, whose parts the slash divides.
    if line.line.contains('/') {
        return Err(Void::Field(format!("line {}: a line's name must not contain “/”", line.line)));
    }
    for (name, value) in [
        ("an article's number", &line.sku),
        ("an article's name", &line.name),
        ("a unit", &line.unit),
        ("a lot", &line.lot),
        ("an expiry date", &line.expiry),
    ] {
        if let Some(value) = value {
            within(name, value, NAME_CHARS_MAX)?;
        }
    }
    if line.quantity.is_some_and(|quantity| quantity < 0) {
        return Err(Void::Field(format!("line {}: the quantity is below zero", line.line)));
    }
    Ok(())
}

fn optional(name: &str, value: Option<&String>, max: usize) -> Result<(), Void> {
    value.map_or(Ok(()), |value| text(name, value, max))
}

fn text(name: &str, value: &str, max: usize) -> Result<(), Void> {
    if value.trim().is_empty() { Err(Void::Field(format!("{name} is empty"))) } else { within(name, value, max) }
}

fn within(name: &str, value: &str, max: usize) -> Result<(), Void> {
    // Control characters could dress up a terminal or a sheet; line breaks and tabs are the only ones people type.
    if value.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\t') {
        return Err(Void::Field(format!("{name} contains a control character")));
    }
    if value.chars().count() > max {
        Err(Void::Field(format!("{name} is longer than {max} characters")))
    } else {
        Ok(())
    }
}
