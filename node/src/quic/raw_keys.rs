//! TLS 1.3 with raw public keys (RFC 7250): a device is its Ed25519 key, and there is no certificate to parse.
//!
//! The handshake proves that the peer holds its key. Whether that key is a member's is for the roster: the dialling side accepts only
//! the key that it dials, and the core checks the roster on every connection of either side, resumed ones too, because TLS does not
//! ask the verifier again when it resumes.

use super::tickets::{TICKETS_GIVEN, Tickets, TlsSessions};
use crate::error::NodeError;
use creel_protocol::id::DeviceKey;
use ed25519_dalek::SigningKey;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// The protocol between members.
pub(crate) const ALPN_MEMBERS: &[u8] = b"creel/1";
/// The protocol by which a device becomes a member.
pub(crate) const ALPN_ENROL: &[u8] = b"creel-enrol/1";
/// What stands before an Ed25519 public key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What stands before an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The key in a raw public key, if it is an Ed25519 one.
pub(crate) fn key_in(spki: &[u8]) -> Option<DeviceKey> {
    spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(DeviceKey)
}

/// Accepts a peer that holds an Ed25519 key, and if one is expected only that.
#[derive(Debug)]
struct RawKeyVerifier {
    expected: Option<DeviceKey>,
    provider: Arc<CryptoProvider>,
}

impl RawKeyVerifier {
    fn check(&self, end_entity: &CertificateDer<'_>) -> Result<(), Error> {
        let key =
            key_in(end_entity).ok_or_else(|| Error::General("the peer's key is not an Ed25519 key".to_owned()))?;
        match self.expected {
            Some(expected) if expected != key => Err(Error::General(format!("{} is another device", key.short()))),
            _ => Ok(()),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        end_entity: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(end_entity.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, signature, &self.provider.signature_verification_algorithms)
    }
}

fn no_tls12() -> Error {
    Error::General("creel speaks TLS 1.3 only".to_owned())
}

impl ServerCertVerifier for RawKeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end_entity: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, end_entity, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for RawKeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        end_entity: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, end_entity, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certified(key: &SigningKey, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, NodeError> {
    let pkcs8 = [PKCS8_PREFIX.as_slice(), &key.to_bytes()].concat();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    let signing = provider.key_provider.load_private_key(private).map_err(tls_error)?;
    let spki = [SPKI_PREFIX.as_slice(), key.verifying_key().as_bytes()].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signing)))
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn tls_error(error: Error) -> NodeError {
    NodeError::System(format!("TLS: {error}"))
}

/// The accepting side: any device may finish the handshake; a device that is no member gets no further than enrolment. A device
/// with a ticket may send early data.
pub(crate) fn server_config(
    key: &SigningKey,
    sessions: Arc<TlsSessions>,
) -> Result<quinn::crypto::rustls::QuicServerConfig, NodeError> {
    let provider = provider();
    let certified = certified(key, &provider)?;
    let verifier = Arc::new(RawKeyVerifier { expected: None, provider: Arc::clone(&provider) });
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls_error)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN_MEMBERS.to_vec(), ALPN_ENROL.to_vec()];
    // Early data needs sessions that are stored (a ticket that carries its own session never gives any), and QUIC wants
    // this limit: its own flow control says how much may come.
    config.session_storage = sessions;
    config.max_early_data_size = u32::MAX;
    config.send_tls13_tickets = TICKETS_GIVEN;
    config.try_into().map_err(|error| NodeError::System(format!("TLS for QUIC: {error}")))
}

/// Which device is expected to answer.
#[derive(Debug, Clone)]
pub(crate) enum ExpectedPeer {
    /// Any device, which then has to prove that it knows the invite.
    AnyDevice,
    /// Any device, which the caller then looks up in the roster.
    AnyMember,
    /// This member, and the tickets that it gave.
    Member(DeviceKey, Arc<Tickets>),
}

