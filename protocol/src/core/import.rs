//! Taking orders in, again and again.
//!
//! What an import wrote is marked as such in the edits, so every node can tell the import's last word about a field from a
//! person's. Importing again changes only the cells that changed in the file since the last import; a field that a person has
//! changed meanwhile is kept and reported. An order is taken whole or not at all.

use super::io::{ImportReport, Kept, Now, Order, Refusal, RefusedRow, Reply};
use super::refresh::numbered;
use super::{Core, Step};
use crate::cbor::Encode;
use crate::edit::action::{Action, Line, Open, Plan, PlanFields};
use crate::edit::{EDIT_BYTES_MAX, Statement};
use crate::id::{DocumentId, Tap};
use crate::shipment::effect::Effects;
use crate::shipment::replay::{Scalar, registers};
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// What a plan may fill of an edit; the rest is the envelope.
const PLAN_BYTES_MAX: usize = EDIT_BYTES_MAX - 2_048;

/// What became of one order.
enum Outcome {
    Taken,
    Updated,
    Unchanged,
}

impl Core {
    pub(super) fn import<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        by: Option<&String>,
        orders: &[Order],
        dry_run: bool,
    ) -> Result<Reply, Refusal> {
        let mut report = ImportReport::default();
        let mut seen = BTreeSet::new();
        for order in orders {
            let refused = |why: String| RefusedRow {
                line: order.row,
                column: "number".to_owned(),
                value: order.number.clone(),
                why,
            };
            if !seen.insert(&order.number) {
                report.refused.push(refused("the same number stands there twice".to_owned()));
                continue;
            }
            let mut fields = order.fields.clone();
            fields.number = Some(order.number.clone());
            fields.lines.clone_from(&order.lines);
            match self.import_order(step, now, by, order, &fields, &mut report) {
                Ok(Outcome::Taken) => report.taken += 1,
                Ok(Outcome::Updated) => report.updated += 1,
                Ok(Outcome::Unchanged) => report.unchanged += 1,
                Err(Refusal::Store(error)) => return Err(error.into()),
                Err(refusal) => report.refused.push(refused(refusal.to_string())),
            }
        }
        report.kept = report.kept_fields.len() as u64;
        if dry_run {
            self.abandon(step);
        }
        Ok(Reply::Imported(report))
    }

    fn import_order<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        by: Option<&String>,
        order: &Order,
        fields: &PlanFields,
        report: &mut ImportReport,
    ) -> Result<Outcome, Refusal> {
        match numbered(step, &order.number)?[..] {
            [] => self.open_order(step, now, by, order, fields),
            [document] => self.import_again(step, (now, by), document, order, fields, report),
            _ => Err(Refusal::Invalid("several shipments carry this number: change one of them first".to_owned())),
        }
    }

    fn open_order<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        by: Option<&String>,
        order: &Order,
        fields: &PlanFields,
    ) -> Result<Outcome, Refusal> {
        let (workflow, _) =
            self.roster.newest_workflow().ok_or_else(|| Refusal::Invalid("no workflow is published".to_owned()))?;
        let mut parts = split(fields).into_iter();
        let plan = parts.next().unwrap_or_default();
        let statement = Statement {
            author: self.key,
            by: by.cloned(),
            after: Vec::new(),
            roster: self.roster.head(),
            tap: import_tap(&self.roster.head().0, &order.number, now),
            at: now.0,
            action: Action::Open(Open {
                kind: "shipment".to_owned(),
                workflow: Some(workflow),
                plan,
                import: Some(true),
            })
            .to_raw(),
        };
        let edit = self.sign(None, statement)?;
        let document = edit.document;
        let mut chain = vec![edit];
        for (nth, fields) in parts.enumerate() {
            let tap = import_tap(&document.0, &format!("{nth}"), now).of(&document.0);
            let after = chain.last().map(|edit| edit.id).into_iter().collect();
            let plan = Action::Plan(Plan { fields, import: Some(true) });
            chain.push(self.statement_about(now, tap, by, document, after, &plan)?);
        }
        self.put_chain(step, now, Vec::new(), chain)?;
        // The index is brought up to date at once: the same number may come again in the next part of the file.
        step.overlay.batch.put(super::keys::number(&order.number, &document), Vec::new());
        Ok(Outcome::Taken)
    }

    fn import_again<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        (now, by): (Now, Option<&String>),
        document: DocumentId,
        order: &Order,
        fields: &PlanFields,
        report: &mut ImportReport,
    ) -> Result<Outcome, Refusal> {
        let last = self.last_imported(step, &document)?;
        let current = self.render(step, document)?;
        let mut changed = BTreeSet::new();
        for (key, value) in registers(fields) {
            let ours = current.registers.get(&key);
            let same = |scalar: &Scalar| ours.is_some_and(|values| values.iter().all(|(ours, _)| ours == scalar));
            if last.get(&key) == Some(&value) || same(&value) {
                continue;
            }
            let untouched = match last.get(&key) {
                Some(last) => same(last),
                None => ours.is_none(),
            };
            if untouched {
                changed.insert(key);
            } else {
                let ours = ours.and_then(|values| values.first()).map(|(scalar, _)| scalar);
                report.kept_fields.push(Kept {
                    number: order.number.clone(),
                    field: key,
                    ours: ours.map(text).unwrap_or_default(),
                    file: text(&value),
                });
            }
        }
        if changed.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let fields = only(fields, &changed);
        let plan = |fields| Action::Plan(Plan { fields, import: Some(true) });
        let plans = split(&fields).into_iter().map(plan).collect();
        let tap = import_tap(&document.0, &format!("of {}", self.counters.journal_end), now).of(&document.0);
        for edit in self.edits_for(step, now, tap, by, document, plans)? {
            self.put(step, now, edit)?;
        }
        Ok(Outcome::Updated)
    }

    /// The import's last word about each register.
    fn last_imported<S: Store>(
        &self,
        step: &Step<'_, S>,
        document: &DocumentId,
    ) -> Result<BTreeMap<String, Scalar>, Refusal> {
        let history = self.history(step, document)?;
        let effects = Effects::of(&history, &self.roster);
        let mut last = BTreeMap::new();
        for (_, event) in history.events().iter().enumerate().filter(|(place, _)| effects.counts(*place)) {
            match &event.action {
                Ok(Action::Open(Open { plan, import: Some(true), .. })) => last.extend(registers(plan)),
                Ok(Action::Plan(Plan { fields, import: Some(true) })) => last.extend(registers(fields)),
                _ => {}
            }
        }
        Ok(last)
    }
}

