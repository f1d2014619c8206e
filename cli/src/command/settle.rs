//! `creel resolve` and `creel retract`: a person has the last word.

use super::act::{Acting, report};
use crate::answer::Made;
use crate::client::Client;
use crate::screen::Screen;
use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Settle a contradiction: name the records it is about, and which of them stands.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel resolve M1 --uphold 3f8a21 --settle 3f8a21 77c0de\n  \
                        creel resolve M1 --uphold none --settle 3f8a21 77c0de --note \"counted again, neither is right\"\n\n\
                        The edits' ids are in `creel show` and `creel history`; a unique prefix is enough.")]
pub(crate) struct ResolveArgs {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
    /// The record that stands, or none
    #[arg(long, value_name = "EDIT|none")]
    uphold: String,
    /// The records that are settled
    #[arg(long, value_name = "EDIT", required = true, num_args = 1..)]
    settle: Vec<String>,
    /// Why
    #[arg(long, value_name = "T")]
    note: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

/// Take back a record, a measured value or a message that was made on this device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel retract 3f8a21 --note \"wrong shop\"\n\n\
                        It stays in the history, as taken back.")]
pub(crate) struct RetractArgs {
    /// The edit's id, or a unique prefix of it
    #[arg(value_name = "EDIT")]
    edit: String,
    /// Why
    #[arg(long, value_name = "T")]
    note: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

pub(crate) fn resolve(args: &ResolveArgs, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let uphold = Some(&args.uphold).filter(|uphold| *uphold != "none");
    let request = json!({
        "shipment": args.shipment,
        "by": args.acting.by(),
        "settle": args.settle,
        "uphold": uphold,
        "note": args.note,
    });
    let what = if uphold.is_some() { "settled" } else { "settled: none stands" };
    told(&args.acting.post(node, "/resolutions", &request)?, what, screen)
}

pub(crate) fn retract(args: &RetractArgs, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let request = json!({ "edit": args.edit, "by": args.acting.by(), "note": args.note });
    told(&args.acting.post(node, "/retractions", &request)?, "taken back", screen)
}

fn told(answer: &Value, what: &str, screen: &Screen) -> Result<ExitCode> {
    if screen.json {
        screen.value(answer)?;
    } else {
        report(&[Made::deserialize(answer)?], what, screen)?;
    }
    Ok(ExitCode::SUCCESS)
}
