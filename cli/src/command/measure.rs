//! `creel measure`: a measured value.

use super::act::{Acting, report};
use crate::answer::Made;
use crate::client::Client;
use crate::screen::{Screen, clean};
use crate::usage::UsageError;
use crate::value;
use anyhow::{Result, bail};
use creel_protocol::edit::action::Measure;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Record a measured value, such as the temperature of live bait.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "creel measure [OPTIONS] REF... QUANTITY VALUE UNIT",
    after_help = "Examples:\n  creel measure M1 temperature 7.9 °C\n  creel measure M1 M2 temperature -18.5 °C --sensor \"van box 2\""
)]
pub(crate) struct Args {
    /// The shipments, and then what was measured, its value and its unit
    #[arg(required = true, num_args = 1.., value_names = ["REF... QUANTITY VALUE UNIT"], allow_negative_numbers = true)]
    words: Vec<String>,
    /// The instrument
    #[arg(long, value_name = "NAME")]
    sensor: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

pub(crate) fn run(args: &Args, node: impl FnOnce() -> Result<Client>, screen: &Screen) -> Result<ExitCode> {
    let [shipments @ .., quantity, measured, unit] = &args.words[..] else {
        bail!(usage_error());
    };
    if shipments.is_empty() {
        bail!(usage_error());
    }
    let value = value::quantity(measured).map_err(UsageError)?;
    let measure = Measure { quantity: quantity.clone(), value, unit: unit.clone(), sensor: args.sensor.clone() };
    let request = json!({ "shipments": shipments, "by": args.acting.by(), "measure": measure });
    let answer: Value = args.acting.post(&node()?, "/measurements", &request)?;
    if screen.json {
        screen.value(&answer)?;
    } else {
        let made: Vec<Made> = serde_json::from_value(answer)?;
        report(&made, &clean(&format!("{quantity} {} {unit}", value::shown_quantity(value))), screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn usage_error() -> UsageError {
    UsageError("name the shipments and then what was measured: creel measure REF... QUANTITY VALUE UNIT".to_owned())
}
