//! Invites: how a device gets in.
//!
//! The invite's secret never crosses the wire. The device proves that it knows it by a keyed hash bound to the TLS
//! exporter and its own key; the hub answers with its own proof over the same exporter, so neither can be replayed or
//! relayed. The genesis that the hub sends must have the root whose fingerprint the invite holds.

use super::{NAME_BYTES_MAX, Role};
use crate::cbor::{Bytes, CborError, Decode, Encode, cbor_map};
use crate::id::{DeviceKey, Digest};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// What stands before an invite's text, so that a person and a scanner know what it is.
const PREFIX: &str = "CREEL1:";
/// Label of the TLS exporter (RFC 9266's manner) both proofs are bound to.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-creel-enrol-1";

cbor_map! {
    /// An invite as a person carries it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Invite {
        /// BLAKE3 of the root's public key.
        1 => root: Digest,
        /// Where the hub listens, as `host:port`.
        2 => addresses: Vec<String>,
        /// 128 random bits, used once.
        3 => secret: Bytes,
        /// Until when, in milliseconds since the Unix epoch by the hub's clock.
        4 => expires: u64,
    }
}

/// Why a text is not an invite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Not the text of an invite.
    #[error("this is not a creel invite: copy the whole line that begins with CREEL1:")]
    NotAnInvite,
    /// Cut short or mistyped.
    #[error("the invite is incomplete or mistyped ({0}): copy it again, whole")]
    Damaged(CborError),
}

impl Invite {
    /// The invite as text: letters and digits that survive any messenger and make a small QR code.
    pub fn to_text(&self) -> String {
        let mut bytes = self.to_cbor();
        bytes.extend(&blake3::hash(&bytes).as_bytes()[..4]);
        PREFIX.to_owned() + &BASE32_NOPAD.encode(&bytes)
    }

    /// The invite from its text, in whatever case and with whatever white space a messenger put into it.
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let text: String = text.split_whitespace().collect::<String>().to_uppercase();
        let bytes = text
            .strip_prefix(PREFIX)
            .and_then(|rest| BASE32_NOPAD.decode(rest.as_bytes()).ok())
            .ok_or(InviteError::NotAnInvite)?;
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(InviteError::NotAnInvite)?;
        if blake3::hash(body).as_bytes()[..4] != check[..] {
            return Err(InviteError::Damaged(CborError::Truncated));
        }
        let invite = Self::from_cbor(body).map_err(InviteError::Damaged)?;
        if invite.secret.0.len() == 16 { Ok(invite) } else { Err(InviteError::Damaged(CborError::Range)) }
    }
}

/// What the invite is known by at the hub: nothing that helps to redeem it.
pub fn invite_id(secret: &[u8]) -> Digest {
    Digest(blake3::derive_key("creel/invite/id/1", secret))
}

/// What the device sends to show that it holds the secret: bound to this connection and its key.
pub fn device_proof(secret: &[u8], exporter: &[u8; 32], device: &DeviceKey) -> Digest {
    proof("creel/invite/device/1", secret, exporter, device)
}

/// What the hub sends back to show the same.
pub fn hub_proof(secret: &[u8], exporter: &[u8; 32], hub: &DeviceKey) -> Digest {
    proof("creel/invite/hub/1", secret, exporter, hub)
}

fn proof(context: &str, secret: &[u8], exporter: &[u8; 32], key: &DeviceKey) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key(context, secret));
    hasher.update(exporter).update(&key.0);
    Digest(*hasher.finalize().as_bytes())
}

cbor_map! {
    /// An invite as the hub keeps it.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Issued {
        /// What the device will be.
        1 => role: Role,
        /// Whose it will be.
        2 => party: Option<String>,
        /// Its name.
        3 => name: String,
        /// Until when.
        4 => expires: u64,
        /// The device that redeemed it. The same device may do so again, because a reply can be lost.
        5 => redeemed: Option<DeviceKey>,
        /// The secret, which the hub needs to check a proof.
        6 => secret: Bytes,
    }
}

/// What is asked for when a member is invited.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// What the device will be.
    pub role: Role,
    /// Whose it will be; drivers and shops have one.
    pub party: Option<String>,
    /// Its name, at most 128 bytes.
    pub name: String,
}

impl InviteRequest {
    /// Says what is wrong with the request, for the person who made it.
    pub fn check(&self) -> Result<(), String> {
        if self.name.trim().is_empty() || self.name.len() > NAME_BYTES_MAX {
            return Err("the name must have 1 to 128 bytes: give one with --name".to_owned());
        }
        let kind = self.role.name();
        match &self.party {
            None if self.role.is_party() => Err(format!(
                "a {kind} needs a party, such as --party {kind}:li-wei: it decides which shipments they see"
            )),
            Some(party) if !super::is_party_name(party) => Err(format!(
                "“{party}” is not a party: write kind:name in lower case, such as driver:li-wei or shop:west-lake"
            )),
            _ => Ok(()),
        }
    }
}
