//! One row by a mapping: what it says of its order, its lines, and what of it can't be read.

use super::Refusal;
use super::cell::{self, Excess};
use super::mapping::{Amount, Day, LineColumns, Mapping, Party, Place, Text, Window};
use super::order::{CODE_CHARS_MAX, Fields, NAME_CHARS_MAX, NOTE_CHARS_MAX, OrderLine};
use super::source::Source;
use super::table::{Columns, Row};
use std::borrow::Cow;

/// What one row says.
#[derive(Debug, Default)]
pub(super) struct RowReading {
    pub(super) fields: Fields,
    /// Its lines; one whose name is empty is to be numbered.
    pub(super) lines: Vec<OrderLine>,
    pub(super) refused: Vec<Refusal>,
}

/// A row's cells by their columns' names.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub(super) row: &'a Row,
    pub(super) columns: &'a Columns,
    pub(super) mapping: &'a Mapping,
}

impl<'a> Cells<'a> {
    /// The cell of this column, trimmed, unless it is empty or says that nothing is known.
    pub(super) fn cell(self, column: &str) -> Option<&'a str> {
        let cell = self.row.cells.get(self.columns.at(column)?)?.trim();
        let known = !cell.is_empty() && !self.mapping.missing.iter().any(|missing| missing == cell);
        known.then_some(cell)
    }

    /// The text of this source, where none of its cells is missing.
    pub(super) fn text(self, source: &'a Source) -> Option<Cow<'a, str>> {
        source.read(|column| self.cell(column))
    }

    pub(super) fn refusal(self, column: String, value: &str, why: String) -> Refusal {
        Refusal { line: self.row.line, column, value: super::shown(value), why }
    }

    /// The order's number, by which its rows are gathered.
    pub(super) fn number(self) -> Result<String, Refusal> {
        let source = &self.mapping.order.number.source;
        let Some(number) = self.text(source) else {
            return Err(self.refusal(source.label(), "", "the order's number is empty: fill it in".into()));
        };
        let number = number.trim();
        if number.contains(['\n', '\r', '\t']) {
            return Err(self.refusal(source.label(), number, "the order's number has a line break or a tab".into()));
        }
        cell::text(number, CODE_CHARS_MAX).map_err(|why| self.refusal(source.label(), number, why))
    }

    /// Everything else the row says.
    pub(super) fn read(self) -> RowReading {
        let mut reading = RowReading::default();
        if let Some(damage) = &self.row.damage {
            // What stands in the other cells of a damaged row may have slipped from its column.
            reading.refused.push(damage.clone());
            return reading;
        }
        let mut reader = Reader { cells: self, refused: Vec::new() };
        reading.fields = reader.fields();
        reading.lines = self.mapping.lines.iter().filter_map(|columns| reader.line(columns)).collect();
        reading.refused = reader.refused;
        reading
    }
}

struct Reader<'a> {
    cells: Cells<'a>,
    refused: Vec<Refusal>,
}

impl<'a> Reader<'a> {
    fn fields(&mut self) -> Fields {
        let order = &self.cells.mapping.order;
        Fields {
            consignee: self.name(order.consignee.as_ref()),
            address: self.name(order.address.as_ref()),
            place: order.place.as_ref().and_then(|place| self.place(place)),
            window: order.window.as_ref().and_then(|window| self.window(window)),
            driver: order.driver.as_ref().and_then(|party| self.party(party, "driver")),
            run: self.code(order.run.as_ref()),
            stop: order.stop.as_ref().and_then(|stop| self.value(stop, stop_number)),
            parties: order
                .parties
                .iter()
                .filter_map(|(kind, party)| Some((kind.clone(), self.party(party, kind)?)))
                .collect(),
            amount_due: order.amount_due.as_ref().and_then(|amount| self.amount(amount)),
            handling: self.name(order.handling.as_ref()),
            note: order.note.as_ref().and_then(|note| self.value(note, |cell| cell::text(cell, NOTE_CHARS_MAX))),
        }
    }

