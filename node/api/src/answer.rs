//! What a node answers. Clients may find more fields than they know.

use creel_protocol::core::io;
use creel_protocol::id::{DeviceKey, Digest, DocumentId, EditId, FileHash, WorkflowId};
use creel_protocol::workflow::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A shipment in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What the list has of it.
    #[serde(flatten)]
    pub summary: io::Row,
    /// The status for people.
    pub status_label: Label,
    /// The status' colour, `#rrggbb`.
    pub colour: String,
}

/// A shipment with everything about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The document.
    pub id: DocumentId,
    /// The firm's own number.
    pub number: String,
    /// The status: a step's key, or `none`.
    pub status: String,
    /// The status for people.
    pub status_label: Label,
    /// The status' colour, `#rrggbb`.
    pub colour: String,
    /// When it was signed for, by that device's clock; RFC 3339.
    pub signed: Option<String>,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow it was opened with.
    pub workflow_id: Option<WorkflowId>,
    /// The plan.
    pub plan: BTreeMap<String, Value>,
    /// Fields of the plan with several values.
    pub conflicts: Vec<Conflict>,
    /// Every edit that counts, and each device's first void ones.
    pub timeline: Vec<Entry>,
    /// How many void edits of each device are left out.
    #[serde(default)]
    pub void_more: BTreeMap<DeviceKey, u64>,
    /// What a person has to look at.
    pub exceptions: Vec<Exception>,
    /// How many of each kind are left out.
    #[serde(default)]
    pub more: BTreeMap<String, u64>,
    /// Digest of the edits and the roster's head.
    pub edits_hash: Digest,
    /// Digest of the view.
    pub view_hash: Digest,
    /// The Automerge document's heads.
    pub automerge_heads: Vec<String>,
    /// Photos and files named by its records and messages.
    pub photos: Vec<FileHash>,
    /// Those of them that the hub is known to have.
    pub photos_at_hub: Vec<FileHash>,
}

/// A field that several people changed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The field.
    pub field: String,
    /// Its values: the first is shown where there is room for one.
    pub values: Vec<Candidate>,
    /// How many are left out.
    #[serde(default)]
    pub more: u64,
}

/// One of its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The value.
    pub value: Value,
    /// The edit that set it.
    pub edit: EditId,
    /// Who set it.
    pub author: String,
    /// Their role.
    pub role: String,
}

/// One edit in the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The edit.
    pub edit: EditId,
    /// What kind of action, or `unknown`.
    pub action: String,
    /// The device's name.
    pub author: String,
    /// The device's key.
    pub device: DeviceKey,
    /// The device's role.
    pub role: String,
    /// The person at the device.
    pub by: Option<String>,
    /// The device's claimed time, RFC 3339.
    pub at: String,
    /// Whether that clock is behind.
    pub clock_behind: bool,
    /// Whether that clock is ahead.
    pub clock_ahead: bool,
    /// Its direct predecessors.
    pub after: Vec<EditId>,
    /// Whether it counts.
    pub counted: bool,
    /// If not, why, in words.
    pub why_not: Option<String>,
    /// The same in 简体中文.
    pub why_not_zh: Option<String>,
    /// The same as a code.
    pub why_not_code: Option<String>,
    /// The step of a record.
    pub step: Option<String>,
    /// The step's name for people.
    pub label: Option<Label>,
    /// How a record stands.
    pub standing: Option<String>,
    /// Steps that were skipped on the way to this one.
    pub skipped: Vec<String>,
    /// What it states.
    pub detail: Option<Value>,
}

/// Something a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// What kind.
    pub kind: String,
    /// The edits it is about.
    pub edits: Vec<EditId>,
    /// In words.
    pub text: String,
    /// The same in 简体中文.
    pub text_zh: String,
}

/// One edit of a shipment's history, with what only this node knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The edit.
    pub edit: EditId,
    /// The device's name.
    pub author: String,
    /// The device's key.
    pub device: DeviceKey,
    /// The person at the device.
    pub by: Option<String>,
    /// What it states, by its action's name.
    pub action: String,
    /// The step of a record.
    pub step: Option<String>,
    /// Whether it counts.
    pub counted: bool,
    /// If not, why, in words.
    pub why_not: Option<String>,
    /// The same in 简体中文.
    pub why_not_zh: Option<String>,
    /// The same as a code.
    pub why_not_code: Option<String>,
    /// The device's claimed time.
    pub at: String,
    /// When it arrived here, by this device's clock.
    pub arrived: String,
    /// When the hub was known to have it, by this device's clock; null until then.
    pub at_hub: Option<String>,
    /// What it states.
    pub detail: Option<Value>,
}

/// A row of the month-end sheet. Quantities in thousandths of the unit, money in the currency's minor unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetRow {
    /// The shipment's number.
    pub number: String,
    /// Who it went to.
    pub consignee: String,
    /// The status for people.
    pub status: Option<Label>,
    /// The line.
    pub line: String,
    /// The article's number.
    pub sku: String,
    /// The article's name.
    pub name: String,
    /// The lot.
    pub lot: String,
    /// The unit.
    pub unit: String,
    /// Ordered.
    pub ordered: i64,
    /// Delivered in good order.
    pub delivered: i64,
    /// Missing.
    pub short: i64,
    /// Damaged.
    pub damaged: i64,
    /// Taken back.
    pub returned: i64,
    /// Money due, on the shipment's first line only, so that sums are right.
    pub due: Option<i64>,
    /// Money collected, on the shipment's first line only.
    pub collected: Option<i64>,
    /// Who took it.
    pub receiver: String,
    /// Who recorded it.
    pub recorded_by: String,
    /// When, by that device's clock.
    pub at: String,
    /// What people have to look at.
    pub exceptions: String,
    /// The same in 简体中文.
    pub exceptions_zh: String,
}
