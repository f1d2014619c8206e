//! What goes into the core and what comes out of it.

use crate::cbor::Bytes;
use crate::edit::Edit;
use crate::edit::action::{Line, LineCount, Measure, PlanFields, Record};
use crate::id::{DeviceKey, DocumentId, EditId, FileHash, OrganisationId, Tap, WorkflowId};
use crate::proof::{ExportError, Exported};
use crate::roster::Role;
use crate::roster::invite::InviteRequest;
use crate::shipment::Void;
use crate::shipment::view::{Exception, TimelineEntry, View};
use crate::store::{Batch, StoreError};
use crate::sync::Frame;
use crate::sync::frame::{Redeem, Welcome};
use crate::workflow::{Label, Outcome, Step as WorkflowStep, Workflow};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The device's clock, in milliseconds since the Unix epoch. Shown to people, never trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now(pub u64);

/// A connection, numbered by the node.
pub type SessionId = u64;
/// A request of the node's edge, numbered by it.
pub type RequestId = u64;
/// A commit, numbered by the core.
pub type CommitId = u64;

/// What goes in.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "an input is made once, taken apart at once and never kept")]
pub enum Input {
    /// A person or a script acts at this device.
    Act {
        /// To tell the reply by.
        request: RequestId,
        /// The tap: the same one twice is one edit.
        tap: Tap,
        /// The person at the device.
        by: Option<String>,
        /// What they do.
        act: Act,
    },
    /// A person or a script asks.
    Ask {
        /// To tell the reply by.
        request: RequestId,
        /// What they ask.
        query: Query,
    },
    /// A connection to a peer whose key was proven by the handshake.
    Connected {
        /// The connection.
        session: SessionId,
        /// The peer's key.
        peer: DeviceKey,
        /// Whether this side dialled.
        dialled: bool,
    },
    /// A frame from a peer.
    Received {
        /// The connection.
        session: SessionId,
        /// The frame, its edits verified.
        frame: Frame,
        /// Edits that were refused when the frame was decoded, in words.
        refused: Vec<String>,
    },
    /// Nothing has come from the peer for a while: what it has not acknowledged is to be sent once more, a little of it, beside the
    /// stream.
    Repeat {
        /// The connection.
        session: SessionId,
    },
    /// A connection ended.
    Disconnected {
        /// The connection.
        session: SessionId,
    },
    /// A device that proved its key asks to become a member.
    Redeem {
        /// To tell the reply by.
        request: RequestId,
        /// The device.
        device: DeviceKey,
        /// The connection's TLS exporter.
        exporter: [u8; 32],
        /// What it sent.
        redeem: Redeem,
    },
    /// What came by hand, in a file, or was saved from this device's damaged store: taken as from a peer.
    Unpack {
        /// To tell the reply by.
        request: RequestId,
        /// Roster entries, in order.
        entries: Vec<Bytes>,
        /// Edits, verified.
        edits: Vec<Edit>,
    },
    /// A photo has come further.
    Photo {
        /// Which.
        photo: FileHash,
        /// How far.
        news: PhotoNews,
    },
    /// From time to time, at a driver's or a shop's device: shipments that are over, or not its party's any more, are let go of.
    Tidy {
        /// How long a shipment is kept after the hub was known to have the last of it.
        keep: Keep,
    },
    /// A commit is durable. Commits become durable in the order in which they were handed out.
    Committed {
        /// Which.
        commit: CommitId,
    },
    /// Nothing else is to be done: a bounded piece of background work may be.
    Idle,
}

/// How long a driver's or a shop's device keeps what it needs no more, in milliseconds by its own clock from when the hub was
/// known to have the last of it. Longer than the time between two backups of the hub: what a restored hub has lost, the devices
/// bring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Shipments that have ended.
    pub closed_ms: u64,
    /// Shipments that are not the party's any more.
    pub left_ms: u64,
}

/// A photo, after the device that named it.
pub type Named = (DeviceKey, FileHash);

