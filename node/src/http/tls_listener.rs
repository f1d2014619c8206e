//! The listener for other devices, behind TLS: in a shop's own network, for a phone in the yard, on the internet.
//!
//! Strangers reach this port. They can load the screens' files and a customer's page by its link, and try to log in. How many connections
//! are served at once is limited, for all addresses together and for each.

use super::login_limit::ClientAddress;
use super::{Api, Listener, router};
use crate::error::NodeError;
use crate::folder::Folder;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

/// Connections at once, and of one address; an IPv6 address counts by its first 64 bits, which one household has.
const CONNECTIONS_MAX: usize = 1_024;
const CONNECTIONS_PER_ADDRESS_MAX: usize = 128;
/// How long a handshake may take, and a request's head.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests at once on one connection of HTTP/2, and how often an idle one is pinged.
const STREAMS_MAX: u32 = 64;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// HTTP/2, as TLS names it: one connection for a screen's files, its questions and its live changes.
const HTTP2: &[u8] = b"h2";
/// How often the certificate's file is checked for a renewed one; certificates are renewed weeks ahead.
const CERTIFICATE_POLL: Duration = Duration::from_secs(600);

/// How to serve other devices.
#[derive(Debug, Clone)]
pub struct HttpsOptions {
    /// Where to listen.
    pub address: SocketAddr,
    /// A certificate chain and its key, both as PEM files. By default a self-signed one, kept in the data folder.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The names by which browsers may call this node, beside its IP addresses: `hub.example`. The first is the one that links
    /// for customers carry.
    pub names: Vec<String>,
}

/// The TLS listener as other parts of the node and clients see it.
#[derive(Debug, Clone)]
pub struct Https {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where browsers find it, the best address first.
    pub urls: Vec<String>,
    /// The certificate's SHA-256 fingerprint, as browsers show it.
    pub fingerprint: String,
    /// Whether browsers will warn of it: then people compare the fingerprint.
    pub self_signed: bool,
    names: Vec<String>,
}

impl Https {
    /// Whether a browser may use this host name: an IP address, to which no other site's name can lead, or a name that the node was
    /// given.
    pub(crate) fn is_own_host(&self, host: &str) -> bool {
        let host = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.parse::<IpAddr>().is_ok()
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// The listener for other devices.
pub(crate) struct TlsListener {
    listener: TcpListener,
    certificate: Certificate,
    pub(crate) shown: Https,
}

/// A certificate's files, and the configuration that was read from them.
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    read: Arc<ServerConfig>,
    changed: Option<SystemTime>,
}

impl TlsListener {
    pub(crate) async fn listen(options: &HttpsOptions, folder: &Folder, device: &str) -> Result<Self, NodeError> {
        let failed = |source| NodeError::Listen { address: options.address, flag: "--https", source };
        let listener = TcpListener::bind(options.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let hosts = hosts(address, &options.names);
        let self_signed = options.certificate.is_none();
        let (chain, key) = match &options.certificate {
            Some(files) => files.clone(),
            None => folder.self_signed(&hosts, &options.names, || sign(&hosts, device))?,
        };
        let (read, fingerprint) = read(&chain, &key)?;
        let certificate = Certificate { changed: changed(&chain), chain, key, read };
        let urls = hosts.iter().map(|host| url(host, address.port())).collect();
        let shown = Https { address, urls, fingerprint, self_signed, names: options.names.clone() };
        Ok(Self { listener, certificate, shown })
    }

    /// Serves until its task is dropped.
    pub(crate) async fn serve(self, api: Api) {
        let files = NotForContentType::const_new("application/octet-stream");
        let compression = CompressionLayer::new().compress_when(DefaultPredicate::new().and(files));
        let service = TowerToHyperService::new(router(api, Listener::Tls).layer(compression));
        let (all, by_address) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::new(ConnectionsByAddress::default()));
        let Self { listener, mut certificate, .. } = self;
        let mut certificate_poll = tokio::time::interval(CERTIFICATE_POLL);
        // Connections end with this task.
        let mut open = tokio::task::JoinSet::new();
        loop {
            let (stream, from) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(why) => {
                        // Out of file descriptors, most likely: some will be given back.
                        tracing::warn!("a connection could not be taken: {why}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                _ = certificate_poll.tick() => {
                    certificate.renew();
                    continue;
                }
                Some(_) = open.join_next() => continue,
            };
            // Beyond the limit a connection is closed at once, so that the others are served.
            let Ok(room) = Arc::clone(&all).try_acquire_owned() else { continue };
            let Some(counted) = by_address.count_in(from.ip()) else { continue };
            let (acceptor, service) = (TlsAcceptor::from(Arc::clone(&certificate.read)), service.clone());
            open.spawn(async move {
                let _held = (room, counted);
                let from = ClientAddress(Some(address_prefix(from.ip())));
                if let Err(why) = serve_connection(stream, acceptor, service, from).await {
                    tracing::debug!(?from, "a connection of a browser ended: {why}");
                }
            });
        }
    }
}

/// One connection, until it ends.
async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    service: TowerToHyperService<Router>,
    from: ClientAddress,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        service.call(request)
    });
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    let many = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
    let stream = TokioIo::new(stream);
    if many {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
        http.keep_alive_interval(KEEP_ALIVE_INTERVAL).keep_alive_timeout(KEEP_ALIVE_INTERVAL);
        http.serve_connection(stream, service).await?;
    } else {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(REQUEST_HEAD_TIMEOUT);
        http.serve_connection(stream, service).await?;
    }
    Ok(())
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct ConnectionsByAddress(Mutex<HashMap<IpAddr, usize>>);

/// A connection that is counted until it ends.
struct CountedConnection {
    all: Arc<ConnectionsByAddress>,
    address_prefix: IpAddr,
}

