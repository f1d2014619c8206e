//! Rows of one number become one order: they agree about it, or say where they don't.

use super::cell::INTEGER_MAX;
use super::mapping::Mapping;
use super::order::{Fields, LINES_MAX, Order, OrderLine};
use super::row::{Cells, RowReading};
use super::source::Source;
use super::table::{Columns, Row, Table};
use super::{Reading, Refusal};
use anyhow::Result;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows of one order. More than its lines may be, because a row may have no line; few enough that a mapping which
/// takes the wrong column for the number is told so at once.
const ROWS_MAX: usize = 2000;

/// The orders of a table.
pub(super) fn orders(table: &Table, mapping: &Mapping) -> Result<Reading> {
    let columns = table.columns();
    for (key, column) in mapping.columns() {
        columns.require(column, &key, &table.header)?;
    }
    let mut reading = Reading::default();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut gathered: Vec<(String, Vec<&Row>)> = Vec::new();
    for row in &table.rows {
        match (Cells { row, columns: &columns, mapping }).number() {
            Ok(number) => {
                let at = *numbers.entry(number).or_insert_with_key(|number| {
                    gathered.push((number.clone(), Vec::new()));
                    gathered.len() - 1
                });
                gathered[at].1.push(row);
            }
            Err(refusal) => reading.refused.push(row.damage.clone().unwrap_or(refusal)),
        }
    }
    for (number, rows) in gathered {
        match order(number, &rows, &columns, mapping) {
            Ok(order) => reading.orders.push(order),
            Err(reasons) => reading.refused.extend(reasons),
        }
    }
    reading.refused.sort_by_key(|refusal| refusal.line);
    // A cell that two fields read is told of once.
    let mut told: Vec<Refusal> = Vec::with_capacity(reading.refused.len());
    for refusal in reading.refused {
        let of_line = told.iter().rev().take_while(|earlier| earlier.line == refusal.line);
        if !of_line.into_iter().any(|earlier| *earlier == refusal) {
            told.push(refusal);
        }
    }
    Ok(Reading { orders: reading.orders, refused: told })
}

fn order(number: String, rows: &[&Row], columns: &Columns, mapping: &Mapping) -> Result<Order, Vec<Refusal>> {
    let cells = |row| Cells { row, columns, mapping };
    if rows.len() > ROWS_MAX {
        let why = format!(
            "{} rows have this number, of at most {ROWS_MAX}: check that the mapping's `order.number` is the column \
             that tells orders apart",
            rows.len()
        );
        return Err(vec![cells(rows[0]).refusal(mapping.order.number.source.label(), &number, why)]);
    }
    let mut order = Order { number, row: rows.first().map_or(0, |row| row.line), ..Order::default() };
    let mut refused = Vec::new();
    let mut line_names: HashSet<String> = HashSet::new();
    for (at, row) in rows.iter().enumerate() {
        let RowReading { fields, lines, refused: unreadable } = cells(*row).read();
        refused.extend(unreadable);
        let mut agreement =
            Agreement { number: &order.number, cells: cells(*row), before: &rows[..at], refused: &mut refused };
        agreement.fields(&mut order.fields, fields);
        for line in lines {
            if !line.line.is_empty() && !line_names.insert(line.line.clone()) {
                let why = format!(
                    "the order {} has a line of this name already: lines need names of their own",
                    order.number
                );
                refused.push(Refusal { line: row.line, column: line_column(mapping), value: line.line.clone(), why });
            }
            order.lines.push(line);
        }
    }
    if order.lines.len() > LINES_MAX {
        let why = format!("the order has {} lines, of at most {LINES_MAX}: split it", order.lines.len());
        let column = mapping.order.number.source.label();
        refused.push(Refusal { line: order.row, column, value: order.number.clone(), why });
    }
    if refused.is_empty() {
        number_lines(&mut order.lines, &line_names);
        Ok(order)
    } else {
        Err(refused)
    }
}

fn line_column(mapping: &Mapping) -> String {
    let columns = mapping.lines.iter().filter_map(|columns| columns.line.as_ref());
    columns.map(|line| line.source.label()).find(|label| !label.is_empty()).unwrap_or_default()
}

/// Lines without a name are called by their place, from 1, unless another line is named so.
fn number_lines(lines: &mut [OrderLine], taken: &HashSet<String>) {
    let mut next = 1;
    for line in lines.iter_mut().filter(|line| line.line.is_empty()) {
        while taken.contains(&next.to_string()) {
            next += 1;
        }
        line.line = next.to_string();
        next += 1;
    }
}

