//! `creel export`: the month-end sheet.

use super::sheet;
use super::write_whole;
use crate::answer::SheetRow;
use crate::args::Misused;
use crate::client::Client;
use crate::screen::Screen;
use crate::value::day_bounds;
use anyhow::{Context, Result, bail};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write the month-end sheet: a row per line, with what was ordered, delivered, short, damaged, returned and collected.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel export --from 2026-11-01 --to 2026-11-30 -o november.xlsx\n  \
                        creel export --from 2026-11-23 --to 2026-11-23 -o today.csv --lang zh\n\n\
                        Both dates are part of it, as days of this device's time zone. A shipment stands on the day it was\n\
                        signed for, returned or cancelled, and until then on the day it is planned for.")]
pub(crate) struct Args {
    /// The first day
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// The last day
    #[arg(long, value_name = "DATE")]
    to: Date,
    /// The file to write: .csv or .xlsx
    #[arg(short, long, value_name = "FILE.csv|xlsx")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, node: impl FnOnce() -> Result<Client>, screen: &Screen) -> Result<ExitCode> {
    let ending = args.output.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let draw = match ending.as_deref() {
        Some("csv") => sheet::csv,
        Some("xlsx") => sheet::xlsx,
        _ => bail!(Misused(format!("{} does not end in .csv or .xlsx: name what to write", args.output.display()))),
    };
    if args.to < args.from {
        bail!(Misused(format!("--to {} is before --from {}", args.to, args.from)));
    }
    let zone = TimeZone::system();
    let bounds = |day| day_bounds(day, &zone).with_context(|| format!("{day} is outside the calendar"));
    let (from, to) = (bounds(args.from)?.0, bounds(args.to)?.1);
    let rows: Vec<SheetRow> = node()?.fetch(&format!("/sheet?from={from}&to={to}"))?;
    write_whole(&args.output, &draw(&rows, screen.language, &zone)?)?;
    let shipments = rows.chunk_by(|one, next| one.number == next.number).count();
    if screen.json {
        screen.value(&json!({ "file": args.output, "rows": rows.len(), "shipments": shipments }))?;
    } else {
        screen.hint(format_args!("wrote {}: {} rows of {shipments} shipments", args.output.display(), rows.len()));
    }
    Ok(ExitCode::SUCCESS)
}
