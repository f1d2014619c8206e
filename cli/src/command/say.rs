//! `creel say`: a message in a shipment's thread.

use super::act::{Acting, report};
use crate::answer::Made;
use crate::client::Client;
use crate::screen::{Screen, clean};
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Write a message that everybody reads who has the shipment.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel say M1 \"the shutter is closed, ring at the back\" --by \"Li Wei\"")]
pub(crate) struct Args {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
    /// The message
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    acting: Acting,
}

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let request = json!({ "shipment": args.shipment, "by": args.acting.by(), "text": args.text });
    let answer: Value = args.acting.post(node, "/messages", &request)?;
    if screen.json {
        screen.value(&answer)?;
    } else {
        let made: Made = serde_json::from_value(answer)?;
        report(&[made], &clean(&format!("“{}”", args.text)), screen)?;
    }
    Ok(ExitCode::SUCCESS)
}
