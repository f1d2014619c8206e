//! A running node, put together: the store's thread, the QUIC endpoint, the HTTP API, and a clean end.

use crate::error::NodeError;
use crate::folder::Folder;
use crate::http;
use crate::photos::wanted::{PhotoPolicy, WantedPhotos};
use crate::quic::connection::Connections;
use crate::quic::contacts::Contacts;
use crate::quic::dial::{self, Dialler};
use crate::quic::discovery::Discovery;
use crate::quic::raw_keys;
use crate::quic::replaced::ConnectionsByDevice;
use crate::quic::static_peers::StaticPeer;
use crate::quic::tickets::{Tickets, TlsSessions};
use crate::quic::transport::transport_config;
use crate::store_thread::StoreHandle;
use creel_protocol::core::io::{Keep, Reply};
use creel_protocol::core::{self, Core, Identity, keys};
use creel_protocol::edit::Edit;
use creel_protocol::id::{DeviceKey, OrganisationId};
use creel_protocol::store::Store;
use creel_storage::{Engine, SledEngine};
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The hub's UDP port, where no other is asked for.
const HUB_PORT: u16 = 4910;
/// Bytes that photos may take on a device.
const PHOTO_QUOTA: u64 = 2_000_000_000;
/// How long a driver's or a shop's device keeps what has ended, and at most what has left it: longer than hubs are left without
/// a backup.
const KEEP_CLOSED: Duration = Duration::from_secs(30 * 86_400);
const KEEP_LEFT_MAX: Duration = Duration::from_secs(2 * 86_400);
/// How long a clean end may take before it is cut short.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How to serve.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The data folder.
    pub data: PathBuf,
    /// Where to listen for peers. By default all addresses, on port 4910 at the hub and on any port elsewhere.
    pub quic: Option<SocketAddr>,
    /// Where to listen for screens and commands: a loopback address. By default any port.
    pub http: Option<SocketAddr>,
    /// How to serve the screens to other devices. By default not at all.
    pub https: Option<http::HttpsOptions>,
    /// An origin whose pages may show the screens in a frame. By default none: a frame is how other sites trick people into tapping.
    pub framed_by: Option<String>,
    /// How the store is kept. By default as suits the hub or a device.
    pub store: Option<creel_storage::Options>,
    /// Which photos to fetch. By default all at the hub and with staff, and on demand with a driver or a shop.
    pub photos: Option<PhotoPolicy>,
    /// Bytes that photos may take; those that are at the hub make room for others. By default no limit at the hub and 2 GB
    /// elsewhere.
    pub photo_quota: Option<u64>,
    /// How long a driver's or a shop's device keeps a shipment that has ended, after the hub had the last of it. One that is not the
    /// party's any more it keeps no longer than two days. The hub and staff keep everything.
    pub keep_closed: Duration,
    /// Whether to find other devices on the same network, and be found. Never on loopback.
    pub lan: bool,
    /// Addresses of other devices of the organisation, such as `shop.example:4910`, to dial beside those in the data folder's
    /// settings.
    pub peers: Vec<String>,
}

impl ServeOptions {
    /// Serves a data folder, all else by default.
    pub fn of(data: PathBuf) -> Self {
        Self {
            data,
            quic: None,
            http: None,
            https: None,
            framed_by: None,
            store: None,
            photos: None,
            photo_quota: None,
            keep_closed: KEEP_CLOSED,
            lan: true,
            peers: Vec::new(),
        }
    }
}

/// A node that listens.
#[derive(Debug, Clone)]
pub struct Running {
    /// Where it listens for peers.
    pub quic: SocketAddr,
    /// Where it listens for screens and commands.
    pub http: SocketAddr,
    /// What it serves to other devices.
    pub https: Option<http::Https>,
    /// Whether no person can log in there yet.
    pub nobody: bool,
    /// The organisation's name.
    pub organisation: String,
    /// This device's name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Where a damaged store was set aside, if one was found.
    pub set_aside: Option<PathBuf>,
}

