//! Summaries and indexes: caches of what documents mean, made from their edits when they are stale.
//!
//! Admission only marks a document as stale; rendering it happens when nothing else is to be done, or when somebody asks.
//! That is what lets a hub take in edits at the speed of its disk.

use super::keys::{self, Summary};
use super::trees::Move;
use super::{Core, PAGE, Release, Step};
use crate::edit::Edit;
use crate::id::{DocumentId, EditId};
use crate::shipment::ExceptionKind;
use crate::shipment::view::{Standing, TimelineEntry};
use crate::shipment::{History, Render};
use crate::store::{Store, StoreError};
use crate::sync::JournalEntry;
use crate::sync::fingerprint::digest;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Documents refreshed in one idle step: a few milliseconds of work.
const REFRESH_PAGE: usize = 64;

impl Core {
    /// Refreshes a bounded number of documents.
    pub(super) fn refresh_some<S: Store>(&mut self, step: &mut Step<'_, S>) -> Result<(), StoreError> {
        self.refresh_page(step, REFRESH_PAGE).map(drop)
    }

    /// Refreshes every stale document, because an answer depends on all of them.
    pub(super) fn refresh_all<S: Store>(&mut self, step: &mut Step<'_, S>) -> Result<(), StoreError> {
        while self.counters.stale > 0 && self.refresh_page(step, PAGE)? > 0 {}
        Ok(())
    }

    fn refresh_page<S: Store>(&mut self, step: &mut Step<'_, S>, limit: usize) -> Result<usize, StoreError> {
        let (from, to) = keys::under(b"x");
        let stale = step.overlay.scan(&from, &to, limit)?;
        for (key, _) in &stale {
            if let Some(document) = keys::tail(key).map(DocumentId) {
                self.refresh(step, document)?;
            }
        }
        if stale.is_empty() {
            self.counters.stale = 0;
        }
        Ok(stale.len())
    }

    /// Makes a document's summary and indexes anew.
    pub(super) fn refresh<S: Store>(&mut self, step: &mut Step<'_, S>, document: DocumentId) -> Result<(), StoreError> {
        let render = self.render(step, document)?;
        let before: Summary = keys::cached(&step.overlay, &keys::summary(&document))?.unwrap_or_default();
        let view = &render.view;
        let text = |field: &str| {
            let value = view.plan.get(field).and_then(|value| value.as_str());
            value.unwrap_or_default().to_owned()
        };
        let mut parties = before.parties.clone();
        for party in &render.parties {
            let again = render.named.contains(party)
                && !before.named.contains(party)
                && self.named_again(step, party, &document)?;
            let new = !parties.contains(party);
            if new || again {
                if new {
                    parties.push(party.clone());
                }
                self.widen(step, &document, party)?;
            }
        }
        self.name_photos(step, &document, &render.photos)?;
        if before.number != view.number {
            if !before.number.is_empty() {
                step.overlay.batch.remove(keys::number(&before.number, &document));
                // Whoever still has the old number may have been told of this document meanwhile.
                for left in numbered(step, &before.number)? {
                    self.mark_stale(step, &left)?;
                }
            }
            step.overlay.batch.put(keys::number(&view.number, &document), Vec::new());
        }
        let twins = numbered(step, &view.number)?.into_iter().filter(|twin| *twin != document).collect::<Vec<_>>();
        for twin in twins.iter().filter(|twin| !before.twins.contains(twin)) {
            self.mark_stale(step, twin)?;
        }
        let at = |wanted: &dyn Fn(&TimelineEntry) -> bool| {
            let entry = view.timeline.iter().find(|entry| entry.counted && wanted(entry));
            entry.map(|entry| entry.at.clone()).unwrap_or_default()
        };
        let mut kinds: BTreeSet<String> = view.exceptions.iter().map(|exception| exception.kind.to_string()).collect();
        kinds.extend(goods_amiss(&view.timeline).map(str::to_owned));
        if !twins.is_empty() {
            kinds.insert(ExceptionKind::NumberTwice.to_string());
        }
        let summary = Summary {
            number: view.number.clone(),
            status: view.status.clone(),
            exceptions: view.exceptions.len() as u64
                + view.exceptions_more.values().sum::<u64>()
                + u64::from(!twins.is_empty()),
            consignee: text("consignee"),
            driver: text("driver"),
            run: text("run"),
            window: text("window"),
            parties,
            twins,
            outcome: render.outcome.map(|outcome| outcome.to_string()).unwrap_or_default(),
            named: render.named.iter().cloned().collect(),
            rank: u64::from(render.rank),
            address: text("address"),
            place: text("place"),
            stop: view.plan.get("stop").and_then(serde_json::Value::as_i64),
            opened: at(&|entry| entry.action == "open"),
            since: at(&|entry| entry.standing == Some(Standing::Decides)),
            messages: view.timeline.iter().filter(|entry| entry.counted && entry.action == "say").count() as u64,
            lines: ordered_lines(&view.plan),
            kinds: kinds.into_iter().collect(),
            workflow: view.workflow.clone(),
            due: view.plan.get("amount_due").and_then(serde_json::Value::as_i64),
            workflow_id: render.workflow,
            signed: view.signed.clone(),
        };
        if summary != before {
            step.overlay.batch.put(keys::summary(&document), keys::encode(&summary));
            step.releases.push(Release::Changed(document));
        }
        let key = keys::stale(&document);
        if step.overlay.get(&key)?.is_some() {
            step.overlay.batch.remove(key);
            self.counters.stale = self.counters.stale.saturating_sub(1);
        }
        Ok(())
    }

