//! Connections to peers: accepting, dialling again and again, and carrying frames both ways.

use crate::framing::{self, FramingError};
use crate::shell::{LinkOut, Shell};
use crate::tls::{ALPN_ENROL, key_in};
use creel_protocol::core::io::Reply;
use creel_protocol::id::{DeviceKey, OrganisationId};
use creel_protocol::roster::invite::EXPORTER_LABEL;
use creel_protocol::sync::Frame;
use quinn::{Connection, Endpoint, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A peer that says nothing for this long is gone.
const IDLE: Duration = Duration::from_secs(15);
/// How often a quiet connection is kept open.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a handshake may take: several round trips of a bad road.
const HANDSHAKE: Duration = Duration::from_secs(4);
/// The first pause before dialling again; it doubles.
const REDIAL_MIN: Duration = Duration::from_millis(250);
/// The longest pause while nothing waits to be delivered.
const REDIAL_IDLE_MAX: Duration = Duration::from_secs(15);
/// The longest pause while an edit waits.
const REDIAL_WAITING_MAX: Duration = Duration::from_secs(1);
/// While an edit waits and the peer says nothing for this long, a new connection is tried.
const SILENCE: Duration = Duration::from_secs(3);
/// Connections accepted at once.
const CONNECTIONS_MAX: usize = 4_096;

/// Close codes, told to the peer.
const CLOSE_DONE: VarInt = VarInt::from_u32(0);
const CLOSE_REFUSED: VarInt = VarInt::from_u32(1);

/// What is known of the connection to a peer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Contact {
    /// Where it was last seen.
    pub(crate) address: String,
    /// When, by this device's clock, in milliseconds since the Unix epoch.
    pub(crate) last_seen: u64,
}

/// Where peers were last seen.
pub(crate) type Contacts = Arc<Mutex<HashMap<DeviceKey, Contact>>>;

/// What every link needs.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    pub(crate) shell: Shell,
    pub(crate) organisation: OrganisationId,
    pub(crate) contacts: Contacts,
}

/// The transport for both sides.
pub(crate) fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(IDLE.try_into().ok());
    transport.keep_alive_interval(Some(KEEP_ALIVE));
    // One stream each way is all this version uses.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(4));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    Arc::new(transport)
}

/// The key that the handshake proved.
pub(crate) fn peer_key(connection: &Connection) -> Option<DeviceKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key_in(identity.first()?)
}

/// The value both ends of a connection derive, and nobody else.
pub(crate) fn exporter(connection: &Connection) -> Option<[u8; 32]> {
    let mut value = [0; 32];
    connection.export_keying_material(&mut value, EXPORTER_LABEL, &[]).ok().map(|()| value)
}

fn alpn(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?.protocol
}