/// Serves until `stop` ends or the store fails. `started` is called once, when everything listens.
pub async fn serve(
    options: ServeOptions,
    started: impl FnOnce(&Running),
    stop: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let folder = Folder::open(&options.data)?;
    let Some(identity) = folder.identity()? else { return Err(NodeError::NoOrganisation(options.data)) };
    let opened = folder.open_store(options.store, identity.issuer.is_some())?;
    let mut engine = opened.engine;
    if let Some(aside) = &opened.set_aside {
        tracing::error!(
            "the store was damaged and is set aside in {}; a fresh one is filled again from the peers",
            aside.display()
        );
        let saved = core::edits_in(&opened.salvaged);
        if !saved.is_empty() {
            folder.keep_salvage(saved)?;
        }
    }
    let core = open_core(&folder, &mut engine, &identity)?;
    let known = Known::of(&core);
    let (store, mut ended) = StoreHandle::start(folder.clone(), core, engine)?;
    let quic = options
        .quic
        .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, if known.is_hub { HUB_PORT } else { 0 })));
    let endpoint = endpoint(quic, &folder, &identity)?;
    let quic = endpoint.local_addr().map_err(|source| NodeError::Listen { address: quic, flag: "--quic", source })?;
    let contacts = Contacts::default();
    let policy = if known.is_party { PhotoPolicy::OnDemand } else { PhotoPolicy::All };
    let quota = if known.is_hub { u64::MAX } else { PHOTO_QUOTA };
    let wanted = WantedPhotos::new(options.photos.unwrap_or(policy), options.photo_quota.unwrap_or(quota));
    let wanted = Arc::new(wanted);
    let settings = folder.settings()?;
    let connections = Connections {
        store: store.clone(),
        organisation: known.organisation,
        contacts: Arc::clone(&contacts),
        by_device: ConnectionsByDevice::default(),
        folder: folder.clone(),
        own: known.own,
        hub: known.hub,
        dials_hub: !known.is_hub && !settings.hub.is_empty(),
        wanted: Arc::clone(&wanted),
    };

    tokio::spawn(salvage(store.clone(), folder.clone(), known.organisation));

    let parts = |http, https| http::Parts {
        store: store.clone(),
        folder: folder.clone(),
        contacts,
        wanted,
        organisation: known.organisation,
        http,
        quic,
        https,
        framed_by: options.framed_by,
    };
    let screens = Screens::listen(options.http, options.https.as_ref(), &folder, &known.own_name, parts).await?;
    let (http, https, nobody) = (screens.api.http, screens.api.https.clone(), screens.api.people.names().is_empty());
    folder.write_addresses(&http.to_string(), &quic.to_string())?;

    tokio::spawn(connections.clone().accept(endpoint.clone()));
    if connections.dials_hub {
        dial_hub(&connections, &endpoint, &identity, known.hub, settings.hub)?;
    }
    release_regularly(&store, &known, options.keep_closed);
    dial_peers(&connections, &endpoint, &identity, [settings.peers, options.peers].concat());
    if options.lan {
        tokio::spawn(
            Discovery { connections: connections.clone(), endpoint: endpoint.clone(), device: identity.device.clone() }
                .run(),
        );
    }
    let web = screens.serve();
    started(&Running {
        quic,
        http,
        https,
        nobody,
        organisation: known.name,
        name: known.own_name,
        role: known.role,
        set_aside: opened.set_aside,
    });

    let result = tokio::select! {
        () = stop => None,
        result = &mut ended => Some(result),
    };
    tracing::info!("stopping");
    drop(web);
    folder.remove_addresses();
    endpoint.close(quinn::VarInt::from_u32(0), b"stopping");
    let result = if let Some(result) = result {
        result
    } else {
        store.stop().await;
        ended.await
    };
    // Peers are told that this node stops; an unreachable peer notices by itself.
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, endpoint.wait_idle()).await;
    match result {
        Ok(result) => Ok(result?),
        Err(_) => Err(NodeError::System("the store's thread broke off; please report this".to_owned())),
    }
}

/// The HTTP API and its two listeners.
struct Screens {
    loopback: TcpListener,
    tls: Option<http::TlsListener>,
    api: http::Api,
}

impl Screens {
    async fn listen(
        address: Option<SocketAddr>,
        tls: Option<&http::HttpsOptions>,
        folder: &Folder,
        device: &str,
        parts: impl FnOnce(SocketAddr, Option<http::Https>) -> http::Parts,
    ) -> Result<Self, NodeError> {
        let address = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let (loopback, http) = http::listen(address).await?;
        let tls = match tls {
            Some(options) => Some(http::TlsListener::listen(options, folder, device).await?),
            None => None,
        };
        let api = http::Api::new(parts(http, tls.as_ref().map(|tls| tls.shown.clone())))?;
        Ok(Self { loopback, tls, api })
    }

    /// Serves until what it gives is dropped.
    fn serve(self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        if let Some(tls) = self.tls {
            tasks.spawn(tls.serve(self.api.clone()));
        }
        tasks.spawn(http::serve(self.loopback, self.api));
        tasks
    }
}

