//! What can be typed after `creel`.

use crate::command::{
    completions, demo, export, history, import, init, invite, join, list, measure, open, pack, plan, proof, record,
    say, serve, settle, show, why,
};
use crate::global::Global;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Delivery status that stays true on every participant's own device, with or without signal.
#[derive(Debug, Parser)]
#[command(
    name = "creel",
    version,
    arg_required_else_help = true,
    after_help = "A new organisation: creel init --org \"Lake Tackle\", then creel serve, then creel invite for each device.\n\
                  A new device:       creel join INVITE, then creel serve.\n\
                  To look around:     creel demo"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a new organisation; this device becomes its hub
    Init(init::Args),
    /// Run this node
    Serve(serve::Args),
    /// Invite a device: prints text and a QR code
    Invite(invite::Args),
    /// Join an organisation with an invite
    Join(join::Args),
    /// Take orders in from CSV, XLSX or JSON lines
    Import(import::Args),
    /// List shipments
    List(list::Args),
    /// Show one shipment with everything about it
    Show(show::Args),
    /// Show every edit of one shipment, and how far each has come
    History(history::Args),
    /// Explain in words why a shipment's status is what it is
    Why(why::Args),
    /// Record a step that was done, with its evidence
    Record(record::Args),
    /// Record a measured value, such as a temperature
    Measure(measure::Args),
    /// Change what should happen: address, window, driver, lines
    Plan(plan::Args),
    /// Write a message in a shipment's thread
    Say(say::Args),
    /// Settle a contradiction
    Resolve(settle::ResolveArgs),
    /// Take back a record, a measured value or a message of one's own
    Retract(settle::RetractArgs),
    /// Write a portable proof of delivery
    Proof(proof::ExportArgs),
    /// Verify a proof of delivery, without any node
    Verify(proof::VerifyArgs),
    /// Write the month-end sheet: a row per line
    Export(export::Args),
    /// Write a shipment's Automerge document, for any Automerge tool
    Automerge(proof::AutomergeArgs),
    /// Write edits and photos into a file, for a device that no network reaches
    Pack(pack::PackArgs),
    /// Take edits and photos out of such a file
    Unpack(pack::UnpackArgs),
    /// Tell how this node is, and its peers
    Status,
    /// Dial the hub and other peers at once, because the network may be back
    #[command(
        after_help = "For a phone's shell, when the radio is up; a node notices changes of its own network by itself."
    )]
    Nudge,
    Open(open::Args),
    /// Check this device's data folder and say what to do
    Doctor,
    /// Watch a made-up day: a hub, drivers and shops, lost signal and lost power
    Demo(demo::Args),
    /// Print a shell's completions
    Completions(completions::Args),
}

/// Tells what is wrong with the command line (or prints the help that was asked for).
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if wants_json && !is_help {
        let text = error.render().to_string();
        let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        eprintln!("{}", serde_json::json!({ "error": text }));
    } else {
        // Nothing can be done about a terminal that has gone.
        let _gone = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Every command's arguments fit together, by clap's own check.
    #[test]
    fn arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    /// Scripts rely on these command lines; they parse as they stand in the contract.
    #[test]
    fn the_contract_parses() {
        for line in [
            "init --org Lake --workflow cold-chain",
            "serve --quic 0.0.0.0:4910 --http 127.0.0.1:0",
            "serve --peer west-lake.example:4910 --peer 10.0.0.7:4910",
            "invite --role driver --party driver:li-wei --name phone",
            "join CREEL1:ABC --hub 10.0.0.1:4910",
            "import orders.csv --map map.toml --dry-run",
            "list --filter status:signed",
            "show M1 --json",
            "record M1 M2 signed --receiver Wang --as proxy --relation son --signature a.svg --photo a.jpg --photo b.jpg",
            "record M1 --note late signed --line 1:short=2 --line 1:damaged=0.5 --place -30.1,120.2 --tap 00",
            "measure M1 temperature -18.5 °C",
            "plan M1 M2 driver=li-wei window=2026-11-23",
            "plan --filter driver:none driver=li-wei",
            "say M1 hello",
            "resolve M1 --uphold none --settle a b c",
            "retract abcd",
            "proof M1 -o proof.cbor",
            "verify proof.cbor",
            "export --from 2026-11-01 --to 2026-11-30 -o november.xlsx",
            "automerge M1 -o m1.automerge",
            "pack -o f.creel --for hub --photos",
            "unpack f.creel",
            "status",
            "doctor",
            "demo --keep dir --json --seed 3",
            "completions bash",
        ] {
            let words = std::iter::once("creel").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words.clone()).is_ok(), "{line}");
        }
    }
}