    /// The line these columns make; none where the row has nothing to say of it.
    fn line(&mut self, columns: &'a LineColumns) -> Option<OrderLine> {
        let refused_before = self.refused.len();
        let quantity = columns.quantity.as_ref().and_then(|quantity| self.value(quantity, quantity_of));
        if columns.skip_zero && quantity.is_none_or(|quantity| quantity == 0) && self.refused.len() == refused_before {
            return None;
        }
        let line = OrderLine {
            line: self.code(columns.line.as_ref()).unwrap_or_default(),
            sku: self.code(columns.sku.as_ref()),
            name: self.name(columns.name.as_ref()),
            quantity,
            unit: self.code(columns.unit.as_ref()),
            lot: self.code(columns.lot.as_ref()),
            expiry: columns.expiry.as_ref().and_then(|day| self.day(day)),
        };
        // A row on which only cells of the order stand has no line; constants alone make none.
        let says_something = columns
            .texts()
            .iter()
            .any(|(_, text)| !matches!(text.source, Source::Constant(_)) && self.cells.text(&text.source).is_some());
        says_something.then_some(line)
    }

    /// A value, or none; where the cell can't be read, that is noted unless the mapping leaves such cells out.
    fn value<T>(&mut self, text: &'a Text, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let cell = self.cells.text(&text.source)?;
        match parse(cell.trim()) {
            Ok(value) => Some(value),
            Err(why) => {
                if !text.or_missing {
                    self.refused.push(self.cells.refusal(text.source.label(), &cell, why));
                }
                None
            }
        }
    }

    fn code(&mut self, text: Option<&'a Text>) -> Option<String> {
        self.value(text?, |cell| cell::text(cell, CODE_CHARS_MAX))
    }

    fn name(&mut self, text: Option<&'a Text>) -> Option<String> {
        self.value(text?, |cell| cell::text(cell, NAME_CHARS_MAX))
    }

    fn party(&mut self, party: &'a Party, kind: &str) -> Option<String> {
        let kind = party.kind.as_deref().unwrap_or(kind);
        self.value(&party.text, |cell| cell::party(cell, kind))
    }

    fn amount(&mut self, amount: &'a Amount) -> Option<i64> {
        self.value(&amount.text, |cell| cell::decimal(cell, amount.decimals, Excess::Refuse))
    }

    fn day(&mut self, day: &'a Day) -> Option<String> {
        self.value(&day.text, |cell| cell::date(cell, &day.formats)).map(|date| date.to_string())
    }

    fn place(&mut self, place: &Place) -> Option<[i32; 2]> {
        let (latitude, longitude) = (self.cells.cell(&place.latitude), self.cells.cell(&place.longitude));
        if latitude.is_none() && longitude.is_none() {
            return None;
        }
        let half = |cell: Option<&str>, degrees_max| match cell {
            Some(cell) => cell::degrees(cell, degrees_max),
            None => Err("is empty, and the place's other half is not: fill in both or neither".into()),
        };
        let (column, why) = match (half(latitude, 90), half(longitude, 180)) {
            (Ok(0), Ok(0)) => (&place.latitude, "0, 0 is what devices write for an unknown place: empty both".into()),
            (Ok(latitude), Ok(longitude)) => return Some([latitude, longitude]),
            (Err(why), _) => (&place.latitude, why),
            (_, Err(why)) => (&place.longitude, why),
        };
        self.refuse(column, place.or_missing, why);
        None
    }

    fn window(&mut self, window: &Window) -> Option<[i64; 2]> {
        match super::window::read(window, self.cells) {
            Ok(read) => read,
            Err((column, why)) => {
                self.refuse(column, window.or_missing, why);
                None
            }
        }
    }

    fn refuse(&mut self, column: &str, or_missing: bool, why: String) {
        if !or_missing {
            let value = self.cells.cell(column).unwrap_or_default();
            self.refused.push(self.cells.refusal(column.to_owned(), value, why));
        }
    }
}

fn stop_number(cell: &str) -> Result<u32, String> {
    let stop = cell::decimal(cell, 0, Excess::Refuse)?;
    u32::try_from(stop).ok().filter(|stop| *stop > 0).ok_or_else(|| "is no place in a run: they count from 1".into())
}

fn quantity_of(cell: &str) -> Result<i64, String> {
    let quantity = cell::decimal(cell, 3, Excess::Refuse)?;
    if quantity < 0 { Err("is below zero: an order can't take goods back".into()) } else { Ok(quantity) }
}
