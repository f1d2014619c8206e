//! Connections to peers: accepting them, and carrying frames both ways. How a device reaches its hub is in `dial`.

use super::contacts::{self, Contacts};
use super::framing::{self, FramingError};
use super::liveness::falls_silent;
use super::raw_keys::{ALPN_ENROL, ALPN_MEMBERS};
use super::replaced::Abreast;
use super::transport::{CLOSE_DONE, CLOSE_REFUSED, HANDSHAKE, KEEP_ALIVE, alpn, peer_key, truncated};
use crate::folder::Folder;
use crate::photos::wanted::Wanted;
use crate::store_thread::{LinkOut, Shell};
use creel_protocol::cbor::Encode;
use creel_protocol::id::{DeviceKey, OrganisationId};
use creel_protocol::sync::packed::{pack, unpack};
use creel_protocol::sync::{Frame, FrameError};
use quinn::{Connection, Endpoint};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long a peer may take for the rest of what was begun.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Connections accepted at once.
const CONNECTIONS_MAX: usize = 4_096;
/// With so many of them, only from addresses that were proven.
const PROVEN_ABOVE: usize = CONNECTIONS_MAX / 4;

/// What every link needs.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    pub(crate) shell: Shell,
    pub(crate) organisation: OrganisationId,
    pub(crate) contacts: Contacts,
    pub(crate) abreast: Abreast,
    pub(crate) folder: Folder,
    /// This device.
    pub(crate) own: DeviceKey,
    pub(crate) hub: DeviceKey,
    /// Whether this device knows an address of the hub, and dials that.
    pub(crate) dials_hub: bool,
    pub(crate) wanted: Arc<Wanted>,
}

/// Which side of a connection this is.
#[derive(Debug, Clone)]
pub(crate) enum Side {
    /// It was made here.
    Dialled,
    /// It came from the peer, and is held back while so many newer ones of its device wait to take its place.
    Accepted(watch::Receiver<usize>),
}

/// What is done with one who wants to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    /// Let them show first that they are where they say: a first datagram can name any address, and would take a place until the
    /// handshake has failed.
    Knock,
    Shut,
}

/// With so many connections there: the more there are, the less is anybody trusted. Far below the limit the round trip that
/// showing one's address takes is saved.
fn door(connections: usize, address_is_proven: bool) -> Door {
    match connections {
        CONNECTIONS_MAX.. => Door::Shut,
        PROVEN_ABOVE.. if !address_is_proven => Door::Knock,
        _ => Door::Open,
    }
}