/// How far a photo has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoNews {
    /// It is durable on this device.
    Kept {
        /// The device that it came from; none if somebody at this device gave it.
        from: Option<DeviceKey>,
    },
    /// It is durable at the hub.
    AtHub,
}

/// What comes out. The shell applies a commit's batch before the next step, so that the next step sees it.
#[derive(Debug, Clone)]
pub enum Output {
    /// Apply this; when it is durable, answer with [`Input::Committed`].
    Commit {
        /// Which.
        commit: CommitId,
        /// What.
        batch: Batch,
    },
    /// An answer to a request.
    Reply {
        /// The request.
        request: RequestId,
        /// The answer.
        reply: Result<Reply, Refusal>,
    },
    /// Send a frame.
    Send {
        /// The connection.
        session: SessionId,
        /// The frame.
        frame: Frame,
    },
    /// Send a frame once more, in a datagram, if it fits into one.
    Repeat {
        /// The connection.
        session: SessionId,
        /// The frame.
        frame: Frame,
    },
    /// Close a connection.
    Close {
        /// The connection.
        session: SessionId,
        /// Why, in words for a person.
        why: String,
    },
    /// A document changed: live screens follow.
    Changed(DocumentId),
    /// Something of a peer's was refused: counted and logged, without effect on others.
    Refused {
        /// The peer.
        peer: DeviceKey,
        /// Why.
        why: String,
    },
    /// An edit of this device waits to be delivered: dial now.
    Waiting,
    /// The store failed: acknowledge nothing any more, and stop.
    Failed(StoreError),
}

