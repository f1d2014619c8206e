//! The node's answers, as far as tables show them. Scripts get the answers whole, as they came.

use creel_protocol::workflow::Label;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// An edit that was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) edit: String,
    pub(crate) id: String,
    pub(crate) number: String,
}

/// A shipment in a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) status_label: Label,
    pub(crate) colour: String,
    pub(crate) exceptions: u64,
    pub(crate) consignee: String,
    pub(crate) driver: String,
    pub(crate) run: String,
    pub(crate) window: String,
}

/// A shipment with everything about it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) number: String,
    pub(crate) status_label: Label,
    pub(crate) colour: String,
    pub(crate) plan: BTreeMap<String, Value>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) timeline: Vec<TimelineEntry>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) edits_hash: String,
    pub(crate) view_hash: String,
}

/// A field that several people changed at once.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Conflict {
    pub(crate) field: String,
    pub(crate) values: Vec<Candidate>,
}

/// One of its values.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) value: Value,
    pub(crate) edit: String,
    pub(crate) author: String,
}

/// One edit in the timeline.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TimelineEntry {
    pub(crate) edit: String,
    pub(crate) action: String,
    pub(crate) author: String,
    pub(crate) by: Option<String>,
    pub(crate) at: String,
    pub(crate) clock_behind: bool,
    pub(crate) why_not: Option<String>,
    pub(crate) label: Option<Label>,
    pub(crate) standing: Option<String>,
    #[serde(default)]
    pub(crate) skipped: Vec<String>,
    pub(crate) detail: Option<Value>,
}

/// Something a person has to look at.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Exception {
    pub(crate) kind: String,
    pub(crate) edits: Vec<String>,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) text_zh: String,
}

/// One edit of a shipment's history.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HistoryRow {
    pub(crate) edit: String,
    pub(crate) author: String,
    pub(crate) by: Option<String>,
    pub(crate) action: String,
    pub(crate) counted: bool,
    pub(crate) why_not: Option<String>,
    pub(crate) at: String,
    pub(crate) arrived: String,
    pub(crate) at_hub: Option<String>,
    pub(crate) detail: Option<Value>,
}

/// How the node is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    pub(crate) organisation: String,
    pub(crate) organisation_id: String,
    pub(crate) device: String,
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) party: Option<String>,
    pub(crate) hub: bool,
    pub(crate) shipments: u64,
    pub(crate) waiting: u64,
    #[serde(default)]
    pub(crate) held_back: u64,
    #[serde(default)]
    pub(crate) refused: u64,
    #[serde(default)]
    pub(crate) refreshing: u64,
    #[serde(default)]
    pub(crate) roster_height: u64,
    pub(crate) quic: Option<String>,
    pub(crate) http: Option<String>,
    pub(crate) peers: Vec<Peer>,
}

/// Another member.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) party: Option<String>,
    pub(crate) hub: bool,
    pub(crate) connected: bool,
    pub(crate) unacknowledged: u64,
    pub(crate) address: Option<String>,
    pub(crate) last_seen: Option<String>,
}