impl Links {
    /// Accepts connections until the endpoint closes.
    pub(crate) async fn accept(self, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            match door(endpoint.open_connections(), incoming.remote_address_validated()) {
                Door::Open => {}
                Door::Knock => {
                    if let Err(error) = incoming.retry() {
                        error.into_incoming().refuse();
                    }
                    continue;
                }
                Door::Shut => {
                    incoming.refuse();
                    continue;
                }
            }
            let links = self.clone();
            tokio::spawn(async move {
                let address = incoming.remote_address();
                if let Err(why) = links.accepted(incoming).await {
                    tracing::debug!(%address, "a handshake failed: {why}");
                }
            });
        }
    }

    async fn accepted(self, incoming: quinn::Incoming) -> Result<(), String> {
        let connecting = incoming.accept().map_err(|error| error.to_string())?;
        let Ok((connection, handshake)) = connecting.into_0rtt() else {
            return Err("it was not ours to accept".into());
        };
        // Who comes with a ticket is known by it, and may have spoken already. Nobody else is listened to, nor told
        // anything, before the handshake has proven their key.
        let known = peer_key(&connection).is_some() && alpn(&connection).as_deref() == Some(ALPN_MEMBERS);
        let mut handshake = Some(handshake);
        if !known
            && let Some(handshake) = handshake.take()
            && timeout(HANDSHAKE, handshake).await.is_err()
        {
            connection.close(CLOSE_DONE, b"the handshake took too long");
            return Err("it took too long".to_owned());
        }
        if let Some(error) = connection.close_reason() {
            return Err(error.to_string());
        }
        if alpn(&connection).as_deref() == Some(ALPN_ENROL) {
            if let Err(why) = timeout(PATIENCE, self.enrol(&connection)).await.unwrap_or(Err("it took too long".into()))
            {
                tracing::warn!(address = %connection.remote_address(), "an enrolment failed: {why}");
                connection.close(CLOSE_REFUSED, b"enrolment refused");
            }
        } else if let Some(peer) = peer_key(&connection) {
            // Anybody can make a key. The core would refuse it too, but not before it was listened to and remembered.
            if !self.shell.signals.is_member(&peer) {
                self.shell.signals.malformed.fetch_add(1, Ordering::Relaxed);
                let why = not_a_member(&peer);
                tracing::warn!(peer = %peer.short(), address = %connection.remote_address(), "refused: {why}");
                connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
                return Ok(());
            }
            let place = self.abreast.begin(peer, &connection);
            let side = Side::Accepted(place.held_by.clone());
            let chosen = async {
                if let Some(handshake) = handshake {
                    handshake.await;
                }
                if connection.close_reason().is_none() {
                    place.chosen();
                }
            };
            let number = AtomicU64::default();
            let (why, ()) = tokio::join!(self.session(&connection, peer, side, &number), chosen);
            connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
        }
        Ok(())
    }

    /// Carries frames both ways until the connection ends or the core is done with it, and tells why. `number` becomes the
    /// session's number.
    pub(crate) async fn session(
        &self,
        connection: &Connection,
        peer: DeviceKey,
        side: Side,
        number: &AtomicU64,
    ) -> String {
        let (streams, held_by) = match side {
            Side::Dialled => (connection.open_bi().await, None),
            // The stream comes into being with the dialling side's first frame, its greeting.
            Side::Accepted(held_by) => match timeout(PATIENCE, connection.accept_bi()).await {
                Ok(streams) => (streams, Some(held_by)),
                Err(_) => return "no greeting came".to_owned(),
            },
        };
        let (send, receive) = match streams {
            Ok(streams) => streams,
            Err(error) => return error.to_string(),
        };
        let (session, frames) = self.shell.connected(peer, held_by.is_none()).await;
        number.store(session, Ordering::Relaxed);
        let why = tokio::select! {
            why = self.read(connection, peer, session, receive) => why,
            why = self.read_datagrams(connection, session) => why,
            why = write(connection, send, frames, held_by) => why.unwrap_or_else(|| "done".to_owned()),
            why = self.serve_photos(connection, peer) => why,
            why = self.fetch_photos(connection, peer) => why,
            () = self.watch(connection, peer) => "it ended".to_owned(),
        };
        tracing::debug!(peer = %peer.short(), "a session ended: {why}");
        self.shell.disconnected(session).await;
        why
    }

    /// A session with a device beside the hub that was dialled, until the connection ends or the device answers no more.
    pub(crate) async fn meet(&self, connection: &Connection, peer: DeviceKey) -> String {
        let silent = async {
            falls_silent(connection).await;
            connection.close(CLOSE_DONE, b"nothing was heard any more");
            std::future::pending::<()>().await;
        };
        let number = AtomicU64::default();
        let why = tokio::select! {
            why = self.session(connection, peer, Side::Dialled, &number) => why,
            () = silent => "it fell silent".to_owned(),
        };
        connection.close(CLOSE_REFUSED, truncated(&why).as_bytes());
        why
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
                    contacts::note(&self.contacts, peer, connection);
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
    pub(super) fn unread(&self, error: &FramingError) -> String {
        if matches!(error, FramingError::Frame(_)) {
            self.shell.signals.malformed.fetch_add(1, Ordering::Relaxed);
        }
        error.to_string()
    }

    /// Edits that were sent once more, beside the stream.
    async fn read_datagrams(&self, connection: &Connection, session: u64) -> String {
        loop {
            let bytes = match connection.read_datagram().await {
                Ok(bytes) => bytes,
                Err(error) => return error.to_string(),
            };
            match unpack(&bytes).and_then(|frame| Frame::decode(&frame, &self.organisation)) {
                Ok((frame @ Frame::Edits(_), refused)) => {
                    let refused = refused.iter().map(ToString::to_string).collect();
                    self.shell.received(session, frame, refused).await;
                }
                Ok(_) => return self.unread(&FramingError::Frame(FrameError::Unknown(0))),
                Err(error) => return self.unread(&error.into()),
            }
        }
    }

    /// Notes while the peer is heard; never ends.
    async fn watch(&self, connection: &Connection, peer: DeviceKey) {
        let mut heard = 0;
        loop {
            let now = connection.stats().udp_rx.datagrams;
            if now != heard {
                heard = now;
                contacts::note(&self.contacts, peer, connection);
            }
            tokio::time::sleep(KEEP_ALIVE / 4).await;
        }
    }
}

