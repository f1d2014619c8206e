//! `creel demo`: a made-up day, watched live.

use crate::screen::Screen;
use anyhow::Result;
use creel::demo::{self, Options};
use std::path::PathBuf;
use std::process::ExitCode;

/// Watch a made-up day: a hub, two drivers and two shops as processes of their own, lost signal and lost power.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel demo\n  creel demo --screens                  try it yourself in a browser\n  creel demo --keep /tmp/demo --seed 7\n  creel demo --json\n\n\
                        The exit code is 1 where an acknowledged edit is missing or two views differ."
)]
pub(crate) struct Args {
    /// Keep the nodes' folders here, to look into afterwards
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Show everybody's screens side by side in a browser, each with a switch for its signal and its battery
    #[arg(long, conflicts_with = "keep")]
    screens: bool,
    /// What the day is drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<ExitCode> {
    demo::run(&Options { keep: args.keep.clone(), json: screen.json, seed: args.seed, screens: args.screens })?;
    Ok(ExitCode::SUCCESS)
}
