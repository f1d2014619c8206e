//! Which edits count. An admitted edit that is not allowed is void: kept, relayed, shown with the reason, without effect.
//!
//! Whether an edit counts follows from itself, from what it knows and from the roster up to the entry it names. Nothing that
//! comes later changes it. docs/status.md says these rules for people and for other implementations.

use super::check;
use super::history::{Event, History, Places};
use crate::cbor::{CborError, Encode as _};
use crate::edit::action::{Action, ActionError, Open, Record};
use crate::edit::{EDITS_PER_AUTHOR_MAX, EDITS_PER_PERSON_MAX, RawAction};
use crate::id::{DeviceKey, Digest, EditId, Tap};
use crate::kind::{self, KINDS, Kind};
use crate::planted::{self, Bug};
use crate::roster::{Member, Role, Roster};
use crate::workflow::{CREATED, Evidence, Step, Workflow};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Why an edit does not count; told to the person whose edit it is before the ✓, and shown wherever it arrives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// A kind or version of a newer creel.
    #[error("made by a newer creel: update this device to see it")]
    Unknown,
    /// The body is not what its kind and version ask for.
    #[error("its content is malformed: {0}")]
    Malformed(CborError),
    /// An `Open` whose document's id is not its own, or that stands after something.
    #[error("it opens a shipment under an id that is not its own")]
    NotItsId,
    /// Knows no `Open` that counts.
    #[error("it does not know the shipment it speaks of")]
    NoOpen,
    /// Not a kind of document of this version.
    #[error("it opens a kind of document that this device does not know")]
    Kind,
    /// The workflow is not published.
    #[error("its workflow was not published when it was made")]
    NoWorkflow,
    /// Not this role's to do.
    #[error("a {role} may not {what}")]
    Role {
        /// The author's role.
        role: Role,
        /// What it tried.
        what: String,
    },
    /// A field is empty, too long or not of its form.
    #[error("{0}")]
    Field(String),
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
    /// Names an edit that its author did not know or that is not of the right kind.
    #[error("it names an edit that is not {0} known to its author")]
    Target(&'static str),
    /// Takes back what another wrote.
    #[error("only the device that wrote something can take it back")]
    NotOwn,
    /// Evidence is missing.
    #[error("“{step}” needs {evidence}")]
    Evidence {
        /// The step.
        step: String,
        /// What it needs, and how to give it.
        evidence: &'static str,
    },
    /// Repeats what the same device did by the same tap, and knows it.
    #[error("it repeats a tap that was recorded already")]
    Repeat,
    /// Over the limit per author.
    #[error(
        "its device has made more edits to this shipment than count: 2,000 in all, 500 of one person where others share it"
    )]
    Limit,
}

impl Void {
    /// The reason in one word, as the view has it: the same on every node, in whatever words it is told.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_action",
            Self::Malformed(_) => "malformed",
            Self::NotItsId => "not_its_id",
            Self::NoOpen => "no_open",
            Self::Kind => "unknown_kind",
            Self::NoWorkflow => "unknown_workflow",
            Self::Role { .. } => "role",
            Self::Field(_) => "field",
            Self::NoStep { .. } => "no_step",
            Self::Target(_) => "target",
            Self::NotOwn => "not_own",
            Self::Evidence { .. } => "evidence",
            Self::Repeat => "repeat",
            Self::Limit => "limit",
        }
    }
}

impl From<ActionError> for Void {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Unknown => Self::Unknown,
            ActionError::Malformed(why) => Self::Malformed(why),
        }
    }
}

/// What counts of a history.
#[derive(Debug, Clone)]
pub struct Effects {
    /// For each event, whether it counts and if not, why.
    pub verdicts: Vec<Result<(), Void>>,
    /// The `Open` that counts.
    pub open: Option<usize>,
    /// The document's kind.
    pub kind: Option<Kind>,
    /// The workflow it follows, if its kind has steps.
    pub workflow: Option<Arc<Workflow>>,
}

impl Effects {
    /// Judges every event.
    pub fn of(history: &History, roster: &Roster) -> Self {
        Self::among(history, roster, KINDS)
    }

    /// Judges every event of a document whose kind is one of a table.
    pub fn among(history: &History, roster: &Roster, kinds: &[Kind]) -> Self {
        let events = history.events();
        let mut effects = Self { verdicts: Vec::with_capacity(events.len()), open: None, kind: None, workflow: None };
        let mut opens = Places::default();
        let mut done = Done::default();
        for (place, event) in events.iter().enumerate() {
            let verdict = match &event.action {
                Err(error) => Err(Void::from(*error)),
                Ok(Action::Open(open)) => check_open(event, open, roster, kinds).map(|(kind, workflow)| {
                    opens.insert(place);
                    if effects.open.is_none() {
                        (effects.open, effects.kind, effects.workflow) = (Some(place), Some(kind), workflow);
                    }
                }),
                Ok(_) if !event.past.meets(&opens) => Err(Void::NoOpen),
                Ok(action) => match &effects.kind {
                    Some(kind) => Judge { history, roster, kind, effects: &effects }.check(event, action),
                    None => Err(Void::NoOpen),
                },
            };
            let verdict = verdict.and_then(|()| done.check(event));
            if verdict.is_ok() {
                done.add(place, event);
            }
            effects.verdicts.push(verdict);
        }
        effects
    }

