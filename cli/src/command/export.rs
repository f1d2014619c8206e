//! `creel export`: the month-end sheet.

use super::write_whole;
use crate::client::Client;
use crate::screen::Screen;
use crate::usage::UsageError;
use anyhow::{Result, bail};
use jiff::civil::Date;
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
    let Some(format @ ("csv" | "xlsx")) = ending.as_deref() else {
        bail!(UsageError(format!("{} does not end in .csv or .xlsx: name what to write", args.output.display())));
    };
    if args.to < args.from {
        bail!(UsageError(format!("--to {} is before --from {}", args.to, args.from)));
    }
    // The node writes the sheet, for the screens and for us.
    let language = screen.language.pick("en", "zh");
    let (from, to) = (args.from, args.to);
    let (bytes, rows, shipments) =
        node()?.fetch_sheet(&format!("/sheet.{format}?from={from}&to={to}&lang={language}"))?;
    write_whole(&args.output, &bytes)?;
    if screen.json {
        screen.value(&json!({ "file": args.output, "rows": rows, "shipments": shipments }))?;
    } else {
        screen.hint(format_args!("wrote {}: {} rows of {shipments} shipments", args.output.display(), rows));
    }
    Ok(ExitCode::SUCCESS)
}