/// The dialling side. Made once for each peer: a ticket is valid only with the configuration that received it.
pub(crate) fn client_config(
    key: &SigningKey,
    expected_peer: ExpectedPeer,
) -> Result<quinn::crypto::rustls::QuicClientConfig, NodeError> {
    let provider = provider();
    let certified = certified(key, &provider)?;
    let (alpn, expected, tickets) = match expected_peer {
        ExpectedPeer::AnyDevice => (ALPN_ENROL, None, Resumption::disabled()),
        ExpectedPeer::AnyMember => (ALPN_MEMBERS, None, Resumption::disabled()),
        ExpectedPeer::Member(peer, tickets) => (ALPN_MEMBERS, Some(peer), Resumption::store(tickets)),
    };
    let verifier = Arc::new(RawKeyVerifier { expected, provider: Arc::clone(&provider) });
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls_error)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = tickets;
    config.enable_early_data = expected.is_some();
    // A device is its key, so the server name carries nothing.
    config.enable_sni = false;
    config.try_into().map_err(|error| NodeError::System(format!("TLS for QUIC: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::transport::{peer_key, transport_config};
    use quinn::{ClientConfig, Endpoint, ServerConfig};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::Path;

    fn here() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    fn hub(key: &SigningKey, tickets: &Path) -> Endpoint {
        let sessions = Arc::new(TlsSessions::open(tickets).expect("a file for tickets"));
        let mut config = ServerConfig::with_crypto(Arc::new(server_config(key, sessions).expect("a configuration")));
        config.transport_config(transport_config());
        Endpoint::server(config, here()).expect("a socket")
    }

    /// What a device says with a ticket is heard before the handshake has ended, by a hub that knows who it is, also after the
    /// hub was restarted; and without a ticket there is an ordinary handshake.
    #[tokio::test]
    async fn a_ticket_lets_a_device_speak_at_once() {
        let (hub_key, device_key) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tickets");
        let tickets = Arc::new(Tickets::default());
        tickets.set_urgent(true);
        let expected_peer = ExpectedPeer::Member(DeviceKey(hub_key.verifying_key().to_bytes()), tickets);
        let mut config =
            ClientConfig::new(Arc::new(client_config(&device_key, expected_peer).expect("a configuration")));
        config.transport_config(transport_config());
        let device = Endpoint::client(here()).expect("a socket");
        for restarted in [false, true] {
            let hub = hub(&hub_key, &file);
            let address = hub.local_addr().expect("it is bound");
            let serving = tokio::spawn(async move {
                let incoming = hub.accept().await.expect("a device comes");
                let (connection, handshake) =
                    incoming.accept().expect("it is wanted").into_0rtt().expect("a server may");
                let known_at_once = peer_key(&connection);
                let (mut send, mut receive) = connection.accept_bi().await.expect("it speaks");
                let said = receive.read_to_end(16).await.expect("it ends");
                handshake.await;
                send.write_all(&said).await.expect("it listens");
                send.finish().expect("it is ours");
                connection.closed().await;
                known_at_once
            });
            let connecting = device.connect_with(config.clone(), address, "creel").expect("an address");
            let connection = match connecting.into_0rtt() {
                Ok((connection, accepted)) => {
                    assert!(restarted, "there was no ticket yet");
                    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
                    send.write_all(b"early").await.expect("room");
                    send.finish().expect("it is ours");
                    assert!(accepted.await, "the hub did not want the ticket");
                    assert_eq!(receive.read_to_end(16).await.expect("an answer"), b"early");
                    connection
                }
                Err(connecting) => {
                    assert!(!restarted, "the ticket was not used");
                    let connection = connecting.await.expect("a handshake");
                    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
                    send.write_all(b"late").await.expect("room");
                    send.finish().expect("it is ours");
                    assert_eq!(receive.read_to_end(16).await.expect("an answer"), b"late");
                    connection
                }
            };
            connection.close(quinn::VarInt::from_u32(0), b"");
            let known = serving.await.expect("the hub goes on");
            let device_is = DeviceKey(device_key.verifying_key().to_bytes());
            assert_eq!(known, restarted.then_some(device_is), "who is known before the handshake has ended");
        }
    }
}
