//! `creel history`: every edit of one shipment, and how far each has come.

use crate::answer::{HistoryRow, Shown};
use crate::client::{Client, segment};
use crate::describe::{self, short, who};
use crate::language::Language;
use crate::screen::{Paint, Screen};
use crate::table::{Cell, table};
use crate::value::local;
use anyhow::Result;
use creel_protocol::id::EditId;
use creel_protocol::workflow::Label;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::HashMap;
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
    // The steps' names for people are the workflow's, which the shipment itself knows.
    let shown: Shown = node.fetch(&format!("/shipments/{}", segment(&args.shipment)))?;
    let labels = shown.timeline.into_iter().filter_map(|entry| Some((entry.edit, entry.label?))).collect();
    screen.print(&drawn(&rows, &labels, screen, &TimeZone::system()))?;
    Ok(ExitCode::SUCCESS)
}

fn drawn(rows: &[HistoryRow], labels: &HashMap<EditId, Label>, screen: &Screen, zone: &TimeZone) -> String {
    let pick = |en, zh| screen.language.pick(en, zh);
    let headers = [
        "",
        pick("EDIT", "记录"),
        pick("AT", "设备时间"),
        pick("ARRIVED", "到达本机"),
        pick("BY", "记录人"),
        pick("WHAT", "内容"),
    ];
    let cells = rows.iter().map(|row| {
        let (mark, paint) = if row.at_hub.is_some() { ("✓✓", Paint::Green) } else { ("✓", Paint::Plain) };
        let label = labels.get(&row.edit).map(|label| screen.language.label(label));
        let what = describe::edit(&row.action, label, row.detail.as_ref(), screen.language);
        let why_not = match screen.language {
            Language::Zh => row.why_not_zh.as_ref().or(row.why_not.as_ref()),
            Language::En => row.why_not.as_ref(),
        };
        let what = match why_not {
            Some(why_not) => {
                Cell::whole(format!("{what}  [{} {why_not}]", pick("not counted:", "不计："))).painted(Paint::Yellow)
            }
            None => Cell::whole(what).painted(if row.counted { Paint::Plain } else { Paint::Dim }),
        };
        vec![
            Cell::text(mark).painted(paint),
            Cell::text(short(&row.edit)),
            Cell::text(local(&row.at, zone)),
            Cell::text(local(&row.arrived, zone)).painted(Paint::Dim),
            Cell::text(who(&row.author, row.by.as_deref())),
            what,
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
                "edit": "ab".repeat(32), "author": "phone", "device": "cd".repeat(32), "by": null, "action": "say", "counted": why_not.is_null(),
                "why_not": why_not, "at": "2026-11-23T00:05:00.000Z", "arrived": "2026-11-23T00:05:01.000Z",
                "at_hub": at_hub, "detail": {"text": "hi"}
            }))
            .expect("it is a row")
        };
        let rows = [row(json!("2026-11-23T00:06:00.000Z"), json!(null)), row(json!(null), json!("not allowed"))];
        assert_eq!(
            drawn(&rows, &HashMap::new(), &Screen::plain(Language::En), &TimeZone::UTC),
            "    EDIT          AT                ARRIVED           BY     WHAT\n\
             ✓✓  abababababab  2026-11-23 00:05  2026-11-23 00:05  phone  “hi”\n\
             ✓   abababababab  2026-11-23 00:05  2026-11-23 00:05  phone  “hi”  [not counted: not allowed]\n"
        );
    }
}
