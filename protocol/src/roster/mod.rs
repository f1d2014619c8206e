//! Who belongs: a log with one writer, the hub, in which every entry holds the hash of the one before.
//!
//! The root key is made once, kept offline, and certifies the hub's issuer key for a term; every entry of the term is
//! signed by the issuer key. This module holds the log's encoding and what follows from it; `invite` how a device gets in.
//! `Revoke`, `SetRole` and `Extend` are encoded and chained here already; their effect on edits comes with revocation.

pub mod cut;
pub mod invite;

use crate::cbor::{Bytes, CborError, Decode, Encode, Reader, Writer, cbor_map};
use crate::cose::{self, CoseError, Purpose, Sign1};
use crate::id::{DeviceKey, EditId, EntryId, OrganisationId, WorkflowId};
use crate::workflow::Workflow;
use cut::Cuts;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Bytes of a roster entry; a published workflow is the largest.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a name or a party.
pub const NAME_BYTES_MAX: usize = 128;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the organisation's nodes: may do everything.
    Admin,
    /// Plans, assigns and settles.
    Dispatcher,
    /// Picks orders in the warehouse.
    Picker,
    /// Carries them.
    Driver,
    /// Receives them.
    Shop,
    /// Looks on.
    Viewer,
    /// A role of a newer creel: may do nothing here.
    #[serde(skip_deserializing)]
    Unknown,
}

impl Role {
    /// Every role that this version knows, the weightiest first.
    pub const ALL: [Self; 6] = [Self::Admin, Self::Dispatcher, Self::Picker, Self::Driver, Self::Shop, Self::Viewer];

    /// The role's name in the API and in workflows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Dispatcher => "dispatcher",
            Self::Picker => "picker",
            Self::Driver => "driver",
            Self::Shop => "shop",
            Self::Viewer => "viewer",
            Self::Unknown => "unknown",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether members of this role see only the shipments their party has to do with.
    pub fn is_party(self) -> bool {
        matches!(self, Self::Driver | Self::Shop)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Encode for Role {
    fn encode(&self, writer: &mut Writer) {
        writer.text(self.name());
    }
}

impl Decode for Role {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        Ok(Self::named(reader.text()?).unwrap_or(Self::Unknown))
    }
}

cbor_map! {
    /// The birth of an organisation, signed by its root key: entry 0 of the roster, and term 0's certificate.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Genesis {
        /// The organisation's name.
        1 => organisation: String,
        /// The root's public key.
        2 => root: DeviceKey,
        /// The key that signs the entries of term 0.
        3 => issuer: DeviceKey,
        /// The hub's device.
        4 => hub: DeviceKey,
        /// When, by the hub's clock, in milliseconds since the Unix epoch.
        5 => at: u64,
    }
}

cbor_map! {
    /// A device becomes a member.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Enrol {
        /// Its key.
        1 => key: DeviceKey,
        /// What it may do.
        2 => role: Role,
        /// Whose device it is, where the role has a party.
        3 => party: Option<String>,
        /// Its name, for people.
        4 => name: String,
    }
}

cbor_map! {
    /// A workflow that shipments may be opened with from now on.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Publish {
        /// Its TOML text.
        1 => toml: String,
    }
}

cbor_map! {
    /// A device is no member any more; its edits count only up to the cuts.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Revoke {
        /// Its key.
        1 => key: DeviceKey,
        /// What the hub had accepted of it.
        2 => cuts: Cuts,
    }
}

cbor_map! {
    /// A device's role changes; what it did in the old role counts only up to the cuts.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct SetRole {
        /// Its key.
        1 => key: DeviceKey,
        /// The new role.
        2 => role: Role,
        /// The new party, where the role has one.
        3 => party: Option<String>,
        /// What the hub had accepted of it in the old role.
        4 => cuts: Cuts,
    }
}

