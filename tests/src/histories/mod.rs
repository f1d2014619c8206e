//! Histories of one shipment with the views that they give: named ones for each rule of docs/status.md, and random hostile ones.
//!
//! Both are written in one form, docs/status.md section 11, for other implementations to check themselves by.

pub mod named;
pub mod random;
pub mod story;

use crate::firm::Firm;
use creel_protocol::edit::Edit;
use creel_protocol::shipment::effect::Effects;
use creel_protocol::shipment::replay::Replayed;
use creel_protocol::shipment::{History, Render};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

/// The workflows that histories follow: presets that differ, and one that uses what workflows may grow by.
pub const ROSTERS: [&str; 4] = ["standard", "cold-chain", "simple", "grown"];

/// A workflow with a step for everybody, two steps of one rank, all kinds of evidence, and keys and words of a later version.
pub const GROWN: &str = include_str!("grown.toml");

/// The firm of this name.
pub fn firm(roster: &str) -> Firm {
    if roster == "grown" { Firm::with_workflow(GROWN) } else { Firm::following(roster) }
}

/// A history.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The rules it is about.
    pub rules: Vec<u8>,
    /// Which of [`ROSTERS`] it follows.
    pub roster: &'static str,
    /// Its edits.
    pub edits: Vec<Edit>,
}

/// A roster's line.
pub fn roster_line(name: &str, firm: &Firm) -> Value {
    let entries: Vec<String> = firm.roster.entries(0).map(|entry| HEXLOWER.encode(entry)).collect();
    json!({ "roster": name, "entries": entries })
}

/// A history's line, with what this code makes of it.
pub fn line(case: &Case, firm: &Firm) -> Value {
    let render = render(case, firm);
    let edits: Vec<String> = case.edits.iter().map(|edit| HEXLOWER.encode(&edit.bytes)).collect();
    json!({
        "name": case.name,
        "rules": case.rules,
        "roster": case.roster,
        "edits": edits,
        "view": render.view,
        "view_hash": render.view_hash,
        "edits_hash": render.edits_hash,
        "automerge_heads": automerge_heads(case, firm),
    })
}

/// The view and what goes along with it.
pub fn render(case: &Case, firm: &Firm) -> Render {
    Render::of(case.edits[0].document, case.edits.clone(), &firm.roster).expect("what is admitted can be rendered")
}

fn automerge_heads(case: &Case, firm: &Firm) -> Vec<String> {
    let history = History::new(case.edits.clone());
    let effects = Effects::of(&history, &firm.roster);
    Replayed::of(&history, &effects).expect("what is admitted can be replayed").heads()
}

/// Whether this code and the oracle make the same view of a history; if not, the first place at which they differ.
pub fn judge(case: &Case, firm: &Firm) -> Option<String> {
    let view = serde_json::to_value(render(case, firm).view).expect("a view is JSON");
    difference(&view, &firm.oracle(&case.edits))
}

/// Where two values differ first.
pub fn difference(one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            let keys: std::collections::BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
            keys.into_iter().find_map(|key| {
                let found = difference(ones.get(key).unwrap_or(&Value::Null), others.get(key).unwrap_or(&Value::Null))?;
                Some(format!("{key}.{found}"))
            })
        }
        (Value::Array(ones), Value::Array(others)) if ones.len() == others.len() => {
            let found = |(nth, (one, other))| Some(format!("{nth}.{}", difference(one, other)?));
            ones.iter().zip(others).enumerate().find_map(found)
        }
        _ if one == other => None,
        _ => Some(format!(": {one} and should be {other}")),
    }
}
