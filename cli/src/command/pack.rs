//! `creel pack` and `creel unpack`: edits and photos by USB stick or any messenger.
//!
//! The file is a line that says what it is, the organisation's id, and then parts: a letter, a length, and so many bytes. `F` is
//! frames as on a connection, `P` a photo.

use super::write_whole;
use crate::client::{Client, fresh_tap, segment};
use crate::screen::Screen;
use anyhow::{Context, Result, bail, ensure};
use creel_protocol::core::io::Unpacked;
use creel_protocol::id::DocumentId;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;

const MAGIC: &[u8] = b"creel-pack/1\n";
const FRAMES: u8 = b'F';
const PHOTO: u8 = b'P';
/// A piece of frames is closed at so many bytes.
const PIECE_BYTES_GOAL: usize = 4 << 20;
/// Bytes of a part: some megabytes of frames, or one photo.
const PART_BYTES_MAX: u32 = 32 << 20;

/// Write edits into a file that another device takes with “creel unpack”: by USB stick or any messenger.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  creel pack -o for-the-hub.creel --for hub --photos\n  creel pack -o everything.creel\n\n\
                        With --for only what that member may see is written, and for the hub only shipments with edits\n\
                        that it is not known to have. The file is signed statement by statement, and not encrypted."
)]
pub(crate) struct PackArgs {
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// For which member, by name
    #[arg(long = "for", value_name = "PEER")]
    peer: Option<String>,
    /// With the photos that are on this device
    #[arg(long)]
    photos: bool,
}

/// Take edits and photos out of a file that “creel pack” wrote on another device of this organisation.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel unpack for-the-hub.creel\n\n\
                        Every edit is checked as if its author's device had sent it. Taking a file twice does no harm.")]
pub(crate) struct UnpackArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A part of a pack as the node tells it.
#[derive(Debug, Deserialize)]
struct Part {
    shipments: u64,
    edits: u64,
    next: Option<DocumentId>,
    photos: BTreeSet<String>,
    frames: String,
}

pub(crate) fn pack(args: &PackArgs, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let status: Value = node.fetch("/status")?;
    let organisation = status["organisation_id"].as_str().context("a node tells its organisation's id")?;
    let mut file = [MAGIC, organisation.as_bytes(), b"\n"].concat();
    let peer = args.peer.as_ref().map(|peer| format!("&for={}", segment(peer))).unwrap_or_default();
    let (mut shipments, mut edits, mut photos, mut after) = (0, 0, BTreeSet::new(), String::new());
    loop {
        let part: Part = node.fetch(&format!("/pack?{after}{peer}"))?;
        let frames = BASE64.decode(part.frames.as_bytes()).context("the node's answer is damaged")?;
        for piece in pieces(&frames) {
            append(&mut file, FRAMES, piece)?;
        }
        (shipments, edits) = (shipments + part.shipments, edits + part.edits);
        photos.extend(part.photos);
        match part.next {
            Some(next) => after = format!("after={next}"),
            None => break,
        }
    }
    let mut taken = 0;
    if args.photos {
        for photo in &photos {
            append(&mut file, PHOTO, &node.fetch_bytes(&format!("/photos/{photo}"))?)?;
            taken += 1;
        }
    }
    write_whole(&args.output, &file)?;
    if screen.json {
        let told = json!({ "file": args.output, "shipments": shipments, "edits": edits, "photos": taken, "bytes": file.len() });
        screen.value(&told)?;
    } else {
        let path = args.output.display();
        let en =
            format!("wrote {path}: {edits} edits of {shipments} shipments, {taken} photos; take it with creel unpack");
        let zh = format!(
            "已写入 {path}：{shipments} 张单的 {edits} 条记录，{taken} 张照片；在另一台设备上用 creel unpack 读入"
        );
        screen.hint(screen.language.pick(&en, &zh));
    }
    Ok(ExitCode::SUCCESS)
}

