//! What it costs two nodes that hold many shipments to find out that nothing has changed, and what has. Real processes, and
//! a relay that counts the UDP payload.
//!
//! The stores are filled directly, with shipments made up and signed here, and one is copied to the other: two nodes would
//! take long to come that far by themselves. Summaries are left out for the same reason; staff sees all without them.

use crate::filled::{Author, key, open, public, resident_mb, take};
use crate::ingest::target_folder;
use anyhow::{Result, ensure};
use creel::demo::firm::{Firm, Member};
use creel::demo::node::eventually;
use creel::demo::relay::Conditions;
use creel_protocol::cbor::Encode;
use creel_protocol::core::keys;
use creel_protocol::edit::Edit;
use creel_protocol::id::DeviceKey;
use creel_protocol::store::Store;
use creel_protocol::sync::Frame;
use creel_protocol::sync::packed::pack;
use creel_storage::Engine;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Shipments that are changed at each side.
const CHANGED: usize = 100;
/// One way takes so long, in milliseconds.
const DELAY_MS: u64 = 100;
/// After so long without a datagram nothing more comes.
const QUIET: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(600);
/// Edits taken in between two syncs.
const PORTION: usize = 5_000;

/// What a relay carried.
struct Cost {
    bytes: [u64; 2],
    datagrams: [u64; 2],
    /// From the first to the last datagram that was of use.
    took: Duration,
}

/// Runs the bench with `count` shipments.
pub(crate) fn run(count: usize) -> Result<()> {
    let creel = target_folder().join("creel");
    ensure!(creel.exists(), "build the program first: cargo build --release --workspace --bins");
    let folder = tempfile::tempdir_in(target_folder())?;
    let mut firm = Firm::found(&creel, folder.path(), "Bench", 1)?;
    let mut member = firm.admit("dispatcher", None, "dora")?;
    eventually("the roster", PATIENCE, || {
        Ok((member.node.api()?.get("/status")?["roster_height"] == firm.hub.api()?.get("/status")?["roster_height"])
            .then_some(()))
    })?;
    ensure!(member.node.stop()?.success() && firm.hub.stop()?.success(), "a node did not end well");

    let began = Instant::now();
    let opened = fill(&firm.hub.data, count)?;
    copy(&firm.hub.data.join("store"), &member.node.data.join("store"))?;
    let (hub_key, member_key) = (public(&key(&firm.hub.data)?), public(&key(&member.node.data)?));
    acquaint(&firm.hub.data, &member_key)?;
    acquaint(&member.node.data, &hub_key)?;
    println!("{count} shipments at both, filled in {:.0} s", began.elapsed().as_secs_f64());

    let way = Conditions { delay_ms: DELAY_MS, ..Conditions::default() };
    member.relay.set(way, way);
    start(&mut firm, &mut member)?;
    println!(
        "hub's resident memory: {} MB, {} s until both answered",
        resident_mb(firm.hub.pid()?)?,
        began.elapsed().as_secs()
    );
    settle(&member)?;
    for round in 1..=3 {
        let cost = observe(&member, || member.node.api()?.post("/nudge", &firm.tap(), &serde_json::json!({})))?;
        tell(&format!("nothing changed, new connection with a ticket, {round}"), &cost);
    }
    ensure!(member.node.stop()?.success(), "the node did not end well");
    let before = carried(&member);
    member.node.start(&["--quic", "127.0.0.1:0"])?;
    settle(&member)?;
    tell("nothing changed, new connection without a ticket", &since(&member, before, Duration::ZERO));

    ensure!(member.node.stop()?.success() && firm.hub.stop()?.success(), "a node did not end well");
    let step = count / (2 * CHANGED);
    ensure!(step > 0, "too few shipments to change {CHANGED} of them on each side");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (nth, open) in opened.iter().step_by(step).take(2 * CHANGED).enumerate() {
        if nth % 2 == 0 { ours.push(open.clone()) } else { theirs.push(open.clone()) }
    }
    let packed = change(&firm.hub.data, &ours)? + change(&member.node.data, &theirs)?;
    // The journals do not help: each takes the other to have all of it.
    acquaint(&firm.hub.data, &member_key)?;
    acquaint(&member.node.data, &hub_key)?;
    let before = carried(&member);
    start(&mut firm, &mut member)?;
    let began = Instant::now();
    let last = settle(&member)?;
    let cost = since(&member, before, last - began);
    tell(&format!("{CHANGED} shipments changed on each side, journals no help"), &cost);
    println!("    the edits alone, packed in one frame each way: {packed} bytes; the connection is in the figure too");
    for (api, changed) in [(member.node.api()?, &ours), (firm.hub.api()?, &theirs)] {
        for edit in changed {
            let history = api.get(&format!("/shipments/{}/history", edit.document))?;
            ensure!(history.as_array().map(Vec::len) == Some(2), "{} did not converge", edit.document);
        }
    }
    Ok(())
}