    /// A document comes into a party's scope: its devices are to be sent all of it.
    pub(super) fn widen<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        document: &DocumentId,
        party: &str,
    ) -> Result<(), StoreError> {
        step.overlay.batch.put(keys::party(party, document), Vec::new());
        let heads: Vec<EditId> = keys::read(&step.overlay, &keys::heads(document))?.unwrap_or_default();
        step.moves.push(Move::Widen(party.to_owned(), *document, digest(document, &heads)));
        self.widening.entry(*document).or_default().push((self.counters.journal_end, party.to_owned()));
        self.journal(step, &JournalEntry::Widen { document: *document, party: party.to_owned() });
        Ok(())
    }

    /// A document's edits.
    pub(super) fn edits_of<S: Store>(&self, store: &S, document: &DocumentId) -> Result<Vec<Edit>, StoreError> {
        let organisation = self.roster.organisation();
        super::all(store, &keys::edits(document))?
            .map(|(key, bytes)| {
                let edit = Edit::stored(&organisation, bytes)
                    .map_err(|error| StoreError::Failed(format!("a stored edit is damaged: {error}")))?;
                if keys::tail(&key) == Some(edit.id.0) && edit.document == *document {
                    Ok(edit)
                } else {
                    Err(StoreError::Failed(format!("the edit stored under {} is another", edit.id)))
                }
            })
            .collect()
    }

    /// A document rendered, from memory where its heads and the roster are still the same.
    pub(super) fn render<S: Store>(
        &mut self,
        step: &Step<'_, S>,
        document: DocumentId,
    ) -> Result<Arc<Render>, StoreError> {
        let heads: Vec<EditId> = keys::read(&step.overlay, &keys::heads(&document))?.unwrap_or_default();
        let roster = self.roster.head();
        if let Some((known, render)) = self.rendered.get(&document)
            && known.split_first().is_some_and(|(first, rest)| first.0 == roster.0 && rest == heads)
        {
            return Ok(Arc::clone(render));
        }
        let mut edits = self.edits_of(&step.overlay, &document)?;
        if crate::planted::is(crate::planted::Bug::ViewByArrival) {
            let arrived = |edit: &Edit| {
                let arrival = keys::read::<keys::Arrival>(&step.overlay, &keys::arrival(&edit.id));
                arrival.ok().flatten().map(|arrival| arrival.seq)
            };
            edits.sort_by_key(arrived);
        }
        let render = Render::of(document, edits, &self.roster)
            .map(Arc::new)
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        // The roster's head stands before the heads, as both together decide the view.
        let known = std::iter::once(EditId(roster.0)).chain(heads).collect();
        self.rendered.put(document, (known, Arc::clone(&render)));
        Ok(render)
    }

    /// A document's history, for what is asked about single edits.
    pub(super) fn history<S: Store>(&self, step: &Step<'_, S>, document: &DocumentId) -> Result<History, StoreError> {
        Ok(History::new(self.edits_of(&step.overlay, document)?))
    }
}

/// Lines of goods, without those that are no longer part of the order.
fn ordered_lines(plan: &BTreeMap<String, Value>) -> u64 {
    let lines = plan.get("lines").and_then(Value::as_array).into_iter().flatten();
    lines.filter(|line| line.get("withdrawn").and_then(Value::as_bool) != Some(true)).count() as u64
}

/// What people want to see in a list although it contradicts nothing: goods that were missing or damaged by a record that stands, and
/// records that do not count.
fn goods_amiss(timeline: &[TimelineEntry]) -> impl Iterator<Item = &'static str> {
    let stands = |entry: &&TimelineEntry| {
        entry.counted && !matches!(entry.standing, Some(Standing::Retracted | Standing::Rejected))
    };
    let any = move |field: &str| {
        timeline
            .iter()
            .filter(stands)
            .filter_map(|entry| entry.detail.as_ref()?.get("lines")?.as_array())
            .flatten()
            .any(|line| line.get(field).and_then(serde_json::Value::as_i64).is_some_and(|quantity| quantity > 0))
    };
    let not_counted = timeline.iter().any(|entry| !entry.counted);
    [("short", any("short")), ("damaged", any("damaged")), ("not_counted", not_counted)]
        .into_iter()
        .filter_map(|(kind, there)| there.then_some(kind))
}

/// The documents of a number.
pub(super) fn numbered<S: Store>(step: &Step<'_, S>, number: &str) -> Result<Vec<DocumentId>, StoreError> {
    if number.is_empty() {
        return Ok(Vec::new());
    }
    let (from, to) = keys::under(&keys::number_prefix(number));
    let pairs = step.overlay.scan(&from, &to, PAGE)?;
    Ok(pairs.iter().filter_map(|(key, _)| keys::tail(key).map(DocumentId)).collect())
}
