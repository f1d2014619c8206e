//! `COSE_Sign1` (RFC 9052) in the one form that creel writes and accepts.
//!
//! `18([h'protected', {}, h'payload', h'signature'])`: tagged, `EdDSA`, a `typ` (RFC 9596) that names the purpose, an empty
//! unprotected header. The purpose and the organisation go into the external AAD, so that no signature can be moved
//! from one use or one organisation to another.

use crate::cbor::{CborError, Reader, Writer};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// What a signature is for; part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An edit by a device.
    Edit,
    /// The birth of an organisation, by its root key.
    Genesis,
    /// A roster entry, by the hub's issuer key.
    Roster,
}

impl Purpose {
    /// The text at the start of the external AAD.
    pub fn name(self) -> &'static str {
        match self {
            Self::Edit => "creel/edit/1",
            Self::Genesis => "creel/genesis/1",
            Self::Roster => "creel/roster/1",
        }
    }

    /// What stands in `typ`: a media type, as RFC 9596 asks.
    fn media_type(self) -> &'static str {
        match self {
            Self::Edit => "application/creel-edit-1",
            Self::Genesis => "application/creel-genesis-1",
            Self::Roster => "application/creel-roster-1",
        }
    }

    fn protected(self) -> Vec<u8> {
        // {1: -8, 16: typ}
        let mut writer = Writer::default();
        writer.map(2);
        writer.unsigned(1);
        writer.signed(-8);
        writer.unsigned(16);
        writer.text(self.media_type());
        writer.bytes
    }
}

/// Why bytes are not a signed statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not in the one form.
    #[error("not in the one form of COSE_Sign1 that creel accepts: {0}")]
    Form(#[from] CborError),
    /// Another algorithm or purpose, or something in the unprotected header.
    #[error("a COSE header that creel does not accept")]
    Header,
    /// The signature is not that of the key over these bytes.
    #[error("the signature does not verify")]
    Signature,
}

/// The tag and array head that every statement begins with.
const OPENING: [u8; 2] = [0xd2, 0x84];

/// The parts of a statement, not yet verified.
#[derive(Debug, Clone, Copy)]
pub struct Sign1<'a> {
    /// What is stated.
    pub payload: &'a [u8],
    signature: [u8; 64],
}

impl<'a> Sign1<'a> {
    /// Takes `bytes` apart; accepts the one form only.
    pub fn parse(bytes: &'a [u8], purpose: Purpose) -> Result<Self, CoseError> {
        let rest = bytes.strip_prefix(&OPENING).ok_or(CoseError::Form(CborError::Type))?;
        let mut reader = Reader::new(rest);
        let protected = reader.byte_string()?;
        if protected != purpose.protected() || reader.map()? != 0 {
            return Err(CoseError::Header);
        }
        let payload = reader.byte_string()?;
        let signature = reader.byte_string()?.try_into().map_err(|_| CborError::Range)?;
        reader.end()?;
        Ok(Self { payload, signature })
    }

    /// Verifies the signature by `key`, strictly (no small-order keys, no malleable signatures), and tells the
    /// statement's id: BLAKE3 of its `Sig_structure`.
    pub fn verify(&self, purpose: Purpose, organisation: &[u8], key: &[u8; 32]) -> Result<[u8; 32], CoseError> {
        let signed = sig_structure(purpose, organisation, self.payload);
        VerifyingKey::from_bytes(key)
            .and_then(|key| key.verify_strict(&signed, &Signature::from_bytes(&self.signature)))
            .map_err(|_| CoseError::Signature)?;
        Ok(*blake3::hash(&signed).as_bytes())
    }
}

/// Signs `payload`: the statement's bytes and its id.
pub fn sign(purpose: Purpose, organisation: &[u8], payload: &[u8], key: &SigningKey) -> (Vec<u8>, [u8; 32]) {
    let signed = sig_structure(purpose, organisation, payload);
    let mut writer = Writer::default();
    writer.raw(&OPENING);
    writer.byte_string(&purpose.protected());
    writer.map(0);
    writer.byte_string(payload);
    writer.byte_string(&key.sign(&signed).to_bytes());
    (writer.bytes, *blake3::hash(&signed).as_bytes())
}

/// What is signed: `["Signature1", protected, external_aad, payload]`, with `external_aad` the purpose's text followed by
/// the organisation's id (nothing for the genesis, which makes that id).
pub fn sig_structure(purpose: Purpose, organisation: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.array(4);
    writer.text("Signature1");
    writer.byte_string(&purpose.protected());
    writer.byte_string(&[purpose.name().as_bytes(), organisation].concat());
    writer.byte_string(payload);
    writer.bytes
}
