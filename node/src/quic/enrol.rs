//! How a device becomes a member: it proves an invite to the hub, and the hub answers with the roster.

use super::connection::Connections;
use super::framing::{self, FramingError};
use super::raw_keys;
use super::transport::{HANDSHAKE_TIMEOUT, connect, exporter, peer_key, transport_config};
use crate::error::NodeError;
use crate::folder::{Folder, Settings};
use crate::init::{refuse_known, refuse_members};
use creel_protocol::core;
use creel_protocol::core::io::Reply;
use creel_protocol::id::{Digest, OrganisationId};
use creel_protocol::roster::Roster;
use creel_protocol::roster::invite::{self, Invite};
use creel_protocol::sync::frame::{Redeem, Welcome};
use creel_protocol::sync::{Frame, roster_frames};
use creel_storage::Engine;
use quinn::{Connection, Endpoint};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::timeout;

/// Roster entries of a welcome.
const ENTRIES_MAX: usize = 1 << 20;

/// A membership.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The organisation's name.
    pub organisation: String,
    /// This device's name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its party.
    pub party: Option<String>,
    /// Where the hub was reached.
    pub hub: String,
}

/// Joins an organisation by an invite. `hub` is dialled instead of the addresses in the invite. The same device may
/// run this again with the same invite, because an answer can be lost.
pub async fn join(data: &Path, invite: &str, hub: Option<&str>) -> Result<Joined, NodeError> {
    let invite = Invite::parse(invite)?;
    let folder = Folder::open(data)?;
    refuse_known(&folder)?;
    let mut engine = folder.open_store(None, false)?.engine;
    let identity = folder.identity_or_new()?;
    refuse_members(&folder, &engine, &identity)?;
    let addresses = hub.map_or_else(|| invite.addresses.clone(), |hub| vec![hub.to_owned()]);
    let endpoint = client_endpoint()?;
    let mut config = quinn::ClientConfig::new(Arc::new(raw_keys::client_config(
        &identity.device,
        raw_keys::ExpectedPeer::AnyDevice,
    )?));
    config.transport_config(transport_config());
    let mut why = "the invite names no address".to_owned();
    for address in &addresses {
        let connection = match connect(&endpoint, &config, address).await {
            Ok(connection) => connection,
            Err(error) => {
                why = error;
                continue;
            }
        };
        let roster = redeem(&connection, &invite, &identity).await?;
        connection.close(quinn::VarInt::from_u32(0), b"joined");
        endpoint.wait_idle().await;
        engine.apply(&core::joined(&roster))?;
        engine.sync()?;
        folder.write_roster(&roster)?;
        let mut known = vec![address.clone()];
        known.extend(invite.addresses.iter().filter(|other| *other != address && hub.is_none()).cloned());
        folder.write_settings(&Settings { hub: known, ..folder.settings()? })?;
        let member = roster.member(&identity.key());
        return Ok(Joined {
            organisation: roster.genesis().organisation.clone(),
            name: member.map(|member| member.name.clone()).unwrap_or_default(),
            role: member.map(|member| member.role.to_string()).unwrap_or_default(),
            party: member.and_then(|member| member.party.clone()),
            hub: address.clone(),
        });
    }
    Err(NodeError::Unreachable { addresses: addresses.join(", "), why })
}

/// An endpoint that only dials.
pub(crate) fn client_endpoint() -> Result<Endpoint, NodeError> {
    let any = [SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))];
    Endpoint::client(any[0]).or_else(|_| Endpoint::client(any[1])).map_err(|source| NodeError::Listen {
        address: any[1],
        flag: "--quic",
        source,
    })
}

