//! A portable proof of delivery: everything somebody needs to check a record years later, without any node.
//!
//! It holds the organisation's genesis, the roster entries that enrolled the authors, the entry the record names, the `Open`
//! and the record, each a `COSE_Sign1` that any COSE library verifies. Where the record that decides is not the signature itself, it
//! holds the signature too that the record stands on or has superseded, and the edits between the two, which show that the
//! record's author knew of it. What a proof can't show is what is not in it: that the device was not revoked later, or the record not
//! retracted; `creel show` on a node tells that.

use crate::cbor::{Bytes, CborError, Decode, Encode, growing_map};
use crate::edit::action::{Action, Record};
use crate::edit::{Edit, EditError};
use crate::id::{DeviceKey, Digest, EditId, EntryId, OrganisationId};
use crate::roster::{Change, Enrol, Entry, Role, Roster, RosterError, verify_entry};
use crate::shipment::effect::Effects;
use crate::shipment::status::Status;
use crate::shipment::{History, time};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};

/// What a proof's first field says.
const FORMAT: &str = "creel/proof/1";
/// Edits between the record and the signature that a proof carries; where there would be more it carries none, and the relation
/// between the two is unproven.
const BETWEEN_MAX: usize = 64;

growing_map! {
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
        /// The signature that the record stands on or has superseded; absent if the record is one, or there is none.
        8 => signature: Option<Signature>,
        /// The edits between the record and the signature: each named by the `after` of the one before, the first by the
        /// record's, and the signature by the last one's. Absent where the record names the signature.
        9 => between: Vec<Bytes>,
    }
}

growing_map! {
    /// A signature beside the record that is proven.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Signature {
        /// The record that is a signature.
        1 => record: Bytes,
        /// The roster entry that enrolled its author; absent if it is the enrolment of the proof.
        2 => enrolment: Option<Bytes>,
        /// The roster entry that it names; absent if it is the one that enrolled its author.
        3 => named: Option<Bytes>,
    }
}

/// What a record in a proof shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenRecord {
    /// The device that made the record.
    pub author: String,
    /// Its key.
    pub device: DeviceKey,
    /// The person at the device.
    pub by: Option<String>,
    /// The device's claimed time.
    pub at: String,
    /// The step.
    pub step: String,
    /// Who took it.
    pub receiver: Option<String>,
    /// The record.
    pub edit: EditId,
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
    /// The shipment's number when it was opened.
    pub number: String,
    /// The record.
    #[serde(flatten)]
    pub record: ProvenRecord,
    /// The signature beside it.
    pub signature: Option<ProvenRecord>,
    /// Whether the record's author is shown to have known of the signature; null without one.
    pub signature_known: Option<bool>,
}

/// A proof, and what its reader must be told beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// The record that is proven.
    pub record: EditId,
    /// Whether it is the record that decides.
    pub decides: bool,
    /// The signature that the file carries beside the record.
    pub signature: Option<EditId>,
    /// Live records that contradict either of them: nobody has settled that yet.
    pub contradicted_by: Vec<EditId>,
    /// Whether the record was taken back or settled away.
    pub set_aside: bool,
}

/// Why there is nothing to prove, or not without a choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// No record decides.
    #[error("nothing was recorded for this shipment yet, so there is nothing to prove")]
    Nothing,
    /// The edit asked for is none that counts.
    #[error("edit {0} is no record of this shipment that counts: take one from “creel history”")]
    NoRecord(EditId),
    /// The record is contradicted, or the signature beside it is.
    #[error(
        "what would be proven is contradicted: edit {} against {}. Settle it first (creel resolve), or say which side is to be proven \
         (--edit EDIT)", record.short(), by.iter().map(EditId::short).collect::<Vec<_>>().join(", ")
    )]
    Contradicted {
        /// The record.
        record: EditId,
        /// Live records that contradict it.
        by: Vec<EditId>,
    },
    /// The roster lacks an author.
    #[error("the roster kept here does not hold the record's author")]
    Lost,
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

