//! Orders from a file by a mapping: CSV, XLSX or JSON lines become a table, a table's rows become orders.
//!
//! Nothing is half-taken: where one cell of one row can't be read, its whole order is refused, and every reason is
//! listed with the line a person finds it on. There is no guessing here (whether 03/04 is in March, or what comes after
//! a missing comma); what a file means beyond its cells is for the mapping to say. Sending orders to a node is not
//! part of this module.

mod cell;
mod column;
mod gather;
mod join;
mod json_lines;
mod mapping;
pub mod order;
mod row;
mod sheet;
mod source;
mod table;
mod window;

pub use mapping::Mapping;
pub use order::{Fields, Order, OrderLine};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a file gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The orders that are whole, in the order of their first lines.
    pub orders: Vec<Order>,
    /// Every reason why another is not among them, by line.
    pub refused: Vec<Refusal>,
}

/// Why an order, or a row that belongs to none, was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The line of the file, or the row of the sheet, from 1.
    pub line: u64,
    /// The column's name; several with ` + ` between them where a template reads them; empty where it is none.
    pub column: String,
    /// What the cell has, cut to 80 characters.
    pub value: String,
    /// What is wrong with it and what to do.
    pub why: String,
}

/// Reads the orders of a file by a mapping. An error means that the file as a whole can't be read: it is missing, too
/// large (over 256 MiB), of no known format, or lacks a column the mapping reads.
pub fn read_orders(file: &Path, mapping: &Mapping) -> Result<Reading> {
    let mut table = table::Table::read(file, mapping)?;
    let attempt = || format!("cannot read orders from {}", file.display());
    join::apply(&mut table, file, mapping).with_context(attempt)?;
    gather::orders(&table, mapping).with_context(attempt)
}

/// A cell as a report shows it.
fn shown(cell: &str) -> String {
    let mut shown: String =
        cell.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(80).collect();
    if cell.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