    /// Whether the event at `place` counts.
    pub fn counts(&self, place: usize) -> bool {
        self.verdicts[place].is_ok()
    }

    /// The events that count and what they state, in canonical order.
    pub fn counting<'a>(&self, history: &'a History) -> impl Iterator<Item = (usize, &'a Action)> {
        let counting = history.events().iter().enumerate().filter(|(place, _)| self.counts(*place));
        counting.filter_map(|(place, event)| Some((place, event.action.as_ref().ok()?)))
    }

    /// The measured values that a record could stand on when it was made: those that count, that it knows, and that nobody
    /// it knows had taken back.
    pub fn measured(&self, history: &History, record: &Event) -> Vec<usize> {
        let known = || {
            let counting = self
                .verdicts
                .iter()
                .enumerate()
                .filter(|(place, verdict)| verdict.is_ok() && record.past.contains(*place));
            counting.filter_map(|(place, _)| Some((place, history.events()[place].action.as_ref().ok()?)))
        };
        let retracted: HashSet<EditId> = known()
            .filter_map(|(_, action)| match action {
                Action::Retract(retract) => Some(retract.edit),
                _ => None,
            })
            .collect();
        let measures = known().filter(|(_, action)| matches!(action, Action::Measure(_))).map(|(place, _)| place);
        measures.filter(|place| !retracted.contains(&history.events()[*place].edit.id)).collect()
    }
}

/// What authors have done: what a repeat and the limits are found by. Of the kinds of this version alone: a later version
/// counts the edits of its own kinds apart, so that none of these becomes void when a node learns those.
#[derive(Default)]
struct Done {
    taps: HashMap<(DeviceKey, Tap, Digest), Vec<usize>>,
    authors: HashMap<DeviceKey, AuthorsEdits>,
}

/// One author's edits that count.
#[derive(Default)]
struct AuthorsEdits {
    count: usize,
    all: Places,
    by_person: HashMap<Option<String>, Places>,
}

impl Done {
    fn check(&self, event: &Event) -> Result<(), Void> {
        let statement = &event.edit.statement;
        let earlier = self.taps.get(&Self::tap(event)).into_iter().flatten();
        // A bug for the simulator: any earlier edit of the tap voids this one, known or not.
        if earlier.into_iter().any(|place| event.past.contains(*place) || planted::is(Bug::RepeatUnknown)) {
            return Err(Void::Repeat);
        }
        let Some(author) = self.authors.get(&statement.author) else { return Ok(()) };
        if planted::is(Bug::LimitByOrder) && author.count >= EDITS_PER_AUTHOR_MAX {
            return Err(Void::Limit);
        }
        if author.count < EDITS_PER_PERSON_MAX {
            return Ok(());
        }
        let known = event.past.common(&author.all);
        let own = author.by_person.get(&statement.by).map_or(0, |own| event.past.common(own));
        if known >= EDITS_PER_AUTHOR_MAX || own >= EDITS_PER_PERSON_MAX && known > own {
            return Err(Void::Limit);
        }
        Ok(())
    }

    fn add(&mut self, place: usize, event: &Event) {
        let statement = &event.edit.statement;
        self.taps.entry(Self::tap(event)).or_default().push(place);
        let author = self.authors.entry(statement.author).or_default();
        author.count += 1;
        author.all.insert(place);
        author.by_person.entry(statement.by.clone()).or_default().insert(place);
    }

    fn tap(event: &Event) -> (DeviceKey, Tap, Digest) {
        let statement = &event.edit.statement;
        // A bug for the simulator: a tap stands for one edit, whatever was done by it.
        let action = if planted::is(Bug::TapVoidsAll) { Vec::new() } else { statement.action.to_cbor() };
        (statement.author, statement.tap, Digest(*blake3::hash(&action).as_bytes()))
    }
}

fn author<'a>(event: &Event, roster: &'a Roster) -> Result<(&'a Member, u64), Void> {
    // Admission lets no edit in whose author is not enrolled at the entry it names; a damaged store might.
    let height = roster.height_of(&event.edit.statement.roster).ok_or(Void::NoOpen)?;
    let member = roster.member_at(&event.edit.statement.author, height).ok_or(Void::NoOpen)?;
    Ok((member, height))
}

fn may(member: &Member, roles: &[Role], what: &str) -> Result<(), Void> {
    if roles.contains(&member.role) { Ok(()) } else { Err(Void::Role { role: member.role, what: what.to_owned() }) }
}