fn start(firm: &mut Firm, member: &mut Member) -> Result<()> {
    firm.restart_hub("127.0.0.1:0".parse()?)?;
    member.relay.lead_to(firm.hub.quic()?);
    member.node.start(&["--quic", "127.0.0.1:0"])
}

fn fill(folder: &Path, count: usize) -> Result<Vec<Edit>> {
    let (mut engine, mut core) = open(folder)?;
    let mut author = Author::of(folder, &core)?;
    let mut opened = Vec::with_capacity(count);
    while opened.len() < count {
        let portion = opened.len()..count.min(opened.len() + PORTION);
        let edits = portion.map(|number| author.open(number, None)).collect::<Result<Vec<_>>>()?;
        opened.extend(edits.iter().cloned());
        take(&mut engine, &mut core, edits)?;
    }
    Ok(opened)
}

/// Says something about each shipment; returns how many bytes that is, packed.
fn change(folder: &Path, opened: &[Edit]) -> Result<usize> {
    let (mut engine, mut core) = open(folder)?;
    let mut author = Author::of(folder, &core)?;
    let edits = opened.iter().map(|open| author.say(open, "please use the back door")).collect::<Result<Vec<_>>>()?;
    let packed = pack(&Frame::Edits(edits.clone()).to_cbor()).len();
    let least: usize = edits.iter().map(incompressible).sum();
    println!("    {} edits packed: {packed} bytes, {:.2} of what can't be less", edits.len(), ratio(packed, least));
    take(&mut engine, &mut core, edits)?;
    Ok(packed)
}

/// An edit's signature, the hashes it stands on and its deflated action together.
fn incompressible(edit: &Edit) -> usize {
    let action = edit.statement.action.to_cbor();
    64 + 32 * edit.statement.after.len() + pack(&action).len().min(action.len())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people to read")]
fn ratio(one: usize, other: usize) -> f64 {
    one as f64 / other as f64
}

/// Remembers that the peer has acknowledged everything, and that no summary is to be made.
fn acquaint(folder: &Path, peer: &DeviceKey) -> Result<()> {
    let (mut engine, _) = open(folder)?;
    let (from, to) = keys::under(b"j");
    let mut end = 0_u64;
    let mut next = from;
    loop {
        let page = engine.scan(&next, &to, 10_000)?;
        end += page.len() as u64;
        let Some((last, _)) = page.last() else { break };
        next = [last.as_slice(), &[0]].concat();
    }
    let mut batch = creel_protocol::store::Batch::default();
    batch.put(keys::cursor(peer), keys::encode(&end));
    let (from, to) = keys::under(b"x");
    for (key, _) in engine.scan(&from, &to, usize::MAX)? {
        batch.remove(key);
    }
    engine.apply(&batch)?;
    Ok(engine.sync()?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::remove_dir_all(to)?;
    let target = |entry: &walkdir::DirEntry| Ok::<_, anyhow::Error>(to.join(entry.path().strip_prefix(from)?));
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        if entry.file_type().is_dir() {
            fs::create_dir_all(target(&entry)?)?;
        } else {
            fs::copy(entry.path(), target(&entry)?)?;
        }
    }
    Ok(())
}

fn carried(member: &Member) -> [[u64; 2]; 2] {
    let (up, down) = (member.relay.up(), member.relay.down());
    [[up.bytes, down.bytes], [up.datagrams, down.datagrams]]
}

fn since(member: &Member, before: [[u64; 2]; 2], took: Duration) -> Cost {
    let now = carried(member);
    let difference = |what: usize| [now[what][0] - before[what][0], now[what][1] - before[what][1]];
    Cost { bytes: difference(0), datagrams: difference(1), took }
}

/// Waits until nothing more is carried; returns when the last was.
fn settle(member: &Member) -> Result<Instant> {
    let began = Instant::now();
    let (mut last, mut at) = (carried(member), Instant::now());
    while at.elapsed() < QUIET {
        ensure!(began.elapsed() < PATIENCE, "the nodes never fell silent");
        std::thread::sleep(Duration::from_millis(1));
        let now = carried(member);
        if now != last {
            (last, at) = (now, Instant::now());
        }
    }
    Ok(at)
}

fn observe<T>(member: &Member, act: impl FnOnce() -> Result<T>) -> Result<Cost> {
    let (before, began) = (carried(member), Instant::now());
    act()?;
    let last = settle(member)?;
    Ok(since(member, before, last - began))
}

fn tell(what: &str, cost: &Cost) {
    println!(
        "{what}: {} bytes up, {} down, together {}; {} datagrams; {:.1} one-way delays",
        cost.bytes[0],
        cost.bytes[1],
        cost.bytes[0] + cost.bytes[1],
        cost.datagrams[0] + cost.datagrams[1],
        cost.took.as_secs_f64() / Duration::from_millis(DELAY_MS).as_secs_f64(),
    );
}
