//! The month-end sheet: every shipment that was settled in the period. Its rows and words are made at the node's edge.

use super::io::Settlement;
use super::{Core, Step};
use crate::edit::action::{LineCount, Record};
use crate::id::{DocumentId, EditId};
use crate::shipment::History;
use crate::shipment::effect::Effects;
use crate::shipment::status::Status;
use crate::shipment::view::{planned_window, who};
use crate::store::{Store, StoreError};
use crate::workflow::Outcome;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Core {
    pub(super) fn sheet<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        from: i64,
        to: i64,
    ) -> Result<Vec<Settlement>, StoreError> {
        let found = self.list(step, &super::query::Filter::default())?;
        let mut rows = Vec::new();
        for (document, _) in found {
            rows.extend(self.sheet_of(step, document, from, to)?);
        }
        Ok(rows)
    }

    fn sheet_of<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        document: DocumentId,
        from: i64,
        to: i64,
    ) -> Result<Vec<Settlement>, StoreError> {
        let render = self.render(step, document)?;
        let history = self.history(step, &document)?;
        let effects = Effects::of(&history, &self.roster);
        let Some(workflow) = &effects.workflow else { return Ok(Vec::new()) };
        let status = Status::of(&history, &effects, workflow, &self.roster);
        let settled = Settled::of(&history, &status);
        let planned = || planned_window(&render.registers).map(|window| window.0);
        let opened = || effects.open.map(|place| history.events()[place].edit.statement.at);
        let at = settled.at.or_else(planned).or_else(opened).and_then(|at| i64::try_from(at).ok());
        if !at.is_some_and(|at| (from..to).contains(&at)) {
            return Ok(Vec::new());
        }
        let view = &render.view;
        let named: BTreeSet<EditId> = view.exceptions.iter().flat_map(|exception| exception.edits.clone()).collect();
        Ok(vec![Settlement {
            number: view.number.clone(),
            consignee: view.plan.get("consignee").and_then(Value::as_str).unwrap_or_default().to_owned(),
            status: view.status.clone(),
            workflow: Arc::clone(workflow),
            lines: view.plan.get("lines").and_then(Value::as_array).cloned().unwrap_or_default(),
            due: view.plan.get("amount_due").and_then(Value::as_i64),
            outcome: settled.outcome,
            counts: settled.counts,
            collected: settled.collected,
            receiver: settled.receiver,
            recorded_by: settled.place.map_or_else(String::new, |place| who(&history.events()[place], &self.roster)),
            at: settled.at,
            exceptions: view.exceptions.clone(),
            entries: view.timeline.iter().filter(|entry| named.contains(&entry.edit)).cloned().collect(),
        }])
    }
}

/// What the records that stand say about the goods.
struct Settled {
    /// The record that decided how the shipment ended.
    place: Option<usize>,
    at: Option<u64>,
    outcome: Option<Outcome>,
    receiver: String,
    collected: Option<i64>,
    counts: BTreeMap<String, LineCount>,
}

impl Settled {
    /// In canonical order the later record has the last word on each number it gives.
    fn of(history: &History, status: &Status<'_>) -> Self {
        let mut settled = Self {
            place: None,
            at: None,
            outcome: status.decided_by.and_then(|fact| status.facts[fact].step.outcome),
            receiver: String::new(),
            collected: None,
            counts: BTreeMap::new(),
        };
        for fact in status.facts.iter().filter(|fact| fact.live()) {
            settled.take(fact.record);
        }
        // A delivery is settled by its signature, which a later count builds on.
        let settled_by = match settled.outcome {
            Some(Outcome::Signed) => status.signed_by(),
            Some(_) => status.decided_by,
            None => None,
        };
        if let Some(fact) = settled_by.map(|fact| &status.facts[fact]) {
            settled.place = Some(fact.place);
            settled.at = Some(history.events()[fact.place].edit.statement.at);
            settled.receiver = fact.record.receiver.clone().unwrap_or_default();
        }
        settled
    }

    fn take(&mut self, record: &Record) {
        self.collected = record.collected.or(self.collected);
        // A line is counted lot by lot where its lots are told apart.
        let mut counted: BTreeMap<&String, LineCount> = BTreeMap::new();
        for count in &record.lines {
            let line = counted.entry(&count.line).or_default();
            let add =
                |sum: Option<i64>, more: Option<i64>| more.map(|more| sum.unwrap_or(0).saturating_add(more)).or(sum);
            line.received = add(line.received, count.received);
            line.short = add(line.short, count.short);
            line.damaged = add(line.damaged, count.damaged);
            line.returned = add(line.returned, count.returned);
        }
        for (line, count) in counted {
            let known = self.counts.entry(line.clone()).or_default();
            known.received = count.received.or(known.received);
            known.short = count.short.or(known.short);
            known.damaged = count.damaged.or(known.damaged);
            known.returned = count.returned.or(known.returned);
        }
    }
}
