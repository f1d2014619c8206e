//! Actions: what an edit can state, typed and versioned.
//!
//! Plans (what should happen) are fields that merge; records (what did happen) are inserted once. Quantities are in
//! thousandths of the line's unit, money in the currency's minor unit, places in 1e-7 degrees, times in milliseconds
//! since the Unix epoch: integers all, because floats have no one encoding.

use super::RawAction;
use crate::cbor::{Bytes, CborError, Decode, Encode, Reader, Writer, growing_map};
use crate::id::{EditId, FileHash, WorkflowId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place on WGS 84, latitude and longitude in 1e-7 degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(pub i32, pub i32);

impl Encode for Place {
    fn encode(&self, writer: &mut Writer) {
        (self.0, self.1).encode(writer);
    }
}

impl Decode for Place {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let (latitude, longitude) = <(i32, i32)>::decode(reader)?;
        let there = latitude.unsigned_abs() <= 900_000_000 && longitude.unsigned_abs() <= 1_800_000_000;
        if there { Ok(Self(latitude, longitude)) } else { Err(CborError::Range) }
    }
}

/// From when until when, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window(pub u64, pub u64);

impl Encode for Window {
    fn encode(&self, writer: &mut Writer) {
        (self.0, self.1).encode(writer);
    }
}

impl Decode for Window {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let (from, to) = <(u64, u64)>::decode(reader)?;
        if from <= to { Ok(Self(from, to)) } else { Err(CborError::Range) }
    }
}

growing_map! {
    /// One line of an order. In a `Plan`, what is given is set and what is not given stays.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Line {
        /// The line's name within the order.
        1 => line: String,
        /// The article's number.
        2 => sku: Option<String>,
        /// The article's name.
        3 => name: Option<String>,
        /// Ordered quantity in thousandths of `unit`.
        4 => quantity: Option<i64>,
        /// Unit of measure.
        5 => unit: Option<String>,
        /// Lot or batch.
        6 => lot: Option<String>,
        /// Best before, as an ISO 8601 date.
        7 => expiry: Option<String>,
        /// Whether the line is no longer part of the order.
        8 => withdrawn: Option<bool>,
        /// Weight of one unit in grams.
        9 => weight: Option<u32>,
        /// Volume of one unit in cubic centimetres.
        10 => volume: Option<u32>,
        /// Price of one unit, in the currency's minor unit.
        11 => price: Option<i64>,
        /// GS1's number of the article.
        12 => gtin: Option<String>,
        /// Fields that are taken back, of those that are no texts: [`LINE_CLEARABLE`].
        13 => cleared: Vec<String>,
    }
}

/// The fields of a plan that can be taken back by their names: they are no texts, which an empty one takes back.
pub const CLEARABLE: [&str; 5] = ["place", "window", "stop", "amount_due", "service"];
/// The same of a line.
pub const LINE_CLEARABLE: [&str; 4] = ["quantity", "weight", "volume", "price"];

growing_map! {
    /// Fields of a shipment's plan. An empty text takes a value back.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct PlanFields {
        /// The firm's own number.
        1 => number: Option<String>,
        /// Who it goes to.
        2 => consignee: Option<String>,
        /// Where, in words.
        3 => address: Option<String>,
        /// Where, on the map.
        4 => place: Option<Place>,
        /// When it should arrive.
        5 => window: Option<Window>,
        /// The driver's party.
        6 => driver: Option<String>,
        /// The run it goes with.
        7 => run: Option<String>,
        /// Its place in the run, from 1.
        8 => stop: Option<u32>,
        /// Who else has to do with it, by kind: `shop` to `shop:west-lake`.
        9 => parties: BTreeMap<String, String>,
        /// What is to be collected, in the currency's minor unit.
        10 => amount_due: Option<i64>,
        /// How to handle it.
        11 => handling: Option<String>,
        /// Anything else.
        12 => note: Option<String>,
        /// The goods.
        13 => lines: Vec<Line>,
        /// Where to call before the delivery.
        14 => phone: Option<String>,
        /// The customer's own number of the order.
        15 => reference: Option<String>,
        /// How long the delivery takes at the door, in minutes.
        16 => service: Option<u32>,
        /// The part of the country that it goes to.
        17 => region: Option<String>,
        /// The orders that belong together.
        18 => group: Option<String>,
        /// Fields that are taken back, of those that are no texts: [`CLEARABLE`].
        19 => cleared: Vec<String>,
        ;
        /// How many fields it sets that this version does not know.
        #[serde(skip)]
        unknown => unknown,
    }
}

growing_map! {
    /// Opens a document.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    pub struct Open {
        /// What kind of document: `shipment`.
        1 => kind: String,
        /// The workflow it follows from now on, if its kind of document has steps.
        2 => workflow: Option<WorkflowId>,
        /// Its first plan.
        3 => plan: PlanFields,
        /// Whether an import made it: what it says is then the import's last word (see [`Plan::import`]).
        4 => import: Option<bool>,
    }
}

growing_map! {
    /// Sets fields of the plan.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
    pub struct Plan {
        /// The fields that are set.
        1 => fields: PlanFields,
        /// Whether an import made it, so that the next import can tell its own last word from a person's.
        2 => import: Option<bool>,
    }
}

growing_map! {
    /// What became of one line, in thousandths of its unit.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct LineCount {
        /// The line's name within the order.
        1 => line: String,
        /// Arrived in good order.
        2 => received: Option<i64>,
        /// Missing.
        3 => short: Option<i64>,
        /// Arrived damaged.
        4 => damaged: Option<i64>,
        /// Taken back.
        5 => returned: Option<i64>,
        /// The lot or batch that was counted.
        6 => lot: Option<String>,
    }
}

