//! What an import hands on: orders as plain data, with integers for everything that is counted.
//!
//! These types are the body of the request to the node, so their keys are those of a shipment's plan.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Characters of an order's number and of every other code (line, article number, unit, lot, run).
pub const CODE_CHARS_MAX: usize = 64;
/// Characters of a name, an address or a handling instruction.
pub const NAME_CHARS_MAX: usize = 200;
/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 1000;
/// Lines of one order.
pub const LINES_MAX: usize = 500;

/// One order as a file states it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The firm's own number.
    pub number: String,
    /// The first line of the file (or row of the sheet) that speaks of this order, from 1.
    pub row: u64,
    /// What is said of the order as a whole.
    #[serde(default)]
    pub fields: Fields,
    /// The goods, in the file's order.
    #[serde(default)]
    pub lines: Vec<OrderLine>,
}

/// What is said of an order as a whole. What the file leaves open is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Who it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consignee: Option<String>,
    /// Where, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Latitude and longitude on WGS 84, in 1e-7 degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<[i32; 2]>,
    /// From when until when it should arrive, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<[i64; 2]>,
    /// The driver's party, `driver:...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The run it goes with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its place in the run, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<u32>,
    /// Who else has to do with it, by kind: `shop` to `shop:west-lake`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parties: BTreeMap<String, String>,
    /// What is to be collected, in the currency's minor unit (fen, cents).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_due: Option<i64>,
    /// How to handle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handling: Option<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One line of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderLine {
    /// The line's name, unique within the order.
    pub line: String,
    /// The article's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// The article's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ordered quantity in thousandths of `unit`: 1.5 pallets are 1500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Unit of measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Lot or batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// Best before, as an ISO 8601 date (`yyyy-mm-dd`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
}
