//! `creel history`: every edit of one shipment, and how far each has come.

use crate::answer::HistoryRow;
use crate::client::{Client, segment};
use crate::describe::{self, short, who};
use crate::screen::{Paint, Screen};
use crate::table::{Cell, table};
use crate::value::local;
use anyhow::Result;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::process::ExitCode;

/// Show every edit of one shipment, the ones that don't count too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel history M20261123-0001\n  creel history M20261123-0001 --json\n\n\
                        ✓  is durable on this device     ✓✓  is at the hub")]
pub(crate) struct Args {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
}

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let path = format!("/shipments/{}/history", segment(&args.shipment));
    if screen.json {
        screen.value(&node.fetch::<Value>(&path)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<HistoryRow> = node.fetch(&path)?;
    screen.print(&drawn(&rows, screen, &TimeZone::system()))?;
    Ok(ExitCode::SUCCESS)
}

fn drawn(rows: &[HistoryRow], screen: &Screen, zone: &TimeZone) -> String {
    let pick = |en, zh| screen.language.pick(en, zh);
    let headers = [
        "",
        pick("EDIT", "记录"),
        pick("AT", "时间（设备时钟）"),
        pick("BY", "记录人"),
        pick("WHAT", "内容"),
        pick("ARRIVED", "到达本机"),
        pick("NOT COUNTED", "不计原因"),
    ];
    let cells = rows.iter().map(|row| {
        let (mark, paint) = if row.at_hub.is_some() { ("✓✓", Paint::Green) } else { ("✓", Paint::Plain) };
        let not_counted = row.why_not.as_deref().unwrap_or(if row.counted { "" } else { pick("no", "不计") });
        vec![
            Cell::text(mark).painted(paint),
            Cell::text(short(&row.edit)),
            Cell::text(local(&row.at, zone)),
            Cell::text(who(&row.author, row.by.as_deref())),
            Cell::text(describe::edit(&row.action, None, row.detail.as_ref(), screen.language)),
            Cell::text(local(&row.arrived, zone)).painted(Paint::Dim),
            Cell::text(not_counted).painted(Paint::Yellow),
        ]
    });
    table(screen, &headers, cells.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use serde_json::json;

    /// A driver sees at a glance what the hub has, as in a messenger.
    #[test]
    fn marks() {
        let row = |at_hub: Value, why_not: Value| {
            serde_json::from_value::<HistoryRow>(json!({
                "edit": "ab".repeat(32), "author": "phone", "by": null, "action": "say", "counted": why_not.is_null(),
                "why_not": why_not, "at": "2026-11-23T00:05:00.000Z", "arrived": "2026-11-23T00:05:01.000Z",
                "at_hub": at_hub, "detail": {"text": "hi"}
            }))
            .expect("it is a row")
        };
        let rows = [row(json!("2026-11-23T00:06:00.000Z"), json!(null)), row(json!(null), json!("not allowed"))];
        assert_eq!(
            drawn(&rows, &Screen::plain(Language::En), &TimeZone::UTC),
            "    EDIT          AT                BY     WHAT  ARRIVED           NOT COUNTED\n\
             ✓✓  abababababab  2026-11-23 00:05  phone  “hi”  2026-11-23 00:05\n\
             ✓   abababababab  2026-11-23 00:05  phone  “hi”  2026-11-23 00:05  not allowed\n"
        );
    }
}
