//! A QUIC client that means no good: any key, any protocol name, any bytes.

use anyhow::{Context, Result};
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What stands before an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// How long a hub may take to answer or to close.
const LIMIT: Duration = Duration::from_secs(30);

/// Takes whatever answers for what it says it is.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// The key of a device, stolen from its folder.
pub(crate) fn stolen_key(data: &Path) -> [u8; 32] {
    let text = std::fs::read_to_string(data.join("device.key")).expect("a device has a key");
    let key = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).expect("it is hexadecimal");
    key.try_into().expect("it has 32 bytes")
}

/// Connects with a key of the caller's choice.
pub(crate) async fn dial(address: SocketAddr, seed: &[u8; 32], alpn: &str) -> Result<(Endpoint, Connection)> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pkcs8 = PrivatePkcs8KeyDer::from([PKCS8_PREFIX.as_slice(), seed].concat());
    let key = rustls::crypto::ring::sign::any_eddsa_type(&pkcs8)?;
    let spki = key.public_key().context("an Ed25519 key has a public one")?.to_vec();
    let certified = Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], key));
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_cert_resolver(Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let config = ClientConfig::new(Arc::new(quinn::crypto::rustls::QuicClientConfig::try_from(config)?));
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    let connection = tokio::time::timeout(LIMIT, endpoint.connect_with(config, address, "creel")?).await??;
    Ok((endpoint, connection))
}

/// Says these bytes on a stream and nothing more, and returns the reason with which the hub closes; none where it is asked
/// to stay for a moment and does.
pub(crate) async fn say(connection: &Connection, bytes: &[u8], ends: bool) -> Result<String> {
    // The hub may close before it has read everything, or anything.
    let mut stream = connection.open_bi().await;
    if let Ok((send, _receive)) = &mut stream {
        let _cut_short = send.write_all(bytes).await;
        if ends {
            let _closed = send.finish();
        }
    }
    Ok(tokio::time::timeout(LIMIT, connection.closed()).await.context("the hub did not close")?.to_string())
}

/// A frame: its length, that it is not compressed, then its body.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 1).expect("a test's frames are small");
    [length.to_be_bytes().as_slice(), &[0], body].concat()
}

/// Runs what is asynchronous.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("the system gives threads").block_on(future)
}
