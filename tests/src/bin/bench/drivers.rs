//! A hub with many connected drivers: its memory, its work at rest and for each edit, and what is sent while nothing happens.
//!
//! The hub is a real process. The drivers are light: a real QUIC connection each, from a socket of its own, that greets,
//! acknowledges what it is sent and says what it has to say, without a store.

#[path = "../../../../cli/tests/shared/hostile.rs"]
#[expect(dead_code, reason = "of the clients' tools only the dialling is of use here")]
mod hostile;

use crate::filled::{Author, open, public, resident_mb, take};
use crate::ingest::target_folder;
use anyhow::{Context, Result, ensure};
use creel::demo::firm::Firm;
use creel::demo::node::eventually;
use creel_protocol::cbor::Encode;
use creel_protocol::core::keys;
use creel_protocol::edit::Edit;
use creel_protocol::id::OrganisationId;
use creel_protocol::roster::{Change, Enrol, Role, Roster};
use creel_protocol::store::Batch;
use creel_protocol::sync::Frame;
use creel_protocol::sync::frame::Hello;
use creel_protocol::sync::packed::{pack, unpack};
use creel_storage::Engine;
use ed25519_dalek::SigningKey;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Edits that each driver makes.
const EDITS: usize = 10;
/// How long nothing happens.
const REST: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(300);
/// Connections that are made at the same time.
const AT_ONCE: usize = 32;

struct Driver {
    key: SigningKey,
    open: Edit,
    _endpoint: Endpoint,
    connection: Connection,
    send: SendStream,
}

