//! The month-end sheet: a row per line of every shipment that was settled in the period.

use super::io::SheetRow;
use super::{Core, Step};
use crate::edit::action::{Action, LineCount, Record};
use crate::id::DocumentId;
use crate::shipment::effect::Effects;
use crate::shipment::status::Status;
use crate::shipment::view::{planned_window, who};
use crate::shipment::{History, Render, time};
use crate::store::{Store, StoreError};
use crate::workflow::{Label, Outcome};
use serde_json::Value;
use std::collections::BTreeMap;

impl Core {
    pub(super) fn sheet<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        from: i64,
        to: i64,
    ) -> Result<Vec<SheetRow>, StoreError> {
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
    ) -> Result<Vec<SheetRow>, StoreError> {
        let render = self.render(step, document)?;
        let history = self.history(step, &document)?;
        let effects = Effects::of(&history, &self.roster);
        let Some(workflow) = &effects.workflow else { return Ok(Vec::new()) };
        let status = Status::of(&history, &effects, workflow);
        let settled = Settled::of(&history, &status);
        let at = settled.at.or_else(|| planned_window(&render.registers).map(|window| window.0)).or_else(|| {
            let opened = history.events().first()?;
            i64::try_from(opened.edit.statement.at).ok()
        });
        if !at.is_some_and(|at| (from..to).contains(&at)) {
            return Ok(Vec::new());
        }
        let recorded_by = settled.place.map_or_else(String::new, |place| who(&history.events()[place], &self.roster));
        Ok(rows(&render, &settled, &recorded_by))
    }
}

/// What the records that stand say about the goods.
struct Settled {
    /// The record that decided how the shipment ended.
    place: Option<usize>,
    at: Option<i64>,
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
            let Ok(Action::Record(record)) = &history.events()[fact.place].action else { continue };
            settled.take(record);
            let delivers = fact.step.outcome.is_some() && fact.step.outcome == settled.outcome;
            // The first of several that agree is when it happened: signed, then received.
            if delivers && (settled.place.is_none() || record.receiver.is_some() && settled.receiver.is_empty()) {
                settled.place = Some(fact.place);
                settled.at = i64::try_from(history.events()[fact.place].edit.statement.at).ok();
                settled.receiver = record.receiver.clone().unwrap_or_default();
            }
        }
        settled
    }

    fn take(&mut self, record: &Record) {
        self.collected = record.collected.or(self.collected);
        for count in &record.lines {
            let known = self.counts.entry(count.line.clone()).or_default();
            known.received = count.received.or(known.received);
            known.short = count.short.or(known.short);
            known.damaged = count.damaged.or(known.damaged);
            known.returned = count.returned.or(known.returned);
        }
    }
}

fn rows(render: &Render, settled: &Settled, recorded_by: &str) -> Vec<SheetRow> {
    let view = &render.view;
    let empty = vec![Value::Object(serde_json::Map::new())];
    let lines = view.plan.get("lines").and_then(Value::as_array).unwrap_or(&empty);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let (exceptions, exceptions_zh): (Vec<_>, Vec<_>) =
        view.exceptions.iter().map(|exception| (exception.text.clone(), exception.text_zh.clone())).unzip();
    lines
        .iter()
        .enumerate()
        .map(|(nth, line)| {
            let name = text(line.get("line"));
            let ordered = line.get("quantity").and_then(Value::as_i64).unwrap_or(0);
            let count = settled.counts.get(&name).cloned().unwrap_or_default();
            let (short, damaged) = (count.short.unwrap_or(0), count.damaged.unwrap_or(0));
            let taken_back = if settled.outcome == Some(Outcome::Returned) { ordered.saturating_sub(short) } else { 0 };
            let returned = count.returned.unwrap_or(taken_back.max(0));
            let delivered = match settled.outcome {
                // A device can say what no one can mean: such counts neither make goods nor wrap around.
                Some(Outcome::Signed) => count.received.unwrap_or_else(|| {
                    let missing =
                        [short, damaged, returned].into_iter().fold(0, |sum: i64, one| sum.saturating_add(one.max(0)));
                    ordered.saturating_sub(missing).max(0)
                }),
                _ => 0,
            };
            SheetRow {
                number: view.number.clone(),
                consignee: text(view.plan.get("consignee")),
                status: Some(Label { zh: view.status_label.zh.clone(), en: view.status_label.en.clone() }),
                line: name,
                sku: text(line.get("sku")),
                name: text(line.get("name")),
                lot: text(line.get("lot")),
                unit: text(line.get("unit")),
                ordered,
                delivered,
                short,
                damaged,
                returned,
                due: view.plan.get("amount_due").and_then(Value::as_i64).filter(|_| nth == 0),
                collected: settled.collected.filter(|_| nth == 0),
                receiver: settled.receiver.clone(),
                recorded_by: recorded_by.to_owned(),
                at: settled.at.map(time::rfc3339).unwrap_or_default(),
                exceptions: exceptions.join(" "),
                exceptions_zh: exceptions_zh.join(" "),
            }
        })
        .collect()
}
