//! What people do at this device: each act becomes one signed edit per shipment, checked here in full before the ✓.

use super::admit::Admission;
use super::after::Ground;
use super::io::{Act, Made, Now, Refusal, Reply, Targets};
use super::keys;
use super::query::{Filter, find_edit};
use super::{Core, Step};
use crate::edit::action::{
    Action, CLEARABLE, LINE_CLEARABLE, LineCount, Measure, Plan, PlanFields, Record, Resolve, Retract, Say,
};
use crate::edit::{AFTER_MAX, Edit, Statement};
use crate::id::{DocumentId, EditId, Tap};
use crate::roster::Role;
use crate::shipment::effect::Effects;
use crate::shipment::replay::Register;
use crate::shipment::{History, Render};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// Shipments that one act may be about.
const TARGETS_MAX: usize = 10_000;

/// A reader passes over names that it does not know; whoever writes one misspelt it.
fn can_be_cleared(fields: &PlanFields) -> Result<(), Refusal> {
    let known = |names: &[String], may: &[&str]| match names.iter().find(|name| !may.contains(&name.as_str())) {
        Some(name) => Err(Refusal::Invalid(format!(
            "“{name}” can't be named in cleared: {} can. A text is taken back by setting it empty",
            may.join(", ")
        ))),
        None => Ok(()),
    };
    known(&fields.cleared, &CLEARABLE)?;
    fields.lines.iter().try_for_each(|line| known(&line.cleared, &LINE_CLEARABLE))
}

