//! `creel open`: the screens of this device, in its browser.

use crate::client::Client;
use crate::screen::Screen;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::{Command, ExitCode, Stdio};

/// Open this device's screens in a browser.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel open\n  creel open --print\n\n\
                        The link works once, within two minutes, and only on this device. The browser stays signed in.")]
pub(crate) struct Args {
    /// Only print the link
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(args: &Args, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let answer: Value = node.post("/open", &crate::client::fresh_tap()?, &json!({}))?;
    let url = answer["url"].as_str().unwrap_or_default();
    if screen.json {
        screen.value(&answer)?;
    } else {
        println!("{url}");
        if !args.print && !browse(url) {
            screen.hint(screen.language.pick(
                "open this link in a browser on this device; it works once, within two minutes",
                "请在本机的浏览器中打开此链接；两分钟内有效，仅可使用一次",
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Hands a link to the system's browser, where there is one.
fn browse(url: &str) -> bool {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    Command::new(opener)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