/// Whether a further row agrees with what an order's rows said before it.
struct Agreement<'a, 'r> {
    number: &'a str,
    cells: Cells<'a>,
    before: &'a [&'a Row],
    refused: &'r mut Vec<Refusal>,
}

impl Agreement<'_, '_> {
    fn fields(&mut self, said: &mut Fields, says: Fields) {
        let order = &self.cells.mapping.order;
        let texts = [
            (&order.consignee, &mut said.consignee, says.consignee),
            (&order.address, &mut said.address, says.address),
            (&order.run, &mut said.run, says.run),
            (&order.handling, &mut said.handling, says.handling),
            (&order.note, &mut said.note, says.note),
        ];
        for (column, said, says) in texts {
            if let Some(column) = column {
                self.agree(&column.source, column.first, said, says);
            }
        }
        if let Some(stop) = &order.stop {
            self.agree(&stop.source, stop.first, &mut said.stop, says.stop);
        }
        if let Some(driver) = &order.driver {
            self.agree(&driver.text.source, driver.text.first, &mut said.driver, says.driver);
        }
        self.parties(said, says.parties);
        if let Some(place) = &order.place {
            let source = Source::Column(place.latitude.clone());
            self.agree(&source, place.first, &mut said.place, says.place);
        }
        self.window(said, says.window);
        self.amount(said, says.amount_due);
    }

    fn parties(&mut self, said: &mut Fields, says: BTreeMap<String, String>) {
        for (kind, party) in says {
            let Some(column) = self.cells.mapping.order.parties.get(&kind) else { continue };
            let mut so_far = said.parties.remove(&kind);
            self.agree(&column.text.source, column.text.first, &mut so_far, Some(party));
            said.parties.extend(so_far.map(|party| (kind, party)));
        }
    }

    fn window(&mut self, said: &mut Fields, says: Option<[i64; 2]>) {
        let Some(window) = &self.cells.mapping.order.window else { return };
        match (&mut said.window, says) {
            (Some(said), Some(says)) if window.span => *said = [said[0].min(says[0]), said[1].max(says[1])],
            (so_far, says) => {
                let named = [&window.date, &window.from, &window.to].into_iter().flatten();
                let differs = |column: &&String| self.earlier(&Source::Column((*column).clone())).is_some();
                let column = named.clone().find(differs).or(named.clone().next()).cloned().unwrap_or_default();
                self.agree(&Source::Column(column), window.first, so_far, says);
            }
        }
    }

    fn amount(&mut self, said: &mut Fields, says: Option<i64>) {
        let Some(amount) = &self.cells.mapping.order.amount_due else { return };
        match (&mut said.amount_due, says) {
            (Some(said), Some(says)) if amount.sum => match said.checked_add(says) {
                Some(sum) if sum.abs() <= INTEGER_MAX => *said = sum,
                _ => {
                    let (column, why) = (amount.text.source.label(), "makes the order's sum too large".to_owned());
                    self.refused.push(self.cells.refusal(column, &says.to_string(), why));
                }
            },
            (so_far, says) => self.agree(&amount.text.source, amount.text.first, so_far, says),
        }
    }

    /// Takes what a row says where nothing was said before. An empty cell disagrees with nothing: many sheets fill in
    /// only an order's first row.
    fn agree<T: PartialEq>(&mut self, source: &Source, first: bool, said: &mut Option<T>, says: Option<T>) {
        let Some(says) = says else { return };
        match said {
            None => *said = Some(says),
            Some(said) if first || *said == says => {}
            Some(_) => {
                let earlier = self.earlier(source);
                let earlier = earlier.map_or_else(
                    || "an earlier row says otherwise".to_owned(),
                    |(line, text)| format!("line {line} says {:?}", super::shown(&text)),
                );
                let number = self.number;
                let why = format!(
                    "the rows of order {number} disagree ({earlier}): correct one, or set `first = true` for the \
                     column in the mapping"
                );
                let value = self.cells.text(source).unwrap_or_default();
                self.refused.push(self.cells.refusal(source.label(), &value, why));
            }
        }
    }

    /// What an earlier row has in this source that differs from this row, and the row's line.
    fn earlier(&self, source: &Source) -> Option<(u64, String)> {
        let here = self.cells.text(source);
        self.before.iter().find_map(|row| {
            let text = Cells { row, ..self.cells }.text(source).filter(|text| here.as_ref() != Some(text))?;
            Some((row.line, text.into_owned()))
        })
    }
}
