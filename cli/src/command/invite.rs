//! `creel invite`: lets a device in.

use crate::client::{Client, fresh_tap};
use crate::screen::Screen;
use crate::value::local;
use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The roles, as the roster names them.
const ROLES: [&str; 6] = ["admin", "dispatcher", "picker", "driver", "shop", "viewer"];

/// Invite a device: a single-use text, and the same as a QR code.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel invite --role driver --party driver:li-wei --name \"Li Wei's phone\"\n  \
                        creel invite --role shop --party shop:west-lake --name \"West Lake till\"\n  \
                        creel invite --role dispatcher --name office --json\n\n\
                        Drivers and shops see the shipments that name their party. Only the hub can invite.")]
pub(crate) struct Args {
    /// What the device will be
    #[arg(long, value_parser = ROLES)]
    role: String,
    /// Whose it will be, such as driver:li-wei or shop:west-lake; drivers and shops need one
    #[arg(long)]
    party: Option<String>,
    /// The device's name, as others will see it
    #[arg(long)]
    name: String,
}

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let request = json!({ "role": args.role, "party": args.party, "name": args.name });
    let answer: Value = node.post("/invites", &fresh_tap()?, &request)?;
    if screen.json {
        screen.value(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let invite = answer.get("invite").and_then(Value::as_str).context("the node answered without an invite")?;
    screen.print(invite)?;
    if screen.terminal {
        screen.print(&qr(invite)?)?;
    }
    screen.hint(format_args!("on the new device run: creel join {invite}"));
    if let Some(expires) = answer.get("expires").and_then(Value::as_str) {
        screen.hint(format_args!("it works once, until {}", local(expires, &TimeZone::system())));
    }
    Ok(ExitCode::SUCCESS)
}

/// A QR code of half blocks, dark on light whatever the terminal's own colours are: inverted codes are not read by every
/// phone.
fn qr(text: &str) -> Result<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).context("the invite does not fit a QR code")?;
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    let lines: Vec<_> = drawn.lines().map(|line| format!("\u{1b}[30;107m{line}\u{1b}[0m")).collect();
    Ok(lines.join("\n"))
}