impl Links {
    /// Accepts connections until the endpoint closes.
    pub(crate) async fn accept(self, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            if endpoint.open_connections() > CONNECTIONS_MAX {
                incoming.refuse();
                continue;
            }
            let links = self.clone();
            tokio::spawn(async move {
                let address = incoming.remote_address();
                match timeout(HANDSHAKE, async { incoming.await }).await {
                    Ok(Ok(connection)) => links.accepted(connection).await,
                    Ok(Err(error)) => tracing::debug!(%address, "a handshake failed: {error}"),
                    Err(_) => tracing::debug!(%address, "a handshake took too long"),
                }
            });
        }
    }

    async fn accepted(self, connection: Connection) {
        if alpn(&connection).as_deref() == Some(ALPN_ENROL) {
            if let Err(why) = timeout(IDLE, self.enrol(&connection)).await.unwrap_or(Err("it took too long".into())) {
                tracing::warn!(address = %connection.remote_address(), "an enrolment failed: {why}");
                connection.close(CLOSE_REFUSED, b"enrolment refused");
            }
        } else {
            self.carry(connection, false).await;
        }
    }

    /// The hub's side of an enrolment: one request, one answer.
    async fn enrol(&self, connection: &Connection) -> Result<(), String> {
        let device = peer_key(connection).ok_or("the device showed no key")?;
        let exporter = exporter(connection).ok_or("the connection has no exporter")?;
        let (mut send, mut receive) = connection.accept_bi().await.map_err(|error| error.to_string())?;
        let (frame, _) = framing::read(&mut receive, &self.organisation).await.map_err(|error| self.unread(&error))?;
        let Frame::Redeem(redeem) = frame else {
            self.shell.signals.malformed.fetch_add(1, Ordering::Relaxed);
            return Err("the device sent something else".to_owned());
        };
        let (answer, result) = match self.shell.redeem(device, exporter, redeem).await {
            Ok(Reply::Welcome(welcome)) => (Frame::Welcome(welcome), Ok(())),
            Ok(_) => (Frame::Refuse("the hub is confused".to_owned()), Err("another reply".to_owned())),
            Err(refusal) => (Frame::Refuse(refusal.to_string()), Err(refusal.to_string())),
        };
        framing::write(&mut send, &answer).await.map_err(|error| error.to_string())?;
        let _ = send.finish();
        // The device closes when it has read the answer.
        let _ = timeout(HANDSHAKE, connection.closed()).await;
        result
    }

    /// Dials the hub, and again whenever the connection ends. At once when an edit begins to wait.
    pub(crate) async fn dial(self, endpoint: Endpoint, config: quinn::ClientConfig, addresses: Vec<String>) {
        let mut pause = REDIAL_MIN;
        for address in addresses.iter().cycle() {
            let began = Instant::now();
            match connect(&endpoint, &config, address).await {
                Ok(connection) => {
                    tracing::info!(%address, "connected to the hub");
                    self.clone().carry(connection, true).await;
                    tracing::info!(%address, "the connection to the hub ended");
                    pause = REDIAL_MIN;
                }
                Err(why) => tracing::debug!(%address, "the hub could not be reached: {why}"),
            }
            let waiting = self.shell.signals.waiting.load(Ordering::Relaxed) > 0;
            pause = pause.min(if waiting { REDIAL_WAITING_MAX } else { REDIAL_IDLE_MAX });
            // A connection that is refused as soon as it is made is not tried in a tight loop.
            let rest = pause.saturating_sub(began.elapsed() / 8);
            tokio::select! {
                () = tokio::time::sleep(rest.max(REDIAL_MIN)) => pause *= 2,
                () = self.shell.signals.waits.notified() => pause = REDIAL_MIN,
            }
        }
    }

    /// Carries frames both ways until the connection ends.
    async fn carry(self, connection: Connection, dialled: bool) {
        let Some(peer) = peer_key(&connection) else { return };
        let streams = if dialled {
            connection.open_bi().await
        } else {
            // The stream comes into being with the dialling side's first frame, its greeting.
            match timeout(IDLE, connection.accept_bi()).await {
                Ok(streams) => streams,
                Err(_) => return,
            }
        };
        let Ok((send, receive)) = streams else { return };
        let (session, frames) = self.shell.connected(peer, dialled).await;
        self.seen(peer, &connection);
        tokio::select! {
            why = self.read(&connection, peer, session, receive) => {
                tracing::debug!(peer = %peer.short(), "a session ended: {why}");
                connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
            }
            why = write(send, frames) => {
                let why = why.unwrap_or_else(|| "done".to_owned());
                connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
            }
            () = self.silence(&connection), if dialled => {
                tracing::debug!(peer = %peer.short(), "the peer says nothing: dialling anew");
                connection.close(CLOSE_DONE, b"silence");
            }
        }
        self.seen(peer, &connection);
        self.shell.disconnected(session).await;
    }

    async fn read(
        &self,
        connection: &Connection,
        peer: DeviceKey,
        session: u64,
        mut stream: quinn::RecvStream,
    ) -> String {
        loop {
            match framing::read(&mut stream, &self.organisation).await {
                Ok((frame, refused)) => {
                    let refused = refused.iter().map(ToString::to_string).collect();
                    self.shell.received(session, frame, refused).await;
                    self.seen(peer, connection);
                }
                Err(FramingError::Ended) => return "the peer ended the session".to_owned(),
                Err(error) => {
                    let why = self.unread(&error);
                    if matches!(error, FramingError::Frame(_)) {
                        tracing::warn!(peer = %peer.short(), "refused: {error}");
                    } else if let Some(quinn::ConnectionError::ApplicationClosed(closed)) = connection.close_reason() {
                        let reason = String::from_utf8_lossy(&closed.reason).into_owned();
                        if closed.error_code == CLOSE_REFUSED {
                            tracing::warn!(peer = %peer.short(), "the peer closed the connection: {reason}");
                        }
                        return reason;
                    }
                    return why;
                }
            }
        }
    }

    /// Why nothing more is read from a peer; what is not a frame is counted, as everything refused is.
    fn unread(&self, error: &FramingError) -> String {
        if matches!(error, FramingError::Frame(_)) {
            self.shell.signals.malformed.fetch_add(1, Ordering::Relaxed);
        }
        error.to_string()
    }

    /// Ends when edits wait and nothing at all has come from the peer for a while.
    async fn silence(&self, connection: &Connection) {
        let (mut heard, mut since) = (connection.stats().udp_rx.datagrams, Instant::now());
        loop {
            tokio::time::sleep(SILENCE / 6).await;
            let now = connection.stats().udp_rx.datagrams;
            let waiting = self.shell.signals.waiting.load(Ordering::Relaxed) > 0;
            if now != heard || !waiting {
                (heard, since) = (now, Instant::now());
            } else if since.elapsed() >= SILENCE {
                return;
            }
        }
    }

    fn seen(&self, peer: DeviceKey, connection: &Connection) {
        let contact = Contact { address: connection.remote_address().to_string(), last_seen: crate::shell::now().0 };
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, contact);
    }
}

/// Writes what the core hands out; ends when the core is done with the session.
async fn write(mut stream: quinn::SendStream, mut frames: mpsc::UnboundedReceiver<LinkOut>) -> Option<String> {
    while let Some(out) = frames.recv().await {
        match out {
            LinkOut::Send(frame) => {
                if let Err(error) = framing::write(&mut stream, &frame).await {
                    return Some(error.to_string());
                }
            }
            LinkOut::Close(why) => return Some(why),
        }
    }
    None
}

/// A connection to an address such as `hub.example:4910`.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    config: &quinn::ClientConfig,
    address: &str,
) -> Result<Connection, String> {
    let found: Vec<SocketAddr> =
        tokio::net::lookup_host(address).await.map_err(|error| format!("“{address}”: {error}"))?.collect();
    let mut last = format!("“{address}” has no address");
    for target in found {
        let dialled = async {
            let connecting =
                endpoint.connect_with(config.clone(), target, "creel").map_err(|error| error.to_string())?;
            connecting.await.map_err(|error| error.to_string())
        };
        match timeout(HANDSHAKE, dialled).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) => last = why,
            Err(_) => "no answer".clone_into(&mut last),
        }
    }
    Err(last)
}

fn truncated(why: &str) -> String {
    why.chars().take(120).collect()
}