growing_map! {
    /// A step that was done, with its evidence.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Record {
        /// The step's key in the workflow.
        1 => step: String,
        /// Why (a failed attempt, a return).
        2 => reason: Option<String>,
        /// Who took it.
        3 => receiver: Option<String>,
        /// `recipient` or `proxy`.
        4 => signed_as: Option<String>,
        /// What the receiver is to the consignee.
        5 => relation: Option<String>,
        /// The drawn signature, an SVG.
        6 => signature: Option<Bytes>,
        /// Photos, by hash.
        7 => photos: Vec<FileHash>,
        /// A scanned code.
        8 => scan: Option<String>,
        /// A PIN the receiver told.
        9 => pin: Option<String>,
        /// Where it was done.
        10 => place: Option<Place>,
        /// Money collected, in the currency's minor unit.
        11 => collected: Option<i64>,
        /// Anything else.
        12 => note: Option<String>,
        /// What became of the lines.
        13 => lines: Vec<LineCount>,
        /// Whether another visit is needed.
        14 => further: Option<bool>,
        /// How the money was paid, such as `cash`.
        15 => payment: Option<String>,
        /// The party that took the goods over: the shipment is its affair from now on.
        16 => handed_to: Option<String>,
    }
}

growing_map! {
    /// A measured value.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Measure {
        /// What was measured, such as `temperature`.
        1 => quantity: String,
        /// The value in thousandths of `unit`.
        2 => value: i64,
        /// The unit, such as `°C`.
        3 => unit: String,
        /// The instrument.
        4 => sensor: Option<String>,
    }
}

growing_map! {
    /// A message in the shipment's thread.
    #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(default)]
    pub struct Say {
        /// The message; absent where a file says it all.
        1 => text: Option<String>,
        /// The message that this one answers.
        2 => reply_to: Option<EditId>,
        /// Files that go with it, by hash.
        3 => files: Vec<FileHash>,
        /// What kind of files, such as `photo` or `voice`.
        4 => file_kind: Option<String>,
    }
}

growing_map! {
    /// Settles a contradiction.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Resolve {
        /// The facts it settles.
        1 => settle: Vec<EditId>,
        /// The one of them that stands, or none.
        2 => uphold: Option<EditId>,
        /// Why.
        3 => note: Option<String>,
    }
}

growing_map! {
    /// Takes back one's own record, measure or message.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Retract {
        /// What is taken back.
        1 => edit: EditId,
        /// Why.
        2 => note: Option<String>,
    }
}

impl Say {
    /// A message of words alone.
    pub fn of(text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..Self::default() }
    }
}

impl PlanFields {
    /// Whether nothing is set, not even a field that this version does not know.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&data_encoding::BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        data_encoding::BASE64.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// An action of a kind and version that this node understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Opens a document.
    Open(Open),
    /// Sets fields of the plan.
    Plan(Plan),
    /// A step that was done.
    Record(Record),
    /// A measured value.
    Measure(Measure),
    /// A message.
    Say(Say),
    /// Settles a contradiction.
    Resolve(Resolve),
    /// Takes back one's own.
    Retract(Retract),
}

/// Why an action is not understood here. The edit is kept and passed on, and has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// A kind or version of a newer creel.
    #[error("made by a newer creel: update this device to see it")]
    Unknown,
    /// The body is not what its kind and version ask for.
    #[error("its content is malformed: {0}")]
    Malformed(#[from] CborError),
}

impl Action {
    /// The action's name, as `history` shows it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Plan(_) => "plan",
            Self::Record(_) => "record",
            Self::Measure(_) => "measure",
            Self::Say(_) => "say",
            Self::Resolve(_) => "resolve",
            Self::Retract(_) => "retract",
        }
    }

    /// The action as it stands in an edit.
    pub fn to_raw(&self) -> RawAction {
        let (kind, body) = match self {
            Self::Open(body) => (1, body.to_cbor()),
            Self::Plan(body) => (2, body.to_cbor()),
            Self::Record(body) => (3, body.to_cbor()),
            Self::Measure(body) => (4, body.to_cbor()),
            Self::Say(body) => (5, body.to_cbor()),
            Self::Resolve(body) => (6, body.to_cbor()),
            Self::Retract(body) => (7, body.to_cbor()),
        };
        RawAction { kind, version: 1, body: Bytes(body) }
    }

    /// The meaning of an edit's action.
    pub fn from_raw(raw: &RawAction) -> Result<Self, ActionError> {
        let body = &raw.body.0;
        Ok(match (raw.kind, raw.version) {
            (1, 1) => Self::Open(Open::from_cbor(body)?),
            (2, 1) => Self::Plan(Plan::from_cbor(body)?),
            (3, 1) => Self::Record(Record::from_cbor(body)?),
            (4, 1) => Self::Measure(Measure::from_cbor(body)?),
            (5, 1) => Self::Say(Say::from_cbor(body)?),
            (6, 1) => Self::Resolve(Resolve::from_cbor(body)?),
            (7, 1) => Self::Retract(Retract::from_cbor(body)?),
            _ => return Err(ActionError::Unknown),
        })
    }

    /// The photos and files that a `Record` or a `Say` names.
    pub fn files(&self) -> &[FileHash] {
        match self {
            Self::Record(record) => &record.photos,
            Self::Say(say) => &say.files,
            _ => &[],
        }
    }

    /// Which fields of the plan an `Open` or a `Plan` sets.
    pub fn fields(&self) -> Option<&PlanFields> {
        match self {
            Self::Open(open) => Some(&open.plan),
            Self::Plan(plan) => Some(&plan.fields),
            _ => None,
        }
    }
}