/// Writes what the core hands out; ends when the core is done with the session. While the connection is held back, edits and
/// roster entries wait: the newer one brings them. Acknowledgements do not, as what they answer came on this one; nor does the
/// greeting, without which nothing else may be said.
async fn write(
    connection: &Connection,
    mut stream: quinn::SendStream,
    mut frames: mpsc::Receiver<LinkOut>,
    mut held_by: Option<watch::Receiver<usize>>,
) -> Option<String> {
    let mut later = VecDeque::new();
    loop {
        let out = tokio::select! {
            // What waited goes first.
            biased;
            () = released(&mut held_by), if !later.is_empty() => later.pop_front().map(LinkOut::Send)?,
            out = frames.recv() => match out? {
                LinkOut::Send(frame) if may_wait(&frame) && is_held(held_by.as_ref()) => {
                    later.push_back(frame);
                    continue;
                }
                out => out,
            },
        };
        match out {
            LinkOut::Send(frame) => {
                if let Err(error) = framing::write(&mut stream, &frame).await {
                    return Some(error.to_string());
                }
            }
            LinkOut::Repeat(frame) => {
                // One that does not fit, or finds no room, comes on the stream in the end.
                if let Err(error) = connection.send_datagram(pack(&frame.to_cbor()).into()) {
                    tracing::debug!("an edit could not be repeated: {error}");
                }
            }
            LinkOut::Close(why) => return Some(why),
        }
    }
}

fn may_wait(frame: &Frame) -> bool {
    !matches!(frame, Frame::Hello(_) | Frame::Ack(_))
}

fn is_held(held_by: Option<&watch::Receiver<usize>>) -> bool {
    held_by.is_some_and(|held_by| *held_by.borrow() > 0)
}

/// Ends when a connection is held back no more.
async fn released(held_by: &mut Option<watch::Receiver<usize>>) {
    if let Some(held_by) = held_by {
        // With its place gone the connection is over, which others notice.
        let _ = held_by.wait_for(|count| *count == 0).await;
    }
}

/// What a stranger is told.
fn not_a_member(peer: &DeviceKey) -> String {
    format!("device {} is not a member of this organisation: ask its hub for an invite", peer.short())
}

#[cfg(test)]
mod tests {
    use super::*;
    use creel_protocol::id::EntryId;
    use creel_protocol::sync::frame::{Hello, VERSION};

    /// Whoever comes is let in at once while there is much room, has to show its address when there is less, and is turned away
    /// in the end.
    #[test]
    fn strangers_do_not_fill_the_house() {
        assert_eq!([0, 1_023].map(|there| door(there, false)), [Door::Open; 2]);
        assert_eq!([1_024, 4_095].map(|there| door(there, false)), [Door::Knock; 2]);
        assert_eq!([1_024, 4_095].map(|there| door(there, true)), [Door::Open; 2]);
        assert_eq!([false, true].map(|proven| door(4_096, proven)), [Door::Shut; 2]);
    }

    /// A connection that is held back greets all the same: without that its acknowledgements would end the session.
    #[test]
    fn a_greeting_does_not_wait() {
        let hello =
            Hello { version: VERSION, organisation: OrganisationId([1; 32]), height: 0, head: EntryId([2; 32]) };
        assert!(!may_wait(&Frame::Hello(hello)) && !may_wait(&Frame::Ack(Vec::new())));
        assert!(may_wait(&Frame::Edits(Vec::new())) && may_wait(&Frame::Roster(Vec::new())));
    }
}