fn check_open(
    event: &Event,
    open: &Open,
    roster: &Roster,
    kinds: &[Kind],
) -> Result<(Kind, Option<Arc<Workflow>>), Void> {
    let statement = &event.edit.statement;
    if !statement.after.is_empty() || statement.document_opened() != event.edit.document {
        return Err(Void::NotItsId);
    }
    let kind = kind::named(kinds, &open.kind).ok_or(Void::Kind)?;
    let (member, height) = author(event, roster)?;
    may(member, kind.opened_by, "open a shipment")?;
    let workflow = match open.workflow {
        Some(id) if kind.steps => Some(roster.workflow_at(&id, height).cloned().ok_or(Void::NoWorkflow)?),
        None if !kind.steps => None,
        _ => return Err(Void::NoWorkflow),
    };
    check::by(statement.by.as_ref())?;
    check::opening(kind, &open.plan)?;
    Ok((*kind, workflow))
}

/// Judges the events that know an `Open`.
struct Judge<'a> {
    history: &'a History,
    roster: &'a Roster,
    kind: &'a Kind,
    effects: &'a Effects,
}

impl Judge<'_> {
    fn check(&self, event: &Event, action: &Action) -> Result<(), Void> {
        let (member, _) = author(event, self.roster)?;
        let everybody_but_viewers = [Role::Admin, Role::Dispatcher, Role::Picker, Role::Driver, Role::Shop];
        let by = || check::by(event.edit.statement.by.as_ref());
        match action {
            Action::Open(_) => Err(Void::NotItsId),
            Action::Plan(plan) => {
                may(member, self.kind.planned_by, "change the plan")?;
                by()?;
                check::planning(self.kind, &plan.fields)
            }
            Action::Record(record) => {
                let step = self.step(record, member)?;
                by()?;
                check::record(record)?;
                self.evidence(event, record, step)
            }
            Action::Measure(measure) => {
                may(member, &everybody_but_viewers, "record measurements")?;
                by()?;
                check::measure(measure)
            }
            Action::Say(say) => {
                may(member, &everybody_but_viewers, "write messages")?;
                by()?;
                check::say(say)?;
                let named: Vec<&EditId> = say.reply_to.iter().collect();
                self.known(event, &named, &[RawAction::SAY], "a message")
            }
            Action::Resolve(resolve) => {
                may(member, self.kind.planned_by, "settle contradictions")?;
                by()?;
                check::resolve(resolve)?;
                let settled = [RawAction::RECORD, RawAction::MEASURE];
                self.known(event, &resolve.settle.iter().collect::<Vec<_>>(), &settled, "a record")?;
                self.known(event, &resolve.uphold.iter().collect::<Vec<_>>(), &[RawAction::RECORD], "a record")
            }
            Action::Retract(retract) => {
                may(member, &everybody_but_viewers, "take anything back")?;
                by()?;
                check::retract(retract)?;
                let kinds = [RawAction::RECORD, RawAction::MEASURE, RawAction::SAY];
                self.known(event, &[&retract.edit], &kinds, "a record, a measurement or a message")?;
                let place = self.history.place(&retract.edit).ok_or(Void::NotOwn)?;
                let own = self.history.events()[place].edit.statement.author == event.edit.statement.author;
                if own { Ok(()) } else { Err(Void::NotOwn) }
            }
        }
    }

    /// Whether the event's author knew all of these edits, and each is of one of the kinds. Whether they count is no
    /// matter: a statement about one that does not has no effect on it.
    fn known(&self, event: &Event, named: &[&EditId], kinds: &[u64], what: &'static str) -> Result<(), Void> {
        let known = |id: &EditId| {
            self.history.place(id).is_some_and(|place| {
                let kind = self.history.events()[place].edit.statement.action.kind;
                event.past.contains(place) && kinds.contains(&kind)
            })
        };
        if named.iter().all(|id| known(id)) { Ok(()) } else { Err(Void::Target(what)) }
    }

    /// The step that is recorded, if the author's role records it.
    fn step(&self, record: &Record, member: &Member) -> Result<&Step, Void> {
        let workflow = self.effects.workflow.as_deref();
        let known = workflow.and_then(|workflow| workflow.step(&record.step)).filter(|step| step.key != CREATED);
        let Some(step) = known else {
            let steps = workflow.into_iter().flat_map(|workflow| &workflow.steps).map(|step| step.key.as_str());
            return Err(Void::NoStep {
                step: record.step.chars().take(super::text::NAME_CHARS_MAX).collect(),
                workflow: workflow.map_or_else(String::new, |workflow| workflow.name.clone()),
                steps: steps.filter(|key| *key != CREATED).collect::<Vec<_>>().join(", "),
            });
        };
        if step.by.contains(&member.role) {
            Ok(step)
        } else {
            Err(Void::Role { role: member.role, what: format!("record “{}”", step.key) })
        }
    }

    fn evidence(&self, event: &Event, record: &Record, step: &Step) -> Result<(), Void> {
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
                Evidence::Measure => !self.effects.measured(self.history, event).is_empty(),
            };
            if !there {
                return Err(Void::Evidence { step: step.key.clone(), evidence: evidence.how() });
            }
        }
        Ok(())
    }
}
