//! The month-end sheet's rows: a row per line of every shipment that was settled in the period.

use crate::answer::SheetRow;
use crate::words::{self, Teller};
use creel_protocol::core::io::Settlement;
use creel_protocol::shipment::time;
use creel_protocol::workflow::Outcome;
use serde_json::Value;

/// The rows of these shipments.
pub fn rows(settlements: &[Settlement]) -> Vec<SheetRow> {
    settlements.iter().flat_map(rows_of).collect()
}

fn rows_of(settled: &Settlement) -> Vec<SheetRow> {
    let empty = [Value::Object(serde_json::Map::new())];
    let lines = if settled.lines.is_empty() { &empty } else { settled.lines.as_slice() };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let teller = Teller::new(&settled.entries, Some(&settled.workflow));
    let exceptions: Vec<_> = settled.exceptions.iter().map(|exception| teller.exception(exception)).collect();
    let (en, zh): (Vec<_>, Vec<_>) = exceptions.into_iter().map(|words| (words.en, words.zh)).unzip();
    lines
        .iter()
        .enumerate()
        .map(|(nth, line)| {
            let name = text(line.get("line"));
            let withdrawn = line.get("withdrawn").and_then(Value::as_bool).unwrap_or(false);
            // What is no longer part of the order was not ordered; what was counted of it all the same still shows.
            let ordered = line.get("quantity").and_then(Value::as_i64).filter(|_| !withdrawn).unwrap_or(0);
            let count = settled.counts.get(&name).cloned().unwrap_or_default();
            let (short, damaged) = (count.short.unwrap_or(0), count.damaged.unwrap_or(0));
            let taken_back = if settled.outcome == Some(Outcome::Returned) { ordered.saturating_sub(short) } else { 0 };
            let returned = count.returned.unwrap_or(taken_back.max(0));
            let delivered = match settled.outcome {
                // A device can say what no one can mean: such counts neither make goods nor wrap around.
                Some(Outcome::Signed) => count.received.unwrap_or_else(|| {
                    let missing =
                        [short, damaged, returned].into_iter().fold(0, |sum: i64, one| sum.saturating_add(one.max(0)));
                    ordered.saturating_sub(missing).max(0)
                }),
                _ => 0,
            };
            SheetRow {
                number: settled.number.clone(),
                consignee: settled.consignee.clone(),
                status: Some(words::status(&settled.status, Some(&settled.workflow)).0),
                line: name,
                sku: text(line.get("sku")),
                name: text(line.get("name")),
                lot: text(line.get("lot")),
                unit: text(line.get("unit")),
                ordered,
                delivered,
                short,
                damaged,
                returned,
                due: settled.due.filter(|_| nth == 0),
                collected: settled.collected.filter(|_| nth == 0),
                receiver: settled.receiver.clone(),
                recorded_by: settled.recorded_by.clone(),
                at: settled.at.map(time::rfc3339).unwrap_or_default(),
                exceptions: en.join(" "),
                exceptions_zh: zh.join(" "),
            }
        })
        .collect()
}
