//! Devices of the same organisation on the same network, found by DNS-SD over multicast DNS (RFC 6763, RFC 6762).
//!
//! A driver's device reaches a shop's node without internet. Each node announces its key and the port it listens on. An announcement
//! is only a hint: a key that is no member's by the roster held here is ignored, the device must prove the key in the handshake, and
//! the core checks the roster. Of two devices that find each other the one with the lower key dials.

use super::backoff::Backoff;
use super::connection::Connections;
use super::contacts::Contact;
use super::raw_keys;
use super::tickets::Tickets;
use super::transport::{connect, transport_config};
use creel_protocol::id::{DeviceKey, OrganisationId};
use ed25519_dalek::SigningKey;
use futures_util::FutureExt;
use mdns_sd::{ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use quinn::Endpoint;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SERVICE: &str = "_creel._udp.local.";
/// How often found devices without a connection are checked.
const REDIAL_INTERVAL: Duration = Duration::from_secs(10);
/// The longest delay between two attempts at a device that does not answer, or closes at once, while no edit waits.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How many addresses of a device are tried.
const ADDRESSES_MAX: usize = 4;
/// How many found devices are remembered.
const FOUND_DEVICES_MAX: usize = 256;

/// Finds devices on the network that this device is on.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) connections: Connections,
    pub(crate) endpoint: Endpoint,
    pub(crate) device: SigningKey,
}

/// A device that was found.
#[derive(Debug)]
struct FoundDevice {
    addresses: Vec<SocketAddr>,
    config: quinn::ClientConfig,
    /// Yields how long the connection lasted.
    dialling: Option<JoinHandle<Duration>>,
    backoff: Backoff,
    /// When it is dialled next.
    redial_at: Instant,
}

impl FoundDevice {
    fn new(addresses: Vec<SocketAddr>, config: quinn::ClientConfig) -> Self {
        Self {
            addresses,
            config,
            dialling: None,
            backoff: Backoff::new(REDIAL_INTERVAL / 2, BACKOFF_MAX),
            redial_at: Instant::now(),
        }
    }

    /// Dials it at once, because something has changed.
    fn retry_now(&mut self) {
        self.backoff.reset();
        self.redial_at = Instant::now();
    }
}

/// Tells devices of one organisation from others on the same network without naming it: the first 8 bytes of a hash of its id.
fn organisation_tag(organisation: &OrganisationId) -> String {
    let organisation_tag = blake3::derive_key("creel/lan/1", &organisation.0);
    data_encoding::HEXLOWER.encode(&organisation_tag[..8])
}

impl Discovery {
    /// Announces this device and dials others, for as long as the node runs.
    pub(crate) async fn run(self) {
        if let Err(error) = self.search().await {
            tracing::info!("other devices on this network are not found by themselves: {error}");
        }
    }

    async fn search(&self) -> Result<(), mdns_sd::Error> {
        let Ok(address) = self.endpoint.local_addr() else { return Ok(()) };
        if address.ip().is_loopback() {
            return Ok(());
        }
        let daemon = ServiceDaemon::new()?;
        let (own, organisation_tag) = (self.connections.own, organisation_tag(&self.connections.organisation));
        let properties = [("key", own.to_string()), ("org", organisation_tag.clone())];
        let name = own.to_string()[..16].to_owned();
        let host = format!("creel-{name}.local.");
        let service = ServiceInfo::new(SERVICE, &name, &host, "", address.port(), &properties[..])?;
        daemon.register(service.enable_addr_auto())?;
        let mut events = daemon.browse(SERVICE)?;
        let mut members = self.connections.store.signals.members.subscribe();
        let mut found: HashMap<DeviceKey, FoundDevice> = HashMap::new();
        let mut redial = tokio::time::interval(REDIAL_INTERVAL);
        loop {
            tokio::select! {
                event = events.recv_async() => match event {
                    Ok(ServiceEvent::ServiceResolved(service)) => self.resolved(&service, &organisation_tag, &mut found),
                    Ok(ServiceEvent::ServiceRemoved(_, name)) => {
                        found.retain(|key, _| !name.starts_with(&key.to_string()[..16]));
                    }
                    Ok(_) => continue,
                    Err(_) => return Ok(()),
                },
                Ok(()) = members.changed() => {
                    // An ignored device may be a member now: browsing anew yields every device again.
                    found.retain(|key, _| self.connections.store.signals.is_member(key));
                    events = daemon.browse(SERVICE)?;
                }
                () = self.connections.store.signals.redial_peers.notified() => found.values_mut().for_each(FoundDevice::retry_now),
                _ = redial.tick() => {}
            }
            for (key, found) in &mut found {
                self.dial(*key, found);
            }
        }
    }

    fn resolved(&self, service: &ResolvedService, organisation_tag: &str, found: &mut HashMap<DeviceKey, FoundDevice>) {
        let Some(key) = service.get_property_val_str("key").and_then(|key| DeviceKey::parse(key).ok()) else { return };
        // A device with a lower key dials this one; the same key is this device.
        if service.get_property_val_str("org") != Some(organisation_tag) || key <= self.connections.own {
            return;
        }
        // Anybody on the network can announce any number of keys. A key that is no member's costs no handshake and no memory.
        if !self.connections.store.signals.is_member(&key) {
            return tracing::debug!(device = %key.short(), "a device on this network is no member by the roster held here");
        }
        let port = service.get_port();
        let told = service.get_addresses_v4().into_iter().take(ADDRESSES_MAX);
        let addresses = told.map(|address| SocketAddr::from((address, port))).collect();
        if let Some(known) = found.get_mut(&key) {
            if known.addresses != addresses {
                known.addresses = addresses;
                known.retry_now();
            }
        } else if found.len() < FOUND_DEVICES_MAX {
            match raw_keys::client_config(
                &self.device,
                raw_keys::ExpectedPeer::Member(key, Arc::new(Tickets::default())),
            ) {
                Ok(tls) => {
                    let mut config = quinn::ClientConfig::new(Arc::new(tls));
                    config.transport_config(transport_config());
                    tracing::info!(device = %key.short(), "found another device on this network");
                    found.insert(key, FoundDevice::new(addresses, config));
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }

    fn dial(&self, key: DeviceKey, found: &mut FoundDevice) {
        let is_connected = {
            let contacts = self.connections.contacts.lock().unwrap_or_else(PoisonError::into_inner);
            contacts.get(&key).is_some_and(Contact::was_heard_recently)
        };
        if let Some(lifetime) = found.dialling.take_if(|task| task.is_finished()) {
            let lifetime = lifetime.now_or_never().and_then(Result::ok).unwrap_or_default();
            found.redial_at = Instant::now() + found.backoff.next_delay(lifetime);
        }
        let has_waiting = self.connections.store.signals.waiting.load(Ordering::Relaxed) > 0;
        if is_connected || found.dialling.is_some() || (found.redial_at > Instant::now() && !has_waiting) {
            return;
        }
        let (connections, endpoint) = (self.connections.clone(), self.endpoint.clone());
        let (config, addresses) = (found.config.clone(), found.addresses.clone());
        found.dialling = Some(tokio::spawn(async move {
            for address in addresses {
                match connect(&endpoint, &config, &address.to_string()).await {
                    Ok(connection) => {
                        let began = Instant::now();
                        connections.run_dialled_session(&connection, key).await;
                        return began.elapsed();
                    }
                    Err(why) => tracing::debug!(%address, "a device on this network does not answer: {why}"),
                }
            }
            Duration::ZERO
        }));
    }
}
