//! Devices at configured addresses, such as a shop's: dialled in addition to the hub and to devices on the same network.
//!
//! Which device an address leads to is not known before the handshake, which proves the device's key. The connection is kept only
//! if that key is a member's by the roster held here; the core checks it again, as on every connection.
//!
//! Left out on purpose: tickets (which device answers is known only after the handshake), and repeating waiting edits, which is done
//! on the connection to the hub only.

use super::backoff::Backoff;
use super::connection::Connections;
use super::raw_keys::{self, ExpectedPeer};
use super::transport::{CLOSE_DONE, connect, peer_key, transport_config};
use creel_protocol::id::DeviceKey;
use ed25519_dalek::SigningKey;
use quinn::{Connection, Endpoint};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The first delay between two attempts; it doubles until a connection lasts.
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// The longest delay while an edit waits.
const BACKOFF_WAITING_MAX: Duration = Duration::from_secs(5);
/// The longest delay while no edit waits.
const BACKOFF_IDLE_MAX: Duration = Duration::from_secs(60);

/// A device at a configured address.
#[derive(Debug)]
pub(crate) struct StaticPeer {
    pub(crate) connections: Connections,
    pub(crate) endpoint: Endpoint,
    pub(crate) device: SigningKey,
    pub(crate) address: String,
}

impl StaticPeer {
    /// Keeps a connection to the device at the address, for as long as the node runs.
    pub(crate) async fn run(self) {
        let tls = match raw_keys::client_config(&self.device, ExpectedPeer::AnyMember) {
            Ok(tls) => tls,
            Err(error) => return tracing::warn!("{error}"),
        };
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(transport_config());
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_IDLE_MAX);
        let mut logged = String::new();
        loop {
            let (why, lifetime) = match connect(&self.endpoint, &config, &self.address).await {
                Ok(connection) => {
                    let began = Instant::now();
                    (self.run_session(&connection).await, began.elapsed())
                }
                Err(why) => (why, Duration::ZERO),
            };
            // The same reason each minute would fill the log.
            if why == logged {
                tracing::debug!(address = %self.address, "not connected: {why}");
            } else {
                tracing::info!(address = %self.address, "not connected: {why}");
                logged = why;
            }
            self.wait_before_redial(backoff.next_delay(lifetime)).await;
        }
    }

    /// Waits before the next attempt, at most for `delay`.
    async fn wait_before_redial(&self, delay: Duration) {
        let signals = &self.connections.store.signals;
        let has_waiting = signals.waiting.load(Ordering::Relaxed) > 0;
        let delay = delay.min(if has_waiting { BACKOFF_WAITING_MAX } else { BACKOFF_IDLE_MAX });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = signals.redial_peers.notified() => {}
        }
    }

    /// Runs a session with the member that answered, and returns why it ended.
    async fn run_session(&self, connection: &Connection) -> String {
        let Some(key) = peer_key(connection) else { return "it showed no key".to_owned() };
        if let Err(why) = self.check_peer(key) {
            connection.close(CLOSE_DONE, why.as_bytes());
            return why;
        }
        tracing::info!(address = %self.address, device = %key.short(), "connected");
        self.connections.run_dialled_session(connection, key).await
    }

    /// Refuses this device itself, strangers, and the hub where it is dialled already.
    fn check_peer(&self, key: DeviceKey) -> Result<(), String> {
        if key == self.connections.own {
            return Err("that is this device's own address".to_owned());
        }
        if !self.connections.store.signals.is_member(&key) {
            return Err(format!("device {} is no member of this organisation", key.short()));
        }
        if key == self.connections.hub && self.connections.dials_hub {
            return Err("that is the hub, which is dialled anyhow".to_owned());
        }
        Ok(())
    }
}
