//! `creel import`: takes orders in, as often as the file changes.

use crate::client::{Broken, Client, fresh_tap};
use crate::describe::field;
use crate::screen::{Paint, Screen, clean};
use anyhow::{Context, Result};
use creel::import::{Mapping, Order, Refusal, read_orders};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Orders of one request: few enough that the bar moves, and that other work gets in between.
const PART_ORDERS_MAX: usize = 500;
/// Bytes of one request; the node takes twice that.
const PART_BYTES_MAX: usize = 4_000_000;
/// Refusals and kept fields that are told in words; `--json` has all.
const TOLD_MAX: usize = 20;

/// Take orders in from CSV (UTF-8 or GB18030), XLSX or JSON lines. Importing a file again applies only what changed in
/// it; what a person has changed meanwhile is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel import orders.xlsx --map docs/mappings/tackle.toml --dry-run\n  \
                        creel import orders.csv --map our-sheet.toml\n  \
                        creel import orders.csv --map our-sheet.toml --json | jq '.refused[]'\n\n\
                        A mapping names the file's columns; docs/mappings/tackle.toml explains every key. An order is taken\n\
                        whole or not at all. The exit code is 0 where some are refused: they are listed.")]
pub(crate) struct Args {
    /// The orders
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which column is which field
    #[arg(long, value_name = "MAP.toml")]
    map: PathBuf,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What became of an import, or of one part of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    taken: u64,
    updated: u64,
    unchanged: u64,
    kept: u64,
    #[serde(default)]
    kept_fields: Vec<Kept>,
    refused: Vec<Refusal>,
}

/// A field that a person had changed since the last import.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    number: String,
    field: String,
    ours: String,
    file: String,
}

impl Report {
    fn add(&mut self, part: Self) {
        self.taken += part.taken;
        self.updated += part.updated;
        self.unchanged += part.unchanged;
        self.kept += part.kept;
        self.kept_fields.extend(part.kept_fields);
        self.refused.extend(part.refused);
    }
}

