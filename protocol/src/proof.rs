//! A portable proof of delivery: everything somebody needs to check a record years later, without any node.
//!
//! It holds the organisation's genesis, the roster entries that enrolled the authors, the entry the record names, the `Open`
//! and the record, each a `COSE_Sign1` that any COSE library verifies. What it can't show is what is not in it: that the
//! device was not revoked later, or the record not retracted; `creel show` on a node tells that.

use crate::cbor::{Bytes, CborError, Decode, Encode, cbor_map};
use crate::edit::action::Action;
use crate::edit::{Edit, EditError};
use crate::id::{DeviceKey, Digest, EditId, OrganisationId};
use crate::roster::{Change, Role, Roster, RosterError, verify_entry};
use crate::shipment::effect::Effects;
use crate::shipment::status::Status;
use crate::shipment::{History, time};
use serde::Serialize;

/// What a proof's first field says.
const FORMAT: &str = "creel/proof/1";

cbor_map! {
    /// A proof.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Proof {
        /// [`FORMAT`].
        1 => format: String,
        /// The organisation's birth, signed by its root key.
        2 => genesis: Bytes,
        /// The roster entry that enrolled the record's author.
        3 => enrolment: Bytes,
        /// The roster entry that the record names; absent if it is the enrolment.
        4 => named: Option<Bytes>,
        /// The edit that opened the shipment.
        5 => open: Bytes,
        /// The record.
        6 => record: Bytes,
        /// The roster entry that enrolled the `Open`'s author; absent if it is the enrolment.
        7 => opener: Option<Bytes>,
    }
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The organisation's name.
    pub organisation: String,
    /// The organisation's id.
    pub organisation_id: OrganisationId,
    /// BLAKE3 of the root's public key: to be compared with what the organisation tells over another channel.
    pub root_fingerprint: Digest,
    /// The device that made the record.
    pub author: String,
    /// Its key.
    pub device: DeviceKey,
    /// The person at the device.
    pub by: Option<String>,
    /// The device's claimed time.
    pub at: String,
    /// The shipment's number when it was opened.
    pub number: String,
    /// The step.
    pub step: String,
    /// Who took it.
    pub receiver: Option<String>,
    /// The record.
    pub edit: EditId,
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof.
    #[error("this is not a creel proof, or it was damaged: {0}")]
    Form(#[from] CborError),
    /// The genesis or an entry.
    #[error("the roster part does not verify: {0}")]
    Roster(#[from] RosterError),
    /// An edit.
    #[error("a record does not verify: {0}")]
    Edit(#[from] EditError),
    /// The parts verify and do not belong together.
    #[error("the parts do not belong together: {0}")]
    Mismatch(&'static str),
}

/// The proof of the record that decides a shipment's status.
pub fn export(history: &History, effects: &Effects, roster: &Roster) -> Result<Vec<u8>, String> {
    let nothing = || "nothing was recorded for this shipment yet, so there is nothing to prove".to_owned();
    let workflow = effects.workflow.as_ref().ok_or_else(nothing)?;
    let status = Status::of(history, effects, workflow);
    let decided_by = status.decided_by.ok_or_else(nothing)?;
    // The signature is what people want proven; a later “received” builds on it.
    let signed = (0..status.facts.len()).rev().find(|fact| {
        let fact = &status.facts[*fact];
        fact.live() && fact.step.outcome.is_some() && fact.record.receiver.is_some()
    });
    let record = &history.events()[status.facts[signed.unwrap_or(decided_by)].place].edit;
    let open = &history.events()[effects.open.ok_or_else(nothing)?].edit;
    let lost = || "the roster kept here does not hold the record's author".to_owned();
    let member = roster.member(&record.statement.author).ok_or_else(lost)?;
    let opener = roster.member(&open.statement.author).ok_or_else(lost)?;
    let named = roster.height_of(&record.statement.roster).ok_or_else(lost)?;
    let entry = |height| roster.entries(height).next().cloned().map(Bytes);
    let proof = Proof {
        format: FORMAT.to_owned(),
        genesis: entry(0).ok_or_else(lost)?,
        enrolment: entry(member.since).ok_or_else(lost)?,
        named: (named != member.since).then(|| entry(named)).flatten(),
        open: Bytes(open.bytes.clone()),
        record: Bytes(record.bytes.clone()),
        opener: (opener.since != member.since).then(|| entry(opener.since)).flatten(),
    };
    Ok(proof.to_cbor())
}

/// Verifies a proof, by nothing but its own bytes.
pub fn verify(bytes: &[u8]) -> Result<Proven, ProofError> {
    let proof = Proof::from_cbor(bytes)?;
    if proof.format != FORMAT {
        return Err(ProofError::Mismatch("it is of another format version"));
    }
    let roster = Roster::begin(&proof.genesis.0)?;
    let (genesis, organisation) = (roster.genesis(), roster.organisation());
    let record = Edit::verify(&organisation, &proof.record.0)?;
    let open = Edit::verify(&organisation, &proof.open.0)?;
    let (enrolled, enrolment) = verify_entry(genesis, &organisation, &proof.enrolment.0)?;
    // An entry that is there although it is the enrolment would make two proofs of one.
    let other = |bytes: &Bytes| match verify_entry(genesis, &organisation, &bytes.0)? {
        (id, _) if id == enrolled => Err(ProofError::Mismatch("an entry stands there twice")),
        found => Ok(found),
    };
    let (named, height) = match &proof.named {
        Some(named) => other(named).map(|(id, entry)| (id, entry.height))?,
        None => (enrolled, enrolment.height),
    };
    let opener = proof.opener.as_ref().map(other).transpose()?;
    check_opener(&open, opener.as_ref().map_or(&enrolment.change, |(_, entry)| &entry.change))?;
    let Change::Enrol(member) = enrolment.change else {
        return Err(ProofError::Mismatch("the enrolment is another kind of entry"));
    };
    if member.key != record.statement.author {
        return Err(ProofError::Mismatch("the enrolment is that of another device"));
    }
    if named != record.statement.roster || height < enrolment.height {
        return Err(ProofError::Mismatch("the record does not name the roster entry that is there"));
    }
    if open.document != record.document || open.statement.document_opened() != open.document {
        return Err(ProofError::Mismatch("the record speaks of another shipment"));
    }
    let (Ok(Action::Open(begun)), Ok(Action::Record(recorded))) =
        (Action::from_raw(&open.statement.action), Action::from_raw(&record.statement.action))
    else {
        return Err(ProofError::Mismatch("an edit is of another kind"));
    };
    let number = begun.plan.number.filter(|number| !number.is_empty() && begun.kind == "shipment");
    Ok(Proven {
        organisation: genesis.organisation.clone(),
        organisation_id: organisation,
        root_fingerprint: Digest(*blake3::hash(&genesis.root.0).as_bytes()),
        author: member.name,
        device: member.key,
        by: record.statement.by,
        at: time::rfc3339_at(record.statement.at),
        number: number.ok_or(ProofError::Mismatch("the shipment was opened without a number"))?,
        step: recorded.step,
        receiver: recorded.receiver,
        edit: record.id,
    })
}

/// The `Open` was made by a member who may open shipments: nobody else's word for a number is taken.
fn check_opener(open: &Edit, enrolment: &Change) -> Result<(), ProofError> {
    let Change::Enrol(opener) = enrolment else {
        return Err(ProofError::Mismatch("the opener's entry is of another kind"));
    };
    if opener.key != open.statement.author {
        return Err(ProofError::Mismatch("the opener's entry is that of another device"));
    }
    if !matches!(opener.role, Role::Admin | Role::Dispatcher) || !open.statement.after.is_empty() {
        return Err(ProofError::Mismatch("the shipment was opened by somebody who may not"));
    }
    Ok(())
}