/// Proves the invite to whoever answered, and checks that it is the hub of the organisation that the invite is of.
async fn redeem(
    connection: &quinn::Connection,
    invite: &Invite,
    identity: &core::Identity,
) -> Result<Roster, NodeError> {
    let refused = |why: &str| NodeError::NotJoined(why.to_owned());
    let broken =
        |why: String| NodeError::NotJoined(format!("the connection broke ({why}); run the same command again"));
    let hub = peer_key(connection).ok_or_else(|| refused("what answered showed no key"))?;
    let exporter = exporter(connection).ok_or_else(|| refused("the connection has no exporter"))?;
    let secret = &invite.secret.0;
    let proof = invite::device_proof(secret, &exporter, &identity.key());
    let request = Frame::Redeem(Redeem { invite: invite::invite_id(secret), proof });
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| broken(error.to_string()))?;
    framing::write(&mut send, &request).await.map_err(|error| broken(error.to_string()))?;
    let (answer, _) =
        framing::read(&mut receive, &OrganisationId::default()).await.map_err(|error| broken(error.to_string()))?;
    let mut welcome = match answer {
        Frame::Welcome(welcome) => welcome,
        Frame::Refuse(why) => return Err(NodeError::NotJoined(why)),
        _ => return Err(refused("what answered is not a creel hub")),
    };
    // The genesis came with it; the other entries follow.
    loop {
        match framing::read(&mut receive, &OrganisationId::default()).await {
            Ok((Frame::Roster(entries), _)) if welcome.entries.len() < ENTRIES_MAX => welcome.entries.extend(entries),
            Ok(_) => return Err(refused("what answered is not a creel hub")),
            Err(FramingError::Ended) => break,
            Err(error) => return Err(broken(error.to_string())),
        }
    }
    let roster = check_welcome(&welcome, invite, &exporter, hub)?;
    match roster.member(&identity.key()) {
        Some(_) => Ok(roster),
        None => Err(refused("the hub's roster does not name this device")),
    }
}

fn check_welcome(
    welcome: &Welcome,
    invite: &Invite,
    exporter: &[u8; 32],
    hub: creel_protocol::id::DeviceKey,
) -> Result<Roster, NodeError> {
    let impostor = |what: &str| NodeError::NotJoined(format!("{what}: this is not the hub that made the invite"));
    let expected = invite::hub_proof(&invite.secret.0, exporter, &hub);
    if blake3::Hash::from(expected.0) != blake3::Hash::from(welcome.proof.0) {
        return Err(impostor("what answered does not know the invite"));
    }
    let (genesis, rest) = welcome.entries.split_first().ok_or_else(|| impostor("no roster came"))?;
    let mut roster = Roster::begin(&genesis.0)?;
    if Digest(*blake3::hash(&roster.genesis().root.0).as_bytes()) != invite.root {
        return Err(impostor("the organisation has another root"));
    }
    if roster.genesis().hub != hub {
        return Err(impostor("the organisation has another hub"));
    }
    for entry in rest {
        roster.append(&entry.0)?;
    }
    Ok(roster)
}

impl Connections {
    /// The hub's side of an enrolment: one request, one answer.
    pub(super) async fn answer_enrolment(&self, connection: &Connection) -> Result<(), String> {
        let device = peer_key(connection).ok_or("the device showed no key")?;
        let exporter = exporter(connection).ok_or("the connection has no exporter")?;
        let (mut send, mut receive) = connection.accept_bi().await.map_err(|error| error.to_string())?;
        let (frame, _) =
            framing::read(&mut receive, &self.organisation).await.map_err(|error| self.read_error(&error))?;
        let Frame::Redeem(redeem) = frame else {
            self.store.signals.malformed.fetch_add(1, Ordering::Relaxed);
            return Err("the device sent something else".to_owned());
        };
        let (answers, result) = match self.store.redeem(device, exporter, redeem).await {
            Ok(Reply::Welcome(mut welcome)) => {
                // The whole roster may be longer than a frame.
                let rest = welcome.entries.split_off(1);
                (std::iter::once(Frame::Welcome(welcome)).chain(roster_frames(rest)).collect(), Ok(()))
            }
            Ok(_) => (vec![Frame::Refuse("the hub is confused".to_owned())], Err("another reply".to_owned())),
            Err(refusal) => (vec![Frame::Refuse(refusal.to_string())], Err(refusal.to_string())),
        };
        for answer in answers {
            framing::write(&mut send, &answer).await.map_err(|error| error.to_string())?;
        }
        let _ = send.finish();
        // The device closes when it has read the answer.
        let _ = timeout(HANDSHAKE_TIMEOUT, connection.closed()).await;
        result
    }
}