/// Frames in pieces that a node takes at once: a shipment with a long history may be larger than that.
fn pieces(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut end = 0;
        while end < PIECE_BYTES_GOAL
            && let Some(length) = frames.get(end..).and_then(<[u8]>::first_chunk)
        {
            end = frames.len().min(end + 4 + u32::from_be_bytes(*length) as usize);
        }
        let (piece, rest) = frames.split_at(end);
        frames = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn append(file: &mut Vec<u8>, kind: u8, bytes: &[u8]) -> Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= PART_BYTES_MAX);
    let length = length.context("a part is larger than a pack can hold; please report this")?;
    file.push(kind);
    file.extend(length.to_be_bytes());
    file.extend(bytes);
    Ok(())
}

pub(crate) fn unpack(args: &UnpackArgs, node: &Client, screen: &Screen) -> Result<ExitCode> {
    let path = args.file.display();
    let mut file = BufReader::new(File::open(&args.file).with_context(|| format!("cannot read {path}"))?);
    let status: Value = node.fetch("/status")?;
    let organisation = status["organisation_id"].as_str().context("a node tells its organisation's id")?;
    let mut head = vec![0; MAGIC.len() + organisation.len() + 1];
    let read = file.read_exact(&mut head);
    ensure!(read.is_ok() && head.starts_with(MAGIC), "{path} is no file that creel pack wrote");
    ensure!(
        &head[MAGIC.len()..head.len() - 1] == organisation.as_bytes(),
        "{path} was packed in another organisation: nothing of it is taken"
    );
    let (mut total, mut photos) = (Unpacked::default(), 0);
    while let Some((kind, bytes)) = part(&mut file).with_context(|| {
        format!(
            "{path} is damaged or cut off; what stood before that is taken ({} edits). Copy it once more",
            total.taken
        )
    })? {
        match kind {
            FRAMES => {
                let report: Unpacked = node.upload("/unpack", &fresh_tap()?, &bytes)?;
                total.taken += report.taken;
                total.held += report.held;
                total.waiting = report.waiting;
                total.refused += report.refused;
                total.why.extend(report.why);
            }
            PHOTO => {
                let _kept: Value = node.upload("/photos", &fresh_tap()?, &bytes)?;
                photos += 1;
            }
            _ => bail!("{path} holds something that this creel does not know: take it with a newer one"),
        }
    }
    if screen.json {
        let mut told = serde_json::to_value(&total)?;
        told["photos"] = photos.into();
        screen.value(&told)?;
    } else {
        let Unpacked { taken, held, waiting, refused, why } = &total;
        let en = format!("{taken} edits are new and safe on this device; {held} were here already; {photos} photos");
        let zh = format!("{taken} 条新记录已安全保存在本机；{held} 条原已存在；{photos} 张照片");
        screen.hint(screen.language.pick(&en, &zh));
        if *waiting > 0 {
            let en = format!(
                "{waiting} edits stand on others that are not here: unpack a file that has those, then this one again"
            );
            let zh = format!("{waiting} 条记录依赖本机没有的记录：请先读入包含那些记录的文件，再读入此文件");
            screen.hint(screen.language.pick(&en, &zh));
        }
        if *refused > 0 {
            let en = format!("{refused} were refused:\n  {}", why.join("\n  "));
            let zh = format!("{refused} 条被拒绝：\n  {}", why.join("\n  "));
            screen.hint(screen.language.pick(&en, &zh));
        }
    }
    Ok(if total.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The next part; none at the end of the file.
fn part(file: &mut impl Read) -> Result<Option<(u8, Vec<u8>)>> {
    let mut kind = [0];
    if file.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    ensure!(length <= PART_BYTES_MAX, "a part claims to have {length} bytes");
    let mut bytes = Vec::new();
    file.take(length.into()).read_to_end(&mut bytes)?;
    ensure!(bytes.len() == length as usize, "a part breaks off");
    Ok(Some((kind[0], bytes)))
}
