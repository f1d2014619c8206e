//! `creel init`: a new organisation.

use crate::folder;
use crate::screen::{Paint, Screen};
use anyhow::{Context, Result, bail};
use creel_protocol::workflow::{PRESETS, Workflow};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Start a new organisation; this device becomes its hub.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel init --org \"Lake Tackle\"\n  creel init --org \"Lake Tackle\" --workflow cold-chain\n  \
                        creel init --org \"Lake Tackle\" --workflow our-steps.toml --data /srv/creel\n\n\
                        The recovery file it writes holds the organisation's root key: carry it away from this device."
)]
pub(crate) struct Args {
    /// The organisation's name
    #[arg(long, value_name = "NAME")]
    org: String,
    /// The steps of its shipments: simple, standard, cold-chain, bulky, bait, multi-drop, or a TOML file
    #[arg(long, value_name = "PRESET|FILE.toml", default_value = "standard")]
    workflow: String,
}

pub(crate) fn run(args: &Args, data: &Path, screen: &Screen) -> Result<ExitCode> {
    let workflow = workflow(&args.workflow)?;
    let made = creel_node::init(data, &args.org, &workflow)?;
    if screen.json {
        screen.value(&json!({
            "organisation": made.organisation,
            "organisation_id": made.organisation_id,
            "root_fingerprint": made.root_fingerprint,
            "recovery": made.recovery,
            "data": data,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    screen.print(&format!("organisation      {}", screen.paint(&made.organisation, Paint::Bold)))?;
    screen.print(&format!("root fingerprint  {}", made.root_fingerprint))?;
    screen.print(&format!("recovery file     {}", made.recovery.display()))?;
    screen.hint(format_args!(
        "\n{} move the recovery file to a place away from this device (print it, or copy it to a stick) and delete it \
         here.\nWhoever has it can replace the hub; without it, a lost hub can't be replaced.\n\nnow run: creel serve{}",
        screen.paint("important:", Paint::Yellow),
        folder::option(data)
    ));
    Ok(ExitCode::SUCCESS)
}

/// The text of a workflow: a preset's, or that of a file. It is parsed here, so that a mistake in it is told before
/// anything is made.
fn workflow(name: &str) -> Result<String> {
    let text = match Workflow::preset(name) {
        Some(text) => text.to_owned(),
        None if Path::new(name).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) => {
            fs::read_to_string(name).with_context(|| format!("cannot read the workflow {name}"))?
        }
        None => {
            let presets: Vec<_> = PRESETS.iter().map(|(preset, _)| *preset).collect();
            bail!("“{name}” is no preset: choose one of {}, or name a file that ends in .toml", presets.join(", "));
        }
    };
    Workflow::parse_strictly(&text).with_context(|| format!("cannot use the workflow {name}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever mistypes a preset is told which there are.
    #[test]
    fn workflows() {
        for (preset, _) in PRESETS {
            assert!(workflow(preset).is_ok(), "{preset}");
        }
        let why = workflow("standart").expect_err("there is none of that name").to_string();
        assert!(why.contains("cold-chain"), "{why}");
        assert!(workflow("absent.toml").is_err());
    }
}
