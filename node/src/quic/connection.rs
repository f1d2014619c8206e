//! Connections to peers: accepting them, and carrying frames both ways. How a device reaches its hub is in `dial`.

use super::contacts::{self, Contacts};
use super::framing::{self, FramingError};
use super::liveness::until_unresponsive;
use super::raw_keys::{ALPN_ENROL, ALPN_MEMBERS};
use super::replaced::ConnectionsByDevice;
use super::transport::{CLOSE_DONE, CLOSE_REFUSED, HANDSHAKE_TIMEOUT, KEEP_ALIVE_INTERVAL, alpn, peer_key, truncated};
use crate::folder::Folder;
use crate::photos::wanted::WantedPhotos;
use crate::store_thread::{ConnectionOutput, StoreHandle};
use creel_protocol::cbor::Encode;
use creel_protocol::id::{DeviceKey, OrganisationId};
use creel_protocol::sync::packed::{pack, unpack};
use creel_protocol::sync::{Frame, FrameError};
use quinn::{Connection, Endpoint};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

/// How long a peer may take for its first frame, and for an enrolment.
pub(super) const FRAME_TIMEOUT: Duration = Duration::from_secs(15);
/// How many connections are accepted at once.
const CONNECTIONS_MAX: usize = 4_096;
/// With this many connections a peer must first show that it receives at the address it sends from (a QUIC Retry).
const VALIDATE_ADDRESS_ABOVE: usize = CONNECTIONS_MAX / 4;

/// What every connection needs; cloned for each.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) store: StoreHandle,
    pub(crate) organisation: OrganisationId,
    pub(crate) contacts: Contacts,
    pub(crate) by_device: ConnectionsByDevice,
    pub(crate) folder: Folder,
    /// This device.
    pub(crate) own: DeviceKey,
    pub(crate) hub: DeviceKey,
    /// Whether this device knows an address of the hub and dials it.
    pub(crate) dials_hub: bool,
    pub(crate) wanted: Arc<WantedPhotos>,
}

/// Which side of a connection this is.
#[derive(Debug, Clone)]
pub(crate) enum Side {
    /// This device dialled.
    Dialled,
    /// The peer dialled. The receiver tells how many newer connections may replace this one; it is paused while there is any.
    Accepted(watch::Receiver<usize>),
}

/// What is done with an incoming connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Accept,
    /// The peer must prove its address first: a first datagram can name any address, and would take a place until its handshake has
    /// failed.
    ValidateAddress,
    Refuse,
}

/// What is done with an incoming connection while there are this many. Far below the limit the round trip of the proof is saved.
fn admission(connections: usize, address_is_proven: bool) -> Admission {
    match connections {
        CONNECTIONS_MAX.. => Admission::Refuse,
        VALIDATE_ADDRESS_ABOVE.. if !address_is_proven => Admission::ValidateAddress,
        _ => Admission::Accept,
    }
}

