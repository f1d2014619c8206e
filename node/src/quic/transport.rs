//! What every QUIC connection is made with: its parameters, its close codes, and what its handshake has proven.

use super::raw_keys::key_in;
use creel_protocol::id::DeviceKey;
use creel_protocol::roster::invite::EXPORTER_LABEL;
use quinn::congestion::CubicConfig;
use quinn::{Connection, Endpoint, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A connection on which nothing is received for this long ends. Long, because after an interruption of a minute a live connection
/// continues at once.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// How often an idle connection sends a keep-alive.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long a handshake may take: several round trips of a bad network.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(4);
/// The initial congestion window: a day's records go out before the first acknowledgement.
const INITIAL_WINDOW_BYTES: u64 = 1 << 20;

/// Close codes, told to the peer.
pub(crate) const CLOSE_DONE: VarInt = VarInt::from_u32(0);
pub(crate) const CLOSE_REFUSED: VarInt = VarInt::from_u32(1);

/// The transport for both sides.
pub(crate) fn transport_config() -> Arc<TransportConfig> {
    let mut cubic = CubicConfig::default();
    cubic.initial_window(INITIAL_WINDOW_BYTES);
    let mut transport = TransportConfig::default();
    transport.congestion_controller_factory(Arc::new(cubic));
    transport.max_idle_timeout(IDLE_TIMEOUT.try_into().ok());
    transport.keep_alive_interval(Some(KEEP_ALIVE_INTERVAL));
    // MTU discovery would cost some 15 kB on each connection; nothing urgent is that large.
    transport.mtu_discovery_config(None);
    // One for the session, and one for photos each way.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(4));
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    Arc::new(transport)
}

/// The key that the handshake proved.
pub(crate) fn peer_key(connection: &Connection) -> Option<DeviceKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key_in(identity.first()?)
}

/// The exporter value (RFC 5705), which only the two ends of a connection can derive.
pub(crate) fn exporter(connection: &Connection) -> Option<[u8; 32]> {
    let mut value = [0; 32];
    connection.export_keying_material(&mut value, EXPORTER_LABEL, &[]).ok().map(|()| value)
}

pub(crate) fn alpn(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<quinn::crypto::rustls::HandshakeData>().ok()?.protocol
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
        match timeout(HANDSHAKE_TIMEOUT, dialled).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) => last = why,
            Err(_) => "no answer".clone_into(&mut last),
        }
    }
    Err(last)
}

pub(crate) fn truncated(why: &str) -> String {
    why.chars().take(120).collect()
}
