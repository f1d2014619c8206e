//! `creel nudge`: dial at once, because the network may be back.

use crate::client::{Client, fresh_tap};
use crate::screen::Screen;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(crate) fn run(node: &Client, screen: &Screen) -> Result<ExitCode> {
    let answer: Value = node.post("/nudge", &fresh_tap()?, &json!({}))?;
    if screen.json {
        screen.value(&answer)?;
    } else {
        let waiting = answer["waiting"].as_u64().unwrap_or_default();
        let en = format!("dialling the hub; {waiting} edits wait for it");
        let zh = format!("正在连接主机；{waiting} 条记录等待送达");
        screen.hint(screen.language.pick(&en, &zh));
    }
    Ok(ExitCode::SUCCESS)
}