/// Releases a driver's or a shop's shipments that have ended or left its scope; the hub holds devices to that time by its own clock.
fn release_regularly(store: &StoreHandle, known: &Known, keep_closed: Duration) {
    if known.is_party || known.is_hub {
        let ms = |keep: Duration| u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
        let keep = Keep { closed_ms: ms(keep_closed), left_ms: ms(keep_closed.min(KEEP_LEFT_MAX)) };
        tokio::spawn(store.clone().release_regularly(keep, known.is_hub));
    }
}

/// Dials the hub and keeps a connection to it.
fn dial_hub(
    connections: &Connections,
    endpoint: &Endpoint,
    identity: &Identity,
    hub: DeviceKey,
    addresses: Vec<String>,
) -> Result<(), NodeError> {
    let tickets = Arc::new(Tickets::default());
    let expected_peer = raw_keys::ExpectedPeer::Member(hub, Arc::clone(&tickets));
    let mut config = quinn::ClientConfig::new(Arc::new(raw_keys::client_config(&identity.device, expected_peer)?));
    config.transport_config(transport_config());
    let (connections, endpoint) = (connections.clone(), endpoint.clone());
    tokio::spawn(Dialler { connections, endpoint, config, tickets, hub, addresses }.run());
    Ok(())
}

/// Dials devices at configured addresses, and dials every peer again when the network changes.
fn dial_peers(connections: &Connections, endpoint: &Endpoint, identity: &Identity, mut peers: Vec<String>) {
    peers.sort_unstable();
    peers.dedup();
    if connections.dials_hub || !peers.is_empty() {
        tokio::spawn(dial::watch_network(connections.store.clone()));
    }
    for address in peers {
        let (connections, endpoint, device) = (connections.clone(), endpoint.clone(), identity.device.clone());
        tokio::spawn(StaticPeer { connections, endpoint, device, address }.run());
    }
}

/// Admits the edits that were saved from a damaged store. Edits whose predecessors only peers have are tried again at the next start,
/// if the predecessors have not arrived until then.
async fn salvage(store: StoreHandle, folder: Folder, organisation: OrganisationId) {
    let saved = match folder.salvage() {
        Ok(saved) if saved.is_empty() => return,
        Ok(saved) => saved,
        Err(error) => return tracing::error!("{error}"),
    };
    let edits: Vec<_> = saved.iter().filter_map(|bytes| Edit::verify(&organisation, &bytes.0).ok()).collect();
    let count = edits.len();
    match store.unpack(Vec::new(), edits).await {
        Ok(Reply::Unpacked(report)) if report.waiting == 0 => {
            tracing::info!("{count} edits that were saved from the damaged store are in the store again");
            if let Err(error) = folder.remove_salvage() {
                tracing::error!("{error}");
            }
        }
        Ok(_) => {
            tracing::info!("{count} edits were saved from the damaged store; some wait for what other devices have");
        }
        Err(error) => tracing::error!("the edits saved from the damaged store could not be taken: {error}"),
    }
}

/// What a node knows of itself before it serves.
struct Known {
    organisation: OrganisationId,
    name: String,
    own_name: String,
    role: String,
    is_hub: bool,
    hub: DeviceKey,
    own: DeviceKey,
    is_party: bool,
}

impl Known {
    fn of(core: &Core) -> Self {
        let member = core.roster().member(&core.key());
        Self {
            organisation: core.roster().organisation(),
            name: core.roster().genesis().organisation.clone(),
            own_name: member.map(|member| member.name.clone()).unwrap_or_default(),
            role: member.map(|member| member.role.to_string()).unwrap_or_default(),
            is_hub: core.is_hub(),
            hub: core.roster().genesis().hub,
            own: core.key(),
            is_party: member.is_some_and(|member| member.role.is_party()),
        }
    }
}

/// The core over the store. A store that was set aside took the roster with it: its copy goes into the fresh one.
fn open_core(folder: &Folder, engine: &mut SledEngine, identity: &Identity) -> Result<Core, NodeError> {
    if engine.get(&keys::roster(0))?.is_none()
        && let Some(roster) = folder.roster()?
    {
        engine.apply(&core::joined(&roster))?;
        engine.sync()?;
    }
    let (core, batch) = Core::open(engine, identity.clone()).map_err(NodeError::core(folder.path()))?;
    if let Some(batch) = batch {
        engine.apply(&batch)?;
        engine.sync()?;
    }
    Ok(core)
}

fn endpoint(address: SocketAddr, folder: &Folder, identity: &Identity) -> Result<Endpoint, NodeError> {
    let listen = |source| NodeError::Listen { address, flag: "--quic", source };
    let socket = UdpSocket::bind(address).map_err(listen)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(raw_keys::server_config(
        &identity.device,
        Arc::new(TlsSessions::open(&folder.tickets())?),
    )?));
    config.transport_config(transport_config());
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime)).map_err(listen)
}
