//! The core's replies as answers.

use crate::answer::{Candidate, Conflict, Entry, Exception, HistoryRow, Row, Shown};
use crate::sheet;
use crate::words::{self, Teller};
use creel_protocol::core::io::{self, Reply};
use creel_protocol::shipment::ExceptionKind;
use creel_protocol::shipment::view::TimelineEntry;
use creel_protocol::workflow::{Label, Workflow};
use serde_json::Value;

/// A reply that is JSON; `None` for one that is a file, or is not for clients.
pub fn to_json(reply: &Reply) -> Option<Value> {
    match reply {
        Reply::Made(made) => serde_json::to_value(made),
        Reply::Imported(report) => serde_json::to_value(report),
        Reply::Workflows(workflows) => serde_json::to_value(workflows),
        Reply::Status(status) => serde_json::to_value(status),
        Reply::List(list) => serde_json::to_value(rows(list)),
        Reply::Shown(found) => serde_json::to_value(shown(found)),
        Reply::History(rows) => serde_json::to_value(history(rows)),
        Reply::Sheet(settlements) => serde_json::to_value(sheet::rows(settlements)),
        Reply::Unpacked(report) => serde_json::to_value(report),
        Reply::Invited(_)
        | Reply::Proof(_)
        | Reply::File(_)
        | Reply::Photos(_)
        | Reply::Is(_)
        | Reply::Welcome(_)
        | Reply::Packed(_) => return None,
    }
    .ok()
}

/// The shipments of a list.
pub fn rows(list: &io::List) -> Vec<Row> {
    let row = |row: &io::Row| {
        let workflow = row.workflow_id.and_then(|id| list.workflows.get(&id));
        let (status_label, colour) = words::status(&row.status, workflow.map(|workflow| &**workflow));
        Row { summary: row.clone(), status_label, colour }
    };
    list.rows.iter().map(row).collect()
}

/// A shipment with everything about it.
pub fn shown(shown: &io::Shown) -> Shown {
    let view = &shown.view;
    let workflow = shown.workflow.as_deref();
    let teller = Teller::new(&view.timeline, workflow);
    let (status_label, colour) = words::status(&view.status, workflow);
    let mut exceptions: Vec<Exception> =
        view.exceptions.iter().map(|found| exception(found.kind, &found.edits, teller.exception(found))).collect();
    if let Some(twice) = &shown.number_twice {
        exceptions.push(exception(ExceptionKind::NumberTwice, &twice.edits, words::number_twice(&view.number, twice)));
    }
    let twins = shown.number_twice.as_ref().map(|twice| (ExceptionKind::NumberTwice, twice.more));
    let more = view.exceptions_more.iter().map(|(kind, more)| (*kind, *more)).chain(twins);
    let candidate = |candidate: &creel_protocol::shipment::view::Candidate| Candidate {
        value: serde_json::to_value(&candidate.value).unwrap_or_default(),
        edit: candidate.edit,
        author: candidate.author.clone(),
        role: candidate.role.to_string(),
    };
    let conflicts = view.conflicts.iter().map(|conflict| Conflict {
        field: conflict.field.clone(),
        values: conflict.values.iter().map(candidate).collect(),
        more: conflict.more,
    });
    Shown {
        id: view.id,
        number: view.number.clone(),
        status: view.status.clone(),
        status_label,
        colour,
        signed: view.signed.clone(),
        workflow: view.workflow.clone(),
        workflow_id: shown.workflow_id,
        plan: view.plan.clone(),
        conflicts: conflicts.collect(),
        timeline: view.timeline.iter().map(|of| entry(of, workflow)).collect(),
        void_more: view.void_more.clone(),
        exceptions,
        more: more.filter(|(_, more)| *more > 0).map(|(kind, more)| (kind.to_string(), more)).collect(),
        edits_hash: shown.edits_hash,
        view_hash: shown.view_hash,
        automerge_heads: shown.automerge_heads.clone(),
        photos: shown.photos.clone(),
        photos_at_hub: shown.photos_at_hub.clone(),
    }
}

fn exception(kind: ExceptionKind, edits: &[creel_protocol::id::EditId], words: Label) -> Exception {
    Exception { kind: kind.to_string(), edits: edits.to_vec(), text: words.en, text_zh: words.zh }
}

fn entry(entry: &TimelineEntry, workflow: Option<&Workflow>) -> Entry {
    let step = entry.step.as_deref().filter(|_| entry.counted).and_then(|step| workflow?.step(step));
    let why_not = entry.why_not.map(words::why_not);
    Entry {
        edit: entry.edit,
        action: entry.action.to_owned(),
        author: entry.author.clone(),
        device: entry.device,
        role: entry.role.to_string(),
        by: entry.by.clone(),
        at: entry.at.clone(),
        clock_behind: entry.clock_behind,
        clock_ahead: entry.clock_ahead,
        after: entry.after.clone(),
        counted: entry.counted,
        why_not: why_not.as_ref().map(|words| words.en.clone()),
        why_not_zh: why_not.map(|words| words.zh),
        why_not_code: entry.why_not.map(str::to_owned),
        step: entry.step.clone(),
        label: step.map(|step| step.label.clone()),
        standing: entry.standing.and_then(|standing| Some(serde_json::to_value(standing).ok()?.as_str()?.to_owned())),
        skipped: entry.skipped.clone(),
        detail: entry.detail.clone(),
    }
}

/// A shipment's edits.
pub fn history(rows: &[io::HistoryRow]) -> Vec<HistoryRow> {
    let row = |row: &io::HistoryRow| {
        let why_not = row.why_not.map(words::why_not);
        HistoryRow {
            edit: row.edit,
            author: row.author.clone(),
            device: row.device,
            by: row.by.clone(),
            action: row.action.clone(),
            step: row.step.clone(),
            counted: row.counted,
            why_not: why_not.as_ref().map(|words| words.en.clone()),
            why_not_zh: why_not.map(|words| words.zh),
            why_not_code: row.why_not.map(str::to_owned),
            at: row.at.clone(),
            arrived: row.arrived.clone(),
            at_hub: row.at_hub.clone(),
            detail: row.detail.clone(),
        }
    };
    rows.iter().map(row).collect()
}

/// Why a shipment's status is what it is, a sentence each.
pub fn why(shown: &io::Shown) -> Vec<Label> {
    let mut sentences = words::why(&shown.view, shown.workflow.as_deref());
    sentences.extend(shown.number_twice.iter().map(|twice| words::number_twice(&shown.view.number, twice)));
    sentences
}