impl Connections {
    /// Accepts connections until the endpoint closes.
    pub(crate) async fn accept(self, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            match admission(endpoint.open_connections(), incoming.remote_address_validated()) {
                Admission::Accept => {}
                Admission::ValidateAddress => {
                    if let Err(error) = incoming.retry() {
                        error.into_incoming().refuse();
                    }
                    continue;
                }
                Admission::Refuse => {
                    incoming.refuse();
                    continue;
                }
            }
            let connections = self.clone();
            tokio::spawn(async move {
                let address = incoming.remote_address();
                if let Err(why) = connections.handle_incoming(incoming).await {
                    tracing::debug!(%address, "a handshake failed: {why}");
                }
            });
        }
    }

    async fn handle_incoming(self, incoming: quinn::Incoming) -> Result<(), String> {
        let connecting = incoming.accept().map_err(|error| error.to_string())?;
        let Ok((connection, handshake)) = connecting.into_0rtt() else {
            return Err("it was not ours to accept".into());
        };
        // A ticket tells which device it is, and early data may have come already. From any other device nothing is read, and nothing
        // is sent to it, before the handshake has proven its key.
        let known = peer_key(&connection).is_some() && alpn(&connection).as_deref() == Some(ALPN_MEMBERS);
        let mut handshake = Some(handshake);
        if !known
            && let Some(handshake) = handshake.take()
            && timeout(HANDSHAKE_TIMEOUT, handshake).await.is_err()
        {
            connection.close(CLOSE_DONE, b"the handshake took too long");
            return Err("it took too long".to_owned());
        }
        if let Some(error) = connection.close_reason() {
            return Err(error.to_string());
        }
        if alpn(&connection).as_deref() == Some(ALPN_ENROL) {
            if let Err(why) = timeout(FRAME_TIMEOUT, self.answer_enrolment(&connection))
                .await
                .unwrap_or(Err("it took too long".into()))
            {
                tracing::warn!(address = %connection.remote_address(), "an enrolment failed: {why}");
                connection.close(CLOSE_REFUSED, b"enrolment refused");
            }
        } else if let Some(peer) = peer_key(&connection) {
            // Anybody can make a key. The core would refuse it too, but only after frames were read and memory was taken.
            if !self.store.signals.is_member(&peer) {
                self.store.signals.malformed.fetch_add(1, Ordering::Relaxed);
                let why = not_a_member(&peer);
                tracing::warn!(peer = %peer.short(), address = %connection.remote_address(), "refused: {why}");
                connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
                return Ok(());
            }
            let registration = self.by_device.register(peer, &connection);
            let side = Side::Accepted(registration.newer.clone());
            let confirmed = async {
                if let Some(handshake) = handshake {
                    handshake.await;
                }
                if connection.close_reason().is_none() {
                    registration.confirm();
                }
            };
            let number = AtomicU64::default();
            let (why, ()) = tokio::join!(self.run_session(&connection, peer, side, &number), confirmed);
            connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
        }
        Ok(())
    }

    /// Carries frames both ways until the connection ends or the core closes the session, and returns why. `number` becomes the
    /// session's number.
    pub(crate) async fn run_session(
        &self,
        connection: &Connection,
        peer: DeviceKey,
        side: Side,
        number: &AtomicU64,
    ) -> String {
        let (streams, newer) = match side {
            Side::Dialled => (connection.open_bi().await, None),
            // The dialling side's first frame, its Hello, opens the stream.
            Side::Accepted(newer) => match timeout(FRAME_TIMEOUT, connection.accept_bi()).await {
                Ok(streams) => (streams, Some(newer)),
                Err(_) => return "no greeting came".to_owned(),
            },
        };
        let (send, receive) = match streams {
            Ok(streams) => streams,
            Err(error) => return error.to_string(),
        };
        let (session, frames) = self.store.connected(peer, newer.is_none()).await;
        number.store(session, Ordering::Relaxed);
        let greeted = Notify::new();
        let why = tokio::select! {
            why = self.read(connection, peer, session, receive, &greeted) => why,
            why = self.read_datagrams(connection, session, &greeted) => why,
            why = write(connection, send, frames, newer) => why.unwrap_or_else(|| "done".to_owned()),
            why = self.serve_photos(connection, peer) => why,
            why = self.fetch_photos(connection, peer) => why,
            () = self.note_activity(connection, peer) => "it ended".to_owned(),
        };
        tracing::debug!(peer = %peer.short(), "a session ended: {why}");
        self.store.disconnected(session).await;
        why
    }

    /// A session with a dialled device other than the hub, until the connection ends or the device no longer answers.
    pub(crate) async fn run_dialled_session(&self, connection: &Connection, peer: DeviceKey) -> String {
        let silent = async {
            until_unresponsive(connection).await;
            connection.close(CLOSE_DONE, b"nothing was heard any more");
            std::future::pending::<()>().await;
        };
        let number = AtomicU64::default();
        let why = tokio::select! {
            why = self.run_session(connection, peer, Side::Dialled, &number) => why,
            () = silent => "it fell silent".to_owned(),
        };
        connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
        why
    }

    /// Reads frames from the stream. `greeted` is notified when the first one was handed over.
    async fn read(
        &self,
        connection: &Connection,
        peer: DeviceKey,
        session: u64,
        mut stream: quinn::RecvStream,
        greeted: &Notify,
    ) -> String {
        loop {
            match framing::read(&mut stream, &self.organisation).await {
                Ok((frame, refused)) => {
                    let refused = refused.iter().map(ToString::to_string).collect();
                    self.store.received(session, frame, refused).await;
                    // The permit is kept where nobody waits, so notifying again for later frames changes nothing.
                    greeted.notify_one();
                    contacts::note(&self.contacts, peer, connection);
                }
                Err(FramingError::Ended) => return "the peer ended the session".to_owned(),
                Err(error) => {
                    let why = self.read_error(&error);
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

    /// Why reading from a peer ended. Bytes that are no frame are counted as refused.
    pub(super) fn read_error(&self, error: &FramingError) -> String {
        if matches!(error, FramingError::Frame(_)) {
            self.store.signals.malformed.fetch_add(1, Ordering::Relaxed);
        }
        error.to_string()
    }

    /// Reads edits that were sent again in datagrams. A datagram may overtake the stream's first frame, the Hello, without which the
    /// core ends the session: until that frame was handed over, datagrams stay in the connection's buffer.
    async fn read_datagrams(&self, connection: &Connection, session: u64, greeted: &Notify) -> String {
        greeted.notified().await;
        loop {
            let bytes = match connection.read_datagram().await {
                Ok(bytes) => bytes,
                Err(error) => return error.to_string(),
            };
            match unpack(&bytes).and_then(|frame| Frame::decode(&frame, &self.organisation)) {
                Ok((frame @ Frame::Edits(_), refused)) => {
                    let refused = refused.iter().map(ToString::to_string).collect();
                    self.store.received(session, frame, refused).await;
                }
                // A later version may send other frames in datagrams; none that this one knows stands there.
                Ok((frame @ Frame::Unknown(_), _)) => self.store.received(session, frame, Vec::new()).await,
                Ok(_) => return self.read_error(&FramingError::Frame(FrameError::Misplaced)),
                Err(error) => return self.read_error(&error.into()),
            }
        }
    }

    /// Notes when the peer was last heard; never ends.
    async fn note_activity(&self, connection: &Connection, peer: DeviceKey) {
        let mut heard = 0;
        loop {
            let now = connection.stats().udp_rx.datagrams;
            if now != heard {
                heard = now;
                contacts::note(&self.contacts, peer, connection);
            }
            tokio::time::sleep(KEEP_ALIVE_INTERVAL / 4).await;
        }
    }
}

/// Writes the core's frames; ends when the core closes the session. While the connection is paused, edits and roster entries wait,
/// because the newer connection carries them. Acknowledgements do not wait, because the edits they acknowledge came on this one; nor
/// does the Hello, which must come before every other frame.
async fn write(
    connection: &Connection,
    mut stream: quinn::SendStream,
    mut frames: mpsc::Receiver<ConnectionOutput>,
    mut newer: Option<watch::Receiver<usize>>,
) -> Option<String> {
    let mut deferred = VecDeque::new();
    loop {
        let out = tokio::select! {
            // Deferred frames go first.
            biased;
            () = wait_until_unpaused(&mut newer), if !deferred.is_empty() => deferred.pop_front().map(ConnectionOutput::Send)?,
            out = frames.recv() => match out? {
                ConnectionOutput::Send(frame) if may_be_deferred(&frame) && is_paused(newer.as_ref()) => {
                    deferred.push_back(frame);
                    continue;
                }
                out => out,
            },
        };
        match out {
            ConnectionOutput::Send(frame) => {
                if let Err(error) = framing::write(&mut stream, &frame).await {
                    return Some(error.to_string());
                }
            }
            ConnectionOutput::Repeat(frame) => {
                // A frame that does not fit into a datagram, or finds no room, arrives on the stream later.
                if let Err(error) = connection.send_datagram(pack(&frame.to_cbor()).into()) {
                    tracing::debug!("an edit could not be repeated: {error}");
                }
            }
            ConnectionOutput::Close(why) => return Some(why),
        }
    }
}

fn may_be_deferred(frame: &Frame) -> bool {
    !matches!(frame, Frame::Hello(_) | Frame::Ack(_))
}

fn is_paused(newer: Option<&watch::Receiver<usize>>) -> bool {
    newer.is_some_and(|newer| *newer.borrow() > 0)
}

/// Ends when a connection is no longer paused.
async fn wait_until_unpaused(newer: &mut Option<watch::Receiver<usize>>) {
    if let Some(newer) = newer {
        // An error means that the registration is gone and the connection has ended, which others notice.
        let _ = newer.wait_for(|count| *count == 0).await;
    }
}

/// What a device that is no member is told.
fn not_a_member(peer: &DeviceKey) -> String {
    format!("device {} is not a member of this organisation: ask its hub for an invite", peer.short())
}

#[cfg(test)]
mod tests {
    use super::*;
    use creel_protocol::id::EntryId;
    use creel_protocol::sync::frame::Hello;

    /// A connection is accepted at once while there are few, after a proof of the address while there are more, and refused at the
    /// limit.
    #[test]
    fn admission_gets_stricter() {
        assert_eq!([0, 1_023].map(|there| admission(there, false)), [Admission::Accept; 2]);
        assert_eq!([1_024, 4_095].map(|there| admission(there, false)), [Admission::ValidateAddress; 2]);
        assert_eq!([1_024, 4_095].map(|there| admission(there, true)), [Admission::Accept; 2]);
        assert_eq!([false, true].map(|proven| admission(4_096, proven)), [Admission::Refuse; 2]);
    }

    /// A paused connection still sends its Hello: without it an acknowledgement would end the session.
    #[test]
    fn a_hello_is_not_deferred() {
        let hello = Hello::of(OrganisationId([1; 32]), 0, EntryId([2; 32]));
        assert!(!may_be_deferred(&Frame::Hello(hello)) && !may_be_deferred(&Frame::Ack(Vec::new())));
        assert!(may_be_deferred(&Frame::Edits(Vec::new())) && may_be_deferred(&Frame::Roster(Vec::new())));
    }
}