impl Core {
    pub(super) fn act<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        act: Act,
    ) -> Result<Reply, Refusal> {
        // A retried tap is answered with what it made, also when its shipment was let go of meanwhile.
        let makes_edits = !matches!(act, Act::Import { .. } | Act::Invite { .. } | Act::Publish { .. });
        let asked = makes_edits.then(|| asked(by, &act));
        if let Some(asked) = &asked
            && let Some(made) = made_before(step, &tap)?
        {
            // A request that is another one was not done, and must not be taken to be.
            return match step.overlay.get(&keys::asked(&tap))? {
                Some(before) if before != *asked => Err(Refusal::TapUsed),
                _ => Ok(Reply::Made(made)),
            };
        }
        let made = match act {
            Act::Record { shipments, record, role } => {
                let documents = self.find_all(step, &shipments)?;
                if let Some(role) = role {
                    self.check_role(step, &documents, &record.step, role)?;
                }
                self.record(step, now, tap, by, documents, &record)?
            }
            Act::Measure { shipments, measure } => self.measure(step, now, tap, by, &shipments, &measure)?,
            Act::Plan { targets, fields } => self.plan(step, now, tap, by, targets, &fields)?,
            Act::Say { shipment, text } => {
                let document = self.find(step, &shipment)?;
                let action = Action::Say(Say::of(&text));
                self.make(step, now, tap, by, document, &action)?
            }
            Act::Resolve { shipment, settle, uphold, note } => {
                let document = self.find(step, &shipment)?;
                let settle = settle.iter().map(|edit| find_edit(step, edit)).collect::<Result<Vec<_>, _>>()?;
                let uphold = uphold.map(|edit| find_edit(step, &edit)).transpose()?;
                let action = Action::Resolve(Resolve { settle, uphold, note });
                self.make(step, now, tap, by, document, &action)?
            }
            Act::Retract { edit, note, own } => {
                let edit = self.stored(step, &find_edit(step, &edit)?)?;
                if own {
                    check_own(&edit, by)?;
                }
                let action = Action::Retract(Retract { edit: edit.id, note });
                self.make(step, now, tap, by, edit.document, &action)?
            }
            Act::Import { orders, dry_run } => return self.import(step, now, by, &orders, dry_run),
            Act::Publish { toml } => return self.publish(step, now, toml),
            Act::Invite { request, expires, addresses } => {
                return self.invite(step, tap, request, expires, addresses);
            }
        };
        if let Some(asked) = asked {
            let edits: Vec<_> = made.iter().map(|made| (made.edit, made.id)).collect();
            step.overlay.batch.put(keys::request(&tap), keys::encode(&edits));
            step.overlay.batch.put(keys::asked(&tap), asked);
        }
        Ok(Reply::Made(made))
    }

    fn record<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        documents: BTreeSet<DocumentId>,
        record: &Record,
    ) -> Result<Vec<Made>, Refusal> {
        let mut made = Vec::new();
        for document in documents {
            let mut record = record.clone();
            let mut seen = BTreeSet::new();
            record.photos.retain(|photo| seen.insert(*photo));
            if !record.lines.is_empty() {
                let render = self.render(step, document)?;
                record.lines = name_lines(&render, record.lines)?;
            }
            made.extend(self.make(step, now, tap, by, document, &Action::Record(record))?);
        }
        Ok(made)
    }

    /// Everybody else judges a record by the device's role. Whether a person's allows it is for their device to see to.
    fn check_role<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        documents: &BTreeSet<DocumentId>,
        key: &str,
        role: Role,
    ) -> Result<(), Refusal> {
        for document in documents {
            let render = self.render(step, *document)?;
            let workflow = render.workflow.and_then(|id| self.roster.workflow_at(&id, self.roster.height()));
            if workflow.and_then(|workflow| workflow.step(key)).is_some_and(|known| !known.by.contains(&role)) {
                let number = &render.view.number;
                let why = format!("a {role} does not record “{key}” of {number}: ask somebody whose step it is");
                return Err(Refusal::NotYours(why));
            }
        }
        Ok(())
    }

    fn measure<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        shipments: &[String],
        measure: &Measure,
    ) -> Result<Vec<Made>, Refusal> {
        let documents = self.find_all(step, shipments)?;
        let action = Action::Measure(measure.clone());
        self.make_all(step, now, tap, by, documents, &action)
    }

    fn plan<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        targets: Targets,
        fields: &PlanFields,
    ) -> Result<Vec<Made>, Refusal> {
        can_be_cleared(fields)?;
        let documents = match targets {
            Targets::Named(shipments) => self.find_all(step, &shipments)?,
            Targets::Filter(filter) => {
                let found = self.list(step, &Filter::parse(&filter)?)?;
                if found.is_empty() {
                    return Err(Refusal::Invalid(format!("no shipment fits the filter “{filter}”")));
                }
                at_most(found.into_iter().map(|(document, _)| document).collect())?
            }
        };
        let action = Action::Plan(Plan { fields: fields.clone(), import: None });
        self.make_all(step, now, tap, by, documents, &action)
    }

    fn make_all<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        documents: BTreeSet<DocumentId>,
        action: &Action,
    ) -> Result<Vec<Made>, Refusal> {
        let mut made = Vec::new();
        for document in documents {
            made.extend(self.make(step, now, tap, by, document, action)?);
        }
        Ok(made)
    }

    fn find_all<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        shipments: &[String],
    ) -> Result<BTreeSet<DocumentId>, Refusal> {
        // Looking each up takes time, in which nobody else is served.
        few_enough(shipments.len())?;
        let documents = shipments.iter().map(|name| self.find(step, name)).collect::<Result<_, _>>()?;
        at_most(documents)
    }

    /// Makes, checks and keeps what one act states about one document: one edit, or where it must know more than one edit can
    /// name, several.
    pub(super) fn make<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        document: DocumentId,
        action: &Action,
    ) -> Result<Vec<Made>, Refusal> {
        let tap = tap.of(&document.0);
        if let Some((edit, document)) = keys::read::<(EditId, DocumentId)>(&step.overlay, &keys::tap(&tap))? {
            return made(step, edit, document).map(|made| vec![made]);
        }
        let edits = self.edits_for(step, now, tap, by, document, vec![action.clone()])?;
        edits.into_iter().map(|edit| self.put(step, now, edit)).collect()
    }

    /// The edits of this device that state actions about a document one after the other, each checked and each knowing the one
    /// before.
    pub(super) fn edits_for<S: Store>(
        &mut self,
        step: &Step<'_, S>,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        document: DocumentId,
        actions: Vec<Action>,
    ) -> Result<Vec<Edit>, Refusal> {
        let heads: Vec<EditId> = keys::read(&step.overlay, &keys::heads(&document))?.unwrap_or_default();
        let mut held = self.edits_of(&step.overlay, &document)?;
        let mut made: Vec<Edit> = Vec::new();
        let tap_of = |nth: usize| if nth == 0 { tap } else { tap.of(&nth.to_be_bytes()) };
        for action in actions {
            let after = made.last().map_or_else(|| heads.clone(), |before| vec![before.id]);
            let all = if heads.len() <= AFTER_MAX { Some(after) } else { None };
            let whole =
                all.and_then(|after| self.statement_about(now, tap_of(made.len()), by, document, after, &action).ok());
            if let Some(edit) = whole {
                self.check(held.clone(), &edit)?;
                held.push(edit.clone());
                made.push(edit);
                continue;
            }
            // Not all heads fit: what it must know is chosen.
            let registers = self.render(step, document)?.registers.clone();
            let parts = self.on_ground(&held, &registers, |ground| ground.parts(action));
            for part in parts {
                let after = self.on_ground(&held, &registers, |ground| ground.choose(&part));
                let edit = self.statement_about(now, tap_of(made.len()), by, document, after, &part)?;
                self.check(held.clone(), &edit)?;
                held.push(edit.clone());
                made.push(edit);
            }
        }
        Ok(made)
    }

    fn on_ground<T>(
        &self,
        held: &[Edit],
        registers: &BTreeMap<String, Register>,
        ask: impl FnOnce(&Ground<'_>) -> T,
    ) -> T {
        let history = History::new(held.to_vec());
        let effects = Effects::of(&history, &self.roster);
        let (roster, author) = (&self.roster, self.key);
        ask(&Ground { history: &history, effects: &effects, roster, registers, author })
    }

    /// Keeps edits that stand on one another, all of them or, if one would not count, none.
    pub(super) fn put_chain<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        mut held: Vec<Edit>,
        chain: Vec<Edit>,
    ) -> Result<(), Refusal> {
        for edit in &chain {
            self.check(held.clone(), edit)?;
            held.push(edit.clone());
        }
        chain.into_iter().try_for_each(|edit| self.put(step, now, edit).map(drop))
    }

    /// A signed edit of this device about a document.
    pub(super) fn statement_about(
        &self,
        now: Now,
        tap: Tap,
        by: Option<&String>,
        document: DocumentId,
        after: Vec<EditId>,
        action: &Action,
    ) -> Result<Edit, Refusal> {
        let statement = Statement {
            author: self.key,
            by: by.cloned(),
            after,
            roster: self.roster.head(),
            tap,
            at: now.0,
            action: action.to_raw(),
        };
        self.sign(Some(document), statement)
    }

    /// Signs a statement; `None` opens a document.
    pub(super) fn sign(&self, document: Option<DocumentId>, statement: Statement) -> Result<Edit, Refusal> {
        Edit::sign(&self.roster.organisation(), document, statement, &self.identity.device)
            .map_err(|error| Refusal::Invalid(error.to_string()))
    }

    /// Whether an edit will count, by the very rules that every node will judge it by.
    pub(super) fn check(&self, mut edits: Vec<Edit>, edit: &Edit) -> Result<(), Refusal> {
        edits.push(edit.clone());
        let history = History::new(edits);
        let effects = Effects::of(&history, &self.roster);
        match history.place(&edit.id).map(|place| &effects.verdicts[place]) {
            Some(Ok(())) => Ok(()),
            Some(Err(void)) => Err(Refusal::Void(void.clone())),
            None => Err(Refusal::Invalid("the shipment is not whole here yet: wait until it has arrived".to_owned())),
        }
    }

    /// Keeps an edit made here.
    pub(super) fn put<S: Store>(&mut self, step: &mut Step<'_, S>, now: Now, edit: Edit) -> Result<Made, Refusal> {
        let (id, document) = (edit.id, edit.document);
        match self.admit(step, now, None, edit)? {
            Admission::Held | Admission::Admitted => made(step, id, document),
            Admission::Waits => Err(Refusal::Invalid("the shipment is not whole here yet".to_owned())),
            Admission::Refused(why) => Err(Refusal::Invalid(why)),
        }
    }
}

