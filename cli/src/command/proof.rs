//! Files that stand on their own: a proof of delivery, and a shipment's Automerge document.

use super::write_whole;
use crate::client::{Client, segment};
use crate::describe;
use crate::screen::{Paint, Screen, clean};
use crate::table::{Cell, table};
use crate::value::local;
use anyhow::{Context, Result};
use creel_protocol::proof::{self, Proven, ProvenRecord};
use jiff::tz::TimeZone;
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of a proof: up to nine statements, and the edits between the record and the signature.
const PROOF_BYTES_MAX: u64 = 4 << 20;

/// Write a proof of delivery that anybody can verify, without a node and years later.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel proof M1 -o M1.proof\n  creel proof M1 --edit 3fa9c1 -o M1.proof\n  creel verify M1.proof\n\n\
                        The file proves the record that decides the status. Where that is not the signature itself, it also\n\
                        holds the signature that the record stands on."
)]
pub(crate) struct ExportArgs {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
    /// Which record: one side of a contradiction, or one that was settled away. Without it the one that decides
    #[arg(long, value_name = "EDIT")]
    edit: Option<String>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Verify a proof of delivery, by nothing but its own bytes. The exit code is 1 where it is not valid.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel verify M1.proof\n  creel verify M1.proof --json\n\n\
                        Compare the root fingerprint with the one the organisation gives you: the proof can't tell\n\
                        whether the organisation is the one it is called.")]
pub(crate) struct VerifyArgs {
    /// The proof
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Write a shipment's document as Automerge saves it, for any Automerge tool.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel automerge M1 -o M1.automerge\n  automerge export M1.automerge      (the tool of the automerge-cli crate)\n\n\
                        The document has `plan`, a flat map of fields that merge (consignee, lines/1/quantity), and\n\
                        `edits`, what each edit stated. creel itself never reads such a file."
)]
pub(crate) struct AutomergeArgs {
    /// The firm's own number, or a unique prefix of the id
    #[arg(value_name = "REF")]
    shipment: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn export(args: &ExportArgs, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let query = args.edit.as_ref().map_or_else(String::new, |edit| format!("?edit={}", segment(edit)));
    let (bytes, beside) = node.fetch_with_headers(
        &format!("/shipments/{}/proof{query}", segment(&args.shipment)),
        ["creel-record", "creel-decides", "creel-signature", "creel-contradicted-by", "creel-set-aside"],
    )?;
    write_whole(&args.output, &bytes)?;
    let [record, decides, signature, contradicted_by, set_aside] = beside;
    let against: Vec<&str> = contradicted_by.split(',').filter(|edit| !edit.is_empty()).collect();
    let signature = Some(signature).filter(|signature| !signature.is_empty());
    if screen.json {
        screen.value(&json!({
            "file": args.output, "bytes": bytes.len(), "record": record, "decides": decides == "true",
            "signature": signature, "contradicted_by": against, "set_aside": set_aside == "true",
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    screen.hint(format_args!("wrote {} ({} bytes)", args.output.display(), bytes.len()));
    let proven = describe::short(&record);
    if decides == "true" {
        screen.hint(format_args!("it proves the record that decides the status, {proven}"));
    } else {
        screen.hint(format_args!("it proves record {proven}, which does not decide the status"));
    }
    if let Some(signature) = signature {
        screen.hint(format_args!(
            "it also holds the signature {}, which that record stands on or replaced",
            describe::short(&signature)
        ));
    }
    if !against.is_empty() {
        let against: Vec<String> = against.into_iter().map(|edit| describe::short(&edit)).collect();
        screen.hint(format_args!("nobody has settled yet what contradicts it: {}", against.join(", ")));
    }
    if set_aside == "true" {
        screen.hint(format_args!("this record was taken back, or settled against: it does not stand any more"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn automerge(args: &AutomergeArgs, node: &Client, screen: &Screen) -> Result<ExitCode> {
    written(&args.shipment, "automerge", &args.output, node, screen)
}

fn written(shipment: &str, kind: &str, output: &Path, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let bytes = node.fetch_bytes(&format!("/shipments/{}/{kind}", segment(shipment)))?;
    write_whole(output, &bytes)?;
    if screen.json {
        screen.value(&json!({ "file": output, "bytes": bytes.len() }))?;
    } else {
        screen.hint(format_args!("wrote {} ({} bytes)", output.display(), bytes.len()));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn verify(args: &VerifyArgs, screen: &Screen) -> Result<ExitCode> {
    let attempt = || format!("cannot read {}", args.file.display());
    let mut bytes = Vec::new();
    File::open(&args.file)
        .with_context(attempt)?
        .take(PROOF_BYTES_MAX)
        .read_to_end(&mut bytes)
        .with_context(attempt)?;
    let verified = proof::verify(&bytes);
    if screen.json {
        let mut told =
            json!({ "valid": verified.is_ok(), "author": null, "organisation": null, "at": null, "why": null });
        match &verified {
            Ok(proven) => {
                let proven = serde_json::to_value(proven)?;
                told.as_object_mut()
                    .zip(proven.as_object())
                    .into_iter()
                    .for_each(|(told, proven)| told.extend(proven.clone()));
            }
            Err(error) => told["why"] = error.to_string().into(),
        }
        screen.value(&told)?;
    } else {
        match &verified {
            Ok(proven) => screen.print(&drawn(proven, screen))?,
            Err(error) => screen.print(&format!("{} {error}", screen.paint("✗ not valid:", Paint::Red)))?,
        }
    }
    Ok(if verified.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn drawn(proven: &Proven, screen: &Screen) -> String {
    let row = |name: &str, value: &str| vec![Cell::text(name).painted(Paint::Dim), Cell::text(value)];
    let rows_of = |record: &ProvenRecord| {
        let by = record.by.as_ref().map(|by| format!("{by}, at ")).unwrap_or_default();
        vec![
            row("step", &record.step),
            row("received by", record.receiver.as_deref().unwrap_or_default()),
            row("recorded by", &format!("{by}{}", record.author)),
            row("at", &format!("{} by that device's clock", local(&record.at, &TimeZone::system()))),
        ]
    };
    let mut rows = vec![row("shipment", &proven.number)];
    rows.extend(rows_of(&proven.record));
    if let Some(signature) = &proven.signature {
        rows.push(row("and the signature", ""));
        rows.extend(rows_of(signature));
        let known = match proven.signature_known {
            Some(true) => "the record was made with knowledge of it",
            _ => "unproven: the file does not show whether the record was made with knowledge of it",
        };
        rows.push(row("relation", known));
    }
    rows.push(row("organisation", &proven.organisation));
    // Not cut, because it is to be compared to the last digit.
    let fingerprint = format!("root fingerprint {}\nedit {}", proven.root_fingerprint, proven.record.edit);
    format!(
        "{} {}\n{}{}",
        screen.paint("✓ valid:", Paint::Green),
        clean(&proven.number),
        table(screen, &["", ""], rows),
        screen.paint(&fingerprint, Paint::Dim)
    )
}