/// Why a request was not fulfilled. Nothing of it took effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing by that name.
    #[error("there is no shipment “{0}” here: give its number, or the first digits of its id")]
    NotFound(String),
    /// Several by that name.
    #[error("“{name}” could be several: {candidates}; give more digits of the id")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it could be.
        candidates: String,
    },
    /// The tap was another request's.
    #[error(
        "this Idempotency-Key was used for something else: send a new one for each act, and the same only to try that act again"
    )]
    TapUsed,
    /// The person at this device may not.
    #[error("{0}")]
    NotYours(String),
    /// The edit would not count.
    #[error(transparent)]
    Void(#[from] Void),
    /// There is nothing to prove, or not without a choice.
    #[error(transparent)]
    Unproven(#[from] ExportError),
    /// Not allowed or malformed, in words that say what to do.
    #[error("{0}")]
    Invalid(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which shipments a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Targets {
    /// Those named.
    Named(Vec<String>),
    /// All that a filter finds.
    Filter(String),
}

/// An order as an import brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The firm's own number.
    pub number: String,
    /// The first line of the file it stands on, from 1; 0 if there is none.
    #[serde(default)]
    pub row: u64,
    /// Its fields.
    #[serde(default)]
    pub fields: PlanFields,
    /// Its lines.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// What a person does.
#[derive(Debug, Clone, Serialize)]
pub enum Act {
    /// Records a step.
    Record {
        /// The shipments, by number or id.
        shipments: Vec<String>,
        /// What was done.
        record: Record,
        /// The person's own role, where several share this device: each shipment's workflow says whether it may. It is no part of
        /// what is asked for.
        #[serde(skip)]
        role: Option<Role>,
    },
    /// Records a measured value.
    Measure {
        /// The shipments.
        shipments: Vec<String>,
        /// What was measured.
        measure: Measure,
    },
    /// Sets fields of the plan.
    Plan {
        /// The shipments.
        targets: Targets,
        /// The fields.
        fields: PlanFields,
    },
    /// Writes a message.
    Say {
        /// The shipment.
        shipment: String,
        /// The message.
        text: String,
    },
    /// Settles a contradiction.
    Resolve {
        /// The shipment.
        shipment: String,
        /// The records to settle: ids or unique prefixes of them.
        settle: Vec<String>,
        /// The one that stands, or none.
        uphold: Option<String>,
        /// Why.
        note: Option<String>,
    },
    /// Takes an own edit back.
    Retract {
        /// The edit's id or a unique prefix of it.
        edit: String,
        /// Why.
        note: Option<String>,
        /// Only if the edit names the same person, where several share this device. No part of what is asked for either.
        #[serde(skip)]
        own: bool,
    },
    /// Takes orders in.
    Import {
        /// The orders.
        orders: Vec<Order>,
        /// Only tell what would be done.
        dry_run: bool,
    },
    /// Publishes a workflow: shipments that are opened from now on follow it.
    Publish {
        /// Its text.
        toml: String,
    },
    /// Invites a member.
    Invite {
        /// Who.
        request: InviteRequest,
        /// Until when, in milliseconds since the Unix epoch.
        expires: u64,
        /// Where this hub listens.
        addresses: Vec<String>,
    },
}

/// What a person asks.
#[derive(Debug, Clone)]
pub enum Query {
    /// How the node is.
    Status,
    /// The shipments a filter finds.
    List {
        /// The filter; empty for all.
        filter: String,
    },
    /// The workflows that were published, the newest first.
    Workflows,
    /// One shipment.
    Show {
        /// Its number or id.
        shipment: String,
    },
    /// Every edit of one shipment.
    History {
        /// Its number or id.
        shipment: String,
    },
    /// The drawn signature of a record.
    Signature {
        /// The edit's id or a unique prefix of it.
        edit: String,
    },
    /// A portable proof of delivery.
    Proof {
        /// Its number or id.
        shipment: String,
        /// Which record is to be proven, by its id or a unique prefix of it: one side of a contradiction, or one that was
        /// settled away. None for the record that decides.
        edit: Option<String>,
    },
    /// The Automerge document.
    Automerge {
        /// Its number or id.
        shipment: String,
    },
    /// Photos that are named by records and not known to be here, a page of them.
    WantedPhotos {
        /// Only those that this device has, because it named them.
        from: Option<DeviceKey>,
        /// Where the last page ended.
        after: Option<Named>,
    },
    /// Whether a peer may have a photo.
    MayFetch {
        /// The peer.
        peer: DeviceKey,
        /// The photo.
        photo: FileHash,
    },
    /// Whether the hub is known to have a photo.
    PhotoAtHub {
        /// The photo.
        photo: FileHash,
    },
    /// A part of what is held, to travel by hand.
    Pack {
        /// For which member, by name: what it may see, or what the hub is not known to have. None for everything.
        peer: Option<String>,
        /// Where the last part ended.
        after: Option<DocumentId>,
    },
    /// The month-end sheet: shipments settled from `from` until before `to`, in milliseconds since the Unix epoch.
    Sheet {
        /// From when.
        from: i64,
        /// Until before when.
        to: i64,
    },
}

/// An edit that an act made, or had made before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The edit.
    pub edit: EditId,
    /// The shipment.
    pub id: DocumentId,
    /// Its number.
    pub number: String,
}

/// A row of an import that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// The column.
    pub column: String,
    /// What stands there.
    pub value: String,
    /// Why it was refused and what to do.
    pub why: String,
}

/// A field that a person had changed since the last import: theirs is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The shipment.
    pub number: String,
    /// The field.
    pub field: String,
    /// What stands in the shipment.
    pub ours: String,
    /// What stands in the file.
    pub file: String,
}

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Orders that were opened as new shipments.
    pub taken: u64,
    /// Shipments of which fields were changed.
    pub updated: u64,
    /// Shipments in which nothing had changed.
    pub unchanged: u64,
    /// Fields that were kept because a person had changed them.
    pub kept: u64,
    /// Those fields.
    #[serde(default)]
    pub kept_fields: Vec<Kept>,
    /// Rows that were not taken.
    pub refused: Vec<RefusedRow>,
}

