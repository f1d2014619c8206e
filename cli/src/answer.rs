//! The node's answers, as far as tables show them. Scripts get the answers whole, as they came.

pub(crate) use creel_api::answer::{Entry, Exception, HistoryRow, Row, Shown};
pub(crate) use creel_protocol::core::io::Made;
use serde::Deserialize;

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