cbor_map! {
    /// Edits beyond a cut that are accepted after all.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Extend {
        /// The edits.
        1 => edits: Vec<EditId>,
    }
}

/// What an entry changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A device becomes a member.
    Enrol(Enrol),
    /// A workflow is published.
    Publish(Publish),
    /// A device is no member any more. Encoded now, handled later.
    Revoke(Revoke),
    /// A device's role changes. Encoded now, handled later.
    SetRole(SetRole),
    /// Edits beyond a cut are accepted. Encoded now, handled later.
    Extend(Extend),
    /// A change of a newer creel: chained, kept, passed on, without effect here.
    Unknown(u64, Bytes),
}

impl Encode for Change {
    fn encode(&self, writer: &mut Writer) {
        let (kind, body) = match self {
            Self::Enrol(body) => (1, body.to_cbor()),
            Self::Publish(body) => (2, body.to_cbor()),
            Self::Revoke(body) => (3, body.to_cbor()),
            Self::SetRole(body) => (4, body.to_cbor()),
            Self::Extend(body) => (5, body.to_cbor()),
            Self::Unknown(kind, body) => (*kind, body.0.clone()),
        };
        writer.array(2);
        writer.unsigned(kind);
        writer.raw(&body);
    }
}

impl Decode for Change {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        if reader.array()? != 2 {
            return Err(CborError::Type);
        }
        let kind = reader.unsigned()?;
        let body = reader.any()?;
        Ok(match kind {
            1 => Self::Enrol(Enrol::from_cbor(body)?),
            2 => Self::Publish(Publish::from_cbor(body)?),
            3 => Self::Revoke(Revoke::from_cbor(body)?),
            4 => Self::SetRole(SetRole::from_cbor(body)?),
            5 => Self::Extend(Extend::from_cbor(body)?),
            _ => Self::Unknown(kind, Bytes(body.to_vec())),
        })
    }
}

cbor_map! {
    /// An entry of the log, signed by the term's issuer key.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Entry {
        /// Its term.
        1 => term: u64,
        /// Its place: 1 for the first after the genesis.
        2 => height: u64,
        /// The entry before.
        3 => previous: EntryId,
        /// When, by the hub's clock, in milliseconds since the Unix epoch.
        4 => at: u64,
        /// What it changes.
        5 => change: Change,
    }
}