/// A shipment in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The document.
    pub id: DocumentId,
    /// The firm's own number.
    pub number: String,
    /// The status: a step's key, or `none`.
    pub status: String,
    /// How many things people have to look at.
    pub exceptions: u64,
    /// Who it goes to.
    pub consignee: String,
    /// The driver's party.
    pub driver: String,
    /// The run.
    pub run: String,
    /// When it should arrive.
    pub window: String,
    /// How it has ended; empty while it has not.
    pub outcome: String,
    /// How far along it is: the rank of its status.
    pub rank: u64,
    /// The parties that the plan names now.
    pub parties: Vec<String>,
    /// Where it goes to.
    pub address: String,
    /// The same on a map: `LAT,LON` in decimal degrees.
    pub place: String,
    /// Which stop of its run.
    pub stop: Option<i64>,
    /// When it was opened, by that device's clock.
    pub opened: String,
    /// When what is its status was recorded, by that device's clock; empty before the first record.
    pub since: String,
    /// Messages in its thread.
    pub messages: u64,
    /// Lines of goods.
    pub lines: u64,
    /// Kinds of its exceptions; and `short`, `damaged`, `not_counted` where there is such a record.
    pub kinds: Vec<String>,
    /// The name of its workflow.
    pub workflow: String,
    /// The money due, in the currency's minor unit.
    pub due: Option<i64>,
    /// Which of the workflows of that name: the one it was opened with.
    pub workflow_id: Option<WorkflowId>,
    /// When it was signed for, by the device's clock that recorded it.
    pub signed: Option<String>,
}

/// Shipments in a list, with the workflows they follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The shipments.
    pub rows: Vec<Row>,
    /// The workflows of those.
    pub workflows: BTreeMap<WorkflowId, Arc<Workflow>>,
}

/// A workflow as the roster has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedWorkflow {
    /// What shipments name it by.
    pub id: WorkflowId,
    /// Whether new shipments follow it.
    pub current: bool,
    /// The height of the roster entry that published it.
    pub published: u64,
    /// Its name in scripts.
    pub name: String,
    /// Its name for people.
    pub label: Label,
    /// Its steps.
    pub steps: Vec<WorkflowStep>,
}

/// Several shipments of one number: only a look at other shipments shows it, so it is no part of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberTwice {
    /// The shipments that carry the number, at most [`crate::shipment::exceptions::SHOWN_PER_PAIR`].
    pub shipments: Vec<DocumentId>,
    /// The edit that opened each.
    pub edits: Vec<EditId>,
    /// How many shipments are left out.
    pub more: u64,
}

/// A shipment with everything about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The view that is the same everywhere.
    pub view: View,
    /// Where others carry its number.
    pub number_twice: Option<NumberTwice>,
    /// The workflow it was opened with.
    pub workflow_id: Option<WorkflowId>,
    /// The same, with its steps.
    pub workflow: Option<Arc<Workflow>>,
    /// Digest of the edits and the roster's head.
    pub edits_hash: crate::id::Digest,
    /// Digest of the view.
    pub view_hash: crate::id::Digest,
    /// The Automerge document's heads.
    pub automerge_heads: Vec<String>,
    /// Photos named by its records.
    pub photos: Vec<FileHash>,
    /// Those of them that the hub is known to have.
    pub photos_at_hub: Vec<FileHash>,
}

/// One edit of a shipment's history, with what only this node knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    /// The edit.
    pub edit: EditId,
    /// The device's name.
    pub author: String,
    /// The device's key.
    pub device: DeviceKey,
    /// The person at the device.
    pub by: Option<String>,
    /// What it states, by its action's name.
    pub action: String,
    /// The step of a record.
    pub step: Option<String>,
    /// Whether it counts.
    pub counted: bool,
    /// If not, why: a code of [`crate::shipment::Void::code`].
    pub why_not: Option<&'static str>,
    /// The device's claimed time.
    pub at: String,
    /// When it arrived here, by this device's clock.
    pub arrived: String,
    /// When the hub was known to have it, by this device's clock; null until then.
    pub at_hub: Option<String>,
    /// What it states.
    pub detail: Option<serde_json::Value>,
}