/// The proof of the record that decides a shipment's status, or of one that is asked for.
pub fn export(
    history: &History,
    effects: &Effects,
    roster: &Roster,
    edit: Option<EditId>,
) -> Result<Exported, ExportError> {
    let workflow = effects.workflow.as_ref().ok_or(ExportError::Nothing)?;
    let status = Status::of(history, effects, workflow, roster);
    let proven = match edit {
        Some(edit) => {
            let fact = status.facts.iter().position(|fact| fact.edit == edit);
            fact.ok_or(ExportError::NoRecord(edit))?
        }
        None => status.decided_by.ok_or(ExportError::Nothing)?,
    };
    let signature = status.signature_of(proven, history, workflow, roster).filter(|signature| *signature != proven);
    let in_question = || std::iter::once(proven).chain(signature);
    let mut contradicting: Vec<usize> = in_question().flat_map(|fact| status.contradicting(fact)).collect();
    contradicting.sort_unstable();
    contradicting.dedup();
    if edit.is_none() && !contradicting.is_empty() {
        let contradicted = in_question().find(|fact| !status.contradicting(*fact).is_empty()).unwrap_or(proven);
        let edit = |fact: usize| status.facts[fact].edit;
        let by = status.contradicting(contradicted).into_iter().map(edit).collect();
        return Err(ExportError::Contradicted { record: edit(contradicted), by });
    }
    let place = |fact: usize| status.facts[fact].place;
    let event = |fact: usize| &history.events()[place(fact)].edit;
    let open = &history.events()[effects.open.ok_or(ExportError::Nothing)?].edit;
    let record = event(proven);
    let member = |edit: &Edit| roster.member(&edit.statement.author).ok_or(ExportError::Lost);
    let entry = |height| roster.entries(height).next().cloned().map(Bytes).ok_or(ExportError::Lost);
    let named = |edit: &Edit, since: u64| {
        let height = roster.height_of(&edit.statement.roster).ok_or(ExportError::Lost)?;
        (height != since).then(|| entry(height)).transpose()
    };
    let (since, opened) = (member(record)?.since, member(open)?.since);
    let signature_part = signature.map(|fact| {
        let signed = member(event(fact))?.since;
        Ok(Signature {
            record: Bytes(event(fact).bytes.clone()),
            enrolment: (signed != since).then(|| entry(signed)).transpose()?,
            named: named(event(fact), signed)?,
        })
    });
    let between = signature.map_or_else(Vec::new, |fact| between(history, place(proven), place(fact)));
    let proof = Proof {
        format: FORMAT.to_owned(),
        genesis: entry(0)?,
        enrolment: entry(since)?,
        named: named(record, since)?,
        open: Bytes(open.bytes.clone()),
        record: Bytes(record.bytes.clone()),
        opener: (opened != since).then(|| entry(opened)).transpose()?,
        signature: signature_part.transpose()?,
        between: between.into_iter().map(|place| Bytes(history.events()[place].edit.bytes.clone())).collect(),
    };
    Ok(Exported {
        bytes: proof.to_cbor(),
        record: record.id,
        decides: status.decided_by == Some(proven),
        signature: signature.map(|fact| event(fact).id),
        contradicted_by: contradicting.into_iter().map(|fact| event(fact).id).collect(),
        set_aside: !status.facts[proven].live(),
    })
}

/// The edits on a shortest way back from one to another, without the two: none if there are too many, or the one names the
/// other.
fn between(history: &History, from: usize, to: usize) -> Vec<usize> {
    let mut later: HashMap<usize, usize> = HashMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(place) = next.pop_front() {
        if place == to {
            break;
        }
        for before in &history.events()[place].after {
            if *before == to || history.knew(*before, to) {
                later.entry(*before).or_insert_with(|| {
                    next.push_back(*before);
                    place
                });
            }
        }
    }
    let mut way: Vec<usize> = std::iter::successors(later.get(&to).copied(), |place| later.get(place).copied())
        .take_while(|place| *place != from)
        .collect();
    way.reverse();
    if way.len() > BETWEEN_MAX { Vec::new() } else { way }
}