/// Why an entry can't be the next of a roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Not in its encoding, or over the limit.
    #[error("a roster entry's encoding is wrong: {0}")]
    Encoding(#[from] CborError),
    /// The envelope or its signature.
    #[error("a roster entry is not signed by this organisation: {0}")]
    Envelope(#[from] CoseError),
    /// Not the entry that follows.
    #[error("roster entry {height} does not follow the {have} entries held here: two hubs may be writing one roster")]
    NotNext {
        /// The height the entry claims.
        height: u64,
        /// The height held here.
        have: u64,
    },
    /// A name or party over its limit, or a party missing.
    #[error("a roster entry's {0} is not acceptable")]
    Limit(&'static str),
    /// Only the hub writes.
    #[error("this device is not the hub, and only the hub admits members")]
    NotTheHub,
}

/// A device that belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its key.
    pub key: DeviceKey,
    /// What it may do.
    pub role: Role,
    /// Whose device it is.
    pub party: Option<String>,
    /// Its name, for people.
    pub name: String,
    /// The entry that enrolled it.
    pub since: u64,
}

/// A roster as far as it is held here, and what follows from it.
#[derive(Debug, Clone)]
pub struct Roster {
    genesis: Genesis,
    organisation: OrganisationId,
    entries: Vec<Vec<u8>>,
    heights: HashMap<EntryId, u64>,
    head: EntryId,
    members: HashMap<DeviceKey, Member>,
    workflows: HashMap<WorkflowId, (u64, Arc<Workflow>)>,
    newest_workflow: Option<WorkflowId>,
}

impl Roster {
    /// Makes an organisation: its genesis, signed by the root.
    pub fn found(name: &str, root: &SigningKey, issuer: &SigningKey, hub: &SigningKey, at: u64) -> Vec<u8> {
        let public = |key: &SigningKey| DeviceKey(key.verifying_key().to_bytes());
        let genesis =
            Genesis { organisation: name.to_owned(), root: public(root), issuer: public(issuer), hub: public(hub), at };
        cose::sign(Purpose::Genesis, &[], &genesis.to_cbor(), root).0
    }

    /// The roster that a genesis begins. Whether its root is the right one is the caller's to check.
    pub fn begin(genesis_bytes: &[u8]) -> Result<Self, RosterError> {
        let sign1 = Sign1::parse(genesis_bytes, Purpose::Genesis)?;
        let genesis = Genesis::from_cbor(sign1.payload)?;
        let id = sign1.verify(Purpose::Genesis, &[], &genesis.root.0)?;
        if genesis.organisation.is_empty() || genesis.organisation.len() > NAME_BYTES_MAX {
            return Err(RosterError::Limit("organisation's name"));
        }
        Ok(Self {
            genesis,
            organisation: OrganisationId(id),
            entries: vec![genesis_bytes.to_vec()],
            heights: HashMap::from([(EntryId(id), 0)]),
            head: EntryId(id),
            members: HashMap::new(),
            workflows: HashMap::new(),
            newest_workflow: None,
        })
    }

    /// The next entry's bytes, signed by the issuer. It takes effect by [`Roster::append`].
    pub fn write(&self, change: Change, at: u64, issuer: &SigningKey) -> Result<Vec<u8>, RosterError> {
        if issuer.verifying_key().to_bytes() != self.genesis.issuer.0 {
            return Err(RosterError::NotTheHub);
        }
        check_change(&change)?;
        let entry = Entry { term: 0, height: self.height() + 1, previous: self.head, at, change };
        let bytes = cose::sign(Purpose::Roster, &self.organisation.0, &entry.to_cbor(), issuer).0;
        if bytes.len() > ENTRY_BYTES_MAX { Err(RosterError::Limit("size")) } else { Ok(bytes) }
    }

    /// Takes the next entry. One that is held already changes nothing and is told by `false`.
    pub fn append(&mut self, bytes: &[u8]) -> Result<bool, RosterError> {
        let (id, entry) = verify_entry(&self.genesis, &self.organisation, bytes)?;
        if self.heights.contains_key(&id) {
            return Ok(false);
        }
        if entry.term != 0 || entry.height != self.height() + 1 || entry.previous != self.head {
            return Err(RosterError::NotNext { height: entry.height, have: self.height() });
        }
        match entry.change {
            Change::Enrol(Enrol { key, role, party, name }) => {
                // The first enrolment of a key stands; only SetRole changes it.
                self.members.entry(key).or_insert(Member { key, role, party, name, since: entry.height });
            }
            Change::Publish(Publish { toml }) => {
                let id = Workflow::id(&toml);
                if let Ok(workflow) = Workflow::parse(&toml) {
                    self.workflows.entry(id).or_insert((entry.height, Arc::new(workflow)));
                    self.newest_workflow = Some(id);
                }
            }
            Change::Revoke(_) | Change::SetRole(_) | Change::Extend(_) | Change::Unknown(..) => {}
        }
        self.entries.push(bytes.to_vec());
        self.heights.insert(id, entry.height);
        self.head = id;
        Ok(true)
    }

    /// The organisation's id.
    pub fn organisation(&self) -> OrganisationId {
        self.organisation
    }

    /// The organisation's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The newest entry.
    pub fn head(&self) -> EntryId {
        self.head
    }

    /// The newest entry's height; 0 when there is only the genesis.
    pub fn height(&self) -> u64 {
        self.entries.len() as u64 - 1
    }

    /// The entries from `height` on, the genesis included.
    pub fn entries(&self, height: u64) -> impl Iterator<Item = &Vec<u8>> {
        self.entries.iter().skip(usize::try_from(height).unwrap_or(usize::MAX))
    }

    /// Where an entry stands, if it is held here.
    pub fn height_of(&self, entry: &EntryId) -> Option<u64> {
        self.heights.get(entry).copied()
    }

    /// The member with this key.
    pub fn member(&self, key: &DeviceKey) -> Option<&Member> {
        self.members.get(key)
    }

    /// The member with this key as of an entry: what an edit that names the entry is judged by.
    pub fn member_at(&self, key: &DeviceKey, height: u64) -> Option<&Member> {
        self.members.get(key).filter(|member| member.since <= height)
    }

    /// All members, in the order of their enrolment.
    pub fn members(&self) -> Vec<&Member> {
        let mut members: Vec<_> = self.members.values().collect();
        members.sort_by_key(|member| member.since);
        members
    }

    /// The workflow with this id, if it was published no later than at `height`.
    pub fn workflow_at(&self, id: &WorkflowId, height: u64) -> Option<&Arc<Workflow>> {
        self.workflows.get(id).filter(|(since, _)| *since <= height).map(|(_, workflow)| workflow)
    }

    /// All workflows that were published, each with the height of the entry that first did, the newest of them first.
    pub fn workflows(&self) -> Vec<(u64, WorkflowId, &Arc<Workflow>)> {
        let mut workflows: Vec<_> =
            self.workflows.iter().map(|(id, (height, workflow))| (*height, *id, workflow)).collect();
        workflows.sort_by_key(|(height, _, _)| std::cmp::Reverse(*height));
        workflows
    }

    /// The workflow that new shipments are opened with.
    pub fn newest_workflow(&self) -> Option<(WorkflowId, &Arc<Workflow>)> {
        self.newest_workflow.map(|id| (id, &self.workflows[&id].1))
    }
}

/// Verifies an entry on its own, as a proof needs it: its id and what it says.
pub fn verify_entry(
    genesis: &Genesis,
    organisation: &OrganisationId,
    bytes: &[u8],
) -> Result<(EntryId, Entry), RosterError> {
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(RosterError::Limit("size"));
    }
    let sign1 = Sign1::parse(bytes, Purpose::Roster)?;
    let entry = Entry::from_cbor(sign1.payload)?;
    let id = EntryId(sign1.verify(Purpose::Roster, &organisation.0, &genesis.issuer.0)?);
    check_change(&entry.change)?;
    Ok((id, entry))
}