/// What a request made when it came first, by its tap: what it names may mean others by now, not least by its own effect.
fn made_before<S: Store>(step: &Step<'_, S>, tap: &Tap) -> Result<Option<Vec<Made>>, Refusal> {
    let edits: Option<Vec<(EditId, DocumentId)>> = keys::read(&step.overlay, &keys::request(tap))?;
    edits.map(|edits| edits.into_iter().map(|(edit, document)| made(step, edit, document)).collect()).transpose()
}

fn at_most(documents: BTreeSet<DocumentId>) -> Result<BTreeSet<DocumentId>, Refusal> {
    if documents.is_empty() {
        return Err(Refusal::Invalid("name at least one shipment".to_owned()));
    }
    few_enough(documents.len())?;
    Ok(documents)
}

fn few_enough(shipments: usize) -> Result<(), Refusal> {
    if shipments > TARGETS_MAX {
        return Err(Refusal::Invalid(format!("{shipments} shipments at once are more than {TARGETS_MAX}: narrow it")));
    }
    Ok(())
}

/// Devices take back their own edits. Of those who share one, whoever made the edit does.
fn check_own(edit: &Edit, by: Option<&String>) -> Result<(), Refusal> {
    let theirs = edit.statement.by.as_ref();
    if theirs == by {
        return Ok(());
    }
    let whose = theirs.map_or("somebody else", String::as_str);
    Err(Refusal::NotYours(format!("{whose} recorded that: who recorded it, a dispatcher or an admin takes it back")))
}

