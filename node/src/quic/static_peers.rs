//! Devices at fixed addresses, such as a shop's: dialled beside the hub and beside those that are found on the same network.
//!
//! Of an address nothing is known but that somebody wrote it down. Who answers tells its key in the handshake, and is spoken to
//! only if that is a member's by the roster held here; the core looks it up again, as on every connection.
//!
//! What is left out, on purpose: tickets (which device answers is known only after the handshake), and the repetition of what
//! waits, which is for the hub's road.

use super::backoff::Pause;
use super::connection::Links;
use super::raw_keys::{self, Whom};
use super::transport::{CLOSE_DONE, connect, peer_key, transport};
use creel_protocol::id::DeviceKey;
use ed25519_dalek::SigningKey;
use quinn::{Connection, Endpoint};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause between two attempts; it doubles, until a connection stands.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause while an edit waits, and while none does.
const PAUSE_MAX: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// A fixed address.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) links: Links,
    pub(crate) endpoint: Endpoint,
    pub(crate) device: SigningKey,
    pub(crate) address: String,
}

impl Fixed {
    /// Keeps a connection to whoever is at the address, for as long as the node runs.
    pub(crate) async fn keep(self) {
        let tls = match raw_keys::client(&self.device, Whom::AnyMember) {
            Ok(tls) => tls,
            Err(error) => return tracing::warn!("{error}"),
        };
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(transport());
        let mut pause = Pause::new(PAUSE_MIN, PAUSE_MAX.1);
        let mut told = String::new();
        loop {
            let (why, stood) = match connect(&self.endpoint, &config, &self.address).await {
                Ok(connection) => {
                    let began = Instant::now();
                    (self.meet(&connection).await, began.elapsed())
                }
                Err(why) => (why, Duration::ZERO),
            };
            // The same each minute would fill the log.
            if why == told {
                tracing::debug!(address = %self.address, "not connected: {why}");
            } else {
                tracing::info!(address = %self.address, "not connected: {why}");
                told = why;
            }
            self.rest(pause.after(stood)).await;
        }
    }

    /// Waits before the next attempt, at most as long as `pause`.
    async fn rest(&self, pause: Duration) {
        let signals = &self.links.shell.signals;
        let waits = signals.waiting.load(Ordering::Relaxed) > 0;
        let pause = pause.min(if waits { PAUSE_MAX.0 } else { PAUSE_MAX.1 });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = signals.road.notified() => {}
        }
    }

    /// Speaks with a member who answered, until the connection ends; tells why it did.
    async fn meet(&self, connection: &Connection) -> String {
        let Some(key) = peer_key(connection) else { return "it showed no key".to_owned() };
        if let Err(why) = self.welcome(key) {
            connection.close(CLOSE_DONE, why.as_bytes());
            return why;
        }
        tracing::info!(address = %self.address, device = %key.short(), "connected");
        self.links.meet(connection, key).await
    }

    /// Whether there is anything to say to this device that is not said elsewhere.
    fn welcome(&self, key: DeviceKey) -> Result<(), String> {
        if key == self.links.own {
            return Err("that is this device's own address".to_owned());
        }
        if !self.links.shell.signals.is_member(&key) {
            return Err(format!("device {} is no member of this organisation", key.short()));
        }
        if key == self.links.hub && self.links.dials_hub {
            return Err("that is the hub, which is dialled anyhow".to_owned());
        }
        Ok(())
    }
}