fn text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Bool(truth) => truth.to_string(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Text(text) => text.clone(),
    }
}

/// An import is not a person's tap; its own taps differ whenever what they stand for does.
fn import_tap(scope: &[u8], part: &str, now: Now) -> Tap {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&now.0.to_be_bytes());
    Tap(seed).of(&[scope, b"/", part.as_bytes()].concat())
}

/// Of the fields, those whose registers changed.
fn only(fields: &PlanFields, changed: &BTreeSet<String>) -> PlanFields {
    let has = |key: &str| changed.contains(key);
    let text = |key: &str, value: &Option<String>| value.clone().filter(|_| has(key));
    let lines = fields.lines.iter().map(|line| {
        let of =
            |key: &str, value: &Option<String>| value.clone().filter(|_| has(&format!("lines/{}/{key}", line.line)));
        let has_number = |key: &str| has(&format!("lines/{}/{key}", line.line));
        Line {
            line: line.line.clone(),
            sku: of("sku", &line.sku),
            name: of("name", &line.name),
            quantity: line.quantity.filter(|_| has_number("quantity")),
            unit: of("unit", &line.unit),
            lot: of("lot", &line.lot),
            expiry: of("expiry", &line.expiry),
            withdrawn: line.withdrawn.filter(|_| has_number("withdrawn")),
            weight: line.weight.filter(|_| has_number("weight")),
            volume: line.volume.filter(|_| has_number("volume")),
            price: line.price.filter(|_| has_number("price")),
            gtin: of("gtin", &line.gtin),
            cleared: line.cleared.iter().filter(|key| has_number(key)).cloned().collect(),
        }
    });
    let touched = |line: &Line| changed.iter().any(|key| key.starts_with(&format!("lines/{}/", line.line)));
    PlanFields {
        number: None,
        consignee: text("consignee", &fields.consignee),
        address: text("address", &fields.address),
        place: fields.place.filter(|_| has("place")),
        window: fields.window.filter(|_| has("window")),
        driver: text("driver", &fields.driver),
        run: text("run", &fields.run),
        stop: fields.stop.filter(|_| has("stop")),
        parties: fields.parties.clone().into_iter().filter(|(kind, _)| has(&format!("parties/{kind}"))).collect(),
        amount_due: fields.amount_due.filter(|_| has("amount_due")),
        handling: text("handling", &fields.handling),
        note: text("note", &fields.note),
        lines: lines.filter(touched).collect(),
        phone: text("phone", &fields.phone),
        reference: text("reference", &fields.reference),
        service: fields.service.filter(|_| has("service")),
        region: text("region", &fields.region),
        group: text("group", &fields.group),
        cleared: fields.cleared.iter().filter(|key| has(key)).cloned().collect(),
        unknown: 0,
    }
}

/// A plan in parts that each fit into an edit: the fields and the first lines, then more lines.
fn split(fields: &PlanFields) -> Vec<PlanFields> {
    let mut part = PlanFields { lines: Vec::new(), ..fields.clone() };
    let mut size = part.to_cbor().len();
    let mut parts = Vec::new();
    for line in &fields.lines {
        let more = line.to_cbor().len();
        if size + more > PLAN_BYTES_MAX && !part.lines.is_empty() {
            parts.push(std::mem::take(&mut part));
            size = 0;
        }
        size += more;
        part.lines.push(line.clone());
    }
    parts.push(part);
    parts
}