/// Runs the bench with `count` drivers.
pub(crate) fn run(count: usize) -> Result<()> {
    let creel = target_folder().join("creel");
    ensure!(creel.exists(), "build the program first: cargo build --release --workspace --bins");
    let folder = tempfile::tempdir_in(target_folder())?;
    let mut firm = Firm::found(&creel, folder.path(), "Bench", 1)?;
    ensure!(firm.hub.stop()?.success(), "the hub did not end well");
    let (roster, opened) = fill(&firm.hub.data, count)?;
    firm.restart_hub("127.0.0.1:0".parse()?)?;
    let pid = firm.hub.pid()?;
    let api = firm.hub.api()?.clone();
    eventually("the summaries", PATIENCE, || Ok((api.get("/status")?["refreshing"] == 0).then_some(())))?;
    println!("hub with {count} shipments and nobody connected: {} MB resident", resident_mb(pid)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (began, before) = (Instant::now(), cpu_seconds(pid)?);
        let mut drivers = Vec::with_capacity(count);
        for portion in opened.chunks(AT_ONCE) {
            let connecting = portion.iter().enumerate().map(|(nth, open)| {
                connect(firm.hub.quic(), seed(drivers.len() + nth), open.clone(), &roster, Arc::clone(&acknowledged))
            });
            for driver in futures_util::future::join_all(connecting).await {
                drivers.push(driver?);
            }
        }
        let connected = cpu_seconds(pid)? - before;
        println!(
            "{count} drivers connected in {:.1} s; {:.2} ms of the hub's CPU each",
            began.elapsed().as_secs_f64(),
            per(connected * 1_000.0, count)
        );
        tokio::time::sleep(Duration::from_secs(5)).await;
        println!("hub's resident memory: {} MB", resident_mb(pid)?);

        let (before, traffic) = (cpu_seconds(pid)?, carried(&drivers));
        tokio::time::sleep(REST).await;
        let (used, traffic) = (cpu_seconds(pid)? - before, carried(&drivers) - traffic);
        println!("hub at rest for {} s: {:.2} % of a core", REST.as_secs(), used / REST.as_secs_f64() * 100.0);
        #[expect(clippy::cast_precision_loss, reason = "a figure for people to read")]
        let hourly = traffic as f64 * 3_600.0 / REST.as_secs_f64() / 1_000.0;
        println!("UDP payload both ways: {:.1} kB a driver and hour", per(hourly, count));

        let mut edits = Vec::new();
        for driver in &drivers {
            let mut author = Author {
                device: driver.key.clone(),
                organisation: roster.organisation(),
                roster: roster.head(),
                random: creel::demo::day::Random::new(edits.len() as u64),
            };
            let (mut own, mut known) = (Vec::new(), driver.open.clone());
            for nth in 0..EDITS {
                known = author.say(&known, &format!("stop {nth} is done, on to the next"))?;
                own.push(known.clone());
            }
            edits.push(own);
        }
        let all = count * EDITS;
        acknowledged.store(0, Ordering::Relaxed);
        let (began, before) = (Instant::now(), cpu_seconds(pid)?);
        for nth in 0..EDITS {
            for (driver, edits) in drivers.iter_mut().zip(&edits) {
                driver.send.write_all(&framed(&Frame::Edits(vec![edits[nth].clone()]))).await?;
            }
        }
        while acknowledged.load(Ordering::Relaxed) < all {
            ensure!(began.elapsed() < PATIENCE, "only {} of {all} edits were acknowledged", acknowledged.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = began.elapsed().as_secs_f64();
        println!(
            "{all} edits, one to a frame, all acknowledged after {took:.2} s; {:.3} ms of the hub's CPU each until then",
            per((cpu_seconds(pid)? - before) * 1_000.0, all)
        );
        eventually("the summaries", PATIENCE, || Ok((api.get("/status")?["refreshing"] == 0).then_some(())))?;
        println!(
            "with their summaries {:.3} ms of the hub's CPU each; hub's resident memory: {} MB",
            per((cpu_seconds(pid)? - before) * 1_000.0, all),
            resident_mb(pid)?
        );
        Ok(())
    })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people to read")]
fn per(all: f64, count: usize) -> f64 {
    all / count as f64
}

fn seed(number: usize) -> [u8; 32] {
    let mut seed = [0x44; 32];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    seed
}

/// Enrols the drivers and opens a shipment for each, in the hub's store while it does not run.
fn fill(folder: &Path, count: usize) -> Result<(Roster, Vec<Edit>)> {
    let issuer = fs::read_to_string(folder.join("issuer.key"))?;
    let issuer = data_encoding::HEXLOWER_PERMISSIVE.decode(issuer.trim().as_bytes())?;
    let issuer = SigningKey::from_bytes(&issuer.try_into().ok().context("a key has 32 bytes")?);
    let (mut engine, core) = open(folder)?;
    let mut roster = core.roster().clone();
    let mut batch = Batch::default();
    for number in 0..count {
        let key = public(&SigningKey::from_bytes(&seed(number)));
        let (party, name) = (Some(format!("driver:d{number}")), format!("phone {number}"));
        let entry = roster.write(Change::Enrol(Enrol { key, role: Role::Driver, party, name }), 1, &issuer)?;
        roster.append(&entry)?;
        batch.put(keys::roster(roster.height()), entry);
    }
    engine.apply(&batch)?;
    engine.sync()?;
    drop(engine);
    let (mut engine, mut core) = open(folder)?;
    let mut author = Author::of(folder, &core)?;
    let opened: Vec<Edit> =
        (0..count).map(|number| author.open(number, Some(format!("driver:d{number}")))).collect::<Result<_>>()?;
    take(&mut engine, &mut core, opened.clone())?;
    Ok((roster, opened))
}

async fn connect(
    hub: Result<std::net::SocketAddr>,
    key: [u8; 32],
    open: Edit,
    roster: &Roster,
    acknowledged: Arc<AtomicUsize>,
) -> Result<Driver> {
    let (endpoint, connection) = hostile::dial(hub?, &key, "creel/1").await?;
    let (mut send, receive) = connection.open_bi().await?;
    let organisation = roster.organisation();
    let hello = Hello::of(organisation, roster.height(), roster.head());
    send.write_all(&framed(&Frame::Hello(hello))).await?;
    tokio::spawn(listen(receive, organisation, acknowledged));
    Ok(Driver { key: SigningKey::from_bytes(&key), open, _endpoint: endpoint, connection, send })
}

/// Counts what the hub acknowledges. What it sends is let go by: a light driver keeps nothing.
async fn listen(mut receive: RecvStream, organisation: OrganisationId, acknowledged: Arc<AtomicUsize>) {
    let mut length = [0; 4];
    while receive.read_exact(&mut length).await.is_ok() {
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        if receive.read_exact(&mut body).await.is_err() {
            return;
        }
        if let Ok((Frame::Ack(ids), _)) = unpack(&body).and_then(|body| Frame::decode(&body, &organisation)) {
            acknowledged.fetch_add(ids.len(), Ordering::Relaxed);
        }
    }
}

fn framed(frame: &Frame) -> Vec<u8> {
    let body = pack(&frame.to_cbor());
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [length.as_slice(), &body].concat()
}

fn carried(drivers: &[Driver]) -> u64 {
    drivers.iter().map(|driver| driver.connection.stats()).map(|stats| stats.udp_tx.bytes + stats.udp_rx.bytes).sum()
}

/// What a process has used of the processor, in seconds (Linux).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold spaces.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("the kernel tells it");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
