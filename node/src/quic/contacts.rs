//! Where peers were last heard, and when.

use super::transport::KEEP_ALIVE_INTERVAL;
use creel_protocol::id::DeviceKey;
use quinn::Connection;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many peers' addresses are remembered.
const CONTACTS_MAX: usize = 8_192;

/// What is known of the connection to a peer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Contact {
    /// The address it was last heard from.
    pub(crate) address: String,
    /// When, by this device's clock, in milliseconds since the Unix epoch.
    pub(crate) last_seen: u64,
    /// The same, by the monotonic clock.
    #[serde(skip)]
    heard: Instant,
}

impl Contact {
    /// Whether the peer was heard within two keep-alive intervals.
    pub(crate) fn was_heard_recently(&self) -> bool {
        self.heard.elapsed() < 2 * KEEP_ALIVE_INTERVAL
    }
}

/// Where peers were last seen.
pub(crate) type Contacts = Arc<Mutex<HashMap<DeviceKey, Contact>>>;

/// Notes that a peer was heard on a connection just now.
pub(crate) fn note(all: &Contacts, peer: DeviceKey, connection: &Connection) {
    let contact = Contact {
        address: connection.remote_address().to_string(),
        last_seen: crate::store_thread::now().0,
        heard: Instant::now(),
    };
    let mut contacts = all.lock().unwrap_or_else(PoisonError::into_inner);
    if contacts.len() >= CONTACTS_MAX && !contacts.contains_key(&peer) {
        // The peer that was not heard for the longest time is forgotten.
        let oldest = contacts.iter().min_by_key(|(_, contact)| contact.heard).map(|(key, _)| *key);
        oldest.map(|oldest| contacts.remove(&oldest));
    }
    contacts.insert(peer, contact);
}