/// A party such as `shop:west-lake`: a kind in lower-case ASCII letters, a colon, then lower-case ASCII letters, digits,
/// hyphens, dots and anything beyond ASCII that is no control character, with no white space at its end. No table of Unicode is
/// asked that could change: every build of every node must give the same answer.
pub fn is_party_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.split_once(':').is_some_and(|(kind, name)| {
            !kind.is_empty()
                && kind.bytes().all(|byte| byte.is_ascii_lowercase())
                && !name.is_empty()
                && name.chars().all(|letter| {
                    letter.is_ascii_lowercase()
                        || letter.is_ascii_digit()
                        || "-.".contains(letter)
                        || letter >= '\u{a0}'
                })
                && !name.ends_with(char::is_whitespace)
        })
}

fn check_change(change: &Change) -> Result<(), RosterError> {
    let Change::Enrol(enrol) = change else { return Ok(()) };
    if enrol.name.is_empty() || enrol.name.len() > NAME_BYTES_MAX {
        return Err(RosterError::Limit("name"));
    }
    match &enrol.party {
        Some(party) if is_party_name(party) => Ok(()),
        None if !enrol.role.is_party() => Ok(()),
        // The issuer's version knew what this role needs.
        _ if enrol.role == Role::Unknown => Ok(()),
        _ => Err(RosterError::Limit("party")),
    }
}