/// Digest of what is asked for, and by whom.
fn asked(by: Option<&String>, act: &Act) -> Vec<u8> {
    blake3::hash(&serde_json::to_vec(&(by, act)).unwrap_or_default()).as_bytes().to_vec()
}

fn made<S: Store>(step: &Step<'_, S>, edit: EditId, id: DocumentId) -> Result<Made, Refusal> {
    let summary: Option<keys::Summary> = keys::cached(&step.overlay, &keys::summary(&id))?;
    Ok(Made { edit, id, number: summary.unwrap_or_default().number })
}

/// Lines are named by their line, or by an article's number that stands on one line only.
fn name_lines(render: &Render, counts: Vec<LineCount>) -> Result<Vec<LineCount>, Refusal> {
    let empty = Vec::new();
    let lines = render.view.plan.get("lines").and_then(|lines| lines.as_array()).unwrap_or(&empty);
    let text = |line: &serde_json::Value, field: &str| {
        line.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    counts
        .into_iter()
        .map(|count| {
            if lines.iter().any(|line| text(line, "line") == count.line) {
                return Ok(count);
            }
            let by_sku: Vec<_> = lines.iter().filter(|line| text(line, "sku") == count.line).collect();
            if let [line] = by_sku[..] {
                return Ok(LineCount { line: text(line, "line"), ..count });
            }
            let names: Vec<_> = lines.iter().map(|line| text(line, "line")).collect();
            let (number, line, names) = (&render.view.number, &count.line, names.join(", "));
            Err(Refusal::Invalid(format!("shipment {number} has no line “{line}”; its lines are: {names}")))
        })
        .collect()
}