pub(crate) fn run(args: &Args, node: impl FnOnce() -> Result<Client>, screen: &Screen) -> Result<ExitCode> {
    let mapping = Mapping::read(&args.map)?;
    let node = node()?;
    let reading = read_orders(&args.file, &mapping)?;
    let mut report = Report { refused: reading.refused, ..Report::default() };
    send(&node, &reading.orders, args.dry_run, &mut report)?;
    report.refused.sort_by_key(|refusal| refusal.line);
    if screen.json {
        screen.value(&report)?;
    } else {
        screen.print(&told(&report, args.dry_run, screen))?;
        if args.dry_run {
            screen.hint("nothing was changed: run it without --dry-run to take them in");
        } else if report.taken > 0 {
            screen.hint("now look at them: creel list");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn send(node: &Client, orders: &[Order], dry_run: bool, report: &mut Report) -> Result<()> {
    // It hides itself where standard error is no terminal.
    let bar = ProgressBar::new(orders.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} orders  {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(250));
    for part in parts(orders)? {
        let request = json!({ "orders": &orders[part.clone()], "dry_run": dry_run });
        let answer = node.post("/imports", &fresh_tap()?, &request).map_err(|error| {
            bar.finish_and_clear();
            let broke_off = error.is::<Broken>();
            let (done, all) = (part.start, orders.len());
            error.context(if broke_off || done > 0 {
                format!(
                    "the import broke off after {done} of {all} orders (running the same import again is safe: what is in \
                     already stays as it is)"
                )
            } else {
                "nothing was imported".to_owned()
            })
        })?;
        report.add(answer);
        bar.set_position(part.end as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Orders that go together in one request, in their order.
fn parts(orders: &[Order]) -> Result<Vec<Range<usize>>> {
    let (mut parts, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (nth, order) in orders.iter().enumerate() {
        let order_bytes = serde_json::to_vec(order).context("an order can't be sent")?.len() + 1;
        if nth - begin == PART_ORDERS_MAX || nth > begin && bytes + order_bytes > PART_BYTES_MAX {
            parts.push(begin..nth);
            (begin, bytes) = (nth, 0);
        }
        bytes += order_bytes;
    }
    if begin < orders.len() {
        parts.push(begin..orders.len());
    }
    Ok(parts)
}

/// The report in words.
fn told(report: &Report, dry_run: bool, screen: &Screen) -> String {
    let refused = report.refused.len() as u64;
    let opened = if dry_run { "orders that would be opened" } else { "orders opened as new shipments" };
    let mut lines: Vec<String> = [
        (report.taken, "taken", opened, Paint::Green),
        (report.updated, "updated", "shipments of which fields changed", Paint::Green),
        (report.unchanged, "unchanged", "shipments that are as the file says", Paint::Plain),
        (report.kept, "kept", "fields that a person had changed: theirs stand", Paint::Yellow),
        (refused, "refused", "reasons why an order was not taken", Paint::Red),
    ]
    .into_iter()
    .map(|(count, name, what, paint)| {
        let paint = if count > 0 { paint } else { Paint::Dim };
        format!("{}  {what}", screen.paint(&format!("{count:>7} {name:<9}"), paint))
    })
    .collect();
    let zone = TimeZone::system();
    let kept = report.kept_fields.iter().map(|kept| {
        let shown = |value: &str| field(&kept.field, &value.into(), &zone);
        let (ours, file) = (shown(&kept.ours), shown(&kept.file));
        format!("{} {}: “{ours}” stands, the file says “{file}”", kept.number, kept.field)
    });
    first_of("Kept", kept, &mut lines, screen);
    let refused = report.refused.iter().map(|refusal| {
        let column = if refusal.column.is_empty() { String::new() } else { format!(", {}", refusal.column) };
        let value = if refusal.value.is_empty() { String::new() } else { format!("“{}” ", refusal.value) };
        format!("line {}{column}: {value}{}", refusal.line, refusal.why)
    });
    first_of("Refused", refused, &mut lines, screen);
    lines.join("\n")
}

/// The first of many, under a heading, and where the others are.
fn first_of(heading: &str, texts: impl ExactSizeIterator<Item = String>, lines: &mut Vec<String>, screen: &Screen) {
    let count = texts.len();
    if count == 0 {
        return;
    }
    lines.extend([String::new(), screen.paint(heading, Paint::Bold)]);
    lines.extend(texts.take(TOLD_MAX).map(|text| format!("  {}", clean(&text).replace('\n', " "))));
    if count > TOLD_MAX {
        lines.push(format!("  … and {} more: see all with --json", count - TOLD_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use creel::import::Fields;

    fn order(note_bytes: usize) -> Order {
        let fields = Fields { note: Some("x".repeat(note_bytes)), ..Fields::default() };
        Order { number: "M1".to_owned(), fields, ..Order::default() }
    }

    /// Every order is sent once, in its place, in requests that the node takes.
    #[test]
    fn orders_go_in_parts() {
        let sent = |orders: &[Order]| parts(orders).expect("orders are plain data");
        assert!(sent(&[]).is_empty());
        assert_eq!(sent(&vec![order(1); 501]), [0..500, 500..501]);
        assert_eq!(sent(&vec![order(1); 1001]), [0..500, 500..1000, 1000..1001]);
        assert_eq!(sent(&vec![order(1_900_000); 5]), [0..2, 2..4, 4..5]);
        // One that is too large alone still goes, for the node to say so.
        assert_eq!(sent(&[order(1), order(9_000_000), order(1)]), [0..1, 1..2, 2..3]);
    }

    /// A person sees the first reasons in words, and where the others are.
    #[test]
    fn reports_are_told() {
        let refusal =
            Refusal { line: 7, column: "日期".to_owned(), value: "soon".to_owned(), why: "is not a date".to_owned() };
        let report = Report { taken: 3, refused: vec![refusal; 25], ..Report::default() };
        let told = told(&report, false, &Screen::plain(crate::language::Language::En));
        assert!(told.starts_with("      3 taken      orders opened as new shipments\n"), "{told}");
        assert_eq!(told.matches("  line 7, 日期: “soon” is not a date\n").count(), 20);
        assert!(told.ends_with("… and 5 more: see all with --json"));
    }
}
