//! `creel completions`: what a shell needs to complete commands.

use anyhow::Result;
use clap_complete::Shell;
use std::io::{self, Write};
use std::process::ExitCode;

/// Print a shell's completions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel completions bash > ~/.local/share/bash-completion/completions/creel\n  \
                        creel completions zsh > ~/.zfunc/_creel\n  creel completions fish > ~/.config/fish/completions/creel.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Writes the completions of `creel`, which is everything that can be typed.
pub(crate) fn run(args: &Args, mut creel: clap::Command) -> Result<ExitCode> {
    // Gathered first, because the generator panics where its reader has gone.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut creel, "creel", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
