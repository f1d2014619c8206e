//! `creel list`: the shipments here.

use crate::answer::Row;
use crate::client::{Client, segment};
use crate::describe::short;
use crate::screen::{Paint, Screen};
use crate::table::{Cell, table};
use crate::value::local_window;
use anyhow::Result;
use creel_protocol::id::DocumentId;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::HashSet;
use std::process::ExitCode;

/// What filters there are, for every command that takes one.
pub(crate) const FILTERS: &str = "Filters, all of which must fit: status:signed number:M1 driver:li-wei driver:none shop:west-lake \
     party:KIND:NAME run:R1 consignee:lake is:exception limit:20, or words of the number or the consignee.";

/// List the shipments that are on this device.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("Examples:\n  creel list\n  creel list --filter \"status:out_for_delivery driver:li-wei\"\n  \
                        creel list --filter is:exception --json\n\n{FILTERS}"))]
pub(crate) struct Args {
    /// Only those that fit
    #[arg(long, value_name = "Q")]
    filter: Option<String>,
}

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let path = match &args.filter {
        Some(filter) => format!("/shipments?filter={}", segment(filter)),
        None => "/shipments".to_owned(),
    };
    if screen.json {
        screen.value(&node.fetch::<Value>(&path)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Row> = node.fetch(&path)?;
    if rows.is_empty() {
        screen.hint(match &args.filter {
            Some(filter) => format!("no shipment fits “{filter}”"),
            None => {
                "there are no shipments here yet: take orders in at the hub with `creel import FILE --map MAP.toml`"
                    .to_owned()
            }
        });
        return Ok(ExitCode::SUCCESS);
    }
    screen.print(&drawn(&rows, screen, &TimeZone::system()))?;
    let exceptions = rows.iter().filter(|row| row.summary.exceptions > 0).count();
    let count = if rows.len() == 1 { "1 shipment".to_owned() } else { format!("{} shipments", rows.len()) };
    screen.hint(match exceptions {
        0 => count,
        exceptions => format!("{count}, {exceptions} to be looked at (creel list --filter is:exception)"),
    });
    Ok(ExitCode::SUCCESS)
}

fn drawn(rows: &[Row], screen: &Screen, zone: &TimeZone) -> String {
    let pick = |en, zh| screen.language.pick(en, zh);
    let mut seen = HashSet::new();
    let twice: HashSet<&str> =
        rows.iter().map(|row| row.summary.number.as_str()).filter(|number| !seen.insert(*number)).collect();
    let headers = [
        pick("NUMBER", "单号"),
        pick("ID", "编号"),
        pick("STATUS", "状态"),
        pick("!", "异常"),
        pick("CONSIGNEE", "收货人"),
        pick("DRIVER", "司机"),
        pick("RUN", "车次"),
        pick("WINDOW", "时段"),
    ];
    let cells = rows.iter().map(|row| {
        let exceptions = if row.summary.exceptions > 0 { row.summary.exceptions.to_string() } else { String::new() };
        // The id is needed only where the number does not say which shipment is meant.
        let is_ambiguous = row.summary.number.is_empty() || twice.contains(row.summary.number.as_str());
        vec![
            Cell::text(&row.summary.number),
            Cell::text(if is_ambiguous { row.summary.id.to_string() } else { String::new() }),
            Cell::text(screen.language.label(&row.status_label)).painted(Paint::hex(&row.colour)),
            Cell::number(exceptions).painted(Paint::Red),
            Cell::text(&row.summary.consignee),
            Cell::text(row.summary.driver.strip_prefix("driver:").unwrap_or(&row.summary.driver)),
            Cell::text(&row.summary.run),
            Cell::text(local_window(&row.summary.window, zone)),
        ]
    });
    table(screen, &headers, cells.collect())
}

/// A shipment for a sentence: its number, or the beginning of its id where it has none.
pub(crate) fn named(number: &str, id: &DocumentId) -> String {
    if number.is_empty() { short(id) } else { number.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use creel_protocol::workflow::Label;

    fn row(id: u8, number: &str, exceptions: u64) -> Row {
        Row {
            summary: creel_protocol::core::io::Row {
                id: DocumentId([id; 24]),
                number: number.to_owned(),
                exceptions,
                consignee: "西湖".to_owned(),
                driver: "driver:li-wei".to_owned(),
                window: "2026-11-23T00:00:00.000Z/2026-11-23T04:00:00.000Z".to_owned(),
                ..Default::default()
            },
            status_label: Label { zh: "已签收".to_owned(), en: "Signed".to_owned() },
            colour: "#1a7f37".to_owned(),
        }
    }

    /// A list shows what a dispatcher looks for; ids only where numbers don't tell shipments apart.
    #[test]
    fn lists() {
        let drawn = |rows: &[Row]| drawn(rows, &Screen::plain(Language::Zh), &TimeZone::UTC);
        assert_eq!(
            drawn(&[row(1, "M1", 0), row(2, "M2", 1)]),
            "单号  状态    异常  收货人  司机    时段\n\
             M1    已签收        西湖    li-wei  2026-11-23 00:00–04:00\n\
             M2    已签收     1  西湖    li-wei  2026-11-23 00:00–04:00\n"
        );
        assert!(drawn(&[row(1, "M1", 0), row(0xb2, "M1", 0)]).contains("b2"));
    }
}