/// Verifies a proof, by nothing but its own bytes.
pub fn verify(bytes: &[u8]) -> Result<Proven, ProofError> {
    let proof = Proof::from_cbor(bytes)?;
    if proof.format != FORMAT {
        return Err(ProofError::Mismatch("it is of another format version"));
    }
    let roster = Roster::begin(&proof.genesis.0)?;
    let (genesis, organisation) = (roster.genesis(), roster.organisation());
    let open = Edit::verify(&organisation, &proof.open.0)?;
    let entry = |bytes: &Bytes| match verify_entry(genesis, &organisation, &bytes.0)? {
        (_, entry) if entry.term != 0 || entry.height == 0 => {
            Err(ProofError::Mismatch("an entry is of another term, or stands where the genesis does"))
        }
        found => Ok(found),
    };
    let (enrolled, enrolment) = entry(&proof.enrolment)?;
    // An entry that is there although it is the enrolment would make two proofs of one.
    let other = |bytes: &Bytes, than: EntryId| match entry(bytes)? {
        (id, _) if id == than => Err(ProofError::Mismatch("an entry stands there twice")),
        found => Ok(found),
    };
    let opener = proof.opener.as_ref().map(|bytes| other(bytes, enrolled)).transpose()?;
    check_opener(&open, opener.as_ref().map_or(&enrolment.change, |(_, entry)| &entry.change))?;
    if open.statement.document_opened() != open.document {
        return Err(ProofError::Mismatch("the record speaks of another shipment"));
    }
    let verified = |bytes: &Bytes, enrolment: &(EntryId, Entry), named: Option<&Bytes>| {
        let record = Edit::verify(&organisation, &bytes.0)?;
        let (named, height) = match named {
            Some(named) => other(named, enrolment.0).map(|(id, entry)| (id, entry.height))?,
            None => (enrolment.0, enrolment.1.height),
        };
        if named != record.statement.roster || height < enrolment.1.height {
            return Err(ProofError::Mismatch("the record does not name the roster entry that is there"));
        }
        if record.document != open.document {
            return Err(ProofError::Mismatch("the record speaks of another shipment"));
        }
        let proven = proven_record(&record, &enrolment.1.change)?;
        Ok((record, proven))
    };
    let enrolment = (enrolled, enrolment);
    let (record, proven) = verified(&proof.record, &enrolment, proof.named.as_ref())?;
    let signature = proof.signature.as_ref().map(|signature| {
        let enrolment = match &signature.enrolment {
            Some(bytes) => other(bytes, enrolled)?,
            None => enrolment.clone(),
        };
        verified(&signature.record, &enrolment, signature.named.as_ref())
    });
    let signature = signature.transpose()?;
    if signature.as_ref().is_some_and(|(other, proven)| other.id == record.id || proven.receiver.is_none()) {
        return Err(ProofError::Mismatch("what stands beside the record is no other signature"));
    }
    let known = match &signature {
        Some((signature, _)) => Some(check_between(&organisation, &record, signature, &proof.between)?),
        None if proof.between.is_empty() => None,
        None => return Err(ProofError::Mismatch("edits lead to a signature that is not there")),
    };
    let Ok(Action::Open(begun)) = Action::from_raw(&open.statement.action) else {
        return Err(ProofError::Mismatch("an edit is of another kind"));
    };
    let number = begun.plan.number.filter(|number| !number.is_empty() && begun.kind == "shipment");
    Ok(Proven {
        organisation: genesis.organisation.clone(),
        organisation_id: organisation,
        root_fingerprint: Digest(*blake3::hash(&genesis.root.0).as_bytes()),
        number: number.ok_or(ProofError::Mismatch("the shipment was opened without a number"))?,
        record: proven,
        signature: signature.map(|(_, proven)| proven),
        signature_known: known,
    })
}

fn proven_record(record: &Edit, enrolment: &Change) -> Result<ProvenRecord, ProofError> {
    let Change::Enrol(Enrol { key, name, .. }) = enrolment else {
        return Err(ProofError::Mismatch("the enrolment is another kind of entry"));
    };
    if *key != record.statement.author {
        return Err(ProofError::Mismatch("the enrolment is that of another device"));
    }
    let Ok(Action::Record(Record { step, receiver, .. })) = Action::from_raw(&record.statement.action) else {
        return Err(ProofError::Mismatch("an edit is of another kind"));
    };
    Ok(ProvenRecord {
        author: name.clone(),
        device: *key,
        by: record.statement.by.clone(),
        at: time::rfc3339(record.statement.at),
        step,
        receiver,
        edit: record.id,
    })
}

/// Whether the edits between lead from the record to the signature. An id commits to all that the edit says, so each one that
/// is named is the one that was meant.
fn check_between(
    organisation: &OrganisationId,
    record: &Edit,
    signature: &Edit,
    between: &[Bytes],
) -> Result<bool, ProofError> {
    let mut after = record.statement.after.clone();
    for bytes in between {
        let edit = Edit::verify(organisation, &bytes.0)?;
        if !after.contains(&edit.id) || edit.document != record.document {
            return Err(ProofError::Mismatch("the edits between the record and the signature are no chain"));
        }
        after = edit.statement.after;
    }
    match after.contains(&signature.id) {
        true => Ok(true),
        false if between.is_empty() => Ok(false),
        false => Err(ProofError::Mismatch("the edits between the record and the signature are no chain")),
    }
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
