//! Devices of the same organisation on the same network, found by DNS-SD over multicast DNS (RFC 6763, RFC 6762).
//!
//! A driver at a shop's door reaches the shop's node with no internet. Each node tells which device it is and where it listens;
//! that is a hint and no more: a key that is no member's by the roster held here is passed by, who answers must show that key in
//! the handshake, and the core looks it up in the roster. Of two devices that find each other the one with the lower key dials.

use super::backoff::Pause;
use super::connection::Links;
use super::contacts::Contact;
use super::raw_keys;
use super::tickets::Tickets;
use super::transport::{connect, transport};
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
/// How often it is looked for devices that are there and have no connection.
const AGAIN: Duration = Duration::from_secs(10);
/// The longest pause between two attempts with one that tells of itself and does not answer, or hangs up, while no edit waits.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Addresses of a device that are tried.
const ADDRESSES_MAX: usize = 4;
/// Devices remembered at once.
const FOUND_MAX: usize = 256;

/// The network that this device is on.
#[derive(Debug)]
pub(crate) struct Lan {
    pub(crate) links: Links,
    pub(crate) endpoint: Endpoint,
    pub(crate) device: SigningKey,
}

/// A device that was found.
#[derive(Debug)]
struct Found {
    addresses: Vec<SocketAddr>,
    config: quinn::ClientConfig,
    /// Yields how long a connection stood.
    dialling: Option<JoinHandle<Duration>>,
    pause: Pause,
    /// When it is dialled again.
    again: Instant,
}

impl Found {
    fn new(addresses: Vec<SocketAddr>, config: quinn::ClientConfig) -> Self {
        Self { addresses, config, dialling: None, pause: Pause::new(AGAIN / 2, PAUSE_MAX), again: Instant::now() }
    }

    /// Something has changed: it is tried again at once.
    fn hope(&mut self) {
        self.pause.reset();
        self.again = Instant::now();
    }
}

/// What tells devices of one organisation from others on the same network, without naming it.
fn mark(organisation: &OrganisationId) -> String {
    let mark = blake3::derive_key("creel/lan/1", &organisation.0);
    data_encoding::HEXLOWER.encode(&mark[..8])
}

impl Lan {
    /// Tells of this device and dials others, for as long as the node runs.
    pub(crate) async fn keep(self) {
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
        let (own, mark) = (self.links.own, mark(&self.links.organisation));
        let properties = [("key", own.to_string()), ("org", mark.clone())];
        let name = own.to_string()[..16].to_owned();
        let host = format!("creel-{name}.local.");
        let service = ServiceInfo::new(SERVICE, &name, &host, "", address.port(), &properties[..])?;
        daemon.register(service.enable_addr_auto())?;
        let mut events = daemon.browse(SERVICE)?;
        let mut members = self.links.shell.signals.members.subscribe();
        let mut found: HashMap<DeviceKey, Found> = HashMap::new();
        let mut again = tokio::time::interval(AGAIN);
        loop {
            tokio::select! {
                event = events.recv_async() => match event {
                    Ok(ServiceEvent::ServiceResolved(service)) => self.resolved(&service, &mark, &mut found),
                    Ok(ServiceEvent::ServiceRemoved(_, name)) => {
                        found.retain(|key, _| !name.starts_with(&key.to_string()[..16]));
                    }
                    Ok(_) => continue,
                    Err(_) => return Ok(()),
                },
                Ok(()) = members.changed() => {
                    // Who was passed by may belong now: looking anew tells again of all that are there.
                    found.retain(|key, _| self.links.shell.signals.is_member(key));
                    events = daemon.browse(SERVICE)?;
                }
                () = self.links.shell.signals.road.notified() => found.values_mut().for_each(Found::hope),
                _ = again.tick() => {}
            }
            for (key, found) in &mut found {
                self.dial(*key, found);
            }
        }
    }

    fn resolved(&self, service: &ResolvedService, mark: &str, found: &mut HashMap<DeviceKey, Found>) {
        let Some(key) = service.get_property_val_str("key").and_then(|key| DeviceKey::parse(key).ok()) else { return };
        // The other one dials, if it is not ourselves.
        if service.get_property_val_str("org") != Some(mark) || key <= self.links.own {
            return;
        }
        // Anybody on the network can tell of any number of keys; such as are no member's cost no handshake and take no place.
        if !self.links.shell.signals.is_member(&key) {
            return tracing::debug!(device = %key.short(), "a device on this network is no member by the roster held here");
        }
        let port = service.get_port();
        let told = service.get_addresses_v4().into_iter().take(ADDRESSES_MAX);
        let addresses = told.map(|address| SocketAddr::from((address, port))).collect();
        if let Some(known) = found.get_mut(&key) {
            if known.addresses != addresses {
                known.addresses = addresses;
                known.hope();
            }
        } else if found.len() < FOUND_MAX {
            match raw_keys::client(&self.device, raw_keys::Whom::Member(key, Arc::new(Tickets::default()))) {
                Ok(tls) => {
                    let mut config = quinn::ClientConfig::new(Arc::new(tls));
                    config.transport_config(transport());
                    tracing::info!(device = %key.short(), "found another device on this network");
                    found.insert(key, Found::new(addresses, config));
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }

    fn dial(&self, key: DeviceKey, found: &mut Found) {
        let near = {
            let contacts = self.links.contacts.lock().unwrap_or_else(PoisonError::into_inner);
            contacts.get(&key).is_some_and(Contact::is_near)
        };
        if let Some(stood) = found.dialling.take_if(|task| task.is_finished()) {
            let stood = stood.now_or_never().and_then(Result::ok).unwrap_or_default();
            found.again = Instant::now() + found.pause.after(stood);
        }
        let waits = self.links.shell.signals.waiting.load(Ordering::Relaxed) > 0;
        if near || found.dialling.is_some() || (found.again > Instant::now() && !waits) {
            return;
        }
        let (links, endpoint) = (self.links.clone(), self.endpoint.clone());
        let (config, addresses) = (found.config.clone(), found.addresses.clone());
        found.dialling = Some(tokio::spawn(async move {
            for address in addresses {
                match connect(&endpoint, &config, &address.to_string()).await {
                    Ok(connection) => {
                        let began = Instant::now();
                        links.meet(&connection, key).await;
                        return began.elapsed();
                    }
                    Err(why) => tracing::debug!(%address, "a device on this network does not answer: {why}"),
                }
            }
            Duration::ZERO
        }));
    }
}
