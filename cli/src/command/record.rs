//! `creel record`: a step that was done, with its evidence.

use super::act::{Acting, report};
use crate::answer::Made;
use crate::client::{Client, fresh_tap};
use crate::screen::{Screen, clean};
use crate::usage::UsageError;
use crate::{fields, value};
use anyhow::{Context, Result, bail, ensure};
use creel_protocol::cbor::Bytes;
use creel_protocol::edit::action::{LineCount, Place, Record};
use creel_protocol::id::FileHash;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A drawn signature is part of the edit, which has at most 16 KiB.
const SIGNATURE_BYTES_MAX: usize = 12 * 1024;
/// A photo, as the node limits it.
const PHOTO_BYTES_MAX: u64 = 20 << 20;

/// Record a step that was done: durable on this device when the command returns, at the hub when there is signal.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "creel record [OPTIONS] REF... STEP",
    after_help = "Examples:\n  creel record M1 M2 M3 picked_up --by \"Li Wei\"\n  \
                  creel record M1 signed --receiver \"Wang Fang\" --as recipient --signature sign.svg --photo door.jpg\n  \
                  creel record M1 signed --receiver \"Wang Ming\" --as proxy --relation son --line 2:short=1\n  \
                  creel record M1 attempt_failed --reason \"nobody there\" --place 30.2592,120.1304\n\n\
                  The steps are those of the shipment's workflow; a step that is not one of them is refused."
)]
pub(crate) struct Args {
    /// The shipments (the firm's own numbers, or unique prefixes of ids), and then the step
    #[arg(required = true, num_args = 1.., value_names = ["REF... STEP"])]
    words: Vec<String>,
    /// Who took it
    #[arg(long, value_name = "NAME")]
    receiver: Option<String>,
    /// Whether the consignee took it, or somebody for them
    #[arg(long = "as", value_parser = ["recipient", "proxy"])]
    signed_as: Option<String>,
    /// What the receiver is to the consignee, such as son or neighbour
    #[arg(long, value_name = "R")]
    relation: Option<String>,
    /// Why: of a failed attempt, a return, a cancellation
    #[arg(long, value_name = "R")]
    reason: Option<String>,
    /// The drawn signature, an SVG of at most 12 KiB
    #[arg(long, value_name = "F.svg")]
    signature: Option<PathBuf>,
    /// A photo; may be repeated
    #[arg(long = "photo", value_name = "F")]
    photos: Vec<PathBuf>,
    /// What became of a line, with received, short, damaged or returned: 2:short=1.5; may be repeated
    #[arg(long = "line", value_name = "ID:FIELD=QTY")]
    lines: Vec<String>,
    /// Where it was done, in decimal degrees
    #[arg(long, value_name = "LAT,LON", value_parser = value::place, allow_hyphen_values = true)]
    place: Option<(i32, i32)>,
    /// Money collected at the door
    #[arg(long, value_name = "AMOUNT", value_parser = value::money)]
    collected: Option<i64>,
    /// A scanned code
    #[arg(long, value_name = "CODE")]
    scan: Option<String>,
    /// The PIN the receiver told
    #[arg(long, value_name = "PIN")]
    pin: Option<String>,
    /// Anything else
    #[arg(long, value_name = "T")]
    note: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

pub(crate) fn run(args: &Args, node: impl FnOnce() -> Result<Client>, screen: &Screen) -> Result<ExitCode> {
    let (step, shipments) = match args.words.split_last() {
        Some((step, shipments)) if !shipments.is_empty() => (step, shipments),
        _ => bail!(UsageError("name the shipments and then the step: creel record REF... STEP".to_owned())),
    };
    let mut lines: Vec<LineCount> = Vec::new();
    for line in &args.lines {
        fields::count(&mut lines, line).map_err(|why| UsageError(format!("--line: {why}")))?;
    }
    let signature = args.signature.as_deref().map(signature).transpose()?;
    let photos = args.photos.iter().map(|file| photo(file)).collect::<Result<Vec<_>>>()?;
    let node = node()?;
    let record = Record {
        step: step.clone(),
        reason: args.reason.clone(),
        receiver: args.receiver.clone(),
        signed_as: args.signed_as.clone(),
        relation: args.relation.clone(),
        signature,
        photos: photos.iter().map(|bytes| kept(&node, bytes)).collect::<Result<_>>()?,
        scan: args.scan.clone(),
        pin: args.pin.clone(),
        place: args.place.map(|(latitude, longitude)| Place(latitude, longitude)),
        collected: args.collected,
        note: args.note.clone(),
        lines,
        further: None,
        payment: None,
        handed_to: None,
    };
    let request = json!({ "shipments": shipments, "by": args.acting.by(), "record": record });
    let answer: Value = args.acting.post(&node, "/records", &request)?;
    if screen.json {
        screen.value(&answer)?;
    } else {
        let made: Vec<Made> = serde_json::from_value(answer)?;
        report(&made, &clean(step), screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A drawn signature: small enough for an edit, and an SVG by its looks. What an SVG may do in a browser is not judged
/// here: screens show it as an image, in which nothing runs.
fn signature(file: &Path) -> Result<Bytes> {
    let attempt = || format!("cannot use the signature {}", file.display());
    let bytes = fs::read(file).with_context(attempt)?;
    looks_like_svg(&bytes).map_err(anyhow::Error::msg).with_context(attempt)?;
    Ok(Bytes(bytes))
}

fn looks_like_svg(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > SIGNATURE_BYTES_MAX {
        return Err(format!(
            "it has {} bytes, of at most {SIGNATURE_BYTES_MAX}: draw it with fewer points",
            bytes.len()
        ));
    }
    let no_svg = || "it is not an SVG: save the signature as SVG".to_owned();
    let text = std::str::from_utf8(bytes).map_err(|_| no_svg())?;
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    // An XML declaration, a document type and comments may stand before the element.
    while let Some(after) = rest.strip_prefix("<?").or_else(|| rest.strip_prefix("<!")) {
        let end = if rest.starts_with("<!--") { "-->" } else { ">" };
        let (_, after) = after.split_once(end).ok_or_else(no_svg)?;
        rest = after.trim_start();
    }
    let is_svg = rest
        .strip_prefix("<svg")
        .is_some_and(|rest| rest.starts_with(|next: char| next.is_whitespace() || next == '>' || next == '/'));
    if is_svg { Ok(()) } else { Err(no_svg()) }
}

fn photo(file: &Path) -> Result<Vec<u8>> {
    let attempt = || format!("cannot use the photo {}", file.display());
    let size = fs::metadata(file).with_context(attempt)?.len();
    ensure!(
        size <= PHOTO_BYTES_MAX,
        "cannot use the photo {}: it has {size} bytes, of at most {PHOTO_BYTES_MAX}: make it smaller",
        file.display()
    );
    fs::read(file).with_context(attempt)
}

/// Hands a photo to the node; by its hash the record names it. The same photo again is the same file.
fn kept(node: &Client, bytes: &[u8]) -> Result<FileHash> {
    let answer: Value = node.upload("/photos", &fresh_tap()?, bytes)?;
    let hash = answer.get("hash").and_then(Value::as_str).context("the node answered without the photo's hash")?;
    Ok(FileHash::parse(hash)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A photo of a signature, or a drawing too large for an edit, is told before anything is recorded.
    #[test]
    fn signatures() {
        for (text, expect) in [
            ("<svg xmlns='http://www.w3.org/2000/svg'/>", true),
            ("<svg>", true),
            ("\u{feff}<?xml version=\"1.0\"?>\n<!DOCTYPE svg>\n<!-- a > b -->\n<svg width='1'></svg>", true),
            ("<svgx>", false),
            ("<html><svg/></html>", false),
            ("", false),
            ("<!-- never ends", false),
            ("\u{89}PNG", false),
        ] {
            assert_eq!(looks_like_svg(text.as_bytes()).is_ok(), expect, "{text}");
        }
        let large = format!("<svg>{}</svg>", " ".repeat(SIGNATURE_BYTES_MAX));
        assert!(looks_like_svg(large.as_bytes()).is_err_and(|why| why.contains("fewer points")));
    }
}
