//! `creel why`: why the status is what it is, in words.

use crate::client::{Client, segment};
use crate::screen::{Screen, clean};
use anyhow::Result;
use creel_protocol::workflow::Label;
use serde_json::Value;
use std::process::ExitCode;

/// Explain a shipment's status: which record decided, what it took the place of, and what contradicts it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel why M20261123-0001\n  creel why M20261123-0001 --lang zh")]
pub(crate) struct Args {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
}

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let path = format!("/shipments/{}/why", segment(&args.shipment));
    if screen.json {
        screen.value(&node.fetch::<Value>(&path)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let sentences: Vec<Label> = node.fetch(&path)?;
    for (nth, sentence) in sentences.iter().enumerate() {
        // The first is the answer; the others are what speaks for and against it.
        let bullet = if nth == 0 { "" } else { "  - " };
        screen.print(&format!("{bullet}{}", clean(screen.language.label(sentence))))?;
    }
    Ok(ExitCode::SUCCESS)
}
