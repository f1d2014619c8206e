//! `creel join`: makes this device a member.

use super::block_on;
use crate::folder;
use crate::screen::Screen;
use anyhow::{Context, Result};
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// Bytes of an invite that is read from standard input: ten times what one has.
const INVITE_BYTES_MAX: u64 = 8 * 1024;

/// Join an organisation with an invite of its hub.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel join CREEL1:MFRGG...\n  creel join CREEL1:MFRGG... --hub 192.168.1.20:4910\n  \
                        creel join - < invite.txt      so that it stands in no shell's history"
)]
pub(crate) struct Args {
    /// The invite's text, or - to read it from standard input
    #[arg(value_name = "INVITE")]
    invite: String,
    /// Dial this address instead of those in the invite
    #[arg(long, value_name = "ADDR")]
    hub: Option<String>,
}

pub(crate) fn run(args: &Args, data: &Path, screen: &Screen) -> Result<ExitCode> {
    let mut invite = args.invite.clone();
    if invite == "-" {
        invite.clear();
        let read = std::io::stdin().lock().take(INVITE_BYTES_MAX).read_to_string(&mut invite);
        read.context("cannot read the invite from standard input")?;
    }
    let joined = block_on(async { Ok(creel_node::join(data, &invite, args.hub.as_deref()).await?) })?;
    if screen.json {
        screen.value(&json!({
            "organisation": joined.organisation,
            "name": joined.name,
            "role": joined.role,
            "party": joined.party,
            "hub": joined.hub,
            "data": data,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let party = joined.party.map(|party| format!(" for {party}")).unwrap_or_default();
    screen.print(&format!("joined {} as {} ({}{party})", joined.organisation, joined.name, joined.role))?;
    screen.hint(format_args!("\nnow run: creel serve{}", folder::option(data)));
    Ok(ExitCode::SUCCESS)
}