/// A peer in the node's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Its party.
    pub party: Option<String>,
    /// Its key.
    pub device: DeviceKey,
    /// Whether it is the hub.
    pub hub: bool,
    /// Whether there is a session with it now.
    pub connected: bool,
    /// Edits on their way to it.
    pub unacknowledged: u64,
}

/// How the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// The organisation's name.
    pub organisation: String,
    /// The organisation's id.
    pub organisation_id: OrganisationId,
    /// This device's key.
    pub device: DeviceKey,
    /// This device's name.
    pub name: String,
    /// Its role.
    pub role: Option<Role>,
    /// Its party.
    pub party: Option<String>,
    /// Whether it is the hub.
    pub hub: bool,
    /// Shipments held.
    pub shipments: u64,
    /// Edits held here that the hub is not known to have.
    pub waiting: u64,
    /// Edits from peers that wait for what they stand on.
    pub held_back: u64,
    /// Things of peers that were refused since the start.
    pub refused: u64,
    /// Frames and fields of newer versions that were passed over since the start.
    pub passed_over: u64,
    /// Shipments whose summary is being brought up to date.
    pub refreshing: u64,
    /// Roster entries held.
    pub roster_height: u64,
    /// The other members.
    pub peers: Vec<PeerStatus>,
}

/// A shipment in the month-end sheet: how it ended, and what the records that stand say about its goods. Quantities in thousandths
/// of the unit, money in the currency's minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The shipment's number.
    pub number: String,
    /// Who it went to.
    pub consignee: String,
    /// The status: a step's key.
    pub status: String,
    /// The workflow it follows.
    pub workflow: Arc<Workflow>,
    /// Its lines, as the view has them.
    pub lines: Vec<serde_json::Value>,
    /// Money due.
    pub due: Option<i64>,
    /// How it has ended, if it has.
    pub outcome: Option<Outcome>,
    /// What became of each line, by its name.
    pub counts: BTreeMap<String, LineCount>,
    /// Money collected.
    pub collected: Option<i64>,
    /// Who took it.
    pub receiver: String,
    /// Who recorded that.
    pub recorded_by: String,
    /// When, by that device's clock, in milliseconds since the Unix epoch.
    pub at: Option<u64>,
    /// What people have to look at.
    pub exceptions: Vec<Exception>,
    /// The edits that those are about.
    pub entries: Vec<TimelineEntry>,
}

/// A part of what is held, to travel by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Roster entries and edits.
    pub frames: Vec<Frame>,
    /// How many documents are in this part.
    pub documents: usize,
    /// The photos that their records name.
    pub photos: BTreeSet<FileHash>,
    /// Where this part ends, if others follow.
    pub next: Option<DocumentId>,
}

/// What became of what came by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// Edits that are kept from now on.
    pub taken: usize,
    /// Edits that were held already.
    pub held: usize,
    /// Edits that wait in memory for others that are not here: bring those, or the same file once more.
    pub waiting: usize,
    /// Things that were refused.
    pub refused: usize,
    /// Why, for the first of them.
    pub why: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// What an act made.
    Made(Vec<Made>),
    /// What became of an import.
    Imported(ImportReport),
    /// An invite's text.
    Invited(String),
    /// The workflows that were published, the newest first.
    Workflows(Vec<PublishedWorkflow>),
    /// How the node is.
    Status(Box<NodeStatus>),
    /// Shipments.
    List(List),
    /// One shipment.
    Shown(Box<Shown>),
    /// One shipment's edits.
    History(Vec<HistoryRow>),
    /// A proof of delivery.
    Proof(Box<Exported>),
    /// A file: an Automerge document or a drawn signature.
    File(Vec<u8>),
    /// The month-end sheet.
    Sheet(Vec<Settlement>),
    /// Photos that are wanted, in the order of their devices. With none of them the list has ended.
    Photos(Vec<Named>),
    /// Yes or no.
    Is(bool),
    /// A device became a member.
    Welcome(Welcome),
    /// A part of what is held, to travel by hand.
    Packed(Packed),
    /// What became of what came by hand.
    Unpacked(Unpacked),
}