impl ConnectionsByAddress {
    fn count(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, usize>> {
        // A std Mutex, because nothing is awaited while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_in(self: &Arc<Self>, address: IpAddr) -> Option<CountedConnection> {
        let address_prefix = address_prefix(address);
        let mut count = self.count();
        let there = count.entry(address_prefix).or_default();
        if *there >= CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        *there += 1;
        Some(CountedConnection { all: Arc::clone(self), address_prefix })
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        let mut count = self.all.count();
        if let Some(there) = count.get_mut(&self.address_prefix) {
            *there -= 1;
            if *there == 0 {
                count.remove(&self.address_prefix);
            }
        }
    }
}

/// What counts as one address: of an IPv6 address its first 64 bits, which one household has.
fn address_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::from((u128::from(address) & (u128::MAX << 64)).to_be_bytes()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The host names of this node: the configured names, then its addresses on the networks that it is in.
fn hosts(address: SocketAddr, names: &[String]) -> Vec<String> {
    let own = || if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip());
    let addresses: Vec<_> = if address.ip().is_unspecified() {
        own().filter(|ip| !ip.is_loopback() && !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())).collect()
    } else {
        vec![address.ip()]
    };
    let mut hosts: Vec<_> = names.iter().cloned().chain(addresses.iter().map(ToString::to_string)).collect();
    if hosts.is_empty() {
        hosts.push("localhost".to_owned());
    }
    hosts
}

fn url(host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

/// A certificate of this node's own and its key, as PEM.
fn sign(hosts: &[String], device: &str) -> Result<(String, String), NodeError> {
    let failed = |why: rcgen::Error| NodeError::System(format!("a certificate could not be made: {why}"));
    let names: Vec<_> = hosts.iter().cloned().chain(["localhost".to_owned()]).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("creel {device}"));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

impl Certificate {
    /// Reads it again if it was renewed. One that can't be read leaves the old one in use.
    fn renew(&mut self) {
        let now = changed(&self.chain);
        if now == self.changed {
            return;
        }
        match read(&self.chain, &self.key) {
            Ok((config, fingerprint)) => {
                tracing::info!("a renewed certificate is in use: {fingerprint}");
                (self.read, self.changed) = (config, now);
            }
            Err(why) => tracing::error!("the renewed certificate is not used: {why}"),
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// A configuration from PEM files, and the certificate's fingerprint.
fn read(chain: &Path, key: &Path) -> Result<(Arc<ServerConfig>, String), NodeError> {
    let damaged = |path: &Path, why: &dyn std::fmt::Display| NodeError::Damaged {
        path: path.to_owned(),
        why: format!("{why}; it should be a PEM file"),
    };
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|why| damaged(chain, &why))?;
    let first = certificates.first().ok_or_else(|| damaged(chain, &"it holds no certificate"))?;
    let fingerprint = fingerprint(first);
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|why| damaged(key, &why))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret));
    let mut config =
        config.map_err(|why| damaged(chain, &format!("with {} it can't be used: {why}", key.display())))?;
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), fingerprint))
}

/// SHA-256 of a certificate, as browsers show it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = Sha256::digest(certificate.as_ref());
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn one_address_has_its_share_and_gives_it_back() {
        let by_address = Arc::new(ConnectionsByAddress::default());
        let one: IpAddr = Ipv4Addr::new(192, 0, 2, 7).into();
        let held: Vec<_> =
            (0..CONNECTIONS_PER_ADDRESS_MAX).map(|_| by_address.count_in(one).expect("there is room")).collect();
        assert!(by_address.count_in(one).is_none(), "no more than its share");
        assert!(by_address.count_in(Ipv4Addr::new(192, 0, 2, 8).into()).is_some(), "others have theirs");
        drop(held);
        assert!(by_address.count().is_empty(), "who has left is not remembered");
    }

    #[test]
    fn a_household_is_one_address() {
        let of = |last: u16| address_prefix(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, last).into());
        assert_eq!(of(1), of(2));
        assert_ne!(of(1), address_prefix(Ipv6Addr::new(0x2001, 0xdb8, 1, 3, 3, 4, 5, 1).into()));
        let mapped = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped();
        assert_eq!(address_prefix(mapped.into()), IpAddr::from(Ipv4Addr::new(192, 0, 2, 7)));
    }

    #[test]
    fn it_answers_to_its_names_and_to_addresses() {
        let shown = Https {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            urls: Vec::new(),
            fingerprint: String::new(),
            self_signed: true,
            names: vec!["hub.example".to_owned()],
        };
        for host in ["hub.example", "HUB.example:8443", "192.0.2.7:8443", "[2001:db8::1]:8443", "localhost:8443"] {
            assert!(shown.is_own_host(host), "{host}");
        }
        for host in ["evil.example", "hub.example.evil.example:8443", "", ":8443", "192.0.2.7.evil.example"] {
            assert!(!shown.is_own_host(host), "{host}");
        }
    }

    #[test]
    fn links_carry_the_port_where_it_is_another() {
        assert_eq!(url("hub.example", 443), "https://hub.example");
        assert_eq!(url("2001:db8::1", 8443), "https://[2001:db8::1]:8443");
    }

    #[test]
    fn its_own_certificate_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let (chain, key) = sign(&["192.0.2.7".to_owned(), "hub.example".to_owned()], "hub").expect("a certificate");
        let files = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&files.0, chain).expect("written");
        std::fs::write(&files.1, key).expect("written");
        let (_, fingerprint) = read(&files.0, &files.1).expect("it is read");
        assert_eq!(fingerprint.split(':').count(), 32);
        assert!(read(&files.1, &files.1).is_err(), "a key is no certificate");
    }
}
